"""The report of a run: one self-contained page, and its figures as PNG and SVG."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robobrain.recording import figures, page
from robobrain.recording.overview import overview, ragged_end, status_in_words
from robobrain.recording.reader import Run

REPORT = "report.html"
FORMATS = ("png", "svg")

UNITS = {"mm_s": "mm/s", "ms": "ms", "mm": "mm", "mN": "mN", "deg": "°"}
"""Units as the names of a trial's columns end in them, and as people write them."""

CAPTIONS = {
    "session": (
        "Session",
        "Outcomes of the trials, joystick, lateral force, rates of the regions, and the computing time of an "
        "exchange, over the session.",
    ),
    "raster": (
        "Raster",
        "Spikes of neurons sampled evenly over the populations of each region, by layer or nucleus (right), "
        "around the first rewarded trials.",
    ),
    "rates": (
        "Rates",
        "Mean rate per neuron of every population, and of each region, in bins that the record fills.",
    ),
    "onset": (
        "Movement onset",
        "Peri-event histograms per region in bins of 20 ms, aligned on when the pull began (the joystick was "
        "last below 0.5 mm before it crossed the start line): each trial (dark to bright: 0 to the rate "
        "above the panel, its 99th percentile), and mean with standard "
        "error over trials, as far as half of the trials and at least two have a record.",
    ),
    "spectrum": (
        "Spectrum",
        "Power of each region's mean rate, the whole session, trials included. Dotted: as many independent "
        "Poisson neurons of the same rate.",
    ),
    "fields": (
        "Fields and potentials",
        "What monitors sampled: the last two seconds of the first neurons or groups, and the power spectrum "
        "of the whole record with its peak.",
    ),
    "muscles": ("Muscles", "From cortical stimulation to activation of the eight muscles around the cue."),
    "paths": ("Paths", "Joystick and paw in the plane, from cue to end of each trial."),
    "blocks": (
        "Paths by block",
        "Joystick paths in each block, with target, start line and, shaded, where the lateral force acts "
        "(arrow: its direction).",
    ),
    "adaptation": (
        "Adaptation",
        "Measures of each pull with mean and standard error of each block. Lateral deviation: where the way "
        "out crosses 6 mm of pull minus where it crosses 3 mm.",
    ),
    "timing": ("Phase times", "Computing time of one exchange by phase."),
}
"""Title and caption of each figure, in the order of the page."""


def write_report(run: Run) -> Path:
    """Draw all figures of a run as PNG and SVG and write ``report.html`` beside its store.

    Raises:
        RecordingError: If the run can't be read or the files not be written.
    """
    files = {file.stem: file for file in figures.write(run, formats=FORMATS) if file.suffix == ".png"}
    titles = {name: CAPTIONS[name][0] for name in CAPTIONS if name in files}
    still = run.figures_path / "arm.png"
    has_still = still.exists()
    sections = [
        f'<h1>{html.escape(run.path.name)} <span class="status {run.status}">{run.status}</span></h1>\n',
        page.links(
            {
                **titles,
                **({"arm": "Arm"} if has_still else {}),
                "trials": "Trials",
                "provenance": "Provenance",
            }
        ),
        page.facts(overview(run)),
        *_ending(run),
    ]
    for name, title in titles.items():
        shown = page.picture(files[name], CAPTIONS[name][1])
        also = page.note(f"Also as figures/{name}.png and figures/{name}.svg.")
        sections.append(page.section(name, title, shown, also))
    if has_still:
        sections.append(page.section("arm", "Arm", page.picture(still, "The arm at its largest pull.")))
    sections.append(page.section("trials", "Trials", _trials(run)))
    sections.append(page.section("provenance", "Provenance", _provenance(run.manifest)))
    return page.write_page(run.path / REPORT, f"robobrain: {run.path.name}", sections)


def _ending(run: Run) -> list[str]:
    """Return remarks on a run that did not end as planned."""
    ends, error = ragged_end(run), run.manifest.get("error")
    remarks = [
        f"{status_in_words(run).capitalize()}." if run.status not in ("complete", "running") else "",
        f"Ended by: {error}" if error else "",
        f"Spikes and signals do not end together: {ends}." if ends else "",
    ]
    return [page.note(remark) for remark in remarks if remark]


def _trials(run: Run) -> str:
    trials = run.trials
    if not trials:
        return page.note("No trial ended.")
    headings = list(dict.fromkeys(name for trial in trials for name in trial))
    rows = [[trial.get(name) for name in headings] for trial in trials]
    return page.note("Times are of the session. All columns: trials.csv, or this table moved sideways.") + (
        page.table([_heading(name) for name in headings], rows)
    )


def _heading(name: str) -> str:
    """Return the name of a trial's column in words, its unit in brackets."""
    unit = next((unit for unit in UNITS if name.endswith(f"_{unit}")), "")
    words = name.removesuffix(f"_{unit}").replace("_", " ")
    return f"{words} ({UNITS[unit]})" if unit else words


def _provenance(manifest: Mapping[str, Any]) -> str:
    brief: dict[str, Any] = {key: value for key, value in manifest.items() if key != "segments"}
    brain = brief.get("brain")
    if isinstance(brain, dict):
        hidden = ("populations", "inputs", "outputs")
        brief["brain"] = {key: value for key, value in brain.items() if key not in hidden}
    command = shlex.join(str(word) for word in manifest.get("command") or ())
    parts = [page.preformatted(command)] if command else []
    text = json.dumps(brief, indent=2, ensure_ascii=False)
    return "".join(parts) + page.preformatted(text, "Manifest, without populations, ports and segments")
