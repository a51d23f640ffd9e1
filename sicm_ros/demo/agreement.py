# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How far the published detections are from those on the uncompressed images, pair by pair."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from sicm_ros.bags.serialization import Boxes
from sicm_ros.bags.source import StereoSource
from sicm_ros.benchmark.drift import drift
from sicm_ros.demo.summary import Run
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES


def compare(run: Run, source: StereoSource, model: str, progress: bool = True) -> None:
    """Fill in `agreement` of each answered pair: F1 of its detections against the uncompressed
    network's; 1 where neither found anything.
    """
    import sicm_ros

    detector = sicm_ros.load(model, sides=("uncompressed",))
    waiting = {pair.stamp: pair for pair in run.answered}
    bar = tqdm(source.pairs(), total=source.count, unit="pair", desc="uncompressed, to compare", disable=not progress)
    for played in bar:
        pair = waiting.get(played.stamp)
        if pair is None or pair.boxes is None:
            continue
        whole = detector.detect_uncompressed(played).detections
        agreement = drift([whole], [_detections(pair.boxes)]).agreement
        pair.agreement = 1.0 if agreement is None else agreement


def _detections(boxes: Boxes) -> Detections:
    classes = np.array([CLASSES.index(name) for name in boxes.names], np.int64)
    nowhere = np.zeros((len(boxes), 4))
    return Detections(classes, boxes.scores, boxes.location, boxes.dimensions, boxes.rotation_y, nowhere)
