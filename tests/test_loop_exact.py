"""Brain and body of the whole loop, bit for bit, with one, two and four threads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from robobrain import Loop
from robobrain.body import Forelimb
from robobrain.brain.config import local_brain
from robobrain.seeding import generator
from robobrain.tasks.joystick import Frame, JoystickTask, load_protocol, load_task
from robobrain.tasks.joystick.protocol import Stimulator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 2, 4], ids=["1 thread", "2 threads", "4 threads"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    with local_brain("tiny", threads=request.param, record_spikes=True) as brain:
        yield Loop(brain, Forelimb(), JoystickTask(load_task()))


def proof(loop: Loop, frames: list[Frame]) -> tuple[str, str]:
    """Return digests of all spikes, those not handed out yet included, and of the body's whole course."""
    spikes, body = hashlib.sha256(), hashlib.sha256(loop.body.get_state().tobytes())
    for chunk in [*(frame.spikes for frame in frames), loop.brain.collect()]:
        if chunk is not None:
            spikes.update(chunk.t_ms.tobytes() + chunk.sender.tobytes())
    for frame in frames:
        spikes.update(frame.brain_input.tobytes() + frame.brain_output.tobytes())
        body.update(frame.joystick_mm.tobytes() + frame.paw_mm.tobytes() + frame.excitation.tobytes())
    return spikes.hexdigest(), body.hexdigest()


def episode(loop: Loop, seed: int, steps: int = 60) -> tuple[str, str]:
    """Run an episode from the first cue's pause on, with a pull in it."""
    pull = load_protocol("pull").amplitude
    frames = [loop.reset(seed, trial=1)]
    for step in range(steps):
        frames.append(loop.step(pull * (step > steps // 3)))
    return proof(loop, frames)


def into_a_movement(loop: Loop, seed: int) -> None:
    """Run the default session until the limb pulls the joystick."""
    stimulator = Stimulator(
        load_protocol(), loop.brain.description.exchange_ms, generator(seed, "stimulation")
    )
    frame = loop.reset(seed)
    while frame.phase.value != "moving":
        assert frame.t_ms < 5_000.0
        frame = loop.step(stimulator.next(frame))


def continued(loop: Loop, scale: float = 1.0, steps: int = 12) -> tuple[str, str]:
    pull = load_protocol("pull").amplitude
    return proof(loop, [loop.step(scale * pull * (step % 5 > 1)) for step in range(steps)])


def test_episodes_with_one_seed_are_equal_whatever_ran_in_between(loop: Loop) -> None:
    first = episode(loop, 7)
    assert episode(loop, 7) == first
    other = episode(loop, 8)
    assert other[0] != first[0]
    assert other[1] != first[1]
    instant = loop.snapshot()
    loop.restore(instant, seed=3, silence=["M1"])
    continued(loop)
    assert episode(loop, 7) == first
    loop.restore(instant)
    assert episode(loop, 8) == other
    loop.drop(instant)
    assert episode(loop, 7) == first


def test_twenty_continuations_of_a_movement_are_equal(loop: Loop) -> None:
    into_a_movement(loop, 1)
    instant, before = loop.snapshot(), loop.body.get_state()
    expected = continued(loop)
    for _ in range(20):
        frame = loop.restore(instant)
        assert frame.phase.value == "moving"
        assert np.array_equal(loop.body.get_state(), before)
        assert continued(loop) == expected
    loop.restore(instant)
    assert np.array_equal(loop.body.get_state(), before)
    assert all(one != same for one, same in zip(continued(loop, scale=0.3), expected, strict=True))
    loop.drop(instant)
