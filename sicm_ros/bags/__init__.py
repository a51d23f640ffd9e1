"""Bags of stereo pictures, read and written without ROS."""

from sicm_ros.bags.bag import Bag, BagMessage, BagWriter
from sicm_ros.bags.kitti import from_kitti
from sicm_ros.bags.presets import PRESETS
from sicm_ros.bags.stereo import StereoPair, StereoSource, open_stereo

__all__ = ["PRESETS", "Bag", "BagMessage", "BagWriter", "StereoPair", "StereoSource", "from_kitti", "open_stereo"]
