# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench tracks`"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "evaluate labelled drives as a stream: identities, the cost of delay, the value of the past"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "drives", nargs="+", type=Path, metavar="DRIVE", help="labelled KITTI folders of one drive each"
    )
    options.add_model(parser)
    options.add_quality(parser)
    options.add_threads(parser, "of ours")
    options.add_json(parser)
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="average precision over the delay")


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.benchmark import stream
    from sicm_ros.benchmark.drive import observe
    from sicm_ros.datasets import open_dataset

    if args.picture:
        importlib.import_module("sicm_ros.benchmark.figures")  # says at once what is missing
    options.limit_threads(args.threads)
    model = options.load_model(args)
    drives = [
        observe(path.name, open_dataset(path), model, args.quality, lambda frames: tqdm(frames, "pairs", disable=None))
        for path in args.drives
    ]
    result = stream.measure(drives)
    options.write_json(args.json, result.as_json())
    if args.picture:
        stream.picture(result, args.picture)
    if args.json != "-":
        for table in stream.tables(result):
            options.console(120).print(table)
