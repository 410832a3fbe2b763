"""What an exchange costs through the pipe and through gRPC, as ``robobrain bench link`` prints it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from robobrain.bridge import tie
from robobrain.errors import BrainFault
from robobrain.seeding import generator

if TYPE_CHECKING:
    from robobrain.bridge.link import BrainLink
    from robobrain.bridge.messages import Description, PhaseTimes

BuildListener = Callable[[str, float], None]
SOURCES, MONITORS = 16, 20
_TURN = 50
"""Exchanges of one link before it is another one's turn."""


@dataclass(frozen=True, kw_only=True)
class LinkCost:
    """Medians of one exchange (ms); ``added`` is all but NEST's own Run, at the median and at 99 %."""

    brain: str
    neurons: int
    run_ms: float
    encode_ms: float
    decode_ms: float
    wire_ms: float
    wait_ms: float
    added_ms: float
    added_p99_ms: float


def measure_links(
    brain: str,
    *,
    exchanges: int,
    grpc: bool = False,
    ranks: int | None = None,
    threads: int | None = None,
    on_build: BuildListener | None = None,
) -> list[LinkCost]:
    """Drive a brain with 16 sources that change in every exchange and 20 monitors; return the medians.

    Args:
        brain: Size of the brain.
        exchanges: How many to measure.
        grpc: Measure also such a brain behind a server in a process of its own, in turns with the first.
        ranks: MPI processes of the brain on the pipe; None for one process.
        threads: Threads of each process; None for the size's own.
        on_build: Told how far the building is.

    Returns:
        The costs through the pipe, then those over gRPC.
    """
    from robobrain.brain.config import local_brain  # noqa: PLC0415
    from robobrain.bridge.remote import RemoteBrain  # noqa: PLC0415

    with TemporaryDirectory() as folder, ExitStack() as stack:
        wiring = Path(folder) / "benchmark.yaml"
        wiring.write_text(yaml.safe_dump(_benchmark_wiring()), encoding="utf-8")
        pipe = local_brain(brain, interfaces=wiring, ranks=ranks, threads=threads, on_progress=on_build)
        links: list[BrainLink] = [stack.enter_context(pipe)]
        if grpc:
            options = [] if threads is None else ["--threads", str(threads)]
            address = stack.enter_context(served(brain, "--interfaces", str(wiring), *options))
            links.append(stack.enter_context(RemoteBrain(address)))
        return _time_exchanges(links, exchanges)


def measure_idle_links(*, exchanges: int) -> list[LinkCost]:
    """Exchange with a brain that computes nothing, through the pipe and in turns through a server.

    Returns:
        The costs through the pipe, then those over gRPC.
    """
    from robobrain.bridge.link import LocalBrain  # noqa: PLC0415
    from robobrain.bridge.remote import RemoteBrain  # noqa: PLC0415

    with (
        LocalBrain(_idle_command()) as pipe,
        _served_idle() as address,
        RemoteBrain(address) as remote,
    ):
        return _time_exchanges([pipe, remote], exchanges)


def measure_served_exchange(address: str, *, exchanges: int, credentials: Path | None) -> LinkCost:
    """Drive the brain of a running server, with the sources and monitors that it has."""
    from robobrain.bridge.remote import RemoteBrain  # noqa: PLC0415

    with RemoteBrain(address, credentials=credentials) as link:
        return _time_exchanges([link], exchanges)[0]


