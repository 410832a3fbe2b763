"""``robobrain bench``: measured speed, as ratios within one run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from robobrain.cli import bench_brain
from robobrain.cli.console import build_progress, console
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.tasks.joystick.benchmark import LoopRuns
    from robobrain.tasks.joystick.link_benchmark import LinkCost

_LINKS = ("pipe", "gRPC")
app = typer.Typer(no_args_is_help=True, help="Measure speed.")


@app.command()
def loop(
    brain: Annotated[
        str | None, typer.Option(help="Size of the brain (default: small, or the server's).")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="Model time to measure.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements; the median is the result.")] = 3,
    exchange: Annotated[
        list[str] | None, typer.Option(help="lockstep, overlapped (default: both, in turns).")
    ] = None,
    grpc: Annotated[bool, typer.Option("--grpc", help="Also through a server on this machine.")] = False,
    connect: Annotated[
        str | None, typer.Option(help="Use the brain of a server, HOST:PORT or @FILE.")
    ] = None,
    credentials: Annotated[Path | None, typer.Option(help="With --connect: the client's folder.")] = None,
) -> None:
    """Measure the closed loop of brain, exchange and body: wall time over model time, and its shares."""
    from robobrain.tasks.joystick.benchmark import measure_loop  # noqa: PLC0415
    from robobrain.tasks.joystick.link_benchmark import served  # noqa: PLC0415
    from robobrain.tasks.joystick.loop import EXCHANGES, checked_exchange  # noqa: PLC0415
    from robobrain.tasks.joystick.source import BrainSource  # noqa: PLC0415

    exchanges = [checked_exchange(one) for one in exchange or EXCHANGES]
    source = BrainSource(brain=brain, threads=threads, connect=connect, credentials=credentials)
    measured = {}

    def measure(link: str, source: BrainSource) -> None:
        with build_progress(source.name) as progress:
            measured[link] = measure_loop(
                source,
                seconds=seconds,
                seed=seed,
                repeats=repeats,
                exchanges=exchanges,
                on_build=progress,
            )

    measure("pipe" if connect is None else "gRPC", source)
    if grpc and connect is None:
        options = [] if threads is None else ["--threads", str(threads)]
        with served(source.name, *options) as address:
            measure("gRPC", BrainSource(connect=address))
    _show_loops(f"closed loop, brain {source.name}, {seconds:g} s, medians of {repeats}", measured)


def _show_loops(title: str, measured: Mapping[str, Sequence[LoopRuns]]) -> None:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    parts = ("brain", "body", "exchange", "overlap")
    for heading in ("link", "mode", "real x", "brain", "body", "wait", "overlap", "efficiency", "NEST"):
        table.add_column(heading, justify="right")
    for link, ways in measured.items():
        for loop in ways:
            shares = [run.summary.shares for run in loop.runs]
            table.add_row(
                link,
                loop.exchange,
                f"{loop.real_time_factor:.3f}",
                *(f"{median(share[part] for share in shares):.1%}" for part in parts),
                f"{loop.efficiency:.3f}",
                f"{loop.nest_efficiency:.3f}",
            )
    console.print(table)
    console.print(
        "real x: wall time over model time, below 1 is faster. wait: for the exchange, beyond NEST's Run. "
        "overlap: part of the Run that the loop did not wait for. efficiency: larger of the time that the "
        "kernel computes (encode, NEST's Run, decode) and that of the body, over the wall time. NEST: the "
        "same with nothing but the Run as the brain."
    )


@app.command()
def reset(
    brain: Annotated[str, typer.Option(help="Size of the brain.")] = "small",
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    repeats: Annotated[int, typer.Option(min=3, help="Resets, snapshots and restores to measure.")] = 50,
) -> None:
    """Measure reset, snapshot and restore, and check that each episode repeats the first bit for bit."""
    from robobrain.tasks.joystick.benchmark import measure_resets  # noqa: PLC0415

    with build_progress(brain) as progress:
        cost = measure_resets(brain, threads=threads, repeats=repeats, on_build=progress)
    table = Table(
        title=f"brain {brain}, {cost.synapses:,} synapses, threads: {cost.threads}, {repeats} times"
    )
    for heading in ("", "median ms", "95 % ms", "largest ms"):
        table.add_column(heading, justify="right")
    for name, times_ms in cost.times_ms.items():
        ordered = sorted(times_ms)
        median, high = ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]
        table.add_row(name, *(f"{value:.1f}" for value in (median, high, ordered[-1])))
    console.print(table)
    console.print(f"an instant takes {cost.private_mb:.1f} MB of its own and shares {cost.shared_mb:.0f} MB")
    console.print(f"equal episodes: {cost.equal} of {repeats}")
    if cost.equal < repeats:
        raise typer.Exit(1)


@app.command()
def exchange(
    brain: Annotated[list[str], typer.Option(help="Sizes to measure, one after the other.")] = [  # noqa: B006
        "tiny",
        "small",
    ],
    exchanges: Annotated[int, typer.Option(min=10, help="Exchanges of an episode.")] = 200,
    rounds: Annotated[
        int, typer.Option(min=1, help="Episodes with the devices, each after one without.")
    ] = 12,
    sources: Annotated[int, typer.Option(min=0, help="Number of sources.")] = 16,
    monitors: Annotated[int, typer.Option(min=0, help="Number of monitors.")] = 20,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Sources and monitors of all kinds in turn, not rates alone.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads (default: the size's own).")] = None,
) -> None:
    """Measure what an exchange costs on top of NEST's own Run, and what the devices add to it in all."""
    from robobrain.tasks.joystick.benchmark import measure_exchange  # noqa: PLC0415

    kinds = " of all kinds" if mixed else ""
    table = Table(
        title=f"{rounds} x {exchanges} exchanges: {sources} sources, {monitors} monitors{kinds}; ms",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    headings = ("brain", "Run", "encode", "decode", "wire", "added", "99 %")
    for heading in (*headings, "devices", "growth"):
        table.add_column(heading, justify="right")
    for size in brain:
        with build_progress(size) as progress:
            cost = measure_exchange(
                size,
                exchanges=exchanges,
                rounds=rounds,
                sources=sources,
                monitors=monitors,
                mixed=mixed,
                threads=threads,
                on_build=progress,
            )
        table.add_row(
            size,
            *(f"{value:.2f}" for value in (cost.run_ms, cost.encode_ms, cost.decode_ms, cost.wire_ms)),
            f"{cost.added_ms:.2f}",
            f"{cost.added_p99_ms:.2f}",
            "{:.2f} ({:.2f} to {:.2f})".format(cost.devices_ms, *cost.devices_quartiles_ms),
            f"{cost.growth:.2f}",
        )
    console.print(table)
    console.print(
        "Run: NEST's own. added: all but Run, median and 99 %. devices: mean of the whole exchange less that "
        "of the same brain without devices in the episode before (half of the rounds lie within the range). "
        "growth: added in the last tenth of an episode over the first."
    )


@app.command()
def recording(
    brain: Annotated[str, typer.Option(help="Size of the brain.")] = "small",
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    seconds: Annotated[float, typer.Option(min=0.6, help="Model time of an episode.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random draws.")] = 1,
    episodes: Annotated[
        int, typer.Option(min=2, help="Episodes, each run twice, recorded on either brain.")
    ] = 12,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Measure the store on its own too.")
    ] = True,
) -> None:
    """Measure what recording all spikes and signals adds to the loop, and how fast the store is.

    Two brains of packed neurons take turns, one recorded and one not, and then change places.
    """
    from robobrain.tasks.joystick.recording_benchmark import measure_recording, measure_store  # noqa: PLC0415

    with build_progress(brain) as progress:
        cost = measure_recording(
            brain, threads=threads, seconds=seconds, seed=seed, episodes=episodes, on_build=progress
        )
    title = f"recording, brain {brain}, {episodes} episodes of {seconds:g} s: mean and standard error"
    table = Table(title=title, show_header=False)
    for what, share in {
        "added to the loop's wall time": cost.added,
        "added CPU time, kernel and writer included": cost.added_cpu,
        "share of the recorder in the loop": cost.in_loop,
        "CPU time of the writer over the loop's wall time": cost.writer,
    }.items():
        table.add_row(what, f"{share.mean:+.1%} ± {share.error:.1%}")
    table.add_row("waited for the disk", f"{cost.backpressure_ms:.1f} ms")
    table.add_row("spikes per second of model time", f"{cost.spikes_per_s:,.0f}")
    table.add_row("store per hour of model time", f"{cost.bytes_per_hour / 1e9:.2f} GB")
    if store:
        speed = measure_store()
        table.add_row("10 million spikes in 10,000 commits", f"{speed.write_s:.2f} s")
        table.add_row("longest commit call", f"{speed.commit_ms:.2f} ms")
        table.add_row("1 s from the middle of them", f"{speed.window_ms:.1f} ms")
        table.add_row("opening a run of 1,000 segments", f"{speed.open_ms:.1f} ms")
    console.print(table)


