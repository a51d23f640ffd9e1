# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a bag says of the cameras of its pair, and what has to be made of their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sicm_ros.bags.bag import Bag, BagMessage
from sicm_ros.bags.choosing import Choice, listed
from sicm_ros.bags.conversion import Conversion
from sicm_ros.bags.presets import KITTI_RIGS, info_places
from sicm_ros.bags.rig import CameraRig, camera_rig, how_to_rectify
from sicm_ros.bags.source import DISPARITY_OFFSET, LEFT_INFO, RIGHT_INFO
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.calibration_file import read_calibration_file
from sicm_ros.geometry.rectification import AUTO, Lens, must_rectify


class RecordedCameras:
    """The cameras of a bag's pair.

    Args:
        bag: that is open.
        choice: the pair.
        remark: told of what was mended.
        how: rectify, assume_rectified, baseline, calibration_file, as for `open_stereo`.

    Attributes:
        topics: that describe the cameras; none where they are described by something else.
        cameras: what is written and rectified by instead of what is recorded; None where that is good, once `settle`d.
        rig: calibration of what is written; None where it is what is recorded.
        disparity_offset: pixels.
    """

    cameras: CameraRig | None = None
    rig: StereoCalibration | None = None
    disparity_offset = 0.0

    def __init__(
        self,
        bag: Bag,
        choice: Choice,
        remark: Callable[[str], None],
        rectify: str,
        assume_rectified: bool,
        baseline: float,
        calibration_file: str | Path,
    ) -> None:
        self.bag, self.path, self.preset, self.images = bag, bag.path, choice.preset, (choice.left, choice.right)
        self.remark, self.rectify, self.assume_rectified = remark, rectify, assume_rectified
        self.baseline, self.calibration_file = baseline, calibration_file
        self.topics = self._info_topics()

    def settle(self, converts: bool, window: Callable[[StereoCalibration], StereoCalibration] | None) -> None:
        """Find out what has to be made of the images.

        Args:
            converts: they are written anew in any case.
            window: as for `open_stereo`.
        """
        self.cameras = self._fixed_cameras(converts)
        self.rig = None if self.cameras is None else self.cameras.calibration
        if self.rig is not None and self.rectifies and window is not None:
            self.rig = window(self.rig)
        self.disparity_offset = self._offset()

    @property
    def rectifies(self) -> bool:
        """Whether the images are rectified here."""
        return self.cameras is not None and self.cameras.rectification is not None

    @property
    def named(self) -> tuple[str, str]:
        """Names of both camera_infos as a person knows them, for errors."""
        return (self.topics[0], self.topics[1]) if self.topics else (LEFT_INFO, RIGHT_INFO)

    def _info_topics(self) -> tuple[str, ...]:
        """The topics that describe the cameras, where the bag has them."""
        if not self.preset.camera_info or self.calibration_file:
            return ()
        found = []
        for name in self.images:
            places = info_places(name)
            info = next((place for place in places if (t := self.bag.topics.get(place)) and t.count), None)
            if info is None:
                raise InputError(
                    f"{self.path}: no calibration of {name}: its camera_info should be on {places[-1]}; record it too, "
                    "or give a file by --calibration-file (calibration_file: Kalibr, EuRoC, OpenCV, ROS); "
                    f"{listed(self.bag.topics)}"
                )
            found.append(info)
        if found[0] == found[1]:
            raise InputError(
                f"{self.path}: {found[0]} describes one camera, and both are needed; give a file by --calibration-file "
                "(calibration_file: Kalibr, EuRoC, OpenCV, ROS)"
            )
        return tuple(found)

    def _fixed_cameras(self, converts: bool) -> CameraRig | None:
        """The cameras to write and to rectify by; None where what is recorded is good as it is."""
        if not (self.preset.camera_info or self.calibration_file):
            size = self._size()
            if size not in KITTI_RIGS:
                sizes = ", ".join(f"{w} x {h}" for w, h in KITTI_RIGS)
                raise CalibrationError(
                    f"{self.path}: no camera_info, and images of {size[0]} x {size[1]} pixels match no known KITTI "
                    f"rig ({sizes}); record camera_info"
                )
            return CameraRig(KITTI_RIGS[size])
        rectify = how_to_rectify(self.rectify, self.assume_rectified, self.preset.rectified)
        if self.calibration_file:
            size = self._size()
            infos: list[Any] = list(read_calibration_file(self.calibration_file, size))
        else:
            infos = [self.first(topic) for topic in self.topics]
            lenses = [Lens.of(info) for info in infos]
            bent = any(lens.distorted or lens.turned for lens in lenses)
            if not (
                bent
                or must_rectify(lenses[0], lenses[1], rectify, self.images)
                or converts
                or self.preset.rectified
                or self.baseline
            ):
                return None
            size = self._size()
        if self.preset.rectified:
            # Some of these converters write the size of the images before their rectification, or exchange its sides.
            for info, topic in zip(infos, self.topics):
                if (info.width, info.height) != size:
                    self.remark(
                        f"{topic} says {info.width} x {info.height}; the images' {size[0]} x {size[1]} are taken"
                    )
                    info.width, info.height = size
        cameras = camera_rig(
            *infos,
            image_topics=self.images,
            info_topics=(str(self.calibration_file),) * 2 if self.calibration_file else self.named,
            rectify=rectify,
            size=size,
            baseline=self.baseline,
            remark=self.remark,
        )
        if cameras.ignored and not self.preset.rectified:
            why = "by its name, as image_proc leaves it" if rectify == AUTO else "as you said"
            self.remark(
                f"{self.named[0]} describes a distortion or a rotation, but {self.images[0]} is rectified {why}; its "
                "projection p is taken (--rectify always, if it isn't)"
            )
        return cameras

    def _offset(self) -> float:
        if "/" + DISPARITY_OFFSET in self.bag.topics:
            return float(self.first("/" + DISPARITY_OFFSET).data)
        # A fixed rig is told in camera_infos that share a principal point.
        own = self.rig.disparity_offset if self.rig else 0.0
        if not self.preset.disparity_offset:
            return own
        width = self.rig.width if self.rig else self.first(self.topics[0]).width
        return own + self.preset.offset_at(width)

    def _size(self) -> tuple[int, int]:
        """Width and height of the first image of one view, pixels."""
        conversion = Conversion(*self.images, lambda: None)
        for message in self.bag.messages([self.images[0]]):
            for view in conversion.take(message.topic, self.bag.decode(message)):
                return view.rgb.shape[1], view.rgb.shape[0]
        raise InputError(
            f"{self.path}: {next(iter(conversion.complaints.values()), f'no picture on {self.images[0]}')}"
        )

    def first(self, topic: str) -> Any:
        return self.bag.decode(self.first_message(topic))

    def first_message(self, topic: str) -> BagMessage:
        message = next(self.bag.messages([topic]), None)
        if message is None:
            raise InputError(f"{self.path}: broken bag: no message of {topic}, though its index counts some")
        return message

    def info_before(self, topic: str, moment: int | None) -> BagMessage:
        """The last camera_info before a moment of the recording; the first one where there is none before."""
        last = self.first_message(topic)
        if moment is not None:
            for message in self.bag.messages([topic], stop=moment):
                last = message
        return last
