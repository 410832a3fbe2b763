from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from loop_doubles import GAIN_HZ, INPUTS, RelayBrain, port

from robobrain import Loop
from robobrain.body import Forelimb, SpinalCord
from robobrain.body.specification import MUSCLE_NAMES
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.loop import EXCHANGES, SENSES, Exchange, Frame, channel_names
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.rig import Rig
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask, Phase

PULL = load_protocol("pull").amplitude


@pytest.fixture(scope="module")
def body() -> Iterator[Forelimb]:
    limb = Forelimb()
    yield limb
    limb.close()


def loop_of(body: Forelimb, **changes: Any) -> tuple[Loop, RelayBrain]:
    brain = RelayBrain(**changes)
    return Loop(brain, body, JoystickTask(load_task())), brain


def test_an_exchange_goes_from_body_to_brain_to_body(body: Forelimb) -> None:
    loop, brain = loop_of(body)
    before = loop.reset(seed=1)
    frame = loop.step(PULL)
    told = brain.told[0]
    assert np.array_equal(told, frame.brain_input)
    where = brain.description.input_slice
    assert np.array_equal(told[where("stimulation")], PULL.astype(np.float32))
    assert not told[where("muscle_length")].any()
    assert not told[where("joint_angle")].any()
    assert told[where("touch")] == pytest.approx(before.body.grip_force_mN)
    assert np.allclose(frame.motor_rate_hz, GAIN_HZ * PULL)
    assert np.array_equal(frame.brain_output[brain.description.output_slice("motor")], frame.motor_rate_hz)
    assert frame.body.joystick_mm[1] > 0.3

    following = loop.step(PULL)
    assert np.allclose(following.brain_input[where("muscle_length")], frame.body.muscle_strain)
    moved = frame.body.joint_angle_rad - before.body.joint_angle_rad
    assert np.allclose(following.brain_input[where("joint_angle")], moved, atol=1e-6)
    assert (following.seq, following.t_ms) == (2, 20.0)


def test_an_overlapped_body_follows_the_brain_one_period_later(body: Forelimb) -> None:
    brain = RelayBrain()
    loop = Loop(brain, body, JoystickTask(load_task()), exchange="overlapped")
    loop.reset(seed=1)
    frames = [loop.step(PULL), loop.step(0 * PULL), loop.step(0 * PULL)]
    rates_hz = [np.zeros(8), np.float64(np.float32(GAIN_HZ * PULL)), np.zeros(8)]

    cord, limb = SpinalCord(), Forelimb()
    for number, (frame, rate_hz) in enumerate(zip(frames, rates_hz, strict=True), start=1):
        assert (frame.seq, frame.t_ms) == (number, 10.0 * number)
        assert np.array_equal(frame.motor_rate_hz, rate_hz)
        assert np.array_equal(frame.brain_input, brain.told[number - 1])
        told = frame.brain_input[brain.description.input_slice("muscle_length")]
        assert np.array_equal(told, np.clip(np.float32(limb.muscle_strain()), -1.0, 1.0))
        for ms in range(10):
            excitation = cord.excite(rate_hz, limb.muscle_strain(), 1.0)
            limb.advance(excitation, 1.0)
            assert np.array_equal(frame.joystick_mm[ms], limb.joystick_mm())
        assert np.array_equal(frame.excitation, excitation)
    assert frames[1].body.joystick_mm[1] > frames[0].body.joystick_mm[1] + 0.3


def test_spikes_of_the_answer_on_its_way_are_collected_once(body: Forelimb) -> None:
    loop = Loop(RelayBrain(), body, JoystickTask(load_task()), exchange="overlapped")
    loop.reset(seed=1)
    frames = [loop.step(PULL) for _ in range(3)]
    assert [frame.spikes is None or frame.spikes.t_ms.tolist() for frame in frames] == [True, [9.0], [19.0]]
    rest = loop.collect().spikes
    assert rest is not None
    assert rest.t_ms.tolist() == [29.0]
    assert loop.collect().spikes is None
    assert loop.step(PULL).spikes is None


