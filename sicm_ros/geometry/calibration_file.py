# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Stereo calibrations in the files that calibration tools write.

| written by | what is given |
|---|---|
| Kalibr | camchain.yaml, `cam0` and `cam1` with `T_cn_cnm1` |
| EuRoC, ASL's data sets | the folder of `cam0/sensor.yaml` and `cam1/sensor.yaml`, or one of the two |
| ROS' camera_calibration | the folder of `left.yaml` and `right.yaml`, or one of the two |
| OpenCV's stereo_calib | `intrinsics.yml`, with `extrinsics.yml` beside it, or one file with all of it |
| ORB-SLAM | `LEFT.K`, `LEFT.D`, `LEFT.R`, `LEFT.P` and the right camera's in one file |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.files import TreeError, read_bytes, read_yaml
from sicm_ros.geometry.rectification import EQUIDISTANT, MODELS, Lens

_EXPECTED = (
    "expected Kalibr's camchain.yaml, EuRoC's cam0/sensor.yaml beside cam1/sensor.yaml, ROS' left.yaml beside "
    "right.yaml, or OpenCV's intrinsics.yml beside extrinsics.yml"
)
MOST_BYTES = 1 << 18  # of a file: OpenCV's may hold the corners of each view of the board
# Names of one file -> of the file that goes with it.
_PARTNERS = (("left", "right"), ("cam0", "cam1"), ("intrinsics", "extrinsics"))
# How OpenCV's samples and those after them call left and right matrices: {} is 1 or 2, left or right, l or r.
_NAMES = {
    "k": ("M{n}", "K{n}", "cameraMatrix{n}", "camera_matrix_{n}", "camera_matrix{n}", "{s}_camera_matrix", "K_{s}"),
    "d": ("D{n}", "distCoeffs{n}", "dist_coeffs_{n}", "distortion{n}", "{s}_distortion_coefficients", "D_{s}"),
    "r": ("R{n}", "rectification_{n}", "{s}_rectification_matrix"),
    "p": ("P{n}", "projection_{n}", "{s}_projection_matrix"),
}


def read_calibration_file(path: str | Path, size: tuple[int, int] | None = None) -> tuple[Lens, Lens]:
    """Read both cameras of a stereo calibration.

    Where the file says how the cameras stand to each other but not how to rectify them, OpenCV computes that, such that
    every pixel of the rectified images was seen.

    Args:
        path: a file of the table above, or the folder of two of them.
        size: width and height of the images, for files that don't tell.

    Raises:
        CalibrationError: no such file, none of these formats, or one that lacks something; says what.
    """
    path = Path(path)
    files = _files(path)
    tree: dict[str, Any] = {}
    for name, file in files.items():
        found = _read(file)
        tree |= {name: found} if name else found
    try:
        return _lenses(tree, size)
    except KeyError as error:
        raise CalibrationError(f"{path}: {error.args[0]} is missing; {_EXPECTED}") from None
    except (TypeError, ValueError, AttributeError, IndexError, np.linalg.LinAlgError, cv2.error) as error:
        if isinstance(error, CalibrationError):
            raise CalibrationError(f"{path}: {error}") from None
        text = " ".join(str(error).split())
        raise CalibrationError(f"{path}: {text}; {_EXPECTED}") from None


def _files(path: Path) -> dict[str, Path]:
    """Return the files to read; those of one camera each by left and right, others by ''."""
    if path.is_dir():
        pairs = [("cam0/sensor.yaml", "cam1/sensor.yaml"), ("mav0/cam0/sensor.yaml", "mav0/cam1/sensor.yaml")]
        pairs += [(f"left.{s}", f"right.{s}") for s in ("yaml", "yml")]
        for left, right in pairs:
            if (path / left).is_file() and (path / right).is_file():
                return {"left": path / left, "right": path / right}
        single = [path / name for name in ("camchain.yaml", "intrinsics.yml", "intrinsics.yaml")]
        path = next((file for file in single if file.is_file()), path)
    if not path.is_file():
        raise CalibrationError(f"{path}: no such calibration file; {_EXPECTED}")
    for one, two in _PARTNERS:
        for this, other, ahead in ((one, two, True), (two, one, False)):
            partner = _renamed(path, this, other)
            if partner is None or not partner.is_file():
                continue
            if one == "intrinsics":
                return {"": path, " ": partner}
            return {"left": path, "right": partner} if ahead else {"left": partner, "right": path}
    return {"": path}


