# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Messages from one bag to another, byte for byte, with their definitions and qualities of service."""

from __future__ import annotations

from pathlib import Path

from sicm_ros.bags import Bag, BagMessage, BagWriter
from sicm_ros.errors import InputError


class Copy:
    """Writes messages of a bag to another one.

    Attributes:
        remarks: topics that can't be copied, and why.
    """

    def __init__(self, bag: Bag, writer: BagWriter) -> None:
        self._bag, self._writer = bag, writer
        self._known: dict[tuple[str, str], bool] = {}
        self.remarks: list[str] = []

    def write(self, message: BagMessage) -> None:
        """Copy a message; where nothing tells what it is, its topic is left out, and said once."""
        key = message.topic, message.type
        if key not in self._known:
            try:
                self._writer.announce(*key, self._bag.definition(*key))
                self._known[key] = True
            except InputError as error:
                self.remarks.append(str(error))
                self._known[key] = False
        if self._known[key]:
            self._writer.write(*key, message.stamp, message.data)


def size_on_disk(path: Path) -> int:
    """Return the bytes of a bag: a file's, or those of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.is_dir() else path.stat().st_size
