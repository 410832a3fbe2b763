"""The closed loop: brain and body, joined once per exchange under the trial logic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robobrain.body import SpinalCord
from robobrain.bridge.branching import BranchingLink, OverlappingLink
from robobrain.bridge.messages import PhaseTimes as BrainTimes
from robobrain.bridge.messages import Port, Readings, Samples, Spikes
from robobrain.errors import ConfigurationError, RobobrainError
from robobrain.seeding import nest_seed
from robobrain.tasks.joystick.rig import (
    MUSCLES,
    FloatArray,
    Movement,
    Rig,
    RigState,
    fractions,
)
from robobrain.tasks.joystick.trial import TICK_MS, JoystickTask

if TYPE_CHECKING:
    from robobrain.body import BodyState, Forelimb
    from robobrain.bridge.link import BrainLink

SENSES: dict[str, tuple[int, Callable[[BodyState, BodyState], ArrayLike]]] = {
    "muscle_length": (8, lambda body, rest: body.muscle_strain),
    "muscle_velocity": (8, lambda body, rest: body.muscle_velocity_per_s),
    "muscle_force": (8, lambda body, rest: body.muscle_force),
    "joint_angle": (4, lambda body, rest: body.joint_angle_rad - rest.joint_angle_rad),
    "joint_velocity": (4, lambda body, rest: body.joint_velocity_rad_s),
    "joystick_position": (2, lambda body, rest: body.joystick_mm),
    "joystick_velocity": (2, lambda body, rest: body.joystick_velocity_mm_s),
    "touch": (1, lambda body, rest: [body.grip_force_mN]),
}
"""Input ports that the body serves: number of channels, and values from its state now and at rest."""

STIMULATION, MOTOR, REGION_RATE = "stimulation", "motor", "region_rate"

Exchange = Literal["lockstep", "overlapped"]
"""Whether brain and body take turns, or compute the same span of time at once."""
EXCHANGES: tuple[Exchange, ...] = get_args(Exchange)


@dataclass(kw_only=True, eq=False)
class Frame(Movement):
    """One exchange of the closed loop: what the brain was told and did, then what body and task did.

    Attributes:
        seq: Number of the exchange since the reset, which is 0.
        stimulation: Stimulation of the eight muscle columns of M1 during it (0..1).
        brain_input: What the brain was told at its beginning, in the order of its description.
        brain_output: What the brain gave back at its end; in an overlapped loop, of the exchange before.
        motor_rate_hz: Output of the eight muscle columns, which drove the body.
        region_rate_hz: Mean rate of each region; empty where the brain does not monitor it.
        spikes: Spikes since they were last handed out, None where there are none or they are not recorded.
        brain_times: Wall-clock time of the phases of the brain's answer.
        samples: Samples of monitors with a history since they were last handed out.
    """

    seq: int
    stimulation: FloatArray
    brain_input: NDArray[np.float32]
    brain_output: NDArray[np.float32]
    motor_rate_hz: FloatArray
    region_rate_hz: FloatArray
    spikes: Spikes | None
    brain_times: BrainTimes
    samples: tuple[Samples, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Instant:
    """What of an instant is not the brain's to keep."""

    rig: RigState
    spinal: FloatArray
    rest: BodyState
    last: Frame
    answer: Readings | None


