# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How long something takes: by the clock, and of processors, which other programs at work disturb less."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopwatch(took: dict[str, dict[str, float]], what: str) -> Iterator[None]:
    """Set took[what] to the seconds that the block takes.

    "wall" is by the clock. "cpu" is of processors, user and system, of this process and of those that it started and
    waited for, such as an encoder's.
    """
    wall, cpu = time.perf_counter(), _cpu()
    yield
    took[what] = {"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}


def _cpu() -> float:
    import resource  # not on Windows, where no benchmark with timing runs

    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
