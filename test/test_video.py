# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Videos in messages: read in order, from a key frame on, with their stamps; what is lost is never smeared over."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from raw_cameras import START, STEP, lens, rows, street, through, write

from sicm_ros.bags import open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.video import FFMPEG_PACKET, FOXGLOVE_VIDEO, VideoError, VideoStream, codec_of
from sicm_ros.errors import DependencyError, InputError
from sicm_ros.geometry import ImagePair

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'sicm_ros[video]'")

ENCODERS = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h264_late": ("libx264", {"preset": "fast", "bf": "2", "x264-params": "scenecut=0"}),
    "h265": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1"}),
}
av.logging.set_level(av.logging.PANIC)


def scene(count: int) -> list[ImagePair]:
    """A street that moves by two pixels from image to image, so that none is like another."""
    (pair,) = street(1)
    c = pair.calibration
    return [ImagePair(np.roll(pair.left, 2 * i, 1), np.roll(pair.right, 2 * i, 1), c) for i in range(count)]


def encode(views: list[np.ndarray], kind: str, period: int = 6) -> list[tuple[int, bytes]]:
    """Number of the image and bytes of the packets, in the order in which an encoder gives them."""
    name, options = ENCODERS[kind]
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = views[0].shape[1], views[0].shape[0]
    encoder.pix_fmt, encoder.time_base, encoder.gop_size = "yuv420p", Fraction(1, 10), period
    encoder.options = options
    packets = []
    for index, view in enumerate(views):
        frame = av.VideoFrame.from_ndarray(view, format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [(packet.pts, bytes(packet)) for packet in packets]


@pytest.fixture(scope="module")
def packets() -> dict[str, list[tuple[int, bytes]]]:
    """Codec -> (number of the image, bytes) of twelve images of the left camera."""
    views = [pair.left for pair in scene(12)]
    return {kind: encode(views, kind) for kind in ENCODERS}


def message(kind: str, number: int, data: bytes) -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(stamp=number), format=kind.partition("_")[0], data=data)


def read(stream: VideoStream, kind: str, some: list[tuple[int, bytes]]) -> tuple[dict[int, float], list[str]]:
    """Number of each image that comes -> how far it is from the one that was sent; and what was refused, why."""
    sent, seen, refused = scene(12), {}, []

    def note(pictures: list) -> None:
        for picture in pictures:
            apart = picture.rgb().astype(int) - sent[picture.header.stamp].left
            seen[picture.header.stamp] = float(np.abs(apart).mean())

    for number, data in some:
        try:
            note(stream.take(message(kind, number, data)))
        except VideoError as error:
            refused.append(error.cause)
    note(stream.flush())
    return seen, refused


@pytest.mark.parametrize("kind", ENCODERS)
def test_all_pictures_come_in_order_with_their_stamps(packets: dict, kind: str):
    stream = VideoStream("/left")
    seen, refused = read(stream, kind, packets[kind])
    assert list(seen) == list(range(12))
    assert not refused
    assert max(seen.values()) < 8
    assert stream.delay == (2 if kind == "h264_late" else 0)


@pytest.mark.parametrize("kind", ENCODERS)
def test_who_joins_late_waits_for_a_key_frame(packets: dict, kind: str):
    stream = VideoStream("/left")
    with pytest.raises(VideoError, match=r"/left: waiting for a key frame of the h26?[45]|av1 stream"):
        stream.take(message(kind, *packets[kind][1]))
    seen, refused = read(stream, kind, packets[kind][2:])
    assert list(seen) == list(range(6, 12))
    assert set(refused) == {"key_frame"}
    assert max(seen.values()) < 8


@pytest.mark.parametrize("lost", [1, 3, 4])
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_lost_message_costs_pictures_but_smears_none(packets: dict, kind: str, lost: int):
    some = [packet for index, packet in enumerate(packets[kind]) if index != lost]
    seen, _ = read(VideoStream("/left"), kind, some)
    assert set(range(6, 12)) <= set(seen)
    assert max(seen.values()) < 8


def test_a_message_that_is_broken_is_refused_and_the_next_key_frame_taken(packets: dict):
    some = list(packets["h264"])
    some[2] = (2, some[2][1][:20] + bytes(40))
    some[3] = (3, b"")
    seen, refused = read(VideoStream("/left"), "h264", some)
    assert refused
    assert set(range(6, 12)) <= set(seen)


