# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data bag`: a KITTI drive as a bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "write a KITTI drive as a stereo bag that `ros2 bag play` plays"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, help="raw drive, object folder (image_2, image_3, calib) or odometry sequence"
    )
    options.add_out(parser, "file to write (.mcap, .db3), or a folder with metadata.yaml", metavar="BAG")
    options.add_limit(parser, "the first ones")
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), help="storage (default: by the suffix; mcap for a folder)"
    )
    parser.add_argument("--compressed", choices=("jpeg", "png"), help="CompressedImage instead of raw images")
    parser.add_argument(
        "--jpeg-quality", type=int, default=95, metavar="1..100", help="JPEG quality (default: %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bag of that name")


def run(args: argparse.Namespace) -> None:
    from sicm_ros import bags
    from sicm_ros.errors import InputError

    if not 1 <= args.jpeg_quality <= 100:
        raise InputError(f"--jpeg-quality {args.jpeg_quality}; expected 1 to 100")
    pairs = bags.from_kitti(
        args.source,
        args.out,
        storage=args.storage,
        compress=args.compressed,
        quality=args.jpeg_quality,
        limit=args.limit,
        overwrite=args.overwrite,
    )
    size = sum(p.stat().st_size for p in args.out.rglob("*")) if args.out.is_dir() else args.out.stat().st_size
    print(f"{args.out}: {pairs} stereo pairs, {size / 1e6:.1f} MB")
