"""Mean-field prediction of resting rates: the self-consistent solution of Siegert's formula.

Each population is a leaky integrate-and-fire neuron that receives the summed cumulants of its inputs, taken
as independent Poisson trains at the rates of their sources (Brunel 2000, doi 10.1023/A:1008925309027; one
neuron's formula is in `siegert`). A synapse that is fast against the membrane filters the noise: in first
order the threshold shifts by what the filtered noise still has to give at its crossing (Fourcaud and Brunel
2002, doi 10.1162/089976602320264015). Inputs through synapses slower than the membrane are averaged over as a
mean that drifts slowly.

Where all synapses of a population are `FAST`, second order is added: the potential's drift at threshold, the
loss of the filtered noise during the refractory time, and the finite size of jumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from robobrain.brain.siegert import FREQUENCIES_PER_MV, Rates, overshoot, siegert_hz
from robobrain.brain.spec import BrainSpec, Population
from robobrain.errors import ConfigurationError

COLOUR = 1.4603545088095868
"""Shift of the threshold in widths of the filtered noise: |zeta(1/2)| (Fourcaud and Brunel 2002)."""
COLOUR_SKEW = 0.3
"""What skewed noise adds to it, in third over second cumulants: *assumed*, fitted to NEST's neurons."""
ALPHA_TIME = 1.8
"""Time of the exponential synapse that shifts the threshold like an alpha function of 1: likewise."""
FAST = 0.1
"""Longest mean lag of a synapse, in membrane time constants, up to which second order holds (*assumed*)."""
DRIFT_NODES, DRIFT_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
JUMP_NODES, JUMP_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
"""Where log-normal jumps are taken: at a log sd of 1.2 the overshoot is that of 150 nodes within 0.01%."""
STEP, STEP_MIN = 0.3, 0.01
TOLERANCE_HZ = 1e-4
ITERATIONS_MAX = 20_000


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted rates (Hz) by population, whether the iteration settled, and how long it took."""

    rate_hz: dict[str, float]
    converged: bool
    iterations: int


Number = TypeVar("Number", float, Rates)


class _Input(NamedTuple, Generic[Number]):
    """Cumulants of an input (powers of mV per ms; ``colour`` times ms, ``drift`` in mV^2)."""

    mean: Number
    square: Number
    cube: Number
    fourth: Number
    colour: Number
    drift: Number


class MeanField:
    """The self-consistent rates of a specification."""

    def __init__(self, spec: BrainSpec) -> None:
        """Collect what each source adds per Hz to the cumulants of each population's input."""
        self._names = [population.name for population in spec.populations]
        self._step_ms = spec.resolution_ms
        index = {name: number for number, name in enumerate(self._names)}
        cells = len(self._names)
        self._sources = np.zeros((len(_Input._fields), cells, cells + 1))  # the last one is the background
        self._walks: dict[int, _Walk] = {}
        self._fast = np.zeros(cells, dtype=bool)
        for place, population in enumerate(spec.populations):
            inputs = [
                (index[p.pre], p.indegree, p.weight_log_sd, _jump(population, p.weight, p.port))
                for p in spec.projections
                if p.post == population.name
            ]
            inputs += [
                (cells, drive.rate_hz, 0.0, _jump(population, drive.weight, 1))
                for drive in spec.drives
                if drive.population == population.name
            ]
            tau_m_ms = _number(population, "tau_m")
            self._fast[place] = all(jump.lag_ms <= FAST * tau_m_ms for *_, jump in inputs)
            for source, number, log_sd, jump in inputs:
                added = _added(jump, tau_m_ms, log_sd, second_order=bool(self._fast[place]))
                self._sources[:, place, source] += number * np.array(added)
            if population.model == "iaf_psc_delta":
                self._walks[place] = _Walk(cells + 1, self._step_ms)
                for source, number, log_sd, jump in inputs:
                    self._walks[place].add(source, number, jump.size_mV, log_sd)
        self._relay = np.array([population.v_init_mV is None for population in spec.populations])
        self._filtered = np.array([place not in self._walks for place in range(cells)])
        self._cells = {
            name: np.array([_number(population, name) for population in spec.populations])
            for name in ("tau_m", "t_ref", "V_th", "V_reset", "E_L", "I_e", "C_m")
        }

    def response_hz(self, rate_hz: Rates) -> Rates:
        """Return the rate of each population when all sources fire at ``rate_hz``."""
        cells, sources_hz = self._cells, np.append(rate_hz, 1.0)
        arriving = _Input[Rates](*(self._sources @ sources_hz) * 1e-3)
        # A potential that jumps is compared with the threshold at the end of a step, before it has decayed.
        late = np.where(self._filtered, 0.0, self._step_ms / (2 * cells["tau_m"]))
        mean_mV = cells["E_L"] + cells["tau_m"] * (arriving.mean * (1 + late) + cells["I_e"] / cells["C_m"])
        sd_mV = np.sqrt(cells["tau_m"] * arriving.square) * (1 + late)
        scale_mV = np.maximum(sd_mV, 1e-6)
        overshoot_mV, rates = np.zeros_like(rate_hz), np.zeros_like(rate_hz)
        for place, walk in self._walks.items():
            overshoot_mV[place] = walk.overshoot(sources_hz)
        for node, weight in zip(DRIFT_NODES, DRIFT_WEIGHTS / DRIFT_WEIGHTS.sum(), strict=True):
            drifted_mV = mean_mV + node * np.sqrt(arriving.drift)
            v_th_mV, v_reset_mV = self._boundaries(arriving, drifted_mV)
            rates += weight * siegert_hz(
                drifted_mV,
                sd_mV,
                tau_m_ms=cells["tau_m"],
                # A potential that rises smoothly is found above threshold half a step late.
                t_ref_ms=cells["t_ref"] + np.where(self._filtered, self._step_ms / 2, 0.0),
                v_th_mV=v_th_mV + overshoot_mV,
                v_reset_mV=v_reset_mV,
                third=cells["tau_m"] * arriving.cube / scale_mV**3,
                fourth=cells["tau_m"] * arriving.fourth / scale_mV**4,
            )
        return np.where(self._relay, arriving.mean * 1e3, rates)

    def _boundaries(self, arriving: _Input[Rates], mean_mV: Rates) -> tuple[Rates, Rates]:
        """Return threshold and reset (mV), shifted by what synaptic filters hold back."""
        cells = self._cells
        square = np.maximum(arriving.square, 1e-12)
        tau_syn_ms = arriving.colour / square
        # No drift is Fourcaud's and Brunel's case, a strong one outruns the noise; between these, simulated
        # crossings lie within 0.06 widths.
        drift_mV = (mean_mV - cells["V_th"]) * self._fast * tau_syn_ms / cells["tau_m"]
        shift_mV = np.hypot(COLOUR * np.sqrt(arriving.colour / 2), drift_mV) - drift_mV
        shift_mV += np.where(tau_syn_ms > 0.0, COLOUR_SKEW * arriving.cube / square, 0.0)
        lost = -np.expm1(-cells["t_ref"] / np.maximum(tau_syn_ms, 1e-12)) * self._fast
        v_reset_mV = cells["V_reset"] + (1 - lost) * shift_mV
        return cells["V_th"] + shift_mV, v_reset_mV

    def solve(self, start_hz: dict[str, float]) -> Prediction:
        """Iterate from ``start_hz`` to rates that reproduce themselves."""
        rate_hz = np.array([start_hz.get(name, 1.0) for name in self._names], dtype=float)
        step, error, iterations = STEP, math.inf, 0
        while error >= TOLERANCE_HZ and iterations < ITERATIONS_MAX:
            difference = self.response_hz(rate_hz) - rate_hz
            error_before, error = error, float(np.abs(difference).max())
            if error > error_before:
                step = max(STEP_MIN, 0.7 * step)
            iterations += 1
            rate_hz = rate_hz + step * difference
        return Prediction(
            rate_hz=dict(zip(self._names, rate_hz.tolist(), strict=True)),
            converged=error < TOLERANCE_HZ,
            iterations=iterations,
        )


