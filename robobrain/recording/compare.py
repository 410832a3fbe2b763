"""Runs side by side: the same measures, with statistics, as a page, figures and a table."""

from __future__ import annotations

import csv
import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from robobrain.errors import RecordingError
from robobrain.recording import page
from robobrain.recording.figures import data, style
from robobrain.recording.figures.adaptation import deviation_mm
from robobrain.recording.overview import overview
from robobrain.recording.reader import Run
from robobrain.recording.statistics import (
    Test,
    Values,
    adjust,
    compare_samples,
    compare_shares,
    describe,
)
from robobrain.seeding import generator

Trial = Mapping[str, Any]


def _between(first: str, last: str) -> Callable[[Trial], float | None]:
    def duration_ms(trial: Trial) -> float | None:
        a, b = trial.get(first), trial.get(last)
        return None if a is None or b is None else b - a

    return duration_ms


MEASURES: dict[str, tuple[str, Callable[[Trial], float | None]]] = {
    "peak pull": ("mm", lambda trial: trial.get("peak_pull_mm")),
    "peak speed": ("mm/s", lambda trial: trial.get("peak_speed_mm_s")),
    "cue to start line": ("ms", _between("cue_ms", "start_ms")),
    "start line to end": ("ms", _between("start_ms", "end_ms")),
    "lateral deviation": ("mm", lambda trial: deviation_mm(dict(trial))),
}
"""Measures of a trial: unit and how to read it; None where the trial has none."""

SHARES: dict[str, Callable[[Trial], bool]] = {
    "attempted": lambda trial: trial.get("start_ms") is not None,
    "rewarded": lambda trial: trial.get("outcome") == "rewarded",
}
FEW = 4
"""With more runs than these a panel takes a third of the page instead of a quarter."""
LONGEST_NAME, LEVEL_CHARACTERS, NAME_INCHES = 20, 18, 0.035
"""Characters of a name beneath a panel, of all names that stand level there, and the height that each
character of an oblique one takes (*assumed*)."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def compare_runs(runs: Sequence[Run], folder: Path) -> Path:
    """Write a comparison of runs into ``folder`` and return its page.

    Besides ``index.html`` there are ``trials.png``, ``rates.png`` (and .svg) and ``statistics.csv``.

    Args:
        runs: Two to eight runs; their folders' names are the labels, with as many of the folders above as
            it takes to tell them apart.
        folder: Where to write; made if need be, and files of these names in it are replaced.

    Raises:
        RecordingError: Too few or many runs, no SciPy, or the folder can't be written.
    """
    if not 2 <= len(runs) <= len(COLOURS):
        raise RecordingError(f"Give two to {len(COLOURS)} runs to compare, got {len(runs)}.")
    labelled = dict(zip(_labels(runs), runs, strict=True))
    trials = {label: trial_samples(run) for label, run in labelled.items()}
    rates = {label: rate_samples(run) for label, run in labelled.items()}
    measures, regions = _names(trials), _names(rates)
    tests = adjust(
        [test for share in SHARES for test in compare_shares(share, _counts(labelled, share))]
        + [test for name in measures for test in compare_samples(name, _of(trials, name))]
        + [test for name in regions for test in compare_samples(f"rate of {name}", _of(rates, name))]
    )
    titles = {name: f"{name} ({MEASURES[name][0]})" for name in measures}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [
            _save(folder / "trials.png", trials, titles),
            _save(folder / "rates.png", rates, {name: f"rate of {name} (Hz)" for name in regions}),
        ]
        _write_table(folder / "statistics.csv", tests)
    except OSError as error:
        raise RecordingError(f"Can't write the comparison to {folder}: {error}.") from error
    return page.write_page(
        folder / "index.html",
        f"robobrain: {' and '.join(labelled)}",
        _sections(labelled, trials, rates, tests, pictures),
    )


def trial_samples(run: Run) -> dict[str, Values]:
    """Return the values of each measure over the trials that have it."""
    trials = run.trials
    found = {name: [read(trial) for trial in trials] for name, (_, read) in MEASURES.items()}
    return {
        name: np.array([v for v in values if v is not None], dtype=np.float64)
        for name, values in found.items()
    }


def rate_samples(run: Run) -> dict[str, Values]:
    """Return each region's mean rate per neuron (Hz) from cue to end of each trial."""
    regions = data.populations_by_region(run)
    windows = [
        (trial["cue_ms"], trial["end_ms"])
        for trial in run.trials
        if trial.get("cue_ms") is not None and trial.get("end_ms") is not None
    ]
    if not regions or not windows or not data.has_spikes(run):
        return {}
    neurons = np.array([sum(p.size for p in members) for members in regions.values()])
    members = list(regions.values())
    rates = np.array(
        [
            data.region_counts(run, members, np.array(window))[:, 0] * 1e3 / (window[1] - window[0]) / neurons
            for window in windows
        ]
    )
    return {region: rates[:, index] for index, region in enumerate(regions)}


