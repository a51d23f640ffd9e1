# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench speed`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "time every stage, and VVenC, x265 and JPEG, in one run"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_limit(parser, "evenly spread", 3)
    options.add_repeats(parser, 7)
    options.add_quality(parser)
    options.add_threads(parser)
    options.add_device(parser)
    options.add_engine(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.benchmark import speed

    threads = options.limit_threads(args.threads)
    model = options.load_model(args)
    times = speed.measure(
        model,
        options.some_pairs(args.drive, args.limit),
        threads,
        args.repeats,
        args.quality,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair", disable=None),
        memory_of=args.model,
    )
    options.write_json(args.json, times)
    if args.json == "-":
        return
    console = options.console()
    console.print(speed.table(times))
    for line in speed.cost_lines(times):
        console.print(line, highlight=False)
