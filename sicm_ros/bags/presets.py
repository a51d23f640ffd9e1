# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where stereo bags in the wild keep their pictures, and what has to be mended in their calibration."""

from __future__ import annotations

from dataclasses import dataclass

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
