# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The temporal prior as it trains: the same integers as `TemporalPrior`, with gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sicm_ros.entropy.config import Pass
from sicm_ros.entropy.grids import cell_indices
from sicm_ros.entropy.integer import IntegerPrior
from sicm_ros.entropy.likelihood import bits
from sicm_ros.entropy.prior import LEAK, _Clip, _Round
from sicm_ros.entropy.tables import EXACT, MEAN_LIMIT, MEAN_STEPS, SCALES
from sicm_ros.entropy.temporal import (
    ACTIVATIONS,
    FACTS,
    HIDDEN0,
    HIDDEN0_SHIFT,
    HIDDEN1,
    HIDDEN1_SHIFT,
    OUTPUT_SHIFT,
    SEEN,
    TOWARDS,
    CodedSymbols,
    Inputs,
    Lookback,
    Past,
    Spec,
    TemporalPrior,
    specs,
)

# Integers that stand for about one, so that one learning rate suits all parameters.
TYPICAL_FACT, TYPICAL_ACTIVATION, TYPICAL_SYMBOL, TYPICAL_QUARTERS = 64.0, 20.0, 1.0, 8.0
TYPICAL_SCALE, TYPICAL_OUTPUTS = 12.0, (16.0, 4.0, 2.0)
BIAS_LIMIT = 1 << 20
LAYERS = "hidden0", "hidden1", "output"


@dataclass(frozen=True)
class Expected:
    """The symbols of a pass, and what the prior by itself expects of them: int32 (cells, channels) each; for the hyper
    latent, whose `step` is None, (K, cells).
    """

    name: str
    step: Pass | None
    symbols: np.ndarray
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Example:
    """A pair of which all symbols are known."""

    coded: CodedSymbols
    passes: list[Expected]

    def bits(self) -> float:
        """Return what the prior by itself needs, by the training's estimate."""
        return sum(
            float(_cost(e.symbols, torch.from_numpy(e.mean), torch.from_numpy(e.scale)).sum()) for e in self.passes
        )


class _Tracer:
    """Takes the place of a coder, and notes what everything is expected to be."""

    def __init__(self) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def code(self, tables: np.ndarray, wanted: Any) -> np.ndarray:
        self.seen.append((tables.astype(np.int32), wanted))
        return wanted


