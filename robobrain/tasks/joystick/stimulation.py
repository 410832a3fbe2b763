"""Finding stimulation of the motor cortex that moves the joystick one way, by CMA-ES (extra ``rl``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from robobrain.body.specification import MUSCLE_NAMES
from robobrain.errors import ConfigurationError
from robobrain.seeding import seed_sequence
from robobrain.tasks.joystick.loop import Loop
from robobrain.tasks.joystick.rig import MUSCLES, FloatArray
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask

DIRECTIONS: dict[str, tuple[float, float]] = {
    "pull": (0.0, 1.0),
    "push": (0.0, -1.0),
    "left": (1.0, 0.0),
    "right": (-1.0, 0.0),
}
"""Unit vectors in the joystick's plane: lateral (+ left), pull (+ toward the body)."""

REST_MS, TRAIN_MS, COUNTED_MS = 50.0, 250.0, 100.0
"""Rest before a train of stimulation, the train, and its last part, in which the displacement counts."""
SIDEWAYS_COST = 0.5
"""What a mm across the wanted direction costs, in mm along it."""
TONIC_COST_MM = 0.5
"""What full stimulation of all columns costs, so that columns that do not help fall silent."""


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What to look for.

    Attributes:
        direction: One of ``DIRECTIONS``.
        generations: Rounds of CMA-ES.
        population: Patterns per round.
        seed: Root of all random draws.
    """

    direction: str
    generations: int = 12
    population: int = 10
    seed: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Pattern:
    """A stimulation pattern and what it does.

    Attributes:
        direction: What it was looked for.
        amplitude: Stimulation of each muscle's column [8], 0..1.
        displacement_mm: Where it brings the joystick [lateral, pull], mean over fresh seeds.
        spread_mm: Standard deviation over those seeds.
        best: Score of the best pattern so far after each round.
    """

    direction: str
    amplitude: FloatArray
    displacement_mm: FloatArray
    spread_mm: FloatArray
    best: tuple[float, ...] = field(default_factory=tuple)


def displacement_mm(loop: Loop, amplitude: FloatArray, seed: int) -> FloatArray:
    """Return where a train of stimulation brings the joystick from rest, [lateral, pull]."""
    exchange_ms = loop.brain.description.exchange_ms
    loop.reset(seed)
    for _ in range(round(REST_MS / exchange_ms)):
        loop.step(np.zeros(MUSCLES))
    frames = [loop.step(amplitude) for _ in range(round(TRAIN_MS / exchange_ms))]
    path = np.concatenate([frame.joystick_mm for frame in frames])
    mean: FloatArray = path[-round(COUNTED_MS) :].mean(axis=0)
    return mean


def score(place_mm: FloatArray, amplitude: FloatArray, direction: str) -> float:
    """Return how far a place lies in a direction, less what lies across it and what the pattern costs."""
    along, across = DIRECTIONS[direction], DIRECTIONS[direction][::-1]
    beside = SIDEWAYS_COST * abs(float(place_mm @ across))
    return float(place_mm @ along) - beside - TONIC_COST_MM * float(amplitude.mean())


def search(
    loop: Loop, plan: SearchPlan, *, on_round: Callable[[int, float], None] | None = None, checks: int = 5
) -> Pattern:
    """Look for a pattern by CMA-ES, from a faint stimulation of all columns; check it on fresh seeds.

    Args:
        loop: Brain and body; the loop's task goes along unheeded.
        plan: What to look for.
        on_round: Told about each round and the best score so far.
        checks: Number of fresh seeds.

    Raises:
        ConfigurationError: The extra ``rl`` is not installed, or the direction is unknown.
        BrainFault: The brain was lost.
    """
    if plan.direction not in DIRECTIONS:
        raise ConfigurationError(
            f"Unknown direction {plan.direction!r}; choose one of {', '.join(DIRECTIONS)}."
        )
    try:
        import cma  # noqa: PLC0415 (an extra)
    except ImportError as problem:
        raise ConfigurationError(
            f"The search needs the package cma ({problem}). Fix: pip install 'robobrain[rl]'."
        ) from problem
    rng_seed = int(seed_sequence(plan.seed, "cma", plan.direction).generate_state(1)[0]) % (2**31 - 1) + 1
    options = {"bounds": [0, 1], "popsize": plan.population, "seed": rng_seed, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.full(MUSCLES, 0.2), 0.3, options)
    best: list[float] = []
    for number in range(1, plan.generations + 1):
        patterns = strategy.ask()
        # All patterns of a round meet the same brain, each round another one.
        scores = [
            score(displacement_mm(loop, pattern, plan.seed + number), pattern, plan.direction)
            for pattern in patterns
        ]
        strategy.tell(patterns, [-value for value in scores])
        best.append(max([*best[-1:], *scores]))
        if on_round is not None:
            on_round(number, best[-1])
    amplitude = np.clip(strategy.result.xfavorite, 0.0, 1.0)
    fresh = plan.seed + plan.generations + 1
    places = np.array([displacement_mm(loop, amplitude, fresh + check) for check in range(checks)])
    return Pattern(
        direction=plan.direction,
        amplitude=amplitude,
        displacement_mm=places.mean(axis=0),
        spread_mm=places.std(axis=0),
        best=tuple(best),
    )


def search_all(
    brain: str,
    plans: Sequence[SearchPlan],
    *,
    threads: int | None = None,
    folder: Path | None = None,
    on_build: Callable[[str, float], None] | None = None,
    on_round: Callable[[str, int, float], None] | None = None,
) -> list[Pattern]:
    """Search on one brain for one pattern per plan; write them to ``patterns.json`` as they are found.

    Raises:
        ConfigurationError: As in ``search``, or the brain is unknown.
        BrainFault: The brain was lost.
    """
    from robobrain.body import Forelimb  # noqa: PLC0415 (loads MuJoCo)
    from robobrain.brain.config import local_brain  # noqa: PLC0415

    found: list[Pattern] = []
    starting = local_brain(brain, threads=threads, on_progress=on_build)
    with starting as link, closing(Forelimb()) as body:
        loop = Loop(link, body, JoystickTask(load_task()))
        for plan in plans:
            report = None if on_round is None else partial(on_round, plan.direction)
            found.append(search(loop, plan, on_round=report))
            if folder is not None:
                rows = [_row(pattern) for pattern in found]
                (folder / "patterns.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return found


def _row(pattern: Pattern) -> dict[str, object]:
    return {
        "direction": pattern.direction,
        "amplitudes": dict(zip(MUSCLE_NAMES, pattern.amplitude.round(4).tolist(), strict=True)),
        "displacement_mm": pattern.displacement_mm.round(3).tolist(),
        "spread_mm": pattern.spread_mm.round(3).tolist(),
        "best": [round(value, 3) for value in pattern.best],
    }