def test_parameters_that_come_once_by_themselves_are_kept(packets: dict):
    """Some encoders send SPS and PPS in a message of their own, before everything else."""
    first = packets["h264"][0][1]
    start = first.index(b"\x00\x00\x01\x65")
    some = [(0, first[: start - 1]), (0, first[start - 1 :]), *packets["h264"][1:]]
    seen, refused = read(VideoStream("/left"), "h264", some)
    assert list(seen) == list(range(12))
    assert refused == ["key_frame"]


def test_a_stream_begins_anew_in_another_codec(packets: dict):
    stream = VideoStream("/left")
    assert read(stream, "h264", packets["h264"][:3])[0].keys() == {0, 1, 2}
    assert list(read(stream, "h265", packets["h265"])[0]) == list(range(12))


@pytest.mark.parametrize(
    ("fields", "codec"),
    [
        ({"format": "h264"}, "h264"),
        ({"format": "hevc"}, "h265"),
        ({"format": "rgb8; jpeg compressed bgr8"}, None),
        ({"format": "png"}, None),
        ({"encoding": "libx264", "pts": 1}, "h264"),
        ({"encoding": "hevc_nvenc", "pts": 1}, "h265"),
        ({"encoding": "h264;yuv420p;bgr8;bgr8", "pts": 1}, "h264"),
        ({"encoding": "libsvtav1", "pts": 1}, "av1"),
        ({"format": "av1", "timestamp": 1}, "av1"),
    ],
)
def test_codecs_are_known_by_their_many_names(fields: dict, codec: str | None):
    assert codec_of(SimpleNamespace(**fields)) == codec


def test_other_codecs_are_named():
    with pytest.raises(InputError, match="video of codec 'vp9' is not supported; expected h264, h265 or av1"):
        codec_of(SimpleNamespace(format="vp9", timestamp=0))


def test_without_pyav_the_remedy_is_said(packets: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match=r"/left: video \(h264\) needs PyAV: pip install"):
        VideoStream("/left").take(message("h264", *packets["h264"][0]))


# ---------------------------------------------------------------------------------------------------------------------
# In bags


def compressed(kind: str, stamp: int, data: bytes) -> Any:
    made = ros.compressed_image(np.zeros((8, 8, 3), np.uint8), stamp, "camera", "png")
    made.format, made.data = kind, np.frombuffer(data, np.uint8)
    return made


def ffmpeg(kind: str, stamp: int, data: bytes) -> Any:
    return ros._new(
        FFMPEG_PACKET, header=ros.header(stamp, "camera"), width=620, height=186, encoding=f"{kind};yuv420p;bgr8;bgr8",
        pts=0, flags=0, is_bigendian=False, data=np.frombuffer(data, np.uint8),
    )  # fmt: skip


def foxglove(kind: str, stamp: int, data: bytes) -> Any:
    head = ros.header(stamp, "camera")
    data = np.frombuffer(data, np.uint8)
    return ros._new(FOXGLOVE_VIDEO, timestamp=head.stamp, frame_id="camera", data=data, format=kind)


def record(path: Path, left: str, right: str, make, kind: str, raw: bool = False) -> Path:
    """A bag of the moving street in video."""
    pairs = scene(12)
    lenses = [lens(pairs[0].calibration, side) for side in (0, 1)]
    still = [row for row in rows(left, right, pairs=pairs, raw="plumb_bob" if raw else "") if row[0].endswith("info")]
    made = []
    for side, topic in enumerate((left, right)):
        views = [(pair.left, pair.right)[side] for pair in pairs]
        if raw:
            views = [through(view, lenses[side]) for view in views]
        for index, (number, data) in enumerate(encode(views, kind)):
            stamp = START + number * STEP
            made.append((topic, START + index * STEP, make(kind.partition("_")[0], stamp, data)))
    return write(path, sorted([*still, *made], key=lambda row: row[1]))


