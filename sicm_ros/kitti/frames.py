"""A stereo pair with what is known of it, read when it is asked for."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.kitti.calibration import KittiCalibration
from sicm_ros.kitti.labels import Labels, parse_labels
from sicm_ros.kitti.tree import Tree

_PNG = b"\x89PNG\r\n\x1a\n"


class StereoFrame:
    """One stereo pair. Everything is read at first use and kept as long as the frame is.

    Attributes:
        name: the frame's name, unique in its data set.
        left, right: uint8 (height, width, 3) RGB, the colour pictures.
        calibration: StereoCalibration of the pair.
        labels: Labels in the left colour camera's frame, or None where the frame has no labels.
        disparity: float32 (height, width), pixels of the left picture, 0 where unknown; None where there is none.
        source: KittiCalibration as in the file; its left_origin_shift takes boxes to the labels' axes and back.
    """

    def __init__(
        self,
        tree: Tree,
        name: str,
        left: str,
        right: str,
        source: Callable[[], KittiCalibration],
        labels: str | None = None,
        disparity: str | None = None,
    ) -> None:
        self.name = name
        self._tree, self._left, self._right, self._source = tree, left, right, source
        self._labels, self._disparity = labels, disparity

    def __repr__(self) -> str:
        return f"StereoFrame({self.name!r})"

    @cached_property
    def left(self) -> np.ndarray:
        return self._image(self._left)

    @cached_property
    def right(self) -> np.ndarray:
        return self._image(self._right)

    @cached_property
    def source(self) -> KittiCalibration:
        return self._source()

    @cached_property
    def calibration(self) -> StereoCalibration:
        return self.source.stereo(*self.size)

    @cached_property
    def labels(self) -> Labels | None:
        if self._labels is None:
            return None
        labels = parse_labels(self._tree.text(self._labels), self._tree.where(self._labels))
        return labels.moved(self.source.left_origin_shift)

    @cached_property
    def disparity(self) -> np.ndarray | None:
        if self._disparity is None:
            return None
        stored = self._decode(self._disparity, cv2.IMREAD_UNCHANGED)
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise InputError(
                f"{self._tree.where(self._disparity)} is {stored.dtype} {stored.shape}; expected a 16-bit grey PNG, "
                "disparity * 256"
            )
        return stored.astype(np.float32) / 256

    @property
    def labelled(self) -> bool:
        """Whether the frame has a label file, known without reading it."""
        return self._labels is not None

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, pixels."""
        head = self._tree.read(self._left)[:24] if "left" not in self.__dict__ else b""
        if head.startswith(_PNG) and len(head) == 24:
            return struct.unpack(">II", head[16:24])  # a PNG says it at once
        height, width = self.left.shape[:2]
        return width, height

    def _decode(self, path: str, flags: int) -> np.ndarray:
        data = np.frombuffer(self._tree.read(path), np.uint8)
        image = cv2.imdecode(data, flags) if len(data) else None
        if image is None:
            raise InputError(f"{self._tree.where(path)} can't be read as a picture; fetch or render it again")
        return image

    def _image(self, path: str) -> np.ndarray:
        image = cv2.cvtColor(self._decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        if path == self._right and image.shape[1::-1] != tuple(self.size):
            raise InputError(
                f"{self._tree.where(path)} is {image.shape[1]} x {image.shape[0]} pixels; expected {self.size[0]} x "
                f"{self.size[1]}, as its left picture"
            )
        return image
