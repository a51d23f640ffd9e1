# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Chances and their log odds: how likely a track is there, and what that makes of a detection's score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sicm_ros.tracking.config import ExistenceConfig, RescoringConfig

_LEAST = 1e-4  # chances are taken to be no nearer to 0 and 1 than this


def log_odds(chances: ArrayLike) -> np.ndarray:
    """Log odds of chances."""
    chances = np.clip(np.asarray(chances, np.float64), _LEAST, 1 - _LEAST)
    return np.log(chances / (1 - chances))


def chances_of(odds: ArrayLike) -> np.ndarray:
    """Chances of log odds."""
    return 1 / (1 + np.exp(-np.asarray(odds, np.float64)))


def seen(odds: float, news: float, config: ExistenceConfig) -> float:
    """Log odds of a track after a detection with these log odds continued it."""
    usual = float(log_odds(config.usual))
    return min(odds + config.weight * (news - usual), config.most)


def missed(odds: float, config: ExistenceConfig) -> float:
    """Log odds of a track after a pair in which nothing continued it."""
    return odds - config.miss


def rescored(odds: np.ndarray, tracks: np.ndarray, hits: np.ndarray, config: RescoringConfig) -> np.ndarray:
    """Log odds of detections, given the tracks that they continue.

    Args:
        odds: (N,), those that the image alone gives.
        tracks: (N,), those of the tracks' scores before this pair; 0 where there is no track.
        hits: (N,), detections that the tracks had; 0 where there is no track.
    """
    return config.own * odds + config.track * tracks + config.hits * np.log1p(hits) + config.shift
