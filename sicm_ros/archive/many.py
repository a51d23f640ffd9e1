# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Many bags at once: which ones a folder holds, where each goes, and the job of each for a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import sicm_ros
from sicm_ros.archive.compression import Compression, compress
from sicm_ros.archive.expansion import Expansion, Showing, expand
from sicm_ros.bags.bag import is_bag
from sicm_ros.errors import InputError
from sicm_ros.model import Model


@dataclass(frozen=True)
class BagJob:
    """One bag for one worker.

    Attributes:
        path, out: the bag, and where to.
        threads: that the worker may use.
        model, engine: for `sicm_ros.load`.
        overwrite: replace what is there.
        quality, how: of a compression, as for `compress`.
        showing: of an expansion.
    """

    path: Path
    out: Path
    threads: int
    model: str = "default"
    engine: str = "auto"
    overwrite: bool = False
    quality: float = 0.5
    how: dict[str, Any] = field(default_factory=dict)
    showing: Showing = field(default_factory=Showing)

    def anywhere(self) -> BagJob:
        """Return the same job for processes that work in another folder."""
        how = {
            name: _absolute(value) if name in ("preset", "calibration_file") else value
            for name, value in self.how.items()
        }
        return replace(self, path=self.path.absolute(), out=self.out.absolute(), model=_absolute(self.model), how=how)


def _absolute(name: str) -> str:
    """Return a name that may be a path, where there is something, as one that holds everywhere."""
    return str(Path(name).absolute()) if name and Path(name).exists() else name


@lru_cache(maxsize=1)
def _model(name: str, engine: str, sides: tuple[str, ...], threads: int) -> Model:
    """Load a model once for all bags of a process."""
    return sicm_ros.load(name, engine=engine, sides=sides, threads=threads)


Progress = Callable[[int, int], object]


def compress_one(job: BagJob, progress: Progress = lambda done, count: None) -> Compression:
    """Compress the bag of a job."""
    model = _model(job.model, job.engine, ("vehicle",), job.threads)
    return compress(job.path, job.out, model, job.quality, overwrite=job.overwrite, progress=progress, **job.how)


def expand_one(job: BagJob, progress: Progress = lambda done, count: None) -> Expansion:
    """Expand the bag of a job."""
    model = _model(job.model, job.engine, ("server",), job.threads)
    return expand(job.path, job.out, model, job.showing, overwrite=job.overwrite, progress=progress)


def bags_in(path: Path) -> list[Path]:
    """Return the bags of a path: itself, or those of a folder, at any depth.

    A folder with metadata.yaml is one bag; each bag file of a folder without is a bag of its own.
    """
    if path.is_file() or (path / "metadata.yaml").exists():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such bag or folder; expected .mcap, .db3 or .bag files, or folders of them")
    found: list[Path] = []
    for child in sorted(path.iterdir()):
        if child.name.startswith("."):
            continue
        if child.is_dir() and not child.is_symlink():
            found += bags_in(child)
        elif child.is_file() and is_bag(child):
            found.append(child)
    return found


def plan(inputs: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Return each bag with the file that it becomes: `out` for a single bag, else in `out` as it lies in its folder.

    Raises:
        InputError: there is no bag, two would become one file, or a bag would be written over itself.
    """
    found = {path: bags_in(path) for path in inputs}
    if not any(found.values()):
        raise InputError(f"{', '.join(map(str, inputs))}: no bags in it (.mcap, .db3, .bag, folders of metadata.yaml)")
    if len(inputs) == 1 and found[inputs[0]] == [inputs[0]]:
        target = out / f"{inputs[0].stem}.mcap" if out.is_dir() and out.suffix != ".mcap" else out
        if target.suffix != ".mcap":
            raise InputError(f"{out}: expected a name that ends in .mcap, or a folder that exists")
        pairs = [(inputs[0], target)]
    else:
        if out.suffix == ".mcap":
            raise InputError(f"{out}: several bags don't go into one file; expected a folder")
        pairs = [
            (bag, out / (bag.relative_to(path) if bag != path else Path(bag.name)).with_suffix(".mcap"))
            for path in inputs
            for bag in found[path]
        ]
    seen: dict[Path, Path] = {}
    for bag, target in pairs:
        if target in seen:
            raise InputError(f"{bag} and {seen[target]} would both become {target}; compress them one by one")
        if target.resolve() == bag.resolve() or bag.resolve() in target.resolve().parents:
            raise InputError(f"{target} is the bag itself, or in it; choose another place")
        seen[target] = bag
    return pairs
