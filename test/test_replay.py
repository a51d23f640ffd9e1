# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""replay_node: a drive over DDS, from a process of its own."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest
from rendered_drive import BASELINE, FX, HEIGHT, WIDTH, write_objects

from sicm_ros.bags import from_kitti
from sicm_ros.kitti import KittiObjects

PAIRS = 5


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return write_objects(tmp_path_factory.mktemp("drive") / "objects", PAIRS)


@pytest.fixture(scope="module")
def bag(drive, tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    from_kitti(drive, path, progress=False)
    return path


def _stamps(messages) -> list[int]:
    return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]


@pytest.mark.parametrize("kind", ["bag", "folder"])
def test_a_drive_is_published_whole_and_in_order(peer, start_node, drive, bag, kind):
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import CameraInfo, Image
    from std_msgs.msg import Float64
    from vision_msgs.msg import Detection3DArray

    from sicm_ros.nodes.qos import latched

    infos = peer.listen(CameraInfo, "right/camera_info")
    labels = peer.listen(Detection3DArray, "labels")
    clock = peer.listen(Clock, "/clock", 1000)
    offset = peer.listen(Float64, "disparity_offset", latched())
    left, right = (peer.listen(Image, f"{side}/image_rect_color") for side in ("left", "right"))  # what it waits for
    node = start_node("replay", path=bag if kind == "bag" else drive, wait_for_subscribers=20.0)
    peer.wait(lambda: len(left) == len(right) == PAIRS, what="all pictures")
    assert node.process.wait(15) == 0
    stamps = _stamps(left)
    assert stamps == _stamps(right)
    assert np.diff(stamps).tolist() == [100_000_000] * (PAIRS - 1)
    frames = KittiObjects(drive)
    for message, frame in zip(left, frames):
        assert (message.width, message.height, message.encoding) == (WIDTH, HEIGHT, "rgb8")
        assert bytes(message.data) == frame.left.tobytes()
    peer.wait(lambda: offset, what="the disparity offset")
    peer.wait(lambda: len(infos) == PAIRS, what="calibrations")
    peer.wait(lambda: len(labels) == PAIRS, what="labels")
    assert infos[0].p[3] == pytest.approx(-FX * BASELINE)
    assert labels[0].detections[0].results[0].hypothesis.class_id == "Car"
    times = [c.clock.sec * 10**9 + c.clock.nanosec for c in clock]
    assert times == sorted(times)
    assert times[-1] == stamps[-1]
    assert len(times) > 10


def test_the_next_pair_waits_for_the_answer(peer, start_node, bag):
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection3DArray

    answers = peer.publisher(Detection3DArray, "detections")
    seen: list[tuple[float, int]] = []

    def answer(message: Image) -> None:
        seen.append((time.monotonic(), message.header.stamp.nanosec))
        time.sleep(0.25)  # longer than the 0.1 s between two pairs
        answers.publish(Detection3DArray(header=message.header))

    peer.node.create_subscription(Image, "left/image_rect_color", answer, 10)
    peer.listen(Image, "right/image_rect_color")
    node = start_node("replay", path=bag, wait_for_subscribers=20.0, acknowledge="detections", rate=10.0)
    peer.wait(lambda: len(seen) == PAIRS, what="all pairs")
    assert node.process.wait(15) == 0
    gaps = np.diff([moment for moment, _ in seen])
    assert gaps.min() >= 0.24
    assert f"played {PAIRS} stereo pairs, 0 of them unanswered" in node.output


def test_answers_that_never_come_are_counted_and_do_not_stall(peer, start_node, bag):
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection3DArray

    peer.publisher(Detection3DArray, "detections")
    left = peer.listen(Image, "left/image_rect_color")
    peer.listen(Image, "right/image_rect_color")
    node = start_node("replay", path=bag, wait_for_subscribers=20.0, acknowledge="detections", acknowledge_timeout=0.05)
    assert node.process.wait(20) == 2
    assert len(left) == PAIRS
    assert f"{PAIRS} of them unanswered: nothing came on detections" in node.output
    assert "Traceback" not in node.output


def test_a_loop_goes_on_until_sigterm(peer, start_node, bag):
    from sensor_msgs.msg import CameraInfo, Image

    left = peer.listen(Image, "left/image_rect_color", 100)
    infos = peer.listen(CameraInfo, "left/camera_info", 100)
    node = start_node("replay", path=bag, loop=True, rate=10.0, start=0.2)
    peer.wait(lambda: len(left) > 2 * PAIRS, what="a second round")
    assert min(_stamps(infos)) == min(_stamps(left))
    assert {s % 10**9 for s in _stamps(left)} == {200_000_000, 300_000_000, 400_000_000}
    assert node.end(signal.SIGTERM) == 0


def test_it_ends_at_ctrl_c_while_it_waits_for_subscribers(start_node, bag):
    node = start_node("replay", path=bag, wait_for_subscribers=60.0)
    node.wait_for("stereo pairs")
    assert node.end(signal.SIGINT) == 0


def test_nobody_listening_is_said(start_node, bag):
    node = start_node("replay", path=bag, wait_for_subscribers=0.3)
    assert node.process.wait(20) == 2
    assert "nobody subscribes to left/image_rect_color" in node.output


def test_what_cannot_be_played_is_said_in_one_line(start_node, bag):
    node = start_node("replay", path=bag, left_topic="/a", right_topic="/b")
    assert node.process.wait(20) == 2
    assert "no images of the left camera on /a; it holds /" in node.output
    assert "Traceback" not in node.output


def test_a_bag_that_breaks_off_plays_to_there_and_says_so(peer, start_node, bag, tmp_path):
    data = bytearray(bag.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200_000] = bytes(200_000)
    broken = tmp_path / "broken.mcap"
    broken.write_bytes(data)
    node = start_node("replay", path=broken, rate=10.0)
    assert node.process.wait(20) in (0, 2)  # zeros may fall into an image's pixels, which nobody can tell
    assert "Traceback" not in node.output


def test_each_start_of_an_encoder_is_followed_from_its_first_pair_on(peer, start_node, bag, sure_model):
    """The decoder stays, the encoder begins anew, and the same recording is played again."""
    how = {"model": sure_model, "threads": 1}
    decoder = start_node("decoder", **how)
    decoder.wait_for("is loaded and warm", 120)
    for _ in range(2):
        encoder = start_node("encoder", reliable_images=True, **how)
        encoder.wait_for("is loaded and warm", 120)
        play = {"acknowledge": "/detections", "acknowledge_timeout": 60.0, "wait_for_subscribers": 60.0}
        replay = start_node("replay", path=bag, clock=False, **play)
        replay.wait_for("0 of them unanswered", 120)
        encoder.end()
