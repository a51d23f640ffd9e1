# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""From images as the lenses make them to a rectified pair, in one step; and how well rows correspond afterwards."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from sicm_ros.errors import CalibrationError
from sicm_ros.geometry.calibration import StereoCalibration
from sicm_ros.geometry.pair import ImagePair, StereoPair

AUTO, ALWAYS, NEVER = RECTIFY = ("auto", "always", "never")

# Distortion models by the names that ROS, Kalibr and EuRoC's files have for them -> ours, which are ROS'.
PLUMB_BOB, RATIONAL, EQUIDISTANT = "plumb_bob", "rational_polynomial", "equidistant"
MODELS = {
    "": PLUMB_BOB,
    "none": PLUMB_BOB,
    "radtan": PLUMB_BOB,
    "radial-tangential": PLUMB_BOB,
    "plumb_bob": PLUMB_BOB,
    "rational_polynomial": RATIONAL,
    "equidistant": EQUIDISTANT,
    "equi": EQUIDISTANT,
    "fisheye": EQUIDISTANT,
    "kannala_brandt4": EQUIDISTANT,
}
_COEFFICIENTS = {PLUMB_BOB: (0, 4, 5), RATIONAL: (5, 8, 12, 14), EQUIDISTANT: (0, 4)}

TOLERATED = 0.5  # pixels of the camera's image; more blurs what matching along rows finds
TURN = math.radians(0.1)  # of a rectifying rotation that is none
_MATCHES, _PAIRS = 60, 5  # enough matches to know the error, and pairs after which it is given up
_WIDEST = 1000  # pixels; larger images are halved until they fit before features are sought


@dataclass(frozen=True)
class Lens:
    """One camera of a pair, its fields named and laid out as in `sensor_msgs/CameraInfo`.

    Attributes:
        width, height: of its image, pixels.
        distortion_model: a key of MODELS.
        d: distortion coefficients.
        k: 3 x 3, the pinhole camera before the rectification, row by row.
        r: 3 x 3, rotation from the camera to the rectified pair.
        p: 3 x 4, projection of the rectified pair; p[3] is -fx * baseline in the right camera.
    """

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]

    @classmethod
    def of(cls, info: Any) -> Lens:
        """Return the lens that a CameraInfo, or anything with its fields, describes."""
        numbers = {name: tuple(float(v) for v in getattr(info, name)) for name in "dkrp"}
        return cls(int(info.width), int(info.height), str(info.distortion_model), **numbers)

    @property
    def distorted(self) -> bool:
        """Whether straight lines are bent in its images."""
        return any(abs(value) > 1e-9 for value in self.d)

    @property
    def turned(self) -> bool:
        """Whether the rectified camera looks elsewhere."""
        rotation = np.array(self.r)
        if rotation.size != 9 or not rotation.any():  # not filled in
            return False
        return not (np.trace(rotation.reshape(3, 3)) - 1) / 2 > math.cos(TURN)


def says_rectified(topic: str) -> bool:
    """Return whether a topic's name says that its images are rectified: image_rect_color, color/rect/image."""
    return bool({"rect", "rectified"} & set(re.split(r"[/_]", topic.lower())))


def must_rectify(left: Lens, right: Lens, rectify: str, topics: tuple[str, str]) -> bool:
    """Return whether images on two topics have to be rectified first.

    `auto` goes by the calibration, which describes a distortion or a rotation; but images whose topic calls them
    rectified are so: image_proc and many drivers publish one camera_info beside both kinds.
    """
    if rectify != AUTO:
        return rectify == ALWAYS
    described = any(lens.distorted or lens.turned for lens in (left, right))
    return described and not all(map(says_rectified, topics))


