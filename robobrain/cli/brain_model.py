"""``robobrain brain predict``, ``neuron`` and ``probe``: what theory, one neuron, and pathways say."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from robobrain.brain.choice import choose
from robobrain.brain.openmp import configure_openmp
from robobrain.cli.console import build_progress, console, errors, print_fault
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


def predict(
    size: Size = "small",
    brain: Folder = None,
    scale: Scale = None,
    measure: Annotated[
        float, typer.Option(min=0.0, help="Also simulate so many seconds, to compare rates and time.")
    ] = 0.0,
    threads: Threads = None,
) -> None:
    """Predict resting rates from the tables by mean-field theory (needs the extra 'analysis')."""
    from robobrain.brain.meanfield import MeanField  # noqa: PLC0415

    choice = choose(brain_name(size, brain, scale))
    spec, targets = choice.spec(), choice.tables.targets
    start = time.perf_counter()
    found = MeanField(spec).solve({name: row.target_hz for name, row in targets.items()})
    took_s = time.perf_counter() - start
    table = Table("population", title=f"{spec.label}: mean-field prediction")
    for heading in ("predicted Hz", "target Hz", "range Hz", *(["simulated Hz"] if measure else [])):
        table.add_column(heading, justify="right")
    simulated, simulated_s = _simulated(size, brain, scale, measure, threads) if measure else ({}, 0.0)
    for name, rate_hz in found.rate_hz.items():
        target = targets[name]
        row = [name, f"{rate_hz:.2f}", f"{target.target_hz:g}", f"{target.low_hz:g} - {target.high_hz:g}"]
        table.add_row(*row, *([f"{simulated[name]:.2f}"] if measure else []))
    console.print(table)
    settled = "converged" if found.converged else "did NOT converge"
    console.print(f"{settled} after {found.iterations} iterations, {took_s:.3f} s")
    if measure:
        logs = sorted(
            abs(math.log(max(found.rate_hz[name], 1e-2) / max(rate, 1e-2)))
            for name, rate in simulated.items()
        )
        console.print(
            f"prediction against simulation: median factor {math.exp(logs[len(logs) // 2]):.2f}; "
            f"the simulation of {measure:g} s took {simulated_s / took_s:,.0f} times as long"
        )
    if not found.converged:
        raise typer.Exit(1)


def _simulated(
    size: str, brain: Path | None, scale: float | None, seconds: float, threads: int | None
) -> tuple[dict[str, float], float]:
    choice = choose(brain_name(size, brain, scale))
    spec = choice.spec()
    count = spec.threads if threads is None else threads
    configure_openmp(count)
    from robobrain.brain.network import Network  # noqa: PLC0415
    from robobrain.brain.resting import measure_rest  # noqa: PLC0415

    start = time.perf_counter()
    with build_progress(spec.label) as progress:
        network = Network(spec, threads=count, progress=progress)
    rates = measure_rest(network, choice.tables, seconds * 1e3)
    return {rate.population: rate.rate_hz for rate in rates}, time.perf_counter() - start


def neuron(
    population: Annotated[str, typer.Argument(help="Population, e.g. M1_L5B_PT.")],
    size: Annotated[str, typer.Option(help="Size that the bias current is of.")] = "small",
    brain: Folder = None,
    family: Family = None,
    out: Annotated[Path, typer.Option(help="Figure (PNG).")] = Path("neuron.png"),
) -> None:
    """Put one neuron model on the bench: f-I curve, response to steps, and its curve under synaptic noise."""
    choice = choose(brain_name(size, brain, None, family))
    configure_openmp(1)
    from robobrain.brain.neuron_bench import INPUTS, draw_neuron, measure_neuron  # noqa: PLC0415

    targets = {name: row.target_hz for name, row in choice.tables.targets.items()}
    curves = measure_neuron(choice.spec(), population, targets)
    table = Table("constant current pA", "rate Hz", title=f"{population}: {curves.population.model}")
    for current_pA, rate_hz in list(zip(curves.current_pA, curves.rate_hz, strict=True))[::5]:
        table.add_row(f"{current_pA:.1f}", f"{rate_hz:.1f}")
    table.add_section()
    table.add_row("background input", "rate Hz")
    for factor, rate_hz in zip(INPUTS, curves.output_hz, strict=True):
        table.add_row(f"{factor:.1f} x {curves.input_hz[-1] / INPUTS[-1]:.0f} Hz", f"{rate_hz:.2f}")
    console.print(table)
    console.print(
        f"rheobase {curves.rheobase_pA:.1f} pA, bias of {choice.size} "
        f"{curves.population.params['I_e']:.1f} pA, target {targets[population]:g} Hz"
    )
    draw_neuron(curves, out)
    console.print(str(out))


def probe(
    size: Size = "small",
    brain: Folder = None,
    scale: Scale = None,
    family: Family = None,
    trials: Annotated[int, typer.Option(min=2, help="Stimuli per pathway.")] = 20,
    pathway: Annotated[
        list[str] | None, typer.Option(help="Test this pathway, or those that begin so. Can be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for table, text and figure.")] = None,
    seed: Seed = None,
    threads: Threads = None,
    lesion: Lesion = None,
    silence: Silence = None,
    disconnect: Disconnect = None,
    shuffle: Shuffle = False,
) -> None:
    """Stimulate one pathway at a time; exit 1 where directions or order are not as expected."""
    choice = choose(brain_name(size, brain, scale, family))
    spec = choice.spec(seed=seed, alterations=alterations(lesion, silence, disconnect, shuffle))
    count = spec.threads if threads is None else threads
    configure_openmp(count)
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.network import Network  # noqa: PLC0415
    from robobrain.brain.pathways import named  # noqa: PLC0415
    from robobrain.brain.probe_bench import ProbeBench, unmet  # noqa: PLC0415
    from robobrain.brain.probe_report import HEADINGS, probe_rows, write_probe  # noqa: PLC0415

    wanted = named(pathway or ())
    check_fits(choice.tables, spec)
    with build_progress(spec.label) as progress:
        bench = ProbeBench(Network(spec, threads=count, progress=progress), wanted)
    responses = {}
    with errors.status("") as status:
        for tested in bench.pathways:

            def show(trial: int, name: str = tested.name) -> None:
                status.update(f"{name}: stimulus {trial + 1} of {trials}")

            responses[tested.name] = bench.test(tested, trials=trials, report=show)
    title = f"{spec.label}: responses to stimuli, {trials} trials, seed {spec.seed}"
    console.print(title)
    for name, response in responses.items():
        table = Table(*HEADINGS, title=name, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for row in probe_rows(response):
            table.add_row(*row)
        console.print(table)
    if out is not None:
        console.print(", ".join(str(path) for path in write_probe(out, title, responses)))
    if broken := unmet(responses):
        for line in broken:
            print_fault(line)
        raise typer.Exit(1)
