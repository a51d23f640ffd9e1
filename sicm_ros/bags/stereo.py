# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A drive in stereo, whatever it lies in, bag or KITTI folder: as messages of ROS stereo or as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import SUFFIXES, Bag, BagMessage
from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.bags.images import rgb_from_compressed, rgb_from_image
from sicm_ros.bags.presets import IMAGES, KITTI_RIGS, choose, listed
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import ImagePair, StereoCalibration

if TYPE_CHECKING:
    from sicm_ros.kitti import StereoFrame

# Names as our nodes have them: relative, so that a namespace moves them.
LEFT, RIGHT = "left/image_rect_color", "right/image_rect_color"
LEFT_INFO, RIGHT_INFO = "left/camera_info", "right/camera_info"
LABELS, TF_STATIC, DISPARITY_OFFSET = "labels", "/tf_static", "disparity_offset"
TOLERANCE = 30_000_000  # nanoseconds between the stamps of one pair, as the encoder has it; KITTI's: up to 10 ms
PERIOD = 100_000_000  # nanoseconds: KITTI's 10 Hz
EPOCH = 1_317_000_000 * 10**9  # nanoseconds since 1970, September 2011: where a folder tells no time


@dataclass(frozen=True)
class RecordedPair(ImagePair):
    """A pair with what else a recording tells of it.

    Attributes:
        stamp: of the left image, nanoseconds since 1970.
        labels: objects that a person, or the renderer, marked; None where there are none. Left optical frame.
    """

    stamp: int
    labels: ros.Boxes | None


