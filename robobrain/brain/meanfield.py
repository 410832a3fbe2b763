"""Mean-field prediction of resting rates: the self-consistent solution of Siegert's formula.

Each population is a leaky integrate-and-fire neuron that receives the summed mean and variance of its inputs,
taken as independent Poisson trains at the rates of their sources (Siegert 1951; Brunel 2000, doi
10.1023/A:1008925309027). Synaptic filtering enters as the shift of threshold and reset by Fourcaud and Brunel
(2002, doi 10.1162/089976602320264015), good where synapses are fast against the membrane; inputs through
synapses slower than the membrane are averaged over as a mean that drifts slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.spec import BrainSpec, Population
from robobrain.errors import ConfigurationError

try:
    from scipy.special import dawsn, erfcx
except ImportError as error:
    raise ConfigurationError(
        "The mean-field prediction needs SciPy: pip install 'robobrain[analysis]'."
    ) from error

Rates = NDArray[np.float64]

COLOUR = math.sqrt(2) * 1.4603545088095868
"""Twice the shift per sqrt(tau_syn / tau_m): sqrt(2) |zeta(1/2)| (Fourcaud and Brunel 2002)."""
OVERFLOW = 26.0
"""Distance to threshold in noise widths beyond which a rate is zero in double precision."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
DRIFT_NODES, DRIFT_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
STEP, STEP_MIN = 0.3, 0.01
TOLERANCE_HZ = 1e-4
ITERATIONS_MAX = 20_000


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted rates (Hz) by population, whether the iteration settled, and how long it took."""

    rate_hz: dict[str, float]
    converged: bool
    iterations: int


def siegert_hz(
    mean_mV: Rates,
    sd_mV: Rates,
    *,
    tau_m_ms: Rates,
    t_ref_ms: Rates,
    v_th_mV: Rates,
    v_reset_mV: Rates,
    shift: Rates | float = 0.0,
) -> Rates:
    """Return the rate of a leaky integrate-and-fire neuron under white noise.

    Args:
        mean_mV: Mean potential without threshold.
        sd_mV: Noise width sigma, of variance tau_m times the sum of squared jumps times their rates.
        tau_m_ms: Membrane time constant.
        t_ref_ms: Refractory time.
        v_th_mV: Threshold.
        v_reset_mV: Reset potential.
        shift: Shift of threshold and reset in units of ``sd_mV``.
    """
    sd_mV = np.maximum(sd_mV, 1e-6)
    upper = np.minimum((v_th_mV - mean_mV) / sd_mV + shift, OVERFLOW)
    lower = np.minimum((v_reset_mV - mean_mV) / sd_mV + shift, upper)
    passage_ms = tau_m_ms * math.sqrt(math.pi) * (_antiderivative(upper) - _antiderivative(lower))
    rate: Rates = 1e3 / (t_ref_ms + np.maximum(passage_ms, 0.0) + 1e-12)
    return np.asarray(np.where(upper >= OVERFLOW, 0.0, rate))


def _antiderivative(y: Rates) -> Rates:
    """Integral of exp(u^2) (1 + erf(u)) from 0 to y."""
    size = np.abs(y)
    # erfcx falls as 1/u, so the variable u = sinh(s) keeps the integrand smooth however far the limit.
    end = np.arcsinh(size)
    s = end[..., None] * (NODES + 1) / 2
    tail = (erfcx(np.sinh(s)) * np.cosh(s) * WEIGHTS).sum(-1) * end / 2
    grown = 2 * np.exp(np.minimum(size, OVERFLOW) ** 2) * dawsn(size)
    return np.asarray(np.where(y > 0, grown - tail, -tail))


class MeanField:
    """The self-consistent rates of a specification."""

    def __init__(self, spec: BrainSpec) -> None:
        """Collect the inputs per Hz of each source: mean, variance, synaptic time, and drift."""
        self._names = [population.name for population in spec.populations]
        index = {name: number for number, name in enumerate(self._names)}
        by_name = {population.name: population for population in spec.populations}
        cells = len(self._names)
        self._mean, self._variance, self._colour, self._drift = np.zeros((4, cells, cells))
        self._background = np.zeros((4, cells))
        for projection in spec.projections:
            post, place = by_name[projection.post], (index[projection.post], index[projection.pre])
            spread = math.exp(
                projection.weight_log_sd**2
            )  # second moment of a log-normal over its mean squared
            values = _inputs(post, projection.weight, projection.port, spread)
            for matrix, value in zip(self._matrices, values, strict=True):
                matrix[place] += projection.indegree * value
        for drive in spec.drives:
            values = _inputs(by_name[drive.population], drive.weight, 1, 1.0)
            self._background[:, index[drive.population]] += drive.rate_hz * np.array(values)
        self._relay = np.array([population.v_init_mV is None for population in spec.populations])
        self._cells = {
            name: np.array([_number(population, name) for population in spec.populations])
            for name in ("tau_m", "t_ref", "V_th", "V_reset", "E_L", "I_e", "C_m")
        }

    @property
    def _matrices(self) -> tuple[Rates, Rates, Rates, Rates]:
        return self._mean, self._variance, self._colour, self._drift

    def response_hz(self, rate_hz: Rates) -> Rates:
        """Return the rate of each population when all sources fire at ``rate_hz``."""
        cells, per_ms = self._cells, 1e-3
        arriving, variance, colour, drift = (
            matrix @ rate_hz + background
            for matrix, background in zip(self._matrices, self._background, strict=True)
        )
        mean_mV = cells["E_L"] + cells["tau_m"] * (arriving * per_ms + cells["I_e"] / cells["C_m"])
        tau_syn_ms = colour / np.maximum(variance, 1e-12)
        rates = np.zeros_like(rate_hz)
        for node, weight in zip(DRIFT_NODES, DRIFT_WEIGHTS / DRIFT_WEIGHTS.sum(), strict=True):
            rates += weight * siegert_hz(
                mean_mV + node * np.sqrt(drift * per_ms),
                np.sqrt(cells["tau_m"] * variance * per_ms),
                tau_m_ms=cells["tau_m"],
                t_ref_ms=cells["t_ref"],
                v_th_mV=cells["V_th"],
                v_reset_mV=cells["V_reset"],
                shift=COLOUR / 2 * np.sqrt(tau_syn_ms / cells["tau_m"]),
            )
        return np.where(self._relay, arriving, rates)

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


def _inputs(
    population: Population, weight: float, port: int, spread: float
) -> tuple[float, float, float, float]:
    """Return what one event per ms adds: mean, white variance, that times tau_syn, and drift (mV, ms).

    A synapse faster than the membrane adds white noise; a slower one a drift of the mean potential.
    """
    jump_mV, tau_syn_ms = _jump(population, weight, port)
    tau_m_ms, square = _number(population, "tau_m"), jump_mV**2 * spread
    if tau_syn_ms < tau_m_ms:
        return jump_mV, square, square * tau_syn_ms, 0.0
    return jump_mV, 0.0, 0.0, square * tau_m_ms**2 / (2 * (tau_m_ms + tau_syn_ms))


def _number(population: Population, name: str) -> float:
    value = population.params.get(name, 0.0 if name in ("I_e", "E_L", "V_reset", "t_ref") else 1.0)
    assert not isinstance(value, list)
    return value


def _jump(population: Population, weight: float, port: int) -> tuple[float, float]:
    """Return the jump of the membrane potential (mV) that an event is worth, and the synaptic time (ms).

    A relay passes events on: the jump is the number of events.
    """
    params, capacitance_pF = population.params, _number(population, "C_m")
    match population.model:
        case "parrot_neuron":
            return 1.0, 0.0
        case "iaf_psc_delta":
            return weight, 0.0
        case "iaf_psc_alpha_multisynapse":
            taus_ms = params["tau_syn"]
            assert isinstance(taus_ms, list)
            tau_ms = taus_ms[port - 1]
            return weight * math.e * tau_ms / capacitance_pF, 2 * tau_ms
        case "iaf_psc_alpha" | "iaf_psc_exp":
            tau_ms = _number(population, "tau_syn_ex" if weight > 0 else "tau_syn_in")
            # The autocorrelation of an alpha function lasts twice as long as that of an exponential.
            alpha = population.model == "iaf_psc_alpha"
            return weight * (math.e if alpha else 1.0) * tau_ms / capacitance_pF, (2 if alpha else 1) * tau_ms
        case other:
            raise ConfigurationError(
                f"the mean-field prediction knows no neuron model {other}; it covers the current family"
            )
