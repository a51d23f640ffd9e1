# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Feature messages and the description of their stream: names, types, and what the description says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.pose import FramePose

# Names as the nodes have them: relative, so that a namespace moves them.
FEATURES, DESCRIPTION = "features", "codec_description"
FEATURES_TYPE, DESCRIPTION_TYPE = "sicm_ros/msg/CompressedStereoFeatures", "sicm_ros/msg/CodecDescription"
FEATURES_CONTENT, BOXES_CONTENT = 0, 1  # of CompressedStereoFeatures


def description_fields(about: dict[str, Any], version: int, frame: str, calibration: StereoCalibration) -> dict:
    """Return fields of CodecDescription, but for its header, the model's fingerprint and the camera's pose.

    Args:
        about: what `Model.describe` says.
        version: of the bitstream.
        frame: the left image's.
        calibration: of the rectified pair.
    """
    return {
        "model": about["name"],
        "format": version,
        "model_width": about["input_width"],
        "model_height": about["input_height"],
        "classes": about["classes"],
        "optical_frame": frame,
        **{name: value if name in ("width", "height") else float(value) for name, value in asdict(calibration).items()},
    }


def pose_fields(kinds: Any, base_frame: str, pose: FramePose) -> dict:
    """Return fields of CodecDescription that tell where the camera is.

    Args:
        kinds: classes of messages, `kinds.Pose` and so on.
        base_frame: the vehicle's body frame.
        pose: of the camera's optical frame in it.
    """
    position = kinds.Point(**dict(zip("xyz", pose.translation.tolist())))
    orientation = kinds.Quaternion(**dict(zip("xyzw", pose.quaternion.tolist())))
    return {"base_frame": base_frame, "optical_pose": kinds.Pose(position=position, orientation=orientation)}


def calibration_of(description: Any) -> StereoCalibration:
    """Return the rectified pair that a CodecDescription describes; CalibrationError where no pair can be like it."""
    return StereoCalibration(**{name: getattr(description, name) for name in StereoCalibration.__annotations__})
