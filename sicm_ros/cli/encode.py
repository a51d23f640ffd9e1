# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm encode`: a stereo pair to a packet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.cli import options

if TYPE_CHECKING:
    import numpy as np

    from sicm_ros.geometry import StereoCalibration
    from sicm_ros.model import Model

SUMMARY = "encode a rectified stereo pair to a packet of features"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("left", type=Path, help="left image (PNG, JPEG)")
    parser.add_argument("right", type=Path, help="right image, of the same size")
    parser.add_argument(
        "--calib", type=Path, required=True, metavar="KITTI.txt", help="calibration file in KITTI's format"
    )
    options.add_out(parser, "packet to write", "OUT.sicm", old_position=False)
    options.add_model(parser)
    options.add_quality(parser)
    parser.add_argument("--sequence", type=int, default=0, help="number of the pair (default: %(default)s)")
    parser.add_argument(
        "--without-calibration", action="store_true", help="saves 24 bytes; `sicm decode` then needs --calib"
    )
    options.add_device(parser)
    parser.add_argument("--bits", type=Path, metavar="OUT.png", help="also write an image that shows where the bits go")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.files import write_bytes
    from sicm_ros.geometry.drawing import read_picture
    from sicm_ros.kitti.calibration import read_calibration

    left, right = read_picture(args.left), read_picture(args.right)
    calibration = read_calibration(args.calib).stereo(left.shape[1], left.shape[0])
    model = options.load_model(args)
    data = model.encode(left, right, calibration, args.quality, args.sequence, not args.without_calibration)
    write_bytes(args.out, data)
    pixels = 2 * calibration.width * calibration.height
    print(f"{args.out}: {len(data)} bytes, {8 * len(data) / pixels:.5f} bits per pixel of both views")
    if args.bits:
        _draw_bits(args, model, left, right, calibration)


def _draw_bits(
    args: argparse.Namespace, model: Model, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration
) -> None:
    import numpy as np

    from sicm_ros.geometry.drawing import window_overlay, write_picture

    bits = model.bits_map(left, right, calibration, args.quality)
    view = model.view(calibration)
    shown = [
        window_overlay((left, right)[side], cells, view, bits.max()) for (_, side), cells in zip(model.latents, bits)
    ]
    write_picture(args.bits, np.concatenate(shown))
    upper, lower = (name for name, _ in model.latents)
    print(f"{args.bits}: {upper} above {lower}; the brightest cell costs {bits.max():.0f} bits")
