"""`sicm bench`: how many bits, and how much time, a detector needs, by us and by other codecs."""

from __future__ import annotations

import argparse
import importlib
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

    stages = actions.add_parser("stages", help="where time and bytes of a pair go, at several qualities")
    stages.add_argument("--model", default="default", help="name or folder (default: %(default)s)")
    stages.add_argument("--pairs", type=Path, metavar="DATA", help="bag or KITTI folder (default: the demo's drive)")
    stages.add_argument("--limit", type=int, default=5, metavar="N", help="pairs of it (default: %(default)s)")
    stages.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (default: %(default)s)")
    stages.add_argument("--quality", type=float, nargs="+", default=[0.1, 0.5, 0.9], help="(default: %(default)s)")
    stages.add_argument("--threads", type=int, help="(default: all cores)")

    for action in (speed, stages):
        action.add_argument(
            "--number-type",
            choices=("float32", "bfloat16"),
            default="float32",
            help="of the network (default: %(default)s)",
        )
        action.add_argument(
            "--engine",
            choices=("torch", "openvino", "auto"),
            default="torch",
            help="of the network; openvino computes in float32 (default: %(default)s)",
        )

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

    soak = actions.add_parser("soak", help="a long run through the real nodes: memory, losses, latency")
    fleet = actions.add_parser("fleet", help="how many vehicles one decoder process serves")
    for action in (soak, fleet):
        action.add_argument("--model", default="default", help="name or folder (default: %(default)s)")
        action.add_argument(
            "--data", type=Path, metavar="DRIVE", help="bag or KITTI folder (default: the demo's drive)"
        )
        action.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    soak.add_argument("--pairs", type=int, default=5_000, metavar="N", help="results (default: %(default)s)")
    soak.add_argument("--quality", type=float, default=0.5, metavar="0..1", help="(default: %(default)s)")
    soak.add_argument("--picture", type=Path, metavar="OUT.png", help="memory and latency over the pairs")
    fleet.add_argument(
        "--vehicles", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N", help="(default: %(default)s)"
    )
    fleet.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="of each (default: %(default)s)")
    fleet.add_argument(
        "--batch", type=int, nargs="+", default=[1], metavar="B", help="max_batch (default: %(default)s)"
    )
    fleet.add_argument("--seconds", type=float, default=10.0, help="of counting (default: %(default)s)")
    fleet.add_argument("--threads", type=int, help="of the decoder (default: all cores)")

    report = actions.add_parser("report", help="report.html and results.json of a run, finished or not")
    report.add_argument("out", type=Path, metavar="DIR", help="--out of `sicm bench run`")


def run(args: argparse.Namespace) -> int | None:
    actions = {
        "speed": _speed,
        "stages": _stages,
        "run": _run,
        "report": _report,
        "soak": _soak,
        "fleet": _fleet,
    }
    return actions[args.action](args)


def _soak(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from sicm_ros.benchmark import soak
    from sicm_ros.cli.demo import SHIPPED
    from sicm_ros.errors import InputError

    if args.pairs < 10:
        raise InputError(f"--pairs {args.pairs}; expected at least 10")
    if args.picture:
        importlib.import_module("sicm_ros.benchmark.figures")  # says at once, not after hours, if something is missing
    with tqdm(total=args.pairs, unit="pair", desc="loading the model") as bar:

        def progress(done: int) -> None:
            bar.set_description("through encoder and decoder")
            bar.update(done - bar.n)

        result = soak.soak(args.data or SHIPPED, args.model, args.pairs, args.quality, progress)
    if args.json:
        args.json.write_text(json.dumps(result.as_json(), indent=1))
    if args.picture:
        soak.picture(result, args.picture)
    print(f"{result.pairs} pairs in {result.seconds:.0f} s, {result.pairs / max(result.seconds, 1e-9):.1f} a second")
    for name in soak.NODES:
        memory = result.samples[-1].memory[name] / 1024
        print(
            f"{name}: {memory:.0f} MiB, since warm-up {100 * result.step[name]:+.2f} %, steadily "
            f"{100 * result.growth[name]:+.2f} %; latency "
            f"{result.samples[-1].latency[name]:.1f} ms, {100 * result.drift[name]:+.1f} %; dropped: "
            f"{result.dropped[name] or 'nothing'}"
        )
    verdict = "passed" if result.passed else "FAILED"
    print(f"lost: {result.lost}; {verdict}: memory may grow steadily by 1 %, nothing may be lost")
    return 0 if result.passed else 1


def _fleet(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from tqdm import tqdm

    from sicm_ros.benchmark import fleet
    from sicm_ros.cli.demo import SHIPPED

    threads = args.threads or os.cpu_count() or 1
    runs = [(vehicles, batch) for batch in args.batch for vehicles in args.vehicles]
    rows = [
        fleet.serve(args.data or SHIPPED, args.model, vehicles, args.rate, args.seconds, batch, threads)
        for vehicles, batch in tqdm(runs, desc="fleets")
    ]
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    Console(width=None if sys.stdout.isatty() else 120).print(fleet.table(rows))


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
    model = sicm_ros.load(args.model, args.device, args.engine, args.number_type)
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


def _stages(args: argparse.Namespace) -> None:
    from rich.console import Console
    from tqdm import tqdm

    import sicm_ros
    from sicm_ros.benchmark import stages

    _limit_threads(args.threads or os.cpu_count() or 1)
    model = sicm_ros.load(args.model, engine=args.engine, number_type=args.number_type)
    columns = stages.measure(
        model,
        some_pairs(args.pairs, args.limit),
        args.quality,
        args.repeats,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair", disable=None),
    )
    Console(width=None if sys.stdout.isatty() else 120).print(stages.table(columns))


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
