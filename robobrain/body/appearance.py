"""What limb and joystick look like: bones, a veil of skin, a paw around the handle; all without mass.

The sizes here are for display only and were chosen by eye after pictures of mice; the body's dynamics
doesn't depend on them.
"""

from __future__ import annotations

import mujoco
import numpy as np

from robobrain.body.shapes import Floats, Point, Section, add_loft, add_materials, add_primitive, tapered
from robobrain.body.specification import ForelimbSpec, JoystickSpec

_PAW = "paw"
_DIGITS_MM = (-0.95, -0.32, 0.32, 0.95)
"""Places of the digits across the paw."""


def dress_forelimb(part: mujoco.MjSpec, spec: ForelimbSpec) -> None:
    """Give the limb its bones, skin and paw; the capsules that carry the mass become invisible to cameras."""
    add_materials(part)
    humerus, forearm, paw = (part.body(name) for name in ("humerus", "forearm", _PAW))
    add_loft(
        part,
        humerus,
        "humerus_bone",
        tapered(
            ((-0.7, 0, 0), 0.9),
            ((0.7, 0, 0), 0.95),
            ((2.6, 0, 0), 0.55),
            ((7.0, 0, 0), 0.48),
            ((9.3, 0, 0), 0.7),
            ((10.7, 0, 0), 0.8),
        ),
        "bone",
    )
    add_loft(
        part,
        humerus,
        "humerus_skin",
        tapered(
            ((-1.6, -0.2, 0.2), 2.3),
            ((1.0, -0.3, 0.1), 2.9),
            ((4.5, -0.4, 0), 2.6),
            ((8.5, -0.1, 0), 2.0),
            ((11.2, 0, 0), 1.7),
        ),
        "veil",
    )
    add_loft(
        part,
        forearm,
        "radius_bone",
        tapered(
            ((-0.1, 0.1, 0.35), 0.55),
            ((1.5, 0.1, 0.4), 0.34),
            ((9.5, 0.1, 0.3), 0.32),
            ((12.3, 0.1, 0.25), 0.5),
        ),
        "bone",
    )
    add_loft(
        part,
        forearm,
        "ulna_bone",
        tapered(
            ((-2.3, -0.4, -0.7), 0.45),
            ((-0.4, -0.3, -0.75), 0.55),
            ((3.0, -0.1, -0.5), 0.3),
            ((9.0, 0.1, -0.4), 0.2),
            ((12.2, 0.1, -0.3), 0.26),
        ),
        "bone",
    )
    add_loft(
        part,
        forearm,
        "forearm_skin",
        tapered(
            ((-2.0, -0.2, -0.3), 1.5),
            ((1.0, 0.1, 0), 2.05),
            ((4.0, 0.3, 0.1), 1.85),
            ((9.0, 0.4, 0.1), 1.35),
            ((12.4, 0.3, 0), 1.05),
        ),
        "veil",
    )
    _add_paw(part, paw, spec.grip[1], spec.joystick.handle_radius_mm)


def dress_joystick(part: mujoco.MjSpec, spec: JoystickSpec) -> None:
    """Give the joystick its rod, knob, spring, magnet and gimbal."""
    add_materials(part)
    stick, ground = part.body("stick"), part.worldbody
    tip = np.subtract(spec.tip_mm, spec.pivot_mm)
    along = tip / np.linalg.norm(tip)
    add_primitive(stick, "capsule", "steel", fromto=[0, 0, 0, *tip], size=[0.42])
    add_primitive(stick, "sphere", "rubber", pos=tip, size=[spec.handle_radius_mm])
    add_primitive(stick, "cylinder", "dark", fromto=[*(5.2 * along), *(8.0 * along)], size=[1.4])
    add_loft(part, stick, "spring", _helix(along, 1.2, 1.6, 5.2, 4), "copper")
    add_primitive(stick, "sphere", "steel", pos=[0, 0, 0], size=[2.2])
    x, y, z = spec.pivot_mm
    add_primitive(ground, "box", "dark", pos=[x, y, z - 5.0], size=[9, 9, 2.5])
    add_primitive(ground, "cylinder", "plate", pos=[x, y, z - 2.0], size=[4.2, 1.2])
    for side in (-1, 1):
        add_primitive(ground, "box", "plate", pos=[x + 3.6 * side, y, z - 0.8], size=[0.6, 2.2, 2.4])
        add_primitive(
            ground,
            "cylinder",
            "dark",
            fromto=[x + 11 * side, y, z + 6.6, x + 16 * side, y, z + 6.6],
            size=[2.1],
        )
        add_primitive(
            ground,
            "cylinder",
            "copper",
            fromto=[x + 11.6 * side, y, z + 6.6, x + 15.4 * side, y, z + 6.6],
            size=[2.5],
        )
        add_primitive(ground, "box", "dark", pos=[x + 13.5 * side, y, z - 1.2], size=[1.0, 1.4, 6.3])


def _add_paw(part: mujoco.MjSpec, paw: mujoco.MjsBody, grip: Point, handle_radius: float) -> None:
    """Add the palm and four digits that curl over the knob at ``grip``."""
    palm: list[Section] = [
        ((-0.7, 0, 0), 0.8, 0.95), ((0.8, 0.15, 0), 0.75, 1.15), ((2.4, 0.4, 0), 0.65, 1.4),
        ((3.6, 0.65, 0), 0.45, 1.3),
    ]  # fmt: skip
    add_loft(part, paw, "palm", palm, "skin")
    for index, across in enumerate(_DIGITS_MM):
        digit = _digit(grip, handle_radius, across)
        add_loft(part, paw, f"digit_{index}", digit, "skin")
        (x, y, z), _, _ = digit[-1]
        add_primitive(paw, "capsule", "claw", fromto=[x, y, z, x - 0.28, y - 0.45, z], size=[0.10])


def _digit(grip: Point, handle_radius: float, across: float) -> list[Section]:
    """Return a digit from the palm over the knob to its far side."""
    reach = np.sqrt((handle_radius + 0.30) ** 2 - across**2) + 0.05
    stations: list[tuple[Point, float]] = [((3.0, 0.6, across * 0.95), 0.36)]
    for degrees, radius in ((125, 0.35), (85, 0.30), (45, 0.32), (5, 0.25), (-30, 0.22)):
        angle = np.radians(degrees)
        stations.append(
            ((grip[0] + reach * np.cos(angle), grip[1] + reach * np.sin(angle), grip[2] + across), radius)
        )
    return tapered(*stations)


def _helix(axis: Floats, radius: float, start: float, end: float, turns: int) -> list[Section]:
    """Return a wire wound about ``axis``."""
    side = np.cross(axis, (0.0, 1.0, 0.0))
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    places = np.linspace(0, 1, 6 * turns + 1)
    wire = []
    for place in places:
        angle = 2 * np.pi * turns * place
        x, y, z = axis * (start + place * (end - start)) + radius * (
            np.cos(angle) * side + np.sin(angle) * other
        )
        wire.append(((x, y, z), 0.22))
    return tapered(*wire)
