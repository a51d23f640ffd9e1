# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What an earlier pair says about the symbols of this one: integers that correct the prior's means and scales.

The latents themselves know nothing of it: each is computed from its own pair, and only the bytes that write it become
fewer. So nothing drifts, and a pair whose reference is missing is lost alone. (VCT, arXiv 2206.07307, codes latents
this way; there with a transformer, here with one small network for each pass, on integers as the rest of the prior.)

    window of the reference, what has changed next to it, mean and scale of the prior by itself, facts of the cell
        -> two hidden layers, whose biases are the channel's own
        -> how far the mean moves towards the reference, and corrections of mean and scale
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from sicm_ros.entropy.config import AROUND, EVEN, LEFT, RIGHT, Pass, PriorConfig
from sicm_ros.entropy.grids import cell_indices, padded_grid
from sicm_ros.entropy.rounding import round_down, sums
from sicm_ros.entropy.tables import EXACT, MEAN_LIMIT, SCALES
from sicm_ros.errors import ModelError

Array = np.ndarray

SIMILARITIES = 16  # steps in which a packet says how much of the reference is still there
SEEN = 31  # a reference's symbols are clipped to this
KEPT = 127  # ... and to this where they are kept, before they are scaled to another quality
QUARTERS = 127  # means are clipped to this, in quarters
ACTIVATIONS = 255
# What is seen of the reference, and of what has changed, as (row, column) from a place. Wider windows gained nothing.
CROSS = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0))
LEAST_SCALE = 5  # below, and where the reference is zero all around, the prior by itself is sure enough
FACTS = 9  # what is known of all places, of a cell, and at last of a channel
COMMON = 3  # facts that are the same everywhere
ROW, HYPER, NEXT, THERE, OTHER_VIEW = range(5)  # facts of a cell, in their order
HIDDEN0, HIDDEN1 = 24, 12
HIDDEN0_SHIFT, HIDDEN1_SHIFT, OUTPUT_SHIFT = 6, 7, 9
TOWARDS = 64  # parts of the way from the mean to the reference
TOGETHER = 2048  # places at once, so that what is computed stays in the processor's cache
OUTPUTS = 3  # parts of that way, changes of mean and scale
GAIN_ONE = 1 << 12  # in which gains are counted


@dataclass(frozen=True)
class CodedSymbols:
    """Symbols of a pair as both sides know them, and what the prior by itself expected.

    Attributes:
        views: int32 (h * w, channels that are coded) of each view.
        z: int32 (K, ceil(h / 4), ceil(w / 4)), or None.
        means: int32, quarters, shaped as `views`: without any reference.
        size: h, w.
        quality: 0 to 255.
    """

    views: list[Array]
    z: Array | None
    means: list[Array]
    size: tuple[int, int]
    quality: int

    def kept(self) -> CodedSymbols:
        """Return it in as little memory as a reference needs."""
        views = [np.clip(view, -KEPT, KEPT).astype(np.int8) for view in self.views]
        z = None if self.z is None else np.clip(self.z, -KEPT, KEPT).astype(np.int8)
        means = [np.clip(mean, -MEAN_LIMIT, MEAN_LIMIT).astype(np.int16) for mean in self.means]
        return CodedSymbols(views, z, means, self.size, self.quality)


@dataclass(frozen=True)
class Past:
    """A reference as a packet names it.

    Attributes:
        coded: the earlier pair, `kept`.
        age: how many pairs it lies back, 1 or more.
        similarity: 0 to SIMILARITIES - 1, how much of it is still there: `TemporalPrior.similarity`.
    """

    coded: CodedSymbols
    age: int
    similarity: int


@dataclass(frozen=True)
class Seen:
    """A reference as the networks look at it, at the quality of the pair that is coded.

    Attributes:
        views: (h, w, channels) of each view, clipped to SEEN.
        means: (h * w, channels) of each view, clipped to QUARTERS.
        z: (rows, columns, K), clipped to SEEN; None without hyperprior.
        facts: quality, age and similarity as the networks take them.
    """

    views: list[Array]
    means: list[Array]
    z: Array | None
    facts: tuple[int, int, int]

    @cached_property
    def there(self) -> Array:
        """(h * w,), how much the reference's left latent has at a cell: one of the facts."""
        left = self.views[LEFT]
        much = 2 * sums(np.minimum(np.abs(left), 3).reshape(-1, left.shape[2]), 1)
        return np.minimum(much, ACTIVATIONS)

    @cached_property
    def around(self) -> list[Array]:
        """Views with the zeros around them, flattened."""
        return [padded_grid(view, AROUND).ravel() for view in self.views]

    @cached_property
    def near(self) -> list[Array]:
        """Where each view has something at a cell or next to it: bool (h * w, channels)."""
        found = []
        for view in self.views:
            padded = padded_grid(view != 0, AROUND)
            rows = padded[:-2] | padded[1:-1] | padded[2:]
            found.append((rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]).reshape(-1, view.shape[2]))
        return found


