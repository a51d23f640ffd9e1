# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The training program: `train(config)` reads as a table of contents; a stage says which parts learn, and from what."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sicm_ros.errors import InputError, SicmError, VerificationError
from sicm_ros.files import Lines, explain, write_text
from sicm_ros.model.folder import Network, licence_of, load_weights, network_of, save_model
from sicm_ros.network import MVSFCNet
from sicm_ros.network.runtime import keep_memory
from sicm_ros.network.verification import checked_layers
from sicm_ros.training import checkpoint
from sicm_ros.training.config import PictureTrainConfig, TrainConfig
from sicm_ros.training.losses import (
    Weights,
    disparity_distillation,
    distillation,
    map_distillation,
    task_losses,
    vehicle_matching,
    weighted,
)
from sicm_ros.training.picture_step import PictureStep
from sicm_ros.training.rates import prices, random_qualities
from sicm_ros.training.samples import TrainingSamples, loader, rigs_of
from sicm_ros.training.transform import start_codec
from sicm_ros.training.widen import differs, widen_codec

_PARTS = {
    "detector": ("backbone", "detector"),
    "matching": ("encoder.stereo",),
    "codec": ("encoder", "gain", "prior", "decoder", "detector"),
    "joint": ("backbone", "encoder", "gain", "prior", "decoder", "detector"),
    "pictures": ("encoder", "gain", "prior", "decoder"),
}
_CODEC = ("encoder", "gain", "prior", "decoder")
_TAUGHT = ("matching", "codec", "joint")  # stages with a teacher
FEATURE_SAMPLES = 80  # pairs that features are measured on
PRIOR_RATE = 1e-3  # learning rate while the prior learns alone


class TrainingError(SicmError):
    """A training that can't go on."""


def train(config: TrainConfig) -> Path:
    """Run a stage, or go on with it where it was interrupted; return the folder of the finished model."""
    rank, world = _join_processes(config)
    keep_memory()
    if config.device == "cpu":
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    network = start_network(config)
    teacher = copy.deepcopy(network).eval().requires_grad_(False) if config.stage in _TAUGHT else None
    latest = config.out / "latest.safetensors"
    if config.stage == "codec" and config.fit_transform and not latest.is_file():  # a checkpoint holds it
        start_codec(network, TrainingSamples(config), FEATURE_SAMPLES)
    elif (start := _codec_start(config)) and not latest.is_file() and differs(network, start):
        widen_codec(network, start, TrainingSamples(config), FEATURE_SAMPLES)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    optimiser = _optimiser(network, config)
    config.out.mkdir(parents=True, exist_ok=True)
    step, best = checkpoint.restore(latest, network, average, optimiser) if latest.is_file() else (0, -1.0)
    stage: Stage
    stage = PictureStep(network, config) if isinstance(config, PictureTrainConfig) else _Step(network, teacher, config)
    learning: nn.Module = stage
    if world > 1:
        learning = nn.parallel.DistributedDataParallel(stage, find_unused_parameters=True)

    log = _Log(config.out, step) if rank == 0 else None
    batches: Iterator[dict[str, Tensor]] = iter(loader(config, step, rank, world))
    if config.mixed_precision and step < config.steps:
        first = next(batches)
        _check_numbers(stage, teacher, first, config)
        batches = itertools.chain([first], batches)
    progress = tqdm(total=config.steps, initial=step, desc=f"{config.name} ({config.stage})", disable=rank != 0)
    while step < config.steps:
        _set_rates(optimiser, config, step)
        stage.begin(step)
        torch.manual_seed((config.seed << 24) + step * world + rank)  # quantisation noise, the same after a restart
        losses = _one_step(learning, optimiser, batches, config)
        step += 1
        _average(average, network, config, step)
        if log is not None:
            progress.update()
            log.write(step, losses, progress)
            if config.validation and (step % config.validate_every == 0 or step == config.steps):
                best = _validate(average, config, step, best, log)
            # After the validation: what is stopped in the midst of one goes on before it.
            if step % config.checkpoint_every == 0 or step == config.steps:
                checkpoint.save(latest, step, network, average, optimiser, best)
    progress.close()
    return _save(average, config, "model", config.steps) if rank == 0 else config.out / "model"


