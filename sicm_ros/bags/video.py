# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Video in messages: H.264, H.265 and AV1 streams, image by image, without ROS.

| message | where the codec's name is |
|---|---|
| `sensor_msgs/CompressedImage` | `format`, as NVIDIA's Isaac and many drivers have it |
| `ffmpeg_image_transport_msgs/FFMPEGPacket` | `encoding`, libav's name of codec or encoder |
| `foxglove_msgs/CompressedVideo` | `format` |

An image is described by what changed since others, so a stream is read in order from a key frame on. A decoder fills
in for what it misses, so that a lost message shows as a smear that nobody announces; here it is noticed, and the stream
starts anew with its next key frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from sicm_ros.errors import DependencyError, InputError

FFMPEG_PACKET, FOXGLOVE_VIDEO = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "foxglove_msgs/msg/CompressedVideo"
H264, H265, AV1 = "h264", "h265", "av1"

# What the three messages call a codec; libav's encoders have names of their own (libx264, hevc_nvenc, libsvtav1).
_WORDS = ((H264, r"h\.?264|avc|x264"), (H265, r"h\.?265|hevc|x265"), (AV1, r"av1|av01"))
_DECODERS = {H264: ("h264",), H265: ("hevc",), AV1: ("libdav1d", "libaom-av1", "av1")}
_LOW_DELAY = 1 << 19  # AV_CODEC_FLAG_LOW_DELAY: AV1's decoder else holds back two images, to work on several at once
_KEPT = 64  # headers that are kept; no decoder holds back that many images


class VideoError(InputError):
    """A message of a stream that gives no image.

    Attributes:
        cause: `key_frame` as long as one is awaited, `video` for one that can't be decoded.
    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class VideoPicture:
    """One image of a stream.

    Attributes:
        header: of the message that carried it: its stamp and frame_id.
        frame: as PyAV has it.
    """

    header: Any
    frame: Any

    def rgb(self) -> np.ndarray:
        """uint8 (height, width, 3) RGB."""
        return self.frame.to_ndarray(format="rgb24")


def codec_of(message: Any) -> str | None:
    """The codec of a message that carries video, one of H264, H265 and AV1; None where it is an image of its own.

    Raises:
        InputError: video of another codec.
    """
    name = getattr(message, "encoding", "") if hasattr(message, "pts") else getattr(message, "format", "")
    first = re.split(r"[;/\s]", name.strip().lower())[0]
    found = next((codec for codec, words in _WORDS if re.search(words, first)), None)
    if found is None and (hasattr(message, "pts") or hasattr(message, "timestamp")):
        raise InputError(f"video of codec {name!r} is not supported; expected h264, h265 or av1")
    return found


def _header(message: Any) -> Any:
    if hasattr(message, "header"):
        return message.header
    return SimpleNamespace(stamp=message.timestamp, frame_id=message.frame_id)


class VideoStream:
    """The images of one topic that carries video, in the order in which they are shown.

    Args:
        topic: named in errors.
        header: makes the header of a message's image.

    Attributes:
        codec: of the stream; empty before the first message.
        delay: images that the decoder holds back, since they may be shown before ones that come later.
    """

    def __init__(self, topic: str, header: Callable[[Any], Any] = _header) -> None:
        self.topic, self.codec, self.delay = topic, "", 0
        self._header = header
        self._decoder: Any = None
        self._numbers = FrameNumbers()
        self._headers: dict[int, Any] = {}
        self._parameters = b""
        self._count = self._skipped = 0
        self._reason = "the stream was joined between two"

    def take(self, message: Any) -> list[VideoPicture]:
        """Takes a message; returns the images that are complete with it: one, or none and several where it delays.

        Raises:
            VideoError: it is of no use, and says why; the next ones may be.
            InputError: the codec is not read.
            DependencyError: PyAV isn't installed.
        """
        codec = codec_of(message)
        if codec is None:
            raise InputError(f"{self.topic}: format {getattr(message, 'format', '')!r} in a stream of {self.codec}")
        if codec != self.codec:
            self._stop(f"it has just turned to {codec}" if self.codec else self._reason)
            self.codec = codec
        data = bytes(message.data)
        if codec == H264 and self._numbers.misses(data):
            self._stop("a message before was lost")
        parameters = parameter_sets(codec, data)
        self._parameters = parameters or self._parameters
        if self._decoder is None:
            if not is_key(codec, data):
                self._skipped += 1
                raise VideoError(
                    "key_frame",
                    f"{self.topic}: waiting for a key frame of the {codec} stream: {self._reason} ({self._skipped} "
                    "messages so far; if none ever comes, set the encoder's gop_size, or interval of key frames)",
                )
            self._decoder, self._skipped = _decoder(codec, self.topic), 0
            if not parameters:  # some send them once, by themselves
                data = self._parameters + data
        return self._decode(data, message)

    def _decode(self, data: bytes, message: Any) -> list[VideoPicture]:
        import av

        self._count += 1
        self._headers[self._count] = self._header(message)
        for old in [number for number in self._headers if number <= self._count - _KEPT]:
            del self._headers[old]
        packet = av.Packet(data)
        packet.pts = packet.dts = self._count
        try:
            frames = self._decoder.decode(packet)
        except (av.error.FFmpegError, ValueError) as error:
            text = " ".join(str(error).split())
            self._stop("a message before could not be decoded")
            about = f"{self.topic}: {len(data)} bytes are no image of the {self.codec} stream: {text}"
            raise VideoError("video", about) from None
        pictures = self._pictures(frames)
        if pictures:
            self.delay = max(self.delay, len(self._headers))
        if len(self._headers) >= _KEPT - 1 and not pictures:  # H.265's decoder keeps silent when an image is missing
            self._stop("no image came of the last messages")
        return pictures

    def _pictures(self, frames: list[Any]) -> list[VideoPicture]:
        pictures = []
        for frame in frames:
            header = self._headers.pop(frame.pts, None)
            if frame.key_frame:  # nothing before it will come any more
                self._headers = {n: kept for n, kept in self._headers.items() if n > frame.pts}
            if header is not None and not frame.is_corrupt:
                pictures.append(VideoPicture(header, frame))
        return pictures

    def flush(self) -> list[VideoPicture]:
        """The images that were held back, at the end of the stream."""
        if self._decoder is None:
            return []
        import av

        try:
            pictures = self._pictures(self._decoder.decode(None))
        except av.error.FFmpegError:
            pictures = []
        self._stop("it begins anew")
        return pictures

    def _stop(self, reason: str) -> None:
        self._decoder, self._reason, self._numbers = None, reason, FrameNumbers()
        self._headers.clear()


def _decoder(codec: str, topic: str) -> Any:
    try:
        import av
    except ImportError:
        remedy = "pip install 'sicm_ros[video]', or pip install av"
        raise DependencyError(f"{topic}: video ({codec}) needs PyAV: {remedy}") from None
    name = next((name for name in _DECODERS[codec] if name in av.codecs_available), None)
    if name is None:
        raise DependencyError(
            f"{topic}: this build of PyAV cannot decode {codec}; expected one with {_DECODERS[codec][0]}"
        )
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.thread_type = "SLICE"  # threads that work on several images at once each hold one back
    if codec == AV1:
        decoder.flags |= _LOW_DELAY
    return decoder


# ---------------------------------------------------------------------------------------------------------------------
# What has to be known of the bytes


def is_key(codec: str, data: bytes) -> bool:
    """Whether a message's image needs no other one."""
    if codec == H264:
        return any(unit[0] & 31 == 5 for unit in _units(data))
    if codec == H265:
        return any(16 <= unit[0] >> 1 & 63 <= 21 for unit in _units(data))
    return 1 in _obu_types(data)  # a sequence header goes with key frames


