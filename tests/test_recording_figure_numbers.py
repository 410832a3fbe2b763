"""What figures count and compute, against closed forms and the recorded numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from made_up_runs import make_run

from robobrain import recording
from robobrain.recording import figures
from robobrain.recording.figures.style import styled


@pytest.fixture(scope="module")
def session_run(tmp_path_factory: pytest.TempPathFactory) -> recording.Run:
    return make_run(tmp_path_factory.mktemp("runs") / "run", trials=6, seconds=16)


def test_raster_shows_a_fair_share_and_repeats_itself(session_run: recording.Run) -> None:
    from robobrain.recording.figures.data import populations_by_region
    from robobrain.recording.figures.raster import sampled_ids

    regions = populations_by_region(session_run)
    assert list(regions) == ["S1", "M1", "VM", "VL", "BG", "CB_S1", "CB_M1"]
    for members in regions.values():
        ids = sampled_ids(members)
        assert ids == sampled_ids(members)
        assert len(set(ids)) == len(ids)
        shown = [sum(p.first_id <= i < p.first_id + p.size for i in ids) for p in members]
        assert max(shown) - min(shown) <= 1 or min(shown) == min(p.size for p in members)


def test_rates_of_a_run_that_broke_off_end_with_its_spikes(tmp_path: Path) -> None:
    from robobrain.recording.figures.data import rate_edges

    for status, end_ms in (("complete", 1000.0), ("failed", 600.0)):
        writer = recording.create(tmp_path / status, {})
        writer.declare("x", "1", ("x",))
        writer.append("x", np.arange(1001.0), np.arange(1001.0))
        writer.spikes([10.0, 612.0], [1, 2])
        writer.close(status)
        assert rate_edges(recording.open(writer.path), 50.0, 100)[-1] == end_ms


@pytest.mark.parametrize(
    ("first_ms", "last_ms", "expected"),
    [
        (0.5, 4710.0, (0.0, 4700.0, 94)),
        (1.0, 4750.0, (0.0, 4750.0, 95)),
        (0.0, 4749.0, (0.0, 4750.0, 95)),
        (30.0, 230.0, (50.0, 200.0, 3)),
        (0.0, 9990.0, (0.0, 9900.0, 99)),
        (3.0, 12.0, (3.0, 12.0, 1)),
    ],
)
def test_rates_are_of_whole_bins(
    tmp_path: Path, first_ms: float, last_ms: float, expected: tuple[float, float, int]
) -> None:
    """One spike each ms is 1 kHz in the last bin as in the others, wherever the record ends."""
    from robobrain.recording.figures.data import population_rates, rate_edges

    population = {"name": "X_a", "region": "X", "first_id": 1, "size": 1}
    with recording.create(tmp_path / "run", {"brain": {"populations": [population]}}) as writer:
        t_ms = np.append(np.arange(first_ms, last_ms), last_ms)
        writer.spikes(t_ms, np.ones(len(t_ms)))
    run = recording.open(tmp_path / "run")
    edges = rate_edges(run, 50.0, 100)
    assert (edges[0], edges[-1], len(edges) - 1) == expected
    rates_hz = population_rates(run, list(run.populations.values()), edges)[0]
    assert rates_hz == pytest.approx(1000.0, abs=25.0)


def test_rates_explain_their_marks(session_run: recording.Run) -> None:
    with styled():
        figure = figures.FIGURES["rates"](session_run)
        figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["cue", "start line crossed", "reward"]
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_population_rates_count_every_spike(session_run: recording.Run) -> None:
    from robobrain.recording.figures.data import population_rates

    chosen = [session_run.populations[name] for name in ("BG_GPi", "S1_L1_SBC")]
    edges = np.arange(0.0, 16_001.0, 50.0)
    rates = population_rates(session_run, chosen, edges)
    for row, population in zip(rates, chosen, strict=True):
        spikes = len(session_run.spikes(population.name, 0, 16_000)[0])
        assert row.sum() * population.size * 0.05 == pytest.approx(spikes)


def test_spectrum_is_that_of_welch(session_run: recording.Run) -> None:
    signal = pytest.importorskip("scipy.signal")
    from robobrain.recording.figures.data import populations_by_region, region_counts
    from robobrain.recording.figures.spectrum import region_spectra

    members = populations_by_region(session_run)["BG"]
    frequency_hz, power, rate_hz = region_spectra(session_run, [members])
    edges = session_run.span_ms[0] + np.arange(16_000.0)
    neurons = sum(p.size for p in members)
    rates = region_counts(session_run, [members], edges)[0] * 1e3 / neurons
    expected = signal.welch(rates, 1e3, nperseg=1000, noverlap=500, detrend="constant")
    np.testing.assert_allclose(frequency_hz, expected[0])
    shown = (frequency_hz >= 1) & (frequency_hz <= 200)
    np.testing.assert_allclose(power[0, shown], expected[1][shown], rtol=0.25)
    assert rate_hz[0] == pytest.approx(rates.mean(), rel=0.05)


def test_independent_neurons_have_a_flat_spectrum(tmp_path: Path) -> None:
    from robobrain.recording.figures.spectrum import region_spectra

    rng = np.random.default_rng(0)
    population = {"name": "X_a", "region": "X", "first_id": 1, "size": 50}
    with recording.create(tmp_path / "run", {"brain": {"populations": [population]}}) as writer:
        writer.spikes(np.sort(rng.uniform(0, 60_000, 30_000)), rng.integers(1, 51, 30_000))
    run = recording.open(tmp_path / "run")
    _, power, rate_hz = region_spectra(run, [list(run.populations.values())])
    assert rate_hz[0] == pytest.approx(10.0, rel=0.02)
    assert power[0, 5:-1].mean() == pytest.approx(2 * rate_hz[0] / 50, rel=0.05)


def test_a_silent_region_is_said_to_be_silent(tmp_path: Path) -> None:
    from robobrain.recording.figures.spectrum import spectrum

    rng = np.random.default_rng(0)
    places = [
        {"name": f"{region}_a", "region": region, "first_id": first, "size": 50}
        for region, first in (("M1", 1), ("S1", 51))
    ]
    with recording.create(tmp_path / "run", {"brain": {"populations": places}}) as writer:
        writer.spikes(np.sort(rng.uniform(0, 5_000, 3_000)), rng.integers(1, 51, 3_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = spectrum(recording.open(tmp_path / "run"))
        figure.canvas.draw()
    said = {axes.get_title(): [text.get_text() for text in axes.texts] for axes in figure.axes[:2]}
    assert said["S1, mean 0 Hz"] == ["silent"]
    assert said["M1, mean 12 Hz"] != ["silent"]


def test_movement_begins_where_the_joystick_was_last_at_rest(tmp_path: Path) -> None:
    from robobrain.recording.figures.onset import movement_onset_ms

    t_ms = np.arange(1.0, 1001.0)
    pull_mm = np.clip((t_ms - 400.0) * 0.05, 0.0, None)  # 0.5 mm at 410 ms, the start line at 480 ms
    with recording.create(tmp_path / "run", {}) as writer:
        writer.declare("joystick_mm", "mm", ("lateral", "pull"))
        writer.append("joystick_mm", t_ms, np.stack([np.full(1000, 2.0), pull_mm], axis=1))
    run = recording.open(tmp_path / "run")
    assert movement_onset_ms(run, 480.0) == 409.0
    assert movement_onset_ms(run, 2000.0) == 2000.0  # no path there


def test_onset_counts_the_spikes_of_each_trial(session_run: recording.Run) -> None:
    from robobrain.recording.figures.onset import ONSET_MM, aligned_rates, alignment

    event, moments = alignment(session_run)
    assert event == "movement onset"
    crossings = [t["start_ms"] for t in session_run.trials if t["start_ms"] is not None]
    for moment, crossing in zip(moments, crossings, strict=True):
        path_mm = session_run.array("joystick_mm", moment, crossing)[1]
        assert path_mm[0, 1] < ONSET_MM <= path_mm[1:, 1].min()
    population = session_run.populations["BG_GPe"]
    edges = np.arange(-500.0, 1001.0, 20.0)
    rates = aligned_rates(session_run, [[population]], moments, edges)[1, 0]
    spikes = session_run.spikes("BG_GPe", moments[1] - 500.0, moments[1] + 1000.0)[0]
    assert rates.sum() * 0.02 * population.size == pytest.approx(len(spikes))
    beyond = aligned_rates(session_run, [[population]], [session_run.span_ms[1]], edges)[0, 0]
    assert np.isnan(beyond[-1])
    assert np.isfinite(beyond[0])


def test_means_around_onset_need_half_of_the_trials(tmp_path: Path) -> None:
    """Trials of which the later ones reach less and less far, as at the end of a record."""
    from robobrain.recording.figures.onset import known_trials

    rates = np.ones((5, 6))
    for trial, bins in enumerate((6, 5, 4, 2, 1)):
        rates[trial, bins:] = np.nan
    assert known_trials(rates).tolist() == [5, 4, 3, 3, 0, 0]
    assert known_trials(rates[:2]).tolist() == [2, 2, 2, 2, 2, 0]
    assert known_trials(rates[:1]).tolist() == [1] * 6
    population = {"name": "X_a", "region": "X", "first_id": 1, "size": 1}
    with recording.create(tmp_path / "run", {"brain": {"populations": [population]}}) as writer:
        writer.spikes(np.arange(4000.0), np.ones(4000))
        for start_ms in (1000.0, 2000.0, 3500.0):
            writer.trial({"start_ms": start_ms})
    with styled():
        trials, mean = figures.FIGURES["onset"](recording.open(tmp_path / "run")).axes
    assert mean.get_title(loc="left") + mean.get_title() == "mean ± standard error, n = 2 to 3 trials"
    assert len(trials.images[0].get_array()) == 3
