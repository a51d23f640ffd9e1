# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a run of the pipeline gave: read from the recording alone, no process needs to be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import Bag, BagWriter
from sicm_ros.bags.images import compress
from sicm_ros.bags.source import LEFT, LEFT_INFO, RIGHT, RIGHT_INFO, StereoSource
from sicm_ros.bags.stamps import frame_in, stamp_in
from sicm_ros.geometry.drawing import DETECTION, LABEL, birds_eye, draw_boxes

RATE = 10.0  # Hz: the rate at which kbit/s are stated, KITTI's
JPEG_QUALITY = 90  # of the images that the stream is compared with
REPORT_JPEG = 82  # of the images in the report
FRAME_WIDTH = 960  # pixels of an image in the report
LINK_FACTS = ("profile", "seed", "received", "published", "damaged", "duplicates", "reordered")  # of its diagnostics
COMPUTES = ("engine", "provider", "number_type", "device", "threads")  # of the diagnostics of encoder and decoder
TRAIL_PAIRS = 20  # pairs that a trail in the report goes back
MAX_FRAMES = 120  # images in the report; longer drives show every second, third ... pair


Jpeg: TypeAlias = bytes


@dataclass
class PlayedPair:
    """What became of one pair.

    Attributes:
        stamp: of the left image, nanoseconds.
        bytes: of the feature message on the wire; None if there was none.
        latency: seconds from the second image's publication to the arrival of the detections; None if none came.
        boxes: detections; None if none came.
        agreement: F1 of the detections against the uncompressed network's, 0 to 1; None if not looked at.
        carried: it came through the emulated link; None where there is none.
        labels: number of labelled objects; None where the drive has no labels.
        raw, png, jpeg: bytes of both images, raw, as PNG, and as JPEG of JPEG_QUALITY.
        frame: JPEG of the left image with its boxes, and of the boxes from above; None if not in the report.
    """

    stamp: int
    bytes: int | None = None
    latency: float | None = None
    boxes: ros.Boxes | None = None
    agreement: float | None = None
    carried: bool | None = None
    labels: int | None = None
    raw: int = 0
    png: int = 0
    jpeg: int = 0
    frame: tuple[Jpeg, Jpeg] | None = None


@dataclass
class Run:
    """A run of the pipeline.

    Attributes:
        source: what was played, as the user named it.
        pairs: all pairs of the drive, in order.
        model, fingerprint: of the encoder, as it describes itself; empty if it never did.
        quality: asked of the encoder.
        stages: node -> stage -> (median, 95th percentile), milliseconds.
        dropped: node -> cause -> number of messages and pairs that it gave up.
        link: what the emulated link says of itself in /diagnostics; empty where there is none.
        computed: node -> what ran its network, as COMPUTES.
        paced: each pair waited for the answer to the one before.
        notes: what was mended or left out when the drive was read, in words.
        unread: cause -> number of pairs of the drive that can't be read, nor answered.
    """

    source: str
    pairs: list[PlayedPair]
    model: str
    fingerprint: str
    quality: float
    stages: dict[str, dict[str, tuple[float, float]]]
    dropped: dict[str, dict[str, int]]
    link: dict[str, str] = field(default_factory=dict)
    computed: dict[str, dict[str, str]] = field(default_factory=dict)
    paced: bool = True
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)

    @property
    def played(self) -> int:
        """Number of pairs of the drive, whether they can be read or not."""
        return len(self.pairs) + sum(self.unread.values())

    @property
    def answered(self) -> list[PlayedPair]:
        return [p for p in self.pairs if p.boxes is not None]

    @property
    def lost(self) -> dict[str, int]:
        """Pairs without an answer, by cause; what no node accounts for is `unanswered`.

        Each is put down to the node that it never left.
        """
        causes: dict[str, int] = dict(self.unread)
        for node in ("encoder", "link", "decoder"):
            missing = sum(_stopped_at(pair) == node for pair in self.pairs)
            for cause, number in self.dropped.get(node, {}).items():
                counted = min(number - self.unread.get(cause, 0), missing)
                # A repeated message is dropped because its pair has come already: nothing is lost by it.
                if counted > 0 and cause != "repeated":
                    causes[cause] = causes.get(cause, 0) + counted
                    missing -= counted
            if missing:
                causes["unanswered"] = causes.get("unanswered", 0) + missing
        return causes

    def latency(self, percent: float) -> float | None:
        """Return a percentile of the latency, milliseconds; None where nothing was answered."""
        values = [p.latency for p in self.pairs if p.latency is not None]
        return float(np.percentile(values, percent)) * 1e3 if values else None

    def mean(self, name: str) -> float | None:
        """Return the mean of `bytes`, `raw`, `png`, `jpeg` or `agreement` over the pairs that have it."""
        values = [getattr(p, name) for p in self.pairs if getattr(p, name) is not None]
        return float(np.mean(values)) if values else None

    def as_json(self) -> dict[str, Any]:
        """Return the fields of summary.json; None where there is nothing to state."""

        def rounded(value: float | None, digits: int = 1) -> float | None:
            return None if value is None else round(value, digits)

        size = self.mean("bytes")
        return {
            "source": self.source,
            "pairs_in": self.played,
            "pairs_out": len(self.answered),
            "lost": self.lost,
            "link": {k: v for k, v in self.link.items() if k in LINK_FACTS} or None,
            "detections": sum(len(p.boxes) for p in self.pairs if p.boxes is not None),
            "labels": sum(p.labels or 0 for p in self.pairs) if any(p.labels is not None for p in self.pairs) else None,
            "agreement_mean": rounded(self.mean("agreement"), 3),
            "bytes_per_pair_mean": rounded(size),
            "bytes_per_pair_max": max((p.bytes for p in self.pairs if p.bytes is not None), default=None),
            "kbit_per_s": rounded(None if size is None else size * 8 * RATE / 1e3, 2),
            "raw_bytes_per_pair": rounded(self.mean("raw")),
            "png_bytes_per_pair": rounded(self.mean("png")),
            "jpeg90_bytes_per_pair": rounded(self.mean("jpeg")),
            "latency_ms_p50": rounded(self.latency(50)),
            "latency_ms_p95": rounded(self.latency(95)),
            "stages_ms": {
                node: {stage: {"p50": round(a, 2), "p95": round(b, 2)} for stage, (a, b) in stages.items()}
                for node, stages in self.stages.items()
            },
            "quality": self.quality,
            "paced": self.paced,
            "seconds": rounded(self.seconds),
            "model": self.model,
            "model_fingerprint": self.fingerprint,
            "computed": self.computed,
            "notes": self.notes,
        }


