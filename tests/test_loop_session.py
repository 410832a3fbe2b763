from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop_doubles import RelayBrain, description, port

from robobrain import Loop
from robobrain.body import Forelimb
from robobrain.bridge.messages import History, Readings, Samples
from robobrain.errors import BrainFault, ConfigurationError
from robobrain.recording import create
from robobrain.recording import open as open_run
from robobrain.tasks.joystick import JoystickTask, SessionSummary, load_protocol, load_task, run_session
from robobrain.tasks.joystick.loop import Frame
from robobrain.tasks.joystick.streams import streams

NONE, PULL = load_protocol("none"), load_protocol("pull")


def loop_of(brain: RelayBrain | None = None) -> Loop:
    return Loop(brain or RelayBrain(), Forelimb(), JoystickTask(load_task()))


class LosingBrain(RelayBrain):
    def step(self, inputs: Any) -> Any:
        if len(self.told) >= 30:
            raise BrainFault("the brain's process ended")
        return super().step(inputs)


def test_a_session_records_every_stream(tmp_path: Path) -> None:
    frames: list[Frame] = []
    writer = create(tmp_path / "run", {"seed": 1})
    loop = loop_of()
    summary = run_session(
        loop, PULL, trials=3, seed=1, writer=writer, on_frame=lambda frame, _: frames.append(frame)
    )
    assert (summary.status, summary.trials, summary.successes) == ("complete", 3, 3)
    run = open_run(tmp_path / "run")
    assert run.status == "complete"

    t_ms, joystick = run.array("joystick_mm")
    assert np.array_equal(t_ms, np.arange(1.0, summary.model_ms + 1.0))
    assert np.array_equal(joystick, np.concatenate([frame.joystick_mm for frame in frames]))
    assert np.array_equal(run.array("paw_mm")[0], t_ms)
    assert np.array_equal(run.array("lateral_force_mN")[0], t_ms)
    end_ms = np.array([frame.t_ms for frame in frames])
    for name, expected in {
        "excitation": [frame.excitation for frame in frames],
        "activation": [frame.body.muscle_activation for frame in frames],
        "motor_rate_hz": [frame.motor_rate_hz for frame in frames],
        "stimulation": [frame.stimulation for frame in frames],
        "region_rate_hz": [frame.region_rate_hz for frame in frames],
        "muscle_length": [frame.body.muscle_strain for frame in frames],
        "muscle_velocity_per_s": [frame.body.muscle_velocity_per_s for frame in frames],
        "muscle_force": [frame.body.muscle_force for frame in frames],
        "joint_angle_rad": [frame.body.joint_angle_rad for frame in frames],
        "body_state": [frame.body.physics for frame in frames],
        "reward": [list(frame.reward_terms.values()) for frame in frames],
        "brain_input": [frame.brain_input for frame in frames],
    }.items():
        times, values = run.array(name)
        assert np.array_equal(times, end_ms), name
        assert np.array_equal(values, np.array(expected)), name
    assert run.array("phase_time_ms")[1].shape == (len(frames), 4)
    assert run.streams["brain_input"].columns[-1] == "stimulation/Humerus4"
    assert np.array_equal(run.spikes()[0], end_ms - 1.0)
    assert [trial["outcome"] for trial in run.trials] == ["rewarded"] * 3
    assert run.trials[1]["trial"] == 2
    assert len(run.events) == sum(len(frame.events) for frame in frames)


def test_brain_and_body_go_on_between_trials() -> None:
    brain, ends = RelayBrain(), []
    loop = loop_of(brain)

    def watch(frame: Frame, so_far: SessionSummary) -> None:
        if frame.trial is not None:
            ends.append((frame.body.joystick_mm[1], so_far.trials, so_far.last_trial))

    summary = run_session(loop, PULL, trials=2, seed=1, on_frame=watch)
    assert brain.seeds == [brain.seeds[0]]
    assert ends[0][0] > 5.0
    assert [count for _, count, _ in ends] == [1, 2]
    assert summary.last_trial is ends[1][2]
    assert summary.attempts == 2
    assert not brain.closed


def test_without_stimulation_nothing_is_attempted() -> None:
    summary = run_session(loop_of(), NONE, trials=2, seed=1)
    assert (summary.trials, summary.attempts, summary.successes) == (2, 0, 0)


