from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robobrain.errors import ConfigurationError
from robobrain.seeding import generator
from robobrain.tasks.joystick.specification import Block, JoystickSpec, load_task
from robobrain.tasks.joystick.trial import JoystickTask, Outcome, Phase, TrialResult

QUICK = load_task()
DWELL = int(QUICK.home.dwell_ms)
REST = (0.0, 0.0)


def with_force(force_mN: float, catch_fraction: float = 0.0, spec: JoystickSpec = QUICK) -> JoystickSpec:
    block = Block(name="force", trials=5, lateral_force_mN=force_mN, catch_fraction=catch_fraction)
    return replace(spec, blocks=(block,))


def at_cue(spec: JoystickSpec = QUICK) -> JoystickTask:
    task = JoystickTask(spec)
    task.begin_trial()
    feed(task, [REST] * DWELL)
    assert task.phase is Phase.READY
    return task


def feed(task: JoystickTask, path: Iterable[tuple[float, float]]) -> list[float]:
    return [task.tick(np.array(position)) for position in path]


def names(task: JoystickTask) -> list[str]:
    return [event.name for event in task.take_events()]


def result(task: JoystickTask) -> TrialResult:
    finished = task.take_result()
    assert finished is not None
    return finished


def test_a_good_pull_is_rewarded_after_the_hold() -> None:
    task = at_cue()
    feed(task, [(0.0, y) for y in np.linspace(0.0, 8.0, 81)])
    assert task.phase is Phase.HOLDING
    feed(task, [(0.0, 8.0)] * 100)
    row = result(task)
    assert row.outcome is Outcome.REWARDED
    assert row.reward == 1.0
    assert row.attempted
    assert (row.begin_ms, row.cue_ms, row.start_ms) == (0.0, 200.0, 241.0)
    assert row.end_ms == row.start_ms + 30 + QUICK.target.dwell_ms
    assert row.measures.peak_pull_mm == 8.0
    assert task.phase is Phase.ITI
    assert names(task) == ["trial", "cue", "start", "target_in", "end", "reward"]
    assert task.take_events() == ()
    assert task.take_result() is None


def test_leaving_the_target_restarts_its_hold() -> None:
    task = at_cue()
    feed(task, [(0.0, 8.0)] * 40 + [(0.0, 6.0)] * 5 + [(0.0, 8.0)] * 40)
    assert task.phase is Phase.HOLDING
    assert names(task)[2:] == ["start", "target_in", "target_out", "target_in"]
    feed(task, [(0.0, 8.0)] * 11)
    assert result(task).outcome is Outcome.REWARDED


def test_an_overshoot_interrupts_the_hold_but_is_no_miss() -> None:
    task = at_cue()
    feed(task, [(0.0, 8.0)] * 40 + [(0.0, 10.5)] * 10)
    assert task.phase is Phase.MOVING
    feed(task, [(0.0, 9.0)] * 51)
    assert result(task).outcome is Outcome.REWARDED


def test_beside_the_target_is_missed() -> None:
    task = at_cue()
    feed(task, [(2.5, 6.9)])
    assert task.phase is Phase.MOVING
    feed(task, [(2.5, 7.0)])
    row = result(task)
    assert row.outcome is Outcome.MISSED
    assert row.reward == 0.0


def test_falling_back_ends_the_trial() -> None:
    task = at_cue()
    feed(task, [(0.0, 5.0), (0.0, 2.0)])
    assert task.phase is Phase.MOVING
    feed(task, [(0.0, 1.9)])
    assert result(task).outcome is Outcome.RETURNED