def read_run(recording: Path, source: StereoSource, quality: float, paced: bool = True, pictures: bool = True) -> Run:
    """Put a recording (see nodes/tools/recorder.py) and the drive that was played together.

    Args:
        recording: the bag that the recorder wrote.
        source: the drive.
        quality, paced: as the pipeline was run.
        pictures: draw the frames of the report.
    """
    sent: dict[str, dict[int, int]] = {LEFT_INFO: {}, RIGHT_INFO: {}}
    sizes: dict[int, int] = {}
    carried: set[int] = set()
    arrivals: dict[int, int] = {}
    boxes: dict[int, ros.Boxes] = {}
    reports: dict[str, dict[str, str]] = {}
    model = fingerprint = ""
    with Bag(recording) as bag:
        for m in bag.messages():
            topic = m.topic.lstrip("/")
            if topic == "diagnostics":
                for status in bag.decode(m).status:
                    reports[status.name.rsplit("/", 1)[-1]] = {v.key: v.value for v in status.values}
                continue
            message = bag.decode(m)
            stamp = ros.stamp_of(message) if hasattr(message, "header") else 0
            if topic in sent:
                sent[topic][stamp] = m.stamp
            elif topic == "features":
                sizes[stamp] = len(m.data)
            elif topic == "link/features":
                carried.add(stamp)
            elif topic == "detections":
                arrivals[stamp], boxes[stamp] = m.stamp, ros.Boxes(message)
            elif topic == "codec_description":
                model, fingerprint = message.model, bytes(message.model_fingerprint).hex()
    every = -(-source.count // MAX_FRAMES)
    pairs: list[PlayedPair] = []
    trails: dict[str, list[np.ndarray]] = {}
    for index, played in enumerate(source.pairs()):
        pair = PlayedPair(played.stamp, bytes=sizes.get(played.stamp), boxes=boxes.get(played.stamp))
        pair.carried = played.stamp in carried if "link" in reports else None
        pair.labels = None if played.labels is None else len(played.labels)
        pair.raw = played.left.nbytes + played.right.nbytes
        pair.png = sum(len(compress(p, "png")) for p in (played.left, played.right))
        pair.jpeg = sum(len(compress(p, "jpeg", JPEG_QUALITY)) for p in (played.left, played.right))
        if pair.boxes is not None:
            moments = sent[LEFT_INFO].get(played.stamp), sent[RIGHT_INFO].get(played.right_stamp)
            known = [m for m in moments if m is not None]
            pair.latency = (arrivals[pair.stamp] - max(known)) / 1e9 if known else None
        trails = {} if pair.boxes is None else _longer(trails, pair.boxes)
        if pictures and index % every == 0:
            pair.frame = _frame(played, pair.boxes, trails)
        pairs.append(pair)
    return Run(
        source=str(source.path),
        pairs=pairs,
        model=model,
        fingerprint=fingerprint,
        quality=quality,
        stages={node: stages for node in ("encoder", "link", "decoder") if (stages := _stages(reports.get(node, {})))},
        dropped={node: _dropped(values) for node, values in reports.items()},
        link=reports.get("link", {}),
        computed={
            node: {key: reports[node][key] for key in COMPUTES if key in reports[node]}
            for node in ("encoder", "decoder")
            if node in reports
        },
        paced=paced,
        notes=list(source.remarks),
        unread={cause: number for cause, number in source.lost.items() if cause not in ("unpaired", "repeated")},
    )


def _longer(trails: dict[str, list[np.ndarray]], boxes: ros.Boxes) -> dict[str, list[np.ndarray]]:
    """Return where the objects of a pair have been, by id: what was known of them, and where they are now."""
    now = zip(boxes.ids, boxes.location)
    return {name: [*trails.get(name, []), place][-TRAIL_PAIRS:] for name, place in now if name}


def _frame(played: Any, boxes: ros.Boxes | None, trails: dict[str, list[np.ndarray]]) -> tuple[bytes, bytes]:
    """Return JPEGs of the left image with its boxes, and of the boxes and their trails from above."""
    layers = [(played.labels, LABEL), (boxes, DETECTION)]
    layers = [(b, colour) for b, colour in layers if b is not None]
    width = min(FRAME_WIDTH, played.left.shape[1])
    height = round(played.left.shape[0] * width / played.left.shape[1])
    picture = cv2.resize(played.left, (width, height), interpolation=cv2.INTER_AREA)
    for found, colour in layers:
        picture = draw_boxes(picture, found, played.calibration, colour, captions=colour == DETECTION)
    above = birds_eye(layers, played.calibration, size=(400, 520), trails=[np.array(t) for t in trails.values()])
    return compress(picture, "jpeg", REPORT_JPEG), compress(above, "jpeg", REPORT_JPEG)


def _stages(values: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Return stage -> (median, 95th percentile) in ms, from the keys <stage>_ms and <stage>_ms_p95 of /diagnostics."""
    return {
        key.removesuffix("_ms"): (float(value), float(values[f"{key}_p95"]))
        for key, value in values.items()
        if key.endswith("_ms") and f"{key}_p95" in values
    }


def _dropped(values: dict[str, str]) -> dict[str, int]:
    """Return cause -> number, from the keys dropped_<cause> of /diagnostics."""
    return {k.removeprefix("dropped_"): int(v) for k, v in values.items() if k.startswith("dropped_") and int(v)}


def _stopped_at(pair: PlayedPair) -> str:
    """Return the node that a pair without an answer never left; empty for an answered one."""
    if pair.boxes is not None:
        return ""
    if pair.bytes is None:
        return "encoder"
    return "link" if pair.carried is False else "decoder"


def write_output(path: Path, recording: Path, source: StereoSource) -> None:
    """Write the results beside what they were made of, on the drive's own time: to open in Foxglove or RViz.

    Images are written as JPEG, the nodes' messages as they came.
    """
    with BagWriter(path, overwrite=True) as out:
        for topic, type, stamp, data in _merged(recording, source):
            out.write(topic, type, stamp, data)


def _merged(recording: Path, source: StereoSource) -> Iterator[tuple[str, str, int, bytes]]:
    described = {"labels", LEFT_INFO, RIGHT_INFO}
    rows: list[tuple[int, str, str, bytes]] = []
    fixed: list[tuple[str, str, bytes]] = []
    frames = {LEFT: ros.LEFT_FRAME, RIGHT: ros.RIGHT_FRAME}
    for m in source.messages():
        name = "/" + m.topic.lstrip("/")
        if m.topic in (LEFT_INFO, RIGHT_INFO):
            frames[LEFT if m.topic == LEFT_INFO else RIGHT] = frame_in(m.data)
        # By their header's clock, as all that follows: that of the recording may be another one.
        if m.topic in described:
            rows.append((stamp_in(m.data), name, m.type, m.data))
        elif name in ("/tf_static", "/disparity_offset"):
            fixed.append((name, m.type, m.data))
    first = min((row[0] for row in rows), default=0)
    rows += [(first, *row) for row in fixed]
    kept = ("/detections", "/markers", "/features", "/codec_description")
    with Bag(recording) as bag:
        for m in bag.messages(kept):
            decoded = bag.decode(m)
            head = decoded.markers[0] if m.topic == "/markers" else decoded
            rows.append((ros.stamp_of(head), m.topic, m.type, m.data))
    rows.sort(key=lambda row: row[0])
    position = 0
    for pair in source.pairs():
        while position < len(rows) and rows[position][0] <= pair.stamp:
            stamp, topic, type, data = rows[position]
            yield topic, type, stamp, data
            position += 1
        for topic, rgb in ((LEFT, pair.left), (RIGHT, pair.right)):
            message = ros.compressed_image(rgb, pair.stamp, frames[topic], "jpeg", JPEG_QUALITY)
            yield f"/{topic}/compressed", message.__msgtype__, pair.stamp, ros.serialize(message)
    for stamp, topic, type, data in rows[position:]:
        yield topic, type, stamp, data
