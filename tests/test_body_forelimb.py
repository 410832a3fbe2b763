"""What Forelimb promises to those who use it: states, exactness, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robobrain.body import BodyState, Forelimb
from robobrain.body.specification import PHYSICS_NAMES
from robobrain.errors import BodyFault, ConfigurationError

TONE = np.full(8, 0.02)


@pytest.fixture(scope="module")
def body() -> Forelimb:
    return Forelimb()


def excitations(count: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(0, 1, (count, 8))


def trajectory(body: Forelimb, drive: np.ndarray, *, look: bool = False) -> np.ndarray:
    states = []
    for index, excitation in enumerate(drive):
        body.advance(excitation, 1.0, 20.0 if index > 10 else 0.0)
        if look:
            body.state()
        states.append(body.get_state())
    return np.array(states)


def equal(one: BodyState, other: BodyState) -> bool:
    return np.array_equal(one.values, other.values)


def test_rest_is_still_and_the_origin_of_everything(body: Forelimb) -> None:
    body.reset()
    state = body.state()
    for name in ("muscle_strain", "joystick_mm", "paw_mm"):
        assert not getattr(state, name).any()
    assert np.abs(state.joint_velocity_rad_s).max() < 1e-6
    assert state.muscle_activation == pytest.approx(0.02)
    before = body.paw_mm()
    body.advance(TONE, 500.0)
    assert body.paw_mm() == pytest.approx(before, abs=1e-6)


def test_state_has_the_signs_and_units_of_its_names(body: Forelimb) -> None:
    body.reset()
    body.advance(TONE, 20.0, lateral_force_mN=30.0)
    state = body.state()
    assert state.joystick_mm[0] > 0.5
    assert state.joystick_velocity_mm_s[0] > 0
    assert body.lateral_force_mN == pytest.approx(30)
    body.reset()
    flex = TONE.copy()
    flex[2] = 1.0
    last = body.state()
    body.advance(flex, 10.0)
    state = body.state()
    assert 0.05 < state.muscle_force[2] < state.muscle_activation[2] < 1
    assert state.muscle_strain[2] < 0 < state.muscle_strain[3]
    assert state.joint_angle_rad[2] < last.joint_angle_rad[2]
    body.advance(flex, 1.0)
    later = body.state()
    slope = (later.muscle_strain - state.muscle_strain) * 1e3
    mean = (later.muscle_velocity_per_s + state.muscle_velocity_per_s) / 2
    assert slope == pytest.approx(mean, rel=0.02, abs=0.05)
    speed = (later.joystick_mm - state.joystick_mm) * 1e3
    body.advance(flex, 100.0)  # until it stands still, when force isn't lost to speed
    assert body.state().muscle_force[2] == pytest.approx(0.77, abs=0.05)
    assert speed == pytest.approx((later.joystick_velocity_mm_s + state.joystick_velocity_mm_s) / 2, abs=1.0)


def test_state_is_a_copy(body: Forelimb) -> None:
    body.reset()
    state = body.state()
    kept = {name: np.copy(getattr(state, name)) for name in BodyState.PARTS}
    body.advance(excitations(1)[0], 20.0)
    assert all(np.array_equal(getattr(state, name), value) for name, value in kept.items())


def test_two_bodies_and_two_resets_agree_to_the_bit(body: Forelimb) -> None:
    drive = excitations(60)
    body.reset()
    first = trajectory(body, drive)
    body.reset()
    assert np.array_equal(trajectory(body, drive), first)
    assert np.array_equal(trajectory(Forelimb(), drive), first)


def test_looking_does_not_change_the_course(body: Forelimb) -> None:
    drive = excitations(60)
    body.reset()
    unseen = trajectory(body, drive)
    body.reset()
    assert np.array_equal(trajectory(body, drive, look=True), unseen)


def test_long_and_short_advances_agree_to_the_bit(body: Forelimb) -> None:
    body.reset()
    body.advance(TONE * 20, 12.0)
    whole = body.get_state()
    body.reset()
    for _ in range(24):
        body.advance(TONE * 20, 0.5)
    assert np.array_equal(body.get_state(), whole)


def test_a_restored_state_continues_exactly_in_another_body(body: Forelimb) -> None:
    drive = excitations(80)
    body.reset()
    trajectory(body, drive[:40])
    saved, seen = body.get_state(), body.state()
    rest = trajectory(body, drive[40:])
    other = Forelimb()
    other.set_state(saved)
    assert equal(other.state(), seen)
    assert np.array_equal(trajectory(other, drive[40:]), rest)


def test_clamp_moves_holds_and_lets_go(body: Forelimb) -> None:
    body.reset()
    for target in ([2.0, 5.0], [-3.0, -4.0], [0.0, 8.0]):
        body.clamp(target)
        body.advance(TONE, 100.0)
        assert body.joystick_mm() == pytest.approx(target, abs=0.05)
    assert np.abs(body.state().muscle_strain).max() > 0.05
    saved = body.get_state()
    body.reset()
    body.advance(TONE, 50.0)
    assert np.abs(body.joystick_mm()).max() < 1e-6
    body.set_state(saved)
    body.advance(TONE, 50.0)
    assert body.joystick_mm() == pytest.approx([0.0, 8.0], abs=0.05)
    body.clamp(None)
    body.advance(TONE, 500.0)
    assert np.abs(body.joystick_mm()).max() < 0.1


def test_excitations_beyond_the_range_are_clipped(body: Forelimb) -> None:
    body.reset()
    body.advance(np.full(8, 7.0), 30.0)
    clipped = body.state()
    body.reset()
    body.advance(np.ones(8), 30.0)
    assert np.array_equal(body.state().muscle_activation, clipped.muscle_activation)
    assert np.array_equal(body.joystick_mm(), clipped.joystick_mm)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.array([0, np.nan, 0, 0, 0, 0, 0, 0]), 1.0), "Foot2"),
        ((np.array([0, 0, 0, 0, 0, 0, 0, np.inf]), 1.0), "Humerus4"),
        ((np.zeros(7), 1.0), "8 values"),
        ((TONE, 0.7), "multiple of 0.5 ms"),
        ((TONE, 0.0), "duration_ms"),
        ((TONE, np.nan), "duration_ms"),
        ((TONE, 1.0, np.nan), "lateral_force_mN"),
    ],
)
def test_invalid_arguments_leave_the_body_alone(body: Forelimb, arguments: tuple, words: str) -> None:
    body.reset()
    before = body.get_state()
    with pytest.raises(ConfigurationError, match=words):
        body.advance(*arguments)
    assert np.array_equal(body.get_state(), before)


@pytest.mark.parametrize("target", [[0.0, 11.0], [np.nan, 0.0], [1.0]])
def test_impossible_clamps_are_refused(body: Forelimb, target: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="joystick_mm"):
        body.clamp(target)


def test_only_states_of_this_body_are_restored(body: Forelimb) -> None:
    state = body.get_state()
    for wrong in (state[:-1], np.full_like(state, np.nan)):
        with pytest.raises(ConfigurationError, match="get_state"):
            body.set_state(wrong)


@pytest.mark.parametrize("fault", ["speed", "nan"])
def test_divergence_is_a_named_fault_and_reset_is_clean(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo logs its warning into the working directory
    body = Forelimb()
    reference = trajectory(body, excitations(20))
    if fault == "speed":
        body.data.qvel[2] = 1e9
    else:
        body.data.qpos[2] = np.nan
    with pytest.raises(BodyFault, match="elbow"):
        body.advance(TONE, 5.0)
    with pytest.raises(BodyFault):
        body.advance(TONE, 5.0)
    body.reset()
    assert np.array_equal(trajectory(body, excitations(20)), reference)


def test_a_recorded_state_can_be_shown_again() -> None:
    body, other = Forelimb(), Forelimb()
    body.advance(np.linspace(0.0, 0.7, 8), 120.0, 15.0)
    state = body.state()
    other.show(state.physics, 15.0)
    assert np.array_equal(other.joystick_mm(), body.joystick_mm())
    assert np.array_equal(other.state().joint_angle_rad, state.joint_angle_rad)
    assert np.array_equal(other.state().muscle_activation, state.muscle_activation)
    assert other.lateral_force_mN == 15.0
    with pytest.raises(ConfigurationError, match="needs 20 finite numbers"):
        other.show(np.zeros(19))


def test_the_state_vector_is_named_in_its_order() -> None:
    model = Forelimb().model
    joints = [model.joint(i).name.replace("joystick/", "joystick_").removeprefix("limb/") for i in range(6)]
    muscles = [model.actuator(i).name.removeprefix("limb/") for i in range(8)]
    names = [f"angle/{j}" for j in joints] + [f"speed/{j}" for j in joints]
    assert (*names, *(f"activation/{muscle}" for muscle in muscles)) == PHYSICS_NAMES
