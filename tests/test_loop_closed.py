"""The whole loop: real brain, real body."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml

from robobrain import Loop
from robobrain.body import BodyState, Forelimb, SpinalCord
from robobrain.brain.config import local_brain
from robobrain.bridge.link import LocalBrain
from robobrain.tasks.joystick import (
    Frame,
    JoystickTask,
    SessionSummary,
    load_protocol,
    load_task,
    run_session,
)
from robobrain.tasks.joystick.loop import SENSES

pytestmark = pytest.mark.slow
SEED = 1


@pytest.fixture(scope="module")
def brain() -> Iterator[LocalBrain]:
    with local_brain("tiny", threads=1, record_spikes=True) as link:
        yield link


def session(
    brain: LocalBrain, protocol: str, *, trials: int, seed: int
) -> tuple[SessionSummary, list[Frame]]:
    frames: list[Frame] = []
    loop = Loop(brain, Forelimb(), JoystickTask(load_task()))
    summary = run_session(
        loop,
        load_protocol(protocol),
        trials=trials,
        seed=seed,
        on_frame=lambda frame, _: frames.append(frame),
    )
    return summary, frames


def spikes(frames: list[Frame]) -> np.ndarray:
    return np.concatenate(
        [(frame.spikes.t_ms, frame.spikes.sender) for frame in frames if frame.spikes], axis=1
    )


def joystick(frames: list[Frame]) -> np.ndarray:
    return np.concatenate([frame.joystick_mm for frame in frames])


def test_stimulation_pulls_and_its_absence_does_not(brain: LocalBrain) -> None:
    stimulated, frames = session(brain, "pull", trials=8, seed=SEED)
    pulls = [frame.trial.measures.peak_pull_mm for frame in frames if frame.trial is not None]
    assert sum(pull >= 7.0 for pull in pulls) > 4
    assert stimulated.successes > 4
    resting, frames = session(brain, "none", trials=3, seed=SEED)
    assert resting.attempts == 0
    assert joystick(frames)[:, 1].max() < 7.0


def test_a_session_repeats_bit_for_bit_with_its_seed(brain: LocalBrain) -> None:
    first, again = (session(brain, "pull", trials=2, seed=SEED)[1] for _ in range(2))
    assert np.array_equal(joystick(first), joystick(again))
    assert np.array_equal(spikes(first), spikes(again))
    other = session(brain, "pull", trials=2, seed=SEED + 1)[1]
    shared = min(spikes(first).shape[1], spikes(other).shape[1])
    assert not np.array_equal(spikes(first)[:, :shared], spikes(other)[:, :shared])
    assert not np.array_equal(joystick(first)[:1000], joystick(other)[:1000])


STILL_FOR, MOVED_FOR, SEEDS = 60, 60, 8


def passive_counts(brain: LocalBrain, populations: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hold a passive limb still for 600 ms, then move it to and fro for 600 ms, with several seeds.

    Returns:
        Spikes of each population while still, in two halves [halves, populations], and while moved.
    """
    still, moved = np.zeros((2, len(populations))), np.zeros(len(populations))
    members = {p.name: p for p in brain.description.populations}
    for seed in range(SEEDS):
        body = Forelimb()
        rest = body.state()
        readings = [brain.reset(seed)]
        for exchange in range(STILL_FOR + MOVED_FOR):
            if exchange >= STILL_FOR:
                phase = (exchange - STILL_FOR) / MOVED_FOR
                body.clamp([0.0, 6.0 * np.sin(3 * np.pi * phase) ** 2])
                body.advance(np.full(8, 0.02), 10.0)
            readings.append(brain.step(told(brain, body, rest)))
        chunks = [r.spikes for r in readings if r.spikes is not None] + [brain.collect()]
        t_ms = np.concatenate([chunk.t_ms for chunk in chunks if chunk is not None])
        sender = np.concatenate([chunk.sender for chunk in chunks if chunk is not None])
        for column, name in enumerate(populations):
            population = members[name]
            mine = (sender >= population.first_id) & (sender < population.first_id + population.size)
            third = np.histogram(t_ms[mine], bins=[0, 300, 600, 1200])[0]
            still[:, column] += third[:2]
            moved[column] += third[2]
    return still, moved


def told(brain: LocalBrain, body: Forelimb, rest: BodyState) -> np.ndarray:
    """Return what the brain is told of a body that is not stimulated."""
    inputs = np.zeros(brain.description.input_size)
    for port in brain.description.inputs:
        if port.name in SENSES:
            felt = SENSES[port.name][1](body.state(), rest)
            inputs[brain.description.input_slice(port.name)] = np.clip(felt, port.low, port.high)
    return inputs


def test_passive_movement_reaches_thalamus_and_s1_and_stillness_does_not(brain: LocalBrain) -> None:
    still, moved = passive_counts(brain, ["VM_EZ_TC", "S1_L5B_Pyr"])
    before = still.sum(axis=0)
    # Halves of a steady state differ by chance alone: four standard deviations of a Poisson difference.
    assert np.all(np.abs(still[0] - still[1]) < 4.0 * np.sqrt(before))
    assert np.all(moved - before > 3.0 * np.sqrt(moved + before)), (still, moved)


def test_a_silenced_motor_cortex_leaves_the_drive_at_its_floor(tmp_path: Path) -> None:
    """M1 is silenced as light would: by a current that holds all its neurons below threshold."""
    default = files("robobrain.brain") / "data" / "interfaces.yaml"
    wiring = yaml.safe_load(default.read_text(encoding="utf-8"))
    wiring["inputs"] = [port for port in wiring["inputs"] if port["name"] == "stimulation"]
    light = {
        "name": "inhibition",
        "unit": "1",
        "description": "inhibiting light on M1",
        "channels": ["light"],
        "low": 0.0,
        "high": 1.0,
        "encoder": {"current": {"gain_pA_per_unit": -1e5, "max_pA": 1e5}},
        "targets": [{"region": "M1"}],
        "provenance": {"assumed": "strong enough to silence every neuron"},
    }
    wiring["inputs"].append(light)
    file = tmp_path / "silence.yaml"
    file.write_text(yaml.safe_dump(wiring), encoding="utf-8")
    spinal, floor = SpinalCord(), np.full(8, SpinalCord().spec.pools.tone)
    with local_brain("tiny", threads=1, interfaces=file) as link:
        motor = link.description.output_slice("motor")
        inputs = np.ones(link.description.input_size)

        def drive(light_on: float) -> np.ndarray:
            spinal.reset()
            link.reset(SEED)
            inputs[link.description.input_slice("inhibition")] = light_on
            rates = [link.step(inputs).outputs[motor].astype(float) for _ in range(60)][-1]
            return np.array([spinal.excite(rates, np.zeros(8), 1.0) for _ in range(10)][-1])

        assert drive(0.0).max() > 0.5
        assert np.allclose(drive(1.0), floor)
