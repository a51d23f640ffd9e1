# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Reading files that may be anything: a device, a pipe that nobody writes to, more than the memory holds."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sicm_ros.errors import InputError


def read_bytes(path: str | Path, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes; links are followed.

    Raises:
        InputError: it is no regular file, or a larger one; nothing of it was read then.
        OSError: it is missing, or can't be read.
    """
    # A pipe without a writer would keep us waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file; expected one of at most {most} bytes")
        if status.st_size > most:
            raise InputError(f"{path}: {status.st_size} bytes; expected at most {most}")
        parts, left = [], most + 1  # files of /proc say that they are empty, and a file may grow
        while left and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise InputError(f"{path}: grows while it is read; expected at most {most} bytes")
    return b"".join(parts)
