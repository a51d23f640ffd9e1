# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What every model that codes stereo pairs does alike: pictures in, packets out and in, whatever its network does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sicm_ros.bitstream import FINGERPRINT_BYTES, Packet, identity, pack, unpack
from sicm_ros.errors import BitstreamError, CalibrationError, InputError
from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.model.folder import StoredModel
from sicm_ros.network.quality import LEVELS, quality_level
from sicm_ros.network.runtime import NUMBER_TYPES, Inference, folded, keep_memory

LATENT_STRIDE = 16


@dataclass(frozen=True)
class Symbols:
    """Rounded latents of a pair: int32 (M, h, w) each, and the hyper latent's int32 (K, ceil(h / 4), ceil(w / 4))."""

    left: np.ndarray
    right: np.ndarray
    z: np.ndarray | None


@dataclass(frozen=True)
class Reading:
    """A packet whose payload is symbols again: int32 (2, M, h, w), left view first; `seconds` of entropy decoding."""

    packet: Packet
    calibration: StereoCalibration
    symbols: np.ndarray
    seconds: float


class PairCodec:
    """A network, its integer prior, and where they look in a camera's pictures.

    Attributes:
        name, licence, card: as its folder states them.
        fingerprint: bytes (8,), of weights, tables and configuration: both sides must have the same.
        number_type: what the network computes in, one of NUMBER_TYPES.
    """

    def __init__(self, stored: StoredModel, device: str = "cpu", number_type: str = "float32") -> None:
        if number_type not in NUMBER_TYPES:
            raise InputError(f"number_type is {number_type!r}; expected one of {', '.join(NUMBER_TYPES)}")
        keep_memory()
        self.name, self.licence, self.card = stored.name, stored.licence, stored.card
        self.fingerprint, self.prior = stored.fingerprint, stored.prior
        self.config = stored.network.config
        self.device = torch.device(device)
        # Weights that lie in memory as images do: convolutions are quicker so.
        network: Any = folded(stored.network)
        self.network: Any = network.to(self.device, memory_format=torch.channels_last)
        self.number_type = number_type
        self._known_views: dict[StereoCalibration, ModelView] = {}

    def view(self, calibration: StereoCalibration) -> ModelView:
        """Where the network looks in a camera's pictures."""
        known = self._known_views
        if calibration not in known:
            if len(known) > 64:  # a camera that recalibrates for ever must not fill the memory
                known.clear()
            known[calibration] = ModelView.fit(calibration, self.config.input_width, self.config.input_height)
        return known[calibration]

    def _pictures(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> np.ndarray:
        """What the network looks at of a pair: uint8 (2, H, W, 3), left first."""
        for side, image in (("left", left), ("right", right)):
            if image.dtype != np.uint8 or image.shape != (calibration.height, calibration.width, 3):
                raise InputError(
                    f"{side} picture is {image.dtype} {image.shape}; expected uint8 ({calibration.height}, "
                    f"{calibration.width}, 3) as the calibration says"
                )
        view = self.view(calibration)
        return np.stack([view.apply(left), view.apply(right)])

    def _views(self, pictures: np.ndarray) -> Tensor:
        """Pictures as the network takes them: (2, 3, H, W), 0 to 255."""
        # A picture in memory is channels-last already: the permuted view is what the network wants.
        return torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float()

    def _views_of(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Tensor:
        return self._views(self._pictures(left, right, calibration))

    def _rounded(self, latents: Tensor) -> Symbols:
        """The symbols of latents (2, M, h, w), left view first."""
        latents = latents.float()
        z = self.network.prior.analyse(*latents.chunk(2))
        left, right = torch.floor(latents + 0.5).to(torch.int32).cpu().numpy()
        return Symbols(left, right, None if z is None else torch.floor(z[0] + 0.5).to(torch.int32).cpu().numpy())

    def _packet(
        self,
        symbols: Symbols,
        calibration: StereoCalibration,
        level: int,
        sequence: int = 0,
        include_calibration: bool = True,
    ) -> bytes:
        """Symbols at a quality's level to a packet, with the calibration of the source's pictures."""
        packet = Packet(
            self.fingerprint[:FINGERPRINT_BYTES],
            calibration.width,
            calibration.height,
            level,
            sequence % 65536,
            identity(calibration),
            calibration if include_calibration else None,
            self.prior.compress(symbols.left, symbols.right, symbols.z, level),
        )
        return pack(packet)

    def _read_packet(self, data: bytes, calibration: StereoCalibration | None) -> Reading:
        """A packet to symbols; `calibration` is needed if it holds none.

        Raises:
            BitstreamError: it is damaged, of another model or version, or its calibration is not `calibration`.
        """
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
        try:
            if packet.calibration is None and identity(calibration) != packet.calibration_identity:
                raise BitstreamError("packet: made with another calibration than the one that was given")
            self.view(calibration)
        except CalibrationError as error:  # of a picture a pixel wide, or that no packet can hold
            raise BitstreamError(f"packet: pictures that no model looks at ({error})") from None
        height, width = self.config.input_height // LATENT_STRIDE, self.config.input_width // LATENT_STRIDE
        left, right, _ = self.prior.decompress(packet.payload, height, width, packet.quality)
        return Reading(packet, calibration, np.stack([left, right]), time.perf_counter() - start)

    def _quality(self, level: int) -> Tensor:
        return torch.tensor([level / LEVELS], device=self.device)

    def _inference(self) -> Inference:
        return Inference(self.device, self.number_type)


def level_of(quality: float) -> int:
    """The byte that stands for a quality that a user asked for; InputError if it isn't one."""
    if not 0 <= quality <= 1:
        raise InputError(f"quality is {quality}; expected 0 to 1")
    return quality_level(quality)
