# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The learnt prior of a pair of latents, as it trains: the same integers as `IntegerPrior`, with gradients.

    y_left, y_right --analysis--> z --round--> z^ --synthesis--> hyper features of both views
    pass 1: left, even cells   <- hyper features
    pass 2: left, odd cells    <- hyper features, even cells around
    pass 3: right, even cells  <- hyper features, left view along the row
    pass 4: right, odd cells   <- hyper features, left view along the row, even cells around

A hyperprior (Balle et al., ICLR 2018), a checkerboard context (He et al., CVPR 2021) and an integer network (Balle et
al., ICLR 2019), made joint over two rectified views. Weights and activations are rounded in the forward pass, and
gradients pass straight through the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.entropy.config import (
    AROUND,
    CROSS_WINDOW,
    EVEN,
    HERE,
    LEFT,
    OWN_WINDOW,
    QUALITY_BUCKETS,
    QUALITY_LEVELS,
    RIGHT,
    Pass,
    PriorConfig,
)
from sicm_ros.entropy.grids import offsets
from sicm_ros.entropy.integer import (
    ACTIVATION_LIMIT,
    EXACT,
    FIRST_SHIFT,
    HIDDEN_SHIFT,
    MEAN_LIMIT,
    OUTPUT_SHIFT,
    SYMBOL_LIMIT,
    WEIGHT_LIMIT,
    IntegerPrior,
)
from sicm_ros.entropy.likelihood import bits, build_tables
from sicm_ros.entropy.tables import MEAN_STEPS, SCALES

LEAK = 0.1  # slope of hidden activations where they are clipped, so that nothing dies
BIAS_LIMIT = 1 << 21
VIEWS = "left", "right"  # the views' names in `PriorOutput.costs`

# Integers that stand for about one. Parameters are those of a network whose inputs and outputs are divided by these: as
# large as those of the networks around it, so that one learning rate suits all.
TYPICAL_SYMBOL, TYPICAL_ACTIVATION, TYPICAL_QUALITY, TYPICAL_OUTPUT = 0.5, 20.0, 128.0, 8.0


class _Round(torch.autograd.Function):
    """Nearest integer, halves up; the gradient passes straight through."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


class _Clip(torch.autograd.Function):
    """Clip. Where it holds, a gradient that leads back passes, times `leak`; one that leads further away does not."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float, leak: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.limits = low, high, leak
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        low, high, leak = ctx.limits
        back = leak * torch.where(x < low, gradient.clamp(max=0), gradient.clamp(min=0))
        return torch.where((x < low) | (x > high), back, gradient), None, None, None


def padded(x: Tensor, channels: int, value: float = 0.0) -> Tensor:
    """Return (B, C, h, w) with channels of `value` after its own, so many in all: latents of both
    views have one shape.
    """
    return F.pad(x, (0, 0, 0, 0, 0, channels - int(x.shape[1])), value=value)


def quantise(y: Tensor) -> Tensor:
    """Return the symbols of a scaled latent: nearest integers, halves up, as floats; gradients pass
    straight through.
    """
    return _Round.apply(y)


@dataclass(frozen=True)
class PriorOutput:
    """What training needs to know of a batch of pairs.

    Attributes:
        left, right: (B, M, h, w) quantised latents, with straight-through gradients.
        costs: bits of each symbol: `left` and `right` (B, channels that are coded, h, w), and `hyper` (B, K, ...) where
            there is a hyper latent.
    """

    left: Tensor
    right: Tensor
    costs: dict[str, Tensor]

    @property
    def bits(self) -> Tensor:
        """(B,) bits of a pair, hyper latent included."""
        return self.cell_bits.sum((1, 2, 3)) + self.hyper_bits

    @property
    def cell_bits(self) -> Tensor:
        """(B, 2, h, w) bits of each view's cells, without the hyper latent's."""
        return torch.stack([self.costs[view].sum(1) for view in VIEWS], 1)

    @property
    def hyper_bits(self) -> Tensor:
        """(B,) bits of the hyper latent."""
        costs = self.costs.get("hyper")
        return self.left.new_zeros(len(self.left)) if costs is None else costs.sum((1, 2, 3))


