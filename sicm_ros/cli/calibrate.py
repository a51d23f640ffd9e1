# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm calibrate`: fit how a model's scores become chances, on frames that it was never trained on."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "fit how a model's scores become chances, on frames that it was not trained on"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="labelled KITTI folder or archives")
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="folder of the model; its config.yaml is rewritten"
    )
    options.add_qualities(parser, [None, 0.3, 0.5], "with equal weights")
    options.add_split(parser)
    options.add_limit(parser, "the first ones")
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    from sicm_ros.datasets import open_dataset
    from sicm_ros.training.score_calibration import calibrate

    frames = open_dataset(args.dataset, args.split, labelled=True)[: args.limit]
    scores = calibrate(args.model, frames, args.quality, args.device)
    print(f"{args.model}: {scores.tree()}")
