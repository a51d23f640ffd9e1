# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data label`: a model's detections as labels of pairs that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from rendered_drive import write_objects

from sicm_ros.cli import main
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.kitti import KittiObjects
from sicm_ros.training.labelling import labels_of, write_labelled


def detections(*scores: float) -> Detections:
    """A car at 10 m, another at 20 m, ... ahead, of these scores."""
    n = len(scores)
    return Detections(
        classes=np.zeros(n, int),
        scores=np.array(scores),
        location=np.array([[1.0, 1.6, 10.0 * (i + 1)] for i in range(n)]),
        dimensions=np.tile([1.5, 1.6, 3.9], (n, 1)),
        rotation_y=np.full(n, 0.3),
        image_boxes=np.tile([100.0, 40.0, 140.0, 60.0], (n, 1)),
    )


@dataclass
class Found:
    detections: Detections


class Teacher:
    def detect_uncompressed(self, pair) -> Found:
        return Found(detections(0.9, 0.3, 0.05))


@pytest.fixture
def drive(tmp_path):
    """Three pairs, the first of which has labels."""
    folder = write_objects(tmp_path / "drive", 3)
    for name in ("000001", "000002"):
        (folder / "label_2" / f"{name}.txt").unlink()
    return folder


def test_sure_detections_become_objects_and_doubtful_ones_are_not_learnt_from():
    labels = labels_of(detections(0.9, 0.3, 0.05), sure=0.5, doubt=0.1)
    assert list(labels.names) == ["Car", "DontCare"]
    assert list(labels.has_box) == [True, False]
    assert labels.location[0] == pytest.approx([1, 1.6, 10])
    assert (labels.truncated[0], labels.occluded[0]) == (0, 0)  # else nobody would count it as clearly visible
    assert len(labels_of(detections())) == 0


def test_pairs_without_labels_get_them_and_are_read_like_any_others(drive, tmp_path):
    assert write_labelled(Teacher(), drive, tmp_path / "out") == 2
    frames = KittiObjects(tmp_path / "out", labelled=True)
    assert frames.names == ["000001", "000002"]
    frame, source = frames[0], KittiObjects(drive).frame("000001")
    np.testing.assert_array_equal(frame.left, source.left)
    np.testing.assert_array_equal(frame.right, source.right)
    assert frame.calibration == source.calibration
    assert frame.labels.location[0] == pytest.approx([1, 1.6, 10], abs=1e-3)
    assert frame.labels.rotation_y[0] == pytest.approx(0.3, abs=1e-3)
    assert frame.disparity.shape == frame.left.shape[:2]
    assert np.median(frame.disparity[frame.disparity > 0]) == pytest.approx(10, abs=0.5)


def test_what_makes_no_sense_is_refused(drive, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists; expected a new folder"):
        write_labelled(Teacher(), drive, tmp_path / "there")
    with pytest.raises(InputError, match="0 < doubt <= sure <= 1"):
        write_labelled(Teacher(), drive, tmp_path / "out", sure=0.1, doubt=0.5)
    with pytest.raises(InputError, match="every pair has labels"):
        write_labelled(Teacher(), write_objects(tmp_path / "labelled", 1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_labels_a_folder(drive, small_model, tmp_path, capsys):
    assert main(["data", "label", str(drive), "--out", str(tmp_path / "out"), "--model", str(small_model)]) == 0
    assert "2 pairs" in capsys.readouterr().out
    assert len(KittiObjects(tmp_path / "out", labelled=True)) == 2
