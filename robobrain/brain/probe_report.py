"""Pathway tests as table, text and figure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.probe_bench import BASE_MS, BIN_MS, STIMULUS_MS, PathwayResponse, StageResponse, unmet
from robobrain.errors import ConfigurationError

COLUMNS = (
    "pathway", "stage", "base_hz", "change_hz", "error_hz", "gain",
    "onset_ms", "onset_low_ms", "onset_high_ms", "found", "expected", "holds",
)  # fmt: skip
HEADINGS = ("stage", "base Hz", "change", "+-", "gain", "onset ms", "found", "expected", "holds")
SHOWN_MS = (-50.0, STIMULUS_MS)
ABREAST = 6
"""Pathways beside each other in the figure."""


def write_probe(folder: Path, title: str, responses: Mapping[str, PathwayResponse]) -> tuple[Path, ...]:
    """Write ``probe.csv``, ``probe.md`` and ``probe.png`` to ``folder``; return their paths.

    Raises:
        ConfigurationError: The folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (
            _write_table(folder / "probe.csv", responses.values()),
            _write_text(folder / "probe.md", title, responses),
            _draw(folder / "probe.png", title, tuple(responses.values())),
        )
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written ({error.strerror}); name another.") from error


def probe_rows(response: PathwayResponse) -> list[tuple[str, ...]]:
    """Return one row per stage, in the order of ``HEADINGS``."""
    return [(*_measured(stage), str(stage.onset), *_judged(stage)) for stage in response.stages]


def _measured(stage: StageResponse) -> tuple[str, ...]:
    return (
        stage.stage.label,
        f"{stage.base_hz:.2f}",
        f"{stage.change_hz:+.2f}",
        f"{stage.error_hz:.2f}",
        f"{stage.gain:+.3f}",
    )


def _judged(stage: StageResponse) -> tuple[str, ...]:
    return stage.direction, stage.stage.direction, "yes" if stage.holds else "NO"


def _write_table(path: Path, responses: Iterable[PathwayResponse]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for response in responses:
            for stage in response.stages:
                onset = (f"{time_ms:.0f}" if stage.onset.found else "" for time_ms in stage.onset)
                writer.writerow([response.pathway.name, *_measured(stage), *onset, *_judged(stage)])
    return path


def _write_text(path: Path, title: str, responses: Mapping[str, PathwayResponse]) -> Path:
    broken = unmet(responses)
    lines = [f"# {title}", "", *(f"- {line}" for line in broken or ["all expectations hold"])]
    for name, response in responses.items():
        pathway = response.pathway
        how = (
            f"hyperpolarised by {pathway.silence_mV:g} mV"
            if pathway.silence_mV
            else f"Poisson input of {pathway.rate_hz:g} Hz and {pathway.weight_nS:g} nS per cell"
        )
        where = ", ".join(pathway.targets) + (" (one tile of eight)" if pathway.column else "")
        how += f"; {', '.join(pathway.without)} kept from firing" if pathway.without else ""
        lines += ["", f"## {name}", "", f"{where}: {how}.", "", "| " + " | ".join(HEADINGS) + " |"]
        lines.append("|" + "---|" * len(HEADINGS))
        lines += ["| " + " | ".join(row) + " |" for row in probe_rows(response)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(path: Path, title: str, responses: Sequence[PathwayResponse]) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

    blocks = [responses[first : first + ABREAST] for first in range(0, len(responses), ABREAST)]
    rows = [max(len(response.stages) for response in block) for block in blocks]
    columns = len(blocks[0])
    figure = Figure(figsize=(3.4 * columns, 1.15 * sum(rows) + 0.8 * len(rows)), layout="constrained")
    parts = figure.subfigures(len(blocks), 1, height_ratios=rows, squeeze=False)[:, 0]
    for part, block, height in zip(parts, blocks, rows, strict=True):
        grid = part.subplots(height, columns, squeeze=False, sharex=True)
        for column in range(columns):
            _draw_pathway(grid[:, column], block[column] if column < len(block) else None)
    figure.supylabel("rate (Hz)", fontsize=8)
    figure.suptitle(
        f"{title}\nred: rises, blue: falls, grey: not sure; dotted: onset, shaded: 95 %", fontsize=9
    )
    figure.savefig(path, dpi=120)
    return path


def _draw_pathway(places: NDArray[np.object_], response: PathwayResponse | None) -> None:
    """Draw one stage in each place, and nothing in the places that are left."""
    stages = () if response is None else response.stages
    for axes in places[len(stages) :]:
        axes.set_axis_off()
    if response is None:
        return
    time_ms = np.arange(-BASE_MS, STIMULUS_MS, BIN_MS)
    shown = time_ms >= SHOWN_MS[0]
    for axes, stage in zip(places, stages, strict=False):
        colour = {"up": "tab:red", "down": "tab:blue"}.get(stage.direction, "0.5")
        axes.fill_between(time_ms[shown], _smooth(stage.course_hz)[shown], color=colour, alpha=0.7, lw=0)
        axes.set_ylim(bottom=0.0)
        axes.axvline(0.0, color="0.4", linewidth=0.8)
        if stage.onset.found:
            axes.axvline(stage.onset.ms, color="k", linewidth=0.8, linestyle=":")
            axes.axvspan(stage.onset.low_ms, stage.onset.high_ms, color="k", alpha=0.12, lw=0)
        axes.set_title(stage.stage.label, fontsize=7, loc="left", pad=2)
        axes.tick_params(labelsize=6)
        axes.spines[["top", "right"]].set_visible(False)
    places[0].set_title(f"{response.pathway.name}\n{stages[0].stage.label}", fontsize=8, loc="left", pad=2)
    places[len(stages) - 1].set_xlabel("time from onset (ms)", fontsize=7)
    places[len(stages) - 1].tick_params(labelbottom=True)


def _smooth(course_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(course_hz, np.ones(3) / 3, mode="same")
