"""The feature codec with its detector: images in, packets out; packets in, features and boxes out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sicm_ros.baseline.network import StereoPictureNetwork
from sicm_ros.bitstream import Packet
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.model.base import PairCodec, Reading, Symbols, level_of
from sicm_ros.model.folder import StoredModel, read_model
from sicm_ros.network import engine as engines
from sicm_ros.network.detector import STRIDE, Maps, Rigs, candidates
from sicm_ros.network.disparity import Features
from sicm_ros.network.quality import LEVELS, quality_level
from sicm_ros.network.runtime import fastest_type, quickest
from sicm_ros.network.suppression import suppress

LEAST_SCORE = 0.05  # detections below are noise; KITTI's curves end before
MOST_DETECTIONS = 50


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
        number_type: torch.dtype that was found to be the fastest here.
        engine: what runs the vehicle's side, "torch" or "openvino".
        last_timings: seconds by stage of the latest `encode`.
    """

    def __init__(self, stored: StoredModel, device: str = "cpu", engine: str = "torch") -> None:
        super().__init__(stored, device)
        self.number_type = fastest_type(self.device)
        self._compiled = self._compile(engine)
        self.last_timings: dict[str, float] = {}

    @property
    def engine(self) -> str:
        return "torch" if self._compiled is None else "openvino"

    def _compile(self, engine: str) -> engines.CompiledVehicle | None:
        """The vehicle's side in OpenVINO, if that is asked for; with "auto", if it is there and quicker here."""
        if engine not in engines.ENGINES:
            raise InputError(f"engine is {engine!r}; expected one of {', '.join(engines.ENGINES)}")
        on_cpu = self.device.type == "cpu"
        if engine == "torch" or (engine == "auto" and not (on_cpu and engines.installed())):
            return None
        if not on_cpu:
            raise InputError(f"engine is openvino, device is {self.device}; expected device cpu")
        compiled = engines.CompiledVehicle(self.network)
        if engine == "auto":
            pictures = np.zeros((2, self.config.input_height, self.config.input_width, 3), np.uint8)
            with self._inference():
                ways = {
                    "torch": lambda: self.network.analyse(
                        self.network.extract(self._views(pictures)), self._quality(0)
                    ),
                    "openvino": lambda: compiled(pictures, 0.0),
                }
                seconds = quickest(ways, 5)
            if seconds["torch"] < seconds["openvino"]:
                return None
        return compiled

    # Vehicle side

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
            calibration: of these pictures.
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

    def bits_map(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> np.ndarray:
        """float64 (2, input height / 16, input width / 16): bits that each cell of each latent costs (`latents`)."""
        level = quality_level(quality)
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
        results = iter(self._rebuild([r for r in read if isinstance(r, Reading)]))
        return [next(results) if isinstance(r, Reading) else r for r in read]

    def _rebuild(self, readings: list[Reading]) -> list[Result]:
        if not readings:
            return []
        clock = _Clock()
        clock.laps["entropy decoding"] = sum(r.seconds for r in readings)
        # Left views first, then the right ones, as everywhere.
        symbols = np.stack([r.symbols for r in readings], 1).reshape(-1, *readings[0].symbols.shape[1:])
        with self._inference():
            latents = torch.from_numpy(symbols).to(self.device, torch.float32, memory_format=torch.channels_last)
            quality = torch.tensor([r.packet.quality / LEVELS for r in readings], device=self.device)
            features = self.network.synthesise(latents, quality)
            clock.lap("feature decoder", self.device)
        calibrations = [r.calibration for r in readings]
        return self._analyse(features, calibrations, self.network.detector, clock, readings)

    # Both, and neither

    def detect_uncompressed(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Result:
        """What the uncompressed network, the teacher, makes of a pair: the ceiling, and the anchors' detector."""
        clock = _Clock()
        with self._inference():
            features = self.network.extract(self._views_of(left, right, calibration))
            clock.lap("backbone", self.device)
        return self._analyse(features, [calibration], self.network.reference, clock)[0]

    def extract(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Features:
        """Features of a pair at strides 4, 8 and 16, before any coding: tensors (2, C, h, w), left view first."""
        with self._inference():
            return self.network.extract(self._views_of(left, right, calibration))

    def detect_features(self, features: Features, calibration: StereoCalibration) -> Result:
        """What the uncompressed network makes of features as `extract` gives them, however they travelled."""
        return self._analyse(features, [calibration], self.network.reference, _Clock())[0]

    def describe(self) -> dict:
        """Name, fingerprint, licence, classes and input size."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint.hex(),
            "licence": self.licence,
            "classes": list(CLASSES),
            "backbone": self.config.backbone,
            "engine": self.engine,
            "input_width": self.config.input_width,
            "input_height": self.config.input_height,
        }

    def warm_up(self) -> None:
        """One pair of nothing through both sides, so that the first real one is as quick as the others."""
        calibration = StereoCalibration(700.0, 700.0, 600.0, 170.0, 0.5, 1242, 375)
        picture = np.zeros((375, 1242, 3), np.uint8)
        self.decode(self.encode(picture, picture, calibration))

    def _symbols(self, left, right, calibration, level: int, clock: _Clock) -> Symbols:
        pictures = self._pictures(left, right, calibration)
        clock.lap("resize")
        with self._inference():
            if self._compiled is not None:
                latents = self._compiled(pictures, level / LEVELS)
                clock.lap("backbone and feature encoder")
                return self._rounded(latents)
            features = self.network.extract(self._views(pictures))
            clock.lap("backbone", self.device)
            symbols = self._rounded(self.network.analyse(features, self._quality(level)))
            clock.lap("feature encoder", self.device)
        return symbols

    def _analyse(self, features, calibrations, detector, clock: _Clock, readings=None) -> list[Result]:
        """Features of one or several pairs to their results."""
        views = [self.view(c) for c in calibrations]
        rigs = Rigs.of([v.calibration for v in views], self.device)
        with self._inference():
            maps: Maps = detector(features, rigs)
            found = candidates(maps, rigs)
            cells = maps.disparity.float()[:, 0].cpu().numpy()
            clock.lap("detector", self.device)
        detections = [_detections(found, n, c) for n, c in enumerate(calibrations)]
        clock.lap("boxes")
        count = len(calibrations)
        timings = {stage: seconds / count for stage, seconds in clock.laps.items()}
        results = []
        for n, (calibration, view) in enumerate(zip(calibrations, views)):
            packet, symbols = (readings[n].packet, readings[n].symbols) if readings else (None, None)
            own = features if count == 1 else tuple(f[[n, n + count]] for f in features)
            disparity = cells[n] * (STRIDE * calibration.width / self.config.input_width)
            results.append(Result(detections[n], own, disparity, symbols, packet, view, dict(timings)))
        return results


def _detections(found, n: int, calibration: StereoCalibration) -> Detections:
    classes, scores, location, dimensions, rotation = (
        getattr(found, name)[n].double().cpu().numpy()
        for name in ("classes", "scores", "location", "dimensions", "rotation_y")
    )
    sane = np.isfinite(location).all(1) & np.isfinite(scores) & (location[:, 2] < 200) & (scores >= LEAST_SCORE)
    classes, scores, location, dimensions, rotation = (
        a[sane] for a in (classes.astype(np.int64), scores, location, dimensions, rotation)
    )
    kept = suppress(location, dimensions, rotation, scores)[:MOST_DETECTIONS]
    classes, scores, location, dimensions, rotation = (
        a[kept] for a in (classes, scores, location, dimensions, rotation)
    )
    boxes = image_boxes(location, dimensions, rotation, calibration)
    seen = (boxes[:, 2] - boxes[:, 0] > 1) & (boxes[:, 3] - boxes[:, 1] > 1)
    return Detections(classes[seen], scores[seen], location[seen], dimensions[seen], rotation[seen], boxes[seen])


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


def load(name_or_folder: str | Path = "default", device: str = "cpu", engine: str = "torch") -> Model:
    """A model that ships, by name, or of a folder; a PictureModel where the folder's kind is pictures.

    Args:
        device: where the network runs, "cpu" or "cuda".
        engine: of the vehicle's side: "torch"; "openvino", which takes seconds to load and a third less time a pair on
            a CPU; "auto", whichever is quicker here. Either one's packets are read by every decoder.

    Raises:
        ModelError: there is no such model, or a file of it is missing, broken or of another version.
        DependencyError: OpenVINO is asked for and isn't installed.
    """
    stored = read_model(name_or_folder)
    if isinstance(stored.network, StereoPictureNetwork):
        from sicm_ros.baseline.codec import PictureModel

        return PictureModel(stored, device)
    return Model(stored, device, engine)