@dataclass(frozen=True)
class Inputs:
    """What the network of a pass looks at: the n places, cells of a channel, where a reference may help.

    Attributes:
        places: (n,), indices into the flattened (cells, channels); elsewhere everything stays as the prior has it.
        cell, channel: (n,), of each place.
        own: (inputs, n), of each place by itself.
        common: the first of the facts, the same for all.
        facts: (facts of a cell, cells), the same for all channels.
        changes: (channels,), the last of the facts, the same for all cells.
        here, expected: (n,), the reference's symbol, and the mean, in quarters.
        mean, scale: (cells, channels), of the prior by itself.
    """

    places: Array
    cell: Array
    channel: Array
    own: Array
    common: tuple[int, int, int]
    facts: Array
    changes: Array
    here: Array
    expected: Array
    mean: Array
    scale: Array


@dataclass(frozen=True)
class Spec:
    """The sizes of one pass's networks: `name` before its arrays', channels, largest values of the inputs of each."""

    name: str
    channels: int
    largest: tuple[int, ...]


def specs(config: PriorConfig) -> list[Spec]:
    """Return the passes that a reference helps, in the order of the bitstream; the hyper latent, if any, is first."""
    found = []
    if config.hyperprior:
        found.append(Spec("z", config.hyper_channels, _largest(False)))
    for number, step in enumerate(config.passes()):
        found.append(Spec(f"pass{number}", config.coded(step.view), _largest(step.own)))
    return found


def _largest(own: bool) -> tuple[int, ...]:
    symbols = len(CROSS) + (len(NEIGHBOURS) if own else 0)
    return (SEEN,) * symbols + (QUARTERS, QUARTERS, QUARTERS, SCALES - 1)


class TemporalPrior:
    """The networks of a model's temporal prior; `arrays` are those of a folder's temporal.safetensors.

    Attributes:
        arrays: as they were given.
        digest: 32 bits that tell one from another.
    """

    def __init__(self, config: PriorConfig, arrays: Mapping[str, Array], dtype: type = np.float32) -> None:
        self.config, self.dtype, self.arrays = config, dtype, dict(arrays)
        coded = config.coded(LEFT) + config.coded(RIGHT)
        self.gain = _integers(arrays, "gain", (256, coded)).astype(np.int64)
        if self.gain.min() < 1:
            raise ModelError("temporal prior: a gain is not positive; train it again")
        self._networks = {spec.name: _Corrections(spec, arrays, dtype) for spec in specs(config)}
        digest = 0
        for name in sorted(arrays):
            digest = zlib.crc32(np.ascontiguousarray(arrays[name]).tobytes(), zlib.crc32(name.encode(), digest))
        self.digest = digest

    def seen(self, past: Past, quality: int) -> Seen:
        """Return a reference as it looks at another quality."""
        coded, config = past.coded, self.config
        views: list[Array] = []
        means: list[Array] = []
        for view, mean in self._scaled(coded, quality):
            views.append(view.astype(self.dtype).reshape(*coded.size, -1))
            means.append(mean.astype(self.dtype).clip(-QUARTERS, QUARTERS))
        z: Array | None = None
        if config.hyperprior and coded.z is not None:
            z = np.clip(coded.z, -SEEN, SEEN).astype(self.dtype).transpose(1, 2, 0)
        return Seen(views, means, z, (quality, 16 * past.age, 16 * past.similarity))

    def _scaled(self, coded: CodedSymbols, quality: int) -> Iterator[tuple[Array, Array]]:
        """Yield symbols and means of each view as they would be at another quality, clipped."""
        first = 0
        for view, mean in zip(coded.views, coded.means, strict=True):
            channels = slice(first, first + view.shape[1])
            first = channels.stop
            if coded.quality != quality:
                before, now = self.gain[coded.quality, channels], self.gain[quality, channels]
                view, mean = _scaled(view, now, before), _scaled(mean, now, before)
            yield np.clip(view, -SEEN, SEEN), np.clip(mean, -MEAN_LIMIT, MEAN_LIMIT)

    def similarity(self, views: list[Array], past: CodedSymbols, quality: int) -> int:
        """Return how many of the symbols that aren't zero in both a pair and an earlier one are the same: 0 to
        SIMILARITIES - 1.

        Args:
            views: symbols of the pair, as `CodedSymbols.views`, at `quality`.
        """
        same = there = 0
        for now, (earlier, _) in zip(views, self._scaled(past, quality), strict=True):
            there += np.count_nonzero(now | earlier)
            same += np.count_nonzero((now.clip(-SEEN, SEEN) == earlier) & (earlier != 0))
        return (SIMILARITIES - 1) * same // there if there else SIMILARITIES - 1

    def correct(self, name: str, inputs: Inputs) -> tuple[Array, Array]:
        """Return means in quarters and scale indices, int32 (cells, channels), that heed the reference."""
        towards, mean_change, scale_change = self._networks[name](inputs)
        towards *= inputs.here - inputs.expected
        towards += TOWARDS / 2
        towards /= TOWARDS  # a power of two
        mean_change += np.floor(towards, out=towards)
        mean_change += inputs.expected
        scale_change += inputs.own[-1]
        mean, scale = inputs.mean.copy(), inputs.scale.copy()
        for values, corrected, low, high in (
            (mean, mean_change, -MEAN_LIMIT, MEAN_LIMIT),
            (scale, scale_change, 0, SCALES - 1),
        ):
            values.reshape(-1)[inputs.places] = np.maximum(np.minimum(corrected, high), low).astype(np.int32)
        return mean, scale


