# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MVSFC-Net as a model of CompressAI: `compressai.registry.MODELS["mvsfc-net"]`.

    images --extract--> features --analyse--> latents --prior--> likelihoods
                                                 |
    maps, for boxes <--detect-- features as rebuilt

Images are (B, 6, H, W), 0 to 1: red, green and blue of the left view, then of the right one. Where the prior is one of
CompressAI's entropy models (`codec.prior.entropy_models=compressai`), `aux_loss` is theirs; ours in integers has none.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.numpy import load as load_arrays
from torch import Tensor

from sicm_ros.entropy import library  # first: it makes CompressAI's import work  # noqa: F401
from sicm_ros.errors import InputError, ModelError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.model import Model, load, save_model
from sicm_ros.model.folder import FEATURES, TEMPORAL, StoredModel, open_model, save_temporal
from sicm_ros.network import MVSFCNet, NetworkConfig
from sicm_ros.network.maps import Rigs

from compressai.losses import RateDistortionLoss  # isort: skip
from compressai.models import CompressionModel  # isort: skip
from compressai.registry import register_criterion, register_model  # isort: skip

WHITE = 255.0
# Where none is given: about KITTI's, as shares of an image's width and metres.
FOCAL, BASELINE = 0.58, 0.54
LIKELIHOODS = {"left": "y_left", "right": "y_right", "hyper": "z"}  # our names -> CompressAI's way


