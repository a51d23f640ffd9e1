# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bag compress`: stereo bags with features in place of their images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sicm_ros.cli import options
from sicm_ros.cli.bag import many

if TYPE_CHECKING:
    from sicm_ros.archive import Compression

SUMMARY = "replace the images of stereo bags with features; everything else is kept as it is"
DAY = 8.0  # hours of driving
EPILOG = """The features are those that the encoder node publishes, on /features and /codec_description; `ros2 bag play`
plays them to a decoder node. The images themselves cannot be had back: features hold what the model needs, no more."""
_LOST = {
    "unpaired": "images without a partner",
    "repeated": "images that were recorded twice",
    "image": "pairs with an image that cannot be read",
    "calibration": "pairs without a usable calibration",
}


def configure(parser: argparse.ArgumentParser) -> None:
    many.add(parser)
    options.add_quality(parser)
    options.add_layout(parser)
    parser.add_argument(
        "--base-frame",
        default="base_link",
        metavar="FRAME",
        help="the vehicle's body frame: the description has the left camera's pose in it, if /tf_static does; empty "
        "omits it (default: %(default)s)",
    )
    parser.add_argument(
        "--optical-pose",
        default="",
        metavar="'X Y Z QX QY QZ QW'",
        help="that pose, where the bag has no /tf_static",
    )


def run(args: argparse.Namespace) -> int:
    from sicm_ros.archive.many import compress_one

    names = ["preset", "left", "right", "pair_tolerance", "assume_rectified", "baseline", "rectify", "calibration_file"]
    names += ["base_frame", "optical_pose"]
    how = {name: getattr(args, name) for name in names}
    return many.run(args, compress_one, "pair", _print, _tree, quality=args.quality, how=how)


def _tree(done: Compression) -> dict:
    return {
        "source": str(done.source),
        "out": str(done.out),
        "pairs": done.pairs,
        "seconds": done.seconds,
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
        "image_bytes": done.images,
        "feature_bytes": done.features,
        "megabytes_per_day": done.megabytes(DAY),
        "replaced": list(done.replaced),
        "other_images": done.other_images,
        "lost": done.lost,
        "remarks": list(done.remarks),
    }


def _print(done: Compression) -> None:
    from rich.table import Table

    table = Table(title=f"{done.source} -> {done.out}", title_justify="left")
    for name in ("", "before", "after", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row(
        f"{done.pairs} pairs, messages",
        f"{done.images / 1e6:.3f} MB",
        f"{done.features / 1e6:.3f} MB",
        f"{done.images / max(done.features, 1):.0f}",
    )
    table.add_row(
        "whole bag",
        f"{done.bytes_before / 1e6:.3f} MB",
        f"{done.bytes_after / 1e6:.3f} MB",
        f"{done.bytes_before / done.bytes_after:.0f}",
    )
    options.console().print(table)
    if done.seconds:
        print(
            f"{done.features / max(done.pairs, 1):.0f} bytes per pair; {done.seconds:.1f} s recorded; "
            f"{DAY:g} hours of such driving: at most {done.megabytes(DAY):.0f} MB"
        )
    print(f"lost: the images of {', '.join(done.replaced)}")
    for cause, number in done.lost.items():
        print(f"lost: {number} {_LOST.get(cause, cause)}")
    for topic, size in sorted(done.other_images.items(), key=lambda item: -item[1]):
        print(f"kept: {size / 1e6:.1f} MB of images on {topic}, which are not of this pair")
    for remark in done.remarks:
        print(f"note: {remark}")
