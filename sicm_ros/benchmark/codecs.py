# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Image codecs to compare with, a row for each, and how another one is added.

| codec | encoder | decoder | stream |
|---|---|---|---|
| jpeg | libjpeg-turbo (OpenCV), optimised Huffman tables | the same | a file per view |
| webp | libwebp, method 6 | the same | a file per view |
| jxl | libjxl | the same | a code stream per view |
| avif | libaom, still image | dav1d | AV1 OBUs per view: AVIF without the boxes around it |
| x265 | libx265, 10 bits | ffmpeg's hevc | one HEVC stream per pair |
| svtav1 | SVT-AV1, 10 bits | dav1d | one stream of AV1 OBUs per pair |
| vvc | VVenC, 10 bits | ffmpeg's vvc | one VVC stream per pair |
| bmshj2018_hyperprior, mbt2018_mean, cheng2020_attn | CompressAI's zoo, learned | the same | a stream per view |

Raw bitstreams, no container, no information messages: what is counted is what a receiver needs. Encoders are asked for
the least squared error, as MPEG's anchors for machines are: what flatters the eye costs bits and helps no detector.

A package of yours adds a row by an entry point of the group `sicm_ros.codecs` (CONTRIBUTING.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np

from sicm_ros.benchmark import ffmpeg
from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry

GROUP = "sicm_ros.codecs"

Mode = Literal["intra", "two_view", "interleaved", "stacked"]
"""intra: each view by itself. two_view: the right view predicted from the left one, as the second frame of a video.
interleaved, stacked: a low-delay video of a whole sequence, its frames left, right, left, right or left above right."""


@dataclass(frozen=True)
class EncodingRequest:
    """How a codec is asked to code.

    Attributes:
        quality: the codec's own measure.
        preset: the encoder's own word for how hard it tries.
        mode: how the views depend on each other.
        threads: of the encoder.
    """

    quality: float
    preset: str
    mode: Mode = "intra"
    threads: int = 1

    @property
    def video(self) -> bool:
        """Whether a whole sequence is coded."""
        return self.mode in ("interleaved", "stacked")


@dataclass(frozen=True)
class Codec:
    """One row: an encoder of ffmpeg and what it is told.

    Attributes:
        name: in configurations.
        label: for people.
        suffix: of its streams' files.
        format: ffmpeg's name of the raw stream, as it is read.
        encoder: ffmpeg's name of the encoder.
        range: lowest and highest value of the codec's own quality.
        preset: where none is asked for.
        options: a request to ffmpeg's words.
        video: whether it predicts one image from another; otherwise every view is a stream of its own.
        decoder: ffmpeg's name; its own choice for "".
    """

    name: str
    label: str
    suffix: str
    format: str
    encoder: str
    range: tuple[float, float]
    preset: str
    options: Callable[[EncodingRequest], list[str]]
    video: bool = False
    decoder: str = ""

    def check(self) -> None:
        """Accept: it is always there."""
        ffmpeg.need_encoder(self.encoder)

    def encode(self, images: np.ndarray, request: EncodingRequest, rate: float) -> bytes:
        """Code images, uint8 (N, height, width, 3) RGB with even sides, to one stream; rate: images per second."""
        container = "image2pipe" if self.format.endswith("_pipe") else self.format
        words = ["-c:v", self.encoder, *self.options(request), "-f", container]
        return ffmpeg.encode(images, words, request.threads, rate)

    def decode(self, stream: bytes, threads: int) -> np.ndarray:
        """Decode a stream to images, uint8 (N, height, width, 3) RGB."""
        return ffmpeg.decode(stream, self.format, threads, decoder=self.decoder or None)

    def using(self, weights: str) -> Codec:
        """Return this codec with weights of a folder; InputError where it has none to choose."""
        raise InputError(f"codec {self.name} takes no weights; leave model out")

    @property
    def learned(self) -> bool:
        """Whether it takes weights."""
        return False

    @property
    def even(self) -> bool:
        """Whether sides must be even, as 4:2:0 wants."""
        return True

    @property
    def process(self) -> bool:
        """Whether a process is started for it, whose start is taken off where times are compared."""
        return True


class InProcess(Codec):
    """A codec of a library that is called here: no process has to be started for it, and sides may be odd."""

    @property
    def even(self) -> bool:
        return False

    @property
    def process(self) -> bool:
        return False


class Jpeg(InProcess):
    """JPEG by OpenCV."""

    def check(self) -> None:
        """Accept: it is always there."""

    def encode(self, images: np.ndarray, request: EncodingRequest, rate: float) -> bytes:
        words = [cv2.IMWRITE_JPEG_QUALITY, round(request.quality), cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        return cv2.imencode(".jpg", images[0][..., ::-1], words)[1].tobytes()

    def decode(self, stream: bytes, threads: int) -> np.ndarray:
        image = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"jpeg: {len(stream)} bytes are not a JPEG that OpenCV can decode")
        return np.ascontiguousarray(image[None, ..., ::-1])


@dataclass(frozen=True)
class ZooImages(InProcess):
    """A learned image codec of CompressAI's zoo. Its quality is the zoo's, which is a network of its own for each.

    Attributes:
        weights: folder of weights that `sicm bench zoo` wrote; "" for CompressAI's pretrained ones.
    """

    weights: str = ""

    def check(self) -> None:
        """Raise DependencyError where CompressAI can't be imported."""
        from sicm_ros.compressai import image_codecs  # noqa: F401

    def using(self, weights: str) -> Codec:
        return replace(self, weights=weights)

    @property
    def learned(self) -> bool:
        return True

    def encode(self, images: np.ndarray, request: EncodingRequest, rate: float) -> bytes:
        quality = int(request.quality)
        if quality != request.quality:
            raise InputError(f"{self.name}: quality {request.quality:g}; expected a whole number")
        return bytes([quality]) + self._network(quality, request.threads).encode(images[0])

    def decode(self, stream: bytes, threads: int) -> np.ndarray:
        if not stream:
            raise InputError(f"{self.name}: an empty stream")
        return self._network(stream[0], threads).decode(stream[1:])[None]

    def _network(self, quality: int, threads: int) -> Any:
        import torch

        from sicm_ros.compressai.image_codecs import zoo_codec

        torch.set_num_threads(threads)
        return zoo_codec(self.name, quality, self.weights)


DEEP = ["-pix_fmt", "yuv420p10le"]  # 10 bits: least squared error, also for what is shown in 8


def _avif(asked: EncodingRequest) -> list[str]:
    still = ["-still-picture", "1", "-crf", f"{asked.quality:g}", "-cpu-used", asked.preset]
    return [*DEEP, *still, "-aom-params", "tune=psnr"]


def _webp(asked: EncodingRequest) -> list[str]:
    return ["-quality", f"{asked.quality:g}", "-compression_level", "6"]


def _jxl(asked: EncodingRequest) -> list[str]:
    return ["-distance", f"{asked.quality:g}", "-effort", asked.preset]


def _x265(asked: EncodingRequest) -> list[str]:
    own = {"log-level": "none", "info": 0, "qp": f"{asked.quality:g}", "aud": 0, "hrd": 0, "frame-threads": 1}
    own |= {"pools": asked.threads, "keyint": 1 if asked.mode == "intra" else -1}
    if asked.video:  # the same view's last image is two frames back
        own |= {"bframes": 0, "scenecut": 0, "rc-lookahead": 0, "ref": 4}
    return [*DEEP, "-preset", asked.preset, "-tune", "psnr", "-x265-params", _joined(own)]


def _svtav1(asked: EncodingRequest) -> list[str]:
    own: dict[str, object] = {"tune": 1, "lp": asked.threads}
    if asked.video:
        own |= {"pred-struct": 1}
    group = ["-g", "1" if asked.mode == "intra" else "-1"]
    return [*DEEP, "-preset", asked.preset, "-crf", f"{asked.quality:g}", *group, "-svtav1-params", _joined(own)]


def _vvc(asked: EncodingRequest) -> list[str]:
    own: dict[str, object] = {"accessunitdelimiter": 0}
    if asked.mode == "intra":
        own |= {"intraperiod": 1, "gopsize": 1}
    else:  # unless told, VVenC codes the second image first, and the left one, which matters most, worst
        own |= {"poc0idr": 1}
    if asked.video:
        own |= {"picreordering": 0, "decodingrefreshtype": "none", "intraperiod": -1, "gopsize": 8}
    words = ["-preset", asked.preset, "-qp", f"{asked.quality:g}", "-qpa", "0"]
    return [*DEEP, *words, "-vvenc-params", _joined(own)]


def _joined(parameters: dict[str, object]) -> str:
    return ":".join(f"{key}={value}" for key, value in parameters.items())


def _nothing(_: EncodingRequest) -> list[str]:
    return []


# name, label, suffix, format, encoder, range, preset, options. JPEG's and WebP's quality is 0 (least) to 100, JPEG XL's
# a distance, 0 (best) to 15, that of CompressAI's zoo a number, 1 and up, the others' a quantiser, 0 (best) and up.
SHIPPED = (
    Jpeg("jpeg", "JPEG", "jpg", "", "", (0, 100), "", _nothing),
    Codec("webp", "WebP", "webp", "webp_pipe", "libwebp", (0, 100), "", _webp),
    Codec("jxl", "JPEG XL", "jxl", "jpegxl_pipe", "libjxl", (0, 15), "7", _jxl),
    Codec("avif", "AVIF", "obu", "obu", "libaom-av1", (0, 63), "6", _avif, decoder="libdav1d"),
    Codec("x265", "x265", "265", "hevc", "libx265", (0, 51), "slow", _x265, video=True),
    Codec("svtav1", "SVT-AV1", "obu", "obu", "libsvtav1", (0, 63), "4", _svtav1, video=True, decoder="libdav1d"),
    Codec("vvc", "VVC", "266", "vvc", "libvvenc", (0, 63), "faster", _vvc, video=True),
    ZooImages("bmshj2018_hyperprior", "hyperprior (2018)", "cai", "", "", (1, 8), "", _nothing),
    ZooImages("mbt2018_mean", "mean-scale (2018)", "cai", "", "", (1, 8), "", _nothing),
    ZooImages("cheng2020_attn", "Cheng 2020", "cai", "", "", (1, 6), "", _nothing),
)


CODECS: Registry[Codec] = Registry(GROUP, {codec.name: codec for codec in SHIPPED}, Codec)


def codec_of(name: str) -> Codec:
    """Return the codec of a name; InputError names those that there are."""
    if name not in CODECS:
        raise InputError(f"codec {name!r}; expected one of {', '.join(CODECS)}")
    return CODECS[name]


@dataclass(frozen=True)
class PictureCodec:
    """One way to code stereo images: a codec, and how it is asked.

    Attributes:
        codec: name of a row.
        mode: how the views depend on each other; always "intra" where the codec is none of video.
        preset: the encoder's own word for how hard it tries; "" for the row's.
        threads: of encoder and decoder.
        weights: folder of a learned codec's weights; "" for its own.
    """

    codec: str
    mode: Mode = "intra"
    preset: str = ""
    threads: int = 1
    weights: str = ""

    def __post_init__(self) -> None:
        if not self.row.video and self.mode != "intra":
            raise InputError(f"codec {self.codec} has no mode {self.mode}; expected intra")

    @property
    def row(self) -> Codec:
        """Its row."""
        row = codec_of(self.codec)
        return row.using(self.weights) if self.weights else row

    def check(self) -> None:
        """Accept: it is always there."""
        self.row.check()

    def encode(self, images: np.ndarray, quality: float) -> list[bytes]:
        """Code images to their streams.

        Args:
            images: uint8 (2 T, height, width, 3) RGB: left and right of T pairs in turn; T is 1 unless the mode is of
                video.
            quality: the codec's own measure, within the row's range.

        Returns:
            A stream for each view of a still codec, otherwise one stream.
        """
        row = self.row
        low, high = row.range
        if not low <= quality <= high:
            raise InputError(f"{self.codec}: quality {quality:g}; expected {low:g} to {high:g}")
        asked = EncodingRequest(quality, self.preset or row.preset, self.mode, self.threads)
        if row.even:
            images = _even(images)
        if not row.video:
            return [row.encode(view[None], asked, ffmpeg.RATE) for view in images]
        if self.mode == "stacked":
            images = np.concatenate([images[0::2], images[1::2]], 1)
        return [row.encode(images, asked, ffmpeg.RATE * (1 if self.mode == "stacked" else 2))]

    def decode(self, streams: Sequence[bytes], width: int, height: int) -> np.ndarray:
        """Decode streams to the images that `encode` was given: uint8 (2 T, height, width, 3) RGB.

        width, height: of the images, pixels; a receiver knows them from the calibration.
        """
        frames = np.concatenate([self.row.decode(stream, self.threads) for stream in streams])
        if self.mode == "stacked":
            half = frames.shape[1] // 2
            frames = np.stack([frames[:, :half], frames[:, half:]], 1).reshape(-1, half, *frames.shape[2:])
        if len(frames) % 2 or frames.shape[1] < height or frames.shape[2] < width:
            raise InputError(f"{self.codec}: decoded {frames.shape}; expected pairs of {width} x {height}")
        return np.ascontiguousarray(frames[:, :height, :width])


def _even(images: np.ndarray) -> np.ndarray:
    """Make height and width even, for 4:2:0, by repeating the last row and column; the receiver cuts them off."""
    _, height, width, _ = images.shape
    return np.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
