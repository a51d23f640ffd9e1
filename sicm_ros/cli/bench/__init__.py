# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench`: how many bits, and how much time, a detector needs, by us and by other codecs."""

SUMMARY = "rate, accuracy and speed compared with other codecs, on the same frames with the same detector"
EPILOG = """examples:
  sicm bench speed kitti
  sicm bench run quick --out runs/quick && sicm bench report runs/quick
  sicm bench tracks kitti/sequence_0056 --picture delay.png
  sicm bench stream kitti/sequence_0056 --quality 0.1 0.3 0.5 0.8 --age 1 3
  sicm bench run full --data real=kitti --data drive=kitti/sequence_0056 --out runs/full --workers 2"""
COMMANDS = {
    "speed": "sicm_ros.cli.bench.speed",
    "stages": "sicm_ros.cli.bench.stages",
    "operations": "sicm_ros.cli.bench.operations",
    "engines": "sicm_ros.cli.bench.engines",
    "types": "sicm_ros.cli.bench.types",
    "run": "sicm_ros.cli.bench.run",
    "report": "sicm_ros.cli.bench.report",
    "startup": "sicm_ros.cli.bench.startup",
    "check": "sicm_ros.cli.bench.check",
    "soak": "sicm_ros.cli.bench.soak",
    "fleet": "sicm_ros.cli.bench.fleet",
    "tracks": "sicm_ros.cli.bench.tracks",
    "stream": "sicm_ros.cli.bench.stream",
    "faults": "sicm_ros.cli.bench.faults",
    "fuzz": "sicm_ros.cli.bench.fuzz",
    "symbols": "sicm_ros.cli.bench.symbols",
    "priors": "sicm_ros.cli.bench.priors",
    "zoo": "sicm_ros.cli.bench.zoo",
}
