"""A codec of stereo pictures as benchmarks meet it: a folder in, packets and pictures out."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import torch

from sicm_ros.errors import ModelError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.model.base import PairCodec, level_of


class PictureModel(PairCodec):
    """A trained StereoPictureNetwork with its integer prior. `sicm_ros.load` makes one of a folder of kind pictures.

    Its packets are like those of features (docs/bitstream.md), and each holds its calibration. The network runs in
    float32 everywhere: where pixels are bright, numbers of bfloat16 lie a grey level apart.
    """

    def encode_pictures(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float = 0.5
    ) -> bytes:
        """A stereo pair to a packet.

        Args:
            left, right: uint8 (height, width, 3), RGB, rectified.
            calibration: of these pictures.
            quality: 0 (fewest bytes) to 1.

        Raises:
            InputError: pictures of another type or size than the calibration's, or a quality out of range.
        """
        level = level_of(quality)
        with self._inference():
            latents = self.network.analyse(self._views_of(left, right, calibration), self._quality(level))
            symbols = self._rounded(latents)
        return self._packet(symbols, calibration, level)

    def decode_pictures(self, data: bytes) -> tuple[np.ndarray, np.ndarray, StereoCalibration]:
        """A packet to the pair as rebuilt, uint8 (input height, input width, 3) RGB, and these pictures' calibration.

        Raises:
            BitstreamError: the packet is damaged, of another model or version, or holds no calibration.
        """
        reading = self._read_packet(data, None)
        with self._inference():
            symbols = torch.from_numpy(reading.symbols)
            symbols = symbols.to(self.device, torch.float32, memory_format=torch.channels_last)
            pictures = self.network.synthesise(symbols, self._quality(reading.packet.quality))
            left, right = pictures.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return left, right, self.view(reading.calibration).calibration

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

    def _no_features(self, *_: object, **__: object) -> NoReturn:
        raise ModelError(
            f"model {self.name} codes pictures and detects nothing; expected a model of features, such as default"
        )

    # What a user of Model may ask of any model is refused in words.
    encode = decode = decode_many = bits_map = extract = warm_up = detect_uncompressed = detect_features = _no_features
