# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which two topics of a bag are the stereo pair, and why; what else it could have been."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sicm_ros.bags.bag import Topic
from sicm_ros.bags.presets import IMAGES, PRESETS, Preset
from sicm_ros.errors import InputError

# Names of the left and of the right camera, by which one topic's partner is found.
COUNTERPARTS = (("left", "right"), ("infra1", "infra2"), ("cam0", "cam1"), ("camera0", "camera1"), ("cam_0", "cam_1"))
_KIND = re.compile(r"_(raw|rect|gray|grey|color|colour)(?=/|_|$)")  # what a camera's folder says of its images
LISTED = 12  # topics that an error names


@dataclass(frozen=True)
class Choice:
    """The pair of a bag.

    Attributes:
        preset: the layout.
        left, right: image topics as recorded.
        why: in words.
        others: pairs that were not taken, as recorded.
    """

    preset: Preset
    left: str
    right: str
    why: str
    others: tuple[tuple[str, str], ...] = ()


def choose(preset: str, topics: Mapping[str, Topic], path: object, left: str = "", right: str = "") -> Choice:
    """Return the pair of a bag.

    Args:
        preset: a name of PRESETS, or `auto`: the first one whose pictures are there, else a pair of topics whose names
            differ as COUNTERPARTS do.
        topics: of the bag, name to Topic.
        path: the bag's, for errors.
        left, right: image topics that overrule the preset's.

    Raises:
        InputError: an unknown preset, a topic that isn't there (and those that are), one camera alone, several
            candidates (with the arguments that take each).
    """
    images = image_topics(topics)
    if preset != "auto" and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; expected auto, {', '.join(PRESETS)}")
    if bool(left) != bool(right):
        raise InputError(f"{path}: one topic of the pair was given ({left or right}); give both, left and right")
    pairs = candidates(images)
    if left:
        chosen = PRESETS["stereo"] if preset == "auto" else PRESETS[preset]
        chosen, why = replace(chosen, left=left, right=right), "as you asked"
    elif preset == "auto":
        known = [p for p in PRESETS.values() if _bare(p.left) in images and _bare(p.right) in images]
        chosen, why = (known[0], f"preset {known[0].name}") if known else _guess(pairs, images, path, topics)
    else:
        chosen, why = PRESETS[preset], f"preset {preset}, as you asked"
    sides, notes = [], []
    for side, name in (("left", chosen.left), ("right", chosen.right)):
        recorded = images.get(_bare(name.removesuffix("/compressed")))
        if not recorded:
            raise InputError(f"{path}: no images of the {side} camera on {name}; {listed(topics)}")
        taken = name if left and name in recorded else _fullest(recorded, topics)
        rest = [f"{other} has {topics[other].count}" for other in recorded if other != taken]
        if rest and topics[taken].type not in (topics[other].type for other in recorded if other != taken):
            notes.append(f"{taken} has {topics[taken].count} images, {', '.join(rest)}")
        sides.append(taken)
    why = "; ".join([why, *notes])
    others = [(_fullest(images[a], topics), _fullest(images[b], topics)) for a, b in pairs]
    return Choice(chosen, sides[0], sides[1], why, tuple(pair for pair in others if pair != (sides[0], sides[1])))


def image_topics(topics: Mapping[str, Topic]) -> dict[str, list[str]]:
    """Image topics of a bag by the name of their raw form, no slash before it: `a/image` has `/a/image/compressed`."""
    found: dict[str, list[str]] = {}
    for name, topic in topics.items():
        if topic.type in IMAGES and topic.count:
            found.setdefault(name.removesuffix("/compressed").lstrip("/"), []).append(name)
    return found


def candidates(images: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names, of those given, that differ as left and right do."""
    names = sorted(images)
    found = []
    for first, second in COUNTERPARTS:
        for name in names:
            partner = re.sub(rf"(?<![a-z]){first}(?![a-z0-9])", second, name)
            if partner == name or partner not in names:
                partner = name.replace(first, second)
            if partner != name and partner in names and (name, partner) not in found:
                found.append((name, partner))
    return found


def listed(topics: Mapping[str, Topic]) -> str:
    """The bag's topics in words, for errors: image topics and camera_infos first."""
    if not topics:
        return "the bag holds no topics"
    order = sorted(topics, key=lambda name: (not ({"Image", "CompressedImage"} & {topics[name].type[16:]}), name))
    more = f" and {len(order) - LISTED} more" if len(order) > LISTED else ""
    return "it holds " + ", ".join(f"{n} ({topics[n].type}, {topics[n].count})" for n in order[:LISTED]) + more


def arguments(left: str, right: str) -> str:
    """What takes a pair, on the command line."""
    return f"--left {left} --right {right}"


def _fullest(recorded: list[str], topics: Mapping[str, Topic]) -> str:
    """Of raw and compressed copies the one with more images; raw where they are alike."""
    return max(recorded, key=lambda name: (topics[name].count, -len(name)))


def _best_of_one_camera(pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    """Of several pairs that one camera publishes (raw, rectified, grey) the one to take; None where cameras differ."""
    cameras = {_KIND.sub("", left.rpartition("/")[0]) for left, _ in pairs}
    if len(cameras) != 1:
        return None

    def merit(pair: tuple[str, str]) -> tuple[bool, bool]:
        words = set(re.split(r"[/_]", pair[0]))
        return bool(words & {"rect", "rectified"}), not words & {"gray", "grey", "mono"}

    first, second, *_ = sorted(pairs, key=merit, reverse=True)
    return first if merit(first) > merit(second) else None


def _bare(topic: str) -> str:
    return topic.lstrip("/")


def _guess(
    pairs: list[tuple[str, str]], images: Mapping[str, list[str]], path: object, topics: Mapping[str, Topic]
) -> tuple[Preset, str]:
    if len(pairs) == 1:
        left, right = pairs[0]
        return Preset("auto", "found by its names", "/" + left, "/" + right), "the only pair of names"
    best = _best_of_one_camera(pairs)
    if best:
        left, right = best
        why = f"the best of the {len(pairs)} pairs of one camera: rectified before raw, colour before grey"
        return Preset("auto", "found by its names", "/" + left, "/" + right), why
    if pairs:
        offers = "; ".join(arguments(f"/{left}", f"/{right}") for left, right in pairs)
        raise InputError(f"{path}: several stereo pairs; choose one: {offers}")
    if not sum(topic.count for topic in topics.values()):
        raise InputError(f"{path}: the bag holds no messages; {listed(topics)}")
    remedy = f"name both by --left and --right; {listed(topics)}"
    lonely = [name for name in images if any(word in name for pair in COUNTERPARTS for word in pair)]
    if lonely and len(images) == 1:
        raise InputError(f"{path}: images of only one camera (/{lonely[0]}); a stereo pair is needed; {listed(topics)}")
    if len(images) > 1:
        raise InputError(f"{path}: no two image topics are a pair by their names; {remedy}")
    raise InputError(f"{path}: no stereo pair of image topics in it; {listed(topics)}")
