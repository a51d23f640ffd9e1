# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Entropy coding of integer residuals with integer tables.

The range coder is constriction's (Bamler 2022, arXiv 2201.01741). Symbols are grouped by their table, so that each call
codes an array with one table: as fast as an unadaptive coder, yet every symbol has its own distribution. A residual at
the end of its table or beyond it is coded as that end, and how far beyond follows (Elias gamma, with four bits for the
length): rare, but at high rates these are the symbols that matter most. An encoder, a decoder and a meter share one
method, `code(tables, wanted) -> residuals`, so that what walks over the latents is one piece of code for all three.
"""

from __future__ import annotations

import constriction
import numpy as np

from sicm_ros.entropy.tables import Tables
from sicm_ros.errors import BitstreamError

LENGTH_BITS = 4  # of the length of an excess
MAX_EXCESS = (1 << (1 << LENGTH_BITS)) - 2  # beyond the end of a table
_LENGTHS = constriction.stream.model.Uniform(1 << LENGTH_BITS)
_BITS = constriction.stream.model.Uniform(2)


class Models:
    """Tables, and constriction's models of them in `each`, by number."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        # constriction gives each of n symbols one of its 2^24 units and shares the rest in proportion. Weights one less
        # than our frequencies sum to exactly that rest, so that its arithmetic stays on integers and its table is ours.
        self.each = [
            constriction.stream.model.Categorical(tables.of(table).astype(np.float64) - 1, perfect=False)
            for table in range(len(tables.starts) - 1)
        ]


def _by_table(tables: np.ndarray, reach_of: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int]]]:
    """Return the stable order that sorts uint8 (n,), the reach of each in that order, and (table, start, end) of each
    run of it.
    """
    counts = np.bincount(tables)
    present = counts.nonzero()[0]
    counts = counts[present]
    ends = counts.cumsum()
    runs = list(zip(present.tolist(), (ends - counts).tolist(), ends.tolist()))
    return tables.argsort(kind="stable"), np.repeat(reach_of[present], counts), runs


def _clipped(wanted: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return what can be coded at all."""
    return np.clip(wanted, -reach - MAX_EXCESS, reach + MAX_EXCESS).astype(np.int32)


def _outside(residuals: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return the indices of residuals that aren't inside of their tables."""
    return np.flatnonzero(np.abs(residuals) >= reach)


def _excesses(residuals: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of residuals that aren't inside of their tables: 1 + how far beyond the end, and its length in bits after
    the leading one.
    """
    values = np.abs(residuals) - reach + 1
    return values, (np.frexp(values.astype(np.float64))[1] - 1).astype(np.int32)


def _bit_places(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of the bits of numbers of these lengths, in turn, highest first: the number's index,
    and the bit's place.
    """
    of = np.repeat(np.arange(len(lengths)), lengths)
    return of, np.cumsum(lengths)[of] - 1 - np.arange(len(of))


class Encoder:
    """Writes residuals."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._coder = constriction.stream.queue.RangeEncoder()

    def code(self, tables: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Write residuals, int32 (n,), by tables, uint8 (n,); return those that were written, int32 (n,)."""
        order, reach, runs = _by_table(tables, self._models.tables.reach_of)
        entries = wanted[order]
        outside = _outside(entries, reach)
        if len(outside):
            outside = outside[order[outside].argsort()]  # excesses follow in the order of the symbols
            far = _clipped(entries[outside], reach[outside])
            wanted = wanted.copy()
            wanted[order[outside]] = far
            entries = np.clip(entries, -reach, reach)
        entries += reach
        encode, models = self._coder.encode, self._models.each
        for table, start, end in runs:
            encode(entries[start:end], models[table])
        if len(outside):
            values, lengths = _excesses(far, reach[outside])
            of, places = _bit_places(lengths)
            encode(lengths, _LENGTHS)
            encode((values[of] >> places & 1).astype(np.int32), _BITS)
        return wanted

    def payload(self) -> bytes:
        """Return everything written so far: constriction's 32-bit words, little-endian, less the zero
        bytes at their end.
        """
        return self._coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


class Decoder:
    """Reads residuals. Bytes that no encoder wrote give residuals of no meaning or BitstreamError, nothing else."""

    def __init__(self, models: Models, payload: bytes) -> None:
        self._models = models
        words = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def code(self, tables: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        """Read the residuals, int32 (n,), of `tables`, uint8 (n,); `wanted` is not looked at."""
        residuals = np.empty(len(tables), np.int32)
        if not len(residuals):
            return residuals
        order, reach, runs = _by_table(tables, self._models.tables.reach_of)
        decode, models = self._coder.decode, self._models.each
        try:
            entries = np.concatenate([decode(models[table], end - start) for table, start, end in runs])
            entries -= reach
            residuals[order] = entries
            outside = np.sort(order[_outside(entries, reach)])
            if len(outside):
                lengths = decode(_LENGTHS, len(outside))
                of, places = _bit_places(lengths)
                bits = decode(_BITS, len(of)) if len(of) else np.zeros(0, np.int32)
                rest = np.bincount(of, bits << places, len(outside)).astype(np.int32)
                residuals[outside] += np.sign(residuals[outside]) * ((1 << lengths) + rest - 1).astype(np.int32)
        except (AssertionError, ValueError) as error:
            raise BitstreamError(f"payload: not the output of an encoder ({error}); drop the packet") from None
        return residuals

    def finish(self) -> None:
        """Raise BitstreamError unless the payload ends where the symbols do."""
        if not self._coder.maybe_exhausted():
            raise BitstreamError("payload: bytes are left over after the last symbol; drop the packet")


class Meter:
    """Counts what an encoder would write, symbol by symbol."""

    def __init__(self, models: Models) -> None:
        self._tables = models.tables
        self.bits: list[np.ndarray] = []

    def code(self, tables: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return `wanted`, int32 (n,), as `tables`, uint8 (n,), write it; append the costs, float64 (n,), to `bits`."""
        reach = self._tables.reach_of[tables]
        residuals = _clipped(wanted, reach)
        costs = self._tables.costs[self._tables.starts[tables] + np.clip(residuals, -reach, reach) + reach]
        outside = _outside(residuals, reach)
        costs[outside] += LENGTH_BITS + _excesses(residuals[outside], reach[outside])[1]
        self.bits.append(costs)
        return residuals
