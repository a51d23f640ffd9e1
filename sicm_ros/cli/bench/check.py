# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench check`"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "recompute a run's rd.csv from its streams: decode, detect, evaluate, compare"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="--out of `sicm bench run`")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the table to check (default: DIR/rd.csv)")
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=PATH", help="path of a data set on this machine"
    )
    parser.add_argument(
        "--anchor", action="append", metavar="NAME", help="check only this one's rows; may be given more than once"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="POINTS",
        help="points of AP that may differ, since processors round differently (default: %(default)s)",
    )
    options.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from sicm_ros.benchmark import table
    from sicm_ros.benchmark.check import check
    from sicm_ros.benchmark.store import load_run
    from sicm_ros.errors import InputError

    threads = options.limit_threads(args.threads)
    config = load_run(args.folder)
    for text in args.data:
        name, equals, path = text.partition("=")
        if not equals or name not in config.datasets:
            raise InputError(f"--data {text}; expected NAME=PATH, NAME one of {', '.join(config.datasets)}")
        datasets = {**config.datasets, name: replace(config.datasets[name], path=Path(path).resolve())}
        config = replace(config, datasets=datasets)
    rows = table.read_table(args.csv or args.folder / table.TABLE)
    known = dict.fromkeys(row["anchor"] for row in rows)
    for anchor in args.anchor or ():
        if anchor not in known:
            raise InputError(f"--anchor {anchor}: no row of it; expected one of {', '.join(known)}")
    rows = [row for row in rows if not args.anchor or row["anchor"] in args.anchor]
    checked = check(
        config,
        args.folder,
        rows,
        args.tolerance,
        threads,
        lambda work: tqdm(work, "checking", unit="row", disable=None),
    )
    wrong = [one for one in checked if one.differences]
    for one in wrong:
        for column, (published, found) in one.differences.items():
            print(f"{one.name}: {column} {published}, recomputed {found}", file=sys.stderr)
    print(f"{len(checked) - len(wrong)} of {len(checked)} rows are reproduced from their streams")
    return 1 if wrong else 0
