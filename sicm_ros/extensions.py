# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Extension points: what packages installed beside this one add, each by one entry point (see CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from sicm_ros.errors import InputError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things by name: those that ship, then those that entry points of a group name.

    Entry points are read when something is first looked up, not when sicm_ros is imported.

    Args:
        group: of entry points, such as `sicm_ros.codecs`.
        shipped: by name.
        kind: class that an extension must be an instance of; a subclass of, where classes are registered.
        classes: classes are registered, not instances.

    Lookups raise InputError: an entry point can't be imported, is of another kind, or takes a name that is taken.
    """

    def __init__(self, group: str, shipped: Mapping[str, T], kind: type, classes: bool = False) -> None:
        self.group, self.kind, self.classes = group, kind, classes
        self._shipped = dict(shipped)
        self._all: dict[str, T] | None = None

    def _known(self) -> dict[str, T]:
        if self._all is None:
            found = dict(self._shipped)
            for point in entry_points(group=self.group):
                found[point.name] = self._loaded(point.name, point.value, point.load, found)
            self._all = found
        return self._all

    def _loaded(self, name: str, where: str, load: Callable[[], Any], found: Mapping[str, T]) -> T:
        if name in found:
            raise InputError(f"{self.group}: {where} takes the name {name!r}, which is taken; rename it")
        try:
            thing = load()
        except Exception as error:
            raise InputError(f"{self.group}: {name} = {where} can't be imported ({error}); mend or remove it") from None
        is_class = isinstance(thing, type)
        if not (is_class and issubclass(thing, self.kind) if self.classes else isinstance(thing, self.kind)):
            what = "a subclass of" if self.classes else "a"
            expected = f"{what} {self.kind.__module__}.{self.kind.__qualname__}"
            raise InputError(f"{self.group}: {name} = {where} is {thing!r}; expected {expected}")
        return thing

    def __getitem__(self, name: str) -> T:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())
