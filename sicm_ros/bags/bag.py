# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A ROS bag as a file: what is in it, its messages in order, and writing one that `ros2 bag play` plays."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from backports import zstd
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from sicm_ros.bags.bounds import MOST_METADATA, bound_chunks, check_metadata
from sicm_ros.bags.types import typestore
from sicm_ros.errors import InputError
from sicm_ros.files import number_of, read_bytes, read_yaml, take_place

SUFFIXES = {".mcap": "mcap", ".db3": "sqlite3"}
PACKED = (".zstd", ".zst", ".lz4")  # a whole file compressed, as rosbag2's file compression leaves it
LARGEST = 1 << 28  # bytes of one message: an image of 16384 x 5000 pixels in colour
MCAP, ZSTD = b"\x89MCAP0\r\n", b"\x28\xb5\x2f\xfd"
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


@dataclass(frozen=True)
class TopicDefinition:
    """What a bag says of a topic besides its name and type.

    Attributes:
        text, digest: the type's definition and its hash (REP 2011); empty for the types that we know.
        qos: as its publishers offered it.
    """

    text: str
    digest: str
    qos: list[Qos]


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
        check_metadata(self.path)
        try:
            self._open(_files(self.path))
        except InputError:
            # Metadata of a later release names files that are read all the same.
            alone = sorted(p for p in self.path.glob("*") if p.suffix in SUFFIXES) if self.path.is_dir() else []
            if not alone or any(name not in {p.name for p in alone} for name in _named(self.path)):
                raise
            self._open(alone)
        self._ros1 = not self._reader.is2
        self.topics = {
            name: Topic(info.msgtype or info.connections[0].msgtype, info.msgcount)
            for name, info in self._reader.topics.items()
        }
        empty = not sum(topic.count for topic in self.topics.values())
        self.start = 0 if empty else self._reader.start_time
        self.end = 0 if empty else self._reader.end_time - 1

    def _open(self, files: list[Path]) -> None:
        bound_chunks()
        # Types of the bag's own definitions come first; old sqlite3 bags hold none.
        self._reader = self._guard(lambda: AnyReader(files, default_typestore=get_typestore(Stores.ROS2_JAZZY)))
        self._guard(self._reader.open)

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
            raise InputError(f"{self.path}: {_trouble(self.path, error)}") from None

    def messages(
        self, topics: Iterable[str] | None = None, start: int | None = None, stop: int | None = None
    ) -> Iterator[BagMessage]:
        """The messages of some topics (all, if None) in the order of their stamps, from `start` to before `stop`."""
        wanted = None if topics is None else set(topics)
        connections = [c for c in self._reader.connections if wanted is None or c.topic in wanted]
        if not connections:
            return
        stream = self._reader.messages(connections=connections, start=start, stop=stop)
        end = object()
        while True:
            item = self._guard(lambda: next(stream, end))
            if item is end:
                return
            connection, stamp, data = item
            if bytes(data[:4]) == ZSTD:  # compressed one by one, which only metadata.yaml tells; CDR begins otherwise
                data = self._guard(lambda: _unpacked(data))  # noqa: B023
            if self._ros1:
                data = bytes(self._guard(lambda: self._as_cdr(data, connection.msgtype)))  # noqa: B023, called at once
            yield BagMessage(connection.topic, connection.msgtype, stamp, bytes(data))

    def decode(self, message: BagMessage) -> Any:
        """The message as an object with ROS's field names."""
        if self._ros1:
            return typestore().deserialize_cdr(message.data, message.type)
        return self._guard(lambda: self._reader.typestore.deserialize_cdr(message.data, message.type))

    def definition(self, topic: str, type: str) -> TopicDefinition:
        """Return what another bag has to say of a topic to hold the same messages.

        Raises:
            InputError: the bag is ROS 1's, or holds no definitions, and the type is none of those that we know.
        """
        connection = next(c for c in self._reader.connections if (c.topic, c.msgtype) == (topic, type))
        text, digest = connection.msgdef, connection.digest
        qos = [] if self._ros1 else connection.ext.offered_qos_profiles
        if self._ros1 or text.format == MessageDefinitionFormat.NONE:
            if type not in typestore().types:
                raise InputError(f"{self.path}: {topic}: nothing tells what {type} is; left out")
            return TopicDefinition("", "", [_qos(latched=topic in LATCHED)] if self._ros1 else qos)
        if text.format == MessageDefinitionFormat.IDL or not digest:
            types = self._reader.typestore
            return TopicDefinition(types.generate_msgdef(type, ros_version=2)[0], types.hash_rihs01(type), qos)
        return TopicDefinition(text.data, digest, qos)

    def _as_cdr(self, data: bytes, name: str):
        """A ROS 1 message in CDR; the types of images and calibrations, whose fields differ by `seq` and by case."""
        return typestore().serialize_cdr(_modern(self._reader.typestore.deserialize_ros1(data, name)), name)


