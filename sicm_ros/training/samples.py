# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Samples by number: the n-th sample of a run is the same whenever, and in whichever process, it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sicm_ros.kitti import KittiObjects
from sicm_ros.network.detector import Rigs
from sicm_ros.training.augment import Augmentation, draw
from sicm_ros.training.config import DataSet, TrainConfig
from sicm_ros.training.pack import PackedPairs, pack
from sicm_ros.training.targets import targets

_RIG = ("fx", "fy", "cx", "cy", "baseline", "disparity_offset")


def packed(source: DataSet, cache: Path, width: int) -> PackedPairs:
    """Return the packed form of a data set, made at the first call. A folder that is packed already
    is taken as it is.
    """
    if (source.path / "pairs.bin").is_file():
        return PackedPairs(source.path)
    frames = KittiObjects(source.path, split=source.split, labelled=True)
    key = hashlib.sha256(repr((str(source.path.resolve()), frames.names, width, str(source.disparities))).encode())
    folder = cache / f"{source.path.name}-{source.split or 'all'}-{key.hexdigest()[:8]}"
    if not (folder / "index.json").is_file():
        pack([frames.frame(name) for name in frames.names], folder, width, source.disparities)
    return PackedPairs(folder)


class TrainingSamples(Dataset):
    """Sample n: a source by its share, a pair, a window, targets."""

    def __init__(self, config: TrainConfig, augmentation: Augmentation | None = None) -> None:
        self.config, self.augmentation = config, augmentation or Augmentation(light=config.light, coded=config.coded)
        width = round(config.network.input_width * config.packed_scale / 2) * 2
        self.sources = [packed(source, config.cache, width) for source in config.data]
        shares = np.array([source.share for source in config.data])
        self.shares = shares / shares.sum()
        self.base_scale = config.network.input_width / width

    def __len__(self) -> int:
        return self.config.steps * self.config.batch * self.config.accumulate

    def __getitem__(self, n: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([self.config.seed, n])
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        pair = source.read(int(rng.integers(len(source))))
        size = (min(self.config.crop_width, self.config.network.input_width), self.config.network.input_height)
        sample = draw(pair, size, self.base_scale, self.augmentation, rng)
        # A codec of images reads no labels, and has no detector whose classes they could be of.
        pictures = self.config.stage == "pictures"
        arrays = {} if pictures else targets(sample, self.config.network.detector.classes)
        images = np.stack([sample.left, sample.right]).transpose(0, 3, 1, 2)
        rig = np.array([getattr(sample.calibration, name) for name in _RIG], np.float32)
        scale = sample.calibration.fx / pair.calibration.fx * pair.scale  # of this window's pixels to the source's
        tensors = {"images": torch.from_numpy(np.ascontiguousarray(images)), "rig": torch.from_numpy(rig)}
        tensors["source_pixels"] = torch.tensor(2 * size[0] * size[1] / scale**2, dtype=torch.float32)
        tensors["number"] = torch.tensor(n)
        return tensors | {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}


class _From(Sampler[int]):
    """Numbers of the samples of one process, from a step on."""

    def __init__(self, config: TrainConfig, step: int, rank: int, world: int) -> None:
        self.config, self.step, self.rank, self.world = config, step, rank, world

    def __iter__(self) -> Iterator[int]:
        micro = self.config.batch * self.config.accumulate
        for step in range(self.step, self.config.steps):
            first = (step * self.world + self.rank) * micro
            yield from range(first, first + micro)

    def __len__(self) -> int:
        return (self.config.steps - self.step) * self.config.batch * self.config.accumulate


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def loader(config: TrainConfig, step: int, rank: int = 0, world: int = 1) -> DataLoader:
    """Return batches of the run from `step` on."""
    return DataLoader(
        TrainingSamples(config),
        batch_size=config.batch,
        sampler=_From(config, step, rank, world),
        num_workers=config.workers,
        prefetch_factor=8 if config.workers else None,
        worker_init_fn=_quiet_worker,
        pin_memory=config.device != "cpu",
    )


def rigs_of(batch: dict[str, torch.Tensor]) -> Rigs:
    """Return the calibrations of a batch."""
    return Rigs(*batch["rig"].unbind(1))
