# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Pseudo ground truth: what the detector finds in uncompressed images stands in for labels.

It tells which codec changes detections less for the same bytes, on any drive. Where there are labels, `validated` holds
the BD-rates of both kinds beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from sicm_ros.benchmark.curves import bd_rate, rate_text
from sicm_ros.benchmark.results import HEADLINE, METRICS, DatasetResults, Measured
from sicm_ros.benchmark.settings import OURS
from sicm_ros.benchmark.store import found_files
from sicm_ros.geometry import LIKELY
from sicm_ros.kitti import Labels, evaluate, read_labels

LEVEL = 1  # moderate


def truth_of(found: Labels, min_score: float = LIKELY) -> Labels:
    """Return detections on uncompressed images as labels, all of them fully visible; those below min_score are none."""
    kept = found[found.certainty >= min_score]
    return replace(kept, truncated=np.zeros(len(kept)), occluded=np.zeros(len(kept), np.int64), scores=None)


def accuracy(truth: Sequence[Labels], found: Sequence[Labels]) -> dict[str, float]:
    """Return AP3D and APBEV of cars, moderate, at 0.5, R40, per cent, of the frames' detections."""
    cars = evaluate(truth, found)["Car"]
    return {name: cars[key][f"{float(HEADLINE):.2f}"]["R40"][LEVEL] for name, key in METRICS.items()}


def validated(results: DatasetResults, out: Path) -> dict | None:
    """Return BD-rates against labels and against pseudo ground truth; None where uncompressed images are still missing.

    Args:
        out: the run's folder, whose detection files are read.
    """
    if results.uncompressed is None:
        return None
    truth = [truth_of(found) for found in _found(results, results.uncompressed, out)]
    judged = {id(m): accuracy(truth, _found(results, m, out)) for points in results.curves.values() for m in points}
    rows: dict[str, dict[str, dict]] = {}
    for anchor in results.anchors:
        rows[anchor] = {}
        for metric in METRICS:
            labelled = bd_rate(results.front(anchor, metric), results.front(OURS, metric))
            pseudo = bd_rate(*(results.front_of(name, partial(_of, judged, metric)) for name in (anchor, OURS)))
            rows[anchor][metric] = {
                "labels": labelled.percent,
                "pseudo": pseudo.percent,
                "overlap": pseudo.overlap,
                "refused": {"labels": labelled.reason, "pseudo": pseudo.reason},
            }
    return {"boxes": sum(map(len, truth)), "min_score": LIKELY, "bd_rate": rows}


def _of(judged: dict[int, dict[str, float]], metric: str, measured: Measured) -> float:
    return judged[id(measured)][metric]


def rows_of(tree: dict, label: Callable[[str], str]) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of what `validated` returned, for people; label: anchor -> its name."""
    titles = ["", *(f"{metric}, {kind}" for metric in METRICS for kind in ("labels", "pseudo", "difference"))]
    rows = []
    for name, metrics in tree["bd_rate"].items():
        cells = [label(name)]
        for found in metrics.values():
            cells += [rate_text(found[kind], found["refused"][kind]) for kind in ("labels", "pseudo")]
            both = None not in (found["labels"], found["pseudo"])
            cells.append(f"{found['pseudo'] - found['labels']:+.1f} points" if both else "")
        rows.append(cells)
    return titles, rows


def _found(results: DatasetResults, measured: Measured, out: Path) -> list[Labels]:
    """Return a point's detections, frame by frame, as its files have them: all measured from the same camera."""
    folder = out / results.name / measured.setting.folder
    files = found_files(folder, measured.setting, measured.detector, results.names)
    return [read_labels(path, scored=True) for path in files]
