# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What computes the network's two sides: OpenVINO, ONNX Runtime, or PyTorch.

    model folder -> graphs: ONNX without weights, made once by `sicm export` -> openvino, onnxruntime
                 -> the network itself -> pytorch, which also trains

`choice` takes one of them and `check` holds it against PyTorch's float32 before it is used. All compute what differs by
rounding alone, and packets hold integers: what one wrote, any other reads. Only `pytorch` and `export` import PyTorch.
"""

from sicm_ros.engines.base import ENGINES, NUMBER_TYPES, SIDES, Clock, Engine

__all__ = ["ENGINES", "NUMBER_TYPES", "SIDES", "Clock", "Engine"]
