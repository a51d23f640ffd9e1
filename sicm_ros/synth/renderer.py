# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Rendering a scene into a stereo pair, its depth and its objects' identities: panda3d without a display.

panda3d is used as a thin layer over OpenGL: one mesh, one texture array, a few shaders, our own matrices. On a machine
without a GPU Mesa's llvmpipe draws.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sicm_ros.errors import DependencyError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.synth.mesh import SURFACE, Mesh, Surface

# A program each: what is opaque, what mirrors, what has holes, the sky. Drawn in this order.
GROUPS = ("MATT", "GLOSS", "LEAF", "SKY")
_GROUP_OF_SURFACE = np.zeros(len(Surface), np.int64)
_GROUP_OF_SURFACE[[Surface.PAINT, Surface.GLASS, Surface.LAMP]] = 1
_GROUP_OF_SURFACE[[Surface.LEAF, Surface.CUTOUT]] = 2
_GROUP_OF_SURFACE[Surface.SKY] = 3

NEAR, FAR = 0.3, 900.0  # metres
SHADOW_SIZE = 1024
DEPTH_STEP = 2.0**-14  # metres: the 24 bits of depth reach 1,024 m; the shader knows it too


@dataclass(frozen=True)
class Pose:
    """The left camera in the world: position (x forward, y left, z up, metres); yaw, pitch (nose up), roll, radians."""

    position: tuple[float, float, float] = (0.0, 0.0, 1.65)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def rotation(self) -> np.ndarray:
        """Return (3, 3): takes directions of the world into the optical frame (x right, y down, z forward)."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        forward = np.array([cy * cp, sy * cp, sp])
        left = np.array([-sy, cy, 0.0])
        up = np.cross(forward, left)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        left, up = cr * left + sr * up, -sr * left + cr * up
        return np.stack([-left, -up, forward])

    def to_optical(self, points: np.ndarray) -> np.ndarray:
        """Map (..., 3) points of the world to the left camera's optical frame."""
        return (np.asarray(points) - np.asarray(self.position)) @ self.rotation().T


@dataclass(frozen=True)
class Light:
    """Sun, sky, air and exposure of an image; colours are linear light.

    `azimuth` counts from x (forward) to y (left), `elevation` from the horizon, radians. `haze` is the extinction, 1/m.
    `overcast` from 0 to 1 turns clouds into a closed sheet.
    """

    azimuth: float = 1.0
    elevation: float = 0.8
    sun: tuple[float, float, float] = (2.6, 2.4, 2.1)
    zenith: tuple[float, float, float] = (0.28, 0.5, 0.95)
    horizon: tuple[float, float, float] = (0.85, 0.95, 1.05)
    ground: tuple[float, float, float] = (0.16, 0.155, 0.145)
    ambient: float = 0.5
    haze: float = 0.0006
    overcast: float = 0.0
    exposure: float = 1.0
    skyline: float = 0.25
    seed: float = 0.0

    def direction(self) -> np.ndarray:
        """Return unit vector towards the sun."""
        return np.array(
            [
                np.cos(self.elevation) * np.cos(self.azimuth),
                np.cos(self.elevation) * np.sin(self.azimuth),
                np.sin(self.elevation),
            ]
        )


@dataclass(frozen=True)
class Rendering:
    """What the renderer saw.

    Attributes:
        left, right: uint8 (H, W, 4), RGB and coverage.
        depth: float32 (2, H, W), left and right, distance along the optical axis, metres; 0 where there is only sky.
        identity: uint8 (2, H, W), the vertex column of that name; 0 where nothing is.
    """

    left: np.ndarray
    right: np.ndarray
    depth: np.ndarray
    identity: np.ndarray


def _eye_matrix(calibration: StereoCalibration, pose: Pose, shift: float, skew=(0.0, 0.0)) -> np.ndarray:
    """Return (4, 4) from the world to clip space for a camera `shift` metres right of the left one;
    rows of memory run down.

    `skew` moves the image by pixels (x, y): the small errors of a real rig's rectification.
    """
    k = calibration
    projection = np.zeros((4, 4))
    projection[0, 0] = 2 * k.fx / k.width
    projection[0, 2] = 2 * (k.cx + 0.5 + skew[0]) / k.width - 1
    projection[1, 1] = 2 * k.fy / k.height
    projection[1, 2] = 2 * (k.cy + 0.5 + skew[1]) / k.height - 1
    projection[2, 2] = (FAR + NEAR) / (FAR - NEAR)
    projection[2, 3] = -2 * FAR * NEAR / (FAR - NEAR)
    projection[3, 2] = 1
    view = np.eye(4)
    view[:3, :3] = pose.rotation()
    view[:3, 3] = -view[:3, :3] @ np.asarray(pose.position)
    view[0, 3] -= shift
    return projection @ view


