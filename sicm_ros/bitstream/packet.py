# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The packet: what travels from the vehicle, a header of 24 bytes around the payload of the entropy coder.

docs/bitstream.md is the specification. A packet decodes by itself if it holds the calibration; without it, the receiver
must have it, and a short identity guards against the wrong one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sicm_ros.errors import BitstreamError, CalibrationError, InputError
from sicm_ros.geometry.calibration import MAX_IMAGE_SIDE, StereoCalibration

MAGIC = b"SICM"
VERSION = 2  # 1 had no excess beyond the ends of tables
# Flags; 0.9.0 knows the first one and refuses packets with others.
HAS_CALIBRATION, PADDED, HAS_REFERENCE = 1, 2, 4
OLDEST_REFERENCE = 8  # pairs that a reference may lie back
FINGERPRINT_BYTES = 4  # of the model's, which is longer
MAX_PAYLOAD = 1 << 20  # bytes; a hundred times what a model ever writes

# magic, version << 4 | flags, quality, sequence, fingerprint, calibration identity, width, height; then the checksum.
_HEADER = struct.Struct(f"<4sBBH{FINGERPRINT_BYTES}sIHH")
_CHECKSUM = struct.Struct("<I")
_CALIBRATION = struct.Struct("<6f")  # fx, fy, cx, cy, baseline, disparity_offset
_REFERENCE = struct.Struct("<BH")  # age | similarity << 4, identity
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
CALIBRATION_BYTES = _CALIBRATION.size
REFERENCE_BYTES = _REFERENCE.size


@dataclass(frozen=True)
class Reference:
    """The earlier pair that a payload can't be read without.

    Attributes:
        age: how many pairs it lies back, 1 to OLDEST_REFERENCE.
        similarity: 0 to 15, how much of it is still there; the prior is told.
        identity: `reference_identity` of its packet.
    """

    age: int
    similarity: int
    identity: int


