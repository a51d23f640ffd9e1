# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What crosses the link, byte by byte: `packet` holds a pair's symbols, `box_packet` the vehicle's own detections.

docs/bitstream.md is the specification. Neither needs a network.
"""

from sicm_ros.bitstream.packet import (
    CALIBRATION_BYTES,
    FINGERPRINT_BYTES,
    HEADER_BYTES,
    MAX_PAYLOAD,
    VERSION,
    Packet,
    Reference,
    identity,
    pack,
    reference_identity,
    refers,
    unpack,
)

__all__ = [
    "CALIBRATION_BYTES",
    "FINGERPRINT_BYTES",
    "HEADER_BYTES",
    "MAX_PAYLOAD",
    "VERSION",
    "Packet",
    "Reference",
    "identity",
    "pack",
    "reference_identity",
    "refers",
    "unpack",
]
