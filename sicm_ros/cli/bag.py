"""`sicm bag`: bags of stereo pictures, made and looked into."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "make a stereo bag of a KITTI drive, or say what is in a bag"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    make = actions.add_parser("from-kitti", help="write a KITTI drive as a bag that `ros2 bag play` plays")
    make.add_argument("source", type=Path, help="raw drive, object folder (image_2, image_3, calib), odometry")
    make.add_argument("out", type=Path, help="file to write (.mcap, .db3), or a folder with metadata.yaml")
    make.add_argument("--storage", choices=("mcap", "sqlite3"), help="default: by the suffix, mcap for a folder")
    make.add_argument("--compressed", choices=("jpeg", "png"), help="CompressedImage instead of raw pictures")
    make.add_argument("--jpeg-quality", type=int, default=95, metavar="1..100", help="default: %(default)s")
    make.add_argument("--limit", type=int, metavar="N", help="the first N pairs only")
    make.add_argument("--overwrite", action="store_true", help="replace a bag of that name")

    info = actions.add_parser("info", help="say what is in a bag or KITTI folder, and which layout it has")
    info.add_argument("source", type=Path, help="bag or KITTI folder")
    info.add_argument("--preset", default="auto", help="layout, see `sicm bag presets`; default: %(default)s")

    actions.add_parser("presets", help="list the layouts of bags that are known")


def run(args: argparse.Namespace) -> int | None:
    from rich.console import Console
    from rich.table import Table

    from sicm_ros import bags
    from sicm_ros.errors import InputError

    console = Console()
    if args.action == "from-kitti":
        if not 1 <= args.jpeg_quality <= 100:
            raise InputError(f"--jpeg-quality {args.jpeg_quality}; expected 1 to 100")
        if args.limit is not None and args.limit < 1:
            raise InputError(f"--limit {args.limit}; expected at least one pair")
        pairs = bags.from_kitti(
            args.source,
            args.out,
            storage=args.storage,
            compress=args.compressed,
            quality=args.jpeg_quality,
            limit=args.limit,
            overwrite=args.overwrite,
        )
        size = sum(p.stat().st_size for p in args.out.rglob("*")) if args.out.is_dir() else args.out.stat().st_size
        console.print(f"{args.out}: {pairs} stereo pairs, {size / 1e6:.1f} MB")
        return 0
    table = Table(box=None, pad_edge=False)
    if args.action == "presets":
        for title in ("preset", "left pictures", "right pictures", "written by"):
            table.add_column(title, overflow="fold")
        for preset in bags.PRESETS.values():
            table.add_row(preset.name, preset.left, preset.right, preset.about)
        console.print(table)
        return 0
    with bags.open_stereo(args.source, args.preset) as source:
        console.print(f"{args.source}: layout {source.layout}, {source.count} stereo pairs", highlight=False)
        first = next(source.pairs(), None)
        if first is None:
            raise InputError(f"{args.source}: no left and right picture in it have the same time")
        c = first.calibration
        console.print(
            f"{c.width} x {c.height} pixels, fx {c.fx:.2f}, fy {c.fy:.2f}, cx {c.cx:.2f}, cy {c.cy:.2f} px, baseline "
            f"{c.baseline:.4f} m, disparity offset {c.disparity_offset:.2f} px, "
            f"{'compressed' if source.compressed else 'raw'} pictures",
            highlight=False,
        )
        if isinstance(source, bags.stereo.BagSource):
            for title in ("topic", "type", "messages"):
                table.add_column(title, overflow="fold")
            for name, topic in sorted(source.bag.topics.items()):
                table.add_row(name, topic.type, str(topic.count))
            console.print(table)
    return 0
