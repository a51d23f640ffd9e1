# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which two topics of a bag are the stereo pair, and why; what else it could have been."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sicm_ros.bags.bag import Topic
from sicm_ros.bags.feature_messages import FEATURES_TYPE
from sicm_ros.bags.presets import IMAGES, PRESETS, Preset, bare, find_preset, places
from sicm_ros.errors import InputError
from sicm_ros.geometry.rectification import says_rectified

# Names of the left and of the right camera, by which one topic's partner is found.
COUNTERPARTS = (
    *(("left", "right"), ("infra1", "infra2"), ("cam0", "cam1"), ("camera0", "camera1"), ("cam_0", "cam_1")),
    *(("camera_0", "camera_1"), ("image_02", "image_03"), ("ir1", "ir2")),
)
# Those of fewer cameras, which are looked for where there are none of the others.
RARE = (("cam1", "cam2"), ("camera1", "camera2"), ("cam_1", "cam_2"), ("camera_1", "camera_2"), ("_l", "_r"))
DEPTH = "/compressedDepth"  # what image_transport calls depths that are packed as images
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
        preset: a name of PRESETS, a .yaml file, or `auto`: one whose images are there, rectified ones before others;
            else a pair of topics whose names differ as COUNTERPARTS do.
        topics: of the bag, name to Topic.
        path: the bag's, for errors.
        left, right: image topics that overrule the preset's; the right one follows from the left one's name, if empty.

    Raises:
        InputError: an unknown preset, a topic that isn't there (and those that are), one camera alone, several
            candidates (with the arguments that take each).
    """
    images = image_topics(topics)
    known = None if preset == "auto" else find_preset(preset, ("auto",))
    pairs = candidates(images)
    if left or right:
        chosen, why = _named(known, left, right, images, path, topics), "as you asked"
    elif known is not None:
        found = list(places(known, images)) or [known]
        if len(found) > 1:
            raise _several([(one.left, one.right) for one in found], path)
        chosen, why = found[0], f"preset {known.name}, as you asked"
    else:
        chosen, why = _search(pairs, images, path, topics)
    sides, notes = [], []
    for side, name in (("left", chosen.left), ("right", chosen.right)):
        recorded = images.get(_plain(name))
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
    """Image topics of a bag by the name of their raw form: `/a/image` has `/a/image/compressed`."""
    found: dict[str, list[str]] = {}
    for name, topic in topics.items():
        if topic.type in IMAGES and topic.count and not name.endswith(DEPTH):
            found.setdefault(_plain(name), []).append(name)
    return found


def _plain(topic: str) -> str:
    """A topic's name with its slash and without its transport."""
    return "/" + bare(topic).lstrip("/")


def partner(topic: str, images: Iterable[str], back: bool = False) -> str:
    """Return the right camera's topic of a left one, by its name, if it is there; else nothing. `back`: the left one's.

    The last place in the name first: /left_stereo_camera/left/image belongs to /left_stereo_camera/right/image.
    """
    for counterparts in (*COUNTERPARTS, *RARE):
        old, new = counterparts[::-1] if back else counterparts
        after = "(?![0-9A-Za-z])" if counterparts in RARE else "(?![0-9])"
        found = [*re.finditer(old + after, topic, re.IGNORECASE)]
        changed = [topic[: one.start()] + _cased(new, one[0]) + topic[one.end() :] for one in reversed(found)]
        everywhere = topic
        for one in reversed(found):  # from the end, so that the other places stay where they are
            everywhere = everywhere[: one.start()] + _cased(new, one[0]) + everywhere[one.end() :]
        for other in (*changed, everywhere):
            if other != topic and other in images:
                return other
    return ""


def _cased(word: str, like: str) -> str:
    """A word in capitals, or with a capital, where another one is so."""
    return word.upper() if like.isupper() else word.capitalize() if like[0].isupper() else word


