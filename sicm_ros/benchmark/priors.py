# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The integer prior beside CompressAI's in floating point, on the same symbols: what it costs in rate, and what happens
to either when the decoder computes in another way than the encoder.

Both start as the prior of a model, whose networks they share, and go on for as many steps on the same symbols. Each
setting of a decoder is a process of its own, since instruction sets are chosen when libraries are loaded.
"""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from sicm_ros.benchmark.symbols import INSTRUCTIONS
from sicm_ros.bitstream import unpack
from sicm_ros.entropy import IntegerPrior, PriorConfig
from sicm_ros.entropy.choice import prior_of
from sicm_ros.entropy.prior import StereoPrior
from sicm_ros.errors import InputError, SicmError
from sicm_ros.files import write_text
from sicm_ros.model.base import rounded
from sicm_ros.network.config import quality_level

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.geometry import StereoPair
    from sicm_ros.model import Model

Progress = Callable[[Iterable[Any]], Iterable[Any]]
PEAK = 3e-4  # learning rate
TYPES = ("float32", "float64", "bfloat16")


@dataclass(frozen=True)
class SymbolPair:
    """A pair as a model codes it: symbols int32 (M, h, w) of both views, and the byte that stands for its quality."""

    left: np.ndarray
    right: np.ndarray
    level: int

    @property
    def symbols(self) -> np.ndarray:
        """int32 (2, M, h, w), left view first."""
        return np.stack([self.left, self.right])


def symbols_of(model: Model, pairs: Iterable[StereoPair], qualities: Sequence[float]) -> list[SymbolPair]:
    """Return every pair at every quality, as the model's own prior codes it."""
    height, width = model.config.input_height // 16, model.config.input_width // 16
    found = []
    for pair in pairs:
        for quality in qualities:
            payload = unpack(model.encode(pair, quality)).payload
            left, right, _ = model.prior.decompress(payload, height, width, quality_level(quality))
            found.append(SymbolPair(left, right, quality_level(quality)))
    return found


def learn(prior: StereoPrior, pairs: Sequence[SymbolPair], steps: int, batch: int, progress: Progress = iter) -> None:
    """Let a prior learn the rate of symbols that stay as they are, alike at all qualities."""
    if not pairs:
        raise InputError("no pairs to learn from")
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    prior.train()
    optimiser = torch.optim.Adam([p for p in prior.parameters() if p.requires_grad], PEAK)
    for step in progress(range(steps)):
        for group in optimiser.param_groups:
            group["lr"] = PEAK * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        bits = expected_bits(prior, [pairs[n] for n in generator.integers(len(pairs), size=batch)])
        optimiser.zero_grad()
        bits.log().mean().backward()
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimiser.step()
    if prior.config.entropy_models is not None:
        prior.settle()  # type: ignore[operator]


def expected_bits(prior: StereoPrior, pairs: Sequence[SymbolPair]) -> torch.Tensor:
    """Return (B,) what a prior's distributions make symbols cost."""
    left, right = (torch.from_numpy(np.stack([getattr(p, view) for p in pairs])).float() for view in ("left", "right"))
    levels = torch.tensor([pair.level for pair in pairs])
    of_symbols: Any = getattr(prior, "of_symbols", prior)
    return of_symbols(left, right, levels).bits


def starting_from(network: StereoPrior, config: PriorConfig) -> StereoPrior:
    """Return a prior of a configuration with the weights of another one of the same networks; whatever only the new
    one has begins untrained.
    """
    prior = prior_of(config)
    prior.load_state_dict(network.state_dict(), strict=False)
    return prior


@dataclass(frozen=True)
class PriorRate:
    """What a prior makes pairs cost at a quality, mean bytes per pair.

    Attributes:
        prior: which one, in words.
        distributions: by the probabilities that it gives, hyper latent included.
        payload: as really written.
        back: payloads whose symbols came back as they were, of all.
    """

    prior: str
    quality: float
    distributions: float
    payload: float
    back: tuple[int, int]


