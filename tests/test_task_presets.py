"""The presets as a whole: the session of mathis2017 and its measures, centre-out, light and dark."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest

import robobrain  # noqa: F401 (registers the environments)
from robobrain.body import Forelimb
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator
from robobrain.tasks.joystick import JoystickTask, Outcome, TrialResult, load_task
from robobrain.tasks.joystick.adaptation import adaptation
from robobrain.tasks.joystick.protocol import load_protocol
from robobrain.tasks.joystick.rig import Rig
from robobrain.tasks.joystick.specification import JoystickSpec

REST_MS = 50


def reach(task: JoystickTask, towards_mm: tuple[float, float], bend_mm: float = 0.0) -> TrialResult:
    """Rest until the cue, move straight to a place in 100 ms, bent sideways, and stay there."""
    x, y = towards_mm
    for ms in range(4000):
        cue = task.phase.value not in ("iti", "home")
        part = 0.0
        if cue:
            started = ms if "started" not in locals() else started  # noqa: F821 (set in the line above)
            part = min((ms - started) / 100.0, 1.0)
        aside = bend_mm * part
        length = math.hypot(x, y)
        task.tick([part * x + aside * y / length, part * y - aside * x / length])
        result = task.take_result()
        if result is not None:
            return result
    raise AssertionError("The trial did not end.")


def test_the_session_of_2017_has_its_blocks_and_catch_trials() -> None:
    spec = load_task("mathis2017")
    assert spec.trials == 250
    names = [spec.block_of(trial).name for trial in range(1, 251)]
    assert names == ["baseline"] * 75 + ["perturbation"] * 100 + ["washout"] * 75
    forces = {trial: spec.block_of(trial).lateral_force_mN for trial in (1, 75, 76, 175, 176)}
    assert forces == {1: 0, 75: 0, 76: 20, 175: 20, 176: 0}
    task, caught = JoystickTask(spec), []
    for seed in range(20):
        task.reset(generator(seed, "task"))
        for trial in range(90, 181):
            task.begin_trial(trial)
            if task._state.catch:
                caught.append(trial)
            task.reset(task._state.rng)
    assert min(caught) >= 100
    assert max(caught) <= 175
    assert len(caught) / (20 * 76) == pytest.approx(0.1, abs=0.03)


def session(spec: JoystickSpec, bend: Any) -> list[dict[str, Any]]:
    """Play a session of synthetic reaches; ``bend`` gives each trial's deviation at the target, in mm."""
    task, rows = JoystickTask(replace(spec, home=replace(spec.home, dwell_ms=REST_MS))), []
    for trial in range(1, spec.trials + 1):
        task.reset(generator(trial, "task"))
        task.begin_trial(trial)
        rows.append(reach(task, (0.0, 8.0), bend(trial)).row())
    return rows


def test_measures_of_adaptation_have_their_closed_form() -> None:
    """A learner halves its error in ten trials, forgets as fast, and always errs 0.1 mm to the left."""

    def bend(trial: int) -> float:
        if trial <= 75:
            return 0.1
        if trial <= 175:
            return 0.1 + 0.8 * 0.5 ** ((trial - 76) / 10)
        return 0.1 - 0.6 * 0.5 ** ((trial - 176) / 10)

    spec = load_task("mathis2017")
    spec = replace(spec, blocks=tuple(replace(block, catch_fraction=0.0) for block in spec.blocks))
    found = adaptation(session(spec, bend))
    at_6_mm, at_3_mm = 6.0 / 8.0, 3.0 / 8.0
    early = at_6_mm * 0.8 * np.mean(0.5 ** (np.arange(5) / 10))
    late = at_6_mm * 0.8 * np.mean(0.5 ** (np.arange(94, 100) / 10))
    assert found.early_mm == pytest.approx(early, abs=1e-9)
    assert found.late_mm == pytest.approx(late, abs=1e-9)
    assert found.index == pytest.approx(1 - late / early)
    assert found.anticipation_mm == pytest.approx(late * at_3_mm / at_6_mm, abs=1e-9)
    assert found.after_effect_mm == pytest.approx(-at_6_mm * 0.6 * np.mean(0.5 ** (np.arange(5) / 10)))
    assert abs(found.washout_mm) < 0.02
    assert found.success == {"baseline": 1.0, "perturbation": 1.0, "washout": 1.0}


