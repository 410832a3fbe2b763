"""``robobrain brain``: look at a brain, measure its resting state, tune it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from robobrain.brain.choice import choose
from robobrain.brain.openmp import configure_openmp
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables
from robobrain.cli import brain_compare, brain_folder, brain_model, brain_rest, devices, open_loop
from robobrain.cli.console import build_progress, console, progress_bars
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
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.brain.inventory import AuthorsRow

app = typer.Typer(no_args_is_help=True, help="Look at a brain, measure it, tune it, describe your own.")
HEADINGS = (
    "region",
    "layers",
    "types",
    "neurons",
    "authors",
    "projections",
    "synapses",
)


@app.command()
def info(
    size: Size = "small",
    brain: Folder = None,
    scale: Scale = None,
    family: Family = None,
    populations: Annotated[bool, typer.Option("--populations", help="List every population.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Build it and compare with NEST's own counts.")
    ] = False,
    lesion: Lesion = None,
    silence: Silence = None,
    disconnect: Disconnect = None,
    shuffle: Shuffle = False,
) -> None:
    """Print what a brain consists of beside its authors' table, and what it takes; exit 1 if it can't fit."""
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415

    choice = choose(brain_name(size, brain, scale, family))
    spec = choice.spec(alterations=alterations(lesion, silence, disconnect, shuffle))
    synapses = _print_regions(spec, choice.tables, choice.tables.size(choice.size).description)
    console.print(
        f"identity {spec.identity}, bias currents {'tuned' if spec.tuned else 'NOT tuned for this size'}"
    )
    if populations:
        console.print(_population_table(spec, choice.tables))
    _print_cost(spec)
    _print_neurons()
    check_fits(choice.tables, spec)
    if verify:
        _verify(spec, synapses)


def _print_regions(spec: BrainSpec, tables: BrainTables, description: str) -> int:
    """Print the table of regions; return the number of synapses."""
    from robobrain.brain.inventory import authors_table, count_regions  # noqa: PLC0415

    counts, authors = count_regions(spec, tables), authors_table()
    table = Table(title=f"{spec.label}: {description}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "region" else "right", no_wrap=True)
    for count in counts:
        theirs = authors.get(count.region)
        relays = f" + {count.relay_pools}" if count.relay_pools else ""
        table.add_row(
            count.region,
            f"{count.layers}",
            f"{count.populations}{relays}",
            f"{count.neurons:,}",
            f"{theirs.layers} / {theirs.types} / {theirs.neurons:,}" if theirs else "-",
            f"{count.projections:,}",
            f"{count.synapses:,}",
        )
    table.add_section()
    synapses = sum(count.synapses for count in counts)
    table.add_row(
        "total",
        f"{sum(count.layers for count in counts)}",
        f"{len(spec.populations):,}",
        f"{spec.neurons:,}",
        f"{_total(authors, 'layers')} / - / {_total(authors, 'neurons'):,}",
        f"{len(spec.projections):,}",
        f"{synapses:,}",
    )
    console.print(table)
    console.print("authors: layers / types / neurons in the table of the model's authors", highlight=False)
    for row in authors.values():
        if row.note:
            console.print(f"{row.region}: {row.note}", highlight=False)
    return synapses


def _total(authors: Mapping[str, AuthorsRow], column: str) -> int:
    return sum(getattr(row, column) for row in authors.values())


def _print_cost(spec: BrainSpec) -> None:
    from robobrain.brain.capacity import free_memory_bytes, gib, predict_cost  # noqa: PLC0415

    cost = predict_cost(spec)
    console.print(
        f"predicted: {gib(cost.memory_bytes)} of memory (free: {gib(free_memory_bytes())}), "
        f"{cost.build_s:.2g} s to build on one idle core; {cost.noise_synapses:,} synapses of background",
        highlight=False,
    )


def _print_neurons() -> None:
    from robobrain.brain.packed import NeuronModels, neuron_models  # noqa: PLC0415

    if neuron_models(None) is NeuronModels.PACKED:
        console.print("neurons: packed (compiled for this NEST)")
    else:
        console.print(
            "neurons: NEST's own; 'robobrain brain compile' makes packed ones, with the same spikes in about "
            "half of the time"
        )


def _population_table(spec: BrainSpec, tables: BrainTables) -> Table:
    table = Table("population", "neurons", "at full size", "model", "provenance")
    for population in spec.populations:
        provenance = tables.populations[population.name].provenance
        table.add_row(
            population.name, f"{population.size:,}", f"{population.size_full:,}", population.model, provenance
        )
    return table


def _verify(spec: BrainSpec, synapses: int) -> None:
    configure_openmp(spec.threads)
    from robobrain.brain.fingerprint import fingerprint  # noqa: PLC0415
    from robobrain.brain.network import Network  # noqa: PLC0415

    with build_progress(spec.label) as progress:
        network = Network(spec, progress=progress)
    counts, found = network.kernel_counts(), fingerprint(network)
    console.print(f"NEST counts {counts.neurons:,} neurons and {counts.synapses:,} synapses between them")
    console.print(f"fingerprint: connections {found.connections}, neurons {found.neurons}", highlight=False)
    if (counts.neurons, counts.synapses) != (spec.neurons, synapses):
        raise ConfigurationError(f"the tables give {spec.neurons:,} neurons and {synapses:,} synapses")


@app.command()
def tune(
    size: Size,
    out: Annotated[Path, typer.Option(help="Folder for the table bias_SIZE.csv.")],
    brain: Folder = None,
    scale: Scale = None,
    family: Family = None,
    effort: Annotated[
        float,
        typer.Option(min=0.1, max=10.0, help="Factor on the number of iterations; 0.5 for large sizes."),
    ] = 1.0,
    threads: Threads = None,
    seed: Seed = None,
) -> None:
    """Find the bias currents that bring a size to its resting rates, and write them as a table."""
    choice = choose(brain_name(size, brain, scale, family))
    spec = choice.spec(seed=seed)
    if not out.is_dir():
        raise ConfigurationError(f"{out} is no folder; make it first or name another with --out")
    count = spec.threads if threads is None else threads
    configure_openmp(count)
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.tuning import stages, tune  # noqa: PLC0415

    check_fits(choice.tables, spec)
    plan = stages(effort)
    with progress_bars() as bar:
        tasks = {stage.name: bar.add_task(stage.name, total=stage.iterations) for stage in plan}

        def show(stage: str, iteration: int, error: float) -> None:
            bar.update(
                tasks[stage], completed=iteration + 1, description=f"{stage}, mean log error {error:.3f}"
            )

        result = tune(spec, choice.tables, threads=count, stages=plan, report=show)
    path = out / f"bias_{choice.size}.csv"
    result.write(path)
    console.print(
        f"{path}: mean |log(rate / target)| {result.mean_log_error:.3f} over the last stage, seed {spec.seed}"
    )


@app.command("compile")
def compile_neurons() -> None:
    """Compile packed neurons for the NEST of this environment: the same spikes in about half of the time."""
    from robobrain.brain.packed import compile_module  # noqa: PLC0415

    with console.status("compiling, and comparing spikes with those of NEST's own neurons"):
        path = compile_module()
    console.print(f"{path}: spikes are those of NEST's own neurons; brains are built from it from now on")


@app.command()
def snapshots(
    size: Size = "small",
    brain: Folder = None,
    scale: Scale = None,
    count: Annotated[int, typer.Option(min=1, max=16, help="Instants to keep.")] = 4,
    every_ms: Annotated[float, typer.Option(min=10.0, help="Model time between them.")] = 100.0,
    threads: Threads = None,
) -> None:
    """Keep instants of a running brain and print what memory each has for itself and in common."""
    from robobrain.brain.config import local_brain  # noqa: PLC0415

    name = brain_name(size, brain, scale)
    with build_progress(name) as progress, local_brain(name, threads=threads, on_progress=progress) as link:
        link.reset(1)
        rest = [0.0] * link.description.input_size
        for _ in range(count):
            for _ in range(round(every_ms / link.description.exchange_ms)):
                link.step(rest)
            link.snapshot()
        held, limit = link.snapshots(), link.description.snapshot_limit
    table = Table(
        title=f"{name}: {len(held)} instants, at most {limit} are kept, least recently used go first"
    )
    for heading in ("id", "parent", "t ms", "process", "private MB", "shared MB"):
        table.add_column(heading, justify="right")
    for one in held:
        memory = (f"{size_bytes / 1e6:.1f}" for size_bytes in (one.private_bytes, one.shared_bytes))
        table.add_row(str(one.id), str(one.parent), f"{one.t_ms:g}", str(one.pid), *memory)
    console.print(table)


app.command()(brain_rest.rest)
app.command()(brain_compare.compare)
app.command()(brain_model.predict)
app.command()(brain_model.neuron)
app.command()(brain_model.probe)
app.command()(brain_folder.new)
app.command()(brain_folder.check)
app.command()(devices.devices)
app.command("run")(open_loop.run)
