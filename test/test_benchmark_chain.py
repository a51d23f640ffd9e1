# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The whole benchmark on a tiny drive: two anchors, two rates, four frames; its bytes are the sizes of its files."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from rendered_drive import HEIGHT, WIDTH, write_objects
from temporal_priors import networks

from sicm_ros.benchmark import bag_report, run, store
from sicm_ros.benchmark import settings as all_settings
from sicm_ros.benchmark.check import check as check_rows
from sicm_ros.benchmark.coders import Ours
from sicm_ros.benchmark.config import BenchmarkConfig, load_config
from sicm_ros.benchmark.publish import TABLES, rewritten
from sicm_ros.benchmark.report import write_report
from sicm_ros.benchmark.results import read_results
from sicm_ros.benchmark.store import load_run
from sicm_ros.benchmark.table import read_table
from sicm_ros.bitstream import unpack
from sicm_ros.cli import main
from sicm_ros.errors import BitstreamError, InputError, ModelError
from sicm_ros.model import create
from sicm_ros.model.folder import open_model, read_model, save_model, save_temporal
from sicm_ros.network import NetworkConfig
from sicm_ros.workers import share

pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed: pip install '.[bench]'")

FRAMES = 4


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    write_objects(folder / "drive", FRAMES)
    create(folder / "model", NetworkConfig(input_width=160, input_height=64))
    save_temporal(folder / "model", networks(open_model(folder / "model").prior).arrays())
    return folder


@pytest.fixture(scope="module")
def finished(place):
    """A run of two anchors beside ours, whose pairs stand by themselves or refer to each other."""
    tree = {
        "model": str(place / "model"),
        "qualities": [0.2, 0.9],
        "datasets": {"drive": {"what": "a drive for tests", "video": 4}},
        "anchors": {
            "jpeg": {"codec": "jpeg", "qualities": {"full": [10, 60]}},
            "x265_video": {
                "codec": "x265",
                "mode": "video",
                "presets": ["ultrafast"],
                "qualities": {"input": [40, 30]},
            },
        },
        "replicates": 2,
    }
    (place / "config.yaml").write_text(yaml.safe_dump(tree))
    config = run.prepare(load_config(place / "config.yaml"), place / "out", {"drive": place / "drive"})
    assert run.run(config, place / "out", threads=1) == []
    return config, place / "out"


def test_bytes_are_the_sizes_of_the_files(finished):
    config, out = finished
    (results,) = read_results(config, out)
    counts = {name: len(points) for name, points in results.curves.items()}
    assert counts == {"ours": 2, "ours_stream": 2, "jpeg": 2, "x265_video": 4}
    for points in results.curves.values():
        for m in points:
            files = list((out / "drive" / m.setting.folder / "streams").iterdir())
            total = sum(path.stat().st_size for path in files)
            assert total > 0
            assert m.point.bytes_per_pair * FRAMES == pytest.approx(total)
            assert m.point.bpp == pytest.approx(m.point.bytes_per_pair * 8 / (2 * WIDTH * HEIGHT))
    streams = {name: len(list((out / "drive" / name).glob("*/*/streams/*"))) for name in results.curves}
    # Ours: a packet a frame. JPEG: two files a frame. Video: a stream a sequence, in both packings.
    own = {"ours": 2 * FRAMES, "ours_stream": 2 * FRAMES}
    assert streams == {**own, "jpeg": 2 * 2 * FRAMES, "x265_video": 2 * 2}


def test_a_codec_that_spends_more_has_more_bytes(finished):
    config, out = finished
    (results,) = read_results(config, out)
    sizes = {m.setting.quality: m.point.bytes_per_pair for m in results.curves["jpeg"]}
    assert sizes[10] < sizes[60]


def test_a_stream_has_the_symbols_and_boxes_of_its_pairs_by_themselves(finished):
    config, out = finished
    (results,) = read_results(config, out)
    for alone, stream in zip(results.curves["ours"], results.curves["ours_stream"], strict=True):
        places = [out / "drive" / m.setting.folder for m in (alone, stream)]
        packets = [[unpack(path.read_bytes()) for path in sorted(p.glob("streams/*"))] for p in places]
        assert [None if p.reference is None else p.reference.age for p in packets[1]] == [None, 1, 1, 1]
        assert [p.calibration is None for p in packets[1]] == [False, True, True, True]
        assert packets[0][1].payload != packets[1][1].payload
        detector = all_settings.model_key(config.model)
        found = [[path.read_text() for path in sorted(p.glob(f"{detector}/*.txt"))] for p in places]
        assert found[0] == found[1]
        assert len(found[0]) == FRAMES
        assert stream.point.ap == alone.point.ap


