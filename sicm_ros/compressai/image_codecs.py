# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Learned image codecs of CompressAI's zoo, with weights from a folder, from PyTorch's cache, or downloaded into it.

A stream is one image: width, height and length of the hyper latent's string, then that string and the latent's.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from sicm_ros.entropy import library  # first: it makes CompressAI's import work  # noqa: F401
from sicm_ros.errors import InputError, ModelError, printable

# After `library`, which says what is missing where CompressAI isn't installed.
from compressai.zoo.image import cfgs, model_architectures, model_urls  # isort: skip
from compressai.zoo.pretrained import load_pretrained  # isort: skip

HEADER = struct.Struct("<HHH")
STEP = 64  # sides are padded to multiples of this, as all of the zoo want


def zoo_name(architecture: str) -> str:
    """Return the zoo's own name of an architecture (bmshj2018_hyperprior -> bmshj2018-hyperprior)."""
    name = architecture.replace("_", "-")
    if name not in model_architectures:
        raise InputError(f"CompressAI's zoo has no {architecture!r}; expected one of {', '.join(model_architectures)}")
    return name


def new_network(architecture: str, quality: int, channels: tuple[int, ...] | None = None) -> Any:
    """Return an untrained network of the zoo, of its own width at a quality or of so many channels."""
    name = zoo_name(architecture)
    if quality not in cfgs[name]:
        raise InputError(f"{architecture}: quality {quality}; expected one of {', '.join(map(str, cfgs[name]))}")
    return model_architectures[name](*(channels or cfgs[name][quality]))


def weights_file(folder: Path, architecture: str, quality: int) -> Path:
    """Return where a folder of weights has those of an architecture at a quality."""
    return folder / f"{architecture}-{quality}.safetensors"


def load_network(architecture: str, quality: int, folder: Path | None = None) -> Any:
    """Load a network of the zoo, ready to code.

    Args:
        folder: of weights that `image_training` wrote; None takes CompressAI's pretrained ones (mean squared error),
            which PyTorch keeps in its cache.

    Raises:
        ModelError: the weights aren't there, can't be downloaded or aren't of this architecture.
    """
    name = zoo_name(architecture)
    new_network(architecture, quality)  # says what is wrong with the quality
    path = weights_file(folder, architecture, quality) if folder is not None else _pretrained(name, quality)
    try:
        weights = load_file(path) if folder is not None else torch.load(path, "cpu", weights_only=True)
        network = model_architectures[name].from_state_dict(load_pretrained(weights))
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file; train it with `sicm bench zoo`, or leave `model` out for CompressAI's own"
        ) from None
    except Exception as error:  # whatever bytes that are no weights, or another network's, lead to
        raise ModelError(f"{path}: no weights of {architecture} ({printable(error, 200)}); fetch them again") from None
    network.update()
    return network.eval().requires_grad_(False)


def _pretrained(name: str, quality: int) -> Path:
    """Return the file of CompressAI's own weights in PyTorch's cache, downloaded if it isn't there."""
    url = model_urls[name]["mse"][quality]
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = path.name.removesuffix(".pth.tar").rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(url, str(path), prefix, progress=False)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{name} at quality {quality}: CompressAI's weights are not in {path.parent} and can't be downloaded "
                f"({printable(error, 200)}); put {path.name} there, or set `model` to a folder of weights"
            ) from None
    return path


class ZooCodec:
    """One network of the zoo, as a codec of single images."""

    def __init__(self, architecture: str, quality: int, folder: Path | None = None) -> None:
        self.network = load_network(architecture, quality, folder)

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> bytes:
        """Code an image, uint8 (height, width, 3) RGB, to a stream."""
        height, width, _ = image.shape
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), "edge")
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        (y,), (z,) = self.network.compress(x)["strings"]
        return HEADER.pack(width, height, len(z)) + z + y

    @torch.inference_mode()
    def decode(self, stream: bytes) -> np.ndarray:
        """Decode a stream that `encode` wrote to an image, uint8 (height, width, 3) RGB; InputError if it is none."""
        if len(stream) < HEADER.size:
            raise InputError(f"{len(stream)} bytes are no stream of CompressAI's zoo")
        width, height, length = HEADER.unpack_from(stream)
        z, y = stream[HEADER.size :][:length], stream[HEADER.size :][length:]
        shape = -(-height // STEP), -(-width // STEP)
        x = self.network.decompress([[y], [z]], shape)["x_hat"][0, :, :height, :width]
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


@lru_cache(maxsize=8)
def zoo_codec(architecture: str, quality: int, folder: str = "") -> ZooCodec:
    """Return a codec, loaded once in a process."""
    return ZooCodec(architecture, quality, Path(folder) if folder else None)
