# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data presets`"""

from __future__ import annotations

import argparse

SUMMARY = "list the known layouts of bags, for --preset"


def configure(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""


def run(args: argparse.Namespace) -> None:
    from rich.table import Table

    from sicm_ros.bags import PRESETS
    from sicm_ros.cli import options

    table = Table(box=None, pad_edge=False)
    for title in ("preset", "left images", "right images", "written by"):
        table.add_column(title, overflow="fold")
    for preset in PRESETS.values():
        table.add_row(preset.name, preset.left, preset.right, preset.about)
    options.console().print(table)
