# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS whose process is gone: 17 MiB of a node that was killed, until the machine starts anew.

Each segment has a lock beside it (`fastrtps_<name>_el`) that its process holds for as long as it lives, and the kernel
lets go of when it dies. What nobody holds is nobody's; `fastdds shm clean` goes by the same.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SHARED = Path("/dev/shm")
_LOCK = re.compile(r"fastrtps_[0-9a-f]{16}_el")  # ports are small, and may be shared
NEW = 10.0  # seconds of a lock that may have been made, but not yet taken


def _locks(folder: Path) -> list[Path]:
    """Return the locks of segments in a folder, if it is there."""
    return sorted(p for p in folder.iterdir() if _LOCK.fullmatch(p.name)) if folder.is_dir() else []


def _remove(lock: Path) -> None:
    """Remove a segment and its lock."""
    lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
    lock.unlink()


def leftovers(folder: Path = SHARED) -> Iterator[Path]:
    """Yield the lock of each segment whose process is gone, held by us meanwhile."""
    for lock in _locks(folder):
        with suppress(OSError), lock.open("rb") as file:  # held, somebody else's, or gone meanwhile
            if time.time() - lock.stat().st_mtime < NEW:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock


def remove_own(folder: Path = SHARED) -> int:
    """Remove the segments that this process still holds; return how many. For one that is about to end.

    Whoever has one open keeps what it has. Linux names the holders of locks in /proc/locks; elsewhere nothing is done.
    """
    removed = 0
    with suppress(OSError):
        words = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        mine = {int(w[5].rpartition(":")[2]) for w in words if len(w) > 5 and w[4] == str(os.getpid())}
        for lock in [lock for lock in _locks(folder) if lock.stat().st_ino in mine]:
            _remove(lock)
            removed += 1
    return removed


def remove_leftovers(folder: Path = SHARED) -> int:
    """Remove the segments of processes that have ended; return how many."""
    removed = 0
    for lock in leftovers(folder):  # while we hold the lock nobody begins to use what it guards
        _remove(lock)
        removed += 1
    return removed
