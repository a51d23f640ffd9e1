# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What an earlier pair says about the symbols of this one: integers that correct the prior's means and scales.

The latents themselves know nothing of it: each is computed from its own pair, and only the bytes that write it become
fewer. So nothing drifts, and a pair whose reference is missing is lost alone. (VCT, arXiv 2206.07307, codes latents
this way; there with a transformer, here with one small network for each channel, on integers as the rest of the prior.)

    window of the reference, what has changed next to the cell, mean and scale of the prior by itself
        -> a few hidden units of each channel, told by gates of the cell how much the scene moves
        -> corrections of mean and scale
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sicm_ros.entropy.config import EVEN, LEFT, OWN_WINDOW, RIGHT, PriorConfig
from sicm_ros.entropy.grids import cell_indices, offsets, padded_grid, window_indices
from sicm_ros.entropy.tables import EXACT, MEAN_LIMIT, SCALES
from sicm_ros.errors import ModelError

Array = np.ndarray

SIMILARITIES = 16  # steps in which a packet says how much of the reference is still there
SEEN = 31  # a reference's symbols are clipped to this
KEPT = 127  # ... and to this where they are kept, before they are scaled to another quality
QUARTERS = 127  # means are clipped to this, in quarters
ACTIVATIONS = 255
WINDOWS = ((1, 1, 2, 2), (1, 1, 2, 2), (1, 1, 1, 1))  # of the reference: appearance, geometry, hyper latent
FACTS = 8  # what the gates know of a cell
GATES, GATE_HIDDEN, HIDDEN = 8, 16, 8
GATE_SHIFT, HIDDEN_SHIFT, OUTPUT_SHIFT = 7, 5, 9
GAIN_ONE = 1 << 12  # in which gains are counted
HYPER = 2  # where the hyper latent comes in WINDOWS, after the two views


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
        similarity: 0 to SIMILARITIES - 1, how much of it is still there: `similarity`.
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
        facts: quality, age and similarity as the gates take them.
    """

    views: list[Array]
    means: list[Array]
    z: Array | None
    facts: tuple[int, int, int]


@dataclass(frozen=True)
class Inputs:
    """What the networks of a pass look at.

    Attributes:
        channels: indices of the N that the reference has anything in; the others stay as the prior by itself has them.
        own: (N, cells, inputs), of each channel by itself.
        facts: (cells, FACTS), the same for all channels.
        mean, scale: (cells, all channels), of the prior by itself.
    """

    channels: Array
    own: Array
    facts: Array
    mean: Array
    scale: Array


def similarity(views: list[Array], earlier: list[Array]) -> int:
    """Return how many of the symbols that aren't zero in both of two pairs are the same: 0 to SIMILARITIES - 1."""
    same = there = 0
    for now, before in zip(views, earlier, strict=True):
        anything = (now != 0) | (before != 0)
        there += int(anything.sum())
        same += int((anything & (now == before)).sum())
    return (SIMILARITIES - 1) * same // max(there, 1) if there else SIMILARITIES - 1


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
        found.append(Spec("z", config.hyper_channels, _largest(HYPER, False)))
    for number, step in enumerate(config.passes()):
        found.append(Spec(f"pass{number}", config.coded(step.view), _largest(step.view, step.own)))
    return found


def _largest(which: int, own: bool) -> tuple[int, ...]:
    around = len(offsets(OWN_WINDOW, 1, EVEN)) if own else 0
    return (SEEN,) * (len(offsets(WINDOWS[which])) + around) + (QUARTERS, QUARTERS, QUARTERS, SCALES - 1)


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
        views, means, first = [], [], 0
        for view, mean in zip(coded.views, coded.means, strict=True):
            channels = slice(first, first + view.shape[1])
            first = channels.stop
            if coded.quality != quality:
                before, now = self.gain[coded.quality, channels], self.gain[quality, channels]
                view, mean = _scaled(view, now, before), _scaled(mean, now, before)
            grid: Array = np.clip(view, -SEEN, SEEN).astype(self.dtype).reshape(*coded.size, -1)
            views.append(grid)
            means.append(np.clip(mean, -MEAN_LIMIT, MEAN_LIMIT).astype(np.int32))
        z: Array | None = None
        if config.hyperprior and coded.z is not None:
            z = np.clip(coded.z, -SEEN, SEEN).astype(self.dtype).transpose(1, 2, 0)
        return Seen(views, means, z, (quality, 16 * past.age, 16 * past.similarity))

    def similarity(self, views: list[Array], past: CodedSymbols, quality: int) -> int:
        """Return `similarity` of a pair (symbols as `CodedSymbols.views`) at a quality to an earlier one."""
        earlier = self.seen(Past(past, 1, 0), quality).views
        now = [np.clip(view, -SEEN, SEEN) for view in views]
        return similarity(now, [grid.reshape(view.shape) for grid, view in zip(earlier, now, strict=True)])

    def correct(self, name: str, inputs: Inputs) -> tuple[Array, Array]:
        """Return means in quarters and scale indices, int32 (cells, channels), that heed the reference."""
        channels = inputs.channels
        corrections = self._networks[name](inputs)
        mean, scale = inputs.mean.copy(), inputs.scale.copy()
        mean[:, channels] += corrections[0].T.astype(np.int32)
        scale[:, channels] += corrections[1].T.astype(np.int32)
        return mean.clip(-MEAN_LIMIT, MEAN_LIMIT), scale.clip(0, SCALES - 1)


