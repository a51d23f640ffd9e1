# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Bags: what is written is read back, any known layout becomes ROS stereo, broken ones are refused in words."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rendered_drive import BASELINE, CX, CY, FX, HEIGHT, WIDTH, write_objects
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from sicm_ros.bags import PRESETS, Bag, BagWriter, from_kitti, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.bags.frames import EPOCH
from sicm_ros.bags.recording import BagSource
from sicm_ros.bags.types import typestore
from sicm_ros.cli import main
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.kitti import KittiObjects

PAIRS = 3


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return write_objects(tmp_path_factory.mktemp("drive") / "objects", PAIRS)


@pytest.mark.parametrize(
    ("name", "storage", "compress"),
    [("a.mcap", None, None), ("a.db3", None, None), ("folder", "sqlite3", "jpeg"), ("folder", "mcap", "png")],
)
def test_a_drive_comes_back_from_its_bag(drive, tmp_path, name, storage, compress):
    out = tmp_path / name
    assert from_kitti(drive, out, storage=storage, compress=compress, progress=False) == PAIRS
    assert out.is_dir() == (name == "folder")
    frames = KittiObjects(drive)
    with open_stereo(out) as source:
        assert (source.layout, source.count, source.compressed) == ("stereo", PAIRS, compress is not None)
        pairs = list(source.pairs())
    assert [p.stamp - pairs[0].stamp for p in pairs] == [0, 100_000_000, 200_000_000]
    for pair, frame in zip(pairs, frames):
        for side in ("left", "right"):
            difference = getattr(pair, side).astype(int) - getattr(frame, side)
            assert np.abs(difference).mean() <= (2 if compress == "jpeg" else 0)
        assert pair.calibration == frame.calibration
        assert pair.labels.names == ["Car"]
        np.testing.assert_allclose(pair.labels.location, frame.labels.location)
        np.testing.assert_allclose(pair.labels.dimensions, frame.labels.dimensions)
        np.testing.assert_allclose(pair.labels.rotation_y, frame.labels.rotation_y)


def test_raw_drives_and_odometry_keep_their_times(drive, tmp_path):
    """The same images in KITTI's two other layouts."""
    raw = tmp_path / "2011_09_26"
    sequence = tmp_path / "sequences/04"
    for number, camera in (("2", "image_02"), ("3", "image_03")):
        shutil.copytree(drive / f"image_{number}", raw / "2011_09_26_drive_0001_sync" / camera / "data")
        shutil.copytree(drive / f"image_{number}", sequence / f"image_{number}")
        times = "".join(f"2011-09-26 13:02:25.{i + 1}00000000\n" for i in range(PAIRS))
        (raw / "2011_09_26_drive_0001_sync" / camera / "timestamps.txt").write_text(times)
    calibration = (drive / "calib/000000.txt").read_text()
    cameras = calibration.replace("P2:", "P_rect_02:").replace("P3:", "P_rect_03:").replace("R0_rect", "R_rect_00")
    (raw / "calib_cam_to_cam.txt").write_text(cameras)
    (sequence / "calib.txt").write_text(calibration)
    (sequence / "times.txt").write_text("".join(f"{0.105 * i:e}\n" for i in range(PAIRS)))
    for source, first, step in ((raw, 1317042145_100000000, 100_000_000), (sequence, EPOCH, 105_000_000)):
        out = tmp_path / f"{source.name}.mcap"
        assert from_kitti(source, out, progress=False) == PAIRS
        with open_stereo(out) as bag:
            pairs = list(bag.pairs())
        assert [p.stamp for p in pairs] == [first + i * step for i in range(PAIRS)]
        assert pairs[0].calibration.baseline == pytest.approx(BASELINE)
        assert pairs[0].labels is None
        np.testing.assert_array_equal(pairs[1].right, KittiObjects(drive)[1].right)


