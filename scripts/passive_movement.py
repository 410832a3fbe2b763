"""Make the senses of a passive limb movement: the joystick carries the limb and its senses are written down.

Usage: ``python scripts/passive_movement.py FILE.csv``. The joystick is pulled 8 mm toward the body in 200 ms,
held for 200 ms and led back in 200 ms (raised cosine); the muscles stay at their resting tone.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from robobrain.body import Forelimb, SpinalCord
from robobrain.body.specification import JOINT_NAMES, MUSCLE_NAMES
from robobrain.tasks.joystick.loop import SENSES

STEP_MS, DURATION_MS, PULL_MM, MOVE_MS, HOLD_MS = 10.0, 800.0, 8.0, 200.0, 200.0
CHANNELS = {8: MUSCLE_NAMES, 4: JOINT_NAMES, 2: ("lateral", "pull"), 1: ("grip",)}


def pull_mm(t_ms: float) -> float:
    """Return where the joystick is led to at a time."""
    way = np.clip(min(t_ms, 2 * MOVE_MS + HOLD_MS - t_ms) / MOVE_MS, 0.0, 1.0)
    return float(PULL_MM * (1 - np.cos(np.pi * way)) / 2)


def rows() -> Iterator[list[float]]:
    """Move the limb and yield time and senses at the beginning of each exchange."""
    with closing(Forelimb()) as body:
        body.reset()
        rest, spinal = body.state(), SpinalCord()
        spinal.reset()
        for step in range(round(DURATION_MS / STEP_MS)):
            state = body.state()
            senses = [np.ravel(read(state, rest)) for _, read in SENSES.values()]
            yield [step * STEP_MS, *np.concatenate(senses).tolist()]
            for tick in range(round(STEP_MS)):
                body.clamp([0.0, pull_mm(step * STEP_MS + tick + 1)])
                body.advance(spinal.excite(np.zeros(8), body.muscle_strain(), 1.0), 1.0)


def main() -> None:
    """Write the table."""
    names = [f"{port}/{channel}" for port, (size, _) in SENSES.items() for channel in CHANNELS[size]]
    with Path(sys.argv[1]).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["t_ms", *names])
        for time_ms, *values in rows():
            writer.writerow([f"{time_ms:g}", *(f"{value + 0.0:.5g}" for value in values)])


if __name__ == "__main__":
    main()