def test_a_stream_whose_symbols_differ_is_refused(finished, monkeypatch):
    config, _ = finished
    dataset = config.datasets["drive"]
    frames = [store.frames_of(dataset.path, dataset.split).frame(name) for name in store.names_of(dataset)]
    coder = Ours(all_settings.model_of(config.model), 0.2)
    read = coder.model.read
    monkeypatch.setattr(coder.model, "read", lambda *asked: replace(read(*asked), symbols=read(*asked).symbols + 1))
    with pytest.raises(BitstreamError, match="packet 0 of a stream: other symbols"):
        coder.encode(frames)
    assert len(coder.encode(frames[:1])) == 1  # nobody refers to it


def test_another_temporal_prior_makes_the_stream_again_and_nothing_else(finished, place, monkeypatch):
    config, out = finished
    shutil.copytree(place / "model", place / "looks" / "model")
    save_temporal(place / "looks" / "model", networks(open_model(place / "model").prior, seed=1).arrays())
    done = []
    code = run.code
    monkeypatch.setattr(run, "code", lambda job: done.append(job.setting.anchor) or code(job))
    assert run.run(replace(config, model=str(place / "looks" / "model")), out, threads=1) == []
    assert set(done) == {"ours_stream"}


def test_what_is_there_is_not_made_again(finished, monkeypatch):
    config, out = finished
    monkeypatch.setattr(share, "_attempt", lambda *_: pytest.fail("there was something left to do"))
    assert run.run(config, out) == []


def test_a_codec_that_learns_on_leaves_the_anchors_as_they_are(finished, place, monkeypatch):
    config, out = finished
    network = read_model(place / "model").network
    with torch.no_grad():
        network.decoder.linear.scales[0][0].weight += 0.01
    save_model(network, place / "learnt", "untrained", "free")
    done = []
    code = run.code
    monkeypatch.setattr(run, "code", lambda job: done.append(job.setting.anchor) or code(job))
    learnt = replace(config, model=str(place / "learnt"))
    assert run.run(learnt, out, threads=1) == []
    assert set(done) == {"ours"}
    with torch.no_grad():
        network.reference.depth_out.bias += 0.01
    save_model(network, place / "learnt", "untrained", "free")
    all_settings.model_of.cache_clear(), all_settings.detector_key.cache_clear()
    assert run.run(learnt, out, threads=1) == []
    assert set(done) == {"ours", "uncompressed", "jpeg", "x265_video"}


def test_a_lost_file_is_made_again(finished):
    config, out = finished
    folder = next(out.glob("drive/jpeg/full/10"))
    lost = folder / "streams" / "000002.left.jpg"
    before = lost.read_bytes()
    found = [*folder.glob("*/000002.txt")]  # of models that other tests asked, too
    for path in (lost, *found):
        path.unlink()
    assert run.run(config, out, threads=1) == []
    assert lost.read_bytes() == before
    assert any(path.exists() for path in found)


def test_the_report_says_what_was_measured(finished):
    config, out = finished
    write_report(out)
    tree = json.loads((out / "results.json").read_text())
    assert set(tree["bd_rate"]) == {"jpeg", "x265_video"}
    assert set(tree["bd_rate"]["jpeg"]) == {"AP3D", "APBEV"}
    assert set(tree["datasets"]["drive"]["bd_rate_of_stream"]) == {"jpeg", "x265_video"}
    assert set(tree["curves"]) == {"ours", "ours_stream", "jpeg", "x265_video"}
    (results,) = read_results(config, out)
    assert [p["bytes_per_pair"] for p in tree["curves"]["ours"]] == [
        m.point.bytes_per_pair for m in results.curves["ours"]
    ]
    assert tree["datasets"]["drive"]["bd_rate_refused"]["jpeg"]["AP3D"]
    page = (out / "report.html").read_text()
    assert "a drive for tests: 4 frames" in page
    assert 'src="http' not in page
    assert list(out.glob("curves_drive.png"))
    assert list(out.glob("comparison_drive_*.jpg"))


def test_the_table_has_a_row_for_each_point_and_a_sum_for_each_stream(finished):
    config, out = finished
    write_report(out)
    rows = read_table(out / "rd.csv")
    (results,) = read_results(config, out)
    points = [m for curve in results.curves.values() for m in curve]
    assert [float(row["bytes"]) for row in rows] == [pytest.approx(m.size * FRAMES) for m in points]
    for row, m in zip(rows, points):
        assert float(row["bitrate (kbps)"]) == pytest.approx(m.size * 8 * 10 / 1000, abs=1e-3)
        assert float(row["end_accuracy"]) == pytest.approx(m.ap("AP3D"), abs=0.005)
        assert float(row["encode"]) > 0
        assert float(row["decode"]) > 0
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    streams = {str(path.relative_to(out)) for path in out.glob("drive/*/*/*/streams/*")}
    assert streams >= set(sums)
    assert len(sums) == 2 * 2 * FRAMES + 2 * 2 * FRAMES + 2 * 2
    name, told = next(iter(sums.items()))
    assert hashlib.sha256((out / name).read_bytes()).hexdigest() == told


