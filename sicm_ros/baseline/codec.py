# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A codec of stereo images as benchmarks meet it: a folder in, packets and images out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sicm_ros.baseline.config import PictureCodecConfig
from sicm_ros.baseline.network import StereoPictureNetwork
from sicm_ros.errors import ModelError
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.model.base import PairCodec, Symbols, level_of, rounded
from sicm_ros.model.folder import Kind, StoredModel, read_model, register
from sicm_ros.model.pair import takes_pair
from sicm_ros.network.config import LEVELS
from sicm_ros.network.runtime import Inference, folded, images_of, keep_memory

PICTURES = register(
    Kind("pictures", PictureCodecConfig, StereoPictureNetwork, "sicm_ros.baseline.load", "encoder.units.")
)


class PictureModel(PairCodec):
    """A trained StereoPictureNetwork with its integer prior. `load` makes one from a folder.

    Its packets are like those of features (docs/bitstream.md), and each holds its calibration. The network runs in
    float32 everywhere: where pixels are bright, numbers of bfloat16 lie a grey level apart.
    """

    def __init__(self, stored: StoredModel, device: str = "cpu") -> None:
        super().__init__(stored)
        keep_memory()
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("device is cuda, but torch sees no GPU here; set device to cpu")
        self.device = torch.device(device)
        network: Any = folded(stored.network)
        self.network: Any = network.to(self.device, memory_format=torch.channels_last)

    def _views_of(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Tensor:
        return images_of(self._pictures(left, right, calibration), self.device)

    def _rounded(self, latents: Tensor) -> Symbols:
        latents = latents.float()
        hyper = self.network.prior.analyse(*latents.chunk(2))
        return rounded(latents.cpu().numpy(), None if hyper is None else hyper[0].cpu().numpy(), self.prior)

    def _quality(self, level: int) -> Tensor:
        return torch.tensor([level / LEVELS], device=self.device)

    def _inference(self) -> Inference:
        return Inference(self.device, "float32")

    @takes_pair
    def encode_pictures(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> bytes:
        """Encode a stereo pair to a packet.

        Args:
            left, right: uint8 (height, width, 3), RGB, rectified.
            calibration: of these images.
            quality: 0 (fewest bytes) to 1.

        Raises:
            InputError: images of another type or size than the calibration's, or a quality out of range.
        """
        level = level_of(quality)
        with self._inference():
            latents = self.network.analyse(self._views_of(left, right, calibration), self._quality(level))
            symbols = self._rounded(latents)
        return self.write(symbols, calibration, level)

    def decode_pictures(self, data: bytes) -> ImagePair:
        """Decode a packet to the pair as reconstructed, uint8 (input height, input width, 3) RGB, and its calibration.

        Raises:
            BitstreamError: the packet is damaged, of another model or version, or holds no calibration.
        """
        reading = self.read(data, None)
        with self._inference():
            symbols = torch.from_numpy(reading.symbols)
            symbols = symbols.to(self.device, torch.float32, memory_format=torch.channels_last)
            pictures = self.network.synthesise(symbols, self._quality(reading.packet.quality))
            left, right = pictures.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return ImagePair(left, right, reading.view.calibration)

    def describe(self) -> dict:
        """Name, fingerprint, licence, input size and number of parameters."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint.hex(),
            "licence": self.licence,
            "input_width": self.config.input_width,
            "input_height": self.config.input_height,
            "parameters": sum(p.numel() for p in self.network.parameters()),
        }


def load(folder: str | Path, device: str = "cpu") -> PictureModel:
    """Load a folder of a codec of stereo images, as `sicm train lite_pictures` writes it.

    Args:
        device: where the network runs, "cpu" or "cuda".

    Raises:
        ModelError: there is no such folder, or it is of features, or a file of it is missing or broken.
    """
    return PictureModel(read_model(folder, PICTURES), device)
