# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cameras as they publish, over real DDS: a preset finds them in any namespace; videos are joined at a key frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sicm_ros.bags import serialization as ros
from sicm_ros.geometry import StereoCalibration

pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")
pytest.importorskip("av", reason="PyAV is not installed: pip install 'sicm_ros[video]'")
ffmpeg = pytest.importorskip("ffmpeg_image_transport_msgs.msg", reason="not built: make ws/built_for_tests")
foxglove = pytest.importorskip("foxglove_msgs.msg", reason="not built: make ws/built_for_tests")

from test_video import encode  # noqa: E402, which needs PyAV

WIDTH, HEIGHT, COUNT, PERIOD = 200, 80, 8, 4
RIG = StereoCalibration(150.0, 150.0, 101.5, 30.25, 0.5, WIDTH, HEIGHT)
START, STEP = 1_700_000_000 * 10**9, 10**8
ZED = ("/robot/zed_node/left/color/rect/image", "/robot/zed_node/right/color/rect/image")
PLAIN = ("/plain/left/image_rect_color", "/plain/right/image_rect_color")


def views(side: int) -> list[np.ndarray]:
    wall = np.random.default_rng(0).integers(0, 256, (10, 25, 3), np.uint8)
    wall = cv2.resize(wall, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return [np.roll(wall, 2 * index - 6 * side, axis=1) for index in range(COUNT)]


def packet(transport: str, data: bytes, index: int) -> Any:
    """A message of a video, of either kind."""
    stamp = START + index * STEP
    if transport == "ffmpeg":
        message = ffmpeg.FFMPEGPacket(width=WIDTH, height=HEIGHT, encoding="libx264", pts=index)
        message.header.frame_id = "cam"
        time = message.header.stamp
    else:
        message = foxglove.CompressedVideo(frame_id="cam", format="h264")
        time = message.timestamp
    time.sec, time.nanosec = divmod(stamp, 10**9)
    message.data.frombytes(data)
    return message


@pytest.mark.parametrize(
    ("transport", "topics", "preset"), [("ffmpeg", ZED, "zed"), ("foxglove", PLAIN, "")], ids=["ffmpeg", "foxglove"]
)
def test_a_video_is_joined_at_its_next_key_frame(
    peer, start_node, sure_model: Path, transport: str, topics: tuple[str, str], preset: str
):
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo
    from sicm_ros.msg import CompressedStereoFeatures

    from sicm_ros.nodes import qos

    kind = ffmpeg.FFMPEGPacket if transport == "ffmpeg" else foxglove.CompressedVideo
    how = {"model": sure_model, "threads": 1, "transport": transport, "reliable_images": True}
    remap = {} if preset else {f"{side}/image_rect_color": topic for side, topic in zip(("left", "right"), topics)}
    node = start_node("encoder", remap=remap, **how, **({"preset": preset} if preset else {}))
    if preset:
        node.wait_for(f"preset {preset}: no images on */left/color/rect/image", 120)  # the camera comes later
    images = [peer.publisher(kind, f"{topic}/{transport}") for topic in topics]
    infos = [peer.publisher(CameraInfo, f"{topic.rpartition('/')[0]}/camera_info") for topic in topics]
    heard = peer.listen(CompressedStereoFeatures, "/features", qos.features())
    peer.wait(lambda: all(p.get_subscription_count() for p in (*images, *infos)), 120, "the encoder's subscriptions")
    for publisher, side in zip(infos, ("left", "right")):
        data = ros.serialize(ros.camera_info(RIG, side, START, "cam"))
        publisher.publish(deserialize_message(data, CameraInfo))
    videos = [encode(views(side), "h264", PERIOD) for side in range(2)]
    for index in range(1, COUNT):  # the stream was joined after its first key frame
        for publisher, video in zip(images, videos):
            number, data = video[index]
            assert number == index
            publisher.publish(packet(transport, data, index))
        if index >= PERIOD:
            stamp = START + index * STEP
            peer.wait(lambda stamp=stamp: heard and ros.stamp_of(heard[-1]) == stamp, 60, f"features of {index}")
        elif index == 1:
            node.wait_for("waiting for a key frame of the h264 stream")
    assert [ros.stamp_of(message) for message in heard] == [START + i * STEP for i in range(PERIOD, COUNT)]
    assert {message.header.frame_id for message in heard} == {"cam"}


def test_a_preset_that_no_live_camera_has_is_one_line(start_node):
    node = start_node("encoder", preset="ros2_kitti_publishers")
    node.process.wait(120)
    assert node.process.returncode == 2
    assert "play them by `replay`, or give a calibration_file" in node.output
