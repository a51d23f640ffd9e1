# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Subscriptions to what anybody on the network may publish: what is too large is not even unpacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.serialization import deserialize_message

# Of a whole message: sixteen times the largest packet by default, far more than any description or report.
MOST_BYTES = 1 << 20


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
