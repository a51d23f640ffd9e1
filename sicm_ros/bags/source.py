# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A drive in stereo, whatever it lies in: as messages of ROS stereo, in order, and as pairs of arrays."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import BagMessage
from sicm_ros.bags.camera_info import check_sizes, stereo_calibration
from sicm_ros.bags.conversion import rgb_of
from sicm_ros.bags.images import PixelDepth
from sicm_ros.bags.pairing import SIDES, TOLERANCE, StereoPairer
from sicm_ros.bags.stamps import frame_in, stamp_in
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import ImagePair
from sicm_ros.geometry.rectification import AUTO

# Names as our nodes have them: relative, so that a namespace moves them.
LEFT, RIGHT = "left/image_rect_color", "right/image_rect_color"
LEFT_INFO, RIGHT_INFO = "left/camera_info", "right/camera_info"
LABELS, TF_STATIC, DISPARITY_OFFSET = "labels", "/tf_static", "disparity_offset"
HORIZON, MOST = 10**10, 128  # nanoseconds and number of images that wait for a partner that was recorded late
FAILURES = 8  # pairs that can't be read, without one that can, after which the recording can't
KEPT = 32  # camera_info messages of one camera that are kept to find an image's own

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedPair(ImagePair):
    """A pair with what else a recording tells of it.

    Attributes:
        stamp, right_stamp: of the left and the right image, nanoseconds since 1970.
        labels: objects that a person, or the renderer, marked; None where there are none. Left optical frame.
        frame: frame_id of the left image.
        recorded: when both images were there, in the recording's own time, nanoseconds.
    """

    stamp: int
    labels: ros.Boxes | None
    right_stamp: int = 0
    frame: str = ""
    recorded: int = 0