def test_time_ends_what_the_joystick_does_not() -> None:
    task = at_cue()
    feed(task, [(0.0, 5.0)] * 1001)
    row = result(task)
    assert row.outcome is Outcome.TIMEOUT
    assert row.end_ms - row.start_ms == QUICK.pull.move_timeout_ms

    task = at_cue()
    feed(task, [(0.0, 3.9)] * 1500)
    row = result(task)
    assert row.outcome is Outcome.NO_RESPONSE
    assert not row.attempted
    assert math.isnan(row.start_ms)
    assert row.measures.peak_pull_mm == 3.9

    task = JoystickTask(QUICK)
    task.begin_trial()
    feed(task, [(0.0, 8.0)] * 3000)
    row = result(task)
    assert row.outcome is Outcome.NO_HOME
    assert math.isnan(row.cue_ms)
    assert math.isnan(row.measures.peak_pull_mm)
    assert [outcome.is_timeout for outcome in Outcome] == [False, False, False, True, True, True]


def test_movement_before_the_cue_only_restarts_the_home_dwell() -> None:
    task = JoystickTask(QUICK)
    task.begin_trial()
    feed(task, [REST] * (DWELL - 1) + [(0.0, 9.0)] + [REST] * (DWELL - 1))
    assert task.phase is Phase.HOME
    feed(task, [REST])
    assert task.phase is Phase.READY
    assert names(task) == ["trial", "home_out", "cue"]


def test_the_force_acts_from_its_onset_to_the_end_of_the_trial() -> None:
    task = at_cue(with_force(20.0))
    forces = feed(task, [(0.0, 3.9), (0.0, 4.0), (0.0, 5.0), (0.0, 3.0), (0.0, 1.0), (0.0, 0.0)])
    assert forces == [0.0, 20.0, 20.0, 20.0, 0.0, 0.0]
    assert names(task)[2:] == ["start", "force_on", "force_off", "end"]
    assert result(task).lateral_force_mN == 20.0


def test_the_force_lasts_no_longer_than_its_longest_time() -> None:
    task = at_cue(with_force(-40.0))
    forces = feed(task, [(0.0, 5.0)] * 900)
    assert forces.count(-40.0) == QUICK.force_field.longest_ms
    assert set(forces[400:]) == {0.0}


def test_a_later_onset_waits_for_its_line() -> None:
    spec = with_force(20.0)
    task = at_cue(replace(spec, force_field=replace(spec.force_field, onset_mm=5.0)))
    assert feed(task, [(0.0, 4.5), (0.0, 5.0)]) == [0.0, 20.0]


def test_catch_trials_have_no_force() -> None:
    task = at_cue(with_force(20.0, catch_fraction=1.0))
    assert feed(task, [(0.0, 6.0), (0.0, 0.0)]) == [0.0, 0.0]
    row = result(task)
    assert row.catch
    assert row.lateral_force_mN == 0.0


def test_about_a_tenth_of_the_late_perturbation_trials_are_catch_trials() -> None:
    task = JoystickTask(load_task("mathis2017"))
    task.reset(generator(3, "task"))
    caught = []
    for trial in range(100, 176):
        task.begin_trial(trial)
        feed(task, [(0.0, 8.0)] * 10000)
        caught.append(result(task).catch)
    assert 2 <= sum(caught) <= 16


def test_trials_follow_each_other_after_the_pause() -> None:
    task = JoystickTask(QUICK)
    task.reset(generator(1, "task"))
    feed(task, [REST] * 700)
    assert task.trial == 1
    feed(task, [REST] * (DWELL + 1500))
    assert result(task).outcome is Outcome.NO_RESPONSE
    feed(task, [REST] * 700)
    assert task.trial == 2


def test_equal_seeds_give_equal_pauses() -> None:
    def begins(seed: int) -> list[float]:
        task = JoystickTask(QUICK)
        task.reset(generator(seed, "task"))
        feed(task, [REST] * 8000)
        return [event.t_ms for event in task.take_events() if event.name == "trial"]

    assert begins(1) == begins(1) != begins(2)


def test_a_running_trial_is_not_begun_again() -> None:
    task = JoystickTask(QUICK)
    task.begin_trial(7)
    assert task.trial == 7
    with pytest.raises(ConfigurationError, match="Trial 7 is running"):
        task.begin_trial()


