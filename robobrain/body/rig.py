"""What doesn't move: the table, the head-fixed mouse in its tube, lights and cameras; for display only."""

from __future__ import annotations

import mujoco
import numpy as np

from robobrain.body.shapes import Point, Section, add_loft, add_materials, add_pipe, add_primitive, tapered

CAMERAS: dict[str, tuple[Point, Point, float]] = {
    # name: place in mm, point looked at in mm, vertical field of view in degrees
    "overview": ((88, -152, 50), (3, -73, 11.5), 33),
    "side": ((130, -76, 16), (8, -76, 9), 22),
    "top": ((34, -100, 118), (13, -76, 8), 20),
    "close": ((52, -108, 27), (11.5, -73, 13.5), 32),
}
"""Camera presets, seen from the animal's left, where the modelled limb is."""

_TABLE_MM = -23.6


def build_rig() -> mujoco.MjSpec:
    """Return table, mouse, tube, head holder, lights and cameras as one part without moving bodies."""
    part = mujoco.MjSpec()
    part.compiler.degree = False
    add_materials(part)
    _add_room(part)
    _add_mouse(part)
    _add_holder(part)
    for name, (place, target, field_deg) in CAMERAS.items():
        _add_camera(part.worldbody, name, place, target, field_deg)
    return part


def _add_room(part: mujoco.MjSpec) -> None:
    """Add table, wall colour and lights."""
    part.add_texture(
        name="table", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.80, 0.82, 0.84], rgb2=[0.77, 0.79, 0.81], width=256, height=256,
    )  # fmt: skip
    part.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.95, 0.97], rgb2=[0.70, 0.75, 0.80], width=256, height=1536,
    )  # fmt: skip
    table = part.add_material(name="table", texrepeat=[100, 100], texuniform=True, specular=0.1)
    table.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"
    add_primitive(part.worldbody, "plane", "table", pos=[0, -50, _TABLE_MM], size=[400, 400, 50])
    for place, towards, strength, shadow in (
        ((90, -190, 190), (5, -70, 5), 0.5, True),
        ((-120, -160, 150), (5, -70, 5), 0.22, False),
        ((120, 60, 120), (5, -70, 10), 0.2, False),
        ((120, -120, -40), (5, -70, 20), 0.25, False),
    ):
        direction = np.subtract(towards, place)
        part.worldbody.add_light(
            pos=np.array(place) * 1e-3, dir=direction / np.linalg.norm(direction), castshadow=shadow,
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            diffuse=[strength] * 3, specular=[strength * 0.5] * 3, ambient=[0.0] * 3,
        )  # fmt: skip


