# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The files of a model folder, each read once and held against SHA256SUMS, which `sha256sum -c` reads as well.

One flipped bit of half a million weights is seen by nobody; all that is computed with is checked before it is used.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from sicm_ros.errors import InputError, ModelError
from sicm_ros.files import read_bytes, write_text

SUMS = "SHA256SUMS"
MOST_BYTES = 96 << 20  # of a file: 50 million weights in half precision, twice what the largest backbone has
KEPT = 1 << 16  # bytes of a file that is kept: the configuration is asked for again and again
PAGES = (".md",)  # for people: they may be mended
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\0]+)")

_log = logging.getLogger("sicm_ros")


class ModelFiles:
    """A model folder's files as they were written.

    Args:
        folder: that may be damaged, or change while it is read.

    Raises:
        ModelError: SHA256SUMS is there, but can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, bytes] = {}
        self._sums = self._read_sums()

    def _read_sums(self) -> dict[str, str] | None:
        path = self.folder / SUMS
        if not path.exists():
            return None
        lines = [_LINE.fullmatch(line) for line in self._bytes(SUMS, 1 << 16).decode(errors="replace").splitlines()]
        if not lines or not all(lines):
            raise ModelError(f"{path}: not in the format of sha256sum; fetch the model again")
        return {line[2]: line[1] for line in lines if line}

    def read(self, name: str) -> bytes:
        """Return a file's bytes, checked.

        Raises:
            ModelError: it is missing, no regular file, too large, or not what SHA256SUMS says.
        """
        if name in self._known:
            return self._known[name]
        data = self._bytes(name, MOST_BYTES)
        if self._sums is not None:
            self._check(name, data, self._sums)
        if len(data) <= KEPT:
            self._known[name] = data
        return data

    def page(self, name: str) -> str:
        """Return the text of a page for people; an empty one where it isn't there."""
        return self._bytes(name, 1 << 20).decode(errors="replace") if (self.folder / name).exists() else ""

    def _check(self, name: str, data: bytes, sums: dict[str, str]) -> None:
        if name not in sums:
            raise ModelError(f"{self.folder / SUMS}: does not list {name}; fetch the model again")
        if hashlib.sha256(data).hexdigest() != sums[name]:
            raise ModelError(
                f"{self.folder / name}: not what {SUMS} says, so it was damaged, changed or replaced; "
                "fetch the model again"
            )

    def warn_if_unsummed(self) -> None:
        """Say that damage would not be noticed, where nothing is there to notice it by."""
        if self._sums is None:
            _log.warning(
                "%s: no %s, so damage would not be noticed; if it is as you made it, run: "
                "cd %s && sha256sum *.yaml *.safetensors > %s",
                *(self.folder, SUMS, self.folder, SUMS),
            )

    def _bytes(self, name: str, most: int) -> bytes:
        try:
            return read_bytes(self.folder / name, most)
        except InputError as error:
            raise ModelError(f"{error}; fetch the model again") from None
        except OSError as error:
            raise ModelError(f"{self.folder / name}: {error.strerror}; fetch the model again") from None


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of what a model computes with: every file of its folder but pages for people."""
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.suffix not in PAGES and p.name != SUMS)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    write_text(folder / SUMS, "".join(lines))
