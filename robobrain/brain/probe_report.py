"""Pathway tests as table, text and figure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.probe_bench import BASE_MS, BIN_MS, STIMULUS_MS, PathwayResponse, unmet
from robobrain.errors import ConfigurationError

COLUMNS = (
    "pathway", "stage", "base_hz", "change_hz", "error_hz", "gain", "latency_ms", "found", "expected", "holds"
)  # fmt: skip
HEADINGS = ("stage", "base Hz", "change", "+-", "gain", "onset ms", "found", "expected", "holds")
SHOWN_MS = (-50.0, STIMULUS_MS)


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
    """Return one row per stage, in the order of ``COLUMNS``."""
    return [
        (
            response.pathway.name,
            stage.stage.label,
            f"{stage.base_hz:.2f}",
            f"{stage.change_hz:+.2f}",
            f"{stage.error_hz:.2f}",
            f"{stage.gain:+.3f}",
            "-" if np.isnan(stage.latency_ms) else f"{stage.latency_ms:.0f}",
            stage.direction,
            stage.stage.direction,
            "yes" if stage.holds else "NO",
        )
        for stage in response.stages
    ]


def _write_table(path: Path, responses: Iterable[PathwayResponse]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for response in responses:
            writer.writerows(probe_rows(response))
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
        lines += ["| " + " | ".join(row[1:]) + " |" for row in probe_rows(response)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(path: Path, title: str, responses: Sequence[PathwayResponse]) -> Path:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

    rows = max(len(response.stages) for response in responses)
    figure = Figure(figsize=(3.4 * len(responses), 1.15 * rows + 0.8), layout="constrained")
    grid = figure.subplots(rows, len(responses), squeeze=False, sharex=True)
    time_ms = np.arange(-BASE_MS, STIMULUS_MS, BIN_MS)
    shown = time_ms >= SHOWN_MS[0]
    for column, response in enumerate(responses):
        for row, axes in enumerate(grid[:, column]):
            if row >= len(response.stages):
                axes.set_axis_off()
                continue
            stage = response.stages[row]
            colour = {"up": "tab:red", "down": "tab:blue"}.get(stage.direction, "0.5")
            axes.fill_between(time_ms[shown], _smooth(stage.course_hz)[shown], color=colour, alpha=0.7, lw=0)
            axes.axvline(0.0, color="0.4", linewidth=0.8)
            if np.isfinite(stage.latency_ms):
                axes.axvline(stage.latency_ms, color="k", linewidth=0.8, linestyle=":")
            axes.set_title(stage.stage.label, fontsize=7, loc="left", pad=2)
            axes.tick_params(labelsize=6)
            axes.spines[["top", "right"]].set_visible(False)
        grid[0, column].set_title(
            f"{response.pathway.name}\n{response.stages[0].stage.label}", fontsize=8, loc="left", pad=2
        )
        grid[len(response.stages) - 1, column].set_xlabel("time from onset (ms)", fontsize=7)
        grid[len(response.stages) - 1, column].tick_params(labelbottom=True)
    figure.supylabel("rate (Hz)", fontsize=8)
    figure.suptitle(f"{title}\nred: rises, blue: falls, grey: not sure; dotted: latency", fontsize=9)
    figure.savefig(path, dpi=120)
    return path


def _smooth(course_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(course_hz, np.ones(3) / 3, mode="same")
