"""``robobrain run``: a session in closed loop, recorded."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from robobrain.cli import INTERRUPTED
from robobrain.cli.console import console, errors, print_notice
from robobrain.cli.options import (
    DeviceFile,
    Disconnect,
    Lesion,
    RecordVoltage,
    Shuffle,
    Silence,
    alterations,
    chosen_devices,
)
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.loop import Frame, checked_exchange
from robobrain.tasks.joystick.replay import Journal
from robobrain.tasks.joystick.runner import RunPlan, RunResult, run_plan
from robobrain.tasks.joystick.session import SessionSummary
from robobrain.tasks.joystick.trial import TrialResult

WITH_RESUME = ("resume", "out", "live", "live_to")
"""Options that may stand beside ``--resume``; the others are the lost run's."""


def run(
    context: typer.Context,
    brain: Annotated[
        str | None,
        typer.Option(
            help="Size (tiny, small, ...), part of all neurons (0.05), or FOLDER[:SIZE] "
            "(default: small, or the server's)."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(help="Number of trials.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory, new (default: one in runs, named after brain, seed, time)."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task: a preset (quick, mathis2017, centre_out) or a YAML file.")
    ] = "quick",
    protocol: Annotated[str, typer.Option(help="Stimulation of M1 at each cue: pull, none.")] = "pull",
    threads: Annotated[
        int | None, typer.Option(help="Threads of the brain (default: the size's own).")
    ] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="MPI processes of the brain, each with --threads threads.")
    ] = None,
    exchange_ms: Annotated[float, typer.Option(help="Period of the exchange of brain and body.")] = 10.0,
    spikes: Annotated[bool, typer.Option("--spikes/--no-spikes", help="Record all spikes.")] = True,
    spikes_of: Annotated[
        int | None, typer.Option(min=1, help="Record spikes of so many neurons per population only.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Show the run in the Rerun viewer.")] = False,
    live_to: Annotated[
        str | None, typer.Option(help="Show it elsewhere: a file .rrd, or the URL of a Rerun viewer.")
    ] = None,
    connect: Annotated[
        str | None, typer.Option(help="Use the brain of a server (robobrain serve), HOST:PORT or @FILE.")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(help="With --connect: folder of the client's credentials.")
    ] = None,
    exchange: Annotated[
        str,
        typer.Option(
            help="lockstep, or overlapped: brain and body compute at once, with one period of delay."
        ),
    ] = "lockstep",
    lesion: Lesion = None,
    silence: Silence = None,
    disconnect: Disconnect = None,
    shuffle: Shuffle = False,
    devices: DeviceFile = None,
    record_voltage: RecordVoltage = None,
    spares: Annotated[int, typer.Option(min=0, help="Brains kept ready to take over from a lost one.")] = 0,
    on_fault: Annotated[
        str | None,
        typer.Option(
            help="When the brain is lost: suspend, failover, truncate (default: failover with spares)."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="A lost run: repeat what it has on disk into a new directory, and go on from there."
        ),
    ] = None,
) -> None:
    """Run trials in closed loop: the brain moves the limb and feels it. Ctrl-C keeps what was recorded."""
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    show = live_to or ("viewer" if live else None)
    if resume is not None:
        _check_alone(context)
        journal = Journal(resume)
        if journal.run.status == "complete":
            raise ConfigurationError(
                f"{resume} is complete: there is nothing left to run. 'robobrain replay' repeats it."
            )
        journal.check_sources()
        again = journal.resumption(out or resumed_path(resume), command)
        _run(dataclasses.replace(again, live=show), journal)
        return
    if out is None:
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        name = Path(brain or ("small" if connect is None else "remote")).name.replace(":", "-")
        out = Path("runs") / f"{name}-{protocol}-seed{seed}-{stamp}"
    plan = RunPlan(
        out=out,
        brain=brain,
        task=task,
        protocol=protocol,
        trials=trials,
        seed=seed,
        threads=threads,
        ranks=ranks,
        exchange_ms=exchange_ms,
        record_spikes=spikes if spikes_of is None else spikes_of,
        live=show,
        connect=connect,
        credentials=credentials,
        alterations=alterations(lesion, silence, disconnect, shuffle),
        devices=chosen_devices(devices, record_voltage),
        command=command,
        spares=spares,
        on_fault=on_fault or ("failover" if spares else "suspend"),
        exchange=checked_exchange(exchange),
    )
    _run(plan)


