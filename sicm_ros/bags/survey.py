# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What is in a bag, whether or not a stereo pair is: what a person looks at before choosing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sicm_ros.bags.bag import Bag
from sicm_ros.bags.choosing import Choice, candidates, choose, image_topics
from sicm_ros.bags.presets import IMAGES
from sicm_ros.bags.stamps import rate_of, stamp_in
from sicm_ros.errors import InputError

LOOKED_AT = 20  # messages of a topic that its rate is taken from


@dataclass(frozen=True)
class TopicSurvey:
    """A topic: its message type, number of messages, rate (Hz; None where nothing tells), what its messages hold."""

    name: str
    type: str
    count: int
    rate: float | None
    holds: str


@dataclass(frozen=True)
class BagSurvey:
    """A bag.

    Attributes:
        topics: by name.
        seconds: from the first to the last message.
        choice: the pair that is taken; None where there is none, and `problem` says why.
        candidates: left and right names of all pairs of image topics, by their names.
    """

    topics: tuple[TopicSurvey, ...]
    seconds: float
    choice: Choice | None
    problem: str
    candidates: tuple[tuple[str, str], ...]


def survey(path: str | Path, preset: str = "auto", left: str = "", right: str = "") -> BagSurvey:
    """Look into a bag; arguments as in `open_stereo`. Raises InputError where it can't be read at all."""
    with Bag(path) as bag:
        topics = tuple(_topic(bag, name) for name in sorted(bag.topics))
        choice, problem = None, ""
        try:
            choice = choose(preset, bag.topics, path, left, right)
        except InputError as error:
            problem = str(error)
        pairs = tuple(candidates(image_topics(bag.topics)))
        return BagSurvey(topics, (bag.end - bag.start) / 1e9, choice, problem, pairs)


def _topic(bag: Bag, name: str) -> TopicSurvey:
    topic = bag.topics[name]
    described = topic.type in IMAGES or topic.type == "sensor_msgs/msg/CameraInfo"
    if not described or not topic.count:
        seconds = (bag.end - bag.start) / 1e9
        rate = (topic.count - 1) / seconds if topic.count > 1 and seconds > 0 else None
        return TopicSurvey(name, topic.type, topic.count, rate, "")
    try:
        some = list(islice(bag.messages([name]), LOOKED_AT))
        stamps = [stamp_in(message.data) for message in some]
        rate = rate_of(stamps, 0.0) or rate_of([message.stamp for message in some], 0.0) or None
        return TopicSurvey(name, topic.type, topic.count, rate, _holds(bag.decode(some[0])))
    except (InputError, IndexError) as error:
        return TopicSurvey(name, topic.type, topic.count, None, f"can't be read: {error}")


def _holds(message: Any) -> str:
    """What a message of a camera says, in words."""
    if hasattr(message, "encoding"):
        return f"{message.encoding}, {message.width} x {message.height}"
    if hasattr(message, "format"):
        return message.format or "format not said"
    p, d = list(message.p), [round(float(v), 4) for v in message.d]
    parts = [f"{message.width} x {message.height}"]
    if len(p) == 12:
        parts.append(f"fx {p[0]:.1f}, p[3] {p[3]:.4g}")
    parts.append("no distortion" if not any(d) else f"{message.distortion_model} {d}")
    if message.binning_x > 1 or message.binning_y > 1:
        parts.append(f"binning {message.binning_x} x {message.binning_y}")
    if message.roi.width or message.roi.height:
        roi = message.roi
        parts.append(f"region {roi.width} x {roi.height} at {roi.x_offset}, {roi.y_offset}")
    return ", ".join(parts)
