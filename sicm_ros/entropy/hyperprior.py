# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The prior in floating point, of CompressAI's entropy models: what the field uses, to compare ours with.

    y_left, y_right --analysis--> z --EntropyBottleneck--> z^ --synthesis--> hyper features of both views
    passes of a checkerboard over both views (prior.py): hyper features, what is decoded --> mean, deviation
    y --GaussianConditional--> round(y - mean) by rANS;  y^ = round(y - mean) + mean

A mean-scale hyperprior (Minnen et al., NeurIPS 2018) with a checkerboard context (He et al., CVPR 2021), of the same
networks as `StereoPrior`, but for the integers. Encoder and decoder must compute the same means and deviations down to
the last bit, which no two machines promise: `sicm bench priors` shows what happens where they don't.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.entropy.config import LEFT, QUALITY_LEVELS, RIGHT, Pass, PriorConfig, hyper_size
from sicm_ros.entropy.integer import ACTIVATION_LIMIT
from sicm_ros.entropy.library import (
    BufferedRansEncoder,
    EntropyBottleneck,
    GaussianConditional,
    RansDecoder,
    get_scale_table,
    quantize_ste,
)
from sicm_ros.entropy.likelihood import LARGEST_SCALE, LOG_SCALE_STEP, SMALLEST_SCALE
from sicm_ros.entropy.prior import TYPICAL_ACTIVATION, VIEWS, PriorOutput, StereoPrior, padded
from sicm_ros.entropy.tables import MEAN_STEPS, SCALES
from sicm_ros.errors import BitstreamError, InputError, ModelError

LEVELS = 64  # deviations that have a table
TABLES = ("_quantized_cdf", "_cdf_length", "_offset")  # CompressAI's names of what `update` makes
LENGTH_BYTES = 2  # of the hyper latent's length, in front of a payload

Coded = Callable[[Pass, Tensor, Tensor, Tensor], Tensor]
"""(pass, cells that it codes (h, w), means, deviations (B, C, h, w)) -> latents as decoded, (B, C, h, w)."""