class Lookback:
    """A pair beside its reference, as far as the pair's symbols are known: what networks look at, pass by pass."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        height, width = seen.views[LEFT].shape[:2]
        shape = height + 2, width + 2  # with the zeros around
        self._moved: Array | None = None
        self._changed = [np.zeros((*shape, view.shape[2]), view.dtype) for view in seen.views]
        self._sums = [np.zeros(shape, view.dtype) for view in seen.views]
        self._changes = [np.zeros(view.shape[2], view.dtype) for view in seen.views]

    def learn_hyper(self, z: Array) -> None:
        """Take in the pair's own hyper symbols, (K, ceil(h / 4), ceil(w / 4))."""
        height, width = self._seen.views[LEFT].shape[:2]
        assert self._seen.z is not None
        z = np.clip(z, -SEEN, SEEN).transpose(1, 2, 0)
        moved = np.minimum(np.abs(z - self._seen.z), 15).sum(2) * 4
        moved = np.minimum(moved, ACTIVATIONS)
        self._moved = np.repeat(np.repeat(moved, 4, 0), 4, 1)[:height, :width].ravel()

    def learn(self, step: Pass, symbols: Array) -> None:
        """Take in the symbols of a pass, (cells, channels)."""
        view, parity, earlier = step.view, step.parity, self._seen.views[step.view]
        height, width, channels = earlier.shape
        then = earlier.reshape(-1, channels)[cell_indices(height, width, parity)]
        differences = np.clip(symbols, -SEEN, SEEN).astype(then.dtype) - then
        inside = _padded_indices(height, width, parity)
        self._sums[view].reshape(-1)[inside] = sums(np.minimum(np.abs(differences), 3), 1)
        if parity == EVEN:
            other = differences != 0
            self._changed[view].reshape(-1, channels)[inside] = differences.clip(-SEEN, SEEN)
            many, anything = (sums(where.astype(then.dtype), 0) for where in (other, other | (then != 0)))
            self._changes[view] = ACTIVATIONS * many // np.maximum(anything, 1)

    def hyper_inputs(self, mean: Array, scale: Array) -> Inputs:
        """Return what is known of hyper symbols, whose means and scales are (K, cells)."""
        z = self._seen.z
        assert z is not None
        facts = _facts(z, None, 64)
        facts[THERE] = np.minimum(np.abs(z).clip(0, 15).sum(2).ravel() * 4, ACTIVATIONS)
        places = np.arange(mean.size)
        changes = np.zeros(z.shape[2], z.dtype)
        around = padded_grid(z, AROUND).ravel()
        return self._inputs(places, z.shape, None, around, None, facts, changes, mean.T, None, scale.T)

    def pass_inputs(self, step: Pass, mean: Array, scale: Array) -> Inputs:
        """Return what is known of the symbols of a pass, before they are.

        Args:
            mean, scale: int32 (cells, channels), of the prior by itself.
        """
        view, parity, seen, earlier = step.view, step.parity, self._seen, self._seen.views[step.view]
        cells = cell_indices(*earlier.shape[:2], parity)
        facts = _facts(earlier, parity, 16)
        if self._moved is not None:
            facts[HYPER] = self._moved[cells]
        changed, changes = None, np.zeros_like(self._changes[view])
        if step.own:
            moved = self._sums[view]
            near = moved[:-2, 1:-1] + moved[2:, 1:-1] + moved[1:-1, :-2] + moved[1:-1, 2:]
            facts[NEXT] = np.minimum(near.ravel()[cells], ACTIVATIONS)
            changed, changes = self._changed[view].ravel(), self._changes[view]
        facts[THERE] = seen.there[cells]
        if view == RIGHT:
            facts[OTHER_VIEW] = np.minimum(self._sums[LEFT][1:-1, 1:-1].ravel()[cells] * 4, ACTIVATIONS)
        places = np.flatnonzero(seen.near[view][cells] | (scale >= LEAST_SCALE))
        before = seen.means[view][cells]
        where = earlier.shape, parity, seen.around[view]
        return self._inputs(places, *where, changed, facts, changes, mean, before, scale)

    def _inputs(
        self,
        places: Array,
        shape: tuple[int, ...],
        parity: int | None,
        around: Array,
        changed: Array | None,
        facts: Array,
        changes: Array,
        mean: Array,
        before: Array | None,
        scale: Array,
    ) -> Inputs:
        """Return what is known of places.

        Args:
            places: indices into the flattened (cells, channels).
            shape: h, w, channels.
            around: the reference's symbols, flattened with zeros around them.
            changed: as `around`, by how much even cells differ from the reference; None where they aren't known.
            mean, scale: (cells, channels); `before`: the reference's means, clipped to QUARTERS; None for zeros.
        """
        height, width, channels = shape
        cell, channel, corner = _of_places(height, width, channels, parity).take(places, 1)
        symbols = len(CROSS) + (0 if changed is None else len(NEIGHBOURS))
        own = np.empty((symbols + 4, len(cell)), around.dtype)
        _look(around, CROSS, corner, width, channels, own)
        if changed is not None:
            _look(changed, NEIGHBOURS, corner, width, channels, own[len(CROSS) :])
        here = 4 * own[CROSS.index((0, 0))]
        expected = mean.ravel().take(places).astype(own.dtype)
        np.maximum(np.minimum(expected, QUARTERS), -QUARTERS, out=own[-4])
        own[-3] = 0 if before is None else before.ravel().take(places)
        np.minimum(np.abs(here - expected), QUARTERS, out=own[-2])
        own[-1] = scale.ravel().take(places)
        return Inputs(places, cell, channel, own, self._seen.facts, facts, changes, here, expected, mean, scale)


