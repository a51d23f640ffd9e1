# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a planner asks, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.kitti.planner import PlannerTable, Share


def planner_view(tables: Sequence[tuple[str, PlannerTable]], title: str) -> Table:
    """Return a column for each named table of the same labels: what is found of what a planner asks for, then of every
    class, distance and border.
    """
    from rich.table import Table

    first = tables[0][1]
    view = Table(
        title=title,
        title_justify="left",
        caption=f"found: by a box of {first.min_score:g} or more (at 20 m; less is asked of nearer ones), "
        "of any class, within 2 m from above; objects of occlusion 0 and 1",
        caption_justify="left",
    )
    view.add_column("objects")
    for name, _ in tables:
        view.add_column(name, justify="right")
    for row in first.rows:
        view.add_row(row, *(_cell(each.rows[row]) for _, each in tables))
    view.add_row("of the right class", *(_cell(each.right_class) for _, each in tables))
    view.add_row("false alarms per frame", *(f"{each.false_alarms:.2f}" for _, each in tables))
    view.add_section()
    for band in first.bands:
        view.add_row(band, *(_cell(each.bands[band]) for _, each in tables))
    return view


def _cell(share: Share) -> str:
    return f"{share.found} of {share.total}" + (f" ({share.found / share.total:.0%})" if share.total else "")
