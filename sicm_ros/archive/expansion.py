# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A bag of features, and beside them what the decoder node publishes of these: detections, tracks, markers, points."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sicm_ros.archive.copying import Copy, size_on_disk
from sicm_ros.bags import Bag, BagMessage, BagWriter
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.choosing import listed
from sicm_ros.bags.feature_messages import (
    BOXES_CONTENT,
    DESCRIPTION,
    DESCRIPTION_TYPE,
    FEATURES,
    FEATURES_CONTENT,
    FEATURES_TYPE,
    calibration_of,
)
from sicm_ros.bags.result_messages import PlacedBoxes, cloud_of, detection_array, marker_array, tracked_objects
from sicm_ros.bitstream import FINGERPRINT_BYTES, box_packet
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import LIKELY, Detections, StereoCalibration
from sicm_ros.geometry.points import matched_points
from sicm_ros.geometry.pose import FramePose
from sicm_ros.model import Model, Result
from sicm_ros.model.references import ReceivedPairs
from sicm_ros.tracking import Followed, Follower

RESULTS = ("detections", "tracks", "markers", "points")
KINDS = ros.MessageKinds()


@dataclass(frozen=True)
class Showing:
    """What is written of a result; the decoder node's parameters of the same names, and their defaults.

    Attributes:
        min_score: boxes below are not written, by `Detections.likely`.
        other_classes: score from which a box's other classes are named, too.
        marker_lifetime: seconds that RViz shows a marker.
        max_depth: metres; points farther away are not written.
        points: whether any are.
        tracking: whether objects are followed from pair to pair.
        visual_odometry: whether the camera's motion is told from the features.
        rescore: whether scores heed the past.
    """

    min_score: float = LIKELY
    other_classes: float = 0.1
    marker_lifetime: float = 0.5
    max_depth: float = 80.0
    points: bool = True
    tracking: bool = True
    visual_odometry: bool = True
    rescore: bool = False


@dataclass(frozen=True)
class Expansion:
    """What became of a bag of features.

    Attributes:
        source, out: the bags.
        messages: feature messages that were decoded.
        detections: boxes in them.
        tracks: objects that were followed.
        bytes_before, bytes_after: of both bags as they lie on the disk.
        lost: why messages were not decoded -> how many.
        remarks: topics that could not be copied.
    """

    source: Path
    out: Path
    messages: int
    detections: int
    tracks: int
    bytes_before: int
    bytes_after: int
    lost: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def expand(
    path: str | Path,
    out: str | Path,
    model: Model,
    showing: Showing | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] = lambda done, count: None,
) -> Expansion:
    """Write a bag of features with detections, tracks, markers and points beside them; everything in it is kept.

    They are what the decoder node publishes with `extrapolate` off, on its topics in each stream's namespace, in the
    left camera's frame, at the time of their feature message. Objects' ids are the same whenever a bag is expanded.

    Args:
        path: the bag: `compress` wrote it, or `ros2 bag record` in a running system.
        out: where to, .mcap; nothing is there unless all of it is.
        showing: what is written of a result.
        overwrite: replace what is there.
        progress: told of the feature messages that are done, and of how many there are.

    Raises:
        InputError: the bag is broken, holds no features that this model decodes, or holds results already.
    """
    out = Path(out)
    with Bag(path) as bag:
        streams = {name: _Stream(name, model, showing or Showing()) for name in _feature_topics(bag)}
        if not streams:
            raise InputError(f"{path}: no feature messages ({FEATURES_TYPE}); {listed(bag.topics)}")
        taken = [topic for stream in streams.values() for topic in stream.topics if topic in bag.topics]
        if taken:
            raise InputError(f"{path}: holds {', '.join(taken)} already: it has been expanded")
        descriptions = {stream.description: stream for stream in streams.values()}
        count, done = sum(bag.topics[name].count for name in streams), 0
        with BagWriter(out, overwrite=overwrite, packed=True) as writer:
            copy = Copy(bag, writer)
            for message in bag.messages():
                copy.write(message)
                if message.topic in descriptions and message.type == DESCRIPTION_TYPE:
                    descriptions[message.topic].describe(message)
                elif message.topic in streams:
                    for result in streams[message.topic].results(message):
                        writer.write(result.topic, result.type, result.stamp, result.data)
                    done += 1
                    progress(done, count)
            lost = sum((stream.lost for stream in streams.values()), Counter[str]())
            decoded = sum(stream.decoded for stream in streams.values())
            if not decoded:
                raise InputError(f"{path}: none of its {count} feature messages can be decoded: {next(iter(lost), '')}")
        return Expansion(
            source=Path(path),
            out=out,
            messages=decoded,
            detections=sum(stream.detections for stream in streams.values()),
            tracks=sum(len(stream.followed) for stream in streams.values()),
            bytes_before=size_on_disk(Path(path)),
            bytes_after=size_on_disk(out),
            lost=dict(lost),
            remarks=tuple(copy.remarks),
        )


