# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# ROS 2 Jazzy with sicm_ros, by the steps in docs/installation.md. It has not been built yet.
#   docker build -t sicm_ros . && docker run --rm --network host -v ~/bags:/bags sicm_ros \
#     ros2 launch sicm_ros pipeline.launch.py bag:=/bags/drive.mcap
FROM ros:jazzy
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws
COPY . src/sicm_ros

# rviz2 is for people with a screen.
RUN apt-get update && apt-get install -y python3-venv && rosdep update && \
    rosdep install --from-paths src --ignore-src --skip-keys rviz2 -y && \
    rm -rf /var/lib/apt/lists/*

# What Ubuntu has no packages of; on ARM onnxruntime in place of openvino. A newer NumPy or OpenCV would not fit ROS.
ENV PIP_CONSTRAINT=/ws/src/sicm_ros/without_ros/constraints.txt
RUN python3 -m venv --system-site-packages env && touch env/COLCON_IGNORE && source env/bin/activate && \
    pip install --no-cache-dir openvino constriction safetensors rosbags backports-zstd

RUN source /opt/ros/jazzy/setup.bash && source env/bin/activate && colcon build

ENTRYPOINT ["/bin/bash", "-c", "source /ws/env/bin/activate && source /ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "sicm_ros", "pipeline.launch.py"]
