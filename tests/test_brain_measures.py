"""Statistics of spike trains, the bench of one neuron, and pathway tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from robobrain.brain.choice import choose
from robobrain.brain.neuron_bench import draw_neuron, measure_neuron
from robobrain.brain.onset import NO_ONSET, Onset, find_onset
from robobrain.brain.pathways import GRADED, PATHWAYS, Pathway, Stage, named
from robobrain.brain.probe_bench import PathwayResponse, StageResponse, unmet
from robobrain.brain.rest_report import measure_seeds, summary, write_report
from robobrain.brain.statistics import average, spike_statistics
from robobrain.cli.app import app
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
    for name in ("spindles to cortex", "corticospinal", "corticostriatal", "pause"):
        arguments += ["--pathway", name]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "CB_M1_pons" in (tmp_path / "probe.md").read_text()
    assert (tmp_path / "probe.png").stat().st_size > 20_000


@pytest.mark.slow
def test_a_cut_pathway_fails_its_probe() -> None:
    arguments = ["brain", "probe", "small", "--trials", "3", "--threads", "1", "--disconnect", "M1:CB_M1"]
    arguments += ["--pathway", "corticospinal"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 1
    assert "CB_M1_pons goes" in result.output


def test_pathways_are_named_by_their_beginning() -> None:
    assert [pathway.name for pathway in named(["sensory gain"])] == [
        "sensory gain 1",
        "sensory gain 2",
        "sensory gain 3",
    ]
    assert named([]) == PATHWAYS
    assert {name for graded in GRADED for name in graded.pathways} <= {p.name for p in PATHWAYS}
    with pytest.raises(ConfigurationError, match="no pathway 'smell'; there are spindles to cortex"):
        named(["smell"])


def response(name: str, population: str, change_hz: float, **expected: Any) -> PathwayResponse:
    """A response of one stage that is sure to 0.1 Hz."""
    stage = Stage(population=population, **({"direction": "any"} | expected))
    one = StageResponse(
        stage=stage,
        base_hz=90.0,
        change_hz=change_hz,
        error_hz=0.1,
        gain=1.0,
        onset=NO_ONSET,
        course_hz=np.zeros(250),
    )
    return PathwayResponse(pathway=Pathway(name=name, targets=("x",), stages=(stage,)), stages=(one,))


@pytest.mark.parametrize(
    ("change_hz", "expected", "holds"),
    [
        (5.0, {"direction": "up"}, True),
        (-5.0, {"direction": "up"}, False),
        (0.15, {"direction": "up"}, False),  # less than two standard errors
        (0.15, {"direction": "none"}, True),
        (5.0, {"direction": "none"}, False),
        (5.0, {"below_hz": 100.0}, True),
        (15.0, {"below_hz": 100.0}, False),
    ],
)
def test_an_expectation_that_fails_is_named(change_hz: float, expected: dict[str, Any], holds: bool) -> None:
    found = unmet({"a": response("a", "BG_STN", change_hz, **expected)})
    assert (found == []) == holds
    assert holds or found[0].startswith("a: BG_STN goes ")


def test_a_gain_that_is_not_graded_is_named() -> None:
    graded = GRADED[0]

    def found(*changes_hz: float) -> list[str]:
        steps = zip(graded.pathways, changes_hz, strict=True)
        responses = {}
        for name, change_hz in steps:
            stages = [response(name, stage, change_hz).stages[0] for stage in graded.stages]
            pathway = Pathway(name=name, targets=("x",), stages=tuple(stage.stage for stage in stages))
            responses[name] = PathwayResponse(pathway=pathway, stages=tuple(stages))
        return unmet(responses)

    assert found(1.0, 2.0, 3.0) == []
    assert found(1.0, 0.95, 3.0) == []  # a fall that is not sure
    assert len(found(1.0, 3.0, 2.0)) == len(graded.stages)
    assert "changes by +1.00, +3.00, +2.00 Hz, expected to grow" in found(1.0, 3.0, 2.0)[0]


@pytest.mark.parametrize("seed", range(5))
def test_an_onset_is_as_sure_as_its_response_is_strong(seed: int) -> None:
    def onset(rate_hz: float) -> Onset:
        rng = np.random.default_rng(seed)
        expected_hz = np.where(np.arange(250) < 150 + 20, 5.0, rate_hz)  # 40 ms after a stimulus in bin 150
        courses_hz = rng.poisson(expected_hz * 30 * 2e-3, (20, 250)) / (30 * 2e-3)
        return find_onset(courses_hz, stimulus_bin=150, latest_bin=225, bin_ms=2.0, rng=rng)

    strong, weak = onset(50.0), onset(6.0)
    assert strong.low_ms <= 40.0 <= strong.high_ms <= strong.low_ms + 6.0
    assert weak.low_ms <= weak.ms <= weak.high_ms
    assert weak.high_ms - weak.low_ms > 20.0
    assert str(NO_ONSET) == "-"


def test_an_order_that_is_surely_wrong_is_named() -> None:
    def found(*onsets: Onset) -> list[str]:
        names = [f"P{number}" for number in range(len(onsets))]
        stages = tuple(
            dataclasses.replace(response("a", name, 1.0).stages[0], onset=onset)
            for name, onset in zip(names, onsets, strict=True)
        )
        pathway = Pathway(
            name="a", targets=("x",), stages=tuple(one.stage for one in stages), ordered=tuple(names)
        )
        return unmet({"a": PathwayResponse(pathway=pathway, stages=stages)})

    assert found(Onset(2, 2, 4), Onset(10, 6, 14), Onset(30, 20, 60)) == []
    assert found(Onset(2, 2, 4), NO_ONSET, Onset(10, 6, 14)) == []
    assert found(Onset(10, 6, 14), Onset(0, 0, 60)) == []  # anywhere, and so perhaps in order
    for wrong in (Onset(10, 6, 14), Onset(2, 2, 4)), (Onset(10, 6, 14), Onset(20, 0, 60), Onset(2, 2, 4)):
        assert found(*wrong) == [
            f"a: responses begin surely out of order ({', '.join(f'P{n}' for n in range(len(wrong)))})"
        ]


def test_a_response_that_does_not_keep_its_column_is_named() -> None:
    def found(in_column_hz: float, elsewhere_hz: float) -> list[str]:
        stages = (
            response("a", "VL_EZ_TC", in_column_hz, column="stimulated").stages[0],
            response("a", "VL_EZ_TC", elsewhere_hz, column="others").stages[0],
        )
        pathway = Pathway(
            name="a", targets=("x",), stages=tuple(one.stage for one in stages), in_column=("VL_EZ_TC",)
        )
        return unmet({"a": PathwayResponse(pathway=pathway, stages=stages)})

    assert found(5.0, 3.0) == []
    for elsewhere_hz in (4.9, 6.0):  # the first is less than two standard errors below
        assert found(5.0, elsewhere_hz) == [
            "a: VL_EZ_TC does not change more in the stimulated column than in the others"
        ]
