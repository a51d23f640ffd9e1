# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench stages`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "where the time and the bytes of a pair go, at several qualities"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_limit(parser, "evenly spread", 5)
    options.add_repeats(parser, 5)
    parser.add_argument(
        "--quality",
        type=options.quality,
        nargs="+",
        default=[0.1, 0.5, 0.9],
        metavar="0..1",
        help="one or several qualities, 0 to 1 (default: 0.1 0.5 0.9)",
    )
    options.add_threads(parser, "threads of the network")
    options.add_engine(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.benchmark import stages

    options.limit_threads(args.threads)
    columns = stages.measure(
        options.load_model(args),
        options.some_pairs(args.drive, args.limit),
        args.quality,
        args.repeats,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair", disable=None),
    )
    if args.json != "-":  # before anything is written, which may fail
        options.console(120).print(stages.table(columns))
    options.write_json(args.json, [column.as_json() for column in columns])
