# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS whose process is gone: 17 MiB of a node that was killed, until the machine starts anew.

Each segment has a lock beside it (`fastrtps_<name>_el`) that its process holds for as long as it lives, and the kernel
lets go of when it dies. What nobody holds is nobody's; `fastdds shm clean` goes by the same.
"""

from __future__ import annotations

import fcntl
import re
from contextlib import suppress
from pathlib import Path

SHARED = Path("/dev/shm")
_LOCK = re.compile(r"fastrtps_(?:port\d+|[0-9a-f]{16})_el")


def remove_leftovers(folder: Path = SHARED) -> int:
    """Remove the segments of processes that have ended; return how many."""
    removed = 0
    with suppress(OSError):
        for lock in sorted(folder.iterdir()):
            if _LOCK.fullmatch(lock.name):
                with suppress(OSError):  # held, somebody else's, or gone meanwhile
                    removed += _remove(lock)
    return removed


def _remove(lock: Path) -> bool:
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # While we hold the lock nobody begins to use what it guards.
        lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
        lock.unlink()
    return True
