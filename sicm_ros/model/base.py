# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What every model that codes stereo pairs does alike: images in, packets out and in, whatever its network does."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sicm_ros.bitstream import (
    FINGERPRINT_BYTES,
    Packet,
    Reference,
    identity,
    pack,
    reference_identity,
    unpack,
)
from sicm_ros.entropy import IntegerPrior
from sicm_ros.entropy.temporal import Past
from sicm_ros.errors import BitstreamError, CalibrationError, InputError, ReferenceMissingError
from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.geometry.view import scaled_width
from sicm_ros.model.folder import StoredModel
from sicm_ros.model.references import KeptPair, ReceivedPairs, SentPairs
from sicm_ros.network.config import quality_level

LATENT_STRIDE = 16


@dataclass(frozen=True)
class Symbols:
    """Rounded latents of a pair: int32 (M, h, w) each, and the hyper latent's int32 (K, ceil(h / 4), ceil(w / 4)). A
    prior that rounds by itself takes them unrounded, as float32.
    """

    left: np.ndarray
    right: np.ndarray
    z: np.ndarray | None


def rounded(latents: np.ndarray, hyper: np.ndarray | None, prior: IntegerPrior) -> Symbols:
    """Return the symbols of latents (2, M, h, w), left view first, and of the hyper latent (K, ...):
    nearest integers, halves up. A prior that rounds by itself, around its means, gets the latents as they are.
    """
    if prior.rounds_itself:
        return Symbols(latents[0], latents[1], hyper)
    left, right = np.floor(latents + 0.5).astype(np.int32)
    return Symbols(left, right, None if hyper is None else np.floor(hyper + 0.5).astype(np.int32))


@dataclass(frozen=True)
class Reading:
    """A packet whose payload is symbols again.

    Attributes:
        view: where the encoder's network looked in the source's images.
        symbols: int32 (2, M, h, w), left view first.
        seconds: of entropy decoding.
    """

    packet: Packet
    view: ModelView
    symbols: np.ndarray
    seconds: float


