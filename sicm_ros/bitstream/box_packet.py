# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Boxes without features: what travels when the link can't carry a feature packet, or nobody wants one.

A header of 20 bytes and 19 bytes a box; docs/bitstream.md is the specification. It needs no model to be read, but says
which one found the boxes.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from sicm_ros.bitstream import FINGERPRINT_BYTES
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES
from sicm_ros.geometry.calibration import MAX_IMAGE_SIDE

MAGIC = b"SICB"
VERSION = 2
MAX_BOXES = 255

# magic, version, number of boxes, sequence, fingerprint, width and height of the source images; then the checksum.
_HEADER = struct.Struct(f"<4sBBH{FINGERPRINT_BYTES}sHH")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
_BOX = np.dtype(
    [
        ("class_id", "u1"),
        ("score", "u1"),  # 1 / 255
        ("location", "<i2", 3),  # centimetres
        ("dimensions", "<u2", 3),  # centimetres
        ("rotation", "i1"),  # 1 / 128 of half a turn: 1.4 degrees
        ("errors", "u1", 4),  # _LEAST_ERROR times 2 to the power of (n - 1) / 16: steps of 4 per cent; 0 for unknown
    ]
)
BOX_BYTES = _BOX.itemsize
_CENTIMETRES, _HALF_TURN, _SCORES = 100.0, 128 / np.pi, 255.0
_LEAST_ERROR, _DOUBLING = 1e-3, 16  # metres or radians; steps


def pack_boxes(detections: Detections, fingerprint: bytes, sequence: int, width: int, height: int) -> bytes:
    """Write detections of one pair as bytes, the best MAX_BOXES of them.

    Args:
        detections: boxes in the left camera's frame, best first.
        fingerprint: of the model that found them; its first FINGERPRINT_BYTES travel.
        sequence: number of the pair; modulo 65536 in the packet.
        width, height: of the source images, pixels.

    Raises:
        InputError: a box is further away than the format reaches (327 m), or a value is not finite.
    """
    count = min(len(detections.scores), MAX_BOXES)
    boxes = np.zeros(count, _BOX)
    fields = (
        ("score", detections.scores, _SCORES, 0, 255),
        ("location", detections.location, _CENTIMETRES, -32768, 32767),
        ("dimensions", detections.dimensions, _CENTIMETRES, 0, 65535),
    )
    for name, values, scale, low, high in fields:
        steps = np.rint(np.asarray(values, np.float64)[:count] * scale)
        if not ((steps >= low) & (steps <= high)).all():
            raise InputError(f"box packet: a {name} is out of range, {low / scale:g} to {high / scale:g}")
        boxes[name] = steps
    boxes["class_id"] = np.asarray(detections.classes)[:count]
    turn = np.rint(np.asarray(detections.rotation_y, np.float64)[:count] * _HALF_TURN)
    if not np.isfinite(turn).all():
        raise InputError("box packet: a rotation is not finite")
    errors = np.asarray(detections.errors, np.float64)[:count]
    steps = 1 + _DOUBLING * np.log2(np.fmax(errors, _LEAST_ERROR) / _LEAST_ERROR)
    boxes["errors"] = np.where(np.isfinite(errors), np.rint(steps).clip(1, 255), 0)
    boxes["rotation"] = (turn.astype(np.int64) + 128) % 256 - 128
    header = _HEADER.pack(MAGIC, VERSION, count, sequence % 65536, fingerprint[:FINGERPRINT_BYTES], width, height)
    body = boxes.tobytes()
    return header + _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(header))) + body


def unpack_boxes(data: bytes) -> tuple[Detections, bytes, int]:
    """Read what `pack_boxes` was given: detections (image boxes are zero), fingerprint (shortened), sequence.

    Raises:
        BitstreamError: the bytes aren't a box packet, are damaged or of another version; the message says which.
    """
    data = bytes(data)
    if len(data) < HEADER_BYTES:
        raise BitstreamError(
            f"box packet: {len(data)} bytes, but the header alone has {HEADER_BYTES}: it was truncated"
        )
    magic, version, count, sequence, fingerprint, width, height = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BitstreamError(f"box packet: starts with {magic!r}, not with {MAGIC!r}: it is not a packet")
    if version != VERSION:
        raise BitstreamError(f"box packet: version {version}; this decoder reads {VERSION}: update the older side")
    if len(data) != HEADER_BYTES + count * BOX_BYTES:
        raise BitstreamError(f"box packet: {len(data)} bytes, {count} boxes have {HEADER_BYTES + count * BOX_BYTES}")
    (checksum,) = _CHECKSUM.unpack_from(data, _HEADER.size)
    body = data[HEADER_BYTES:]
    if checksum != zlib.crc32(body, zlib.crc32(data[: _HEADER.size])):
        raise BitstreamError("box packet: wrong checksum: it was damaged in transit")
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= MAX_IMAGE_SIDE:
            raise BitstreamError(f"box packet: {name} is {value}; expected 1 to {MAX_IMAGE_SIDE}")
    boxes = np.frombuffer(body, _BOX)
    if (boxes["class_id"] >= len(CLASSES)).any():
        raise BitstreamError(f"box packet: a class number above {len(CLASSES) - 1}: update the decoder")
    detections = Detections(
        boxes["class_id"].astype(np.int64),
        boxes["score"] / _SCORES,
        boxes["location"] / _CENTIMETRES,
        boxes["dimensions"] / _CENTIMETRES,
        boxes["rotation"] / _HALF_TURN,
        np.zeros((count, 4)),
        np.where(boxes["errors"], _LEAST_ERROR * 2 ** ((boxes["errors"] - 1.0) / _DOUBLING), np.nan),
    )
    return detections, fingerprint, sequence
