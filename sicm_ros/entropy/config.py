# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the prior looks like: its sizes, its ablation switches and the order in which symbols are coded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sicm_ros.config import Config, limited

QUALITY_LEVELS = 256  # a packet's quality is one byte
QUALITY_BUCKETS = 8  # the hyper latents' tables are shipped once for each of these

LEFT, RIGHT = 0, 1
EVEN, ODD = 0, 1  # colours of the checkerboard: (row + column) % 2

# Windows are (rows above, rows below, columns before, columns after) the cell.
HERE = (0, 0, 0, 0)
AROUND = (1, 1, 1, 1)
OWN_WINDOW = (2, 2, 2, 2)
# The view is rectified: what the right view shows at a column, the left one shows in the same row, disparity further
# right. 5 cells of 16 pixels are 80 pixels: a car at 4 m in KITTI at 0.7 of its size.
CROSS_WINDOW = (1, 1, 1, 5)


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """Sizes and ablation switches of the learnt prior.

    Attributes:
        channels: M, channels of each view's latent.
        right_channels: how many of them, the first ones, the right view's latent has that aren't zero: no others are
            coded. All of them by default.
        hyper_channels: K, channels of the hyper latent of the pair (even, for independent views share them).
        hyper_width: channels between the two layers of the hyper synthesis.
        features: N, channels of hyper features for each view.
        hidden: width of the networks that turn context into distributions.
        hyperprior: code a hyper latent first (Balle et al., ICLR 2018).
        context: code each view in two passes of a checkerboard, the second seeing the first (He et al., CVPR 2021).
        cross_view: the right view's distributions see the whole left view, and the hyper latent is joint.
        entropy_models: "compressai" takes that library's entropy models and coder, in floating point (hyperprior.py),
            to compare with; None our own, in integers, which every machine decodes alike.
    """

    channels: int = limited(48, ge=1, le=256)
    right_channels: int | None = None
    hyper_channels: int = limited(12, ge=2, le=256, multiple_of=2)
    hyper_width: int = limited(48, ge=1, le=256)
    features: int = limited(32, ge=1, le=256)
    hidden: int = limited(64, ge=1, le=256)
    hyperprior: bool = True
    context: bool = True
    cross_view: bool = True
    entropy_models: Literal["compressai"] | None = None

    def check(self) -> None:
        if self.right_channels is not None and not 1 <= self.right_channels <= self.channels:
            raise ValueError(f"right_channels is {self.right_channels}; expected 1 to {self.channels}")
        if self.right_channels is not None and not self.cross_view:
            raise ValueError("independent views are coded alike; leave right_channels out, or switch cross_view on")
        if self.entropy_models and not self.hyperprior:
            raise ValueError("entropy_models=compressai is a mean-scale hyperprior: set hyperprior=true")

    def coded(self, view: int) -> int:
        """Return how many channels of a view's latent are coded."""
        return self.channels if view == LEFT or self.right_channels is None else self.right_channels

    @property
    def groups(self) -> int:
        """How many hyper latents a pair has: one for both views, or one for each."""
        return 1 if self.cross_view else 2

    def passes(self) -> Iterator[Pass]:
        """Yield the passes in the order of the bitstream."""
        for view in (LEFT, RIGHT):
            for parity in (EVEN, ODD) if self.context else (None,):
                yield Pass(view, parity, own=parity == ODD, cross=view == RIGHT and self.cross_view)


@dataclass(frozen=True)
class Pass:
    """Symbols that are coded at once, and what their distributions may look at besides hyper features and quality.

    Attributes:
        view: LEFT or RIGHT.
        parity: the checkerboard's colour that is coded, or None for every cell.
        own: sees the even cells of its own view, through OWN_WINDOW.
        cross: sees the whole left view, through CROSS_WINDOW.
    """

    view: int
    parity: int | None
    own: bool
    cross: bool


def hyper_size(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the hyper latent for a latent of height x width cells: halved twice, rounded up."""
    return (height + 3) // 4, (width + 3) // 4
