# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's layouts, calibrations and labels as they come: read right, or refused with file, line and expectation."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import project
from sicm_ros.kitti import (
    KittiObjects,
    KittiOdometry,
    KittiRaw,
    Labels,
    open_kitti,
    parse_calibration,
    read_labels,
    write_detections,
    write_labels,
)
from sicm_ros.kitti.labels import parse_labels
from sicm_ros.kitti.splits import SPLITS, drive_of, held_out_drives

SHARED = Path(os.environ.get("SICM_KITTI", Path(__file__).parents[2] / "shared" / "data" / "kitti"))
real_frames = pytest.mark.skipif(
    not (SHARED / "frames").is_dir(), reason="needs real KITTI frames, which aren't in the repository: set SICM_KITTI"
)

# The rig of 2011_09_26, rounded.
P2 = np.array([[721.54, 0, 609.56, 44.857], [0, 721.54, 172.854, 0.2164], [0, 0, 1, 0.002746]])
P3 = np.array([[721.54, 0, 609.56, -339.524], [0, 721.54, 172.854, 2.19994], [0, 0, 1, 0.00273]])
CALIBRATION = "".join(
    f"{name}: {' '.join(f'{v:.12e}' for v in matrix.ravel())}\n"
    for name, matrix in (("P0", P2), ("P1", P3), ("P2", P2), ("P3", P3), ("R0_rect", np.eye(3)))
)
LABEL = "Car 0.00 1 -1.64 558.68 177.10 623.15 236.02 1.61 1.66 3.20 -0.68 1.75 21.59 -1.68\n"
REGION = "DontCare -1 -1 -10 523.01 169.08 556.97 182.66 -1000 -1000 -1000 -10 -1 -1 -1\n"


def picture(path: Path, value: int = 0, size: tuple[int, int] = (64, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 0], image[..., 2] = 200, value  # blue, red
    cv2.imwrite(str(path), image)


def objects(root: Path, names: list[str], labelled: bool = True, suffix: str = ".png") -> Path:
    for i, name in enumerate(names):
        picture(root / "image_2" / f"{name}{suffix}", i)
        picture(root / "image_3" / f"{name}{suffix}", i + 100)
        for folder, text in (("calib", CALIBRATION), ("label_2", REGION + LABEL)):
            if folder == "calib" or labelled:
                (root / folder).mkdir(exist_ok=True)
                (root / folder / f"{name}.txt").write_text(text)
    return root


def archive(folder: Path, path: Path, top: str = "") -> None:
    with zipfile.ZipFile(path, "w") as out:
        for file in folder.rglob("*"):
            if file.is_file():
                out.write(file, top + str(file.relative_to(folder)))


# ---------------------------------------------------------------------------------------------------------------------
# Calibration


def test_calibration_is_the_rig_of_the_projections():
    rig = parse_calibration(CALIBRATION, "calib").stereo(1242, 375)
    assert (rig.fx, rig.fy, rig.cx, rig.cy) == pytest.approx((721.54, 721.54, 609.56, 172.854))
    assert rig.baseline == pytest.approx((44.857 + 339.524) / 721.54)
    assert rig.disparity_offset == pytest.approx(0.52)


def test_disparity_offset_scales_with_the_picture_holds_the_principal_points_and_can_be_stated():
    kitti = parse_calibration(CALIBRATION, "calib")
    assert kitti.stereo(621, 188).disparity_offset == pytest.approx(0.26)
    shifted = parse_calibration(CALIBRATION.replace("6.095600000000e+02 -3", "6.105600000000e+02 -3"), "calib")
    assert shifted.stereo(1242, 375).disparity_offset == pytest.approx(1.52)
    rendered = parse_calibration(CALIBRATION + "disparity_offset: 0.0\n", "calib")
    assert rendered.stereo(1242, 375).disparity_offset == 0


def test_boxes_in_the_left_cameras_frame_project_as_p2_projects_those_of_the_file():
    kitti = parse_calibration(CALIBRATION, "calib")
    points = np.array([[-3.0, 1.7, 8.0], [10.0, 0.5, 60.0], [0.0, 1.6, 20.0]])
    homogeneous = np.hstack([points, np.ones((3, 1))]) @ kitti.p2.T
    pixels = project(points + kitti.left_origin_shift, kitti.stereo(1242, 375))
    np.testing.assert_allclose(pixels, homogeneous[:, :2] / homogeneous[:, 2:], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CALIBRATION.replace("P3:", "P9:"), "no line 'P3:'"),
        (CALIBRATION.replace("P2: 7.2", "P2: x7.2"), "line 3: P2: could not convert"),
        (CALIBRATION.replace("P2: ", "P2: 1 "), "line 3: P2 has 13 numbers; expected 12"),
        (CALIBRATION.replace("P2: 7.215400000000e+02", "P2: nan"), "line 3: P2 has a number that is not finite"),
        (CALIBRATION.replace("P3: 7.215", "P3: 8.215"), "expected the same"),
        (CALIBRATION.replace("P2", "P4").replace("P3", "P2").replace("P4", "P3"), "exchanged"),
        (CALIBRATION.replace("P2: 7.2", "P2: -7.2"), "expected positive"),
    ],
)
def test_broken_calibration_names_file_line_and_expectation(text, message):
    with pytest.raises(CalibrationError, match=message) as caught:
        parse_calibration(text, "calib/000007.txt")
    assert "calib/000007.txt" in str(caught.value)


