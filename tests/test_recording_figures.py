"""Figures of a made-up run, and of runs that lack this or that."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from made_up_runs import MUSCLES, ZONES, make_run
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from robobrain import recording
from robobrain.errors import RecordingError
from robobrain.recording import figures
from robobrain.recording.figures.style import REGION_COLOURS, styled


@pytest.fixture(scope="module")
def session_run(tmp_path_factory: pytest.TempPathFactory) -> recording.Run:
    return make_run(tmp_path_factory.mktemp("runs") / "run", trials=6, seconds=16)


def assert_drawn(file: Path) -> None:
    """Assert that the picture is large, not blank, and has air at its edges."""
    picture = imread(file)[..., :3]
    assert picture.shape[0] >= 300
    assert picture.shape[1] >= 1500
    assert picture.std() > 0.02
    assert (picture[[0, -1]] == 1).all()


def test_every_figure_of_a_session(session_run: recording.Run) -> None:
    settings = dict(mpl.rcParams)
    files = figures.write(session_run)
    assert [file.name for file in files] == [
        "session.png",
        "raster.png",
        "rates.png",
        "muscles.png",
        "paths.png",
        "blocks.png",
        "adaptation.png",
        "onset.png",
        "spectrum.png",
        "timing.png",
        "fields.png",
    ]
    for file in files:
        assert file.parent == session_run.path / "figures"
        assert_drawn(file)
    assert dict(mpl.rcParams) == settings


def shown_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Return every text that a figure shows, with its place; ticks outside the axes are not drawn."""
    hidden: set[Text] = set()
    for axes in figure.axes:
        hidden.update(axes.findobj(Text) if not axes.get_visible() else [])
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            outside = [tick for tick in ticks if not low <= tick.get_loc() <= high]
            hidden.update(label for tick in outside for label in (tick.label1, tick.label2))
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in texts if text not in hidden]


def assert_legible(figure: Figure) -> None:
    """Assert that no text runs out of the picture or over another one."""
    figure.draw_without_rendering()
    texts = shown_texts(figure)
    assert len(texts) > 5
    frame = figure.bbox.padded(0.5)
    assert [text for text, box in texts if not frame.containsx(box.x0) or not frame.containsx(box.x1)] == []
    assert [text for text, box in texts if not frame.containsy(box.y0) or not frame.containsy(box.y1)] == []
    for (one, left), (other, right) in combinations(texts, 2):
        shared = Bbox.intersection(left.padded(-1), right.padded(-1))
        assert shared is None, (one, other)


@pytest.mark.parametrize("name", [*figures.DEFAULT, "fields"])
def test_no_text_of_a_figure_hides_another_or_leaves_the_picture(
    session_run: recording.Run, name: str
) -> None:
    with styled():
        assert_legible(figures.FIGURES[name](session_run))


def test_names_of_layers_keep_their_distance_within_their_region() -> None:
    from robobrain.recording.figures.raster import spread

    assert spread(np.array([5.0, 50.0]), 20, 0, 100).tolist() == [5, 50]
    assert spread(np.array([5.0, 6.0, 98.0, 99.0]), 20, 0, 100).tolist() == [5, 25, 70, 90]
    assert spread(np.array([1.0, 2.0, 3.0, 4.0]), 20, 0, 60).tolist() == [7.5, 22.5, 37.5, 52.5]


UNITS = {
    "session": ("(s)", "(mm)", "(Hz)", "(ms)", "(mN)"),
    "raster": ("(s)", "(mm)"),
    "rates": ("(s)", "(Hz)"),
    "muscles": ("(s)", "(Hz)"),
    "paths": ("(mm)",),
    "blocks": ("(mm)", "+20 mN"),
    "adaptation": ("(mm)", "(mm/s)"),
    "onset": ("(s)", "(Hz)", "movement onset"),
    "spectrum": ("(Hz)", "(Hz²/Hz)"),
    "timing": ("(ms)", "(%)", "real time: 10 ms"),
    "fields": ("(s)", "(mV)", "(Hz)", "(mV²/Hz)"),
}


@pytest.mark.parametrize("name", UNITS)
def test_axes_have_units(session_run: recording.Run, name: str) -> None:
    with figures.styled():
        figure = figures.FIGURES[name](session_run)
    texts = " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))
    assert not [unit for unit in UNITS[name] if unit not in texts]


def test_chosen_figures_and_formats(session_run: recording.Run) -> None:
    (file,) = figures.write(session_run, ["paths"], ["svg"])
    assert "rewarded" in file.read_text()
    with pytest.raises(RecordingError, match=r"No figure map\. There are: session, raster"):
        figures.write(session_run, ["map"])


def test_blocks_keep_their_order_and_repeat() -> None:
    from robobrain.recording.figures.blocks import by_block

    trials = [{"block": name} for name in ("a", "a", "b", "a")]
    assert [(name, len(members)) for name, members in by_block(trials)] == [("a", 2), ("b", 1), ("a", 1)]


