# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Methods that take a pair as one thing, or as its left image, right image and calibration."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from sicm_ros.geometry import StereoCalibration, StereoPair

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class OfPair(Protocol[P, R]):
    """How such a method is called: `encode(pair, quality=0.5)` or `encode(left, right, calibration, quality=0.5)`."""

    @overload
    def __call__(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def __call__(self, pair: StereoPair, /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def takes_pair(
    method: Callable[Concatenate[Any, np.ndarray, np.ndarray, StereoCalibration, P], R],
) -> OfPair[P, R]:
    """Let a method of (left, right, calibration, ...) take a StereoPair in place of the three."""

    @wraps(method)
    def either(self: Any, *args: Any, **kwargs: Any) -> R:
        if args and hasattr(args[0], "calibration"):
            pair: StereoPair = args[0]
            args = (pair.left, pair.right, pair.calibration, *args[1:])
        return method(self, *args, **kwargs)

    return cast(OfPair[P, R], either)
