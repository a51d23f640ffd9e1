# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench priors`"""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "the integer prior beside CompressAI's in floating point: bytes for the same symbols, and on other decoders"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="KITTI folder or archives with splits train and validation")
    options.add_model(parser)
    options.add_limit(parser, "of each split, evenly spread", 24)
    options.add_qualities(parser, [0.1, 0.5, 0.9])
    parser.add_argument("--steps", type=options.positive, default=600, metavar="N", help="default: %(default)s")
    parser.add_argument("--batch", type=options.positive, default=4, metavar="N", help="pairs (default: %(default)s)")
    parser.add_argument(
        "--thread-counts", nargs="+", type=options.positive, default=[2], metavar="N", help="default: 2"
    )
    options.add_threads(parser, "threads of the training")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    import copy
    from dataclasses import replace

    import torch
    from tqdm import tqdm

    import sicm_ros
    from sicm_ros.benchmark import priors
    from sicm_ros.datasets import open_dataset
    from sicm_ros.errors import InputError
    from sicm_ros.model.folder import read_model

    torch.set_num_threads(options.limit_threads(args.threads))
    network = read_model(args.model).network.prior
    model = sicm_ros.load(args.model)
    config = network.config
    if config.entropy_models is not None:
        raise InputError(f"{args.model}: its prior is CompressAI's already; expected one in integers")

    def bar(title: str):  # type: ignore[no-untyped-def]
        return lambda work: tqdm(work, title, disable=None)

    qualities = [quality for quality in args.quality if quality is not None]
    pairs = {}
    for split in ("train", "validation"):
        frames = open_dataset(args.dataset, split)
        names = options.evenly(frames.names, args.limit)
        pairs[split] = priors.symbols_of(model, bar(split)([frames.frame(name) for name in names]), qualities)
    integer = copy.deepcopy(network)
    floating = priors.starting_from(network, replace(config, entropy_models="compressai"))
    rates = priors.rates("integers, as in the model", network, network.export(), pairs["validation"])
    compared = {}
    for name, prior in (("integers", integer), ("CompressAI's", floating)):
        priors.learn(prior, pairs["train"], args.steps, args.batch, bar(name))
        compared[name] = prior, prior.export()
        rates += priors.rates(name, *compared[name], pairs["validation"])
    settings = priors.decoders(args.thread_counts)
    drifts = priors.drift(compared, pairs["validation"], settings, bar("decoding"))
    if args.json != "-":
        for table in (priors.rate_table(rates), priors.drift_table(drifts)):
            options.console(120).print(table)
    options.write_json(args.json, priors.as_json(rates, drifts))
    return 0
