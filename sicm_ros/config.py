# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Configurations: frozen dataclasses whose every setting is checked, read from plain trees (YAML, JSON), written back.

    @dataclass(frozen=True, kw_only=True)
    class Shape(Config):
        width: int = limited(48, ge=8)
        name: str | None = None

`Shape(width=3)` and `Shape.parse({"width": 3})` both raise "width: 3; expected at least 8". A setting may be int,
float, bool, str, Path, Literal, another Config, a tuple or a dict of those, or one of them or None.
"""

from __future__ import annotations

import difflib
import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sicm_ros.errors import InputError

_C = TypeVar("_C", bound="Config")

_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "gt": (operator.gt, "above {}"),
    "ge": (operator.ge, "at least {}"),
    "lt": (operator.lt, "below {}"),
    "le": (operator.le, "at most {}"),
    "multiple_of": (lambda value, step: value % step == 0, "a multiple of {}"),
    "min_length": (lambda value, least: len(value) >= least, "at least {} of them"),
    "max_length": (lambda value, most: len(value) <= most, "at most {} of them"),
}


class ConfigError(InputError):
    """A setting that is missing, unknown, or has a value that it can't have.

    Attributes:
        path: keys and positions that lead to it from the root of the tree; () where several settings contradict.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{'.'.join(map(str, path))}: {message}" if path else message)
        self.message, self.path = message, path

    def within(self, key: str | int) -> ConfigError:
        """Return the same error, seen from one level above."""
        return ConfigError(self.message, (key, *self.path))


def limited(default: Any = MISSING, **limits: Any) -> Any:
    """Return a dataclass field with bounds: gt, ge, lt, le, multiple_of; of collections min_length, max_length."""
    assert set(limits) <= set(_LIMITS), limits
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=limits)
    return field(default=default, metadata=limits)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations. ConfigError says what is wrong with one, and where."""

    def __post_init__(self) -> None:
        kinds: dict[str, Any] = _kinds(type(self))  # type: ignore[arg-type]  # a class is hashable
        for setting in fields(self):
            try:
                value = _read(getattr(self, setting.name), kinds[setting.name])
                _limit(value, setting.metadata)
            except ConfigError as error:
                raise error.within(setting.name) from None
            object.__setattr__(self, setting.name, value)
        try:
            self.check()
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def check(self) -> None:
        """Raise ValueError if settings contradict each other."""

    @classmethod
    def parse(cls: type[_C], tree: Any) -> _C:
        """Return the configuration that a plain tree describes; unknown keys are refused."""
        settings = {setting.name: setting for setting in fields(cls)}
        if not isinstance(tree, Mapping):
            raise ConfigError(f"{tree!r}; expected a mapping of {', '.join(settings)}")
        for key in tree:
            if key not in settings:
                close = difflib.get_close_matches(str(key), settings, 1)
                hint = f"did you mean {close[0]}?" if close else f"expected some of {', '.join(settings)}"
                raise ConfigError(f"unknown; {hint}", (key,))
        for name, setting in settings.items():
            if name not in tree and setting.default is MISSING and setting.default_factory is MISSING:
                raise ConfigError("missing; it has no default", (name,))
        return cls(**tree)

    def tree(self, exclude_none: bool = False) -> dict[str, Any]:
        """Return a plain tree that `parse` reads: mappings, lists, strings and numbers.

        Args:
            exclude_none: leave out what is None.
        """
        return _plain({setting.name: getattr(self, setting.name) for setting in fields(self)}, exclude_none)


@functools.cache
def _kinds(config: type[Config]) -> dict[str, Any]:
    return get_type_hints(config)


def _read(value: Any, kind: Any) -> Any:
    """Return a value as the kind that a setting is annotated with."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (kind,) = (one for one in arguments if one is not NoneType)
        return _read(value, kind)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{value!r}; expected {' or '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _read_tuple(value, arguments)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{value!r}; expected a mapping")
        return {_within(key, key, arguments[0]): _within(key, one, arguments[1]) for key, one in value.items()}
    if issubclass(kind, Config):
        return value if isinstance(value, kind) else kind.parse(value)
    return _SCALARS[kind](value)


def _read_tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{value!r}; expected a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise ConfigError(f"{list(value)}; expected {len(kinds)} values")
    return tuple(_within(i, one, kind) for i, (one, kind) in enumerate(zip(value, kinds)))


def _within(key: str | int, value: Any, kind: Any) -> Any:
    try:
        return _read(value, kind)
    except ConfigError as error:
        raise error.within(key) from None


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{value!r}; expected an integer")
    return value


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # YAML 1.1 reads 1e-3 as a string
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{value!r}; expected a number")
    return number


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{value!r}; expected true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{value!r}; expected a string (in quotes, if it looks like a number)")
    return value


def _path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_text(value))


_SCALARS: dict[type, Callable[[Any], Any]] = {int: _integer, float: _number, bool: _switch, str: _text, Path: _path}


def _limit(value: Any, limits: Mapping[str, Any]) -> None:
    if value is None or all(_LIMITS[name][0](value, bound) for name, bound in limits.items()):
        return
    expected = ", ".join(_LIMITS[name][1].format(bound) for name, bound in limits.items())
    shown = f"{len(value)} given" if isinstance(value, tuple | dict) else value
    raise ConfigError(f"{shown}; expected {expected}")


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, Config):
        return value.tree(exclude_none)
    if isinstance(value, dict):
        return {k: _plain(v, exclude_none) for k, v in value.items() if not (exclude_none and v is None)}
    if isinstance(value, tuple):
        return [_plain(one, exclude_none) for one in value]
    return str(value) if isinstance(value, Path) else value
