# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the networks of both sides spend their time on, by kind of operation: what computes, and what only copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sicm_ros.engines import SIDES

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model

# OpenVINO's kinds; whatever isn't named here is elementwise.
KINDS = {
    "convolutions": ("Convolution", "GroupConvolution", "Deconvolution"),
    "matrix products": ("MatMul", "FullyConnected"),
    "copies and changes of layout": (
        "Reorder", "Slice", "StridedSlice", "Transpose", "VariadicSplit", "Split", "Concat", "Pad", "Broadcast",
        "DepthToSpace", "Reshape",
    ),
    "gathering": ("Gather", "GatherElements", "GatherND"),
}  # fmt: skip
REST = "elementwise and the rest"


def measure(model: Model, repeats: int = 20) -> dict[str, dict[str, float]]:
    """Return side -> kind of operation -> milliseconds in one pass.

    Raises:
        InputError: the model runs in another engine than OpenVINO.
    """
    return {side: _grouped(model.operations(side, repeats)) for side in SIDES}


def _grouped(kinds: dict[str, float]) -> dict[str, float]:
    """Return milliseconds by KINDS of seconds by OpenVINO's kinds."""
    group_of = {kind: group for group, members in KINDS.items() for kind in members}
    found = dict.fromkeys((*KINDS, REST), 0.0)
    for kind, seconds in kinds.items():
        found[group_of.get(kind, REST)] += 1e3 * seconds
    return found


def table(measured: dict[str, dict[str, float]]) -> Table:
    """Return a rich table: kinds of operations down, sides across, with shares."""
    from rich.table import Table

    shown = Table(title="one pass of the network, by kind of operation")
    shown.add_column("")
    for side in measured:
        shown.add_column(f"{side}, ms", justify="right")
        shown.add_column("share", justify="right")
    totals = {side: sum(kinds.values()) for side, kinds in measured.items()}
    for kind in (*KINDS, REST):
        cells = [(kinds[kind], 100 * kinds[kind] / totals[side]) for side, kinds in measured.items()]
        shown.add_row(kind, *(word for ms, share in cells for word in (f"{ms:.1f}", f"{share:.0f} %")))
    shown.add_section()
    shown.add_row("together", *(word for total in totals.values() for word in (f"{total:.1f}", "")))
    return shown
