# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data compose`: real stereo pairs with vehicles and people put in."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "add vehicles and people to real labelled stereo pairs, consistently in both views, for training"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, nargs="+", help="labelled pairs in KITTI's object layout, one or more")
    options.add_out(parser, "new folder, written in the same layout", old_position=False)
    parser.add_argument("--frames", type=int, default=500, help="pairs to compose (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (default: %(default)s)")
    parser.add_argument("--split", help="frames to use: 'train' of frames named after their drive, or an index file")
    parser.add_argument("--cars", type=float, default=3.0, help="mean number of cars to add (default: %(default)s)")
    parser.add_argument(
        "--rendered", type=float, default=0.0, help="rendered share of what is added (default: %(default)s)"
    )
    parser.add_argument(
        "--near", type=float, default=0.0, help="mean number of vehicles beside us, cut by the image border"
    )
    parser.add_argument(
        "--cutouts", type=Path, action="append", default=[], help="folder of cut-outs (docs/compose.md); repeatable"
    )
    parser.add_argument("--people", type=float, default=0.0, help="mean number of pedestrians to add")
    parser.add_argument("--cyclists", type=float, default=0.0, help="mean number of cyclists to add")
    parser.add_argument(
        "--furniture", type=float, default=0.0, help="mean number of rendered signs, posts, bins to add, without labels"
    )
    parser.add_argument("--per-drive", type=int, metavar="N", help="at most N frames per drive, evenly spread")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--png", action="store_true", help="lossless images, four times as large")
    parser.add_argument("--preview", action="store_true", help="also write OUT/preview.jpg: pairs, boxes, disparity")
    parser.add_argument(
        "--disparity-only", action="store_true", help="only write each pair's disparity, as a 16-bit PNG"
    )


def run(args: argparse.Namespace) -> None:
    from sicm_ros.synth.compose.dataset import write_dataset, write_disparities
    from sicm_ros.synth.compose.recipe import Recipe

    if args.disparity_only:
        for source in args.source:
            write_disparities(source, args.out, args.split)
        return
    people = {"Pedestrian": args.people, "Cyclist": args.cyclists}
    write_dataset(
        args.source,
        args.out,
        args.frames,
        args.seed,
        args.split,
        Recipe(args.cars, rendered=args.rendered, near=args.near, people=people, furniture=args.furniture),
        args.workers,
        jpeg=not args.png,
        cutout_folders=args.cutouts,
        per_drive=args.per_drive,
    )
    if args.preview:
        from sicm_ros.synth.sheet import contact_sheet

        print(contact_sheet(args.out, args.out / "preview.jpg"))