def _check_alone(context: typer.Context) -> None:
    """Raise where options stand beside ``--resume`` that the lost run has decided."""
    given = sorted(
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in WITH_RESUME and _is_typed(context, name)
    )
    if given:
        raise ConfigurationError(f"--resume goes on as the run began: leave out {', '.join(given)}")


def _is_typed(context: typer.Context, name: str) -> bool:
    """Tell whether an option stands on the command line; the others have their defaults."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def resumed_path(lost: Path) -> Path:
    """Return a new directory beside a lost run."""
    lost = lost.resolve()
    numbers = itertools.count(1)
    return next(path for n in numbers if not (path := lost.with_name(f"{lost.name}-resumed{n}")).exists())


def _run(plan: RunPlan, record: Journal | None = None) -> None:
    with SessionDisplay(plan.source.name, plan.trials) as display:
        try:
            result = run_plan(
                plan,
                on_build=display.building,
                on_frame=display.frame,
                on_end=display.drawing,
                record=record,
            )
        except KeyboardInterrupt:
            if display.is_recorded:
                print_notice("Figures left out:", f"draw them with robobrain report {plan.out}")
            raise
    if record is not None:
        console.print(
            f"the {record.exchanges} exchanges that {record.run.path} had on disk came out equal",
            soft_wrap=True,
        )
    _report(plan, result)
    if result.summary.status == "interrupted":
        raise typer.Exit(INTERRUPTED)


class SessionDisplay:
    """Shows building and session: one live line on a terminal, elsewhere one line per trial."""

    def __init__(self, brain: str, trials: int) -> None:
        self._brain, self._trials = brain, trials
        self.is_recorded = False
        self._live = Live(console=errors, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        if errors.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def building(self, phase: str, fraction: float) -> None:
        """Show how far the brain is built."""
        self._live.update(Text(f"brain {self._brain}: {phase} {fraction:.0%}"))

    def frame(self, frame: Frame, summary: SessionSummary) -> None:
        """Show the session after an exchange."""
        if frame.trial is not None:
            errors.print(_trial_line(frame.trial, self._trials), highlight=False)
        if errors.is_terminal:
            self._live.update(Text(_session_line(summary, self._trials)))

    def drawing(self, summary: SessionSummary) -> None:
        """Show that the session is recorded, and what is still done."""
        self.is_recorded = True
        if summary.status == "interrupted":
            errors.print("interrupted: what was recorded is kept", highlight=False)
        line = "drawing the figures; Ctrl-C leaves them out"
        if errors.is_terminal:
            self._live.update(Text(line))
        else:
            errors.print(line, highlight=False)


def _trial_line(trial: TrialResult, trials: int) -> str:
    measures = trial.measures
    peak = f"peak pull {measures.peak_pull_mm:4.1f} mm" if trial.attempted else "no pull"
    return f"trial {trial.trial:3d}/{trials}  {trial.outcome.value:<12} {peak}"


def _session_line(summary: SessionSummary, trials: int) -> str:
    shares = summary.shares
    parts = ", ".join(f"{name} {shares[name]:.0%}" for name in ("brain", "body", "exchange"))
    return (
        f"trial {min(summary.trials + 1, trials)}/{trials}  rewards {summary.successes}  "
        f"t {summary.model_ms / 1e3:.1f} s  wall/model time {summary.real_time_factor:.2f} ({parts})"
    )


def _report(plan: RunPlan, result: RunResult) -> None:
    summary, shares = result.summary, result.summary.shares
    table = Table(show_header=False, box=None)
    table.add_row("status", summary.status)
    if result.fault:
        table.add_row("ended by", result.fault.splitlines()[0])
    table.add_row(
        "trials", f"{summary.trials}, start line crossed in {summary.attempts}, rewarded {summary.successes}"
    )
    table.add_row(
        "speed",
        f"{summary.model_ms / 1e3:.2f} s of model time in {summary.wall_ms / 1e3:.2f} s: "
        f"wall/model time {summary.real_time_factor:.2f} (real time: 1)",
    )
    if result.neuron_models == "nest":
        faster = "'robobrain brain compile', where the brain runs, makes faster ones"
        table.add_row("neurons", f"NEST's own; {faster}")
    table.add_row("shares", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    if result.takeovers:
        table.add_row("takeovers", f"{result.takeovers} times a lost brain was replaced, without a step lost")
    table.add_row("data", str(plan.out))
    table.add_row("figures", ", ".join(str(file.relative_to(plan.out)) for file in result.files))
    console.print(table)
    if result.no_still:
        print_notice("No picture of the arm:", result.no_still)
