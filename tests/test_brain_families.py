"""Two families of neurons from one table, and kinds of noise: one wiring, other neurons, similar rates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robobrain.brain.choice import choose
from robobrain.brain.noise_bench import KINDS, measure_noise
from robobrain.brain.rows import CONDUCTANCE_MODELS
from robobrain.brain.sizes import split_family, with_family
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import load_tables
from robobrain.brain.working_point import working_points
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError


@pytest.fixture(scope="module")
def current() -> BrainSpec:
    return choose("tiny").spec()


@pytest.fixture(scope="module")
def conductance() -> BrainSpec:
    return choose("tiny-conductance").spec()


def test_a_name_holds_size_and_family() -> None:
    assert split_family("tiny") == ("tiny", "current")
    assert split_family("0.05-conductance") == ("0.05", "conductance")
    assert with_family("tiny", "conductance") == with_family("tiny-conductance", "conductance")
    assert with_family("tiny-conductance", "current") == "tiny"
    with pytest.raises(ConfigurationError, match="there are current, conductance"):
        with_family("tiny", "quantum")


def test_families_differ_in_neurons_and_not_in_wiring(current: BrainSpec, conductance: BrainSpec) -> None:
    assert conductance.identity != current.identity
    assert [p.size for p in conductance.populations] == [p.size for p in current.populations]
    models = {p.model for p in conductance.populations} - {p.model for p in current.populations}
    assert models == CONDUCTANCE_MODELS
    for published, linear in zip(conductance.projections, current.projections, strict=True):
        assert published.key == linear.key
        assert published.indegree == linear.indegree
        assert (published.weight > 0) == (linear.weight > 0)
    assert (conductance.noise, conductance.resolution_ms) == (current.noise, current.resolution_ms)


def test_weights_are_in_the_units_of_the_model(current: BrainSpec, conductance: BrainSpec) -> None:
    tables = load_tables()
    points = working_points(tables)
    for published, linear in zip(conductance.projections, current.projections, strict=True):
        factor = {"ex": points[linear.post].ex_factor, "in": points[linear.post].in_factor}
        expected = published.weight * factor.get(linear.receptor, 1.0)
        assert linear.weight == pytest.approx(expected)


def test_lost_background_becomes_a_constant_conductance(conductance: BrainSpec) -> None:
    tables = load_tables()
    name = "M1_L23_CC"
    neuron, drive = tables.neuron_of(name), tables.drives[name]
    params = next(p.params for p in conductance.populations if p.name == name)
    leak_nS, rest_mV = params["g_L"], params["E_L"]
    assert isinstance(leak_nS, float)
    assert isinstance(rest_mV, float)
    assert neuron.g_L_nS is not None
    assert neuron.tau_syn_ex_ms is not None
    lost_nS = leak_nS - neuron.g_L_nS
    kept = next(d for d in conductance.drives if d.population == name)
    charge_ms = 2.718281828 * neuron.tau_syn_ex_ms
    whole_nS = drive.rate_hz * 1e-3 * drive.weight * charge_ms
    assert lost_nS + kept.rate_hz * 1e-3 * kept.weight * charge_ms == pytest.approx(whole_nS)
    # Without any other input the neuron settles where leak and constant background balance.
    assert neuron.E_L_mV is not None
    assert leak_nS * rest_mV == pytest.approx(neuron.g_L_nS * neuron.E_L_mV)  # E_ex is 0 mV


def test_bias_currents_of_a_family_are_its_own() -> None:
    tables = load_tables()
    assert tables.bias_currents("medium-conductance") == tables.bias_currents("medium")
    assert not choose("medium-conductance").spec().tuned
    assert choose("tiny-conductance").spec().tuned
    assert tables.bias_currents("tiny-conductance") != tables.bias_currents("tiny")


@pytest.mark.slow
def test_families_are_compared_at_rest(tmp_path: Path) -> None:
    arguments = ["brain", "compare", "tiny", "tiny-conductance", "--seconds", "2", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    with (tmp_path / "compare.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 77
    spiking = {(row["brain"], row["population"]) for row in rows if float(row["rate_hz"]) > 0}
    assert len(spiking) >= 150
    inside = [row for row in rows if row["brain"] == "tiny-conductance" and row["verdict"] == "in range"]
    assert len(inside) >= 62
    assert "processor seconds per second" in (tmp_path / "compare.md").read_text()
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_what_can_not_be_compared_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["brain", "compare", "tiny", "--out", str(tmp_path)])
    assert result.exit_code == 1
    with pytest.raises(ConfigurationError, match="no population of current-based neurons"):
        measure_noise(load_tables(), "BG_CSN")


@pytest.mark.slow
def test_every_kind_of_noise_reaches_the_target_rate() -> None:
    tables = load_tables()
    name = "M1_L23_PV"
    effects = measure_noise(tables, name, neurons=200, seconds=2.0)
    assert tuple(effect.kind for effect in effects) == KINDS
    target_hz = tables.targets[name].target_hz
    for effect in effects:
        assert effect.rate_hz == pytest.approx(target_hz, rel=0.3), effect
        assert effect.ns_per_step > 0
        assert effect.cv_isi > 0.4