def candidates(images: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names, of those given, that differ as left and right do."""
    pairs = [(name, other) for name in sorted(images) if (other := partner(name, images))]
    common = [pair for pair in pairs if any(re.search(left, pair[0], re.IGNORECASE) for left, _ in COUNTERPARTS)]
    return common or pairs


def listed(topics: Mapping[str, Topic]) -> str:
    """The bag's topics in words, for errors: image topics first."""
    if not topics:
        return "the bag has no topics"
    order = sorted(topics, key=lambda name: (topics[name].type not in IMAGES, name))
    more = f" and {len(order) - LISTED} more" if len(order) > LISTED else ""
    return "it holds " + ", ".join(f"{n} ({topics[n].type}, {topics[n].count})" for n in order[:LISTED]) + more


def arguments(left: str, right: str) -> str:
    """What takes a pair, on the command line."""
    return f"--left {left} --right {right}"


def _fullest(recorded: list[str], topics: Mapping[str, Topic]) -> str:
    """Of raw and compressed copies the one with more images; raw where they are alike."""
    return max(recorded, key=lambda name: (topics[name].count, -len(name)))


def _several(pairs: Iterable[tuple[str, str]], path: object) -> InputError:
    offers = "; ".join(arguments(left, right) for left, right in pairs)
    return InputError(f"{path}: several stereo pairs; choose one (parameters left_topic, right_topic): {offers}")


def _best_of_one_camera(pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    """Of several pairs that one camera publishes (raw, rectified, grey) the one to take; None where cameras differ."""
    cameras = {_KIND.sub("", left.rpartition("/")[0]) for left, _ in pairs}
    if len(cameras) != 1:
        return None

    def merit(pair: tuple[str, str]) -> tuple[bool, bool]:
        return says_rectified(pair[0]), not set(re.split(r"[/_]", pair[0])) & {"gray", "grey", "mono"}

    first, second, *_ = sorted(pairs, key=merit, reverse=True)
    return first if merit(first) > merit(second) else None


def _named(
    known: Preset | None,
    left: str,
    right: str,
    images: Mapping[str, list[str]],
    path: object,
    topics: Mapping[str, Topic],
) -> Preset:
    """The preset with topics that were given, one of which may follow from the other."""
    both = left or partner(_plain(right), images, back=True), right or partner(_plain(left), images)
    if not all(both):
        raise InputError(
            f"{path}: one topic of the pair was given ({left or right}), and the other one does not follow from its "
            f"name; give both, left and right; {listed(topics)}"
        )
    return replace(known or PRESETS["stereo"], left=both[0], right=both[1])


def _search(
    pairs: list[tuple[str, str]], images: Mapping[str, list[str]], path: object, topics: Mapping[str, Topic]
) -> tuple[Preset, str]:
    """The pair that nobody has named."""
    found = [one for preset in PRESETS.values() if preset.left != preset.right for one in places(preset, images)]
    if found:
        # Of the images of one camera the rectified ones, and where presets name several, those of the narrower one.
        rectified = [one for one in found if says_rectified(one.left)] or found
        # A rig with grey cameras beside its coloured ones, as KITTI's.
        coloured = {one.left for one in rectified if "gray" not in one.left}
        rectified = [one for one in rectified if one.left.replace("gray", "color") not in coloured - {one.left}]
        cameras = {one.left.rpartition("/")[0]: one for one in sorted(rectified, key=_narrowness)}
        if len(cameras) > 1:
            raise _several([(one.left, one.right) for one in cameras.values()], path)
        (chosen,) = cameras.values()
        return chosen, f"preset {chosen.name}"
    if len(pairs) == 1:
        left, right = pairs[0]
        return Preset("auto", "found by its names", left, right), "the only pair of names"
    best = _best_of_one_camera(pairs)
    if best:
        left, right = best
        why = f"the best of the {len(pairs)} pairs of one camera: rectified before raw, colour before grey"
        return Preset("auto", "found by its names", left, right), why
    if pairs:
        raise _several(pairs, path)
    if not sum(topic.count for topic in topics.values()):
        raise InputError(f"{path}: the bag holds no messages; {listed(topics)}")
    if not images and any(topic.type == FEATURES_TYPE for topic in topics.values()):
        raise InputError(f"{path}: holds features in place of images; `sicm bag expand` decodes them")
    remedy = f"name both by --left and --right; {listed(topics)}"
    lonely = [name for name in images if any(word in name for pair in COUNTERPARTS for word in pair)]
    if lonely and len(images) == 1:
        raise InputError(f"{path}: images of only one camera ({lonely[0]}); a stereo pair is needed; {listed(topics)}")
    if len(images) > 1:
        raise InputError(f"{path}: no two image topics form a pair by their names; {remedy}")
    raise InputError(f"{path}: no stereo pair of image topics in it; {listed(topics)}")


def _narrowness(one: Preset) -> int:
    named = PRESETS[one.name].left
    return len(named) - 1000 * named.startswith("*")