class Rectification:
    """Rectifies pairs of one rig, straight to any window of the rectified image.

    Both views are drawn with the left camera's rectified pinhole, so the principal points agree, whatever those of the
    two projections were.

    Args:
        left, right: the cameras.
        calibration: of the rectified pair at the size of the cameras' images; its disparity_offset is what remains
            besides the difference of the principal points.
        names: of both cameras, for errors.

    Raises:
        CalibrationError: a distortion model that isn't known, or numbers that are no camera.
    """

    def __init__(
        self,
        left: Lens,
        right: Lens,
        calibration: StereoCalibration,
        names: tuple[str, str] = ("left camera", "right camera"),
    ) -> None:
        for lens, name in ((left, names[0]), (right, names[1])):
            _check(lens, name)
        self.lenses = left, right
        self.calibration = calibration
        self._maps: dict[StereoCalibration, tuple[int, list[tuple[np.ndarray, np.ndarray]]]] = {}

    def apply(self, left: np.ndarray, right: np.ndarray, window: StereoCalibration | None = None) -> ImagePair:
        """Rectify two images.

        Args:
            left, right: uint8 (height, width, 3), as the cameras make them.
            window: calibration of what is wanted of the rectified image, resized and cropped; all of it if None.

        Returns:
            Images of the window's size, and its calibration. What no camera saw is black.
        """
        return ImagePair(self.view(0, left, window), self.view(1, right, window), window or self.calibration)

    def view(self, side: int, picture: np.ndarray, window: StereoCalibration | None = None) -> np.ndarray:
        """Rectify one image, of the left camera (0) or the right one (1); as `apply`."""
        window = window or self.calibration
        if window not in self._maps:
            if len(self._maps) > 8:
                self._maps.clear()
            self._maps[window] = self._maps_of(window)
        finer, maps = self._maps[window]
        view = cv2.remap(picture, *maps[side], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return view if finer == 1 else cv2.resize(view, (window.width, window.height), interpolation=cv2.INTER_AREA)

    def _maps_of(self, window: StereoCalibration) -> tuple[int, list[tuple[np.ndarray, np.ndarray]]]:
        """Return where each pixel of a window comes from; the window is drawn so many times finer and averaged.

        A window that shows a third of the image's resolution would otherwise skip two pixels of three.
        """
        finer = max(1, round(self.lenses[0].k[0] / window.fx))
        size = finer * window.width, finer * window.height
        centre = ((window.cx + 0.5) * finer - 0.5, (window.cy + 0.5) * finer - 0.5)
        camera = np.array([[window.fx * finer, 0, centre[0]], [0, window.fy * finer, centre[1]], [0, 0, 1.0]])
        return finer, [_maps(lens, camera, size) for lens in self.lenses]


def _maps(lens: Lens, camera: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    k, r = np.array(lens.k).reshape(3, 3), np.array(lens.r).reshape(3, 3)
    if not r.any():  # drivers that don't know it leave it at zero
        r = np.eye(3)
    if MODELS[lens.distortion_model.lower()] == EQUIDISTANT:
        d = np.array(lens.d or (0.0,) * 4).reshape(4, 1)
        x, y = cv2.fisheye.initUndistortRectifyMap(k, d, r, camera, size, cv2.CV_32FC1)
    else:
        x, y = cv2.initUndistortRectifyMap(k, np.array(lens.d), r, camera, size, cv2.CV_32FC1)
    one, two = cv2.convertMaps(x, y, cv2.CV_16SC2)
    return one, two


def _check(lens: Lens, name: str) -> None:
    model = MODELS.get(lens.distortion_model.lower())
    if model is None:
        raise CalibrationError(
            f"{name}: distortion model {lens.distortion_model!r} is not known; expected plumb_bob, rational_polynomial "
            "or equidistant (calibrate again with one of them, or rectify before)"
        )
    if len(lens.d) not in (allowed := _COEFFICIENTS[model]) and not (model == PLUMB_BOB and len(lens.d) in (8, 12, 14)):
        raise CalibrationError(
            f"{name}: {len(lens.d)} distortion coefficients; {model} has {' or '.join(map(str, allowed[1:]))}"
        )
    if len(lens.k) != 9 or len(lens.r) != 9 or not np.isfinite([*lens.k, *lens.r, *lens.d]).all():
        raise CalibrationError(f"{name}: k, r or d has too few numbers, or some that are not finite; calibrate again")
    if not (lens.k[0] > 0 and lens.k[4] > 0):
        raise CalibrationError(
            f"{name}: focal lengths {lens.k[0]:g}, {lens.k[4]:g} in k: what it is needed for, rectification, needs the "
            "camera before; calibrate it"
        )
    r = np.array(lens.r).reshape(3, 3)
    if r.any() and not np.allclose(r @ r.T, np.eye(3), atol=1e-3):
        raise CalibrationError(f"{name}: r is not a rotation; calibrate again")


# ---------------------------------------------------------------------------------------------------------------------
# How well it is done


@dataclass(frozen=True)
class EpipolarError:
    """How far corresponding points of a pair lie from a common row.

    Attributes:
        pixels: median distance, pixels of the image that the calibration is of.
        disparity: median of how much further left points are in the right image, same pixels.
        matches: number of points.
    """

    pixels: float
    disparity: float
    matches: int

    def complaint(self, rectified_here: bool = False) -> str:
        """Return what is wrong, and what to do; empty if nothing is."""
        if self.pixels > TOLERATED:
            other = (
                "If the images were rectified before, set rectify to never; if not"
                if rectified_here
                else "If the images are not rectified, set rectify to always; if they are"
            )
            return (
                f"points lie {self.pixels:.1f} pixels from their row in the other image (median of {self.matches}; "
                f"up to {TOLERATED} is good): depths will be wrong or missing. {other}, calibrate the pair again"
            )
        if self.disparity < -1:
            return (
                f"points lie {-self.disparity:.1f} pixels further right in the right image (median of "
                f"{self.matches}): left and right seem to be exchanged"
            )
        return ""


@dataclass
class EpipolarCheck:
    """Measures the epipolar error on the first pairs, until it knows enough.

    Attributes:
        error: of all matches so far; None as long as there are too few.
        done: no further pair is wanted.
    """

    error: EpipolarError | None = None
    done: bool = False
    _pairs: int = 0
    _offsets: list[np.ndarray] = field(default_factory=list)

    def add(self, pair: StereoPair, scale: float = 1.0) -> None:
        """Take in a pair.

        Args:
            pair: rectified, or meant to be.
            scale: pixels of the camera's image to a pixel of the pair's.
        """
        self._pairs += 1
        self._offsets.append(_offsets(pair.left, pair.right) * scale)
        offsets = np.concatenate(self._offsets)
        self.done = len(offsets) >= _MATCHES or self._pairs >= _PAIRS
        if self.done and len(offsets) >= _MATCHES // 3:
            right, down = np.median(offsets[:, 0]), np.median(np.abs(offsets[:, 1]))
            self.error = EpipolarError(float(down), float(right), len(offsets))


def _offsets(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return (N, 2): how much further left and further down N features are in the right image, pixels."""
    scale = 1.0
    views = []
    for picture in (left, right):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        scale = 1.0
        while grey.shape[1] > _WIDEST:
            grey, scale = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 2 * scale
        views.append(grey)
    sift: Any = cv2.SIFT_create(nfeatures=600)  # type: ignore[attr-defined]  # OpenCV's own types lack it
    (points, words), (others, other_words) = (sift.detectAndCompute(view, None) for view in views)
    if words is None or other_words is None or len(points) < 2 or len(others) < 2:
        return np.empty((0, 2))
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    back = {m.queryIdx: m.trainIdx for m in matcher.match(other_words, words)}
    found = [
        (points[best.queryIdx].pt, others[best.trainIdx].pt)
        for best, second in matcher.knnMatch(words, other_words, k=2)
        if best.distance < 0.8 * second.distance and back[best.trainIdx] == best.queryIdx
    ]
    if not found:
        return np.empty((0, 2))
    here, there = (np.array(side) for side in zip(*found))
    offsets = np.stack([here[:, 0] - there[:, 0], there[:, 1] - here[:, 1]], axis=1)
    # Repetition in a street's houses makes a few wrong matches, most of them far off.
    height, width = views[0].shape
    near = (np.abs(offsets[:, 1]) < 0.1 * height) & (np.abs(offsets[:, 0]) < 0.4 * width)
    return offsets[near] * scale
