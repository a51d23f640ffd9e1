# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bag expand`: bags of features with detections, tracks, markers and points beside them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from sicm_ros.cli import options
from sicm_ros.cli.bag import many

if TYPE_CHECKING:
    from sicm_ros.archive import Expansion

SUMMARY = "decode the features in bags; detections, tracks, markers and points are added"


def configure(parser: argparse.ArgumentParser) -> None:
    many.add(parser)
    parser.add_argument(
        "--min-score",
        type=options.number(0, 1),
        default=0.5,
        metavar="0..1",
        help="detections below are not written; this is at 20 m: the nearer, the less is asked (default: %(default)s)",
    )
    parser.add_argument("--no-points", action="store_true", help="leave out the points, most of the bytes")
    parser.add_argument("--no-tracking", action="store_true", help="don't follow objects from pair to pair")


def run(args: argparse.Namespace) -> int:
    from sicm_ros.archive.expansion import Showing
    from sicm_ros.archive.many import expand_one

    showing = Showing(min_score=args.min_score, points=not args.no_points, tracking=not args.no_tracking)
    return many.run(args, expand_one, "pair", _print, _tree, showing=showing)


def _tree(done: Expansion) -> dict:
    return asdict(done) | {"source": str(done.source), "out": str(done.out)}


def _print(done: Expansion) -> None:
    print(
        f"{done.source} -> {done.out}: {done.messages} messages decoded, {done.detections} detections, "
        f"{done.tracks} tracks; {done.bytes_before / 1e6:.3f} MB -> {done.bytes_after / 1e6:.3f} MB"
    )
    for cause, number in done.lost.items():
        print(f"lost: {number} messages: {cause}")
    for remark in done.remarks:
        print(f"note: {remark}")