def start_network(config: TrainConfig) -> Network:
    """Return the network a stage starts from: a model folder's weights, or ImageNet's backbone."""
    network = network_of(config.network)
    if config.stage == "matching" and not config.network.codec.compensation:
        raise InputError(
            "stage matching: this network has no matching on the vehicle; set network.codec.compensation=true"
        )
    if config.start:
        load_weights(network, config.start, config.start_parts)
    elif config.stage != "pictures" and hasattr(network.backbone, "load_imagenet"):
        network.backbone.load_imagenet()
    if config.teacher and config.stage in _TAUGHT:
        _follow(network, config.teacher)
    network.to(config.device, memory_format=torch.channels_last).train()
    if config.stage in _TAUGHT:
        # Pairs of all qualities share the norms: they keep the teacher's statistics, which a batch of two pairs at
        # two qualities would only blur. The vehicle's matching has no such teacher, and sees no quality.
        own = set(network.encoder.modules()) if config.codec_rate or config.stage == "matching" else set()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module not in own:
                module.eval()
    return network


def _codec_start(config: TrainConfig) -> str | None:
    """Return the model whose codec goes on in the one that comes out; None where none does."""
    parts = config.start_parts
    goes_on = config.stage != "pictures" and (parts is None or "encoder" in parts)
    return config.start if goes_on else None


@torch.no_grad()
def _follow(network: MVSFCNet, teacher: str) -> None:
    """Take another teacher. The codec's own detector, which has learnt to live with what is rebuilt, goes as far from
    where it is as the teacher went: a better place to start from than either.
    """
    newer = copy.deepcopy(network)
    load_weights(newer, teacher, ("backbone", "reference"))
    if any(not torch.equal(a, b) for a, b in zip(network.backbone.parameters(), newer.backbone.parameters())):
        raise InputError(f"teacher {teacher} sees other features than start: train it with backbone_rate=0")
    before, after = network.reference.state_dict(), newer.reference.state_dict()
    for name, own in network.detector.state_dict().items():
        if "running_" in name or not own.is_floating_point():  # norms keep the teacher's statistics
            own.copy_(after[name])
        else:
            own.add_(after[name] - before[name])
    network.reference.load_state_dict(after)


