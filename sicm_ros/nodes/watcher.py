# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Listens to /diagnostics for a program that shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray

MOST = 200  # nodes that are followed: whoever makes up names doesn't fill the memory


@dataclass
class Status:
    """The newest word of a node.

    Attributes:
        name: with its namespace.
        level: 0 fine, 1 warning, 2 error.
        text: in words.
        values: the rest.
        heard: seconds of time.monotonic() when it came.
    """

    name: str
    level: int
    text: str
    values: dict[str, str]
    heard: float = field(default_factory=time.monotonic)


def ours(array: DiagnosticArray) -> list[Status]:
    """Return what nodes of this package say in an array of /diagnostics."""
    return [
        Status(s.name, int.from_bytes(s.level, "little"), s.message, {value.key: value.value for value in s.values})
        for s in array.status
        if s.name.rsplit("/", 1)[-1] in ("encoder", "link", "decoder")
    ]


@contextmanager
def watch() -> Iterator[dict[str, Status]]:
    """Name of each node -> its newest status, kept up to date while the block runs. Nodes of this package alone."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    statuses: dict[str, Status] = {}

    def take(array: DiagnosticArray) -> None:
        for status in ours(array):
            if status.name in statuses or len(statuses) < MOST:
                statuses[status.name] = status

    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("sicm_top", context=context)
    node.create_subscription(DiagnosticArray, "/diagnostics", take, 20)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield statuses
    finally:
        end.set()
        thread.join()
        node.destroy_node()
        context.try_shutdown()
