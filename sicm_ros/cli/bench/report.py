# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench report`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "write report.html, results.json, rd.csv and SHA256SUMS of a run, finished or not"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="--out of `sicm bench run`")
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="PAGE.md",
        help="rewrite this page's tables, and copy figures and charts to the folder PAGE/ beside it",
    )


def run(args: argparse.Namespace) -> None:
    from sicm_ros.benchmark.publish import publish
    from sicm_ros.benchmark.report import write_report

    for line in write_report(args.folder):
        options.console().print(line, highlight=False)
    for path in publish(args.folder, args.publish) if args.publish else ():
        options.console().print(f"{path}: published", highlight=False)
