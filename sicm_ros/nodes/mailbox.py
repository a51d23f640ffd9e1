# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A slot for each sender between the executor, which must not wait, and workers, which compute: no stale queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item a sender; a newer one takes the place of what nobody fetched.

    Fair: whoever was served longest ago is served first, however often the others send. However many threads fetch, a
    sender's items are handled one after the other.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[Hashable, T] = {}
        self._handled: set[Hashable] = set()  # senders whose items are being handled
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

    @contextmanager
    def take(self, most: int = 1) -> Iterator[list[T]]:
        """Wait for an item, then fetch up to `most` of different senders; empty once the mailbox is closed.

        Inside the block, nobody else gets an item of these senders.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting() or self._closed)
            # Senders that were never served come first; between equals, the one whose item has waited longer (a
            # dictionary keeps the place of a key that is overwritten).
            waiting = [] if self._closed else self._waiting()
            senders = sorted(waiting, key=lambda sender: self._served.get(sender, 0))[:most]
            self._fetches += 1
            self._served |= dict.fromkeys(senders, self._fetches)
            self._handled.update(senders)
            items = [self._items.pop(sender) for sender in senders]
        try:
            yield items
        finally:
            with self._changed:
                self._handled.difference_update(senders)
                self._changed.notify()

    def _waiting(self) -> list[Hashable]:
        return [sender for sender in self._items if sender not in self._handled]

    def close(self) -> None:
        """End every wait; what is in the slots is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class Workers(Generic[T]):
    """Threads that handle the mailbox's items, once the first of them has prepared (loads and warms up the model).

    A single one is the only thread that touches the model, as suits PyTorch, whose pools and caches are a thread's own.

    Args:
        prepare: called once at the start; returns how many items may be handled together, and by how many threads.
        handle: called with each fetch of items; an exception is passed to `report` and the next ones are served.
        report: told of what `handle` raised, with the items.
    """

    def __init__(
        self,
        prepare: Callable[[], tuple[int, int]],
        handle: Callable[[list[T]], None],
        report: Callable[[Exception, list[T]], None],
    ):
        self.mailbox: Mailbox[T] = Mailbox()
        self.ready = threading.Event()  # set when prepare() is over, well or not
        self.error: Exception | None = None  # what prepare() raised
        self._prepare, self._handle, self._report = prepare, handle, report
        self._together = 1
        self._threads: list[threading.Thread] = []
        self._start(self._first)

    def _start(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, name=f"worker {len(self._threads) + 1}", daemon=True))
        self._threads[-1].start()

    def _first(self) -> None:
        try:
            self._together, threads = self._prepare()
            for _ in range(threads - 1):
                self._start(self._serve)
        except Exception as error:
            self.error = error
            return
        finally:
            self.ready.set()
        self._serve()

    def _serve(self) -> None:
        while True:
            with self.mailbox.take(self._together) as items:
                if not items:
                    return
                try:
                    self._handle(items)
                except Exception as error:
                    self._report(error, items)

    def close(self, timeout: float) -> bool:
        """End the threads after what they are doing; False if that takes longer than `timeout` seconds."""
        self.mailbox.close()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)
