"""An experiment and its controls: the same sessions with the brain intact, altered, cut off, and absent."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robobrain.body.specification import SpinalSpec
from robobrain.brain.alterations import NONE, Alterations
from robobrain.errors import ConfigurationError
from robobrain.recording import check_destination, create
from robobrain.seeding import generator
from robobrain.tasks.joystick.loop import Frame, Loop
from robobrain.tasks.joystick.protocol import load_protocol
from robobrain.tasks.joystick.relay import Relay
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.session import SessionSummary, run_session
from robobrain.tasks.joystick.source import BrainSource
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.bridge.link import BrainLink

CONFIDENCE = 0.95
RESAMPLES = 9999
"""Draws of a bootstrap: enough that the ends of an interval hardly depend on them."""

INTACT = "intact"
MEASURES = {
    "rewarded": "1",
    "attempted": "1",
    "peak_pull_mm": "mm",
    "peak_speed_mm_s": "mm/s",
    "deviation_after_mm": "mm",
}
"""Columns of a trial's row, of which a session gives the mean, and their units."""

Trial = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way to run the same sessions.

    Attributes:
        name: Name of its folder and its rows.
        meaning: One line for people.
        alterations: What is changed about the brain.
        feels: Whether the brain is told how the body moves.
        has_brain: Without one, the stimulation goes straight to the motor pools.
    """

    name: str
    meaning: str
    alterations: Alterations = NONE
    feels: bool = True
    has_brain: bool = True


def conditions(lesion: str) -> dict[str, Condition]:
    """Return all conditions by name; ``lesion`` is the region or population that one of them destroys."""
    every = (
        Condition(name=INTACT, meaning="the brain of the tables"),
        Condition(name="lesion", meaning=f"{lesion} destroyed", alterations=Alterations(lesion=(lesion,))),
        Condition(name="open_loop", meaning="the brain is told of a body at rest", feels=False),
        Condition(
            name="shuffled",
            meaning="the sources of all projections permuted",
            alterations=Alterations(shuffle=True),
        ),
        Condition(name="no_brain", meaning="stimulation straight to the motor pools", has_brain=False),
    )
    return {condition.name: condition for condition in every}


CONDITIONS = tuple(conditions("S1"))


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan:
    """What to run under each condition: the same trials with the same seeds.

    Attributes:
        out: Directory of the results; must not exist, or be empty.
        brain: Size of the brain, part of all neurons, or folder of tables.
        task: Preset or file of the task.
        protocol: Name of the stimulation protocol.
        trials: Number of trials of each session.
        seeds: One session per seed.
        lesion: Region or population that the condition ``lesion`` destroys.
        conditions: Names of the conditions, in the order of the table.
        threads: Threads of the kernel; None for the size's own.
        exchange_ms: Period of the exchange.
        command: Command line that asked for it, for the manifests.
    """

    out: Path
    brain: str = "tiny"
    task: str = "quick"
    protocol: str = "pull"
    trials: int = 10
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    lesion: str = "S1"
    conditions: tuple[str, ...] = CONDITIONS
    threads: int | None = None
    exchange_ms: float = 10.0
    command: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse what can't be run or compared."""
        unknown = [name for name in self.conditions if name not in CONDITIONS]
        if unknown or len(set(self.conditions)) != len(self.conditions) or not self.conditions:
            raise ConfigurationError(
                f"conditions are {', '.join(self.conditions) or 'none'}; "
                f"name each of {', '.join(CONDITIONS)} at most once."
            )
        if self.trials < 1 or len(self.seeds) < 2 or len(set(self.seeds)) != len(self.seeds):
            raise ConfigurationError(
                f"{self.trials} trials with the seeds {list(self.seeds)}: an interval needs at least two "
                "different seeds of at least one trial."
            )


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a session of a condition came to: the mean over its trials of each measure that it has."""

    condition: str
    seed: int
    means: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over sessions with its interval, and how far it lies from that of the intact brain.

    Attributes:
        condition: Name of the condition.
        measure: One of ``MEASURES``.
        sessions: Number of sessions that have the measure.
        mean: Mean over them.
        low: Lower end of the interval of ``CONFIDENCE``, by bootstrap over sessions (percentiles).
        high: Its upper end.
        difference: Mean difference from the intact brain under the same seed.
        difference_low: Lower end of its interval.
        difference_high: Its upper end.
    """

    condition: str
    measure: str
    sessions: int
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def run_experiment(
    plan: ExperimentPlan,
    *,
    on_build: Callable[[str, float], None] | None = None,
    on_session: Callable[[Session], None] | None = None,
) -> list[Estimate]:
    """Run all conditions; leave a run directory per session, ``sessions.csv`` and ``table.csv``.

    Args:
        plan: What to run.
        on_build: Told how far the building of each brain is.
        on_session: Told about each session.

    Raises:
        ConfigurationError: A value of the plan can't be used, or SciPy is missing.
        RecordingError: The results can't be written.
        BrainFault: A brain was lost; the sessions before it are kept.
        BodyFault: The physics diverged.
    """
    from robobrain.body import Forelimb  # noqa: PLC0415 - loads MuJoCo

    _scipy_stats()
    chosen = [conditions(plan.lesion)[name] for name in plan.conditions]
    spec = load_task(plan.task)
    load_protocol(plan.protocol)  # an unknown one is found before anything runs
    for condition in chosen:
        if condition.has_brain:
            _source(plan, condition).check()
    check_destination(plan.out)
    sessions: list[Session] = []
    for condition in chosen:
        with _brain(plan, condition, on_build) as brain, closing(Forelimb()) as body:
            loop = Loop(brain, body, JoystickTask(spec), feels=condition.feels)
            for seed in plan.seeds:
                trials = _session(plan, condition, loop, seed)
                sessions.append(Session(condition=condition.name, seed=seed, means=_means(trials)))
                if on_session is not None:
                    on_session(sessions[-1])
    rows = [{"condition": one.condition, "seed": one.seed, **one.means} for one in sessions]
    _write(plan.out / "sessions.csv", rows)
    table = estimate(sessions, rng_seed=plan.seeds[0])
    _write(plan.out / "table.csv", [dataclasses.asdict(row) for row in table])
    return table


