# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""From latents to bytes and back: a learnt prior in integers, integer tables, a range coder.

`prior` learns in floating point, `integer` is the same in integers, on every machine alike; `tables` and `likelihood`
hold the probabilities, `coder` writes and reads symbols.
"""

from sicm_ros.entropy.config import LEFT, RIGHT, PriorConfig
from sicm_ros.entropy.integer import IntegerPrior

__all__ = ["LEFT", "RIGHT", "IntegerPrior", "PriorConfig"]
