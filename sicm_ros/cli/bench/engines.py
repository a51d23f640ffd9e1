# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench engines`"""

from __future__ import annotations

import argparse
import re

from sicm_ros.cli import options

SUMMARY = "what a pair costs by engine and size of the network's input, in turn in one run"


def size(text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH, multiples of 16."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or any(int(part) % 16 or not int(part) for part in match.groups()):
        raise argparse.ArgumentTypeError(f"{text!r}; expected HEIGHTxWIDTH, multiples of 16, such as 192x864")
    return int(match[1]), int(match[2])


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_limit(parser, "evenly spread", 3)
    options.add_repeats(parser, 5)
    parser.add_argument(
        "--engines",
        nargs="+",
        default=["openvino", "torch"],
        metavar="ENGINE[:TYPE]",
        help="engines, and their number types; ratios are to the last one (default: openvino torch)",
    )
    parser.add_argument(
        "--sizes",
        type=size,
        nargs="+",
        default=[],
        metavar="HxW",
        help="sizes of the network's input, such as 192x640 192x864 288x1280 (default: the model's own)",
    )
    options.add_quality(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from sicm_ros.benchmark import engines

    threads = options.limit_threads(args.threads)
    rows = engines.measure(
        args.model,
        options.some_pairs(args.drive, args.limit),
        args.engines,
        args.sizes,
        args.repeats,
        args.quality,
        threads,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair", disable=None),
    )
    if args.json != "-":  # before anything is written, which may fail
        options.console(120).print(engines.table(rows))
    options.write_json(args.json, [asdict(row) for row in rows])