@register_model("mvsfc-net")
class StereoFeatureModel(MVSFCNet, CompressionModel):
    """MVSFC-Net with the methods of a `CompressionModel`; its state is that of a model folder's weights.

    `update` makes what codes: a model as `sicm_ros.load` gives it, with weights in half precision, as they are stored.
    So packets are those of the folder that `save` writes.
    """

    def __init__(self, config: NetworkConfig | Mapping[str, Any] | None = None) -> None:
        """`config` is a `NetworkConfig`, or its tree as configurations hold it."""
        super().__init__(config if isinstance(config, NetworkConfig) else NetworkConfig.parse(config or {}))
        self.name, self.licence = "mvsfc-net", "free"
        self._model: Model | None = None
        self._stored: StoredModel | None = None

    @classmethod
    def from_folder(cls, name_or_folder: str | Path = "default") -> StereoFeatureModel:
        """Return the model of a folder, or one that ships, ready to code."""
        stored = open_model(name_or_folder, FEATURES)
        model = cls(stored.config)
        model.load_state_dict(stored.network.state_dict())
        model.name, model.licence, model._stored = stored.name, stored.licence, stored
        model._model = load(name_or_folder, engine="torch")
        return model.eval()

    def save(self, folder: str | Path, licence: str | None = None) -> Path:
        """Write a model folder, for `sicm_ros.load` and every command. `licence` is "free" or "non-commercial".

        What came from a folder and did not change has the folder's fingerprint.
        """
        stored, prior = self._stored, None
        if stored is not None and all(
            map(torch.equal, self.state_dict().values(), stored.network.state_dict().values())
        ):
            prior = stored.prior
        path = save_model(self, Path(folder), self.name, licence or self.licence, prior=prior)
        if stored is not None and prior is not None and prior.temporal is not None:
            arrays = load_arrays(stored.files.read(TEMPORAL))
            save_temporal(path, {name: array for name, array in arrays.items() if name != "model"})
        return path

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False) -> Any:
        """Load weights; what codes must be made anew then, by `update`."""
        self._model = self._stored = None
        return torch.nn.Module.load_state_dict(self, state_dict, strict, assign)

    def forward(
        self, x: Tensor, quality: Tensor | float | None = None, calibrations: Sequence[StereoCalibration] | None = None
    ) -> dict[str, Any]:
        """Run the whole chain, differentiable.

        Args:
            x: (B, 6, H, W), 0 to 1, sides multiples of 16.
            quality: (B,) or one for all, 0 to 1; None: at random for each pair in training, otherwise 0.5.
            calibrations: of these images, one for each pair; None takes an angle and a baseline like KITTI's.

        Returns:
            likelihoods: of each symbol of `y_left`, `y_right`, `z`.
            features: as rebuilt, three scales (2B, C, h, w), left views first.
            uncompressed: the same before coding, without gradients.
            maps: what the detector says of them (sicm_ros.network.maps.Maps).
            disparity: (B, 1, H / 4, W / 4), in cells, that moved the left view; None without compensation.
        """
        views = _views(x)
        batch, _, height, width = x.shape
        if quality is None:
            quality = torch.rand(batch, device=x.device) if self.training else 0.5
        levels = torch.as_tensor(quality, dtype=x.dtype, device=x.device).expand(batch)
        rigs = Rigs.of(list(calibrations or [nominal(width, height)] * batch)).to(x.device)
        features = self.extract(views)
        coded = self.code(features, levels, rigs)
        return {
            "likelihoods": {LIKELIHOODS[name]: torch.exp2(-cost) for name, cost in coded.costs.items()},
            "features": coded.features,
            "uncompressed": tuple(f.detach() for f in features),
            "maps": coded.maps,
            "disparity": coded.disparity,
        }

    def aux_loss(self) -> Tensor:
        """Return the auxiliary loss of CompressAI's entropy models; 0 where the prior is ours."""
        return torch.as_tensor(super().aux_loss(), device=next(self.parameters()).device)

    def update(self, scale_table: Any = None, force: bool = False, update_quantiles: bool = False) -> bool:
        """Make what codes, of the weights as they are now; return whether it was made.

        The prior's tables are part of it, and so are quantiles: `scale_table` and `update_quantiles` change nothing.
        """
        if self._model is not None and not force:
            return False
        with tempfile.TemporaryDirectory() as folder:
            self._model = load(self.save(Path(folder) / "model"), engine="torch")
        return True

    @property
    def model(self) -> Model:
        """What codes; ModelError before `update`."""
        if self._model is None:
            raise ModelError("mvsfc-net: nothing to code with; call update() after training or loading")
        return self._model

    def compress(
        self, x: Tensor, quality: float = 0.5, calibrations: Sequence[StereoCalibration] | None = None
    ) -> dict[str, Any]:
        """Encode pairs to packets, each with its calibration.

        Args:
            x: (B, 6, H, W), 0 to 1, of any size: the network's window is cut out as everywhere.
            quality, calibrations: as in `forward`.

        Returns:
            strings: [[packet of each pair]].
            shape: rows and columns of the latents.
        """
        height, width = x.shape[2:]
        pairs = (_views(x).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()).reshape(2, -1, height, width, 3)
        known = list(calibrations or [nominal(width, height)] * len(x))
        packets = [
            self.model.encode(np.ascontiguousarray(left), np.ascontiguousarray(right), calibration, quality)
            for left, right, calibration in zip(*pairs, known, strict=True)
        ]
        return {"strings": [packets], "shape": (self.config.input_height // 16, self.config.input_width // 16)}

    def decompress(self, strings: Sequence[Sequence[bytes]], shape: Any = None) -> dict[str, Any]:
        """Decode packets; `shape` is not looked at, for packets say it.

        Returns:
            features: as rebuilt, three scales (2B, C, h, w), left views first.
            detections: boxes of each pair, in metres in the left camera's frame (sicm_ros.geometry.Detections).
            y_hat: latents as decoded, (2B, M, h, w), left views first.

        Raises:
            BitstreamError: a packet is damaged or of another model.
        """
        results = [self.model.decode(packet) for packet in strings[0]]
        scales = zip(*(cast(tuple[Tensor, ...], result.features) for result in results))
        return {
            "features": tuple(torch.cat([view for n in (0, 1) for view in (f[n : n + 1] for f in s)]) for s in scales),
            "detections": [result.detections for result in results],
            "y_hat": torch.from_numpy(np.concatenate([np.stack([r.symbols[n] for r in results]) for n in (0, 1)])),  # type: ignore[index]
        }


def nominal(width: int, height: int) -> StereoCalibration:
    """Return the calibration that images have where none is given."""
    focal = FOCAL * width
    return StereoCalibration(focal, focal, width / 2, height / 2, BASELINE, width, height)


def _views(x: Tensor) -> Tensor:
    """Map (B, 6, H, W), 0 to 1, to (2B, 3, H, W), 0 to 255, left views first."""
    if x.dim() != 4 or x.shape[1] != 6:
        raise InputError(f"images: shape {tuple(x.shape)}; expected (B, 6, H, W), left and right view's colours")
    return torch.cat(x.chunk(2, 1)) * WHITE


@register_criterion("FeatureRateDistortionLoss")
class FeatureRateDistortionLoss(RateDistortionLoss):
    """CompressAI's rate-distortion loss, of features: their squared error in shares of their variance, over scales.

    Bits are counted per pixel of one view.
    """

    def __init__(self, lmbda: float = 1.0) -> None:
        super().__init__(lmbda)

    def forward(self, output: dict[str, Any], target: Tensor) -> dict[str, Tensor]:
        """Return `loss`, `bpp_loss` and `mse_loss` of what a `StereoFeatureModel` gave for images `target`."""
        out = super().forward({**output, "x_hat": target}, target)  # an image's error is no concern of ours
        pairs = list(zip(output["features"], output["uncompressed"], strict=True))
        out["mse_loss"] = sum(self.metric(f, goal) / goal.var() for f, goal in pairs) / len(pairs)
        out["loss"] = self.lmbda * out["mse_loss"] + out["bpp_loss"]
        return out
