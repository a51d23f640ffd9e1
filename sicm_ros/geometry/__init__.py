"""Calibration, boxes and the view that the network sees: pure geometry, NumPy only."""

from sicm_ros.geometry.boxes import LIKELY, Detections
from sicm_ros.geometry.calibration import StereoCalibration
from sicm_ros.geometry.view import ModelView

__all__ = ["LIKELY", "Detections", "ModelView", "StereoCalibration"]
