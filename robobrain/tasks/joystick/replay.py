"""Repeating a recorded session: the journal of a run, and the comparison with it, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.alterations import Alterations
from robobrain.brain.devices import from_text
from robobrain.bridge.messages import Description
from robobrain.errors import RecordingError, ReplayError
from robobrain.recording import Run, check
from robobrain.recording import open as open_run
from robobrain.recording.layout import to_json
from robobrain.seeding import generator
from robobrain.tasks.joystick.loop import Frame, Loop, channel_names
from robobrain.tasks.joystick.protocol import Stimulator, load_protocol
from robobrain.tasks.joystick.runner import RunPlan
from robobrain.tasks.joystick.specification import load_task
from robobrain.tasks.joystick.streams import JOURNAL, streams
from robobrain.tasks.joystick.trial import JoystickTask

if TYPE_CHECKING:
    from robobrain.bridge import LocalBrain

UNREPEATABLE = frozenset({"phase_time_ms"})
"""Streams of wall-clock times."""
_CULPRITS = {
    "stimulation": "the protocol, or robobrain itself",
    "brain_input": "the body's physics, or the wiring of the inputs",
    "brain_digest": "the brain: another NEST build, number of threads, or network",
}

Listener = Callable[[Frame, int], None]
"""Called after each exchange with its frame and the number of exchanges that will be repeated."""


class Journal:
    """What a run has on disk for its repetition.

    Attributes:
        run: The run.
        plan: What was run.
        exchanges: Number of exchanges that are committed.
    """

    def __init__(self, folder: Path) -> None:
        """Read the journal of the run in ``folder``.

        Raises:
            RecordingError: There is no run, it is damaged (the message names the place), is still being
                written, or is none of a session.
        """
        self.run: Run = open_run(folder)
        if self.run.status == "running":
            raise RecordingError(f"{folder} is still being written; repeat it when it has ended.")
        if problems := check(folder):
            raise RecordingError(f"the journal of {folder} is damaged: {'; '.join(problems[:3])}")
        manifest = self.run.manifest
        missing = [name for name in JOURNAL if name not in self.run.streams]
        if "plan" not in manifest or missing:
            raise RecordingError(
                f"{folder} can't be repeated: it is no session of `robobrain run`, or it ended before its "
                "first exchange was on disk."
            )
        self.plan = _plan_of(manifest["plan"], folder)
        if self.plan.connect is not None:
            raise RecordingError(
                f"{folder} can't be repeated: its brain was that of the server {self.plan.connect}, "
                "which nobody can bring back to that state."
            )
        self._recorded: dict[str, NDArray[Any]] = {
            name: self.run.array(name)[1] for name in self.run.streams if name not in UNREPEATABLE
        }
        self.exchanges = min(len(self._recorded[name]) for name in JOURNAL)
        self.spikes = self.run.spikes()

    def changes_of_brain(self, description: Description) -> list[str]:
        """Return in words in what a brain differs from the recorded one."""
        recorded = self.run.manifest["brain"]
        return [
            f"the brain's {name} {recorded.get(name)} then, {getattr(description, name)} now"
            for name in ("identity", "nest_version", "threads", "ranks", "exchange_ms", "resolution_ms")
            if recorded.get(name) != getattr(description, name)
        ]

    def check_sources(self) -> None:
        """Refuse a task or protocol that is not the recorded one.

        Raises:
            ReplayError: The message names which.
        """
        task, protocol = load_task(self.plan.task), load_protocol(self.plan.protocol)
        recorded = self.run.manifest
        for what, name, now in (
            ("task", self.plan.task, task),
            ("stimulation", self.plan.protocol, protocol),
        ):
            for key, value in json.loads(to_json(dataclasses.asdict(now))).items():
                if recorded[what].get(key) != value:
                    raise ReplayError(
                        f"{what} {name!r} is another one than was recorded: {key} is {value!r}, it was "
                        f"{recorded[what].get(key)!r}. Fix: use the file of the record."
                    )

    def resumption(self, out: Path, command: Sequence[str]) -> RunPlan:
        """Return the plan that repeats the run in another directory and goes on."""
        threads = self.run.manifest["brain"]["threads"]
        return dataclasses.replace(self.plan, out=out, command=command, threads=threads)

    def reference(self) -> dict[str, Any]:
        """Return what the manifest of a run that resumes this one says about it."""
        run_id = self.run.manifest["run_id"]
        return {"run_id": run_id, "path": str(self.run.path), "exchanges": self.exchanges}

    def follower(self, description: Description, *, strict: bool = False) -> Follower:
        """Return what compares frames of the described brain with the record.

        Args:
            description: The brain of the repetition.
            strict: Refuse a brain that is not the recorded one, rather than look where it goes another way.

        Raises:
            ReplayError: The brain has other inputs, or is another one under ``strict``.
        """
        changes = self.changes_of_brain(description)
        told = self.run.streams["brain_input"].columns
        if told != channel_names(description.inputs):
            changes.append("the brain's inputs are others")
        if changes and (strict or told != channel_names(description.inputs)):
            raise ReplayError(
                f"{self.run.path} was run on another brain: {', '.join(changes)}. "
                "Fix: use the robobrain and NEST that recorded it."
            )
        return Follower(self, self._recorded, description)

    def changes(self, description: Description) -> str:
        """Return in words what is otherwise than when the run was recorded: brain, versions, machine."""
        versions = self.run.manifest.get("versions", {})
        now = {"python": platform.python_version()}
        for package in versions:
            if package != "python":
                try:
                    now[package] = metadata.version(package)
                except metadata.PackageNotFoundError:
                    now[package] = "missing"
        changed = [
            f"{name} {then} then, {now[name]} now"
            for name, then in versions.items()
            if then is not None and now[name] != then
        ]
        machine = (self.run.manifest.get("host") or {}).get("machine")
        if machine != platform.machine():
            changed.append(f"{machine} then, {platform.machine()} now")
        changed = [*self.changes_of_brain(description), *changed]
        return ", ".join(changed) or "brain, versions and machine are the same"


class Follower:
    """Compares a repetition with the record, frame by frame, as long as the record goes."""

    def __init__(self, journal: Journal, recorded: dict[str, NDArray[Any]], description: Description) -> None:
        self._journal, self._recorded, self._description = journal, recorded, description
        self._streams = sorted(streams(description), key=lambda stream: stream.name not in JOURNAL)
        self._done = dict.fromkeys(recorded, 0)
        self._spikes = 0

    def compare(self, frame: Frame, _: object = None) -> None:
        """Compare a frame; beyond the record there is nothing to compare.

        Raises:
            ReplayError: It differs; the message names time, stream and column, and the likely cause.
        """
        for stream in self._streams:
            if stream.name in self._recorded:
                rows = np.asarray(stream.read(frame)).reshape(-1, len(stream.columns))
                self._compare(frame, stream.name, stream.columns, rows)
        for samples in frame.samples:
            if (recorded := self._recorded.get(samples.monitor)) is not None:
                columns = self._journal.run.streams[samples.monitor].columns
                self._compare(frame, samples.monitor, columns, samples.values.astype(recorded.dtype))
        if frame.spikes is not None:
            self._spikes += len(frame.spikes.t_ms)

    def compare_rest(self, loop: Loop) -> None:
        """Compare the spikes that the brain hands out at the end of a session.

        Raises:
            ReplayError: They differ.
        """
        rest = loop.collect().spikes
        t_ms, sender = (values[self._spikes :] for values in self._journal.spikes)
        if rest is not None and not (np.array_equal(rest.t_ms, t_ms) and np.array_equal(rest.sender, sender)):
            raise ReplayError(
                f"the spikes after {self._journal.run.path}'s last chunk differ: {len(rest.t_ms)} instead of "
                f"{len(t_ms)}. Likely cause: {_CULPRITS['brain_digest']}."
            )

    def _compare(
        self, frame: Frame, name: str, columns: tuple[str, ...], samples: NDArray[np.generic]
    ) -> None:
        start = self._done[name]
        expected = self._recorded[name][start : start + len(samples)]
        self._done[name] += len(expected)
        found = samples[: len(expected)]
        if found.tobytes() != np.ascontiguousarray(expected).tobytes():
            raise self._differs(frame, name, columns, found, expected)

    def _differs(
        self,
        frame: Frame,
        name: str,
        columns: tuple[str, ...],
        found: NDArray[Any],
        expected: NDArray[Any],
    ) -> ReplayError:
        row, column = np.argwhere(found != expected)[0] if (found != expected).any() else (0, 0)
        culprit = _CULPRITS.get(name, "the body, the task or robobrain itself")
        return ReplayError(
            f"first difference in exchange {frame.seq} ({frame.t_ms:g} ms): {name}/{columns[column]} is "
            f"{found[row, column]!r}, the record has {expected[row, column]!r}. Likely cause: {culprit} "
            f"({self._journal.changes(self._description)})."
        )


def replay(
    folder: Path,
    *,
    on_build: Callable[[str, float], None] | None = None,
    on_frame: Listener | None = None,
    threads: int | None = None,
) -> int:
    """Rebuild the brain of a run and repeat the run; return the number of exchanges that came out equal.

    Args:
        folder: Run directory.
        on_build: Told how far the building of the brain is.
        on_frame: Told about each exchange.
        threads: Threads of the brain, to see what another number does; None for the recorded number.

    Raises:
        RecordingError: The record is damaged, or none of a session.
        ReplayError: The repetition differs; the message names the first difference and its likely cause.
        BrainFault: The brain was lost.
    """
    from robobrain.body import Forelimb  # noqa: PLC0415 - loads MuJoCo

    journal = Journal(folder)
    journal.check_sources()
    with start_brain_of(journal, on_build, threads) as brain, closing(Forelimb()) as body:
        loop = Loop(brain, body, JoystickTask(load_task(journal.plan.task)), exchange=journal.plan.exchange)
        follower = journal.follower(brain.description)
        for frame in frames_of(loop, journal):
            follower.compare(frame)
            if on_frame is not None:
                on_frame(frame, journal.exchanges)
        if journal.run.status in ("complete", "interrupted") and "totals" in journal.run.manifest:
            follower.compare_rest(loop)
    return journal.exchanges


def start_brain_of(
    journal: Journal, on_build: Callable[[str, float], None] | None, threads: int | None = None
) -> LocalBrain:
    """Start the brain that a run was recorded with."""
    recorded: int = journal.run.manifest["brain"]["threads"]
    source = dataclasses.replace(journal.plan.source, threads=recorded if threads is None else threads)
    return source.start_local(on_build)


def _plan_of(recorded: dict[str, Any], folder: Path) -> RunPlan:
    """Return the plan that a manifest holds as JSON, to be run without showing it."""
    values = recorded | {"out": folder, "live": None}
    values["alterations"] = Alterations.of(recorded.get("alterations"))
    values["devices"] = from_text(recorded.get("devices", ""))
    if recorded.get("credentials") is not None:
        values["credentials"] = Path(recorded["credentials"])
    return RunPlan(**values)


def frames_of(loop: Loop, journal: Journal, exchanges: int | None = None) -> Iterator[Frame]:
    """Yield the frames of the session again, as many as are recorded or asked for."""
    plan = journal.plan
    frame = loop.reset(plan.seed)
    stimulator = Stimulator(
        load_protocol(plan.protocol), plan.exchange_ms, generator(plan.seed, "stimulation")
    )
    for _ in range(journal.exchanges if exchanges is None else exchanges):
        frame = loop.step(stimulator.next(frame))
        yield frame
