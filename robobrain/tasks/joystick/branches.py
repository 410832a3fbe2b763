"""Counterfactuals: one instant of a recorded run, continued under several conditions."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robobrain.bridge.instants import exact_seed
from robobrain.bridge.messages import Description
from robobrain.errors import ConfigurationError
from robobrain.recording import check_destination, create
from robobrain.seeding import generator
from robobrain.tasks.joystick.files import Specification, build, read_yaml
from robobrain.tasks.joystick.loop import Frame, Loop
from robobrain.tasks.joystick.protocol import StimulationProtocol, Stimulator, load_protocol
from robobrain.tasks.joystick.replay import Journal, start_brain_of
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.streams import Recorder
from robobrain.tasks.joystick.trial import JoystickTask

AS_RECORDED = "as recorded"
FIGURE = "branches.png"
"""Name of the figure beside the branches."""
LONGEST_NAME = 200
"""Longest name of a branch (bytes of UTF-8); most file systems take 255."""


@dataclass(frozen=True, kw_only=True)
class Train(Specification):
    """A train of stimulation that takes the place of the run's own protocol.

    Attributes:
        delay_ms: From the instant to its beginning.
        duration_ms: How long it lasts.
        amplitudes: Stimulation of a muscle's column (0..1) by the muscle's name; 0 for those not named.
    """

    delay_ms: float = 0.0
    duration_ms: float
    amplitudes: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Condition(Specification):
    """What is otherwise than in the record from the instant on; nothing where nothing is given.

    Attributes:
        name: Name of the branch, and of its folder; the file's own name if not given.
        stimulation: Replaces the run's protocol.
        silence: Populations, or regions as a whole, that fire no more.
        seed: Other random draws of brain and task, from 0 to 2**64 - 1.
    """

    name: str = ""
    stimulation: Train | None = None
    silence: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse a train or a seed that can't be used."""
        if self.stimulation is not None:
            _protocol_of(self.stimulation)
        if self.seed is not None:
            exact_seed(self.seed)

    @property
    def folder(self) -> str:
        """Name of the branch's folder."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A continuation: its condition, its run directory, and the largest pull from the instant on (mm)."""

    condition: Condition
    path: Path
    largest_pull_mm: float


def load_condition(file: Path) -> Condition:
    """Read a condition from a YAML file.

    Raises:
        ConfigurationError: The file can't be read, or an entry is unknown or out of range.
    """
    condition = build(Condition, read_yaml(file)[0], file.name)
    return dataclasses.replace(condition, name=condition.name or file.stem)


