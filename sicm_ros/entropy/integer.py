# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The prior as it codes: integers only, the same on every machine.

Every number is an integer that float32 holds exactly, and every sum stays below 2^24 whatever the order of its terms:
this is checked when a prior is made, from the actual weights. So matrix products in floating point give exact integers
with any BLAS, any number of threads, any width of vectors, with or without fused multiply-add, in float32 or float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sicm_ros.entropy.coder import Decoder, Encoder, Meter, Models
from sicm_ros.entropy.config import (
    AROUND,
    CROSS_WINDOW,
    EVEN,
    LEFT,
    OWN_WINDOW,
    QUALITY_BUCKETS,
    QUALITY_LEVELS,
    RIGHT,
    PriorConfig,
    hyper_size,
)
from sicm_ros.entropy.grids import Window, cell_indices, gather, offsets
from sicm_ros.entropy.rounding import round_down, sums
from sicm_ros.entropy.tables import EXACT, MEAN_LIMIT, MEAN_STEPS, SCALES, Tables
from sicm_ros.entropy.temporal import CodedSymbols, Lookback, Past, TemporalPrior
from sicm_ros.errors import BitstreamError, InputError, ModelError

SYMBOL_LIMIT = 31  # symbols are clipped to this before a network looks at them (they are coded whole)
ACTIVATION_LIMIT = 255  # activations are 0 to this
WEIGHT_LIMIT = 255
FIRST_SHIFT = 5  # of layers that see symbols
HIDDEN_SHIFT = 7
OUTPUT_SHIFT = 9
WORTH_LEAVING_OUT = 0.85  # share of channels that aren't zero, above which a product takes them all

Array = np.ndarray


class SymbolCoder(Protocol):
    """Encoder, Decoder or Meter."""

    def code(self, tables: Array, wanted: Any) -> Array:
        """Code residuals by their tables, uint8 (n,): `wanted`, or for a decoder, which has None, what is read."""


@dataclass(frozen=True)
class Sparse:
    """Columns of a layer's input without the channels that are zero everywhere, as most are at low rates.

    Attributes:
        columns: (cells, taps * len(present)).
        present: indices of the channels that are there, of `channels`.
    """

    columns: Array
    present: Array
    channels: int

    def rows_of(self, weight: Array) -> Array:
        """Return the rows of a layer's weight (taps * channels, outputs) that meet these columns."""
        taps = weight.reshape(-1, self.channels, weight.shape[1])
        return taps[:, self.present].reshape(-1, weight.shape[1])


class IntegerLayer:
    """One matrix product over a few inputs, a shift to the right that rounds, a clip."""

    def __init__(self, spec: LayerSpec, weight: Array, bias: Array, dtype: type) -> None:
        """Weight: integers (inputs, outputs), the spec's inputs one after the other; bias: integers (outputs,)."""
        rows = sum(count for count, _ in spec.inputs)
        if weight.shape != (rows, spec.outputs) or bias.shape != (spec.outputs,):
            raise ModelError(
                f"prior: layer {spec.name} has weights {weight.shape} and biases {bias.shape}; expected "
                f"({rows}, {spec.outputs}) and ({spec.outputs},): they are from another configuration"
            )
        rounding = (1 << spec.shift) // 2
        largest = np.repeat([largest for _, largest in spec.inputs], [count for count, _ in spec.inputs])
        bound = largest @ np.abs(weight.astype(np.int64)) + np.abs(bias.astype(np.int64)) + rounding
        if bound.max() >= EXACT:
            raise ModelError(
                f"prior: sums of layer {spec.name} can exceed 2^24 and would not be exact; export it again"
            )
        ends = np.cumsum([count for count, _ in spec.inputs])[:-1]
        # The shift divides weights and bias beforehand: a power of two, so that every sum is as exact as before.
        scale = dtype(2.0**-spec.shift)
        self._weights = [part.astype(dtype) * scale for part in np.split(weight, ends)]
        self._bias = (bias + rounding).astype(dtype) * scale
        self._low, self._high = spec.low, spec.high

    def __call__(self, inputs: list[Array | Sparse]) -> Array:
        """Map (cells, count) for each input, or (1, count) for one that is the same everywhere to (cells, outputs)."""
        total = self._bias
        for x, weight in zip(inputs, self._weights, strict=True):  # what is the same everywhere comes first
            columns, rows = (x.columns, x.rows_of(weight)) if isinstance(x, Sparse) else (x, weight)
            product = columns @ rows
            product += total
            total = product
        return round_down(total, self._low, self._high, out=total)


