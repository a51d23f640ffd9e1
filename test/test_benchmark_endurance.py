# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Soak and fleet: what the figures mean, and short runs through real nodes."""

from __future__ import annotations

import json

import pytest
from rendered_drive import write_objects

import sicm_ros
from sicm_ros.benchmark import operations
from sicm_ros.benchmark.soak import LEAST_WARM_UP, Moment, summarised
from sicm_ros.cli import main
from sicm_ros.errors import InputError


def samples(memory, latency=lambda n: 10.0, pairs: int = 4000) -> list[Moment]:
    return [
        Moment(n / 10, n, {"encoder": memory(n), "decoder": 300_000}, {"encoder": latency(n), "decoder": 20.0})
        for n in range(0, pairs + 1, 20)
    ]


def test_memory_that_settles_while_warming_up_is_no_growth():
    result = summarised(samples(lambda n: 200_000 + min(n, LEAST_WARM_UP) * 300), 0, {"encoder": {}, "decoder": {}})
    assert result.growth == {"encoder": 0.0, "decoder": 0.0}
    assert result.passed
    assert result.pairs == 4000


def test_a_leak_is_found():
    result = summarised(samples(lambda n: 200_000 + 2 * n), 0, {"encoder": {}, "decoder": {}})
    assert result.growth["encoder"] == pytest.approx(2 * 3600 / 204_400, rel=0.05)
    assert not result.passed


def test_a_leak_by_steps_is_found_and_a_single_late_step_is_told():
    leaks = summarised(samples(lambda n: 200_000 + n // 500 * 1_000), 0, {"encoder": {}, "decoder": {}})
    assert leaks.growth["encoder"] == pytest.approx(2 * 3600 / 204_400, rel=0.1)
    assert not leaks.passed
    once = summarised(samples(lambda n: 200_000 + (n > 2_400) * 8_000), 0, {"encoder": {}, "decoder": {}})
    assert once.growth["encoder"] == 0.0
    assert once.step["encoder"] == pytest.approx(0.04)
    assert once.passed


def test_latency_that_drifts_is_told():
    result = summarised(samples(lambda n: 200_000, lambda n: 10 + n / 1000), 0, {"encoder": {}, "decoder": {}})
    assert result.drift["encoder"] > 0.2
    assert result.drift["decoder"] == 0


@pytest.mark.parametrize(("lost", "dropped"), [(1, {}), (0, {"malformed": 1})])
def test_nothing_may_be_lost(lost, dropped):
    assert not summarised(samples(lambda n: 200_000), lost, {"encoder": {}, "decoder": dropped}).passed


@pytest.mark.timeout(300)
def test_a_short_soak_through_real_nodes(ros_installed, tmp_path):
    drive = write_objects(tmp_path / "objects", 8)  # a step back of more than half a second is a loop
    facts, chart = tmp_path / "soak.json", tmp_path / "soak.png"
    words = ["bench", "soak", str(drive), "--small", "--limit", "60"]
    status = main([*words, "--json", str(facts), "--picture", str(chart)])
    result = json.loads(facts.read_text())
    assert result["pairs"] >= 60
    assert result["lost"] == 0
    assert result["dropped"] == {"encoder": {}, "decoder": {}}
    # Of a node that works: those before are from while the model was loaded.
    assert min(s["memory"]["decoder"] for s in result["samples"] if s["pairs"]) > 50_000
    assert status == (0 if result["passed"] else 1)
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(300)
def test_a_fleet_is_served_and_measured(ros_installed, tmp_path, small_model, capsys):
    drive = write_objects(tmp_path / "objects", 2)
    out = tmp_path / "fleet.json"
    words = ["bench", "fleet", str(drive), "--model", str(small_model), "--vehicles", "3", "--rate", "2"]
    assert main([*words, "--seconds", "4", "--workers", "1", "2", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [(row["vehicles"], row["workers"]) for row in rows] == [(3, 1), (3, 2)]
    for row in rows:
        assert 3.0 <= row["results"] <= 7.0, "three vehicles at 2 Hz"
        assert row["least"] > 0.5
    assert "results/s" in capsys.readouterr().out


def test_operations_are_told_by_kind(small_model, tmp_path, capsys):
    out = tmp_path / "operations.json"
    assert main(["bench", "operations", "--repeats", "2", "--json", str(out)]) == 0
    measured = json.loads(out.read_text())
    assert set(measured) == {"vehicle", "server"}
    for kinds in measured.values():
        assert kinds["convolutions"] == max(kinds.values()) > 0
        assert kinds["copies and changes of layout"] > 0
    assert "matrix products" in capsys.readouterr().out
    with pytest.raises(InputError, match="engine torch does not tell"):
        operations.measure(sicm_ros.load(small_model, engine="torch"))


def test_stages_are_shown_with_their_bytes(small_model, capsys):
    words = ["bench", "stages", "--model", str(small_model), "--limit", "1", "--repeats", "1", "--quality", "0.2", "1"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for word in ("vehicle", "backbone", "entropy decoding", "server", "geometry", "boxes alone", "quality 0.2"):
        assert word in shown