def test_spellings_of_the_tracking_and_odometry_sets_are_understood():
    velodyne = " ".join(str(v) for v in range(12))
    for key in ("Tr_velo_to_cam:", "Tr_velo_cam", "Tr:"):
        calibration = parse_calibration(CALIBRATION.replace("R0_rect:", "R_rect") + f"{key} {velodyne}\n", "calib")
        assert calibration.velo_to_cam[2, 3] == 11


# ---------------------------------------------------------------------------------------------------------------------
# Labels


def test_labels_keep_every_column_class_and_grade():
    labels = parse_labels(REGION + LABEL + LABEL.replace("Car 0.00 1", "Van 2 0"), "label")
    assert labels.names.tolist() == ["DontCare", "Car", "Van"]
    assert labels.truncated.tolist() == [-1, 0, 2]
    assert labels.occluded.tolist() == [-1, 1, 0]
    assert labels.has_box.tolist() == [False, True, True]
    assert labels.image_boxes[1].tolist() == [558.68, 177.10, 623.15, 236.02]
    assert labels.dimensions[1].tolist() == [1.61, 1.66, 3.20]
    assert labels.location[1].tolist() == [-0.68, 1.75, 21.59]
    assert (labels.alpha[1], labels.rotation_y[1]) == (-1.64, -1.68)
    assert len(parse_labels("\n \n", "label")) == 0


def test_labels_move_to_the_left_camera_and_back_while_regions_stay():
    labels = parse_labels(REGION + LABEL, "label")
    shift = parse_calibration(CALIBRATION, "calib").left_origin_shift
    moved = labels.moved(shift)
    assert moved.location[1] == pytest.approx(labels.location[1] + shift)
    assert 0.05 < shift[0] < 0.07
    assert moved.location[0].tolist() == [-10, -1, -1]
    np.testing.assert_allclose(moved.moved(-shift).location, labels.location, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "scored", "message"),
    [
        (LABEL + "Car 0 0\n", False, "line 2: 3 columns; expected 15"),
        (LABEL.replace("21.59", "far"), False, "line 1: could not convert string to float: 'far'"),
        (LABEL.replace("0.00 1", "0.00 0.5"), False, "line 1: occlusion is 0.5"),
        (LABEL.replace("21.59", "inf"), False, "line 1: a number is not finite"),
        (LABEL.strip() + " 0.9", False, "is this a file of detections"),
        (LABEL, True, "a detection needs its score"),
    ],
)
def test_broken_labels_name_file_line_and_expectation(text, scored, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_labels(text, "label_2/000007.txt", scored)
    assert "label_2/000007.txt" in str(caught.value)


@settings(max_examples=30, deadline=None)
@given(st.text("0159.-+e: \t\nCarP23naif", max_size=80))
def test_any_text_is_labels_or_an_input_error(text):
    for parse in (parse_labels, parse_calibration):
        with contextlib.suppress(InputError):
            parse(text, "file")


def test_detections_are_written_in_the_labels_axes_and_read_back(tmp_path):
    shift = parse_calibration(CALIBRATION, "calib").left_origin_shift
    found = Detections(
        classes=np.array([0, 2]),
        scores=np.array([0.91, 0.123456]),
        location=np.array([[3.0, 1.7, 3.0], [-5.0, 1.5, 40.0]]),
        dimensions=np.array([[1.5, 1.6, 3.9], [1.7, 0.6, 1.8]]),
        rotation_y=np.array([0.5, -3.0]),
        image_boxes=np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]]),
    )
    write_detections(tmp_path / "000000.txt", found, shift)
    read = read_labels(tmp_path / "000000.txt", scored=True)
    assert read.names.tolist() == ["Car", "Cyclist"]
    np.testing.assert_allclose(read.moved(shift).location, found.location, atol=1e-4)
    np.testing.assert_allclose(read.scores, found.scores)
    assert read.alpha[0] == pytest.approx(0.5 - np.pi / 4, abs=1e-4)  # seen 45 degrees to the right
    write_detections(tmp_path / "none.txt", Detections.empty(), shift)
    assert len(read_labels(tmp_path / "none.txt", scored=True)) == 0