def test_camera_info_is_conformant_to_ros_stereo(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with Bag(tmp_path / "a.mcap") as bag:
        left, right = (bag.decode(next(bag.messages([f"/{s}/camera_info"]))) for s in ("left", "right"))
    assert list(left.p) == [FX, 0, CX, 0, 0, FX, CY, 0, 0, 0, 1, 0]
    assert list(right.p) == [FX, 0, CX, -FX * BASELINE, 0, FX, CY, 0, 0, 0, 1, 0]
    for info in (left, right):
        assert list(info.k) == [FX, 0, CX, 0, FX, CY, 0, 0, 1]
        assert list(info.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
        assert (info.width, info.height, list(info.d)) == (WIDTH, HEIGHT, [0] * 5)
    assert left.header.stamp == right.header.stamp
    assert (left.header.frame_id, right.header.frame_id) == ("stereo_left_optical", "stereo_right_optical")


def test_tf_puts_the_right_camera_a_baseline_along_x(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with Bag(tmp_path / "a.mcap") as bag:
        transforms = bag.decode(next(bag.messages(["/tf_static"]))).transforms
    tree = {t.child_frame_id: (t.header.frame_id, t.transform) for t in transforms}
    parent, transform = tree["stereo_right_optical"]
    assert parent == "stereo_left_optical"
    assert (transform.translation.x, transform.translation.y, transform.translation.z) == (BASELINE, 0, 0)
    parent, transform = tree["stereo_left_optical"]
    q = transform.rotation
    # The optical z axis, in the body's frame, is its x axis: forward.
    forward = [2 * (q.x * q.z + q.w * q.y), 2 * (q.y * q.z - q.w * q.x), 1 - 2 * (q.x**2 + q.y**2)]
    assert parent == "stereo_link"
    np.testing.assert_allclose(forward, [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_folder_is_what_ros2_bag_records(drive, tmp_path, storage):
    import yaml

    from_kitti(drive, tmp_path / "bag", storage=storage, progress=False)
    about = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert about["storage_identifier"] == storage
    assert [(tmp_path / "bag" / name).exists() for name in about["relative_file_paths"]] == [True]
    counts = {t["topic_metadata"]["name"]: t["message_count"] for t in about["topics_with_message_count"]}
    assert counts["/left/image_rect_color"] == counts["/right/camera_info"] == counts["/labels"] == PAIRS
    assert about["message_count"] == sum(counts.values())
    with Reader(tmp_path / "bag") as reader:
        latched = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert latched["/tf_static"] == "TRANSIENT_LOCAL"
    assert latched["/left/image_rect_color"] == "VOLATILE"


def test_disparity_offset_travels_beside_camera_info(tmp_path):
    drive = write_objects(tmp_path / "objects", 1)
    calib = drive / "calib/000000.txt"
    calib.write_text(calib.read_text().replace("disparity_offset: 0", "disparity_offset: 0.25"))
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with open_stereo(tmp_path / "a.mcap") as source:
        assert source.disparity_offset == 0.25
        assert next(source.pairs()).calibration.disparity_offset == 0.25


def _kitti_info(side: str, stamp: int, p3: float):
    """camera_info as KITTI bags have it: of the raw image, projections relative to camera 0."""
    calibration = StereoCalibration(721.5377, 721.5377, 609.5593, 172.854, 0.53, 1242, 375)
    info = ros.camera_info(calibration, side, stamp, f"camera_{side}")
    info.d = np.array([-0.37, 0.2, 0.001, 0.002, -0.07])
    info.k = np.array([959.8, 0, 696.0, 0, 956.9, 224.2, 0, 0, 1])
    info.p[3] = p3
    return info


def _write_layout(path, preset, skew=4_000_000):
    """A bag as the family of a preset writes it: each camera stamped apart."""
    left = np.zeros((375, 1242, 3), np.uint8)
    with BagWriter(path) as bag:
        for index in range(2):
            for side, topic, p3 in (("left", preset.left, 44.85728), ("right", preset.right, -339.5242)):
                stamp = 10**18 + index * 10**8 + (skew if side == "right" else 0)
                picture = ros.image(left + index, stamp, f"camera_{side}")
                bag.write(topic, picture.__msgtype__, stamp, ros.serialize(picture))
                if preset.camera_info:
                    info = _kitti_info(side, stamp, p3)
                    bag.write(
                        topic.rsplit("/", 1)[0] + "/camera_info", info.__msgtype__, stamp + 10, ros.serialize(info)
                    )


@pytest.mark.parametrize("name", [n for n, p in PRESETS.items() if p.disparity_offset])
def test_bags_of_kitti_become_conformant_stereo(tmp_path, name):
    _write_layout(tmp_path / "a.mcap", PRESETS[name])
    with open_stereo(tmp_path / "a.mcap") as source:
        assert source.layout == name
        pairs = list(source.pairs())
        infos = [ros.deserialize(m.data, m.type) for m in source.messages() if m.topic.endswith("camera_info")]
        topics = {m.topic for m in source.messages()}
    assert topics == {
        "left/image_rect_color",
        "right/image_rect_color",
        "left/camera_info",
        "right/camera_info",
        "disparity_offset",
    }
    assert len(pairs) == 2
    calibration = pairs[0].calibration
    assert calibration.baseline == pytest.approx(0.5327, abs=1e-4)  # not the 0.471 m of the ROS habit
    assert calibration.disparity_offset == pytest.approx(0.52)
    assert calibration.fx == pytest.approx(721.5377)
    assert all(list(info.d) == [0] * 5 and info.k[0] == pytest.approx(721.5377) for info in infos)
    assert infos[0].header.frame_id == "camera_left"


def test_the_original_kitti2bag_wrote_ros1_bags(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    picture = np.arange(375 * 1242 * 3, dtype=np.uint8)
    with Ros1Writer(tmp_path / "kitti.bag") as bag:
        for side, p3 in (("left", 44.85728), ("right", -339.5242)):
            time = store.types["builtin_interfaces/msg/Time"](sec=1317042145, nanosec=5)
            header = store.types["std_msgs/msg/Header"](seq=0, stamp=time, frame_id=f"camera_{side}")
            image = store.types["sensor_msgs/msg/Image"](header, 375, 1242, "bgr8", 0, 3726, picture)
            new = _kitti_info(side, 0, p3)
            roi = store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            info = store.types["sensor_msgs/msg/CameraInfo"](
                header, 375, 1242, "plumb_bob", D=new.d, K=new.k, R=new.r, P=new.p, binning_x=0, binning_y=0, roi=roi
            )
            for name, message in (("image_raw", image), ("camera_info", info)):
                connection = bag.add_connection(
                    f"/kitti/camera_color_{side}/{name}", message.__msgtype__, typestore=store
                )
                bag.write(connection, 10**18, store.serialize_ros1(message, message.__msgtype__))
    with open_stereo(tmp_path / "kitti.bag") as source:
        assert source.layout == "kitti2bag"
        (pair,) = source.pairs()
    assert pair.stamp == 1317042145_000000005
    assert pair.calibration.baseline == pytest.approx(0.5327, abs=1e-4)
    np.testing.assert_array_equal(pair.left, picture.reshape(375, 1242, 3)[..., ::-1])


def test_a_pair_of_topics_of_no_known_layout_is_found_by_name(tmp_path):
    preset = PRESETS["stereo"]
    _write_layout(tmp_path / "a.mcap", preset.__class__("x", "", "/zed/left/rgb", "/zed/right/rgb"))
    with open_stereo(tmp_path / "a.mcap") as source:
        assert source.layout == "auto"
        assert source.cameras.rectification is not None  # camera_info has distortion, the names say nothing of "rect"
        assert next(source.pairs()).calibration.disparity_offset == 0


def test_pictures_before_their_camera_info_wait_for_it(tmp_path):
    c = StereoCalibration(FX, FX, CX, CY, BASELINE, WIDTH, HEIGHT)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with BagWriter(tmp_path / "a.mcap") as bag:
        for side in ("left", "right"):
            for index in range(2):
                stamp = index * 10**8
                image = ros.image(picture, stamp, side)
                bag.write(f"/{side}/image_rect_color", image.__msgtype__, stamp, ros.serialize(image))
                info = ros.camera_info(c, side, stamp, side)
                bag.write(f"/{side}/camera_info", info.__msgtype__, stamp + 5_000, ros.serialize(info))
    with open_stereo(tmp_path / "a.mcap") as source:
        assert [p.stamp for p in source.pairs()] == [0, 10**8]


def test_what_was_latched_before_the_start_still_comes(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with open_stereo(tmp_path / "a.mcap") as source:
        topics = [m.topic for m in source.messages(start=0.15)]
        assert topics[:2] == ["/tf_static", "disparity_offset"]
        assert topics.count("left/image_rect_color") == 1


def test_only_one_camera_is_refused_with_what_there_is(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with Bag(tmp_path / "a.mcap") as bag, BagWriter(tmp_path / "left.mcap") as out:
        for m in bag.messages([t for t in bag.topics if "right" not in t]):
            out.write(m.topic, m.type, m.stamp, m.data)
    with pytest.raises(InputError, match=r"only one camera.*left/image_rect_color.*it holds .*/labels"):
        open_stereo(tmp_path / "left.mcap")


def test_a_topic_that_is_not_there_is_named_beside_those_that_are(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with pytest.raises(InputError, match=r"left camera on /front/l.*it holds .*/left/image_rect_color \(sensor_msgs"):
        open_stereo(tmp_path / "a.mcap", left="/front/l", right="/front/r")
    with pytest.raises(InputError, match="kitti2bag"):
        open_stereo(tmp_path / "a.mcap", preset="waymo")


def test_a_bag_without_camera_info_says_where_it_should_be(drive, tmp_path):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    with Bag(tmp_path / "a.mcap") as bag, BagWriter(tmp_path / "bare.mcap") as out:
        for m in bag.messages([t for t in bag.topics if "info" not in t]):
            out.write(m.topic, m.type, m.stamp, m.data)
    with pytest.raises(InputError, match="should be on /left/camera_info"):
        open_stereo(tmp_path / "bare.mcap")


def test_missing_and_foreign_files_are_no_bags(tmp_path):
    with pytest.raises(InputError, match="no such bag"):
        open_stereo(tmp_path / "nothing.mcap")
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(InputError, match="not a bag"):
        Bag(tmp_path / "note.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"metadata\.yaml"):
        Bag(tmp_path / "empty")


@pytest.fixture(scope="module")
def whole(drive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for name in ("a.mcap", "a.db3"):
        from_kitti(drive, folder / name, compress="jpeg", progress=False)
    return {name: (folder / name).read_bytes() for name in ("a.mcap", "a.db3")}


@given(
    share=st.floats(0, 0.999),
    flips=st.lists(st.integers(0, 10**9), max_size=4),
    name=st.sampled_from(["a.mcap", "a.db3"]),
)
@example(share=0.0, flips=[20130900], name="a.mcap")  # a length of exabytes
@settings(max_examples=25, deadline=None)
def test_a_broken_bag_is_read_or_refused_but_never_worse(whole, tmp_path_factory, share, flips, name):
    data = bytearray(whole[name] if flips else whole[name][: int(share * len(whole[name]))])
    for flip in flips:
        data[flip % len(data)] ^= 1 << flip % 8
    path = tmp_path_factory.mktemp("broken") / name
    path.write_bytes(data)
    with suppress(InputError), open_stereo(path) as source:
        assert len(list(source.pairs())) <= PAIRS


def test_nothing_is_left_of_a_bag_that_could_not_be_written(tmp_path):
    def write() -> None:
        with BagWriter(tmp_path / "a.mcap") as bag:
            bag.write("/a", "std_msgs/msg/Float64", 0, ros.serialize(ros.number(1.0)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_kept_unless_told(drive, tmp_path):
    (tmp_path / "a.mcap").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        from_kitti(drive, tmp_path / "a.mcap", progress=False)
    assert (tmp_path / "a.mcap").read_text() == "precious"
    from_kitti(drive, tmp_path / "a.mcap", overwrite=True, limit=1, progress=False)
    with open_stereo(tmp_path / "a.mcap") as source:
        assert source.count == 1


def test_the_command_line_makes_a_bag_and_says_what_is_in_it(drive, tmp_path, capsys):
    assert main(["data", "bag", str(drive), "--out", str(tmp_path / "a.mcap"), "--compressed", "png"]) == 0
    assert main(["info", str(tmp_path / "a.mcap")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 stereo pairs" in said
    assert "baseline 0.5400 m" in said
    assert "/left/image_rect_color/compressed" in said
    assert main(["info", str(tmp_path / "nothing.mcap")]) == 2
    assert "no such bag" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "vision_msgs/msg/Detection3DArray",
        "sicm_ros/msg/CompressedStereoFeatures",
        "sicm_ros/msg/CodecDescription",
        "visualization_msgs/msg/MarkerArray",
        "diagnostic_msgs/msg/DiagnosticArray",
    ],
)
def test_types_in_bags_have_the_hashes_of_the_installed_ones(name):
    package, _, short = name.split("/")
    places = [Path(p) / f"share/{package}/msg/{short}.json" for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":")]
    known = [place for place in places if place.is_file()]
    if not known:
        pytest.skip(f"{package} is not installed with its type descriptions")
    hashes = {t["type_name"]: t["hash_string"] for t in json.loads(known[0].read_text())["type_hashes"]}
    assert typestore().hash_rihs01(name) == hashes[name]


def test_calibrations_that_no_rectified_pair_can_have_are_refused():
    c = StereoCalibration(FX, FX, CX, CY, BASELINE, WIDTH, HEIGHT)

    def infos():
        return (ros.camera_info(c, side, 0, side) for side in ("left", "right"))

    left, right = infos()
    right.p[3] = 0
    with pytest.raises(CalibrationError, match="baseline of 0"):
        stereo_calibration(left, right)
    left, right = infos()
    left.p[2] = np.nan
    with pytest.raises(CalibrationError, match="nan"):
        stereo_calibration(left, right)
    left, right = infos()
    right.width = 100
    with pytest.raises(CalibrationError, match="100 x"):
        stereo_calibration(left, right)
    left, right = infos()
    right.d = np.array([0.1])
    with pytest.raises(CalibrationError, match="right/camera_info: distortion"):
        stereo_calibration(left, right)
    left, right = infos()
    right.p[2] += 2.5  # principal points apart: disparities are measured that much too small
    assert stereo_calibration(left, right).disparity_offset == pytest.approx(2.5)


def test_a_source_closes_its_bag_when_it_is_refused(drive, tmp_path, monkeypatch):
    from_kitti(drive, tmp_path / "a.mcap", progress=False)
    closed = []
    monkeypatch.setattr(Bag, "close", lambda self: closed.append(self))
    with pytest.raises(InputError):
        BagSource(tmp_path / "a.mcap", preset="kitti2bag")
    assert len(closed) == 1
