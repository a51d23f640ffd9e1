# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The main job, shown: what came of a drive through replay, encoder and decoder (`sicm_ros.pipeline` runs it).

`summary` reads the recording, `agreement` compares it with uncompressed detection; `table` and `report` show both.
"""

from sicm_ros.demo.agreement import compare
from sicm_ros.demo.report import write_report
from sicm_ros.demo.summary import Run, read_run, write_output
from sicm_ros.demo.table import table
from sicm_ros.pipeline.run import run_pipeline

__all__ = ["Run", "compare", "read_run", "run_pipeline", "table", "write_output", "write_report"]
