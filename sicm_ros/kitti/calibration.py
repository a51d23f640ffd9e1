# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's calibration files: projections, rectification and the transforms from the other sensors.

Object set: `P0` to `P3`, `R0_rect`, `Tr_velo_to_cam`, `Tr_imu_to_velo`. The tracking set writes `R_rect`,
`Tr_velo_cam`, `Tr_imu_velo`, the odometry set `P0` to `P3` and `Tr`; both are understood. (Geiger et al., IJRR 2013,
section IV.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sicm_ros.errors import CalibrationError
from sicm_ros.geometry import StereoCalibration

# KITTI's labels stand nearer than its images show: their disparity is 0.52 px larger at full size, at all ranges
# (measured by photometric alignment and by semi-global matching of labelled cars, MAD below 0.2 px). It is a property
# of that rig, so it lives here, not in a network. See docs/kitti.md.
LABEL_DISPARITY_OFFSET = 0.52
LABEL_DISPARITY_WIDTH = 1242  # pixels: the image width at which it was measured

_SHAPES = {"P0": (3, 4), "P1": (3, 4), "P2": (3, 4), "P3": (3, 4), "R0_rect": (3, 3), "velo": (3, 4), "imu": (3, 4)}
_SPELLINGS = {
    "R_rect": "R0_rect",
    "Tr_velo_to_cam": "velo",
    "Tr_velo_cam": "velo",
    "Tr": "velo",
    "Tr_imu_to_velo": "imu",
    "Tr_imu_velo": "imu",
}


@dataclass(frozen=True)
class KittiCalibration:
    """One calibration file.

    Attributes:
        p2, p3: (3, 4), projections of rectified camera-0 points into the left and the right colour image.
        r0_rect: (3, 3), camera 0 to rectified camera 0.
        velo_to_cam: (3, 4), velodyne to camera 0, or None.
        imu_to_velo: (3, 4), IMU to velodyne, or None.
        disparity_offset: pixels, where the file states it (`disparity_offset: 0.0`, as rendered worlds do); None takes
            KITTI's own.
    """

    p2: np.ndarray
    p3: np.ndarray
    r0_rect: np.ndarray
    velo_to_cam: np.ndarray | None = None
    imu_to_velo: np.ndarray | None = None
    disparity_offset: float | None = None

    @property
    def left_origin_shift(self) -> np.ndarray:
        """(3,), metres: what to add to a rectified camera-0 point to have it in the left colour camera's frame.

        P2 = K [I | t] with t = K^-1 p4: about 6 cm to the left, and millimetres up and ahead.
        """
        return np.linalg.solve(self.p2[:, :3], self.p2[:, 3])

    def stereo(self, width: int, height: int) -> StereoCalibration:
        """Return the rig as the rest of the package knows it, for images of width x height pixels."""
        offset = self.disparity_offset
        if offset is None:
            offset = LABEL_DISPARITY_OFFSET * width / LABEL_DISPARITY_WIDTH + (self.p3[0, 2] - self.p2[0, 2])
        return StereoCalibration(
            fx=float(self.p2[0, 0]),
            fy=float(self.p2[1, 1]),
            cx=float(self.p2[0, 2]),
            cy=float(self.p2[1, 2]),
            baseline=float((self.p2[0, 3] - self.p3[0, 3]) / self.p2[0, 0]),
            width=width,
            height=height,
            disparity_offset=float(offset),
        )


def parse_calibration(text: str, where: str) -> KittiCalibration:
    """Read a calibration file's text; CalibrationError names file and line of what is broken."""
    found: dict[str, np.ndarray] = {}
    offset = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(":", " ", 1).split()
        if not words:
            continue
        key, *values = words
        name = _SPELLINGS.get(key, key)
        if name != "disparity_offset" and name not in _SHAPES:
            continue  # other sets' files hold more than we need
        try:
            numbers = np.array([float(value) for value in values])
        except ValueError as error:
            raise CalibrationError(f"{where}, line {number}: {key}: {error}; expected numbers") from None
        expected = int(np.prod(_SHAPES.get(name, (1,))))
        if len(numbers) != expected:
            raise CalibrationError(f"{where}, line {number}: {key} has {len(numbers)} numbers; expected {expected}")
        if not np.isfinite(numbers).all():
            raise CalibrationError(f"{where}, line {number}: {key} has a number that is not finite")
        if name == "disparity_offset":
            offset = float(numbers[0])
        else:
            found[name] = numbers.reshape(_SHAPES[name])
    for name in ("P2", "P3"):
        if name not in found:
            raise CalibrationError(f"{where}: no line '{name}:'; expected the projection of the {_SIDES[name]} camera")
    check_projections(found["P2"], found["P3"], where)
    return KittiCalibration(
        found["P2"], found["P3"], found.get("R0_rect", np.eye(3)), found.get("velo"), found.get("imu"), offset
    )


_SIDES = {"P2": "left colour", "P3": "right colour"}


def check_projections(p2: np.ndarray, p3: np.ndarray, where: str) -> None:
    """Raise CalibrationError unless P2 and P3 (3, 4) can be the two halves of one rectified pair."""
    if p2[0, 0] <= 0 or p2[1, 1] <= 0:
        raise CalibrationError(f"{where}: P2 has focal lengths {p2[0, 0]:g}, {p2[1, 1]:g}; expected positive ones")
    if abs(p2[0, 0] - p3[0, 0]) > 1e-3 * p2[0, 0] or abs(p2[1, 1] - p3[1, 1]) > 1e-3 * p2[1, 1]:
        raise CalibrationError(
            f"{where}: P2 and P3 have focal lengths {p2[0, 0]:g} and {p3[0, 0]:g}; expected the same, as in a "
            "rectified pair"
        )
    if p2[0, 3] <= p3[0, 3]:
        raise CalibrationError(
            f"{where}: the baseline (P2[0,3] - P3[0,3]) / fx is {(p2[0, 3] - p3[0, 3]) / p2[0, 0]:.4f} m; expected a "
            "positive one: are P2 and P3 exchanged?"
        )


def read_calibration(path: str | Path) -> KittiCalibration:
    """Read a calibration file; CalibrationError if it is missing or broken."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: {error}; expected a KITTI calibration file") from None
    return parse_calibration(text, str(path))
