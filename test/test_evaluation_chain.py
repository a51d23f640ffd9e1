# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm evaluate`: files to figures, and a model over a data set with real packets, interrupted and gone on with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import sicm_ros
from sicm_ros.benchmark.accuracy import depth_errors, measure
from sicm_ros.benchmark.number_types import EngineType
from sicm_ros.benchmark.number_types import measure as measure_types
from sicm_ros.benchmark.reliability import reliability
from sicm_ros.cli.evaluate import configure, run
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.kitti import open_kitti
from sicm_ros.kitti.labels import Labels, parse_labels

CALIBRATION = (
    "P2: 721.54 0 609.56 44.857 0 721.54 172.854 0.2164 0 0 1 0.002746\n"
    "P3: 721.54 0 609.56 -339.524 0 721.54 172.854 2.19994 0 0 1 0.00273\n"
)


def car(x: float, z: float, score: str = "") -> str:
    left, right = 609.56 + 721.54 * (x - 1) / z, 609.56 + 721.54 * (x + 1) / z
    top, bottom = 172.854, 172.854 + 721.54 * 1.6 / z
    return f"Car 0.00 0 0.00 {left} {top} {right} {bottom} 1.5 1.6 3.9 {x} 1.6 {z} 1.57 {score}\n"


@pytest.fixture
def dataset(tmp_path):
    """42 frames of one car each, a frame's number as the colour of its images."""
    for folder in ("image_2", "image_3", "calib", "label_2"):
        (tmp_path / "kitti" / folder).mkdir(parents=True)
    for i in range(42):
        for camera in ("image_2", "image_3"):
            cv2.imwrite(str(tmp_path / "kitti" / camera / f"{i:06d}.png"), np.full((40, 60, 3), i, np.uint8))
        (tmp_path / "kitti" / "calib" / f"{i:06d}.txt").write_text(CALIBRATION)
        (tmp_path / "kitti" / "label_2" / f"{i:06d}.txt").write_text(car(i % 5 - 2, 10 + i % 10))
    return tmp_path / "kitti"


@dataclass
class Found:
    detections: Detections


class Codec:
    """A model that knows the truth: packets of 100 to 300 bytes; below quality 0.5 it misses every other car."""

    def __init__(self, frames) -> None:
        self.truth = {int(frame.left[0, 0, 0]): frame.labels for frame in frames}
        self.encoded: list[int] = []
        self.fail_at: int | None = None

    def describe(self) -> dict:
        return {"name": "oracle", "fingerprint": "0123456789abcdef"}

    def encode(self, pair, quality) -> bytes:
        number = int(pair.left[0, 0, 0])
        if number == self.fail_at:
            raise KeyboardInterrupt
        assert pair.left.shape == pair.right.shape == (pair.calibration.height, pair.calibration.width, 3)
        self.encoded.append(number)
        return bytes([number, round(quality * 100)]) + bytes(98 + round(200 * quality))

    def decode(self, data: bytes) -> Found:
        number, quality = data[0], data[1] / 100
        return self._found(number) if quality >= 0.5 or number % 2 else Found(Detections.empty())

    def detect_uncompressed(self, pair) -> Found:
        return self._found(int(pair.left[0, 0, 0]))

    def _found(self, number: int) -> Found:
        truth = self.truth[number]
        return Found(
            Detections(
                np.zeros(1, int), np.array([0.9]), truth.location * 1.01, truth.dimensions, truth.rotation_y,
                truth.image_boxes,
            )
        )  # fmt: skip


def sicm_evaluate(*arguments) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    configure(parser)
    run(parser.parse_args([str(argument) for argument in arguments]))