def test_catch_trials_and_a_force_to_the_right_do_not_mislead() -> None:
    spec = load_task("quick")
    rows = session(spec, lambda trial: -0.4 if 11 <= trial <= 20 else 0.0)
    for row in rows[10:20]:
        row["lateral_force_mN"] = -20.0
    rows[14] |= {"lateral_force_mN": 0.0, "catch": True, "deviation_after_mm": 9.0}
    found = adaptation(rows)
    assert found.early_mm == pytest.approx(0.3)
    assert found.index == pytest.approx(0.0)


def test_adaptation_needs_a_whole_session() -> None:
    with pytest.raises(ConfigurationError, match="mathis2017"):
        adaptation(session(load_task("quick"), lambda trial: 0.0)[:15])


@pytest.mark.parametrize(("force_mN", "shift_mm"), [(20, 1.0), (40, 1.85), (-20, -1.2), (-40, -2.6)])
def test_the_field_of_a_trial_shifts_the_pull_as_specified(force_mN: float, shift_mm: float) -> None:
    """With the learning off, a pull at 70 % drive is shifted by 1.0 to 1.2 mm per 20 mN."""
    spec = load_task("mathis2017")
    ends = []
    for force in (0.0, force_mN):
        block = replace(spec.blocks[0], lateral_force_mN=force)
        wide = replace(spec.target, half_width_mm=5.0, near_mm=6.0, dwell_ms=300.0)
        lasting = replace(spec.force_field, longest_ms=2000.0)
        patient = replace(spec, blocks=(block,), target=wide, force_field=lasting)
        rig = Rig(Forelimb(), JoystickTask(patient), 10.0)
        movement = rig.reset(seed=1, trial=1)
        while movement.trial is None:
            pulls = movement.phase.value != "home"
            movement = rig.hold(np.maximum(0.02, 0.7 * load_protocol().amplitude * pulls))
        assert movement.trial.outcome is Outcome.REWARDED
        ends.append(movement.joystick_mm[-1 - int(movement.t_ms - movement.trial.end_ms), 0])
    assert ends[1] - ends[0] == pytest.approx(shift_mm, rel=0.1)


@pytest.mark.parametrize("direction_deg", [0, 90, 180, 270])
def test_centre_out_turns_the_whole_task(direction_deg: float) -> None:
    spec = load_task("centre_out")
    spec = replace(spec, blocks=(replace(spec.blocks[0], directions_deg=(direction_deg,)),))
    task = JoystickTask(spec)
    task.begin_trial(1)
    angle = math.radians(direction_deg)
    assert task.target_mm == pytest.approx((4.5 * math.sin(angle), 4.5 * math.cos(angle)))
    result = reach(task, task.target_mm, bend_mm=0.3)
    assert result.outcome is Outcome.REWARDED
    assert result.direction_deg == direction_deg
    assert result.measures.peak_pull_mm == pytest.approx(4.5)
    assert result.measures.deviation_after_mm == pytest.approx(0.3 * 3.0 / 4.5)
    task.reset(generator(1, "task"))
    task.begin_trial(1)
    away = reach(task, (-task.target_mm[0], -task.target_mm[1]))
    assert away.outcome is Outcome.NO_RESPONSE


def test_centre_out_draws_all_directions_and_shows_the_target() -> None:
    env: Any = gymnasium.make("robobrain/JoystickMuscle-v0", task="centre_out").unwrapped
    where = [env.observation_names.index(f"target/{axis}") for axis in ("lateral", "pull")]
    seen = set()
    for trial in range(30):
        observation, _ = env.reset(seed=1 if trial == 0 else None)
        assert observation[where] == pytest.approx(env.task.target_mm, abs=1e-6)
        seen.add(env.task.direction_deg)
    assert seen == {0, 90, 180, 270}


def test_in_the_dark_only_the_limb_is_felt() -> None:
    dark: Any = gymnasium.make(
        "robobrain/JoystickMuscle-v0", task=replace(load_task(), light=False)
    ).unwrapped
    groups = {name.split("/")[0] for name in dark.observation_names}
    assert groups == {
        "joint_angle", "joint_velocity", "muscle_length", "muscle_velocity", "muscle_force",
        "muscle_activation", "phase",
    }  # fmt: skip
    assert dark.reset(seed=1)[0].shape == dark.observation_space.shape
