"""What recording costs is measured on brains that record some of their episodes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from robobrain.brain.config import kernel_config
from robobrain.brain.kernel import kernel_command
from robobrain.brain.quiet import QUIET
from robobrain.bridge.link import LocalBrain
from robobrain.bridge.messages import Readings
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.recording_benchmark import measure_recording

pytest.importorskip("nest")


def sometimes_quiet(neurons: str, brain: str = "tiny", **options: Any) -> LocalBrain:
    config = kernel_config(brain, threads=1, record_spikes=True, neurons=neurons, **options)
    return LocalBrain(kernel_command(asdict(config), model="robobrain.brain.quiet:SometimesQuietBrain"))


def test_a_quiet_episode_has_the_same_course_and_no_spikes() -> None:
    with sometimes_quiet("packed") as brain:
        stimulus = np.full(brain.description.input_size, 0.5)
        courses, spikes = [], []
        for seed in (5, QUIET + 5, 5):
            brain.reset(seed)
            courses.append([brain.step(stimulus).outputs for _ in range(20)])
            collected = brain.collect()
            spikes.append(0 if collected is None else collected.t_ms.size)
    np.testing.assert_array_equal(courses[0], courses[1])
    np.testing.assert_array_equal(courses[0], courses[2])
    assert spikes[0] == spikes[2] > 500
    assert spikes[1] == 0


@pytest.mark.parametrize(
    ("neurons", "brain", "options", "said"),
    [
        ("nest", "tiny", {}, "only packed neurons"),
        ("packed", "tiny-conductance", {}, "only packed neurons"),
        ("packed", "tiny", {"resets": "reinitialisation"}, "reset by copies"),
    ],
)
def test_what_can_not_be_quiet_is_refused(
    neurons: str, brain: str, options: dict[str, str], said: str
) -> None:
    with (
        sometimes_quiet(neurons, brain, **options) as link,
        pytest.raises(ConfigurationError, match=said),
    ):
        link.reset(QUIET)


def test_each_episode_is_recorded_on_either_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    resets: list[tuple[int, bool]] = []
    reset = LocalBrain.reset

    def noted(brain: LocalBrain, seed: int) -> Readings:
        resets.append((brain.kernel_pid, seed >= QUIET))
        return reset(brain, seed)

    monkeypatch.setattr(LocalBrain, "reset", noted)
    cost = measure_recording("tiny", threads=1, seconds=0.6, seed=3, episodes=2)
    one, other = dict.fromkeys(pid for pid, _ in resets)
    assert resets == 2 * [(one, True), (other, False), (other, True), (one, False)]
    assert cost.spikes_per_s > 1_000
    assert cost.bytes_per_hour > 1e6
    assert -0.9 < cost.added.mean < 9.0
    assert 0.0 < cost.in_loop.mean < 1.0
    assert cost.writer.mean > 0.0
