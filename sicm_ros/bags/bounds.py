# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a bag may make of a few bytes: its chunks are unpacked up to a size, its metadata is read as plain YAML.

rosbags unpacks whatever a chunk holds before it compares that with what was announced: a file of 200 kB may stand for
6 GB of zeros.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
from rosbags.rosbag1 import reader as rosbag1
from rosbags.rosbag2 import storage_mcap as mcap

from sicm_ros.errors import InputError
from sicm_ros.files import read_bytes

MOST_CHUNK = 256 << 20  # bytes; recorders write chunks of about 1 MB, of at least one image
MOST_METADATA = 1 << 20  # bytes of metadata.yaml
MOST_BRACKETS = 1000
MOST_ALIASES = 32  # anchors and aliases; a few more, each of several of the ones before, stand for millions
_ALIAS = re.compile(rb"(?:^|[\s\[{,])[&*]\w")


def bounded(decompressor: Callable[[], Any]) -> Callable[..., bytes]:
    """Return a function that unpacks bytes with a new decompressor, or raises InputError above MOST_CHUNK."""

    def unpack(data: bytes, *_: int) -> bytes:
        unpacked = decompressor().decompress(data, max_length=MOST_CHUNK + 1)
        if len(unpacked) > MOST_CHUNK:
            raise InputError(f"{len(data)} bytes stand for more than {MOST_CHUNK}")
        return unpacked

    return unpack


unpack_zstd = bounded(mcap.zstd.ZstdDecompressor)


def bound_chunks() -> None:
    """Have rosbags unpack no more than MOST_CHUNK of a chunk."""
    frame = bounded(lz4.frame.LZ4FrameDecompressor)
    mcap.DECOMPRESSORS.update({"zstd": unpack_zstd, "lz4": frame})
    rosbag1.decompressors.update({"lz4": frame, "bz2": bounded(bz2.BZ2Decompressor)})


def check_metadata(folder: Path) -> None:
    """Raise InputError where a bag's metadata.yaml stands for more than its bytes.

    No recorder writes aliases, though scripts may write some, or thousands of brackets; whatever else is wrong with it,
    its reader says.
    """
    path = folder / "metadata.yaml"
    if not path.exists():
        return
    text = read_bytes(path, MOST_METADATA)
    if len(_ALIAS.findall(text)) > MOST_ALIASES or text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        raise InputError(f"{path}: not written by a recorder; `ros2 bag reindex` writes a new one")