def example(prior: IntegerPrior, left: np.ndarray, right: np.ndarray, z: np.ndarray | None, quality: int) -> Example:
    """Return symbols as `IntegerPrior.compress` takes them, with what the prior expects of them."""
    tracer = _Tracer()
    coded = prior.walk(tracer, left, right, z, quality)
    steps: list[Pass | None] = list(prior.config.passes())
    if prior.config.hyperprior:
        steps.insert(0, None)
    passes = []
    for spec, step, (tables, residuals) in zip(specs(prior.config), steps, tracer.seen, strict=True):
        if step is None:
            assert coded.z is not None
            symbols = coded.z.reshape(len(coded.z), -1)
        else:
            symbols = coded.views[step.view][cell_indices(*coded.size, step.parity)]
        mean = MEAN_STEPS * (symbols.ravel() - residuals) + tables % MEAN_STEPS
        shape = symbols.shape
        passes.append(Expected(spec.name, step, symbols, mean.reshape(shape), (tables // MEAN_STEPS).reshape(shape)))
    return Example(coded, passes)


def _cost(symbols: np.ndarray, mean: Tensor, scale: Tensor) -> Tensor:
    return bits(torch.from_numpy(symbols.astype(np.float32)) - mean / MEAN_STEPS, scale.float())


@dataclass(frozen=True)
class Rows:
    """Places of a pass, of as many pairs as one likes, with what came.

    Attributes:
        seen: (n, inputs), each place's own inputs, then its facts.
        channel: (n,).
        here, mean, scale: (n,), the reference's symbol in quarters, what the prior by itself expects.
        symbols: (n,).
    """

    seen: Tensor
    channel: Tensor
    here: Tensor
    mean: Tensor
    scale: Tensor
    symbols: Tensor

    def __getitem__(self, which: Any) -> Rows:
        return Rows(*(values[which] for values in vars(self).values()))

    @classmethod
    def joined(cls, parts: list[Rows]) -> Rows:
        return cls(*(torch.cat(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))

    def alone(self) -> Tensor:
        """Return the bits of each place without the reference."""
        return bits(self.symbols.float() - self.mean / MEAN_STEPS, self.scale.float())


def rows_of(inputs: Inputs, symbols: np.ndarray) -> Rows:
    """Return the places of a pass, whose symbols are (cells, channels)."""
    where = inputs.cell, inputs.channel
    common = np.repeat(np.array(inputs.common)[:, None], len(inputs.places), 1)
    facts = common, inputs.facts[:, inputs.cell], inputs.changes[None, inputs.channel]
    seen = np.concatenate([inputs.own, *facts]).T.astype(np.int16)
    values = inputs.channel, inputs.here, inputs.mean[where], inputs.scale[where], symbols[where]
    return Rows(torch.from_numpy(seen), *(torch.from_numpy(value.astype(np.int32)) for value in values))


class TemporalNetworks(nn.Module):
    """The networks of all passes; `bits` is what a pair costs with a reference, `arrays` gives what codes."""

    def __init__(self, prior: IntegerPrior, gain: np.ndarray) -> None:
        """Gain: int (256, channels), of both views' channels at each quality, in steps of 1 / GAIN_ONE."""
        super().__init__()
        self.config, self.gain = prior.config, gain
        self.passes = nn.ModuleDict({spec.name: LearntCorrections(spec) for spec in specs(prior.config)})
        self._looks = TemporalPrior(prior.config, self.arrays())

    def rows(self, pair: Example, earlier: CodedSymbols, age: int) -> dict[str, tuple[Rows, float]]:
        """Return, of each pass, what its network sees of a pair, and the bits of everything else; `earlier`
        is `kept`.
        """
        coded, quality = pair.coded, pair.coded.quality
        past = Past(earlier, age, self._looks.similarity(coded.views, earlier, quality))
        lookback = Lookback(self._looks.seen(past, quality))
        found = {}
        for one in pair.passes:
            if one.step is None:
                inputs, symbols = lookback.hyper_inputs(one.mean, one.scale), one.symbols.T
                assert coded.z is not None
                lookback.learn_hyper(coded.z)
            else:
                inputs, symbols = lookback.pass_inputs(one.step, one.mean, one.scale), one.symbols
                lookback.learn(one.step, symbols)
            others = np.ones(symbols.shape, bool)
            others[inputs.cell, inputs.channel] = False
            rest = (torch.from_numpy(values[others]) for values in (inputs.mean, inputs.scale))
            found[one.name] = rows_of(inputs, symbols), float(_cost(symbols[others], *rest).sum())
        return found

    def bits(self, pair: Example, earlier: CodedSymbols, age: int) -> Tensor:
        """Return the bits of a pair, hyper latent included, with gradients; `earlier` is `kept`."""
        total = torch.zeros(())
        for name, (rows, rest) in self.rows(pair, earlier, age).items():
            total = total + cast(LearntCorrections, self.passes[name]).bits(rows).sum() + rest
        return total

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` returned once, of the same sizes."""
        with torch.no_grad():
            for name, network in self.passes.items():
                for part in LAYERS:
                    layer = cast(_IntegerUnits, getattr(network, part))
                    for kind, units in (("weight", layer.units), ("bias", layer.bias_units)):
                        value = torch.from_numpy(arrays[f"{name}.{part}.{kind}"].astype(np.float32))
                        getattr(layer, kind).copy_(value / units)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `TemporalPrior` takes."""
        found = {"gain": self.gain.astype(np.int32)}
        for name, network in self.passes.items():
            for part in LAYERS:
                weight, bias = cast(_IntegerUnits, getattr(network, part)).integers()
                found[f"{name}.{part}.weight"] = weight.detach().numpy().astype(np.int16)
                found[f"{name}.{part}.bias"] = bias.detach().numpy().astype(np.int32)
        return found


class LearntCorrections(nn.Module):
    """Of one pass: see `TemporalPrior`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        own = torch.tensor([TYPICAL_SYMBOL if m == SEEN else TYPICAL_QUARTERS for m in spec.largest])
        own[-1] = TYPICAL_SCALE
        seen = torch.cat([own, torch.full((FACTS,), TYPICAL_FACT)])
        hidden0, hidden1 = (torch.full((width,), TYPICAL_ACTIVATION) for width in (HIDDEN0, HIDDEN1))
        self.hidden0 = _IntegerUnits(seen, hidden0, HIDDEN0_SHIFT, spec.channels)
        self.hidden1 = _IntegerUnits(hidden0, hidden1, HIDDEN1_SHIFT, spec.channels)
        outputs = torch.tensor(TYPICAL_OUTPUTS)
        self.output = _IntegerUnits(torch.cat([hidden1, seen]), outputs, OUTPUT_SHIFT, spec.channels, spread=0.0)
        largest = sum(spec.largest) + FACTS * ACTIVATIONS
        sums = largest, HIDDEN0 * ACTIVATIONS, HIDDEN1 * ACTIVATIONS + largest
        for layer, most in zip((self.hidden0, self.hidden1, self.output), sums, strict=True):
            layer.limit = (EXACT - BIAS_LIMIT - (1 << OUTPUT_SHIFT)) // most - 1

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return corrected means in quarters and scale indices, (n,) each, which round straight through."""
        seen = rows.seen.float()
        hidden = _Clip.apply(self.hidden0(seen, rows.channel), 0, ACTIVATIONS, LEAK)
        hidden = _Clip.apply(self.hidden1(hidden, rows.channel), 0, ACTIVATIONS, LEAK)
        towards, mean, scale = self.output(torch.cat([hidden, seen], 1), rows.channel).unbind(1)
        towards = _Clip.apply(towards, 0, TOWARDS, LEAK)
        mean = rows.mean + mean + _Round.apply(towards * ((rows.here - rows.mean) / TOWARDS))
        scale = rows.scale + scale
        return _Clip.apply(mean, -MEAN_LIMIT, MEAN_LIMIT, 1.0), _Clip.apply(scale, 0, SCALES - 1, 1.0)

    def bits(self, rows: Rows) -> Tensor:
        """Return the bits of each place, (n,)."""
        mean, scale = self(rows)
        return bits(rows.symbols.float() - mean / MEAN_STEPS, scale)


class _IntegerUnits(nn.Module):
    """A layer whose parameters, near one, stand for integers. Each channel has its own biases."""

    def __init__(self, inputs: Tensor, outputs: Tensor, shift: int, channels: int, spread: float = 1.0) -> None:
        """Inputs, outputs: of typical magnitude."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(len(inputs), len(outputs)) * spread / len(inputs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(channels, len(outputs)))
        self.units: Tensor
        self.bias_units: Tensor
        self.register_buffer("units", outputs * 2.0**shift / inputs[:, None])
        self.register_buffer("bias_units", outputs * 2.0**shift)
        self.shift, self.limit = shift, 2047

    def integers(self) -> tuple[Tensor, Tensor]:
        weight = _Clip.apply(_Round.apply(self.weight * self.units), -self.limit, self.limit, 1.0)
        return weight, _Clip.apply(_Round.apply(self.bias * self.bias_units), -BIAS_LIMIT, BIAS_LIMIT, 1.0)

    def forward(self, x: Tensor, channel: Tensor) -> Tensor:
        """Map integers (n, inputs), of channels (n,), to integers (n, outputs)."""
        weight, bias = self.integers()
        return _Round.apply((x @ weight + bias[channel]) * 2.0**-self.shift)
