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
    GATE_HIDDEN,
    GATE_SHIFT,
    GATES,
    HIDDEN,
    HIDDEN_SHIFT,
    OUTPUT_SHIFT,
    SEEN,
    CodedSymbols,
    Inputs,
    Past,
    Spec,
    TemporalPrior,
    hyper_inputs,
    pass_inputs,
    specs,
)

# Integers that stand for about one, so that one learning rate suits all parameters.
TYPICAL_FACT, TYPICAL_ACTIVATION, TYPICAL_SYMBOL, TYPICAL_QUARTERS = 64.0, 20.0, 1.0, 8.0
TYPICAL_SCALE, TYPICAL_MEAN_CHANGE, TYPICAL_SCALE_CHANGE = 12.0, 4.0, 2.0
BIAS_LIMIT = 1 << 20


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
        return sum(float(_cost(e.symbols, torch.from_numpy(e.mean), torch.from_numpy(e.scale))) for e in self.passes)


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
    return bits(torch.from_numpy(symbols.astype(np.float32)) - mean / MEAN_STEPS, scale.float()).sum()


class TemporalNetworks(nn.Module):
    """The networks of all passes; `bits` is what a pair costs with a reference, `export` gives what codes."""

    def __init__(self, prior: IntegerPrior, gain: np.ndarray) -> None:
        """Gain: int (256, channels), of both views' channels at each quality, in steps of 1 / GAIN_ONE."""
        super().__init__()
        self.config, self.gain = prior.config, gain
        self.passes = nn.ModuleDict({spec.name: _LearntCorrections(spec) for spec in specs(prior.config)})
        self._looks = TemporalPrior(prior.config, self.arrays())

    def bits(self, pair: Example, earlier: CodedSymbols, age: int) -> Tensor:
        """Return the bits of a pair, hyper latent included, with gradients; `earlier` is `kept`."""
        coded, quality = pair.coded, pair.coded.quality
        past = Past(earlier, age, self._looks.similarity(coded.views, earlier, quality))
        seen = self._looks.seen(past, quality)
        known = [np.clip(v, -SEEN, SEEN).astype(np.float32).reshape(*coded.size, -1) for v in coded.views]
        z = None if coded.z is None else np.clip(coded.z, -SEEN, SEEN)
        total = torch.zeros(())
        for one in pair.passes:
            if one.step is None:
                inputs, symbols = hyper_inputs(seen, one.mean, one.scale), one.symbols.T
            else:
                step = one.step
                inputs = pass_inputs(seen, z, known, step.view, step.parity, step.own, one.mean, one.scale)
                symbols = one.symbols
            channels, others = inputs.channels, np.ones(symbols.shape[1], bool)
            others[channels] = False
            mean, scale = cast(_LearntCorrections, self.passes[one.name])(inputs)
            total = total + _cost(symbols[:, channels].T, mean, scale)
            rest = (torch.from_numpy(values[:, others]) for values in (inputs.mean, inputs.scale))
            total = total + _cost(symbols[:, others], *rest)
        return total

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` returned once, of the same sizes."""
        with torch.no_grad():
            for name, network in self.passes.items():
                for part in ("gate0", "gate1", "hidden", "output"):
                    layer = cast(_IntegerUnits, getattr(network, part))
                    for kind, units in (("weight", layer.units), ("bias", layer.bias_units)):
                        value = torch.from_numpy(arrays[f"{name}.{part}.{kind}"].astype(np.float32))
                        getattr(layer, kind).copy_(value / units)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `TemporalPrior` takes."""
        found = {"gain": self.gain.astype(np.int32)}
        for name, network in self.passes.items():
            for layer, values in cast(_LearntCorrections, network).integers().items():
                dtype = np.int32 if layer.endswith("bias") else np.int16
                found[f"{name}.{layer}"] = values.detach().numpy().astype(dtype)
        return found


class _LearntCorrections(nn.Module):
    """Of one pass: see `TemporalPrior`."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        own, channels = len(spec.largest), spec.channels
        typical = torch.tensor([TYPICAL_SYMBOL if m == SEEN else TYPICAL_QUARTERS for m in spec.largest])
        typical[-1] = TYPICAL_SCALE
        seen = torch.cat([typical, torch.full((GATES,), TYPICAL_ACTIVATION)])
        out = torch.tensor([TYPICAL_MEAN_CHANGE, TYPICAL_SCALE_CHANGE])
        self.gate0 = _layer(torch.full((FACTS,), TYPICAL_FACT), TYPICAL_ACTIVATION, GATE_SHIFT, GATE_HIDDEN, 1.0)
        self.gate1 = _layer(torch.full((GATE_HIDDEN,), TYPICAL_ACTIVATION), TYPICAL_ACTIVATION, GATE_SHIFT, GATES, 1.0)
        self.hidden = _layer(seen, TYPICAL_ACTIVATION, HIDDEN_SHIFT, HIDDEN, 1.0, channels)
        last = torch.cat([seen, torch.full((HIDDEN,), TYPICAL_ACTIVATION)])
        self.output = _layer(last, out, OUTPUT_SHIFT, 2, 0.0, channels)
        largest = [*spec.largest, *[ACTIVATIONS] * GATES]
        for layer, most in ((self.hidden, sum(largest)), (self.output, sum(largest) + ACTIVATIONS * HIDDEN)):
            layer.limit = (EXACT - BIAS_LIMIT - (1 << OUTPUT_SHIFT)) // most - 1
        self.own = own

    def integers(self) -> dict[str, Tensor]:
        """Return weights and biases by name."""
        found = {}
        for name in ("gate0", "gate1", "hidden", "output"):
            found[f"{name}.weight"], found[f"{name}.bias"] = cast(_IntegerUnits, getattr(self, name)).integers()
        return found

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return corrected means in quarters and scale indices, (N, cells), which round straight through."""
        channels = torch.from_numpy(inputs.channels)
        gates = torch.from_numpy(inputs.facts)
        for layer in (self.gate0, self.gate1):
            weight, bias = layer.integers()
            gates = _Clip.apply(_Round.apply((gates @ weight + bias) * 2.0**-GATE_SHIFT), 0, ACTIVATIONS, LEAK)
        own = torch.from_numpy(inputs.own)
        hidden, hidden_bias = (values[channels] for values in self.hidden.integers())
        output, output_bias = (values[channels] for values in self.output.integers())
        first = torch.cat([hidden * 2.0**-HIDDEN_SHIFT, output[:, : self.own + GATES] * 2.0**-OUTPUT_SHIFT], 2)
        total = torch.bmm(own, first[:, : self.own]) + gates @ first[:, self.own :]
        x = _Round.apply(total[..., :HIDDEN] + hidden_bias[:, None] * 2.0**-HIDDEN_SHIFT)
        x = _Clip.apply(x, 0, ACTIVATIONS, LEAK)
        last = torch.bmm(x, output[:, self.own + GATES :] * 2.0**-OUTPUT_SHIFT)
        change = _Round.apply(total[..., HIDDEN:] + last + output_bias[:, None] * 2.0**-OUTPUT_SHIFT)
        mean = torch.from_numpy(np.ascontiguousarray(inputs.mean.T[inputs.channels])) + change[..., 0]
        scale = torch.from_numpy(np.ascontiguousarray(inputs.scale.T[inputs.channels])) + change[..., 1]
        return _Clip.apply(mean, -MEAN_LIMIT, MEAN_LIMIT, 1.0), _Clip.apply(scale, 0, SCALES - 1, 1.0)


class _IntegerUnits(nn.Module):
    """Parameters near one that stand for integers."""

    def __init__(self, weight: Tensor, bias: Tensor, units: Tensor, bias_units: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.units: Tensor
        self.bias_units: Tensor
        self.register_buffer("units", units)
        self.register_buffer("bias_units", bias_units)
        self.limit = 2047

    def integers(self) -> tuple[Tensor, Tensor]:
        weight = _Clip.apply(_Round.apply(self.weight * self.units), -self.limit, self.limit, 1.0)
        return weight, _Clip.apply(_Round.apply(self.bias * self.bias_units), -BIAS_LIMIT, BIAS_LIMIT, 1.0)


def _layer(
    inputs: Tensor, typical: float | Tensor, shift: int, outputs: int, spread: float, channels: int | None = None
) -> _IntegerUnits:
    """Return a layer of inputs (n,) of typical magnitude, one for each channel if there are `channels`."""
    lead = () if channels is None else (channels,)
    weight = torch.randn(*lead, len(inputs), outputs) * spread / len(inputs) ** 0.5
    out = torch.as_tensor(typical) * 2.0**shift
    return _IntegerUnits(weight, torch.zeros(*lead, outputs), out / inputs[:, None], out * torch.ones(outputs))
