# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm top`: what it shows of what the nodes say."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from rich.console import Console

from sicm_ros.cli.top import table


@dataclass
class Said:
    name: str
    level: int
    text: str
    values: dict[str, str] = field(default_factory=dict)
    heard: float = 100.0


def shown(*statuses: Said, now: float = 100.5) -> list[str]:
    console = Console(width=160, file=io.StringIO())
    console.print(table({s.name: s for s in statuses}, now))
    return console.file.getvalue().splitlines()


ENCODER = Said(
    "encoder",
    0,
    "running",
    {
        "frame_rate_node": "9.98",
        "kbit_per_s": "39.61",
        "target_kbit_s": "40.000",
        "quality": "0.431",
        "published": "120",
        "since_arrival_ms": "81.2",
        "dropped": "2",
        "dropped_overtaken": "2",
    },
)
DECODER = Said("decoder", 1, "dropped 1 in the last second", {"published": "117", "detections": "341", "lost": "3"})


def test_the_table_shows_rate_quality_losses_and_detections_in_the_order_of_the_stream():
    lines = shown(DECODER, ENCODER)
    encoder = next(i for i, line in enumerate(lines) if " encoder " in line)
    decoder = next(i for i, line in enumerate(lines) if " decoder " in line)
    assert encoder < decoder
    for word in ("10.0", "39.6", "40", "0.43", "81", "120", "overtaken 2", "running"):
        assert word in lines[encoder]
    for word in ("117", "341", "3", "dropped 1"):
        assert word in lines[decoder]


def test_a_node_that_fell_silent_is_shown_as_such():
    assert any("silent for 20 s" in line for line in shown(ENCODER, now=120.0))


def test_vehicles_stand_one_below_the_other():
    lines = "\n".join(shown(Said("b/encoder", 0, ""), Said("a/decoder", 0, ""), Said("a/encoder", 0, "")))
    assert lines.index("a/encoder") < lines.index("a/decoder") < lines.index("b/encoder")


def test_nothing_heard_is_said():
    assert any("nothing received on /diagnostics" in line for line in shown())
