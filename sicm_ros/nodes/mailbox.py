"""One slot between the executor, which must never wait, and the worker, which computes: nothing stale ever queues."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item at most; a newer one takes the place of what nobody fetched."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> T | None:
        """Leaves an item; returns the one that it replaced, if any."""
        with self._changed:
            replaced, self._item = self._item, item
            self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """Waits for an item; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = (None if self._closed else self._item), None
            return item

    def close(self) -> None:
        """Ends every wait; what is in the slot is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Worker(Generic[T]):
    """A thread that first prepares (loads and warms up the model), then handles the mailbox's items one by one.

    Everything that touches torch happens in this thread, to which torch's pools and caches then belong.

    Args:
        prepare: called once at the start.
        handle: called with each item; an exception is passed to `report` and the next item is served.
        report: told of what `handle` raised, with the item.
    """

    def __init__(
        self, prepare: Callable[[], None], handle: Callable[[T], None], report: Callable[[Exception, T], None]
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
            prepare()
        except Exception as error:
            self.error = error
            return
        finally:
            self.ready.set()
        while (item := self.mailbox.take()) is not None:
            try:
                handle(item)
            except Exception as error:
                report(error, item)

    def close(self, timeout: float) -> bool:
        """Ends the thread after what it is doing; False if that takes longer than `timeout` seconds."""
        self.mailbox.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()
