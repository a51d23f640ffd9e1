"""The object layout: `image_2/ image_3/ calib/` and, where there are labels, `label_2/` (and `disparity/`).

A root is read as it is: such a folder, one that holds several of them (`training/`, or the shared frames' `frames/`,
`sequence_0056/`, `odometry/`), or KITTI's archives of them, zipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path, PurePosixPath

import yaml

from sicm_ros.errors import InputError
from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration
from sicm_ros.kitti.frames import StereoFrame
from sicm_ros.kitti.tree import Tree

_SUFFIXES = {"image_2": (".png", ".jpg", ".jpeg"), "calib": (".txt",), "label_2": (".txt",), "disparity": (".png",)}
_SUFFIXES["image_3"] = _SUFFIXES["image_2"]
_DRIVE = re.compile(r"(\d{4}_\d\d_\d\d_(?:drive_)?\d{4})_")


class KittiObjects(Sequence[StereoFrame]):
    """Frames of an object layout, sorted by folder and name.

    Args:
        root: folder or zip archive.
        split: the name of an index file in the data set (`ImageSets/<split>.txt`), a path of one, 'train' or 'test' of
            frames named after their drive (splits/shared_frames.yaml), or 'testing' for KITTI's unlabelled folder.
        names: the frames to take, in this order.
        labelled: True leaves out frames without labels.

    Raises InputError for a root without frames, frames without their right picture or calibration, two frames of one
    name, unknown names and unknown splits.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | Path | None = None,
        names: Iterable[str] | None = None,
        labelled: bool = False,
    ) -> None:
        self._tree = Tree(root)
        self._index = self._scan(testing=split == "testing")
        self.names = list(self._index) if names is None else list(names)
        if split is not None and split != "testing":
            chosen = self._split(split)
            self.names = [name for name in self.names if name in chosen] if names is not None else list(chosen)
        for name in self.names:
            if name not in self._index:
                raise InputError(
                    f"{root}: no frame {name!r}; it has {len(self._index)}, such as {next(iter(self._index))!r}"
                )
        if labelled:
            self.names = [name for name in self.names if "label_2" in self._index[name]]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.frame(self.names[index])

    def frame(self, name: str) -> StereoFrame:
        """The frame of a name."""
        files, tree = self._index[name], self._tree
        return StereoFrame(
            tree,
            name,
            files["image_2"],
            files["image_3"],
            lambda: _calibration(tree, files["calib"]),
            files.get("label_2"),
            files.get("disparity"),
        )

    def _scan(self, testing: bool) -> dict[str, dict[str, str]]:
        """name -> {image_2, image_3, calib, label_2?, disparity?} -> path."""
        groups: dict[str, dict[str, dict[str, str]]] = {}
        for path in self._tree:
            parts = PurePosixPath(path)
            kind = parts.parent.name
            if kind in _SUFFIXES and parts.suffix.lower() in _SUFFIXES[kind]:
                files = groups.setdefault(str(parts.parent.parent), {}).setdefault(parts.stem, {})
                if kind in files:
                    raise InputError(
                        f"{self._tree.where(path)}: {files[kind]} is the same frame's; expected one of them"
                    )
                files[kind] = path
        groups = {folder: frames for folder, frames in groups.items() if any("image_2" in f for f in frames.values())}
        folders = {PurePosixPath(folder).name: folder for folder in groups}
        if testing:
            groups = {folder: frames for folder, frames in groups.items() if PurePosixPath(folder).name == "testing"}
        elif "training" in folders and "testing" in folders:
            del groups[folders["testing"]]  # KITTI counts both from 000000
        index: dict[str, dict[str, str]] = {}
        for folder, frames in sorted(groups.items()):
            for name, files in sorted(frames.items()):
                if "image_2" not in files:
                    continue  # labels and calibrations of the whole set beside a part of its pictures
                place = self._tree.root / folder
                for kind, what in (("image_3", "right picture"), ("calib", "calibration")):
                    if kind not in files:
                        raise InputError(f"{place}: frame {name!r} has no {kind}/{name}; expected its {what}")
                if name in index:
                    raise InputError(
                        f"{place}: {index[name]['image_2']} is a frame of the same name; give one folder as root"
                    )
                index[name] = files
        if not index:
            raise InputError(
                f"{self._tree.root} holds no {'testing/' if testing else ''}image_2/*.png; expected a folder "
                "with image_2, image_3, calib and label_2, a folder of such folders, or KITTI's archives"
            )
        return index

    def _split(self, split: str | Path) -> dict[str, None]:
        """Names of a split, in order."""
        for path in self._tree:
            if path.endswith(f"{split}.txt") and PurePosixPath(path).parent.name in ("ImageSets", "splits"):
                return dict.fromkeys(self._tree.text(path).split())
        if Path(split).is_file():
            return dict.fromkeys(Path(split).read_text().split())
        drives = {name: drive_of(name) for name in self._index}
        if split in ("train", "test") and any(drives.values()):
            tests = test_drives()
            return {name: None for name, drive in drives.items() if (drive in tests) == (split == "test")}
        raise InputError(
            f"{self._tree.root}: no split {str(split)!r}; expected the path of a file of frame names, one that lies in "
            f"{self._tree.root / 'ImageSets'}, or 'train' or 'test' for frames named <date>_<drive>_<frame>"
        )


def drive_of(name: str) -> str | None:
    """The drive (2011_09_26_0056) in a frame's name, None if it names none."""
    match = _DRIVE.match(name)
    return match[1].replace("drive_", "") if match else None


@lru_cache
def test_drives() -> frozenset[str]:
    """Drives that only tests may see, as splits/shared_frames.yaml states them."""
    text = resources.files("sicm_ros.kitti").joinpath("splits/shared_frames.yaml").read_text()
    return frozenset(yaml.safe_load(text)["test_drives"])


def _calibration(tree: Tree, path: str) -> KittiCalibration:
    return parse_calibration(tree.text(path), tree.where(path))
