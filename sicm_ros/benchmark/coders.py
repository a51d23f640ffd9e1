# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Every way from frames to detections that a benchmark compares, behind one interface.

    frames -> encode -> streams (bytes, all that a receiver gets) -> decode -> pairs, features or packets -> detect ->
    detections in the source camera's frame

A coder takes groups of frames: one frame, or a sequence where it codes video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sicm_ros.benchmark.codecs import PictureCodec
from sicm_ros.benchmark.detectors import Detector
from sicm_ros.benchmark.feature_anchor import FeatureCodec
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import Detections, ImagePair, ModelView, StereoCalibration, StereoPair
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.model.base import level_of
from sicm_ros.model.references import ReceivedPairs, SentPairs

if TYPE_CHECKING:
    from sicm_ros.engines.base import Features
    from sicm_ros.model import Model


Found = list[list[Detections]]
"""Of each detector, of each frame."""


class Coder(Protocol):
    """One way to code groups of frames."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files of a group's streams (`store.stream_files`)."""

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        """Encode the frames of a group to streams, one for each suffix; ours: one for each frame."""

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> Sequence[Any]:
        """Return what detectors take, of each frame, from the streams and the frames' calibration alone."""

    def detect(self, frames: Sequence[StereoPair], decoded: Sequence[Any], detectors: Sequence[Detector]) -> Found:
        """Return what each detector finds in each frame, from what was decoded and the frames' calibration alone."""


@dataclass(frozen=True)
class Uncompressed:
    """Images as they are: the ceiling."""

    suffixes: tuple[str, ...] = ()

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        return []

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> Sequence[StereoPair]:
        return frames

    def detect(
        self, frames: Sequence[StereoPair], decoded: Sequence[StereoPair], detectors: Sequence[Detector]
    ) -> Found:
        return [_detected(detector, decoded) for detector in detectors]


@dataclass(frozen=True)
class Ours:
    """Our packets. That of a single frame has its calibration and decodes by itself; in a sequence each refers to the
    one before. Its own detector is the only one.

    Decoding a packet includes detection, so `decode` hands the packets on.
    """

    model: Model
    quality: float
    suffixes: tuple[str, ...] = ("sicm",)

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        """Return a packet for each frame. One that is referred to is read first, as its acknowledgement takes.

        Raises:
            BitstreamError: it holds other symbols than the frame by itself gives.
        """
        if len(frames) == 1:
            return [self.model.encode(frames[0], self.quality)]
        sent, received, level = SentPairs(), ReceivedPairs(), level_of(self.quality)
        packets = []
        for number, frame in enumerate(frames):
            symbols = self.model.symbols(frame, self.quality)
            packets.append(self.model.write(symbols, frame.calibration, level, number, references=sent))
            read = self.model.read(packets[-1], None, received).symbols
            if not np.array_equal(read, [symbols.left, symbols.right]):
                raise BitstreamError(f"packet {number} of a stream: other symbols than the pair by itself gives")
            sent.acknowledge(received.acknowledgement())
        return packets

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> Sequence[bytes]:
        return streams

    def detect(self, frames: Sequence[StereoPair], decoded: Sequence[bytes], detectors: Sequence[Detector]) -> Found:
        if len(decoded) == 1:
            results = [self.model.decode(decoded[0])]
        else:
            received = ReceivedPairs()
            results = [self.model.decode(packet, references=received) for packet in decoded]
        found = [result.detections for result in results]
        return [found for _ in detectors]


def of_model(model: Model, quality: float | None) -> Coder:
    """Return a model's own coder at a quality, 0 to 1; for None the one that compresses nothing."""
    return Uncompressed() if quality is None else Ours(model, quality)


