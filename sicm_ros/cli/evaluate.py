# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm evaluate`: KITTI's own figures of detection files, or of a model on a data set at a range of qualities."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.cli import options

if TYPE_CHECKING:
    from sicm_ros.benchmark.accuracy import Point
    from sicm_ros.benchmark.oracle import Oracle
    from sicm_ros.kitti import Labels, StereoFrame
    from sicm_ros.kitti.evaluation import Figures
    from sicm_ros.kitti.planner import PlannerTable

SUMMARY = "KITTI's AP of detection files, or of a model on a data set at several qualities, with bytes and intervals"
EPILOG = """examples:
  sicm evaluate --labels kitti/training/label_2 --detections results/data --table
  sicm evaluate kitti --split val --model default --quality uncompressed 0.3 0.6 --json curve.json --table
  sicm evaluate kitti --split val --quality uncompressed 0.5 --planner --sheet failures.jpg"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dataset",
        nargs="?",
        type=Path,
        help="labelled KITTI folder or archives, or another data set (docs/kitti.md), to be sent through a model",
    )
    options.add_json(parser)
    parser.add_argument(
        "--table", action="store_true", help="print every figure (default without --json: the main ones)"
    )
    parser.add_argument(
        "--planner",
        action="store_true",
        help="print what a planner asks: what was found, by distance, border and class",
    )
    parser.add_argument(
        "--oracle",
        action="store_true",
        help="print what limits AP: what it would be if depths, sizes, headings or directions were right",
    )
    parser.add_argument(
        "--min-score",
        type=options.quality,
        metavar="0..1",
        help="minimum score of detections for --planner (default: 0.5)",
    )
    parser.add_argument(
        "--replicates", type=options.positive, metavar="N", help="number of resampled sets of frames for each interval"
    )

    files = parser.add_argument_group("detection files, one per frame")
    files.add_argument("--labels", type=Path, metavar="DIR", help="folder of label files")
    files.add_argument("--detections", type=Path, metavar="DIR", help="folder of detection files with the same names")

    chain = parser.add_argument_group("a model on DATASET")
    options.add_model(chain)
    options.add_qualities(chain, [0.5])
    options.add_split(chain)
    options.add_limit(chain, "the first ones")
    options.add_device(chain)
    chain.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="draw the nearest missed objects and the most confident false alarms, at the first quality",
    )
    chain.add_argument(
        "--out",
        type=Path,
        help="folder of the detections; an interrupted run resumes there (default: runs/evaluate/...)",
    )


def run(args: argparse.Namespace) -> None:
    from sicm_ros.errors import InputError

    if args.min_score is None:
        from sicm_ros.geometry import LIKELY

        args.min_score = LIKELY
    if args.sheet and args.dataset is None:
        raise InputError(f"--sheet {args.sheet}: detection files have no images; expected a DATASET")
    if args.dataset is not None and args.labels is None and args.detections is None:
        _of_model(args)
        return
    if args.dataset is None and args.labels is not None and args.detections is not None:
        _of_files(args)
        return
    raise InputError(
        "nothing to evaluate; expected --labels DIR and --detections DIR, or a DATASET with --model and --quality"
    )


def _of_files(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from sicm_ros.errors import InputError
    from sicm_ros.kitti import bootstrap, evaluate, read_labels
    from sicm_ros.kitti.evaluation import CURVES

    for folder in (args.labels, args.detections):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; expected one with a text file for each frame")
    paths = sorted(args.detections.glob("*.txt"))
    if not paths:
        raise InputError(
            f"{args.detections} holds no .txt; expected a detection file for each frame, empty where nothing was found"
        )
    labels, detections = [], []
    for path in tqdm(paths, "reading", unit="frame", disable=None, leave=False):
        label = args.labels / path.name
        if not label.exists():
            raise InputError(f"{label} is missing; expected the labels for {path}")
        labels.append(read_labels(label))
        detections.append(read_labels(path, scored=True))
    unread = len(list(args.labels.glob("*.txt"))) - len(paths)
    if unread:
        print(
            f"{len(paths)} frames have a detection file; {unread} frames that only have labels are left out",
            file=sys.stderr,
        )
    figures = evaluate(labels, detections)
    interval = None
    if args.replicates:
        interval = bootstrap(
            labels,
            detections,
            args.replicates,
            progress=lambda curves: tqdm(curves, "intervals", CURVES, unit="curve", disable=None, leave=False),
        )
    planner = None
    if args.planner:
        from sicm_ros.kitti.planner import judged, planner_table

        both = zip(labels, detections)
        planner = planner_table([judged(*pair, min_score=args.min_score) for pair in both], args.min_score)
    limits = _oracle(labels, detections) if args.oracle else None
    more = ({"planner": planner.tree()} if planner else {}) | ({"oracle": limits} if limits else {})
    options.write_json(args.json, {**figures, **more})
    if args.table or not (args.json or planner or limits):
        _print_figures(figures, interval, f"{len(paths)} frames")
    if planner and args.json != "-":
        _print_planner([("files", planner)], f"{len(paths)} frames")
    if limits and args.json != "-":
        _print_oracle([("files", limits)], f"{len(paths)} frames")


def _of_model(args: argparse.Namespace) -> None:
    from sicm_ros.benchmark.accuracy import measure
    from sicm_ros.datasets import open_dataset
    from sicm_ros.errors import InputError

    frames = open_dataset(args.dataset, args.split, labelled=True)[: args.limit]
    if not frames:
        raise InputError(f"{args.dataset} has no labelled frame{f' in split {args.split}' if args.split else ''}")
    model = options.load_model(args)
    description = model.describe()
    out = args.out or Path("runs/evaluate") / _key(args.dataset, description)
    points = []
    folders = []
    for quality in args.quality:
        folders.append(out / ("uncompressed" if quality is None else f"quality_{quality:g}"))
        points.append(measure(model, frames, quality, folders[-1], args.replicates or 200))
    looked_at = args.planner or args.sheet or args.oracle
    evaluated = [_labels_and_found(frames, folder) for folder in folders] if looked_at else []
    tables = _planner_tables(args, frames, evaluated) if args.planner or args.sheet else []
    limits = [_oracle(*both) for both in evaluated] if args.oracle else []
    results = {
        "dataset": str(args.dataset),
        "split": args.split,
        "frames": len(frames),
        "model": description["name"],
        "model_fingerprint": description["fingerprint"],
        "points": [_point(point) for point in points],
    }
    for point, table in zip(results["points"], tables):
        point["planner"] = table.tree()
    for point, told in zip(results["points"], limits):
        point["oracle"] = told
    options.write_json(args.json, results)
    if args.json != "-":
        options.write_json(str(out / "results.json"), results)
    for folder in folders:  # finished: the next run measures anew
        (folder / "frames.csv").rename(folder / "sizes.csv")
    names = [_quality_name(quality) for quality in args.quality]
    of = f"{description['name']} on {args.dataset}, {len(frames)} frames"
    if args.table:
        for point in points:
            _print_figures(point.ap, point.interval, _title(point, len(frames)))
    if args.table or args.json != "-":
        _print_points(points, f"{of}; 95 % intervals over frames")
    if args.planner and args.json != "-":
        _print_planner(list(zip(names, tables)), of)
    if limits and args.json != "-":
        _print_oracle(list(zip(names, limits)), of)


def _planner_tables(
    args: argparse.Namespace, frames: Sequence[StereoFrame], evaluated: list[tuple[list[Labels], list[Labels]]]
) -> list[PlannerTable]:
    """Return what a planner asks, of the detections of each quality; the first one's failures as a
    image if asked for.
    """
    from sicm_ros.benchmark.failures import failure_sheet
    from sicm_ros.kitti.planner import judged, planner_table

    tables = []
    for number, both in enumerate(evaluated):
        of_frames = zip(frames, *both)
        found = [judged(labels, detections, frame.size[0], args.min_score) for frame, labels, detections in of_frames]
        tables.append(planner_table(found, args.min_score))
        if args.sheet and not number:
            failure_sheet(frames, found, args.sheet)
    return tables


def _labels_and_found(frames: Sequence[StereoFrame], folder: Path) -> tuple[list[Labels], list[Labels]]:
    """Return labels and the detections that a folder holds, of each frame, both measured from the left camera."""
    from sicm_ros.kitti import read_labels

    detections = []
    for frame in frames:
        found = read_labels(folder / "detections" / f"{frame.name}.txt", scored=True)
        detections.append(found.moved(frame.source.left_origin_shift))
    return [frame.labels for frame in frames if frame.labels is not None], detections  # only labelled ones are opened


def _oracle(labels: Sequence[Labels], detections: Sequence[Labels]) -> Oracle:
    from tqdm import tqdm

    from sicm_ros.benchmark.oracle import oracle

    return oracle(labels, detections, lambda parts: tqdm(parts, "oracle", unit="part", disable=None, leave=False))


def _key(dataset: Path, description: dict) -> str:
    """Return the name of a folder for a model on a data set: another model or data set never finds its detections."""
    place = hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:8]
    return f"{description['name']}-{description['fingerprint'][:8]}-{dataset.resolve().name}-{place}"


def _point(point: Point) -> dict:
    tree = asdict(point)
    tree["depth_error_percent_10_to_30_m"] = tree.pop("depth_error")
    tree["matched_cars_10_to_30_m"] = tree.pop("matched")
    return tree


def _title(point: Point, frames: int) -> str:
    if point.quality is None:
        return f"uncompressed, {frames} frames"
    return f"quality {point.quality:g}, {point.bytes_per_pair:.0f} bytes per pair, {point.bpp:.4f} bpp, {frames} frames"


def _cell(value: float, interval: list[float] | None) -> str:
    return f"{value:.2f}" + (f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else "")


def _print_figures(figures: Figures, interval: Figures | None, title: str) -> None:
    """Print every class, metric and overlap: AP, and orientation similarity (aos), at 40 and 11 recall points."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in ("class", "metric", "overlap"):
        table.add_column(name)
    for name in ("R40 easy", "R40 moderate", "R40 hard", "R11 easy", "R11 moderate", "R11 hard"):
        table.add_column(name, justify="right")
    for of_class, metrics in figures.items():
        for metric, limits in metrics.items():
            for limit, averages in limits.items():
                cells = [
                    _cell(value, interval[of_class][metric][limit][points][level] if interval else None)
                    for points in ("R40", "R11")
                    for level, value in enumerate(averages[points])
                ]
                table.add_row(of_class, metric, limit, *cells)
        table.add_section()
    options.console(200).print(table)


