# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data cutouts`: cut-outs of people and cyclists from images with instance masks, for `sicm data compose`."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "cut whole people and cyclists out of images with instance masks (COCO, VOC, Penn-Fudan)"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="a data set's folder, or a COCO annotation file")
    options.add_out(parser, "new folder, for sicm data compose --cutouts", old_position=False)
    parser.add_argument("--images", type=Path, help="folder of the images of a COCO file, if not next to it")
    parser.add_argument("--least", type=int, default=60, help="minimum height in pixels (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.synth.compose.masks import write_cutouts

    counts = write_cutouts(args.source, args.out, args.images, args.least)
    print(", ".join(f"{count} of class {kind}" for kind, count in sorted(counts.items())))