class StereoSource(ABC):
    """Stereo pairs in order, as messages on our own topic names, conformant to ROS stereo.

    Attributes:
        path: where it lies.
        layout: name of the preset, or of the data set.
        compressed: images are CompressedImage, on <topic>/compressed.
        disparity_offset: pixels, which camera_info doesn't tell (see StereoCalibration).
        count: number of stereo pairs, or of images of the camera that has fewer.
        labelled: number of pairs that have labels.
        period: nanoseconds between two pairs, on average; None where nothing tells.
        tolerance: largest difference of the stamps of a pair, nanoseconds.
        assume_rectified, baseline: as for `camera_info.stereo_calibration`.
        rectify, calibration_file: as for `open_stereo`.
        lost: cause -> number of images without a partner (`unpaired`) or that came twice (`repeated`), and of pairs
            that couldn't be read (`image`, `calibration`), of the last run through `pairs`.
        remarks: what was mended or left out, in words, each once.
    """

    path: Path
    layout: str
    compressed: bool
    disparity_offset: float
    count: int
    labelled: int = 0
    period: int | None = None
    rectify: str = AUTO
    calibration_file: str | Path = ""

    def __init__(self, tolerance: int = TOLERANCE, assume_rectified: bool = False, baseline: float = 0.0) -> None:
        self.tolerance, self.assume_rectified, self.baseline = tolerance, assume_rectified, baseline
        self.lost: Counter[str] = Counter()
        self.remarks: list[str] = []
        self._depth = PixelDepth()

    def remark(self, text: str) -> None:
        """Note what was mended or left out; the log has it once."""
        if text not in self.remarks:
            self.remarks.append(text)
            _log.warning("%s: %s", self.path, text)

    @property
    def topics(self) -> tuple[str, str]:
        """Topics of the left and the right images."""
        suffix = "/compressed" if self.compressed else ""
        return LEFT + suffix, RIGHT + suffix

    @abstractmethod
    def types(self, others: bool = False) -> dict[str, str]:
        """Topic -> type of everything that `messages` may give."""

    @abstractmethod
    def messages(self, start: float = 0.0, others: bool = False) -> Iterator[BagMessage]:
        """Messages from `start` seconds on, in the order of time; relative names but for tf_static.

        Each image comes right after a camera_info of its own stamp. `others` adds whatever else a bag holds, under
        its own name.
        """

    def pairs(self, start: float = 0.0) -> Iterator[RecordedPair]:
        """The pairs as arrays. What has no partner or can't be read is counted in `lost`, and said.

        Raises:
            InputError: there is no pair at all, or none that can be read.
        """
        self.lost.clear()
        problem: InputError | None = None
        good = failed = 0
        for pair in self._serialised(start):
            try:
                read = self._read(pair[0], pair[1], pair[2])
            except InputError as error:
                problem, failed = error, failed + 1
                self.lost["calibration" if isinstance(error, CalibrationError) else "image"] += 1
                if not good and (failed >= FAILURES or isinstance(error, CalibrationError)):
                    raise
                self.remark(f"left out: {error}")
                continue
            good += 1
            yield read
        if self.lost["unpaired"] and good:
            alone = self.lost["unpaired"]
            self.remark(f"{alone} images have no partner" if alone > 1 else "1 image has no partner")
        if self.lost["repeated"] and good:
            self.remark(f"images that were recorded twice, {self.lost['repeated']} of them, are taken once")
        if not good:
            raise problem or InputError(f"{self.path}: {self._unpaired()}")

    def _serialised(self, start: float) -> Iterator[tuple[tuple, tuple, ros.Boxes | None]]:
        """Left and right image of each pair, each behind its camera_info, and the labels."""
        infos: dict[str, Any] = {}
        labels: dict[int, ros.Boxes] = {}
        self._shifts: deque[int] = deque(maxlen=KEPT)
        newest: dict[str, int] = {}
        pairer: StereoPairer = StereoPairer(self.tolerance, lambda cause: self.lost.update([cause]), HORIZON, MOST)

        def with_labels(pairs: list) -> Iterator:
            for left, right in pairs:
                yield left, right, labels.pop(stamp_in(left[0].data), None)

        sides = dict(zip(self.topics, SIDES))
        described = dict(zip((LEFT_INFO, RIGHT_INFO), SIDES))
        for message in self.messages(start):
            if message.topic in described:
                infos[described[message.topic]] = message
            elif message.topic == LABELS:
                found = ros.deserialize(message.data, message.type)
                labels[ros.stamp_of(found)] = ros.Boxes(found)
            elif message.topic in sides:
                side, stamp = sides[message.topic], stamp_in(message.data)
                newest[side] = stamp
                if len(newest) == 2:
                    self._shifts.append(newest["right"] - newest["left"])
                yield from with_labels(pairer.add(side, stamp, (message, infos.get(side))))
        yield from with_labels(pairer.close())

    def _unpaired(self) -> str:
        """Why there is no pair, in words."""
        if not self._shifts:
            return "images of only one camera, from there on"
        apart = min(map(abs, self._shifts)) * 1e-9
        return (
            f"no left and right image with matching times: the stamps are {apart:.3f} s and more apart, the "
            f"tolerance is {self.tolerance * 1e-9:g} s (--pair-tolerance) and less than half of a period"
        )

    def _read(self, left: tuple, right: tuple, labels: ros.Boxes | None) -> RecordedPair:
        """A pair as arrays. Raises InputError where an image or the calibration is no good."""
        images = []
        for (message, _), topic in zip((left, right), self.named):
            images.append(rgb_of(ros.deserialize(message.data, message.type), topic, self._depth))
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        check_sizes(sizes, self.named)
        infos = [None if info is None else ros.deserialize(info.data, info.type) for _, info in (left, right)]
        if None in infos:
            raise CalibrationError(f"{self.path}: a pair precedes its camera_info")
        calibration = stereo_calibration(
            *infos,
            topics=self.named_infos,
            size=sizes[0],
            disparity_offset=self.disparity_offset,
            assume_rectified=self.assume_rectified,
            baseline=self.baseline,
            remark=self.remark,
        )
        stamps = [stamp_in(message.data) for message, _ in (left, right)]
        recorded = max(message.stamp for message, _ in (left, right))
        frame = frame_in(left[0].data)
        return RecordedPair(images[0], images[1], calibration, stamps[0], labels, stamps[1], frame, recorded)

    @property
    def named(self) -> tuple[str, str]:
        """Names of the left and the right images as a person knows them, for errors."""
        return self.topics

    @property
    def named_infos(self) -> tuple[str, str]:
        """Names of both camera_infos, likewise."""
        return LEFT_INFO, RIGHT_INFO

    def close(self) -> None:  # noqa: B027, most sources have nothing open
        """Closes what is open."""

    def __enter__(self) -> StereoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stereo_types(source: StereoSource) -> dict[str, str]:
    """Return topic -> type of a pair's images and camera_info."""
    kind = "sensor_msgs/msg/CompressedImage" if source.compressed else "sensor_msgs/msg/Image"
    infos = dict.fromkeys((LEFT_INFO, RIGHT_INFO), "sensor_msgs/msg/CameraInfo")
    return dict.fromkeys(source.topics, kind) | infos | {DISPARITY_OFFSET: "std_msgs/msg/Float64"}


def message_of(topic: str, stamp: int, message: Any) -> BagMessage:
    """Return a message object as a bag has it."""
    return BagMessage(topic, message.__msgtype__, stamp, ros.serialize(message))
