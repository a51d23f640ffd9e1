# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The feature codec with its detector: images in, packets out; packets in, features and boxes out."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sicm_ros.bitstream import Packet
from sicm_ros.errors import BitstreamError, InputError, VerificationError
from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.model.base import PairCodec, Reading, Symbols, level_of
from sicm_ros.model.folder import FEATURES, StoredModel, read_model
from sicm_ros.model.pair import takes_pair
from sicm_ros.network import engine as engines
from sicm_ros.network.config import DetectorConfig, ErrorConfig
from sicm_ros.network.detector import STRIDE, Candidates, Maps, Rigs, candidates
from sicm_ros.network.disparity import Features
from sicm_ros.network.quality import LEVELS
from sicm_ros.network.runtime import folded
from sicm_ros.network.suppression import suppress
from sicm_ros.network.verification import (
    LEVEL,
    TOLERANCE,
    Probe,
    checked_layers,
    compare,
    server_values,
    vehicle_values,
)

LEAST_SCORE = 0.05  # detections below are noise; KITTI's curves end before
MOST_DETECTIONS = 50

_COMPILED = {"vehicle": engines.CompiledVehicle, "server": engines.CompiledServer}
_log = logging.getLogger("sicm_ros")


@dataclass(frozen=True)
class Result:
    """What the remote side knows of a pair.

    Attributes:
        detections: boxes in the left camera's frame, best first.
        features: rebuilt features at strides 4, 8 and 16, tensors (2, C, h, w), left view first.
        disparity: float32 (input height / 4, input width / 4), pixels of the source picture, of the left view.
        symbols: int32 (2, M, h, w), the latents exactly as they were sent; None for the uncompressed network.
        header: the packet; None for the uncompressed network.
        view: where the network's input lies in the source picture.
        timings: seconds by stage.
    """

    detections: Detections
    features: Features
    disparity: np.ndarray
    symbols: np.ndarray | None
    header: Packet | None
    view: ModelView
    timings: dict[str, float] = field(default_factory=dict)


