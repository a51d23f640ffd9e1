# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A drive in stereo, whatever it lies in, bag or KITTI folder: as messages of ROS stereo or as arrays."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import Bag, BagMessage, is_bag
from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.bags.choosing import choose, listed
from sicm_ros.bags.conversion import Conversion, View, rgb_of
from sicm_ros.bags.images import PixelDepth
from sicm_ros.bags.pairing import DEPTH, SIDES, TOLERANCE, StereoPairer
from sicm_ros.bags.presets import IMAGES, KITTI_RIGS, bare
from sicm_ros.bags.rig import CameraRig, camera_rig
from sicm_ros.bags.stamps import HEADER, Stamps, frame_in, stamp_in, with_stamp
from sicm_ros.bags.video import codec_of, is_key
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import ImagePair
from sicm_ros.geometry.calibration_file import read_calibration_file
from sicm_ros.geometry.rectification import AUTO, NEVER, RECTIFY, Lens, must_rectify, says_rectified

if TYPE_CHECKING:
    from sicm_ros.kitti import StereoFrame

# Names as our nodes have them: relative, so that a namespace moves them.
LEFT, RIGHT = "left/image_rect_color", "right/image_rect_color"
LEFT_INFO, RIGHT_INFO = "left/camera_info", "right/camera_info"
LABELS, TF_STATIC, DISPARITY_OFFSET = "labels", "/tf_static", "disparity_offset"
PERIOD = 100_000_000  # nanoseconds: KITTI's 10 Hz
EPOCH = 1_317_000_000 * 10**9  # nanoseconds since 1970, September 2011: where a folder tells no time
HORIZON, MOST = 10**10, 128  # nanoseconds and number of pictures that wait for a partner that was recorded late
FAILURES = 8  # pairs that can't be read, without one that can, after which the recording can't
KEPT = 32  # camera_info messages of one camera that are kept to find a picture's own

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedPair(ImagePair):
    """A pair with what else a recording tells of it.

    Attributes:
        stamp, right_stamp: of the left and the right image, nanoseconds since 1970.
        labels: objects that a person, or the renderer, marked; None where there are none. Left optical frame.
    """

    stamp: int
    labels: ros.Boxes | None
    right_stamp: int = 0


class StereoSource(ABC):
    """Stereo pairs in order, as messages on our own topic names, conformant to ROS stereo.

    Attributes:
        path: where it lies.
        layout: name of the preset, or `kitti`.
        compressed: pictures are CompressedImage, on <topic>/compressed.
        disparity_offset: pixels, which camera_info doesn't tell (see StereoCalibration).
        count: number of stereo pairs, or of pictures of the camera that has fewer.
        period: nanoseconds between two pairs, on average; None where nothing tells.
        tolerance: largest difference of the stamps of a pair, nanoseconds.
        assume_rectified, baseline: as for `camera_info.stereo_calibration`.
        rectify, calibration_file: as for `open_stereo`.
        lost: cause -> number of pictures without a partner (`unpaired`) and of pairs that couldn't be read (`image`,
            `calibration`), of the last run through `pairs`.
        remarks: what was mended or left out, in words, each once.
    """

    path: Path
    layout: str
    compressed: bool
    disparity_offset: float
    count: int
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

        Each picture comes right after a camera_info of its own stamp. `others` adds whatever else a bag holds, under
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
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{self.named[0]} is {sizes[0][0]} x {sizes[0][1]} pixels, {self.named[1]} {sizes[1][0]} x "
                f"{sizes[1][1]}; both images of a pair must have the same size"
            )
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
        return RecordedPair(images[0], images[1], calibration, stamps[0], labels, stamps[1])

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