def branch(
    folder: Path,
    conditions: Sequence[Condition],
    *,
    at_ms: float,
    for_ms: float,
    out: Path,
    jobs: int | None = None,
    on_build: Callable[[str, float], None] | None = None,
) -> list[Branch]:
    """Repeat a run up to an instant and continue it from there as recorded and under each condition.

    Each continuation is recorded as a run of its own under ``out``, from the instant on. Several brains
    share the work; each repeats the past, which is compared with the record.

    What was recorded is kept whatever happens: where a brain is lost, its branch ends there with the status
    ``failed``, branches before it and those of other brains are whole, and those after it are missing.

    Args:
        folder: Run directory.
        conditions: What to change, one branch each.
        at_ms: The instant, a multiple of the exchange period within the record.
        for_ms: How long the branches last.
        out: New directory for the branches; one that holds branches, failed ones too, is refused.
        jobs: Brains at work at the same time; None for as many as there are cores for.
        on_build: Told how far the building of the first brain is.

    Raises:
        ConfigurationError: Instant, names or conditions can't be used.
        RecordingError: The record is damaged, or ``out`` can't be written.
        ReplayError: The past did not repeat itself.
        BrainFault: A brain was lost; what was recorded is kept.
    """
    journal = Journal(folder)
    journal.check_sources()
    exchanges = _exchanges("the instant", at_ms, journal.plan.exchange_ms)
    steps = _exchanges("the branches' length", for_ms, journal.plan.exchange_ms)
    if exchanges > journal.exchanges:
        last_ms = journal.exchanges * journal.plan.exchange_ms
        raise ConfigurationError(f"{at_ms:g} ms is after the end of {folder}, {last_ms:g} ms.")
    every = (Condition(name=AS_RECORDED), *conditions)
    _check_names(every)
    recorded = build(Description, journal.run.manifest["brain"], "manifest.json", "brain")
    for condition in every:
        recorded.check_places(condition.silence)
    check_destination(out)
    threads = int(journal.run.manifest["brain"]["threads"])
    cores = max(1, len(os.sched_getaffinity(0)) // threads)
    workers = max(1, min(len(every), cores if jobs is None else jobs))
    shares = [every[first::workers] for first in range(workers)]
    reports = [on_build, *[None] * (workers - 1)]
    with ThreadPoolExecutor(workers) as pool:
        done = list(
            pool.map(
                lambda share, report: _continue(
                    journal, share, exchanges=exchanges, steps=steps, out=out, on_build=report
                ),
                shares,
                reports,
            )
        )
    branches = {one.condition.name: one for part in done for one in part}
    return [branches[condition.name] for condition in every]


def _continue(
    journal: Journal,
    conditions: Sequence[Condition],
    *,
    exchanges: int,
    steps: int,
    out: Path,
    on_build: Callable[[str, float], None] | None,
) -> list[Branch]:
    """Continue one instant under some of the conditions, one after the other, on one brain."""
    from robobrain.body import Forelimb  # noqa: PLC0415 - loads MuJoCo

    plan = journal.plan
    with start_brain_of(journal, on_build) as brain, closing(Forelimb()) as body:
        loop = Loop(brain, body, JoystickTask(load_task(plan.task)), exchange=plan.exchange)
        follower = journal.follower(brain.description, strict=True)
        own = Stimulator(load_protocol(plan.protocol), plan.exchange_ms, generator(plan.seed, "stimulation"))
        frame = loop.reset(plan.seed)
        for _ in range(exchanges):
            frame = loop.step(own.next(frame))
            follower.compare(frame)
        instant = loop.snapshot()
        branches = []
        for condition in conditions:
            frame = loop.restore(instant, condition.seed, silence=condition.silence)
            stimulate = _stimulation(condition, copy.deepcopy(own), frame.t_ms, plan.exchange_ms)
            path, largest_pull_mm = out / condition.folder, -math.inf
            with create(path, _manifest(journal, condition)) as writer:
                recorder = Recorder(writer, brain.description)
                try:
                    for _ in range(steps):
                        frame = loop.step(stimulate(frame))
                        recorder.add(frame)
                        largest_pull_mm = max(largest_pull_mm, float(frame.joystick_mm[:, 1].max()))
                finally:
                    recorder.flush()
                recorder.finish(loop.collect())
            branches.append(Branch(condition=condition, path=path, largest_pull_mm=largest_pull_mm))
        return branches


def _stimulation(
    condition: Condition, own: Stimulator, at_ms: float, exchange_ms: float
) -> Callable[[Frame], FloatArray]:
    train = condition.stimulation
    if train is None:
        return own.next
    amplitude = _protocol_of(train).amplitude

    def next_of_train(frame: Frame) -> FloatArray:
        since_ms = frame.t_ms + exchange_ms / 2 - at_ms - train.delay_ms
        return amplitude * float(0.0 <= since_ms < train.duration_ms)

    return next_of_train


def _protocol_of(train: Train) -> StimulationProtocol:
    return StimulationProtocol(
        name="branch",
        delay_ms=train.delay_ms,
        ramp_ms=0.0,
        duration_ms=train.duration_ms,
        jitter=0.0,
        amplitudes=train.amplitudes,
    )


def _manifest(journal: Journal, condition: Condition) -> dict[str, Any]:
    return {
        "branch": {"of": journal.reference(), "condition": dataclasses.asdict(condition)},
        "seed": journal.plan.seed,
        "brain": journal.run.manifest["brain"],
        "task": journal.run.manifest["task"],
    }


def _check_names(conditions: Sequence[Condition]) -> None:
    """Refuse names that can't be folders beside each other and the figure."""
    taken = {FIGURE: "the figure"}
    for condition in conditions:
        name, folder = condition.name, condition.folder
        plain = folder.isprintable() and "/" not in folder and not folder.startswith(".")
        if not (folder and plain and len(folder.encode()) <= LONGEST_NAME):
            raise ConfigurationError(
                f"No branch can have the name {name[:LONGEST_NAME]!r}: give printable letters, "
                f"{LONGEST_NAME} bytes at most, without '/' and not beginning with '.'."
            )
        if folder in taken:
            raise ConfigurationError(
                f"The branch {name!r} would have the same folder {folder!r} as {taken[folder]}: give it "
                "another name."
            )
        taken[folder] = f"the branch {name!r}"


def _exchanges(what: str, value_ms: float, exchange_ms: float) -> int:
    """Return how many exchanges a time of at least one takes."""
    if not exchange_ms <= value_ms < math.inf:
        raise ConfigurationError(
            f"{what} is {value_ms:g} ms; give a finite time of at least one exchange period of the run, "
            f"{exchange_ms:g} ms."
        )
    count = value_ms / exchange_ms
    if count != round(count):
        raise ConfigurationError(
            f"{what} is {value_ms:g} ms, which is no multiple of the run's exchange period, "
            f"{exchange_ms:g} ms."
        )
    return round(count)
