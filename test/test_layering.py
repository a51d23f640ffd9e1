# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Imports point one way, and ROS is imported in one folder alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sicm_ros"
ROS = {"rclpy", "launch", "launch_ros", "ament_index_python", "rcl_interfaces", "cv_bridge", "message_filters"}

# Folder or module of sicm_ros -> what of sicm_ros its modules may import, besides themselves; from below to above. A
# new part is a new line here.
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "config": {"errors"},
    "cores": set(),
    "extensions": {"errors"},
    "geometry": {"errors", "files"},
    "entropy": {"errors", "config"},
    "link": {"errors"},
    "bitstream": {"errors", "geometry"},
    "kitti": {"errors", "files", "extensions", "geometry"},
    "datasets": {"errors", "extensions", "geometry", "kitti"},
    "tracking": {"errors", "config", "geometry"},
    "bags": {"errors", "files", "extensions", "geometry", "kitti", "datasets", "tracking"},
    "network": {"errors", "config", "extensions", "geometry", "entropy"},
    "engines": {"errors", "config", "cores", "geometry", "entropy", "network"},
    "model": {"errors", "files", "config", "geometry", "entropy", "bitstream", "network", "engines"},
    "compressai": {"errors", "files", "geometry", "entropy", "model", "network"},
    "baseline": {"errors", "config", "geometry", "entropy", "network", "model"},
    "workers": {"errors", "files", "engines"},
    "archive": {"errors", "geometry", "tracking", "bags", "bitstream", "model"},
    "pipeline": {"errors", "cores", "files", "bags"},
    "synth": {"errors", "files", "geometry", "kitti"},
    "nodes": {
        "errors", "files", "config", "cores", "geometry", "bitstream", "tracking", "bags", "link", "model", "pipeline",
        "msg",
    },
    "benchmark": {
        "errors", "files", "config", "cores", "extensions", "geometry", "entropy", "bitstream", "bags", "kitti",
        "datasets", "tracking", "network", "engines", "model", "compressai", "baseline", "workers", "pipeline", "synth",
    },
    "training": {
        "errors", "files", "config", "geometry", "entropy", "kitti", "datasets", "network", "model", "baseline",
        "benchmark",
    },
    "demo": {"errors", "files", "geometry", "bags", "pipeline", "benchmark"},
}  # fmt: skip
ABOVE = {"cli", "__init__"}  # may import everything
LOOSE = {"__init__", "errors", "config", "cores", "extensions"}  # modules that lie in no folder
# Circles that are still to be opened; this list only gets shorter.
CIRCLES: set[frozenset[str]] = set()
# Classes that share a name; this list only gets shorter.
SAME_NAMES: set[str] = set()


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_nodes_import_ros(path: Path):
    if "nodes" in path.relative_to(PACKAGE).parts:
        return
    for name in imports(path):
        top = name.split(".")[0]
        assert top not in ROS, f"{path}: {name}"
        assert not top.endswith(("_msgs", "_interfaces")), f"{path}: {name}"
        assert not name.startswith("sicm_ros.msg"), f"{path}: {name}"


def part_of(path: Path) -> str:
    """The folder of sicm_ros, or the loose module, that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_every_part_has_its_place():
    parts = {part_of(path) for path in modules()}
    assert parts == set(BELOW) | ABOVE
    assert {path.stem for path in PACKAGE.glob("*.py")} == LOOSE


@pytest.mark.parametrize("part", BELOW)
def test_imports_point_one_way(part: str):
    order = list(BELOW)
    assert all(name == "msg" or order.index(name) < order.index(part) for name in BELOW[part])
    for path in modules():
        if part_of(path) != part:
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            # `from sicm_ros import load` is the model's.
            first = {"load": "model", "BitstreamError": "errors"}.get(rest.split(".")[0], rest.split(".")[0])
            if top == "sicm_ros" and rest:
                assert first in BELOW[part] | {part}, f"{path} imports {name}"


def test_modules_do_not_import_each_other_in_circles():
    """Wherever in a module the import stands: what only works late is a circle too."""
    names = {}
    for path in modules():
        dotted = ".".join(("sicm_ros", *path.relative_to(PACKAGE).with_suffix("").parts))
        names[dotted.removesuffix(".__init__")] = path
    below = {name: {_module(other, names) for other in imports(path)} - {name, ""} for name, path in names.items()}
    found: set[frozenset[str]] = set()
    finished: set[str] = set()

    def visit(name: str, above: list[str]) -> None:
        if name in above:
            found.add(frozenset(above[above.index(name) :]))
        elif name not in finished:
            for other in sorted(below[name]):
                visit(other, [*above, name])
            finished.add(name)

    for name in sorted(names):
        visit(name, [])
    assert found <= CIRCLES


def _module(name: str, names: dict[str, Path]) -> str:
    """The module that a dotted name lies in, "" if it is none of ours."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name


def test_no_two_classes_of_one_name():
    """A name means one thing in the whole package."""
    found: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert {name for name, where in found.items() if len(where) > 1} <= SAME_NAMES


@pytest.mark.parametrize("folder", sorted(p.parent for p in PACKAGE.rglob("__init__.py")), ids=lambda p: p.name)
def test_every_folder_says_what_lives_there(folder: Path):
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert told, folder
    if folder.parent == PACKAGE:
        assert len(told.splitlines()) >= 3, f"{folder}: a headline alone; say what lies where"


def test_the_library_loads_where_there_is_no_ros():
    code = (
        "import sys\n"
        "class NoRos:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {ROS!r} or name.split('.')[0].endswith('_msgs'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, NoRos())\n"
        "import sicm_ros.bags, sicm_ros.bitstream, sicm_ros.cli, sicm_ros.geometry.drawing, sicm_ros.kitti\n"
        "import sicm_ros.network, sicm_ros.nodes.parameters\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_nodes_import_of_bags_brings_no_reader_of_files():
    code = (
        "READERS = 'rosbags.highlevel', 'rosbags.rosbag', 'rosbags.typesys'\n"
        "import sys, sicm_ros.bags.camera_info, sicm_ros.bags.images, sicm_ros.bags.presets, sicm_ros.bags.rig, "
        "sicm_ros.bags.serialization; print([name for name in sys.modules if name.startswith(READERS)])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