def test_equal_seeds_give_equal_sessions() -> None:
    def path(seed: int) -> np.ndarray:
        frames: list[Frame] = []
        run_session(loop_of(), PULL, trials=2, seed=seed, on_frame=lambda frame, _: frames.append(frame))
        return np.concatenate([frame.joystick_mm for frame in frames])

    first = path(1)
    assert np.array_equal(first, path(1))
    assert not np.array_equal(first[:2000], path(2)[:2000])


def test_the_summary_adds_up() -> None:
    summary = run_session(loop_of(), PULL, trials=1, seed=1)
    assert sum(summary.shares.values()) == pytest.approx(1.0)
    assert set(summary.shares) == {"brain", "body", "exchange", "task", "overlap", "rest"}
    assert summary.real_time_factor == summary.wall_ms / summary.model_ms > 0.0
    assert SessionSummary().real_time_factor == 0.0
    assert sum(SessionSummary().shares.values()) == 0.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_term_keep_what_was_recorded(tmp_path: Path, number: signal.Signals) -> None:
    def interrupt(frame: Frame, _: SessionSummary) -> None:
        if frame.t_ms == 1500.0:
            signal.raise_signal(number)

    writer = create(tmp_path / "run", {})
    summary = run_session(loop_of(), PULL, trials=50, seed=1, writer=writer, on_frame=interrupt)
    assert (summary.status, summary.trials) == ("interrupted", 1)
    run = open_run(tmp_path / "run")
    assert run.status == "interrupted"
    assert run.array("joystick_mm")[0][-1] == 1500.0
    assert run.array("excitation")[0][-1] == 1500.0
    assert len(run.trials) == 1


def test_a_lost_brain_fails_the_run_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    writer = create(tmp_path / "run", {})
    with pytest.raises(BrainFault, match="process ended"):
        run_session(loop_of(LosingBrain()), PULL, trials=5, seed=1, writer=writer)
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert run.array("joystick_mm")[0][-1] == 300.0


def test_a_session_needs_a_trial() -> None:
    with pytest.raises(ConfigurationError, match="at least one trial"):
        run_session(loop_of(), PULL, trials=0, seed=1)


class SampledBrain(RelayBrain):
    """A relay whose monitors hand out potentials every fifth exchange, and the rest when it is asked."""

    def __init__(self, **changes: Any) -> None:
        potentials = History(name="cells", unit="mV", columns=("1", "4"), interval_ms=10.0)
        super().__init__(histories=(potentials,), **changes)
        self._handed = 0

    def step(self, inputs: Any) -> Readings:
        readings = super().step(inputs)
        return replace(readings, samples=self._samples()) if self._seq % 5 == 0 else readings

    def collect_all(self) -> Readings:
        return replace(super().collect_all(), samples=self._samples())

    def _samples(self) -> tuple[Samples, ...]:
        t_ms = 10.0 * np.arange(self._handed + 1, self._seq + 1)
        self._handed = self._seq
        return (Samples(monitor="cells", t_ms=t_ms, values=np.stack([-t_ms, t_ms / 3], axis=1)),)


def test_what_monitors_sample_is_recorded_to_the_last_exchange(tmp_path: Path) -> None:
    summary = run_session(
        loop_of(SampledBrain()), PULL, trials=1, seed=1, writer=create(tmp_path / "run", {})
    )
    run = open_run(tmp_path / "run")
    assert (run.streams["cells"].unit, run.streams["cells"].columns) == ("mV", ("1", "4"))
    t_ms, values = run.array("cells")
    assert np.array_equal(t_ms, np.arange(10.0, summary.model_ms + 1.0, 10.0))
    assert np.array_equal(values, np.stack([-t_ms, t_ms / 3], axis=1))


@pytest.mark.parametrize("kind", ["histories", "outputs"])
def test_a_monitor_can_not_take_the_name_of_a_stream(kind: str) -> None:
    taken = {
        "histories": (History(name="paw_mm", unit="mV", columns=("1",)),),
        "outputs": (*description().outputs, port("paw_mm", ("a",), "1", 1.0)),
    }
    with pytest.raises(ConfigurationError, match="records paw_mm already; rename the monitor"):
        streams(description(**{kind: taken[kind]}))
