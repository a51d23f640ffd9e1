# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MPEG's way with features: uncompressed, quantised to 10 bits, tiled into images, coded by a video codec.

    features of three scales and both views -> 10 bits -> an image a view -> VVC, right view predicted from left

(The feature anchor of MPEG's Video Coding for Machines, there with one view.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sicm_ros.benchmark import ffmpeg
from sicm_ros.engines.base import Features, as_array
from sicm_ros.errors import InputError

BITS = 10
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Tiling:
    """Where the channels of every scale lie in a view's picture: each scale in rows of tiles, scales below each other.

    Attributes:
        shapes: channels, height, width of each scale.
        width: of the image, pixels; that of the scale with the widest maps, tiled nearly square.
    """

    shapes: tuple[Shape, ...]
    width: int

    @classmethod
    def of(cls, shapes: tuple[Shape, ...]) -> Tiling:
        channels, height, width = max(shapes, key=math.prod)
        columns = max(1, round(math.sqrt(channels * height / width)))
        widest = max(columns * width, *(shape[2] for shape in shapes))
        return cls(shapes, widest + widest % 2)

    def rows(self, shape: Shape) -> tuple[int, int]:
        """Return tiles in a row, and rows of tiles, of a scale."""
        columns = self.width // shape[2]
        return columns, -(-shape[0] // columns)

    @property
    def height(self) -> int:
        height = sum(self.rows(shape)[1] * shape[1] for shape in self.shapes)
        return height + height % 2

    def pack(self, scales: list[np.ndarray]) -> np.ndarray:
        """Lay maps (C, h, w) of each scale of one view out in an image (height, width); what no tile covers is 0."""
        picture = np.zeros((self.height, self.width), scales[0].dtype)
        top = 0
        for shape, maps in zip(self.shapes, scales):
            channels, h, w = shape
            columns, rows = self.rows(shape)
            tiles = np.zeros((rows * columns, h, w), maps.dtype)
            tiles[:channels] = maps
            block = tiles.reshape(rows, columns, h, w).swapaxes(1, 2).reshape(rows * h, columns * w)
            picture[top : top + rows * h, : columns * w] = block
            top += rows * h
        return picture

    def unpack(self, picture: np.ndarray) -> list[np.ndarray]:
        """Undo pack."""
        scales, top = [], 0
        for shape in self.shapes:
            channels, h, w = shape
            columns, rows = self.rows(shape)
            block = picture[top : top + rows * h, : columns * w]
            scales.append(block.reshape(rows, h, columns, w).swapaxes(1, 2).reshape(-1, h, w)[:channels])
            top += rows * h
        return scales


@dataclass(frozen=True)
class FeatureCodec:
    """The feature anchor.

    Attributes:
        preset: VVenC's.
        threads: of encoder and decoder.
    """

    preset: str = "faster"
    threads: int = 1

    def encode(self, features: Features, quality: float) -> list[bytes]:
        """Encode features of a pair to streams: the ranges of the scales (float16: lowest, highest), and VVC.

        Args:
            features: (2, C, h, w), left view first.
            quality: VVenC's quantiser, 0 (best) to 63.
        """
        scales = [as_array(scale) for scale in features]
        ranges = np.array([[scale.min(), scale.max()] for scale in scales], np.float16)
        if not np.isfinite(ranges).all():
            raise InputError(
                "features exceed the range of float16; the feature anchor cannot code this model's features"
            )
        steps = (1 << BITS) - 1
        coded = []
        for scale, (low, high) in zip(scales, ranges.astype(np.float32)):
            levels = (scale - low) * (steps / max(high - low, 1e-6))
            coded.append(np.rint(levels).clip(0, steps).astype(np.uint16))
        tiling = Tiling.of(tuple((c, h, w) for _, c, h, w in (scale.shape for scale in scales)))
        pictures = np.stack([tiling.pack([scale[view] for scale in coded]) for view in range(2)])
        own = "accessunitdelimiter=0:poc0idr=1"
        options = ["-c:v", "libvvenc", "-preset", self.preset, "-qp", f"{quality:g}", "-qpa", "0"]
        stream = ffmpeg.encode(pictures, [*options, "-vvenc-params", own, "-f", "vvc"], self.threads, 20)
        return [ranges.tobytes(), stream]

    def decode(self, streams: list[bytes], shapes: tuple[Shape, ...]) -> list[np.ndarray]:
        """Decode streams to features, float32 (2, C, h, w) of each scale; shapes (C, h, w) are the model's."""
        tiling = Tiling.of(shapes)
        ranges = np.frombuffer(streams[0], np.float16).astype(np.float32).reshape(-1, 2)
        pictures = ffmpeg.decode_luma(streams[1], "vvc", self.threads, tiling.width, tiling.height)
        if len(ranges) != len(shapes) or len(pictures) != 2:
            raise InputError(f"{len(ranges)} ranges, {len(pictures)} views; expected {len(shapes)} scales of 2 views")
        views = [tiling.unpack(picture) for picture in pictures]
        step = (ranges[:, 1] - ranges[:, 0]) / ((1 << BITS) - 1)
        return [np.stack([view[i] for view in views]) * step[i] + ranges[i, 0] for i in range(len(shapes))]