def _shadow_matrix(light: Light, pose: Pose, reach: float) -> np.ndarray:
    """Return (4, 4) from the world to the clip space of the sun: an orthographic view of the ground
    before the camera.
    """
    towards = light.direction()
    side = np.cross([0, 0, 1.0], towards)
    side /= np.linalg.norm(side)
    up = np.cross(towards, side)
    forward = np.array([np.cos(pose.yaw), np.sin(pose.yaw), 0.0])
    centre = np.array([pose.position[0], pose.position[1], 0.0]) + forward * reach * 0.82
    axes = np.stack([side / reach, up / reach, -towards / 120.0])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ centre
    return matrix


@dataclass
class Renderer:
    """Draws meshes; one per process, for one image size and one texture array.

    Args:
        width, height: of an image, pixels.
        skins: uint8 (layers, S, S, 4) RGBA textures.

    Raises:
        DependencyError: panda3d is missing or finds no OpenGL.
    """

    width: int
    height: int
    skins: np.ndarray
    shadow_reach: float = 34.0  # metres each way from its centre
    _passes: dict = field(default_factory=dict, init=False, repr=False)
    _buffers: list = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        os.environ.setdefault("LP_NUM_THREADS", "1")  # parallelism is between frames, not within one
        try:
            from panda3d import core
        except ImportError as error:
            raise DependencyError(f"panda3d is missing ({error}): pip install 'sicm-ros[synth]'") from None
        self.core = core
        core.load_prc_file_data(
            "",
            "load-display p3headlessgl\naux-display p3headlessgl\naudio-library-name null\ntextures-power-2 none\n"
            "notify-level error\nnotify-level-display fatal\nnotify-level-device fatal\nnotify-level-glgsg error\n"
            "gl-check-errors false\n",
        )
        self._engine = core.GraphicsEngine.get_global_ptr()
        self._pipe = core.GraphicsPipeSelection.get_global_ptr().make_module_pipe("p3headlessgl")
        if self._pipe is None:
            raise DependencyError("no headless OpenGL: install libegl1 and libgl1-mesa-dri (Debian, Ubuntu)")
        self._root = core.NodePath("world")
        self._host = self._buffer("host", 16, 16, core.FrameBufferProperties(core.FrameBufferProperties.get_default()))
        if self._host is None:
            raise DependencyError("OpenGL does not start: install libegl1 and libgl1-mesa-dri (Debian, Ubuntu)")
        self._make_geometry()
        skins, programs = self._upload(self.skins), self._programs
        shadow = self._make_shadow_pass(skins, programs("depth"))
        self._make_colour_pass(skins, shadow, programs("colour"))

    def _buffer(self, name, width, height, properties, host=None):
        core = self.core
        arguments = [self._pipe, name, 0, properties, core.WindowProperties.size(width, height)]
        arguments += [core.GraphicsPipe.BF_refuse_window]
        if host is not None:
            arguments += [host.get_gsg(), host]
        buffer = self._engine.make_output(*arguments)
        if host is not None:
            buffer.set_active(False)  # the engine is shared: each renderer wakes its own buffers
            self._buffers.append(buffer)
        return buffer

    def _make_geometry(self) -> None:
        core = self.core
        columns = core.GeomVertexArrayFormat()
        for name, count, contents in (
            ("vertex", 3, core.Geom.C_point),
            ("normal", 3, core.Geom.C_normal),
            ("texcoord", 2, core.Geom.C_texcoord),
            ("tint", 4, core.Geom.C_other),
            ("material", 4, core.Geom.C_other),
        ):
            columns.add_column(name, count, core.Geom.NT_float32, contents)
        vertex_format = core.GeomVertexFormat()
        vertex_format.add_array(columns)
        self._format = core.GeomVertexFormat.register_format(vertex_format)
        index_column = core.GeomVertexArrayFormat("index", 1, core.Geom.NT_uint32, core.Geom.C_index)
        self._index_format = core.GeomVertexArrayFormat.register_format(index_column)
        self._nodes = {}
        for order, group in enumerate(GROUPS):
            node = core.GeomNode(group)
            node.set_bounds(core.OmniBoundingVolume())
            node.set_final(True)
            path = self._root.attach_new_node(node)
            path.set_two_sided(True)
            path.set_tag("group", group)
            path.set_bin("fixed", order)
            self._nodes[group] = node

    @staticmethod
    def _programs(name: str) -> dict:
        """Return the shader of that name for each group of surfaces."""
        from panda3d import core

        folder = Path(__file__).parent / "shaders"
        vertex = (folder / "scene.vert").read_text()
        version, body = (folder / f"{name}.frag").read_text().split("\n", 1)
        return {
            group: core.Shader.make(core.Shader.SL_GLSL, vertex, f"{version}\n#define GROUP_{group}\n{body}")
            for group in GROUPS
        }

    def _upload(self, images: np.ndarray):
        core = self.core
        layers, size = images.shape[:2]
        skins = core.Texture("skins")
        skins.setup_2d_texture_array(size, size, layers, core.Texture.T_unsigned_byte, core.Texture.F_rgba8)
        skins.set_ram_image(np.ascontiguousarray(images[..., [2, 1, 0, 3]]).tobytes())
        skins.set_minfilter(core.SamplerState.FT_linear_mipmap_linear)
        skins.set_wrap_u(core.SamplerState.WM_repeat)
        skins.set_wrap_v(core.SamplerState.WM_repeat)
        return skins

    def _make_shadow_pass(self, skins, programs: dict):
        """Render the sun's view; return its depth texture."""
        core = self.core
        properties = core.FrameBufferProperties()
        properties.set_depth_bits(24)
        shadow = core.Texture("shadow")
        shadow.set_format(core.Texture.F_depth_component)
        shadow.set_minfilter(core.SamplerState.FT_shadow)
        shadow.set_magfilter(core.SamplerState.FT_shadow)
        shadow.set_wrap_u(core.SamplerState.WM_border_color)
        shadow.set_wrap_v(core.SamplerState.WM_border_color)
        shadow.set_border_color((1, 1, 1, 1))
        buffer = self._buffer("shadow", SHADOW_SIZE, SHADOW_SIZE, properties, self._host)
        buffer.set_sort(-10)  # before the cameras' views
        buffer.add_render_texture(shadow, core.GraphicsOutput.RTM_bind_or_copy, core.GraphicsOutput.RTP_depth)
        buffer.set_clear_depth_active(True)
        self._passes["shadow"] = [self._camera(buffer, (0, 1), programs, {"skins": skins})]
        return shadow

    def _make_colour_pass(self, skins, shadow, programs: dict) -> None:
        """Set up both cameras' views side by side, in colour, and in depth and identity."""
        core = self.core
        properties = core.FrameBufferProperties()
        properties.set_rgba_bits(8, 8, 8, 8)
        properties.set_aux_rgba(1)  # depth in 24 bits, identity in 8
        properties.set_depth_bits(24)
        self._colour, self._truth = core.Texture("colour"), core.Texture("truth")
        buffer = self._buffer("colour", 2 * self.width, self.height, properties, self._host)
        buffer.set_sort(0)
        for texture, plane in (
            (self._colour, core.GraphicsOutput.RTP_color),
            (self._truth, core.GraphicsOutput.RTP_aux_rgba_0),
        ):
            buffer.add_render_texture(texture, core.GraphicsOutput.RTM_copy_ram, plane)
            buffer.set_clear_active(plane, True)
            buffer.set_clear_value(plane, (0, 0, 0, 0))
        inputs = {"skins": skins, "shadow": shadow}
        self._passes["colour"] = [self._camera(buffer, region, programs, inputs) for region in ((0, 0.5), (0.5, 1))]

    def _camera(self, buffer, region, programs, inputs):
        core = self.core
        node = core.Camera("eye")
        node.set_cull_bounds(core.OmniBoundingVolume())
        node.set_scene(self._root)
        node.set_tag_state_key("group")
        display = buffer.make_display_region(region[0], region[1], 0, 1)
        display.set_camera(self._root.attach_new_node(node))
        for group, program in programs.items():
            state = core.NodePath("state")
            state.set_shader(program)
            node.set_tag_state(group, state.get_state())
        state = core.NodePath("state")
        for name, value in inputs.items():
            state.set_shader_input(name, value)
        return node, state

    def _set(self, name: str, index: int, **values) -> None:
        core = self.core
        node, state = self._passes[name][index]
        for key, value in values.items():
            if isinstance(value, np.ndarray) and value.shape == (4, 4):
                value = core.LMatrix4f(*value.T.ravel())  # panda3d's matrices act on row vectors
            elif isinstance(value, tuple | list | np.ndarray):
                value = core.LVecBase4f(*value) if len(value) == 4 else core.LVecBase3f(*value)
            state.set_shader_input(key, value)
        node.set_initial_state(state.get_state())

    def load(self, mesh: Mesh, eye=(0.0, 0.0, 1.65)) -> None:
        """Take the mesh to draw; triangles are sorted from `eye` outwards, so that what is hidden costs little."""
        core = self.core
        vertices = np.ascontiguousarray(mesh.vertices, np.float32)
        data = core.GeomVertexData("scene", self._format, core.Geom.UH_static)
        data.unclean_set_num_rows(len(vertices))
        data.modify_array_handle(0).copy_data_from(vertices)
        squared = ((vertices[:, :3] - np.asarray(eye, np.float32)) ** 2).sum(1)
        near_first = np.argsort(squared[mesh.triangles[:, 0]], kind="stable")
        triangles = mesh.triangles[near_first]
        group = _GROUP_OF_SURFACE[vertices[triangles[:, 0], SURFACE].astype(np.int64)]
        for number, node in enumerate(self._nodes.values()):
            index = np.ascontiguousarray(triangles[group == number], np.uint32)
            node.remove_all_geoms()
            if not len(index):
                continue
            array = core.GeomVertexArrayData(self._index_format, core.Geom.UH_static)
            array.unclean_set_num_rows(index.size)
            array.modify_handle().copy_data_from(index)
            primitive = core.GeomTriangles(core.Geom.UH_static)
            primitive.set_vertices(array, index.size)
            geometry = core.Geom(data)
            geometry.add_primitive(primitive)
            node.add_geom(geometry)

    def render(self, calibration: StereoCalibration, pose: Pose, light: Light, right_skew=(0.0, 0.0)) -> Rendering:
        """Draw the loaded mesh.

        `right_skew` moves the right image by so many pixels (x, y), as a rig that was not rectified perfectly does.
        """
        shadow = _shadow_matrix(light, pose, self.shadow_reach)
        self._set("shadow", 0, eye_matrix=shadow)
        sky = {
            "sun_direction": light.direction(),
            "sun_colour": light.sun,
            "zenith": light.zenith,
            "horizon": light.horizon,
            "ground_colour": light.ground,
            "air": (light.haze, light.overcast, light.ambient, light.skyline),
            "exposure": light.exposure,
            "sky_seed": (light.seed, light.seed * 0.37 % 1, light.seed * 0.71 % 1),
            "shadow_matrix": shadow,
        }
        right = pose.rotation()[0]
        right_skew = (right_skew[0] + calibration.disparity_offset, right_skew[1])
        for index, (shift, skew) in enumerate(((0.0, (0.0, 0.0)), (calibration.baseline, right_skew))):
            matrix = _eye_matrix(calibration, pose, shift, skew)
            eye = np.asarray(pose.position) + shift * right
            self._set("colour", index, eye_matrix=matrix, eye=eye, **sky)
        for buffer in self._buffers:
            buffer.set_active(True)
        self._engine.render_frame()
        for buffer in self._buffers:
            buffer.set_active(False)
        colour = np.frombuffer(self._colour.get_ram_image(), np.uint8).reshape(self.height, 2 * self.width, 4)
        colour = colour[:, :, [2, 1, 0, 3]]
        truth = np.frombuffer(self._truth.get_ram_image(), np.uint8).reshape(self.height, 2, self.width, 4)
        truth = truth.transpose(1, 0, 2, 3)  # blue, green, red, alpha: depth from its lowest byte up, then identity
        steps = truth[..., 0] + (truth[..., 1].astype(np.uint32) << 8) + (truth[..., 2].astype(np.uint32) << 16)
        depth = (steps * np.float32(DEPTH_STEP)).astype(np.float32)
        return Rendering(colour[:, : self.width], colour[:, self.width :], depth, truth[..., 3].copy())
