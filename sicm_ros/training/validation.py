# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How good a network is while it trains: KITTI's own figures on whole images, uncompressed and through real packets."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

from tqdm import tqdm

from sicm_ros.benchmark.accuracy import through
from sicm_ros.benchmark.coders import of_model
from sicm_ros.benchmark.detectors import ModelDetector
from sicm_ros.kitti import KittiObjects, Labels, from_detections
from sicm_ros.kitti.evaluation import evaluate
from sicm_ros.model import load, save_model
from sicm_ros.network import MVSFCNet
from sicm_ros.training.config import TrainConfig

QUALITIES = (0.2, 0.6)


def validate(network: MVSFCNet, config: TrainConfig) -> dict[str, float]:
    """Return moderate Car AP (R40, per cent) on the validation sets, and `score`, their mean, which picks the best.

    The detector's stage is evaluated uncompressed, the others through packets at QUALITIES as well (with kB per pair).
    """
    network = copy.deepcopy(network)
    if config.stage == "detector":
        network.reference.load_state_dict(network.detector.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        model = load(save_model(network, Path(folder), "validated", "free"), config.device)
        frames = [f for s in config.validation for f in KittiObjects(s.path, split=s.split, labelled=True)]
        labels = [frame.truth for frame in frames]
        qualities = (None,) if config.stage == "detector" else (None, *QUALITIES)
        coders = {quality: of_model(model, quality) for quality in qualities}
        found: dict[float | None, list[Labels]] = {quality: [] for quality in qualities}
        sizes: dict[float | None, int] = dict.fromkeys(qualities, 0)
        for frame in tqdm(frames, desc="validation", leave=False):
            for quality, coder in coders.items():
                streams, ((detections,),) = through(coder, [frame], [ModelDetector(model)])
                sizes[quality] += sum(map(len, streams))
                found[quality].append(from_detections(detections))
    figures: dict[str, float] = {}
    scores = []
    for quality in qualities:
        car = evaluate(labels, found[quality])["Car"]
        suffix = "" if quality is None else f" q{quality:g}"
        for metric in ("3d", "bev"):
            for limit in ("0.50", "0.70"):
                figures[f"{metric}@{limit}{suffix}"] = car[metric][limit]["R40"][1]
        scores.append(sum(car[m][o]["R40"][1] for m in ("3d", "bev") for o in ("0.50", "0.70")) / 4)
        if quality is not None:
            figures[f"kB{suffix}"] = sizes[quality] / len(frames) / 1000
    figures["score"] = sum(scores) / len(scores)
    return figures
