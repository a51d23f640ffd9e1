# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data label`: unlabelled stereo pairs with a model's detections as labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "turn a model's own detections into labels for unlabelled pairs, to train a codec on your own drive"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, help="KITTI folder, including raw drives and odometry; labelled pairs are left out"
    )
    options.add_out(parser, "new folder, written in KITTI's object layout")
    options.add_model(parser, ", the teacher")
    parser.add_argument("--split", help="frames to use: 'train' of frames named after their drive, or an index file")
    parser.add_argument(
        "--sure", type=float, default=0.8, help="score from which a detection is an object (default: %(default)s)"
    )
    parser.add_argument(
        "--doubt",
        type=float,
        default=0.1,
        help="score from which a region is left out of training (default: %(default)s)",
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    from sicm_ros.training.labelling import write_labelled

    model = options.load_model(args)
    pairs = write_labelled(model, args.source, args.out, args.split, args.sure, args.doubt)
    print(f"{args.out}: {pairs} pairs")
