# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How a codec of stereo images learns: rate and squared error, at all qualities at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sicm_ros.baseline.network import StereoPictureNetwork
from sicm_ros.training.config import PictureTrainConfig
from sicm_ros.training.rates import prices, random_qualities

WHITE = 255.0


class PictureStep(nn.Module):
    """One batch to its losses: bits per pixel times their price, and the mean squared error of both views."""

    def __init__(self, network: StereoPictureNetwork, config: PictureTrainConfig) -> None:
        super().__init__()
        self.network, self.config = network, config
        self.prior_only = False

    def begin(self, step: int) -> None:
        """Settle what is learnt in a step."""
        self.prior_only = step < self.config.prior_steps

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        pictures = batch["images"].transpose(0, 1).flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
        pairs = len(batch["images"])
        quality = random_qualities(pairs, pictures.device)
        if self.prior_only:
            # While it knows nothing it would only mislead the transforms. Its rate, alike at all qualities.
            bpp = self.network.rate(pictures, quality) / batch["source_pixels"]
            return {"bpp": bpp.mean().detach(), "total": bpp.log().mean()}
        coded = self.network.code(pictures, quality)
        bpp = coded.bits / batch["source_pixels"]
        error = ((coded.pictures.float() - pictures) / WHITE).square().mean((1, 2, 3)).view(2, pairs).mean(0)
        price = prices(self.config.rate, quality)
        # What a pair costs falls with quality nearly as the root of the price does: divided by it, all qualities are
        # heard alike. What each of them is best at stays the same.
        cost = (bpp * price + self.config.distortion * error) / price.sqrt()
        with torch.no_grad():
            psnr = -10 * error.clamp(min=1e-10).log10()
        return {
            "rate": (bpp * price).mean(),
            "distortion": self.config.distortion * error.mean(),
            "psnr": psnr.mean(),
            "bpp": bpp.mean().detach(),
            "total": cost.mean(),
        }
