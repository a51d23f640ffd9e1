# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Bodies as triangle meshes over a small skeleton, posed by linear blend skinning.

The frame is ROS's: x forward, y left, z up, metres; a body stands on z = 0 with its arms half lowered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from safetensors.numpy import load

# Joint -> the one that carries it; parents come first.
JOINTS = {
    "root": None,
    "spine": "root",
    "chest": "spine",
    "neck": "chest",
    "head": "neck",
    **{
        f"{part}.{side}": parent if parent in ("root", "chest") else f"{parent}.{side}"
        for side in "LR"
        for part, parent in (
            ("arm", "chest"),
            ("forearm", "arm"),
            ("hand", "forearm"),
            ("thigh", "root"),
            ("shin", "thigh"),
            ("foot", "shin"),
        )
    },
}
NAMES = tuple(JOINTS)


@dataclass(frozen=True)
class Body:
    """One body in its rest pose.

    Attributes:
        vertices: float32 (V, 3).
        triangles: int32 (T, 3).
        weights: float32 (V, J), how far each vertex follows each joint of NAMES; rows sum to 1.
        joints: float32 (J, 3), where the joints lie.
        child: whether it is a child's.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    joints: np.ndarray
    child: bool = False

    def joint(self, name: str) -> np.ndarray:
        return self.joints[NAMES.index(name)]

    @property
    def region(self) -> np.ndarray:
        """int (V,): the joint that each vertex follows most."""
        return self.weights.argmax(1)

    def scaled(self, height: float) -> Body:
        """Return the body grown to a height, metres."""
        scale = np.float32(height / np.ptp(self.vertices[:, 2]))
        return Body(self.vertices * scale, self.triangles, self.weights, self.joints * scale, self.child)

    def posed(self, turns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return vertices float32 (V, 3) and joints in a pose.

        `turns` has a rotation matrix (3, 3) for each joint that turns: what hangs on it turns about it, in the axes of
        the rest pose, before the joints that carry it turn in their turn.
        """
        matrices = np.zeros((len(NAMES), 3, 4), np.float32)
        places = {}
        for i, (name, parent) in enumerate(JOINTS.items()):
            turn = np.asarray(turns.get(name, np.eye(3)))
            own = np.concatenate([turn, (self.joints[i] - turn @ self.joints[i])[:, None]], 1)
            if parent is None:
                matrices[i] = own
            else:
                up = matrices[NAMES.index(parent)]
                matrices[i, :, :3] = up[:, :3] @ own[:, :3]
                matrices[i, :, 3] = up[:, :3] @ own[:, 3] + up[:, 3]
            places[name] = matrices[i, :, :3] @ self.joints[i] + matrices[i, :, 3]
        blended = np.einsum("vj,jab->vab", self.weights, matrices)
        vertices = np.einsum("vab,vb->va", blended[..., :3], self.vertices) + blended[..., 3]
        return vertices.astype(np.float32), places


@cache
def bodies() -> tuple[Body, ...]:
    """Return every body that the package has."""
    data = load(resources.files("sicm_ros.synth.bodies").joinpath("bodies.safetensors").read_bytes())
    triangles, weights = data["triangles"].astype(np.int32), data["weights"].astype(np.float32)
    weights = weights / weights.sum(1, keepdims=True)
    return tuple(
        Body(vertices.astype(np.float32), triangles, weights, joints.astype(np.float32), bool(child))
        for vertices, joints, child in zip(data["vertices"], data["joints"], data["child"], strict=True)
    )


def turned(axis: str, angle: float) -> np.ndarray:
    """Return rotation (3, 3) about x (ahead), y (left) or z (up): right-handed, so about y what hangs
    down swings back.
    """
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    turn = np.eye(3)
    turn[j, j] = turn[k, k] = np.cos(angle)
    turn[k, j], turn[j, k] = np.sin(angle), -np.sin(angle)
    return turn
