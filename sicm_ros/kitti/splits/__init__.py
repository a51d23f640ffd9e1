# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which frames are for training and which for tests: index files, and whole drives for frames named after theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path, PurePosixPath

import yaml

from sicm_ros.errors import InputError
from sicm_ros.kitti.tree import Tree

_DRIVE = re.compile(r"(\d{4}_\d\d_\d\d)_(?:drive_)?(\d{4})_")


def drive_of(name: str) -> str | None:
    """Return the drive (2011_09_26_0056) in a frame's name, None if it names none."""
    match = _DRIVE.match(name)
    return f"{match[1]}_{match[2]}" if match else None


SPLITS = ("train", "validation", "test")  # of frames that are named after their drive


@lru_cache
def held_out_drives(split: str | None = None) -> frozenset[str]:
    """Return drives of the split `test` or `validation`, or both: nothing is trained on them (shared_frames.yaml)."""
    text = resources.files("sicm_ros.kitti.splits").joinpath("shared_frames.yaml").read_text()
    drives = yaml.safe_load(text)
    return frozenset(d for part in ((split,) if split else SPLITS[1:]) for d in drives[f"{part}_drives"])


def split_names(split: str | Path, names: Iterable[str], tree: Tree) -> list[str]:
    """Return names of a split's frames, in its order.

    split is the name of an index file of the data set (`ImageSets/<split>.txt`: one frame name a line), the path of
    one or, for frames named after their drive, 'train', 'validation', 'test' or drives
    (`2011_09_26_0009,2011_09_26_0057`). Raises InputError if it is none of them.
    """
    for path in tree:
        place = PurePosixPath(path)
        if place.name == f"{split}.txt" and place.parent.name == "ImageSets":
            return list(dict.fromkeys(tree.text(path).split()))
    if Path(split).is_file():
        return list(dict.fromkeys(Path(split).read_text("utf-8-sig").split()))
    drives = {name: drive_of(name) for name in names}
    if split in SPLITS and any(drives.values()):
        if split == "train":
            return [name for name, drive in drives.items() if drive not in held_out_drives()]
        return [name for name, drive in drives.items() if drive in held_out_drives(split)]
    wanted = set(str(split).split(","))
    if wanted <= set(drives.values()):
        return [name for name, drive in drives.items() if drive in wanted]
    raise InputError(
        f"{tree.root}: no split {str(split)!r}; expected the path of a file of frame names, one that lies in "
        f"{tree.root / 'ImageSets'}, or 'train', 'validation', 'test' or drives for frames named <date>_<drive>_<frame>"
    )
