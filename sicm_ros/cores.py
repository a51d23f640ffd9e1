# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How many processor cores there are for us: in a container, or under taskset, fewer than the machine has."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many processor cores this process may run on."""
    return len(os.sched_getaffinity(0))
