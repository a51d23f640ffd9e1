# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm compare`: what a user's own stereo drive costs, by us and by other codecs, and what it does to detections."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from sicm_ros.benchmark import page, pseudo
from sicm_ros.benchmark.codecs import Mode, PictureCodec
from sicm_ros.benchmark.coders import CodedPictures, Coder, Ours
from sicm_ros.benchmark.comparison import ABOVE, WIDTH, jpeg
from sicm_ros.benchmark.curves import BdRate, Front, bd_rate
from sicm_ros.benchmark.detectors import ModelDetector
from sicm_ros.benchmark.drift import NEAR, Drift, drift
from sicm_ros.benchmark.figures import label_of
from sicm_ros.benchmark.results import METRICS
from sicm_ros.files import write_text
from sicm_ros.geometry import LIKELY, Detections, StereoPair
from sicm_ros.geometry.drawing import DETECTION, LABEL, birds_eye, draw_boxes
from sicm_ros.kitti import from_detections

if TYPE_CHECKING:
    from sicm_ros.model import Model

OURS = "ours"
QUALITIES = (0.0, 0.2, 0.5, 0.8)
# Codec, mode, preset, qualities at the camera's size, and at the detector's own.
ANCHORS: tuple[tuple[str, Mode, str, tuple[float, ...], tuple[float, ...]], ...] = (
    ("jpeg", "intra", "", (10, 40), (5, 20, 60)),
    ("webp", "intra", "", (), (0, 20, 60)),
    ("jxl", "intra", "", (), (15, 5, 2)),
    ("avif", "intra", "6", (), (60, 48, 34)),
    ("x265", "two_view", "medium", (40,), (50, 42, 32)),
    ("svtav1", "two_view", "6", (), (60, 48, 34)),
    ("vvc", "two_view", "faster", (42,), (52, 42, 32)),
)


@dataclass(frozen=True)
class Row:
    """A codec at a quality on the drive's pairs.

    Attributes:
        bytes: a pair, mean.
        encode, decode: ms, medians, of a whole process where the codec is one; ours decodes to detections, of the
            others decoding and the uncompressed detector are added.
        accuracy: AP3D and APBEV against pseudo ground truth, per cent.
    """

    anchor: str
    variant: str
    quality: float
    bytes: float
    encode: float
    decode: float
    drift: Drift
    accuracy: dict[str, float]


@dataclass(frozen=True)
class DriveReport:
    """All that is told of a drive.

    Attributes:
        rate: of its pairs, Hz.
        uncompressed: detections of each pair on uncompressed images.
        bd_rate: anchor -> metric -> ours against it, on pseudo ground truth.
        sheets: for some pairs, name, JPEG of the image, of the view from above, and caption, of each codec shown.
    """

    source: str
    rate: float
    pairs: int
    rows: list[Row]
    uncompressed: list[Detections]
    bd_rate: dict[str, dict[str, BdRate]]
    sheets: list[list[tuple[bytes, bytes, str]]]


