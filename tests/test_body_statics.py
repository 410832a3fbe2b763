"""The body's statics and free movements against the figures that its data were chosen for."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from scipy.optimize import linprog

from robobrain.body import Forelimb, ForelimbSpec
from robobrain.body.model import build_model
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES

JOINTS = len(JOINT_NAMES)


@pytest.fixture(scope="module")
def spec() -> ForelimbSpec:
    return ForelimbSpec.load()


def posture(spec: ForelimbSpec) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = build_model(spec)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize(
    ("direction", "largest_n"),
    [((0, 1), 0.200), ((0, -1), 0.226), ((1, 0), 0.143), ((-1, 0), 0.213)],
    ids=["pull", "push", "left", "right"],
)
def test_the_largest_static_force_at_the_grip(
    spec: ForelimbSpec, direction: tuple[int, int], largest_n: float
) -> None:
    """Muscles at 0 to their largest force, joints in balance, the grip's vertical force free."""
    model, data = posture(spec)
    places = np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, places, None, model.site("limb/grip").id)
    places = places[:, :JOINTS]
    arms = np.zeros((JOINTS, len(MUSCLE_NAMES)))
    step = 1e-4
    for joint in range(JOINTS):
        for sign in (-1, 1):
            data.qpos[:] = 0
            data.qpos[joint] = sign * step
            mujoco.mj_forward(model, data)
            arms[joint] -= sign * data.ten_length / (2 * step)
    balance = np.column_stack([arms, -places[:2].T @ np.array(direction), -places[2]])
    limits = [(0.0, muscle.max_force_N) for muscle in spec.muscles.values()]
    cost = np.zeros(len(limits) + 2)
    cost[-2] = -1.0
    found = linprog(cost, A_eq=balance, b_eq=np.zeros(JOINTS), bounds=[*limits, (0, None), (None, None)])
    assert found.x[-2] == pytest.approx(largest_n, abs=0.001)
    if direction == (0, 1):  # the wrist extensor saturates first in pulling
        assert found.x[MUSCLE_NAMES.index("Foot1")] == pytest.approx(spec.muscles["Foot1"].max_force_N)


def test_joints_come_to_rest_within_7_to_14_ms(spec: ForelimbSpec) -> None:
    model, data = posture(spec)
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    constants_ms = 1e3 * np.diag(inertia)[:JOINTS] / model.dof_damping[:JOINTS]
    assert constants_ms == pytest.approx([13.7, 9.6, 12.4, 7.5], abs=0.15)


def test_a_free_stick_rings_as_its_spring_and_damper_say(spec: ForelimbSpec) -> None:
    model, data = posture(spec)
    data.eq_active[:] = 0
    model.opt.gravity[:] = 0
    hinge = model.joint("joystick/pull")
    data.qpos[hinge.qposadr[0]] = 0.2
    angles = []
    for _ in range(400):
        mujoco.mj_step(model, data)
        angles.append(data.qpos[hinge.qposadr[0]])
    swing = np.array(angles)
    peaks = [i for i in range(1, 399) if swing[i - 1] < swing[i] >= swing[i + 1]][:2]
    stick = spec.joystick
    mass_kg = stick.tip_effective_mass_g * 1e-3 + stick.stick_mass_mg * 1e-6
    ratio = stick.tip_damping_Ns_m / (2 * math.sqrt(stick.tip_stiffness_N_m * mass_kg))
    root = math.sqrt(1 - ratio**2)
    period_ms = 1e3 * 2 * math.pi / (math.sqrt(stick.tip_stiffness_N_m / mass_kg) * root)
    assert (peaks[1] - peaks[0]) * model.opt.timestep * 1e3 == pytest.approx(period_ms, rel=0.03)
    assert math.log(swing[peaks[0]] / swing[peaks[1]]) == pytest.approx(2 * math.pi * ratio / root, rel=0.05)


def test_the_grip_reaches_from_7_5_mm_of_push_to_9_5_mm_of_pull(spec: ForelimbSpec) -> None:
    body = Forelimb(spec)
    for target in ([0.0, -7.5], [0.0, 9.5]):
        body.reset()
        body.clamp(target)
        body.advance(np.full(8, 0.02), 200.0)
        assert body.joystick_mm() == pytest.approx(target, abs=0.1)
        assert np.linalg.norm(body.paw_mm()[:2] - body.joystick_mm()) < 0.2  # the soft tie of the grip
        for angle, joint in zip(body.state().joint_angle_rad, spec.joints.values(), strict=True):
            assert joint.range_rad[0] - 0.05 < angle < joint.range_rad[1] + 0.05


def test_a_released_stick_is_back_after_about_300_ms(spec: ForelimbSpec) -> None:
    body = Forelimb(spec)
    body.advance([0, 0, 0.4, 0, 0, 1, 0.55, 0], 150.0)
    assert body.joystick_mm()[1] > 7.0
    path = body.sweep(np.full(8, 0.02), 400).joystick_mm
    away = np.flatnonzero(np.linalg.norm(path, axis=1) > 0.5)
    assert 150 < away[-1] + 1 < 320