@torch.no_grad()
def rates(name: str, prior: StereoPrior, coder: Any, pairs: Sequence[SymbolPair]) -> list[PriorRate]:
    """Measure a prior and its coder on pairs, quality by quality."""
    prior.eval()
    found = []
    for level in sorted({pair.level for pair in pairs}):
        chosen = [pair for pair in pairs if pair.level == level]
        payloads = encode(prior, coder, chosen)
        back = sum(map(np.array_equal, decode(coder, payloads, chosen), (pair.symbols for pair in chosen)))
        bits = torch.cat([expected_bits(prior, [pair]) for pair in chosen])
        sizes = np.mean([len(payload) for payload in payloads])
        found.append(PriorRate(name, level / 255, bits.mean().item() / 8, float(sizes), (back, len(chosen))))
    return found


@torch.no_grad()
def encode(prior: StereoPrior, coder: Any, pairs: Sequence[SymbolPair]) -> list[bytes]:
    """Write pairs as payloads of a prior's coder."""
    payloads = []
    for pair in pairs:
        views = [torch.from_numpy(view)[None].float() for view in (pair.left, pair.right)]
        z = prior.analyse(*views)
        latents = pair.symbols.astype(np.float32)
        symbols = rounded(latents, None if z is None else z[0].numpy(), coder)
        payloads.append(coder.compress(symbols.left, symbols.right, symbols.z, pair.level))
    return payloads


def decode(coder: Any, payloads: Sequence[bytes], pairs: Sequence[SymbolPair]) -> list[np.ndarray]:
    """Read payloads; return the symbols, int32 (2, M, h, w), of each. A payload that can't be read gives zeros."""
    found = []
    for payload, pair in zip(payloads, pairs, strict=True):
        try:
            left, right, _ = coder.decompress(payload, *pair.left.shape[1:], pair.level)
            found.append(np.floor(np.nan_to_num(np.stack([left, right])) + 0.5).astype(np.int32))
        except SicmError:
            found.append(np.zeros_like(pair.symbols))
    return found


@dataclass(frozen=True)
class PriorDecoder:
    """How a decoder computes: threads, type of number, instruction set."""

    threads: int
    number_type: str
    instructions: str

    @property
    def file(self) -> str:
        """Name of the file of what it decoded."""
        return f"{self.threads}-{self.number_type}-{self.instructions}.safetensors"


@dataclass(frozen=True)
class PriorDrift:
    """What a decoder made of payloads that were encoded in float32, on one thread, with all instructions.

    Attributes:
        same: payloads whose symbols all came back; None where its process crashed or the type isn't to be had.
        payloads: of them all.
        wrong: share of the symbols that aren't zero in what was sent or in what came back, and differ.
    """

    prior: str
    decoder: PriorDecoder
    same: int | None
    payloads: int
    wrong: float


def decoders(threads: Sequence[int], types: Sequence[str] = TYPES) -> list[PriorDecoder]:
    """Return the encoder's own setting, then each that differs from it in one thing."""
    own = PriorDecoder(1, TYPES[0], "all")
    others = [replace(own, threads=count) for count in threads if count != own.threads]
    others += [replace(own, instructions=name) for name in INSTRUCTIONS if name != own.instructions]
    return [own, *others, *(replace(own, number_type=name) for name in types if name != own.number_type)]


