# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Bags of features: what the nodes publish, byte for byte, beside everything else that a bag held."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import raw_cameras as cameras
from rendered_drive import write_objects
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import sicm_ros
from sicm_ros.archive import compress, expand
from sicm_ros.archive.expansion import Showing
from sicm_ros.archive.many import bags_in, plan
from sicm_ros.bags import Bag, BagWriter, from_kitti, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import TopicDefinition
from sicm_ros.cli import main
from sicm_ros.errors import InputError
from sicm_ros.geometry.rectification import AUTO

PAIRS = 3
OURS = {"/features", "/codec_description", "/detections", "/tracks", "/markers", "/points"}


@pytest.fixture(scope="module")
def model(sure_model: Path) -> Any:
    return sicm_ros.load(sure_model, threads=1)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of a few pairs."""
    place = tmp_path_factory.mktemp("drive")
    from_kitti(write_objects(place / "kitti", PAIRS), place / "drive.mcap")
    return place / "drive.mcap"


def contents(path: Path) -> list[tuple[str, str, int, bytes]]:
    with Bag(path) as bag:
        return [(m.topic, m.type, m.stamp, m.data) for m in bag.messages()]


def those_of(path: Path, topic: str) -> list[bytes]:
    return [data for name, _, _, data in contents(path) if name == topic]


def test_features_and_boxes_are_those_of_the_nodes(
    peer, start_node, drive: Path, sure_model: Path, model, tmp_path: Path
):
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import PointCloud2
    from sicm_ros.msg import CodecDescription, CompressedStereoFeatures
    from vision_msgs.msg import Detection3DArray
    from visualization_msgs.msg import MarkerArray

    from sicm_ros.nodes import qos
    from sicm_ros.nodes.tracking import SPEECH

    heard = {
        "/codec_description": (CodecDescription, peer.listen(CodecDescription, "/codec_description", qos.latched())),
        "/features": (CompressedStereoFeatures, peer.listen(CompressedStereoFeatures, "/features", qos.features())),
        "/detections": (Detection3DArray, peer.listen(Detection3DArray, "/detections", qos.results())),
        "/tracks": (SPEECH.TrackedObjects, peer.listen(SPEECH.TrackedObjects, "/tracks", qos.results())),
        "/markers": (MarkerArray, peer.listen(MarkerArray, "/markers", qos.results())),
        "/points": (PointCloud2, peer.listen(PointCloud2, "/points", qos.results())),
    }
    how = {"model": sure_model, "threads": 1}
    for node in (
        start_node("decoder", extrapolate=False, **how),
        start_node("encoder", reliable_images=True, quality=0.5, references="off", base_frame="stereo_link", **how),
    ):
        node.wait_for("is loaded and warm", 120)
    play = {"acknowledge": "/detections", "wait_for_subscribers": 60.0, "acknowledge_timeout": 60.0, "clock": False}
    replay = start_node("replay", path=drive, **play)
    replay.wait_for(f"played {PAIRS} stereo pairs, 0 of them unanswered", 120)
    for _, messages in heard.values():
        peer.wait(
            lambda messages=messages: len(messages) >= (1 if messages is heard["/codec_description"][1] else PAIRS)
        )

    compress(drive, tmp_path / "small.mcap", model, 0.5, base_frame="stereo_link")
    expand(tmp_path / "small.mcap", tmp_path / "seen.mcap", model)
    assert (
        heard["/codec_description"][1][-1].base_frame == "stereo_link"
    )  # /tf_static is heard, and where the camera is
    for topic, (kind, messages) in heard.items():
        written = [deserialize_message(data, kind) for data in those_of(tmp_path / "seen.mcap", topic)]
        if topic == "/codec_description" and len(messages) > 1:  # a first one went out before /tf_static was heard
            del messages[:-1]
            messages[0].header = written[0].header
        if topic == "/tracks":  # the node's session is by chance
            objects = [(a, b) for x, y in zip(written, messages) for a, b in zip(x.objects, y.objects, strict=True)]
            assert objects
            for ours, nodes in objects:
                ours.object_id.uuid[:8] = nodes.object_id.uuid[:8]
        assert written == messages, topic
    assert sum(len(message.detections) for message in heard["/detections"][1]) > 0
    assert all(len(message.data) > 1000 for message in heard["/points"][1])


def test_everything_else_is_kept_byte_for_byte(drive: Path, model, tmp_path: Path):
    """With the definition of a type that nobody here knows, and the qualities of service that were offered."""
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg("# a remark\nuint32 rpm\n", "our_robot/msg/Engine"))
    text, digest = (
        types.generate_msgdef("our_robot/msg/Engine", ros_version=2)[0],
        types.hash_rihs01("our_robot/msg/Engine"),
    )
    mixed = tmp_path / "mixed.mcap"
    with Bag(drive) as bag, BagWriter(mixed) as writer:
        latched = bag.definition("/tf_static", "tf2_msgs/msg/TFMessage").qos
        writer.announce("/engine", "our_robot/msg/Engine", TopicDefinition(text, digest, latched))
        for number, message in enumerate(bag.messages()):
            writer.write(message.topic, message.type, message.stamp, message.data)
            writer.write("/engine", "our_robot/msg/Engine", message.stamp, b"\0\1\0\0" + number.to_bytes(4, "little"))
    done = compress(mixed, tmp_path / "small.mcap", model)
    expand(tmp_path / "small.mcap", tmp_path / "seen.mcap", model)
    images = {"/left/image_rect_color", "/right/image_rect_color"}
    assert set(done.replaced) == images
    kept = sorted(message for message in contents(mixed) if message[0] not in images)
    assert len(kept) > PAIRS
    for name in ("small.mcap", "seen.mcap"):
        assert sorted(m for m in contents(tmp_path / name) if m[0] not in OURS) == kept
        with Bag(tmp_path / name) as bag:
            assert bag.definition("/engine", "our_robot/msg/Engine") == TopicDefinition(text, digest, latched)
            assert bag.definition("/codec_description", "sicm_ros/msg/CodecDescription").qos == latched
        head = (tmp_path / name).read_bytes()[:40]
        assert head.startswith(b"\x89MCAP0\r\n")
        assert b"ros2" in head  # the profile, by which `ros2 bag play` takes it
    assert (done.pairs, done.lost, done.images) == (
        PAIRS,
        {},
        sum(len(m[3]) for m in contents(mixed) if m[0] in images),
    )
    assert done.bytes_after == (tmp_path / "small.mcap").stat().st_size < done.bytes_before / 3


def test_every_message_decodes_alone(drive: Path, model, tmp_path: Path):
    compress(drive, tmp_path / "small.mcap", model)
    expand(tmp_path / "small.mcap", tmp_path / "seen.mcap", model, Showing(tracking=False))
    features, boxes = those_of(tmp_path / "small.mcap", "/features"), those_of(tmp_path / "seen.mcap", "/detections")
    order = list(range(PAIRS))
    random.Random(1).shuffle(order)
    for number in order:
        alone = tmp_path / f"{number}.mcap"
        with BagWriter(alone) as bag:
            bag.write("/features", "sicm_ros/msg/CompressedStereoFeatures", 1, features[number])
        expand(alone, tmp_path / f"{number}_seen.mcap", model, Showing(points=False, tracking=False))
        assert those_of(tmp_path / f"{number}_seen.mcap", "/detections") == [boxes[number]]
        for topic in ("/points", "/tracks"):
            assert not those_of(tmp_path / f"{number}_seen.mcap", topic)


def test_raw_cameras_are_drawn_straight_into_the_window_as_the_encoder_does(model, tmp_path: Path):
    pair = cameras.street(1)[0]
    lenses = [cameras.lens(pair.calibration, side) for side in range(2)]
    views = [cameras.through(view, lens) for view, lens in zip((pair.left, pair.right), lenses)]
    topics = ("/cam/left/image_raw", "/cam/right/image_raw")
    with BagWriter(tmp_path / "raw.mcap") as bag:
        for topic, view, lens in zip(topics, views, lenses):
            for name, message in (
                (topic.replace("image_raw", "camera_info"), cameras.info(lens, 1000)),
                (topic, ros.image(view, 1000, "eye")),
            ):
                bag.write(name, message.__msgtype__, cameras.START, ros.serialize(message))
    with open_stereo(tmp_path / "raw.mcap", rectify=AUTO) as source:
        rig = source.cameras
        assert rig.rectification is not None
    window = model.view(rig.calibration).calibration
    expected = model.encode(rig.rectification.apply(*views, window), quality=0.5)
    compress(tmp_path / "raw.mcap", tmp_path / "small.mcap", model, 0.5)
    (data,) = those_of(tmp_path / "small.mcap", "/features")
    message = ros.deserialize(data, "sicm_ros/msg/CompressedStereoFeatures")
    assert bytes(message.payload) == expected
    assert message.header.frame_id == "eye"


def test_where_the_camera_is_stands_in_the_description(drive: Path, model, tmp_path: Path):
    def described(**how: Any) -> Any:
        compress(drive, tmp_path / "small.mcap", model, overwrite=True, **how)
        (data,) = those_of(tmp_path / "small.mcap", "/codec_description")
        return ros.deserialize(data, "sicm_ros/msg/CodecDescription")

    assert described().base_frame == ""  # the bag knows no base_link
    assert described(base_frame="").base_frame == ""
    given = described(optical_pose="1 2 3 -0.5 0.5 -0.5 0.5")
    assert given.base_frame == "base_link"
    assert (given.optical_pose.position.y, given.optical_pose.orientation.x) == (2.0, -0.5)
    for how, says in (
        ({"optical_pose": "1 2"}, "expected seven"),
        ({"optical_pose": "0 0 0 0 0 0 1", "base_frame": ""}, "base_frame is empty"),
    ):
        with pytest.raises(InputError, match=says):
            described(**how)


def test_cameras_that_are_exchanged_are_noticed(model, tmp_path: Path):
    street = cameras.street(1)[0]
    with BagWriter(tmp_path / "exchanged.mcap") as bag:
        for side, view in (("left", street.right), ("right", street.left)):
            for name, message in (
                (f"/{side}/camera_info", ros.camera_info(street.calibration, side, 1000, "eye")),
                (f"/{side}/image_rect_color", ros.image(view, 1000, "eye")),
            ):
                bag.write(name, message.__msgtype__, cameras.START, ros.serialize(message))
    done = compress(tmp_path / "exchanged.mcap", tmp_path / "small.mcap", model)
    assert any("left and right seem to be exchanged" in remark for remark in done.remarks)


def test_what_is_broken_leaves_nothing_and_hurts_nothing(drive: Path, model, tmp_path: Path):
    out = tmp_path / "out" / "small.mcap"
    out.parent.mkdir()
    out.write_bytes(b"as it was")

    def stop(done: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(drive, out, model, overwrite=True, progress=stop)
    with pytest.raises(InputError, match="exists already"):
        compress(drive, out, model)
    assert out.read_bytes() == b"as it was"
    assert list(out.parent.iterdir()) == [out]
    compress(drive, out, model, overwrite=True)
    with pytest.raises(InputError, match="already: it has been compressed"):
        compress(out, tmp_path / "again.mcap", model)
    with pytest.raises(InputError, match="`sicm bag expand` decodes them"):
        open_stereo(out)
    with pytest.raises(InputError, match="no feature messages"):
        expand(drive, tmp_path / "again.mcap", model)
    expand(out, tmp_path / "seen.mcap", model)
    with pytest.raises(InputError, match="it has been expanded"):
        expand(tmp_path / "seen.mcap", tmp_path / "again.mcap", model)
    with pytest.raises(InputError, match=r"sicm data bag"):
        compress(write_objects(tmp_path / "kitti", 1), tmp_path / "again.mcap", model)
    assert not (tmp_path / "again.mcap").exists()


def test_a_message_that_cannot_be_decoded_is_counted_and_the_others_are_served(drive: Path, model, tmp_path: Path):
    compress(drive, tmp_path / "small.mcap", model)
    spoilt = tmp_path / "spoilt.mcap"
    with BagWriter(spoilt) as bag:
        for number, data in enumerate(those_of(tmp_path / "small.mcap", "/features")):
            bag.write(
                "/van/features", "sicm_ros/msg/CompressedStereoFeatures", number, data[:-3] if number == 1 else data
            )
    done = expand(spoilt, tmp_path / "seen.mcap", model)
    assert (done.messages, sum(done.lost.values())) == (PAIRS - 1, 1)
    assert len(those_of(tmp_path / "seen.mcap", "/van/detections")) == PAIRS - 1


@pytest.fixture
def bags(drive: Path, tmp_path: Path) -> Path:
    """A folder of two bags and one that is cut off."""
    place = tmp_path / "bags"
    (place / "monday").mkdir(parents=True)
    (place / "monday" / "a.mcap").write_bytes(drive.read_bytes())
    (place / "b.mcap").write_bytes(drive.read_bytes())
    (place / "cut.mcap").write_bytes(drive.read_bytes()[:5000])
    return place


@pytest.mark.timeout(600)  # Ray takes a minute or two to start where others are at work
@pytest.mark.parametrize("how", [["--workers", "2"], ["--ray", "local"]], ids=["processes", "ray"])
def test_many_bags_are_each_finished_or_untouched(
    bags: Path, sure_model: Path, tmp_path: Path, capfd, monkeypatch, how: list[str]
):
    if "--ray" in how:
        pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
        monkeypatch.setenv("RAY_raylet_start_wait_time_s", "600")  # a machine at work takes more than its minute
    out = tmp_path / "small"
    words = ["bag", "compress", str(bags), str(out), "--model", str(sure_model), "--threads", "1", *how]
    assert main([*words, "--json", str(tmp_path / "done.json")]) == 1
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == ["b.mcap", "monday/a.mcap"]
    assert not list(out.rglob(".*"))
    assert len(those_of(out / "b.mcap", "/features")) == PAIRS
    done = json.loads((tmp_path / "done.json").read_text())
    assert len(done["bags"]) == 2
    assert "cut.mcap" in done["failed"][0]
    if "--workers" in how:  # what is there already is left as it is
        (bags / "cut.mcap").unlink()
        assert main(words) == 0
        assert "2 bags were there already" in capfd.readouterr().out


def test_where_bags_go(bags: Path, tmp_path: Path):
    assert [path.name for path in bags_in(bags)] == ["b.mcap", "cut.mcap", "a.mcap"]
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    assert plan([bags], out)[-1] == (bags / "monday/a.mcap", out / "monday/a.mcap")
    assert plan([bags / "b.mcap"], out / "x.mcap") == [(bags / "b.mcap", out / "x.mcap")]
    assert plan([bags / "b.mcap"], bags / "monday") == [(bags / "b.mcap", bags / "monday/b.mcap")]
    for inputs, place, says in (
        ([bags / "b.mcap"], out, "ends in .mcap"),
        ([bags], out.with_suffix(".mcap"), "several bags"),
        ([bags], bags, "the bag itself"),
        ([bags / "b.mcap"], bags / "b.mcap", "the bag itself"),
        ([bags, bags / "monday" / "a.mcap", bags / "monday"], out, "would both become"),
        ([tmp_path / "nowhere"], out, "no such bag"),
        ([tmp_path / "empty"], out / "x.mcap", "no bags in it"),
    ):
        with pytest.raises(InputError, match=says):
            plan(inputs, place)


def test_the_command_says_what_was_lost(drive: Path, sure_model: Path, tmp_path: Path, capsys):
    small, seen = str(tmp_path / "small.mcap"), str(tmp_path / "seen.mcap")
    assert main(["bag", "compress", str(drive), small, "--model", str(sure_model)]) == 0
    told = capsys.readouterr().out
    assert "lost: the images of /left/image_rect_color, /right/image_rect_color" in told
    assert "8 hours of such driving" in told
    assert main(["bag", "expand", small, "--out", seen, "--model", str(sure_model), "--no-points"]) == 0
    assert f"{PAIRS} messages decoded" in capsys.readouterr().out
    assert main(["bag", "compress", str(drive)]) == 2
    assert "nothing says where to write" in capsys.readouterr().err
