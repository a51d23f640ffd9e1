# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench startup`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "how long a node takes until it is ready, and its memory then"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_model(parser)
    options.add_repeats(parser, 3, "starts after the first")
    options.add_threads(parser, "threads of a node")
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from sicm_ros.benchmark import startup

    rows = startup.measure(
        args.model, args.threads or 1, args.repeats, lambda todo: tqdm(todo, desc="starts", disable=None)
    )
    if args.json != "-":  # before anything is written, which may fail
        options.console(100).print(startup.table(rows))
    options.write_json(args.json, [asdict(row) for row in rows])
