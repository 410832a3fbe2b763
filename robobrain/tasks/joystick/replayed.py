"""The body of a recorded run at any moment, from the states that were recorded."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from robobrain.errors import RecordingError
from robobrain.recording import Run
from robobrain.tasks.joystick.streams import BODY_STATE

if TYPE_CHECKING:
    from robobrain.body import Forelimb, Zone


class RecordedBody:
    """Shows the limb of a run in its posture at a session time, between two records linearly.

    Args:
        run: A run with a ``body_state``.
        body: The limb to pose; it stays the caller's.
        t0_ms: Begin of the time that is needed.
        t1_ms: Its end.

    Raises:
        RecordingError: The run has no states of the body, or none in this time.

    Attributes:
        t_ms: Session times of the records.
    """

    def __init__(self, run: Run, body: Forelimb, t0_ms: float, t1_ms: float) -> None:
        if BODY_STATE not in run.streams:
            raise RecordingError(
                f"{run.path} has no stream '{BODY_STATE}', so the arm can't be shown. "
                f"Fix: record it with this version of robobrain."
            )
        margin_ms = 1000.0
        self.t_ms, self._states = run.array(BODY_STATE, t0_ms - margin_ms, t1_ms + margin_ms)
        if not len(self.t_ms):
            raise RecordingError(f"{run.path} has no record from {t0_ms:g} to {t1_ms:g} ms.")
        self._body = body
        self._force = run.array("lateral_force_mN", t0_ms - margin_ms, t1_ms + margin_ms)

    def show(self, t_ms: float) -> None:
        """Pose the limb as it was at ``t_ms``; before and after the record as at its ends."""
        times, states = self.t_ms, self._states
        after = int(np.clip(np.searchsorted(times, t_ms), 1, max(len(times) - 1, 1)))
        first, last = times[after - 1], times[min(after, len(times) - 1)]
        share = float(np.clip((t_ms - first) / (last - first), 0, 1)) if last > first else 0.0
        state = (1 - share) * states[after - 1] + share * states[min(after, len(times) - 1)]
        self._body.show(state, self._force_mN(t_ms))

    def _force_mN(self, t_ms: float) -> float:  # noqa: N802 (millinewton)
        times, force = self._force
        index = int(np.searchsorted(times, t_ms))
        return float(force[index, 0]) if index < len(times) else 0.0


def recorded_zones(run: Run) -> tuple[Zone, ...]:
    """Return the target of a run's task as a zone to draw, if it has one."""
    from robobrain.body.decorations import Zone  # noqa: PLC0415 (loads MuJoCo)

    target = ((run.manifest.get("task") or {}).get("zones") or {}).get("target")
    if not target:
        return ()
    return (Zone(lateral_mm=tuple(target["lateral_mm"]), pull_mm=tuple(target["pull_mm"])),)


class Story:
    """Tells what went on in a run at any moment.

    Args:
        run: A run with events.
    """

    def __init__(self, run: Run) -> None:
        self._t_ms: list[float] = []
        self._lines: list[tuple[str, ...]] = []
        trial = ""
        for event in run.events:
            if event.name == "trial":
                trial, latest = f"trial {event.detail['trial']}, {event.detail['block']}", "home"
            else:
                latest = str(event.detail.get("outcome", event.name)).replace("_", " ")
            self._t_ms.append(event.t_ms)
            self._lines.append((trial, latest))

    def lines(self, t_ms: float) -> tuple[str, ...]:
        """Return the trial and the latest event at a session time; nothing before the first."""
        told = bisect_right(self._t_ms, t_ms)
        return self._lines[told - 1] if told else ()
