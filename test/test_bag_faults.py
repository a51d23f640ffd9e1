# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Bags as people have them: mended with a word, counted, or refused in one line; never wrong in silence."""

from __future__ import annotations

import shutil
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.bags import Bag, BagWriter, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import Topic
from sicm_ros.bags.camera_info import camera_info_fields, check_sizes, stereo_calibration
from sicm_ros.bags.choosing import choose
from sicm_ros.bags.stamps import Stamps, frame_in, rate_of, stamp_in, with_stamp
from sicm_ros.bags.survey import survey
from sicm_ros.cli import main
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration

WIDTH, HEIGHT = 64, 48
RIG = StereoCalibration(500.0, 500.0, 31.5, 23.5, 0.4, WIDTH, HEIGHT)
LEFT, RIGHT = "/left/image_rect_color", "/right/image_rect_color"
EPOCH, STEP = 1_700_000_000 * 10**9, 10**8


def picture(index: int, side: str, stamp: int, format: str = ""):
    """An image that says which one it is: its red channel holds the index, its green one the side."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = (10 * index, 100 if side == "right" else 0, 0)
    return ros.compressed_image(pixels, stamp, f"{side}_eye", format) if format else ros.image(pixels, stamp, side)


def info(side: str, stamp: int, **changes):
    message = ros.camera_info(RIG, side, stamp, f"{side}_eye")
    for name, value in changes.items():
        setattr(message, name, np.array(value, np.float64) if name in ("d", "k", "r", "p") else value)
    return message


def record(path, rows, infos=None, topics=(LEFT, RIGHT), format=""):
    """Write a bag of images (side, index, header stamp, log time), and of camera_infos (log time, side, changes)."""
    messages = []
    named = dict(zip(("left", "right"), topics))
    for side, index, stamp, log in rows:
        suffix = "/compressed" if format else ""
        messages.append((log, named[side] + suffix, picture(index, side, stamp, format)))
    for log, side, changes in infos if infos is not None else [(rows[0][3], s, {}) for s in ("left", "right")]:
        messages.append((log, named[side].rsplit("/", 1)[0] + "/camera_info", info(side, log, **changes)))
    with BagWriter(path) as bag:
        for log, topic, message in sorted(messages, key=lambda m: m[0]):
            bag.write(topic, message.__msgtype__, log, ros.serialize(message))
    return path


def rows(count, step=STEP, apart=0, log_late=0, header=lambda i: None):
    """Pairs: header stamps `apart`, the right one logged `log_late`, nanoseconds; `header` overrules both stamps."""
    found = []
    for i in range(count):
        for side, late in (("left", 0), ("right", 1)):
            stamp = EPOCH + i * step + late * apart if header(i) is None else header(i)
            found.append((side, i, stamp, EPOCH + i * step + late * (apart + log_late)))
    return found


def indices(pairs):
    return [(int(p.left[0, 0, 0]) // 10, int(p.right[0, 0, 0]) // 10) for p in pairs]


def read(path, **options):
    with open_stereo(path, **options) as source:
        pairs = list(source.pairs())
        return pairs, source


# -- stamps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [rows(6, log_late=40_000_000), rows(6, step=33_333_333, log_late=40_000_000), rows(6, log_late=250_000_000)],
    ids=["10 Hz, 40 ms", "30 Hz, 40 ms", "10 Hz, 250 ms"],
)
def test_a_camera_that_is_logged_late_keeps_its_pairs(tmp_path, made):
    pairs, source = read(record(tmp_path / "a.mcap", made))
    assert indices(pairs) == [(i, i) for i in range(6)]
    assert not source.lost


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_lost_picture_shifts_no_pair_and_is_said(tmp_path, side, caplog):
    made = [row for row in rows(8, step=16_666_667) if row[:2] != (side, 1)]
    pairs, source = read(record(tmp_path / "a.mcap", made))
    assert indices(pairs) == [(i, i) for i in range(8) if i != 1]
    assert source.lost == {"unpaired": 1}
    assert "1 image has no partner" in caplog.text


@pytest.mark.parametrize("header", [0, -5 * 10**9, EPOCH], ids=["zero", "negative", "standing"])
def test_stamps_that_are_no_times_give_way_to_arrival(tmp_path, header):
    pairs, source = read(record(tmp_path / "a.mcap", rows(6, header=lambda i: header)))
    assert indices(pairs) == [(i, i) for i in range(6)]
    assert len({p.stamp for p in pairs[2:]}) == 4
    assert any("is not a valid time" in remark for remark in source.remarks)
    assert rate_of([p.stamp for p in pairs]) == pytest.approx(10, rel=0.01)


def test_a_recording_without_any_times_keeps_its_order(tmp_path):
    made = [(side, i, 0, EPOCH) for side, i, *_ in rows(6)]
    pairs, _ = read(record(tmp_path / "a.mcap", made))
    assert indices(pairs) == [(i, i) for i in range(6)]
    assert len({p.stamp for p in pairs}) == 6


def test_a_lonely_zero_stamp_costs_its_own_pair():
    stamps = Stamps(lambda text: None)
    assert [stamps.time("a", s, 99) for s in (5, 0, 7, 7)] == [5, 0, 7, 7]
    assert not stamps.unusable


def test_cameras_apart_pair_as_the_tolerance_says_and_the_error_names_it(tmp_path, capsys):
    path = record(tmp_path / "a.mcap", rows(5, apart=40_000_000))
    with pytest.raises(InputError, match=r"0\.040 s and more apart.*0\.03 s \(--pair-tolerance\)"):
        read(path)
    assert len(read(path, pair_tolerance=0.045)[0]) == 5
    assert main(["info", str(path)]) == 2
    assert "--pair-tolerance" in capsys.readouterr().err
    assert main(["info", str(path), "--pair-tolerance", "0.045"]) == 0
    assert "40.0 ms apart" in " ".join(capsys.readouterr().out.split())  # wherever a long path breaks the line


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1), st.sampled_from(["", "left", "vehicle/eye_ü"]))
def test_a_header_is_read_and_set_where_it_lies(seconds, nanoseconds, frame):
    stamp = seconds * 10**9 + nanoseconds
    message = ros.image(np.zeros((2, 2, 3), np.uint8), 7, frame)
    data = with_stamp(ros.serialize(message), stamp)
    assert (stamp_in(data), frame_in(data)) == (stamp, frame)
    assert ros.stamp_of(ros.deserialize(data, message.__msgtype__)) == stamp


@given(st.lists(st.integers(-(10**18), 10**18), max_size=20))
def test_a_rate_is_positive_whatever_the_stamps(stamps):
    assert 0 < rate_of(stamps) < float("inf")


# -- one bad item -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [b"", bytes(100), None], ids=["empty", "garbage", "cut"])
def test_one_broken_picture_is_counted_and_the_rest_is_read(tmp_path, broken, caplog):
    whole = record(tmp_path / "whole.mcap", rows(4), format="jpeg")
    with Bag(whole) as bag, BagWriter(tmp_path / "a.mcap") as out:
        for message in bag.messages():
            data = message.data
            if message.topic.startswith(RIGHT) and message.stamp == EPOCH + STEP:
                spoilt = ros.deserialize(data, message.type)
                spoilt.data = spoilt.data[:20] if broken is None else np.frombuffer(broken, np.uint8)
                data = ros.serialize(spoilt)
            out.write(message.topic, message.type, message.stamp, data)
    pairs, source = read(tmp_path / "a.mcap")
    assert indices(pairs) == [(0, 0), (2, 2), (3, 3)]
    assert source.lost == {"image": 1}
    assert f"left out: {RIGHT}/compressed" in caplog.text


def test_a_recording_of_which_nothing_can_be_read_is_refused(tmp_path):
    with BagWriter(tmp_path / "a.mcap") as out:
        for side, index, stamp, log in rows(3):
            message = picture(index, side, stamp)
            message.encoding = "magenta9"
            out.write(f"/{side}/image_rect_color", message.__msgtype__, log, ros.serialize(message))
            described = info(side, stamp)
            out.write(f"/{side}/camera_info", described.__msgtype__, log, ros.serialize(described))
    with pytest.raises(InputError, match="magenta9"):
        read(tmp_path / "a.mcap")


# -- calibration ------------------------------------------------------------------------------------------------------


def p(tx=0.0, fx=500.0, cy=23.5):
    return [fx, 0, 31.5, tx, 0, fx, cy, 0, 0, 0, 1, 0]


def calibrated(left=None, right=None, size=(WIDTH, HEIGHT), **options):
    """Calibration of two camera_infos with these changes, and what was said about it."""
    said: list[str] = []
    infos = [SimpleNamespace(**camera_info_fields(RIG, side)) for side in ("left", "right")]
    for message, changes in zip(infos, (left, right)):
        vars(message).update(changes or {})
    return stereo_calibration(*infos, size=size, remark=said.append, **options), " ".join(said)


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ({}, {"p": p(200)}, "wrong sign"),
        ({}, {"p": p(-200_000)}, "millimetres"),
        ({}, {"p": p(200_000)}, "millimetres"),
        ({}, {"p": p(-0.4)}, "focal length is missing"),
        ({"p": p(200)}, {"p": p(0)}, ""),
        ({"p": p(450)}, {"p": p(250)}, ""),  # relative to a third camera, as KITTI's
        ({"width": HEIGHT, "height": WIDTH}, {"width": HEIGHT, "height": WIDTH}, "exchanged"),
        ({"width": 0, "height": 0}, {"width": 0, "height": 0}, "no size"),
        ({"binning_x": 2, "binning_y": 2}, {"binning_x": 2, "binning_y": 2}, "the images are whole"),
        ({"d": []}, {"r": [0.0] * 9}, ""),
    ],
)
def test_what_is_clear_is_mended_with_a_word(left, right, words):
    calibration, said = calibrated(left, right)
    assert calibration == RIG
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ({"p": p(-200)}, {"p": p(-200)}, "both are the same"),
        ({"p": p(-200)}, {"p": p(0)}, "left and right are swapped"),
        ({}, {"p": p(0)}, r"baseline of 0\.000 m"),
        ({}, {"p": p(-0.001)}, "expected 0.003 to 10 m"),
        ({}, {"p": p(-1e9)}, "expected 0.003 to 10 m"),
        ({}, {"p": p(-200, cy=27)}, "rows of a rectified pair"),
        ({"r": [0.9962, 0, -0.0872, 0, 1, 0, 0.0872, 0, 0.9962]}, {}, r"r turns by 5\.00 degrees"),
        ({"r": [float("nan")] * 9}, {}, "r turns by"),
        ({}, {"p": p(-201, fx=502.5)}, "not rectified"),
        ({"width": 100, "height": 80}, {"width": 100, "height": 80}, "the images are 64 x 48"),
    ],
)
def test_what_is_not_clear_is_refused(left, right, words):
    with pytest.raises(CalibrationError, match=words):
        calibrated(left, right)


def test_what_is_refused_can_be_overruled():
    assert calibrated({"p": p(-200)}, {"p": p(-200)}, baseline=0.4)[0] == RIG
    turned = {"r": [0.9962, 0, -0.0872, 0, 1, 0, 0.0872, 0, 0.9962]}
    assert calibrated(turned, turned, assume_rectified=True)[0] == RIG


@given(
    across=st.integers(1, 3),
    down=st.integers(1, 3),
    left=st.integers(0, 10),
    top=st.integers(0, 10),
    whole=st.booleans(),
)
def test_binning_and_region_are_taken_as_image_geometry_takes_them(across, down, left, top, whole):
    """A point seen at a pixel of the whole sensor is seen at the pixel that it falls into."""
    width, height = (WIDTH, HEIGHT) if whole else (48, 36)
    left, top = (0, 0) if whole else (left, top)
    roi = SimpleNamespace(x_offset=left, y_offset=top, width=0 if whole else width, height=0 if whole else height)
    changes = {"binning_x": across, "binning_y": down, "roi": roi}
    seen = (width // across, height // down)
    c, _ = calibrated(changes, changes, size=None if seen == (WIDTH, HEIGHT) else seen)
    u, v = RIG.fx * 0.1 + RIG.cx, RIG.fy * 0.2 + RIG.cy
    assert (c.width, c.height) == seen
    assert c.fx * 0.1 + c.cx == pytest.approx((u - left) / across)
    assert c.fy * 0.2 + c.cy == pytest.approx((v - top) / down)
    assert c.baseline == pytest.approx(RIG.baseline)
    assert c.depth(RIG.disparity(5.0) / across) == pytest.approx(5.0)


@pytest.mark.parametrize("start", [0.0, 0.45])
@pytest.mark.parametrize("where", ["once at the start", "once at the end", "with each picture, behind it"])
def test_a_picture_has_its_camera_info_whenever_that_was_recorded(tmp_path, where, start):
    ends = {"once at the start": EPOCH, "once at the end": EPOCH + 10 * STEP}
    moments = [ends[where]] if where in ends else [EPOCH + i * STEP + 20_000_000 for i in range(8)]
    made = record(tmp_path / "a.mcap", rows(8), [(m, side, {}) for m in moments for side in ("left", "right")])
    with open_stereo(made) as source:
        pairs = list(source.pairs(start))
        played = [m for m in source.messages(start) if m.topic in (*source.topics, "left/camera_info")]
    assert len(pairs) == (8 if not start else 3)
    assert all(pair.calibration == RIG for pair in pairs)
    for before, after in pairwise(played):
        if after.topic == source.topics[0]:
            assert (before.topic, stamp_in(before.data)) == ("left/camera_info", stamp_in(after.data))


def test_a_calibration_that_changes_belongs_to_its_own_picture(tmp_path):
    """Each camera_info is written behind its image; the fourth one has another baseline."""
    made = rows(6)
    infos = [(log, side, {"p": p(-250.0)} if side == "right" and index >= 3 else {}) for side, index, _, log in made]
    path = record(tmp_path / "a.mcap", made, infos)
    assert [pair.calibration.baseline for pair in read(path)[0]] == [0.4] * 3 + [0.5] * 3


def test_image_procs_own_output_is_taken_as_rectified(tmp_path, caplog):
    distorted = {"d": [-0.2, 0.02, 0, 0, 0], "k": [48.0, 0, 30, 0, 48, 22, 0, 0, 1]}
    infos = [(EPOCH, side, distorted) for side in ("left", "right")]
    pairs, _ = read(record(tmp_path / "a.mcap", rows(3), infos))
    assert pairs[0].calibration == RIG
    assert "rectified by its name" in caplog.text
    raw = record(tmp_path / "raw.mcap", rows(3), infos, topics=("/left/image_raw", "/right/image_raw"))
    rectified, plain = read(raw)[0][0], read(raw, assume_rectified=True)[0][0]
    assert rectified.calibration == plain.calibration == RIG
    assert (plain.left == pairs[0].left).all()
    with open_stereo(raw) as source:
        assert source.rectifies


# -- containers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for name in ("a.mcap", "a.db3"):
        record(folder / name, rows(2))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("a.mcap", lambda data: b"", "empty, 0 bytes"),
        ("a.mcap", lambda data: data[: len(data) // 2], "its end is missing.*mcap recover a.mcap"),
        ("a.mcap", lambda data: data[:-8], "its end is missing"),
        ("a.mcap", lambda data: b"RIFF" + data[4:], "does not begin like one"),
        ("a.mcap", lambda data: data.replace(b"ros2", b"ros1", 1), "of ROS 1"),
        ("a.db3", lambda data: data[: len(data) * 6 // 10], "broken bag.*a.db3 .recover"),
        ("a.db3", lambda data: b"<html>" * 100, "does not begin like one"),
        ("a.db3.zstd", lambda data: data, "compressed as a whole.*unzstd a.db3.zstd"),
        ("a.bag", lambda data: b"#ROSBAG V2.0\nxxx", "rosbag reindex a.bag"),
        ("a.bag.active", lambda data: data, "has not ended"),
        ("a.mp4", lambda data: data, "neither a bag"),
    ],
)
def test_a_container_that_is_no_good_is_refused_in_one_line(tmp_path, whole, name, change, words, capsys):
    source = whole / ("a.db3" if ".db3" in name else "a.mcap")
    path = tmp_path / name
    path.write_bytes(change(source.read_bytes()))
    with pytest.raises(InputError, match=words) as refused:
        open_stereo(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert main(["info", str(path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_folder_whose_metadata_fail_is_read_or_says_which_file_is_missing(tmp_path):
    record(tmp_path / "bag", rows(2))
    about = (tmp_path / "bag" / "metadata.yaml").read_text()
    (tmp_path / "bag" / "metadata.yaml").write_text(about.replace("version: 8", "version: 99"))
    assert len(read(tmp_path / "bag")[0]) == 2
    (file,) = (tmp_path / "bag").glob("*.mcap")
    shutil.move(file, file.with_name("other.mcap"))
    with pytest.raises(InputError, match=rf"names {file.name}, which is not there"):
        open_stereo(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert len(read(tmp_path / "bag")[0]) == 2


def test_messages_compressed_one_by_one_need_no_metadata(tmp_path):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from sicm_ros.bags.types import typestore

    writer = Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        for side, index, stamp, log in rows(2):
            for topic, message in (
                (f"/{side}/camera_info", info(side, stamp)),
                (f"/{side}/image_rect_color", picture(index, side, stamp)),
            ):
                known = next((c for c in writer.connections if c.topic == topic), None)
                connection = known or writer.add_connection(topic, message.__msgtype__, typestore=typestore())
                writer.write(connection, log, ros.serialize(message))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert indices(read(tmp_path / "bag")[0]) == [(0, 0), (1, 1)]


# -- topics -----------------------------------------------------------------------------------------------------------


def topics(*names, counts=()):
    """Topics of images, of 3 messages each unless told otherwise."""
    kinds = {True: "sensor_msgs/msg/CompressedImage", False: "sensor_msgs/msg/Image"}
    counted = dict(counts)
    return {n: SimpleNamespace(type=kinds[n.endswith("compressed")], count=counted.get(n, 3)) for n in names}


def both(name: str) -> tuple[str, str]:
    return name, name.replace("left", "right").replace("infra1", "infra2").replace("cam0", "cam1")


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["/camera/camera/infra1/image_rect_raw"], "/camera/camera/infra1/image_rect_raw"),
        (["/cam0/image_raw"], "/cam0/image_raw"),
        (["/camera/left_ir/image_raw"], "/camera/left_ir/image_raw"),
        (["/s/left/image_raw", "/s/left/image_rect_color", "/s/left/image_rect_mono"], "/s/left/image_rect_color"),
        (
            ["/z/left/image_rect_color", "/z/left_gray/image_rect_gray", "/z/left_raw/image_raw_color"],
            "/z/left/image_rect_color",
        ),
    ],
)
def test_the_pair_of_one_camera_is_found(names, taken):
    choice = choose("auto", topics(*(n for name in names for n in both(name))), "a.mcap")
    assert (choice.left, choice.right) == both(taken)
    assert len(choice.others) == len(names) - 1


def test_kittis_grey_cameras_are_taken_where_there_are_no_coloured_ones():
    grey, colour = (both(f"/kitti/camera_{kind}_left/image_raw") for kind in ("gray", "color"))
    assert choose("auto", topics(*grey), "a.mcap").preset.rectified
    assert choose("auto", topics(*grey, *colour), "a.mcap").left == colour[0]


def test_of_several_cameras_the_error_names_the_arguments():
    with pytest.raises(
        InputError, match=r"--left /v1/left/rgb --right /v1/right/rgb; --left /v2/left/rgb --right /v2/"
    ):
        choose("auto", topics(*both("/v1/left/rgb"), *both("/v2/left/rgb")), "a.mcap")


def test_of_two_copies_the_fuller_one_is_taken_and_it_is_said():
    packed = tuple(f"{name}/compressed" for name in (LEFT, RIGHT))
    choice = choose("auto", topics(LEFT, RIGHT, *packed, counts={LEFT: 1, RIGHT: 1}.items()), "a.mcap")
    assert (choice.left, choice.right) == packed
    assert f"{LEFT} has 1" in choice.why
    assert choose("auto", topics(LEFT, RIGHT, *packed), "a.mcap").left == LEFT


def test_a_survey_tells_what_is_there_even_of_a_bag_without_a_pair(tmp_path, capsys):
    path = record(tmp_path / "a.mcap", rows(4), topics=("/front/one", "/rear/two"))
    found = survey(path)
    by = {topic.name: topic for topic in found.topics}
    assert by["/front/one"].rate == pytest.approx(10)
    assert by["/front/one"].holds == "rgb8, 64 x 48"
    assert "fx 500.0" in by["/rear/camera_info"].holds
    assert found.choice is None
    assert main(["info", str(path)]) == 2
    shown = capsys.readouterr()
    assert "/rear/two" in shown.out
    assert "--left and --right" in shown.err
    assert main(["info", str(path), "--left", "/front/one", "--right", "/rear/two"]) == 0
    assert "baseline 0.4000 m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("/Robot/Stereo/LEFT/Image_Rect", "/Robot/Stereo/RIGHT/Image_Rect"),
        ("/cameraLeft/image_rect", "/cameraRight/image_rect"),
        ("/Left/image_raw", "/Right/image_raw"),
        ("/cam_l/image_raw", "/cam_r/image_raw"),
        ("/CAM_L/image_rect", "/CAM_R/image_rect"),
        ("/cam1/image_raw", "/cam2/image_raw"),
        ("/camera_1/image", "/camera_2/image"),
    ],
)
def test_names_in_capitals_and_of_other_numbers_are_found(left, right):
    choice = choose("auto", topics(right, left), "a.mcap")
    assert (choice.left, choice.right) == (left, right)
    choice = choose("auto", topics(left, right), "a.mcap", right=right)
    assert (choice.left, choice.right) == (left, right)


def test_depths_that_are_packed_as_images_are_no_images():
    names = "/left/image_rect_color", "/right/image_rect_color"
    depths = {f"{name}/compressedDepth": Topic("sensor_msgs/msg/CompressedImage", 3) for name in names}
    assert choose("auto", topics(*names) | depths, "a.mcap").others == ()
    with pytest.raises(InputError, match="no stereo pair of image topics"):
        choose("auto", depths, "a.mcap")


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(InputError, match="an empty folder; expected a bag"):
        open_stereo(tmp_path)


def test_images_that_are_too_small_are_refused_as_in_the_node():
    with pytest.raises(InputError, match="64 x 20 pixels; at least 32"):
        check_sizes([(64, 20), (64, 20)], ("/left", "/right"))
    with pytest.raises(InputError, match="/left is 64 x 40 pixels, /right is 64 x 41"):
        check_sizes([(64, 40), (64, 41)], ("/left", "/right"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abcleftrigh01/_[]", min_size=1, max_size=20), max_size=6))
def test_no_set_of_topics_is_worse_than_refused(names):
    try:
        choice = choose("auto", topics(*names), "a.mcap")
    except InputError:
        return
    assert choice.left != choice.right
