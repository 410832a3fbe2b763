"""The resting state over several seeds: rates and spike statistics as table, text and figure."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robobrain.brain.network import Network
from robobrain.brain.resting import RateMeter, RestingRate, resting_rates
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.brain.statistics import SpikeStatistics

SAMPLE = 200
"""Cells per population whose intervals and correlations are measured."""
CV_MIN, CORRELATION_MAX, PEAK_MAX = 0.4, 0.05, 5.0
"""Asynchronous irregular: no CV below, no mean correlation above, no cortical spectral peak above."""
CORTEX = ("M1", "S1")


@dataclass(frozen=True, kw_only=True)
class PopulationRest:
    """Resting state of one population over seeds.

    Attributes:
        rates: Measured rate and its range, one per seed.
        statistics: Mean over seeds; None where they were not asked for.
    """

    rates: tuple[RestingRate, ...]
    statistics: SpikeStatistics | None

    @property
    def mean(self) -> RestingRate:
        """The rate averaged over seeds, with its range."""
        return dataclasses.replace(self.rates[0], rate_hz=float(np.mean([r.rate_hz for r in self.rates])))

    @property
    def seeds_in_range(self) -> int:
        """Number of seeds with which the rate lies in its range."""
        return sum(rate.verdict == "in range" for rate in self.rates)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What departs from asynchronous irregular activity."""
        found: list[str] = []
        if self.statistics is None:
            return ()
        if self.statistics.cv_isi < CV_MIN:
            found.append("regular")
        if self.statistics.correlation > CORRELATION_MAX:
            found.append("correlated")
        if self.mean.region in CORTEX and self.statistics.peak > PEAK_MAX:
            found.append("rhythmic")
        return tuple(found)


def measure_seeds(
    specs: Sequence[BrainSpec],
    tables: BrainTables,
    *,
    seconds: float,
    threads: int,
    statistics: bool = True,
    report: Callable[[int, str], None] = lambda number, phase: None,
) -> list[PopulationRest]:
    """Build, settle and simulate each specification in turn.

    Args:
        specs: The same brain with different seeds.
        tables: Its tables, for the targets.
        seconds: Model time after settling.
        threads: Threads of the kernel.
        statistics: Whether to measure more than rates (needs Elephant).
        report: Called with the number of the seed and what is being done.
    """
    rates: dict[str, list[RestingRate]] = {}
    found: dict[str, list[SpikeStatistics]] = {}
    for number, spec in enumerate(specs):
        report(number, "build")
        network = Network(spec, threads=threads)
        meter = RateMeter(network)
        report(number, "settle")
        network.nest.Simulate(spec.settle_ms)
        report(number, "measure")
        for rate in resting_rates(network, tables, meter.run(seconds * 1e3)):
            rates.setdefault(rate.population, []).append(rate)
        if statistics:
            report(number, "analyse")
            for name, one in _statistics(meter, rates, spec.settle_ms, seconds * 1e3).items():
                found.setdefault(name, []).append(one)
    return [
        PopulationRest(rates=tuple(seeds), statistics=_average(found.get(name)))
        for name, seeds in rates.items()
    ]


def _statistics(
    meter: RateMeter, names: Iterable[str], start_ms: float, duration_ms: float
) -> dict[str, SpikeStatistics]:
    from robobrain.brain.statistics import spike_statistics  # noqa: PLC0415 - needs Elephant

    return {
        name: spike_statistics(meter.trains(name, SAMPLE), start_ms, start_ms + duration_ms) for name in names
    }


def _average(seeds: Sequence[SpikeStatistics] | None) -> SpikeStatistics | None:
    if seeds is None:
        return None
    from robobrain.brain.statistics import average  # noqa: PLC0415

    return average(seeds)


