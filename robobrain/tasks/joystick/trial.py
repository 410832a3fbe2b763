"""The trial logic of the joystick pull: a state machine in ticks of 1 ms, as the rig samples at 1 kHz.

A trial goes through these phases, and each trial gives exactly one result::

    iti ──▶ home ──▶ ready ──▶ moving ◀──▶ holding ──▶ iti
             │dwell    │cue      │start line   │target
             ▼         ▼         ▼             ▼
           no_home  no_response  missed,     rewarded
                                 returned,
                                 timeout

What counts as an attempt: crossing the start line after the cue. What the limb does before the cue only
restarts the home dwell, so a limb that never rests ends as ``no_home``, and a limb that never pulls as
``no_response``. After the start, the pull is ``missed`` when it leaves the corridor beside the target,
``returned`` when it falls back, and a ``timeout`` when it neither holds the target nor comes back. An
overshoot beyond the target's far edge is no miss; it interrupts the hold.
"""

from __future__ import annotations

import copy
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError
from robobrain.seeding import generator
from robobrain.tasks.joystick.measures import measure
from robobrain.tasks.joystick.result import Event, Outcome, Phase, TrialResult
from robobrain.tasks.joystick.specification import JoystickSpec

__all__ = ["TICK_MS", "Event", "JoystickTask", "Outcome", "Phase", "TrialResult"]

TICK_MS = 1.0
"""Time between two ticks: the rig averages its samples to 1 kHz."""


_ITI, _HOME, _READY, _MOVING, _HOLDING = Phase
"""The phases again: looked up in every tick, they are found faster here than in their class."""


@dataclass
class _State:
    """Everything that changes; copied as a whole by ``get_state``."""

    rng: np.random.Generator
    t_ms: float = 0.0
    phase: Phase = Phase.ITI
    pause_until_ms: float = 0.0
    trial: int = 0
    catch: bool = False
    trial_force_mN: float = 0.0
    direction_deg: float = 0.0
    along: tuple[float, float] = (0.0, 1.0)
    target_mm: tuple[float, float] = (0.0, 0.0)
    force_mN: float = 0.0
    dwell_ms: float = 0.0
    progress: float = 0.0
    begin_ms: float = math.nan
    cue_ms: float = math.nan
    start_ms: float = math.nan
    force_on_ms: float = math.nan
    path_mm: array[float] = field(default_factory=lambda: array("d"))  # lateral and pull in turn
    events: list[Event] = field(default_factory=list)
    result: TrialResult | None = None