def test_the_brain_computes_while_an_overlapped_body_moves(
    body: Forelimb, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    brain = RelayBrain()
    for name in ("begin_step", "finish_step"):
        call = getattr(brain, name)
        monkeypatch.setattr(
            brain, name, lambda *told, name=name, call=call: order.append(name) or call(*told)
        )
    loop = Loop(brain, body, JoystickTask(load_task()), exchange="overlapped")
    advance = Rig.advance
    monkeypatch.setattr(Rig, "advance", lambda *told: order.append("body") or advance(*told))
    loop.reset(seed=1)
    loop.step(PULL)
    assert order == ["begin_step", "body"]
    loop.step(PULL)
    assert order[2:] == ["begin_step", "finish_step", "body"]


def test_what_can_not_overlap_is_refused(body: Forelimb) -> None:
    class Plain:
        description = RelayBrain().description
        reset = step = collect = close = None

    with pytest.raises(ConfigurationError, match=r"Plain.* does not overlap"):
        Loop(Plain(), body, JoystickTask(load_task()), exchange="overlapped")
    with pytest.raises(ConfigurationError, match="use one of lockstep, overlapped"):
        Loop(RelayBrain(), body, JoystickTask(load_task()), exchange="async")


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_times_of_an_exchange_add_up(body: Forelimb, exchange: Exchange) -> None:
    """The brain says that it ran for a second, which nobody waited for."""
    brain = RelayBrain(run_ms=1000.0)
    loop = Loop(brain, body, JoystickTask(load_task()), exchange=exchange)
    loop.reset(seed=1)
    loop.step(PULL)
    began = perf_counter()
    times = loop.step(PULL).times
    passed_ms = 1e3 * (perf_counter() - began)
    assert times.brain_ms == 1000.0
    assert 0.0 < times.body_ms + times.task_ms <= times.whole_ms <= passed_ms
    assert times.overlap_ms > 900.0


def test_the_spinal_cord_drives_each_ms(body: Forelimb) -> None:
    loop, _ = loop_of(body)
    loop.reset(seed=1)
    frame = loop.step(PULL)

    cord, limb = SpinalCord(), Forelimb()
    for ms in range(10):
        excitation = cord.excite(np.float32(GAIN_HZ * PULL), limb.muscle_strain(), 1.0)
        limb.advance(excitation, 1.0)
        assert np.array_equal(frame.joystick_mm[ms], limb.joystick_mm())
        assert np.array_equal(frame.paw_mm[ms], limb.paw_mm())
    assert np.array_equal(frame.excitation, excitation)
    assert np.array_equal(frame.body.muscle_activation, limb.state().muscle_activation)


def test_rig_and_loop_share_their_ticks(body: Forelimb) -> None:
    loop, _ = loop_of(body)
    loop.reset(seed=1, trial=11)
    frames = [loop.step(PULL if i > 25 else np.zeros(8)) for i in range(40)]
    excitations = iter([frame.excitation for frame in frames])

    rig = Rig(Forelimb(), JoystickTask(load_task()), 10.0)
    rig.reset(seed=1, trial=11)
    for frame, excitation in zip(frames[:20], excitations, strict=False):
        movement = rig.advance(lambda excitation=excitation: excitation)
        assert (movement.phase, movement.t_ms) == (frame.phase, frame.t_ms)
    assert Phase.MOVING in {frame.phase for frame in frames}
    assert max(frame.lateral_force_mN.max() for frame in frames) == 20.0


def test_equal_seeds_give_equal_frames(body: Forelimb) -> None:
    def run(seed: int) -> tuple[list[Frame], RelayBrain]:
        loop, brain = loop_of(body)
        loop.reset(seed=seed)
        return [loop.step(PULL) for _ in range(80)], brain

    first, brain = run(3)
    second, again = run(3)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.joystick_mm, b.joystick_mm)
        assert np.array_equal(a.brain_input, b.brain_input)
        assert a.events == b.events
    assert brain.seeds == again.seeds
    assert run(4)[1].seeds != brain.seeds


def test_frames_own_their_arrays(body: Forelimb) -> None:
    loop, _ = loop_of(body)
    loop.reset(seed=1)
    first = loop.step(PULL)
    kept = {
        item.name: np.copy(getattr(first, item.name)) for item in fields(first) if _is_array(first, item.name)
    }
    assert len(kept) >= 8
    for _ in range(5):
        loop.step(PULL)
    for name, value in kept.items():
        assert np.array_equal(getattr(first, name), value), name


