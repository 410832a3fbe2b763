"""``robobrain brain rest``: the resting state beside its ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.brain.choice import choose
from robobrain.brain.openmp import configure_openmp
from robobrain.cli.console import console, errors, print_fault
from robobrain.cli.options import (
    Disconnect,
    Family,
    Folder,
    Lesion,
    Scale,
    Seed,
    Shuffle,
    Silence,
    Size,
    Threads,
    alterations,
    brain_name,
)


def rest(
    size: Size = "small",
    brain: Folder = None,
    scale: Scale = None,
    family: Family = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Model time after settling.")] = 10.0,
    seed: Seed = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of networks, with consecutive seeds.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for a report with spike statistics (needs the extra 'analysis')."),
    ] = None,
    threads: Threads = None,
    lesion: Lesion = None,
    silence: Silence = None,
    disconnect: Disconnect = None,
    shuffle: Shuffle = False,
) -> None:
    """Measure resting rates beside their ranges; exit 1 if a population is silent or far above its range."""
    choice = choose(brain_name(size, brain, scale, family))
    altered = alterations(lesion, silence, disconnect, shuffle)
    first = choice.spec(alterations=altered).seed if seed is None else seed
    specs = [choice.spec(seed=first + number, alterations=altered) for number in range(seeds)]
    count = specs[0].threads if threads is None else threads
    configure_openmp(count)
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.rest_report import measure_seeds, summary, write_report  # noqa: PLC0415
    from robobrain.brain.resting import by_region  # noqa: PLC0415

    check_fits(choice.tables, specs[0])
    with errors.status("") as status:
        populations = measure_seeds(
            specs,
            choice.tables,
            seconds=seconds,
            threads=count,
            statistics=out is not None,
            report=lambda number, phase: status.update(f"seed {first + number}: {phase}"),
        )
    which = f"seed {first}" if seeds == 1 else f"seeds {first} to {first + seeds - 1}"
    title = f"{specs[0].label}: resting state over {seconds:g} s, {which}"
    rates = {population.mean.population: population for population in populations}
    table = Table(title=title)
    for heading in ("population", "rate Hz", "range Hz", "range of", "seeds in range", "verdict"):
        table.add_column(heading, justify="right" if "Hz" in heading else "left")
    for _, members in by_region([population.mean for population in populations]):
        for rate in members:
            low, high = rate.range_hz
            origin = "literature, verified" if rate.target.verified else "tuning"
            inside = f"{rates[rate.population].seeds_in_range}/{seeds}"
            table.add_row(
                rate.population, f"{rate.rate_hz:.2f}", f"{low:g} - {high:g}", origin, inside, rate.verdict
            )
        table.add_section()
    console.print(table)
    for line in summary(populations)[: None if out else 1]:
        console.print(line, highlight=False)
    if out is not None:
        console.print(", ".join(str(path) for path in write_report(out, title, populations)))
    if failed := [p.mean.population for p in populations if not all(rate.holds for rate in p.rates)]:
        print_fault("Resting state does not hold:", ", ".join(failed))
        raise typer.Exit(1)