class StereoSource(ABC):
    """Stereo pairs in order, as messages on our own topic names, conformant to ROS stereo.

    Attributes:
        path: where it lies.
        layout: name of the preset, or `kitti`.
        compressed: pictures are CompressedImage, on <topic>/compressed.
        disparity_offset: pixels, which camera_info doesn't tell (see StereoCalibration).
        count: number of stereo pairs, or of pictures of the camera that has fewer.
    """

    path: Path
    layout: str
    compressed: bool
    disparity_offset: float
    count: int

    @property
    def topics(self) -> tuple[str, str]:
        """Topics of the left and the right pictures."""
        suffix = "/compressed" if self.compressed else ""
        return LEFT + suffix, RIGHT + suffix

    @abstractmethod
    def types(self, others: bool = False) -> dict[str, str]:
        """Topic -> type of everything that `messages` may give."""

    @abstractmethod
    def messages(self, start: float = 0.0, others: bool = False) -> Iterator[BagMessage]:
        """Messages from `start` seconds on, in the order of time; relative names but for tf_static.

        `others` adds whatever else a bag holds, under its own name.
        """

    def pairs(self, start: float = 0.0) -> Iterator[RecordedPair]:
        """The pairs as arrays. A picture without a partner within TOLERANCE is left out."""
        infos: dict[str, Any] = {}
        waiting: dict[str, Any] = {}
        labels: dict[int, ros.Boxes] = {}
        left_topic, right_topic = self.topics
        for message in self.messages(start):
            if message.topic in (LEFT_INFO, RIGHT_INFO):
                infos[message.topic] = ros.deserialize(message.data, message.type)
            elif message.topic == LABELS:
                found = ros.deserialize(message.data, message.type)
                labels[ros.stamp_of(found)] = ros.Boxes(found)
            elif message.topic in (left_topic, right_topic):
                waiting[message.topic] = ros.deserialize(message.data, message.type)
                if len(waiting) < 2:
                    continue
                left, right = waiting[left_topic], waiting[right_topic]
                stamp = ros.stamp_of(left)
                if abs(stamp - ros.stamp_of(right)) > TOLERANCE:
                    del waiting[left_topic if stamp < ros.stamp_of(right) else right_topic]
                    continue
                waiting.clear()
                if len(infos) < 2:
                    raise CalibrationError(f"{self.path}: a pair precedes its camera_info")
                calibration = stereo_calibration(
                    infos[LEFT_INFO], infos[RIGHT_INFO], disparity_offset=self.disparity_offset
                )
                decode = rgb_from_compressed if self.compressed else rgb_from_image
                images = decode(left, left_topic), decode(right, right_topic)
                yield RecordedPair(*images, calibration, stamp, labels.pop(stamp, None))

    def close(self) -> None:  # noqa: B027, most sources have nothing open
        """Closes what is open."""

    def __enter__(self) -> StereoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_stereo(path: str | Path, preset: str = "auto", left: str = "", right: str = "") -> StereoSource:
    """A bag or a KITTI folder (raw drive, object folder, odometry sequence) as a source of stereo pairs.

    Args:
        path: .mcap, .db3, .bag, a bag's folder, a KITTI folder or zip archive.
        preset: name of a bag layout (`presets.PRESETS`), `auto` finds it.
        left, right: image topics of a bag that has other names.

    Raises:
        InputError: nothing of the kind, broken, or without a stereo pair.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such bag or folder; expected a bag (.mcap, .db3, .bag, a folder) or a KITTI folder"
        )
    is_bag = path.suffix in (*SUFFIXES, ".bag") or (
        path.is_dir() and ((path / "metadata.yaml").exists() or any(p.suffix in SUFFIXES for p in path.iterdir()))
    )
    if is_bag:
        return BagSource(path, preset, left, right)
    from sicm_ros.kitti import open_kitti

    return KittiSource(path, open_kitti(path))


class KittiSource(StereoSource):
    """Frames of a KITTI layout, 10 Hz where it tells no times.

    Args:
        path: for errors.
        frames: the frames.
        compress: None for raw pictures, `jpeg` or `png`.
        quality: of JPEG, 1 to 100.
    """

    def __init__(
        self, path: Path, frames: Sequence[StereoFrame], compress: str | None = None, quality: int = 95
    ) -> None:
        if not len(frames):
            raise InputError(f"{path}: no stereo frames found")
        self.path, self.layout, self.frames = Path(path), "kitti", frames
        self.compressed, self._format, self._quality = compress is not None, compress, quality
        self.count = len(frames)
        self.disparity_offset = frames[0].calibration.disparity_offset

    def stamp(self, index: int) -> int:
        """Stamp of a frame's pictures, nanoseconds."""
        stamp = self.frames[index].stamp
        if stamp is None:
            return EPOCH + index * PERIOD
        return stamp if stamp > EPOCH // 2 else EPOCH + stamp  # odometry counts from the sequence's start

    def types(self, others: bool = False) -> dict[str, str]:
        labelled = any(frame.labelled for frame in self.frames)
        labels = {LABELS: "vision_msgs/msg/Detection3DArray"} if labelled else {}
        return _stereo_types(self) | labels | {TF_STATIC: "tf2_msgs/msg/TFMessage"}

    def messages(self, start: float = 0.0, others: bool = False) -> Iterator[BagMessage]:
        first, last = self.stamp(0), 0
        described = False
        for index in range(len(self.frames)):
            stamp = self.stamp(index)
            if stamp <= last:
                raise InputError(
                    f"{self.path}: time goes back at {self.frames[index].name}: the folder has several drives; name one"
                )
            last = stamp
            if stamp < first + start * 1e9:
                continue
            frame = self.frames[index]
            if not described:
                described = True
                yield _message(TF_STATIC, stamp, ros.camera_frames(frame.calibration.baseline, stamp))
                yield _message(DISPARITY_OFFSET, stamp, ros.number(frame.calibration.disparity_offset))
            if frame.labels is not None:
                yield _message(LABELS, stamp, ros.labels_message(frame.labels, stamp, ros.LEFT_FRAME))
            # Both calibrations first: who has both pictures can go to work.
            for side, topic, frame_id in (("left", LEFT_INFO, ros.LEFT_FRAME), ("right", RIGHT_INFO, ros.RIGHT_FRAME)):
                yield _message(topic, stamp, ros.camera_info(frame.calibration, side, stamp, frame_id))
            yield _message(self.topics[0], stamp, self._picture(frame.left, stamp, ros.LEFT_FRAME))
            yield _message(self.topics[1], stamp, self._picture(frame.right, stamp, ros.RIGHT_FRAME))

    def _picture(self, rgb: np.ndarray, stamp: int, frame_id: str) -> Any:
        if self._format is None:
            return ros.image(rgb, stamp, frame_id)
        return ros.compressed_image(rgb, stamp, frame_id, self._format, self._quality)