@app.command()
def link(
    brain: Annotated[list[str], typer.Option(help="Sizes to measure, one after the other.")] = [  # noqa: B006
        "tiny",
        "small",
    ],
    exchanges: Annotated[int, typer.Option(min=10, help="Exchanges to measure.")] = 500,
    grpc: Annotated[bool, typer.Option("--grpc", help="Also through a server on this machine.")] = False,
    idle: Annotated[
        bool, typer.Option("--idle", help="Only a brain that computes nothing: what gRPC adds to the pipe.")
    ] = False,
    connect: Annotated[
        str | None, typer.Option(help="Only the brain of a running server, HOST:PORT, as it is wired.")
    ] = None,
    credentials: Annotated[Path | None, typer.Option(help="With --connect: the client's folder.")] = None,
    ranks: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Through the pipe on so many MPI ranks; can be repeated, for a table."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each process (default: the size's own).")
    ] = None,
) -> None:
    """Measure what an exchange costs on top of NEST's own Run, with 16 sources and 20 monitors."""
    from robobrain.tasks.joystick.link_benchmark import (  # noqa: PLC0415
        measure_idle_links,
        measure_links,
        measure_served_exchange,
    )

    if ranks and grpc:
        raise ConfigurationError("--ranks is measured through the pipe; leave --grpc away")

    wiring = "the server's wiring" if connect else "16 sources, 20 monitors"
    table = Table(
        title=f"one exchange: {wiring}, {exchanges} exchanges; medians in ms",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in (
        "brain",
        "link",
        "neurons",
        "NEST Run",
        "encode",
        "decode",
        "wire",
        "wait",
        "added",
        "99 %",
    ):
        table.add_column(heading, justify="right")
    rows: list[tuple[str, LinkCost]] = []
    if connect is not None:
        rows += [
            ("gRPC", measure_served_exchange(connect, exchanges=exchanges, credentials=credentials)),
        ]
    elif idle:
        rows += zip(_LINKS, measure_idle_links(exchanges=exchanges), strict=True)
    else:
        for size, number in itertools.product(brain, ranks or (None,)):
            with build_progress(size) as progress:
                costs = measure_links(
                    size, exchanges=exchanges, grpc=grpc, ranks=number, threads=threads, on_build=progress
                )
            names = _LINKS if number is None else (f"{number} rank{'s' * (number > 1)}",)
            rows += zip(names, costs, strict=False)
    for name, cost in rows:
        table.add_row(*_cost_row(cost, name))
    console.print(table)
    for (_, pipe), (name, remote) in itertools.pairwise(rows):
        if name == "gRPC":
            console.print(
                f"{remote.brain}: gRPC adds {remote.added_ms - pipe.added_ms:.3f} ms to the pipe's median, "
                f"{remote.added_p99_ms - pipe.added_p99_ms:.3f} ms at 99 %"
            )


def _cost_row(cost: LinkCost, link: str) -> list[str]:
    times = (cost.run_ms, cost.encode_ms, cost.decode_ms, cost.wire_ms, cost.wait_ms)
    return [
        cost.brain,
        link,
        f"{cost.neurons:,}",
        *(f"{value:.3f}" for value in (*times, cost.added_ms, cost.added_p99_ms)),
    ]


app.command()(bench_brain.build)
app.command()(bench_brain.noise)
app.command()(bench_brain.neurons)
