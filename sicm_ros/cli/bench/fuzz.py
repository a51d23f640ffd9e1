# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench fuzz`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "feed malformed input to the readers of packets, boxes, payloads and bags"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="READER", help="packet, boxes, prior, bag (default: all)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each reader (default: %(default)s)")
    parser.add_argument(
        "--corpus",
        type=Path,
        default=Path("runs/fuzz"),
        metavar="DIR",
        help="folder of inputs that reached new code, if atheris is installed ('sicm_ros[fuzz]'; default: %(default)s)",
    )
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from sicm_ros.benchmark import fuzz
    from sicm_ros.errors import InputError

    unknown = [name for name in args.targets if name not in fuzz.TARGETS]
    if unknown:
        raise InputError(f"no reader {unknown[0]!r}; expected some of {', '.join(fuzz.TARGETS)}")
    runs = [fuzz.fuzz(name, args.seconds, args.corpus) for name in args.targets or fuzz.TARGETS]
    if args.json != "-":
        options.console(100).print(fuzz.table(runs))
    options.write_json(args.json, [asdict(run) for run in runs])