def _is_array(frame: Frame, name: str) -> bool:
    return isinstance(getattr(frame, name), np.ndarray)


def test_inputs_are_clipped_to_the_range_of_their_port(body: Forelimb) -> None:
    loop, brain = loop_of(body)
    loop.reset(seed=1)
    for _ in range(30):
        frame = loop.step(PULL)
    assert frame.body.joystick_mm[1] > 5.0
    assert frame.brain_input[brain.description.input_slice("joystick_position")][1] == 5.0


def test_ports_the_brain_lacks_are_skipped(body: Forelimb) -> None:
    loop, brain = loop_of(
        body,
        inputs=(port("touch", ("grip",), "mN", 1000.0),),
        outputs=(port("motor", MUSCLE_NAMES, "Hz", 250.0),),
    )
    loop.reset(seed=1)
    frame = loop.step(PULL)
    assert brain.told[0].shape == (1,)
    assert frame.region_rate_hz.shape == (0,)


def test_an_unknown_input_is_refused_with_both_lists(body: Forelimb) -> None:
    smell = port("smell", ("left", "right"), "1", 1.0)
    with pytest.raises(
        ConfigurationError, match=r"does not serve: smell\. .*touch, smell; .*muscle_velocity"
    ):
        loop_of(body, inputs=(port("touch", ("grip",), "mN", 1.0), smell))


def test_wrong_sizes_and_a_missing_motor_output_are_refused(body: Forelimb) -> None:
    with pytest.raises(
        ConfigurationError, match=r"input 'muscle_length' with 8 channels; .*muscle_length\[3\]"
    ):
        loop_of(body, inputs=(port("muscle_length", ("a", "b", "c"), "1", 1.0),))
    with pytest.raises(ConfigurationError, match=r"output 'motor' with 8 channels; .*region_rate\[1\]"):
        loop_of(body, outputs=(port("region_rate", ("M1",), "Hz", 1.0),))


@pytest.mark.parametrize("stimulation", [np.full(8, np.nan), np.zeros(7), "pull", [np.inf] * 8])
def test_unusable_stimulation_is_refused_and_nothing_is_sent(body: Forelimb, stimulation: Any) -> None:
    loop, brain = loop_of(body)
    loop.reset(seed=1)
    with pytest.raises(ConfigurationError, match="stimulation"):
        loop.step(stimulation)
    assert brain.told == []


def test_stimulation_is_clipped(body: Forelimb) -> None:
    loop, _ = loop_of(body)
    loop.reset(seed=1)
    assert np.array_equal(loop.step(np.full(8, 3.0)).stimulation, np.ones(8))


def test_a_loop_is_reset_first(body: Forelimb) -> None:
    loop, _ = loop_of(body)
    with pytest.raises(ConfigurationError, match="reset"):
        loop.step(PULL)


def test_the_served_ports_fit_the_body(body: Forelimb) -> None:
    body.reset()
    state = body.state()
    for name, (size, read) in SENSES.items():
        assert np.shape(read(state, state)) == (size,), name
    ports = tuple(port(name, *entry) for name, entry in INPUTS.items())
    assert channel_names(ports)[0] == "muscle_length/Foot1"


def test_a_train_follows_the_cue_with_delay_and_ramp(body: Forelimb) -> None:
    loop, brain = loop_of(body)
    protocol = load_protocol("pull")
    stimulator = Stimulator(protocol, 10.0, np.random.default_rng(1))
    frame = loop.reset(seed=1, trial=1)
    course = []
    for _ in range(70):
        course.append(stimulator.next(frame))
        frame = loop.step(course[-1])
    on = np.flatnonzero(np.any(course, axis=1))
    cue_ms = load_task().home.dwell_ms
    assert on[0] * 10.0 == cue_ms + protocol.delay_ms
    assert len(on) * 10.0 == protocol.duration_ms
    full = course[on[-1]]
    assert np.allclose(course[on[0]], 0.25 * full)
    assert np.allclose(course[on[1]], 0.75 * full)
    assert np.allclose(full, protocol.amplitude, atol=0.3)
    assert not np.array_equal(full, protocol.amplitude)
    assert brain.told[on[0]][brain.description.input_slice("stimulation")].any()
