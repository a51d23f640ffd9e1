# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A contact sheet of a data set in KITTI's layout: pairs with their boxes, disparity, and the scene from above."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import EDGES, corners, project
from sicm_ros.geometry.drawing import write_image

COLOURS = {  # RGB
    "Car": (60, 220, 60),
    "Van": (60, 190, 220),
    "Truck": (230, 150, 40),
    "Tram": (230, 200, 90),
    "Pedestrian": (240, 70, 70),
    "Person_sitting": (250, 130, 130),
    "Cyclist": (230, 70, 230),
    "DontCare": (130, 130, 130),
}
OTHER = (230, 230, 60)
WIDTH = 620  # pixels of an image on the sheet
REACH = 60.0  # metres shown from above


def contact_sheet(folder: Path, out: Path, rows: int = 8) -> Path:
    """Write a sheet of frames spread over a data set that `generate` wrote; return its path.

    Raises:
        InputError: the folder holds no frames.
    """
    names = sorted(path.stem for path in (folder / "label_2").glob("*.txt"))
    if not names:
        raise InputError(f"{folder}/label_2: no frames; run sicm data render --out {folder} first")
    chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, rows).round().astype(int))]
    sheet = np.concatenate([_row(folder, name) for name in chosen])
    write_image(out, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return out


def _row(folder: Path, name: str) -> np.ndarray:
    left, right = (_image(folder / f"image_{i}", name) for i in (2, 3))
    calibration = _calibration(folder / "calib" / f"{name}.txt", left.shape)
    lines = [line.split() for line in (folder / "label_2" / f"{name}.txt").read_text().splitlines()]
    labels = [(fields[0], np.array(fields[1:], float)) for fields in lines]
    disparity = cv2.imread(str(folder / "disparity" / f"{name}.png"), cv2.IMREAD_UNCHANGED) / 256
    drawn = _boxes(left.copy(), labels, calibration)
    height = round(left.shape[0] * WIDTH / left.shape[1])
    parts = [
        cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
        for image in (drawn, right, _coloured(disparity))
    ]
    return np.concatenate([*parts, _from_above(labels, calibration, height)], 1)


def _image(folder: Path, name: str) -> np.ndarray:
    for suffix in (".png", ".jpg"):
        if (folder / (name + suffix)).exists():
            return cv2.imread(str(folder / (name + suffix)))[..., ::-1]
    raise InputError(f"{folder}/{name}: neither .png nor .jpg exists")


def _calibration(path: Path, shape) -> StereoCalibration:
    rows = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    p2, p3 = (np.array(rows[key].split(), float).reshape(3, 4) for key in ("P2", "P3"))
    baseline = (p2[0, 3] - p3[0, 3]) / p2[0, 0]
    return StereoCalibration(p2[0, 0], p2[1, 1], p2[0, 2], p2[1, 2], baseline, shape[1], shape[0])


def _coloured(disparity: np.ndarray) -> np.ndarray:
    grey = (255 * np.sqrt(np.clip(disparity / max(float(np.percentile(disparity, 99)), 1.0), 0, 1))).astype(np.uint8)
    return cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)[..., ::-1]


def _boxes(image: np.ndarray, labels, calibration: StereoCalibration) -> np.ndarray:
    image = np.ascontiguousarray(image)
    for kind, values in labels:
        colour = COLOURS.get(kind, OTHER)
        left, top, right, bottom = values[3:7].round().astype(int).tolist()
        cv2.rectangle(image, (left, top), (right, bottom), colour, 1)
        if kind == "DontCare":
            continue
        points = corners(values[None, 10:13], values[None, 7:10], values[None, 13])[0]
        if points[:, 2].min() > 0.5:
            pixels = project(points, calibration).round().astype(int).clip(-5000, 5000).tolist()
            for a, b in EDGES:
                cv2.line(image, pixels[a], pixels[b], colour, 1, cv2.LINE_AA)
        cv2.putText(
            image,
            f"{values[12]:.0f} m, {int(values[1])}",
            (left, max(top - 4, 12)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            colour,
            1,
            cv2.LINE_AA,
        )
    return image


def _from_above(labels, calibration: StereoCalibration, height: int) -> np.ndarray:
    """Return the labels on the ground, our own camera at the lower edge's middle; rings every 10 m."""
    plan = np.full((height, height, 3), 24, np.uint8)
    scale = height / REACH

    def pixels(x, z):
        return np.stack([height / 2 + np.asarray(x) * scale, height - 1 - np.asarray(z) * scale], -1)

    for metres in range(10, int(REACH) + 1, 10):
        cv2.circle(plan, (height // 2, height - 1), int(metres * scale), (60, 60, 60), 1, cv2.LINE_AA)
    for u in (0, calibration.width - 1):
        edge = pixels((u - calibration.cx) / calibration.fx * 2 * REACH, 2 * REACH).round().astype(int).tolist()
        cv2.line(plan, (height // 2, height - 1), edge, (90, 90, 90), 1, cv2.LINE_AA)
    for kind, values in labels:
        if kind == "DontCare":
            continue
        ground = corners(values[None, 10:13], values[None, 7:10], values[None, 13])[0][:4]
        outline = pixels(ground[:, 0], ground[:, 2]).round().astype(np.int32)
        cv2.polylines(plan, [outline], True, COLOURS.get(kind, OTHER), 1, cv2.LINE_AA)
        nose = pixels(*ground[:2, [0, 2]].mean(0)).round().astype(int).tolist()
        cv2.circle(plan, nose, 1, (255, 255, 255), -1)
    return plan