def test_several_qualities_give_a_curve_of_bytes_and_ap(dataset, tmp_path, monkeypatch, capsys):
    codec = Codec(open_kitti(dataset))
    monkeypatch.setattr(sicm_ros, "load", lambda name, device: codec, raising=False)
    out = tmp_path / "curve.json"
    arguments = ["--quality", "uncompressed", 0, 0.5, "--replicates", 20, "--out", tmp_path / "out", "--json", out]
    sicm_evaluate(dataset, "--table", *arguments)
    results = json.loads(out.read_text())
    assert results["model"] == "oracle"
    assert results["dataset"] == str(dataset)
    uncompressed, low, high = results["points"]
    assert (uncompressed["quality"], uncompressed["bpp"], uncompressed["bytes_per_pair"]) == (None, None, None)
    assert (low["quality"], low["bytes_per_pair"], high["bytes_per_pair"]) == (0, 100, 200)
    assert high["bpp"] == pytest.approx(200 * 8 / (2 * 40 * 60))
    assert uncompressed["ap"] == high["ap"]
    assert high["ap"]["Car"]["bev"]["0.50"]["R40"][1] == pytest.approx(100)
    assert low["ap"]["Car"]["bev"]["0.50"]["R40"][1] == pytest.approx(50, abs=2)
    lowest, highest = low["interval"]["Car"]["bev"]["0.50"]["R40"][1]
    assert lowest < low["ap"]["Car"]["bev"]["0.50"]["R40"][1] < highest
    assert high["depth_error_percent_10_to_30_m"] == pytest.approx(1, abs=0.05)
    assert high["matched_cars_10_to_30_m"] == 42
    printed = capsys.readouterr().out
    assert "bytes per pair" in printed
    assert "uncompressed" in printed


def test_interrupted_run_goes_on_where_it_stopped(dataset, tmp_path):
    frames = open_kitti(dataset)
    codec = Codec(frames)
    codec.fail_at = 20
    with pytest.raises(KeyboardInterrupt):
        measure(codec, frames, 0.5, tmp_path / "out", replicates=5, progress=False)
    assert codec.encoded == list(range(20))
    with (tmp_path / "out" / "frames.csv").open("a") as file:
        file.write("000020,20")  # cut off in the middle of a line
    codec.fail_at = None
    point = measure(codec, frames, 0.5, tmp_path / "out", replicates=5, progress=False)
    assert codec.encoded == list(range(42))
    fresh = measure(Codec(frames), frames, 0.5, tmp_path / "other", replicates=5, progress=False)
    assert point == fresh


def test_finished_run_is_measured_anew(dataset, tmp_path, monkeypatch):
    codec = Codec(open_kitti(dataset))
    monkeypatch.setattr(sicm_ros, "load", lambda name, device: codec, raising=False)
    for _ in range(2):
        sicm_evaluate(
            dataset, "--limit", 3, "--replicates", 2, "--out", tmp_path / "out", "--json", tmp_path / "a.json"
        )
    assert codec.encoded == [0, 1, 2, 0, 1, 2]


def test_frames_without_labels_are_refused(dataset, tmp_path):
    (dataset / "label_2" / "000003.txt").unlink()
    with pytest.raises(InputError, match="1 of them without labels"):
        measure(Codec(open_kitti(dataset, labelled=True)), open_kitti(dataset), 0.5, tmp_path / "out")


def test_depth_error_is_that_of_matched_cars_between_10_and_30_metres():
    labels = parse_labels(car(0, 20) + car(-4, 12) + car(3, 40) + car(6, 25), "labels")
    found = car(0, 20.4, "0.9") + car(-4, 12.12, "0.8") + car(3, 44, "0.7") + car(-20, 25, "0.6")
    detections = parse_labels(found, "detections", scored=True)
    assert sorted(depth_errors(labels, detections)) == pytest.approx([1, 2])
    assert len(depth_errors(labels, detections[:0])) == 0


def test_files_give_figures_as_json_and_table(tmp_path, capsys):
    for i in range(41):
        for folder, text in (("labels", car(0, 20)), ("detections", car(0, 20, "0.5"))):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{i:06d}.txt").write_text(text)
    (tmp_path / "labels" / "000099.txt").write_text(car(0, 20))
    files = ["--labels", tmp_path / "labels", "--detections", tmp_path / "detections"]
    sicm_evaluate(*files, "--json", tmp_path / "ap.json", "--table", "--replicates", 5)
    figures = json.loads((tmp_path / "ap.json").read_text())
    assert set(figures) == {"Car", "Pedestrian", "Cyclist"}
    assert figures["Car"]["3d"]["0.70"] == {"R40": [100, 100, 100], "R11": [100, 100, 100]}
    assert set(figures["Car"]["bev"]) == {"0.70", "0.50"}
    assert set(figures["Cyclist"]["3d"]) == {"0.50", "0.25"}
    captured = capsys.readouterr()
    assert "100.00 [100.0, 100.0]" in captured.out
    assert "1 frames that only have labels are left out" in captured.err

    (tmp_path / "labels" / "000007.txt").unlink()
    with pytest.raises(InputError, match=r"000007\.txt is missing; expected the labels for"):
        sicm_evaluate(*files)
    with pytest.raises(InputError, match="expected one with a text file for each frame"):
        sicm_evaluate("--labels", tmp_path / "labels", "--detections", tmp_path / "nowhere")
    with pytest.raises(InputError, match="nothing to evaluate"):
        sicm_evaluate("--labels", tmp_path / "labels")


