# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Subscriptions to what anybody on the network may publish: what is too large isn't unpacked, gaps are noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message

# Of a whole message: sixteen times the largest packet by default, far more than any description or report.
MOST_BYTES = 1 << 20


NUMBERLESS = (1 << 64) - 1  # the number of a message where the middleware counts none


class Gaps:
    """Finds messages that were sent and never taken, by the numbers that the middleware gives them."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}  # topic -> number of the newest message

    def before(self, topic: str, number: int | None) -> int:
        """Return how many messages of the topic are missing between the one before and this one."""
        if number is None or number == NUMBERLESS:
            return 0
        last = self._last.get(topic)
        self._last[topic] = number
        # One that isn't larger is of a publisher that has started anew.
        return number - last - 1 if last is not None and number > last else 0


def subscribe(
    node: Node,
    kind: type,
    topic: str,
    callback: Callable[[Any, int], None],
    qos: Any,
    refuse: Callable[[str, str], None],
    **options: Any,
) -> Any:
    """Subscribe to a topic; the callback is given each message and its bytes on the wire.

    Args:
        refuse: told of cause and text of what is larger than MOST_BYTES, or no such message.
        options: further ones of `create_subscription`.
    """

    def on_data(data: bytes) -> None:
        if len(data) > MOST_BYTES:
            refuse("too_large", f"{len(data)} bytes on {topic}; expected at most {MOST_BYTES}")
            return
        try:
            message = deserialize_message(data, kind)
        except Exception as error:  # whatever the middleware makes of bytes that are no such message
            refuse("malformed", f"{len(data)} bytes on {topic} are no {kind.__name__} ({error!r})")
            return
        callback(message, len(data))

    return node.create_subscription(kind, topic, on_data, qos, raw=True, **options)