def hyper_inputs(seen: Seen, mean: Array, scale: Array) -> Inputs:
    """Return what is known of hyper symbols, whose means and scales are (K, cells)."""
    assert seen.z is not None
    rows, columns = seen.z.shape[:2]
    channels = np.arange(seen.z.shape[2])
    own = _own(seen.z, WINDOWS[HYPER], None, mean.T, np.zeros_like(mean.T), scale.T)
    facts = _facts(seen, rows, columns, 64, np.arange(rows * columns))
    facts[:, 6] = np.minimum(np.abs(seen.z).clip(0, 15).sum(2).ravel() * 4, ACTIVATIONS)
    return Inputs(channels, own, facts, mean.T, scale.T)


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
    height, width, _ = earlier.shape
    cells = cell_indices(height, width, parity)
    channels = np.flatnonzero(earlier.reshape(height * width, -1).any(0))
    changed = None
    if own:
        colour = (np.add.outer(np.arange(height), np.arange(width)) % 2 == EVEN)[..., None]
        changed = np.clip((known[view] - earlier) * colour, -SEEN, SEEN)
    facts = _facts(seen, height, width, 16, cells)
    if z is not None and seen.z is not None:
        moved = np.minimum(np.abs(z.transpose(1, 2, 0) - seen.z), 15).sum(2) * 4
        facts[:, 4] = np.minimum(np.repeat(np.repeat(moved, 4, 0), 4, 1)[:height, :width].ravel()[cells], ACTIVATIONS)
    if changed is not None:
        near = padded_grid(np.minimum(np.abs(changed), 3).sum(2, keepdims=True), (1, 1, 1, 1))[..., 0]
        near = near[:-2, 1:-1] + near[2:, 1:-1] + near[1:-1, :-2] + near[1:-1, 2:]
        facts[:, 5] = np.minimum(near.ravel()[cells], ACTIVATIONS)
    facts[:, 6] = np.minimum(np.minimum(np.abs(seen.views[LEFT]), 3).sum(2).ravel()[cells] * 2, ACTIVATIONS)
    if view == RIGHT:
        left = np.minimum(np.abs(known[LEFT] - seen.views[LEFT]), 3).sum(2)
        facts[:, 7] = np.minimum(left.ravel()[cells] * 4, ACTIVATIONS)
    part = None if changed is None else changed[..., channels]
    says = mean[:, channels], seen.means[view][np.ix_(cells, channels)], scale[:, channels]
    looked = _own(earlier[..., channels], WINDOWS[view], part, *says, parity)
    return Inputs(channels, looked, facts, mean, scale)


