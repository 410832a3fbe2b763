"""``robobrain bench build``, ``noise`` and ``neurons``: the speed of a brain without a body."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from robobrain.cli.console import build_progress, console


def build(
    brain: Annotated[list[str], typer.Option(help="Sizes to build, one after the other.")] = [  # noqa: B006
        "tiny",
        "small",
        "0.1",
    ],
) -> None:
    """Measure building: time over NEST's fixed_indegree, bytes per synapse, and what was predicted."""
    from robobrain.brain.capacity import gib  # noqa: PLC0415
    from robobrain.brain.choice import choose  # noqa: PLC0415
    from robobrain.brain.openmp import configure_openmp  # noqa: PLC0415

    configure_openmp(1)
    from robobrain.brain.build_bench import measure_build  # noqa: PLC0415

    table = Table(title="building, one thread; times are the process's own", box=SIMPLE_HEAD)
    for heading in ("brain", "synapses", "build s", "(said)", "x plain", "memory", "(said)", "B/synapse"):
        table.add_column(heading, justify="right")
    for name in brain:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:  # a kernel's memory is its own
            cost = fresh.submit(measure_build, choose(name).spec()).result()
        table.add_row(
            name,
            f"{cost.synapses:,}",
            f"{cost.build_s:.2f}",
            f"{cost.predicted.build_s:.2f}",
            f"{cost.ratio:.2f}",
            gib(cost.memory_bytes),
            gib(cost.predicted.memory_bytes),
            f"{cost.synapse_bytes:.0f}",
        )
    console.print(table)


def noise(
    population: Annotated[str, typer.Argument(help="Population, e.g. M1_L23_CC.")] = "M1_L23_CC",
    neurons: Annotated[int, typer.Option(min=10, help="Unconnected neurons.")] = 1_000,
    seconds: Annotated[float, typer.Option(min=1.0, help="Model time to measure.")] = 10.0,
) -> None:
    """Compare kinds of background noise at the same mean rate: cost, irregularity, correlation."""
    from robobrain.brain.openmp import configure_openmp  # noqa: PLC0415

    configure_openmp(1)
    from robobrain.brain.noise_bench import measure_noise  # noqa: PLC0415
    from robobrain.brain.tables import load_tables  # noqa: PLC0415

    with console.status("") as status:
        effects = measure_noise(
            load_tables(), population, neurons=neurons, seconds=seconds, report=status.update
        )
    table = Table(title=f"{neurons:,} unconnected neurons of {population}, {seconds:g} s, one thread")
    for heading in ("noise", "ns per neuron and step", "rate Hz", "sd over neurons", "CV", "correlation"):
        table.add_column(heading, justify="left" if heading == "noise" else "right")
    for effect in effects:
        table.add_row(
            effect.kind,
            f"{effect.ns_per_step:.0f}",
            f"{effect.rate_hz:.2f}",
            f"{effect.rate_sd_hz:.2f}",
            f"{effect.cv_isi:.2f}",
            f"{effect.correlation:+.4f}",
        )
    console.print(table)


def neurons(
    brain: Annotated[str, typer.Option(help="Size of the brain.")] = "small",
    threads: Annotated[int | None, typer.Option(help="Threads (default: the size's own).")] = None,
    turns: Annotated[int, typer.Option(min=2, help="Turns of 50 exchanges.")] = 20,
) -> None:
    """Compare packed neurons with NEST's own: time of a Run, in turns on two brains at rest."""
    from robobrain.brain.packed_bench import measure_neurons  # noqa: PLC0415

    with build_progress(brain) as progress:
        times = measure_neurons(brain, threads=threads, turns=turns, on_build=progress)
    table = Table(title=f"brain {brain}, {turns} turns: NEST's Run for 10 ms of brain time")
    for heading in ("neurons", "median ms", "of NEST's own", "half of the turns"):
        table.add_column(heading, justify="left" if heading == "neurons" else "right")
    table.add_row("nest", f"{times.nest_ms:.2f}", "1", "")
    low, high = times.ratio_quartiles
    table.add_row("packed", f"{times.packed_ms:.2f}", f"{times.ratio:.2f}", f"{low:.2f} to {high:.2f}")
    console.print(table)
