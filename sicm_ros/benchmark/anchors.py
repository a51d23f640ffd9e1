"""Codecs of pictures to compare with: real encoders that give bytes, and decoders that give pictures back.

| codec | encoder | decoder | stream |
|---|---|---|---|
| jpeg | libjpeg-turbo (OpenCV), optimised Huffman tables | the same | a file a view |
| webp | libwebp, method 6 | the same | a file a view |
| jxl | libjxl | the same | a code stream a view |
| avif | libaom, still picture | dav1d | AV1 OBUs a view: AVIF without the boxes around it |
| x265 | libx265, 10 bits | ffmpeg's hevc | one HEVC stream a pair |
| svtav1 | SVT-AV1, 10 bits | dav1d | one stream of AV1 OBUs a pair |
| vvc | VVenC, 10 bits | ffmpeg's vvc | one VVC stream a pair |

Raw bitstreams, no container, no information messages: what is counted is what a receiver needs. Encoders are asked for
the least squared error, as MPEG's anchors for machines are: what flatters the eye costs bits and helps no detector.
Their quality: JPEG and WebP 0 (least) to 100, JPEG XL a distance 0 (best) to 15, the others a quantiser 0 (best) to 63
(x265: 51).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from sicm_ros.benchmark import ffmpeg
from sicm_ros.errors import InputError

Mode = Literal["intra", "two_view", "interleaved", "stacked"]
"""intra: each view by itself. two_view: the right view predicted from the left one, as the second frame of a video.
interleaved, stacked: a low-delay video of a whole sequence, its frames left, right, left, right or left above right."""

STILL = ("jpeg", "webp", "jxl", "avif")
VIDEO = ("x265", "svtav1", "vvc")
RANGES = {"jpeg": (0, 100), "webp": (0, 100), "jxl": (0, 15), "avif": (0, 63)}
RANGES |= {"x265": (0, 51), "svtav1": (0, 63), "vvc": (0, 63)}
PRESETS = {"x265": "slow", "svtav1": "4", "vvc": "faster", "avif": "6", "jxl": "7"}
_SUFFIX = {"jpeg": "jpg", "webp": "webp", "jxl": "jxl", "avif": "obu", "x265": "265", "svtav1": "obu", "vvc": "266"}
_FORMAT = {"webp": "webp_pipe", "jxl": "jpegxl_pipe", "avif": "obu", "x265": "hevc", "svtav1": "obu", "vvc": "vvc"}
_ENCODER = {"webp": "libwebp", "jxl": "libjxl", "avif": "libaom-av1"}
_ENCODER |= {"x265": "libx265", "svtav1": "libsvtav1", "vvc": "libvvenc"}


@dataclass(frozen=True)
class PictureCodec:
    """One way to code stereo pictures.

    Attributes:
        codec: jpeg, webp, jxl, avif, x265, svtav1 or vvc.
        mode: how the views depend on each other; stills are always "intra".
        preset: the encoder's own word for how hard it tries; "" for the codec's own in PRESETS.
        threads: of encoder and decoder.
    """

    codec: str
    mode: Mode = "intra"
    preset: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        if self.codec not in RANGES:
            raise InputError(f"codec {self.codec!r}; expected one of {', '.join(RANGES)}")
        if self.codec in STILL and self.mode != "intra":
            raise InputError(f"codec {self.codec} knows no {self.mode} coding; expected intra")

    @property
    def suffix(self) -> str:
        """Of its streams' files."""
        return _SUFFIX[self.codec]

    def check(self) -> None:
        """DependencyError if the encoder is missing."""
        if self.codec != "jpeg":
            ffmpeg.need_encoder(_ENCODER[self.codec])

    def encode(self, pictures: np.ndarray, quality: float) -> list[bytes]:
        """Pictures to their streams.

        Args:
            pictures: uint8 (2 T, height, width, 3) RGB: left and right of T pairs in turn; T is 1 unless the mode is of
                video.
            quality: the codec's own measure, see the module.

        Returns:
            A stream for each view of a still codec, otherwise one stream.
        """
        low, high = RANGES[self.codec]
        if not low <= quality <= high:
            raise InputError(f"{self.codec}: quality {quality:g}; expected {low} to {high}")
        if self.codec == "jpeg":
            return [_jpeg(picture, quality) for picture in pictures]
        padded = _even(pictures)
        if self.codec in STILL:
            return [ffmpeg.encode(view[None], self._still(quality), self.threads).output for view in padded]
        if self.mode == "stacked":
            padded = np.concatenate([padded[0::2], padded[1::2]], 1)
        rate = ffmpeg.RATE * (1 if self.mode == "stacked" else 2)
        return [ffmpeg.encode(padded, self._video(quality), self.threads, rate).output]

    def decode(self, streams: list[bytes], width: int, height: int) -> np.ndarray:
        """Streams to the pictures that `encode` was given, as decoded: uint8 (2 T, height, width, 3) RGB.

        width, height: of the pictures, pixels; a receiver knows them from the calibration.
        """
        if self.codec == "jpeg":
            views = [cv2.imdecode(np.frombuffer(s, np.uint8), cv2.IMREAD_COLOR) for s in streams]
            frames = np.ascontiguousarray(np.stack(views)[..., ::-1])
        else:
            decoder = "libdav1d" if self.suffix == "obu" else None
            form = _FORMAT[self.codec]
            frames = np.concatenate([ffmpeg.decode(s, form, self.threads, decoder=decoder) for s in streams])
        if self.mode == "stacked":
            half = frames.shape[1] // 2
            frames = np.stack([frames[:, :half], frames[:, half:]], 1).reshape(-1, half, *frames.shape[2:])
        if len(frames) % 2 or frames.shape[1] < height or frames.shape[2] < width:
            raise InputError(f"{self.codec}: decoded {frames.shape}; expected pairs of {width} x {height}")
        return np.ascontiguousarray(frames[:, :height, :width])

    def _still(self, quality: float) -> list[str]:
        preset = self.preset or PRESETS.get(self.codec, "")
        if self.codec == "webp":
            own = ["-quality", f"{quality:g}", "-compression_level", "6"]
        elif self.codec == "jxl":
            own = ["-distance", f"{quality:g}", "-effort", preset]
        else:
            own = ["-still-picture", "1", "-crf", f"{quality:g}", "-cpu-used", preset, "-aom-params", "tune=psnr"]
            return ["-c:v", "libaom-av1", "-pix_fmt", "yuv420p10le", *own, "-f", "obu"]
        return ["-c:v", _ENCODER[self.codec], *own, "-f", "image2pipe"]

    def _video(self, quality: float) -> list[str]:
        preset = self.preset or PRESETS[self.codec]
        intra, long = self.mode == "intra", self.mode in ("interleaved", "stacked")
        options = ["-c:v", _ENCODER[self.codec], "-pix_fmt", "yuv420p10le", "-preset", preset]
        if self.codec == "x265":
            own = {"log-level": "none", "info": 0, "qp": f"{quality:g}", "aud": 0, "hrd": 0, "frame-threads": 1}
            own |= {"pools": self.threads, "keyint": 1 if intra else -1}
            if long:  # the same view's last picture is two frames back
                own |= {"bframes": 0, "scenecut": 0, "rc-lookahead": 0, "ref": 4}
            return [*options, "-tune", "psnr", "-x265-params", _joined(own), "-f", "hevc"]
        if self.codec == "svtav1":
            own = {"tune": 1, "lp": self.threads}
            if long:
                own |= {"pred-struct": 1}
            group = ["-g", "1"] if intra else ["-g", "-1"]
            return [*options, "-crf", f"{quality:g}", *group, "-svtav1-params", _joined(own), "-f", "obu"]
        own = {"accessunitdelimiter": 0}
        if intra:
            own |= {"intraperiod": 1, "gopsize": 1}
        else:  # unless told, VVenC codes the second picture first, and the left one, which matters most, worst
            own |= {"poc0idr": 1}
        if long:
            own |= {"picreordering": 0, "decodingrefreshtype": "none", "intraperiod": -1, "gopsize": 8}
        return [*options, "-qp", f"{quality:g}", "-qpa", "0", "-vvenc-params", _joined(own), "-f", "vvc"]


def _joined(parameters: dict[str, object]) -> str:
    return ":".join(f"{key}={value}" for key, value in parameters.items())


def _jpeg(picture: np.ndarray, quality: float) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, round(quality), cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode(".jpg", picture[..., ::-1], options)[1].tobytes()


def _even(pictures: np.ndarray) -> np.ndarray:
    """Height and width made even, for 4:2:0, by repeating the last row and column; the receiver cuts them off."""
    _, height, width, _ = pictures.shape
    return np.pad(pictures, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
