# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Triangle meshes as two arrays, and the few solids from which everything in the rendered world is built.

A vertex is one row of 16 floats, so that a whole scene is one array, one upload and one draw call:

    0:3 position   3:6 normal   6:8 uv   8:12 tint (linear-light RGB, and how strongly the vertex sees the open sky)
    12 skin (layer of the texture array)   13 surface (see `Surface`)   14 gloss, 0 to 1   15 identity of the object

The frame is ROS's: x forward, y left, z up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

FLOATS = 16
POSITION, NORMAL, UV, TINT = slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 12)
SKIN, SURFACE, GLOSS, IDENTITY = 12, 13, 14, 15


class Surface(IntEnum):
    """How light meets a surface; the shader's branches."""

    MATT = 0  # diffuse; the skin's alpha says how much of the tint is taken
    PAINT = 1  # diffuse under a clear coat that mirrors the surroundings
    GLASS = 2  # dark, mirrors the surroundings
    LEAF = 3  # cut out by the skin's alpha, light shines through
    SKY = 4
    LAMP = 5  # a clear cover over a bright reflector
    CUTOUT = 6  # matt, cut out by the skin's alpha


@dataclass(frozen=True)
class Mesh:
    """vertices: float32 (N, 16), see above; triangles: int32 (M, 3), indices of vertices."""

    vertices: np.ndarray
    triangles: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        return self.vertices[:, POSITION]

    def placed(self, position, yaw: float = 0.0, identity: int | None = None) -> Mesh:
        """Return the mesh turned by `yaw` about z, then moved to `position`."""
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)  # for row vectors
        vertices = self.vertices.copy()
        vertices[:, POSITION] = self.vertices[:, POSITION] @ turn + np.asarray(position, np.float32)
        vertices[:, NORMAL] = self.vertices[:, NORMAL] @ turn
        if identity is not None:
            vertices[:, IDENTITY] = identity
        return Mesh(vertices, self.triangles)

    def transformed(self, matrix, offset=(0, 0, 0)) -> Mesh:
        """Transform the mesh, x -> matrix x + offset; normals follow."""
        matrix = np.asarray(matrix, np.float64)
        vertices = self.vertices.copy()
        vertices[:, POSITION] = self.vertices[:, POSITION] @ matrix.T + np.asarray(offset)
        normals = self.vertices[:, NORMAL] @ np.linalg.inv(matrix)
        vertices[:, NORMAL] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        return Mesh(vertices, self.triangles)

    def dyed(
        self, tint=None, *, skin: int | None = None, surface: int | None = None, gloss: float | None = None
    ) -> Mesh:
        """Return the mesh with another tint, skin, surface or gloss."""
        vertices = self.vertices.copy()
        if tint is not None:
            vertices[:, 8 : 8 + len(tint)] = tint
        for column, value in ((SKIN, skin), (SURFACE, surface), (GLOSS, gloss)):
            if value is not None:
                vertices[:, column] = value
        return Mesh(vertices, self.triangles)


def merge(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of many."""
    if not meshes:
        return Mesh(np.zeros((0, FLOATS), np.float32), np.zeros((0, 3), np.int32))
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]).astype(np.int32),
    )


def build(
    positions, normals, uv, triangles, tint=(1, 1, 1, 1), skin: int = 0, surface: int = Surface.MATT, gloss: float = 0.0
) -> Mesh:
    """Return a mesh from its parts; tint may be one row or one per vertex."""
    positions = np.asarray(positions, np.float32).reshape(-1, 3)
    vertices = np.zeros((len(positions), FLOATS), np.float32)
    vertices[:, POSITION] = positions
    vertices[:, NORMAL] = np.asarray(normals, np.float32).reshape(-1, 3)
    vertices[:, UV] = np.asarray(uv, np.float32).reshape(-1, 2)
    tint = np.asarray(tint, np.float32)
    vertices[:, 8 : 8 + tint.shape[-1]] = tint
    if tint.shape[-1] == 3:
        vertices[:, 11] = 1
    vertices[:, SKIN], vertices[:, SURFACE], vertices[:, GLOSS] = skin, surface, gloss
    return Mesh(vertices, np.asarray(triangles, np.int32).reshape(-1, 3))


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (..., 3) x (..., 3): as numpy.cross, without its overhead on small arrays."""
    (ax, ay, az), (bx, by, bz) = (a[..., 0], a[..., 1], a[..., 2]), (b[..., 0], b[..., 1], b[..., 2])
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


@cache
def grid_triangles(rows: int, columns: int, closed: bool = False) -> np.ndarray:
    """Return two triangles per cell of a rows x columns grid of vertices; `closed` joins the last
    column to the first.
    """
    index = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def grid_normals(points: np.ndarray) -> np.ndarray:
    """Return smooth normals of a (rows, columns, 3) grid of points: along rows x along columns."""
    normals = cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)