@lru_cache(maxsize=64)
def _padded_indices(height: int, width: int, parity: int | None) -> Array:
    """Return where cells of one colour lie in a flattened grid with zeros around."""
    rows, columns = np.divmod(cell_indices(height, width, parity), width)
    return (rows + 1) * (width + 2) + columns + 1


@lru_cache(maxsize=64)
def _of_places(height: int, width: int, channels: int, parity: int | None) -> Array:
    """Return (3, places) of the flattened (cells, channels): its cell, its channel, and where the cell above and to the
    left of it lies in a flattened grid with zeros around.
    """
    inside = _padded_indices(height, width, parity)
    cell, channel = np.divmod(np.arange(len(inside) * channels), channels)
    return np.stack([cell, channel, (inside[cell] - width - 3) * channels + channel])


def _look(
    grid: Array, offsets: tuple[tuple[int, int], ...], corner: Array, width: int, channels: int, into: Array
) -> None:
    """Put what lies around places into lines of `into`, in a flattened grid with zeros around."""
    for line, (row, column) in zip(into, offsets):
        first = ((row + 1) * (width + 2) + column + 1) * channels
        # Every index is inside; a mode that doesn't raise needs no copy.
        np.take(grid[first:], corner, out=line, mode="clip")


def _facts(grid: Array, parity: int | None, step: int) -> Array:
    """Return (facts of a cell, cells), of which the row is there, and the others are zero."""
    return _rows(*grid.shape[:2], parity, step, grid.dtype).copy()