class PairCodec:
    """What a model folder says, its integer prior, and where the network looks in a camera's images.

    Attributes:
        name, licence, card: as its folder states them.
        fingerprint: bytes (8,), of weights, tables and configuration: both sides must have the same.
        config: of the network.
    """

    def __init__(self, stored: StoredModel) -> None:
        self.name, self.licence, self.card = stored.name, stored.licence, stored.card
        self.fingerprint, self.prior = stored.fingerprint, stored.prior
        self.config = stored.config
        self._known_views: dict[tuple[StereoCalibration, bool], ModelView] = {}

    def view(self, calibration: StereoCalibration, fill: bool = False) -> ModelView:
        """Return where the network looks in a camera's images; `fill` as for `ModelView.fit`."""
        known, key = self._known_views, (calibration, fill)
        view = known.get(key)
        if view is None:
            if len(known) > 64:  # a camera that recalibrates for ever must not fill the memory
                known.clear()
            view = known[key] = ModelView.fit(calibration, self.config.input_width, self.config.input_height, fill)
        return view

    def _pictures(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> np.ndarray:
        """Return what the network looks at of a pair, whole or reduced by `view(...).reduction()`: uint8 (2, H, W, 3),
        left first.
        """
        view = self.view(calibration)
        by = view.reduction()
        allowed = [(calibration.height // n, calibration.width // n, 3) for n in (1, by)]
        for side, image in (("left", left), ("right", right)):
            if image.dtype != np.uint8 or image.shape not in allowed:
                raise InputError(
                    f"{side} image is {image.dtype} {image.shape}; expected uint8 ({calibration.height}, "
                    f"{calibration.width}, 3) as the calibration says"
                )
        return np.stack([view.apply(left), view.apply(right)])

    def write(
        self,
        symbols: Symbols,
        calibration: StereoCalibration,
        level: int,
        sequence: int = 0,
        include_calibration: bool = True,
        references: SentPairs | None = None,
    ) -> bytes:
        """Write symbols at a quality's level as a packet, with the calibration of the source's images.

        With `references`, the prior looks back at a pair that every decoder has, and the packet names it. Such a packet
        needs no calibration where that pair's was the same.
        """
        temporal = self.prior.temporal
        found = references.choose(sequence) if references is not None and temporal is not None else None
        past = mark = None
        if found is not None:
            past = self.prior.past(symbols.left, symbols.right, level, found.coded, found.age)
            mark = None if past is None else Reference(found.age, past.similarity, found.identity)
            include_calibration = include_calibration and found.calibration != calibration
        payload, coded = self.prior.write(symbols.left, symbols.right, symbols.z, level, past)
        packet = Packet(
            self.fingerprint[:FINGERPRINT_BYTES],
            calibration.width,
            calibration.height,
            level,
            sequence % 65536,
            identity(calibration),
            calibration if include_calibration else None,
            payload,
            scaled_width(calibration, self.config.input_width) < self.config.input_width,
            mark,
        )
        data = pack(packet)
        if references is not None and temporal is not None:
            references.keep(sequence, coded, reference_identity(data, temporal.digest), calibration)
        return data

    def read(
        self, data: bytes, calibration: StereoCalibration | None, references: ReceivedPairs | None = None
    ) -> Reading:
        """Read a packet's symbols; `calibration` is needed if it holds none, `references` if it refers to another pair.

        Raises:
            BitstreamError: it is damaged, of another model or version, or its calibration is not `calibration`.
            ReferenceMissingError: it refers to a pair that isn't among `references`.
        """
        start = time.perf_counter()
        packet = unpack(data)
        if packet.fingerprint != self.fingerprint[:FINGERPRINT_BYTES]:
            raise BitstreamError(
                f"packet: encoded by model {packet.fingerprint.hex()}, but this is {self.name} "
                f"({self.fingerprint[:FINGERPRINT_BYTES].hex()}): both sides need the same model"
            )
        past = None
        if packet.reference is not None:
            earlier = self._earlier(packet, packet.reference, references)
            past = Past(earlier.coded, packet.reference.age, packet.reference.similarity)
            if packet.calibration is None and identity(earlier.calibration) == packet.calibration_identity:
                calibration = earlier.calibration
        if packet.calibration is not None:
            calibration = packet.calibration
        elif calibration is None:
            raise BitstreamError("packet: no calibration in it, and none given: wait for the CodecDescription")
        try:
            if packet.calibration is None and identity(calibration) != packet.calibration_identity:
                raise BitstreamError("packet: encoded with a calibration other than the given one")
            # Without the flag the images fill the window: those of most cameras do, and 0.9.0 stretched all others.
            view = self.view(calibration, fill=not packet.padded)
        except CalibrationError as error:  # of an image a pixel wide, or that no packet can hold
            raise BitstreamError(f"packet: images that no model can process ({error})") from None
        if view.padded != packet.padded:
            raise BitstreamError("packet: says that its images were padded, which images of this angle are not")
        height, width = self.config.input_height // LATENT_STRIDE, self.config.input_width // LATENT_STRIDE
        coded = self.prior.read(packet.payload, (height, width), packet.quality, past)
        if references is not None and self.prior.temporal is not None:
            mark = reference_identity(data, self.prior.temporal.digest)
            references.keep(packet.sequence, coded, mark, calibration)
        return Reading(packet, view, self.prior.latents(coded), time.perf_counter() - start)

    def _earlier(self, packet: Packet, mark: Reference, references: ReceivedPairs | None) -> KeptPair:
        number = (packet.sequence - mark.age) % 65536
        found = None
        if references is not None and self.prior.temporal is not None:
            found = references.find(number, mark.identity)
        if found is None:
            raise ReferenceMissingError(
                f"packet {packet.sequence} refers to pair {number}, which is not here: it can't be decoded; the "
                "encoder sends pairs without reference once it knows, or always with references: off"
            )
        return found


def level_of(quality: float) -> int:
    """Return the byte that stands for a quality that a user asked for; InputError if it isn't one."""
    if not 0 <= quality <= 1:
        raise InputError(f"quality is {quality}; expected 0 to 1")
    return quality_level(quality)
