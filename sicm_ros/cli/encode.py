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
        "--calib",
        type=Path,
        required=True,
        metavar="FILE",
        help="calibration: KITTI's .txt of rectified images; or .yaml of Kalibr, EuRoC, OpenCV or ROS, by which the "
        "images are rectified first",
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

    left, right, calibration = _rectified(args, read_picture(args.left), read_picture(args.right))
    model = options.load_model(args)
    data = model.encode(left, right, calibration, args.quality, args.sequence, not args.without_calibration)
    write_bytes(args.out, data)
    pixels = 2 * calibration.width * calibration.height
    print(f"{args.out}: {len(data)} bytes, {8 * len(data) / pixels:.5f} bits per pixel of both views")
    if args.bits:
        _draw_bits(args, model, left, right, calibration)


def _rectified(
    args: argparse.Namespace, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, StereoCalibration]:
    """Return the images as --calib says: KITTI's are rectified, those of other formats may not be."""
    from sicm_ros.bags.rig import camera_rig
    from sicm_ros.errors import InputError
    from sicm_ros.geometry.calibration_file import read_calibration_file
    from sicm_ros.kitti.calibration import read_calibration

    size = left.shape[1], left.shape[0]
    if args.calib.suffix not in (".yaml", ".yml") and not args.calib.is_dir():
        return left, right, read_calibration(args.calib).stereo(*size)
    if right.shape != left.shape:
        raise InputError(
            f"{args.right} is {right.shape[1]} x {right.shape[0]} pixels, {args.left} {size[0]} x {size[1]}"
        )
    names = str(args.left), str(args.right)
    where = str(args.calib), str(args.calib)
    rig = camera_rig(
        *read_calibration_file(args.calib, size), image_topics=names, info_topics=where, rectify="always", size=size
    )
    assert rig.rectification is not None  # always
    pair = rig.rectification.apply(left, right)
    return pair.left, pair.right, pair.calibration


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
