# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The demo: its figures from a recording with known content, and the whole chain with real processes."""

from __future__ import annotations

import json
import re
from base64 import b64decode

import cv2
import numpy as np
import pytest
from rendered_drive import BASELINE, CX, CY, FX, HEIGHT, WIDTH, write_objects
from test_outputs import full_disk

from sicm_ros import demo
from sicm_ros.bags import Bag, BagWriter, from_kitti, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.types import typestore
from sicm_ros.cli import main
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.geometry.boxes import corners, project
from sicm_ros.geometry.drawing import DETECTION, birds_eye, draw_boxes

PAIRS = 4
LATENCIES = (0.05, 0.07, 0.06)  # seconds, of all pairs but the last
SIZES = (500, 700, 600, 800)  # bytes of the payloads


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return write_objects(tmp_path_factory.mktemp("drive") / "objects", PAIRS)


@pytest.fixture
def recording(drive, tmp_path):
    """What the recorder would have heard: every pair sent, the last one never answered."""
    types = typestore().types
    path = tmp_path / "recording.mcap"
    begin = 1_800_000_000 * 10**9
    with open_stereo(drive) as source, BagWriter(path) as bag:
        index = 0
        for m in source.messages():
            now = begin + index * 10**8
            if m.topic.endswith("camera_info"):
                bag.write(f"/{m.topic}", m.type, now, m.data)
            elif m.topic == "labels":
                labels = ros.deserialize(m.data, m.type)
                features = types["sicm_ros/msg/CompressedStereoFeatures"](
                    header=labels.header,
                    sequence=index,
                    model_fingerprint=np.zeros(8, np.uint8),
                    content=0,
                    format=1,
                    quality=0.5,
                    payload=np.zeros(SIZES[index], np.uint8),
                )
                bag.write("/features", features.__msgtype__, now + 10**7, ros.serialize(features))
                if index < PAIRS - 1:
                    bag.write("/detections", m.type, now + round(LATENCIES[index] * 1e9), m.data)
            elif m.topic == source.topics[1]:
                index += 1
        values = {"encode_ms": "12.5", "encode_ms_p95": "20.0", "dropped": "1", "dropped_malformed": "1"}
        status = types["diagnostic_msgs/msg/DiagnosticStatus"](
            level=0,
            name="decoder",
            message="",
            hardware_id="",
            values=[types["diagnostic_msgs/msg/KeyValue"](key=k, value=v) for k, v in values.items()],
        )
        report = types["diagnostic_msgs/msg/DiagnosticArray"](header=ros.header(0, ""), status=[status])
        bag.write("/diagnostics", report.__msgtype__, begin + 10**9, ros.serialize(report))
    return path


def test_the_summary_states_what_was_recorded(drive, recording):
    with open_stereo(drive) as source:
        run = demo.read_run(recording, source, quality=0.5)
    facts = run.as_json()
    assert (facts["pairs_in"], facts["pairs_out"], facts["lost"]) == (PAIRS, PAIRS - 1, {"malformed": 1})
    assert (facts["detections"], facts["labels"]) == (PAIRS - 1, PAIRS)
    overhead = run.pairs[0].bytes - SIZES[0]
    assert 0 < overhead <= 64 + len("stereo_left_optical") + 16  # fixed fields, and the header with its frame
    assert facts["bytes_per_pair_mean"] == pytest.approx(np.mean(SIZES) + overhead, abs=2)
    assert facts["kbit_per_s"] == pytest.approx(facts["bytes_per_pair_mean"] * 80 / 1000, rel=1e-3)
    assert facts["latency_ms_p50"] == pytest.approx(60, abs=0.1)
    assert facts["latency_ms_p95"] == pytest.approx(69, abs=0.1)
    assert facts["raw_bytes_per_pair"] == 2 * WIDTH * HEIGHT * 3
    assert facts["jpeg90_bytes_per_pair"] < facts["png_bytes_per_pair"] < facts["raw_bytes_per_pair"]
    assert facts["stages_ms"] == {"decoder": {"encode": {"p50": 12.5, "p95": 20.0}}}
    json.dumps(facts)


