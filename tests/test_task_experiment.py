"""Experiments with their controls: equal seeds and budget, and a table with intervals."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from loop_doubles import RelayBrain
from rich.console import Console
from typer.testing import CliRunner

from robobrain import Loop, recording
from robobrain.body import Forelimb, SpinalCord
from robobrain.cli.app import app
from robobrain.cli.experiment import condition_table
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_task
from robobrain.tasks.joystick.experiment import (
    CONDITIONS,
    MEASURES,
    ExperimentPlan,
    Session,
    conditions,
    estimate,
)
from robobrain.tasks.joystick.relay import Relay


def sessions(condition: str, rewarded: list[float]) -> list[Session]:
    rest = dict.fromkeys(MEASURES, math.nan)
    return [
        Session(condition=condition, seed=seed, means=rest | {"rewarded": value})
        for seed, value in enumerate(rewarded)
    ]


def test_estimates_are_means_with_intervals_and_paired_differences() -> None:
    intact, lesion = [0.2, 0.6, 0.4, 0.8], [0.1, 0.5, 0.3, 0.7]
    table = estimate([*sessions("intact", intact), *sessions("lesion", lesion)], rng_seed=1)
    rows = {(row.condition, row.measure): row for row in table}
    own = rows["intact", "rewarded"]
    assert (own.sessions, own.mean, own.difference) == (4, pytest.approx(0.5), 0.0)
    assert min(intact) < own.low < 0.5 < own.high < max(intact)
    # Under each seed the lesion costs a tenth: the difference is certain although the means are not.
    apart = rows["lesion", "rewarded"]
    assert (apart.difference, apart.difference_low, apart.difference_high) == pytest.approx((-0.1,) * 3)
    assert apart.high - apart.low > 0.3
    never = rows["lesion", "peak_pull_mm"]
    assert never.sessions == 0
    assert math.isnan(never.mean)


def test_the_table_of_conditions_fits_80_columns() -> None:
    """Also with numbers as wide as they get: no word of it is broken or cut."""
    means = {"rewarded": 1.0, "attempted": 1.0, "peak_pull_mm": 12.3, "deviation_after_mm": -3.4}
    all_or_nothing = [
        Session(condition=name, seed=seed, means=dict.fromkeys(MEASURES, math.nan) | {
            measure: value * (seed % 2) for measure, value in means.items()
        })
        for name in ("intact", "open_loop") for seed in range(4)
    ]  # fmt: skip
    never = [
        Session(condition="lesion", seed=seed, means=dict.fromkeys(MEASURES, math.nan)) for seed in (0, 1)
    ]
    estimates = estimate([*all_or_nothing, *never], rng_seed=1)
    shown = Console(width=80, file=io.StringIO(), color_system=None)
    shown.print(condition_table(estimates, "brain tiny: mean [95 % interval]"))
    lines = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "…" not in "".join(lines)
    heading = next(line for line in lines if "rewarded" in line)
    assert "".join(heading.split()) == "rewardedattemptedpeakpulldeviationrewarded−"
    units = next(line for line in lines if line.strip().startswith("condition"))
    assert units.split()[1:] == ["(%)", "(%)", "(mm)", "(mm,", "+left)", "intact", "(%)"]
    first = lines.index(next(line for line in lines if "open loop" in line))
    assert lines[first].split() == ["open", "loop", "50", "50", "6.2", "-1.7", "+0"]
    assert lines[first + 1].count("[") == lines[first + 1].count("]") == 5
    assert next(line for line in lines if "lesion" in line).split() == ["lesion", *"–––––"]


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(3).normal(5.0, 1.0, 200).tolist()
    (row,) = [row for row in estimate(sessions("intact", values), rng_seed=1) if row.measure == "rewarded"]
    standard_error = np.std(values, ddof=1) / math.sqrt(200)
    assert row.high - row.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def test_the_relay_drives_each_pool_by_its_stimulation() -> None:
    spinal = SpinalCord()
    relay = Relay(spinal.spec.pools, 10.0)
    assert not relay.reset(5).outputs.any()
    stimulation = np.array([0, 0, 0.4, 0, 0, 1, 0.5, 0])
    readings = relay.step(stimulation)
    assert (readings.seq, readings.t_ms) == (1, 10.0)
    drive = (readings.outputs - spinal.spec.pools.baseline_hz) / spinal.spec.pools.span_hz
    assert drive.clip(0, 1) == pytest.approx(stimulation, abs=1e-6)
    with pytest.raises(ConfigurationError):
        relay.step(np.full(8, np.nan))


def test_an_open_loop_tells_the_brain_of_a_body_at_rest() -> None:
    told = {}
    for feels in (True, False):
        brain = RelayBrain()
        loop = Loop(brain, Forelimb(), JoystickTask(load_task()), feels=feels)
        loop.reset(1)
        for _ in range(20):
            loop.step([0, 0, 0.4, 0, 0, 1, 0.5, 0])
        senses = brain.description.input_slice("stimulation").start
        told[feels] = np.array(brain.told)
        assert told[feels][:, senses:].any()
    assert np.ptp(told[True][:, :senses], axis=0).max() > 0.1
    assert not np.ptp(told[False][:, :senses], axis=0).any()


@pytest.mark.parametrize(
    ("values", "words"),
    [({"conditions": ("sham",)}, "intact"), ({"seeds": (1,)}, "two different"), ({"trials": 0}, "trial")],
)
def test_plans_that_compare_nothing_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ExperimentPlan(out=Path("runs/none"), **values)  # type: ignore[arg-type]


def test_each_control_changes_one_thing() -> None:
    every = conditions("BG")
    assert tuple(every) == CONDITIONS
    assert every["lesion"].alterations.lesion == ("BG",)
    assert every["shuffled"].alterations.shuffle
    changed = [
        not one.feels or not one.has_brain or bool(one.alterations.described) for one in every.values()
    ]
    assert changed == [False, True, True, True, True]


def test_unknown_lesions_are_found_before_anything_runs(tmp_path: Path) -> None:
    problem = CliRunner().invoke(app, ["experiment", "--lesion", "V9", "--out", str(tmp_path / "none")])
    assert isinstance(problem.exception, ConfigurationError)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_one_command_leaves_sessions_table_and_figure(tmp_path: Path) -> None:
    out = tmp_path / "results"
    chosen = ["intact", "open_loop", "no_brain"]
    arguments = [word for name in chosen for word in ("--condition", name)]
    done = CliRunner().invoke(
        app,
        ["experiment", "--trials", "1", "--sessions", "2", "--threads", "1", "--out", str(out), *arguments],
    )
    assert done.exit_code == 0, done.output
    with (out / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["condition"] for row in table] == [name for name in chosen for _ in MEASURES]
    assert all(row["sessions"] == "2" for row in table if row["measure"] == "peak_pull_mm")
    pulled = {row["condition"]: float(row["mean"]) for row in table if row["measure"] == "peak_pull_mm"}
    assert pulled["no_brain"] > 7.0
    assert (out / "experiment.png").stat().st_size > 5000
    intact, deaf = (recording.open(out / name / "seed2") for name in ("intact", "open_loop"))
    assert intact.status == deaf.status == "complete"
    assert deaf.manifest["condition"]["feels"] is False
    senses = [
        number
        for number, name in enumerate(deaf.streams["brain_input"].columns)
        if not name.startswith("stimulation/")
    ]
    assert np.ptp(intact.array("brain_input")[1][:, senses], axis=0).max() > 0.1
    assert not np.ptp(deaf.array("brain_input")[1][:, senses], axis=0).any()