class FloatConv(nn.Module):
    """What `IntegerConv` computes, in floating point: the same inputs and outputs, nothing rounded or clipped."""

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
        """Take the arguments of `IntegerConv`; shift is not looked at."""
        super().__init__()
        self.typical, self.rectified = typical, (low, high) == (0, ACTIVATION_LIMIT)
        self.windows = [window for _, _, _, window in inputs]
        self.magnitudes = [magnitude for _, magnitude, _, _ in inputs]
        self.weights = nn.ParameterList()
        for channels, _, _, (above, below, before, after) in inputs:
            height, width = above + below + 1, before + after + 1
            spread = gain / (channels * height * width * len(inputs)) ** 0.5
            self.weights.append(nn.Parameter(torch.randn(outputs, channels, height, width) * spread))
        self.bias = nn.Parameter(torch.full((outputs,), start / typical))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (B, C_i, h, w) each to (B, outputs, h, w)."""
        total = self.bias[:, None, None]
        for x, weight, magnitude, window in zip(inputs, self.weights, self.magnitudes, self.windows, strict=True):
            above, below, before, after = window
            total = total + F.conv2d(F.pad(x / magnitude, (before, after, above, below)), weight)
        return (F.leaky_relu(total, 0.1) if self.rectified else total) * self.typical


class StereoHyperprior(StereoPrior):
    """Likelihood of a pair's latents by CompressAI's entropy models; `export` gives the coder.

    In training latents are noisy where their likelihood is asked for, and rounded, straight through, where they go on:
    as in CompressAI's own models.
    """

    convolution = FloatConv  # type: ignore[assignment]  # called alike

    def __init__(self, config: PriorConfig) -> None:
        super().__init__(config)
        self.gaussian = GaussianConditional(None, scale_bound=SMALLEST_SCALE)
        # Constants and tables belong to no checkpoint, which is in half precision: 1e-9 would come back as 0.
        for model in (self.bottleneck, self.gaussian):
            for module in model.modules():
                for name, value in list(module.named_buffers(recurse=False)):
                    module.register_buffer(name, value, persistent=False)

    def _start_hyper_distributions(self) -> None:
        self.bottleneck = EntropyBottleneck(self.config.hyper_channels)

    def forward(self, left: Tensor, right: Tensor, quality: Tensor | int, z: Tensor | None = None) -> PriorOutput:
        """Rate of a batch of pairs; arguments as of `StereoPrior`."""
        z = self.analyse(left, right) if z is None else z
        assert z is not None, "a hyperprior has a hyper latent"
        with torch.autocast(left.device.type, enabled=False):
            views = [view[:, : self.config.coded(n)].float() for n, view in enumerate((left, right))]
            hyper, likelihood = self.bottleneck(z.float())
            costs = {"hyper": -likelihood.log2()}

            def code(step: Pass, cells: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
                y, name = views[step.view], VIEWS[step.view]
                _, likelihood = self.gaussian(y, deviations, means)
                costs[name] = torch.where(cells, -likelihood.log2(), costs.get(name, y.new_zeros(())))
                return quantize_ste(y - means) + means

            coded = self.walk(hyper, quality, left.shape[2:], code)
        return PriorOutput(coded[LEFT], padded(coded[RIGHT], right.shape[1]), costs)

    def of_symbols(self, left: Tensor, right: Tensor, quality: Tensor | int) -> PriorOutput:
        """Rate of latents that are integers already, as a coder with a table for every mean and deviation would write
        them: what the distributions themselves cost.
        """
        z = self.analyse(left, right)
        assert z is not None, "a hyperprior has a hyper latent"
        views = [view[:, : self.config.coded(n)].float() for n, view in enumerate((left, right))]
        hyper, likelihood = self.bottleneck(z)
        costs = {"hyper": -likelihood.log2()}

        def code(step: Pass, cells: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
            y, name = views[step.view], VIEWS[step.view]
            # CompressAI's forward adds noise or rounds first; what it then asks is this.
            likelihood = self.gaussian.likelihood_lower_bound(self.gaussian._likelihood(y, deviations, means))
            costs[name] = torch.where(cells, -likelihood.log2(), costs.get(name, y.new_zeros(())))
            return y

        self.walk(hyper, quality, left.shape[2:], code)
        return PriorOutput(left, right, costs)

    def walk(self, hyper: Tensor, quality: Tensor | int, size: tuple[int, ...], code: Coded) -> list[Tensor]:
        """Go through all passes in the order of the bitstream; training, encoder and decoder take the same steps.

        Args:
            hyper: (B, K, ...) as decoded.
            quality: (B,) or one for all, 0 to 255.
            size: rows and columns of the latents.

        Returns both views as decoded.
        """
        height, width = size
        batch = len(hyper)
        levels = torch.as_tensor(quality, device=hyper.device).expand(batch)
        constant = levels.to(hyper.dtype).reshape(batch, 1, 1, 1)
        features = self._synthesise(hyper, constant, height, width)
        rows = torch.arange(height, device=hyper.device)[:, None]
        colour = (rows + torch.arange(width, device=hyper.device)) % 2
        known: dict[int, Tensor] = {}
        for network in self._passes():
            step = network.step
            inputs = [constant.expand(-1, 1, height, width), features[:, step.view]]
            if step.own:
                inputs.append(known[step.view])
            if step.cross:
                inputs.append(known[LEFT])
            mean, scale = network(inputs)
            deviation = SMALLEST_SCALE * torch.exp(scale.clamp(0, SCALES - 1) * LOG_SCALE_STEP)
            cells = torch.ones_like(colour, dtype=torch.bool) if step.parity is None else colour == step.parity
            decoded = code(step, cells, mean / MEAN_STEPS, deviation)
            before = known[step.view] if step.own else decoded.new_zeros(())
            known[step.view] = torch.where(cells, decoded, before)
        return [known[LEFT], known[RIGHT]]

    @torch.no_grad()
    def settle(self) -> None:
        """Put the quantiles of the hyper latent's distributions, their medians among them, to where these have them:
        by bisection, for a training without CompressAI's auxiliary loss leaves them where they began.
        """
        self.bottleneck.update(force=True, update_quantiles=True)

    @torch.no_grad()
    def export(self) -> FloatPrior:  # type: ignore[override]  # another coder, with the same methods
        """Return the coder of this prior as trained so far."""
        prior = copy.deepcopy(self).cpu().float().eval()
        prior.settle()
        prior.gaussian.update_scale_table(get_scale_table(SMALLEST_SCALE, LARGEST_SCALE, LEVELS), force=True)
        weights = {name: value for name, value in prior.state_dict().items() if not name.startswith("analysis.")}
        return FloatPrior(self.config, {k: v.numpy() for k, v in (weights | _tables(prior)).items()})


def _tables(prior: StereoHyperprior) -> dict[str, Tensor]:
    tables = {f"{m}.{name}": getattr(getattr(prior, m), name) for m in ("bottleneck", "gaussian") for name in TABLES}
    return tables | {"gaussian.scale_table": prior.gaussian.scale_table}


class FloatPrior:
    """Codes the latents of a pair with a hyperprior in floating point; made by `StereoHyperprior.export` or of a model
    folder's arrays. It has the methods of `IntegerPrior`, but takes latents that aren't rounded: it rounds them itself.

    CompressAI's decoder trusts its stream. Zeros behind a payload keep one that is broken, or decoded with another
    table than it was encoded with, from reading far beyond its end.
    """

    rounds_itself = True
    temporal = None  # no model looks back with it

    def __init__(
        self, config: PriorConfig, arrays: Mapping[str, np.ndarray], dtype: torch.dtype = torch.float32
    ) -> None:
        """`arrays` are those of `arrays()`; `dtype` is what the networks compute in. Others than float32 give other
        distributions: no decoder reads what an encoder of another one wrote.
        """
        self.config, self.dtype = config, dtype
        prior = StereoHyperprior(config).eval().requires_grad_(False)
        wanted = [name for name in prior.state_dict() if not name.startswith("analysis.")]
        wanted += _tables(prior)
        missing = [name for name in wanted if name not in arrays]
        if missing:
            raise ModelError(f"prior: array {missing[0]} is missing; the arrays are from another configuration")
        self._arrays = {name: np.ascontiguousarray(arrays[name]) for name in wanted}
        tensors = {name: torch.from_numpy(array.copy()) for name, array in self._arrays.items()}
        tables = {name: tensors.pop(name) for name in _tables(prior)}
        try:
            prior.load_state_dict(tensors, strict=False)
        except RuntimeError as error:
            raise ModelError(f"prior: {str(error).splitlines()[-1].strip()}; fetch the model again") from None
        self._prior = prior.to(dtype)
        for name, table in tables.items():
            model, _, attribute = name.partition(".")
            setattr(getattr(prior, model), attribute, table)
        self._coded_tables = {
            model: [getattr(getattr(prior, model), name).tolist() for name in TABLES]
            for model in ("bottleneck", "gaussian")
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that a decoder needs besides the configuration, by name."""
        return dict(self._arrays)

    def write(
        self, left: np.ndarray, right: np.ndarray, z: np.ndarray | None, quality: int, past: object = None
    ) -> tuple[bytes, None]:
        """Write a pair of latents as `compress` does; nothing is kept for later pairs."""
        if past is not None:
            raise InputError("a reference: this prior codes every pair by itself")
        return self.compress(left, right, z, quality), None

    def read(self, payload: bytes, size: tuple[int, int], quality: int, past: object = None) -> np.ndarray:
        """Read the latents of a payload, float32 (2, M, h, w); raises as `decompress` does."""
        if past is not None:
            raise BitstreamError("a reference that this model can't look at; drop the packet")
        left, right, _ = self.decompress(payload, *size, quality)
        return np.stack([left, right])

    def latents(self, coded: np.ndarray) -> np.ndarray:
        """Return what `read` gave: left and right."""
        return coded

    @torch.inference_mode()
    def compress(self, left: np.ndarray, right: np.ndarray, z: np.ndarray | None, quality: int) -> bytes:
        """Write a pair of latents as a payload.

        Args:
            left, right: (M, h, w), latents, rounded or not.
            z: (K, ceil(h / 4), ceil(w / 4)), hyper latent, not rounded.
            quality: 0 to 255.
        """
        views = self._views(left, right)
        hyper, first = self._written_hyper(z, left.shape[1:])
        coder = BufferedRansEncoder()
        tables = self._coded_tables["gaussian"]

        def code(step: Pass, cells: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
            residuals = torch.round(views[step.view] - means)
            indexes = self._indexes(deviations)
            coder.encode_with_indexes(_listed(residuals, cells), _listed(indexes, cells), *tables)
            return residuals + means

        self._prior.walk(hyper, quality, left.shape[1:], code)
        return len(first).to_bytes(LENGTH_BYTES, "little") + first + coder.flush()

    @torch.inference_mode()
    def decompress(
        self, payload: bytes, height: int, width: int, quality: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Read the latents of a payload: left, right (float32 (M, height, width)) and z, as decoded.

        Raises:
            BitstreamError: the payload is too short for what it says of itself.
        """
        if not 0 <= quality < QUALITY_LEVELS:
            raise BitstreamError(f"quality is {quality}; expected 0 to {QUALITY_LEVELS - 1}")
        length = int.from_bytes(payload[:LENGTH_BYTES], "little")
        first, rest = payload[LENGTH_BYTES : LENGTH_BYTES + length], payload[LENGTH_BYTES + length :]
        if len(first) < max(length, 4) or len(rest) < 4:
            raise BitstreamError("payload: not the output of an encoder (too short); drop the packet")
        rows, columns = hyper_size(height, width)
        shape = 1, self.config.hyper_channels, rows, columns
        decoder = RansDecoder()
        decoder.set_stream(_padded(first, self.config.hyper_channels * rows * columns))
        symbols = decoder.decode_stream(self._hyper_indexes(shape), *self._coded_tables["bottleneck"])
        hyper = torch.tensor(symbols).reshape(shape).to(self.dtype) + self._medians()
        decoder = RansDecoder()
        decoder.set_stream(_padded(rest, height * width * sum(map(self.config.coded, (LEFT, RIGHT)))))
        tables = self._coded_tables["gaussian"]

        def code(step: Pass, cells: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
            residuals = torch.zeros_like(means)
            read = decoder.decode_stream(_listed(self._indexes(deviations), cells), *tables)
            residuals[..., cells] = torch.tensor(read, dtype=means.dtype).reshape(residuals[..., cells].shape)
            return residuals + means

        coded = self._prior.walk(hyper, quality, (height, width), code)
        views = [padded(view, self.config.channels)[0].float().numpy() for view in coded]
        return views[LEFT], views[RIGHT], hyper[0].float().numpy()

    @torch.inference_mode()
    def bits_map(self, left: np.ndarray, right: np.ndarray, z: np.ndarray | None, quality: int) -> np.ndarray:
        """Return the bits that each cell of each view costs, float64 (2, h, w); the hyper latent's
        are spread evenly over all.
        """
        self._hyper_latent(z, left.shape[1:])
        views = [torch.from_numpy(np.asarray(view)).to(self.dtype)[None] for view in (left, right)]
        hyper = torch.from_numpy(np.asarray(z)).to(self.dtype)[None]
        output = self._prior(*views, quality, hyper)
        cells = output.cell_bits[0].double().numpy()
        return cells + output.hyper_bits.item() / cells.size

    def _views(self, left: np.ndarray, right: np.ndarray) -> list[Tensor]:
        if left.ndim != 3 or left.shape != right.shape or left.shape[0] != self.config.channels:
            raise InputError(
                f"latents: shapes {left.shape} and {right.shape}; expected ({self.config.channels}, h, w) for both"
            )
        coded = (left, right[: self.config.coded(RIGHT)])
        return [torch.from_numpy(np.ascontiguousarray(view)).to(self.dtype)[None] for view in coded]

    def _hyper_latent(self, z: np.ndarray | None, size: tuple[int, ...]) -> Tensor:
        expected = (self.config.hyper_channels, *hyper_size(*size))
        if z is None or z.shape != expected:
            raise InputError(f"hyper latent: shape {None if z is None else z.shape}; expected {expected}")
        return torch.from_numpy(np.ascontiguousarray(z)).to(self.dtype)[None]

    def _written_hyper(self, z: np.ndarray | None, size: tuple[int, ...]) -> tuple[Tensor, bytes]:
        """Return the hyper latent as decoded, and its stream."""
        latent, medians = self._hyper_latent(z, size), self._medians()
        symbols = torch.round(latent - medians)
        coder = BufferedRansEncoder()
        wanted = symbols.int().reshape(-1).tolist()
        coder.encode_with_indexes(wanted, self._hyper_indexes(latent.shape), *self._coded_tables["bottleneck"])
        return symbols + medians, coder.flush()

    def _medians(self) -> Tensor:
        return self._prior.bottleneck.quantiles[:, :, 1].reshape(1, -1, 1, 1)

    def _hyper_indexes(self, shape: tuple[int, ...]) -> list[int]:
        return np.repeat(np.arange(shape[1]), shape[2] * shape[3]).tolist()

    def _indexes(self, deviations: Tensor) -> Tensor:
        return self._prior.gaussian.build_indexes(deviations)


def _listed(values: Tensor, cells: Tensor) -> list[int]:
    """Return what lies in some cells, as CompressAI's coder takes it."""
    return values[..., cells].int().reshape(-1).tolist()


def _padded(stream: bytes, symbols: int) -> bytes:
    return stream + bytes(4 * symbols + 4)
