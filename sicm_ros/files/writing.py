# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where commands write: what has a name is whole, and what had the name before stays until then.

What is unfinished lies beside it under a name that begins with a dot and ends in `.part`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sicm_ros.files.faults import number_of

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
            raise _refusal(errno.EISDIR, path)
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
        number = number_of(error)  # what safetensors, say, makes of it
        if number is not None and number != errno.ENOMEM:
            raise _refusal(number, path) from None
        raise


class Lines:
    """A file that grows by whole lines, each there for good once it is written; use as a context manager.

    Raises:
        OSError: it can't be written; names the path.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, line: str) -> None:
        """Append a line, which brings its own end."""
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise _at(self._path, error) from None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what could not be written was told
            self._file.close()


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
        take_place(part, folder)
    except shutil.Error as error:  # of several files; the first one says enough
        first = error.args[0][0] if error.args and error.args[0] else (str(folder), "", str(error))
        raise OSError(errno.EIO, str(first[2]), str(first[0])) from None
    except OSError as error:
        raise (error if error.filename is not None else _at(folder, error)) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_place(path: str | Path, folder: bool | None = None) -> None:
    """Say before hours of work, not after them, that nothing can be written to a path.

    Args:
        folder: whether a folder or a file is to be there; None where it may be either.

    Raises:
        OSError: it can't; names what is in the way.
    """
    path = Path(path)
    if path.exists() and folder is not None and path.is_dir() != folder:
        raise _refusal(errno.ENOTDIR if folder else errno.EISDIR, path)
    above = path if path.is_dir() else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise _refusal(errno.ENOTDIR, above)
    if not os.access(above, os.W_OK | os.X_OK):
        raise _refusal(errno.EROFS if os.statvfs(above).f_flag & os.ST_RDONLY else errno.EACCES, above)


def _refusal(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def take_place(new: Path, old: Path) -> None:
    """Give a file or a folder another one's name; `new` then names the old one, if there was one.

    Raises:
        OSError: it can't have the name.
    """
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
