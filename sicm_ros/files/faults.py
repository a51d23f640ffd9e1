# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the system refuses, in one line: where, why, and what can be done about it."""

from __future__ import annotations

import errno

from sicm_ros.errors import printable

_FULL = "free some space, or write elsewhere; what was finished is kept"
_FORBIDDEN = "choose a place where you may read and write"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the limit of files' sizes (ulimit -f), or write elsewhere; what was finished is kept",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.EEXIST: "expected a folder, or a name that is free",
    errno.ENOTDIR: "a file lies where a folder is expected",
    errno.EISDIR: "a folder lies where a file is expected",
    errno.ENOENT: "expected one that exists",
    errno.ELOOP: "links that lead to each other: remove them",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EIO: "the disk or the way to it fails; copy what you need elsewhere",
    errno.ENOMEM: "close other programs, or ask for less at once",
}
_NO_MEMORY = "not enough memory; close other programs, or ask for less at once (--workers, --limit, smaller files)"
# How libraries word it in errors of their own kinds (torch, OpenCV, SQLite, safetensors): part of a text -> errno.
_WORDINGS = {
    "can't allocate memory": errno.ENOMEM,
    "insufficient memory": errno.ENOMEM,
    "out of memory": errno.ENOMEM,
    "no space left": errno.ENOSPC,
    "disk is full": errno.ENOSPC,
    "disk i/o error": errno.EIO,
    "file too large": errno.EFBIG,
    "os error 27": errno.EFBIG,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
}


def explain(error: BaseException) -> str | None:
    """Return one line with place, reason and remedy of what the system refused; None of any other error."""
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        # A name may hold anything; a line stays one.
        names = [_shown(name) for name in (error.filename, error.filename2) if name is not None]
        place = f"{' to '.join(names)}: " if names else ""
        reason = error.strerror or type(error).__name__
        return f"{place}{reason}; {_REMEDIES.get(error.errno, 'expected a place that can be read and written')}"
    number = number_of(error)
    if number is None:
        return None
    return _NO_MEMORY if number == errno.ENOMEM else f"{_first_line(error)}; {_REMEDIES[number]}"


def number_of(error: BaseException) -> int | None:
    """Return the errno that a library's own error speaks of; None where the system isn't to blame."""
    if type(error).__module__ == "builtins" and not isinstance(error, RuntimeError):
        return None
    text = str(error).lower()
    return next((number for wording, number in _WORDINGS.items() if wording in text), None)


def _shown(name: object) -> str:
    return printable(name.decode(errors="backslashreplace") if isinstance(name, bytes) else name)


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
