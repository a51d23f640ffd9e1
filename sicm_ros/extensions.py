# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Extension points: what packages installed beside this one add, each by one entry point (see CONTRIBUTING.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from sicm_ros.errors import InputError

T = TypeVar("T")
OWN = "sicm_ros"


@dataclass(frozen=True)
class Extension:
    """One name of a registry, for people: where it comes from, and why it can't be used, "" if it can."""

    name: str
    origin: str
    broken: str = ""


class Registry(Mapping[str, T], Generic[T]):
    """Things by name: those that ship, then those that entry points of a group name.

    Entry points are read when something is first looked up, not when sicm_ros is imported; each is loaded when its own
    name is, so a broken one is told where it is used and harms nothing else.

    Args:
        group: of entry points, such as `sicm_ros.codecs`.
        shipped: by name.
        kind: class that an extension must be an instance of; a subclass of, where classes are registered.
        classes: classes are registered, not instances.

    Lookups raise InputError: an entry point can't be imported, is of another kind, or takes a name that is taken.
    """

    def __init__(self, group: str, shipped: Mapping[str, T], kind: type, classes: bool = False) -> None:
        self.group, self.kind, self.classes = group, kind, classes
        self._all: dict[str, T] = dict(shipped)
        self._points: dict[str, list[EntryPoint]] | None = None

    def _added(self) -> dict[str, list[EntryPoint]]:
        """Return name -> entry points; more than one where packages want the same name."""
        if self._points is None:
            self._points = {}
            for point in entry_points(group=self.group):
                self._points.setdefault(point.name, []).append(point)
        return self._points

    def _loaded(self, point: EntryPoint) -> T:
        where = f"{self.group}: {point.name} = {point.value}"
        try:
            thing = point.load()
        except Exception as error:
            raise InputError(f"{where} can't be imported ({error}); mend or remove it") from None
        is_class = isinstance(thing, type)
        if not (is_class and issubclass(thing, self.kind) if self.classes else isinstance(thing, self.kind)):
            what = "a subclass of" if self.classes else "a"
            expected = f"{what} {self.kind.__module__}.{self.kind.__qualname__}"
            raise InputError(f"{where} is {thing!r}; expected {expected}")
        return thing

    def __getitem__(self, name: str) -> T:
        points = self._added().get(name, ())
        if points and (name in self._all or len(points) > 1):
            raise InputError(f"{self.group}: {points[-1].value} takes the name {name!r}, which is taken; rename it")
        if not points:
            return self._all[name]
        return self._loaded(points[0])

    def __contains__(self, name: object) -> bool:
        return name in self._all or name in self._added()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._all, *self._added()]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def extensions(self) -> list[Extension]:
        """Return every name with where it comes from, broken ones too."""
        found = []
        for name in self:
            points = self._added().get(name, ())
            origins = [OWN] * (name in self._all) + [
                f"{point.dist.name} {point.dist.version}" if point.dist else point.value for point in points
            ]
            broken = ""
            try:
                _ = self[name]
            except InputError as error:
                broken = str(error)
            found.append(Extension(name, ", ".join(origins), broken))
        return found
