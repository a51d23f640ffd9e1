# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Packets: what is packed comes back, and whatever arrives instead is refused in words."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sicm_ros
from sicm_ros.bitstream import CALIBRATION_BYTES, HEADER_BYTES, MAX_PAYLOAD, Packet, identity, pack, unpack
from sicm_ros.entropy import PriorConfig
from sicm_ros.errors import BitstreamError, CalibrationError, InputError
from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.model import create
from sicm_ros.network import NetworkConfig
from sicm_ros.network.config import CodecConfig, DetectorConfig

KITTI = StereoCalibration(721.5377, 721.5377, 609.5593, 172.854, 0.5327, 1242, 375, 0.52)


def packet(calibration: StereoCalibration | None = KITTI, payload: bytes = b"payload", **fields) -> Packet:
    known = {
        "fingerprint": b"\x01\x02\x03\x04",
        "width": 1242,
        "height": 375,
        "quality": 128,
        "sequence": 258,
        "calibration_identity": identity(KITTI),
    }
    return Packet(**{**known, **fields}, calibration=calibration, payload=payload)


def resealed(data: bytes) -> bytes:
    """The same bytes with the checksum that they should have: damage that a checksum can't show."""
    return data[:20] + struct.pack("<I", zlib.crc32(data[24:], zlib.crc32(data[:20]))) + data[24:]


def test_the_format_is_what_the_document_says():
    calibration = StereoCalibration(2.0, 4.0, 1.0, 0.5, 0.25, 8, 4, 0.5)
    data = pack(packet(calibration, b"\xaa\xbb", width=8, height=4, calibration_identity=identity(calibration)))
    block = bytes.fromhex("00000040 00008040 0000803f 0000003f 0000803e 0000003f")
    named = zlib.crc32(bytes.fromhex("0800 0400") + block)
    header = b"SICM" + bytes.fromhex("21 80 0201 01020304") + named.to_bytes(4, "little") + bytes.fromhex("0800 0400")
    checksum = zlib.crc32(header + block + b"\xaa\xbb").to_bytes(4, "little")
    assert data == header + checksum + block + b"\xaa\xbb"


def test_a_header_without_calibration_is_24_bytes():
    assert len(pack(packet(None, b""))) == HEADER_BYTES == 24
    assert packet(None, b"abc").size == len(pack(packet(None, b"abc")))
    assert packet(payload=b"abc").size == len(pack(packet(payload=b"abc"))) == 24 + CALIBRATION_BYTES + 3


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        StereoCalibration,
        *[st.floats(1e-3, 1e5)] * 2,
        *[st.floats(-1e5, 1e5)] * 2,
        st.floats(1e-3, 1e3),
        *[st.integers(1, 1 << 14)] * 2,
        st.floats(-1e3, 1e3),
    ),
    st.booleans(),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.binary(min_size=4, max_size=4),
    st.binary(max_size=300),
)
def test_what_is_packed_comes_back(calibration, included, quality, sequence, fingerprint, payload):
    named = identity(calibration)
    sent = Packet(
        fingerprint,
        calibration.width,
        calibration.height,
        quality,
        sequence,
        named,
        calibration if included else None,
        payload,
    )
    got = unpack(pack(sent))
    assert (got.fingerprint, got.width, got.height) == (fingerprint, calibration.width, calibration.height)
    assert (got.quality, got.sequence, got.payload) == (quality, sequence, payload)
    assert got.calibration_identity == named
    if included:
        assert identity(got.calibration) == named
        assert got.calibration.fx == pytest.approx(calibration.fx, rel=1e-7)
        assert pack(got) == pack(sent)
    else:
        assert got.calibration is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (pack(packet())[:23], "truncated"),
        (b"JFIF" + pack(packet())[4:], "not a packet"),
        (pack(packet())[:-1], "damaged"),
        (pack(packet()) + b"\0", "damaged"),
        (resealed(pack(packet())[:30]), "ends within its calibration"),
        (resealed(pack(packet())[:4] + b"\x31" + pack(packet())[5:]), "version 3"),
        (resealed(pack(packet())[:4] + b"\x2f" + pack(packet())[5:]), "unknown flags"),
        (resealed(pack(packet())[:16] + b"\0\0" + pack(packet())[18:]), "width is 0"),
        (resealed(pack(packet())[:18] + b"\xff\xff" + pack(packet())[20:]), "height is 65535"),
        (resealed(pack(packet())[:24] + b"\0\0\xc0\x7f" + pack(packet())[28:]), "fx is nan"),
        (resealed(pack(packet())[:12] + b"\0\0\0\0" + pack(packet())[16:]), "does not match its header"),
        (bytes(MAX_PAYLOAD + 100), "more than any packet"),
    ],
)
def test_damage_is_named(data, says):
    with pytest.raises(BitstreamError, match=says):
        unpack(data)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"quality": 256}, "quality is 256"),
        ({"sequence": -1}, "sequence is -1"),
        ({"width": 0}, "width is 0"),
        ({"fingerprint": b"abc"}, "fingerprint of 3 bytes"),
        ({"payload": bytes(MAX_PAYLOAD + 1)}, "payload size"),
        ({"width": 1241}, "1241 x 375, but their calibration is for 1242 x 375"),
    ],
)
def test_fields_out_of_range_are_refused(fields, says):
    with pytest.raises(InputError, match=says):
        pack(packet(**fields))


