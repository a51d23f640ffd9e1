# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Files below a folder, whether they lie there as they are or inside zip archives, as KITTI is handed out."""

from __future__ import annotations

import bz2
import copy
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sicm_ros.errors import InputError
from sicm_ros.files import read_bytes

_UNPACKERS: dict[int, Callable[[], Any] | None] = {
    zipfile.ZIP_STORED: None,
    zipfile.ZIP_DEFLATED: lambda: zlib.decompressobj(-zlib.MAX_WBITS),
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
}
MOST_FILES = 500_000  # of a data set; KITTI's raw drives together have 190,000
MOST_BYTES = 1 << 26  # of one file; its largest images have 1 MB, its scans 2 MB


class Tree:
    """What a folder holds, zip archives opened: relative POSIX path -> bytes.

    An archive's members appear as if it had been unpacked where it lies (KITTI's archives all start with `training/`,
    `dataset/` or the date). A file on disk hides an archive's member of the same path. May be sent to other processes.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.exists():
            raise InputError(f"{self.root} does not exist; expected a KITTI folder or zip archive")
        self._archives: dict[str, tuple[Path, str]] = {}
        self._files: set[str] = set()
        self._open: tuple[int, dict[Path, zipfile.ZipFile]] = (os.getpid(), {})
        if self.root.is_file():
            self._add_archive(self.root, "")
        else:
            self._add_folder(self.root, "")

    def _add_folder(self, folder: Path, prefix: str, above: tuple[tuple[int, int], ...] = ()) -> None:
        status = folder.stat()
        here = status.st_dev, status.st_ino
        if here in above:  # a link to where we come from
            return
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if _of_macos(entry.name):
                continue
            if len(self._files) > MOST_FILES:
                raise InputError(f"{self.root}: more than {MOST_FILES} files; expected a KITTI folder")
            if entry.is_dir():
                self._add_folder(Path(entry.path), f"{prefix}{entry.name}/", (*above, here))
            elif entry.name.lower().endswith(".zip"):
                self._add_archive(Path(entry.path), prefix)
            else:
                self._files.add(prefix + entry.name)

    def _add_archive(self, archive: Path, prefix: str) -> None:
        try:
            with zipfile.ZipFile(archive) as opened:
                names = opened.namelist()
        except Exception as error:  # whatever zipfile meets in bytes that are no archive
            raise InputError(f"{archive} cannot be read as a zip archive ({error}); fetch it again") from None
        if len(names) > MOST_FILES:
            raise InputError(f"{archive}: {len(names)} members; expected at most {MOST_FILES}")
        for member in names:
            parts = member.split("/")
            # What doesn't lie below the archive is nobody's file.
            if parts[0] and parts[-1] and ".." not in parts and not any(map(_of_macos, parts)):
                self._archives.setdefault(prefix + member, (archive, member))

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": (0, {})}  # open archives stay with their process

    def __contains__(self, path: str) -> bool:
        return path in self._files or path in self._archives

    def __iter__(self) -> Iterator[str]:
        """Return every path, sorted."""
        return iter(sorted(self._files | self._archives.keys()))

    def where(self, path: str) -> str:
        """Return the place of a path, as a person would look for it."""
        if path in self._archives and path not in self._files:
            archive, member = self._archives[path]
            return f"{archive}:{member}"
        return str(self.root / path)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; InputError if it is missing or its archive is broken."""
        try:
            if path in self._files:
                return read_bytes(self.root / path, MOST_BYTES)
            if path in self._archives:
                archive, member = self._archives[path]
                return _unpacked(self._archive(archive), member, self.where(path))
        except InputError:
            raise
        except Exception as error:  # the system, zipfile, or one of its decompressors (zlib, bz2, LZMA)
            raise InputError(f"{self.where(path)} can't be read: {error}") from None
        raise InputError(f"{self.root / path} is missing")

    def text(self, path: str) -> str:
        """Return the text of a file; InputError if it isn't text."""
        try:
            return self.read(path).decode("utf-8-sig")  # without the byte order mark that some editors write
        except UnicodeDecodeError:
            raise InputError(f"{self.where(path)} is not a text file") from None

    def _archive(self, archive: Path) -> zipfile.ZipFile:
        process, opened = self._open
        if process != os.getpid():  # after a fork the parent's file offsets must not be shared
            self._open = process, opened = os.getpid(), {}
        if archive not in opened:
            opened[archive] = zipfile.ZipFile(archive)
        return opened[archive]


def _unpacked(archive: zipfile.ZipFile, member: str, where: str) -> bytes:
    """Return a member's bytes. zipfile itself unpacks more than a member says it has: here that is the most.

    Raises:
        InputError: more than MOST_BYTES, other than what was put in, encrypted, or packed in a way that KITTI isn't.
    """
    about = archive.getinfo(member)
    if about.file_size > MOST_BYTES or about.compress_size > MOST_BYTES:
        raise InputError(f"{where}: {max(about.file_size, about.compress_size)} bytes; expected at most {MOST_BYTES}")
    if about.flag_bits & 1 or about.compress_type not in _UNPACKERS:
        raise InputError(f"{where} is encrypted, or packed in an unusual way; unpack the archive first")
    as_it_lies = copy.copy(about)
    as_it_lies.compress_type, as_it_lies.file_size = zipfile.ZIP_STORED, about.compress_size
    as_it_lies.CRC = None  # type: ignore[assignment]  # which isn't that of the packed bytes
    with archive.open(as_it_lies) as file:
        packed = file.read()
    unpacker = _UNPACKERS[about.compress_type]
    data = packed if unpacker is None else unpacker().decompress(packed, about.file_size + 1)
    if len(data) != about.file_size or zlib.crc32(data) != about.CRC:
        raise InputError(f"{where} differs from what was archived; fetch it again")
    return data


def _of_macos(name: str) -> bool:
    """Return whether a file or folder is what macOS leaves beside copied files: their attributes
    under the same endings.
    """
    return name.startswith("._") or name == "__MACOSX"
