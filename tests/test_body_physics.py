"""The body's statics and dynamics against the figures that its data were chosen for."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from robobrain.body.forelimb import Forelimb
from robobrain.body.model import build_model
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES, ForelimbSpec

PULL = {"Humerus2": 1.0, "Radius1": 0.4, "Humerus3": 0.55, "Foot1": 0.6}

# Millimetres in the posture of the data file; columns as JOINT_NAMES, + drives the joint in its + direction.
MOMENT_ARMS_MM = {
    "Foot1": (0.0, 0.0, 0.0, 0.79),
    "Foot2": (0.0, 0.0, 0.0, -0.36),
    "Radius1": (0.0, 0.0, -1.90, 0.0),
    "Radius2": (0.0, 0.0, 1.65, 0.0),
    "Humerus1": (-1.24, -0.80, 0.0, 0.0),
    "Humerus2": (0.87, 0.79, 0.0, 0.0),
    "Humerus3": (-0.06, -0.93, 0.0, 0.0),
    "Humerus4": (-0.24, 1.06, 0.0, 0.0),
}


@pytest.fixture(scope="module")
def spec() -> ForelimbSpec:
    return ForelimbSpec.load()


@pytest.fixture(scope="module")
def body(spec: ForelimbSpec) -> Forelimb:
    return Forelimb(spec)


def pull_pattern(scale: float) -> np.ndarray:
    return np.array([max(0.02, scale * PULL.get(name, 0.0)) for name in MUSCLE_NAMES])


def pull(body: Forelimb, scale: float, force_mn: float = 0.0, duration_ms: int = 400) -> np.ndarray:
    """Return the joystick's path, one point per millisecond; the force is on from 4 mm of pull."""
    body.reset()
    path, force = [], 0.0
    for _ in range(duration_ms):
        body.advance(pull_pattern(scale), 1.0, force)
        path.append(body.joystick_mm())
        if path[-1][1] >= 4.0:
            force = force_mn
    return np.array(path)


def test_masses_and_inertias_are_those_of_a_mouse(spec: ForelimbSpec) -> None:
    model = build_model(spec)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    masses_mg = [model.body(f"limb/{name}").mass[0] * 1e6 for name in ("humerus", "forearm", "paw")]
    assert masses_mg == pytest.approx([157.5, 74.65, 26.1], rel=0.005)
    assert model.body_subtreemass[0] * 1e6 == pytest.approx(sum(masses_mg) + 3, rel=1e-6)
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    expected = [2.75e-8, 1.92e-8, 1.24e-8, 2.26e-9, 3.14e-7, 3.14e-7]
    assert np.diag(inertia) == pytest.approx(expected, rel=0.01)


def test_moment_arms(spec: ForelimbSpec) -> None:
    model = build_model(spec)
    data = mujoco.MjData(model)
    joints = [model.joint(f"limb/{name}").qposadr[0] for name in JOINT_NAMES]
    step = 1e-4
    for column, joint in enumerate(joints):
        lengths = []
        for sign in (-1, 1):
            data.qpos[:] = 0
            data.qpos[joint] = sign * step
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_tendon(model, data)
            lengths.append(data.ten_length.copy())
        arms_mm = -(lengths[1] - lengths[0]) / (2 * step) * 1e3
        expected = [MOMENT_ARMS_MM[name][column] for name in MUSCLE_NAMES]
        assert arms_mm == pytest.approx(expected, abs=0.01)


def test_fibres_rest_at_095_of_their_optimum(spec: ForelimbSpec) -> None:
    model = build_model(spec)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for name, muscle in spec.muscles.items():
        fibre_mm = data.tendon(f"limb/{name}").length[0] * 1e3 - muscle.tendon_slack_mm
        assert fibre_mm / muscle.optimal_fibre_mm == pytest.approx(0.95, abs=0.002)


@pytest.mark.parametrize(
    ("scale", "end_mm", "peak_mm_s"),
    [(0.2, 3.8, 105), (0.3, 4.9, 145), (0.5, 6.4, 203), (0.7, 7.4, 246), (1.0, 8.4, 291)],
)
def test_pulls_end_and_peak_as_tabulated(
    body: Forelimb, scale: float, end_mm: float, peak_mm_s: float
) -> None:
    along = pull(body, scale)[:, 1]
    assert along[-1] == pytest.approx(end_mm, rel=0.03)
    assert np.diff(along).max() * 1e3 == pytest.approx(peak_mm_s, rel=0.05)


def test_a_pull_takes_the_tabulated_time(body: Forelimb) -> None:
    along = pull(body, 0.7)[:, 1]
    assert np.argmax(along >= 4.0) + 1 == pytest.approx(22.5, abs=1.5)
    assert np.argmax(along >= 7.0) + 1 == pytest.approx(75.5, abs=3)
    assert np.argmax(pull(body, 1.0)[:, 1] >= 7.0) + 1 == pytest.approx(52, abs=3)


@pytest.mark.parametrize(("force_mn", "shift_mm"), [(-40, -2.6), (-20, -1.2), (20, 1.0), (40, 1.85)])
def test_lateral_forces_shift_the_path(body: Forelimb, force_mn: float, shift_mm: float) -> None:
    straight, pushed = pull(body, 0.7), pull(body, 0.7, force_mn)
    assert pushed[-1, 0] - straight[-1, 0] == pytest.approx(shift_mm, rel=0.1)


def test_the_time_step_does_not_matter(spec: ForelimbSpec) -> None:
    ends = []
    for timestep_s in (0.00025, 0.0005, 0.001):
        body = Forelimb(replace(spec, physics=replace(spec.physics, timestep_s=timestep_s)))
        ends.append(pull(body, 0.7, duration_ms=200)[-1])
    assert np.ptp(ends, axis=0).max() < 0.1


def test_a_released_stick_returns(body: Forelimb) -> None:
    pull(body, 1.0, duration_ms=150)
    body.advance(np.full(8, 0.02), 600.0)
    assert np.abs(body.joystick_mm()).max() < 0.1
