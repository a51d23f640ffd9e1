"""`sicm encode`: a stereo pair to a packet."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "encode a rectified stereo pair to a packet of features"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--left", type=Path, required=True, help="left picture (PNG, JPEG)")
    parser.add_argument("--right", type=Path, required=True, help="right picture, of the same size")
    parser.add_argument("--calib", type=Path, required=True, metavar="KITTI.txt", help="calibration file as KITTI has")
    parser.add_argument("--model", default="default", help="name or folder (default: %(default)s)")
    parser.add_argument("--quality", type=float, default=0.5, help="0, fewest bytes, to 1 (default: %(default)s)")
    parser.add_argument("--sequence", type=int, default=0, help="number of the pair (default: %(default)s)")
    parser.add_argument(
        "--without-calibration", action="store_true", help="24 bytes less; `sicm decode` then needs --calib"
    )
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--bits", type=Path, metavar="OUT.png", help="also a picture of where the bits go")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.sicm", help="packet to write")


def run(args: argparse.Namespace) -> None:
    from sicm_ros import load
    from sicm_ros.errors import InputError
    from sicm_ros.geometry.drawing import read_picture
    from sicm_ros.kitti.calibration import read_calibration

    left, right = read_picture(args.left), read_picture(args.right)
    calibration = read_calibration(args.calib).stereo(left.shape[1], left.shape[0])
    model = load(args.model, args.device)
    data = model.encode(left, right, calibration, args.quality, args.sequence, not args.without_calibration)
    try:
        args.output.write_bytes(data)
    except OSError as error:
        raise InputError(f"{args.output}: {error.strerror}; expected a file that can be written") from None
    pixels = 2 * calibration.width * calibration.height
    print(f"{args.output}: {len(data)} bytes, {8 * len(data) / pixels:.5f} bits per pixel of both views")
    if args.bits:
        _draw_bits(args, model, left, right, calibration)


def _draw_bits(args: argparse.Namespace, model, left, right, calibration) -> None:
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