class BagSource(StereoSource):
    """A bag of a known layout; arguments as in `open_stereo`."""

    def __init__(self, path: str | Path, preset: str = "auto", left: str = "", right: str = "") -> None:
        self.bag = Bag(path)
        self.path = Path(path)
        try:
            self.preset, self._left, self._right = choose(preset, self.bag.topics, path, left, right)
            kinds = [self.bag.topics[name].type for name in (self._left, self._right)]
            if kinds[0] != kinds[1]:
                raise InputError(
                    f"{path}: {self._left} is {kinds[0]} but {self._right} is {kinds[1]}; give two topics of one type"
                )
            self.layout = self.preset.name
            self.compressed = bool(IMAGES[kinds[0]])
            self.count = min(self.bag.topics[name].count for name in (self._left, self._right))
            self._infos = self._info_topics()
            self._rig = self._fixed_rig()
            self.disparity_offset = self._offset()
        except BaseException:
            self.bag.close()
            raise

    def close(self) -> None:
        self.bag.close()

    def types(self, others: bool = False) -> dict[str, str]:
        recorded = {name: topic.type for name, topic in self.bag.topics.items()}
        return _stereo_types(self) | {ours: recorded[name] for name, ours in self._names(others).items()}

    def _names(self, others: bool) -> dict[str, str]:
        """Topics to be read from the bag -> what they are called here."""
        names = {self._left: self.topics[0], self._right: self.topics[1], TF_STATIC: TF_STATIC, "/labels": LABELS}
        names["/" + DISPARITY_OFFSET] = DISPARITY_OFFSET
        if self._rig is None:
            names |= dict(zip(self._infos, (LEFT_INFO, RIGHT_INFO)))
        if others:
            names |= {name: name for name in self.bag.topics if name not in names and name not in self._infos}
        return {name: ours for name, ours in names.items() if name in self.bag.topics}

    def messages(self, start: float = 0.0, others: bool = False) -> Iterator[BagMessage]:
        names = self._names(others)
        begin = self.bag.start + round(start * 1e9)
        latched = (TF_STATIC, "/" + DISPARITY_OFFSET)
        if start > 0:  # what was latched before the start still holds
            for message in self.bag.messages([name for name in latched if name in self.bag.topics]):
                if message.stamp < begin:
                    yield replace(message, topic=names[message.topic], stamp=begin)
        if "/" + DISPARITY_OFFSET not in self.bag.topics and self.disparity_offset:
            yield _message(DISPARITY_OFFSET, begin, ros.number(self.disparity_offset))
        held: list[BagMessage] = []
        described: set[str] = set()
        for message in self.bag.messages(names, start=begin):
            renamed = replace(message, topic=names[message.topic])
            if self._rig is not None and message.topic in (self._left, self._right):
                side = "left" if message.topic == self._left else "right"
                head = self.bag.decode(message).header
                info = ros.camera_info(self._rig, side, ros.nanoseconds(head.stamp), head.frame_id)
                yield _message(f"{side}/camera_info", message.stamp, info)
            elif self._rig is None and len(described) < 2:
                # The first pictures wait for their calibration, which some recorders write behind them.
                if renamed.topic in (LEFT_INFO, RIGHT_INFO):
                    described.add(renamed.topic)
                    yield replace(renamed, stamp=held[0].stamp if held else renamed.stamp)
                    if len(described) == 2:
                        yield from held
                else:
                    held.append(renamed)
                continue
            yield renamed
        yield from held if len(described) < 2 else ()

    def _info_topics(self) -> tuple[str, ...]:
        """The siblings of the image topics, where the bag has them."""
        if not self.preset.camera_info:
            return ()
        siblings = []
        for name in (self._left, self._right):
            sibling = name.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
            topic = self.bag.topics.get(sibling)
            if topic is None or not topic.count:
                raise InputError(
                    f"{self.path}: no calibration of {name}: its camera_info should be on {sibling}; record it too, or "
                    f"choose a preset that needs none; {listed(self.bag.topics)}"
                )
            siblings.append(sibling)
        return tuple(siblings)

    def _first(self, topic: str) -> Any:
        message = next(self.bag.messages([topic]), None)
        if message is None:
            raise InputError(f"{self.path}: broken bag: no message of {topic}, though its index counts some")
        return self.bag.decode(message)

    def _fixed_rig(self) -> StereoCalibration | None:
        """The calibration to write instead of the recorded one; None where that one is good."""
        if not self.preset.camera_info:
            decode = rgb_from_compressed if self.compressed else rgb_from_image
            height, width = decode(self._first(self._left), self._left).shape[:2]
            if (width, height) not in KITTI_RIGS:
                sizes = ", ".join(f"{w} x {h}" for w, h in KITTI_RIGS)
                raise CalibrationError(
                    f"{self.path}: no camera_info, and images of {width} x {height} pixels do not match any known "
                    f"KITTI rig ({sizes}); record camera_info"
                )
            return KITTI_RIGS[width, height]
        if not self.preset.rectified:
            return None
        left, right = self._infos
        infos = self._first(left), self._first(right)
        return stereo_calibration(*infos, topics=(left, right), assume_rectified=True)

    def _offset(self) -> float:
        if "/" + DISPARITY_OFFSET in self.bag.topics:
            return float(self._first("/" + DISPARITY_OFFSET).data)
        if not self.preset.disparity_offset:
            return 0.0
        width = self._rig.width if self._rig else self._first(self._infos[0]).width
        return self.preset.disparity_offset * width / 1242


def _stereo_types(source: StereoSource) -> dict[str, str]:
    kind = "sensor_msgs/msg/CompressedImage" if source.compressed else "sensor_msgs/msg/Image"
    infos = dict.fromkeys((LEFT_INFO, RIGHT_INFO), "sensor_msgs/msg/CameraInfo")
    return dict.fromkeys(source.topics, kind) | infos | {DISPARITY_OFFSET: "std_msgs/msg/Float64"}


def _message(topic: str, stamp: int, message: Any) -> BagMessage:
    return BagMessage(topic, message.__msgtype__, stamp, ros.serialize(message))
