"""The spinal stage against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from robobrain.body import SpinalCord
from robobrain.errors import ConfigurationError

SLACK = np.zeros(8)


@pytest.fixture
def cord() -> SpinalCord:
    return SpinalCord()


def rates_for(cord: SpinalCord, drive: np.ndarray) -> np.ndarray:
    return cord.spec.pools.baseline_hz + cord.spec.pools.span_hz * drive


def test_silence_gives_tone(cord: SpinalCord) -> None:
    assert cord.excite(np.zeros(8), SLACK, 1.0) == pytest.approx(np.full(8, 0.02))


def test_drive_rises_between_baseline_and_span(cord: SpinalCord) -> None:
    drive = np.zeros(8)
    for value, expected in ((0.0, 0.02), (0.25, 0.27), (0.5, 0.52), (1.0, 1.0), (3.0, 1.0)):
        drive[4] = value
        assert cord.excite(rates_for(cord, drive), SLACK, 1.0)[4] == pytest.approx(expected)


def test_antagonists_inhibit_each_other(cord: SpinalCord) -> None:
    drive = np.array([0.5, 0.1, 0.0, 0.6, 0.4, 0.4, 0.0, 1.0])
    partner = drive[[1, 0, 3, 2, 5, 4, 7, 6]]
    expected = np.clip(0.02 + drive - 0.3 * partner, 0, 1)
    assert cord.excite(rates_for(cord, drive), SLACK, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("dt_ms", [1.0, 2.5])
def test_stretch_arrives_after_the_delay(cord: SpinalCord, dt_ms: float) -> None:
    stretches = np.linspace(-0.2, 0.3, 12)
    out = [cord.excite(np.zeros(8), np.full(8, stretch), dt_ms)[0] for stretch in stretches]
    delay = round(5 / dt_ms)
    late = np.concatenate([np.zeros(delay), np.maximum(stretches, 0)[:-delay]])
    assert out == pytest.approx(0.02 + 0.2 * late)


def test_states_continue_exactly_and_reset_forgets(cord: SpinalCord) -> None:
    strains = np.random.default_rng(1).uniform(-0.2, 0.2, (20, 8))
    fresh = cord.get_state()
    for strain in strains[:8]:
        cord.excite(np.zeros(8), strain, 1.0)
    saved = cord.get_state()
    rest = [cord.excite(np.zeros(8), strain, 1.0) for strain in strains[8:]]
    other = SpinalCord()
    other.set_state(saved)
    assert np.array_equal([other.excite(np.zeros(8), strain, 1.0) for strain in strains[8:]], rest)
    cord.reset()
    assert np.array_equal(cord.get_state(), fresh)
    assert cord.excite(np.zeros(8), strains[0], 2.5) == pytest.approx(np.full(8, 0.02))


def test_invalid_arguments_are_refused(cord: SpinalCord) -> None:
    with pytest.raises(ConfigurationError, match="motor_rate_hz"):
        cord.excite(np.full(8, np.nan), SLACK, 1.0)
    with pytest.raises(ConfigurationError, match="muscle_strain"):
        cord.excite(np.zeros(8), np.zeros(3), 1.0)
    for dt_ms in (0.0, -1.0, 3.0, float("nan")):
        with pytest.raises(ConfigurationError, match="dt_ms"):
            cord.excite(np.zeros(8), SLACK, dt_ms)
    cord.excite(np.zeros(8), SLACK, 1.0)
    with pytest.raises(ConfigurationError, match="changed"):
        cord.excite(np.zeros(8), SLACK, 2.5)
    for state in (np.zeros(0), np.zeros(4), np.full(1, np.nan), np.ones(9)):
        with pytest.raises(ConfigurationError, match="get_state"):
            cord.set_state(state)