@lru_cache(maxsize=64)
def _rows(height: int, width: int, parity: int | None, step: int, dtype: np.dtype) -> Array:
    rows = cell_indices(height, width, parity) // width
    facts = np.zeros((OTHER_VIEW + 1, len(rows)), dtype)
    facts[ROW] = np.minimum(rows * step, ACTIVATIONS)
    return facts


def _scaled(values: Array, now: Array, before: Array) -> Array:
    """Return integers (n, channels) times now / before (channels,), to the nearest, halves up."""
    return (2 * values.astype(np.int64) * now + before) // (2 * before)


def _integers(arrays: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    if name not in arrays:
        raise ModelError(f"temporal prior: array {name} is missing; train it again")
    array = arrays[name]
    if array.shape != shape or not np.issubdtype(array.dtype, np.integer):
        raise ModelError(f"temporal prior: {name} is {array.dtype} {array.shape}; expected integers {shape}")
    return array


class _Corrections:
    """The network of a pass."""

    def __init__(self, spec: Spec, arrays: Mapping[str, Array], dtype: type) -> None:
        inputs = len(spec.largest) + FACTS
        largest = [*spec.largest, *[ACTIVATIONS] * FACTS]
        hidden0, hidden1 = [ACTIVATIONS] * HIDDEN0, [ACTIVATIONS] * HIDDEN1
        layers: dict[str, tuple[Array, Array]] = {}
        for name, seen, outputs, shift in (
            ("hidden0", largest, HIDDEN0, HIDDEN0_SHIFT),
            ("hidden1", hidden0, HIDDEN1, HIDDEN1_SHIFT),
            ("output", [*hidden1, *largest], OUTPUTS, OUTPUT_SHIFT),
        ):
            weight = _integers(arrays, f"{spec.name}.{name}.weight", (len(seen), outputs)).astype(np.int64)
            bias = _integers(arrays, f"{spec.name}.{name}.bias", (spec.channels, outputs)).astype(np.int64)
            rounding = (1 << shift) // 2
            if (np.array(seen) @ np.abs(weight) + np.abs(bias).max(0) + rounding).max() >= EXACT:
                raise ModelError(f"temporal prior: sums of {spec.name}.{name} can exceed 2^24; train it again")
            scale = 2.0**-shift
            layers[name] = (weight * scale).astype(dtype), ((bias + rounding) * scale).astype(dtype)
        (first, first_bias), (last, last_bias) = layers["hidden0"], layers["output"]
        self._hidden1, self._hidden1_bias = layers["hidden1"]
        # Two layers see the inputs: they are one product.
        first = np.concatenate([first, last[HIDDEN1:]], 1)
        own = len(spec.largest)
        self._own, self._common, self._facts, self._changes = np.split(first, [own, own + COMMON, inputs - 1])
        self._bias, self._last = np.concatenate([first_bias, last_bias], 1), last[:HIDDEN1]

    def __call__(self, inputs: Inputs) -> Array:
        """Return parts of the way to the reference, at most TOWARDS, changes of mean (quarters) and scale:
        (OUTPUTS, n).
        """
        dtype = self._last.dtype
        of_cells = inputs.facts.T @ self._facts
        of_channels = np.array(inputs.common, dtype) @ self._common + self._bias
        of_channels += inputs.changes[:, None] * self._changes
        result = np.empty((OUTPUTS, len(inputs.cell)), dtype)
        for first in range(0, len(inputs.cell), TOGETHER):
            part = slice(first, first + TOGETHER)
            channel = inputs.channel[part]
            total = inputs.own[:, part].T @ self._own
            total += of_cells.take(inputs.cell[part], 0)
            total += of_channels.take(channel, 0)
            hidden = round_down(total, 0, ACTIVATIONS)[:, :HIDDEN0] @ self._hidden1
            hidden += self._hidden1_bias.take(channel, 0)
            last = round_down(hidden, 0, ACTIVATIONS, out=hidden) @ self._last
            last += total[:, HIDDEN0:]
            result[:, part] = last.T
        np.floor(result, out=result)
        np.maximum(np.minimum(result[0], TOWARDS), 0, out=result[0])
        return result
