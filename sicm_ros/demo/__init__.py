"""The main job, run and shown: replay, encoder and decoder as processes; a table, a report, a bag of the results."""

from sicm_ros.demo.agreement import compare
from sicm_ros.demo.report import write_report
from sicm_ros.demo.summary import Run, read_run, write_output
from sicm_ros.demo.table import table
from sicm_ros.pipeline.run import run_pipeline

__all__ = ["Run", "compare", "read_run", "run_pipeline", "table", "write_output", "write_report"]