def parameter_sets(codec: str, data: bytes) -> bytes:
    """What stands before a message's image, if it holds the stream's parameters (SPS and the like); else nothing."""
    first, found = len(data), False
    for match in re.finditer(b"\x00\x00\x01(.)", data, re.DOTALL):
        kind = match[1][0]
        if (kind & 31 in (1, 5)) if codec == H264 else (kind >> 1 & 63) < 32:
            first = match.start()
            break
        found |= (kind & 31) == 7 if codec == H264 else (kind >> 1 & 63) == 33
    return data[:first] if found and codec != AV1 else b""


def _units(data: bytes, most: int = 64) -> Iterator[bytes]:
    """The first bytes of each NAL unit of Annex B's byte stream (H.264, H.265)."""
    for match in re.finditer(b"\x00\x00\x01", data):
        unit = data[match.end() : match.end() + most]
        if unit:
            yield unit


def _obu_types(data: bytes) -> set[int]:
    """The types of the units that a message of AV1 holds (section 5.3 of its specification)."""
    found, at = set(), 0
    while at < len(data):
        head = data[at]
        found.add(head >> 3 & 15)
        at += 2 if head & 4 else 1
        if not head & 2:  # no size: it is the last one
            break
        size = shift = 0
        while at < len(data) and shift < 56:
            byte = data[at]
            size, shift, at = size | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                break
        at += size
    return found


class FrameNumbers:
    """Follows H.264's frame_num, which tells of every image that others build on (7.4.3 of its specification)."""

    def __init__(self) -> None:
        self._bits = 0  # of frame_num; 0 as long as no parameters came
        self._planes = False
        self._last: int | None = None

    def misses(self, data: bytes) -> bool:
        """Whether an image between the last message's and this one's is missing."""
        try:
            return self._misses(data)
        except IndexError:  # cut off within a header: the decoder will say so
            return False

    def _misses(self, data: bytes) -> bool:
        for unit in _units(data):
            kind, reference = unit[0] & 31, unit[0] >> 5 & 3
            bits = _Bits(unit[1:])
            if kind == 7:
                self._read_parameters(bits)
            elif kind == 5:
                self._last = 0
                return False
            elif kind == 1 and self._bits:
                for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
                    bits.number()
                if self._planes:
                    bits.take(2)
                number, last = bits.take(self._bits), self._last
                if reference:
                    self._last = number
                return last is not None and number not in (last, (last + 1) % (1 << self._bits))
        return False

    def _read_parameters(self, bits: _Bits) -> None:
        profile = bits.take(8)
        bits.take(16)  # constraints, level
        bits.number()  # seq_parameter_set_id
        self._planes = False
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            if bits.number() == 3:
                self._planes = bool(bits.take(1))
            bits.number(), bits.number()  # bit depths
            bits.take(1)
            if bits.take(1):  # scaling matrices, which no camera sends: don't watch
                self._bits = 0
                return
        self._bits = bits.number() + 4


class _Bits:
    """Bits of a NAL unit, its emulation prevention taken out (7.3.1 of H.264)."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data.replace(b"\x00\x00\x03", b"\x00\x00"), 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def number(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