class IntegerPrior:
    """Codes the latents of a pair with the learnt prior; made by `StereoPrior.export` or of a model folder's arrays.

    Order of the bitstream: the hyper latent, then the passes of `PriorConfig.passes`. docs/bitstream.md specifies it.

    Attributes:
        temporal: corrects the prior by an earlier pair; None where a model can't.
    """

    rounds_itself = False  # it is given symbols

    def __init__(self, config: PriorConfig, arrays: Mapping[str, Array], dtype: type = np.float32) -> None:
        """`arrays` are those of `arrays()`; `dtype` is that of the sums, float32 or float64: results are the same."""
        self.config = config
        self.dtype = dtype
        self.temporal: TemporalPrior | None = None
        self._arrays = {name: np.ascontiguousarray(arrays[name]) for name in self._names(config, arrays)}
        self.tables = Tables(self._arrays["tables.reach"], self._arrays["tables.frequencies"])
        self._models = Models(self.tables)
        self._passes = list(config.passes())
        if config.hyperprior:
            shape = (QUALITY_BUCKETS, config.hyper_channels)
            for name, low, high in (("z.mean", -MEAN_LIMIT, MEAN_LIMIT), ("z.scale", 0, SCALES - 1)):
                array = self._arrays[name]
                if array.shape != shape or array.min() < low or array.max() > high:
                    raise ModelError(f"prior: {name} is not {shape} of {low} to {high}; fetch the model again")
        self._layers = {
            spec.name: IntegerLayer(spec, self._arrays[f"{spec.name}.weight"], self._arrays[f"{spec.name}.bias"], dtype)
            for spec in layer_specs(config)
        }

    @staticmethod
    def _names(config: PriorConfig, arrays: Mapping[str, Array]) -> list[str]:
        names = ["tables.reach", "tables.frequencies"]
        if config.hyperprior:
            names += ["z.mean", "z.scale"]
        for spec in layer_specs(config):
            names += [f"{spec.name}.weight", f"{spec.name}.bias"]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ModelError(f"prior: array {missing[0]} is missing; the arrays are from another configuration")
        if any(not np.issubdtype(arrays[name].dtype, np.integer) for name in names):
            raise ModelError("prior: an array is not of integers; fetch the model again")
        return names

    def arrays(self) -> dict[str, Array]:
        """Return everything that a decoder needs besides the configuration: integer arrays by name."""
        return dict(self._arrays)

    def compress(self, left: Array, right: Array, z: Array | None, quality: int) -> bytes:
        """Write a pair of latents as a payload.

        Every symbol comes through whole, however little it was expected, up to 65,000 from the expected value; of those
        further out, `decompress` tells what was sent.

        Args:
            left, right: int32 (M, h, w), symbols; the right one's are zero where the prior has no channels for it.
            z: int32 (K, ceil(h / 4), ceil(w / 4)), hyper symbols; None if the prior has none.
            quality: 0 to 255.
        """
        return self.write(left, right, z, quality)[0]

    def decompress(self, payload: bytes, height: int, width: int, quality: int) -> tuple[Array, Array, Array | None]:
        """Read the symbols of a payload: left, right (int32 (M, height, width)) and z as `compress` took them.

        Raises:
            BitstreamError: the payload can't be what `compress` wrote for this prior, size and quality. Time and memory
                depend on the size alone.
        """
        coded = self.read(payload, (height, width), quality)
        left, right = self.latents(coded)
        return left, right, coded.z

    def write(
        self, left: Array, right: Array, z: Array | None, quality: int, past: Past | None = None
    ) -> tuple[bytes, CodedSymbols]:
        """Write a pair of latents as `compress` does, `past` in mind; return the payload and what the
        other side will have of it.
        """
        coder = Encoder(self._models)
        coded = self.walk(coder, left, right, z, quality, past)
        return coder.payload(), coded

    def walk(
        self, coder: SymbolCoder, left: Array, right: Array, z: Array | None, quality: int, past: Past | None = None
    ) -> CodedSymbols:
        """Let any coder take a pair of latents as `compress` does; return the symbols as it took them."""
        size = left.shape[1], left.shape[2]
        return self._code(coder, self._cells(left, right), self._hyper_cells(z, size), size, quality, past)

    def read(self, payload: bytes, size: tuple[int, int], quality: int, past: Past | None = None) -> CodedSymbols:
        """Read what `write` wrote with the same `past`; raises as `decompress` does."""
        coder = Decoder(self._models, payload)
        coded = self._code(coder, None, None, size, quality, past)
        coder.finish()
        return coded

    def latents(self, coded: CodedSymbols) -> Array:
        """Return int32 (2, M, h, w): left and right."""
        height, width = coded.size
        views = np.zeros((2, self.config.channels, height, width), np.int32)
        for view, cells in zip(views, coded.views):
            view[: cells.shape[1]] = cells.T.reshape(-1, height, width)
        return views

    def past(self, left: Array, right: Array, quality: int, coded: CodedSymbols, age: int) -> Past | None:
        """Return how the latents of a pair may look back at one that is `age` pairs older; None if the model can't."""
        if self.temporal is None:
            return None
        return Past(coded, age, self.temporal.similarity(self._cells(left, right), coded, quality))

    def bits_map(self, left: Array, right: Array, z: Array | None, quality: int) -> Array:
        """Return the bits that each cell of each view costs, float64 (2, h, w); the hyper latent's
        are spread evenly over all.
        """
        meter = Meter(self._models)
        height, width = left.shape[1:]
        self.walk(meter, left, right, z, quality)
        costs = iter(meter.bits)
        cells = np.zeros((2, height * width))
        hyper = next(costs).sum() if self.config.hyperprior else 0.0
        for step in self._passes:
            indices = cell_indices(height, width, step.parity)
            cells[step.view, indices] = next(costs).reshape(len(indices), -1).sum(1)
        return cells.reshape(2, height, width) + hyper / cells.size

    def _cells(self, left: Array, right: Array) -> list[Array]:
        """Map two (M, h, w) to int32 (h * w, channels that are coded) of each."""
        if left.ndim != 3 or left.shape != right.shape or left.shape[0] != self.config.channels:
            raise InputError(
                f"latents: shapes {left.shape} and {right.shape}; expected ({self.config.channels}, h, w) for both"
            )
        coded = self.config.coded(RIGHT)
        if right[coded:].any():
            raise InputError(
                f"latents: the right one has symbols beyond its first {coded} channels; expected zeros there"
            )
        return [view.reshape(len(view), -1).T.astype(np.int32) for view in (left, right[:coded])]

    def _hyper_cells(self, z: Array | None, size: tuple[int, int]) -> Array | None:
        if not self.config.hyperprior:
            return None
        expected = (self.config.hyper_channels, *hyper_size(*size))
        if z is None or z.shape != expected:
            raise InputError(f"hyper latent: shape {None if z is None else z.shape}; expected {expected}")
        return z.astype(np.int32)

    def _code(
        self,
        coder: SymbolCoder,
        wanted: list[Array] | None,
        z: Array | None,
        size: tuple[int, int],
        quality: int,
        past: Past | None = None,
    ) -> CodedSymbols:
        """Walk over all symbols in the order of the bitstream; encoder, decoder and meter take the same steps.

        Returns the symbols that the other side gets.
        """
        if not 0 <= quality < QUALITY_LEVELS:
            raise BitstreamError(f"quality is {quality}; expected 0 to {QUALITY_LEVELS - 1}")
        before = None
        if past is not None:
            if self.temporal is None or past.coded.size != size:
                raise BitstreamError("a reference that this model can't look at; drop the packet")
            before = Lookback(self.temporal.seen(past, quality))
        height, width = size
        features: Array | None = None
        if self.config.hyperprior:
            z = self._code_hyper(coder, z, size, quality, before)
            features = self._synthesise(z, size, quality)
            if before is not None:
                before.learn_hyper(z)
        coded = [self.config.coded(view) for view in (LEFT, RIGHT)]
        symbols = [np.zeros((height * width, channels), np.int32) for channels in coded]
        means = [np.zeros((height * width, channels), np.int32) for channels in coded]
        # What the networks see of the symbols known so far: clipped, as floating point, with rows and columns.
        seen: list[Array] = [np.zeros((height, width, channels), self.dtype) for channels in coded]
        for number, step in enumerate(self._passes):
            cells = cell_indices(height, width, step.parity)
            inputs: list[Array | Sparse] = [np.full((1, 1), quality, self.dtype)]
            if features is not None:
                inputs.append(features[step.view].reshape(height * width, -1)[cells])
            if step.own:
                inputs.append(gather_sparse(seen[step.view], OWN_WINDOW, step.parity, EVEN))
            if step.cross:
                inputs.append(gather_sparse(seen[LEFT], CROSS_WINDOW, step.parity))
            mean, scale = self._distributions(f"pass{number}", inputs, len(cells))
            means[step.view][cells] = mean
            if before is not None and self.temporal is not None:
                about = before.pass_inputs(step, mean, scale)
                mean, scale = self.temporal.correct(f"pass{number}", about)
            target = None if wanted is None else wanted[step.view][cells]
            known = symbols[step.view][cells] = code_symbols(coder, mean, scale, target)
            seen[step.view].reshape(height * width, -1)[cells] = np.clip(known, -SYMBOL_LIMIT, SYMBOL_LIMIT)
            if before is not None:
                before.learn(step, known)
        return CodedSymbols(symbols, z, means, size, quality)

    def _code_hyper(
        self, coder: SymbolCoder, z: Array | None, size: tuple[int, int], quality: int, before: Lookback | None
    ) -> Array:
        rows, columns = hyper_size(*size)
        bucket = quality * QUALITY_BUCKETS // QUALITY_LEVELS
        cells = rows * columns
        mean = np.repeat(self._arrays["z.mean"][bucket].astype(np.int32)[:, None], cells, 1)
        scale = np.repeat(self._arrays["z.scale"][bucket].astype(np.int32)[:, None], cells, 1)
        if before is not None and self.temporal is not None:
            corrected = self.temporal.correct("z", before.hyper_inputs(mean, scale))
            mean, scale = (np.ascontiguousarray(values.T) for values in corrected)
        wanted = None if z is None else z.reshape(self.config.hyper_channels, cells)
        return code_symbols(coder, mean, scale, wanted).reshape(self.config.hyper_channels, rows, columns)

    def _synthesise(self, z: Array, size: tuple[int, int], quality: int) -> Array:
        """Map int32 (K, ceil(h / 4), ceil(w / 4)) to hyper features (2, h, w, N), integers 0 to 255."""
        height, width = size
        middle = (height + 1) // 2, (width + 1) // 2
        clipped: Array = np.clip(z, -SYMBOL_LIMIT, SYMBOL_LIMIT).astype(self.dtype)
        constant: Array = np.full((1, 1), quality, self.dtype)
        views = []
        for group in clipped.reshape(self.config.groups, -1, *z.shape[1:]):
            x = self._layers["hyper0"]([constant, gather(group.transpose(1, 2, 0), AROUND)])
            x = to_space(x.reshape(*z.shape[1:], -1), *middle)
            x = self._layers["hyper1"]([gather(x, AROUND)])
            x = to_space(x.reshape(*middle, -1), height, width)
            views += np.split(x, 2 // self.config.groups, axis=2)
        return np.stack(views)

    def _distributions(self, name: str, inputs: list[Array | Sparse], cells: int) -> tuple[Array, Array]:
        """Return means in quarters and scale indices, int32 (cells, channels) each."""
        x = self._layers[f"{name}.1"]([self._layers[f"{name}.0"](inputs)])
        outputs = (self._layers[f"{name}.{which}"]([x]).astype(np.int32) for which in ("mean", "scale"))
        mean, scale = (np.broadcast_to(output, (cells, output.shape[1])) for output in outputs)
        return mean, scale


def code_symbols(coder: SymbolCoder, mean: Array, scale: Array, wanted: Array | None) -> Array:
    """Code symbols with means (quarters) and scale indices, int32 of any one shape; return the symbols."""
    floor = mean >> 2
    tables = scale * MEAN_STEPS
    tables += mean & 3
    residuals = coder.code(tables.astype(np.uint8).ravel(), None if wanted is None else (wanted - floor).ravel())
    return residuals.reshape(mean.shape) + floor


@dataclass(frozen=True)
class LayerSpec:
    """What the configuration alone says of a layer.

    Attributes:
        inputs: (count, largest absolute value) of each.
        outputs: how many.
        shift, low, high: of the result.
    """

    name: str
    inputs: tuple[tuple[int, int], ...]
    outputs: int
    shift: int
    low: int = 0
    high: int = ACTIVATION_LIMIT


def layer_specs(config: PriorConfig) -> list[LayerSpec]:
    """Return the layers of a configuration, in the order of use."""
    quality = (1, QUALITY_LEVELS - 1)
    around = len(offsets(AROUND))
    specs = []
    if config.hyperprior:
        symbols = config.hyper_channels // config.groups * around
        outputs = 4 * config.features * (2 // config.groups)
        specs += [
            LayerSpec("hyper0", (quality, (symbols, SYMBOL_LIMIT)), 4 * config.hyper_width, FIRST_SHIFT),
            LayerSpec("hyper1", ((config.hyper_width * around, ACTIVATION_LIMIT),), outputs, HIDDEN_SHIFT),
        ]
    for number, step in enumerate(config.passes()):
        inputs = [quality]
        if config.hyperprior:
            inputs.append((config.features, ACTIVATION_LIMIT))
        if step.own:
            inputs.append((config.coded(step.view) * len(offsets(OWN_WINDOW, step.parity, EVEN)), SYMBOL_LIMIT))
        if step.cross:
            inputs.append((config.channels * len(offsets(CROSS_WINDOW)), SYMBOL_LIMIT))
        hidden = ((config.hidden, ACTIVATION_LIMIT),)
        specs += [
            LayerSpec(f"pass{number}.0", tuple(inputs), config.hidden, FIRST_SHIFT),
            LayerSpec(f"pass{number}.1", hidden, config.hidden, HIDDEN_SHIFT),
            LayerSpec(f"pass{number}.mean", hidden, config.coded(step.view), OUTPUT_SHIFT, -MEAN_LIMIT, MEAN_LIMIT),
            LayerSpec(f"pass{number}.scale", hidden, config.coded(step.view), OUTPUT_SHIFT, 0, SCALES - 1),
        ]
    return specs


def gather_sparse(grid: Array, window: Window, parity: int | None, visible: int | None = None) -> Array | Sparse:
    """Return `gather` of the channels that aren't zero everywhere; of all where that is quicker."""
    channels = grid.shape[2]
    present = np.flatnonzero(sums(np.abs(grid).reshape(-1, channels), 0))
    if len(present) > WORTH_LEAVING_OUT * channels:
        return gather(grid, window, parity, visible)
    return Sparse(gather(grid[..., present], window, parity, visible), present, channels)


def to_space(grid: Array, height: int, width: int) -> Array:
    """Map (h, w, 4 C) to (height, width, C), twice as fine, cropped: channel 4 c + 2 i + j goes to row i, column j."""
    rows, columns, channels = grid.shape
    spread = grid.reshape(rows, columns, channels // 4, 2, 2).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(spread.reshape(2 * rows, 2 * columns, channels // 4)[:height, :width])
