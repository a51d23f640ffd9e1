# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A model as users meet it: `load` a folder, `encode` a pair to a packet, `decode` a packet to detections.

`folder` reads and writes model folders, `base` codes pairs with whatever network, `codec` adds features and boxes.
"""

from sicm_ros.model.codec import Model, Result, load
from sicm_ros.model.folder import create, export, load_weights, save_model

__all__ = ["Model", "Result", "create", "export", "load", "load_weights", "save_model"]
