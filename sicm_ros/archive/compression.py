# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A stereo bag, its images replaced by the feature messages that the encoder node publishes of them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sicm_ros.archive.copying import Copy, size_on_disk
from sicm_ros.bags import Bag, BagMessage, BagWriter, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import is_bag
from sicm_ros.bags.feature_messages import (
    DESCRIPTION,
    DESCRIPTION_TYPE,
    FEATURES,
    FEATURES_CONTENT,
    FEATURES_TYPE,
    description_fields,
    pose_fields,
)
from sicm_ros.bags.presets import IMAGES, bare
from sicm_ros.bags.recording import BagSource
from sicm_ros.bags.source import TF_STATIC, RecordedPair
from sicm_ros.bitstream import VERSION
from sicm_ros.errors import InputError
from sicm_ros.geometry.frame_tree import FrameError, FrameTree, pose_of
from sicm_ros.geometry.pose import FramePose, mounted
from sicm_ros.geometry.rectification import EpipolarCheck
from sicm_ros.model import Model

TOPICS = f"/{FEATURES}", f"/{DESCRIPTION}"
BASE_FRAME = "base_link"  # as the encoder node has it
KINDS = ros.MessageKinds()


@dataclass(frozen=True)
class Compression:
    """What became of a bag.

    Attributes:
        source, out: the bags.
        pairs: that were encoded.
        seconds: of the recording.
        bytes_before, bytes_after: of both bags as they lie on the disk.
        images, features: bytes of the messages that were replaced, and of those in their place.
        replaced: topics of the former.
        other_images: topic -> bytes of images that were kept, since they are none of the pair's.
        lost: cause -> number, as `StereoSource.lost`.
        remarks: what was mended or left out, in words.
    """

    source: Path
    out: Path
    pairs: int
    seconds: float
    bytes_before: int
    bytes_after: int
    images: int
    features: int
    replaced: tuple[str, ...]
    other_images: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def megabytes(self, hours: float) -> float:
        """Return how much so many hours of the same recording would take at most, MB: definitions count each time."""
        return self.bytes_after / 1e6 * hours * 3600 / self.seconds if self.seconds else float("nan")


def compress(
    path: str | Path,
    out: str | Path,
    model: Model,
    quality: float = 0.5,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] = lambda done, count: None,
    base_frame: str = BASE_FRAME,
    optical_pose: str = "",
    **how: Any,
) -> Compression:
    """Write a stereo bag with features in place of its images; everything else is copied byte for byte.

    Features and description are what the encoder node publishes of these images with `references` off, on its topics,
    at the time when both images of a pair had been recorded. Each message decodes by itself.

    Args:
        path: the bag.
        out: where to, .mcap; nothing is there unless all of it is.
        quality: 0 to 1.
        overwrite: replace what is there.
        progress: told of the pairs that are done, and of about how many there are.
        base_frame: the vehicle's body frame, in which the description has the left camera's pose, if the bag's
            /tf_static knows it; empty omits the pose.
        optical_pose: that pose, x y z qx qy qz qw, instead of what /tf_static says.
        how: which images are the pair, and how they are taken: arguments of `open_stereo`.

    Raises:
        InputError: the bag is broken, holds no stereo pair, or holds features already.
    """
    out = Path(out)
    if Path(path).is_dir() and any(Path(path).iterdir()) and not is_bag(Path(path)):
        raise InputError(f"{path}: not a bag; make one of a KITTI folder first: sicm data bag {path} --out drive.mcap")
    with ExitStack() as stack, Bag(path) as bag:
        taken = [topic for topic in TOPICS if topic in bag.topics]
        if taken:
            raise InputError(f"{path}: holds {', '.join(taken)} already: it has been compressed")
        source = open_stereo(path, **how, window=lambda rig: model.view(rig).calibration)
        assert isinstance(source, BagSource), "it is a bag"
        stack.enter_context(source)
        # Copies of the same images, by other transports, are replaced as well.
        names = {bare(name) for name in source.named}
        replaced = {name for name, topic in bag.topics.items() if topic.type in IMAGES and bare(name) in names}
        images = 0
        others: Counter[str] = Counter()
        with BagWriter(out, overwrite=overwrite, packed=True) as writer:
            copy = Copy(bag, writer)
            pairs = _Encoded(source, model, quality, progress, _Mounting(bag, base_frame, optical_pose))
            for message in heapq.merge(bag.messages(), pairs, key=lambda message: message.stamp):
                if message.topic in replaced:
                    images += len(message.data)
                elif message.topic in bag.topics:
                    copy.write(message)
                    if message.type in IMAGES:
                        others[message.topic] += len(message.data)
                else:
                    writer.write(message.topic, message.type, message.stamp, message.data)
        return Compression(
            source=Path(path),
            out=out,
            pairs=pairs.count,
            seconds=(bag.end - bag.start) / 1e9,
            bytes_before=size_on_disk(Path(path)),
            bytes_after=size_on_disk(out),
            images=images,
            features=pairs.bytes,
            replaced=tuple(sorted(replaced)),
            other_images=dict(others),
            lost=dict(source.lost),
            remarks=(*source.remarks, *copy.remarks),
        )


