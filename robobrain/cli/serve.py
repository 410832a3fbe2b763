"""``robobrain serve``: a brain behind gRPC."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from robobrain.cli.console import console, errors
from robobrain.errors import ConfigurationError

DEFAULT_LISTEN = "127.0.0.1:50051"


def serve(
    brain: Annotated[str, typer.Option(help="Size of the brain: tiny, small, ...")] = "small",
    listen: Annotated[str, typer.Option(help="Where to listen, HOST:PORT; port 0: any.")] = DEFAULT_LISTEN,
    pool: Annotated[int, typer.Option(min=1, help="Number of brains, one for each session.")] = 1,
    min_brains: Annotated[
        int,
        typer.Option(min=0, help="Let nobody in with fewer living brains than this; open sessions go on."),
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each brain (default: the size's own).")
    ] = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, help="MPI processes of each brain, each with --threads threads.")
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(
            help="Command that starts the ranks: 'mpirun -n 4', 'srun -n 4' (default with --ranks: mpirun)."
        ),
    ] = None,
    exchange_ms: Annotated[float, typer.Option(help="Period of the exchange.")] = 10.0,
    spikes: Annotated[bool, typer.Option("--spikes/--no-spikes", help="Send all spikes.")] = True,
    interfaces: Annotated[
        Path | None, typer.Option(help="YAML file of sources and monitors (default: the forelimb loop's).")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(help="Folder of the server's credentials; needed off loopback.")
    ] = None,
    mutual_tls: Annotated[bool, typer.Option("--mutual-tls", help="Ask clients for certificates.")] = False,
    reflection: Annotated[
        bool, typer.Option("--reflection", help="Tell generic clients the schema.")
    ] = False,
    lease_s: Annotated[float, typer.Option(help="How long a vanished client keeps its brain.")] = 30.0,
    stall_s: Annotated[float, typer.Option(help="How long a brain may come to a halt.")] = 20.0,
    rendezvous: Annotated[
        Path | None, typer.Option(help="File to write host and port into, once ready.")
    ] = None,
    log_format: Annotated[str, typer.Option(help="Log on stderr as 'text' or 'json'.")] = "text",
    make_credentials: Annotated[
        Path | None, typer.Option(help="Only make credentials in this new folder.", metavar="DIR")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="With --make-credentials: a name of the server (default: this machine's)."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="With --make-credentials: validity.")] = 365,
) -> None:
    """Serve a brain to environments anywhere, until Ctrl-C."""
    if make_credentials is not None:
        _make_credentials(make_credentials, host or _own_names(), days)
        return
    _log_as(log_format)
    from robobrain.brain.config import kernel_config, mpi_launcher  # noqa: PLC0415
    from robobrain.brain.kernel import kernel_command  # noqa: PLC0415
    from robobrain.bridge.rendezvous import remove_rendezvous, write_rendezvous  # noqa: PLC0415
    from robobrain.bridge.security import Address, ServerCredentials  # noqa: PLC0415
    from robobrain.bridge.server import ServerConfig  # noqa: PLC0415
    from robobrain.bridge.server import serve as serve_brain  # noqa: PLC0415

    if mutual_tls and credentials is None:
        raise ConfigurationError("--mutual-tls needs --credentials DIR/server")
    kernel = kernel_config(
        brain,
        exchange_ms=exchange_ms,
        threads=threads,
        record_spikes=spikes,
        interfaces=interfaces,
        ranks=0 if ranks is None and launcher is not None else ranks,
    )
    config = ServerConfig(
        command=kernel_command(dataclasses.asdict(kernel), launcher=mpi_launcher(ranks, launcher)),
        listen=Address.parse(listen),
        pool=pool,
        min_brains=min_brains,
        lease_s=lease_s,
        stall_s=stall_s,
        credentials=None if credentials is None else ServerCredentials.load(credentials, mutual=mutual_tls),
        reflection=reflection,
    )

    announced = ""

    def announce(address: Address) -> None:
        nonlocal announced
        console.print(f"brain {brain} listens on {address}", highlight=False)
        if rendezvous is not None:
            beside = None if credentials is None else credentials.resolve().parent / "client"
            known = beside if beside is not None and beside.is_dir() else None
            announced = write_rendezvous(rendezvous, address, known)

    try:
        asyncio.run(serve_brain(config, announce))
    finally:
        if rendezvous is not None:
            remove_rendezvous(rendezvous, announced)


def _make_credentials(folder: Path, hosts: list[str], days: int) -> None:
    from robobrain.bridge.credentials import make_credentials  # noqa: PLC0415

    for path in make_credentials(folder, hosts, days=days):
        console.print(str(path), highlight=False)
    console.print(
        f"valid {days} days for {', '.join(hosts)}\n"
        f"server: robobrain serve --listen HOST:PORT --credentials {folder / 'server'}\n"
        f"client: robobrain run --connect HOST:PORT --credentials {folder / 'client'} (copy that folder)",
        highlight=False,
        soft_wrap=True,
    )


def _own_names() -> list[str]:
    return list(dict.fromkeys([socket.gethostname(), socket.getfqdn(), "localhost", "127.0.0.1", "::1"]))


def _log_as(log_format: str) -> None:
    formats: dict[str, logging.Formatter] = {
        "text": logging.Formatter("%(asctime)s %(levelname)s %(message)s"),
        "json": JsonFormatter(),
    }
    if log_format not in formats:
        raise ConfigurationError(f"--log-format is {log_format!r}; use text or json")
    handler = logging.StreamHandler(errors.file)
    handler.setFormatter(formats[log_format])
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class JsonFormatter(logging.Formatter):
    """Writes each log record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)
