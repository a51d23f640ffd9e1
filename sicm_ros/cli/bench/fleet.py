# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench fleet`"""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "how many vehicles one decoder process serves"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_engine(parser)
    parser.add_argument(
        "--vehicles",
        type=options.positive,
        nargs="+",
        default=[1, 2, 4, 8],
        metavar="N",
        help="numbers of vehicles (default: 1 2 4 8)",
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, metavar="HZ", help="rate of each vehicle (default: %(default)s)"
    )
    parser.add_argument(
        "--batch", type=options.positive, nargs="+", default=[1], metavar="B", help="values of max_batch (default: 1)"
    )
    parser.add_argument(
        "--workers",
        type=options.positive,
        nargs="+",
        default=[None],
        metavar="W",
        help="values of the node's parameter `workers` (default: the node's own choice)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each count (default: %(default)s)")
    options.add_threads(parser, "threads of the decoder")
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict
    from itertools import product

    from tqdm import tqdm

    from sicm_ros.benchmark import fleet
    from sicm_ros.cores import cores

    drive = args.drive or options.SHIPPED
    threads = args.threads or cores()
    computes = {"model": args.model, "engine": args.engine, "number_type": args.number_type, "threads": threads}
    runs = [*product(args.workers, args.batch, args.vehicles)]
    rows = [
        fleet.serve(drive, computes, vehicles, args.rate, args.seconds, workers, batch)
        for workers, batch, vehicles in tqdm(runs, desc="fleets", disable=None)
    ]
    if args.json != "-":  # before anything is written, which may fail
        options.console(120).print(fleet.table(rows))
    options.write_json(args.json, [asdict(row) for row in rows])
