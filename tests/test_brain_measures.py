"""Statistics of spike trains, the bench of one neuron, and pathway tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from robobrain.brain.choice import choose
from robobrain.brain.neuron_bench import draw_neuron, measure_neuron
from robobrain.brain.rest_report import measure_seeds, summary, write_report
from robobrain.brain.statistics import average, spike_statistics
from robobrain.cli import app
from robobrain.errors import ConfigurationError

SPAN_MS = 20_000.0


def poisson(rng: np.random.Generator, rate_hz: float) -> np.ndarray:
    return np.sort(rng.uniform(0, SPAN_MS, rng.poisson(rate_hz * SPAN_MS * 1e-3)))


def test_independent_poisson_trains_are_irregular_uncorrelated_and_white() -> None:
    rng = np.random.default_rng(1)
    found = spike_statistics([poisson(rng, 8.0) for _ in range(100)], 0.0, SPAN_MS)
    assert found.cv_isi == pytest.approx(1.0, abs=0.05)
    assert abs(found.correlation) < 0.005
    assert found.peak < 3.0


def test_a_shared_rhythm_is_found_at_its_frequency() -> None:
    rng = np.random.default_rng(2)
    beat_ms = np.arange(0, SPAN_MS, 50.0)
    trains = [
        np.sort(np.concatenate([poisson(rng, 4.0), rng.choice(beat_ms, 80, replace=False)]))
        for _ in range(60)
    ]
    found = spike_statistics(trains, 0.0, SPAN_MS)
    assert found.peak_hz % 20 == pytest.approx(0.0, abs=1.0)  # the beat of 20 Hz or a multiple
    assert found.peak > 10
    assert found.correlation > 0.01


def test_a_clock_is_regular_and_silence_says_nothing() -> None:
    clock = spike_statistics([np.arange(5.0, SPAN_MS, 30.0)] * 2, 0.0, SPAN_MS)
    assert clock.cv_isi == pytest.approx(0.0, abs=1e-9)
    assert clock.correlation == pytest.approx(1.0)
    silent = spike_statistics([np.array([])] * 3, 0.0, SPAN_MS)
    assert np.isnan(silent.cv_isi)
    assert np.isnan(silent.peak)
    assert average([silent, clock]).cv_isi == clock.cv_isi


@pytest.mark.slow
def test_a_report_over_seeds_has_every_population(tmp_path: Path) -> None:
    choice = choose("tiny")
    specs = [choice.spec(seed=seed) for seed in (1, 2)]
    populations = measure_seeds(specs, choice.tables, seconds=3.0, threads=1)
    table, text, figure = write_report(tmp_path / "report", "tiny", populations)
    assert len(populations) == len(table.read_text().splitlines()) - 1 == 77
    assert f"- {summary(populations)[0]}" in text.read_text()
    assert figure.stat().st_size > 20_000
    assert all(population.statistics is not None for population in populations)


def test_a_neuron_fires_from_its_rheobase_on_and_more_with_more_input(tmp_path: Path) -> None:
    choice = choose("small")
    targets = {name: row.target_hz for name, row in choice.tables.targets.items()}
    curves = measure_neuron(choice.spec(), "M1_L5B_PT", targets)
    below = curves.current_pA < 0.99 * curves.rheobase_pA
    assert np.all(curves.rate_hz[below] == 0)
    assert np.all(curves.rate_hz[curves.current_pA > 1.05 * curves.rheobase_pA] > 0)
    assert np.all(np.diff(curves.rate_hz) >= -0.5)  # one spike of the 2 s that are counted
    assert curves.output_hz[-1] > curves.output_hz[5] > curves.output_hz[0]
    rest_mV = curves.population.params["E_L"]
    before = curves.time_ms < 50.0
    assert np.allclose(curves.potential_mV[:, before], rest_mV)
    draw_neuron(curves, tmp_path / "neuron.png")
    assert (tmp_path / "neuron.png").stat().st_size > 10_000


@pytest.mark.parametrize(("name", "said"), [("M1_L9", "no population 'M1_L9'"), ("BG_CSN", "pool of relays")])
def test_what_is_no_neuron_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        measure_neuron(choose("tiny").spec(), name, {})


@pytest.mark.slow
def test_stimuli_travel_along_the_loop(tmp_path: Path) -> None:
    arguments = ["brain", "probe", "small", "--trials", "20", "--seed", "5", "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "CB_M1_pons" in (tmp_path / "probe.md").read_text()
    assert (tmp_path / "probe.png").stat().st_size > 20_000


@pytest.mark.slow
def test_a_cut_pathway_fails_its_probe() -> None:
    arguments = ["brain", "probe", "small", "--trials", "3", "--threads", "1", "--disconnect", "M1:CB_M1"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 1
    assert "CB_M1_pons goes" in result.output