def _unpacked(data: bytes) -> bytes:
    """A message that was compressed by itself. Raises ValueError where it is cut off, or too large for a message."""
    unpacker = zstd.ZstdDecompressor()
    unpacked = unpacker.decompress(bytes(data), max_length=LARGEST)
    if not unpacker.eof:
        raise ValueError(f"a compressed message that is cut off, or larger than {LARGEST >> 20} MiB")
    return unpacked


def is_bag(path: Path) -> bool:
    """Whether a file or folder is meant as a bag, whole or not."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(_bag_like(p) for p in path.iterdir())
    return _bag_like(path)


def _bag_like(path: Path) -> bool:
    name = path.name.removesuffix(".active").removesuffix(".zstd").removesuffix(".zst").removesuffix(".lz4")
    return Path(name).suffix in (*SUFFIXES, ".bag") and not path.name.startswith("._")


def _files(path: Path) -> list[Path]:
    """What to open of a bag: itself, or the files of a folder without metadata. Raises InputError where it is none."""
    if path.is_dir():
        if (path / "metadata.yaml").exists():
            return [path]
        files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("._"))
        packed = [p.name for p in path.iterdir() if _bag_like(p) and p.suffix in PACKED]
        if packed and not files:
            raise InputError(f"{path}: holds no metadata.yaml, and {_unpack(packed[0])}")
        if not files:
            raise InputError(f"{path}: holds neither metadata.yaml nor a bag file (.mcap, .db3); expected a bag")
        return files
    if path.name.endswith(".active"):
        raise InputError(
            f"{path}: a recording that has not ended, or was cut short; afterwards: `rosbag reindex`, then rename it"
        )
    if path.suffix in PACKED and _bag_like(path):
        raise InputError(f"{path}: {_unpack(path.name)}")
    if path.suffix not in (*SUFFIXES, ".bag"):
        raise InputError(f"{path}: not a bag; expected .mcap, .db3 or .bag, or a folder with metadata.yaml")
    return [path]


def _unpack(name: str) -> str:
    tool = "unlz4" if name.endswith(".lz4") else "unzstd"
    return f"{name} is compressed as a whole: open the folder with its metadata.yaml, or unpack it first: {tool} {name}"


def _named(path: Path) -> list[str]:
    """Names of the files that a folder's metadata.yaml says it consists of; empty where it doesn't."""
    try:
        metadata = read_bytes(path / "metadata.yaml", MOST_METADATA)
        about = read_yaml(metadata)["rosbag2_bagfile_information"]
        return [Path(name).name for name in about["relative_file_paths"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _trouble(path: Path, error: Exception) -> str:
    """What is wrong with a bag that can't be read, and the remedy: by the file itself, or else by the error."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if path.is_dir():
        missing = [name for name in _named(path) if not (path / name).exists()]
        if missing:
            return (
                f"metadata.yaml names {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not there; "
                "fetch what is missing, or `ros2 bag reindex` the folder to read the rest"
            )
        return f"broken bag ({said}); `ros2 bag reindex` may repair its metadata"
    try:
        with path.open("rb") as file:
            head = file.read(16)
            size = file.seek(0, 2)
            file.seek(max(size - 8, 0))
            tail = file.read()
    except OSError as failure:
        return f"can't be read ({failure.strerror})"
    if not size:
        return "empty, 0 bytes: nothing was recorded"
    magic = {".mcap": MCAP, ".db3": b"SQLite format 3\0", ".bag": b"#ROSBAG V"}[path.suffix]
    if not head.startswith(magic):
        return f"not a bag, though its name ends in {path.suffix}: it does not begin like one; was it fetched whole?"
    recover = f"`mcap recover {path.name} -o recovered.mcap` saves what is there"
    if path.suffix == ".mcap":
        if "ros2" in str(error) and "rofile" in str(error):
            return "its messages are of ROS 1 (profile ros1); convert the .bag itself: `rosbags-convert`"
        if "timestamp order" in str(error):
            return f"no index, and its messages are out of order; {recover}"
        if tail != MCAP:
            return f"its end is missing: the recording was cut short; {recover}"
        return f"broken bag ({said}); {recover}"
    if path.suffix == ".db3":
        return f"broken bag ({said}); `sqlite3 {path.name} .recover | sqlite3 recovered.db3` saves what is there"
    return f"broken bag ({said}): its index is missing, or it was cut short; `rosbag reindex {path.name}`"


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
        packed: compress chunks of messages (zstd, in mcap only), which every reader of mcap unpacks.
    """

    def __init__(
        self, path: str | Path, storage: str | None = None, overwrite: bool = False, packed: bool = False
    ) -> None:
        self.path = Path(path)
        suffix = SUFFIXES.get(self.path.suffix)
        if storage is None:
            storage = suffix or "mcap"
        if storage not in SUFFIXES.values() or suffix not in (None, storage):
            raise InputError(
                f"{self.path}: storage {storage!r} does not match the name; expected mcap (.mcap) or sqlite3 (.db3)"
            )
        if self.path.exists() and not overwrite:
            raise InputError(f"{self.path} exists already; choose another name or use --overwrite")
        self._single = suffix is not None
        self._connections: dict[tuple[str, str], Any] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The bag grows beside its place and is moved there when it is whole.
        remove_leftovers(self.path)
        self._work = Path(tempfile.mkdtemp(prefix=_prefix(self.path), dir=self.path.parent))
        self._lock = os.open(self._work, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        # Metadata version 8 (Iron): read by Jazzy and all later ones.
        self._writer = Writer(self._work / self.path.stem, version=8, storage_plugin=plugin)
        if packed and storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except Exception as error:
            self._clear()
            self._refuse(error)

    def _clear(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        os.close(self._lock)

    def announce(self, topic: str, type: str, definition: TopicDefinition) -> None:
        """Prepare a topic with the definition and the qualities of service that it has in another bag."""
        said: dict[str, Any] = {"msgdef": definition.text, "rihs01": definition.digest}
        own = said if definition.text else {"typestore": typestore()}
        self._connections[topic, type] = self._writer.add_connection(
            topic, type, offered_qos_profiles=definition.qos, **own
        )

    def write(self, topic: str, type: str, stamp: int, data: bytes) -> None:
        """Append a message in CDR."""
        key = (topic, type)
        if key not in self._connections:
            self.announce(topic, type, TopicDefinition("", "", [_qos(latched=topic in LATCHED)]))
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
        except Exception as error:
            kind = type(error)
            self._refuse(error)
        finally:
            if kind is not None:
                with suppress(Exception):  # what ended the block is what is told
                    self._writer.abort()  # an open file would keep its room on a full disk
            self._clear()


def _prefix(path: Path) -> str:
    """What the folder's name begins with in which a bag grows; eight letters follow."""
    return f".{path.name[:100]}-"


def remove_leftovers(path: Path) -> None:
    """Remove what writers left of a bag that were killed before it was whole: folders that nobody holds a lock of."""
    name = re.compile(re.escape(_prefix(path)) + "[a-z0-9_]{8}")
    for folder in [p for p in path.parent.iterdir() if name.fullmatch(p.name)] if path.parent.is_dir() else []:
        with suppress(OSError):  # somebody is at work in it, or has removed it
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


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
