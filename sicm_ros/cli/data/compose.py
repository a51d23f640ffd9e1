"""`sicm data compose`: real stereo pairs with cars put in."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "put cars into real labelled stereo pairs, consistent in both views, for training"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="labelled pairs in KITTI's object layout")
    options.add_out(parser, "new folder, written in the same layout")
    parser.add_argument("--frames", type=int, default=500, help="pairs to compose (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (default: %(default)s)")
    parser.add_argument("--split", help="frames to take: 'train' of frames named after their drive, or an index file")
    parser.add_argument("--cars", type=float, default=3.0, help="mean number of cars put in (default: %(default)s)")
    parser.add_argument(
        "--rendered", type=float, default=0.0, help="share of them that is rendered, 0 to 1 (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--png", action="store_true", help="lossless pictures, four times as large")
    parser.add_argument("--preview", action="store_true", help="write OUT/preview.jpg as well: pairs, boxes, disparity")
    parser.add_argument("--disparity-only", action="store_true", help="write each pair's disparity as a 16-bit PNG")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.synth.compose.dataset import Recipe, write_dataset, write_disparities

    if args.disparity_only:
        write_disparities(args.source, args.out, args.split)
        return
    write_dataset(
        args.source,
        args.out,
        args.frames,
        args.seed,
        args.split,
        Recipe(cars=args.cars, rendered=args.rendered),
        args.workers,
        jpeg=not args.png,
    )
    if args.preview:
        from sicm_ros.synth.sheet import contact_sheet

        print(contact_sheet(args.out, args.out / "preview.jpg"))