@pytest.mark.parametrize(
    ("topics", "make", "kind", "layout", "raw"),
    [
        ("/f_stereo_camera/{}/image_compressed", compressed, "h264", "isaac", True),
        ("/{}/image_rect_color/ffmpeg", ffmpeg, "h265", "stereo", False),
        ("/a/{}/image_rect_color/ffmpeg", ffmpeg, "h264_late", "stereo_color", False),
        ("/{}/video", foxglove, "av1", "auto", False),
    ],
)
def test_videos_in_bags_are_pairs(tmp_path: Path, topics: str, make, kind: str, layout: str, raw: bool):
    path = record(tmp_path / "a.mcap", topics.format("left"), topics.format("right"), make, kind, raw)
    with open_stereo(path) as source:
        assert (source.layout, source.compressed) == (layout, False)
        pairs = list(source.pairs())
    assert [pair.stamp for pair in pairs] == [START + i * STEP for i in range(12)]
    inner = np.s_[30:-30, 60:-60]
    for pair, sent in zip(pairs, scene(12)):
        assert np.abs(pair.left[inner].astype(int) - sent.left[inner]).mean() < 12
        assert np.abs(pair.right[inner].astype(int) - sent.right[inner]).mean() < 12
    if kind == "h264_late":
        assert any("2 messages late" in remark for remark in source.remarks)
    # From the middle on: what is before the start, back to a key frame, is decoded and not shown.
    with open_stereo(path) as source:
        some = [pair.stamp for pair in source.pairs(start=0.85)]
    assert some == [START + i * STEP for i in range(7 if kind == "h264_late" else 9, 12)]
    with open_stereo(path) as source:
        kinds = {m.type for m in source.messages() if m.topic in source.topics}
    assert kinds == {"sensor_msgs/msg/Image"}


def test_a_bag_that_begins_between_two_key_frames_says_what_it_lacks(tmp_path: Path):
    path = record(tmp_path / "a.mcap", "/left/image_rect_color", "/right/image_rect_color", compressed, "h264")
    from sicm_ros.bags import Bag

    with Bag(path) as bag:
        late = [(m.topic, m.stamp, bag.decode(m)) for m in bag.messages() if m.stamp >= START + 2 * STEP]
    with open_stereo(write(tmp_path / "late.mcap", late)) as source:
        pairs = list(source.pairs())
        remarks = " ".join(source.remarks)
    assert [pair.stamp for pair in pairs] == [START + i * STEP for i in range(6, 12)]
    assert "8 messages contained no image" in remarks
    assert "waiting for a key frame" in remarks


# ---------------------------------------------------------------------------------------------------------------------
# In a node


class Tally:
    """What the encoder counts by."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.tally = SimpleNamespace(timed=lambda name: nullcontext())

    def refuse(self, cause: str, text: str) -> None:
        self.refused.append(cause)


@pytest.mark.parametrize("transport", ["ffmpeg", "foxglove"])
def test_a_node_takes_messages_of_packages_that_may_not_be_installed(
    packets: dict, transport: str, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    from sicm_ros.nodes.intake import VIDEO, Intake

    package, _, name = VIDEO[transport].split("/")
    monkeypatch.setitem(sys.modules, f"{package}.msg", None)
    with pytest.raises(InputError, match=f"{package} is not installed: apt install"):
        Intake(transport, Tally())
    monkeypatch.setitem(sys.modules, package, SimpleNamespace())
    monkeypatch.setitem(sys.modules, f"{package}.msg", SimpleNamespace(**{name: SimpleNamespace}))
    health = Tally()
    intake = Intake(transport, health)
    assert intake.topic("/front/left/image_raw") == f"/front/left/image_raw/{transport}"
    seen = []
    for number, data in packets["h264"][2:]:
        if transport == "ffmpeg":
            header = Header(stamp=Time(sec=number), frame_id="front")
            sent = SimpleNamespace(header=header, encoding="libx264", pts=number, data=data)
        else:
            sent = SimpleNamespace(timestamp=Time(sec=number), frame_id="front", format="h264", data=data)
        seen += intake.pictures("/front", sent)
    assert [picture.header.stamp.sec for picture in seen] == list(range(6, 12))
    assert all(isinstance(picture.header, Header) and picture.header.frame_id == "front" for picture in seen)
    assert health.refused == ["key_frame"] * 4
    assert intake.delay == 0
