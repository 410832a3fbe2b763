"""What a session under a force field shows: error, adaptation, anticipation, after-effect, washout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError

EARLY, BEFORE_END = 5, 6
"""Trials that count as early after a change, and as late before the next one."""
BASELINE_FROM = 40
"""The baseline is the mean from this trial on, once the animal has warmed up."""
WASHED_OUT = 16
"""Trials at the end of the washout."""


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """Measures of a session in mm, signed with the force: positive is where the force pushes.

    Deviations are taken after the force's onset, as differences from the baseline; NaN stands for windows
    without a movement.

    Attributes:
        early_mm: Mean of the first five trials under the force.
        late_mm: Mean of the last six.
        index: 1 - late / early: 0 without adaptation, 1 when it is complete.
        anticipation_mm: Deviation before the force's onset in the last six trials; negative is against it.
        after_effect_mm: Mean of the first five trials of the washout.
        washout_mm: Mean of its last 16.
        success: Fraction of rewarded trials by block.
    """

    early_mm: float
    late_mm: float
    index: float
    anticipation_mm: float
    after_effect_mm: float
    washout_mm: float
    success: Mapping[str, float]


def adaptation(trials: Sequence[Mapping[str, Any]]) -> Adaptation:
    """Measure a session from its rows: a baseline, perturbed trials, and a washout.

    Catch trials are left out of the perturbed ones. Sessions shorter than 75 baseline trials take the second
    half of the baseline.

    Raises:
        ConfigurationError: There are no baseline, no perturbed or no washout trials.
    """
    forces = np.array([row["lateral_force_mN"] for row in trials], dtype=np.float64)
    catches = np.array([bool(row["catch"]) for row in trials])
    pushed = np.flatnonzero(forces)
    if not pushed.size or pushed[0] == 0 or pushed[-1] + 1 == len(trials):
        raise ConfigurationError(
            "Adaptation needs trials without force, then with force, then without. "
            "Fix: give the rows of a whole session, e.g. of the task mathis2017."
        )
    first, last = int(pushed[0]), int(pushed[-1]) + 1
    while last < len(trials) and catches[last]:
        last += 1
    baseline = range(min(BASELINE_FROM - 1, first // 2), first)
    perturbed = [index for index in range(first, last) if not catches[index]]
    washout = range(last, len(trials))
    sign = math.copysign(1.0, forces[first])
    after, before = (
        sign * np.array([row[f"deviation_{side}_mm"] for row in trials], dtype=np.float64)
        for side in ("after", "before")
    )
    after -= _mean(after, baseline)
    before -= _mean(before, baseline)
    early, late = _mean(after, perturbed[:EARLY]), _mean(after, perturbed[-BEFORE_END:])
    return Adaptation(
        early_mm=early,
        late_mm=late,
        index=1.0 - late / early if early else math.nan,
        anticipation_mm=_mean(before, perturbed[-BEFORE_END:]),
        after_effect_mm=_mean(after, washout[:EARLY]),
        washout_mm=_mean(after, washout[-WASHED_OUT:]),
        success=_success(trials),
    )


def _mean(values: NDArray[np.float64], trials: Sequence[int]) -> float:
    """Return the mean over trials of what was measured; NaN if nothing was."""
    chosen = values[list(trials)]
    measured = chosen[np.isfinite(chosen)]
    return float(measured.mean()) if measured.size else math.nan


def _success(trials: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    blocks: dict[str, list[float]] = {}
    for row in trials:
        blocks.setdefault(str(row["block"]), []).append(float(row["reward"]))
    return {block: float(np.mean(rewards)) for block, rewards in blocks.items()}
