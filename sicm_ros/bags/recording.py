# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A bag as a source of stereo pairs: its messages under our names, converted and rectified where they have to be."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import Bag, BagMessage
from sicm_ros.bags.choosing import choose
from sicm_ros.bags.conversion import Conversion, View
from sicm_ros.bags.pairing import DEPTH, SIDES, TOLERANCE
from sicm_ros.bags.presets import IMAGES
from sicm_ros.bags.recorded_cameras import RecordedCameras
from sicm_ros.bags.rig import how_to_rectify
from sicm_ros.bags.source import (
    DISPARITY_OFFSET,
    KEPT,
    LABELS,
    LEFT_INFO,
    RIGHT_INFO,
    TF_STATIC,
    StereoSource,
    message_of,
    stereo_types,
)
from sicm_ros.bags.stamps import HEADER, Stamps, frame_in, stamp_in, with_stamp
from sicm_ros.bags.video import codec_of, is_key
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import AUTO


class BagSource(StereoSource):
    """A bag of a known layout; arguments as in `open_stereo`, the tolerance in nanoseconds.

    Attributes:
        choice: the topics that were taken, and why.
        cameras: what is written and rectified by instead of the recorded calibration; None where that one is good.
    """

    def __init__(
        self,
        path: str | Path,
        preset: str = "auto",
        left: str = "",
        right: str = "",
        tolerance: int = TOLERANCE,
        assume_rectified: bool = False,
        baseline: float = 0.0,
        rectify: str = AUTO,
        calibration_file: str | Path = "",
        window: Callable[[StereoCalibration], StereoCalibration] | None = None,
    ) -> None:
        super().__init__(tolerance, assume_rectified, baseline)
        how_to_rectify(rectify, assume_rectified)  # what contradicts itself is said before anything is opened
        self.rectify, self.calibration_file = rectify, calibration_file
        self.bag = Bag(path)
        self.path = Path(path)
        try:
            self.choice = choose(preset, self.bag.topics, path, left, right)
            self.preset, self._left, self._right = self.choice.preset, self.choice.left, self.choice.right
            self.layout = self.preset.name
            kinds = {self.bag.topics[name].type for name in self.named}
            self.compressed = bool(IMAGES[max(kinds)])
            counts = [self.bag.topics[name].count for name in self.named]
            self.count = min(counts)
            self.labelled = self.bag.topics["/labels"].count if "/labels" in self.bag.topics else 0
            if max(counts) > 1 and self.bag.end > self.bag.start:
                self.period = (self.bag.end - self.bag.start) // (max(counts) - 1)
            how = rectify, assume_rectified, baseline, calibration_file
            self._seen = RecordedCameras(self.bag, self.choice, self.remark, *how)
            self._infos = self._seen.topics
            # Videos, images of both views, and two kinds of messages are written as images of one view each.
            converts = len(kinds) > 1 or self._left == self._right or any(map(self._is_video, self.named))
            self._seen.settle(converts, window)
            self.cameras, self._rig = self._seen.cameras, self._seen.rig
            self.disparity_offset = self._seen.disparity_offset
            self._converts = converts or self.rectifies
            self.compressed &= not self._converts
        except BaseException:
            self.bag.close()
            raise

    @property
    def named(self) -> tuple[str, str]:
        return self._left, self._right

    @property
    def named_infos(self) -> tuple[str, str]:
        return self._seen.named

    @property
    def rectifies(self) -> bool:
        """Whether the images are rectified here."""
        return self._seen.rectifies

    def _is_video(self, topic: str) -> bool:
        kind = self.bag.topics[topic].type
        if kind == "sensor_msgs/msg/Image":
            return False
        return kind != "sensor_msgs/msg/CompressedImage" or codec_of(self._seen.first(topic)) is not None

    def close(self) -> None:
        self.bag.close()

    def types(self, others: bool = False) -> dict[str, str]:
        recorded = {name: topic.type for name, topic in self.bag.topics.items()}
        return {ours: recorded[name] for name, ours in self._names(others).items()} | stereo_types(self)

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
            yield message_of(DISPARITY_OFFSET, begin, ros.number(self.disparity_offset))
        infos: dict[str, deque[BagMessage]] = {side: deque(maxlen=KEPT) for side in SIDES}
        sides = dict(zip(self.named, SIDES)) | dict(zip(self._infos, SIDES))
        if self._rig is None:
            for side, topic in zip(SIDES, self._infos):
                infos[side].append(self._seen.info_before(topic, begin if start > 0 else None))
        stamps = Stamps(self.remark)
        self._conversion = self._new_conversion() if self._converts else None
        held: deque[BagMessage] = deque()
        for message in self.bag.messages(names, start=self._key_before(begin) if start > 0 else begin):
            if message.stamp < begin:  # of a video, to begin at a key frame
                for _ in self._views(message):
                    pass
                continue
            if message.topic in sides and len(message.data) < HEADER:
                self.remark(f"left out: a truncated message of {message.topic}")
            elif message.topic in self._infos:
                infos[sides[message.topic]].append(message)
            else:
                held.append(message)
            while held and (len(held) > DEPTH or self._described(held[0], infos)):
                yield from self._renamed(held.popleft(), names, infos, stamps)
        for message in held:
            yield from self._renamed(message, names, infos, stamps)
        if self._conversion is not None:
            for view in self._conversion.end():
                yield from self._written(view, self.bag.end, stamps)
            self._tell_losses(self._conversion)

    def _new_conversion(self) -> Conversion:
        window = self._rig if self.rectifies else None
        return Conversion(*self.named, lambda: self.cameras.rectification if self.cameras else None, window)

    def _views(self, message: BagMessage) -> Iterator[View]:
        if self._conversion is not None and message.topic in self.named:
            yield from self._conversion.take(message.topic, self.bag.decode(message))

    def _written(self, view: View, arrival: int, stamps: Stamps) -> Iterator[BagMessage]:
        """A view as an Image under our name, behind its camera_info."""
        assert self._rig is not None
        side, frame = SIDES[view.side], view.header.frame_id
        stamp = stamps.time(side, ros.nanoseconds(view.header.stamp), arrival)
        info = ros.camera_info(self._rig, side, stamp, frame)
        yield message_of((LEFT_INFO, RIGHT_INFO)[view.side], arrival, info)
        yield message_of(self.topics[view.side], arrival, ros.image(view.rgb, stamp, frame))

    def _tell_losses(self, conversion: Conversion) -> None:
        """Notes what gave no image, and how late a video's are."""
        for cause, number in conversion.skipped.items():
            self.remark(f"{number} messages contained no image; the first: {conversion.complaints[cause]}")
        if conversion.delay:
            self.remark(f"the video's images are complete {conversion.delay} messages late; their stamps are kept")

    def _key_before(self, moment: int) -> int:
        """When to begin to read, so that a video's images are there at a moment: its last key frame before."""
        begin = moment
        for topic in filter(self._is_video, set(self.named) if self._converts else ()):
            key = moment
            for message in self.bag.messages([topic], stop=moment):
                content = self.bag.decode(message)
                codec = codec_of(content)
                if codec and is_key(codec, bytes(content.data)):
                    key = message.stamp
            begin = min(begin, key)
        return begin

    def _described(self, message: BagMessage, infos: dict[str, deque[BagMessage]]) -> bool:
        """Whether all is there that is to come before a message; an image's own camera_info may be behind it."""
        if self._rig is not None or message.topic not in self.named:
            return True
        index = self.named.index(message.topic)
        topics, info = self.bag.topics, self._infos[index]
        if topics[info].count < topics[message.topic].count:  # not one for each image
            return True
        return any(stamp_in(known.data) == stamp_in(message.data) for known in infos[SIDES[index]])

    def _renamed(
        self, message: BagMessage, names: dict[str, str], infos: dict[str, deque[BagMessage]], stamps: Stamps
    ) -> Iterator[BagMessage]:
        """A message under our name; an image behind a camera_info of its own stamp."""
        if message.topic not in self.named:
            yield replace(message, topic=names[message.topic])
            return
        if self._conversion is not None:
            for view in self._views(message):
                yield from self._written(view, message.stamp, stamps)
            return
        index = self.named.index(message.topic)
        recorded = stamp_in(message.data)
        stamp = stamps.time(message.topic, recorded, message.stamp)
        if self._rig is not None:
            info = ros.camera_info(self._rig, SIDES[index], stamp, frame_in(message.data))
            yield message_of((LEFT_INFO, RIGHT_INFO)[index], message.stamp, info)
        else:
            known = infos[SIDES[index]]
            own = next((i for i in reversed(known) if stamp_in(i.data) == recorded), known[-1])
            data = with_stamp(own.data, stamp)
            yield replace(own, topic=(LEFT_INFO, RIGHT_INFO)[index], stamp=message.stamp, data=data)
        data = message.data if stamp == recorded else with_stamp(message.data, stamp)
        yield replace(message, topic=names[message.topic], data=data)