@pytest.mark.parametrize("trials", [1, 3, 7])
def test_trials_are_counted_in_whole_numbers(tmp_path: Path, trials: int) -> None:
    with recording.create(tmp_path / "run", {}) as writer:
        for index in range(trials):
            deviation = {"deviation_before_mm": 0.1, "deviation_after_mm": 0.1 * index}
            writer.trial({"peak_pull_mm": 8.0, "outcome": "rewarded", **deviation})
    with styled():
        figure = figures.adaptation(recording.open(tmp_path / "run"))
        figure.draw_without_rendering()
    first, last = figure.axes[0], figure.axes[-1]
    low, high = last.get_xlim()
    ticks = [float(tick) for tick in last.get_xticks() if low <= tick <= high]
    assert ticks == [round(tick) for tick in ticks] != []
    assert last.get_xlabel() == "trial"
    assert "6 mm of pull minus 3 mm" in first.get_ylabel()


def blocks_run(path: Path, blocks: int, force_mN: float = 0.0) -> recording.Run:
    """Record a straight pull of 9 mm per trial, two trials in each of so many blocks."""
    task = {"zones": ZONES, "force_field": {"onset_mm": 4.0}}
    with recording.create(path, {"task": task}) as writer:
        t_ms = np.arange(2000.0 * blocks)
        writer.declare("joystick_mm", "mm", ("lateral", "pull"))
        writer.append("joystick_mm", t_ms, np.column_stack([0 * t_ms, 9 * (t_ms % 1000) / 1000]))
        for number in range(2 * blocks):
            writer.trial(
                {"block": f"block {number // 2}", "outcome": "rewarded", "cue_ms": 1000.0 * number + 100,
                 "end_ms": 1000.0 * number + 900, "lateral_force_mN": force_mN}
            )  # fmt: skip
    return recording.open(path)


@pytest.mark.parametrize(("blocks", "panels"), [(1, 3), (2, 2), (3, 3), (5, 5), (9, 9)])
def test_blocks_fill_the_page(tmp_path: Path, blocks: int, panels: int) -> None:
    with styled():
        figure = figures.blocks(blocks_run(tmp_path / "run", blocks))
        assert_legible(figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == panels
    boxes = [axes.get_tightbbox() for axes in shown]
    height = max(box.y1 for box in boxes) - min(box.y0 for box in boxes)
    assert sum(box.width * box.height for box in boxes) > 0.5 * figure.bbox.width * height


def test_a_single_block_shows_its_pulls_over_time_too(tmp_path: Path) -> None:
    with styled():
        figure = figures.blocks(blocks_run(tmp_path / "run", 1, force_mN=20.0))
    _, pull, lateral = figure.axes
    assert (pull.get_ylabel(), lateral.get_ylabel()) == ("pull (mm)", "lateral, + left (mm)")
    assert lateral.get_xlabel() == "time from the cue (s)"
    courses = [line for line in pull.lines if len(line.get_xdata()) > 2]
    assert len(courses) == 2
    for line in courses:
        np.testing.assert_allclose(line.get_xdata(), np.arange(801) / 1e3)
        np.testing.assert_allclose(line.get_ydata(), 9 * (np.arange(801) + 100) / 1e3)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "rewarded (2)", "home", "start line", "target", "lateral force"
    ]  # fmt: skip


def test_fields_of_many_neurons_and_long_names_stay_legible(tmp_path: Path) -> None:
    """Eight neurons that peak alike, three that don't, and groups with names as long as they may be."""
    populations = [{"name": "M1_L5B_PT", "region": "M1", "first_id": 245, "size": 35}]
    t_ms = np.arange(4000.0)
    eight_hz = np.sin(2 * np.pi * 8e-3 * t_ms)
    monitors: dict[str, tuple[str, dict[str, np.ndarray]]] = {
        "cells": ("mV", {str(245 + k): eight_hz - 60 for k in range(8)}),
        "others": ("mV", {"280": eight_hz, "3": np.sin(2 * np.pi * 20e-3 * t_ms)}),
        "lfp": ("pA", {"M1": 6e5 * eight_hz, "S1": eight_hz}),
        "m" * 128: ("pA", {f"{k}{'g' * 127}": eight_hz for k in range(4)}),
    }
    histories = [
        {"name": name, "unit": unit, "columns": list(columns), "interval_ms": 1.0, "description": ""}
        for name, (unit, columns) in monitors.items()
    ]
    brain = {"populations": populations, "histories": histories}
    with recording.create(tmp_path / "run", {"brain": brain}) as writer:
        for name, (unit, columns) in monitors.items():
            writer.declare(name, unit, tuple(columns))
            writer.append(name, t_ms, np.column_stack(list(columns.values())))
    with styled():
        figure = figures.fields(recording.open(tmp_path / "run"))
        assert_legible(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:6] == [
        "cells, 4 of 8", "peak at 8.0 Hz", "others", "peaks at 8.0 to 20.0 Hz", "lfp", "peak at 8.0 Hz"
    ]  # fmt: skip
    labels = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes[::2]]
    assert labels[0] == [f"M1 L5B PT, id {neuron}" for neuron in range(245, 249)]
    assert labels[1] == ["neuron, id 280", "neuron, id 3"]
    assert labels[2] == ["M1", "S1"]
    colours = [line.get_color() for line in figure.axes[4].lines]
    assert colours == [REGION_COLOURS["M1"], REGION_COLOURS["S1"]]
    for axes in figure.axes[::2]:
        legend, frame = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert frame.x0 <= legend.x0 < legend.x1 <= frame.x1 + 1
        highest = max(float(np.max(line.get_ydata())) for line in axes.lines)
        assert axes.transData.transform((0, highest))[1] < legend.y0


