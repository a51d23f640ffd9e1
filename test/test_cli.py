# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The command line: one vocabulary, 0.8.0's spellings, what a newcomer sees, and every command that the pages show."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sicm_ros.cli import COMMANDS, UsageError, main, parser_of, spellings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "Makefile", *sorted((ROOT / "docs").glob("*.md"))]


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands, those inside groups too."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for sub in group.choices.values():
            yield from commands(sub)


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings}


def test_nothing_asked_shows_what_to_try_first(capsys):
    assert main([]) == 0
    told = capsys.readouterr().out
    assert "Try first" in told
    for line in re.findall(r"^  sicm (\w+)", told, re.M):
        assert line in COMMANDS


def test_an_option_means_the_same_everywhere():
    found: dict[str, set[tuple]] = {}
    for parser in commands(parser_of()):
        for name, action in options(parser).items():
            if name in ("--out", "--limit", "--json", "--device", "--threads", "--preset"):
                found.setdefault(name, set()).add((action.type, action.nargs))
    assert set(found) == {"--out", "--limit", "--json", "--device", "--threads", "--preset"}
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}


def test_no_command_keeps_a_name_of_its_own_for_input_or_output():
    for parser in commands(parser_of()):
        for name in ("--output", "-o", "--pairs", "--source", "--input"):
            assert name not in options(parser), parser.prog


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("synth world --frames 3 --seed 2", "data render --frames 3 --seed 2 --out world"),
        ("synth --frames 3 world", "data render --frames 3 --out world"),
        ("compose in out --cars 2", "data compose in --cars 2 --out out"),
        ("label in out --model m", "data label in --model m --out out"),
        ("bag from-kitti in out.mcap --compressed jpeg", "data bag in --compressed jpeg --out out.mcap"),
        ("bag info in.mcap", "info in.mcap"),
        ("bag presets", "data presets"),
        ("report in.mcap --limit 2", "compare in.mcap --limit 2"),
        ("encode --left a.png --right b.png --calib c.txt -o d.sicm", "encode a.png b.png --calib c.txt --out d.sicm"),
        ("encode --right=b --calib=c --left=a --output=d", "encode a b --calib=c --out d"),
        ("demo --data in.mcap --quality 0.2", "demo in.mcap --quality 0.2"),
        ("bench speed --pairs in --repeats 3", "bench speed in --repeats 3"),
        ("bench stages --quality 0.1 0.5 --pairs in", "bench stages in --quality 0.1 0.5"),
        ("bench soak --data in --pairs 400", "bench soak in --limit 400"),
        ("bench fleet --data in --vehicles 2", "bench fleet in --vehicles 2"),
        ("calibrate model in --split validation", "calibrate in --model model --split validation"),
    ],
)
def test_a_spelling_of_the_release_before_works_and_says_what_to_write(old, new, capsys):
    told = []
    for line in (old, new):
        given = line.split()
        words = spellings.translated(given)
        args = parser_of(words).parse_args(words)
        spellings.settle(args, given, words)
        told.append({k: v for k, v in vars(args).items() if k not in ("parser", "old_out")})
        said = capsys.readouterr().err
        assert f"write: sicm {new}\n" in said if line == old else said == ""
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("data render", "required: --out"),
        ("encode a b --calib c", "required: --out"),
        ("demo --quality 2", "--quality: '2'; expected 0 to 1"),
        ("bench speed --limit 0", "--limit: '0'; expected at least 1"),
        ("bench soak --limit three", "expected a whole number"),
        ("dmeo", "invalid choice: 'dmeo'"),
        ("data", "required: COMMAND"),
    ],
)
def test_a_line_that_makes_no_sense_is_one_line(line, says, capsys):
    assert main(line.split()) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def shown() -> Iterator[tuple[str, str, bool]]:
    """Every command line in the pages: page, line, and whether it is a whole line rather than a few words in a text."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        text = re.sub(r"\$\(if [^)]*\)[^)]*\)", "", text).replace("$$(nproc)", "2").replace("$(BIN)/", "")
        text = re.sub(r"\$\$\{.*?\}", "", text)
        for before, line in re.findall(r"(^[ \t]*|`|&& )sicm ([a-z][^`#|&\n]*)", text, re.M):
            yield page.name, line, before.strip() != "`"


def test_commands_in_the_pages_are_those_that_there_are():
    known = {parser.prog: parser for parser in commands(parser_of())}
    seen = 0
    for page, line, whole in shown():
        words = shlex.split(line.replace(" ...", ""))
        assert spellings.translated(words) == words, f"{page}: {line} is the spelling of 0.8.0"
        if words[0] in ("bag", "bench", "data") and len(words) == 1:
            continue
        command = " ".join(["sicm", *words[: 2 if words[0] in ("bag", "bench", "data") else 1]])
        assert command in known, f"{page}: {line}"
        for word in words:
            assert not word.startswith("-") or word.partition("=")[0] in options(known[command]), f"{page}: {line}"
        if whole:
            args = parser_of(words).parse_args(words)
            spellings.settle(args, words, words)
            seen += 1
    assert seen > 20


def test_the_shell_completes_commands_options_and_models(tmp_path):
    pytest.importorskip("argcomplete")

    def offered(line: str) -> set[str]:
        answer = tmp_path / "answer"
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        script = "import sys; sys.argv[0] = 'sicm'; from sicm_ros.cli import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, check=True, cwd=ROOT)
        return {word.strip() for word in answer.read_text().split("\n")}

    assert {"encode", "evaluate"} <= offered("sicm e")
    assert {"render", "compose", "label", "bag"} <= offered("sicm data ")
    assert "--quality" in offered("sicm encode --q")
    assert {"default", "free"} <= offered("sicm compare --model ")


def test_a_usage_error_is_an_error_of_ours():
    with pytest.raises(UsageError, match="sicm bench speed --help"):
        parser_of().parse_args(["bench", "speed", "--engine", "steam"])


def test_no_page_or_configuration_names_a_folder_outside_the_checkout():
    for path in [*PAGES, *(ROOT / "sicm_ros").rglob("*.yaml"), *(ROOT / "config").glob("*.yaml")]:
        # Links between pages may go up; data may not lie beside the checkout.
        assert not re.findall(r"\.\./(?:shared|data)\S*", path.read_text()), path
