# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm calibrate`: fits how a model's scores become chances, on frames that it was never trained on."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "fit how a model's scores become chances, on frames that it was not trained on"


def configure(parser: argparse.ArgumentParser) -> None:
    from sicm_ros.cli.evaluate import quality

    parser.add_argument("model", type=Path, help="folder of a model; its config.yaml is rewritten")
    parser.add_argument("dataset", type=Path, help="labelled KITTI folder or archives")
    parser.add_argument("--split", help="frames to take: validation, an index file, or drives")
    parser.add_argument(
        "--quality",
        nargs="+",
        type=quality,
        default=[None, 0.3, 0.5],
        metavar="Q",
        help="0 to 1, or 'uncompressed', with equal weights (default: uncompressed 0.3 0.5)",
    )


def run(args: argparse.Namespace) -> None:
    from sicm_ros.kitti import open_kitti
    from sicm_ros.training.calibration import calibrate

    scores = calibrate(args.model, open_kitti(args.dataset, args.split, labelled=True), args.quality)
    print(f"{args.model}: {scores.tree()}")