def test_labels_are_written_and_read_back(tmp_path):
    labels = parse_labels(REGION + LABEL, "label")
    write_labels(tmp_path / "a.txt", labels)
    again = read_labels(tmp_path / "a.txt")
    for field in Labels.__dataclass_fields__:
        if field != "scores":
            np.testing.assert_array_equal(getattr(again, field), getattr(labels, field))


# ---------------------------------------------------------------------------------------------------------------------
# Object layout


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_object_folder_is_read_frame_by_frame(tmp_path, suffix):
    frames = open_kitti(objects(tmp_path, ["000000", "000001"], suffix=suffix))
    assert isinstance(frames, KittiObjects)
    assert [frame.name for frame in frames] == ["000000", "000001"]
    frame = frames[1]
    assert (frame.calibration.width, frame.calibration.height) == (64, 20)
    assert frame.left.shape == frame.right.shape == (20, 64, 3)
    assert abs(int(frame.left[0, 0, 2]) - 200) < 5  # RGB
    assert abs(int(frame.left[0, 0, 0]) - 1) < 5
    assert abs(int(frame.right[0, 0, 0]) - 101) < 5
    assert frame.labels.names.tolist() == ["DontCare", "Car"]
    assert frame.labels.location[1] == pytest.approx([-0.68, 1.75, 21.59] + frame.source.left_origin_shift)  # noqa: RUF005 (a sum)
    assert frame.disparity is None


def test_calibration_is_known_without_decoding_a_png(tmp_path, monkeypatch):
    frame = KittiObjects(objects(tmp_path, ["000000"]))[0]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert frame.calibration.width == 64


def test_disparity_pictures_are_256ths_of_a_pixel(tmp_path):
    objects(tmp_path, ["a", "b"])
    (tmp_path / "disparity").mkdir()
    cv2.imwrite(str(tmp_path / "disparity" / "a.png"), np.full((20, 64), 640, np.uint16))
    cv2.imwrite(str(tmp_path / "disparity" / "b.png"), np.full((20, 64), 2, np.uint8))
    a, b = KittiObjects(tmp_path)
    assert a.disparity.dtype == np.float32
    assert a.disparity[3, 3] == 2.5
    with pytest.raises(InputError, match="16-bit"):
        _ = b.disparity


def test_archives_are_read_as_they_are_and_in_other_processes(tmp_path):
    source = objects(tmp_path / "source", ["000000", "000001"])
    root = tmp_path / "kitti"
    root.mkdir()
    for part in ("image_2", "image_3", "calib", "label_2"):
        archive(source / part, root / f"data_object_{part}.zip", f"training/{part}/")
    frames = open_kitti(root)
    plain = KittiObjects(source)
    for a, b in zip(pickle.loads(pickle.dumps(frames)), plain):
        np.testing.assert_array_equal(a.right, b.right)
        np.testing.assert_array_equal(a.labels.location, b.labels.location)
    (root / "data_object_velodyne.zip").write_bytes(b"not a zip")
    with pytest.raises(InputError, match=r"data_object_velodyne\.zip cannot be read"):
        open_kitti(root)