class _Jump(NamedTuple):
    """What an event is worth: jump of the potential, mean lag of the synapse, its time as a noise filter."""

    size_mV: float
    lag_ms: float = 0.0
    colour_ms: float = 0.0


class _Walk:
    """The potential of a neuron without synaptic filter from step to step: a random walk of finite jumps.

    Spectrum and cumulants are sums over the same jumps: at low frequencies one is compared with the other.
    """

    def __init__(self, sources: int, step_ms: float) -> None:
        """Start without inputs."""
        self._step_ms = step_ms
        self._spectra = np.zeros((sources, len(FREQUENCIES_PER_MV)), dtype=complex)
        self._squares, self._cubes = np.zeros(sources), np.zeros(sources)

    def add(self, source: int, number: float, size_mV: float, log_sd: float) -> None:
        """Add ``number`` inputs from ``source``, with log-normal jumps of mean ``size_mV``."""
        jumps_mV = size_mV * np.exp(log_sd * JUMP_NODES - log_sd**2 / 2)
        numbers = number * JUMP_WEIGHTS / JUMP_WEIGHTS.sum()
        phases = np.outer(jumps_mV, FREQUENCIES_PER_MV)
        self._spectra[source] += numbers @ (-2 * np.sin(phases / 2) ** 2 + 1j * (np.sin(phases) - phases))
        self._squares[source] += numbers @ jumps_mV**2
        self._cubes[source] += numbers @ jumps_mV**3

    def overshoot(self, sources_hz: Rates) -> float:
        """Return how far beyond the threshold a step ends (mV) when the sources fire at these rates."""
        per_step = self._step_ms * 1e-3 * sources_hz
        square, cube = float(per_step @ self._squares), float(per_step @ self._cubes)
        return overshoot(per_step @ self._spectra, square, cube)


