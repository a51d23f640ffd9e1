# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench faults`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "kill and stop encoder and decoder in mid-stream: time to the next result, and whether it is new"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    parser.add_argument("--stopped", type=float, default=10.0, metavar="S", help="seconds (default: %(default)s)")
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    import sys
    from dataclasses import asdict

    from sicm_ros.benchmark import faults

    found = faults.measure(
        args.drive or options.SHIPPED, args.model, args.stopped, lambda what: print(what, file=sys.stderr)
    )
    if args.json != "-":
        options.console(100).print(faults.table(found))
    options.write_json(args.json, [asdict(fault) for fault in found])