def _renamed(path: Path, old: str, new: str) -> Path | None:
    """Return the path with the last `old` in its name, or in its folder's, made `new`; None if there is none."""
    for part in (path.name, path.parent.name):
        if old in part:
            changed = new.join(part.rsplit(old, 1))
            return path.with_name(changed) if part is path.name else path.parent.with_name(changed) / path.name
    return None


def _read(path: Path) -> dict[str, Any]:
    """Read a YAML file, OpenCV's kind too."""
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
    except InputError as error:
        raise CalibrationError(f"{error}; {_EXPECTED}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: {getattr(error, 'strerror', error)}; {_EXPECTED}") from None
    # OpenCV's first line is no YAML directive, and its matrices have a tag of their own.
    text = re.sub(r"\A%YAML:.*\n", "", text).replace("!!opencv-matrix", "")
    text = re.sub(r"^(\s*[\w.]+):(?=[^\s])", r"\1: ", text, flags=re.MULTILINE)
    try:
        tree = read_yaml(text, 2 * MOST_BYTES)
    except TreeError as error:
        raise CalibrationError(f"{path}: no YAML ({error}); {_EXPECTED}") from None
    if not isinstance(tree, Mapping):
        raise CalibrationError(f"{path}: has no settings; {_EXPECTED}")
    return {str(key): value for key, value in tree.items()}


def _lenses(tree: dict[str, Any], size: tuple[int, int] | None) -> tuple[Lens, Lens]:
    if "cam0" in tree:
        return _kalibr(tree)
    if "left" in tree and "right" in tree:
        left, right = tree["left"], tree["right"]
        if "T_BS" in left:
            return _euroc(left, right)
        return _ros(left), _ros(right)
    return _opencv(tree | tree.pop(" ", {}), size)


def _kalibr(tree: dict[str, Any]) -> tuple[Lens, Lens]:
    if "cam1" not in tree:
        raise KeyError("cam1")
    lenses = []
    for name in ("cam0", "cam1"):
        one = tree[name]
        if one.get("camera_model", "pinhole") != "pinhole":
            raise ValueError(f"{name}: camera_model {one['camera_model']!r}, which OpenCV cannot rectify")
        model = one.get("distortion_model", "none")
        lenses.append(
            _unrectified(
                one["resolution"],
                one["intrinsics"],
                model,
                () if model == "none" else one["distortion_coeffs"],
            )
        )
    transform = np.array(tree["cam1"]["T_cn_cnm1"], np.float64).reshape(4, 4)
    return rectified(lenses[0], lenses[1], transform[:3, :3], transform[:3, 3])


def _euroc(left: dict[str, Any], right: dict[str, Any]) -> tuple[Lens, Lens]:
    lenses, poses = [], []
    for one in (left, right):
        lenses.append(
            _unrectified(one["resolution"], one["intrinsics"], one["distortion_model"], one["distortion_coefficients"])
        )
        pose = one["T_BS"]
        poses.append(np.array(pose["data"] if isinstance(pose, Mapping) else pose, np.float64).reshape(4, 4))
    transform = np.linalg.inv(poses[1]) @ poses[0]  # from the left camera's frame to the right one's
    return rectified(lenses[0], lenses[1], transform[:3, :3], transform[:3, 3])


def _ros(one: dict[str, Any]) -> Lens:
    return Lens(
        int(one["image_width"]),
        int(one["image_height"]),
        str(one["distortion_model"]),
        _row(one["distortion_coefficients"]),
        _row(one["camera_matrix"]),
        _row(one["rectification_matrix"]),
        _row(one["projection_matrix"]),
    )


def _opencv(tree: dict[str, Any], size: tuple[int, int] | None) -> tuple[Lens, Lens]:
    size = _size(tree) or size
    if size is None:
        raise KeyError("imageSize")
    told = str(tree.get("distortion_model", tree.get("model", "")))
    lenses = []
    for number, side in (("1", "left"), ("2", "right")):
        given = {key: _named(tree, names, number, side) for key, names in _NAMES.items()}
        given |= {key: tree[name] for key in "kdrp" if (name := f"{side.upper()}.{key.upper()}") in tree}
        if given["k"] is None or given["d"] is None:
            raise KeyError(f"M{number} or D{number}")
        k, d, r, p = (() if given[key] is None else _row(given[key]) for key in "kdrp")
        model = told or ("plumb_bob" if len(d) <= 5 else "rational_polynomial")
        lenses.append(Lens(int(size[0]), int(size[1]), model, d, k, r, p))
    if all(one.r and one.p for one in lenses):
        return lenses[0], lenses[1]
    if "R" not in tree or "T" not in tree:
        raise KeyError("R or T")
    return rectified(lenses[0], lenses[1], np.array(_row(tree["R"])).reshape(3, 3), np.array(_row(tree["T"])))