class JoystickTask:
    """Trials of joystick pulls under a lateral force field.

    A new task is in the state of ``reset(generator(0, "task"))``. Trials follow one another by themselves,
    each after the inter-trial pause; ``begin_trial`` cuts the pause short.
    """

    def __init__(self, spec: JoystickSpec) -> None:
        self.spec = spec
        self.reset(generator(0, "task"))

    def reset(self, rng: np.random.Generator) -> None:
        """Go back to the pause before the first trial; ``rng`` draws pauses and catch trials from here on."""
        self._state = _State(rng=rng, target_mm=self.spec.target.centre_mm())
        self._pause()

    def begin_trial(self, trial: int | None = None) -> None:
        """Begin a trial now: the next one, or the one with the number ``trial``.

        Raises:
            ConfigurationError: A trial is running, or the number is below 1.
        """
        state = self._state
        if state.phase is not _ITI:
            raise ConfigurationError(
                f"Trial {state.trial} is running ({state.phase}); begin the next after its end."
            )
        number = state.trial + 1 if trial is None else trial
        block = self.spec.block_of(number)
        state.trial, state.begin_ms = number, state.t_ms
        state.catch = bool(state.rng.random() < block.catch_fraction)
        state.trial_force_mN = 0.0 if state.catch else block.lateral_force_mN
        state.direction_deg = _drawn(block.directions_deg, state.rng)
        state.along = _unit(state.direction_deg)
        state.target_mm = self.spec.target.centre_mm(state.direction_deg)
        state.cue_ms = state.start_ms = state.force_on_ms = math.nan
        state.dwell_ms = state.progress = 0.0
        state.path_mm = array("d")
        state.phase = _HOME
        detail = {"direction_deg": state.direction_deg} if len(block.directions_deg) > 1 else {}
        self._note("trial", trial=number, block=block.name, lateral_force_mN=state.trial_force_mN, **detail)

    def tick(self, joystick_mm: Sequence[float] | NDArray[np.float64]) -> float:
        """Take the joystick's position (lateral, pull) after 1 ms more; return the force for the next ms."""
        return self._tick(float(joystick_mm[0]), float(joystick_mm[1]))

    def _tick(self, x: float, y: float) -> float:
        state = self._state
        state.t_ms += TICK_MS
        if state.direction_deg != 0.0:
            x, y = self._turned(x, y)
        phase = state.phase
        if phase is _ITI:
            if state.t_ms >= state.pause_until_ms:
                self.begin_trial()
        elif phase is _HOME:
            self._home(x, y)
        else:
            inside = self._track(x, y)
            if phase is not _READY or self._ready(y):
                self._move(x, y, inside)
        return state.force_mN

    def follow(self, path_mm: NDArray[np.float64]) -> int:
        """Tick along a path [ms, 2] while the force stays as it is; return how many ms were taken.

        The position at which the force changes is the last one taken.
        """
        force_mN = self._state.force_mN
        xs, ys = path_mm.T.tolist()
        if self._stays(xs, ys) or self._keeps_on(path_mm, xs, ys):
            return len(path_mm)
        for taken, (x, y) in enumerate(zip(xs, ys, strict=True), start=1):
            if self._tick(x, y) != force_mN:
                return taken
        return len(path_mm)

    def take_events(self) -> tuple[Event, ...]:
        """Return the events since the last call."""
        events = self._state.events
        if not events:
            return ()
        self._state.events = []
        return tuple(events)

    def take_result(self) -> TrialResult | None:
        """Return the result of the trial that ended since the last call, if one did."""
        result, self._state.result = self._state.result, None
        return result

    def get_state(self) -> object:
        """Return a copy of the whole state, random draws included, for ``set_state``."""
        return copy.deepcopy(self._state)

    def set_state(self, state: object) -> None:
        """Continue exactly from a state of ``get_state`` (of a task with the same specification)."""
        if not isinstance(state, _State):
            raise ConfigurationError("The state must come from get_state of a joystick task.")
        self._state = copy.deepcopy(state)

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw pauses and catch trials from ``rng`` from here on."""
        self._state.rng = rng

    @property
    def t_ms(self) -> float:
        """Time since the reset."""
        return self._state.t_ms

    @property
    def phase(self) -> Phase:
        """Current part of the trial."""
        return self._state.phase

    @property
    def trial(self) -> int:
        """Number of the current trial, or in a pause of the last one (0 before the first)."""
        return self._state.trial

    @property
    def lateral_force_mN(self) -> float:  # noqa: N802
        """Force on the joystick for the next ms, positive toward the animal's left."""
        return self._state.force_mN

    @property
    def force_may_change(self) -> bool:
        """Whether a path could switch the force on or off: not within a trial without force."""
        return self._state.phase is _ITI or self._state.trial_force_mN != 0.0

    @property
    def direction_deg(self) -> float:
        """Direction of the current movement, 0 for a pull; in a pause that of the last trial."""
        return self._state.direction_deg

    @property
    def target_mm(self) -> tuple[float, float]:
        """Lateral and pull position of the current target's centre; in a pause that of the last trial."""
        return self._state.target_mm

    @property
    def progress(self) -> float:
        """Closest approach to the target since the cue, kept until the next trial: 0 from rest, 1 inside."""
        return self._state.progress

    def _turned(self, x: float, y: float) -> tuple[float, float]:
        """Return a position across and along the trial's direction."""
        across, along = self._state.along
        return x * along - y * across, x * across + y * along

    def _home(self, x: float, y: float) -> None:
        state, home = self._state, self.spec.home
        inside = math.hypot(x, y) <= home.radius_mm
        if inside:
            state.dwell_ms += TICK_MS
        elif state.dwell_ms > 0.0:
            state.dwell_ms = 0.0
            self._note("home_out")
        if inside and state.dwell_ms >= home.dwell_ms:
            state.cue_ms, state.phase = state.t_ms, _READY
            self._note("cue")
            self._track(x, y)
        elif state.t_ms - state.begin_ms >= home.timeout_ms:
            self._end(Outcome.NO_HOME)

    def _stays(self, xs: Sequence[float], ys: Sequence[float]) -> bool:
        """Take a whole path before the cue at once if it stays in home, or outside: nothing happens then."""
        state, home, length_ms = self._state, self.spec.home, len(xs) * TICK_MS
        if state.phase is not _HOME or state.t_ms + length_ms - state.begin_ms >= home.timeout_ms:
            return False
        if state.direction_deg != 0.0:
            xs, ys = zip(*map(self._turned, xs, ys), strict=True)
        distances_mm = [*map(math.hypot, xs, ys)]
        if max(distances_mm) <= home.radius_mm:
            if state.dwell_ms + length_ms >= home.dwell_ms:
                return False
            state.dwell_ms += length_ms
        elif state.dwell_ms > 0.0 or min(distances_mm) <= home.radius_mm:
            return False
        state.t_ms += length_ms
        return True

    def _keeps_on(self, path_mm: NDArray[np.float64], xs: list[float], ys: list[float]) -> bool:
        """Take a whole path of a pull at once if it stays between the phase's lines: nothing happens then."""
        state, target = self._state, self.spec.target
        if state.direction_deg != 0.0 or state.phase in (_ITI, _HOME):
            return False
        nearest_mm, farthest_mm, due_ms = self._bounds()
        length_ms = len(xs) * TICK_MS
        highest_mm = max(ys)
        if state.t_ms + length_ms >= due_ms or min(ys) < nearest_mm or highest_mm >= farthest_mm:
            return False
        if max(xs) <= target.half_width_mm and min(xs) >= -target.half_width_mm:
            distance_mm = max(target.near_mm - highest_mm, 0.0)
        elif state.phase is _HOLDING:
            return False
        else:
            distance_mm = min(map(target.distance_mm, xs, ys))
        state.t_ms += length_ms
        state.path_mm.frombytes(path_mm.tobytes())
        state.progress = max(state.progress, 1.0 - distance_mm / target.near_mm)
        if state.phase is _HOLDING:
            state.dwell_ms += length_ms
        return True

    def _bounds(self) -> tuple[float, float, float]:
        """Return the pull positions between which nothing happens in this phase, and until when at most."""
        state, pull, target = self._state, self.spec.pull, self.spec.target
        if state.phase is _READY:
            return -math.inf, pull.start_mm, state.cue_ms + pull.response_timeout_ms
        due_ms = state.start_ms + pull.move_timeout_ms
        nearest_mm, farthest_mm = pull.return_mm, target.near_mm
        if state.phase is _HOLDING:
            nearest_mm, farthest_mm = target.near_mm, target.far_mm
            due_ms = min(due_ms, state.t_ms + target.dwell_ms - state.dwell_ms)
        if state.trial_force_mN != 0.0:
            if math.isnan(state.force_on_ms):
                farthest_mm = min(farthest_mm, self.spec.force_field.onset_mm)
            else:
                due_ms = min(due_ms, state.force_on_ms + self.spec.force_field.longest_ms)
        return nearest_mm, farthest_mm, due_ms

    def _track(self, x: float, y: float) -> bool:
        """Note a position; say whether it is in the target."""
        state, target = self._state, self.spec.target
        state.path_mm.extend((x, y))
        distance_mm = target.distance_mm(x, y)
        progress = 1.0 - distance_mm / target.near_mm
        state.progress = max(state.progress, progress)
        return distance_mm == 0.0

    def _ready(self, y: float) -> bool:
        """Look for the start of the movement; say whether this is it."""
        state, pull = self._state, self.spec.pull
        if y >= pull.start_mm:
            state.start_ms, state.phase = state.t_ms, _MOVING
            state.dwell_ms = 0.0
            self._note("start")
            return True
        if state.t_ms - state.cue_ms >= pull.response_timeout_ms:
            self._end(Outcome.NO_RESPONSE)
        return False

    def _move(self, x: float, y: float, inside: bool) -> None:
        if self._state.trial_force_mN != 0.0:
            self._switch_force(y)
        self._hold(inside)
        outcome = self._outcome(x, y)
        if outcome is not None:
            self._end(outcome)

    def _switch_force(self, y: float) -> None:
        state, force_field = self._state, self.spec.force_field
        if math.isnan(state.force_on_ms):
            if y >= force_field.onset_mm:
                state.force_on_ms, state.force_mN = state.t_ms, state.trial_force_mN
                self._note("force_on", lateral_force_mN=state.force_mN)
        elif state.t_ms - state.force_on_ms >= force_field.longest_ms:
            self._force_off()

    def _force_off(self) -> None:
        if self._state.force_mN != 0.0:
            self._state.force_mN = 0.0
            self._note("force_off")

    def _hold(self, inside: bool) -> None:
        state = self._state
        if inside is (state.phase is _HOLDING):
            state.dwell_ms += TICK_MS if inside else 0.0
        else:
            state.phase = _HOLDING if inside else _MOVING
            state.dwell_ms = 0.0
            self._note("target_in" if inside else "target_out")

    def _outcome(self, x: float, y: float) -> Outcome | None:
        state, pull, target = self._state, self.spec.pull, self.spec.target
        if state.phase is _HOLDING and state.dwell_ms >= target.dwell_ms:
            return Outcome.REWARDED
        if y >= target.near_mm and abs(x) > target.half_width_mm:
            return Outcome.MISSED
        if y < pull.return_mm:
            return Outcome.RETURNED
        if state.t_ms - state.start_ms >= pull.move_timeout_ms:
            return Outcome.TIMEOUT
        return None

    def _end(self, outcome: Outcome) -> None:
        state = self._state
        self._force_off()
        path = np.frombuffer(state.path_mm).reshape(-1, 2)
        state.result = TrialResult(
            trial=state.trial,
            block=self.spec.block_of(state.trial).name,
            lateral_force_mN=state.trial_force_mN,
            catch=state.catch,
            direction_deg=state.direction_deg,
            begin_ms=state.begin_ms,
            cue_ms=state.cue_ms,
            start_ms=state.start_ms,
            end_ms=state.t_ms,
            outcome=outcome,
            reward=float(outcome is Outcome.REWARDED),
            measures=measure(path, self.spec.measures, TICK_MS),
        )
        self._note("end", trial=state.trial, outcome=outcome.value)
        if outcome is Outcome.REWARDED:
            self._note("reward")
        self._pause()

    def _pause(self) -> None:
        state, pause = self._state, self.spec.inter_trial
        state.phase = _ITI
        state.pause_until_ms = state.t_ms + pause.duration_ms + pause.jitter_ms * state.rng.uniform(-1.0, 1.0)

    def _note(self, name: str, **detail: Any) -> None:
        self._state.events.append(Event(t_ms=self._state.t_ms, name=name, detail=detail))


def _drawn(directions_deg: Sequence[float], rng: np.random.Generator) -> float:
    """Return one of the directions; a single one takes no draw."""
    if len(directions_deg) == 1:
        return directions_deg[0]
    return directions_deg[int(rng.integers(len(directions_deg)))]


def _unit(direction_deg: float) -> tuple[float, float]:
    """Return the lateral and the pull part of a step of 1 in a direction."""
    angle = math.radians(direction_deg)
    return math.sin(angle), math.cos(angle)