class _Mounting:
    """Where the camera is on its vehicle, as the encoder node knows it.

    Raises:
        InputError: the pose is none, or no frame is named that it is in.
    """

    def __init__(self, bag: Bag, base_frame: str, optical_pose: str) -> None:
        self.base_frame = base_frame
        self._given = mounted(base_frame, optical_pose)
        self._tree = FrameTree()
        looks = base_frame and self._given is None and TF_STATIC in bag.topics
        for message in bag.messages([TF_STATIC]) if looks else ():
            with suppress(InputError, ValueError):  # one that is none; the others count
                for transform in ros.deserialize(message.data, message.type).transforms:
                    pose = pose_of(transform.transform)
                    self._tree.put(transform.header.frame_id, transform.child_frame_id, pose)

    def pose(self, frame: str) -> FramePose | None:
        """Return the pose of the camera's frame in the base frame; None where nobody says."""
        if self._given is not None or not (frame and self.base_frame):
            return self._given
        try:
            return self._tree.find(self.base_frame, frame, 0.0)
        except FrameError:
            return None


class _Encoded:
    """The messages of an encoder node, of the pairs of a bag.

    Attributes:
        count: pairs so far.
        bytes: of feature messages so far.
    """

    def __init__(
        self,
        source: BagSource,
        model: Model,
        quality: float,
        progress: Callable[[int, int], object],
        mounting: _Mounting,
    ) -> None:
        self._source, self._model, self._quality, self._progress = source, model, quality, progress
        self._mounting = mounting
        self.count = self.bytes = 0

    def __iter__(self) -> Iterator[BagMessage]:
        described: tuple[Any, str] | None = None
        moment, rows = 0, EpipolarCheck()
        fingerprint = np.frombuffer(self._model.fingerprint, np.uint8)
        for pair in self._source.pairs():
            moment = max(moment, pair.recorded)
            header = ros.header(pair.stamp, pair.frame)
            self._check(pair, rows)
            packet = self._model.encode(pair, quality=self._quality, sequence=self.count)
            if (pair.calibration, pair.frame) != described:
                described = pair.calibration, pair.frame
                fields = description_fields(self._model.describe(), VERSION, pair.frame, pair.calibration)
                if (pose := self._mounting.pose(pair.frame)) is not None:
                    fields |= pose_fields(KINDS, self._mounting.base_frame, pose)
                message = ros.filled(DESCRIPTION_TYPE, header=header, model_fingerprint=fingerprint, **fields)
                yield BagMessage(TOPICS[1], DESCRIPTION_TYPE, moment, ros.serialize(message))
            message = ros.filled(
                FEATURES_TYPE,
                header=header,
                sequence=self.count,
                model_fingerprint=fingerprint,
                content=FEATURES_CONTENT,
                format=VERSION,
                quality=self._quality,
                payload=np.frombuffer(packet, np.uint8),
            )
            data = ros.serialize(message)
            self.count, self.bytes = self.count + 1, self.bytes + len(data)
            self._progress(self.count, self._source.count)
            yield BagMessage(TOPICS[0], FEATURES_TYPE, moment, data)

    def _check(self, pair: RecordedPair, rows: EpipolarCheck) -> None:
        """Say, as the encoder does, how well the first pairs are rectified, and what to expect of the camera."""
        cameras = self._source.cameras
        if rows.done:
            return
        if not self.count and (expectation := self._model.view(pair.calibration).expectation):
            self._source.remark(expectation)
        rows.add(pair, cameras.calibration.fx / pair.calibration.fx if cameras is not None else 1.0)
        if rows.error is not None and (complaint := rows.error.complaint(self._source.rectifies)):
            self._source.remark(complaint)
