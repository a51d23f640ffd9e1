# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Train an image codec of CompressAI's zoo with CompressAI's own loss and optimisers: an anchor where its pretrained
weights can't be had, or should have seen roads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch.nn.utils import clip_grad_norm_

from sicm_ros.compressai.image_codecs import load_network, new_network, weights_file
from sicm_ros.errors import InputError
from sicm_ros.files import write_bytes

from compressai.losses import RateDistortionLoss  # isort: skip
from compressai.optimizers import net_aux_optimizer  # isort: skip

# What CompressAI's zoo was trained with, by quality: the weight of the squared error in grey levels.
LAMBDAS = {1: 0.0018, 2: 0.0035, 3: 0.0067, 4: 0.013, 5: 0.025, 6: 0.0483, 7: 0.0932, 8: 0.18}
CLIP = 1.0


@dataclass(frozen=True)
class ImageTraining:
    """How long, and on what.

    Attributes:
        architecture, quality: of the zoo.
        channels: of the network, where it isn't to be as wide as the zoo's.
        start: quality whose weights, in the same folder, it goes on from, and is as wide as; None: from random ones.
        steps, batch, crop: of training; a crop is square, pixels.
    """

    architecture: str = "bmshj2018_hyperprior"
    quality: int = 1
    channels: tuple[int, ...] | None = None
    start: int | None = None
    steps: int = 1000
    batch: int = 4
    crop: int = 192
    learning_rate: float = 3e-4
    seed: int = 0


def train_images(
    training: ImageTraining,
    images: Sequence[np.ndarray],
    out: Path,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[Path, dict[str, float]]:
    """Train on random crops of images, uint8 (height, width, 3) RGB; return the file, and the losses at the end.

    The file says in its metadata how it came about.
    """
    if not images or min(min(image.shape[:2]) for image in images) < training.crop:
        raise InputError(f"{len(images)} images; expected some, each at least {training.crop} pixels wide and high")
    torch.manual_seed(training.seed)
    generator = np.random.default_rng(training.seed)
    if training.start is None:
        network = new_network(training.architecture, training.quality, training.channels).train()
    else:
        network = load_network(training.architecture, training.start, out).requires_grad_(True).train()
    criterion = RateDistortionLoss(LAMBDAS[training.quality])
    rates = {"net": {"type": "Adam", "lr": training.learning_rate}, "aux": {"type": "Adam", "lr": 1e-3}}
    optimisers = net_aux_optimizer(network, rates)
    smooth: dict[str, float] = {}
    for step in progress(range(training.steps)):
        if step == training.steps * 3 // 4:
            for group in optimisers["net"].param_groups:
                group["lr"] *= 0.2
        x = _crops(images, training, generator)
        for optimiser in optimisers.values():
            optimiser.zero_grad()
        losses = criterion(network(x), x)
        losses["loss"].backward()
        clip_grad_norm_(network.parameters(), CLIP)
        optimisers["net"].step()
        network.aux_loss().backward()
        optimisers["aux"].step()
        for name, value in losses.items():
            smooth[name] = 0.98 * smooth.get(name, value.item()) + 0.02 * value.item()
    network.update(force=True, update_quantiles=True)
    about = {name: str(value) for name, value in vars(training).items()} | {"images": str(len(images))}
    path = weights_file(out, training.architecture, training.quality)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes(path, save(tensors, about))
    return path, smooth


def _crops(images: Sequence[np.ndarray], training: ImageTraining, generator: np.random.Generator) -> torch.Tensor:
    """Return (batch, 3, crop, crop), 0 to 1, each mirrored or not."""
    crops, side = [], training.crop
    for _ in range(training.batch):
        image = images[generator.integers(len(images))]
        top, left = (generator.integers(length - side + 1) for length in image.shape[:2])
        crop = image[top : top + side, left : left + side]
        crops.append(crop[:, ::-1] if generator.random() < 0.5 else crop)
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