class Loop:
    """A brain that moves a body in a task, and feels it.

    In one exchange the body's state at its beginning goes to the brain together with the stimulation; the
    brain runs; its motor rates drive spinal cord, muscles and trial through the same span of time
    (``lockstep``). Where the exchange is ``overlapped``, the brain is told and begins, and the motor rates of
    the exchange before drive the body through the same span: both compute at once, and the body follows one
    period later. A frame always has the brain's answer that drove its body; that of the last exchange is
    still on its way. Either way a seed decides everything.

    Args:
        brain: A started brain; it stays the caller's to close.
        body: The limb at the joystick; it stays the caller's to close.
        task: The trial logic.
        spinal: The stage between motor rates and excitations; the default one if not given.
        feels: Whether the brain is told how the body moves. Otherwise it is told of the resting body all the
            time: the loop is open, as a control.
        exchange: ``lockstep`` or ``overlapped``.

    Raises:
        ConfigurationError: The brain has an input that the loop doesn't serve, no ``motor`` output, or can't
            overlap; or there is no such exchange.
    """

    def __init__(
        self,
        brain: BrainLink,
        body: Forelimb,
        task: JoystickTask,
        *,
        spinal: SpinalCord | None = None,
        feels: bool = True,
        exchange: Exchange = "lockstep",
    ) -> None:
        self.brain, self.body, self.task, self.feels = brain, body, task, feels
        self.exchange = checked_exchange(exchange)
        self._overlapping: OverlappingLink | None = None
        if exchange == "overlapped":
            if not isinstance(brain, OverlappingLink):
                raise ConfigurationError(f"This brain ({type(brain).__name__}) does not overlap.")
            self._overlapping = brain
        self.spinal = SpinalCord() if spinal is None else spinal
        description = brain.description
        self._rig = Rig(body, task, description.exchange_ms)
        _check_inputs(description.inputs)
        _check_size("output", {MOTOR: MUSCLES}, description.outputs)
        self._senses = [
            (description.input_slice(port.name), port, SENSES[port.name][1])
            for port in description.inputs
            if port.name in SENSES
        ]
        inputs, outputs = (
            {port.name for port in description.inputs},
            {port.name for port in description.outputs},
        )
        self._stimulation = description.input_slice(STIMULATION) if STIMULATION in inputs else slice(0, 0)
        self._motor = description.output_slice(MOTOR)
        self._region_rate = description.output_slice(REGION_RATE) if REGION_RATE in outputs else slice(0, 0)
        self._last: Frame | None = None
        self._answer: Readings | None = None
        self._instants: dict[int, _Instant] = {}

    def reset(self, seed: int, *, trial: int | None = None) -> Frame:
        """Go back to the settled brain and the resting body; return the frame at time 0.

        Args:
            seed: Root of all random draws of task and brain.
            trial: Begin at once with this trial; otherwise the first one follows a pause.

        Raises:
            BrainFault: The brain is lost.
        """
        self._last = self._answer = None
        movement = self._rig.reset(seed, trial)
        self._rest = movement.body
        self.spinal.reset()
        readings = self.brain.reset(nest_seed(seed, "brain"))
        self._answer = readings if self._overlapping is not None else None
        told = np.zeros(self.brain.description.input_size, dtype=np.float32)
        return self._frame(movement, readings, told, np.zeros(MUSCLES), 0)

    def step(self, stimulation: ArrayLike) -> Frame:
        """Run one exchange under a stimulation [8] of the muscle columns; values beyond 0..1 are clipped.

        Raises:
            ConfigurationError: The stimulation is misshapen or not finite, or ``reset`` was not called.
            BrainFault: The brain is lost.
            BodyFault: The physics diverged.
        """
        channels = fractions(stimulation, "stimulation")
        if self._last is None:
            raise ConfigurationError("Call reset(seed) before the first step of a loop.")
        began = perf_counter()
        told = self._tell(self._last.body if self.feels else self._rest, channels)
        if self._overlapping is None:
            readings = self.brain.step(told)
        else:
            self._overlapping.begin_step(told)
            readings, self._answer = self._answer or self._overlapping.finish_step(), None
        waited_ms = 1000.0 * (perf_counter() - began)
        rate_hz = readings.outputs[self._motor].astype(np.float64)
        movement = self._rig.advance(lambda: self.spinal.excite(rate_hz, self.body.muscle_strain(), TICK_MS))
        run_ms = readings.times.run_ms
        times = movement.times._replace(
            brain_ms=run_ms,
            exchange_ms=max(waited_ms - run_ms, 0.0),
            overlap_ms=max(run_ms - waited_ms, 0.0),
        )
        return self._frame(replace(movement, times=times), readings, told, channels, self._last.seq + 1)

    def collect(self) -> Readings:
        """Return the last readings with the spikes and samples that no frame has.

        An overlapped loop waits for the answer that is on its way. No time passes in the brain.

        Raises:
            BrainFault: The brain is lost.
        """
        self._settle()
        rest, first = self.brain.collect_all(), self._answer
        if first is None:
            return rest
        self._answer = replace(first, spikes=None, samples=())
        spikes = first.spikes if rest.spikes is None else rest.spikes
        if first.spikes is not None and rest.spikes is not None:
            spikes = Spikes(
                t_ms=np.concatenate([first.spikes.t_ms, rest.spikes.t_ms]),
                sender=np.concatenate([first.spikes.sender, rest.spikes.sender]),
            )
        return replace(rest, spikes=spikes, samples=(*first.samples, *rest.samples))

    def snapshot(self) -> int:
        """Keep this instant of brain, body, spinal cord and task; return its number. The loop goes on.

        Raises:
            ConfigurationError: ``reset`` was not called, or the brain keeps no instants.
            SnapshotFault: There is no room for another copy of the brain; the loop goes on.
            BrainFault: The brain is lost.
        """
        if self._last is None:
            raise ConfigurationError("Call reset(seed) before the first snapshot of a loop.")
        self._settle()
        number = self._branching().snapshot()
        self._instants[number] = _Instant(
            rig=self._rig.get_state(),
            spinal=self.spinal.get_state(),
            rest=self._rest,
            last=self._last,
            answer=self._answer,
        )
        return number

    def restore(self, snapshot: int, seed: int | None = None, *, silence: Sequence[str] = ()) -> Frame:
        """Go on from a kept instant; return the frame at which it was taken.

        Args:
            snapshot: A number that ``snapshot()`` gave.
            seed: None to continue exactly; else the root of all random draws of task and brain from here on.
            silence: Populations, or regions as a whole, whose neurons fire no more from here on; ``PRE:POST``
                cuts the synapses between two of them (``*`` for all).

        Raises:
            ConfigurationError: There is no such instant.
            SnapshotFault: The instant is lost, or can't be copied now; the loop goes on as it was.
            BrainFault: The brain is lost.
        """
        brain = self._branching()
        with contextlib.suppress(RobobrainError):  # a lost episode has no answer, and needs none
            self._settle()
        brain.restore(snapshot, None if seed is None else nest_seed(seed, "brain"), silence=silence)
        instant = self._instants[snapshot]
        self._rig.set_state(instant.rig, seed)
        self.spinal.set_state(instant.spinal)
        self._rest, self._last, self._answer = instant.rest, instant.last, instant.answer
        return instant.last

    def drop(self, snapshot: int) -> None:
        """Forget a kept instant.

        Raises:
            ConfigurationError: There is no such instant.
        """
        self._instants.pop(snapshot, None)
        self._settle()
        self._branching().drop(snapshot)

    def _settle(self) -> None:
        """Wait for the answer that is on its way, if one is, and keep it for the next step."""
        if self._overlapping is not None and self._last is not None and self._answer is None:
            self._answer = self._overlapping.finish_step()

    def _branching(self) -> BranchingLink:
        if not isinstance(self.brain, BranchingLink):
            raise ConfigurationError(f"This brain ({type(self.brain).__name__}) keeps no snapshots.")
        return self.brain

    def _tell(self, body: BodyState, stimulation: FloatArray) -> NDArray[np.float32]:
        told = np.empty(self.brain.description.input_size, dtype=np.float32)
        for where, port, read in self._senses:
            told[where] = np.clip(read(body, self._rest), port.low, port.high)
        if self._stimulation.stop:
            told[self._stimulation] = stimulation
        return told

    def _frame(
        self,
        movement: Movement,
        readings: Readings,
        told: NDArray[np.float32],
        stimulation: FloatArray,
        seq: int,
    ) -> Frame:
        self._last = Frame(
            **vars(movement),
            seq=seq,
            stimulation=stimulation,
            brain_input=told,
            brain_output=readings.outputs,
            motor_rate_hz=readings.outputs[self._motor].astype(np.float64),
            region_rate_hz=readings.outputs[self._region_rate].astype(np.float64),
            spikes=readings.spikes,
            brain_times=readings.times,
            samples=readings.samples,
        )
        return self._last


