"""`sicm bench`: how many bits, and how much time, a detector needs, by us and by other codecs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sicm_ros.benchmark.coders import Pair

SUMMARY = "rate, accuracy and speed beside other codecs, on the same frames with the same detector"
_EPILOG = """examples:
  sicm bench speed --pairs kitti
  sicm bench run quick --out runs/quick && sicm bench report runs/quick
  sicm bench run full --data real=kitti --data drive=kitti/sequence_0056 --out runs/full --workers 2"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    speed = actions.add_parser("speed", help="time every stage beside VVenC, x265 and JPEG, in one run")
    speed.add_argument("--model", default="default", help="name or folder (default: %(default)s)")
    speed.add_argument("--pairs", type=Path, metavar="DATA", help="bag or KITTI folder (default: a rendered picture)")
    speed.add_argument(
        "--limit", type=int, default=3, metavar="N", help="pairs of it, evenly spread (default: %(default)s)"
    )
    speed.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds (default: %(default)s)")
    speed.add_argument("--quality", type=float, default=0.5, metavar="0..1", help="of ours (default: %(default)s)")
    speed.add_argument("--threads", type=int, help="of ours and of each encoder (default: all cores)")
    speed.add_argument("--device", default="cpu", help="of ours (default: %(default)s)")
    speed.add_argument("--json", metavar="OUT", help="write the figures there ('-': standard output, no table)")

    run = actions.add_parser(
        "run", help="code, detect and judge all that a configuration lists; goes on where it stopped"
    )
    run.add_argument("config", help="name of one that ships (quick, full), or a YAML file")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of streams, detections and figures")
    run.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="where a data set lies; NAME= may be left out for one",
    )
    run.add_argument("--model", help="name or folder, instead of the configuration's")
    run.add_argument("--workers", type=int, default=1, metavar="K", help="processes (default: %(default)s)")
    run.add_argument("--threads", type=int, help="of each worker (default: the cores shared out)")
    run.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="share the work with a Ray cluster that sees the same files; 'local' starts one",
    )

    report = actions.add_parser("report", help="report.html and results.json of a run, finished or not")
    report.add_argument("out", type=Path, metavar="DIR", help="--out of `sicm bench run`")


def run(args: argparse.Namespace) -> int | None:
    return {"speed": _speed, "run": _run, "report": _report}[args.action](args)


def _speed(args: argparse.Namespace) -> None:
    from rich.console import Console
    from tqdm import tqdm

    import sicm_ros
    from sicm_ros.benchmark import speed
    from sicm_ros.errors import InputError

    for name in ("limit", "repeats"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} {getattr(args, name)}; expected at least 1")
    threads = args.threads or os.cpu_count() or 1
    _limit_threads(threads)
    model = sicm_ros.load(args.model, device=args.device)
    pairs = some_pairs(args.pairs, args.limit)
    times = speed.measure(
        model,
        pairs,
        threads,
        args.repeats,
        args.quality,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair", disable=None),
        memory_of=args.model,
    )
    if args.json == "-":
        print(json.dumps(times, indent=1))
        return
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(json.dumps(times, indent=1) + "\n")
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(speed.table(times))
    for line in speed.cost_lines(times):
        console.print(line, highlight=False)


def some_pairs(data: Path | None, count: int) -> Sequence[Pair]:
    """So many pairs of a bag or KITTI folder, evenly spread; without one, the drive that ships."""
    from sicm_ros.bags import open_stereo
    from sicm_ros.cli.demo import SHIPPED
    from sicm_ros.errors import InputError

    with open_stereo(data or SHIPPED) as source:
        wanted = {round(i * (source.count - 1) / max(count - 1, 1)) for i in range(count)}
        pairs = []
        for index, pair in enumerate(source.pairs()):
            if index in wanted:
                pairs.append(pair)
            if len(pairs) == len(wanted):
                break
    if not pairs:
        raise InputError(f"{data}: no stereo pair in it")
    return pairs


def _limit_threads(threads: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _run(args: argparse.Namespace) -> int:
    from sicm_ros.benchmark import run as benchmark
    from sicm_ros.benchmark.config import load_config
    from sicm_ros.errors import InputError

    if args.workers < 1:
        raise InputError(f"--workers {args.workers}; expected at least 1")
    config = load_config(args.config)
    if args.model:
        config = config.model_copy(update={"model": args.model})
    data = {}
    for text in args.data:
        name, equals, path = text.partition("=")
        if not equals:
            open_ones = [n for n, d in config.datasets.items() if d.path is None and d.rendered is None]
            if len(open_ones) != 1:
                raise InputError(f"--data {text}; expected NAME=PATH, NAME one of {', '.join(config.datasets)}")
            name, path = open_ones[0], text
        data[name] = Path(path)
    config = benchmark.prepare(config, args.out, data, args.workers)
    failures = benchmark.run(config, args.out, args.workers, args.ray, args.threads)
    if not failures and not (args.out / benchmark.TIMES).exists():
        benchmark.time_codecs(config, args.out, args.threads)
    for failure in failures:
        print(f"sicm bench run: {failure}", file=sys.stderr)
    print(f"{args.out}: {'incomplete, run it again' if failures else 'complete'}; sicm bench report {args.out}")
    return 1 if failures else 0


def _report(args: argparse.Namespace) -> None:
    from rich.console import Console

    from sicm_ros.benchmark.report import write_report

    for line in write_report(args.out):
        Console().print(line, highlight=False)
