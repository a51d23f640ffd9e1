# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Every texture of the rendered world, made from noise and a few strokes: one array of equally large RGBA layers.

Colours are display values; the shader squares them to get light. Alpha of an opaque skin says how much of the vertex'
tint it takes (0 for window panes in a wall, 1 for the wall itself); alpha of a cut-out skin is its cover.
Stereo matching lives on fine detail, so every skin carries noise down to its texels.
"""

from __future__ import annotations

from enum import IntEnum, auto
from functools import cache

import cv2
import numpy as np

SIZE = 512
FACADES = 8
LEAVES = 4
RIMS = 4


class Skin(IntEnum):
    """Layers of the texture array; the shaders know the first two by number."""

    NOISE = 0
    CLOUDS = auto()
    PLAIN = auto()
    ASPHALT = auto()
    OLD_ASPHALT = auto()
    PAVEMENT = auto()
    COBBLES = auto()
    GRASS = auto()
    GRAVEL = auto()
    FIELD = auto()
    BARK = auto()
    ROOF = auto()
    CONCRETE = auto()
    PLANKS = auto()
    MESH_FENCE = auto()
    TUFT = auto()
    FOREST = auto()
    BODY = auto()
    GRILLE = auto()
    HEADLAMP = auto()
    TAILLAMP = auto()
    PLATE = auto()
    PANE = auto()
    TYRE = auto()
    CLOTH = auto()
    FACE = auto()
    CARGO = auto()
    TRAM = auto()
    SIGNS = auto()
    MARKING = auto()
    CRACKS = auto()
    LEAF = auto()  # LEAVES of them
    FACADE = LEAF + LEAVES  # type: ignore[operator]  # a number by now; FACADES of them
    RIM = FACADE + FACADES  # RIMS of them


LAYERS = Skin.RIM + RIMS


def fractal(
    rng: np.random.Generator, slope: float, size: int = SIZE, stretch: float = 1.0, low: float = 1.0
) -> np.ndarray:
    """Return tileable noise (size, size) with power falling as frequency^-slope, mean 0, deviation 1;
    `low` cuts off below.
    """
    fy = np.fft.fftfreq(size)[:, None] * size * stretch
    fx = np.fft.rfftfreq(size)[None] * size
    frequency = np.hypot(fx, fy)
    amplitude = np.where(frequency < low, 0, np.maximum(frequency, 1e-6) ** (-slope / 2))
    phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
    field = np.fft.irfft2(amplitude * np.exp(1j * phase), (size, size))
    return (field - field.mean()) / field.std()


def _skin(grey: np.ndarray, colour=(1.0, 1.0, 1.0), alpha: np.ndarray | float = 1.0) -> np.ndarray:
    rgba = np.empty((*grey.shape[:2], 4))
    rgba[..., :3] = grey[..., None] * np.asarray(colour) if grey.ndim == 2 else grey
    rgba[..., 3] = alpha
    return rgba


def _asphalt(rng, age: float) -> np.ndarray:
    grain = fractal(rng, 0.3, low=20)
    stains = fractal(rng, 2.6)
    grey = 0.40 + 0.05 * age + 0.055 * grain + 0.022 * stains
    grey += 0.12 * (rng.random(grey.shape) > 0.985) - 0.10 * (rng.random(grey.shape) > 0.985)
    skin = _skin(grey, (1.0, 0.99, 0.97))
    if age > 0.5:
        seams = np.zeros(grey.shape, np.uint8)
        for _ in range(7):
            walk = (
                np.cumsum(rng.normal(0, 7, (40, 2)), axis=0)
                + rng.uniform(0, SIZE, 2)
                + np.arange(40)[:, None] * rng.normal(0, 6, 2)
            )
            cv2.polylines(seams, [walk.astype(np.int32)], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
        skin[..., :3] *= 1 - 0.45 * (seams / 255.0)[..., None]
    return skin


def _slabs(rng, rows: int, columns: int, joint: int, stagger: bool) -> np.ndarray:
    grey = 0.55 + 0.05 * fractal(rng, 0.5, low=10) + 0.03 * fractal(rng, 2.4)
    h, w = SIZE // rows, SIZE // columns
    for row in range(rows):
        shift = w // 2 if stagger and row % 2 else 0
        for column in range(-1, columns + 1):
            x0, x1 = column * w + shift, (column + 1) * w + shift
            grey[row * h : (row + 1) * h, max(x0, 0) : max(min(x1, SIZE), 0)] += rng.normal(0, 0.035)
            if 0 <= x0 < SIZE:
                grey[row * h : (row + 1) * h, x0 : x0 + joint] *= 0.62
        grey[row * h : row * h + joint] *= 0.62
    return _skin(grey, (1.0, 0.98, 0.94))


def _grass(rng) -> np.ndarray:
    blades = fractal(rng, 0.7, stretch=0.45, low=6)
    patches = fractal(rng, 2.2)
    value = np.clip(0.42 + 0.12 * blades + 0.05 * patches, 0.05, 1)
    dry = np.clip(0.35 + 0.3 * fractal(rng, 1.8), 0, 1)[..., None]
    return _skin(value[..., None] * ((1 - dry) * [0.80, 0.95, 0.50] + dry * [1.10, 1.02, 0.68]))


def _leaves(rng, count: int, hue, spread: float, reach: float) -> np.ndarray:
    """Return a spray of leaves with gaps, opaque towards its middle."""
    image = np.zeros((SIZE, SIZE, 4))
    colour, alpha = np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.uint8)
    for i in range(count):
        radius = SIZE * 0.46 * np.sqrt(rng.random()) * reach
        angle = rng.uniform(0, 2 * np.pi)
        centre = SIZE / 2 + radius * np.array([np.cos(angle), np.sin(angle)])
        size = rng.uniform(6, 17) * (1.1 - 0.4 * radius / (SIZE / 2))
        shade = (0.45 + 0.75 * i / count) * rng.uniform(0.6, 1.3)
        tone = np.asarray(hue) * shade * (1 + spread * rng.normal(size=3))
        axes = (int(size), max(int(size * rng.uniform(0.25, 0.6)), 2))
        where = (int(centre[0]), int(centre[1]))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(colour, where, axes, turn, 0, 360, tone.tolist(), -1)
        cv2.ellipse(alpha, where, axes, turn, 0, 360, 255, -1)
    mean = colour[alpha > 0].mean(0)
    image[..., :3] = np.where(alpha[..., None] > 0, colour, mean) * (1 + 0.12 * fractal(rng, 0.4))[..., None]
    image[..., 3] = alpha / 255
    return image


def _forest(rng) -> np.ndarray:
    """Return a far wood, from its side: crowns with a ragged upper edge, dark below."""
    leaves = fractal(rng, 1.3, low=4)
    clumps = fractal(rng, 2.2, low=3)
    rows = np.linspace(1, 0, SIZE)[:, None]
    edge = 0.8 + 0.07 * fractal(rng, 2.0, low=2)[0] + 0.03 * fractal(rng, 1.0, low=10)[1]
    value = np.clip((0.16 + 0.2 * rows) * (1 + 0.45 * leaves + 0.4 * clumps), 0.02, 0.7)
    skin = _skin(value[..., None] * np.array([0.85, 1.0, 0.55]))
    trunk = (fractal(rng, 1.0, stretch=0.02, low=20) > 1.7) & (rows < 0.45)
    skin[..., :3] += trunk[..., None] * np.array([0.22, 0.2, 0.16]) * rng.random((1, SIZE, 1))
    skin[..., 3] = rows + 0.05 * leaves < edge
    return skin


def _facade(rng) -> np.ndarray:
    """Return two storeys of about 3 m and two or three bays of windows; alpha marks what takes the wall's colour."""
    plaster = (
        0.8
        + 0.025 * fractal(rng, 0.6, low=10)
        + 0.03 * fractal(rng, 2.2)
        - 0.04 * np.abs(fractal(rng, 1.8, stretch=0.2))
    )
    kind = rng.integers(3)
    if kind == 1:  # bricks
        for row in range(0, SIZE, 12):
            plaster[row : row + 2] *= 0.8
            for column in range((row // 12 % 2) * 14, SIZE, 28):
                plaster[row : row + 12, column : column + 2] *= 0.85
                plaster[row : row + 12, column : column + 28] *= rng.uniform(0.88, 1.08)
    image = _skin(plaster)
    bays = int(rng.integers(2, 4))
    wide, tall = SIZE // bays, SIZE // 2
    w, h = int(wide * rng.uniform(0.35, 0.62)), int(tall * rng.uniform(0.42, 0.6))
    frame = rng.choice([0.9, 0.35, 0.75], p=[0.6, 0.25, 0.15])
    shutters = rng.random() < 0.3
    for storey in range(2):
        for bay in range(bays):
            x, y = bay * wide + (wide - w) // 2, storey * tall + int(tall * 0.22)
            reveal = int(rng.integers(4, 10))
            image[y - reveal : y + h + reveal, x - reveal : x + w + reveal, :3] = frame * 0.95
            image[y - reveal : y + h + reveal, x - reveal : x + w + reveal, 3] = 0.2
            pane = (
                0.13
                + 0.1 * rng.random()
                + 0.25 * np.linspace(1, 0, h)[:, None] * rng.random()
                + 0.03 * fractal(rng, 1.5)[:h, :w]
            )
            if rng.random() < 0.35:  # curtains
                pane[:, : w // 4] = pane[:, -w // 4 :] = 0.6
            if rng.random() < 0.2:  # a blind half down
                pane[: h // 2] = 0.7 + 0.05 * (np.arange(h // 2) // 6 % 2)[:, None]
            image[y : y + h, x : x + w, :3] = np.clip(pane, 0, 1)[..., None] * [0.92, 0.98, 1.05]
            image[y : y + h, x : x + w, 3] = 0
            middle = x + w // 2
            image[y : y + h, middle - 3 : middle + 3, :3] = frame
            image[y + h // 3 : y + h // 3 + 5, x : x + w, :3] = frame
            image[y : y + 7, x : x + w, :3] *= 0.35
            image[y + h + reveal : y + h + reveal + 6, x - 12 : x + w + 12, :3] = 0.7
            if shutters:
                for side in (x - reveal - w // 2, x + w + reveal):
                    lo, hi = max(side, 0), min(side + w // 2, SIZE)
                    image[y : y + h, lo:hi, :3] = 0.35 + 0.08 * (np.arange(h) // 7 % 2)[:, None, None]
                    image[y : y + h, lo:hi, 3] = 0.6
        if kind == 2:  # a ledge between storeys
            image[storey * tall : storey * tall + 14, :, :3] *= 0.72
    return image


def _body(rng) -> np.ndarray:
    """Return the side of a car, front right, roof up: gaps of doors, handles, a sill, road dirt. Mostly its tint."""
    image = _skin(np.ones((SIZE, SIZE)) * 0.99 + 0.006 * fractal(rng, 0.8))
    dirt = np.linspace(0, 1, SIZE)[:, None] ** 6 * (0.6 + 0.12 * fractal(rng, 1.6))
    image[..., :3] *= (1 - 0.4 * np.clip(dirt, 0, 1))[..., None]
    return image


def _interior(rng) -> np.ndarray:
    """Return what is seen through a car's windows: darkness, seats, the far windows' light, a dashboard at the foot."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    grey = 0.10 + 0.04 * fractal(rng, 2.2)
    through = np.clip(0.3 + 0.25 * fractal(rng, 2.0), 0.05, 0.9)  # daylight from the other side
    grey = np.where((np.abs(y - 0.36) < 0.2) & (np.abs(x - 0.5) < 0.42), 0.55 * through, grey)
    for centre in (0.28, 0.72):
        seat = (((x - centre) / 0.13) ** 4 + ((y - 0.62) / 0.3) ** 4 < 1) | (
            ((x - centre) / 0.07) ** 2 + ((y - 0.27) / 0.11) ** 2 < 1
        )
        grey = np.where(seat, 0.09 + 0.02 * fractal(rng, 1.5), grey)
    grey = np.where(((x - 0.5) / 0.05) ** 2 + ((y - 0.12) / 0.05) ** 2 < 1, 0.05, grey)
    grey = np.where(y > 0.88, 0.2 + 0.05 * fractal(rng, 1.2), grey)
    grey = cv2.GaussianBlur(np.clip(grey, 0.02, 1), (0, 0), 4)
    return np.clip(grey + 0.01 * fractal(rng, 0.4), 0.01, 1)


def _rim(rng) -> np.ndarray:
    """Return a wheel seen along its axle: tyre, rim, spokes."""
    image = np.full((SIZE, SIZE, 3), 0.09)
    centre, full = (SIZE // 2, SIZE // 2), SIZE // 2 - 2
    bright = float(rng.uniform(0.55, 0.85))
    cv2.circle(image, centre, full, (0.1, 0.1, 0.1), -1, cv2.LINE_AA)
    cv2.circle(image, centre, int(full * 0.86), (0.14, 0.14, 0.14), 3, cv2.LINE_AA)
    cv2.circle(image, centre, int(full * 0.68), (bright,) * 3, -1, cv2.LINE_AA)
    cv2.circle(image, centre, int(full * 0.61), (0.07,) * 3, -1, cv2.LINE_AA)
    spokes = int(rng.choice([5, 6, 7, 8, 10, 12]))
    thick = int(full * rng.uniform(0.5, 0.9) / spokes * 1.3)
    for i in range(spokes):
        angle = 2 * np.pi * i / spokes
        tip = (int(SIZE / 2 + full * 0.63 * np.cos(angle)), int(SIZE / 2 + full * 0.63 * np.sin(angle)))
        cv2.line(image, centre, tip, (bright * 0.95,) * 3, max(thick, 6), cv2.LINE_AA)
    cv2.circle(image, centre, int(full * 0.17), (bright * 0.8,) * 3, -1, cv2.LINE_AA)
    cv2.circle(image, centre, int(full * 0.08), (0.3,) * 3, -1, cv2.LINE_AA)
    image *= (1 + 0.06 * fractal(rng, 0.8))[..., None]
    return _skin(image, alpha=0.0)


def _lamp(rng, rear: bool) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    if not rear:
        value = 0.45 + 0.2 * fractal(rng, 1.5)
        image = np.repeat(value[..., None], 3, -1)
        for cx in (0.3, 0.68):
            ring = np.hypot(x - cx, (y - 0.5) * 0.8)
            image[ring < 0.2] = 0.85
            image[ring < 0.15] = 0.35
            image[ring < 0.09] = 0.95
        image[(x < 0.06) | (x > 0.94) | (y < 0.08) | (y > 0.92)] = 0.12
        image[(x > 0.86) & (x < 0.94)] = [0.8, 0.5, 0.2]
        return _skin(np.clip(image, 0, 1), alpha=0.0)
    image = np.zeros((SIZE, SIZE, 3))
    image[:] = [0.55, 0.05, 0.05]
    image[(y > 0.45) & (y < 0.62)] = [0.75, 0.55, 0.4]
    image[y > 0.8] = [0.62, 0.08, 0.06]
    image *= (0.9 + 0.12 * np.sin(x * 90) * np.sin(y * 90))[..., None]
    image[(x < 0.05) | (x > 0.95) | (y < 0.04) | (y > 0.96)] = [0.12, 0.02, 0.02]
    return _skin(np.clip(image, 0, 1), alpha=0.0)


def _text(image, words, where, size, colour, thickness) -> None:
    cv2.putText(image, words, where, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)


def _plate(rng) -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), 0.9)
    image[:, :44] = [0.1, 0.2, 0.65]
    letters = "".join(rng.choice(list("ABEFHKLMNRSTUWXZ"), 3))
    small = np.full((120, SIZE, 3), 0.9)
    small[:, :44] = [0.1, 0.2, 0.65]
    _text(
        small, f"{letters[0]}{letters[1]} {letters[2]}{rng.integers(100, 999)}", (60, 95), 3.0, (0.05, 0.05, 0.05), 14
    )
    image = cv2.resize(small, (SIZE, SIZE))
    image[:16] = image[-16:] = 0.1
    return _skin(image, alpha=0.0)


def _signs(rng) -> np.ndarray:
    """Return an atlas of 4 x 4 boards: warning triangles, limits, no entry, give way, place names, advertising."""
    image = np.zeros((SIZE, SIZE, 4))
    cell = SIZE // 4
    for i in range(16):
        board = np.zeros((cell, cell, 3))
        mask = np.zeros((cell, cell), np.uint8)
        c = cell // 2
        kind = i % 8
        if kind in (0, 4):
            points = np.array([[c, 4], [cell - 4, cell - 12], [4, cell - 12]])
            if kind == 4:
                points[:, 1] = cell - points[:, 1]
            cv2.fillPoly(mask, [points], 255)
            board[:] = [0.75, 0.08, 0.08]
            inner = (points - points.mean(0)) * 0.66 + points.mean(0)
            cv2.fillPoly(board, [inner.astype(np.int32)], (0.92, 0.92, 0.92))
        elif kind in (1, 5):
            cv2.circle(mask, (c, c), c - 4, 255, -1)
            board[:] = [0.75, 0.06, 0.08]
            cv2.circle(board, (c, c), int(c * 0.7), (0.93, 0.93, 0.93), -1, cv2.LINE_AA)
            _text(board, str(rng.choice([30, 50, 60, 70])), (c - 36, c + 20), 1.8, (0.05, 0.05, 0.05), 7)
        elif kind == 2:
            cv2.circle(mask, (c, c), c - 4, 255, -1)
            board[:] = [0.75, 0.06, 0.08]
            board[c - 13 : c + 13, 22 : cell - 22] = 0.93
        elif kind == 3:
            mask[10 : cell - 10, 10 : cell - 10] = 255
            board[:] = [0.1, 0.25, 0.6]
            _text(board, "P", (c - 32, c + 36), 3.2, (0.93, 0.93, 0.93), 10)
        elif kind == 6:
            points = np.array([[c, 4], [cell - 4, c], [c, cell - 4], [4, c]])
            cv2.fillPoly(mask, [points], 255)
            board[:] = 0.93
            cv2.fillPoly(board, [((points - c) * 0.72 + c).astype(np.int32)], (0.9, 0.7, 0.08))
        else:
            mask[6 : cell - 6, 4 : cell - 4] = 255
            board[:] = rng.uniform(0.1, 0.9, 3)
            for _ in range(6):
                a, b = rng.integers(0, cell, 2), rng.integers(0, cell, 2)
                cv2.rectangle(board, a.tolist(), b.tolist(), rng.uniform(0.1, 0.95, 3).tolist(), -1)
            for row in range(3):
                _text(board, "".join(rng.choice(list("aeimnorstul"), 6)), (8, 40 + 32 * row), 0.9, (0.95,) * 3, 3)
        y, x = i // 4 * cell, i % 4 * cell
        image[y : y + cell, x : x + cell, :3] = board
        image[y : y + cell, x : x + cell, 3] = mask / 255
    image[..., :3] *= (1 + 0.03 * fractal(rng, 0.8))[..., None]
    return image


def _tram(rng) -> np.ndarray:
    image = _skin(np.full((SIZE, SIZE), 0.95) + 0.01 * fractal(rng, 1.0))
    top, bottom = int(SIZE * 0.16), int(SIZE * 0.56)
    for x in range(20, SIZE, 123):
        pane = 0.12 + 0.08 * rng.random() + 0.02 * fractal(rng, 1.6)[top:bottom, :100]
        image[top:bottom, x : x + 100, :3] = np.clip(pane, 0, 1)[..., None]
        image[top:bottom, x : x + 100, 3] = 0
    image[int(SIZE * 0.84) :, :, :3] *= 0.3
    image[int(SIZE * 0.66) : int(SIZE * 0.7), :, :3] *= 0.6
    return image


def _cargo(rng) -> np.ndarray:
    image = _skin(np.full((SIZE, SIZE), 0.92) + 0.012 * fractal(rng, 0.8) + 0.02 * fractal(rng, 2.4))
    image[..., :3] *= (1 - 0.06 * (np.arange(SIZE) % 32 < 3))[None, :, None]
    _text(image, "".join(rng.choice(list("ACEGIKLNORST"), 5)), (60, 290), 4.0, (0.15, 0.2, 0.55, 0.1), 22)
    image[int(SIZE * 0.62) : int(SIZE * 0.66), 60:450] = [0.6, 0.1, 0.1, 0.1]
    image[[*range(8), *range(SIZE - 8, SIZE)], :, :3] = 0.55
    return image


@cache
def skins() -> np.ndarray:
    """Return uint8 (LAYERS, SIZE, SIZE, 4), always the same."""
    rng = np.random.default_rng(20130901)
    layers = np.zeros((LAYERS, SIZE, SIZE, 4), np.uint8)

    def paint(layer: int, image: np.ndarray) -> None:
        layers[layer] = np.rint(np.clip(image, 0, 1) * 255)

    smooth, rough = 0.5 + 0.2 * fractal(rng, 2.0), 0.5 + 0.2 * fractal(rng, 1.2)
    paint(Skin.NOISE, np.stack([smooth, rough, rough, smooth], -1))
    paint(Skin.CLOUDS, _skin(0.5 + 0.2 * fractal(rng, 2.8)))
    paint(Skin.PLAIN, _skin(0.97 + 0.015 * fractal(rng, 0.6)))
    paint(Skin.ASPHALT, _asphalt(rng, 0.1))
    paint(Skin.OLD_ASPHALT, _asphalt(rng, 1.0))
    paint(Skin.PAVEMENT, _slabs(rng, 8, 8, 5, stagger=True))
    paint(Skin.COBBLES, _slabs(rng, 32, 24, 4, stagger=True))
    paint(Skin.GRASS, _grass(rng))
    paint(Skin.GRAVEL, _skin(0.5 + 0.09 * fractal(rng, 0.6, low=8) + 0.04 * fractal(rng, 2.2), (1.0, 0.92, 0.8)))
    paint(Skin.FIELD, _grass(rng))
    paint(Skin.BARK, _skin(np.clip(0.36 + 0.12 * fractal(rng, 0.9, stretch=0.15, low=4), 0.03, 1), (1.0, 0.9, 0.78)))
    tiles = 0.6 + 0.06 * fractal(rng, 0.6, low=6) + 0.04 * fractal(rng, 2.0)
    tiles *= 1 - 0.35 * (np.arange(SIZE) % 32 < 6)[:, None]
    tiles *= 1 - 0.15 * (np.arange(SIZE) % 26 < 4)[None]
    paint(Skin.ROOF, _skin(tiles))
    paint(Skin.CONCRETE, _skin(0.62 + 0.04 * fractal(rng, 0.7, low=6) + 0.04 * fractal(rng, 2.3, stretch=0.4)))
    planks = 0.6 + 0.09 * fractal(rng, 1.0, stretch=0.08, low=3)
    planks *= 1 - 0.7 * (np.arange(SIZE) % 64 < 5)[None]
    paint(Skin.PLANKS, _skin(planks, (1.0, 0.88, 0.72)))
    wires = (np.arange(SIZE)[:, None] + np.arange(SIZE)[None]) % 32 < 4
    wires |= (np.arange(SIZE)[:, None] - np.arange(SIZE)[None]) % 32 < 4
    wires[:20] = True
    wires[:, :16] = True
    paint(Skin.MESH_FENCE, _skin(np.full((SIZE, SIZE), 0.45), (0.9, 1.0, 0.92), wires))
    blades = np.zeros((SIZE, SIZE), np.uint8)
    shades = np.full((SIZE, SIZE, 3), [0.4, 0.45, 0.2])
    for _ in range(260):
        x, lean, height = rng.uniform(20, SIZE - 20), rng.normal(0, 70), rng.uniform(0.3, 0.98) * SIZE
        blade = np.array([[x - 5, SIZE], [x + 5, SIZE], [x + lean, SIZE - height]], np.int32)
        tone = np.array([0.42, 0.5, 0.2]) * rng.uniform(0.5, 1.4) * (1 + 0.15 * rng.normal(size=3))
        cv2.fillPoly(blades, [blade], 255)
        cv2.fillPoly(shades, [blade], tone.tolist())
    paint(Skin.TUFT, _skin(shades, alpha=blades / 255))
    paint(Skin.FOREST, _forest(rng))
    paint(Skin.BODY, _body(rng))
    bars = 0.08 + 0.25 * (np.arange(SIZE) % 64 < 14)[:, None] * np.ones((1, SIZE))
    bars[:24] = bars[-24:] = 0.5
    paint(Skin.GRILLE, _skin(bars + 0.02 * fractal(rng, 1.0), alpha=0.0))
    paint(Skin.HEADLAMP, _lamp(rng, rear=False))
    paint(Skin.TAILLAMP, _lamp(rng, rear=True))
    paint(Skin.PLATE, _plate(rng))
    paint(Skin.PANE, _skin(_interior(rng)))
    paint(
        Skin.TYRE,
        _skin(np.clip(0.2 + 0.05 * fractal(rng, 0.6) + 0.05 * (np.arange(SIZE) % 24 < 8)[None], 0, 1), alpha=0.0),
    )
    paint(
        Skin.CLOTH, _skin(np.clip(0.85 + 0.08 * fractal(rng, 1.8, stretch=0.5, low=3) + 0.03 * fractal(rng, 0.4), 0, 1))
    )
    paint(Skin.FACE, _skin(np.clip(0.9 + 0.03 * fractal(rng, 1.0), 0, 1)))
    paint(Skin.CARGO, _cargo(rng))
    paint(Skin.TRAM, _tram(rng))
    paint(Skin.SIGNS, _signs(rng))
    worn = 0.82 + 0.06 * fractal(rng, 0.6, low=8)
    paint(Skin.MARKING, _skin(worn, alpha=fractal(rng, 1.2, low=3) < 1.9))
    streaks = np.abs(fractal(rng, 1.9, low=3))
    paint(Skin.CRACKS, _skin(0.22 + 0.03 * fractal(rng, 0.5), alpha=streaks < 0.05))
    hues = ([0.36, 0.47, 0.17], [0.28, 0.42, 0.18], [0.42, 0.46, 0.2], [0.55, 0.47, 0.2])
    for i in range(LEAVES):
        paint(Skin.LEAF + i, _leaves(rng, int(rng.integers(420, 620)), hues[i], 0.08, 1.0))
    for i in range(FACADES):
        paint(Skin.FACADE + i, _facade(rng))
    for i in range(RIMS):
        paint(Skin.RIM + i, _rim(rng))
    return layers
