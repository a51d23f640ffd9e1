# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Errors that a person can act on.

Every error of this package derives from `SicmError`; the subclass says what the caller can do about it, the message
names the thing, its value, what was expected and the remedy.
"""


def printable(text: object, most: int = 1000) -> str:
    """Return a text from outside as it may stand in a line of a log or a terminal.

    Topics, file names and messages of strangers may hold anything: control characters come as escapes, what is longer
    than `most` characters is cut.
    """
    said = str(text)
    if len(said) > most:
        said = f"{said[:most]}... ({len(said)} characters)"
    return said if said.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)


class SicmError(Exception):
    """Base of every error that sicm_ros raises on purpose."""


class InputError(SicmError, ValueError):
    """An argument, image, file or label that is missing, broken or contradictory: mend the input."""


class CalibrationError(InputError):
    """A calibration that no rectified stereo pair can have: rectify, or mend camera_info."""


class BitstreamError(SicmError, ValueError):
    """A packet that can't be decoded: drop it and wait for the next one."""


class ReferenceMissingError(BitstreamError):
    """A packet refers to an earlier pair that isn't here: drop it, and tell the encoder what is."""


class ModelError(SicmError):
    """A model folder or checkpoint that can't be used: fetch or retrain it."""


class DependencyError(SicmError, ImportError):
    """An optional package is missing: install it with the command in the message."""


class VerificationError(SicmError):
    """An engine or a type of number that computes wrongly on this machine: take another one."""