def test_a_restored_state_continues_exactly() -> None:
    spec = load_task("mathis2017")
    walk = np.cumsum(generator(5, "walk").normal(0.0, 0.6, (20000, 2)), axis=0) % 9.0 - 1.0
    task = JoystickTask(spec)
    task.reset(generator(4, "task"))
    feed(task, map(tuple, walk[:9000]))
    task.take_events()
    state = task.get_state()
    first = feed(task, map(tuple, walk[9000:])), task.take_events(), task.t_ms, task.phase
    other = JoystickTask(spec)
    other.set_state(state)
    second = feed(other, map(tuple, walk[9000:])), other.take_events(), other.t_ms, other.phase
    assert first == second
    with pytest.raises(ConfigurationError, match="get_state"):
        task.set_state({})


def test_progress_is_the_closest_approach_since_the_cue() -> None:
    task = at_cue()
    assert task.progress == 0.0
    feed(task, [(0.0, 3.5), (0.0, 1.0)])
    assert task.progress == pytest.approx(0.5)
    feed(task, [(0.0, 8.0)])
    assert task.progress == 1.0


def test_a_row_is_flat() -> None:
    task = at_cue()
    feed(task, [(0.0, 9.0), (0.0, 0.0)])
    row = result(task).row()
    assert row["outcome"] == "returned"
    assert row["attempted"] is True
    assert all(isinstance(value, int | float | str) for value in row.values())
    assert {"trial", "block", "catch", "peak_pull_mm", "deviation_after_mm", "duration_ms"} <= set(row)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    jump_mm=st.floats(0.05, 3.0),
    force_mN=st.sampled_from([0.0, 20.0, -40.0]),
)
def test_any_movement_gives_one_result_per_trial_and_force_only_while_moving(
    seed: int, jump_mm: float, force_mN: float
) -> None:
    task = JoystickTask(with_force(force_mN))
    rng = generator(seed, "walk")
    task.reset(rng)
    position, trials, progress = np.zeros(2), [], 0.0
    for _ in range(4000):
        position = 0.98 * position + rng.normal(0.0, jump_mm, 2) * [0.3, 1.0]
        force = task.tick(position)
        assert force == 0.0 or (force == force_mN and task.phase in (Phase.MOVING, Phase.HOLDING))
        finished = task.take_result()
        assert (finished is not None) <= (task.phase is Phase.ITI)
        if finished is not None:
            trials.append(finished)
            assert finished.attempted is (finished.outcome not in (Outcome.NO_HOME, Outcome.NO_RESPONSE))
        progress = task.progress
        assert 0.0 <= progress <= 1.0
    assert [row.trial for row in trials] == list(range(1, len(trials) + 1))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), force_mN=st.sampled_from([0.0, 20.0]), piece=st.integers(1, 30))
def test_following_a_path_is_ticking_along_it(seed: int, force_mN: float, piece: int) -> None:
    spec = replace(with_force(force_mN), home=replace(QUICK.home, dwell_ms=20.0, timeout_ms=300.0))
    ticked, followed = JoystickTask(spec), JoystickTask(spec)
    for task in (ticked, followed):
        task.begin_trial()
    rng = np.random.default_rng(seed)
    # From line to line of the pull, at times beside the corridor or still for long.
    beside_mm, pull_mm = rng.choice([0, 0, 0, 1.9, -2.1], 12), rng.choice([0, 3, 5, 6.9, 8, 8, 10.2], 12)
    stops = np.column_stack([beside_mm, pull_mm])
    stops[:2] = 0.0
    moments = np.append(0, rng.choice([20, 60, 200], 11).cumsum())
    path = np.column_stack([np.interp(np.arange(moments[-1]), moments, stop) for stop in stops.T])
    taken = 0
    while taken < len(path):
        force_before, held = followed.lateral_force_mN, followed.follow(path[taken : taken + piece])
        forces = [ticked.tick(place) for place in path[taken : taken + held]]
        assert all(now == force_before for now in forces[:-1])
        assert forces[-1] == followed.lateral_force_mN
        taken += held
        assert (ticked.phase, ticked.progress) == (followed.phase, followed.progress)
    one, other = (repr({**vars(task.get_state()), "rng": None}) for task in (ticked, followed))
    assert one == other