def test_training_is_taken_where_testing_lies_beside_it(tmp_path):
    objects(tmp_path / "training", ["000000"])
    objects(tmp_path / "testing", ["000000", "000001"], labelled=False)
    assert [f.labelled for f in open_kitti(tmp_path)] == [True]
    assert [f.labelled for f in open_kitti(tmp_path, split="testing")] == [False, False]


def test_frames_are_chosen_by_name_index_file_and_label(tmp_path):
    objects(tmp_path, ["000000", "000001", "000002"])
    (tmp_path / "label_2" / "000001.txt").unlink()
    assert KittiObjects(tmp_path, names=["000002", "000000"]).names == ["000002", "000000"]
    assert KittiObjects(tmp_path, labelled=True).names == ["000000", "000002"]
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "val.txt").write_text("000002\n000001\n")
    assert KittiObjects(tmp_path, split="val").names == ["000002", "000001"]
    assert KittiObjects(tmp_path, split="val", labelled=True).names == ["000002"]
    own = tmp_path / "mine.txt"
    own.write_text("000001\n")
    assert KittiObjects(tmp_path, split=own).names == ["000001"]
    own.write_text("000009\n")
    with pytest.raises(InputError, match="no frame '000009'"):
        KittiObjects(tmp_path, split=own)
    with pytest.raises(InputError, match="no split 'dev'"):
        KittiObjects(tmp_path, split="dev")


def test_drives_are_never_divided_between_training_and_tests(tmp_path):
    names = [
        "2011_09_26_0056_0000000001",
        "2011_09_26_0011_0000000111",
        "2011_09_26_0101_0000000447",
        "odometry_000000",
    ]
    objects(tmp_path / "frames", names[:3])
    objects(tmp_path / "odometry", names[3:], labelled=False)
    (tmp_path / "frames" / "label_2" / "2011_09_26_0101_0000000447.txt").unlink()
    assert open_kitti(tmp_path, split="test").names == [names[0], names[2]]  # unlabelled frames of test drives too
    assert open_kitti(tmp_path, split="validation").names == [names[1]]
    assert open_kitti(tmp_path, split="train").names == [names[3]]
    assert open_kitti(tmp_path, split="2011_09_26_0011,2011_09_26_0101").names == names[1:3]


def test_what_is_missing_or_contradictory_is_named(tmp_path):
    def refused(change, message):
        root = objects(tmp_path / message.replace(" ", "_").replace("*", "")[:20], ["000000", "000001"])
        change(root)
        with pytest.raises(InputError, match=message):
            _ = [(frame.left, frame.right, frame.labels) for frame in open_kitti(root)]

    refused(lambda root: (root / "image_3" / "000001.png").unlink(), "frame '000001' has no image_3")
    refused(lambda root: (root / "calib" / "000001.txt").unlink(), "frame '000001' has no calib")
    refused(lambda root: (root / "image_2" / "000001.png").write_bytes(b""), "cannot be read as an image")
    refused(lambda root: picture(root / "image_3" / "000001.png", 0, (60, 20)), "60 x 20 pixels; expected 64 x 20")
    refused(lambda root: picture(root / "image_2" / "000001.jpg"), "same frame's")
    refused(lambda root: objects(root / "more", ["000001"]), "frame of the same name")
    refused(lambda root: (root / "label_2" / "000001.txt").write_bytes(b"\xff\xfe"), "not a text file")
    with pytest.raises(InputError, match="does not exist"):
        open_kitti(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="image_2"):
        open_kitti(tmp_path / "empty")


# ---------------------------------------------------------------------------------------------------------------------
# Raw drives and odometry sequences


def numbers(matrix: np.ndarray) -> str:
    return " ".join(f"{v:.6e}" for v in np.ravel(matrix))


