# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Spellings of earlier releases. They still work in this one, and say on stderr what to write instead."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

# Command -> its new name.
COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("synth",): ("data", "render"),
    ("compose",): ("data", "compose"),
    ("label",): ("data", "label"),
    ("bag", "from-kitti"): ("data", "bag"),
    ("bag", "info"): ("info",),
    ("bag", "presets"): ("data", "presets"),
    ("report",): ("compare",),
}
# Command, by its new name -> old option -> the new option, or its place among the command's arguments.
OPTIONS: dict[tuple[str, ...], dict[str, str | int]] = {
    ("encode",): {"--left": 0, "--right": 1, "-o": "--out", "--output": "--out"},
    ("demo",): {"--data": 0},
    ("bench", "speed"): {"--pairs": 0},
    ("bench", "stages"): {"--pairs": 0},
    ("bench", "soak"): {"--data": 0, "--pairs": "--limit"},
    ("bench", "fleet"): {"--data": 0},
}


def translated(given: Sequence[str]) -> list[str]:
    """Return a command line of an earlier release as this one writes it, except for outputs: see `settle`."""
    words = list(given)
    if words[:1] == ["calibrate"] and len(words) > 2 and not any(word.startswith("-") for word in words[1:3]):
        words[1:3] = [words[2], "--model", words[1]]  # 0.9.0: MODEL DATASET
    for old, new in COMMANDS.items():
        if tuple(words[: len(old)]) == old:
            words[: len(old)] = new
    for command, options in OPTIONS.items():
        if tuple(words[: len(command)]) == command:
            return [*command, *_with_options(words[len(command) :], options)]
    return words


def _with_options(words: list[str], options: dict[str, str | int]) -> list[str]:
    places: dict[int, str] = {}
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        new = options.get(name)
        if new is None:
            rest.append(word)
            continue
        if not equals:
            value = next(waiting, "")
        if isinstance(new, int):
            places[new] = value
        else:
            rest += [new, value]
    return [places[place] for place in sorted(places)] + rest


def settle(args: argparse.Namespace, given: Sequence[str], words: Sequence[str]) -> None:
    """Take an output that was written as an argument for --out, as 0.8.0 had it; say how an old line is written now."""
    words = list(words)
    if getattr(args, "out_needed", False) and args.out is None:
        old: str = getattr(args, "old_out", None) or ""
        sources = getattr(args, "source", None)
        if isinstance(sources, list) and len(sources) > 1:  # several may be given now: the last one was the output
            old = str(sources.pop())
        if not old:
            args.parser.error("the following arguments are required: --out")
        args.out = args.out_type(old)
        at = len(words) - 1 - words[::-1].index(old)
        words = [*words[:at], *words[at + 1 :], "--out", old]
    if words != list(given):
        print(
            f"sicm: this spelling is an earlier release's and goes with the next; write: sicm {shlex.join(words)}",
            file=sys.stderr,
        )
