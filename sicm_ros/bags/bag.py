# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A ROS bag as a file: what is in it, its messages in order, and writing one that `ros2 bag play` plays."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sicm_ros.bags.types import typestore
from sicm_ros.errors import InputError
from sicm_ros.files import number_of, take_place

SUFFIXES = {".mcap": "mcap", ".db3": "sqlite3"}
LATCHED = ("/tf_static", "tf_static", "/disparity_offset", "/codec_description")
_FOREVER = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE


@dataclass(frozen=True)
class BagMessage:
    """One recorded message.

    Attributes:
        topic: as recorded.
        type: `package/msg/Name`.
        stamp: time at which it was recorded, nanoseconds since 1970.
        data: the message in CDR, as it goes over the wire.
    """

    topic: str
    type: str
    stamp: int
    data: bytes


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its message type (`package/msg/Name`) and how many messages it has."""

    type: str
    count: int


class Bag:
    """A bag, opened for reading: mcap or sqlite3, a file or a folder with metadata.yaml, or ROS 1's .bag.

    Use as a context manager. Everything that is wrong with the file comes out as InputError.

    Attributes:
        path: where it lies.
        topics: dict from name to Topic.
        start, end: stamps of the first and the last message, nanoseconds since 1970.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(
                f"{self.path}: no such bag; expected an .mcap, .db3 or .bag file, or a folder with metadata.yaml"
            )
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            files = sorted(p for p in self.path.iterdir() if p.suffix in SUFFIXES)
            if len(files) != 1:
                raise InputError(
                    f"{self.path}: holds no metadata.yaml and {len(files)} bag files; expected a bag. "
                    "`ros2 bag reindex` writes the metadata of a bag whose recording was cut short"
                )
            self.path = files[0]
        elif self.path.is_file() and self.path.suffix not in (*SUFFIXES, ".bag"):
            raise InputError(f"{self.path}: not a bag; expected .mcap, .db3 or .bag, or a folder with metadata.yaml")
        # Types of the bag's own definitions come first; old sqlite3 bags hold none.
        self._reader = self._guard(lambda: AnyReader([self.path], default_typestore=get_typestore(Stores.ROS2_JAZZY)))
        self._guard(self._reader.open)
        self._ros1 = not self._reader.is2
        self.topics = {
            name: Topic(info.msgtype or info.connections[0].msgtype, info.msgcount)
            for name, info in self._reader.topics.items()
        }
        empty = not sum(topic.count for topic in self.topics.values())
        self.start = 0 if empty else self._reader.start_time
        self.end = 0 if empty else self._reader.end_time - 1

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; the bag can't be read after it."""
        if self._reader.stack:
            self._reader.close()

    def _guard(self, read):
        # rosbags parses untrusted bytes and lets through what its storages raise (struct, SQLite, zstd, YAML,
        # assertions): whatever it is, it says that this file is broken.
        try:
            return read()
        except Exception as error:  # MemoryError too: a broken length asks for more than any machine has
            raise InputError(
                f"{self.path}: broken bag ({type(error).__name__}: {' '.join(str(error).split())[:200]}); "
                "`ros2 bag reindex` or `mcap recover` may save what was recorded"
            ) from None

    def messages(self, topics: Iterable[str] | None = None, start: int | None = None) -> Iterator[BagMessage]:
        """The messages of some topics (all, if None) in the order of their stamps, from stamp `start` on."""
        wanted = None if topics is None else set(topics)
        connections = [c for c in self._reader.connections if wanted is None or c.topic in wanted]
        if not connections:
            return
        stream = self._reader.messages(connections=connections, start=start)
        end = object()
        while True:
            item = self._guard(lambda: next(stream, end))
            if item is end:
                return
            connection, stamp, data = item
            if self._ros1:
                data = bytes(self._guard(lambda: self._as_cdr(data, connection.msgtype)))  # noqa: B023, called at once
            yield BagMessage(connection.topic, connection.msgtype, stamp, bytes(data))

    def decode(self, message: BagMessage) -> Any:
        """The message as an object with ROS's field names."""
        if self._ros1:
            return typestore().deserialize_cdr(message.data, message.type)
        return self._guard(lambda: self._reader.typestore.deserialize_cdr(message.data, message.type))

    def _as_cdr(self, data: bytes, name: str):
        """A ROS 1 message in CDR; the types of pictures and calibrations, whose fields differ by `seq` and by case."""
        return typestore().serialize_cdr(_modern(self._reader.typestore.deserialize_ros1(data, name)), name)


