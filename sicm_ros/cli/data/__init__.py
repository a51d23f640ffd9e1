# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm data`: stereo data sets and bags, made."""

SUMMARY = "make data: rendered worlds, composed scenes, labels for your own drive, bags"
EPILOG = """examples:
  sicm data render --out data/world --frames 3000
  sicm data bag 2011_09_26_drive_0056_sync --out drive.mcap
  sicm data label MY_DRIVE --out data/my_drive"""
COMMANDS = {
    "render": "sicm_ros.cli.data.render",
    "compose": "sicm_ros.cli.data.compose",
    "cutouts": "sicm_ros.cli.data.cutouts",
    "label": "sicm_ros.cli.data.label",
    "bag": "sicm_ros.cli.data.bag",
    "presets": "sicm_ros.cli.data.presets",
}
