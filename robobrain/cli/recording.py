"""``robobrain recording``: look at a run, check it, copy it, follow it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from robobrain import recording
from robobrain.cli.console import console, print_fault
from robobrain.recording.overview import overview, ragged_end, status_in_words

app = typer.Typer(no_args_is_help=True, help="Look at a recorded run, check it, copy it, follow it.")

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]
NewPath = Annotated[Path, typer.Argument(metavar="NEW", help="Directory to write; new or empty.")]

POLL_S = 0.5
UNBOUND_COLUMNS = 10_000
"""Wider than any table."""


@app.command()
def info(run: RunPath) -> None:
    """Print what a run is and what it holds; works while it is being written."""
    opened = recording.open(run)
    facts = Table("what", "value", show_header=False, box=None)
    facts.add_row("status", status_in_words(opened))
    for name, value in {**overview(opened), "ends": ragged_end(opened)}.items():
        if value not in (None, ""):
            facts.add_row(name, str(value))
    facts.add_row("commits", f"{opened.commits:,}")
    facts.add_row("events", f"{len(opened.events):,}")
    if opened.manifest.get("error"):
        facts.add_row("error", opened.manifest["error"])
    _print_table(facts)
    streams = Table(*(Column(name, overflow="fold") for name in ("stream", "unit", "columns", "type")))
    for stream in opened.streams.values():
        shown = ", ".join(stream.columns[:4]) + (", ..." if len(stream.columns) > 4 else "")
        streams.add_row(stream.name, stream.unit, f"{len(stream.columns)}: {shown}", stream.dtype)
    _print_table(streams)


def _print_table(table: Table) -> None:
    """Print all of a table: a narrow terminal folds its names, elsewhere lines are as long as they are."""
    to = console if console.is_terminal else Console(markup=False, width=UNBOUND_COLUMNS)
    to.print(table)


@app.command()
def check(run: RunPath) -> None:
    """Read all of a run and say what is wrong with it; exit 0 only when nothing is."""
    problems = recording.check(run)
    for problem in problems:
        print_fault("Problem:", problem)
    if problems:
        raise typer.Exit(1)
    opened = recording.open(run)
    console.print(
        f"{run} is sound: {opened.status}, {opened.commits:,} commits, {opened.spike_count:,} spikes",
        soft_wrap=True,
    )
    if ends := ragged_end(opened):
        console.print(f"ends: {ends}", soft_wrap=True)


@app.command()
def backup(run: RunPath, new: NewPath) -> None:
    """Copy a run safely, also while it is being written; exit 0 only when the copy is sound."""
    copied = recording.backup(run, new)
    if problems := recording.check(new):
        raise recording_error(new, problems)
    console.print(f"{new}: {copied.status}, {copied.commits:,} commits", soft_wrap=True)


@app.command()
def compact(run: RunPath, new: NewPath) -> None:
    """Write a run that has ended anew in long chunks: smaller, and faster to read."""
    copied = recording.compact(run, new)
    if problems := recording.check(new):
        raise recording_error(new, problems)
    before, after = (_size(recording.open(path)) for path in (run, new))
    console.print(
        f"{new}: {before / 1e6:.2f} MB became {after / 1e6:.2f} MB, {copied.commits:,} commits",
        soft_wrap=True,
    )


def recording_error(path: Path, problems: list[str]) -> Exception:
    """Return the error that a copy isn't sound."""
    from robobrain.errors import RecordingError  # noqa: PLC0415

    return RecordingError(f"The copy {path} is not sound: {'; '.join(problems[:3])}.")


def _size(run: recording.Run) -> int:
    return sum(path.stat().st_size for path in run.segments)


@app.command()
def tail(
    run: RunPath,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Events to begin with.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends or Ctrl-C.")
    ] = False,
) -> None:
    """Print the last events of a run, and with --follow each new one as it is committed."""
    opened = recording.open(run)
    events = opened.events
    _print_events(events[max(0, len(events) - lines) :])
    try:
        while follow and opened.status == "running":
            time.sleep(POLL_S)
            seen, events = len(events), opened.events
            _print_events(events[seen:])
    except KeyboardInterrupt:
        return
    _print_events(opened.events[len(events) :])
    first, last = opened.span_ms
    console.print(
        f"{opened.status}: {(last - first) / 1e3:.2f} s of session time, {opened.commits:,} commits, "
        f"{len(opened.trials)} trials, {opened.spike_count:,} spikes",
        highlight=False,
    )


def _print_events(events: list[recording.Event]) -> None:
    for event in events:
        detail = "  ".join(f"{name} {value}" for name, value in event.detail.items())
        console.print(f"{event.t_ms / 1e3:10.3f} s  {event.name:<12} {detail}", highlight=False)