def test_the_report_holds_every_frame_and_needs_nothing_else(drive, recording, tmp_path):
    with open_stereo(drive) as source:
        run = demo.read_run(recording, source, quality=0.5)
    run.source = "<script>alert(1)</script>"
    demo.write_report(run, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page)
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert [p["bytes"] for p in data["pairs"]] == [p.bytes for p in run.pairs]
    assert [p["latency"] for p in data["pairs"]] == [50.0, 70.0, 60.0, None]
    assert len(data["frames"]) == PAIRS
    picture = cv2.imdecode(np.frombuffer(b64decode(data["frames"][0]["picture"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert "1 of 4 pairs were lost: malformed 1" in page


def test_the_output_bag_holds_results_beside_pictures_on_the_drives_time(drive, recording, tmp_path):
    with open_stereo(drive) as source:
        demo.write_output(tmp_path / "output.mcap", recording, source)
        stamps = [p.stamp for p in source.pairs()]
    with Bag(tmp_path / "output.mcap") as bag:
        counts = {name: topic.count for name, topic in bag.topics.items()}
        detections = list(bag.messages(["/detections"]))
    assert counts["/left/image_rect_color/compressed"] == counts["/labels"] == PAIRS
    assert counts["/detections"] == PAIRS - 1
    assert counts["/tf_static"] == 1
    assert [m.stamp for m in detections] == stamps[:-1]


def test_a_drawn_box_lies_where_the_box_is():
    c = StereoCalibration(FX, FX, CX, CY, BASELINE, WIDTH, HEIGHT)
    box = Detections(
        np.array([0]),
        np.array([0.9]),
        np.array([[1.0, 1.2, 12.0]]),
        np.array([[1.5, 1.6, 3.9]]),
        np.array([-1.2]),
        np.zeros((1, 4)),
    )
    drawn = draw_boxes(np.zeros((HEIGHT, WIDTH, 3), np.uint8), box, c, DETECTION)
    red = (drawn == DETECTION).all(2)
    pixels = project(corners(box.location, box.dimensions, box.rotation_y)[0], c)
    rows, columns = np.nonzero(red)
    assert (columns.min(), columns.max()) == pytest.approx((pixels[:, 0].min(), pixels[:, 0].max()), abs=3)
    assert (rows.min(), rows.max()) == pytest.approx((pixels[:, 1].min(), pixels[:, 1].max()), abs=3)
    above = birds_eye([(box, DETECTION)], c, size=(300, 300), depth=30.0)
    rows, columns = np.nonzero((above == DETECTION).all(2))
    assert columns.mean() == pytest.approx(150 + 10 * 1.0, abs=3)  # 10 pixels a metre
    assert rows.mean() == pytest.approx(299 - 10 * 12.0, abs=4)


def test_boxes_behind_and_through_the_camera_are_drawn_without_harm():
    c = StereoCalibration(FX, FX, CX, CY, BASELINE, WIDTH, HEIGHT)
    box = Detections(
        np.array([0, 0]),
        np.array([0.9, 0.9]),
        np.array([[0.0, 1.2, -12.0], [0.5, 1.2, 1.0]]),
        np.array([[1.5, 1.6, 3.9]] * 2),
        np.array([-1.57, -1.57]),
        np.zeros((2, 4)),
    )
    drawn = draw_boxes(np.zeros((HEIGHT, WIDTH, 3), np.uint8), box, c, DETECTION, captions=True)
    assert (drawn == DETECTION).all(2).any()


@pytest.mark.timeout(600)
def test_every_pair_of_a_bag_is_answered_by_processes_over_dds(ros_installed, drive, tmp_path, small_model):
    from_kitti(drive, tmp_path / "drive.mcap", compress="png", progress=False)
    out = tmp_path / "demo"
    status = main(["demo", str(tmp_path / "drive.mcap"), "--model", str(small_model), "--out", str(out)])
    assert status == 0
    facts = json.loads((out / "summary.json").read_text())
    assert (facts["pairs_in"], facts["pairs_out"], facts["lost"]) == (PAIRS, PAIRS, {})
    assert facts["bytes_per_pair_mean"] > 0
    assert facts["latency_ms_p50"] > 0
    assert set(facts["stages_ms"]) == {"encoder", "decoder"}
    assert re.fullmatch("[0-9a-f]{16}", facts["model_fingerprint"])
    with Bag(out / "output.mcap") as bag:
        assert bag.topics["/detections"].count == bag.topics["/features"].count == PAIRS


def test_bad_input_ends_with_one_line_and_status_2(drive, tmp_path, capsys):
    assert main(["demo", str(tmp_path / "nothing.mcap")]) == 2
    assert "nothing.mcap: no such bag" in capsys.readouterr().err
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    assert main(["demo", str(tmp_path / "broken.mcap")]) == 2
    assert "its end is missing" in capsys.readouterr().err
    assert main(["demo", str(drive), "--quality", "2"]) == 2
    assert "expected 0 to 1" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_a_node_that_cannot_start_is_named_with_its_reason(ros_installed, drive, tmp_path, capsys):
    assert main(["demo", str(drive), "--model", str(tmp_path / "no_model"), "--out", str(tmp_path / "demo")]) == 2
    said = capsys.readouterr().err
    assert re.search(r"(encoder|decoder) ended: .*no model .*no_model", said), said


@pytest.mark.timeout(300)
def test_a_recording_that_has_no_room_is_told_with_the_reason(ros_installed, drive, tmp_path, small_model, capsys):
    out = tmp_path / "demo"
    with full_disk(12_000):  # the logs fit, a bag doesn't
        assert main(["demo", str(drive), "--model", str(small_model), "--out", str(out)]) == 2
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sicm demo")]
    assert "recording.mcap: File too large; " in told
    assert [path.name for path in out.iterdir()] == ["logs"]
