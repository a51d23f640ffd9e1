# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Makes docs/pictures/demo.jpg: a pair of the demo's drive, what the decoder makes of its packet, and that from above.

python docs/pictures/demo.py [number of the pair]
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

import sicm_ros
from sicm_ros.bags import open_stereo
from sicm_ros.geometry import LIKELY
from sicm_ros.geometry.drawing import DETECTION, LABEL, birds_eye, draw_boxes

HERE = Path(__file__).parent


def main(number: int) -> None:
    model = sicm_ros.load("default")
    drive = open_stereo(Path(sicm_ros.__file__).parent / "demo" / "drive.mcap")
    pair = next(islice(drive.pairs(), number, None))
    packet = model.encode(pair.left, pair.right, pair.calibration, 0.5)
    found = model.decode(packet).detections.above(LIKELY)
    drawn = draw_boxes(pair.left, pair.labels, pair.calibration, LABEL, thickness=1)
    drawn = draw_boxes(drawn, found, pair.calibration, DETECTION, captions=True)
    for picture, text in (
        (drawn, f"decoded from {len(packet)} bytes (red); labels (blue)"),
        (small := cv2.resize(pair.right, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA), "right"),
    ):
        cv2.putText(picture, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    drawn[-small.shape[0] :, -small.shape[1] :] = small
    height = drawn.shape[0]
    above = birds_eye([(pair.labels, LABEL), (found, DETECTION)], pair.calibration, size=(300, height), depth=50.0)
    cv2.imwrite(str(HERE / "demo.jpg"), np.concatenate([drawn, above], 1)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
