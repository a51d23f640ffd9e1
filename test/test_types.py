# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Types: what the README shows is right to a type checker, and what is checked only grows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib

pytest.importorskip("mypy", reason="mypy is not installed: pip install '.[lint]'")

ROOT = Path(__file__).resolve().parents[1]


def mypy(path: Path) -> str:
    """What it says of a file, by the settings and with the cache of `make lint`, after which this is quick."""
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280).stdout


@pytest.mark.timeout(300)
def test_the_readmes_example_type_checks(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    revealed = "reveal_type(packet)\nreveal_type(result)\nreveal_type(model.encode(pair, quality=0.5))\n"
    (tmp_path / "example.py").write_text(example + revealed + 'model.encode("left.png", quality=0.5)\n')
    told = mypy(tmp_path / "example.py")
    kinds = re.findall(r'Revealed type is "(.*?)"', told)
    assert [kind.removeprefix("builtins.") for kind in kinds] == ["bytes", "sicm_ros.model.codec.Result", "bytes"], told
    errors = [line for line in told.splitlines() if "error:" in line]
    assert len(errors) == 1, told  # the last line is wrong, and is found to be
    assert 'No overload variant of "__call__" of "OfPair"' in errors[0]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_every_module_is_checked():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert config["packages"] == ["sicm_ros"]
    assert not any(key in setting for setting in (config, *config["overrides"]) for key in ("ignore_errors", "exclude"))
