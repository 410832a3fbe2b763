from __future__ import annotations

import contextlib
import csv
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import nest
import numpy as np
import pytest
import yaml
from devices_brain import EXCHANGE_MS, build, fresh_kernel, population
from hypothesis import given, settings
from hypothesis import strategies as st

from robobrain.brain.interfaces import load_interfaces
from robobrain.brain.selectors import Selector
from robobrain.brain.sources import Transfer
from robobrain.errors import ConfigurationError, TableError

MUSCLES = ("Foot1", "Foot2", "Radius1", "Radius2", "Humerus1", "Humerus2", "Humerus3", "Humerus4")
DATA = files("robobrain.brain") / "data"

# The largest values of a typical pull.
PULL = {
    "muscle_length": 0.3,
    "muscle_velocity": 5.0,
    "muscle_force": 0.8,
    "joint_angle": 0.5,
    "joint_velocity": 10.0,
    "joystick_position": 8.0,
    "joystick_velocity": 250.0,
    "touch": 100.0,
    "stimulation": 1.0,
}


def table_regions() -> dict[str, str]:
    rows = csv.DictReader((DATA / "populations.csv").read_text(encoding="utf-8").splitlines())
    return {row["population"]: row["region"] for row in rows}


def small_file() -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": "length",
                "unit": "1",
                "description": "strain",
                "channels": ["a", "b"],
                "low": 0.0,
                "high": 1.0,
                "delay_ms": 2.0,
                "encoder": {"rate": {"gain_hz_per_unit": 100.0, "max_hz": 200.0}},
                "targets": [
                    {
                        "population": "PT",
                        "columns": {"centres_mm": [[0.0, 0.1], [0.2, 0.3]], "fraction": 0.1, "min_cells": 2},
                        "weight_nS": 5.0,
                    }
                ],
                "provenance": {"assumed": "test"},
            }
        ],
        "outputs": [
            {
                "name": "motor",
                "unit": "Hz",
                "description": "rate",
                "channels": ["a", "b"],
                "low": 0.0,
                "high": 200.0,
                "cells": {"population": "PT", "tiles": {"nx": 2, "ny": 1}},
                "decoder": {"rate": {"tau_rise_ms": 5.0, "tau_decay_ms": 30.0}},
                "provenance": {"source": "test"},
            }
        ],
    }


def load(tmp_path: Path, document: object) -> Any:
    path = tmp_path / "wiring.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return load_interfaces(path, {"PT": "M1"})


def test_the_default_ports_are_those_of_the_loop() -> None:
    wiring = load_interfaces(regions=table_regions())
    assert {source.name: len(source.channels) for source in wiring.sources} == {
        "muscle_length": 8,
        "muscle_velocity": 8,
        "muscle_force": 8,
        "joint_angle": 4,
        "joint_velocity": 4,
        "joystick_position": 2,
        "joystick_velocity": 2,
        "touch": 1,
        "stimulation": 8,
    }
    motor, region_rate = wiring.monitors
    assert (motor.name, tuple(motor.channels)) == ("motor", MUSCLES)
    assert (region_rate.name, tuple(region_rate.channels)) == (
        "region_rate",
        ("M1", "S1", "VL", "VM", "BG", "CB_M1", "CB_S1"),
    )
    assert region_rate.channels["BG"] == (Selector(region="BG"),)


def test_stimulation_reaches_the_very_cells_that_motor_reads() -> None:
    wiring = load_interfaces()
    stimulation = next(source for source in wiring.sources if source.name == "stimulation")
    for muscle in MUSCLES:
        pt = next(
            target.selector
            for target in stimulation.targets
            if target.channel == muscle and target.selector.population == "M1_L5B_PT"
        )
        assert wiring.monitors[0].channels[muscle] == (pt,)


def test_sources_are_silent_at_rest_and_reach_100_to_200_hz_in_a_pull() -> None:
    for source in load_interfaces().sources:
        for target in source.targets:
            transfer = Transfer.of([(source.encoder, target)])
            assert transfer(np.zeros(1))[0] == 0.0
            strongest = max(transfer(np.array([sign * PULL[source.name]]))[0] for sign in (-1, 1))
            assert 100.0 <= strongest <= 200.0


def test_the_default_wiring_builds_on_twelve_cells_per_population_and_moves_them() -> None:
    fresh_kernel()
    groups = [population(name, 12, region=region) for name, region in table_regions().items()]
    wiring = load_interfaces()
    panel = build(groups, list(wiring.sources), list(wiring.monitors))
    nest.Prepare()
    panel.begin()
    inputs = np.zeros(panel.input_size)
    silent = []
    for step in range(20):
        inputs[-8:] = 0.0 if step < 5 else np.arange(8) == 6
        panel.write(inputs, step * EXCHANGE_MS)
        nest.Run(EXCHANGE_MS)
        silent.append(panel.read())
    nest.Cleanup()
    assert not np.any(silent[4])
    assert np.argmax(silent[-1][:8]) == 6
    assert silent[-1][6] > 100
    assert not np.any(np.delete(silent[-1][:8], 6))
    assert silent[-1][8] > 0


