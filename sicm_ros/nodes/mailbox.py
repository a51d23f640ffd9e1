# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A slot for each sender between the executor, which must not wait, and the worker, which computes: no stale queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item a sender; a newer one takes the place of what nobody fetched.

    Fair: whoever was served longest ago is served first, however often the others send.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[Hashable, T] = {}
        self._served: dict[Hashable, int] = {}  # sender -> number of the fetch that last served it
        self._fetches = 0
        self._closed = False

    def put(self, item: T, sender: Hashable = None) -> T | None:
        """Leave an item; return the one that it replaced, if any."""
        with self._changed:
            replaced = self._items.get(sender)
            self._items[sender] = item
            self._changed.notify()
            return replaced

    def take(self, most: int = 1) -> list[T]:
        """Wait for an item, then fetch up to `most` of different senders; empty once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if self._closed:
                return []
            self._fetches += 1
            # Senders that were never served come first; between equals, the one whose item has waited longer (a
            # dictionary keeps the place of a key that is overwritten).
            senders = sorted(self._items, key=lambda sender: self._served.get(sender, 0))[:most]
            self._served |= dict.fromkeys(senders, self._fetches)
            return [self._items.pop(sender) for sender in senders]

    def close(self) -> None:
        """End every wait; what is in the slots is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class Worker(Generic[T]):
    """A thread that first prepares (loads and warms up the model), then handles the mailbox's items.

    Everything that touches torch happens in this thread, to which torch's pools and caches then belong.

    Args:
        prepare: called once at the start; returns how many items may be handled together.
        handle: called with each fetch of items; an exception is passed to `report` and the next ones are served.
        report: told of what `handle` raised, with the items.
    """

    def __init__(
        self,
        prepare: Callable[[], int],
        handle: Callable[[list[T]], None],
        report: Callable[[Exception, list[T]], None],
    ):
        self.mailbox: Mailbox[T] = Mailbox()
        self.ready = threading.Event()  # set when prepare() is over, well or not
        self.error: Exception | None = None  # what prepare() raised
        self._steps = (prepare, handle, report)
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        prepare, handle, report = self._steps
        try:
            together = prepare()
        except Exception as error:
            self.error = error
            return
        finally:
            self.ready.set()
        while items := self.mailbox.take(together):
            try:
                handle(items)
            except Exception as error:
                report(error, items)

    def close(self, timeout: float) -> bool:
        """End the thread after what it is doing; False if that takes longer than `timeout` seconds."""
        self.mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()
