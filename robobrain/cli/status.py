"""``robobrain status``: who uses a server, and how fast."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.live import Live
from rich.table import Table

from robobrain.cli.console import console

if TYPE_CHECKING:
    from robobrain.bridge.v1.service_pb2 import Seat, ServerStatus

Credentials = Annotated[
    Path | None, typer.Option(help="Folder of the client's credentials, for a server that asks for them.")
]


def status(
    address: Annotated[
        str, typer.Argument(help="HOST:PORT of the server, or @FILE with its rendezvous file.")
    ],
    credentials: Credentials = None,
    every_s: Annotated[float, typer.Option(min=0.2, help="Time between two looks on a terminal.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, also on a terminal.")] = False,
) -> None:
    """Show a server's sessions and speed; live on a terminal, until Ctrl-C."""
    from robobrain.bridge.administration import ServerLink  # noqa: PLC0415

    with ServerLink(address, credentials=credentials) as link:
        if once or not console.is_terminal:
            console.print(status_table(address, link.status()))
            return
        with Live(status_table(address, link.status()), console=console) as live:
            while True:
                time.sleep(every_s)
                live.update(status_table(address, link.status()))


def status_table(address: str, server: ServerStatus) -> Table:
    """Return a row for each brain of the server."""
    title = (
        f"{address}: brain {server.brain or 'in the making'} ({server.identity[:12]}), "
        f"up {server.uptime_s:.0f} s, robobrain {server.version}, protocol {server.protocol_version}"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("seat", "steps", "x real time", "spikes/s", "MiB", "queue"):
        table.add_column(heading, justify="right")
    for heading in ("state", "faults"):
        table.add_column(heading, overflow="fold")
    for number, seat in enumerate(server.seats, start=1):
        table.add_row(str(number), *_speed(seat), _memory(seat), str(seat.queue), _state(seat), _faults(seat))
    return table


def _speed(seat: Seat) -> tuple[str, str, str]:
    if not seat.client:
        return "", "", ""
    return f"{seat.exchanges:,}", f"{seat.real_time_factor:.2f}", f"{seat.spikes_per_s:,.0f}"


def _memory(seat: Seat) -> str:
    return f"{seat.memory_mib:,.0f}" if seat.pid else ""


def _state(seat: Seat) -> str:
    if seat.state == seat.STATE_BUILDING:
        return f"building: {seat.phase} {seat.fraction:.0%}"
    if not seat.client:
        return "idle" if seat.state == seat.STATE_IDLE else "going back to its start"
    since = datetime.fromtimestamp(seat.since_unix_s).astimezone().isoformat(" ", "seconds")
    return f"{seat.client} since {since}{'' if seat.connected else ', away'}"


def _faults(seat: Seat) -> str:
    return f"{seat.faults}, last: {seat.last_fault}" if seat.faults else "0"
