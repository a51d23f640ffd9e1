# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm temporal`: train what lets a model's packets refer to earlier pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "train what lets a model's packets refer to earlier pairs; packets without reference stay as they are"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "datasets", nargs="+", type=Path, metavar="DRIVE", help="KITTI folders of one drive each, at 10 Hz"
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="folder of the model; its temporal.safetensors is written"
    )
    parser.add_argument(
        "--sequences",
        type=options.positive,
        metavar="LEN",
        help="each folder holds drives of LEN pairs",
    )
    parser.add_argument(
        "--minutes", type=options.number(0, 10_000), default=30.0, help="of training (default: %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn")
    options.add_threads(parser, "of PyTorch")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.datasets import open_dataset
    from sicm_ros.training.temporal import learn

    options.limit_threads(args.threads)
    drives = []
    for path in args.datasets:
        frames = open_dataset(path)
        length = args.sequences or len(frames)
        drives += [frames[first : first + length] for first in range(0, len(frames), length)]
    print(learn(args.model, drives, 60 * args.minutes, args.seed))
