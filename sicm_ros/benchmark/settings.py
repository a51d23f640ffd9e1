# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Every point of every curve that a configuration asks for: which codec, how it is asked, and who looks at it.

Models are named with their fingerprint, so another model never finds another's files; where a model only looks at
others' images, with its detector's, so that a codec may learn on without the anchors being judged again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.benchmark.codecs import Mode, PictureCodec, codec_of
from sicm_ros.benchmark.coders import (
    CodedFeatures,
    CodedPictures,
    Coder,
    LearnedCodec,
    LearnedPictures,
    Ours,
    Uncompressed,
)
from sicm_ros.benchmark.config import BenchmarkConfig, DatasetConfig
from sicm_ros.benchmark.detectors import DETECTORS, Detector, ModelDetector
from sicm_ros.benchmark.feature_anchor import FeatureCodec
from sicm_ros.errors import InputError
from sicm_ros.model.folder import find_model, fingerprint, name_of

if TYPE_CHECKING:
    from sicm_ros.model import Model

OURS, STREAM, UNCOMPRESSED, ABLATION = "ours", "ours_stream", "uncompressed", "ablation_"


@dataclass(frozen=True)
class Setting:
    """One point of one curve.

    Attributes:
        anchor: name in results.json: "ours", "ours_stream", "uncompressed", "ablation_<name>", or an anchor's.
        variant: folder, and for people: what of it is being tried.
        quality: the codec's own; None for uncompressed images.
        codec: of PictureCodec, or "ours", "uncompressed", "features", "learned".
        mode, preset, input_size: see PictureCodec and CodedPictures.
        model: the model that codes, where one does.
        stream: whether our packets refer to the pair before; else each stands by itself.
        detectors: names or folders of the models that detect, or names of DETECTORS.
    """

    anchor: str
    variant: str
    quality: float | None
    codec: str
    detectors: tuple[str, ...]
    mode: Mode = "intra"
    preset: str = ""
    input_size: tuple[int, int] | None = None
    model: str = ""
    stream: bool = False

    @property
    def folder(self) -> Path:
        quality = "all" if self.quality is None else f"{self.quality:g}"
        return Path(self.anchor) / self.variant / quality

    def key(self, detector: str) -> str:
        """Return what a detector's files are named after."""
        return model_key(detector) if self.codec == OURS else detector_key(detector)

    @property
    def video(self) -> bool:
        """Whether a whole sequence is coded at once."""
        return self.stream or self.mode in ("interleaved", "stacked")

    def coder(self, threads: int = 1) -> Coder:
        """Return the coder of this setting; loads models."""
        if self.codec == UNCOMPRESSED or self.quality is None:
            return Uncompressed()
        if self.codec == OURS:
            return Ours(model_of(self.model), self.quality)
        if self.codec == "features":
            return CodedFeatures(model_of(self.model), FeatureCodec(self.preset, threads), self.quality)
        if self.codec == "learned":
            return LearnedPictures(image_model_of(self.model), self.quality)
        codec = PictureCodec(self.codec, self.mode, self.preset, threads, self.model)
        codec.check()
        return CodedPictures(codec, self.quality, self.input_size)


@lru_cache(maxsize=8)
def model_of(name: str) -> Model:
    """Return a model, loaded once in a process."""
    import sicm_ros

    return sicm_ros.load(name)


def detector_of(name: str) -> Detector:
    """Return a detector that a package adds, or that of a model, made once in a process."""
    return _added_detector(name) if name in DETECTORS else ModelDetector(model_of(name))


@lru_cache(maxsize=8)
def _added_detector(name: str) -> Detector:
    return DETECTORS[name]()


@lru_cache(maxsize=2)
def image_model_of(name: str) -> LearnedCodec:
    """Return a codec of stereo images, loaded once in a process."""
    from sicm_ros import baseline  # needs PyTorch, which a benchmark without such a codec doesn't

    return baseline.load(name)


@lru_cache(maxsize=8)
def model_key(name: str) -> str:
    """Return a model's name and fingerprint, fit for a folder's name."""
    return _key(name, fingerprint(find_model(name)))


@lru_cache(maxsize=8)
def detector_key(name: str) -> str:
    """Return the same of a model's detector of uncompressed images alone; name and version of any other detector."""
    if name in DETECTORS:
        return f"{name}-{DETECTORS[name].version}"
    return _key(name, fingerprint(find_model(name), ("backbone", "reference")))


def _key(name: str, digest: bytes) -> str:
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in name_of(name))
    return f"{plain}-{digest.hex()[:8]}"


@lru_cache(maxsize=8)
def weights_key(folder: Path) -> str:
    """Return what tells a folder of weights from others, fit for a folder's name; InputError if it holds none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder}: no weights in it; train them with `sicm bench zoo`")
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()[:8]


def settings(config: BenchmarkConfig, dataset: DatasetConfig) -> list[Setting]:
    """Return every point of every curve on a data set."""
    ours = config.model
    detectors = (ours, *config.detectors)
    points = [Setting(UNCOMPRESSED, "pictures", None, UNCOMPRESSED, detectors)]
    ablations = config.ablations.items() if dataset.ablations else ()
    for curve, model in ((OURS, ours), *((ABLATION + name, str(path)) for name, path in ablations)):
        points += [
            Setting(curve, model_key(model), quality, OURS, (model,), model=model) for quality in config.qualities
        ]
    temporal = model_of(ours).prior.temporal
    if dataset.video and temporal is not None:
        variant = f"{model_key(ours)}-{temporal.digest:08x}"  # which is no part of the model's fingerprint
        points += [Setting(STREAM, variant, q, OURS, (ours,), model=ours, stream=True) for q in config.qualities]
    network = model_of(ours).config
    for name, anchor in config.anchors.items():
        modes: tuple[Mode, ...] = ("interleaved", "stacked") if anchor.mode == "video" else (anchor.mode,)
        if (anchor.mode == "video" and not dataset.video) or name not in (dataset.anchors or config.anchors):
            continue
        for size, qualities in anchor.qualities.items():
            area = (network.input_width, network.input_height) if size == "input" else None
            for mode in modes:
                for preset in anchor.presets or (_preset(anchor.codec),):
                    if preset in anchor.presets and preset in dataset.without_presets:
                        continue
                    words = [mode if anchor.mode == "video" else "", preset]
                    model = ""
                    if anchor.codec in ("features", "learned"):
                        model = ours if anchor.codec == "features" else str(anchor.model)
                        words += [detector_key(model) if anchor.codec == "features" else model_key(model)]
                    else:
                        words += [f"input{area[0]}x{area[1]}" if area else "full"]
                        if anchor.model is not None:
                            model = str(anchor.model)
                            words += [weights_key(anchor.model)]
                    variant = "-".join(word for word in words if word)
                    whose = (ours,) if anchor.codec == "features" else detectors
                    points += [
                        Setting(name, variant, quality, anchor.codec, whose, mode, preset, area, model)
                        for quality in qualities
                    ]
    return points


def _preset(codec: str) -> str:
    """Return the encoder's preset where a configuration names none."""
    if codec == "features":
        return FeatureCodec().preset
    return "" if codec == "learned" else codec_of(codec).preset
