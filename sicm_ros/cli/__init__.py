"""The `sicm` command: a thin table over functions that a notebook could call as well."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from sicm_ros.errors import SicmError

# Each module has SUMMARY, configure(parser) and run(args); it is imported only when it is needed.
COMMANDS = {
    "encode": "sicm_ros.cli.encode",
    "decode": "sicm_ros.cli.decode",
    "info": "sicm_ros.cli.info",
    "evaluate": "sicm_ros.cli.evaluate",
    "synth": "sicm_ros.cli.synth",
    "compose": "sicm_ros.cli.compose",
    "cutouts": "sicm_ros.cli.cutouts",
    "label": "sicm_ros.cli.label",
    "train": "sicm_ros.cli.train",
    "average": "sicm_ros.cli.average",
    "bag": "sicm_ros.cli.bag",
    "bench": "sicm_ros.cli.bench",
    "report": "sicm_ros.cli.report",
    "demo": "sicm_ros.cli.demo",
    "top": "sicm_ros.cli.top",
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, or 2 with one line on stderr for whatever the user can mend."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="sicm", description="Stereo features for machines: encode, decode, train, measure."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    for name, path in COMMANDS.items():
        if chosen not in (None, name):
            continue
        module = importlib.import_module(path)
        sub = commands.add_parser(name, help=module.SUMMARY, description=module.SUMMARY)
        module.configure(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    try:
        return args.run(args) or 0
    except SicmError as error:
        print(f"sicm {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `sicm ... | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
