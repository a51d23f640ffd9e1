# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""The `sicm` command: a thin table over functions that a notebook could call as well.

A command is a module with SUMMARY, configure(parser) and run(args), or a group with SUMMARY and COMMANDS of its own.
`options` holds the arguments that mean the same everywhere, `spellings` those of the previous release.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from sicm_ros.cli import options, spellings
from sicm_ros.errors import SicmError, printable
from sicm_ros.files import explain

# A module is imported only when its command is asked for.
COMMANDS = {
    "demo": "sicm_ros.cli.demo",
    "compare": "sicm_ros.cli.compare",
    "evaluate": "sicm_ros.cli.evaluate",
    "info": "sicm_ros.cli.info",
    "encode": "sicm_ros.cli.encode",
    "decode": "sicm_ros.cli.decode",
    "bag": "sicm_ros.cli.bag",
    "data": "sicm_ros.cli.data",
    "train": "sicm_ros.cli.train",
    "average": "sicm_ros.cli.average",
    "export": "sicm_ros.cli.export",
    "calibrate": "sicm_ros.cli.calibrate",
    "temporal": "sicm_ros.cli.temporal",
    "bench": "sicm_ros.cli.bench",
    "extensions": "sicm_ros.cli.extensions",
    "top": "sicm_ros.cli.top",
}

FIRST_STEPS = """sicm: what a machine needs from a stereo camera, in one to a few kilobytes per pair.

Try first:
  sicm demo                    send a drive through the encoder and decoder nodes; see demo/report.html
  sicm compare DRIVE           your own stereo bag or KITTI folder, compared with JPEG, AV1 and VVC
  sicm evaluate KITTI          accuracy and bytes of a model on labelled frames
  sicm info                    the card and the cost of the model that ships
  sicm top                     the running nodes, live

All commands: sicm --help. One command: sicm demo --help.
Completion in bash: eval "$(register-python-argcomplete sicm)"."""


class UsageError(SicmError):
    """A command line that can't be read."""


# What the runtime does without -> the extra of pyproject.toml that brings it.
EXTRAS = {
    "torch": "train",
    "onnx": "torch",
    "tensorboard": "train",
    "panda3d": "synth",
    "matplotlib": "bench",
    "bjontegaard": "bench",
    "imageio_ffmpeg": "bench",
    "motrics": "bench",
    "compressai": "compressai",
    "torchvision": "compressai",
    "av": "video",
    "pyarrow": "argoverse",
    "scipy": "bench",
    "ray": "ray",
    "atheris": "fuzz",
}


class Parser(argparse.ArgumentParser):
    """One line for what is wrong, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 with one line on stderr for whatever the user can mend."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given and "_ARGCOMPLETE" not in os.environ:
        print(FIRST_STEPS)
        return 0
    words = spellings.translated(given)
    try:
        args = parser_of(words).parse_args(words)
        spellings.settle(args, given, words)
        options.check_places(args)
        with _until_told_to_end():
            return args.run(args) or 0
    except UsageError as error:
        _say(str(error))
        return 2
    except SicmError as error:
        _say(f"{args.command}: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143
    except BrokenPipeError:  # `sicm ... | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        _say(f"{args.command}: {package} isn't installed: pip install 'sicm_ros[{EXTRAS[package]}]'")
        return 2
    except Exception as error:
        told = explain(error)  # a full disk, no permission, no memory: the user's to mend, whoever met it
        if told is None:
            raise
        _say(f"{args.command}: {told}")
        return 2


def _say(text: str) -> None:
    """One line on stderr, whatever a file or a topic in it is called."""
    print(printable(" ".join(text.split("\n")), most=4000), file=sys.stderr)


class Terminated(BaseException):
    """SIGTERM: what was begun is ended as with Ctrl-C, the processes that were started with it."""


@contextmanager
def _until_told_to_end() -> Iterator[None]:
    def on_signal(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # somebody else's process
        return
    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def parser_of(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return a parser of the command that the words begin with; of all commands if they begin with none."""
    parser = Parser(prog="sicm", description="Stereo features for machines: encode, decode, train, measure.")
    _add(parser, COMMANDS, words)
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may come next
        import argcomplete

        argcomplete.autocomplete(parser)
    return parser


def _add(parser: argparse.ArgumentParser, table: dict[str, str], words: Sequence[str]) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, path in table.items():
        if words and words[0] in table and words[0] != name:
            continue
        module = importlib.import_module(path)
        sub = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if hasattr(module, "COMMANDS"):
            _add(sub, module.COMMANDS, words[1:])
        else:
            module.configure(sub)
            sub.set_defaults(run=module.run, command=sub.prog, parser=sub)
