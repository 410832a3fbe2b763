"""``robobrain brain compare``: brains side by side at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robobrain.brain.choice import choose
from robobrain.brain.openmp import configure_openmp
from robobrain.cli.console import console, errors
from robobrain.errors import ConfigurationError


def compare(
    brains: Annotated[
        list[str],
        typer.Argument(help="Brains, the reference first: tiny tiny-conductance, small my_brain:small."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for table, text and figure.")],
    seconds: Annotated[float, typer.Option(min=1.0, help="Model time after settling, per seed.")] = 10.0,
    seed: Annotated[int, typer.Option(min=1, help="First seed of the networks.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Number of networks, with consecutive seeds.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the kernel.")] = 1,
) -> None:
    """Compare rates, statistics and cost of brains at rest (needs the extra 'analysis')."""
    if len(brains) < 2:
        raise ConfigurationError("name two brains or more, e.g. tiny tiny-conductance")
    choices = {brain: choose(brain) for brain in brains}
    configure_openmp(threads)
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.comparison import compare as describe  # noqa: PLC0415
    from robobrain.brain.comparison import measure_brain, write_comparison  # noqa: PLC0415

    for choice in choices.values():
        check_fits(choice.tables, choice.spec())
    numbers = range(seed, seed + seeds)
    with errors.status("") as status:
        measured = [
            measure_brain(
                brain, choice, seeds=numbers, seconds=seconds, threads=threads, report=status.update
            )
            for brain, choice in choices.items()
        ]
    title = f"{' and '.join(choices)} at rest: {seconds:g} s; seeds: {seeds} from {seed}; threads: {threads}"
    paths = write_comparison(out, title, measured)
    for line in describe(measured):
        console.print(line, highlight=False)
    console.print(", ".join(str(path) for path in paths))
