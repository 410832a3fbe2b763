from __future__ import annotations

import math

import numpy as np
import pytest

from robobrain.tasks.joystick.measures import Measures, measure
from robobrain.tasks.joystick.reward import reward_terms
from robobrain.tasks.joystick.specification import MeasureLines, RewardWeights, load_task
from robobrain.tasks.joystick.trial import Outcome, TrialResult

LINES = load_task("mathis2017").measures
WEIGHTS = RewardWeights(success=2.0, progress=0.5, effort=0.1, miss=0.25)


def test_a_straight_pull_has_the_closed_form() -> None:
    t_ms = np.arange(101.0)
    y = 0.1 * t_ms
    path = np.column_stack([0.2 * y, y])
    result = measure(path, LINES)
    assert result.peak_pull_mm == pytest.approx(10.0)
    assert result.peak_speed_mm_s == pytest.approx(100.0)
    assert result.duration_ms == pytest.approx(60.0)
    assert result.deviation_before_mm == pytest.approx(0.6)
    assert result.deviation_after_mm == pytest.approx(1.2)


def test_a_minimum_jerk_pull_has_the_closed_form() -> None:
    duration_ms, reach_mm = 200.0, 8.0
    s = np.arange(duration_ms + 1.0) / duration_ms
    y = reach_mm * (10 * s**3 - 15 * s**4 + 6 * s**5)
    result = measure(np.column_stack([np.sin(y), y]), LINES)
    assert result.peak_speed_mm_s == pytest.approx(1.875 * reach_mm / (duration_ms / 1000.0), rel=1e-3)
    assert result.deviation_before_mm == pytest.approx(math.sin(3.0), abs=1e-3)
    assert result.deviation_after_mm == pytest.approx(math.sin(6.0), abs=1e-3)


def test_only_the_last_way_out_counts() -> None:
    first = np.linspace(0.0, 3.5, 20)
    pull = np.concatenate([first, first[::-1], np.linspace(0.0, 9.0, 30), np.linspace(9.0, 0.0, 30)])
    lateral = np.concatenate([np.full(40, -5.0), np.full(60, 1.0)])
    result = measure(np.column_stack([lateral, pull]), LINES)
    assert result.deviation_before_mm == pytest.approx(1.0)
    assert result.duration_ms == pytest.approx(6.0 / (9.0 / 29.0))


def test_what_was_not_reached_is_nan() -> None:
    assert math.isnan(measure(np.empty((0, 2)), LINES).peak_pull_mm)
    assert math.isnan(measure(np.zeros((1, 2)), LINES).peak_speed_mm_s)
    short = measure(np.column_stack([np.zeros(10), np.linspace(0.0, 4.0, 10)]), LINES)
    assert short.peak_pull_mm == pytest.approx(4.0)
    assert short.deviation_before_mm == 0.0
    assert math.isnan(short.deviation_after_mm)
    assert math.isnan(short.duration_ms)


def test_a_path_that_begins_beyond_a_line_has_no_crossing_of_it() -> None:
    lines = MeasureLines(deviation_before_mm=3, deviation_after_mm=6, duration_from_mm=1, duration_to_mm=7)
    result = measure(np.column_stack([np.zeros(10), np.linspace(3.5, 8.0, 10)]), lines)
    assert math.isnan(result.deviation_before_mm)
    assert result.deviation_after_mm == 0.0


def result_with(outcome: Outcome) -> TrialResult:
    return TrialResult(
        trial=1,
        block="baseline",
        lateral_force_mN=0.0,
        catch=False,
        begin_ms=0.0,
        cue_ms=1.0,
        start_ms=math.nan,
        end_ms=2.0,
        outcome=outcome,
        reward=float(outcome is Outcome.REWARDED),
        measures=Measures(),
    )


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_reward_terms_are_weighted_and_named(outcome: Outcome | None) -> None:
    terms = reward_terms(
        WEIGHTS,
        gained_progress=0.4,
        mean_squared_excitation=0.25,
        duration_s=0.01,
        result=None if outcome is None else result_with(outcome),
    )
    assert terms["progress"] == pytest.approx(0.2)
    assert terms["effort"] == pytest.approx(-0.1 * 0.25 * 0.01)
    assert terms["success"] == (2.0 if outcome is Outcome.REWARDED else 0.0)
    assert terms["miss"] == (0.0 if outcome in (None, Outcome.REWARDED) else -0.25)


def test_a_new_trial_takes_no_progress_back() -> None:
    terms = reward_terms(
        WEIGHTS, gained_progress=-1.0, mean_squared_excitation=0.0, duration_s=0.01, result=None
    )
    assert terms["progress"] == 0.0
