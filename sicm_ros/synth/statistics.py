# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A data set's labels in numbers, beside KITTI's: is the rendered world populated like the real one?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from sicm_ros.errors import InputError
from sicm_ros.kitti import read_labels

# All 7,481 label files of KITTI's object training set: per frame; height, width, length (mean, deviation); x, y, z at
# 5, 50 and 95 %; median image height; share along the road (within 0.26 rad) and across; occlusion 0, 1, 2; truncated
# more than 0.15.
KITTI = {
    "Car": [
        "3.84",
        "1.53±0.14 1.63±0.10 3.88±0.43",
        "-16.9 -3.1 10.9",
        "1.10 1.71 2.31",
        "5.9 25.4 58.8",
        "47",
        "71 14",
        "47 28 21",
        "12",
    ],
    "Van": [
        "0.39",
        "2.21±0.32 1.90±0.17 5.08±0.83",
        "-14.8 -2.3 18.9",
        "0.77 1.64 2.46",
        "6.3 32.2 69.8",
        "53",
        "72 13",
        "27 30 24",
        "13",
    ],
    "Truck": [
        "0.15",
        "3.25±0.45 2.59±0.22 10.11±2.86",
        "-20.3 0.0 15.5",
        "0.93 1.77 2.43",
        "8.8 46.4 76.7",
        "59",
        "84 7",
        "48 25 9",
        "10",
    ],
    "Pedestrian": [
        "0.60",
        "1.76±0.11 0.66±0.14 0.84±0.23",
        "-10.7 0.5 8.4",
        "0.86 1.47 1.83",
        "5.7 14.7 38.4",
        "88",
        "38 24",
        "59 24 15",
        "5",
    ],
    "Cyclist": [
        "0.22",
        "1.74±0.09 0.60±0.12 1.76±0.18",
        "-12.7 2.5 10.9",
        "0.82 1.58 2.21",
        "6.4 21.6 52.8",
        "77",
        "67 10",
        "62 16 5",
        "7",
    ],
}
COLUMNS = (
    "per frame",
    "h w l, m",
    "x 5 50 95 %, m",
    "y",
    "z",
    "px",
    "along, across %",
    "occluded 0 1 2 %",
    "truncated %",
)


def statistics(folder: Path) -> dict[str, list[str]]:
    """Return for each class of KITTI's that occurs in folder/label_2, the entries of COLUMNS.

    Raises:
        InputError: there are no labels.
    """
    files = sorted((folder / "label_2").glob("*.txt"))
    if not files:
        raise InputError(f"{folder}/label_2: no labels")
    labels = [read_labels(file) for file in files]
    kinds = np.concatenate([label.names for label in labels])
    column = {
        name: np.concatenate([getattr(label, name) for label in labels])
        for name in ("dimensions", "location", "rotation_y", "image_boxes", "occluded", "truncated")
    }
    return {
        kind: _entries({name: values[kinds == kind] for name, values in column.items()}, len(files))
        for kind in KITTI
        if (kinds == kind).any()
    }


def _entries(of: dict[str, np.ndarray], frames: int) -> list[str]:
    mean, deviation = of["dimensions"].mean(0), of["dimensions"].std(0)
    askew = np.abs(np.abs(of["rotation_y"]) - np.pi / 2)
    places = [np.percentile(of["location"][:, axis], [5, 50, 95]) for axis in range(3)]
    occluded = [100 * (of["occluded"] == grade).mean() for grade in range(3)]
    return [
        f"{len(askew) / frames:.2f}",
        " ".join(f"{m:.2f}±{d:.2f}" for m, d in zip(mean, deviation, strict=True)),
        " ".join(f"{v:.1f}" for v in places[0]),
        " ".join(f"{v:.2f}" for v in places[1]),
        " ".join(f"{v:.1f}" for v in places[2]),
        f"{np.median(of['image_boxes'][:, 3] - of['image_boxes'][:, 1]):.0f}",
        f"{100 * (askew < 0.26).mean():.0f} {100 * (askew > np.pi / 2 - 0.26).mean():.0f}",
        " ".join(f"{share:.0f}" for share in occluded),
        f"{100 * (of['truncated'] > 0.15).mean():.0f}",
    ]


def table(folder: Path) -> Table:
    """Return the data set's labels and KITTI's, side by side, for the terminal."""
    result = Table("", "labels", *COLUMNS, title=str(folder))
    for kind, entries in statistics(folder).items():
        result.add_row(kind, "rendered", *entries)
        result.add_row("", "KITTI", *KITTI[kind], style="dim", end_section=True)
    return result