def test_the_table_is_reproduced_from_the_streams(finished, capsys):
    _, out = finished
    write_report(out)
    check = ["bench", "check", str(out), "--threads", "1"]
    assert main(check) == 0
    assert "10 of 10 rows are reproduced" in capsys.readouterr().out
    table = out / "rd.csv"
    stream = next(out.glob("drive/jpeg/full/60/streams/000001.left.jpg"))
    whole = stream.read_bytes()
    try:
        stream.write_bytes(next(out.glob("drive/jpeg/full/10/streams/000001.left.jpg")).read_bytes())
        with pytest.raises(InputError, match="expected one that its run"):
            check_rows(load_run(out), out, [{**read_table(table)[0], "qp": "0.7"}])
        assert main([*check, "--anchor", "jpeg"]) == 1
        told = capsys.readouterr()
        assert "1 of 2 rows" in told.out
        assert "jpeg full" in told.err
        assert "streams_sha256" in told.err
    finally:
        stream.write_bytes(whole)
    packet = next(out.glob("drive/ours_stream/*/0.9/streams/000001.sicm"))
    whole = packet.read_bytes()
    try:
        packet.unlink()
        assert main([*check, "--anchor", "ours_stream"]) == 1
        assert "000001.sicm is missing; copy it there again" in capsys.readouterr().err
    finally:
        packet.write_bytes(whole)
    row = read_table(table)[-1]
    other = {**row, "end_accuracy": "12.34"}
    (found,) = check_rows(load_run(out), out, [other])
    assert found.differences == {"end_accuracy": ("12.34", row["end_accuracy"])}
    (found,) = check_rows(load_run(out), out, [other], tolerance=100)
    assert not found.differences
    assert main([*check, "--anchor", "nobody"]) == 2
    assert "--anchor nobody: no row of it" in capsys.readouterr().err


def test_points_tell_all_classes_and_what_a_planner_asks(finished):
    _, out = finished
    write_report(out)
    tree = json.loads((out / "results.json").read_text())["datasets"]["drive"]
    for point in (tree["uncompressed"], *tree["curves"]["jpeg"]):
        assert set(point["other_classes"]) == {"Pedestrian", "Cyclist"}
        assert point["planner"]["frames"] == FRAMES
        assert sum(share["total"] for share in point["planner"]["bands"].values()) > 0
    assert tree["pseudo_truth"]["bd_rate"]["jpeg"]["AP3D"]["refused"]["pseudo"]


def test_another_data_set_of_the_same_name_is_refused(finished, place):
    _, out = finished
    write_objects(place / "other", FRAMES, seed=1)
    with pytest.raises(InputError, match="a data set other than"):
        run.prepare(load_config(place / "config.yaml"), out, {"drive": place / "other"})


def test_one_bad_anchor_does_not_stop_the_others(finished, place):
    config, out = finished
    tree = config.tree()
    tree["anchors"] = {
        "vvc": {"codec": "vvc", "presets": ["nonsense"], "qualities": {"input": [40]}},
        "webp": {"codec": "webp", "qualities": {"input": [20]}},
    }
    failures = run.run(BenchmarkConfig.parse(tree), out, threads=1)
    assert len(failures) == 1
    assert "libvvenc failed" in failures[0]
    assert list(out.glob("drive/webp/*/20/*.json"))


def test_a_model_that_gives_no_pictures_is_no_picture_codec(place):
    setting = all_settings.Setting("s", "v", 0.5, "learned", (), model=str(place / "model"))
    with pytest.raises(ModelError, match=r"a model of features, not of pictures; load it with sicm_ros\.load"):
        setting.coder()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qualities": [2]}, "quality 2 of ours"),
        ({"anchors": {"a": {"codec": "vvc", "qualities": {"full": [70]}}}}, "expected 0 to 63"),
        ({"anchors": {"a": {"codec": "jpeg", "mode": "two_view", "qualities": {"full": [7]}}}}, "expected intra"),
        ({"anchors": {"a/b": {"codec": "jpeg", "qualities": {"full": [7]}}}}, "becomes a folder"),
        ({"datasets": {"d": {"path": "x", "anchors": ["vvc"]}}}, "no anchor 'vvc'"),
        ({"ablations": {"a": "x"}, "whole": "b"}, "no ablation 'b'"),
        ({"nonsense": 1}, "nonsense: unknown; expected some of model"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path, change, message):
    tree = {"qualities": [0.5], "datasets": {"d": {"path": "x"}}} | change
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(InputError, match=message):
        load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize("name", ["quick", "full"])
