# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MVSFC-Net: the stages of arXiv 2502.14190, one module each.

    backbone -> disparity, smfc, compensation: the encoder -> (entropy) -> the decoder -> detector

`mvsfc.MVSFCNet` shows how they follow each other. `config`, `maps` and `candidates` do without PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sicm_ros.network.config import NetworkConfig

if TYPE_CHECKING:
    from sicm_ros.network.mvsfc import MVSFCNet

__all__ = ["MVSFCNet", "NetworkConfig"]


def __getattr__(name: str) -> Any:
    if name == "MVSFCNet":  # late, for it imports PyTorch
        from sicm_ros.network.mvsfc import MVSFCNet

        return MVSFCNet
    raise AttributeError(f"module 'sicm_ros.network' has no attribute {name!r}")