def _inside(coverage: dict | None) -> str:
    if not coverage or not coverage["count"]:
        return "-"
    return " ".join(f"{100 * share:.0f}" for share in coverage["inside"].values()) + f" % of {coverage['count']}"


def _print_points(points: list[Point], title: str) -> None:
    """Print one line per quality: what it costs and the main figures of cars, moderate, 40 recall points."""
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        caption="Car, moderate, R40; score error: mean of |score - share that is right|; within 1 sigma: share of "
        "boxes whose depth, sideways and vertical position and heading are",
        caption_justify="left",
    )
    for name in ("quality", "bytes per pair", "bpp"):
        table.add_column(name, justify="right")
    columns = [("3d", "0.70"), ("bev", "0.70"), ("3d", "0.50"), ("bev", "0.50"), ("bbox", "0.70")]
    for metric, limit in columns:
        table.add_column(f"{metric} {limit}", justify="right")
    table.add_column("depth error, 10 to 30 m", justify="right")
    table.add_column("score error", justify="right")
    table.add_column("within 1 sigma", justify="right")
    for point in points:
        cells = [
            _cell(point.ap["Car"][metric][limit]["R40"][1], point.interval["Car"][metric][limit]["R40"][1])
            for metric, limit in columns
        ]
        cost = ["-", "-"] if point.quality is None else [f"{point.bytes_per_pair:.0f}", f"{point.bpp:.4f}"]
        depth = "-" if point.depth_error is None else f"{point.depth_error:.2f} % of {point.matched} cars"
        error = point.reliability["Car"]["error"]
        cells += [depth, "-" if error is None else f"{error:.3f}", _inside(point.coverage)]
        table.add_row(_quality_name(point.quality), *cost, *cells)
    options.console(200).print(table)


def _quality_name(quality: float | None) -> str:
    return "uncompressed" if quality is None else f"{quality:g}"


def _print_planner(tables: list[tuple[str, PlannerTable]], title: str) -> None:
    from sicm_ros.benchmark.planner import planner_view

    options.console(200).print(planner_view(tables, f"found, {title}"))


def _print_oracle(tables: list[tuple[str, Oracle]], title: str) -> None:
    from sicm_ros.benchmark.oracle import oracle_view

    options.console(200).print(oracle_view(tables, f"what limits AP, {title}"))
