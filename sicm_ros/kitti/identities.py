# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which label is which object: identities along a drive whose label files name none.

An annotator gives an object one size for as long as it is seen (KITTI's tracklets), so class and size, to the
centimetre in which the object set is written, tell objects apart; where two share them, the place does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sicm_ros.kitti.labels import Labels

CENTIMETRE = 0.01
FASTEST = 60.0  # m/s, as the camera sees it


def identities(labels: Sequence[Labels], seconds: Sequence[float]) -> list[np.ndarray]:
    """Return the object of each label, int (N,) per frame, -1 for what has no 3D box.

    Args:
        labels: of the frames of a drive. An object that was out of sight for a while is the same when it is back.
        seconds: of each frame.
    """
    known: dict[tuple, list[tuple[int, float, np.ndarray]]] = {}  # class and size -> (object, when, where)
    count, found = 0, []
    for now, here in zip(seconds, labels, strict=True):
        numbers = np.full(len(here), -1)
        taken: set[int] = set()
        for index in np.flatnonzero(here.has_box):
            size = np.rint(here.dimensions[index] / CENTIMETRE).astype(int)
            entries = known.setdefault((str(here.names[index]), *size.tolist()), [])
            place = here.location[index]
            near = [
                (float(np.linalg.norm(place - last)), at)
                for at, (number, seen, last) in enumerate(entries)
                if number not in taken and np.linalg.norm(place - last) <= FASTEST * (now - seen)
            ]
            if near:
                at = min(near)[1]
                number = entries[at][0]
                entries[at] = number, now, place
            else:
                number, count = count, count + 1
                entries.append((number, now, place))
            numbers[index] = number
            taken.add(number)
        found.append(numbers)
    return found