def drift(
    priors: dict[str, tuple[StereoPrior, Any]],
    pairs: Sequence[SymbolPair],
    settings: Sequence[PriorDecoder],
    progress: Progress = iter,
) -> list[PriorDrift]:
    """Decode payloads of each prior, name -> (prior, coder), by every setting of a decoder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for name, (prior, coder) in priors.items():
            folder = Path(place) / name
            folder.mkdir()
            save_file(coder.arrays(), folder / "prior.safetensors")
            job = {
                "config": coder.config.tree(exclude_none=True),
                "size": pairs[0].left.shape[1:],
                "levels": [pair.level for pair in pairs],
                "payloads": [base64.b64encode(payload).decode() for payload in encode(prior, coder, pairs)],
            }
            write_text(folder / "job.json", json.dumps(job))
        torch.set_num_threads(threads)
        for instructions in progress(list(dict.fromkeys(setting.instructions for setting in settings))):
            _run(Path(place), instructions, [setting for setting in settings if setting.instructions == instructions])
        sent = np.stack([pair.symbols for pair in pairs])
        return [_drift(name, setting, Path(place), sent) for setting in settings for name in priors]


def _run(place: Path, instructions: str, settings: Sequence[PriorDecoder]) -> None:
    """Decode in a process of its own. One that is killed by a signal leaves out what it had not decoded yet."""
    words = [sys.executable, "-m", "sicm_ros.benchmark.priors", str(place), json.dumps([asdict(s) for s in settings])]
    done = subprocess.run(words, env=os.environ | INSTRUCTIONS[instructions], capture_output=True, text=True)
    if done.returncode > 0:
        raise SicmError(f"{instructions}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'ended'}")


def _drift(name: str, setting: PriorDecoder, place: Path, sent: np.ndarray) -> PriorDrift:
    path = place / name / setting.file
    if not path.exists():
        return PriorDrift(name, setting, None, len(sent), 1.0)
    received = load_file(path)["symbols"]
    there = (sent != 0) | (received != 0)
    same = int((sent == received).all((1, 2, 3, 4)).sum())
    return PriorDrift(name, setting, same, len(sent), float((sent != received)[there].mean()))


def coder_with(config: PriorConfig, arrays: dict[str, np.ndarray], number_type: str) -> Any:
    """Return a prior's coder that computes in a type of number; None where it can't."""
    if config.entropy_models is None:  # whose sums are exact in these two alone
        return IntegerPrior(config, arrays, np.dtype(number_type).type) if number_type in TYPES[:2] else None
    from sicm_ros.entropy.hyperprior import FloatPrior

    return FloatPrior(config, arrays, getattr(torch, number_type))


def rate_table(found: Sequence[PriorRate]) -> Table:
    """Return one row per prior and quality, for a terminal."""
    from rich.table import Table

    shown = Table(title="bytes per pair, the same symbols", title_justify="left")
    for title in ("prior", "quality", "by its distributions", "as written", "came back"):
        shown.add_column(title)
    for one in found:
        sizes = f"{one.distributions:.0f}", f"{one.payload:.0f}"
        shown.add_row(one.prior, f"{one.quality:.2g}", *sizes, f"{one.back[0]} of {one.back[1]}")
    return shown


def drift_table(found: Sequence[PriorDrift]) -> Table:
    """Return one row per decoder, for a terminal."""
    from rich.table import Table

    names = list(dict.fromkeys(one.prior for one in found))
    shown = Table(title="payloads whose symbols all came back (symbols that are wrong)", title_justify="left")
    for title in ("threads", "type", "instructions", *names):
        shown.add_column(title)
    for decoder in dict.fromkeys(one.decoder for one in found):
        cells = {one.prior: one for one in found if one.decoder == decoder}
        words = str(decoder.threads), decoder.number_type, decoder.instructions
        shown.add_row(*words, *(_cell(cells.get(name)) for name in names))
    return shown


def _cell(one: PriorDrift | None) -> str:
    if one is None or one.same is None:
        return "-"
    return f"{one.same} of {one.payloads}" + (f" ({100 * one.wrong:.2g} %)" if one.wrong else "")


def as_json(rates: Sequence[PriorRate], drifts: Sequence[PriorDrift]) -> dict[str, list[dict]]:
    """Return the figures of both tables."""
    return {"rates": [asdict(one) for one in rates], "drift": [asdict(one) for one in drifts]}


def _main(place: Path, settings: list[dict]) -> None:
    for folder in sorted(place.iterdir()):
        job = json.loads((folder / "job.json").read_text())
        config, arrays = PriorConfig.parse(job["config"]), load_file(folder / "prior.safetensors")
        empty = np.zeros((config.channels, *job["size"]), np.int32)
        pairs = [SymbolPair(empty, empty, level) for level in job["levels"]]
        payloads = [base64.b64decode(payload) for payload in job["payloads"]]
        for setting in (PriorDecoder(**tree) for tree in settings):
            torch.set_num_threads(setting.threads)
            coder = coder_with(config, arrays, setting.number_type)
            if coder is not None:
                save_file({"symbols": np.stack(decode(coder, payloads, pairs))}, folder / setting.file)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
