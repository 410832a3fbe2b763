"""Afferents and fatigue: closed forms, delays, noise by seed."""

from __future__ import annotations

import pickle

import gymnasium
import numpy as np
import pytest

import robobrain  # noqa: F401 (registers the environments)
from robobrain.body import BodyState, Forelimb
from robobrain.body.afferents import Afferents
from robobrain.body.fatigue import Fatigue
from robobrain.errors import ConfigurationError

LENGTH_M = np.linspace(0.005, 0.012, 8)


@pytest.fixture(scope="module")
def rest() -> BodyState:
    return Forelimb().state()


def stretched(rest: BodyState, strain: float, speed_per_s: float = 0.0, force: float = 0.0) -> BodyState:
    state = BodyState(rest.values.copy())
    state.muscle_strain[:], state.muscle_velocity_per_s[:], state.muscle_force[:] = strain, speed_per_s, force
    return state


def test_rates_are_those_of_the_published_equations(rest: BodyState) -> None:
    afferents = Afferents(LENGTH_M, step_ms=0.5)
    for _ in range(10):
        heard = afferents.feel(stretched(rest, 0.1, 2.0, 0.5))
    mm, mm_s = LENGTH_M * 1e3 * 0.1, LENGTH_M * 1e3 * 2.0
    assert heard.primary_hz == pytest.approx(50 + 2 * mm + 4.3 * mm_s**0.6)
    assert heard.secondary_hz == pytest.approx(80 + 13.5 * mm)
    assert heard.tendon_hz == pytest.approx(333 * 0.5)
    for _ in range(10):
        heard = afferents.feel(stretched(rest, 0.0, -30.0))
    assert not heard.primary_hz.any()  # silent in fast shortening, never negative


def test_each_kind_arrives_after_its_delay(rest: BodyState) -> None:
    afferents = Afferents(LENGTH_M, step_ms=0.5)
    heard = [afferents.feel(stretched(rest, 0.2, force=1.0)) for _ in range(8)]
    came = {
        name: next(call for call, rates in enumerate(heard) if getattr(rates, name)[0] != at_rest)
        for name, at_rest in (("primary_hz", 50.0), ("secondary_hz", 80.0), ("tendon_hz", 0.0))
    }
    assert came == {"primary_hz": 3, "secondary_hz": 6, "tendon_hz": 3}
    with pytest.raises(ConfigurationError, match="divisor"):
        Afferents(LENGTH_M, step_ms=0.7)


def test_noise_is_by_seed_and_has_the_spread_of_counted_spikes(rest: BodyState) -> None:
    def heard(seed: int | None) -> np.ndarray:
        afferents = Afferents(LENGTH_M, step_ms=1.5, seed=seed)
        return np.array([afferents.feel(rest).secondary_hz for _ in range(400)])

    assert np.array_equal(heard(3), heard(3))
    assert not np.array_equal(heard(3), heard(4))
    assert (heard(None) == heard(None)[0]).all()
    assert heard(3).mean() == pytest.approx(80.0, rel=0.02)
    assert heard(3).std() == pytest.approx(np.sqrt(80.0 / (20 * 0.01)), rel=0.05)


def test_a_pull_is_felt_by_the_muscles_that_it_stretches_and_that_make_it() -> None:
    body = Forelimb()
    afferents = Afferents(body.rest_length_m, step_ms=0.5)
    still = afferents.feel(body.state())
    for _ in range(40):
        body.advance([0, 0, 0.4, 0, 0, 1, 0.55, 0], 0.5)
        moving = afferents.feel(body.state())
    retractor, protractor = 5, 4
    assert moving.primary_hz[protractor] > still.primary_hz[protractor] + 20
    assert moving.primary_hz[retractor] < still.primary_hz[retractor]
    assert moving.tendon_hz[retractor] > still.tendon_hz[retractor] + 20


def test_a_muscle_at_full_effort_tires_as_the_model_has_it() -> None:
    fatigue, seconds = Fatigue(), 120
    rates = fatigue.spec.compartments
    for _ in range(100 * seconds):
        followed = fatigue.limit(np.ones(8), 10.0)
    total = rates.fatigue_per_s + rates.recovery_per_s
    expected = rates.fatigue_per_s / total * (1 - np.exp(-total * seconds))
    assert fatigue.fatigued == pytest.approx(expected, rel=1e-9)
    assert followed == pytest.approx(1 - expected, rel=1e-3)
    assert 0.3 < followed[0] < 0.5


def test_weak_effort_is_followed_in_full_and_rest_recovers_faster() -> None:
    fatigue = Fatigue()
    weak = np.full(8, 0.2)
    assert np.array_equal(fatigue.limit(weak, 60_000.0), weak)
    tired = fatigue.fatigued.copy()
    fatigue.limit(np.full(8, 0.02), 60_000.0)
    rates = fatigue.spec.compartments
    slowly = tired * np.exp(-60 * rates.recovery_per_s)
    assert (fatigue.fatigued < slowly).all()
    fatigue.reset()
    assert not fatigue.fatigued.any()


def test_muscles_tire_in_the_environment_where_asked_to() -> None:
    tired = gymnasium.make("robobrain/JoystickMuscle-v0", fatigue=True).unwrapped
    fresh = gymnasium.make("robobrain/JoystickMuscle-v0").unwrapped
    assert fresh.fatigue is None
    assert pickle.loads(pickle.dumps(tired)).fatigue is not None
    for env in (tired, fresh):
        env.reset(seed=1)
    snapshot = tired.snapshot()
    for _ in range(20):
        for env in (tired, fresh):
            env.step(np.ones(8, np.float32))
    expected = tired.fatigue.spec.compartments.fatigue_per_s * 0.2
    assert tired.fatigue.fatigued == pytest.approx(expected, rel=0.01)
    assert (tired.movement.excitation < fresh.movement.excitation).all()
    assert not np.array_equal(tired.body.joystick_mm(), fresh.body.joystick_mm())
    tired.reset()
    assert tired.fatigue.fatigued.all()  # the session's second trial
    tired.restore(snapshot)
    assert not tired.fatigue.fatigued.any()
    with pytest.raises(ConfigurationError, match="motors"):
        gymnasium.make("robobrain/JoystickTorque-v0", fatigue=True)
