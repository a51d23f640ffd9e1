# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""rd.csv: a row for each point of a run, and SHA256SUMS: a line for each stream.

The first columns are those of CompressAI-Vision's summary.csv, which its CTTC scripts read. Ours follow.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sicm_ros.benchmark import store
from sicm_ros.benchmark.curves import RATE, kbit_per_s
from sicm_ros.benchmark.results import HEADLINE, DatasetResults, Measured
from sicm_ros.benchmark.settings import OURS
from sicm_ros.errors import InputError
from sicm_ros.files import write_text

TABLE, SUMS = "rd.csv", "SHA256SUMS"
CTTC = ("Dataset", "fps", "num_of_coded_frame", "qp", "bitrate (kbps)", "end_accuracy")
SECONDS = ("nn_part_1", "encode", "decode", "nn_part_2")
KEY = ("anchor", "variant", "detector")
COLUMNS = (*CTTC, *SECONDS, *KEY, "bytes", "APBEV", "streams_sha256")


@dataclass(frozen=True)
class Streams:
    """The streams of a point.

    Attributes:
        bytes: of all of them.
        lines: of SHA256SUMS, paths relative to the run's folder.
    """

    bytes: int
    lines: str

    @property
    def digest(self) -> str:
        """SHA-256 of the lines."""
        return hashlib.sha256(self.lines.encode()).hexdigest()


def streams_of(results: DatasetResults, measured: Measured, out: Path) -> Streams:
    """Return sums of the streams of a point as they lie in a run's folder now."""
    setting = measured.setting
    groups = store.all_streams(out / results.name / setting.folder, setting, results.names, results.config.video)
    size, lines = 0, []
    for path in (path for files in groups.values() for path in files):
        data = path.read_bytes()
        size += len(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {path.relative_to(out)}\n")
    return Streams(size, "".join(lines))


def row_of(results: DatasetResults, measured: Measured, out: Path, streams: Streams) -> dict[str, str]:
    """Return a point as a row."""
    seconds = _seconds(results, measured, out)
    frames = len(results.names)
    return {
        "Dataset": results.name,
        "fps": str(RATE),
        "num_of_coded_frame": str(frames),
        "qp": f"{measured.setting.quality:g}",
        "bitrate (kbps)": rate(streams.bytes, frames),
        "end_accuracy": per_cent(measured.ap("AP3D", HEADLINE)),
        **{name: in_seconds(seconds.get(name)) for name in SECONDS},
        "anchor": measured.setting.anchor,
        "variant": measured.setting.variant,
        "detector": measured.setting.key(measured.detector),
        "bytes": str(streams.bytes),
        "APBEV": per_cent(measured.ap("APBEV", HEADLINE)),
        "streams_sha256": streams.digest,
    }


def rate(size: int, frames: int) -> str:
    """Return kbit/s of so many bytes for so many frames, as a row has it."""
    return f"{kbit_per_s(size / frames):.3f}"


def per_cent(value: float) -> str:
    """Return an AP as a row has it."""
    return f"{value:.2f}"


def _seconds(results: DatasetResults, measured: Measured, out: Path) -> dict[str, float]:
    """Return column -> CPU seconds of all frames; empty where a run of before 0.10 measured none."""
    setting = measured.setting
    folder = out / results.name / setting.folder
    sums: dict[str, float] = {}
    for group in store.groups_for(setting, results.names, results.config.video):
        path = store.seconds_file(folder, group[0])
        if not path.exists():
            return {}
        for what, took in json.loads(path.read_text()).items():
            sums[what] = sums.get(what, 0.0) + took["cpu"]
    if "encode" not in sums:  # streams of an earlier run
        return {}
    if setting.codec == OURS:  # decoding a packet includes detection
        return {"encode": sums["encode"], "decode": sums["decode"] + sums["detect"]}
    return {"encode": sums["encode"], "decode": sums["decode"], "nn_part_2": sums["detect"]}


def in_seconds(value: float | None) -> str:
    """Return a time as a row has it: hundredths, and of less than a tenth two digits that say something."""
    if value is None:
        return ""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def write_table(results: Iterable[DatasetResults], out: Path) -> None:
    """Write rd.csv and SHA256SUMS into a run's folder."""
    text, sums = io.StringIO(), []
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for r in results:
        for points in r.curves.values():
            for m in points:
                streams = streams_of(r, m, out)
                table.writerow(row_of(r, m, out, streams))
                sums.append(streams.lines)
    write_text(out / TABLE, text.getvalue())
    write_text(out / SUMS, "".join(dict.fromkeys(sums)))  # two detectors look at the same streams


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of an rd.csv.

    Raises:
        InputError: the file is not there, or has other columns.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; `sicm bench report` writes it")
    table = csv.DictReader(io.StringIO(path.read_text()))
    if tuple(table.fieldnames or ()) != COLUMNS:
        raise InputError(f"{path} has columns {', '.join(table.fieldnames or ())}; expected {', '.join(COLUMNS)}")
    return list(table)
