"""Sweeps are advances that cost less: equal bits, also across chunks; and the limb that motors move."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from robobrain.body import Forelimb, ForelimbSpec, TorqueForelimb
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_task
from robobrain.tasks.joystick.rig import Movement, Rig


def test_a_sweep_is_so_many_advances_bit_for_bit() -> None:
    swept, advanced = Forelimb(), Forelimb()
    rng = np.random.default_rng(1)
    for _ in range(40):
        excitation, duration_ms = rng.random(8), int(rng.integers(1, 35))
        force_mN = float(rng.normal(scale=20.0))
        joystick_mm, paw_mm, _ = swept.sweep(excitation, duration_ms, force_mN)
        for ms in range(duration_ms):
            advanced.advance(excitation, 1.0, force_mN)
            assert np.array_equal(joystick_mm[ms], advanced.joystick_mm())
            assert np.array_equal(paw_mm[ms], advanced.paw_mm())
        if rng.random() < 0.3:
            swept.state()  # looking at one body only does not part them
        if rng.random() < 0.2:
            swept.reset()
            advanced.reset()
    assert np.array_equal(swept.get_state(), advanced.get_state())


@pytest.mark.parametrize("timestep_s", [0.00025, 0.001])
def test_sweeps_follow_the_time_step(timestep_s: float) -> None:
    spec = ForelimbSpec.load()
    spec = replace(spec, physics=replace(spec.physics, timestep_s=timestep_s, settle_s=0.2))
    swept, advanced = Forelimb(spec), Forelimb(spec)
    joystick_mm = swept.sweep(np.ones(8), 25).joystick_mm
    for ms in range(25):
        advanced.advance(np.ones(8), 1.0)
        assert np.array_equal(joystick_mm[ms], advanced.joystick_mm())


@pytest.mark.parametrize("duration_ms", [0, -1, 2.5])
def test_a_sweep_lasts_whole_ms(duration_ms: int) -> None:
    with pytest.raises(ConfigurationError, match="duration_ms"):
        Forelimb().sweep(np.zeros(8), duration_ms)


def test_held_and_repeated_drives_agree_through_switches_of_the_force() -> None:
    def run(*, held: bool, exchange_ms: float) -> list[Movement]:
        rig = Rig(Forelimb(), JoystickTask(load_task()), exchange_ms)
        movements = [rig.reset(seed=1, trial=11)]
        for _ in range(round(1400 / exchange_ms)):
            pulling = movements[-1].phase.value in ("ready", "moving", "holding")
            drive = np.where(pulling, [0.42, 0, 0.28, 0, 0, 0.7, 0.385, 0], 0.02)
            movements.append(rig.hold(drive) if held else rig.advance(lambda drive=drive: drive))
        return movements

    for exchange_ms in (7.0, 10.0, 100.0):
        first, second = (run(held=held, exchange_ms=exchange_ms) for held in (True, False))
        assert {event.name for movement in first for event in movement.events} >= {"force_on", "force_off"}
        for a, b in zip(first, second, strict=True):
            assert np.array_equal(a.joystick_mm, b.joystick_mm)
            assert np.array_equal(a.paw_mm, b.paw_mm)
            assert np.array_equal(a.lateral_force_mN, b.lateral_force_mN)
            assert np.array_equal(a.body.muscle_force, b.body.muscle_force)
            assert (a.t_ms, a.phase, a.events, a.reward_terms) == (b.t_ms, b.phase, b.events, b.reward_terms)


def test_motors_rest_where_the_muscles_do_and_turn_their_joints() -> None:
    body = TorqueForelimb()
    assert body.drive_names == JOINT_NAMES
    assert np.array_equal(body.state().muscle_activation, Forelimb().state().muscle_activation)
    body.sweep(np.zeros(4), 500)
    assert np.abs(body.joystick_mm()).max() < 1e-6
    pulled = {}
    for joint, name in enumerate(JOINT_NAMES):
        body.reset()
        joystick_mm = body.sweep(0.3 * np.eye(4)[joint], 100).joystick_mm
        pulled[name] = joystick_mm[-1]
        assert body.state().joint_angle_rad[joint] > 0.01
    assert pulled["shoulder_pro_retraction"][1] > 1.0
    body.reset()
    assert np.abs(body.joystick_mm()).max() == 0.0
    with pytest.raises(ConfigurationError, match="elbow isn't finite"):
        body.advance([0, 0, np.nan, 0], 1.0)
    with pytest.raises(ConfigurationError, match="4 values"):
        body.advance(np.zeros(8), 1.0)


def test_full_torques_stay_within_the_joints_ranges() -> None:
    body, spec = TorqueForelimb(), ForelimbSpec.load()
    for signs in np.ndindex(2, 2, 2, 2):
        body.reset()
        body.sweep(2.0 * np.array(signs) - 1.0, 300)
        for angle, joint in zip(body.state().joint_angle_rad, spec.joints.values(), strict=True):
            assert joint.range_rad[0] - 0.02 < angle < joint.range_rad[1] + 0.02


def test_motors_are_as_strong_as_the_muscles_of_their_joint() -> None:
    body, spec = Forelimb(), ForelimbSpec.load()
    mujoco.mj_resetData(body.model, body.data)
    mujoco.mj_forward(body.model, body.data)
    step = 1e-4
    for joint, name in enumerate(JOINT_NAMES):
        lengths = []
        for sign in (-1, 1):
            body.data.qpos[:] = 0.0
            body.data.qpos[joint] = sign * step
            mujoco.mj_forward(body.model, body.data)
            lengths.append(body.data.ten_length.copy())
        arms_m = (lengths[0] - lengths[1]) / (2 * step)
        torques = arms_m * [spec.muscles[muscle].max_force_N for muscle in MUSCLE_NAMES]
        strongest = max(torques[torques > 0].sum(), -torques[torques < 0].sum())
        assert spec.joints[name].motor_Nm == pytest.approx(strongest, rel=0.01)
