# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which prior a configuration asks for: ours, in integers, or one of CompressAI's entropy models, to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from sicm_ros.entropy.config import PriorConfig
from sicm_ros.entropy.integer import IntegerPrior

if TYPE_CHECKING:
    from sicm_ros.entropy.prior import StereoPrior


def prior_of(config: PriorConfig) -> StereoPrior:
    """Return the prior as it trains, untrained; DependencyError if it needs CompressAI, which isn't there."""
    if config.entropy_models == "compressai":
        from sicm_ros.entropy.hyperprior import StereoHyperprior

        return StereoHyperprior(config)
    from sicm_ros.entropy.prior import StereoPrior

    return StereoPrior(config)


def coder_of(config: PriorConfig, arrays: Mapping[str, np.ndarray]) -> IntegerPrior:
    """Return the prior as it codes, of the arrays of a model's folder; ModelError if they are another prior's.

    CompressAI's has the methods of ours, which are all that a model calls.
    """
    if config.entropy_models == "compressai":
        from sicm_ros.entropy.hyperprior import FloatPrior

        return cast(IntegerPrior, FloatPrior(config, arrays))
    return IntegerPrior(config, arrays)