def test_a_file_becomes_specifications(tmp_path: Path) -> None:
    wiring = load(tmp_path, small_file())
    (source,), (monitor,) = wiring.sources, wiring.monitors
    assert source.provenance == "assumed: test"
    assert [target.selector.column.x_mm for target in source.targets] == [0.0, 0.2]
    assert [selectors[0].tile.index for selectors in monitor.channels.values()] == [0, 1]


def broken(path: str, value: object) -> dict[str, Any]:
    """Return the small file with one value replaced, or removed where the value is `...`."""
    document = small_file()
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("inputs.0.targets.0.population", "XX", "inputs/length.*no population 'XX'.*PT"),
        ("outputs.0.cells", {"regions": ["M1", "ZZ"]}, "outputs/motor.*no region 'ZZ'.*M1"),
        ("inputs.0.delay_ms", -1.0, "inputs/length.*delay_ms"),
        ("inputs.0.encoder.rate.gain_hz_per_unit", math.nan, "inputs/length.*gain_hz_per_unit"),
        ("inputs.0.low", math.inf, "inputs/length.*low"),
        ("inputs.0.low", 2.0, "low = 2.0 must be below high"),
        ("inputs.0.channels", ["a"], "2 centres_mm for 1 channels"),
        ("inputs.0.channels", ["a", "a"], "unique"),
        ("outputs.0.channels", ["a", "a"], "unique"),
        ("outputs.0.channels", ["a", "b", "c"], "2 tiles for 3 channels"),
        ("inputs.0.targets", [], "no target for channel a, b"),
        ("inputs.0.targets.0.weight_nS", -5.0, "weight_nS"),
        ("inputs.0.targets.0.weight_nS", 1e300, "weight_nS is 1e\\+300; use"),
        ("inputs.0.targets.0.weight_nS", ..., "weight_nS"),
        ("inputs.0.targets.0.half", "upper", "half"),
        ("inputs.0.encoder", {}, "exactly one of rate, current"),
        ("inputs.0.provenance", {}, "source .a reference. or assumed"),
        ("inputs.0.unit", ..., "unit: Field required"),
        ("inputs.0.colour", "red", "colour"),
        ("inputs", {}, "not a list"),
        ("inputs", ["text"], "inputs/0"),
        ("outputs", ..., "inputs and outputs"),
        ("outputs.0.decoder", {"count": True, "mean_rate": {"tau_ms": 5.0}}, "exactly one of count"),
        ("outputs.0.decoder.rate.tau_rise_ms", 300.0, "tau_rise_ms < tau_decay_ms"),
        ("outputs.0.cells.region", "M1", "exactly one of population, region and regions"),
        ("outputs.0.cells.tiles.nx", 0, "tiles.nx"),
        ("outputs.0.cells.tiles.nx", 10**30, "for 2 channels"),
        ("inputs.0.high", True, "high"),
        ("inputs.0.high", "1.0", "high"),
    ],
)
def test_a_wrong_entry_is_named_with_its_fix(tmp_path: Path, path: str, value: object, match: str) -> None:
    with pytest.raises(TableError, match=f"(?s)wiring.yaml, row .*{match}.*Fix: "):
        load(tmp_path, broken(path, value))


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    document = small_file()
    document["inputs"] *= 2
    with pytest.raises(TableError, match="used twice"):
        load(tmp_path, document)


@pytest.mark.parametrize("text", ["inputs: [", "inputs: []\ninputs: []\noutputs: []\n", "\x00", ""])
def test_a_file_that_is_not_sound_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wiring.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=r"wiring\.yaml"):
        load_interfaces(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml can.t be read"):
        load_interfaces(tmp_path / "nowhere.yaml")


def paths(value: object, path: str = "") -> list[str]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [deeper for key, item in items for deeper in (f"{path}{key}", *paths(item, f"{path}{key}."))]
    return []


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)


@settings(deadline=None)
@given(path=st.sampled_from(paths(small_file())), value=JUNK)
def test_junk_anywhere_is_either_sound_or_a_table_error(
    tmp_path_factory: pytest.TempPathFactory, path: str, value: object
) -> None:
    with contextlib.suppress(TableError):
        load(tmp_path_factory.getbasetemp(), broken(path, value))