def _named(tree: dict[str, Any], names: tuple[str, ...], number: str, side: str) -> Any:
    words = [name.format(n=n, s=s) for name in names for n, s in ((number, side), (side, side[0]))]
    return next((tree[word] for word in words if word in tree), None)


def _size(tree: dict[str, Any]) -> tuple[int, int] | None:
    for one in ("imageSize", "image_size", "size", "resolution"):
        if one in tree:
            width, height = _row(tree[one])
            return int(width), int(height)
    for wide, high in (("image_width", "image_height"), ("LEFT.width", "LEFT.height"), ("width", "height")):
        if wide in tree and high in tree:
            return int(tree[wide]), int(tree[high])
    return None


def _row(value: Any) -> tuple[float, ...]:
    """Return the numbers of a matrix: nested lists, or a mapping with data."""
    data = value["data"] if isinstance(value, Mapping) else value
    return tuple(float(v) for v in np.array(data, np.float64).reshape(-1))


def _unrectified(resolution: Any, intrinsics: Any, model: str, d: Any) -> Lens:
    fx, fy, cx, cy = (float(v) for v in intrinsics)
    width, height = (int(v) for v in resolution)
    known = MODELS.get(str(model).lower())
    if known is None:
        raise ValueError(f"unknown distortion model {model!r}")
    k = (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
    return Lens(width, height, known, _row(d), k, (0.0,) * 9, (0.0,) * 12)


def rectified(left: Lens, right: Lens, rotation: np.ndarray, translation: np.ndarray) -> tuple[Lens, Lens]:
    """Return both cameras with the r and p that rectify them.

    Args:
        left, right: the cameras; their r and p don't count.
        rotation, translation: (3, 3) and (3,), from the left camera's frame to the right one's, metres.
    """
    size = (left.width, left.height)
    if (right.width, right.height) != size:
        raise ValueError(
            f"images of {size[0]} x {size[1]} and {right.width} x {right.height} pixels; expected one size"
        )
    translation = np.asarray(translation, np.float64).reshape(3)
    if translation[0] >= 0 or abs(translation[0]) < abs(translation[1]):
        place = np.round(-rotation.T @ translation, 3).tolist()
        raise ValueError(
            f"the right camera is at {place} m from the left one; expected to its right: left and right are exchanged, "
            "or the cameras stand above each other"
        )
    cameras = [np.array(lens.k).reshape(3, 3) for lens in (left, right)]
    fisheye = {MODELS[lens.distortion_model.lower()] == EQUIDISTANT for lens in (left, right)}
    if fisheye == {True}:
        bent = [np.array(lens.d or (0.0,) * 4).reshape(4, 1) for lens in (left, right)]
        r1, r2, p1, p2, _ = cv2.fisheye.stereoRectify(
            cameras[0], bent[0], cameras[1], bent[1], size, rotation, translation, cv2.CALIB_ZERO_DISPARITY,
            newImageSize=size, balance=0.0, fov_scale=1.0,
        )  # fmt: skip
    elif fisheye == {False}:
        bent = [np.array(lens.d) for lens in (left, right)]
        r1, r2, p1, p2, *_ = cv2.stereoRectify(
            cameras[0], bent[0], cameras[1], bent[1], size, rotation, translation, flags=cv2.CALIB_ZERO_DISPARITY,
            alpha=0,
        )  # fmt: skip
    else:
        raise ValueError(f"distortion models {left.distortion_model} and {right.distortion_model} do not match")
    return tuple(  # type: ignore[return-value]  # two of them
        replace(lens, r=tuple(r.reshape(-1).tolist()), p=tuple(p.reshape(-1).tolist()))
        for lens, r, p in ((left, r1, p1), (right, r2, p2))
    )