class IntegerConv(nn.Module):
    """A convolution over several inputs that computes with integers: round(weights * inputs / 2^shift), clipped.

    Inputs are float tensors that hold integers. Output pixels see a window of each input (rows above, below, columns
    before, after), zeros outside.
    """

    def __init__(
        self,
        inputs: list[tuple[int, float, int, tuple[int, int, int, int]]],
        outputs: int,
        shift: int,
        low: int = 0,
        high: int = ACTIVATION_LIMIT,
        start: float = 0.0,
        gain: float = 1.0,
        typical: float = TYPICAL_ACTIVATION,
    ) -> None:
        """Args:
        inputs: (channels, typical magnitude, largest magnitude, window) of each input.
        outputs: channels of the output.
        shift, low, high: of the rounding.
        start: initial bias, in steps of the output.
        gain: initial magnitude of the outputs, over their typical one, for typical inputs.
        typical: magnitude of the outputs.
        """
        super().__init__()
        self.shift, self.low, self.high = shift, low, high
        self.leak = LEAK if high == ACTIVATION_LIMIT else 1.0
        self.windows = [window for _, _, _, window in inputs]
        self.weights = nn.ParameterList()
        self.units = [typical * 2**shift / magnitude for _, magnitude, _, _ in inputs]
        room = EXACT - BIAS_LIMIT - (1 << shift)
        terms = 0
        for channels, _, largest, (above, below, before, after) in inputs:
            taps = (above + below + 1) * (before + after + 1)
            weight = torch.randn(outputs, channels, above + below + 1, before + after + 1)
            self.weights.append(nn.Parameter(weight * gain / (channels * taps * len(inputs)) ** 0.5))
            terms += channels * taps * largest
        self.weight_limit = min(WEIGHT_LIMIT, (room - 1) // terms)  # so that sums stay exact, whatever is learnt
        self.bias_unit = typical * 2**shift
        self.bias = nn.Parameter(torch.full((outputs,), start / typical))

    def integer_weights(self) -> list[Tensor]:
        return [
            _Clip.apply(_Round.apply(weight * unit), -self.weight_limit, self.weight_limit, 1.0)
            for weight, unit in zip(self.weights, self.units, strict=True)
        ]

    def integer_bias(self) -> Tensor:
        return _Clip.apply(_Round.apply(self.bias * self.bias_unit), -BIAS_LIMIT, BIAS_LIMIT, 1.0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (B, C_i, h, w) each to (B, outputs, h, w)."""
        total = self.integer_bias()[:, None, None]
        for x, weight, (above, below, before, after) in zip(inputs, self.integer_weights(), self.windows, strict=True):
            total = total + F.conv2d(F.pad(x, (before, after, above, below)), weight)
        return _Clip.apply(_Round.apply(total * 2.0**-self.shift), self.low, self.high, self.leak)


class ContextNetwork(nn.Module):
    """Means and scale indices of the symbols of one pass."""

    def __init__(self, config: PriorConfig, step: Pass, convolution: type[IntegerConv]) -> None:
        super().__init__()
        self.step = step
        inputs = [(1, TYPICAL_QUALITY, QUALITY_LEVELS - 1, HERE)]
        if config.hyperprior:
            inputs.append((config.features, TYPICAL_ACTIVATION, ACTIVATION_LIMIT, HERE))
        if step.own:
            inputs.append((config.coded(step.view), TYPICAL_SYMBOL, SYMBOL_LIMIT, OWN_WINDOW))
        if step.cross:
            inputs.append((config.channels, TYPICAL_SYMBOL, SYMBOL_LIMIT, CROSS_WINDOW))
        hidden, outputs = [(config.hidden, TYPICAL_ACTIVATION, ACTIVATION_LIMIT, HERE)], config.coded(step.view)
        self.first = convolution(inputs, config.hidden, FIRST_SHIFT)
        self.second = convolution(hidden, config.hidden, HIDDEN_SHIFT, gain=1.4)
        self.mean = convolution(
            hidden, outputs, OUTPUT_SHIFT, -MEAN_LIMIT, MEAN_LIMIT, gain=0.08, typical=TYPICAL_OUTPUT
        )
        self.scale = convolution(hidden, outputs, OUTPUT_SHIFT, 0, SCALES - 1, 12.0, gain=0.12, typical=TYPICAL_OUTPUT)

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Map quality, features, own and left symbols, whichever there are to means in quarters, scale indices."""
        x = self.second(self.first(*inputs))
        return self.mean(x), self.scale(x)


class StereoPrior(nn.Module):
    """Likelihood of a pair's latents; `export` gives the coder that writes them in as many bits."""

    convolution: type[IntegerConv] = IntegerConv

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        views = 2 // config.groups  # that share a hyper latent
        seen = config.channels + config.coded(RIGHT) if views == 2 else config.channels
        hyper_channels = config.hyper_channels // config.groups
        if config.hyperprior:
            # Floating point: only the encoder needs it, and whatever it says is sent.
            self.analysis = nn.Sequential(
                nn.Conv2d(seen, config.hyper_width, 3, stride=2, padding=1),
                nn.LeakyReLU(0.1),
                nn.Conv2d(config.hyper_width, hyper_channels, 3, stride=2, padding=1),
            )
            with torch.no_grad():
                last = self.analysis[-1]
                assert isinstance(last, nn.Conv2d)
                last.weight *= 4.0  # z would round to nothing otherwise, and say nothing
            self.hyper0 = self.convolution(
                [
                    (1, TYPICAL_QUALITY, QUALITY_LEVELS - 1, HERE),
                    (hyper_channels, TYPICAL_SYMBOL, SYMBOL_LIMIT, AROUND),
                ],
                4 * config.hyper_width,
                FIRST_SHIFT,
            )
            self.hyper1 = self.convolution(
                [(config.hyper_width, TYPICAL_ACTIVATION, ACTIVATION_LIMIT, AROUND)],
                4 * config.features * views,
                HIDDEN_SHIFT,
                gain=1.4,
            )
            self._start_hyper_distributions()
        self.networks = nn.ModuleList(ContextNetwork(config, step, self.convolution) for step in config.passes())

    def _start_hyper_distributions(self) -> None:
        shape = QUALITY_BUCKETS, self.config.hyper_channels
        self.z_mean = nn.Parameter(torch.zeros(shape))
        self.z_scale = nn.Parameter(torch.full(shape, 8.0 / TYPICAL_OUTPUT))

    def _passes(self) -> list[ContextNetwork]:
        """Return the networks with their type, which ModuleList forgets."""
        return [cast(ContextNetwork, network) for network in self.networks]

    def analyse(self, left: Tensor, right: Tensor) -> Tensor | None:
        """Map scaled latents, two (B, M, h, w) to hyper latent (B, K, ceil(h / 4), ceil(w / 4)), not yet rounded."""
        if not self.config.hyperprior:
            return None
        with torch.autocast(left.device.type, enabled=False):
            pair = torch.cat([left, right[:, : self.config.coded(RIGHT)]], 1).float()
            batch = len(pair)
            grouped = pair.reshape(batch * self.config.groups, -1, *pair.shape[2:])
            z = self.analysis(grouped)
            return z.reshape(batch, self.config.hyper_channels, *z.shape[2:])

    def forward(self, left: Tensor, right: Tensor, quality: Tensor | int, z: Tensor | None = None) -> PriorOutput:
        """Rate of a batch of pairs.

        Args:
            left, right: (B, M, h, w), latents times the quality's gain, not rounded.
            quality: (B,) or one for all, 0 to 255.
            z: hyper latent if `analyse` has been called already.
        """
        z = self.analyse(left, right) if z is None else z
        with torch.autocast(left.device.type, enabled=False):
            views = [view[:, : self.config.coded(n)].float() for n, view in enumerate((left, right))]
            batch, _, height, width = left.shape
            quality = torch.as_tensor(quality, device=left.device).expand(batch)
            constant = quality.float().reshape(batch, 1, 1, 1)
            features, costs = None, {}
            if z is not None:
                z = z.float()
                symbols = quantise(z)
                mean, scale = self._hyper_distributions(quality)
                costs["hyper"] = _cost(z, symbols, mean, scale)
                features = self._synthesise(symbols, constant, height, width)
            coded = [quantise(view) for view in views]
            said = self._distributions(coded, features, constant)
            costs |= {name: _cost(y, s, *own) for name, y, s, own in zip(VIEWS, views, coded, said)}
        return PriorOutput(coded[LEFT], padded(coded[RIGHT], right.shape[1]), costs)

    def _hyper_distributions(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        bucket = quality.long() * QUALITY_BUCKETS // QUALITY_LEVELS
        mean, scale = self._hyper_integers()
        return mean[bucket][..., None, None], scale[bucket][..., None, None]

    def _hyper_integers(self) -> tuple[Tensor, Tensor]:
        mean = _Clip.apply(_Round.apply(self.z_mean * TYPICAL_OUTPUT), -MEAN_LIMIT, MEAN_LIMIT, 1.0)
        return mean, _Clip.apply(_Round.apply(self.z_scale * TYPICAL_OUTPUT), 0, SCALES - 1, 1.0)

    def _synthesise(self, symbols: Tensor, constant: Tensor, height: int, width: int) -> Tensor:
        """Map hyper symbols to hyper features (B, 2, N, h, w)."""
        batch, _, rows, columns = symbols.shape
        x = symbols.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).reshape(batch * self.config.groups, -1, rows, columns)
        constant = constant.repeat_interleave(self.config.groups, 0).expand(-1, 1, rows, columns)
        x = F.pixel_shuffle(self.hyper0(constant, x), 2)[:, :, : (height + 1) // 2, : (width + 1) // 2]
        x = F.pixel_shuffle(self.hyper1(x), 2)[:, :, :height, :width]
        return x.reshape(batch, 2, -1, height, width)

    def _distributions(
        self, symbols: list[Tensor], features: Tensor | None, constant: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """Map the coded symbols of both views, (B, M, h, w) to means in quarters and scale indices of each, as many."""
        height, width = symbols[LEFT].shape[-2:]
        rows = torch.arange(height, device=constant.device)[:, None]
        columns = torch.arange(width, device=constant.device)
        colour = (rows + columns) % 2
        seen = [view.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT) for view in symbols]
        said: dict[int, tuple[Tensor, Tensor]] = {}
        for network in self._passes():
            step = network.step
            inputs = [constant.expand(-1, 1, height, width)]
            if features is not None:
                inputs.append(features[:, step.view])
            if step.own:
                inputs.append(seen[step.view] * (colour == EVEN))
            if step.cross:
                inputs.append(seen[LEFT])
            mean, scale = network(inputs)
            if step.own:
                chosen = torch.eq(colour, cast(int, step.parity))
                before = said[step.view]
                mean, scale = torch.where(chosen, mean, before[0]), torch.where(chosen, scale, before[1])
            said[step.view] = mean, scale
        return [said[LEFT], said[RIGHT]]

    @torch.no_grad()
    def export(self) -> IntegerPrior:
        """Return the coder of this prior as trained so far."""
        tables = build_tables()
        arrays = {"tables.reach": tables.reach, "tables.frequencies": tables.frequencies}
        if self.config.hyperprior:
            mean, scale = self._hyper_integers()
            arrays |= {"z.mean": _to_numpy(mean, np.int16), "z.scale": _to_numpy(scale, np.int16)}
            arrays |= _matrix("hyper0", self.hyper0) | _matrix("hyper1", self.hyper1)
        for number, network in enumerate(self._passes()):
            parities: list[int | None] = [None] * len(network.first.weights)
            if network.step.own:  # its window's taps on odd cells see nothing
                parities[network.first.windows.index(OWN_WINDOW)] = network.step.parity
            arrays |= _matrix(f"pass{number}.0", network.first, parities)
            arrays |= _matrix(f"pass{number}.1", network.second)
            arrays |= _matrix(f"pass{number}.mean", network.mean)
            arrays |= _matrix(f"pass{number}.scale", network.scale)
        return IntegerPrior(self.config, arrays)


def _cost(y: Tensor, symbols: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Return the bits of symbols = quantise(y), exact in value.

    Distributions learn from the symbols as they will be coded. The latent's gradient is the exact one of the expected
    cost under uniform noise, d/dy E[bits(y + u)] = bits(y + 1/2) - bits(y - 1/2): smooth where rounding's is not, and
    without the noise (cf. Agustsson and Theis, NeurIPS 2020).
    """
    mean = mean / MEAN_STEPS
    cost = bits(symbols.detach() - mean, scale)
    if not y.requires_grad:
        return cost
    with torch.no_grad():
        slope = bits(y + 0.5 - mean, scale) - bits(y - 0.5 - mean, scale)
    return cost + slope * (y - y.detach())


def _matrix(name: str, layer: IntegerConv, parities: list[int | None] | None = None) -> dict[str, np.ndarray]:
    """Return a layer's arrays as IntegerPrior takes them: rows by input, then by offset of its
    window, then by channel.
    """
    rows = []
    for weight, window, parity in zip(
        layer.integer_weights(), layer.windows, parities or [None] * len(layer.windows), strict=True
    ):
        above, _, before, _ = window
        visible = None if parity is None else EVEN
        rows += [weight[:, :, above + row, before + column].T for row, column in offsets(window, parity, visible)]
    return {
        f"{name}.weight": _to_numpy(torch.cat(rows), np.int16),
        f"{name}.bias": _to_numpy(layer.integer_bias(), np.int32),
    }


def _to_numpy(integers: Tensor, dtype: type) -> np.ndarray:
    return integers.detach().cpu().numpy().astype(dtype)