@pytest.mark.parametrize(("field", "value"), [("fx", 1e300), ("baseline", 1e-300)])
def test_a_calibration_that_float32_cannot_hold_is_refused_where_it_is_sent(field, value):
    calibration = StereoCalibration(**{**vars(KITTI), field: value})
    with pytest.raises(CalibrationError, match="float32"):
        pack(packet(calibration))


class Receiver:
    """A decoder, whole: from bytes to boxes; 6 x 8 cells so that thousands take seconds."""

    SYMBOLS = 2 * 4 * 6 * 8

    def __init__(self, folder: Path) -> None:
        config = NetworkConfig(
            input_width=128,
            input_height=96,
            codec=CodecConfig(
                width=8, search=4, prior=PriorConfig(channels=4, hyper_channels=2, hyper_width=4, features=4, hidden=8)
            ),
            detector=DetectorConfig(width=8, matching_width=8, groups=2, disparities=8, head_width=8),
        )
        self.model = sicm_ros.load(create(folder, config))
        picture = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), np.uint8)
        self.packets = [
            self.model.encode(picture, picture, KITTI, quality, include_calibration=own)
            for quality in (0, 0.5, 1)
            for own in (True, False)
        ]

    def receive(self, data: bytes) -> int:
        """Decodes; returns the number of symbols."""
        return self.model.decode(data, KITTI).symbols.size


NARROW = StereoCalibration(1200.0, 1200.0, 320.0, 190.0, 0.3, 640, 375)


def as_0_9_0(data: bytes) -> bytes:
    """What an encoder of 0.9.0 sends: no flag, whatever the camera."""
    return resealed(data[:4] + bytes([data[4] & ~2]) + data[5:])


def test_a_narrow_cameras_packet_says_so_and_0_9_0_fills_its_window(tmp_path):
    model = Receiver(tmp_path).model
    image = np.random.default_rng(0).integers(0, 256, (375, 640, 3), np.uint8)
    for own in (True, False):
        data = model.encode(image, image, NARROW, include_calibration=own)
        assert data[4] == 0x22 + own  # a decoder of 0.9.0: "unknown flags 0x2; update the decoder"
        result = model.decode(data, NARROW)
        assert result.view == model.view(result.view.source)
        assert result.view.resized_width == 0.6 * 128 * 640 // 1200
        old = model.decode(as_0_9_0(data), NARROW)
        assert (old.view.resized_width, old.view.left) == (128, 0)
        assert np.array_equal(old.symbols, result.symbols)
    usual = model.encode(np.zeros((375, 1242, 3), np.uint8), np.zeros((375, 1242, 3), np.uint8), KITTI)
    assert usual[4] == 0x21
    with pytest.raises(BitstreamError, match="images were padded"):
        model.decode(resealed(usual[:4] + b"\x23" + usual[5:]))


@settings(max_examples=300, deadline=None)
@given(st.floats(0.2, 8), st.integers(64, 4000), st.floats(0.2, 3), st.sampled_from([(864, 192), (128, 96)]))
def test_both_sides_see_one_window_though_a_packet_rounds(focal, width, shape, size):
    height = round(shape * width)
    source = StereoCalibration(focal * width, focal * width, width / 2, height / 2, 0.5, width, height)
    carried = unpack(pack(packet(source, width=width, height=height, calibration_identity=identity(source))))
    sent, received = ModelView.fit(source, *size), ModelView.fit(carried.calibration, *size)
    assert (sent.resized_width, sent.padded) == (received.resized_width, received.padded)
    # What was rectified into the window is sent with the window's calibration.
    assert not ModelView.fit(sent.calibration, *size).padded


def mutated(random: np.random.Generator, originals: list[bytes]) -> bytes:
    """One of them cut, grown, flipped, spliced with another, or with hostile numbers in its fields."""
    data = bytearray(originals[random.integers(len(originals))])
    for _ in range(random.integers(1, 4)):
        kind = random.integers(6)
        at = int(random.integers(len(data))) if data else 0
        if kind == 0:
            del data[at:]
        elif kind == 1 and data:
            data[at] ^= 1 << random.integers(8)
        elif kind == 2 and data:
            data[at : at + 4] = random.bytes(int(random.integers(1, 5)))
        elif kind == 3:
            other = originals[random.integers(len(originals))]
            data[at:] = other[int(random.integers(len(other))) :]
        elif kind == 4:
            data[at:at] = random.bytes(int(random.integers(1, 200)))
        else:  # numbers at the edges of their types, where the header has numbers
            at = int(random.choice([4, 5, 6, 12, 16, 18, 24, 28, 40]))
            size = int(random.choice([1, 2, 4, 8]))
            data[at : at + size] = random.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * size
    return bytes(data)


def test_twenty_thousand_damaged_packets_do_no_harm(tmp_path):
    """Only BitstreamError, or a decode of a packet whose checksum is right; at once, and in little memory."""
    receiver = Receiver(tmp_path)
    originals = receiver.packets
    assert all(receiver.receive(data) == receiver.SYMBOLS for data in originals)
    random = np.random.default_rng(2026)
    refused = decoded = 0
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(21_000):
        data = mutated(random, originals)
        if number % 6 == 0:  # hostile rather than damaged: the checksum is right
            data = resealed(data)
        started = time.thread_time()
        try:
            assert receiver.receive(data) == receiver.SYMBOLS
            decoded += 1
            assert data == resealed(data)
        except BitstreamError:
            refused += 1
        slowest = max(slowest, time.thread_time() - started)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert refused + decoded == 21_000
    assert decoded > 50
    assert slowest < 1.0
    assert grown < 16 << 10  # KiB
