# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""For tools that still call setup.py; everything is said in pyproject.toml."""

from setuptools import setup

setup()
