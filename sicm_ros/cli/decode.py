# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm decode`: a packet to 3D detections."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.cli import options

if TYPE_CHECKING:
    from sicm_ros.geometry import Detections, StereoCalibration
    from sicm_ros.model import Result

SUMMARY = "decode a packet to 3D detections"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packet", type=Path, metavar="IN.sicm", help="what `sicm encode` wrote")
    options.add_model(parser, ", the same as the encoder's")
    parser.add_argument(
        "--calib",
        type=Path,
        metavar="KITTI.txt",
        help="calibration of the source: for packets without one, and for --kitti in KITTI's frame",
    )
    options.add_device(parser)
    parser.add_argument(
        "--kitti",
        type=Path,
        metavar="OUT.txt",
        help="KITTI detection file, in the left camera's frame, or with --calib in camera 0's, as KITTI's own",
    )
    options.add_json(parser)
    parser.add_argument(
        "--picture", type=Path, metavar="OUT.png", help="boxes over the decoded disparity, and seen from above"
    )
    parser.add_argument("--left", type=Path, help="for --picture: draw over this left image instead")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.bitstream import unpack
    from sicm_ros.errors import InputError
    from sicm_ros.kitti.calibration import read_calibration
    from sicm_ros.kitti.labels import write_detections

    try:
        data = args.packet.read_bytes()
    except OSError as error:
        raise InputError(f"{args.packet}: {error.strerror}; expected a packet written by `sicm encode`") from None
    header = unpack(data)
    source = read_calibration(args.calib) if args.calib else None
    calibration = header.calibration or (source.stereo(header.width, header.height) if source else None)
    result = options.load_model(args).decode(data, calibration)
    if args.kitti:
        write_detections(args.kitti, result.detections, source.left_origin_shift if source else (0.0, 0.0, 0.0))
    options.write_json(args.json, _report(result))
    if args.picture:
        _draw(args, result, calibration)
    if args.json != "-":
        _print(result.detections)


def _print(detections: Detections) -> None:
    print(f"{len(detections)} objects" + (": x right, y down, z ahead, metres" if len(detections) else ""))
    for name, score, (x, y, z), (height, width, length), turn in zip(
        detections.names,
        detections.scores,
        detections.location,
        detections.dimensions,
        detections.rotation_y,
        strict=True,
    ):
        print(
            f"{name:<11}{score:5.2f}   at {x:7.2f} {y:6.2f} {z:6.2f}   "
            f"h w l {height:5.2f} {width:5.2f} {length:5.2f}   rotation_y {turn:5.2f}"
        )


def _report(result: Result) -> dict:
    header, found = result.header, result.detections
    assert header is not None  # it was decoded
    return {
        "packet": {
            "bytes": header.size,
            "width": header.width,
            "height": header.height,
            "quality": header.quality / 255,
            "sequence": header.sequence,
        },
        "detections": [
            {
                "class": name,
                "score": float(found.scores[i]),
                "location": found.location[i].tolist(),
                "dimensions": found.dimensions[i].tolist(),
                "rotation_y": float(found.rotation_y[i]),
                "image_box": found.image_boxes[i].tolist(),
            }
            for i, name in enumerate(found.names)
        ],
        "seconds": result.timings,
    }


def _draw(args: argparse.Namespace, result: Result, calibration: StereoCalibration | None) -> None:
    import cv2
    import numpy as np

    from sicm_ros.geometry.drawing import DETECTION, birds_eye, draw_boxes, read_picture, window_overlay, write_picture

    assert calibration is not None  # decoding asks for one
    if args.left:
        picture = read_picture(args.left)
    else:
        black = np.zeros((calibration.height, calibration.width, 3), np.uint8)
        picture = window_overlay(black, np.clip(result.disparity, 0, None), result.view)
    drawn = draw_boxes(picture, result.detections, calibration, captions=True)
    above = birds_eye([(result.detections, DETECTION)], calibration)
    above = cv2.resize(above, (round(above.shape[1] * drawn.shape[0] / above.shape[0]), drawn.shape[0]))
    write_picture(args.picture, np.concatenate([drawn, above], axis=1))