def _facts(seen: Seen, rows: int, columns: int, step: int, cells: Array) -> Array:
    facts = np.zeros((len(cells), FACTS), seen.views[LEFT].dtype)
    facts[:, :3] = seen.facts
    facts[:, 3] = np.minimum(cells // columns * step, ACTIVATIONS)
    return facts


def _own(
    earlier: Array,
    window: tuple[int, int, int, int],
    changed: Array | None,
    mean: Array,
    before: Array,
    scale: Array,
    parity: int | None = None,
) -> Array:
    """Return (channels, cells, inputs) of each channel by itself."""
    height, width, channels = earlier.shape
    cells = cell_indices(height, width, parity)
    taps = len(offsets(window))
    around = 0 if changed is None else len(offsets(OWN_WINDOW, parity, EVEN))
    own = np.empty((channels, len(cells), taps + around + 4), earlier.dtype)
    own[..., :taps] = _look(earlier, window, parity, None)
    if changed is not None:
        own[..., taps : taps + around] = _look(changed, OWN_WINDOW, parity, EVEN)
    here = earlier.reshape(height * width, channels)[cells]
    own[..., -4] = np.clip(mean, -QUARTERS, QUARTERS).T
    own[..., -3] = np.clip(before, -QUARTERS, QUARTERS).T
    own[..., -2] = np.minimum(np.abs(4 * here - mean), QUARTERS).T
    own[..., -1] = scale.T
    return own


def _look(grid: Array, window: tuple[int, int, int, int], parity: int | None, visible: int | None) -> Array:
    """Map (h, w, C) to (C, cells, offsets): what each cell sees of each channel through a window, zeros outside."""
    height, width, channels = grid.shape
    padded = padded_grid(grid, window)
    flat = np.ascontiguousarray(padded.reshape(padded.shape[0] * padded.shape[1], channels).T)
    return np.take(flat, window_indices(height, width, window, parity, visible), axis=1)


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
    """Gates of each cell, then hidden units and corrections of each channel."""

    def __init__(self, spec: Spec, arrays: Mapping[str, Array], dtype: type) -> None:
        def read(name: str, *shape: int) -> Array:
            return _integers(arrays, f"{spec.name}.{name}", shape).astype(np.int64)

        channels, own = spec.channels, len(spec.largest)
        gate0, gate0_bias = read("gate0.weight", FACTS, GATE_HIDDEN), read("gate0.bias", GATE_HIDDEN)
        gate1, gate1_bias = read("gate1.weight", GATE_HIDDEN, GATES), read("gate1.bias", GATES)
        hidden = read("hidden.weight", channels, own + GATES, HIDDEN)
        hidden_bias = read("hidden.bias", channels, HIDDEN)
        output = read("output.weight", channels, own + GATES + HIDDEN, 2)
        output_bias = read("output.bias", channels, 2)
        bytes_, seen = np.full(FACTS, ACTIVATIONS), np.array([*spec.largest, *[ACTIVATIONS] * GATES])
        for name, weight, bias, largest, shift in (
            ("gate0", gate0, gate0_bias, bytes_, GATE_SHIFT),
            ("gate1", gate1, gate1_bias, np.full(GATE_HIDDEN, ACTIVATIONS), GATE_SHIFT),
            ("hidden", hidden, hidden_bias, seen, HIDDEN_SHIFT),
            ("output", output, output_bias, np.array([*seen, *[ACTIVATIONS] * HIDDEN]), OUTPUT_SHIFT),
        ):
            bound = np.einsum("i,...io->...o", largest, np.abs(weight)) + np.abs(bias) + (1 << shift) // 2
            if bound.max() >= EXACT:
                raise ModelError(f"temporal prior: sums of {spec.name}.{name} can exceed 2^24; train it again")

        def scaled(values: Array, shift: int, rounding: bool = False) -> Array:
            return ((values + (1 << shift) // 2 if rounding else values) * 2.0**-shift).astype(dtype)

        self._gates = [
            (scaled(gate0, GATE_SHIFT), scaled(gate0_bias, GATE_SHIFT, True)),
            (scaled(gate1, GATE_SHIFT), scaled(gate1_bias, GATE_SHIFT, True)),
        ]
        together = np.concatenate([scaled(hidden, HIDDEN_SHIFT), scaled(output[:, : own + GATES], OUTPUT_SHIFT)], 2)
        self._own, self._gated = together[:, :own].copy(), together[:, own:].copy()
        biases = [scaled(hidden_bias, HIDDEN_SHIFT, True), scaled(output_bias, OUTPUT_SHIFT, True)]
        self._bias = np.concatenate(biases, 1)[:, None]
        self._last = scaled(output[:, own + GATES :], OUTPUT_SHIFT)

    def __call__(self, inputs: Inputs) -> tuple[Array, Array]:
        """Return corrections of mean (quarters) and scale, (N, cells) each."""
        channels, gates = inputs.channels, inputs.facts
        for weight, bias in self._gates:
            gates = np.floor(gates @ weight + bias).clip(0, ACTIVATIONS)
        total = inputs.own @ self._own[channels]
        total += gates @ self._gated[channels]
        total += self._bias[channels]
        hidden = np.floor(total[..., :HIDDEN]).clip(0, ACTIVATIONS)
        result = np.floor(total[..., HIDDEN:] + hidden @ self._last[channels])
        return result[..., 0], result[..., 1]
