# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The remote side: features in, 3D detections out."""

from launch import Action, LaunchDescription

from sicm_ros.nodes.launching import Argument, Request, common, description, of_nodes, parameter_file, viewer


def start(request: Request) -> list[Action]:
    decoder = request.node("decoder", {"features": request["features"]})
    vehicle = request.settled("decoder")["vehicles"][0]
    return [decoder, *request.rviz(vehicle, request["image"], bool(request["use_sim_time"]))]


def generate_launch_description() -> LaunchDescription:
    return description(
        [
            Argument("features", "Topic of the feature messages; link/features after an emulated link.", "features"),
            *of_nodes(("decoder",), "model", "device", "vehicles", "min_score", "target_frame", "publish_tf"),
            parameter_file("decoder"),
            *viewer(),
            Argument("image", "Left images that RViz shows, if they arrive here at all.", "left/image_rect_color"),
            *common(),
        ],
        start,
    )
