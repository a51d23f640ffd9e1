# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where commands write: what has a name is whole, and what had the name before stays until then.

What is unfinished lies beside it under a name that begins with a dot and ends in `.part`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write a file that is whole whenever it is there; makes the folders above it.

    Raises:
        OSError: it can't be written; names the path.
    """
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name to write to that takes the place of `path` when the block is done; nothing is left where it raises.

    The name has the suffix of `path`, which some writers go by.

    Raises:
        OSError: it can't be written; names the path.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # /dev/stdout, say: there is no whole and no half
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(path))
        yield path
        return
    path = Path(os.path.realpath(path))  # a link stays one
    part = path.with_name(f".{path.stem[:200]}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _settle(part)
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(part), part):
            raise _at(path, error) from None
        raise


@contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """A copy of a folder, or a new one, to write to; takes its place when the block is done, whole.

    Raises:
        OSError: it can't be written; names a path.
    """
    folder = Path(os.path.realpath(folder))
    part = folder.with_name(f".{folder.name[:200]}.{os.getpid()}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.copytree(folder, part)
        else:
            part.mkdir()
        yield part
        for file in part.iterdir():
            if file.is_file():
                _settle(file)
        _take_place(part, folder)
    except shutil.Error as error:  # of several files; the first one says enough
        first = error.args[0][0] if error.args and error.args[0] else (str(folder), "", str(error))
        raise OSError(5, str(first[2]), str(first[0])) from None
    except OSError as error:
        raise (error if error.filename is not None else _at(folder, error)) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _take_place(new: Path, old: Path) -> None:
    """Gives a folder another one's name; `new` then names the old one, if there was one."""
    if not old.exists():
        new.rename(old)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(libc, "renameat2", None)
    if exchange is not None and not exchange(_HERE, os.fsencode(new), _HERE, os.fsencode(old), _EXCHANGE):
        return
    # A file system that can't exchange: for a moment nothing has the name.
    before = new.with_name(f"{new.name}.old")
    old.rename(before)
    new.rename(old)
    before.rename(new)


def _settle(path: Path) -> None:
    """Has the disk keep a file's content before anything names it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _at(path: Path, error: OSError) -> OSError:
    """The same error, of a path that the user knows."""
    return type(error)(error.errno, error.strerror or str(error), str(path))
