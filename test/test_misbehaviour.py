# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Texts of strangers in every sink, reports of no decoder, readers under fuzz, runs that were cut off."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rendered_drive import write_objects

from sicm_ros.benchmark import fuzz
from sicm_ros.cli import main, options, top
from sicm_ros.errors import InputError, printable
from sicm_ros.link.congestion import AdaptiveTarget, Report

NASTY = "[/bold] [red]\x1b]0;title\x07\x1b[2J\r\n<script>&\"'=cmd()"


# -- texts of strangers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [NASTY, "x" * 100_000, "\ud800", "\u202e", "\x00"])
def test_a_line_stays_one_printable_line(text: str):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) < 8000
    assert printable("plain äöü 日本") == "plain äöü 日本"


def test_tables_show_markup_and_no_control_characters(capsys: pytest.CaptureFixture[str]):
    from rich.table import Table

    table = Table(title=NASTY)
    table.add_column(NASTY)
    table.add_row(NASTY)
    console = options.console()
    console.print(table)
    console.print(NASTY, highlight=False)
    shown = capsys.readouterr().out
    assert "[/bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_the_live_table_takes_any_status():
    from rich.console import Console

    from sicm_ros.nodes.health import Health  # noqa: F401  # the same texts as nodes say

    values = {"published": NASTY, "quality": "many", "kbit_per_s": "nan", "dropped_" + NASTY: NASTY}
    status = SimpleNamespace(name=f"{NASTY}/decoder", level=77, text=NASTY, values=values, heard=0.0)
    console = Console(width=150, record=True, file=open("/dev/null", "w"), markup=False)  # noqa: SIM115
    console.print(top.table({"a": status}, 1.0))
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_errors_that_name_strange_files_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    strange = tmp_path / "a\x1b[2J\nb[/bold].sicm"
    assert main(["decode", str(strange)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "\x1b" not in told
    assert "[/bold]" in told


def test_reports_escape_what_they_are_told():
    from sicm_ros.benchmark import page

    for made in (
        page.table([NASTY], [[NASTY]]),
        page.card("", NASTY),
        page.tiles([(NASTY, NASTY)]),
        page.panel(b"", b"", NASTY),
        page.page(NASTY, NASTY, "", [NASTY]),
    ):
        assert "<script>&" not in made


# -- reports of no decoder --------------------------------------------------------------------------------------------


def test_no_report_leads_the_rate_out_of_its_bounds_or_silences_it():
    rng = np.random.default_rng(4)
    target = AdaptiveTarget(least=10.0, most=200.0)
    edges = (0.0, -1.0, 1.0, 150.0, 1e300, -1e300, math.nan, math.inf, -math.inf)
    now = 0.0
    for _ in range(3000):
        now += float(rng.choice([0.0, 0.01, 1.0, 100.0]))
        kbit, delay = (float(rng.choice(edges)) for _ in range(2))
        received, lost = (int(rng.choice([0, 1, 10, 2**32 - 1])) for _ in range(2))
        for value in (target.report(now, Report(received, lost, kbit, delay)), target.look(now)):
            assert 10.0 <= value <= 200.0
    for _ in range(40):  # and good ones lead it up again, once the delays that they are held against are forgotten
        now += 1.0
        value = target.report(now, Report(10, 0, 100.0, 0.02))
    assert value > 100.0


@pytest.mark.parametrize("kbit_s", [math.nan, math.inf, -1.0])
def test_a_report_that_cannot_be_is_as_if_it_had_not_come(kbit_s: float):
    target = AdaptiveTarget(10.0, 200.0)
    before = target.report(0.0, Report(10, 0, 100.0, 0.1))
    assert target.report(1.0, Report(10, 0, kbit_s, 0.1)) == before
    assert not Report(10, 0, kbit_s, 0.1).possible
    assert Report(10, 0, 5.0, math.nan).possible, "a decoder without a clock"


# -- readers under fuzz -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("packet", 3000), ("boxes", 3000), ("prior", 40), ("bag", 100)])
def test_readers_read_or_refuse(name: str, most: int):
    tried = fuzz.by_mutation(name, seconds=60.0, most=most, seed=11).tried
    assert tried == most
    target = fuzz.TARGETS[name]
    assert all(target.seal(data) == data for data in target.seeds()), "seeds whose checksums are right stay as they are"


def test_what_a_reader_may_not_raise_is_found_and_kept(monkeypatch: pytest.MonkeyPatch):
    def read(data: bytes) -> None:
        if len(data) > 40:
            raise IndexError("of a reader that trusts")

    monkeypatch.setitem(fuzz.TARGETS, "packet", fuzz.Target(lambda: [bytes(30)], read, InputError))
    with pytest.raises(fuzz.FuzzError, match=r"IndexError: of a reader that trusts; the input is kept in ") as found:
        fuzz.by_mutation("packet", seconds=20.0)
    kept = Path(str(found.value).rpartition(" ")[2])
    assert len(kept.read_bytes()) > 40
    kept.unlink()


# -- runs that were cut off -------------------------------------------------------------------------------------------


def test_an_evaluation_that_was_killed_goes_on_to_the_same_figures(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from sicm_ros.benchmark import accuracy

    drive = write_objects(tmp_path / "drive", 4)

    def run(out: str) -> int:
        words = ["--quality", "0.5", "--replicates", "3", "--json", str(tmp_path / f"{out}.json")]
        return main(["evaluate", str(drive), "--model", str(tiny_model), "--out", str(tmp_path / out), *words])

    assert run("whole") == 0
    real, calls = accuracy.through, []

    def dies(*arguments: object):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(accuracy, "through", dies)
        assert run("cut") == 130
    log = tmp_path / "cut" / "quality_0.5" / "frames.csv"
    log.write_text(log.read_text() + "000002,17")  # and a line that the kill cut off
    assert run("cut") == 0
    whole, cut = (json.loads((tmp_path / f"{name}.json").read_text())["points"] for name in ("whole", "cut"))
    assert whole == cut


def test_sigterm_ends_a_command_as_ctrl_c_does(tmp_path: Path):
    code = (
        "import sys, time; from sicm_ros import cli; from sicm_ros.files import replacing\n"
        "def run(args):\n"
        "    with replacing(sys.argv[1]) as part:\n"
        "        part.write_text('half'); print('begun', flush=True); time.sleep(60)\n"
        "from sicm_ros.cli.data import presets; presets.run = run; sys.exit(cli.main(['data', 'presets']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert not list(tmp_path.iterdir())
