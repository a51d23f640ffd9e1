# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The feature codec with its detector: images in, packets out; packets in, features and boxes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sicm_ros.bitstream import Packet
from sicm_ros.engines import SIDES, Clock, Engine
from sicm_ros.engines.base import Features
from sicm_ros.engines.choice import make_engine
from sicm_ros.entropy.config import hyper_size
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.geometry.suppression import suppress
from sicm_ros.model.base import LATENT_STRIDE, PairCodec, Reading, Symbols, level_of, rounded
from sicm_ros.model.folder import FEATURES, StoredModel, open_model
from sicm_ros.model.pair import takes_pair
from sicm_ros.model.references import ReceivedPairs, SentPairs
from sicm_ros.network.candidates import Candidates, candidates
from sicm_ros.network.config import DetectorConfig, ErrorConfig
from sicm_ros.network.maps import STRIDE, Maps, Rigs
from sicm_ros.network.stages import Cost

LEAST_SCORE = 0.05  # detections below are noise; KITTI's curves end before
MOST_DETECTIONS = 50


@dataclass(frozen=True)
class Result:
    """What the remote side knows of a pair.

    Attributes:
        detections: boxes in the left camera's frame, best first.
        features: rebuilt features at strides 4, 8 and 16, (2, C, h, w), left view first: engine torch's are tensors,
            the others' arrays.
        disparity: float32 (input height / 4, input width / 4), pixels of the source image, of the left view.
        symbols: int32 (2, M, h, w), the latents exactly as they were sent; None for the uncompressed network.
        header: the packet; None for the uncompressed network.
        view: where the network's input lies in the source image.
        timings: seconds by stage.
    """

    detections: Detections
    features: Features
    disparity: np.ndarray
    symbols: np.ndarray | None
    header: Packet | None
    view: ModelView
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def left_features(self) -> np.ndarray:
        """float32 (C, h, w): rebuilt features of the left view at stride 4, in main memory whatever computed them."""
        features = self.features[0][0]
        return np.asarray(features.float().cpu() if hasattr(features, "cpu") else features, np.float32)


