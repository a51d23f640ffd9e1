# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench operations`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "what the networks of both sides spend their time on, by kind of operation (OpenVINO)"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_model(parser)
    options.add_repeats(parser, 20, "passes")
    options.add_threads(parser, "threads of the network")
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    import sicm_ros
    from sicm_ros.benchmark import operations

    threads = options.limit_threads(args.threads)
    measured = operations.measure(sicm_ros.load(args.model, engine="openvino", threads=threads), args.repeats)
    if args.json != "-":
        options.console(120).print(operations.table(measured))
    options.write_json(args.json, measured)
