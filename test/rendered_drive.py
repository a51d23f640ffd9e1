# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A tiny stereo drive made up for tests: known boxes, images with texture, as KITTI writes it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FX, CX, CY, BASELINE = 180.0, 155.5, 45.5, 0.54
WIDTH, HEIGHT = 312, 96
BOX = "Car 0.00 0 -1.57 100 40 140 60 1.50 1.60 3.90 {x:.2f} 1.60 {z:.2f} -1.57\n"


def write_objects(folder: Path, pairs: int, seed: int = 0) -> Path:
    """An object folder (image_2, image_3, calib, label_2) of so many pairs; one car comes nearer by 1 m a frame."""
    rng = np.random.default_rng(seed)
    wall = rng.integers(0, 255, (HEIGHT, WIDTH + 40, 3), np.uint8)
    wall = cv2.GaussianBlur(wall, (0, 0), 2)
    for name in ("image_2", "image_3", "calib", "label_2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    p3 = -FX * BASELINE
    for index in range(pairs):
        shift = index % 8
        cv2.imwrite(str(folder / f"image_2/{index:06}.png"), wall[:, shift : shift + WIDTH])
        cv2.imwrite(str(folder / f"image_3/{index:06}.png"), wall[:, shift + 10 : shift + 10 + WIDTH])
        rows = {"P2": 0.0, "P3": p3}
        text = "".join(f"{k}: {FX} 0 {CX} {v} 0 {FX} {CY} 0 0 0 1 0\n" for k, v in rows.items())
        text += "R0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\ndisparity_offset: 0\n"
        (folder / f"calib/{index:06}.txt").write_text(text)
        (folder / f"label_2/{index:06}.txt").write_text(BOX.format(x=1.0, z=30.0 - index))
    return folder