def _labels(runs: Sequence[Run]) -> list[str]:
    paths = [run.path.resolve() for run in runs]
    if len(set(paths)) < len(paths):
        raise RecordingError("A run is named twice. Fix: compare different runs.")
    parts = 1
    while len(names := {"/".join(path.parts[-parts:]): path for path in paths}) < len(paths):
        parts += 1
    return list(names)


def _names(samples: Mapping[str, Mapping[str, Values]]) -> list[str]:
    """Return the measures that at least one condition has values of."""
    names = dict.fromkeys(name for measures in samples.values() for name in measures)
    return [name for name in names if any(len(m.get(name, ())) for m in samples.values())]


def _of(samples: Mapping[str, Mapping[str, Values]], name: str) -> dict[str, Values]:
    return {label: measures.get(name, np.empty(0)) for label, measures in samples.items()}


def _counts(runs: Mapping[str, Run], share: str) -> dict[str, tuple[int, int]]:
    return {
        label: (sum(SHARES[share](trial) for trial in run.trials), len(run.trials))
        for label, run in runs.items()
    }


def _save(file: Path, samples: Mapping[str, Mapping[str, Values]], titles: Mapping[str, str]) -> Path:
    with style.styled():
        figure = draw_samples(samples, titles)
        figure.savefig(file)
        figure.savefig(file.with_suffix(".svg"))
    return file


def draw_samples(samples: Mapping[str, Mapping[str, Values]], titles: Mapping[str, str]) -> Figure:
    """Return a panel per measure: every value, with median and quartiles, by condition and named beneath."""
    if not titles:
        figure = style.new_figure(2.0)
        style.say(figure.subplots(), "nothing recorded that could be compared")
        return figure
    columns = style.columns_of(len(titles), 4 if len(samples) <= FEW else 3)
    rows = -(-len(titles) // columns)
    longest = max(len(style.clipped(label, LONGEST_NAME)) for label in samples)
    is_level = longest * len(samples) <= LEVEL_CHARACTERS
    figure = style.new_figure((1.9 + NAME_INCHES * longest * (not is_level)) * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(titles) :]:
        axes.set_visible(False)
    for axes, (name, title) in zip(grid.flat, titles.items(), strict=False):
        _draw_panel(axes, _of(samples, name), is_level=is_level)
        axes.set_title(title)
    figure.legend(handles=_legend(samples), loc="outside lower center", ncols=4)
    return figure


def _draw_panel(axes: Axes, samples: Mapping[str, Values], *, is_level: bool) -> None:
    for place, (colour, values) in enumerate(zip(COLOURS, samples.values(), strict=False)):
        if not len(values):
            continue
        spread = generator(0, "jitter").uniform(-0.25, 0.25, len(values))
        axes.plot(
            place + spread, values, ls="none", marker="o", ms=2.2, mew=0, color=colour, alpha=0.7, zorder=3
        )
        q25, median, q75 = np.percentile(values, [25, 50, 75])
        axes.plot([place - 0.35, place + 0.35], [median, median], color="black", lw=1.4)
        axes.fill_between([place - 0.35, place + 0.35], q25, q75, color=colour, alpha=0.25, lw=0)
    axes.set_xlim(-0.6, len(samples) - 0.4)
    names = [f"{style.clipped(label, LONGEST_NAME)} ({len(values)})" for label, values in samples.items()]
    slope: dict[str, Any] = {} if is_level else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **slope)
    axes.tick_params(axis="x", length=0, pad=1)


