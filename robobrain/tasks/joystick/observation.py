"""What an environment observes: named entries with units and bounds, read from a movement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from robobrain.body import BodyState, ForelimbSpec
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES
from robobrain.bridge.messages import Port
from robobrain.tasks.joystick.loop import Frame
from robobrain.tasks.joystick.rig import FloatArray, Movement
from robobrain.tasks.joystick.specification import JoystickSpec
from robobrain.tasks.joystick.trial import Phase

JOINT_MARGIN_RAD = 0.2
"""How far an observed angle may lie beyond the joint's range: MuJoCo's limits are soft."""

STRETCH_MARGIN_MM = 5.0
"""How far paw and joystick may be observed beyond the stick's travel."""

SEEN = ("joystick", "joystick_velocity", "paw", "target")
"""Groups that need light."""

_PHASES = dict(zip(Phase, np.eye(len(Phase)), strict=True))


Read = Callable[[Movement], FloatArray]


class Observable(NamedTuple):
    """A group of observation entries with one unit and one meaning.

    Attributes:
        name: Name of the group; entries are called ``name/channel``.
        channels: Names of its entries.
        unit: Unit of its entries.
        low: Lower bound, one for all or one per entry.
        high: Upper bound, likewise.
        meaning: One line for people.
        read: Name of the part of the body's state that it is, or how it is read from a movement.
    """

    name: str
    channels: tuple[str, ...]
    unit: str
    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    meaning: str
    read: str | Read


class ObservationTable:
    """Observables in their order, as a space, as vectors and as a table."""

    def __init__(self, observables: Sequence[Observable]) -> None:
        self.observables = tuple(observables)
        self.names = tuple(f"{item.name}/{channel}" for item in observables for channel in item.channels)
        self.units = tuple(item.unit for item in observables for _ in item.channels)
        low, high = self._bounds("low"), self._bounds("high")
        self.space = Box(low, high, dtype=np.float32)
        self._low, self._high = low, high
        ends = np.cumsum([len(item.channels) for item in observables])
        self._slices = {
            item.name: slice(int(end) - len(item.channels), int(end))
            for item, end in zip(observables, ends, strict=True)
        }
        self.spaces = Dict(
            {name: Box(low[where], high[where], dtype=np.float32) for name, where in self._slices.items()}
        )

        self._reads = _compiled(item.read for item in observables)

    def observe(self, movement: Movement) -> NDArray[np.float32]:
        """Return the entries as a fresh float32 vector, clipped to their bounds."""
        parts = [read(movement) for read in self._reads]
        values: NDArray[np.float32] = np.concatenate(parts, dtype=np.float32, casting="same_kind")
        np.maximum(values, self._low, out=values)
        return np.minimum(values, self._high, out=values)

    def groups(self, movement: Movement) -> dict[str, NDArray[np.float32]]:
        """Return the entries as in ``observe``, one vector per group."""
        values = self.observe(movement)
        return {name: values[where] for name, where in self._slices.items()}

    def markdown(self) -> str:
        """Return the table for people: one line per group."""
        lines = ["| entries | name | unit | low | high | meaning |", "|---|---|---|---|---|---|"]
        first = 0
        for item in self.observables:
            last = first + len(item.channels) - 1
            name = f"{item.name}/{{{', '.join(item.channels)}}}"
            bounds = f"{_bound(item.low)} | {_bound(item.high)}"
            lines.append(f"| {first}-{last} | {name} | {item.unit} | {bounds} | {item.meaning} |")
            first = last + 1
        return "\n".join(lines)

    def _bounds(self, side: str) -> NDArray[np.float32]:
        return np.concatenate(
            [np.broadcast_to(getattr(item, side), len(item.channels)) for item in self.observables]
        ).astype(np.float32)


def _compiled(reads: Iterable[str | Read]) -> list[Read]:
    """Return how to read all in turn, with one look at the body for parts of it that lie side by side."""
    looks: list[slice | Read] = []
    for read in reads:
        look = BodyState.PARTS[read] if isinstance(read, str) else read
        before = looks[-1] if looks else None
        if isinstance(look, slice) and isinstance(before, slice) and before.stop == look.start:
            looks[-1] = slice(before.start, look.stop)
        else:
            looks.append(look)
    return [partial(_of_body, look) if isinstance(look, slice) else look for look in looks]