@dataclass(frozen=True)
class CodedPictures:
    """A codec of images, at the camera's size or at that of the detector's input (width, height)."""

    codec: PictureCodec
    quality: float
    input_size: tuple[int, int] | None = None

    @property
    def suffixes(self) -> tuple[str, ...]:
        row = self.codec.row
        return (row.suffix,) if row.video else (f"left.{row.suffix}", f"right.{row.suffix}")

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        pictures = []
        for frame in frames:
            view = self._view(frame.calibration)
            pictures += [frame.left, frame.right] if view is None else [view.apply(frame.left), view.apply(frame.right)]
        if len({picture.shape for picture in pictures}) > 1:
            raise InputError("the images of a sequence differ in size; a video needs one size")
        return self.codec.encode(np.stack(pictures), self.quality)

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> list[ImagePair]:
        """Return the pairs as a receiver sees them."""
        calibrations = [self._calibration(frame.calibration) for frame in frames]
        decoded = self.codec.decode(streams, calibrations[0].width, calibrations[0].height)
        if len(decoded) != 2 * len(frames):
            raise InputError(f"{self.codec.codec}: {len(decoded)} images decoded; expected {2 * len(frames)}")
        return [ImagePair(decoded[2 * i], decoded[2 * i + 1], k) for i, k in enumerate(calibrations)]

    def detect(
        self, frames: Sequence[StereoPair], decoded: Sequence[ImagePair], detectors: Sequence[Detector]
    ) -> Found:
        sources = [frame.calibration for frame in frames]
        return [
            [_in_source(found, source) for found, source in zip(_detected(detector, decoded), sources)]
            for detector in detectors
        ]

    def _view(self, calibration: StereoCalibration) -> ModelView | None:
        return None if self.input_size is None else ModelView.fit(calibration, *self.input_size)

    def _calibration(self, calibration: StereoCalibration) -> StereoCalibration:
        view = self._view(calibration)
        return calibration if view is None else view.calibration


@dataclass(frozen=True)
class CodedFeatures:
    """Features of our uncompressed network, coded as MPEG's feature anchor does, for that network alone."""

    model: Model
    codec: FeatureCodec
    quality: float
    suffixes: tuple[str, ...] = ("ranges", "266")

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        (frame,) = frames
        return self.codec.encode(self.model.extract(frame), self.quality)

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> Sequence[Features]:
        config = self.model.config
        shapes = tuple(
            (channels, config.input_height // stride, config.input_width // stride)
            for channels, stride in zip(config.channels, (4, 8, 16))
        )
        low, middle, high = self.codec.decode(streams, shapes)
        return [(low, middle, high)]

    def detect(self, frames: Sequence[StereoPair], decoded: Sequence[Features], detectors: Sequence[Detector]) -> Found:
        both = zip(decoded, frames, strict=True)
        found = [self.model.detect_features(features, frame.calibration).detections for features, frame in both]
        return [found for _ in detectors]


class LearnedCodec(Protocol):
    """A model that codes stereo images, such as one with a bi-directional contextual transform (BCSIC)."""

    def encode_pictures(self, pair: StereoPair, /, quality: float) -> bytes:
        """Encode a pair, uint8 RGB, to a packet."""

    def decode_pictures(self, data: bytes) -> StereoPair:
        """Decode a packet to the pair as reconstructed."""


@dataclass(frozen=True)
class LearnedPictures:
    """A learned codec of stereo images, which a detector looks at."""

    model: LearnedCodec
    quality: float
    suffixes: tuple[str, ...] = ("sicp",)

    def encode(self, frames: Sequence[StereoPair]) -> list[bytes]:
        (frame,) = frames
        return [self.model.encode_pictures(frame, self.quality)]

    def decode(self, frames: Sequence[StereoPair], streams: list[bytes]) -> list[StereoPair]:
        """Return the pair as a receiver sees it."""
        return [self.model.decode_pictures(streams[0])]

    def detect(
        self, frames: Sequence[StereoPair], decoded: Sequence[StereoPair], detectors: Sequence[Detector]
    ) -> Found:
        (frame,) = frames
        return [[_in_source(_detected(d, decoded)[0], frame.calibration)] for d in detectors]


def _detected(detector: Detector, pairs: Sequence[StereoPair]) -> list[Detections]:
    return [detector.detect(pair) for pair in pairs]


def _in_source(detections: Detections, calibration: StereoCalibration) -> Detections:
    """Return boxes found in another cut of the picture: the same in space, projected into the camera's own."""
    boxes = image_boxes(detections.location, detections.dimensions, detections.rotation_y, calibration)
    return replace(detections, image_boxes=boxes)
