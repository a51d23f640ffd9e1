# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A stereo pair with what is known of it, read when it is asked for; and sequences of such pairs."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from sicm_ros.errors import InputError, SicmError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.kitti.calibration import KittiCalibration
from sicm_ros.kitti.labels import Labels, parse_labels
from sicm_ros.kitti.splits import split_names
from sicm_ros.kitti.tree import Tree

PICTURES = (".png", ".jpg", ".jpeg")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class FrameFiles:
    """Where the parts of a frame lie in its tree.

    Attributes:
        left, right: paths of the images.
        calibration: path that the layout's calibration reader takes.
        labels, disparity: paths, or None.
        stamp: when the pair was taken, nanoseconds since 1970 or, in the odometry set, since the sequence began.
    """

    left: str
    right: str
    calibration: str
    labels: str | None = None
    disparity: str | None = None
    stamp: int | None = None


class StereoFrame:
    """One stereo pair. Everything is read at first use and kept as long as the frame is.

    Attributes:
        name: the frame's name, unique in its data set.
        left, right: uint8 (height, width, 3) RGB, the colour images.
        calibration: StereoCalibration of the pair.
        labels: Labels in the left colour camera's frame, or None where the frame has no labels.
        disparity: float32 (height, width), pixels of the left image, 0 where unknown; None where there is none.
        stamp: nanoseconds, or None where the layout tells no time.
        source: KittiCalibration as in the file; its left_origin_shift takes boxes from the file's axes to ours.
        files: where its parts lie.
    """

    def __init__(self, name: str, files: FrameFiles, frames: KittiFrames) -> None:
        self.name, self.stamp = name, files.stamp
        self.files, self._frames, self._tree = files, frames, frames.tree

    def __repr__(self) -> str:
        return f"StereoFrame({self.name!r})"

    @property
    def layout(self) -> str:
        """Name of the data set's layout."""
        return self._frames.layout

    @cached_property
    def left(self) -> np.ndarray:
        return self._image(0)

    @cached_property
    def right(self) -> np.ndarray:
        picture = self._image(1)
        if picture.shape[1::-1] != self.size:
            raise InputError(
                f"{self._tree.where(self.files.right)} is {picture.shape[1]} x {picture.shape[0]} pixels; expected "
                f"{self.size[0]} x {self.size[1]}, as its left image"
            )
        return picture

    @cached_property
    def source(self) -> KittiCalibration:
        with reader_at_fault(type(self._frames), f"frame {self.name}: calibration {self.files.calibration}"):
            return self._frames.read_calibration(self.files.calibration)

    @cached_property
    def calibration(self) -> StereoCalibration:
        return self.source.stereo(*self.size)

    @property
    def labelled(self) -> bool:
        """Whether the frame has a label file, known without reading it."""
        return self.files.labels is not None

    @cached_property
    def labels(self) -> Labels | None:
        if self.files.labels is None:
            return None
        with reader_at_fault(type(self._frames), f"frame {self.name}: labels {self.files.labels}"):
            return self._frames.labels_of(self)

    @property
    def truth(self) -> Labels:
        """The labels of a frame that must have some. Raises InputError for one without a label file."""
        if self.labels is None:
            raise InputError(f"{self.name} has no labels; expected a labelled frame")
        return self.labels

    @cached_property
    def disparity(self) -> np.ndarray | None:
        if self.files.disparity is None:
            return None
        stored = self._decode(self.files.disparity, cv2.IMREAD_UNCHANGED)
        if stored.dtype != np.uint16 or stored.shape[::-1] != self.size:
            raise InputError(
                f"{self._tree.where(self.files.disparity)} is {stored.dtype} {stored.shape}; expected a 16-bit grey "
                "PNG of its image's size, disparity * 256"
            )
        return stored.astype(np.float32) / 256

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the images, pixels."""
        if "left" not in self.__dict__:
            head = self._tree.read(self.files.left)[:24]
            if head.startswith(_PNG) and len(head) == 24:
                return struct.unpack(">II", head[16:24])  # a PNG tells its size before its pixels
        height, width = self.left.shape[:2]
        return width, height

    def _decode(self, path: str, flags: int) -> np.ndarray:
        return _decoded(self._tree, path, flags)

    def _image(self, side: int) -> np.ndarray:
        path = (self.files.left, self.files.right)[side]
        with reader_at_fault(type(self._frames), f"frame {self.name}: image {path}"):
            return self._frames.read_image(path, side)


def _decoded(tree: Tree, path: str, flags: int) -> np.ndarray:
    data = np.frombuffer(tree.read(path), np.uint8)
    picture = cv2.imdecode(data, flags) if len(data) else None
    if picture is None:
        raise InputError(f"{tree.where(path)} cannot be read as an image; fetch or render it again")
    return picture


@contextmanager
def reader_at_fault(reader: type, what: str) -> Iterator[None]:
    """Turn what a reader didn't foresee (a KeyError, say) into an InputError that names it and what it was reading."""
    try:
        yield
    except (SicmError, OSError, MemoryError):
        raise
    except Exception as error:
        name = f"{reader.__module__}.{reader.__qualname__}"
        raise InputError(f"{what}: the reader {name} failed ({error!r}); mend the file, or the reader") from error


