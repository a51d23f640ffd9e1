# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bag`: stereo bags with features in place of their images, and back to boxes."""

SUMMARY = "replace the images of stereo bags with features, and decode these to boxes"
EPILOG = """examples:
  sicm bag compress drive.mcap small.mcap
  sicm bag compress drives/ small/ --workers 4
  sicm bag expand small.mcap seen.mcap"""
COMMANDS = {"compress": "sicm_ros.cli.bag.compress", "expand": "sicm_ros.cli.bag.expand"}
