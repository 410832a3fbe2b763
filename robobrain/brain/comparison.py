"""Brains side by side at rest: rates, spike statistics and what a second of each costs."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from robobrain.brain.choice import BrainChoice
from robobrain.brain.rest_report import STATISTICS, PopulationRest, measure_seeds, summary
from robobrain.errors import ConfigurationError

LOWEST_HZ = 1e-2
"""A silent population counts as this rate where logarithms are compared."""


@dataclass(frozen=True, kw_only=True)
class BrainRest:
    """One brain's resting state.

    Attributes:
        brain: Name as it was asked for.
        neurons: Number of neurons.
        synapses: Expected number of recurrent synapses.
        populations: Rates and statistics over seeds.
        cost: Processor seconds per second of model time.
    """

    brain: str
    neurons: int
    synapses: float
    populations: tuple[PopulationRest, ...]
    cost: float

    @property
    def in_range(self) -> int:
        """Number of populations whose mean rate lies in its range."""
        return sum(population.mean.verdict == "in range" for population in self.populations)

    @property
    def rate_hz(self) -> dict[str, float]:
        """Mean rate of each population."""
        return {population.mean.population: population.mean.rate_hz for population in self.populations}


def measure_brain(
    brain: str,
    choice: BrainChoice,
    *,
    seeds: Sequence[int],
    seconds: float,
    threads: int,
    report: Callable[[str], None] = lambda phase: None,
) -> BrainRest:
    """Simulate a brain at rest over several seeds and take the processor's time.

    Args:
        brain: Its name, for the report.
        choice: What it is.
        seeds: One network each.
        seconds: Model time after settling, per seed.
        threads: Threads of the kernel.
        report: Called with what is being done.
    """
    specs = [choice.spec(seed=seed) for seed in seeds]
    starts_s: list[float] = []
    spent_s: list[float] = []

    def follow(number: int, phase: str) -> None:
        if phase == "measure":
            starts_s.append(time.process_time())
        elif phase == "analyse":
            spent_s.append(time.process_time() - starts_s[-1])
        report(f"{brain}, seed {seeds[number]}: {phase}")

    populations = measure_seeds(specs, choice.tables, seconds=seconds, threads=threads, report=follow)
    return BrainRest(
        brain=brain,
        neurons=specs[0].neurons,
        synapses=specs[0].synapses_expected,
        populations=tuple(populations),
        cost=sum(spent_s) / seconds / len(seeds),
    )


def compare(brains: Sequence[BrainRest]) -> list[str]:
    """Return in sentences how the brains differ from the first."""
    first = brains[0]
    lines = []
    for one in brains:
        lines.append(
            f"{one.brain}: {one.neurons:,} neurons, {one.synapses:,.0f} synapses, {one.in_range} of "
            f"{len(one.populations)} populations in range, {one.cost:.2f} processor seconds per second "
            f"({one.cost / first.cost:.2f} times {first.brain})"
        )
        if one is not first:
            shared = one.rate_hz.keys() & first.rate_hz.keys()
            factors = [_factor(one.rate_hz[name], first.rate_hz[name]) for name in shared]
            lines.append(
                f"{one.brain} against {first.brain}: rates differ by a factor of {median(factors):.2f} in "
                f"the median and {max(factors):.2f} at most"
            )
        lines += [f"{one.brain}: {line}" for line in summary(one.populations)]
    return lines


def write_comparison(folder: Path, title: str, brains: Sequence[BrainRest]) -> tuple[Path, ...]:
    """Write ``compare.csv``, ``compare.md`` and ``compare.png`` to ``folder``; return their paths.

    Raises:
        ConfigurationError: The folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (
            _write_table(folder / "compare.csv", brains),
            _write_text(folder / "compare.md", title, brains),
            _draw(folder / "compare.png", title, brains),
        )
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written ({error.strerror}); name another.") from error


def _factor(one_hz: float, other_hz: float) -> float:
    return math.exp(abs(math.log(max(one_hz, LOWEST_HZ) / max(other_hz, LOWEST_HZ))))


def _write_table(path: Path, brains: Sequence[BrainRest]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("brain", "population", "rate_hz", "low_hz", "high_hz", "verdict", *STATISTICS))
        for one in brains:
            for population in one.populations:
                mean = population.mean
                values = (f"{getattr(population.statistics, name):.3g}" for name in STATISTICS)
                low, high = mean.range_hz
                rate = f"{mean.rate_hz:.3f}"
                writer.writerow(
                    (one.brain, mean.population, rate, f"{low:g}", f"{high:g}", mean.verdict, *values)
                )
    return path


def _write_text(path: Path, title: str, brains: Sequence[BrainRest]) -> Path:
    names = [population.mean.population for population in brains[0].populations]
    found = [{p.mean.population: p for p in one.populations} for one in brains]
    lines = [f"# {title}", "", *(f"- {line}" for line in compare(brains)), ""]
    lines.append(
        "| population | range Hz | " + " | ".join(f"{one.brain} Hz, CV, corr." for one in brains) + " |"
    )
    lines.append("|" + "---|" * (2 + len(brains)))
    for name in names:
        low, high = found[0][name].mean.range_hz
        lines.append(
            f"| {name} | {low:g}-{high:g} | " + " | ".join(_cell(one.get(name)) for one in found) + " |"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _cell(population: PopulationRest | None) -> str:
    if population is None or population.statistics is None:
        return "-"
    mean, found = population.mean, population.statistics
    verdict = "" if mean.verdict == "in range" else f" {mean.verdict}"
    return f"{mean.rate_hz:.2f}, {found.cv_isi:.2f}, {found.correlation:.3f}{verdict}"


def _draw(path: Path, title: str, brains: Sequence[BrainRest]) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

    figure = Figure(figsize=(13, 4.4), layout="constrained")
    panels = figure.subplots(1, 3)
    found = [{p.mean.population: p for p in one.populations} for one in brains]
    quantities: tuple[tuple[str, Callable[[PopulationRest], float]], ...] = (
        ("rate (Hz)", lambda population: max(population.mean.rate_hz, LOWEST_HZ)),
        ("CV of intervals", lambda population: getattr(population.statistics, "cv_isi", math.nan)),
        ("pairwise correlation", lambda population: getattr(population.statistics, "correlation", math.nan)),
    )
    for axes, (label, value) in zip(panels, quantities, strict=True):
        for number, one in enumerate(brains[1:], start=1):
            shared = [name for name in found[0] if name in found[number]]
            x, y = ([value(found[which][name]) for name in shared] for which in (0, number))
            axes.plot(x, y, "o", markersize=4, alpha=0.7, label=one.brain)
        axes.axline((0.1, 0.1), (0.2, 0.2), color="0.6", linewidth=1)
        axes.set(xlabel=f"{label}, {brains[0].brain}", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(xscale="log", yscale="log")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    return path
