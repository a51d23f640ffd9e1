# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench zoo`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "train an image codec of CompressAI's zoo on a data set's images, as an anchor of `sicm bench run`"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dataset", type=Path, help="KITTI folder or archives; both views' images, full size and reduced"
    )
    options.add_split(parser)
    options.add_limit(parser, "evenly spread")
    options.add_out(parser, "folder of weights, one file for each quality", old_position=False)
    parser.add_argument(
        "--architecture", default="bmshj2018_hyperprior", metavar="A", help="of the zoo (default: %(default)s)"
    )
    parser.add_argument(
        "--qualities", nargs="+", type=options.positive, default=[1], metavar="Q", help="CompressAI's (default: 1)"
    )
    parser.add_argument(
        "--channels", nargs="+", type=options.positive, metavar="C", help="of the network (default: the zoo's)"
    )
    parser.add_argument(
        "--continued",
        action="store_true",
        help="let each quality but the first go on from the one before it: more steps for the same time",
    )
    parser.add_argument("--steps", type=options.positive, default=1000, metavar="N", help="default: %(default)s")
    parser.add_argument("--batch", type=options.positive, default=4, metavar="N", help="crops (default: %(default)s)")
    parser.add_argument("--crop", type=options.positive, default=192, metavar="PX", help="side (default: %(default)s)")
    options.add_threads(parser, "threads of the training")


def run(args: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from sicm_ros.compressai.image_codecs import new_network
    from sicm_ros.compressai.image_training import ImageTraining, train_images
    from sicm_ros.datasets import open_dataset
    from sicm_ros.geometry import ModelView
    from sicm_ros.network import NetworkConfig

    channels = tuple(args.channels) if args.channels else None
    for quality in args.qualities:
        new_network(args.architecture, quality, channels)  # says at once what is wrong
    torch.set_num_threads(options.limit_threads(args.threads))
    frames = open_dataset(args.dataset, args.split)
    names = options.evenly(frames.names, args.limit)
    size, images = NetworkConfig(), []
    for name in tqdm(names, "reading", unit="pair", disable=None):
        frame = frames.frame(name)
        view = ModelView.fit(frame.calibration, size.input_width, size.input_height)
        for image in (frame.left, frame.right):
            images += [image, view.apply(image)]
    for before, quality in zip((None, *args.qualities), args.qualities):
        start = before if args.continued else None
        training = ImageTraining(args.architecture, quality, channels, start, args.steps, args.batch, args.crop)
        title = f"{args.architecture} {quality}"
        path, losses = train_images(training, images, args.out, lambda s, t=title: tqdm(s, t, disable=None))  # type: ignore[misc]
        error = losses["mse_loss"] * 255**2
        print(f"{path}: {losses['bpp_loss']:.3f} bits per pixel, squared error {error:.0f} grey levels (last steps)")
    return 0