def estimate(sessions: Sequence[Session], *, rng_seed: int) -> list[Estimate]:
    """Return mean and interval of each measure in each condition; NaN where no session has it."""
    by_seed: dict[str, dict[int, Session]] = {}
    for session in sessions:
        by_seed.setdefault(session.condition, {})[session.seed] = session
    table = []
    for condition, own in by_seed.items():
        for measure in MEASURES:
            values = {seed: session.means[measure] for seed, session in own.items()}
            intact = {seed: session.means[measure] for seed, session in by_seed.get(INTACT, {}).items()}
            differences = [value - intact.get(seed, np.nan) for seed, value in values.items()]
            mean, low, high, count = _interval(list(values.values()), rng_seed, condition, measure)
            apart = _interval(differences, rng_seed, condition, measure, "difference")
            table.append(
                Estimate(
                    condition=condition,
                    measure=measure,
                    sessions=count,
                    mean=mean,
                    low=low,
                    high=high,
                    difference=apart[0],
                    difference_low=apart[1],
                    difference_high=apart[2],
                )
            )
    return table


def _interval(values: Sequence[float], rng_seed: int, *names: str) -> tuple[float, float, float, int]:
    """Return mean, lower and upper end of its interval, and the number of values that aren't NaN."""
    known: FloatArray = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return (float(known[0]) if len(known) else np.nan), np.nan, np.nan, len(known)
    ends = (
        _scipy_stats()
        .bootstrap(
            (known,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            random_state=generator(rng_seed, "bootstrap", *names),
        )
        .confidence_interval
    )
    return float(known.mean()), float(ends.low), float(ends.high), len(known)


def _session(plan: ExperimentPlan, condition: Condition, loop: Loop, seed: int) -> list[Trial]:
    """Record one session and return the rows of its trials."""
    protocol = load_protocol(plan.protocol)
    trials: list[Trial] = []

    def note(frame: Frame, _: SessionSummary) -> None:
        if frame.trial is not None:
            trials.append(frame.trial.row())

    manifest = {
        "command": list(plan.command),
        "experiment": dataclasses.asdict(plan),
        "condition": dataclasses.asdict(condition),
        "seed": seed,
        "protocol": plan.protocol,
        "stimulation": dataclasses.asdict(protocol),
        "trials": plan.trials,
        "brain": {"size": loop.brain.description.brain, **dataclasses.asdict(loop.brain.description)},
        "task": {"preset": plan.task, **dataclasses.asdict(loop.task.spec)},
    }
    with create(plan.out / condition.name / f"seed{seed}", manifest) as writer:
        run_session(loop, protocol, trials=plan.trials, seed=seed, writer=writer, on_frame=note)
    return trials


def _means(trials: Sequence[Trial]) -> dict[str, float]:
    """Return the mean of each measure over the trials that have it; NaN where none has."""
    columns = {
        name: [float(trial["reward" if name == "rewarded" else name]) for trial in trials]
        for name in MEASURES
    }
    known = {name: [value for value in values if np.isfinite(value)] for name, values in columns.items()}
    return {name: float(np.mean(values)) if values else np.nan for name, values in known.items()}


def _source(plan: ExperimentPlan, condition: Condition) -> BrainSource:
    return BrainSource(
        brain=plan.brain,
        threads=plan.threads,
        exchange_ms=plan.exchange_ms,
        alterations=condition.alterations,
    )


@contextmanager
def _brain(
    plan: ExperimentPlan, condition: Condition, on_build: Callable[[str, float], None] | None
) -> Iterator[BrainLink]:
    if not condition.has_brain:
        yield Relay(SpinalSpec.load().pools, plan.exchange_ms)
        return
    with closing(_source(plan, condition).start_local(on_build)) as brain:
        yield brain


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _scipy_stats() -> Any:
    try:
        from scipy import stats  # noqa: PLC0415 (an extra)
    except ImportError as problem:
        raise ConfigurationError(
            f"Intervals need SciPy ({problem}). Fix: pip install 'robobrain[analysis]'."
        ) from problem
    return stats
