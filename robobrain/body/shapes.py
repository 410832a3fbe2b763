"""Shapes for display: materials, primitives and smooth lofts, all without mass and without contact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float, float]
Section = tuple[Point, float, float]
"""Centre, half-width and half-height of a cross-section, in mm."""

MATERIALS: dict[str, tuple[tuple[float, float, float, float], float, float]] = {
    # name: (red, green, blue, opacity), specular, shininess
    "fur": ((0.62, 0.52, 0.44, 1.0), 0.03, 0.1),
    "ear": ((0.70, 0.52, 0.48, 1.0), 0.1, 0.1),
    "skin": ((0.93, 0.72, 0.68, 1.0), 0.25, 0.3),
    "veil": ((0.80, 0.62, 0.53, 0.22), 0.05, 0.1),
    "bone": ((0.95, 0.92, 0.83, 1.0), 0.3, 0.4),
    "claw": ((0.97, 0.93, 0.88, 1.0), 0.5, 0.6),
    "eye": ((0.02, 0.02, 0.02, 1.0), 0.9, 0.9),
    "whisker": ((0.92, 0.92, 0.90, 0.7), 0.0, 0.0),
    "steel": ((0.72, 0.74, 0.77, 1.0), 0.7, 0.7),
    "dark": ((0.16, 0.17, 0.19, 1.0), 0.4, 0.5),
    "copper": ((0.72, 0.43, 0.22, 1.0), 0.5, 0.5),
    "rubber": ((0.10, 0.12, 0.16, 1.0), 0.3, 0.3),
    "tube": ((0.78, 0.12, 0.12, 0.30), 0.6, 0.8),
    "plate": ((0.55, 0.58, 0.62, 1.0), 0.3, 0.4),
}

_RING = 24
_PIECES = 5


def add_materials(part: mujoco.MjSpec) -> None:
    """Give a part the materials that its shapes use by name."""
    for name, (rgba, specular, shininess) in MATERIALS.items():
        part.add_material(name=name, rgba=rgba, specular=specular, shininess=shininess)
    part.add_texture(
        name="fur", type=mujoco.mjtTexture.mjTEXTURE_CUBE, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.66, 0.57, 0.49], rgb2=[1.0, 0.95, 0.90], width=256, height=1536,
    )  # fmt: skip
    part.material("fur").textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "fur"


def add_primitive(body: mujoco.MjsBody, kind: str, material: str, **places: Any) -> mujoco.MjsGeom:
    """Add a primitive such as ``"capsule"``; lengths of ``size``, ``pos`` and ``fromto`` are in mm."""
    for name in ("size", "pos", "fromto"):
        if name in places:
            places[name] = [value * 1e-3 for value in places[name]]
    if "size" in places:
        places["size"] = (places["size"] + [0.0, 0.0])[:3]
    shape = getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}")
    return body.add_geom(type=shape, material=material, mass=0, contype=0, conaffinity=0, **places)


def add_loft(
    part: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    sections: Sequence[Section],
    material: str,
    *,
    up: Point = (0.0, 0.0, 1.0),
) -> None:
    """Add a smooth closed surface through elliptic cross-sections.

    Args:
        part: The part that keeps the mesh.
        body: The body that the shape is fixed to.
        name: Name of the mesh.
        sections: Cross-sections along the shape, at least two.
        material: Name of a material.
        up: Direction of the half-heights; must not be along the shape.
    """
    vertices, faces = _loft(np.array([[*centre, w, h] for centre, w, h in sections]), np.array(up))
    mesh = _add_mesh(part, body, name, vertices_mm=vertices, faces=faces, material=material)
    mesh.smoothnormal = True


def add_pipe(
    part: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    *,
    ends: tuple[Point, Point],
    radii: tuple[float, float],
    material: str,
) -> None:
    """Add an open pipe along the y axis between two centres, with its inner and outer radius, in mm."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=1)
    inner, outer = (radius * circle for radius in radii)
    rings = np.concatenate([ends[0] + outer, ends[1] + outer, ends[1] + inner, ends[0] + inner])
    faces = np.concatenate([_band(k * 64, (k + 1) % 4 * 64, 64) for k in range(4)])
    _add_mesh(part, body, name, vertices_mm=rings, faces=faces.astype(np.int32), material=material)


def tapered(*stations: tuple[Point, float]) -> list[Section]:
    """Return round sections from centres and radii in mm."""
    return [(centre, radius, radius) for centre, radius in stations]


def _add_mesh(
    part: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    *,
    vertices_mm: Floats,
    faces: NDArray[np.int32],
    material: str,
) -> mujoco.MjsMesh:
    mesh = part.add_mesh(name=name, uservert=(vertices_mm * 1e-3).ravel(), userface=faces.ravel())
    # A shell needs no volume, which thin shapes would lack.
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=material, mass=0, contype=0, conaffinity=0
    )
    return mesh


def _loft(sections: Floats, up: Floats) -> tuple[Floats, NDArray[np.int32]]:
    """Return vertices and outward faces of the surface through ``sections`` [n, (x, y, z, w, h)]."""
    curve = _smooth(sections)
    centre, extent = curve[:, :3], np.maximum(curve[:, 3:], 1e-3)
    along = _unit(np.gradient(centre, axis=0))
    side = _unit(np.cross(up, along))
    height = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, _RING, endpoint=False)
    around = (extent[:, :1] * np.cos(angle))[..., None] * side[:, None]
    around += (extent[:, 1:] * np.sin(angle))[..., None] * height[:, None]
    # Each end is rounded by a narrower ring and a pole beyond it.
    bulge = np.stack([-along[0] * extent[0].mean(), along[-1] * extent[-1].mean()])
    ends = centre[[0, -1]]
    narrow = (ends + 0.55 * bulge)[:, None] + 0.75 * around[[0, -1]]
    poles = ends + 0.8 * bulge
    rings = np.concatenate([narrow[:1], centre[:, None] + around, narrow[1:]])
    vertices = np.concatenate([poles[:1], rings.reshape(-1, 3), poles[1:]])
    bands = [_band(1 + k * _RING, 1 + (k + 1) * _RING, _RING) for k in range(len(rings) - 1)]
    last = len(vertices) - 1
    fans = [_fan(0, 1)[:, ::-1], _fan(last, last - _RING)]
    return vertices, np.concatenate([*bands, *fans]).astype(np.int32)


def _smooth(sections: Floats) -> Floats:
    """Return a Catmull-Rom curve through the sections, ``_PIECES`` points per interval."""
    padded = np.concatenate([sections[:1], sections, sections[-1:]])
    t = np.linspace(0, 1, _PIECES, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate([*pieces, sections[-1:]])


def _band(first: int, second: int, size: int) -> NDArray[np.int64]:
    """Return the triangles between two rings of ``size`` vertices."""
    k = np.arange(size)
    n = (k + 1) % size
    return np.concatenate(
        [
            np.stack([first + k, first + n, second + n], axis=1),
            np.stack([first + k, second + n, second + k], axis=1),
        ]
    )


def _fan(pole: int, ring: int) -> NDArray[np.int64]:
    """Return the triangles between a ring and a pole beyond it."""
    k = np.arange(_RING)
    return np.stack([ring + k, ring + (k + 1) % _RING, np.full(_RING, pole)], axis=1)


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
