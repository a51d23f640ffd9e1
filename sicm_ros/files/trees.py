# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""YAML as plain trees of mappings, lists, texts and numbers, in bounded time and memory; nothing is executed.

Aliases (`*name`) let a few lines stand for more values than any machine holds, so what a text stands for is counted
before it is built.
"""

from __future__ import annotations

from typing import Any

import yaml

from sicm_ros.errors import InputError

MOST_CHARACTERS = 50_000  # of a text: a second's work for the parser; what ships has a few thousand
MOST_VALUES = 20_000  # that it stands for, aliases written out
DEEPEST = 50  # mappings and lists inside each other


class TreeError(InputError):
    """A text that is no plain YAML tree, or too large a one."""


class _Counted(yaml.SafeLoader):
    """Refuses a document before it is built: by what it stands for, not by how long it is."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._size(node, {}, 0)
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth = getattr(self, "depth", 0) + 1
        if self.depth > DEEPEST:
            raise TreeError(f"more than {DEEPEST} mappings and lists inside each other")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _size(self, node: yaml.Node, known: dict[int, int], depth: int) -> int:
        """How many values a node stands for."""
        if depth > DEEPEST:  # an alias of what it lies in, too
            raise TreeError(f"more than {DEEPEST} mappings and lists inside each other")
        if id(node) not in known:
            size = 1
            if isinstance(node, yaml.MappingNode):
                size += sum(self._size(part, known, depth + 1) for pair in node.value for part in pair)
            elif isinstance(node, yaml.SequenceNode):
                size += sum(self._size(part, known, depth + 1) for part in node.value)
            if size > MOST_VALUES:
                raise TreeError(f"more than {MOST_VALUES} values")
            known[id(node)] = size
        return known[id(node)]


def read_yaml(text: str | bytes, most: int = MOST_CHARACTERS) -> Any:
    """Return the tree of a YAML text of at most `most` characters; None of an empty one.

    Raises:
        TreeError: it is no YAML, holds tags that make objects or keys that aren't plain, or is too large.
    """
    if len(text) > most:
        raise TreeError(f"{len(text)} characters; expected at most {most}")
    try:
        return yaml.load(text, _Counted)
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise TreeError(f"no plain YAML: {' '.join(str(error.problem or error.context).split())}{place}") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        if isinstance(error, TreeError):
            raise
        # Of ValueError: dates that don't exist, numbers of thousands of digits.
        raise TreeError(f"no plain YAML: {' '.join(str(error).split())[:200]}") from None