def objects(text: str, scored: bool = False) -> Labels:
    return parse_labels(text, "a test", scored)


def test_a_score_is_held_against_the_chance_to_be_right():
    """Of ten cars scored 0.75, six are where a car is: an error of 0.15. Vans, and what DontCare hides, don't count."""
    labels = objects("".join(car(4 * i, 20) for i in range(6)))
    found = objects("".join(car(4 * i + (0 if i < 6 else 2.1), 20, "0.75") for i in range(10)), scored=True)
    figures = reliability([labels], [found])
    assert figures.count == [0, 0, 0, 0, 0, 0, 0, 10, 0, 0]
    assert figures.right[7] == pytest.approx(0.6)
    assert figures.error == pytest.approx(0.15)

    hidden = car(8, 40).replace("Car", "Van")
    region = "DontCare -1 -1 -10 600 150 700 300 -1 -1 -1 -1000 -1000 -1000 -10\n"
    unclear = objects(car(8, 40, "0.75") + car(0.3, 60, "0.75"), scored=True)
    assert reliability([objects(hidden + region)], [unclear]).error is None


def test_two_cars_in_one_place_are_not_both_right():
    figures = reliability([objects(car(0, 20))], [objects(car(0, 20, "0.95") + car(1, 20, "0.15"), scored=True)])
    assert figures.right[9] == 1
    assert figures.right[1] == 0


def test_without_detections_no_score_is_wrong():
    assert reliability([objects(car(0, 20))], [objects("", scored=True)]).error is None
    assert reliability([], []).error is None


def test_what_a_number_type_costs_is_told_for_each_side(dataset, monkeypatch):
    """One whose server misses every other car, and whose packets are larger and have other symbols."""
    frames = open_kitti(dataset, labelled=True)

    class Typed(Codec):
        wrong = False

        def encode(self, pair, quality) -> bytes:
            return super().encode(pair, quality) + bytes(50 if self.wrong else 0)

        def read(self, data: bytes, calibration):
            return SimpleNamespace(symbols=np.arange(10) % (9 if len(data) > 200 else 10))

        def decode(self, data: bytes) -> Found:
            return Found(Detections.empty()) if self.wrong and data[0] % 2 else super().decode(data)

    def load(name, engine, number_type, threads):
        model = Typed(frames)
        model.wrong = number_type == "bfloat16"
        return model

    monkeypatch.setattr(sicm_ros, "load", load)
    choices = [EngineType.parse(text) for text in ("openvino", "torch:bfloat16", "torch:float32")]
    costs = measure_types("default", frames, choices, quality=0.5)
    told = [(str(cost.vehicle), str(cost.server), cost.passes) for cost in costs]
    assert told == [
        ("openvino:float32", "openvino:float32", True),
        ("torch:bfloat16", "openvino:float32", True),
        ("openvino:float32", "torch:bfloat16", False),
        ("torch:bfloat16", "torch:bfloat16", False),
        ("torch:float32", "openvino:float32", True),
        ("openvino:float32", "torch:float32", True),
        ("torch:float32", "torch:float32", True),
    ]
    assert [cost.bytes for cost in costs[:3]] == [200, 250, 200]
    assert [cost.symbols for cost in costs[:3]] == [0, pytest.approx(0.1), 0]
    assert [cost.depth for cost in costs[:3]] == [0, 0, 0], "what both found is in the same place"
    assert costs[2].lost[0] > 20
    assert costs[2].lost[0] == pytest.approx(costs[0].ap[0] - costs[2].ap[0])
    with pytest.raises(InputError, match="'torch:int8': expected openvino"):
        EngineType.parse("torch:int8")