def compare(
    model: Model,
    pairs: Sequence[StereoPair],
    source: str,
    rate: float,
    threads: int,
    progress: Callable[[list], Iterator] = iter,
) -> DriveReport:
    """Code the pairs by every codec and look at what detectors make of it.

    Args:
        pairs: some of the drive's.
        source, rate: the drive's name and its pairs' rate, Hz.
        threads: of each encoder.
        progress: wraps the iteration over codecs.
    """
    uncompressed = [model.detect_uncompressed(p).detections for p in pairs]
    truth = [pseudo.truth_of(from_detections(found)) for found in uncompressed]
    area = model.config.input_width, model.config.input_height
    work: list[tuple[str, str, float, Coder]] = [(OURS, model.name, q, Ours(model, q)) for q in QUALITIES]
    for codec, mode, preset, full, small in ANCHORS:
        name = codec if mode == "intra" else f"{codec}_{mode}"
        for where, size, qualities in (("full size", None, full), (f"{area[0]} x {area[1]}", area, small)):
            coders = [CodedPictures(PictureCodec(codec, mode, preset, threads), q, size) for q in qualities]
            work += [(name, where, q, coder) for q, coder in zip(qualities, coders)]
    rows: list[Row] = []
    shown = {0, len(pairs) // 2}
    drawn: dict[int, list[tuple[int, tuple[bytes, bytes, str]]]] = {i: [] for i in shown}
    for name, variant, quality, coder in progress(work):
        sizes, encode, decode, found = [], [], [], []
        pictures = {}
        for index, pair in enumerate(pairs):
            begin = time.perf_counter()
            streams = coder.encode([pair])
            middle = time.perf_counter()
            decoded = coder.decode([pair], streams)
            found.append(coder.detect([pair], decoded, [ModelDetector(model)])[0][0])
            decode.append(time.perf_counter() - middle)
            encode.append(middle - begin)
            sizes.append(sum(map(len, streams)))
            if index in shown:
                rebuilt = decoded[0] if isinstance(coder, CodedPictures) else None
                pictures[index] = _draw(pair, rebuilt, uncompressed[index], found[index])
        row = Row(
            name,
            variant,
            quality,
            statistics.mean(sizes),
            1e3 * statistics.median(encode),
            1e3 * statistics.median(decode),
            drift(uncompressed, found),
            pseudo.accuracy(truth, [from_detections(detections) for detections in found]),
        )
        rows.append(row)
        for index, (picture, above) in pictures.items():
            caption = f"{label_of(name)}, {variant}, quality {quality:g}: {sizes[index]:,} bytes for this pair"
            drawn[index].append((len(rows) - 1, (picture, above, caption)))
    kept = _side_by_side(rows)
    sheets = [[panel for number, panel in drawn[index] if number in kept] for index in sorted(shown)]
    return DriveReport(source, rate, len(pairs), rows, uncompressed, _bd_rates(rows), sheets)


def _bd_rates(rows: Sequence[Row]) -> dict[str, dict[str, BdRate]]:
    """Return anchor -> metric -> BD-rate of ours against it, on pseudo ground truth."""

    def front(anchor: str, metric: str) -> Front:
        variants: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            if row.anchor == anchor:
                variants.setdefault(row.variant, []).append((row.bytes, row.accuracy[metric]))
        return Front.of(*variants.values())

    anchors = [name for name in dict.fromkeys(row.anchor for row in rows) if name != OURS]
    return {name: {m: bd_rate(front(name, m), front(OURS, m)) for m in METRICS} for name in anchors}


def _side_by_side(rows: Sequence[Row]) -> set[int]:
    """Return ours at its middle quality, and three other codecs, each at the point with the nearest number of bytes."""
    ours = [row for row in rows if row.anchor == OURS]
    size = ours[len(ours) // 2].bytes
    nearest: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row.anchor == OURS:
            continue
        best = nearest.setdefault(row.anchor, index)
        if abs(np.log(row.bytes / size)) < abs(np.log(rows[best].bytes / size)):
            nearest[row.anchor] = index
    order = sorted(nearest.values(), key=lambda i: -(rows[i].drift.agreement or 0) + abs(np.log(rows[i].bytes / size)))
    return {rows.index(ours[len(ours) // 2]), *order[:3]}


def _draw(pair: StereoPair, rebuilt: StereoPair | None, before: Detections, after: Detections) -> tuple[bytes, bytes]:
    """Return JPEGs of the image that the receiver has (ours: of the camera's, pale) and of the view from above."""
    if rebuilt is None:
        picture = cv2.addWeighted(pair.left, 0.6, np.full_like(pair.left, 255), 0.4, 0)
        calibration = pair.calibration
    else:
        picture, calibration = rebuilt.left, rebuilt.calibration
    picture = cv2.resize(picture, (WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])))
    layers = [(before.above(LIKELY), LABEL), (after.above(LIKELY), DETECTION)]
    for boxes, colour in layers:
        picture = draw_boxes(picture, boxes, calibration, colour)
    return jpeg(picture), jpeg(birds_eye(layers, pair.calibration, ABOVE))


def write(report: DriveReport, model: Model, threads: int, out: Path) -> None:
    """Write report.html and results.json."""
    tree = {
        "source": report.source,
        "pairs": report.pairs,
        "rate_hz": report.rate,
        "model": model.name,
        "model_fingerprint": model.fingerprint.hex(),
        "threads": threads,
        "detections_on_uncompressed": sum(len(d.above(LIKELY)) for d in report.uncompressed),
        "bd_rate_on_pseudo_truth": {
            name: {metric: asdict(found) for metric, found in rates.items()} for name, rates in report.bd_rate.items()
        },
        "codecs": [_tree(row, report.rate) for row in report.rows],
    }
    write_text(out / "results.json", json.dumps(tree, indent=1) + "\n")
    write_text(out / "report.html", _page(report, tree, model, threads))


def _tree(row: Row, rate: float) -> dict:
    return {
        "codec": row.anchor,
        "variant": row.variant,
        "quality": row.quality,
        "bytes_per_pair": row.bytes,
        "kbit_per_s": row.bytes * 8 * rate / 1000,
        "encode_ms": row.encode,
        "decode_and_detect_ms": row.decode,
        "agreement": row.drift.agreement,
        "pseudo_truth": row.accuracy,
        **asdict(row.drift),
    }


def _page(report: DriveReport, tree: dict, model: Model, threads: int) -> str:
    titles = ["codec, size, quality", "bytes per pair", "kbit/s", "encode, ms", "decode and detect, ms"]
    titles += ["agreement, F1", "kept", "lost", "new", "moved by, m", *(f"pseudo {metric}" for metric in METRICS)]
    rows = []
    for row, facts in zip(report.rows, tree["codecs"]):
        cells = [f"{label_of(row.anchor)}, {row.variant}, {row.quality:g}", f"{row.bytes:,.0f}"]
        cells += [f"{facts['kbit_per_s']:,.1f}", f"{row.encode:,.0f}", f"{row.decode:,.0f}"]
        cells += [page.number(row.drift.agreement, ".2f"), str(row.drift.kept), str(row.drift.lost), str(row.drift.new)]
        cells += [page.number(row.drift.displacement, ".2f"), *(f"{row.accuracy[metric]:.1f}" for metric in METRICS)]
        rows.append(cells)
    marks = ["ours" if row.anchor == OURS else "" for row in report.rows]
    key = (
        '<p class="key"><i style="background:var(--label)"></i>detections on uncompressed images'
        '<i style="background:var(--detection)"></i>detections on what was received</p>'
    )
    sheets = "".join("".join(page.panel(*panel) for panel in sheet) + "<hr>" for sheet in report.sheets)
    body = page.card(page.table(titles, rows, marks), "Bytes, time, and drift of detections")
    against = [(label_of(name), *(rates[m].text() for m in METRICS)) for name, rates in report.bd_rate.items()]
    titles = ["codec", *(f"BD-rate of ours, pseudo {metric}" for metric in METRICS)]
    body += page.card(page.table(titles, against), "Against each codec, on pseudo ground truth")
    body += page.card(key + sheets, "The same pairs at about equal bits")
    method = (
        f"{report.pairs} pairs of the drive, evenly spread, {report.rate:.1f} Hz. Bytes are whole streams with headers "
        "(ours: with the calibration), both views together.",
        f"Drift: detections with a score of at least {LIKELY} against those of the uncompressed network on "
        f"uncompressed images. The same object has the same class and is at most {NEAR:g} m apart, seen "
        "from above. Without labels, agreement says how little coding changes, not how right the detector is.",
        f"Pseudo ground truth: detections on uncompressed images, score {LIKELY} and more, stand in for labels: cars, "
        "moderate, overlap 0.5, R40. BD-rate: as in `sicm bench report`, negative where ours needs fewer bits.",
        f"Times: medians, {threads} threads. The other encoders and decoders run as ffmpeg processes (JPEG: in this "
        "one), whose start-up time is included; `sicm bench speed` subtracts it.",
    )
    name = Path(report.source).name
    subtitle = f"model {model.name} ({model.fingerprint.hex()}), {tree['detections_on_uncompressed']} detections on "
    return page.page(f"{name}: what it costs to send", subtitle + "uncompressed images", body, method)