def _modern(message: Any) -> Any:
    """A ROS 1 message object as ROS 2's type of the same name."""
    kind = typestore().types[message.__msgtype__]
    old = {name.lower() if len(name) == 1 else name: value for name, value in vars(message).items()}
    if message.__msgtype__ == "std_msgs/msg/Header":
        old.pop("seq", None)
    return kind(
        **{
            name: _modern(value)
            if hasattr(value, "__msgtype__")
            else [_modern(v) for v in value]
            if isinstance(value, list) and value and hasattr(value[0], "__msgtype__")
            else value
            for name, value in old.items()
        }
    )


class BagWriter:
    """Writes a bag; use as a context manager.

    A path that ends in .mcap or .db3 becomes one file, any other a folder with metadata.yaml as `ros2 bag record` makes
    it. Nothing is left behind if writing fails.

    Args:
        path: where to; must not exist yet unless `overwrite`.
        storage: `mcap` or `sqlite3`; by the suffix if None, mcap for a folder.
        overwrite: replace what is there.
    """

    def __init__(self, path: str | Path, storage: str | None = None, overwrite: bool = False) -> None:
        self.path = Path(path)
        suffix = SUFFIXES.get(self.path.suffix)
        if storage is None:
            storage = suffix or "mcap"
        if storage not in SUFFIXES.values() or suffix not in (None, storage):
            raise InputError(f"{self.path}: storage {storage!r} does not fit; expected mcap (.mcap) or sqlite3 (.db3)")
        if self.path.exists() and not overwrite:
            raise InputError(f"{self.path} exists already; choose another name or ask for --overwrite")
        self._single = suffix is not None
        self._connections: dict[tuple[str, str], Any] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The bag grows beside its place and is moved there when it is whole.
        self._work = Path(tempfile.mkdtemp(prefix=f".{self.path.name[:100]}-", dir=self.path.parent))
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        # Metadata version 8 (Iron): read by Jazzy and all later ones.
        self._writer = Writer(self._work / self.path.stem, version=8, storage_plugin=plugin)
        try:
            self._writer.open()
        except Exception as error:
            shutil.rmtree(self._work, ignore_errors=True)
            self._refuse(error)

    def write(self, topic: str, type: str, stamp: int, data: bytes) -> None:
        """Appends a message in CDR."""
        key = (topic, type)
        if key not in self._connections:
            qos = [_qos(latched=topic in LATCHED)]
            self._connections[key] = self._writer.add_connection(
                topic, type, typestore=typestore(), offered_qos_profiles=qos
            )
        try:
            self._writer.write(self._connections[key], stamp, data)
        except Exception as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        """Raises what the system refused with the bag's own name, for nobody knows the one that it grows under."""
        number = error.errno if isinstance(error, OSError) else number_of(error)
        if number is None:
            raise error
        raise OSError(number, os.strerror(number), str(self.path)) from None

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self._writer.close()
                made = self._work / self.path.stem
                if self._single:
                    made = next(p for p in made.iterdir() if p.suffix == self.path.suffix)
                take_place(made, self.path)
            else:
                with suppress(Exception):  # what ended the block is what is told
                    self._writer.abort()
        except Exception as error:
            self._refuse(error)
        finally:
            shutil.rmtree(self._work, ignore_errors=True)


def _qos(latched: bool) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 10,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )
