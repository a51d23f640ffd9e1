# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench report`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "write report.html and results.json of a run, finished or not"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="--out of `sicm bench run`")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.benchmark.report import write_report

    for line in write_report(args.folder):
        options.console().print(line, highlight=False)
