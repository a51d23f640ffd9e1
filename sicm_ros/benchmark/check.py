# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""rd.csv again, from the streams alone: decoded, detected in, evaluated, and compared with what was published."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sicm_ros.benchmark import accuracy, pseudo, store, table
from sicm_ros.benchmark.config import BenchmarkConfig
from sicm_ros.benchmark.results import DatasetResults, Measured, read_results
from sicm_ros.benchmark.settings import detector_of
from sicm_ros.errors import InputError, SicmError

AP = {"end_accuracy": "AP3D", "APBEV": "APBEV"}  # column -> metric


@dataclass(frozen=True)
class Checked:
    """A row of rd.csv, and what differs: column -> (published, recomputed); empty where nothing does."""

    row: dict[str, str]
    differences: dict[str, tuple[str, str]]

    @property
    def name(self) -> str:
        return " ".join(self.row[column] for column in ("Dataset", *table.KEY, "qp"))


def check(
    config: BenchmarkConfig,
    out: Path,
    rows: Sequence[dict[str, str]],
    tolerance: float = 0.0,
    threads: int = 1,
    progress: Callable[[Sequence], Iterator] = iter,
) -> list[Checked]:
    """Recompute rows of an rd.csv from the streams in a run's folder.

    Args:
        config: the run's, with paths of its data sets.
        tolerance: points of AP that may differ: another processor rounds otherwise.
        progress: wraps the iteration over rows.

    Raises:
        InputError: a row is of no point that the run has.
    """
    points = {
        (r.name, m.setting.anchor, m.setting.variant, m.setting.key(m.detector), f"{m.setting.quality:g}"): (r, m)
        for r in read_results(config, out)
        for curve in r.curves.values()
        for m in curve
    }
    checked = []
    for row in progress(rows):
        key = (row["Dataset"], *(row[column] for column in table.KEY), row["qp"])
        if key not in points:
            raise InputError(f"{' '.join(key)}: {out} has no such point; expected one that its run.yaml lists")
        checked.append(Checked(row, _differences(row, *points[key], out, tolerance, threads)))
    return checked


def _differences(
    row: dict[str, str], results: DatasetResults, measured: Measured, out: Path, tolerance: float, threads: int
) -> dict[str, tuple[str, str]]:
    streams = table.streams_of(results, measured, out)
    found = {
        "bytes": str(streams.bytes),
        "streams_sha256": streams.digest,
        "num_of_coded_frame": str(len(results.names)),
        "bitrate (kbps)": table.rate(streams.bytes, len(results.names)),
    }
    try:
        figures = recomputed(results, measured, out, threads)
        found |= {column: table.per_cent(figures[metric]) for column, metric in AP.items()}
    except SicmError as error:  # a stream that nobody can decode
        found |= dict.fromkeys(AP, str(error))
    return {column: (row[column], value) for column, value in found.items() if not _same(row[column], value, tolerance)}


def _same(published: str, value: str, tolerance: float) -> bool:
    if published == value:
        return True
    try:
        return tolerance > 0 and abs(float(published) - float(value)) <= tolerance + 1e-9
    except ValueError:
        return False


def recomputed(results: DatasetResults, measured: Measured, out: Path, threads: int = 1) -> dict[str, float]:
    """Return AP3D and APBEV of cars, moderate, at 0.5, from a point's streams."""
    setting = measured.setting
    folder = out / results.name / setting.folder
    data = store.frames_of(results.config.path, results.config.split)
    coder, detector = setting.coder(threads), detector_of(measured.detector)
    truth, boxes = [], []
    with tempfile.TemporaryDirectory() as place:
        for names in store.groups_for(setting, results.names, results.config.video):
            group = [data.frame(name) for name in names]
            # The suffixes' order is the coder's.
            files = store.stream_files(folder, setting, names, coder.suffixes)
            missing = [path for path in files if not path.exists()]
            if missing:
                raise InputError(f"{missing[0]} is missing; copy it there again")
            streams = [path.read_bytes() for path in files]
            (found,) = coder.detect(group, coder.decode(group, streams), [detector])
            for frame, detections in zip(group, found, strict=True):
                path = Path(place) / f"{frame.name}.txt"  # files round
                accuracy.write_found(path, detections, frame)
                boxes.append(accuracy.read_found(path, frame))
                truth.append(frame.truth)
    return pseudo.accuracy(truth, boxes)
