# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Both sides on one machine, with a bag or a KITTI folder to feed them."""

from typing import Any

from launch import Action, LaunchDescription

from sicm_ros.errors import InputError
from sicm_ros.nodes.launching import (
    Argument,
    Request,
    common,
    description,
    is_compressed,
    of_nodes,
    parameter_file,
    viewer,
)
from sicm_ros.nodes.parameters import LINK
from sicm_ros.pipeline.processes import threads_of_each

LEFT, RIGHT = "left/image_rect_color", "right/image_rect_color"
LOADING = 600.0  # seconds that encoder and decoder are given to load their models, on the slowest machine


def start(request: Request) -> list[Action]:
    if request["bag"] and request["kitti"]:
        raise InputError("bag and kitti are both given; give the one that is to be played")
    replay = request.settled("replay")
    path = request["bag"] or request["kitti"] or replay["path"]
    if path and (request["left"], request["right"]) != (LEFT, RIGHT):
        raise InputError("left and right name a camera's topics; left_topic and right_topic in replay_params a bag's")
    # Emulated or not: where the encoder's messages arrive at the decoder.
    link = request["link"] is not None or request.is_given("link_params")
    arriving = "link/features" if link else "features"

    images: dict[str, Any] = {}
    time = {} if request["use_sim_time"] is None else {"use_sim_time": request["use_sim_time"]}
    if path:
        images["compressed"] = is_compressed(path, replay)
        if request["compressed"] not in (None, images["compressed"]):
            raise InputError(
                f"the images of {path} are {'' if images['compressed'] else 'not '}compressed; leave out compressed:="
            )
        images["reliable_images"] = True  # as the replay offers them, so that none is lost on the way
        # The replay has seen to it.
        images |= {
            "rectify": "never",
            "assume_rectified": False,
            "calibration_file": "",
            "transport": "raw",
            "preset": "",
        }
        time = time or {"use_sim_time": replay["clock"]}

    topics = {LEFT: request["left"], RIGHT: request["right"]}
    # All cores for each, which is what 0 means to a node alone, would let them wait for each other.
    shared = {
        n: {} if request.settled(n)["threads"] else {"threads": threads_of_each()} for n in ("encoder", "decoder")
    }
    actions: list[Action] = [
        request.node("encoder", topics, **images, **shared["encoder"], **time),
        request.node("decoder", {"features": arriving}, **shared["decoder"], **time),
    ]
    if link:
        actions.append(request.node("link"))
    if path:
        actions.append(
            request.node(
                "replay",
                path=path,
                wait_for_subscribers=replay["wait_for_subscribers"] or LOADING,
                wait_for_topics=[*filter(None, replay["wait_for_topics"]), *dict.fromkeys(("features", arriving))],
                results=replay["results"] or "detections",
            )
        )
    encoder = request.settled("encoder") | images
    shown = request["left"] + ("/compressed" if encoder["compressed"] else "")
    return [*actions, *request.rviz("", shown, time.get("use_sim_time", False))]


def generate_launch_description() -> LaunchDescription:
    both = ("encoder", "decoder")
    profile = next(p for p in LINK if p.name == "profile")
    return description(
        [
            Argument("bag", "Bag to play: .mcap, .db3, .bag or a folder. With neither bag nor kitti: a live camera."),
            Argument("kitti", "KITTI folder to play instead: a raw drive, an object set or an odometry sequence."),
            *of_nodes(("replay", "encoder"), "preset"),
            *of_nodes(("replay",), "rate", "loop"),
            Argument("left", "Left image topic of a live camera; its camera_info is the topic's sibling.", LEFT),
            Argument("right", "Right image topic of a live camera; its camera_info is the topic's sibling.", RIGHT),
            *of_nodes(both, "model", "engine", "device", "quality", "mode", "target_kbit_s", "adaptive"),
            *of_nodes(("decoder", "encoder"), "min_score"),
            *of_nodes(("encoder",), "compressed", "transport", "disparity_offset"),
            *of_nodes(("encoder", "replay"), "rectify", "calibration_file", "assume_rectified"),
            *of_nodes(both, "base_frame", "optical_pose", "target_frame"),
            Argument(
                "link",
                f"Emulated link between encoder and decoder: {', '.join(profile.choices)}. "
                "Not given: none, unless link_params is given.",
                parameter=profile,
                nodes=("link",),
            ),
            *(parameter_file(node) for node in ("encoder", "decoder", "link", "replay")),
            *viewer(),
            *common(),
        ],
        start,
    )