class Model(PairCodec):
    """A trained MVSFC-Net with its integer prior. `load` makes one.

    Attributes:
        number_type: "float32" or "bfloat16".
        engine: what runs the network of packets, "torch" or "openvino".
        verified: how far what it computes is from float32 in PyTorch on the processor, in words.
        last_timings: seconds by stage of the latest `encode`.
    """

    def __init__(
        self,
        stored: StoredModel,
        device: str = "cpu",
        engine: str = "torch",
        number_type: str = "float32",
        sides: tuple[str, ...] = engines.SIDES,
    ) -> None:
        super().__init__(stored, device, number_type)
        self._compiled: dict[str, Any] = {}  # side -> CompiledVehicle, CompiledServer
        self.verified = "the reference itself"
        self._start(stored, engine, sides)
        self.last_timings: dict[str, float] = {}

    @property
    def engine(self) -> str:
        return "openvino" if self._compiled else "torch"

    def _start(self, stored: StoredModel, engine: str, sides: tuple[str, ...]) -> None:
        """Takes what was asked for, once it computes what PyTorch does in float32 on the processor.

        "auto" goes by what is installed and by that comparison, never by time: the same drive gives the same bytes.
        """
        if engine not in engines.ENGINES:
            raise InputError(f"engine is {engine!r}; expected one of {', '.join(engines.ENGINES)}")
        reference = self.device.type == "cpu" and self.number_type == "float32"
        if engine == "openvino" and not reference:
            raise InputError(
                f"engine openvino computes in float32 on the cpu; expected engine torch for number_type "
                f"{self.number_type} on {self.device}"
            )
        compiles = engine == "openvino" or (engine == "auto" and reference and engines.installed())
        if reference and not compiles:
            return
        probe = Probe.of(self.network if self.device.type == "cpu" else folded(stored.network))
        try:
            if compiles:
                self._compiled = {side: _COMPILED[side](self.network) for side in sides}
            self.verified = f"{self._verify(probe, sides):.1e} from torch in float32"
        except VerificationError as error:
            if not compiles:
                raise VerificationError(f"{error}; take number_type float32 and device cpu") from None
            if engine == "openvino":
                raise VerificationError(f"{error}; take engine torch") from None
            _log.warning("%s; engine torch takes its place", error)
            self._compiled = {}

    def _verify(self, probe: Probe, sides: tuple[str, ...]) -> float:
        """The largest difference from what was expected; VerificationError if it is more than rounding."""
        what = f"engine {self.engine} in {self.number_type} on {self.device}"
        tolerance, clock = TOLERANCE[self.number_type], _Clock()
        found: dict[str, Tensor] = {}
        expected: dict[str, Tensor] = {}
        with checked_layers(self.network):
            if "vehicle" in sides:
                found |= vehicle_values(self._latents(probe.pictures, LEVEL, clock))
                expected |= probe.vehicle
            if "server" in sides:
                found |= server_values(*self._maps(probe.symbols, [LEVEL], probe.rigs.to(self.device), clock))
                expected |= probe.server
        return compare(what, found, expected, tolerance)

    # Vehicle side

    @takes_pair
    def encode(
        self,
        left: np.ndarray,
        right: np.ndarray,
        calibration: StereoCalibration,
        quality: float = 0.5,
        sequence: int = 0,
        include_calibration: bool = True,
    ) -> bytes:
        """A stereo pair to a packet.

        Args:
            left, right: uint8 (height, width, 3), RGB, rectified.
            calibration: of these pictures. Instead of the three: one StereoPair, `encode(pair, quality=0.5)`.
            quality: 0 (fewest bytes) to 1.
            sequence: number of the pair; modulo 65536 in the packet.
            include_calibration: False if the receiver has the calibration.

        Raises:
            InputError: pictures of another type or size than the calibration's, or a quality out of range.
        """
        clock = _Clock()
        level = level_of(quality)
        symbols = self._symbols(left, right, calibration, level, clock)
        data = self._packet(symbols, calibration, level, sequence, include_calibration)
        clock.lap("entropy coding")
        self.last_timings = clock.laps
        return data

    @takes_pair
    def bits_map(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> np.ndarray:
        """float64 (2, input height / 16, input width / 16): bits that each cell of each latent costs (`latents`)."""
        level = level_of(quality)
        symbols = self._symbols(left, right, calibration, level, _Clock())
        return self.prior.bits_map(symbols.left, symbols.right, symbols.z, level)

    @property
    def latents(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """What each latent is about, and the view (0 left, 1 right) in whose cells it lies."""
        if self.config.codec.compensation:
            return ("appearance", 0), ("geometry", 0)
        return ("left view", 0), ("right view", 1)

    # Remote side

    def decode(self, data: bytes, calibration: StereoCalibration | None = None) -> Result:
        """A packet to detections, rebuilt features and disparity.

        Args:
            data: what `encode` returned.
            calibration: of the source's pictures; needed if the packet has none.

        Raises:
            BitstreamError: the packet is damaged, of another model or version, or its calibration is not `calibration`.
        """
        return self._rebuild([self._read_packet(data, calibration)])[0]

    def decode_many(
        self, packets: list[bytes], calibrations: list[StereoCalibration | None]
    ) -> list[Result | BitstreamError]:
        """Packets of several vehicles in one pass through the network: what `decode` returns, or raises, of each.

        A batch's boxes are those of its packets one by one up to float rounding. `timings` are the batch's, shared out
        evenly.
        """
        read: list[Reading | BitstreamError] = []
        for data, calibration in zip(packets, calibrations, strict=True):
            try:
                read.append(self._read_packet(data, calibration))
            except BitstreamError as error:
                read.append(error)
            except Exception as error:  # whatever it is, it is this packet's alone
                read.append(_unreadable(error))
        results = iter(self._rebuild_each([r for r in read if isinstance(r, Reading)]))
        return [next(results) if isinstance(r, Reading) else r for r in read]

    def _rebuild_each(self, readings: list[Reading]) -> list[Result | BitstreamError]:
        """As `_rebuild`; where a batch fails, one by one, so that one packet fails no other."""
        try:
            return list(self._rebuild(readings))
        except Exception as error:
            if len(readings) == 1:
                return [_unreadable(error)]
            return [result for reading in readings for result in self._rebuild_each([reading])]

    def _rebuild(self, readings: list[Reading]) -> list[Result]:
        if not readings:
            return []
        clock = _Clock()
        clock.laps["entropy decoding"] = sum(r.seconds for r in readings)
        # Left views first, then the right ones, as everywhere.
        symbols = np.stack([r.symbols for r in readings], 1).reshape(-1, *readings[0].symbols.shape[1:])
        calibrations = [r.calibration for r in readings]
        rigs = self._rigs(calibrations)
        features, maps = self._maps(symbols, [r.packet.quality for r in readings], rigs, clock)
        return self._results(features, maps, rigs, calibrations, clock, readings)

    # Both, and neither

    @takes_pair
    def detect_uncompressed(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Result:
        """What the uncompressed network, the teacher, makes of a pair: the ceiling, and the anchors' detector."""
        clock = _Clock()
        with self._inference():
            features = self.network.extract(self._views_of(left, right, calibration))
            clock.lap("backbone", self.device)
        return self._refer(features, calibration, clock)

    @takes_pair
    def extract(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Features:
        """Features of a pair at strides 4, 8 and 16, before any coding: tensors (2, C, h, w), left view first."""
        with self._inference():
            return self.network.extract(self._views_of(left, right, calibration))

    def detect_features(self, features: Features, calibration: StereoCalibration) -> Result:
        """What the uncompressed network makes of features as `extract` gives them, however they travelled."""
        return self._refer(features, calibration, _Clock())

    def describe(self) -> dict:
        """Name, fingerprint, licence, classes, input size, and what really computes."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint.hex(),
            "licence": self.licence,
            "classes": list(self.config.detector.classes),
            "backbone": self.config.backbone,
            "engine": self.engine,
            "number_type": self.number_type,
            "verified": self.verified,
            "input_width": self.config.input_width,
            "input_height": self.config.input_height,
        }

    def warm_up(self, sides: tuple[str, ...] = engines.SIDES) -> None:
        """Send one pair of nothing through the sides, so that the first real one is as quick as the others."""
        calibration = StereoCalibration(700.0, 700.0, 600.0, 170.0, 0.5, 1242, 375)
        picture = np.zeros((375, 1242, 3), np.uint8)
        packet = self.encode(picture, picture, calibration)
        if "server" in sides:
            self.decode(packet)

    def _symbols(self, left, right, calibration, level: int, clock: _Clock) -> Symbols:
        pictures = self._pictures(left, right, calibration)
        clock.lap("resize")
        latents = self._latents(pictures, level, clock)
        with self._inference():
            symbols = self._rounded(latents)
        clock.lap("backbone and feature encoder" if "vehicle" in self._compiled else "feature encoder")
        return symbols

    def _latents(self, pictures: np.ndarray, level: int, clock: _Clock) -> Tensor:
        """The vehicle's network: uint8 (2, H, W, 3) -> latents (2, M, h, w), not yet rounded."""
        if compiled := self._compiled.get("vehicle"):
            return compiled(pictures, level / LEVELS)
        with self._inference():
            features = self.network.extract(self._views(pictures))
            clock.lap("backbone", self.device)
            return self.network.analyse(features, self._quality(level))

    def _maps(self, symbols: np.ndarray, levels: list[int], rigs: Rigs, clock: _Clock) -> tuple[Features, Maps]:
        """The server's network: int32 (2B, M, h, w), B levels of quality and rigs -> features of both views, maps."""
        compiled = self._compiled.get("server")
        if compiled and len(levels) == 1:
            features, maps = compiled(symbols, levels[0] / LEVELS, rigs)
            clock.lap("feature decoder and detector")
            return features, maps
        with self._inference():
            latents = torch.from_numpy(symbols).to(self.device, torch.float32, memory_format=torch.channels_last)
            quality = torch.tensor([level / LEVELS for level in levels], device=self.device)
            features = self.network.synthesise(latents, quality)
            clock.lap("feature decoder", self.device)
            maps = self.network.detector(features, rigs)
            clock.lap("detector", self.device)
        return features, maps

    def _rigs(self, calibrations: list[StereoCalibration]) -> Rigs:
        return Rigs.of([self.view(c).calibration for c in calibrations], self.device)

    def _refer(self, features: Features, calibration: StereoCalibration, clock: _Clock) -> Result:
        """What the uncompressed network's detector makes of features."""
        rigs = self._rigs([calibration])
        with self._inference():
            maps = self.network.reference(features, rigs)
            clock.lap("detector", self.device)
        return self._results(features, maps, rigs, [calibration], clock)[0]

    def _results(self, features, maps: Maps, rigs: Rigs, calibrations, clock: _Clock, readings=None) -> list[Result]:
        """Features and maps of one or several pairs to their results."""
        with self._inference():
            found = candidates(maps, rigs, self.config.detector)
            cells = maps.disparity.float()[:, 0].cpu().numpy()
        detections = [_detections(found, n, c, self.view(c), self.config.detector) for n, c in enumerate(calibrations)]
        clock.lap("boxes")
        count = len(calibrations)
        timings = {stage: seconds / count for stage, seconds in clock.laps.items()}
        results = []
        for n, calibration in enumerate(calibrations):
            packet, symbols = (readings[n].packet, readings[n].symbols) if readings else (None, None)
            own = features if count == 1 else tuple(f[[n, n + count]] for f in features)
            disparity = cells[n] * (STRIDE * calibration.width / self.config.input_width)
            view = self.view(calibration)
            results.append(Result(detections[n], own, disparity, symbols, packet, view, dict(timings)))
        return results


def _detections(
    found: Candidates, n: int, calibration: StereoCalibration, view: ModelView, config: DetectorConfig
) -> Detections:
    """Candidates of the n-th pair that are worth a detection, in a picture of this calibration."""

    def values(name: str) -> np.ndarray:
        return getattr(found, name)[n].double().cpu().numpy()

    numbers = np.array([CLASSES.index(name) for name in config.classes])  # of the model's classes, among all
    chances = np.zeros((len(values("scores")), len(CLASSES)))
    chances[:, numbers] = values("chances")
    location, dimensions = values("location"), values("dimensions")
    deviations = _deviations(location, dimensions, values("sigma"), values("turn"), view, config.errors)
    boxes = Detections(
        numbers[values("classes").astype(np.int64)],
        values("scores"),
        location,
        dimensions,
        values("rotation_y"),
        np.zeros((len(location), 4)),
        deviations,
        chances,
    )
    sane = np.isfinite(location).all(1) & np.isfinite(boxes.scores) & (location[:, 2] < 200)
    boxes = boxes.take(sane & (boxes.scores >= LEAST_SCORE))
    kept = suppress(boxes.location, boxes.dimensions, boxes.rotation_y, boxes.scores)[:MOST_DETECTIONS]
    boxes = boxes.take(kept)
    edges = image_boxes(boxes.location, boxes.dimensions, boxes.rotation_y, calibration)
    seen = (edges[:, 2] - edges[:, 0] > 1) & (edges[:, 3] - edges[:, 1] > 1)
    return replace(boxes, image_boxes=edges).take(seen)


def _deviations(
    location: np.ndarray,
    dimensions: np.ndarray,
    sigma: np.ndarray,
    turn: np.ndarray,
    view: ModelView,
    config: ErrorConfig,
) -> np.ndarray:
    """`Detections.errors` of boxes: sigma (N,), scale of the depth's relative error, turn (N,), the heading's."""
    z = location[:, 2]
    depth = config.depth * math.sqrt(2) * sigma * z  # a Laplace distribution's deviation is sqrt(2) times its scale
    across = np.hypot(config.pixels * z / view.calibration.fx, config.size * dimensions[:, 2])
    vertical = np.hypot(config.pixels * z / view.calibration.fy, config.size * dimensions[:, 0])
    heading = np.minimum(config.heading * turn, math.pi / math.sqrt(3))  # at most that of any angle being as likely
    return np.stack([depth, across, vertical, heading], axis=1)


def _unreadable(error: Exception) -> BitstreamError:
    return BitstreamError(f"packet: can't be decoded ({type(error).__name__}: {error})")


class _Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str, device: torch.device | None = None) -> None:
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        self.laps[stage] = now - self._last
        self._last = now


def load(
    name_or_folder: str | Path = "default",
    device: str = "cpu",
    engine: str = "torch",
    number_type: str = "float32",
    sides: tuple[str, ...] = engines.SIDES,
) -> Model:
    """Load a model that ships, by name, or from a folder.

    What was asked for is compared with PyTorch's float32 on the processor before it is used.

    Args:
        device: where the network runs, "cpu" or "cuda".
        engine: "torch"; "openvino", which takes seconds to load and a third less time a pair on a CPU; "auto", openvino
            where it is installed and right, else torch. Either one's packets are read by every decoder.
        number_type: "float32", or "bfloat16", with which boxes are slightly others.
        sides: which of "vehicle" and "server" an engine is made for; the rest runs in PyTorch.

    Raises:
        ModelError: there is no such model, or a file of it is missing, broken or of another version.
        DependencyError: OpenVINO is asked for and isn't installed.
        VerificationError: the engine, device or type of number that is asked for computes wrongly on this machine.
    """
    return Model(read_model(name_or_folder, FEATURES), device, engine, number_type, sides)
