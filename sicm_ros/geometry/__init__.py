# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Calibrated pairs, boxes, and the view that the network sees: pure geometry, no network and no ROS.

`pair`, `calibration`, `pose` and `view` describe cameras, `boxes` objects; `drawing` and `sgbm` use OpenCV.
"""

from sicm_ros.geometry.boxes import LIKELY, Detections
from sicm_ros.geometry.calibration import StereoCalibration
from sicm_ros.geometry.pair import ImagePair, StereoPair
from sicm_ros.geometry.view import ModelView

__all__ = ["LIKELY", "Detections", "ImagePair", "ModelView", "StereoCalibration", "StereoPair"]
