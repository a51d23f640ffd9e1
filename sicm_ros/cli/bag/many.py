# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What both commands of `sicm bag` do alike: bags in, bags out, one after the other or side by side."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sicm_ros.cli import options

if TYPE_CHECKING:
    from sicm_ros.archive.many import BagJob


def add(parser: argparse.ArgumentParser) -> None:
    """Add what goes in and out, and who does it."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="IN ... OUT",
        help="bag (.mcap, .db3, .bag, a folder with metadata.yaml), several, or a folder of them; last the file to "
        "write (.mcap), or the folder for several",
    )
    parser.add_argument("--out", type=Path, metavar="OUT", help="instead of the last of the paths")
    options.add_model(parser)
    options.add_engine(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace bags that are there already")
    parser.add_argument(
        "--workers", type=options.positive, default=1, metavar="N", help="processes for several bags (default: 1)"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="share several bags with a Ray cluster, one per task; 'local' starts one here (needs the extra ray)",
    )
    parser.add_argument("--threads", type=options.positive, metavar="N", help="threads of each worker")
    options.add_json(parser)


def run(
    args: argparse.Namespace,
    work: Callable[..., Any],
    unit: str,
    print_one: Callable[[Any], None],
    tree: Callable[[Any], dict],
    **fields: Any,
) -> int:
    """Do a job for each bag; return the exit status, 1 where some failed.

    Args:
        work: what is done with a job.
        unit: that the progress of a single bag counts.
        print_one: prints the result of one bag.
        tree: of a result, for --json.
        fields: of the jobs.
    """
    from tqdm import tqdm

    from sicm_ros.archive.many import BagJob, plan
    from sicm_ros.bags.bag import remove_leftovers
    from sicm_ros.cores import cores
    from sicm_ros.errors import InputError, SicmError
    from sicm_ros.workers import limit_threads, sharing

    if args.out is None:
        if len(args.paths) < 2:
            raise InputError(f"{args.paths[0]}: nothing says where to write; give OUT as the last path, or --out OUT")
        args.out = args.paths.pop()
    pairs = plan(args.paths, args.out)
    several = len(pairs) > 1 or args.paths != [pairs[0][0]]
    shared = several and (args.workers > 1 or args.ray is not None)
    # Of a cluster's machines nothing is known, and single threads waste least.
    threads = args.threads or (1 if args.ray else max(1, cores() // args.workers) if shared else cores())
    made = {"threads": threads, "model": args.model, "engine": args.engine, "overwrite": args.overwrite}
    jobs = [BagJob(path, out.absolute(), **made, **fields) for path, out in pairs]
    if args.ray:
        jobs = [job.anywhere() for job in jobs]
    if not several:
        limit_threads(threads)
        with tqdm(unit=unit, disable=args.json == "-") as bar:
            result = work(jobs[0], lambda done, count: _show(bar, done, count))
        options.write_json(args.json, tree(result))
        if args.json != "-":
            print_one(result)
        return 0
    skipped = [job for job in jobs if job.out.exists() and not args.overwrite]
    jobs = [job for job in jobs if job not in skipped]
    results: list[Any] = []
    failures: list[tuple[BagJob, SicmError]] = []
    with (
        sharing(args.workers if args.ray is None else 1, args.ray, threads) as share,
        tqdm(total=len(jobs), unit="bag", disable=args.json == "-") as bar,
    ):
        for job, result in share(work, jobs):
            bar.update()
            if isinstance(result, SicmError):
                failures.append((job, result))
            else:
                results.append(result)
    for job, _ in failures:
        remove_leftovers(job.out)
    failed = [text if str(job.path) in (text := str(error)) else f"{job.path}: {text}" for job, error in failures]
    options.write_json(args.json, {"bags": [tree(result) for result in results], "failed": failed})
    if args.json != "-":
        for result in results:
            print_one(result)
        if skipped:
            print(f"{len(skipped)} bags were there already and are left as they are; --overwrite replaces them")
        for text in failed:
            print(f"failed: {text}")
    return 1 if failures else 0


def _show(bar: Any, done: int, count: int) -> None:
    bar.total = max(count, done)
    bar.update(done - bar.n)
