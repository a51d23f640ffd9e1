# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One point of a curve: what a codec costs at one quality, and what detectors make of it."""

from __future__ import annotations

from dataclasses import dataclass

from sicm_ros.kitti.evaluation import Figures


@dataclass(frozen=True)
class Point:
    """What one quality gives on a data set.

    Attributes:
        quality: 0 to 1; None for the uncompressed network.
        bpp: bits per pixel over both full-size views, mean over frames; None where nothing was coded.
        bytes_per_pair: mean size of a packet; None where nothing was coded.
        ap: KITTI's figures, per cent (kitti.evaluate).
        interval: of each figure, [low, high] of 95 % over resampled frames (kitti.bootstrap).
        depth_error: median of |z - z of the label| / z of the label, per cent, of matched cars at 10 to 30 m; None
            where no car matched.
        matched: how many cars that is.
        reliability: class -> how far scores are from chances (reliability.Reliability's fields).
        coverage: share of boxes within one standard deviation (coverage.Coverage's fields); None where boxes don't say
            how far they may be off.
        planner: what a planner asks (planner.PlannerTable's fields); None in points of before 0.10.
    """

    quality: float | None
    bpp: float | None
    bytes_per_pair: float | None
    ap: Figures
    interval: Figures
    depth_error: float | None
    matched: int
    reliability: dict[str, dict]
    coverage: dict | None = None
    planner: dict | None = None