def test_configurations_that_ship_are_right(name):
    config = load_config(name)
    assert config.qualities
    if name == "full":
        assert all(len(q) >= 5 for anchor in config.anchors.values() for q in anchor.qualities.values())
        tried = {setting.anchor for setting in all_settings.settings(config, config.datasets["rendered_drives"])}
        assert tried == {"uncompressed", "ours", "ours_stream", "vvc_two_view", "vvc_video", "x265_video"}


def test_a_data_set_without_a_path_is_asked_for(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"qualities": [0.5], "datasets": {"d": {"what": "my frames"}}}))
    assert main(["bench", "run", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "--data d=PATH" in capsys.readouterr().err


def test_report_of_a_drive_without_labels(place, monkeypatch, capsys):
    anchors = (("jpeg", "intra", "", (20,), ()), ("vvc", "two_view", "faster", (), (50,)))
    monkeypatch.setattr(bag_report, "ANCHORS", anchors)
    out = place / "report"
    arguments = ["--model", str(place / "model"), "--limit", "2", "--threads", "1", "--out", str(out)]
    assert main(["compare", str(place / "drive"), *arguments]) == 0
    tree = json.loads((out / "results.json").read_text())
    assert tree["pairs"] == 2
    assert tree["rate_hz"] == pytest.approx(10)
    assert [c["codec"] for c in tree["codecs"]] == ["ours"] * 4 + ["jpeg", "vvc_two_view"]
    for rates in tree["bd_rate_on_pseudo_truth"].values():
        assert "1 and" in rates["AP3D"]["reason"]  # a point of the anchor is too few
    for codec in tree["codecs"]:
        assert codec["kbit_per_s"] == pytest.approx(codec["bytes_per_pair"] * 8 * 10 / 1000)
    assert "VVC two-view" in (out / "report.html").read_text()
    assert "VVC two-view" in capsys.readouterr().out


def test_speed_tells_stages_ratios_and_cost(place, tmp_path, capsys):
    out = tmp_path / "speed.json"
    arguments = [str(place / "drive"), "--model", str(place / "model"), "--limit", "1", "--repeats", "1"]
    arguments += ["--number-type", "bfloat16"]
    assert main(["bench", "speed", *arguments, "--threads", "1", "--json", str(out)]) == 0
    tree = json.loads(out.read_text())
    assert tree["number_type"] == "bfloat16"
    stages = tree["ours"]["stages"]
    assert {"encode: backbone", "encode: entropy coding", "decode: entropy decoding", "decode: detector"} <= set(stages)
    assert sum(v for k, v in stages.items() if k.startswith("encode")) <= tree["ours"]["encode"] * 1.01
    for name, other in tree["others"].items():
        assert tree["ratios"][name]["encode"] == pytest.approx(tree["ours"]["encode"] / other["encode"])
    assert tree["cost"]["vehicle"]["macs"] > 0
    assert np.isfinite(tree["process_start"])
    assert "VVenC faster, two-view" in capsys.readouterr().out


def test_a_page_gets_its_tables_from_a_run(finished, tmp_path):
    _, out = finished
    write_report(out)
    page = tmp_path / "page.md"
    marks = "\n".join(f"<!-- run: {kind} drive -->\nold\n<!-- end -->\n" for kind in TABLES)
    page.write_text(f"# Title\n\nbefore\n{marks}after\n")
    assert main(["bench", "report", str(out), "--publish", str(page)]) == 0
    text = page.read_text()
    tree = json.loads((tmp_path / "page" / "results.json").read_text())
    assert "old" not in text
    assert text.startswith("# Title\n\nbefore\n")
    assert text.endswith("after\n")
    best = tree["curves"]["ours"][-1]
    assert f"| {best['quality']:g} | {best['bytes_per_pair']:,.0f} |" in text
    assert "| JPEG | none (" in text
    assert "| BD-rate of the stream |" in text
    assert "| bytes per pair, stream |" in text
    assert rewritten(text, tree) == text  # once more changes nothing
    assert {path.name for path in (tmp_path / "page").iterdir()} == {"results.json", "rd.csv", "curves_drive.png"}
    with pytest.raises(InputError, match=r"run: codecs sea .*: no such data set; expected one of drive"):
        rewritten("<!-- run: codecs sea -->\n<!-- end -->", tree)
    with pytest.raises(InputError, match="no such table; expected one of codecs"):
        rewritten("<!-- run: nothing drive -->\n<!-- end -->", tree)
