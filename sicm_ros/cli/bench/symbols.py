# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench symbols`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "decode the same packets by every engine, thread count and instruction set: are the symbols the same?"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_limit(parser, "evenly spread, each at three qualities", 2)
    parser.add_argument("--engines", nargs="+", metavar="E", help="default: all that are installed")
    parser.add_argument(
        "--thread-counts", nargs="+", type=options.positive, default=[1, 2], metavar="N", help="default: 1 2"
    )
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    import importlib.util
    from dataclasses import asdict

    from tqdm import tqdm

    import sicm_ros
    from sicm_ros.benchmark import symbols

    model = sicm_ros.load(args.model)
    pairs = options.some_pairs(args.drive, args.limit)
    packets = [
        model.encode(pair.left, pair.right, pair.calibration, quality) for pair in pairs for quality in (0.1, 0.5, 0.9)
    ]
    known = ("openvino", "onnxruntime", "torch")
    engines = args.engines or [engine for engine in known if importlib.util.find_spec(engine)]
    chosen = symbols.settings(engines, args.thread_counts)
    found = symbols.compare(
        args.model, packets, chosen, lambda work: tqdm(work, "decoding", unit="setting", disable=None)
    )
    if args.json != "-":
        options.console(120).print(symbols.table(found))
    options.write_json(args.json, [asdict(one) for one in found])
    return 0 if all(one.right for one in found) else 1
