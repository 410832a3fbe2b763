"""Pages: what they hold, that they need nothing else, and how they behave in a real browser."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from made_up_runs import make_run
from matplotlib.figure import Figure

from robobrain import recording
from robobrain.errors import RecordingError
from robobrain.recording.compare import compare_runs, draw_samples, rate_samples, trial_samples
from robobrain.recording.figures import DEFAULT, styled
from robobrain.recording.page import cell_text
from robobrain.recording.report import CAPTIONS, write_report
from robobrain.recording.statistics import adjust, compare_samples, compare_shares


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[recording.Run]:
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / name, trials=6, seconds=16, seed=seed) for seed, name in enumerate(("a", "b"))]


@pytest.fixture(scope="module")
def report(runs: list[recording.Run]) -> Path:
    return write_report(runs[0])


@pytest.mark.slow
def test_report_in_a_browser(report: Path) -> None:
    with chromium() as browser:
        browser.open(report)
        assert browser.messages() == []
        shown = browser.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])")
        assert len(shown) == len(CAPTIONS)
        assert all(complete and natural >= 1500 and width > 600 for complete, natural, width in shown)
        assert browser.evaluate("performance.getEntriesByType('resource').map(r => r.name.slice(0, 5))") == (
            ["data:"] * browser.evaluate("performance.getEntriesByType('resource').length")
        )
        links = browser.evaluate("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
        assert all(browser.evaluate(f"document.querySelector('{link}') !== null") for link in links)
        assert browser.evaluate("document.querySelectorAll('#trials tbody tr').length") == 6
        assert browser.evaluate(
            "document.querySelector('#provenance pre').scrollWidth <= "
            "document.querySelector('#provenance pre').clientWidth"
        )
        for width in (1200, 500):
            browser.resize(width)
            assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
def test_comparison_in_a_browser(runs: list[recording.Run], tmp_path: Path) -> None:
    page = compare_runs(runs, tmp_path / "comparison")
    with chromium() as browser:
        browser.open(page)
        assert browser.messages() == []
        shown = browser.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth])")
        assert len(shown) == 2
        assert all(complete and natural >= 1500 for complete, natural in shown)
        assert browser.evaluate("document.querySelectorAll('#tests tbody tr').length") == 14
        assert browser.evaluate(
            "[...document.querySelectorAll('#tests .scroll')].every("
            "box => box.scrollWidth <= box.clientWidth)"
        )


def test_every_figure_has_a_caption_and_two_formats(report: Path) -> None:
    assert set(CAPTIONS) == {*DEFAULT, "fields"}
    names = {file.name for file in (report.parent / "figures").iterdir()}
    assert names == {f"{name}.{kind}" for name in CAPTIONS for kind in ("png", "svg")}


def test_the_table_of_trials_is_legible(report: Path) -> None:
    """Each time and unit in full, and every section within reach of a link."""
    text = report.read_text()
    shown = re.search(r'<section id="trials">.*?</section>', text, re.DOTALL)
    assert shown is not None
    headings = re.findall("<th>(.*?)</th>", shown[0])
    assert {"cue (ms)", "peak pull (mm)", "peak speed (mm/s)", "lateral force (mN)", "outcome"} <= set(
        headings
    )
    last = re.findall("<td>(.*?)</td>", shown[0].split("<tr>")[-1])
    trial = recording.open(report.parent).trials[-1]
    assert trial["cue_ms"] > 10_000
    assert last[headings.index("cue (ms)")] == f"{trial['cue_ms']:,.0f}"
    assert last[headings.index("peak pull (mm)")] == f"{trial['peak_pull_mm']:.4g}"
    cells = {
        None: "–",
        np.nan: "–",
        -12345.678: "-12,346",
        1234567.0: "1,234,567",
        0.00123456: "0.001235",
        7: "7",
    }
    assert [cell_text(value) for value in cells] == list(cells.values())
    assert set(re.findall('href="#(.*?)"', text)) == set(re.findall('<section id="(.*?)"', text))


def test_a_picture_of_the_arm_is_linked(runs: list[recording.Run], tmp_path: Path) -> None:
    copy = recording.backup(runs[0].path, tmp_path / "copy")
    copy.figures_path.mkdir(exist_ok=True)
    with styled():
        Figure(figsize=(2, 2)).savefig(copy.figures_path / "arm.png")
    text = write_report(copy).read_text()
    assert 'href="#arm"' in text
    assert '<section id="arm">' in text


def test_page_needs_nothing_else(report: Path) -> None:
    text = report.read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert "<script" not in text
    assert "rewarded" in text
    assert "robobrain run" in text


def test_text_of_a_run_can_not_break_its_page(tmp_path: Path) -> None:
    with recording.create(tmp_path / "<b>&run", {"command": ["<script>alert(1)</script>"]}) as writer:
        writer.trial({"outcome": "<img src=x>"})
    text = write_report(recording.open(tmp_path / "<b>&run")).read_text()
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "&lt;b&gt;&amp;run" in text


def test_comparison_holds_what_scipy_says(runs: list[recording.Run], tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    compare_runs(runs, tmp_path)
    with (tmp_path / "statistics.csv").open() as file:
        rows = {row["measure"]: row for row in csv.DictReader(file)}
    pulls = [trial_samples(run)["peak pull"] for run in runs]
    assert [len(values) for values in pulls] == [6, 6]
    expected = stats.mannwhitneyu(*pulls)
    assert float(rows["peak pull"]["p"]) == pytest.approx(expected.pvalue)
    assert float(rows["peak pull"]["statistic"]) == expected.statistic
    assert {"rewarded", "rate of M1", "lateral deviation"} <= set(rows)
    assert all(float(row["p_holm"]) >= float(row["p"]) for row in rows.values())
    assert {file.name for file in tmp_path.iterdir()} == {
        "index.html", "statistics.csv", "trials.png", "trials.svg", "rates.png", "rates.svg"
    }  # fmt: skip


def test_rates_of_trials_are_those_of_the_spikes(runs: list[recording.Run]) -> None:
    run = runs[0]
    trial = run.trials[2]
    spikes = sum(
        len(run.spikes(p.name, trial["cue_ms"], trial["end_ms"])[0])
        for p in run.populations.values()
        if p.region == "VM"
    )
    neurons = sum(p.size for p in run.populations.values() if p.region == "VM")
    expected = spikes / neurons / (trial["end_ms"] - trial["cue_ms"]) * 1e3
    assert rate_samples(run)["VM"][2] == pytest.approx(expected)


def test_statistics_of_known_samples() -> None:
    low, high = np.arange(10.0), np.arange(10.0) + 100.0
    (test,) = compare_samples("x", {"low": low, "high": high, "empty": np.empty(0)})
    assert (test.labels, test.name, test.effect) == (("low", "high"), "Mann-Whitney U", 1.0)
    three = compare_samples("x", {"a": low, "b": high, "c": low})
    assert [t.name for t in three] == ["Kruskal-Wallis", *["Mann-Whitney U"] * 3]
    assert three[2].effect == 0.0
    assert compare_samples("x", {"a": np.ones(5), "b": np.ones(5), "c": np.ones(5)})[0].p == 1.0
    (share,) = compare_shares("y", {"a": (0, 10), "b": (10, 10), "none": (0, 0)})
    assert share.effect == 1.0
    assert share.p < 1e-4


def test_holm_adjusts_stepwise() -> None:
    tests = compare_samples("x", {"a": np.arange(9.0), "b": np.arange(9.0) + 9, "c": np.arange(9.0) + 3})
    adjusted = adjust(tests)
    order = sorted(range(4), key=lambda index: tests[index].p)
    expected, worst = {}, 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (4 - rank) * tests[index].p))
        expected[index] = worst
    assert [test.p_holm for test in adjusted] == [expected[index] for index in range(4)]
    assert adjust([]) == []


def test_comparison_refuses_what_it_can_not_compare(runs: list[recording.Run], tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="two to 8 runs"):
        compare_runs(runs[:1], tmp_path)
    with pytest.raises(RecordingError, match="named twice"):
        compare_runs([runs[0], runs[0]], tmp_path)


@pytest.mark.parametrize(
    "labels", [["run", "other"], [f"condition_{k}/seed1" for k in range(8)], ["x" * 80, "y"]]
)
def test_every_panel_of_a_comparison_names_its_runs(labels: list[str]) -> None:
    values = {
        label: {"peak pull": np.arange(5.0), "peak speed": np.arange(k)} for k, label in enumerate(labels)
    }
    with styled():
        figure = draw_samples(values, {"peak pull": "peak pull (mm)", "peak speed": "peak speed (mm/s)"})
        figure.draw_without_rendering()
    for axes, counts in zip(figure.axes, ([5] * len(labels), range(len(labels))), strict=True):
        names = axes.get_xticklabels()
        shown = [label if len(label) <= 20 else f"{'x' * 10}…{'x' * 9}" for label in labels]
        assert [name.get_text() for name in names] == [
            f"{label} ({n})" for label, n in zip(shown, counts, strict=True)
        ]
        corners = np.array([axes.transData.inverted().transform(name.get_window_extent()) for name in names])
        if names[0].get_rotation() == 0:  # level names stand beneath their values, apart from each other
            assert (np.diff(corners[:, :, 0].ravel()) > 0).all()
        frames = [name.get_window_extent() for name in names]
        assert all(figure.bbox.x0 <= frame.x0 and figure.bbox.y0 <= frame.y0 for frame in frames)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:-1] == labels


def test_runs_of_the_same_name_are_told_apart_by_the_folders_above(tmp_path: Path) -> None:
    for place in ("intact/seed1", "lesion/seed1", "other/lesion/seed1"):
        recording.create(tmp_path / "results" / place, {}).close()
    runs = [recording.open(tmp_path / "results" / name / "seed1") for name in ("intact", "lesion")]
    assert "<h1>intact/seed1 · lesion/seed1</h1>" in compare_runs(runs, tmp_path / "a").read_text()
    deep = [*runs, recording.open(tmp_path / "results/other/lesion/seed1")]
    assert "results/lesion/seed1 · other/lesion/seed1</h1>" in compare_runs(deep, tmp_path / "b").read_text()


def test_runs_without_anything_are_compared_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recording.create(tmp_path / name, {}).close()
    page = compare_runs([recording.open(tmp_path / name) for name in ("a", "b")], tmp_path / "out")
    assert "0 of 0" in page.read_text()