def _added(jump: _Jump, tau_m_ms: float, log_sd: float, *, second_order: bool) -> _Input[float]:
    """Return what one event per ms adds to the cumulants of a population's input; jumps are log-normal.

    A synapse faster than the membrane adds white noise; a slower one a drift of the mean potential.
    """
    second, third, fourth = (math.exp(order * (order - 1) / 2 * log_sd**2) for order in (2, 3, 4))
    if jump.lag_ms >= tau_m_ms:
        drift = jump.size_mV**2 * second * tau_m_ms**2 / (2 * (tau_m_ms + jump.lag_ms))
        return _Input(jump.size_mV, 0.0, 0.0, 0.0, 0.0, drift)
    if not second_order:
        square = jump.size_mV**2 * second
        return _Input(jump.size_mV, square, 0.0, 0.0, square * jump.colour_ms, 0.0)
    # What an event causes later, counted back to its arrival, is more than its unfiltered jump.
    felt_mV = jump.size_mV / (1 - jump.lag_ms / tau_m_ms)
    square = felt_mV**2 * second
    return _Input(jump.size_mV, square, felt_mV**3 * third, felt_mV**4 * fourth, square * jump.colour_ms, 0.0)


def _number(population: Population, name: str) -> float:
    value = population.params.get(name, 0.0 if name in ("I_e", "E_L", "V_reset", "t_ref") else 1.0)
    assert not isinstance(value, list)
    return value


def _jump(population: Population, weight: float, port: int) -> _Jump:
    """Return what an event of that weight is worth; a relay passes events on, so there it is their number."""
    params, capacitance_pF = population.params, _number(population, "C_m")
    match population.model:
        case "parrot_neuron":
            return _Jump(1.0)
        case "iaf_psc_delta":
            return _Jump(weight)
        case "iaf_psc_alpha_multisynapse":
            taus_ms = params["tau_syn"]
            assert isinstance(taus_ms, list)
            return _alpha(weight / capacitance_pF, taus_ms[port - 1])
        case "iaf_psc_alpha":
            return _alpha(weight / capacitance_pF, _tau_syn_ms(population, weight))
        case "iaf_psc_exp":
            tau_ms = _tau_syn_ms(population, weight)
            return _Jump(weight * tau_ms / capacitance_pF, tau_ms, tau_ms)
        case other:
            raise ConfigurationError(
                f"the mean-field prediction knows no neuron model {other}; it covers the current family"
            )


def _alpha(peak_mV_per_ms: float, tau_ms: float) -> _Jump:
    return _Jump(peak_mV_per_ms * math.e * tau_ms, 2 * tau_ms, ALPHA_TIME * tau_ms)


def _tau_syn_ms(population: Population, weight: float) -> float:
    return _number(population, "tau_syn_ex" if weight > 0 else "tau_syn_in")