def _add_mouse(part: mujoco.MjSpec) -> None:
    """Add the mouse but for its left forelimb: trunk, head, tail and the right forelimb."""
    world = part.worldbody
    trunk: list[Section] = [
        ((0, -6, 21), 3, 3), ((0, -11, 23), 8.5, 8.5), ((0, -24, 26), 13, 13.5), ((0, -40, 27), 13.5, 14),
        ((0, -54, 27), 12, 12.5), ((0, -66, 28), 9.4, 10.8), ((0, -75, 30), 8.2, 9.0),
        ((0, -83, 31.5), 8.8, 8.6), ((0, -90, 31.2), 7.9, 7.8), ((0, -96.5, 29.6), 5.7, 5.8),
        ((0, -101.5, 27.9), 3.7, 3.6), ((0, -104.2, 27.0), 2.3, 2.3),
    ]  # fmt: skip
    add_loft(part, world, "trunk", trunk, "fur")
    add_loft(
        part,
        world,
        "scapula",
        [
            ((10.1, -69.0, 24.4), 0.9, 0.9),
            ((10.0, -67.9, 26.5), 0.7, 0.45),
            ((9.6, -66.2, 30), 1.8, 0.35),
            ((8.9, -64.4, 33.5), 2.9, 0.35),
            ((8.3, -63.6, 35.2), 3.0, 0.25),
        ],
        "bone",
        up=(1.0, 0.0, 0.0),
    )
    add_primitive(world, "ellipsoid", "skin", pos=[0, -106.2, 27.5], size=[1.2, 0.9, 0.9])
    add_loft(
        part,
        world,
        "tail",
        tapered(
            ((0, -6, 20), 1.8), ((1, 6, 17), 1.6), ((5, 22, 13), 1.3), ((12, 40, 9), 1.0), ((14, 58, 6), 0.6)
        ),
        "skin",
    )
    for side in (-1, 1):
        for material, offset, size in (("fur", 0.0, [4.3, 0.8, 5.2]), ("ear", -0.45, [3.5, 0.6, 4.4])):
            place = [8.0 * side, -81.5 + offset, 39.8]
            add_primitive(world, "ellipsoid", material, pos=place, size=size, quat=_turned(0.45 * side))
        add_primitive(world, "sphere", "eye", pos=[5.9 * side, -94.6, 33.4], size=[1.45])
        for index in range(6):
            root = (2.6 * side, -102.5 + 0.6 * (index % 3), 26.6 + 0.7 * (index // 3))
            tip = (root[0] + 15 * side, root[1] + 1 + 3.5 * (index % 3), root[2] - 3 + 4.5 * (index // 3))
            add_primitive(world, "capsule", "whisker", fromto=[*root, *tip], size=[0.07])
    add_loft(
        part,
        world,
        "right_upper_arm",
        tapered(((-8.6, -69, 25), 3.2), ((-11.5, -67, 20), 2.6), ((-13.0, -65.2, 15), 2.1)),
        "fur",
        up=(1.0, 0.0, 0.0),
    )
    add_loft(
        part,
        world,
        "right_forearm",
        tapered(((-13.0, -64.6, 14.6), 2.0), ((-12.6, -70, 11.4), 1.6), ((-12.0, -75.5, 8.3), 1.1)),
        "fur",
    )
    add_loft(
        part,
        world,
        "right_paw",
        [((-12.0, -75.5, 8.2), 1.1, 0.8), ((-11.8, -78, 7.7), 1.4, 0.6), ((-11.7, -80.5, 7.4), 1.4, 0.35)],
        "skin",
    )


def _add_holder(part: mujoco.MjSpec) -> None:
    """Add what holds the animal: tube, head plate and its post, rest for the right paw, water spout."""
    world = part.worldbody
    add_pipe(part, world, "tube", ends=((0, 2, 27), (0, -57, 27)), radii=(17.0, 18.2), material="tube")
    for y in (-6, -38):
        add_primitive(world, "cylinder", "steel", fromto=[0, y, _TABLE_MM, 0, y, 9.2], size=[2.6])
        add_primitive(world, "box", "plate", pos=[0, y, 9.0], size=[8, 3, 0.9])
    add_primitive(world, "box", "steel", pos=[-9, -86.5, 41.0], size=[14, 3.2, 0.6])
    add_primitive(world, "cylinder", "claw", pos=[0, -86.5, 40.0], size=[4.6, 0.9])
    add_primitive(world, "box", "dark", pos=[-25, -86.5, 40.2], size=[3.2, 4.2, 2.2])
    add_primitive(world, "cylinder", "steel", fromto=[-26, -86.5, _TABLE_MM, -26, -86.5, 40], size=[2.2])
    add_primitive(world, "capsule", "steel", fromto=[-22, -79.5, 6.2, -7, -79.5, 6.2], size=[1.0])
    add_primitive(world, "cylinder", "steel", fromto=[-21, -79.5, _TABLE_MM, -21, -79.5, 6.2], size=[1.1])
    add_primitive(world, "capsule", "steel", fromto=[0, -108, 23.6, 0, -126, 15], size=[0.6])
    add_primitive(world, "cylinder", "steel", fromto=[0, -126, _TABLE_MM, 0, -126, 15.5], size=[1.1])


def _add_camera(body: mujoco.MjsBody, name: str, place: Point, target: Point, field_deg: float) -> None:
    """Add a fixed camera at ``place`` that looks at ``target``, with up (seen from above: caudal) on top."""
    back = np.subtract(place, target) / np.linalg.norm(np.subtract(place, target))
    right = np.cross((0.0, 1.0, 0.0) if back[2] > 0.8 else (0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    body.add_camera(name=name, pos=np.array(place) * 1e-3, quat=quaternion, fovy=field_deg)


def _turned(angle_rad: float) -> list[float]:
    """Return the quaternion of a turn about the long axis of the animal."""
    return [np.cos(angle_rad / 2), 0, np.sin(angle_rad / 2), 0]
