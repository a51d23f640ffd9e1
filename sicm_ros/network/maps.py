# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What goes into the detector beside features, and what comes out: tensors while it trains, arrays elsewhere.

Nothing here needs PyTorch, so that an install without it can turn maps into boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sicm_ros.geometry import StereoCalibration

STRIDE = 4

# Heading: the axis of the box (modulo pi) in bins with a residual each, and apart from it which end is the front.
HEADING_BINS = 8

Values = Any
"""A float32 array, or a tensor."""


@dataclass(frozen=True)
class Rigs:
    """Calibration of a batch, each field (B,), in pixels of the network's input."""

    fx: Values
    fy: Values
    cx: Values
    cy: Values
    baseline: Values
    disparity_offset: Values

    @classmethod
    def of(cls, calibrations: list[StereoCalibration]) -> Rigs:
        """Return the rigs of calibrations, as arrays."""
        return cls(*(np.array([getattr(c, field.name) for c in calibrations], np.float32) for field in fields(cls)))

    def to(self, device: Any) -> Rigs:
        """Return the same as tensors on a device."""
        import torch

        return Rigs(*(torch.as_tensor(getattr(self, field.name), device=device) for field in fields(self)))

    def numbers(self) -> np.ndarray:
        """Return float32 (6, B): the fields, one below the other, as graphs take them."""
        return np.stack([np.asarray(getattr(self, field.name), np.float32) for field in fields(self)])

    def depth(self, disparity: Values) -> Values:
        """Return metres from a disparity (B, ...) in pixels of the network's input."""
        shape = (-1,) + (1,) * (disparity.ndim - 1)
        scaled = (self.fx * self.baseline).reshape(shape)
        return scaled / (disparity + self.disparity_offset.reshape(shape)).clip(min=0.1)


@dataclass(frozen=True)
class Maps:
    """What the head says at each cell of stride 4, all (B, ..., H / 4, W / 4).

    Attributes:
        heat: logits of a centre of each class of the model.
        offset: from the cell's centre to the projected centre of the box, in cells (2: right, down).
        face: log of the near face's disparity, pixels of the network's input (1).
        depth_extent: metres from the near face to the centre along z (1).
        log_sigma: log of the expected relative error of the depth (1).
        dimensions: log of height, width, length over their class's mean (3).
        heading_logits, heading_residuals: axis bins (8), and each one's residual, radians.
        front: logit that the front looks along the axis (1).
        matching: logits over the disparities of the correlation volume, in cells.
        disparity: of the surface that each cell sees, in cells (1).
    """

    heat: Values
    offset: Values
    face: Values
    depth_extent: Values
    log_sigma: Values
    dimensions: Values
    heading_logits: Values
    heading_residuals: Values
    front: Values
    matching: Values
    disparity: Values