def checked_exchange(exchange: str) -> Exchange:
    """Return ``exchange`` if it is a way to exchange.

    Raises:
        ConfigurationError: The message names the ways.
    """
    for known in EXCHANGES:
        if exchange == known:
            return known
    raise ConfigurationError(f"exchange is {exchange!r}; use one of {', '.join(EXCHANGES)}.")


def channel_names(ports: Sequence[Port]) -> tuple[str, ...]:
    """Return ``port/channel`` for each entry of a packed vector."""
    return tuple(f"{port.name}/{channel}" for port in ports for channel in port.channels)


def _check_inputs(ports: Sequence[Port]) -> None:
    served = {name: size for name, (size, _) in SENSES.items()} | {STIMULATION: MUSCLES}
    unknown = [port.name for port in ports if port.name not in served]
    if unknown:
        raise ConfigurationError(
            f"The brain asks for inputs that the loop does not serve: {', '.join(unknown)}. "
            f"The brain's inputs are {', '.join(port.name for port in ports)}; "
            f"the loop serves {', '.join(served)}."
        )
    asked = {port.name for port in ports}
    _check_size("input", {name: size for name, size in served.items() if name in asked}, ports)


def _check_size(kind: str, expected: dict[str, int], ports: Sequence[Port]) -> None:
    sizes = {port.name: port.size for port in ports}
    for name, size in expected.items():
        if sizes.get(name) != size:
            raise ConfigurationError(
                f"The loop needs the {kind} {name!r} with {size} channels; "
                f"the brain's {kind}s are {', '.join(f'{key}[{n}]' for key, n in sizes.items()) or 'none'}."
            )
