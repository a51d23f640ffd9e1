# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench stream`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "bytes and coding time of a drive's packets, each by itself and with references to earlier pairs"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="KITTI folder of one drive at 10 Hz")
    options.add_model(parser)
    parser.add_argument(
        "--quality",
        nargs="+",
        type=options.quality,
        default=[0.1, 0.3, 0.5, 0.8],
        metavar="0..1",
        help="one or several (default: 0.1 0.3 0.5 0.8)",
    )
    parser.add_argument(
        "--age",
        nargs="+",
        type=int,
        choices=range(1, 9),
        default=[1, 3],
        metavar="1..8",
        help="how many pairs the references lie back (default: 1 3)",
    )
    options.add_limit(parser, "the first ones")
    options.add_threads(parser, "of ours")
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.benchmark import references
    from sicm_ros.datasets import open_dataset

    options.limit_threads(args.threads)
    model = options.load_model(args)
    frames = open_dataset(args.dataset)[: args.limit]
    found = references.rates(model, frames, args.quality, args.age, lambda pairs: tqdm(pairs, "pairs", disable=None))
    options.write_json(args.json, {"drive": args.dataset.name, "rates": [one.as_json() for one in found]})
    if args.json != "-":
        options.console(120).print(references.table(found, f"{args.dataset.name}, model {model.name}"))
