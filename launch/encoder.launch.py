# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The vehicle's side: a stereo camera's images in, features out."""

from launch import Action, LaunchDescription

from sicm_ros.nodes.launching import Argument, Request, common, description, of_nodes, parameter_file


def start(request: Request) -> list[Action]:
    topics = {"left/image_rect_color": request["left"], "right/image_rect_color": request["right"]}
    return [request.node("encoder", topics)]


def generate_launch_description() -> LaunchDescription:
    return description(
        [
            Argument("left", "Left image topic; its camera_info is the topic's sibling.", "left/image_rect_color"),
            Argument("right", "Right image topic; its camera_info is the topic's sibling.", "right/image_rect_color"),
            *of_nodes(("encoder",), "model", "engine", "device", "quality", "mode", "min_score"),
            *of_nodes(("encoder",), "target_kbit_s", "adaptive"),
            *of_nodes(("encoder",), "preset", "compressed", "transport", "reliable_images", "disparity_offset"),
            *of_nodes(("encoder",), "rectify", "calibration_file", "assume_rectified"),
            *of_nodes(("encoder",), "base_frame", "optical_pose"),
            parameter_file("encoder"),
            *common(),
        ],
        start,
    )
