"""Whatever a file or a message says: devices that fit the brain come out of it, or a clear refusal."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robobrain.brain.devices import Devices, from_text, to_text
from robobrain.brain.inspection import inspect
from robobrain.brain.interfaces import SECTIONS, parse_devices
from robobrain.brain.layout import planned_site
from robobrain.brain.scaling import scale
from robobrain.brain.selectors import select
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
