# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Real encoders and decoders: the ffmpeg that the imageio-ffmpeg wheel carries, run as a process on raw images."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from sicm_ros.errors import DependencyError, InputError

RATE = 10  # Hz, of stereo pairs, as KITTI's
OUTPUT = "OUTPUT"


@lru_cache
def executable() -> str:
    """Return the path of ffmpeg; DependencyError if the wheel isn't installed."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise DependencyError(f"ffmpeg with its encoders ({error}): pip install 'sicm_ros[bench]'") from None


@lru_cache
def _encoders() -> frozenset[str]:
    listed = subprocess.run([executable(), "-hide_banner", "-encoders"], capture_output=True, text=True).stdout
    return frozenset(line.split()[1] for line in listed.splitlines() if len(line.split()) > 1)


def need_encoder(name: str) -> None:
    """Raise DependencyError unless this ffmpeg has the encoder (another one may be set by IMAGEIO_FFMPEG_EXE)."""
    if name not in _encoders():
        raise DependencyError(
            f"{executable()} has no encoder {name}: unset IMAGEIO_FFMPEG_EXE, pip install 'imageio-ffmpeg>=0.8'"
        )


def run(arguments: Sequence[str], data: bytes | np.ndarray, what: str) -> bytes:
    """Run ffmpeg with data as its standard input; return its output.

    Args:
        arguments: everything but the executable; OUTPUT stands for where the output goes.
        data: what it reads from `pipe:0`.
        what: for the error, such as "libvvenc".

    Raises:
        InputError: it failed; the message has its last words.
    """
    # Files, not pipes: a pipe would give the image in bits of 64 kB and be timed with it. The output has a descriptor
    # of its own, since VVenC prints warnings to standard output.
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as sink, tempfile.TemporaryFile() as words:
        try:
            source.write(np.ascontiguousarray(data).data if isinstance(data, np.ndarray) else data)
            source.flush()
        except OSError as error:  # of a file without a name
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from None
        source.seek(0)
        process = subprocess.Popen(
            [
                *(executable(), "-hide_banner", "-nostdin", "-loglevel", "error"),
                *(f"pipe:{sink.fileno()}" if word == OUTPUT else word for word in arguments),
            ],
            stdin=source,
            stdout=words,
            stderr=words,
            pass_fds=(sink.fileno(),),
            env=os.environ | {"SVT_LOG": "1"},  # errors alone
        )
        try:
            process.wait()
        except BaseException:
            process.kill()
            raise
        sink.seek(0)
        words.seek(0)
        output = sink.read()
        if process.returncode or not output:
            last = words.read().decode(errors="replace").strip().splitlines()[-3:]
            raise InputError(f"{what} failed (status {process.returncode}): {' / '.join(last) or 'no output'}")
    return output


def encode(pictures: np.ndarray, options: Sequence[str], threads: int, rate: float = RATE) -> bytes:
    """Encode frames to a bitstream.

    Args:
        pictures: uint8 (N, height, width, 3) RGB, or uint16 (N, height, width) luma of 10 bits, both sides even.
        options: from "-c:v" to "-f", a raw bitstream's.
        threads: of the encoder.
        rate: frames a second, which some encoders place key frames by.
    """
    height, width = pictures.shape[1:3]
    colour = pictures.dtype == np.uint8
    if (
        not colour
    ):  # chroma of nothing, since VVenC knows no grey; handed over as it is coded, so that no range is scaled
        chroma = np.full((len(pictures), height * width // 2), 512, np.uint16)
        pictures = np.concatenate([pictures.reshape(len(pictures), -1), chroma], 1)
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24" if colour else "yuv420p10le", "-s", f"{width}x{height}"]
    source += ["-r", f"{rate:g}", "-i", "pipe:0", "-threads", str(threads)]
    return run([*source, *options, OUTPUT], pictures, options[1])


def decode(stream: bytes, form: str, threads: int, decoder: str | None = None) -> np.ndarray:
    """Decode a bitstream to frames, uint8 (N, height, width, 3) RGB."""
    # Portable pixmaps carry their size.
    return _pixmaps(_decode(stream, form, threads, decoder, ["-pix_fmt", "rgb24", "-f", "image2pipe", "-c:v", "ppm"]))


def decode_luma(stream: bytes, form: str, threads: int, width: int, height: int) -> np.ndarray:
    """Decode a bitstream of 10 bits to its luma, uint16 (N, height, width)."""
    raw = _decode(stream, form, threads, None, ["-pix_fmt", "yuv420p10le", "-f", "rawvideo"])
    frames = np.frombuffer(raw, "<u2")
    size = height * width * 3 // 2
    if len(frames) % size:
        raise InputError(f"decoder of {form}: {len(raw)} bytes; expected frames of {width} x {height}")
    return frames.reshape(-1, size)[:, : height * width].reshape(-1, height, width)


def _decode(stream: bytes, form: str, threads: int, decoder: str | None, sink: list[str]) -> bytes:
    source = ["-threads", str(threads), *(["-c:v", decoder] if decoder else []), "-f", form, "-i", "pipe:0"]
    # Every frame once: a decoder's idea of time must neither drop nor repeat one.
    return run([*source, "-fps_mode", "passthrough", *sink, OUTPUT], stream, f"decoder of {form}")


def _pixmaps(data: bytes) -> np.ndarray:
    """Split binary PPM files of one size, one after the other, into frames."""
    kind, width, height, most = data[:64].split(None, 4)[:4]  # "P6", size, 255, each followed by one white space
    head = len(kind) + len(width) + len(height) + len(most) + 4
    shape = int(height), int(width), 3
    files = np.frombuffer(data, np.uint8).reshape(-1, head + int(np.prod(shape)))
    return files[:, head:].reshape(-1, *shape)


def version() -> str:
    """Return first line of `ffmpeg -version`."""
    done = subprocess.run([executable(), "-version"], capture_output=True, text=True)
    return done.stdout.splitlines()[0].split(" Copyright")[0]