class KittiFrames(Sequence[StereoFrame], ABC):
    """Frames of one layout. A layout says what it recognises, where files lie, and how a calibration reads.

    Args:
        root: folder or zip archive, or a Tree that was opened before.
        split: name of an index file in the data set (`ImageSets/<split>.txt`), path of one, or 'train', 'test' or
            drives, of frames named after their drive (splits/shared_frames.yaml).
        names: the frames to take, in this order.
        labelled: True leaves out frames without labels.

    Raises InputError for a root without frames, frames without their right image or calibration, two frames of one
    name, unknown names and unknown splits.
    """

    def __init__(
        self,
        root: str | Path | Tree,
        split: str | Path | None = None,
        names: Iterable[str] | None = None,
        labelled: bool = False,
    ) -> None:
        self.tree = root if isinstance(root, Tree) else Tree(root)
        with reader_at_fault(type(self), f"{self.tree.root}"):
            self._files = self.scan(split)
        whole = split is None or split in self.own_splits
        chosen = list(self._files) if split is None or whole else split_names(split, self._files, self.tree)
        if names is not None:
            wanted = set(chosen)
            chosen = [name for name in names if split is None or name in wanted]
        for name in chosen:
            if name not in self._files:
                some = next(iter(self._files))
                raise InputError(f"{self.tree.root}: no frame {name!r}; it has {len(self._files)}, such as {some!r}")
        self.names = [name for name in chosen if not labelled or self._files[name].labels]

    own_splits: tuple[str, ...] = ()  # splits that a layout makes by its folders
    layout = "kitti"  # the name by which `open_dataset` knows it

    @classmethod
    @abstractmethod
    def recognises(cls, tree: Tree) -> bool:
        """Return whether a tree is of this layout."""

    @abstractmethod
    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        """Return every frame of the tree by name, in order; InputError if there is none or a part is missing."""

    @abstractmethod
    def read_calibration(self, path: str) -> KittiCalibration:
        """Read the calibration of FrameFiles.calibration."""

    def read_labels(self, path: str) -> Labels:
        """Read the labels of FrameFiles.labels, in camera 0's axes; they are KITTI's unless a layout says otherwise."""
        return parse_labels(self.tree.text(path), self.tree.where(path))

    def labels_of(self, frame: StereoFrame) -> Labels:
        """Return the labels of a frame that has some, in the left camera's frame; for layouts whose labels need more
        than their file.
        """
        assert frame.files.labels is not None, "asked for only where there are some"
        return self.read_labels(frame.files.labels).moved(frame.source.left_origin_shift)

    def read_image(self, path: str, side: int) -> np.ndarray:
        """Return the rectified left (0) or right (1) image of a path, uint8 (height, width, 3) RGB."""
        return cv2.cvtColor(_decoded(self.tree, path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> StereoFrame: ...

    @overload
    def __getitem__(self, index: slice) -> list[StereoFrame]: ...

    def __getitem__(self, index: int | slice) -> StereoFrame | list[StereoFrame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.frame(self.names[index])

    def frame(self, name: str) -> StereoFrame:
        """Return the frame of a name."""
        return StereoFrame(name, self._files[name], self)