@dataclass(frozen=True)
class Packet:
    """One coded pair.

    Attributes:
        fingerprint: the first FINGERPRINT_BYTES of the model's fingerprint.
        width, height: the source images' size, pixels.
        quality: 0 to 255.
        sequence: number of the pair, modulo 65536.
        calibration_identity: `identity` of the source's calibration.
        calibration: the source's calibration, rounded to float32, or None if the receiver has it.
        payload: what the entropy coder wrote.
        padded: the images lie between black columns of the model's input (`ModelView.padded`), instead of filling it.
        reference: the earlier pair that is needed to read it; None if it stands by itself.
    """

    fingerprint: bytes
    width: int
    height: int
    quality: int
    sequence: int
    calibration_identity: int
    calibration: StereoCalibration | None
    payload: bytes
    padded: bool = False
    reference: Reference | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole packet."""
        blocks = (CALIBRATION_BYTES if self.calibration else 0) + (REFERENCE_BYTES if self.reference else 0)
        return HEADER_BYTES + blocks + len(self.payload)


def refers(data: bytes) -> bool:
    """Return whether a packet that `pack` wrote has a reference."""
    return bool(data[len(MAGIC)] & HAS_REFERENCE)


def reference_identity(data: bytes, digest: int) -> int:
    """Return 16 bits that tell pairs of one number apart: of a pair's packet, and of the temporal prior's digest."""
    return zlib.crc32(data[_HEADER.size : HEADER_BYTES] + struct.pack("<I", digest)) & 0xFFFF


def identity(calibration: StereoCalibration) -> int:
    """Return 32 bits that tell calibrations apart: CRC-32 of the size and of the calibration block,
    as packets hold them.
    """
    return zlib.crc32(struct.pack("<HH", calibration.width, calibration.height) + _calibration_block(calibration))


def _calibration_block(calibration: StereoCalibration) -> bytes:
    c = calibration
    try:
        block = _CALIBRATION.pack(c.fx, c.fy, c.cx, c.cy, c.baseline, c.disparity_offset)
        _read_calibration(block, c.width, c.height)
    except (OverflowError, CalibrationError):
        raise CalibrationError(f"calibration: a value is beyond the range of float32: {c}") from None
    return block


def _read_calibration(block: bytes, width: int, height: int) -> StereoCalibration:
    fx, fy, cx, cy, baseline, disparity_offset = _CALIBRATION.unpack_from(block)
    return StereoCalibration(fx, fy, cx, cy, baseline, width, height, disparity_offset)


def pack(packet: Packet) -> bytes:
    """Write a packet as bytes.

    Raises:
        InputError: a field is out of range.
    """
    for name, value, most in (
        ("quality", packet.quality, 255),
        ("sequence", packet.sequence, 65535),
        ("calibration identity", packet.calibration_identity, 0xFFFFFFFF),
        ("payload size", len(packet.payload), MAX_PAYLOAD),
    ):
        if not 0 <= value <= most:
            raise InputError(f"packet: {name} is {value}; expected 0 to {most}")
    for name, value in (("width", packet.width), ("height", packet.height)):
        if not 1 <= value <= MAX_IMAGE_SIDE:
            raise InputError(f"packet: {name} is {value}; expected 1 to {MAX_IMAGE_SIDE}")
    if len(packet.fingerprint) != FINGERPRINT_BYTES:
        raise InputError(f"packet: fingerprint of {len(packet.fingerprint)} bytes; expected {FINGERPRINT_BYTES}")
    calibration = packet.calibration
    if calibration is not None and (calibration.width, calibration.height) != (packet.width, packet.height):
        raise InputError(
            f"packet: images are {packet.width} x {packet.height}, but their calibration is for "
            f"{calibration.width} x {calibration.height}"
        )
    reference, mark = packet.reference, b""
    if reference is not None:
        for name, value, least, most in (
            ("age", reference.age, 1, OLDEST_REFERENCE),
            ("similarity", reference.similarity, 0, 15),
            ("identity", reference.identity, 0, 65535),
        ):
            if not least <= value <= most:
                raise InputError(f"packet: {name} of the reference is {value}; expected {least} to {most}")
        mark = _REFERENCE.pack(reference.age | reference.similarity << 4, reference.identity)
    flags = (HAS_CALIBRATION if calibration else 0) | (PADDED if packet.padded else 0)
    flags |= HAS_REFERENCE if reference else 0
    header = _HEADER.pack(
        MAGIC,
        VERSION << 4 | flags,
        packet.quality,
        packet.sequence,
        packet.fingerprint,
        packet.calibration_identity,
        packet.width,
        packet.height,
    )
    body = (_calibration_block(calibration) if calibration else b"") + mark + packet.payload
    return header + _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(header))) + body


def unpack(data: bytes) -> Packet:
    """Read the packet that `pack` made bytes of.

    Raises:
        BitstreamError: the bytes aren't a packet, are damaged, or are of another version; the message says which.
    """
    data = bytes(data)
    if len(data) < HEADER_BYTES:
        raise BitstreamError(f"packet: {len(data)} bytes, but the header alone has {HEADER_BYTES}: it was truncated")
    if len(data) > HEADER_BYTES + CALIBRATION_BYTES + REFERENCE_BYTES + MAX_PAYLOAD:
        raise BitstreamError(f"packet: {len(data)} bytes, more than any packet can have")
    magic, version, quality, sequence, fingerprint, calibration_identity, width, height = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BitstreamError(f"packet: starts with {magic!r}, not with {MAGIC!r}: it is not a packet")
    version, flags = version >> 4, version & 15
    if version != VERSION:
        raise BitstreamError(f"packet: version {version}; this decoder reads version {VERSION}: update the older side")
    (checksum,) = _CHECKSUM.unpack_from(data, _HEADER.size)
    body = data[HEADER_BYTES:]
    actual = zlib.crc32(body, zlib.crc32(data[: _HEADER.size]))
    if checksum != actual:
        raise BitstreamError(f"packet: checksum {actual:08x}, expected {checksum:08x}: it was damaged in transit")
    if flags & ~(HAS_CALIBRATION | PADDED | HAS_REFERENCE):
        raise BitstreamError(f"packet: unknown flags {flags:#x}; update the decoder")
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= MAX_IMAGE_SIDE:
            raise BitstreamError(f"packet: {name} is {value}; expected 1 to {MAX_IMAGE_SIDE}")
    calibration = None
    if flags & HAS_CALIBRATION:
        if len(body) < CALIBRATION_BYTES:
            raise BitstreamError("packet: ends within its calibration")
        try:
            calibration = _read_calibration(body, width, height)
        except CalibrationError as error:
            raise BitstreamError(f"packet: {error}") from None
        if identity(calibration) != calibration_identity:
            raise BitstreamError("packet: its calibration does not match its header")
        body = body[CALIBRATION_BYTES:]
    reference = None
    if flags & HAS_REFERENCE:
        if len(body) < REFERENCE_BYTES:
            raise BitstreamError("packet: ends within the mark of its reference")
        first, of = _REFERENCE.unpack_from(body)
        reference = Reference(first & 15, first >> 4, of)
        if not 1 <= reference.age <= OLDEST_REFERENCE:
            raise BitstreamError(f"packet: a reference {reference.age} pairs old; expected 1 to {OLDEST_REFERENCE}")
        body = body[REFERENCE_BYTES:]
    if len(body) > MAX_PAYLOAD:
        raise BitstreamError(f"packet: payload of {len(body)} bytes, more than {MAX_PAYLOAD}")
    return Packet(
        fingerprint,
        width,
        height,
        quality,
        sequence,
        calibration_identity,
        calibration,
        body,
        bool(flags & PADDED),
        reference,
    )
