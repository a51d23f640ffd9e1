"""Real encoders and decoders: the ffmpeg that the imageio-ffmpeg wheel carries, run as a process on raw pictures."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sicm_ros.errors import DependencyError, InputError

RATE = 10  # Hz, of stereo pairs, as KITTI's


class Run(NamedTuple):
    """What a run of ffmpeg gave: its output, and the processor time that it took in all threads, seconds."""

    output: bytes
    cpu_seconds: float


@lru_cache
def executable() -> str:
    """Path of ffmpeg; DependencyError if the wheel isn't installed."""
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
    """DependencyError unless this ffmpeg has the encoder (another one may be set by IMAGEIO_FFMPEG_EXE)."""
    if name not in _encoders():
        raise DependencyError(
            f"{executable()} has no encoder {name}: unset IMAGEIO_FFMPEG_EXE, pip install 'imageio-ffmpeg>=0.8'"
        )


def run(arguments: Sequence[str], data: bytes | np.ndarray, what: str) -> Run:
    """Runs ffmpeg with data as its standard input.

    Args:
        arguments: everything but the executable.
        data: what it reads from `pipe:0`.
        what: for the error, such as "libvvenc".

    Raises:
        InputError: it failed; the message has its last words.
    """
    # Files, not pipes: a pipe would give the picture in bits of 64 kB and be timed with it.
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as sink, tempfile.TemporaryFile() as words:
        source.write(np.ascontiguousarray(data).data if isinstance(data, np.ndarray) else data)
        source.flush()
        source.seek(0)
        process = subprocess.Popen(
            [executable(), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments],
            stdin=source,
            stdout=sink,
            stderr=words,
            env=os.environ | {"SVT_LOG": "1"},  # errors alone
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        sink.seek(0)
        words.seek(0)
        output = sink.read()
        if process.returncode or not output:
            last = words.read().decode(errors="replace").strip().splitlines()[-3:]
            raise InputError(f"{what} failed (status {process.returncode}): {' / '.join(last) or 'no output'}")
    return Run(output, usage.ru_utime + usage.ru_stime)


def encode(pictures: np.ndarray, options: Sequence[str], threads: int, rate: float = RATE) -> Run:
    """Frames to a bitstream.

    Args:
        pictures: uint8 (N, height, width, 3) RGB, or uint16 (N, height, width), grey of 10 bits.
        options: from "-c:v" to "-f", so that the stream goes to standard output.
        threads: of the encoder.
        rate: frames a second, which some encoders place key frames by.
    """
    height, width = pictures.shape[1:3]
    pixels = "rgb24" if pictures.dtype == np.uint8 else "gray10le"
    source = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", f"{rate:g}", "-i", "pipe:0"]
    return run([*source, "-threads", str(threads), *options, "pipe:1"], pictures, options[1])


def decode(stream: bytes, form: str, threads: int, pixels: str = "rgb24", decoder: str | None = None) -> np.ndarray:
    """A bitstream to frames: uint8 (N, height, width, 3) RGB, or uint16 (N, height, width) of pixels "gray10le"."""
    source = ["-threads", str(threads), *(["-c:v", decoder] if decoder else []), "-f", form, "-i", "pipe:0"]
    # Portable pixmaps carry their size. Every frame once: a decoder's idea of time must neither drop nor repeat one.
    sink = ["-fps_mode", "passthrough", "-pix_fmt", pixels, "-f", "image2pipe"]
    sink += ["-c:v", "ppm" if pixels == "rgb24" else "pgm", "pipe:1"]
    output = run([*source, *sink], stream, f"decoder of {form}").output
    return _pixmaps(output)


def _pixmaps(data: bytes) -> np.ndarray:
    """Binary PPM or PGM files, one after the other -> frames."""
    frames, at = [], 0
    while at < len(data):
        fields = data[at : at + 64].split(None, 4)[:4]
        kind, width, height, most = fields[0], int(fields[1]), int(fields[2]), int(fields[3])
        at += data[at : at + 64].index(fields[3], len(kind) + 1 + len(fields[1]) + 1 + len(fields[2])) + len(fields[3])
        at += 1
        shape = (height, width, 3) if kind == b"P6" else (height, width)
        type = np.dtype(np.uint8) if most < 256 else np.dtype(">u2")
        count = int(np.prod(shape))
        frames.append(np.frombuffer(data, type, count, at).reshape(shape).astype(type.newbyteorder("=")))
        at += count * type.itemsize
    return np.stack(frames)


def version() -> str:
    """First line of `ffmpeg -version`."""
    done = subprocess.run([executable(), "-version"], capture_output=True, text=True)
    return done.stdout.splitlines()[0].split(" Copyright")[0]


def name() -> str:
    """File name of the executable, without its place."""
    return Path(executable()).name
