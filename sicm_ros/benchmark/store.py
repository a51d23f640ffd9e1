# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A run's folder: what lies where in it, and what is there already.

OUT/run.yaml                                             the configuration, its paths filled in
OUT/<data set>/<anchor>/<variant>/<quality>/streams/     a file for each stream: its size is what is counted
OUT/<data set>/<anchor>/<variant>/<quality>/seconds/     a JSON file for each group of frames: what it took
OUT/<data set>/<anchor>/<variant>/<quality>/<detector>/  a KITTI detection file a frame
OUT/<data set>/<anchor>/<variant>/<quality>/<detector>.json   accuracy.Point of them
OUT/times.json                                           speed.measure's
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.benchmark.config import BenchmarkConfig, DatasetConfig
from sicm_ros.benchmark.point import Point
from sicm_ros.benchmark.settings import Setting
from sicm_ros.errors import InputError
from sicm_ros.files import read_yaml, write_text
from sicm_ros.kitti.splits import drive_of

if TYPE_CHECKING:
    import numpy as np

    from sicm_ros.kitti import KittiFrames

TIMES = "times.json"


@lru_cache(maxsize=8)
def frames_of(path: Path, split: str | None) -> KittiFrames:
    """Return a data set's labelled frames, opened once in a process."""
    from sicm_ros.datasets import open_dataset

    return open_dataset(path, split, labelled=True)


def names_of(dataset: DatasetConfig) -> tuple[str, ...]:
    """Return names of the frames that a data set's configuration takes."""
    names = tuple(frames_of(dataset.path, dataset.split).names[: dataset.limit])
    if not names:
        raise InputError(f"{dataset.path}: no labelled frame{f' in split {dataset.split}' if dataset.split else ''}")
    return names


def stream_files(folder: Path, setting: Setting, group: Sequence[str], suffixes: tuple[str, ...]) -> list[Path]:
    """Return files of the streams of a group of frames."""
    return [folder / "streams" / f"{name}.{suffix}" for name in _named(setting, group) for suffix in suffixes]


def _named(setting: Setting, group: Sequence[str]) -> Sequence[str]:
    """Return the frames that a group's streams are named after: a video's is one, a packet has its own frame."""
    return group if setting.stream else group[:1]


def all_streams(folder: Path, setting: Setting, names: Sequence[str], video: int) -> dict[tuple[str, ...], list[Path]]:
    """Return group of frames -> its streams' files, of a point's folder; video: frames of a sequence at most."""
    place = folder / "streams"
    return {
        group: [path for name in _named(setting, group) for path in sorted(place.glob(f"{name}.*"))]
        for group in groups_for(setting, names, video)
    }


def seconds_file(folder: Path, name: str) -> Path:
    """Return the file that says how long a group that begins with frame `name` took."""
    return folder / "seconds" / f"{name}.json"


def found_files(folder: Path, setting: Setting, detector: str, names: Sequence[str]) -> list[Path]:
    return [folder / setting.key(detector) / f"{name}.txt" for name in names]


def found(folder: Path, setting: Setting, detector: str, names: Sequence[str]) -> bool:
    """Return whether a detector's files of these frames are there."""
    return all(path.exists() for path in found_files(folder, setting, detector, names))


def done(folder: Path, setting: Setting, names: Sequence[str]) -> bool:
    """Return whether every detector's are."""
    return all(found(folder, setting, detector, names) for detector in setting.detectors)


def groups_of(names: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return groups of so many frames; one ends before that where names tell that another drive begins."""
    drives = [list(of_drive) for _, of_drive in groupby(names, drive_of)]
    return [tuple(part[i : i + size]) for part in drives for i in range(0, len(part), size)]


def groups_for(setting: Setting, names: Sequence[str], video: int) -> list[tuple[str, ...]]:
    """Return groups of frames that a setting codes together: of at most `video`, or each frame by itself."""
    return groups_of(names, video if setting.video else 1)


def digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def read_point(out: Path, setting: Setting, detector: str, names: Sequence[str]) -> Point | None:
    """Return the point of a setting and a detector on just these frames; None where it isn't there yet."""
    path = out / setting.folder / f"{setting.key(detector)}.json"
    if not path.exists():
        return None
    tree = json.loads(path.read_text())
    if tree.pop("of") != digest(names):
        return None
    del tree["frames"], tree["replicates"]
    return Point(**tree)


def guard(out: Path, names: tuple[str, ...], dataset: DatasetConfig) -> None:
    """Raise InputError if OUT/<data set> was made of other frames."""
    path = out / "dataset.json"
    frames = frames_of(dataset.path, dataset.split)
    if path.exists():
        told = json.loads(path.read_text())
        same = told["frame"] in frames.names and told["left_sha256"] == _sha(frames.frame(told["frame"]).left)
        if not same:
            raise InputError(f"{out} has results of a data set other than {dataset.path}; choose another --out")
    else:
        tree = {"frame": names[0], "left_sha256": _sha(frames.frame(names[0]).left)}
        write_text(path, json.dumps(tree))


def _sha(picture: np.ndarray) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def load_run(out: Path) -> BenchmarkConfig:
    """Return the configuration of a run's folder; InputError if there is none."""
    path = out / "run.yaml"
    if not path.is_file():
        raise InputError(f"{out} has no run.yaml; expected a folder written by `sicm bench run --out`")
    return BenchmarkConfig.parse(read_yaml(path.read_text()))
