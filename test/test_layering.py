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

# Folder or module of sicm_ros -> what of sicm_ros its modules may import, besides themselves.
BELOW = {
    "errors": set(),
    "geometry": {"errors"},
    "entropy": {"errors"},
    "bitstream": {"errors", "geometry"},
    "link": {"errors"},
    "kitti": {"errors", "geometry"},
    "bags": {"errors", "geometry", "kitti"},
    "network": {"errors", "geometry", "entropy"},
    "model": {"errors", "geometry", "entropy", "bitstream", "network", "baseline"},
}


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


@pytest.mark.parametrize("part", BELOW)
def test_imports_point_one_way(part: str):
    folder = PACKAGE / part
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]:
        for name in imports(path):
            top, _, rest = name.partition(".")
            if top == "sicm_ros" and rest:
                assert rest.split(".")[0] in BELOW[part] | {part}, f"{path} imports {name}"


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
