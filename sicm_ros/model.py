"""A model as users meet it: a folder in, packets and detections out.

A folder holds `config.yaml` (the network, the name, the licence), `weights.safetensors`, `tables.safetensors` (the
prior, in integers) and `MODEL_CARD.md`. No pickle is read, ever.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from sicm_ros.bitstream import FINGERPRINT_BYTES, Packet, identity, pack, unpack
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import BitstreamError, InputError, ModelError
from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.network import MVSFCNet, NetworkConfig
from sicm_ros.network.detector import STRIDE, Maps, Rigs, candidates
from sicm_ros.network.quality import LEVELS, quality_level
from sicm_ros.network.runtime import fastest_type, folded, keep_memory
from sicm_ros.network.stereo import Features
from sicm_ros.network.suppression import suppress

MODELS = Path(__file__).parent / "models"
LATENT_STRIDE = 16
LEAST_SCORE = 0.05  # detections below are noise; KITTI's curves end before
MOST_DETECTIONS = 50

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


class Model:
    """A trained MVSFC-Net with its integer prior. `load` makes one.

    Attributes:
        name, licence: as its card states them.
        fingerprint: bytes (8,), of weights, tables and configuration: both sides must have the same.
        number_type: torch.dtype that was found to be the fastest here.
        last_timings: seconds by stage of the latest `encode`.
    """

    def __init__(
        self,
        network: MVSFCNet,
        prior: IntegerPrior,
        name: str,
        licence: str,
        fingerprint: bytes,
        device: str,
        card: str = "",
    ) -> None:
        keep_memory()
        self.name, self.licence, self.fingerprint, self.card = name, licence, fingerprint, card
        self.config = network.config
        self.device = torch.device(device)
        self.network = folded(network).to(self.device, memory_format=torch.channels_last)
        self.prior = prior
        self.last_timings: dict[str, float] = {}
        self.number_type = fastest_type(self.device)
        self._views: dict[StereoCalibration, ModelView] = {}

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
        if not 0 <= quality <= 1:
            raise InputError(f"quality is {quality}; expected 0 to 1")
        level = quality_level(quality)
        left_symbols, right_symbols, z = self._symbols(left, right, calibration, level, clock)
        payload = self.prior.compress(left_symbols, right_symbols, z, level)
        packet = Packet(
            self.fingerprint[:FINGERPRINT_BYTES],
            calibration.width,
            calibration.height,
            level,
            sequence % 65536,
            identity(calibration),
            calibration if include_calibration else None,
            payload,
        )
        data = pack(packet)
        clock.lap("entropy coding")
        self.last_timings = clock.laps
        return data

    def bits_map(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> np.ndarray:
        """float64 (2, input height / 16, input width / 16): bits that each cell of each view costs."""
        level = quality_level(quality)
        return self.prior.bits_map(*self._symbols(left, right, calibration, level, _Clock()), level)

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
        read: list[_Reading | BitstreamError] = []
        for data, calibration in zip(packets, calibrations, strict=True):
            try:
                read.append(self._read_packet(data, calibration))
            except BitstreamError as error:
                read.append(error)
        results = iter(self._rebuild([r for r in read if isinstance(r, _Reading)]))
        return [next(results) if isinstance(r, _Reading) else r for r in read]

    def _read_packet(self, data: bytes, calibration: StereoCalibration | None) -> _Reading:
        start = time.perf_counter()
        packet = unpack(data)
        if packet.fingerprint != self.fingerprint[:FINGERPRINT_BYTES]:
            raise BitstreamError(
                f"packet: made by model {packet.fingerprint.hex()}, this is {self.name} "
                f"({self.fingerprint[:FINGERPRINT_BYTES].hex()}): both sides need the same model"
            )
        if packet.calibration is not None:
            calibration = packet.calibration
        elif calibration is None:
            raise BitstreamError("packet: holds no calibration and none was given: wait for the CodecDescription")
        elif identity(calibration) != packet.calibration_identity:
            raise BitstreamError("packet: made with another calibration than the one that was given")
        height, width = self.config.input_height // LATENT_STRIDE, self.config.input_width // LATENT_STRIDE
        left, right, _ = self.prior.decompress(packet.payload, height, width, packet.quality)
        return _Reading(packet, calibration, np.stack([left, right]), time.perf_counter() - start)

    def _rebuild(self, readings: list[_Reading]) -> list[Result]:
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
            "input_width": self.config.input_width,
            "input_height": self.config.input_height,
        }

    def view(self, calibration: StereoCalibration) -> ModelView:
        """Where the network looks in a camera's pictures."""
        if calibration not in self._views:
            if len(self._views) > 64:  # a camera that recalibrates for ever must not fill the memory
                self._views.clear()
            self._views[calibration] = ModelView.fit(calibration, self.config.input_width, self.config.input_height)
        return self._views[calibration]

    def warm_up(self) -> None:
        """One pair of nothing through both sides, so that the first real one is as quick as the others."""
        calibration = StereoCalibration(700.0, 700.0, 600.0, 170.0, 0.5, 1242, 375)
        picture = np.zeros((375, 1242, 3), np.uint8)
        self.decode(self.encode(picture, picture, calibration))

    def _symbols(self, left, right, calibration, level: int, clock: _Clock):
        with self._inference():
            views = self._views_of(left, right, calibration)
            clock.lap("resize")
            features = self.network.extract(views)
            clock.lap("backbone", self.device)
            latents = self.network.analyse(features, self._quality(level)).float()
            z = self.network.prior.analyse(*latents.chunk(2))
            symbols = torch.floor(latents + 0.5).to(torch.int32).cpu().numpy()
            z = None if z is None else torch.floor(z[0] + 0.5).to(torch.int32).cpu().numpy()
            clock.lap("feature encoder", self.device)
        return symbols[0], symbols[1], z

    def _views_of(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> torch.Tensor:
        for side, image in (("left", left), ("right", right)):
            if image.dtype != np.uint8 or image.shape != (calibration.height, calibration.width, 3):
                raise InputError(
                    f"{side} picture is {image.dtype} {image.shape}; expected uint8 ({calibration.height}, "
                    f"{calibration.width}, 3) as the calibration says"
                )
        view = self.view(calibration)
        pair = np.stack([view.apply(left), view.apply(right)])
        # A picture in memory is channels-last already: the permuted view is what the network wants.
        return torch.from_numpy(pair).to(self.device).permute(0, 3, 1, 2).float()

    def _quality(self, level: int) -> torch.Tensor:
        return torch.tensor([level / LEVELS], device=self.device)

    def _inference(self):
        return _Inference(self.device, self.number_type)

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


@dataclass(frozen=True)
class _Reading:
    """A packet whose payload is symbols again: int (2, channels, height / 16, width / 16), left view first."""

    packet: Packet
    calibration: StereoCalibration
    symbols: np.ndarray
    seconds: float


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


class _Inference:
    """No gradients, in the type that is fastest here."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._contexts = [torch.inference_mode()]
        if dtype != torch.float32:
            self._contexts.append(torch.autocast(device.type, dtype))

    def __enter__(self) -> None:
        for context in self._contexts:
            context.__enter__()

    def __exit__(self, *error) -> None:
        for context in reversed(self._contexts):
            context.__exit__(*error)


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


def find_model(name_or_folder: str | Path) -> Path:
    """The folder of a model, by path or by the name of one that ships."""
    for folder in (Path(name_or_folder), MODELS / name_or_folder):
        if (folder / "config.yaml").is_file():
            return folder
    names = sorted(p.parent.name for p in MODELS.glob("*/config.yaml"))
    raise ModelError(
        f"no model {str(name_or_folder)!r}: neither a folder with config.yaml nor one of {', '.join(names) or 'none'}"
    )


def load(name_or_folder: str | Path = "default", device: str = "cpu") -> Model:
    """A model that ships, by name, or of a folder.

    Raises:
        ModelError: there is no such model, or a file of it is missing, broken or of another version.
    """
    folder = find_model(name_or_folder)
    tree = _read_config(folder)
    network = MVSFCNet(tree["network"])
    weights = _read(folder / "weights.safetensors", load_file)
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except RuntimeError as error:
        raise ModelError(
            f"{folder}: weights and config.yaml don't belong together ({str(error).splitlines()[-1].strip()})"
        ) from None
    prior = IntegerPrior(network.config.codec.prior, _read(folder / "tables.safetensors", load_arrays))
    if tree["licence"] != "free":
        _log.warning(
            "model %s: licence %s, since it was trained on data under such a licence", tree["name"], tree["licence"]
        )
    card = folder / "MODEL_CARD.md"
    text = card.read_text() if card.is_file() else ""
    return Model(network.eval(), prior, tree["name"], tree["licence"], fingerprint(folder), device, text)


def fingerprint(folder: Path) -> bytes:
    """8 bytes that stand for a model: SHA-256 of weights, tables and network configuration, shortened."""
    digest = hashlib.sha256()
    for name in ("weights.safetensors", "tables.safetensors"):
        digest.update((folder / name).read_bytes())
    digest.update(json.dumps(_read_config(folder)["network"].model_dump(mode="json"), sort_keys=True).encode())
    return digest.digest()[:8]


def _read(path: Path, reader):
    try:
        return reader(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: {error}; fetch the model anew") from None


def _read_config(folder: Path) -> dict:
    try:
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        return {
            "name": str(tree["name"]),
            "licence": str(tree["licence"]),
            "network": NetworkConfig.model_validate(tree["network"]),
        }
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'config.yaml'}: {error}; expected a model of this version") from None


def load_weights(network: MVSFCNet, name_or_folder: str | Path, parts: tuple[str, ...] | None = None) -> None:
    """Copies a model folder's weights into a network of the same backbone; what has another shape stays as it is.

    Args:
        parts: modules of MVSFCNet to copy (backbone, encoder, ...); all of them by default.
    """
    path = find_model(name_or_folder) / "weights.safetensors"
    own = network.state_dict()
    fitting = {
        name: value.float() if value.is_floating_point() else value
        for name, value in _read(path, load_file).items()
        if name in own and own[name].shape == value.shape and (parts is None or name.split(".")[0] in parts)
    }
    if not any(name.startswith("backbone.") for name in fitting):
        raise ModelError(f"{path}: no weights of a {network.config.backbone} backbone; start from another model")
    network.load_state_dict(fitting, strict=False)


def save_model(network: MVSFCNet, folder: Path, name: str, licence: str, card: str = "") -> Path:
    """Writes a model folder: weights in half precision, the prior exported to integers. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous().clone()
        for k, v in network.state_dict().items()
    }
    save_file(weights, folder / "weights.safetensors")
    save_arrays(network.prior.export().arrays(), folder / "tables.safetensors")
    tree = {"name": name, "licence": licence, "network": network.config.model_dump(mode="json")}
    (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (folder / "MODEL_CARD.md").write_text(card or f"# {name}\n\nLicence: {licence}. Untrained.\n")
    return folder


def create(folder: Path, config: NetworkConfig | None = None, seed: int = 0) -> Path:
    """An untrained model folder: random weights, a working bitstream. For tests, and to begin a training with."""
    torch.manual_seed(seed)
    return save_model(MVSFCNet(config or NetworkConfig()), folder, name="untrained", licence="free")
