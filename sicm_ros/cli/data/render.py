# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data render`: renders a stereo data set in KITTI's format."""

from __future__ import annotations

import argparse
from typing import Any

from sicm_ros.cli import options

SUMMARY = "render a stereo world in KITTI's object format, with exact labels and disparity"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_out(parser, "folder to write; an interrupted run resumes there")
    parser.add_argument(
        "--frames", type=int, default=1000, metavar="N", help="number of stereo pairs (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed gives the same files")
    parser.add_argument(
        "--sequences", type=int, default=1, metavar="LEN", help="drives of LEN frames at 10 Hz instead of single frames"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="K", help="processes (default: %(default)s)")
    parser.add_argument("--baseline", type=float, nargs=2, metavar=("LO", "HI"), help="metres (default: KITTI's 0.533)")
    parser.add_argument("--focal", type=float, nargs=2, metavar=("LO", "HI"), help="pixels (default: KITTI's 721.5)")
    parser.add_argument(
        "--camera-height", type=float, nargs=2, metavar=("LO", "HI"), help="metres (default: KITTI's 1.65)"
    )
    parser.add_argument(
        "--speed", type=float, nargs=2, metavar=("LO", "HI"), help="m/s of our own car in drives (default: 4 12)"
    )
    parser.add_argument(
        "--furniture",
        type=float,
        default=0.0,
        metavar="N",
        help="mean number of signs, posts, bins added on each side, which detectors take for people (default: 0)",
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="pixels (default: KITTI's 1242 375)"
    )
    parser.add_argument(
        "--jpeg", type=int, metavar="Q", help="JPEG of this quality instead of PNG: a tenth of the space"
    )
    parser.add_argument(
        "--preview", action="store_true", help="also write OUT/preview.jpg: pairs, boxes, disparity, from above"
    )
    parser.add_argument("--statistics", action="store_true", help="print statistics of the labels, next to KITTI's")


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.synth.dataset import WorldRecipe, generate

    ranges = ("baseline", "focal", "camera_height", "speed")
    given: dict[str, Any] = {name: tuple(getattr(args, name)) for name in ranges if getattr(args, name)}
    if args.size:
        given |= {"width": args.size[0], "height": args.size[1]}
    recipe = WorldRecipe(args.frames, args.seed, args.sequences, jpeg=args.jpeg, furniture=args.furniture, **given)
    with tqdm(total=recipe.frames, unit="pair", desc=f"rendering into {args.out}") as bar:
        for done in generate(recipe, args.out, args.workers):
            bar.update(done)
    if args.statistics:
        from sicm_ros.synth.statistics import table

        options.console().print(table(args.out))
    if args.preview:
        from sicm_ros.synth.sheet import contact_sheet

        print(contact_sheet(args.out, args.out / "preview.jpg"))