def write_report(folder: Path, title: str, populations: Sequence[PopulationRest]) -> tuple[Path, ...]:
    """Write ``rest.csv``, ``rest.md`` and ``rest.png`` to ``folder``; return their paths.

    Raises:
        ConfigurationError: The folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (
            _write_table(folder / "rest.csv", populations),
            _write_text(folder / "rest.md", title, populations),
            _draw(folder / "rest.png", title, populations),
        )
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written ({error.strerror}); name another.") from error


STATISTICS = ("rate_sd_hz", "cv_isi", "correlation", "peak_hz", "peak")
COLUMNS = (
    "population",
    "rate_hz",
    "low_hz",
    "high_hz",
    "range_of",
    "verdict",
    "seeds_in_range",
    "seeds",
    *STATISTICS,
    "remarks",
    "literature_hz",
    "confidence",
    "species",
    "source",
)


def _write_table(path: Path, populations: Iterable[PopulationRest]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(population) for population in populations)
    return path


def _row(population: PopulationRest) -> list[str]:
    mean, found = population.mean, population.statistics
    low, high = mean.range_hz
    target = mean.target
    literature = (
        f"{target.literature_low_hz:g}-{target.literature_high_hz:g}" if target.literature_low_hz else ""
    )
    return [
        mean.population,
        f"{mean.rate_hz:.3f}",
        f"{low:g}",
        f"{high:g}",
        "literature" if target.verified else "tuning",
        mean.verdict,
        f"{population.seeds_in_range}",
        f"{len(population.rates)}",
        *(f"{getattr(found, name):.3g}" for name in STATISTICS),
        " ".join(population.remarks),
        literature,
        target.confidence,
        target.species,
        target.source,
    ]


def summary(populations: Sequence[PopulationRest]) -> list[str]:
    """Return the findings in sentences."""
    inside = sum(population.mean.verdict == "in range" for population in populations)
    every = sum(population.seeds_in_range == len(population.rates) for population in populations)
    lines = [f"{inside} of {len(populations)} populations in range, {every} of them with every seed"]
    for word, what in (
        ("regular", f"CV of intervals below {CV_MIN}"),
        ("correlated", f"mean pairwise correlation above {CORRELATION_MAX}"),
        ("rhythmic", f"cortical spectral peak above {PEAK_MAX:g} times the Poisson level"),
    ):
        found = [population.mean.population for population in populations if word in population.remarks]
        lines.append(f"{what}: {', '.join(found) or 'none'}")
    return lines


def _write_text(path: Path, title: str, populations: Sequence[PopulationRest]) -> Path:
    heading = "| population | rate Hz | range Hz | seeds in range | CV | correlation | peak | remarks |"
    lines = [f"# {title}", "", *(f"- {line}" for line in summary(populations)), "", heading]
    lines.append("|" + "---|" * 8)
    for population in populations:
        mean, found = population.mean, population.statistics
        assert found is not None  # a report is made with statistics
        low, high = mean.range_hz
        star = "*" if mean.target.verified else ""
        lines.append(
            f"| {mean.population} | {mean.rate_hz:.2f} | {low:g}-{high:g}{star} | "
            f"{population.seeds_in_range}/{len(population.rates)} | {found.cv_isi:.2f} | "
            f"{found.correlation:.3f} | {found.peak:.1f} at {found.peak_hz:.0f} Hz | "
            f"{' '.join((*population.remarks, *([mean.verdict] if mean.verdict != 'in range' else [])))} |"
        )
    lines += [
        "",
        "Ranges with * are the literature's, verified in the text of their source; the others are the ranges "
        "of the tuning. Sources stand in `rest.csv`. Peak: of the spectrum of the population's count, in "
        "units of the level of independent Poisson trains.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(path: Path, title: str, populations: Sequence[PopulationRest]) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy
    from matplotlib.ticker import NullFormatter  # noqa: PLC0415

    names = [population.mean.population for population in populations]
    figure = Figure(figsize=(13, 15), layout="constrained")
    rates, irregular, together, peaks = figure.subplots(1, 4, sharey=True, width_ratios=(3, 1, 1, 1))
    places = np.arange(len(names))
    for place, population in zip(places, populations, strict=True):
        low, high = population.mean.range_hz
        inside = population.mean.verdict == "in range"
        colour = "tab:blue" if inside else "tab:red"
        rates.plot([low, high], [place, place], color="0.8", linewidth=6, solid_capstyle="butt", zorder=1)
        values = [max(rate.rate_hz, 1e-3) for rate in population.rates]
        rates.plot(values, [place] * len(values), "o", color=colour, markersize=4, alpha=0.8, zorder=2)
    rates.set(
        xscale="log", xlabel="rate (Hz), one dot per seed; bar: range", yticks=places, yticklabels=names
    )
    for axes, name, limit, label in (
        (irregular, "cv_isi", CV_MIN, "CV of intervals"),
        (together, "correlation", CORRELATION_MAX, "pairwise correlation"),
        (peaks, "peak", PEAK_MAX, "spectral peak (Poisson = 1)"),
    ):
        values = [getattr(population.statistics, name) for population in populations]
        axes.plot(values, places, "o", color="0.3", markersize=4)
        axes.axvline(limit, color="tab:orange", linewidth=1)
        axes.set(xlabel=label)
    peaks.set_xscale("log")
    peaks.xaxis.set_minor_formatter(NullFormatter())
    for axes in figure.axes:
        axes.grid(axis="y", color="0.93")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    rates.set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    return path
