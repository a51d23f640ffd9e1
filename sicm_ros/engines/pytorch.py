# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""PyTorch: training, GPUs, and what every other engine is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sicm_ros.engines.base import Clock, Computes, Features, as_array, explicit_threads
from sicm_ros.engines.check import LEVEL, TOLERANCE, compare, probe_pictures, probe_rigs, sampled
from sicm_ros.engines.graphs import FEATURES, MAPS
from sicm_ros.errors import InputError, ModelError, VerificationError
from sicm_ros.network.cost import count
from sicm_ros.network.gain import LEVELS
from sicm_ros.network.maps import Maps, Rigs
from sicm_ros.network.mvsfc import MVSFCNet
from sicm_ros.network.runtime import Inference, folded, images_of, keep_memory
from sicm_ros.network.stages import Cost
from sicm_ros.network.verification import checked_layers


class TorchEngine:
    """The network itself (sicm_ros.engines.base.Engine); features are tensors.

    Attributes:
        network: in evaluation mode, its batch norms folded away.
    """

    def __init__(
        self,
        network: MVSFCNet,
        device: str = "cpu",
        number_type: str = "float32",
        sides: tuple[str, ...] = (),
        threads: int = 0,
    ) -> None:
        """Check `sides` where it isn't the reference itself; VerificationError if they are computed wrongly."""
        keep_memory()
        if wanted := explicit_threads(threads):
            torch.set_num_threads(wanted)
        try:
            self.device = torch.device(device)
        except RuntimeError:
            raise InputError(f"device is {device!r}; expected cpu or cuda") from None
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ModelError(f"device is {device}, but torch sees no GPU here; set device to cpu")
        # Weights that lie in memory as images do: convolutions are quicker so.
        plain: Any = folded(network)
        self.network: Any = plain.to(self.device, memory_format=torch.channels_last)
        provider = f"torch {torch.__version__}"
        self.computes = Computes("torch", provider, number_type, self.device.type, torch.get_num_threads())
        self._verified = "the reference itself"
        if self.device.type != "cpu" or number_type != "float32":
            self._verified = f"{self._verify(folded(network), sides):.1e} from torch in float32"

    @property
    def verified(self) -> str:
        return self._verified

    def _verify(self, reference: MVSFCNet, sides: tuple[str, ...]) -> float:
        expected, symbols = expected_values(reference)
        found: dict[str, Any] = {}
        wanted: dict[str, np.ndarray] = {}
        config = reference.config
        try:
            with checked_layers(self.network):
                if "vehicle" in sides:
                    found["latents"] = self.latents(probe_pictures(config), LEVEL, Clock())[0]
                    wanted["latents"] = expected["vehicle"]["latents"]
                if "server" in sides:
                    features, maps = self.maps(symbols, [LEVEL], probe_rigs(config), Clock())
                    found |= dict(zip(FEATURES, map(as_array, features))) | vars(maps)
                    wanted |= expected["server"]
            return compare(str(self.computes), found, wanted, TOLERANCE[self.computes.number_type])
        except VerificationError as error:
            raise VerificationError(f"{error}; use number_type float32 and device cpu") from None

    def latents(self, pictures: np.ndarray, level: int, clock: Clock) -> tuple[np.ndarray, np.ndarray | None]:
        with self._inference():
            features = self.network.extract(images_of(pictures, self.device))
            self._lap(clock, "backbone")
            latents = self.network.analyse(features, self._quality([level])).float()
            hyper = self.network.prior.analyse(*latents.chunk(2))
            result = latents.cpu().numpy(), None if hyper is None else hyper[0].cpu().numpy()
        clock.lap("feature encoder")
        return result

    def maps(self, symbols: np.ndarray, levels: list[int], rigs: Rigs, clock: Clock) -> tuple[Features, Maps]:
        with self._inference():
            latents = torch.from_numpy(symbols).to(self.device, torch.float32, memory_format=torch.channels_last)
            features = self.network.synthesise(latents, self._quality(levels))
            self._lap(clock, "feature decoder")
            maps = _arrays(self.network.detect(features, rigs.to(self.device)))
        clock.lap("detector")
        return features, maps

    def costs(self) -> dict[str, Cost]:
        return count(self.network.config)

    def extract(self, pictures: np.ndarray) -> Features:
        with self._inference():
            low, middle, high = self.network.extract(images_of(pictures, self.device))
        return low, middle, high

    def refer(self, features: Features, rigs: Rigs) -> Maps:
        with self._inference():
            scales = tuple(
                torch.as_tensor(f).to(self.device, torch.float32, memory_format=torch.channels_last) for f in features
            )
            return _arrays(self.network.reference(scales, rigs.to(self.device)))

    def _quality(self, levels: list[int]) -> Tensor:
        return torch.tensor([level / LEVELS for level in levels], device=self.device)

    def _inference(self) -> Inference:
        return Inference(self.device, self.computes.number_type)

    def _lap(self, clock: Clock, stage: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        clock.lap(stage)


def _arrays(maps: Maps) -> Maps:
    return Maps(*(getattr(maps, name).float().cpu().numpy() for name in MAPS))


@torch.inference_mode()
def expected_values(network: MVSFCNet) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray]:
    """What each graph computes of the probe in float32, by name and `sampled`, and the symbols that the server sees.

    Args:
        network: on the processor, in evaluation mode.
    """
    pictures = images_of(probe_pictures(network.config), torch.device("cpu"))
    rigs, quality = probe_rigs(network.config).to("cpu"), torch.tensor([LEVEL / LEVELS])
    extracted = network.extract(pictures)
    latents = network.analyse(extracted, quality)
    hyper = network.prior.analyse(*latents.chunk(2))
    symbols = torch.floor(latents + 0.5)
    features = network.synthesise(symbols, quality)
    whole: dict[str, dict[str, Tensor]] = {
        "vehicle": {"latents": latents} | ({} if hyper is None else {"hyper": hyper}),
        "server": dict(zip(FEATURES, features)) | vars(network.detect(features, rigs)),
        "extract": dict(zip(FEATURES, extracted)),
        "reference": vars(network.reference(extracted, rigs)),
    }
    values = {graph: {name: sampled(value) for name, value in outputs.items()} for graph, outputs in whole.items()}
    return values, symbols.to(torch.int32).numpy()
