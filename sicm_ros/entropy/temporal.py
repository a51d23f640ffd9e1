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
from functools import cached_property

import numpy as np

from sicm_ros.entropy.config import AROUND, EVEN, LEFT, RIGHT, PriorConfig
from sicm_ros.entropy.grids import cell_indices, padded_grid
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
FACTS = 9  # what is known of a cell, and at last of a channel
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
        means: (h * w, channels) of each view, quarters.
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
        much = np.minimum(np.abs(left), 3).reshape(-1, left.shape[2]).sum(1) * 2
        return np.minimum(much, ACTIVATIONS)

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
        facts: (cells, FACTS - 1), the same for all channels.
        changes: (channels,), the last of the facts, the same for all cells.
        here: int32 (n,), the reference's symbol, in quarters.
        mean, scale: (cells, channels), of the prior by itself.
    """

    places: Array
    cell: Array
    channel: Array
    own: Array
    facts: Array
    changes: Array
    here: Array
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
        means = []
        for view, mean in self._scaled(coded, quality):
            views.append(view.astype(self.dtype).reshape(*coded.size, -1))
            means.append(mean.astype(np.int32))
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
            anything = (now != 0) | (earlier != 0)
            there += int(anything.sum())
            same += int((anything & (now.clip(-SEEN, SEEN) == earlier)).sum())
        return (SIMILARITIES - 1) * same // there if there else SIMILARITIES - 1

    def correct(self, name: str, inputs: Inputs) -> tuple[Array, Array]:
        """Return means in quarters and scale indices, int32 (cells, channels), that heed the reference."""
        towards, mean_change, scale_change = self._networks[name](inputs).T.astype(np.int32)
        mean, scale, places = inputs.mean.copy(), inputs.scale.copy(), inputs.places
        means, scales = mean.reshape(-1), scale.reshape(-1)
        own = means[places]
        moved = (towards.clip(0, TOWARDS) * (inputs.here - own) + TOWARDS // 2) // TOWARDS
        means[places] = (own + mean_change + moved).clip(-MEAN_LIMIT, MEAN_LIMIT)
        scales[places] = (scales[places] + scale_change).clip(0, SCALES - 1)
        return mean, scale


def hyper_inputs(seen: Seen, mean: Array, scale: Array) -> Inputs:
    """Return what is known of hyper symbols, whose means and scales are (K, cells)."""
    assert seen.z is not None
    rows, columns = seen.z.shape[:2]
    mean, scale = mean.T, scale.T
    facts = _facts(seen, rows, columns, 64, np.arange(rows * columns))
    facts[:, 6] = np.minimum(np.abs(seen.z).clip(0, 15).sum(2).ravel() * 4, ACTIVATIONS)
    places = np.arange(mean.size)
    return _inputs(places, np.arange(rows * columns), seen.z, facts, mean, None, scale)


def pass_inputs(
    seen: Seen,
    z: Array | None,
    known: list[Array],
    view: int,
    parity: int | None,
    own: bool,
    mean: Array,
    scale: Array,
) -> Inputs:
    """Return what is known of the symbols of a pass, before they are.

    Args:
        z: the pair's own hyper symbols.
        known: (h, w, channels) of each view, the pair's symbols so far, clipped to SEEN.
        view, parity, own: of the pass; `own` says that the view's even cells are known.
        mean, scale: int32 (cells, channels), of the prior by itself.
    """
    earlier = seen.views[view]
    height, width, channels = earlier.shape
    cells = cell_indices(height, width, parity)
    facts = _facts(seen, height, width, 16, cells)
    if z is not None and seen.z is not None:
        moved = np.minimum(np.abs(z.transpose(1, 2, 0) - seen.z), 15).sum(2) * 4
        facts[:, 4] = np.minimum(np.repeat(np.repeat(moved, 4, 0), 4, 1)[:height, :width].ravel()[cells], ACTIVATIONS)
    changed = None
    if own:
        even = cell_indices(height, width, EVEN)
        flat_now, flat_then = (grid.reshape(-1, channels) for grid in (known[view], earlier))
        differences = flat_now[even] - flat_then[even]
        changed = np.zeros_like(flat_then)
        changed[even] = np.clip(differences, -SEEN, SEEN)
        sums = np.zeros((height * width, 1), earlier.dtype)
        sums[even, 0] = np.minimum(np.abs(differences), 3).sum(1)
        near = padded_grid(sums.reshape(height, width, 1), AROUND)[..., 0]
        near = near[:-2, 1:-1] + near[2:, 1:-1] + near[1:-1, :-2] + near[1:-1, 2:]
        facts[:, 5] = np.minimum(near.ravel()[cells], ACTIVATIONS)
        changed = changed.reshape(earlier.shape)
    facts[:, 6] = seen.there[cells]
    if view == RIGHT:
        now, then = (grid.reshape(height * width, -1)[cells] for grid in (known[LEFT], seen.views[LEFT]))
        facts[:, 7] = np.minimum(np.minimum(np.abs(now - then), 3).sum(1) * 4, ACTIVATIONS)
    places = np.flatnonzero(seen.near[view][cells] | (scale >= LEAST_SCALE))
    return _inputs(places, cells, earlier, facts, mean, seen.means[view], scale, changed)


def _facts(seen: Seen, rows: int, columns: int, step: int, cells: Array) -> Array:
    facts = np.zeros((len(cells), FACTS - 1), seen.views[LEFT].dtype)
    facts[:, :3] = seen.facts
    facts[:, 3] = np.minimum(cells // columns * step, ACTIVATIONS)
    return facts


def _inputs(
    places: Array,
    cells: Array,
    earlier: Array,
    facts: Array,
    mean: Array,
    before: Array | None,
    scale: Array,
    changed: Array | None = None,
) -> Inputs:
    """Return what is known of places.

    Args:
        places: indices into the flattened (cells, channels).
        cells: indices into the flattened grid.
        earlier: (h, w, channels), the reference's symbols.
        mean, scale: (cells, channels).
        before: (h * w, channels), the reference's means; None for zeros.
        changed: (h, w, channels), by how much even cells differ from the reference, 0 elsewhere.
    """
    _, width, channels = earlier.shape
    cell, channel = np.divmod(places, channels)
    rows, columns = np.divmod(cells, width)
    across = width + 2  # with the zeros around
    corner = (rows * across + columns)[cell] * channels + channel
    symbols = len(CROSS) + (0 if changed is None else len(NEIGHBOURS))
    own = np.empty((symbols + 4, len(cell)), earlier.dtype)
    changes = np.zeros(channels, earlier.dtype)

    def look(grid: Array, offsets: tuple[tuple[int, int], ...], into: Array) -> None:
        flat = padded_grid(grid, AROUND).ravel()
        for line, (row, column) in zip(into, offsets, strict=True):
            # Every index is inside; a mode that doesn't raise needs no copy.
            np.take(flat, corner + ((row + 1) * across + column + 1) * channels, out=line, mode="clip")

    look(earlier, CROSS, own[: len(CROSS)])
    if changed is not None:
        look(changed, NEIGHBOURS, own[len(CROSS) : symbols])
        even = cell_indices(*earlier.shape[:2], EVEN)
        other, then = (grid.reshape(-1, channels)[even] != 0 for grid in (changed, earlier))
        changes[:] = ACTIVATIONS * other.sum(0) // np.maximum((other | then).sum(0), 1)
    here = 4 * own[CROSS.index((0, 0))]
    says = mean.ravel()[places]
    own[-4] = np.clip(says, -QUARTERS, QUARTERS)
    own[-3] = 0 if before is None else np.clip(before.ravel()[cells[cell] * channels + channel], -QUARTERS, QUARTERS)
    own[-2] = np.minimum(np.abs(here - says), QUARTERS)
    own[-1] = scale.ravel()[places]
    return Inputs(places, cell, channel, own, facts, changes, here.astype(np.int32), mean, scale)


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
        self._own, self._facts, self._changes = np.split(first, [len(spec.largest), inputs - 1])
        self._bias, self._last = np.concatenate([first_bias, last_bias], 1), last[:HIDDEN1]

    def __call__(self, inputs: Inputs) -> Array:
        """Return parts of the way to the reference, changes of mean (quarters) and scale: (n, OUTPUTS)."""
        of_cells = inputs.facts @ self._facts
        of_channels = inputs.changes[:, None] @ self._changes + self._bias
        result = np.empty((len(inputs.cell), OUTPUTS), self._last.dtype)
        for first in range(0, len(result), TOGETHER):
            part = slice(first, first + TOGETHER)
            channel = inputs.channel[part]
            total = inputs.own[:, part].T @ self._own
            total += np.take(of_cells, inputs.cell[part], 0)
            total += np.take(of_channels, channel, 0)
            hidden = _activations(total[:, :HIDDEN0]) @ self._hidden1
            hidden += np.take(self._hidden1_bias, channel, 0)
            np.floor(_activations(hidden) @ self._last + total[:, HIDDEN0:], out=result[part])
        return result


def _activations(sums: Array) -> Array:
    """Return sums, rounded and clipped."""
    rounded = np.floor(sums)
    np.maximum(rounded, 0, out=rounded)
    return np.minimum(rounded, ACTIVATIONS, out=rounded)
