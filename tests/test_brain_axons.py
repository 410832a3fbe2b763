"""Slow paths in two legs: spikes arrive when the projection says, and no synapse is slower than the limit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from brain_spikes import spikes_of
from hypothesis import given
from hypothesis import strategies as st

from robobrain.brain.axons import first_legs_ms, is_slow, longest_synapse_ms
from robobrain.brain.network import Network
from robobrain.brain.scaling import load_spec
from robobrain.brain.spec import CYCLE_MS, BrainSpec


@pytest.fixture(scope="module")
def tiny() -> BrainSpec:
    return load_spec("tiny")


def test_two_legs_take_as_long_as_one(tiny: BrainSpec) -> None:
    direct = dataclasses.replace(tiny, synapse_delay_max_ms=100.0)
    assert first_legs_ms(tiny)
    assert not first_legs_ms(direct)
    for ours, theirs in zip(spikes_of(tiny, 100.0), spikes_of(direct, 100.0), strict=True):
        assert len(ours) > 100
        np.testing.assert_array_equal(ours, theirs)


def test_the_kernel_has_no_longer_delay_than_stated(tiny: BrainSpec) -> None:
    for limit_ms in (4.0, 7.0, 100.0):
        spec = dataclasses.replace(tiny, synapse_delay_max_ms=limit_ms)
        network = Network(spec, threads=1)
        assert network.nest.max_delay == longest_synapse_ms(spec)
        assert network.kernel_counts() == Network(tiny, threads=1).kernel_counts()
    assert longest_synapse_ms(tiny) == tiny.synapse_delay_max_ms


@given(delay_ms=st.floats(1.0, 40.0), jitter_ms=st.floats(0.0, 20.0), limit_ms=st.floats(2.0, 20.0))
def test_each_leg_is_a_multiple_of_the_step_and_none_too_short(
    tiny: BrainSpec, delay_ms: float, jitter_ms: float, limit_ms: float
) -> None:
    slow = dataclasses.replace(tiny.projections[0], delay_ms=delay_ms, delay_jitter_ms=jitter_ms)
    spec = dataclasses.replace(tiny, projections=(slow,), synapse_delay_max_ms=limit_ms)
    legs_ms = first_legs_ms(spec)
    assert set(legs_ms) == ({slow.pre} if is_slow(spec, slow) else set())
    for leg_ms in legs_ms.values():
        assert CYCLE_MS <= leg_ms <= delay_ms - CYCLE_MS + 1e-6  # delays are rounded to steps
        assert (leg_ms / spec.resolution_ms).is_integer()
