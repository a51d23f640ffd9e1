# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""CompressAI, where it is installed: what we take of it, and the one place that knows how it is imported.

CompressAI imports torchvision for its transforms, which are plain Python. Wheels of torchvision on PyPI are built for
CUDA; beside a PyTorch for processors alone they can't load their own operators, and fail at saying what two of them
return. Those two are declared here, without an implementation, so that all of torchvision but its operators is there;
calling one raises torchvision's own error.
"""

from __future__ import annotations

import torch

from sicm_ros.errors import DependencyError

REMEDY = "pip install 'sicm_ros[compressai]'"
_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # what is declared lasts as long as this


def _import_torchvision() -> None:
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            operators.define(name + _BOXES)
        _declared.append(operators)
        import torchvision  # noqa: F401


try:
    _import_torchvision()
    from compressai.ans import BufferedRansEncoder, RansDecoder
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional
    from compressai.models import CompressionModel
    from compressai.models.base import get_scale_table
    from compressai.ops import quantize_ste
except (ImportError, RuntimeError, OSError) as error:
    raise DependencyError(f"CompressAI can't be imported ({error}): {REMEDY}") from None

__all__ = [
    "BufferedRansEncoder",
    "CompressionModel",
    "EntropyBottleneck",
    "GaussianConditional",
    "RansDecoder",
    "get_scale_table",
    "quantize_ste",
]
