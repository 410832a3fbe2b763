"""Measures of one joystick movement, computed from its path."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robobrain.tasks.joystick.specification import MeasureLines


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What a path shows. NaN stands for what the movement did not reach.

    Attributes:
        peak_pull_mm: Farthest pull.
        peak_speed_mm_s: Highest speed along the pull axis on the way out.
        duration_ms: Time between the two duration lines.
        deviation_before_mm: Lateral position at the line before the force's onset.
        deviation_after_mm: Lateral position at the line after it.
    """

    peak_pull_mm: float = math.nan
    peak_speed_mm_s: float = math.nan
    duration_ms: float = math.nan
    deviation_before_mm: float = math.nan
    deviation_after_mm: float = math.nan


def measure(path_mm: NDArray[np.float64], lines: MeasureLines, sample_ms: float = 1.0) -> Measures:
    """Measure the way out to the farthest pull, from where it last left the first duration line.

    Args:
        path_mm: Joystick positions [samples, 2], lateral and pull.
        lines: Pull positions at which to measure.
        sample_ms: Time between two samples.
    """
    if len(path_mm) < 2:
        return Measures()
    pull_mm = path_mm[:, 1]
    peak = int(pull_mm.argmax())
    (near_rest,) = (pull_mm[: peak + 1] < lines.duration_from_mm).nonzero()
    out = path_mm[near_rest[-1] if len(near_rest) else 0 : peak + 1]
    speed = float((out[1:, 1] - out[:-1, 1]).max()) if len(out) > 1 else math.nan
    began, arrived, before, after = _crossings(
        out,
        lines.duration_from_mm,
        lines.duration_to_mm,
        lines.deviation_before_mm,
        lines.deviation_after_mm,
    )
    return Measures(
        peak_pull_mm=float(pull_mm[peak]),
        peak_speed_mm_s=speed / (sample_ms / 1000.0),
        duration_ms=(arrived[0] - began[0]) * sample_ms,
        deviation_before_mm=before[1],
        deviation_after_mm=after[1],
    )


def _crossings(out_mm: NDArray[np.float64], *lines_mm: float) -> list[tuple[float, float]]:
    """Return the fractional sample and the lateral position where a way out first crosses each line."""
    reached = out_mm[:, 1:] >= lines_mm
    return [
        _between(out_mm, after, line_mm)
        for after, line_mm in zip(reached.argmax(axis=0).tolist(), lines_mm, strict=True)
    ]


def _between(out_mm: NDArray[np.float64], after: int, line_mm: float) -> tuple[float, float]:
    """Return the crossing of a line before the sample ``after``; 0 stands for a line that isn't crossed."""
    if after == 0:
        return math.nan, math.nan
    (x0, y0), (x1, y1) = out_mm[after - 1 : after + 1].tolist()
    fraction = (line_mm - y0) / (y1 - y0)
    return after - 1 + fraction, x0 + fraction * (x1 - x0)