_QUAD = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def quad(corner, along, up, uv_size=(1.0, 1.0), normal=None, **material) -> Mesh:
    """Return a parallelogram from a corner and two edges."""
    (x, y, z), (a, b, c), (d, e, f) = corner, along, up
    if normal is None:
        normal = (b * f - c * e, c * d - a * f, a * e - b * d)
        length = (normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) ** 0.5 or 1.0
        normal = (normal[0] / length, normal[1] / length, normal[2] / length)
    points = ((x, y, z), (x + a, y + b, z + c), (x + a + d, y + b + e, z + c + f), (x + d, y + e, z + f))
    u, v = uv_size
    return build(points, (normal,) * 4, ((0, v), (u, v), (u, 0), (0, 0)), _QUAD, **material)


# A unit cube about the origin: corners, normals, and which two of x, y, z run along u and v.
_FACES = [
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
]
_CUBE = np.array(
    [
        [
            np.array(n) / 2 + su * np.array(u) / 2 + sv * np.array(v) / 2
            for su, sv in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        for n, u, v in _FACES
    ]
).reshape(-1, 3)
_CUBE_NORMALS = np.repeat(np.array([n for n, _, _ in _FACES], np.float64), 4, 0)
_CUBE_UV = np.tile([[0.0, 1], [1, 1], [1, 0], [0, 0]], (6, 1))
_CUBE_AXES = np.repeat([[np.abs(u).argmax(), np.abs(v).argmax()] for _, u, v in _FACES], 4, 0)
_CUBE_TRIANGLES = (4 * np.arange(6)[:, None, None] + _QUAD).reshape(-1, 3).astype(np.int32)


def box(size, centre=(0, 0, 0), uv_scale: float = 1.0, **material) -> Mesh:
    """Return an axis-aligned box; its faces' uv are metres times uv_scale."""
    size = np.asarray(size, np.float64)
    return build(
        _CUBE * size + np.asarray(centre),
        _CUBE_NORMALS,
        _CUBE_UV * size[_CUBE_AXES] * uv_scale,
        _CUBE_TRIANGLES,
        **material,
    )


def tube(points, radii, sides: int = 8, uv_scale=(1.0, 1.0), ends: bool = True, **material) -> Mesh:
    """Return a round tube along a polyline (P, 3) with a radius per point, closed by flat ends unless told not to."""
    points = np.asarray(points, np.float64)
    radii = np.broadcast_to(np.asarray(radii, np.float64), (len(points),))
    direction = np.gradient(points, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(direction[:, 2:]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    a = cross(helper, direction)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = cross(direction, a)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    normal = a[:, None] * np.cos(angle)[:, None] + b[:, None] * np.sin(angle)[:, None]
    ring = points[:, None] + radii[:, None, None] * normal
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    u, v = np.meshgrid(angle / (2 * np.pi) * uv_scale[0], length * uv_scale[1])
    parts = [build(ring, normal, np.stack([u, v], -1), grid_triangles(len(points), sides + 1), **material)]
    for end, sign in ((0, -1), (-1, 1)):
        if ends and radii[end] > 1e-6:
            fan = [[0, i, i + 1] for i in range(1, sides + 1)]
            disc = np.concatenate([points[None, end], ring[end]])
            parts.append(build(disc, np.tile(sign * direction[end], (len(disc), 1)), disc[:, :2], fan, **material))
    return merge(parts)


def ellipsoid(centre, radii, rings: int = 8, sides: int = 12, **material) -> Mesh:
    """Return a smooth ellipsoid."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, sides + 1), indexing="ij")
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    normals = unit / np.asarray(radii)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    uv = np.stack([phi / (2 * np.pi), theta / np.pi], -1)
    return build(unit * radii + np.asarray(centre), normals, uv, grid_triangles(rings, sides + 1), **material)