def test_bands_of_the_spectrum_differ_in_shade(session_run: recording.Run) -> None:
    with styled():
        figure = figures.FIGURES["spectrum"](session_run)
        figure.canvas.draw()
        picture = np.asarray(figure.canvas.buffer_rgba())
    axes = figure.axes[0]
    shades = []
    for frequency_hz in (10.0, 12.5, 14.0, 28.0, 31.0, 78.0):
        x, _ = axes.transData.transform((frequency_hz, axes.get_ylim()[0]))
        _, y = axes.transAxes.transform((0.0, 0.99))
        shades.append(int(picture[-1 - round(y), round(x), 0]))
    theta, between, beta, beta_end, gamma, gamma_end = shades
    assert between == 255 > theta == gamma == gamma_end
    assert beta == beta_end <= gamma - 10


@pytest.mark.parametrize("trials", [0, 1])
def test_few_trials(tmp_path: Path, trials: int) -> None:
    run = make_run(tmp_path / "run", trials=trials, seconds=2, status="interrupted")
    for file in figures.write(run):
        assert_drawn(file)


def test_run_without_anything(tmp_path: Path) -> None:
    recording.create(tmp_path / "run", {}).close("interrupted")
    assert len(figures.write(recording.open(tmp_path / "run"))) == len(figures.DEFAULT)


def test_run_without_spikes_and_with_gaps(tmp_path: Path) -> None:
    populations = [{"name": "X_a", "region": "X", "first_id": 1, "size": 3}]
    with recording.create(tmp_path / "run", {"brain": {"populations": populations}, "task": None}) as writer:
        writer.declare("joystick_mm", "mm", ("lateral", "pull"))
        writer.append("joystick_mm", np.arange(300.0), np.full((300, 2), np.nan))
        writer.declare("activation", "1", MUSCLES)
        writer.append("activation", 5.0, np.zeros(8))
        writer.trial(
            {
                "index": 0,
                "begin_ms": 0,
                "cue_ms": None,
                "start_ms": None,
                "end_ms": None,
                "outcome": "aborted",
            }
        )
        writer.trial({"index": 1, "cue_ms": 250.0, "end_ms": 900.0})
        assert len(figures.write(recording.open(writer.path))) == len(
            figures.DEFAULT
        )  # also while it is being written
    assert len(figures.write(recording.open(tmp_path / "run"))) == len(figures.DEFAULT)


def test_a_thousand_trials_stay_legible(tmp_path: Path) -> None:
    """Ten trials, ten with a force, and a thousand after them, as an hour of a session gives."""
    begin_ms = 1e3 * np.arange(1020)
    with recording.create(tmp_path / "run", {}) as writer:
        writer.declare("joystick_mm", "mm", ("lateral", "pull"))
        t_ms = np.arange(0.0, 1020e3, 100.0)
        writer.append("joystick_mm", t_ms, np.column_stack([np.sin(t_ms), 8 * np.abs(np.sin(t_ms / 500))]))
        for number, start_ms in enumerate(begin_ms.tolist()):
            block = "baseline" if number < 10 else "perturbation" if number < 20 else "washout"
            times = {"begin_ms": start_ms, "end_ms": start_ms + 800.0}
            writer.trial({"block": block, "outcome": "rewarded", "peak_pull_mm": 8.0, **times})
    run = recording.open(tmp_path / "run")
    for name, title in (("paths", "joystick, 1 in 7 of 1020 trials"), ("blocks", "1 in 7 of 1000 trials")):
        figure = figures.FIGURES[name](run)
        panel = [axes for axes in figure.axes if axes.get_visible()][-1]
        assert title in panel.get_title(loc="left") + panel.get_title()
        assert 100 < sum(line.get_marker() == "o" for line in panel.lines) <= 150
    with styled():
        figure = figures.adaptation(run)
        figure.draw_without_rendering()
    names = [text for text in figure.axes[0].texts if text.get_text()]
    assert [text.get_text() for text in names] == ["baseline", "perturbation", "washout"]
    boxes = [text.get_window_extent() for text in names]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    means = max(figure.axes[0].lines, key=lambda line: len(line.get_xdata()))
    assert 80 < len(means.get_xdata()) <= 100