def raw_drive(root: Path, drive: str = "0005", count: int = 3) -> Path:
    date = root / "2011_09_26"
    folder = date / f"2011_09_26_drive_{drive}_sync"
    for camera in ("image_02", "image_03"):
        for i in range(count):
            picture(folder / camera / "data" / f"{i:010d}.png", i)
        times = [f"2011-09-26 13:02:25.{964389445 + i}\n" for i in range(count)]
        (folder / camera / "timestamps.txt").write_text("".join(times))
    (date / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012 13:57:47\nS_02: 1.392e+03 5.12e+02\nR_rect_00: {numbers(np.eye(3))}\n"
        f"P_rect_02: {numbers(P2)}\nP_rect_03: {numbers(P3)}\n"
    )
    (date / "calib_velo_to_cam.txt").write_text(f"calib_time: x\nR: {numbers(np.eye(3))}\nT: 1 2 3\ndelta_f: 0 0\n")
    return folder


def test_raw_drive_is_read_from_its_set_its_date_itself_and_archives(tmp_path):
    drive = raw_drive(tmp_path / "raw")
    archives = tmp_path / "archives"
    archives.mkdir()
    archive(drive, archives / "drive.zip", f"2011_09_26/{drive.name}/")
    with zipfile.ZipFile(archives / "2011_09_26_calib.zip", "w") as out:
        for file in drive.parent.glob("*.txt"):
            out.write(file, f"2011_09_26/{file.name}")
    for root in (tmp_path / "raw", drive.parent, drive, archives):
        frames = open_kitti(root)
        assert isinstance(frames, KittiRaw)
        assert frames.names == [f"2011_09_26_0005_{i:010d}" for i in range(3)]
        assert frames[2].calibration.baseline == pytest.approx((44.857 + 339.524) / 721.54, rel=1e-5)
        assert frames[2].source.velo_to_cam[:, 3].tolist() == [1, 2, 3]
        assert frames[2].left.shape == frames[2].right.shape
        assert frames[2].labels is None
        assert frames[2].stamp - frames[0].stamp == 2
        assert frames[0].stamp == 1317042145_964389445
    assert open_kitti(tmp_path / "raw", split="train").names == frames.names


def test_raw_drive_with_something_missing_is_refused(tmp_path):
    def refused(name, change, message):
        drive = raw_drive(tmp_path / name)
        change(drive)
        with pytest.raises(InputError, match=message):
            _ = [frame.calibration for frame in open_kitti(tmp_path / name)]

    calibration = "calib_cam_to_cam.txt"
    refused("a", lambda d: (d / "image_03" / "data" / "0000000001.png").unlink(), "0000000001.png is missing")
    refused("b", lambda d: (d.parent / calibration).unlink(), "calib_cam_to_cam.txt is missing")
    refused("c", lambda d: (d.parent / calibration).write_text("P_rect_02: 1 2\n"), "line 1: expected 12 numbers")
    refused("d", lambda d: (d.parent / calibration).write_text("K_02: 1\n"), "no line 'P_rect_02:'")
    refused("e", lambda d: (d / "image_02" / "timestamps.txt").write_text("noon\n"), "line 1: 'noon'; expected a time")
    refused(
        "f",
        lambda d: (d / "image_02" / "timestamps.txt").write_text("2011-09-26 13:02:25\n"),
        "1 times; expected one for",
    )
    refused("g", lambda d: d.rename(d.with_name("2011_09_26_drive_0005_extract")), "not rectified")


