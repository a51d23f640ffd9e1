"""`sicm label`: unlabelled stereo pairs with a model's detections as labels."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "give unlabelled pairs a model's own detections as labels, to train a codec on a drive of your own"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, help="KITTI folder, raw drives and odometry too; labelled pairs are left out"
    )
    parser.add_argument("output", type=Path, help="new folder, written in KITTI's object layout")
    parser.add_argument("--model", default="default", help="name or folder of the teacher (default: %(default)s)")
    parser.add_argument("--split", help="frames to take: 'train' of frames named after their drive, or an index file")
    parser.add_argument(
        "--sure", type=float, default=0.8, help="score from which a detection is an object (%(default)s)"
    )
    parser.add_argument(
        "--doubt", type=float, default=0.1, help="score from which nothing is learnt of it (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    import sicm_ros
    from sicm_ros.training.labelling import write_labelled

    model = sicm_ros.load(args.model, device=args.device)
    pairs = write_labelled(model, args.source, args.output, args.split, args.sure, args.doubt)
    print(f"{args.output}: {pairs} pairs")