def _of_body(where: slice, movement: Movement) -> FloatArray:
    return movement.body.values[where]


def body_observables(
    body: ForelimbSpec, task: JoystickSpec, *, muscles: bool = True
) -> tuple[Observable, ...]:
    """Return what body and task show, with bounds from their specifications; the muscles' part if wanted.

    In the dark nothing is seen: neither joystick, paw nor target.
    """
    stick = body.joystick
    lever_mm = float(np.linalg.norm(np.subtract(stick.tip_mm, stick.pivot_mm)))
    travel = round(lever_mm * max(map(abs, stick.range_rad)) + STRETCH_MARGIN_MM, 1)
    joints = [body.joints[name].range_rad for name in JOINT_NAMES]
    plane, space, phases = ("lateral", "pull"), ("lateral", "pull", "vertical"), tuple(map(str, Phase))

    observables = (
        Observable(
            "joystick",
            plane,
            "mm",
            -travel,
            travel,
            "joystick from rest; + left, + toward the body",
            "joystick_mm",
        ),
        Observable(
            "joystick_velocity",
            plane,
            "mm/s",
            -1000.0,
            1000.0,
            "its velocity",
            "joystick_velocity_mm_s",
        ),
        Observable(
            "paw",
            space,
            "mm",
            -travel,
            travel,
            "paw from rest; + left, + toward the body, + up",
            "paw_mm",
        ),
        Observable(
            "joint_angle",
            JOINT_NAMES,
            "rad",
            tuple(low - JOINT_MARGIN_RAD for low, _ in joints),
            tuple(high + JOINT_MARGIN_RAD for _, high in joints),
            "joint angles",
            "joint_angle_rad",
        ),
        Observable(
            "joint_velocity",
            JOINT_NAMES,
            "rad/s",
            -200.0,
            200.0,
            "joint velocities",
            "joint_velocity_rad_s",
        ),
        *(_muscle_observables(body) if muscles else ()),
        Observable(
            "phase", phases, "1", 0.0, 1.0, "part of the trial, one of them is 1", lambda m: _PHASES[m.phase]
        ),
        Observable("target", plane, "mm", -travel, travel, "centre of the target", lambda m: m.target_mm),
    )
    return tuple(item for item in observables if task.light or item.name not in SEEN)


def _muscle_observables(body: ForelimbSpec) -> tuple[Observable, ...]:
    fastest = body.muscle_model.max_speed_per_s
    return (
        Observable(
            "muscle_length",
            MUSCLE_NAMES,
            "1",
            -1.0,
            1.0,
            "muscle length relative to rest, minus 1",
            "muscle_strain",
        ),
        Observable(
            "muscle_velocity",
            MUSCLE_NAMES,
            "1/s",
            -2.0 * fastest,
            2.0 * fastest,
            "lengthening in rest lengths per second",
            "muscle_velocity_per_s",
        ),
        Observable(
            "muscle_force",
            MUSCLE_NAMES,
            "1",
            0.0,
            2.0,
            "muscle force as a fraction of its maximum",
            "muscle_force",
        ),
        Observable(
            "muscle_activation",
            MUSCLE_NAMES,
            "1",
            0.0,
            1.0,
            "muscle activation",
            "muscle_activation",
        ),
    )


def brain_observables(outputs: Sequence[Port]) -> tuple[Observable, ...]:
    """Return what the brain shows of itself: motor rates, region rates, then all other outputs."""
    reads: dict[str, Read] = {
        "motor": lambda m: cast(Frame, m).motor_rate_hz,
        "region_rate": lambda m: cast(Frame, m).region_rate_hz,
    }
    start, ports = 0, {port.name: port for port in outputs}
    for port in outputs:
        where = slice(start, start := start + port.size)
        reads.setdefault(port.name, partial(_output, where))
    return tuple(
        Observable(
            name=name,
            channels=ports[name].channels,
            unit=ports[name].unit,
            low=ports[name].low,
            high=ports[name].high,
            meaning=ports[name].description,
            read=read,
        )
        for name, read in reads.items()
        if name in ports
    )


def _output(where: slice, movement: Movement) -> FloatArray:
    return cast(Frame, movement).brain_output[where].astype(np.float64)


def _bound(bound: float | tuple[float, ...]) -> str:
    return f"{bound:g}" if isinstance(bound, float | int) else ", ".join(f"{value:g}" for value in bound)
