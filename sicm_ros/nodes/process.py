# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The life of a node's process: from its start to Ctrl-C or SIGTERM, without a traceback in between.

Light on purpose: signals are ours before anything heavy is imported.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rclpy.node import Node

stop = threading.Event()  # set by the first signal; whatever waits for long looks at it
served = threading.Event()  # set before DDS begins: from then on there is something to close
TOOLS = ("load", "monitor", "recorder")  # nodes that measure the others
DESCRIBE = "--describe"  # of replay_node: says what a recording holds, and ends
SAID, REPEAT = 10, 5.0  # callbacks that failed, of which the log hears in so many seconds: a flood says nothing more
TURN = 0.1  # seconds at most between two looks at it

_M_ARENA_MAX = -8  # of malloc.h

PROFILES = "FASTRTPS_DEFAULT_PROFILES_FILE"
# Whoever set one of these has an opinion of their own about how Fast DDS is to send.
_OPINIONS = (PROFILES, "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")


def catch_signals() -> None:
    """From here on let Ctrl-C and SIGTERM set `stop`; raise nothing in the middle of an import.

    While there are only imports, seconds of them on a slow machine, a signal ends the process at once.
    """

    def on_signal(*_: object) -> None:
        stop.set()
        if not served.is_set():
            os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)


def share_arenas() -> None:
    """Let all threads allocate from two arenas, with glibc: each of twenty would keep what it took while loading."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def start(node: str) -> int:
    """Run a node by name (encoder, decoder, replay, link, or one of TOOLS); return its exit status."""
    catch_signals()
    share_arenas()
    # OpenVINO's converters, which it takes along where they can be imported: more than half of the time that it takes.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    package = "sicm_ros.nodes.tools" if node in TOOLS else "sicm_ros.nodes"
    return importlib.import_module(f"{package}.{node}").main()


def make_room(environment: MutableMapping[str, str], sends_pictures: bool = False) -> None:
    """Give Fast DDS shared memory for what a node sends, pairs of images (fastdds.xml) or less (fastdds_results.xml),
    unless the user set it up in some way.
    """
    here = Path("DEFAULT_FASTRTPS_PROFILES.xml")  # which Fast DDS takes from the working directory
    if not any(name in environment for name in _OPINIONS) and not here.exists():
        environment[PROFILES] = str(Path(__file__).with_name(f"fastdds{'' if sends_pictures else '_results'}.xml"))


def run(make_node: Callable[[], Node], args: list[str] | None = None, sends_pictures: bool = False) -> NoReturn:
    """Make a node and serve it until a signal comes, or until its `finished` attribute is an exit status.

    `node.started()`, if it has one, is called once the node is served, `node.turned()` several times a second,
    `node.close()` at the end. Ends the process with status 0 after a signal, 2 after a SicmError (of `close` too) or
    what ROS refuses (names, remaps, parameter files), whose text is said in one line. What a callback raises is logged,
    and the node goes on; one that has `ends_at_errors` ends with a callback's SicmError too.
    """
    catch_signals()
    make_room(os.environ, sends_pictures)

    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from sicm_ros.errors import SicmError, printable
    from sicm_ros.pipeline.leftovers import remove_leftovers, remove_own

    served.set()
    remove_leftovers()
    node: Any = None
    executor: Any = None
    status, said = None, deque[float](maxlen=SAID)
    refusals: tuple[type[Exception], ...] = (SicmError, *_refusals())
    try:
        _refuse_other_arguments(args)
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if hasattr(node, "started"):
            node.started()
        turned = getattr(node, "turned", lambda: None)
        while not stop.is_set() and rclpy.ok() and status is None:
            turned()
            try:
                executor.spin_once(timeout_sec=TURN)
            except (ExternalShutdownException, KeyboardInterrupt):
                raise
            except Exception as error:
                if isinstance(error, SicmError) and getattr(node, "ends_at_errors", False):
                    raise
                now = time.monotonic()
                if len(said) < SAID or now - said[0] > REPEAT:
                    said.append(now)
                    node.get_logger().error(printable(f"a callback failed: {error!r}, at {_place(error)}"))
            status = getattr(node, "finished", None)
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except Exception as error:
        status = _told(node, error, refusals)
    closed = node is not None
    if node is not None:
        try:
            # A worker that is computing can't be interrupted; its node is then left as it is.
            closed = getattr(node, "close", lambda: True)() is not False
        except Exception as error:
            status = _told(node, error, refusals)
    if closed:
        if executor is not None:
            executor.remove_node(node)
        node.destroy_node()
        # DDS gives its shared memory back with the last of what refers to it; os._exit collects nothing.
        node = executor = None
        gc.collect()
    rclpy.try_shutdown()
    remove_own()  # what something still refers to
    # Everything is said and closed. Unloading libraries would only take time, and crash under a busy worker.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def _told(node: Any, error: Exception, refusals: tuple[type[Exception], ...]) -> int:
    """Say in one line why a node ends; return its exit status."""
    text = _one_line(error) if isinstance(error, refusals) else _unforeseen(error)
    if node is None:
        print(f"sicm_ros: {text}", file=sys.stderr)
    else:
        node.get_logger().fatal(text)
    return 2


def _refuse_other_arguments(args: list[str] | None) -> None:
    """Refuse what isn't ROS' own: it would have no effect, such as `--quality 0.8`.

    Raises:
        InputError: there is such an argument.
    """
    from rclpy.utilities import remove_ros_args

    from sicm_ros.errors import InputError

    others = remove_ros_args(["", *args] if args is not None else sys.argv)[1:]
    if others:
        raise InputError(f"unexpected arguments: {' '.join(others)}; set parameters as in --ros-args -p quality:=0.8")


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which ROS refuses arguments, names and parameters."""
    from rclpy.exceptions import NameValidationException, ParameterException

    return NameValidationException, ParameterException, RuntimeError  # what rcl says comes as kinds of RuntimeError


def _unforeseen(error: Exception) -> str:
    """Return what the system refuses with its remedy; of anything else, what it is and where it came from."""
    from sicm_ros.files import explain

    return explain(error) or f"{error!r}, at {_place(error)}"


def _one_line(error: Exception) -> str:
    """Return the text of an error without line breaks and places in ROS' source."""
    return re.sub(r"\s+", " ", re.sub(r",? at \S+\.(c|cpp|h|hpp):\d+", "", str(error))).strip()


def _place(error: Exception) -> str:
    """Return file and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"
