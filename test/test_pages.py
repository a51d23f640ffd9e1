# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The pages name files, modules, tests and parameters that exist, and each page begins with what it is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "package.xml",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "msg").glob("*.msg")),
    *sorted((ROOT / "sicm_ros" / "models").glob("*/*.md")),
]
FOLDERS = "sicm_ros|test|config|docs|launch|without_ros"
GROUPS = {
    "sicm_ros.codecs",
    "sicm_ros.detectors",
    "sicm_ros.datasets",
    "sicm_ros.presets",
    "sicm_ros.heads",
}  # of entry points


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """Names of all tests."""
    return {name for path in ROOT.glob("test/test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_modules_and_tests_that_a_page_names_exist(page: Path, tests: set[str]):
    text = page.read_text()
    files = set(re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w/.]+\.(?:py|yaml|md|xml|txt|png|svg|jpg|mcap|cmake)", text))
    files = {file for file in files if not file.startswith("sicm_ros/sicm_ros/")}  # a checkout of that name
    assert [file for file in sorted(files) if not (ROOT / file).exists()] == []
    assert set(re.findall(r"`(test_\w+)`", text)) <= tests
    for module in set(re.findall(r"`(sicm_ros(?:\.[a-z_]+)+)`", text)) - GROUPS:
        parts = module.split(".")
        # Up to a function of a module or of a package.
        places = [ROOT.joinpath(*parts[:count]) for count in range(len(parts), max(1, len(parts) - 2), -1)]
        assert any(place.is_dir() or place.with_suffix(".py").exists() for place in places), module


def test_every_page_of_the_site_is_in_its_navigation_and_in_its_index():
    listed = re.search(r"^nav:\n(?:  .*\n?)+", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert listed is not None
    sections = yaml.safe_load(listed[0])["nav"]
    pages = [page for section in sections for group in section.values() for page in group]
    there = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert sorted(pages) == there
    index = (ROOT / "docs" / "index.md").read_text()
    assert [page for page in pages if page != "index.md" and f"({page})" not in index] == []


def test_every_page_says_first_what_it_is_about():
    for page in (ROOT / "docs").glob("*.md"):
        title, blank, first = page.read_text().splitlines()[:3]
        assert title.startswith("# "), page.name
        assert not blank, page.name
        assert first[:1].isalpha() or first.startswith("`"), f"{page.name} begins with {first!r}"


def test_the_map_shows_every_folder():
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders = {path.parent.name for path in (ROOT / "sicm_ros").glob("*/__init__.py")}
    assert {name for name in folders if f"`sicm_ros/{name}`" not in page} == set()