class _Step(nn.Module):
    """One batch to its losses: a module, so that DistributedDataParallel can wrap it."""

    def __init__(self, network: MVSFCNet, teacher: MVSFCNet | None, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.config = network, config
        self._teacher = [teacher]  # in a list: it is no part of what learns
        self.weights = Weights()
        self.prior_only, self.guided = False, 0.0

    def begin(self, step: int) -> None:
        """Settle what is learnt in a step, and how much of it with the teacher's help."""
        config = self.config
        self.prior_only = step < config.prior_steps
        self.guided = max(0.0, 1 - (step - config.prior_steps) / config.guided_steps) if config.guided_steps else 0.0

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        config, network = self.config, self.network
        images = batch["images"]
        rigs = rigs_of(batch)
        views = images.transpose(0, 1).flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
        if config.stage == "detector":
            losses = task_losses(network.detect(network.extract(views), rigs), batch, rigs)
            return losses | {"total": weighted(losses, self.weights)}

        teacher = self._teacher[0]
        assert teacher is not None, "every stage but the detector's has one"
        with torch.no_grad():
            goal = teacher.extract(views)
            goal_maps = teacher.reference(goal, rigs)
        if config.stage == "matching":
            stereo: Any = network.encoder.stereo
            matched = stereo(network.scale.normalised(goal))
            losses = {"vehicle_matching": vehicle_matching(matched, batch["matching"], goal_maps)}
            return losses | {"total": losses["vehicle_matching"]}

        features = network.extract(views) if config.stage == "joint" else goal
        quality = random_qualities(len(images), images.device)
        if self.prior_only:
            # A prior that knows nothing yet would only mislead the transforms. Its rate, alike at all qualities.
            bpp = network.rate(features, quality, goal_maps.disparity) / batch["source_pixels"]
            return {"bpp": bpp.mean().detach(), "total": bpp.log().mean()}
        coded = network.code(features, quality, rigs, goal_maps.disparity, self.guided)
        bpp = coded.bits / batch["source_pixels"]
        price = prices(config.rate, quality)
        task = task_losses(coded.maps, batch, rigs)
        losses = {
            "rate": (bpp * price).mean(),
            "distil": distillation(coded.features, goal),
            "distil_maps": map_distillation(coded.maps, goal_maps),
        }
        total = losses["rate"] + config.distil * losses["distil"] + config.distil_maps * losses["distil_maps"]
        if coded.matched is not None and coded.disparity is not None:
            losses["distil_disparity"] = disparity_distillation(coded.disparity, goal_maps)
            losses["vehicle_matching"] = vehicle_matching(coded.matched, batch["matching"], goal_maps)
            total = total + config.distil_disparity * losses["distil_disparity"]
            total = total + config.matching * losses["vehicle_matching"]
        losses |= task
        total = total + weighted(task, self.weights)
        losses["bpp"] = bpp.mean().detach()
        return losses | {"total": total}


Stage: TypeAlias = _Step | PictureStep


def _on_device(batch: dict[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    return {k: v.to(config.device, non_blocking=True) for k, v in batch.items()}


def _numbers(config: TrainConfig) -> contextlib.AbstractContextManager:
    """Return the context of what the network computes in: bfloat16 with mixed_precision, but for what
    names a disparity.
    """
    return torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.mixed_precision)


def _check_numbers(stage: Stage, teacher: MVSFCNet | None, batch: dict[str, Tensor], config: TrainConfig) -> None:
    """Raise TrainingError if a layer, or its gradient, is wrong in bfloat16 on this machine: a pass on copies."""
    trial, teacher = copy.deepcopy((stage, teacher))
    trial.begin(config.prior_steps)  # all that learns is looked at
    try:
        with (
            checked_layers(trial, gradients=True),
            checked_layers(teacher or nn.Identity()),
            _numbers(config),
        ):
            trial(_on_device(batch, config))
    except VerificationError as error:
        raise TrainingError(f"mixed_precision=true: {error}; use mixed_precision=false") from None


def _one_step(
    module: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterator[dict[str, Tensor]], config: TrainConfig
) -> dict[str, float]:
    """Learn from `accumulate` batches; return the means of their losses."""
    optimiser.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    for _ in range(config.accumulate):
        batch = _on_device(next(batches), config)
        with _numbers(config):
            losses = module(batch)
        if not math.isfinite(losses["total"].item()):
            bad = {k: v.item() for k, v in losses.items() if not torch.isfinite(v)}
            raise TrainingError(
                f"the loss is not finite ({bad}) on samples {batch['number'].tolist()}; lower learning_rate"
            )
        (losses["total"] / config.accumulate).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item() / config.accumulate
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, config.clip)
    if torch.isfinite(norm):
        optimiser.step()
    return sums


def _optimiser(network: Network, config: TrainConfig) -> torch.optim.Optimizer:
    groups = []
    network.requires_grad_(False)
    for part in _PARTS[config.stage]:
        rate = config.learning_rate * _relative_rate(part, config)
        module = network.get_submodule(part)
        if rate == 0:
            continue
        module.requires_grad_(True)
        for layer in network.backbone.early() if part == "backbone" else ():
            layer.requires_grad_(False)
        learning = [p for p in module.parameters() if p.requires_grad]
        matrices = [p for p in learning if p.dim() > 1]
        others = [p for p in learning if p.dim() <= 1]
        for parameters, decay in ((matrices, config.weight_decay), (others, 0.0)):
            if parameters:
                groups.append({"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay, "part": part})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def _relative_rate(part: str, config: TrainConfig) -> float:
    if part == "backbone":
        return config.backbone_rate
    if part in _CODEC:
        # Gains are logarithms, few and far from where the price of a bit will have them.
        return config.codec_rate * (10.0 if part == "gain" else 1.0)
    # The teacher's detector knows its work already; it follows what the codec learns.
    return config.detector_rate if part == "detector" and config.stage != "detector" else 1.0


def _set_rates(optimiser: torch.optim.Optimizer, config: TrainConfig, step: int) -> None:
    if step < config.prior_steps:
        for group in optimiser.param_groups:
            group["lr"] = PRIOR_RATE if group["part"] == "prior" else 0.0
        return
    step -= config.prior_steps
    factor = min(1.0, (step + 1) / max(config.warmup, 1))
    if config.schedule == "cosine":
        factor *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / (config.steps - config.prior_steps)))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, config: TrainConfig, step: int) -> None:
    keep = min(config.average, (step + 1) / (step + 10))  # young averages forget sooner
    for ours, theirs in zip(average.state_dict().values(), network.state_dict().values()):
        if ours.is_floating_point():
            ours.lerp_(theirs, 1 - keep)
        else:
            ours.copy_(theirs)