def test_odometry_sequences_are_read_with_their_times(tmp_path):
    for sequence, count in (("00", 3), ("07", 1)):
        folder = tmp_path / "dataset" / "sequences" / sequence
        for i in range(count):
            picture(folder / "image_2" / f"{i:06d}.png", i)
            picture(folder / "image_3" / f"{i:06d}.png", i)
        (folder / "calib.txt").write_text(CALIBRATION)
        (folder / "times.txt").write_text("".join(f"{i * 0.1036:.6e}\n" for i in range(count)))
    frames = open_kitti(tmp_path)
    assert isinstance(frames, KittiOdometry)
    assert frames.names == ["00_000000", "00_000001", "00_000002", "07_000000"]
    assert frames[1].stamp == 103_600_000
    assert frames[1].calibration.fx == pytest.approx(721.54)
    assert open_kitti(tmp_path / "dataset" / "sequences" / "07").names == ["07_000000"]
    archive(tmp_path / "dataset", tmp_path / "colour.zip", "dataset/")
    assert open_kitti(tmp_path / "colour.zip").names == frames.names
    (folder / "times.txt").write_text("")
    assert open_kitti(folder)[0].stamp is None
    (folder / "image_3" / "000000.png").unlink()
    with pytest.raises(InputError, match="expected the right image"):
        open_kitti(folder)


# ---------------------------------------------------------------------------------------------------------------------
# Real frames


@real_frames
def test_shared_frames_are_split_as_stated():
    train, validation, test = (KittiObjects(SHARED, split=split, labelled=True) for split in SPLITS)
    assert (len(train), len(validation), len(test)) == (36, 17, 45)
    assert {drive_of(name) for name in test.names} == held_out_drives("test")
    assert {drive_of(name) for name in validation.names} <= held_out_drives("validation")
    assert not held_out_drives("test") & held_out_drives("validation")
    assert not {drive_of(name) for name in KittiObjects(SHARED, split="train").names} & held_out_drives()
    assert len(KittiObjects(SHARED)) == 138


@real_frames
def test_real_labels_project_onto_their_boxes():
    """The 3D boxes of unoccluded, whole cars, seen through P2, cover the 2D boxes that people drew."""
    from sicm_ros.geometry.boxes import image_boxes

    shares = []
    for frame in KittiObjects(SHARED, labelled=True):
        labels = frame.labels
        labels = labels[(labels.names == "Car") & (labels.occluded == 0) & (labels.truncated <= 0)]
        drawn = labels.image_boxes
        seen = image_boxes(labels.location, labels.dimensions, labels.rotation_y, frame.calibration)
        left_top, right_bottom = np.maximum(drawn[:, :2], seen[:, :2]), np.minimum(drawn[:, 2:], seen[:, 2:])
        shared = (right_bottom - left_top).clip(0).prod(1)
        areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (drawn, seen)]
        shares += list(shared / (areas[0] + areas[1] - shared))
    assert len(shares) > 80
    assert np.median(shares) > 0.9


def test_a_byte_order_mark_costs_no_object(tmp_path):
    """Some editors begin a text file with one; the first object of each file would be of the class '\\ufeffCar'."""
    root = objects(tmp_path / "drive", ["000000"])
    for name in ("label_2/000000.txt", "calib/000000.txt"):
        path = root / name
        path.write_text(path.read_text(), "utf-8-sig")
    (frame,) = KittiObjects(root)
    plain = objects(tmp_path / "plain", ["000000"])
    assert frame.labels.names.tolist() == next(iter(KittiObjects(plain))).labels.names.tolist()
    assert (
        read_labels(root / "label_2/000000.txt").names.tolist()
        == read_labels(plain / "label_2/000000.txt").names.tolist()
    )
    assert frame.calibration == next(iter(KittiObjects(plain))).calibration


def test_what_macos_leaves_beside_files_is_passed_over(tmp_path):
    root = objects(tmp_path / "drive", ["000000", "000001"])
    for folder in ("image_2", "image_3", "calib", "label_2"):
        for path in list((root / folder).iterdir()):
            path.with_name("._" + path.name).write_bytes(b"\0\5\x16\7")
    assert len(KittiObjects(root)) == 2
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(path, f"training/{path.relative_to(root)}")
            archive.writestr(f"__MACOSX/training/{path.relative_to(root)}", b"\0\5\x16\7")
    assert len(open_kitti(packed)) == 2


def test_an_unrectified_drive_beside_the_rectified_one_is_passed_over(tmp_path):
    import shutil

    drive = raw_drive(tmp_path)
    shutil.copytree(drive, drive.with_name(drive.name.replace("_sync", "_extract")))
    assert len(KittiRaw(tmp_path)) == 3
