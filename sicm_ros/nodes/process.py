"""The life of a node's process: from its start to Ctrl-C or SIGTERM, without a traceback in between.

Light on purpose: signals are ours before anything heavy is imported.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rclpy.node import Node

stop = threading.Event()  # set by the first signal; whatever waits for long looks at it
served = threading.Event()  # set before DDS begins: from then on there is something to close
TOOLS = ("load", "monitor", "recorder")  # nodes that measure the others
TURN = 0.1  # seconds at most between two looks at it

PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"
# Whoever set one of these has an opinion of their own about how Fast DDS is to send.
_OPINIONS = (PROFILES, "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")


def catch_signals() -> None:
    """From here on Ctrl-C and SIGTERM set `stop`; nothing is raised in the middle of an import.

    While there are only imports, seconds of them on a slow machine, a signal ends the process at once.
    """

    def on_signal(*_: object) -> None:
        stop.set()
        if not served.is_set():
            os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)


def start(node: str) -> int:
    """Run a node by name (encoder, decoder, replay, link, or one of TOOLS); return its exit status."""
    catch_signals()
    package = "sicm_ros.nodes.tools" if node in TOOLS else "sicm_ros.nodes"
    return importlib.import_module(f"{package}.{node}").main()


def make_room_for_pictures(environment: MutableMapping[str, str]) -> None:
    """Gives Fast DDS shared memory that holds pictures (fastdds.xml), unless the user set it up in some way."""
    here = Path("DEFAULT_FASTRTPS_PROFILES.xml")  # which Fast DDS takes from the working directory
    if not any(name in environment for name in _OPINIONS) and not here.exists():
        environment[PROFILES] = str(Path(__file__).with_name("fastdds.xml"))


def run(make_node: Callable[[], Node], args: list[str] | None = None) -> NoReturn:
    """Makes a node and serves it until a signal comes, or until its `finished` attribute is an exit status.

    `node.started()`, if it has one, is called once the node is served; `node.close()` at the end. Ends the
    process with status 0 after a signal, 2 after a SicmError, whose text is said in one line.
    """
    catch_signals()
    make_room_for_pictures(os.environ)

    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from sicm_ros.errors import SicmError

    served.set()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node: Any = None
    status = None
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if hasattr(node, "started"):
            node.started()
        while not stop.is_set() and rclpy.ok() and status is None:
            executor.spin_once(timeout_sec=TURN)
            status = getattr(node, "finished", None)
    except SicmError as error:
        status = 2
        if node is None:
            print(f"sicm_ros: {error}", file=sys.stderr)
        else:
            node.get_logger().fatal(str(error))
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    # A worker that is inside torch can't be interrupted; its node is then left as it is.
    if node is not None and getattr(node, "close", lambda: True)() is not False:
        node.destroy_node()
    rclpy.try_shutdown()
    # Everything is said and closed. Unloading torch's libraries would only take time, and crash under a busy worker.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)
