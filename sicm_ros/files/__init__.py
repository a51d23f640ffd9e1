# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, and readers that nothing makes slow or large.

`writing` is where commands write; `reading` takes regular files of a bounded size; `trees` reads YAML that strangers
may have written; `faults` turns what the system refuses (a full disk, no permission, no memory) into one line.
"""

from sicm_ros.files.faults import explain, number_of
from sicm_ros.files.reading import read_bytes
from sicm_ros.files.trees import TreeError, read_yaml
from sicm_ros.files.writing import Lines, check_place, replaced_folder, replacing, take_place, write_bytes, write_text

__all__ = [
    "Lines",
    "TreeError",
    "check_place",
    "explain",
    "number_of",
    "read_bytes",
    "read_yaml",
    "replaced_folder",
    "replacing",
    "take_place",
    "write_bytes",
    "write_text",
]
