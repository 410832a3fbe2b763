"""When a response begins, and how sure that is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 400
CONFIDENCE = 0.95


class Onset(NamedTuple):
    """Beginning of a response (ms) with its confidence interval (95 %, bootstrap over trials)."""

    ms: float
    low_ms: float
    high_ms: float

    @property
    def found(self) -> bool:
        """Whether there is a response."""
        return math.isfinite(self.ms)

    def surely_after(self, other: Onset) -> bool:
        """Tell whether this one's interval begins only after the other's ends."""
        return self.low_ms > other.high_ms

    def __str__(self) -> str:
        """Return e.g. ``10 (6-14)``, or ``-`` without a response."""
        return f"{self.ms:.0f} ({self.low_ms:.0f}-{self.high_ms:.0f})" if self.found else "-"


NO_ONSET = Onset(math.nan, math.nan, math.nan)


def find_onset(
    courses_hz: NDArray[np.float64],
    *,
    stimulus_bin: int,
    latest_bin: int,
    bin_ms: float,
    rng: np.random.Generator,
) -> Onset:
    """Return the most likely time of a step between two rates, if counts are Poisson.

    Args:
        courses_hz: Rates over each trial, shape ``[trials, bins]``.
        stimulus_bin: Where the stimulus begins, from which times count.
        latest_bin: The step is sought before this bin.
        bin_ms: Width of a bin.
        rng: Draws the trials of each resample.
    """
    trials = len(courses_hz)
    chosen = rng.integers(0, trials, (RESAMPLES, trials))
    drawn = np.stack([courses_hz[members].mean(0) for members in chosen])
    means = np.vstack([courses_hz.mean(0), drawn])
    steps_ms = (_step_bins(means, stimulus_bin, latest_bin) - stimulus_bin) * bin_ms
    tail = (1 - CONFIDENCE) / 2
    low_ms, high_ms = np.quantile(steps_ms[1:], (tail, 1 - tail), method="nearest")
    return Onset(float(steps_ms[0]), float(low_ms), float(high_ms))


def _step_bins(courses: NDArray[np.float64], first: int, last: int) -> NDArray[np.intp]:
    """Return the most likely bin of a step for each course, shape ``[courses]``."""
    bins = courses.shape[1]
    candidates = np.arange(first, last)
    early = np.cumsum(courses, axis=1)[:, candidates - 1]
    late = courses.sum(1, keepdims=True) - early
    likelihood = _entropy(early, candidates) + _entropy(late, bins - candidates)
    best: NDArray[np.intp] = candidates[np.argmax(likelihood, axis=1)]
    return best


def _entropy(events: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(events > 0, events * np.log(np.maximum(events, 1e-12) / bins), 0.0)