def _save(average: Network, config: TrainConfig, folder: str, steps: int) -> Path:
    """Save the averaged weights as a model folder."""
    if config.stage == "detector":  # its detector sees uncompressed features: it is the reference as well
        average.reference.load_state_dict(average.detector.state_dict())
    licence = _licence(config)
    return save_model(average, config.out / folder, config.name, licence, _card(config, steps, licence))


def _licence(config: TrainConfig) -> str:
    """Return the licence of the weights: what they saw binds them, and what the weights saw that they started from."""
    if all(source.free for source in config.data):
        return licence_of(config.start) if config.start else "free"
    return "non-commercial"


def _card(config: TrainConfig, steps: int, licence: str) -> str:
    names = (f"{source.path.name} ({source.split})" if source.split else source.path.name for source in config.data)
    data = "\n".join(f"- {name}" for name in names)
    note = "free to use" if licence == "free" else "non-commercial, as is data that it saw (KITTI: CC BY-NC-SA 3.0)"
    return (
        f"# {config.name}\n\nLicence of the weights: {note}.\n\n"
        f"Stage {config.stage}, {steps} steps of {config.batch} pairs, trained on\n\n{data}\n"
    )


def _validate(average: MVSFCNet, config: TrainConfig, step: int, best: float, log: _Log) -> float:
    from sicm_ros.training.validation import validate

    figures = validate(average, config)
    log.validation(step, figures)
    score = figures["score"]
    if score > best:
        _save(average, config, "best", step)
        return score
    return best


def _until(path: Path, step: int) -> Path:
    """Leave the lines of a log that lead to a step: those after it are written again by what
    goes on from there.
    """
    if path.is_file():
        kept = []
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut off by a kill
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        write_text(path, "".join(kept))
    return path


class _Log:
    """Losses to TensorBoard where it is installed, to log.jsonl always, and to the progress bar."""

    EVERY = 20

    def __init__(self, out: Path, step: int) -> None:
        self._file = Lines(_until(out / "log.jsonl", step))
        self._smooth: dict[str, float] = {}
        self._start = (time.time(), step)
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"))
        except ImportError:
            self._board = None
        except OSError as error:
            self._give_up_curves(error)

    def write(self, step: int, losses: dict[str, float], progress: tqdm) -> None:
        for name, value in losses.items():
            self._smooth[name] = 0.98 * self._smooth.get(name, value) + 0.02 * value
        if step % self.EVERY:
            return
        rounded = {k: round(v, 4) for k, v in self._smooth.items()}
        self._file.write(json.dumps({"step": step, "time": round(time.time() - self._start[0], 1), **rounded}) + "\n")
        shown = ("total", "heat", "depth", "distil", "psnr", "bpp")
        progress.set_postfix({k: f"{self._smooth[k]:.3g}" for k in shown if k in self._smooth}, refresh=False)
        self._draw("train", losses, step)

    def validation(self, step: int, figures: dict[str, float]) -> None:
        self._file.write(json.dumps({"step": step, "validation": figures}) + "\n")
        tqdm.write(f"step {step}: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()))
        self._draw("validation", figures, step)

    def _draw(self, part: str, values: dict[str, float], step: int) -> None:
        try:
            for name, value in values.items() if self._board else ():
                self._board.add_scalar(f"{part}/{name}", value, step)
        except OSError as error:
            self._give_up_curves(error)

    def _give_up_curves(self, error: OSError) -> None:
        """A training doesn't end for want of an image of it."""
        self._board = None
        tqdm.write(f"no TensorBoard curves from here on: {explain(error)}")


def _join_processes(config: TrainConfig) -> tuple[int, int]:
    """Rank and number of processes; those that torchrun started join each other."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo" if config.device == "cpu" else "nccl")
    return int(os.environ.get("RANK", "0")), world