class Model(PairCodec):
    """A trained MVSFC-Net with its integer prior. `load` makes one.

    Attributes:
        computes: what really runs: engine, provider, number_type, device, threads.
        last_timings: seconds by stage of the latest `encode`.
    """

    def __init__(
        self,
        stored: StoredModel,
        device: str = "cpu",
        engine: str = "auto",
        number_type: str = "float32",
        sides: tuple[str, ...] = SIDES,
        threads: int = 0,
        callers: int = 1,
    ) -> None:
        super().__init__(stored)
        self._engine: Engine = make_engine(
            engine,
            stored.graphs,
            lambda: stored.network,
            stored.config,
            stored.prior,
            device,
            number_type,
            sides,
            threads,
            callers,
        )
        self.computes = self._engine.computes
        self.last_timings: dict[str, float] = {}

    @property
    def engine(self) -> str:
        """What runs the network: one of ENGINES."""
        return self.computes.engine

    @property
    def number_type(self) -> str:
        """What the network computes in: one of NUMBER_TYPES."""
        return self.computes.number_type

    @property
    def verified(self) -> str:
        """How far what it computes is from float32 in PyTorch on the processor, in words."""
        return self._engine.verified

    @property
    def network(self) -> Any:
        """The network in PyTorch; InputError if another engine computes it."""
        network = getattr(self._engine, "network", None)
        if network is None:
            raise InputError(f"engine {self.engine} has no network in PyTorch; load the model with engine torch")
        return network

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
        references: SentPairs | None = None,
    ) -> bytes:
        """Encode a stereo pair to a packet.

        Args:
            left, right: uint8 (height, width, 3), RGB, rectified.
            calibration: of these images. Instead of the three: one StereoPair, `encode(pair, quality=0.5)`.
            quality: 0 (fewest bytes) to 1.
            sequence: number of the pair; modulo 65536 in the packet.
            include_calibration: False if the receiver has the calibration.
            references: earlier pairs of the stream that the receiver has acknowledged; the packet refers to one, if
                there is one, and has fewer bytes for the same symbols. The pair is put among them.

        Raises:
            InputError: images of another type or size than the calibration's, or a quality out of range.
        """
        clock = Clock()
        level = level_of(quality)
        symbols = self._symbols(left, right, calibration, level, clock)
        data = self.write(symbols, calibration, level, sequence, include_calibration, references)
        clock.lap("entropy coding")
        self.last_timings = clock.laps
        return data

    @takes_pair
    def symbols(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> Symbols:
        """Return the symbols that `encode` would write."""
        return self._symbols(left, right, calibration, level_of(quality), Clock())

    @takes_pair
    def bits_map(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> np.ndarray:
        """Return the bits that each cell of each latent costs, float64 (2, input height / 16, input
        width / 16) (`latents`).
        """
        level = level_of(quality)
        symbols = self._symbols(left, right, calibration, level, Clock())
        return self.prior.bits_map(symbols.left, symbols.right, symbols.z, level)

    @property
    def latents(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """What each latent is about, and the view (0 left, 1 right) in whose cells it lies."""
        if self.config.codec.compensation:
            return ("appearance", 0), ("geometry", 0)
        return ("left view", 0), ("right view", 1)

    # Remote side

    def decode(
        self, data: bytes, calibration: StereoCalibration | None = None, references: ReceivedPairs | None = None
    ) -> Result:
        """Decode a packet to detections, rebuilt features and disparity.

        Args:
            data: what `encode` returned.
            calibration: of the source's images; needed if the packet has none.
            references: earlier pairs of the same stream; the pair is put among them.

        Raises:
            BitstreamError: the packet is damaged, of another model or version, or its calibration is not `calibration`.
            ReferenceMissingError: it refers to a pair that isn't among `references`.
        """
        return self._rebuild([self.read(data, calibration, references)])[0]

    def decode_many(
        self,
        packets: list[bytes],
        calibrations: list[StereoCalibration | None],
        references: Sequence[ReceivedPairs | None] | None = None,
    ) -> list[Result | BitstreamError]:
        """Decode packets of several vehicles in one pass through the network; return what `decode`
        returns, or raises, of each.

        A batch's boxes are those of its packets one by one up to float rounding. `timings` are the batch's, shared out
        evenly.
        """
        read: list[Reading | BitstreamError] = []
        known = [None] * len(packets) if references is None else references
        for data, calibration, earlier in zip(packets, calibrations, known, strict=True):
            try:
                read.append(self.read(data, calibration, earlier))
            except BitstreamError as error:
                read.append(error)
            except Exception as error:  # whatever it is, it is this packet's alone
                read.append(_unreadable(error))
        results = iter(self._rebuild_each([r for r in read if isinstance(r, Reading)]))
        return [next(results) if isinstance(r, Reading) else r for r in read]

    def _rebuild_each(self, readings: list[Reading]) -> list[Result | BitstreamError]:
        """Do as `_rebuild`; where a batch fails, one by one, so that one packet fails no other."""
        try:
            return list(self._rebuild(readings))
        except Exception as error:
            if len(readings) == 1:
                return [_unreadable(error)]
            return [result for reading in readings for result in self._rebuild_each([reading])]

    def _rebuild(self, readings: list[Reading]) -> list[Result]:
        if not readings:
            return []
        clock = Clock()
        clock.laps["entropy decoding"] = sum(r.seconds for r in readings)
        # Left views first, then the right ones, as everywhere.
        symbols = np.stack([r.symbols for r in readings], 1).reshape(-1, *readings[0].symbols.shape[1:])
        views = [r.view for r in readings]
        rigs = _rigs(views)
        features, maps = self._engine.maps(symbols, [r.packet.quality for r in readings], rigs, clock)
        return self._results(features, maps, rigs, views, clock, readings)

    # Both, and neither

    @takes_pair
    def detect_uncompressed(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Result:
        """Detect with the uncompressed network, the teacher: the ceiling, and the anchors' detector."""
        clock = Clock()
        features = self._engine.extract(self._pictures(left, right, calibration))
        clock.lap("backbone")
        return self._refer(features, calibration, clock)

    @takes_pair
    def extract(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Features:
        """Return features of a pair at strides 4, 8 and 16, before any coding, as `Result` has them."""
        return self._engine.extract(self._pictures(left, right, calibration))

    def detect_features(self, features: Features, calibration: StereoCalibration) -> Result:
        """Detect with the uncompressed network in features as `extract` gives them, however they travelled."""
        return self._refer(features, calibration, Clock())

    def costs(self) -> dict[str, Cost]:
        """Return stage of the network -> multiply-accumulates of a pair, and parameters."""
        return self._engine.costs()

    def operations(self, graph: str, repeats: int = 10) -> dict[str, float]:
        """Return kind of operation -> seconds in one pass of a graph, "vehicle" or "server".

        Raises:
            InputError: the engine doesn't tell; OpenVINO does.
        """
        tell = getattr(self._engine, "operations", None)
        if tell is None:
            raise InputError(f"engine {self.engine} does not tell what its operations take; expected openvino")
        return tell(graph, repeats)

    def describe(self) -> dict:
        """Name, fingerprint, licence, classes, input size, and what really computes."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint.hex(),
            "licence": self.licence,
            "classes": list(self.config.detector.classes),
            "backbone": self.config.backbone,
            **vars(self.computes),
            "verified": self.verified,
            "input_width": self.config.input_width,
            "input_height": self.config.input_height,
        }

    def warm_up(self, sides: tuple[str, ...] = SIDES) -> None:
        """Send one pair of nothing through the sides, so that the first real one is as quick as the others."""
        calibration = StereoCalibration(700.0, 700.0, 600.0, 170.0, 0.5, 1242, 375)
        picture = np.zeros((375, 1242, 3), np.uint8)
        if "vehicle" in sides:
            self.encode(picture, picture, calibration)
        if "server" in sides:  # which needs no graph of the vehicle
            self.decode(self.write(self._nothing(), calibration, level_of(0.5)))

    def _nothing(self) -> Symbols:
        """Return symbols that are all zero."""
        prior, height, width = self.config.codec.prior, self.config.input_height, self.config.input_width
        rows, columns = height // LATENT_STRIDE, width // LATENT_STRIDE
        latent = np.zeros((prior.channels, rows, columns), np.int32)
        hyper = np.zeros((prior.hyper_channels, *hyper_size(rows, columns)), np.int32) if prior.hyperprior else None
        return Symbols(latent, latent, hyper)

    def _symbols(self, left, right, calibration, level: int, clock: Clock) -> Symbols:
        pictures = self._pictures(left, right, calibration)
        clock.lap("resize")
        symbols = rounded(*self._engine.latents(pictures, level, clock), self.prior)
        clock.lap("rounding")
        return symbols

    def _refer(self, features: Features, calibration: StereoCalibration, clock: Clock) -> Result:
        """Return what the uncompressed network's detector makes of features."""
        views = [self.view(calibration)]
        rigs = _rigs(views)
        maps = self._engine.refer(features, rigs)
        clock.lap("detector")
        return self._results(features, maps, rigs, views, clock)[0]

    def _results(
        self,
        features: Features,
        maps: Maps,
        rigs: Rigs,
        views: list[ModelView],
        clock: Clock,
        readings: list[Reading] | None = None,
    ) -> list[Result]:
        """Turn features and maps of one or several pairs into their results."""
        found = candidates(maps, rigs, self.config.detector)
        cells = maps.disparity[:, 0]
        detections = [_detections(f, view, self.config.detector) for f, view in zip(found, views)]
        clock.lap("boxes")
        count = len(views)
        timings = {stage: seconds / count for stage, seconds in clock.laps.items()}
        results = []
        for n, view in enumerate(views):
            packet, symbols = (readings[n].packet, readings[n].symbols) if readings else (None, None)
            own = features if count == 1 else tuple(f[[n, n + count]] for f in features)
            disparity = cells[n] * (STRIDE * view.source.width / view.resized_width)
            results.append(Result(detections[n], own, disparity, symbols, packet, view, dict(timings)))
        return results


def _rigs(views: list[ModelView]) -> Rigs:
    return Rigs.of([view.calibration for view in views])


def _detections(found: Candidates, view: ModelView, config: DetectorConfig) -> Detections:
    """Return candidates of a pair that are worth a detection, in the images that the view is of."""

    def values(name: str) -> np.ndarray:
        return getattr(found, name).astype(np.float64)

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
    edges = image_boxes(boxes.location, boxes.dimensions, boxes.rotation_y, view.source)
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
    """Return `Detections.errors` of boxes: sigma (N,), scale of the depth's relative error, turn
    (N,), the heading's.
    """
    z = location[:, 2]
    depth = config.depth * math.sqrt(2) * sigma * z  # a Laplace distribution's deviation is sqrt(2) times its scale
    across = np.hypot(config.pixels * z / view.calibration.fx, config.size * dimensions[:, 2])
    vertical = np.hypot(config.pixels * z / view.calibration.fy, config.size * dimensions[:, 0])
    heading = np.minimum(config.heading * turn, math.pi / math.sqrt(3))  # at most that of any angle being as likely
    return np.stack([depth, across, vertical, heading], axis=1)


def _unreadable(error: Exception) -> BitstreamError:
    return BitstreamError(f"packet: can't be decoded ({type(error).__name__}: {error})")


def load(
    name_or_folder: str | Path = "default",
    device: str = "cpu",
    engine: str = "auto",
    number_type: str = "float32",
    sides: tuple[str, ...] = SIDES,
    threads: int = 0,
    callers: int = 1,
) -> Model:
    """Load a model that ships, by name, or from a folder.

    What computes is compared with PyTorch's float32 on a processor before it is used.

    Args:
        device: where the network runs, "cpu" or "cuda".
        engine: "openvino" or "onnxruntime", which run the graphs in the folder and need no PyTorch; "torch"; "auto",
            the first of these that is installed and right, OpenVINO first on x86. Any one's packets are read by
            every decoder.
        number_type: "float32", or "bfloat16" by torch, or by openvino where that is asked for by name: boxes and bytes
            are slightly others (`sicm bench types`).
        sides: which of "vehicle", "server" and "uncompressed" (the network without coding) are made ready and checked
            at once; the others are when they are first used.
        threads: of the processor; 0 takes all cores.
        callers: threads of yours that `decode` at the same time, and share the processor's; each pair takes longer, and
            together they answer more.

    Raises:
        ModelError: there is no such model, or a file of it is missing, broken or of another version.
        DependencyError: the engine isn't installed.
        VerificationError: the engine, device or type of number that is asked for computes wrongly on this machine.
    """
    return Model(open_model(name_or_folder, FEATURES), device, engine, number_type, sides, threads, callers)
