"""KITTI in, KITTI's own figures out: readers of its layouts, its label format, and its official evaluation."""

from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration, read_calibration
from sicm_ros.kitti.frames import StereoFrame
from sicm_ros.kitti.labels import Labels, from_detections, read_labels, write_detections, write_labels
from sicm_ros.kitti.objects import KittiObjects

__all__ = [
    "KittiCalibration",
    "KittiObjects",
    "Labels",
    "StereoFrame",
    "from_detections",
    "parse_calibration",
    "read_calibration",
    "read_labels",
    "write_detections",
    "write_labels",
]
