"""What the trial logic tells: the part of a trial, what happened in it, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from robobrain.tasks.joystick.measures import Measures


class Phase(StrEnum):
    """Part of a trial; the order is that of the one-hot observation."""

    ITI = "iti"
    HOME = "home"
    READY = "ready"
    MOVING = "moving"
    HOLDING = "holding"


class Outcome(StrEnum):
    """How a trial ended."""

    REWARDED = "rewarded"
    MISSED = "missed"
    RETURNED = "returned"
    TIMEOUT = "timeout"
    NO_RESPONSE = "no_response"
    NO_HOME = "no_home"

    @property
    def is_timeout(self) -> bool:
        """Whether time ended the trial rather than what the joystick did."""
        return self in (Outcome.TIMEOUT, Outcome.NO_RESPONSE, Outcome.NO_HOME)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a tick.

    Names: ``trial``, ``cue``, ``start``, ``force_on``, ``force_off``, ``end`` and ``reward``; leaving home
    before the cue is ``home_out``, crossing the edge of the target ``target_in`` and ``target_out``.
    """

    t_ms: float
    name: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One row of the trial table. Times count from the task's reset; NaN stands for what did not happen.

    Attributes:
        trial: Number of the trial in the session, from 1.
        block: Name of its block.
        lateral_force_mN: Force of the trial, 0 in a catch trial.
        catch: Whether the block's force was left out.
        direction_deg: Direction of the movement, 0 for a pull. The measures are along and across it.
        begin_ms: End of the pause before the trial.
        cue_ms: The home dwell was complete.
        start_ms: The start line was crossed.
        end_ms: The trial ended.
        outcome: How it ended.
        reward: 1 for a rewarded trial, else 0.
        measures: What the path from the cue to the end shows.
    """

    trial: int
    block: str
    lateral_force_mN: float
    catch: bool
    direction_deg: float = 0.0
    begin_ms: float
    cue_ms: float
    start_ms: float
    end_ms: float
    outcome: Outcome
    reward: float
    measures: Measures

    @property
    def attempted(self) -> bool:
        """Whether the start line was crossed after the cue."""
        return not math.isnan(self.start_ms)

    def row(self) -> dict[str, int | float | bool | str]:
        """Return the result as a flat mapping of plain values."""
        own = {name: value for name, value in vars(self).items() if name != "measures"}
        return own | {"outcome": self.outcome.value, "attempted": self.attempted} | vars(self.measures)
