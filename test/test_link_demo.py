# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A drive over an emulated link: every pair is out, or lost by a cause that is named."""

from __future__ import annotations

import json

import pytest
from rendered_drive import write_objects

from sicm_ros.cli import main
from sicm_ros.demo.summary import PlayedPair, Run

PAIRS = 12


def run(pairs: list[PlayedPair], dropped: dict[str, dict[str, int]]) -> Run:
    return Run("drive", pairs, "model", "00", 0.5, {}, dropped, link={"profile": "lte_poor"})


def pair(reached: str) -> PlayedPair:
    """A pair that was given up by a node, or answered."""
    return PlayedPair(
        stamp=0,
        bytes=None if reached == "encoder" else 500,
        carried=reached in ("decoder", "answered"),
        boxes=object() if reached == "answered" else None,
    )


def test_each_lost_pair_is_put_down_to_the_node_that_it_never_left():
    pairs = [pair("answered")] * 5 + [pair("encoder"), pair("link"), pair("link"), pair("link"), pair("decoder")]
    dropped = {
        "encoder": {"overtaken": 1},
        "link": {"link_lost": 2, "link_queue_full": 1},
        "decoder": {"late": 1},
    }
    assert run(pairs, dropped).lost == {"overtaken": 1, "link_lost": 2, "link_queue_full": 1, "late": 1}


def test_one_nodes_counts_never_explain_what_another_lost():
    assert run([pair("decoder")], {"link": {"link_lost": 7}, "encoder": {"unpaired": 2}}).lost == {"unanswered": 1}


def test_a_repeated_message_is_no_loss():
    assert run([pair("answered"), pair("decoder")], {"decoder": {"repeated": 3, "malformed": 1}}).lost == {
        "malformed": 1
    }


@pytest.mark.timeout(600)
def test_every_pair_over_a_bad_link_is_out_or_lost_by_cause(ros_installed, tmp_path, small_model):
    drive = write_objects(tmp_path / "objects", PAIRS)
    out = tmp_path / "demo"
    assert main(["demo", str(drive), "--model", str(small_model), "--out", str(out), "--link", "bad_day"]) == 0
    facts = json.loads((out / "summary.json").read_text())
    assert facts["pairs_in"] == PAIRS
    assert facts["pairs_out"] + sum(facts["lost"].values()) == PAIRS
    assert "unanswered" not in facts["lost"]
    assert facts["pairs_out"] > 0
    assert facts["link"]["profile"] == "bad_day"
    assert int(facts["link"]["received"]) == PAIRS - sum(facts["lost"].get(c, 0) for c in ("overtaken", "unpaired"))
    assert facts["stages_ms"]["link"]["transit"]["p50"] >= 150


def test_an_unknown_link_is_refused_with_the_known_ones(capsys):
    assert main(["demo", "--link", "4g"]) == 2
    assert "lte_poor" in capsys.readouterr().err