def _feature_topics(bag: Bag) -> list[str]:
    return [name for name, topic in bag.topics.items() if topic.type == FEATURES_TYPE and topic.count]


class _Stream:
    """The features of one encoder, and what they show.

    Attributes:
        description: topic that describes them.
        topics: of the results.
        decoded, detections: messages and boxes so far.
        followed: ids of objects that were written so far.
        lost: why messages were not decoded -> how many.
    """

    def __init__(self, topic: str, model: Model, showing: Showing) -> None:
        prefix = topic.removesuffix(FEATURES) if topic.endswith(f"/{FEATURES}") else f"{topic}/"
        self._prefix = prefix
        self.description = f"{prefix}{DESCRIPTION}"
        self.topics = [f"{prefix}{name}" for name in RESULTS]
        self._model, self._showing = model, showing
        self._calibration: StereoCalibration | None = None
        self._earlier = ReceivedPairs()  # which packets of a running system may refer to
        self._follower: Follower | None = None
        self.decoded = self.detections = 0
        self.followed: set[int] = set()
        self.lost: Counter[str] = Counter()

    def describe(self, message: BagMessage) -> None:
        """Take in a description, for packets that hold no calibration."""
        try:
            self._calibration = calibration_of(ros.deserialize(message.data, message.type))
        except InputError:
            self._calibration = None  # packets that need it say so

    def results(self, message: BagMessage) -> Iterator[BagMessage]:
        """Yield the messages that a feature message becomes; none, and it is counted, where it can't be decoded."""
        try:
            content = ros.deserialize(message.data, message.type)
            found, result = self._decode(content)
        except InputError as error:
            self.lost[str(error)] += 1
            return
        if self._follower is None and self._showing.tracking:
            # No other stream's, and this one's again.
            self._follower = Follower(hashlib.sha256(message.topic.encode() + message.data).digest()[:8])
        followed = self._follow(found.finite(), content.header, result)
        self.decoded, self.detections = self.decoded + 1, self.detections + len(followed.detections)
        for name, made in self._messages(followed, content.header, result):
            yield BagMessage(self._prefix + name, made.__msgtype__, message.stamp, ros.serialize(made))

    def _follow(self, found: Detections, header: Any, result: Result | None) -> Followed:
        """Return what is written of a message, as the decoder node's `Vehicle.follow` does."""
        showing = self._showing
        if self._follower is None:
            return Followed(found.take(found.likely(showing.min_score)))
        stamp = header.stamp.sec + header.stamp.nanosec * 1e-9
        seen = result if showing.visual_odometry else None
        return self._follower.follow(found, stamp, None, showing.min_score, showing.rescore, seen)

    def _messages(self, followed: Followed, header: Any, result: Result | None) -> Iterator[tuple[str, Any]]:
        """Yield topic and message of each result."""
        showing, note = self._showing, "boxes" if result is None else ""
        trails: tuple[np.ndarray, ...] = ()
        boxes = PlacedBoxes.of(KINDS, followed.detections, ids=followed.ids)
        yield "detections", detection_array(boxes, header, showing.other_classes)
        if followed.tracks is not None and self._follower is not None:
            tracks = followed.tracks.take(followed.tracks.boxes.likely(showing.min_score))
            self.followed.update(tracks.ids.tolist())
            trails = tracks.trails
            still = FramePose.identity()
            yield "tracks", tracked_objects(KINDS, tracks, still, self._follower.session, header, showing.other_classes)
        yield "markers", marker_array(boxes, header, showing.marker_lifetime, note, trails)
        if result is not None and showing.points:
            points = matched_points(result.disparity, result.view, showing.max_depth)
            points = np.ascontiguousarray(points, "<f4")
            yield "points", replace(cloud_of(KINDS, points, header), data=points.reshape(-1).view(np.uint8))

    def _decode(self, content: Any) -> tuple[Detections, Result | None]:
        """Return boxes, and what else the features show; None of a message that holds boxes alone."""
        payload = bytes(content.payload)
        if content.content == BOXES_CONTENT:
            found, fingerprint, _ = box_packet.unpack_boxes(payload)
            if fingerprint != self._model.fingerprint[:FINGERPRINT_BYTES]:
                raise BitstreamError(f"boxes of model {fingerprint.hex()}, but this is {self._model.name}")
            return found, None
        if content.content != FEATURES_CONTENT:
            raise BitstreamError(f"a payload of kind {content.content}; features and boxes are read")
        result = self._model.decode(payload, self._calibration, self._earlier)
        return result.detections, result
