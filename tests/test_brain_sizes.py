"""Sizes and choice of a brain: named, in between, full; what they take; folders of one's own."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robobrain.brain.build_bench import measure_build
from robobrain.brain.capacity import check_fits, free_memory_bytes, predict_cost
from robobrain.brain.choice import choose
from robobrain.brain.folder import changes, new_folder, stale_biases
from robobrain.brain.inventory import authors_table, count_regions
from robobrain.brain.tables import default_folder, load_tables
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError, TableError


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_full_has_every_neuron_of_the_authors_table() -> None:
    spec, authors = choose("full").spec(), authors_table()
    built = {region: 0 for region in authors}
    for population in spec.populations:
        built[population.region] += population.size if population.v_init_mV is not None else 0
    assert built == {region: row.neurons for region, row in authors.items()}
    assert sum(built.values()) == 1_010_001
    assert sum(row.layers for row in authors.values()) == 33


@pytest.mark.parametrize("size", ["tiny", "small", "0.05", "medium", "full"])
def test_synapses_agree_with_the_tables_expectation(size: str) -> None:
    choice = choose(size)
    spec = choice.spec()
    counted = sum(region.synapses for region in count_regions(spec, choice.tables))
    assert counted == pytest.approx(spec.synapses_expected, rel=1e-3)


def test_a_number_is_a_size_between_the_named_ones() -> None:
    tables = load_tables()
    low, middle, high = (tables.size(name) for name in ("tiny", "0.01", "small"))
    for name in ("granule_scale", "indegree_scale", "granule_indegree_scale", "noise_relays"):
        assert getattr(low, name) <= getattr(middle, name) <= getattr(high, name)
    same = tables.size("0.03").model_dump(exclude={"description"})
    assert same == pytest.approx(high.model_dump(exclude={"description"}))
    neurons = [
        choose(name).spec().neurons for name in ("tiny", "0.01", "small", "0.1", "medium", "0.6", "full")
    ]
    assert neurons == sorted(neurons)


def test_bias_currents_between_sizes_lie_between_theirs() -> None:
    tables = load_tables()
    low, middle, high = (tables.bias_currents(name) for name in ("tiny", "0.01", "small"))
    assert middle.keys() == low.keys()
    assert all(min(low[p], high[p]) <= middle[p] <= max(low[p], high[p]) for p in low)
    assert tables.bias_currents("full") == tables.bias_currents("medium")
    assert not choose("full").spec().tuned
    assert choose("medium").spec().tuned


@pytest.mark.parametrize("brain", ["0", "1.5", "-1", "huge", "nowhere/brain", "nowhere:tiny"])
def test_what_is_no_brain_is_refused(brain: str) -> None:
    with pytest.raises(ConfigurationError):
        choose(brain)


def test_a_build_that_cannot_fit_is_refused_with_what_would() -> None:
    choice = choose("full")
    with pytest.raises(ConfigurationError, match=r"A scale of 0\.\d+ would fit") as error:
        check_fits(choice.tables, choice.spec(), free_bytes=3e9)
    scale = str(error.value).split("A scale of ")[1].split()[0]
    check_fits(choice.tables, choose(scale).spec(), free_bytes=3e9)
    with pytest.raises(ConfigurationError, match="No brain of these tables would fit"):
        check_fits(choice.tables, choice.spec(), free_bytes=1e6)
    assert 0 < free_memory_bytes() < float("inf")


def test_memory_is_predicted_within_a_quarter() -> None:
    cost = measure_build(choose("small").spec())  # in a process that has held other networks before
    assert cost.synapses == pytest.approx(cost.predicted.synapses + cost.predicted.noise_synapses, rel=1e-3)
    assert 30 < cost.predicted.memory_bytes / cost.synapses < 200
    assert cost.plain_s > 0


def test_a_new_folder_is_the_packages_brain_until_it_is_edited(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    new_folder(folder)
    assert choose(f"{folder}:tiny").spec().identity == choose("tiny").spec().identity
    assert choose(str(folder)).size == "small"
    assert changes(load_tables(folder)) == []
    with pytest.raises(ConfigurationError, match="not empty"):
        new_folder(folder)


def test_an_extension_adds_rows_and_replaces_those_with_the_same_key(tmp_path: Path) -> None:
    header = (new_folder(tmp_path / "all")[0].parent / "projections.csv").read_text().splitlines()
    own = tmp_path / "mine"
    own.mkdir()
    changed = header[1].replace("108.084", "50")
    added = "M1_L5B_PT,BG_MSN,AMPA,5,0.2,0,,10,0,yes,assumed,,a trial"
    (own / "projections.extend.csv").write_text("\n".join([header[0], changed, added]) + "\n")
    tables = load_tables(own)
    assert len(tables.projections) == len(load_tables().projections) + 1
    found = {(change.kind, change.entry): change.detail for change in changes(tables)}
    assert found == {
        ("changed", "M1_L1_ENGC M1_L1_ENGC in"): "indegree: 108.084 -> 50.0",
        ("added", "M1_L5B_PT BG_MSN AMPA"): "",
    }
    spec = choose(f"{own}:tiny").spec()
    assert not spec.tuned
    assert spec.identity != choose("tiny").spec().identity
    biased = {p.name: p.params.get("I_e") for p in choose("tiny").spec().populations}
    assert {p.name: p.params.get("I_e") for p in spec.populations}["BG_MSN"] == biased["BG_MSN"]


def test_an_error_in_an_extension_names_its_file_and_row(tmp_path: Path) -> None:
    header = (new_folder(tmp_path / "all")[0].parent / "projections.csv").read_text().splitlines()[0]
    (tmp_path / "mine").mkdir()
    wrong = "M1_L5B_PX,BG_MSN,AMPA,5,0.2,0,,10,0,yes,assumed,,a trial"
    (tmp_path / "mine" / "projections.extend.csv").write_text(f"{header}\n{wrong}\n")
    with pytest.raises(TableError, match="unknown population 'M1_L5B_PX'") as error:
        load_tables(tmp_path / "mine")
    assert (error.value.file, error.value.row) == ("projections.extend.csv", 2)


def test_commands_make_check_and_show_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    assert command("brain", "new", str(folder))[0] == 0
    code, text = command("brain", "check", str(folder))
    assert (code, "the same brain" in text) == (0, True)
    file = folder / "drives.csv"
    rows = list(csv.reader(file.open()))
    rows[1][1] = "900"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    code, text = command("brain", "check", str(folder))
    assert code == 0
    assert "rate_hz: 1100.0 -> 900.0" in text
    assert "bias_tiny.csv was tuned for the package's tables" in text
    assert stale_biases(load_tables(folder)) == ["tiny", "small", "medium"]
    code, text = command("brain", "info", "tiny", "--brain", str(folder), "--lesion", "S1")
    assert code == 0
    assert "tiny (lesion S1)" in text
    rows[1][1] = "-900"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    code, text = command("brain", "check", str(folder))
    assert code == 1
    assert "drives.csv, row 2" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("projection.extend.csv", "projection.extend.csv extends no table; there are neurons, populations"),
        ("gains.csv/", "gains.csv is no file"),
        ("drives.extend.csv/", "drives.extend.csv is no file"),
    ],
)
def test_what_would_be_left_out_of_a_brain_is_refused(tmp_path: Path, name: str, said: str) -> None:
    shutil.copy(default_folder() / "drives.csv", tmp_path)
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigurationError, match=said):
        load_tables(tmp_path)


def test_the_check_names_what_is_not_read(tmp_path: Path) -> None:
    new_folder(tmp_path)
    (tmp_path / "interfaces.yaml").write_text("not: [valid")
    (tmp_path / "projektions.csv").write_text("")
    code, text = command("brain", "check", str(tmp_path))
    assert code == 0
    notices = [line.split(" is not read:")[0] for line in text.splitlines() if " is not read:" in line]
    assert notices == ["interfaces.yaml", "projektions.csv"]


def test_predicted_cost_counts_background_apart() -> None:
    spec = choose("tiny").spec()
    cost = predict_cost(spec)
    assert cost.neurons == spec.neurons
    assert cost.noise_synapses > 0
    assert cost.synapses == round(spec.synapses_expected)