@contextmanager
def served(brain: str, *options: str) -> Iterator[str]:
    """Serve ``brain`` without its spikes from another process, and yield the address.

    Raises:
        BrainFault: The server ended before it was ready.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder) / "place.json"
        command = [sys.executable, tie.__file__, sys.executable, "-m", "robobrain", "serve", "--brain", brain]
        command += [*options, "--no-spikes", "--rendezvous", str(place), "--listen", "127.0.0.1:0"]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                while not place.exists():
                    if process.poll() is not None:
                        raise BrainFault(f"the server ended: {process.stderr and process.stderr.read()}")
                    sleep(0.05)
                where = json.loads(place.read_text(encoding="utf-8"))
                yield f"{where['host']}:{where['port']}"
            finally:
                process.terminate()


def _idle_command() -> list[str]:
    from robobrain.brain.kernel import kernel_command  # noqa: PLC0415

    counts = {"sources": SOURCES, "monitors": MONITORS, "threads": 1}
    return kernel_command(counts, model="robobrain.bridge.idle:IdleBrain")


@contextmanager
def _served_idle() -> Iterator[str]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_idle, args=(theirs,))
    process.start()
    theirs.close()
    try:
        yield _received(ours)
    finally:
        process.terminate()
        process.join()


def _received(end: Connection) -> str:
    try:
        return str(end.recv())
    except EOFError:
        raise BrainFault("the server of the idle brain ended before it was ready") from None


def _serve_idle(ready: Connection) -> None:
    """Serve on a free port until asked to end, or the benchmark is gone, and send the address."""
    from robobrain.brain.holder import end_with_parent  # noqa: PLC0415
    from robobrain.bridge.security import Address  # noqa: PLC0415
    from robobrain.bridge.server import ServerConfig, serve  # noqa: PLC0415

    end_with_parent()
    config = ServerConfig(command=_idle_command(), listen=Address(host="127.0.0.1", port=0))
    asyncio.run(serve(config, on_ready=lambda address: ready.send(str(address))))


def _time_exchanges(links: Sequence[BrainLink], exchanges: int) -> list[LinkCost]:
    """Drive the brains in turns, some exchanges each, so that they meet the same machine."""
    times: list[list[PhaseTimes]] = [[] for _ in links]
    rng = generator(1, "benchmark")
    values = rng.random((exchanges, links[0].description.input_size), dtype=np.float32)
    for link in links:
        link.reset(1)
    for turn in np.array_split(values, max(1, exchanges // _TURN)):
        for link, seen in zip(links, times, strict=True):
            seen += [link.step(inputs).times for inputs in turn]
    return [_cost(link.description, seen) for link, seen in zip(links, times, strict=True)]


def _cost(brain: Description, times: Sequence[PhaseTimes]) -> LinkCost:
    parts = {
        name: np.array([getattr(time, name) for time in times])
        for name in ("run_ms", "encode_ms", "decode_ms", "wire_ms", "wait_ms")
    }
    added = sum((values for name, values in parts.items() if name != "run_ms"), start=np.zeros(len(times)))
    return LinkCost(
        brain=brain.brain,
        neurons=brain.neurons,
        **{name: float(np.median(values)) for name, values in parts.items()},
        added_ms=float(np.median(added)),
        added_p99_ms=float(np.percentile(added, 99)),
    )


def _benchmark_wiring() -> dict[str, list[dict[str, Any]]]:
    """Return 16 sources of one channel and 20 monitors, on populations that every brain has."""
    populations = [
        f"{zone}_{cell}" for zone in ("VL_EZ", "VL_IZ", "VM_EZ", "VM_IZ") for cell in ("TC", "TCm")
    ]
    port = {"unit": "1", "description": "benchmark", "channels": ["value"], "low": 0.0, "high": 1.0}
    port["provenance"] = {"assumed": "only to measure cost"}
    return {
        "inputs": [
            port
            | {
                "name": f"source{number}",
                "encoder": {"rate": {"gain_hz_per_unit": 50.0, "max_hz": 50.0}},
                "targets": [{"population": populations[number % 8], "fraction": 0.2, "weight_nS": 1.0}],
            }
            for number in range(SOURCES)
        ],
        "outputs": [
            port
            | {
                "name": f"monitor{number}",
                "high": 1000.0,
                "decoder": {"rate": {"tau_rise_ms": 5.0, "tau_decay_ms": 30.0}},
                "cells": {"population": populations[number % 8]},
            }
            for number in range(MONITORS)
        ],
    }
