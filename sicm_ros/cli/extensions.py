# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm extensions`"""

from __future__ import annotations

import argparse
import sys

from sicm_ros.cli import options

SUMMARY = "list codecs, detectors, data sets and presets: those that ship and those that packages add"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from rich.table import Table

    from sicm_ros.bags.presets import PRESETS
    from sicm_ros.benchmark.codecs import CODECS
    from sicm_ros.benchmark.detectors import DETECTORS
    from sicm_ros.datasets import LAYOUTS
    from sicm_ros.extensions import Registry

    registries: dict[str, Registry] = {
        "codec": CODECS,
        "detector": DETECTORS,
        "data set": LAYOUTS,
        "preset": PRESETS,
    }
    found = {kind: registry.extensions() for kind, registry in registries.items()}
    options.write_json(args.json, {kind: [asdict(one) for one in all_of] for kind, all_of in found.items()})
    broken = [one for all_of in found.values() for one in all_of if one.broken]
    if args.json != "-":
        table = Table(box=None, pad_edge=False)
        for title in ("kind", "name", "from", ""):
            table.add_column(title, overflow="fold")
        for kind, all_of in found.items():
            for one in all_of:
                table.add_row(kind, one.name, one.origin, "broken" if one.broken else "")
            if not all_of:
                table.add_row(kind, "-", "", "no package adds one; a model's own detector needs no entry")
        options.console().print(table)
    for one in broken:
        print(f"{args.command}: {one.broken}", file=sys.stderr)
    return 1 if broken else 0