def _legend(samples: Mapping[str, object]) -> list[Any]:
    marks: list[Any] = [
        Patch(color=colour, alpha=0.6, lw=0, label=label)
        for colour, label in zip(COLOURS, samples, strict=False)
    ]
    return [*marks, Line2D([], [], color="black", lw=1.4, label="median; band: quartiles; (n): trials")]


def _sections(
    runs: Mapping[str, Run],
    trials: Mapping[str, Mapping[str, Values]],
    rates: Mapping[str, Mapping[str, Values]],
    tests: Sequence[Test],
    pictures: Sequence[Path],
) -> list[str]:
    facts = {label: overview(run) for label, run in runs.items()}
    rows = [[name, *(facts[label].get(name) for label in runs)] for name in next(iter(facts.values()))]
    shares = [[share, *(f"{a} of {n}" for a, n in _counts(runs, share).values())] for share in SHARES]
    return [
        f"<h1>{html.escape(' · '.join(runs))}</h1>\n",
        page.links({"runs": "Runs", "trials": "Trials", "rates": "Rates", "tests": "Tests"}),
        page.section("runs", "Runs", page.table(["", *runs], [*rows, *shares])),
        page.section(
            "trials",
            "Trials",
            page.picture(pictures[0], "Measures of each trial, by run."),
            _medians(trials, {name: unit for name, (unit, _) in MEASURES.items()}),
        ),
        page.section(
            "rates",
            "Rates",
            page.picture(pictures[1], "Mean rate per neuron from cue to end of each trial, by run."),
            _medians(rates, dict.fromkeys(_names(rates), "Hz")),
        ),
        page.section(
            "tests",
            "Tests",
            page.note(
                "Two-sided; p (Holm) is adjusted for all tests of this table. The unit is the trial: what "
                "differs between seeds of the network is not covered by runs of one seed. Effect: Cliff's "
                "delta (-1 to 1; positive: the second run is larger), for shares their difference."
            ),
            page.table(
                ["measure", "runs", "test", "statistic", "effect", "p", "p (Holm)"],
                [[t.measure, _pair(t.labels), t.name, t.statistic, t.effect, t.p, t.p_holm] for t in tests],
            ),
        ),
    ]


def _pair(labels: Sequence[str]) -> str:
    """Return the runs of a test for a page, where a list of many would push all else out of it."""
    return " / ".join(labels) if len(labels) <= 2 else f"all {len(labels)}"


def _medians(samples: Mapping[str, Mapping[str, Values]], units: Mapping[str, str]) -> str:
    rows = []
    for name in _names(samples):
        groups = [describe(label, values) for label, values in _of(samples, name).items()]
        cells = [f"{g.median:.4g} [{g.q25:.4g}, {g.q75:.4g}], n = {g.n}" if g.n else None for g in groups]
        rows.append([f"{name} ({units[name]})", *cells])
    return page.table(["median [quartiles]", *samples], rows)


def _write_table(file: Path, tests: Sequence[Test]) -> None:
    with file.open("w", newline="", encoding="utf-8") as output:
        table = csv.writer(output)
        table.writerow(["measure", "runs", "test", "statistic", "effect", "p", "p_holm"])
        for t in tests:
            table.writerow([t.measure, " / ".join(t.labels), t.name, t.statistic, t.effect, t.p, t.p_holm])