def open_stereo(
    path: str | Path,
    preset: str = "auto",
    left: str = "",
    right: str = "",
    *,
    pair_tolerance: float = TOLERANCE * 1e-9,
    assume_rectified: bool = False,
    baseline: float = 0.0,
    rectify: str = AUTO,
    calibration_file: str | Path = "",
) -> StereoSource:
    """Return a bag or a KITTI folder (raw drive, object folder, odometry sequence) as a source of stereo pairs.

    Args:
        path: .mcap, .db3, .bag, a bag's folder, a KITTI folder or zip archive.
        preset: name of a bag layout (`presets.PRESETS`), `auto` finds it.
        left, right: image topics of a bag that has other names; one for both where its pictures hold both views, and
            one alone where the other one's name follows from it.
        pair_tolerance: seconds that the stamps of a pair may differ by, as the encoder has it.
        assume_rectified: the pictures of a bag are rectified although its camera_info has distortion.
        baseline: metres, in place of what camera_info says; 0 takes that.
        rectify: auto, always or never: whether a bag's pictures are rectified first (`geometry.rectification`).
        calibration_file: taken instead of a bag's camera_info (`geometry.calibration_file`).

    Raises:
        InputError: nothing of the kind, broken, or without a stereo pair.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such bag or folder; expected a bag (.mcap, .db3, .bag, a folder) or a KITTI folder"
        )
    if is_bag(path):
        tolerance = round(pair_tolerance * 1e9)
        return BagSource(path, preset, left, right, tolerance, assume_rectified, baseline, rectify, calibration_file)
    if path.is_file() and path.suffix != ".zip":
        raise InputError(f"{path}: neither a bag (.mcap, .db3, .bag, a folder) nor a KITTI folder or .zip")
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
        super().__init__()
        if not len(frames):
            raise InputError(f"{path}: no stereo frames found")
        self.period = PERIOD
        self.path, self.layout, self.frames = Path(path), "kitti", frames
        self.compressed, self._format, self._quality = compress is not None, compress, quality
        self.count = len(frames)
        self.disparity_offset = frames[0].calibration.disparity_offset

    def stamp(self, index: int) -> int:
        """Stamp of a frame's images, nanoseconds."""
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
    ) -> None:
        super().__init__(tolerance, assume_rectified, baseline)
        if rectify not in RECTIFY:
            raise InputError(f"rectify is {rectify!r}; expected {', '.join(RECTIFY)}")
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
            if max(counts) > 1 and self.bag.end > self.bag.start:
                self.period = (self.bag.end - self.bag.start) // (max(counts) - 1)
            self._infos = self._info_topics()
            # Videos, pictures of both views, and two kinds of messages are written as images of one view each.
            converts = len(kinds) > 1 or self._left == self._right or any(map(self._is_video, self.named))
            self.cameras = self._fixed_cameras(converts)
            self._converts = converts or self.rectifies
            self.compressed &= not self._converts
            self._rig = None if self.cameras is None else self.cameras.calibration
            self.disparity_offset = self._offset()
        except BaseException:
            self.bag.close()
            raise

    @property
    def named(self) -> tuple[str, str]:
        return self._left, self._right

    @property
    def named_infos(self) -> tuple[str, str]:
        return (self._infos[0], self._infos[1]) if self._infos else (LEFT_INFO, RIGHT_INFO)

    @property
    def rectifies(self) -> bool:
        """Whether the pictures are rectified here."""
        return self.cameras is not None and self.cameras.rectification is not None

    def _is_video(self, topic: str) -> bool:
        kind = self.bag.topics[topic].type
        if kind == "sensor_msgs/msg/Image":
            return False
        return kind != "sensor_msgs/msg/CompressedImage" or codec_of(self._first(topic)) is not None

    def close(self) -> None:
        self.bag.close()

    def types(self, others: bool = False) -> dict[str, str]:
        recorded = {name: topic.type for name, topic in self.bag.topics.items()}
        return {ours: recorded[name] for name, ours in self._names(others).items()} | _stereo_types(self)

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
        infos: dict[str, deque[BagMessage]] = {side: deque(maxlen=KEPT) for side in SIDES}
        sides = dict(zip(self.named, SIDES)) | dict(zip(self._infos, SIDES))
        if self._rig is None:
            for side, topic in zip(SIDES, self._infos):
                infos[side].append(self._info_before(topic, begin if start > 0 else None))
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
        return Conversion(*self.named, lambda: self.cameras.rectification if self.cameras else None)

    def _views(self, message: BagMessage) -> Iterator[View]:
        if self._conversion is not None and message.topic in self.named:
            yield from self._conversion.take(message.topic, self.bag.decode(message))

    def _written(self, view: View, arrival: int, stamps: Stamps) -> Iterator[BagMessage]:
        """A view as an Image under our name, behind its camera_info."""
        assert self._rig is not None
        side, frame = SIDES[view.side], view.header.frame_id
        stamp = stamps.time(side, ros.nanoseconds(view.header.stamp), arrival)
        info = ros.camera_info(self._rig, side, stamp, frame)
        yield _message((LEFT_INFO, RIGHT_INFO)[view.side], arrival, info)
        yield _message(self.topics[view.side], arrival, ros.image(view.rgb, stamp, frame))

    def _tell_losses(self, conversion: Conversion) -> None:
        """Notes what gave no picture, and how late a video's are."""
        for cause, number in conversion.skipped.items():
            self.remark(f"{number} messages contained no image; the first: {conversion.complaints[cause]}")
        if conversion.delay:
            self.remark(f"the video's images are complete {conversion.delay} messages late; their stamps are kept")

    def _key_before(self, moment: int) -> int:
        """When to begin to read, so that a video's pictures are there at a moment: its last key frame before."""
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
        """Whether all is there that is to come before a message; a image's own camera_info may be behind it."""
        if self._rig is not None or message.topic not in self.named:
            return True
        index = self.named.index(message.topic)
        topics, info = self.bag.topics, self._infos[index]
        if topics[info].count < topics[message.topic].count:  # not one for each picture
            return True
        return any(stamp_in(known.data) == stamp_in(message.data) for known in infos[SIDES[index]])

    def _renamed(
        self, message: BagMessage, names: dict[str, str], infos: dict[str, deque[BagMessage]], stamps: Stamps
    ) -> Iterator[BagMessage]:
        """A message under our name; a image behind a camera_info of its own stamp."""
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
            yield _message((LEFT_INFO, RIGHT_INFO)[index], message.stamp, info)
        else:
            known = infos[SIDES[index]]
            own = next((i for i in reversed(known) if stamp_in(i.data) == recorded), known[-1])
            data = with_stamp(own.data, stamp)
            yield replace(own, topic=(LEFT_INFO, RIGHT_INFO)[index], stamp=message.stamp, data=data)
        data = message.data if stamp == recorded else with_stamp(message.data, stamp)
        yield replace(message, topic=names[message.topic], data=data)

    def _info_before(self, topic: str, moment: int | None) -> BagMessage:
        """The last camera_info before a moment of the recording; the first one where there is none before."""
        last = self._first_message(topic)
        if moment is not None:
            for message in self.bag.messages([topic], stop=moment):
                last = message
        return last

    def _info_topics(self) -> tuple[str, ...]:
        """The topics that describe the cameras, where the bag has them."""
        if not self.preset.camera_info or self.calibration_file:
            return ()
        found = []
        for name in self.named:
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

    def _first_message(self, topic: str) -> BagMessage:
        message = next(self.bag.messages([topic]), None)
        if message is None:
            raise InputError(f"{self.path}: broken bag: no message of {topic}, though its index counts some")
        return message

    def _first(self, topic: str) -> Any:
        return self.bag.decode(self._first_message(topic))

    def _size(self) -> tuple[int, int]:
        """Width and height of the first picture of one view, pixels."""
        conversion = Conversion(*self.named, lambda: None)
        for message in self.bag.messages([self._left]):
            for view in conversion.take(message.topic, self.bag.decode(message)):
                return view.rgb.shape[1], view.rgb.shape[0]
        raise InputError(f"{self.path}: {next(iter(conversion.complaints.values()), f'no picture on {self._left}')}")

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
        rectify = self.rectify
        if rectify == AUTO and (self.preset.rectified or self.assume_rectified):
            rectify = NEVER
        if self.calibration_file:
            size = self._size()
            infos: list[Any] = list(read_calibration_file(self.calibration_file, size))
        else:
            infos = [self._first(topic) for topic in self._infos]
            lenses = [Lens.of(info) for info in infos]
            bent = any(lens.distorted or lens.turned for lens in lenses)
            if not (
                bent
                or must_rectify(lenses[0], lenses[1], rectify, self.named)
                or converts
                or self.preset.rectified
                or self.baseline
            ):
                return None
            size = self._size()
        if self.preset.rectified:
            # Some of these converters write the size of the pictures before their rectification, or exchange its sides.
            for info, topic in zip(infos, self._infos):
                if (info.width, info.height) != size:
                    self.remark(
                        f"{topic} says {info.width} x {info.height}; the images' {size[0]} x {size[1]} are taken"
                    )
                    info.width, info.height = size
        cameras = camera_rig(
            *infos,
            image_topics=self.named,
            info_topics=(str(self.calibration_file),) * 2 if self.calibration_file else self.named_infos,
            rectify=rectify,
            size=size,
            baseline=self.baseline,
            remark=self.remark,
        )
        if cameras.ignored and not self.preset.rectified:
            why = "by its name, as image_proc leaves it" if rectify == AUTO else "as you said"
            self.remark(
                f"{self.named_infos[0]} describes a distortion, but {self._left} is rectified {why}; its projection "
                "p is taken (--rectify always, if it isn't)"
            )
        return cameras

    def _offset(self) -> float:
        if "/" + DISPARITY_OFFSET in self.bag.topics:
            return float(self._first("/" + DISPARITY_OFFSET).data)
        # A fixed rig is told in camera_infos that share a principal point.
        own = self._rig.disparity_offset if self._rig else 0.0
        if not self.preset.disparity_offset:
            return own
        width = self._rig.width if self._rig else self._first(self._infos[0]).width
        return own + self.preset.disparity_offset * width / 1242


def info_places(topic: str) -> list[str]:
    """Return where the camera_info of an image topic may be; ROS' own place last."""
    folder, _, name = bare(topic).rpartition("/")
    places = [
        f"{folder}/{name}/camera_info",
        f"{folder}/{name.replace('image', 'camera_info')}",
        f"{folder}/camera_info",
    ]
    if says_rectified(topic):  # NVIDIA's has two
        places.insert(0, f"{folder}/camera_info_rect")
    return [place for place in places if place != bare(topic)]


def _stereo_types(source: StereoSource) -> dict[str, str]:
    kind = "sensor_msgs/msg/CompressedImage" if source.compressed else "sensor_msgs/msg/Image"
    infos = dict.fromkeys((LEFT_INFO, RIGHT_INFO), "sensor_msgs/msg/CameraInfo")
    return dict.fromkeys(source.topics, kind) | infos | {DISPARITY_OFFSET: "std_msgs/msg/Float64"}


def _message(topic: str, stamp: int, message: Any) -> BagMessage:
    return BagMessage(topic, message.__msgtype__, stamp, ros.serialize(message))
