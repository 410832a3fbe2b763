"""Whatever a file or a message says: devices that fit the brain come out of it, or a clear refusal."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robobrain.brain.devices import LONGEST_NAME, Devices, from_text, to_text
from robobrain.brain.inspection import inspect
from robobrain.brain.interfaces import SECTIONS, parse_devices
from robobrain.brain.layout import planned_site
from robobrain.brain.scaling import scale
from robobrain.brain.selectors import Selector, Tile, select
from robobrain.brain.tables import load_tables
from robobrain.errors import ConfigurationError

SITE = planned_site(scale(load_tables(), "tiny"), 10.0)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20) | st.just(10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["M1", "L5B", "M1_L5B_PT", "BG_CSN", "BG", "Hz", "pA", "mV", "8 Hz", "t.__class__", "1/0"]
    ),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
part = st.dictionaries(
    st.sampled_from(["x_mm", "y_mm", "cells", "fraction", "radius_mm", "min_cells", "index", "nx", "ny"]),
    st.floats(-2, 2) | st.integers(-2, 9) | anything,
)
selector = st.fixed_dictionaries(
    {},
    optional={
        "population": st.sampled_from(["M1_L5B_PT", "BG_CSN", "nowhere", ""]) | anything,
        "region": st.sampled_from(["M1", "BG", "Mars"]) | anything,
        "layer": st.sampled_from(["L5B", "CSN", "L9"]) | anything,
        "fraction": st.floats(-1, 2) | anything,
        "column": part | anything,
        "tile": part | anything,
        "cells": st.lists(st.integers(-2, 40), max_size=4) | anything,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(selector, min_size=1, max_size=2))
def test_any_selection_picks_neurons_that_exist_or_is_refused(targets: list[dict[str, Any]]) -> None:
    text = json.dumps({"silenced": [{"name": "s", "targets": targets}]})
    try:
        devices = from_text(text)
        inspect(devices, SITE)
    except ConfigurationError:
        return
    assert from_text(to_text(devices)) == devices
    last = max(population.first_id + population.size for population in SITE.populations.values())
    for target in devices.silenced[0].targets:
        ids = select(target, SITE.populations)
        assert ids.size == np.unique(ids).size > 0
        assert 1 <= ids.min() <= ids.max() < last


ENTRIES: dict[str, dict[str, Any]] = {
    "equations": {
        "name": "a",
        "equation": "t",
        "unit": "pA",
        "targets": [{"region": "M1"}],
        "low": 0.0,
        "high": 1.0,
        "provenance": "x",
    },
    "noises": {
        "name": "a",
        "targets": [{"region": "M1"}],
        "noise": {"mean": 0.0, "deviation": 1.0},
        "provenance": "x",
    },
    "rhythms": {"name": "a", "frequency_hz": 8.0, "amplitude": 1.0, "provenance": "x"},
    "fields": {"name": "a", "signal": "lfp", "groups": {"M1": [{"region": "M1"}]}, "provenance": "x"},
    "voltages": {"name": "a", "targets": [{"region": "M1"}], "provenance": "x"},
    "silenced": {"name": "a", "targets": [{"region": "M1"}]},
}


@pytest.mark.parametrize("section", ENTRIES)
def test_the_entries_that_are_spoilt_below_are_right(section: str) -> None:
    assert len(inspect(parse_devices("f", {section: [ENTRIES[section]]}), SITE)) == 1


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(ENTRIES)), st.data())
def test_a_spoilt_entry_is_refused_or_still_fits(section: str, data: st.DataObject) -> None:
    entry = dict(ENTRIES[section])
    key = data.draw(st.sampled_from([*entry, "window", "delay_ms", "surprise"]))
    entry[key] = data.draw(anything)
    try:
        devices = parse_devices("file.yaml", {section: [entry]})
        rows = inspect(devices, SITE)
    except ConfigurationError:
        return
    assert rows[0].neurons > 0
    assert from_text(to_text(devices)) == devices


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*SECTIONS, "history_ms", "other"]), anything, max_size=3))
def test_any_document_is_a_set_of_devices_or_refused(document: dict[str, Any]) -> None:
    for read in (lambda: parse_devices("f", document), lambda: from_text(json.dumps(document))):
        try:
            assert isinstance(read(), Devices)
        except ConfigurationError:
            continue


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_set_of_devices_or_refused(text: str) -> None:
    try:
        assert isinstance(from_text(text), Devices)
    except ConfigurationError:
        return


@pytest.mark.parametrize(
    ("section", "change", "match"),
    [
        ("equations", {"unit": "Hz", "weight_nS": 1.0, "high": 1e300}, r"a rate of 1e\+300 Hz"),
        ("noises", {"noise": {"rate_hz": 1e7, "weight_nS": 1.0}}, r"a rate of 1e\+07 Hz"),
        ("noises", {"noise": {"rate_hz": 1.0, "weight_nS": 1e300}}, r"weight_nS is 1e\+300"),
        ("equations", {"unit": "Hz", "weight_nS": 1e300}, r"weight_nS is 1e\+300"),
        (
            "noises",
            {"noise": {"mean": 0.0, "deviation": 1.0, "hold_ms": 1e300}},
            "hold_ms = .* at most a day",
        ),
        ("voltages", {"interval_ms": 1e12}, "interval_ms = .* at most a day"),
        ("voltages", {"name": "a\nb"}, "printable"),
        ("voltages", {"name": "../a"}, "without / and :"),
        ("voltages", {"name": "n" * 129}, "has 129 bytes in UTF-8 and must have at most 128; shorten"),
        ("voltages", {"name": "\u3042" * 43}, "has 129 bytes in UTF-8"),
        ("equations", {"equation": "\uff54"}, "no ASCII character"),
        (
            "silenced",
            {"targets": [{"region": "M1", "tile": {"index": 10**30, "nx": 10**40, "ny": 1}}]},
            "picks none",
        ),
    ],
)
def test_what_would_never_end_or_can_not_be_written_is_refused(
    section: str, change: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigurationError, match=match):
        inspect(parse_devices("f", {section: [ENTRIES[section] | change]}), SITE)


@pytest.mark.parametrize("name", ["n" * LONGEST_NAME, "\u3042" * 42, "%" * LONGEST_NAME])
def test_the_longest_names_are_taken(name: str) -> None:
    devices = parse_devices("f", {"voltages": [ENTRIES["voltages"] | {"name": name}]})
    assert [row.name for row in inspect(devices, SITE)] == [name]


@pytest.mark.parametrize(
    ("encoder", "tuned", "match"),
    [
        ({"rate": {"gain_hz_per_unit": 1.0, "max_hz": 1e9}}, None, r"a rate of 1e\+09 Hz"),
        ({"tuning": {"peak_hz": 1e9, "width": 1.0}}, 2, r"a rate of 1e\+09 Hz"),
        ({"tuning": {"peak_hz": 1.0, "width": 1.0}}, 10**12, "1000000000000 groups"),
    ],
)
def test_an_input_that_would_never_end_is_refused(
    encoder: dict[str, Any], tuned: int | None, match: str
) -> None:
    target: dict[str, Any] = {"region": "M1", "weight_nS": 1.0}
    if tuned is not None:
        target["tuned"] = {"first": 0.0, "last": 1.0, "groups": tuned}
    entry = {
        "name": "i",
        "unit": "1",
        "description": "d",
        "channels": ["a"],
        "low": 0.0,
        "high": 1.0,
        "provenance": {"assumed": "x"},
        "encoder": encoder,
        "targets": [target],
    }
    with pytest.raises(ConfigurationError, match=match):
        inspect(parse_devices("f", {"inputs": [entry]}), SITE)


def test_shares_of_a_grid_are_equal_disjoint_and_whole() -> None:
    population = SITE.populations["M1_L5B_PT"]
    for nx, ny in ((1, 1), (3, 2), (7, 1), (population.size, 1), (population.size + 5, 1)):
        picked = []
        for index in range(nx * ny):
            tile = {"index": index, "nx": nx, "ny": ny}
            try:
                picked.append(
                    select(Selector(population=population.name, tile=Tile(**tile)), SITE.populations)
                )
            except ConfigurationError:
                assert nx > population.size
        everyone = np.concatenate(picked)
        assert np.array_equal(np.sort(everyone), population.first_id + np.arange(population.size))
        assert max(map(len, picked)) - min(map(len, picked)) <= 2
