# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where stereo bags in the wild keep their pictures, and what has to be mended in their calibration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry
from sicm_ros.geometry import StereoCalibration

DISPARITY_OFFSET = 0.52  # pixels at 1242 of width: KITTI's labels against its pictures (docs/kitti.md)

# KITTI's rectified colour rigs by picture size, from the calibration files of their days; for bags without camera_info.
KITTI_RIGS = {
    (c.width, c.height): c
    for c in (
        StereoCalibration(721.5377, 721.5377, 609.5593, 172.854, 0.53273, 1242, 375),  # 2011_09_26
        StereoCalibration(718.856, 718.856, 607.1928, 185.2157, 0.53233, 1241, 376),  # 2011_10_03
        StereoCalibration(707.0912, 707.0912, 601.8873, 183.1104, 0.53791, 1226, 370),  # 2011_09_30
    )
}


@dataclass(frozen=True)
class Preset:
    """The layout of a family of bags.

    Attributes:
        name: what the user types.
        about: who writes such bags.
        left, right: image topics (those with /compressed behind them are found too).
        camera_info: whether the image topics have their sibling `camera_info`, as in ROS; otherwise the rig is one of
            KITTI_RIGS, by the size of the pictures.
        rectified: the pictures are rectified although camera_info still describes the raw ones (distortion, a rotation,
            projections relative to camera 0): replace it by that of the rectified pair.
        disparity_offset: pixels that the rig's disparities lack, at 1242 pixels of width (see StereoCalibration).
    """

    name: str
    about: str
    left: str
    right: str
    camera_info: bool = True
    rectified: bool = False
    disparity_offset: float = 0.0


def _kitti(name: str, about: str, left: str, right: str, camera_info: bool = True) -> Preset:
    return Preset(name, about, left, right, camera_info, True, DISPARITY_OFFSET)


_SHIPPED = {
    preset.name: preset
    for preset in (
        Preset(
            "stereo",
            "ROS stereo (image_pipeline, and `sicm data bag`)",
            "/left/image_rect_color",
            "/right/image_rect_color",
        ),
        Preset("stereo_raw", "ROS stereo drivers of rectified cameras", "/left/image_raw", "/right/image_raw"),
        _kitti(
            "kitti2bag",
            "tomas789/kitti2bag and its ROS 2 forks, raw drives",
            "/kitti/camera_color_left/image_raw",
            "/kitti/camera_color_right/image_raw",
        ),
        _kitti(
            "kitti2mcap",
            "lucas-yyy000/kitti2mcap and kitti2bag, odometry sequences",
            "/kitti/camera_color_left/image_rect",
            "/kitti/camera_color_right/image_rect",
        ),
        _kitti(
            "kitti_to_ros2bag",
            "Chris7462/kitti_to_ros2bag",
            "/kitti/camera/color/left/image_raw",
            "/kitti/camera/color/right/image_raw",
        ),
        _kitti(
            "ros2_kitti_publishers",
            "umtclskn/ros2_kitti_publishers, which has no camera_info",
            "/kitti/image/color/left",
            "/kitti/image/color/right",
            camera_info=False,
        ),
    )
}
PRESETS: Registry[Preset] = Registry("sicm_ros.presets", _SHIPPED, Preset)
IMAGES = {"sensor_msgs/msg/Image": "", "sensor_msgs/msg/CompressedImage": "/compressed"}


def image_topics(topics: dict) -> dict[str, list[str]]:
    """Image topics of a bag by the name of their raw form, no slash before it: `a/image` has `/a/image/compressed`."""
    found: dict[str, list[str]] = {}
    for name, topic in topics.items():
        if topic.type in IMAGES and topic.count:
            found.setdefault(name.removesuffix("/compressed").lstrip("/"), []).append(name)
    return found


def choose(preset: str, topics: dict, path: object, left: str = "", right: str = "") -> tuple[Preset, str, str]:
    """The preset of a bag and its two image topics as recorded.

    Args:
        preset: a name of PRESETS, or `auto`: the first one whose pictures are there, else a pair of topics whose names
            differ by left and right alone.
        topics: of the bag, name to Topic.
        path: the bag's, for errors.
        left, right: image topics that overrule the preset's.

    Raises:
        InputError: an unknown preset, a topic that isn't there (and those that are), one camera alone, two candidates.
    """
    images = image_topics(topics)
    if preset != "auto" and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; expected auto, {', '.join(PRESETS)}")
    if bool(left) != bool(right):
        raise InputError(f"{path}: one topic of the pair was given ({left or right}); give both, left and right")
    if left:
        chosen = PRESETS["stereo"] if preset == "auto" else PRESETS[preset]
        chosen = replace(chosen, left=left, right=right)
    elif preset == "auto":
        known = [p for p in PRESETS.values() if _bare(p.left) in images and _bare(p.right) in images]
        chosen = known[0] if known else _guess(images, path, topics)
    else:
        chosen = PRESETS[preset]
    sides = []
    for side, name in (("left", chosen.left), ("right", chosen.right)):
        recorded = images.get(_bare(name.removesuffix("/compressed")))
        if not recorded:
            raise InputError(f"{path}: no images of the {side} camera on {name}; {listed(topics)}")
        sides.append(name if name in recorded else min(recorded, key=len))  # raw before compressed
    return chosen, sides[0], sides[1]


def listed(topics: dict) -> str:
    """The bag's topics in words, for errors."""
    if not topics:
        return "the bag has no topics"
    return "it holds " + ", ".join(f"{name} ({topic.type}, {topic.count})" for name, topic in sorted(topics.items()))


def _bare(topic: str) -> str:
    return topic.lstrip("/")


def _guess(images: Iterable[str], path: object, topics: dict) -> Preset:
    pairs = [(n, n.replace("left", "right")) for n in images if "left" in n and n.replace("left", "right") in images]
    if len(pairs) == 1:
        left, right = pairs[0]
        return Preset("auto", "found by its names", "/" + left, "/" + right)
    if pairs:
        raise InputError(f"{path}: several stereo pairs ({', '.join(left for left, _ in pairs)}); name the two topics")
    lonely = [n for n in images if "left" in n or "right" in n]
    if lonely:
        raise InputError(f"{path}: images of only one camera (/{lonely[0]}); a stereo pair is needed; {listed(topics)}")
    raise InputError(f"{path}: no stereo pair of image topics found; {listed(topics)}")
