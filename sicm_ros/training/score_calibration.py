# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Scores to chances: how sure a model may be, fitted on frames that nothing was trained on (Platt, 1999).

What focal losses call likely is too modest, and most of all of what the image's border cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sicm_ros.benchmark.accuracy import through
from sicm_ros.benchmark.coders import of_model
from sicm_ros.benchmark.detectors import ModelDetector
from sicm_ros.errors import InputError
from sicm_ros.kitti import StereoFrame, from_detections
from sicm_ros.kitti.planner import judged
from sicm_ros.model import load
from sicm_ros.model.folder import change_config, find_model
from sicm_ros.network.candidates import reaches_out
from sicm_ros.network.config import NetworkConfig, ScoreConfig

PLAIN = ScoreConfig(slope=1.0, shift=0.0)
# Standard deviations of what is to be fitted, around PLAIN, before anything was seen: slope and shift, and what being
# cut or a class adds. With few detections of a class little is added for it.
_SPREAD = {"slope": 2.0, "shift": 4.0, "cut": 1.0, "class": 0.7}
LEAST = 30  # detections to fit with


def calibrate(
    folder: str | Path, frames: Sequence[StereoFrame], qualities: Sequence[float | None], device: str = "cpu"
) -> ScoreConfig:
    """Fit how the scores of a model become chances, write that into its folder's config.yaml, and return it.

    Args:
        frames: labelled, and never trained on.
        qualities: which count alike; None is the uncompressed network.

    Raises:
        InputError: a frame has no labels, or too little was detected to fit anything with.
    """
    unlabelled = [frame.name for frame in frames if not frame.labelled]
    if unlabelled or not len(frames):
        raise InputError(f"{len(frames)} frames, {len(unlabelled)} of them without labels; expected labelled ones")
    folder = find_model(folder)
    model = load(folder, device)
    classes = list(model.config.detector.classes)
    model.config = _scored(model.config, PLAIN)
    parts: list[tuple[np.ndarray, ...]] = []
    for frame in tqdm(frames, "calibration", unit="pair", leave=False):
        for quality in qualities:
            _, ((found,),) = through(of_model(model, quality), [frame], [ModelDetector(model)])
            match = judged(frame.truth, from_detections(found), frame.size[0], min_score=0.0)
            right = np.isin(np.arange(len(found)), match.found)
            boxes = found.location, found.dimensions, found.rotation_y
            cut = reaches_out(*boxes, frame.calibration.fx, frame.calibration.cx, frame.size[0])
            names = np.array([classes.index(name) for name in found.names], np.int64)
            counts = right | match.false
            parts.append(tuple(a[counts] for a in (found.scores, cut, names, right)))
    scores, cut, names, right = (np.concatenate(values) for values in zip(*parts))
    if len(right) < LEAST or right.all() or not right.any():
        raise InputError(
            f"{len(right)} detections, {right.sum()} of them right; expected {LEAST} at least, some right, some wrong"
        )
    fitted = fit(scores, cut, names, right, classes)

    def put(tree: dict) -> None:
        tree["network"].setdefault("detector", {})["scores"] = fitted.tree()

    change_config(folder, put)
    return fitted


def _scored(config: NetworkConfig, scores: ScoreConfig) -> NetworkConfig:
    return replace(config, detector=replace(config.detector, scores=scores))


def fit(scores: np.ndarray, cut: np.ndarray, names: np.ndarray, right: np.ndarray, classes: list[str]) -> ScoreConfig:
    """Return the logistic regression of whether N detections are right, by Newton's method.

    Args:
        scores: (N,), uncalibrated. cut: bool (N,). names: int (N,), places in `classes`. right: bool (N,).
    """
    scores = np.clip(scores, 1e-6, 1 - 1e-6)
    one_hot = names[:, None] == np.arange(len(classes))
    x = np.column_stack([np.log(scores / (1 - scores)), np.ones(len(scores)), cut, one_hot]).astype(float)
    start = np.array([PLAIN.slope, PLAIN.shift, *np.zeros(1 + len(classes))])
    spread = np.array([*(_SPREAD[name] for name in ("slope", "shift", "cut")), *[_SPREAD["class"]] * len(classes)])
    weights = start.copy()
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (chance - right) + (weights - start) / spread**2
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + np.diag(1 / spread**2)
        step = np.linalg.solve(curvature, slope)
        weights = weights - step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-9:
            break
    slope, shift, of_cut, *of_classes = (round(float(w), 3) for w in weights)
    return ScoreConfig(
        slope=max(slope, 0.1), shift=shift, cut=of_cut, of={n: w for n, w in zip(classes, of_classes) if w}
    )
