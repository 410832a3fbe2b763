"""The rate of one leaky integrate-and-fire neuron that hears independent Poisson trains.

Siegert's formula (1951; Brunel 2000, doi 10.1023/A:1008925309027) takes the input as Gaussian white noise
and time as continuous. What it leaves out cost a sixth of the rate of a neuron at 10 Hz whose mean potential
stays below threshold:

* Jumps are finite, so the potential is not Gaussian. To the generator ``L`` of Siegert's process jumps add
  ``c_n D^n``, with ``D`` the derivative by the potential and ``c_n`` from the n-th cumulant. As
  ``L D^n = D^n L + n D^n``, the mean time to threshold becomes ``exp(-sum of c_n D^n / n)`` of Siegert's;
  n = 3 and 4 are taken.
* Jumps overshoot the threshold, and a simulation looks only once per step: what absorbs lies above the
  threshold by the mean overshoot of a random walk (Spitzer's identity as in Siegmund 1985, *Sequential
  Analysis*, chapter 10; for such neurons Helias et al. 2010, doi 10.3389/neuro.10.029.2009).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError

try:
    from scipy.special import dawsn, erfcx
except ImportError as error:
    raise ConfigurationError(
        "The mean-field prediction needs SciPy: pip install 'robobrain[analysis]'."
    ) from error

Rates = NDArray[np.float64]

OVERFLOW = 26.0
"""Distance to threshold in noise widths beyond which a rate is zero in double precision."""
FAR = -20.0
"""Distance below which the derivatives of the passage time vanish against their values near threshold."""
LOG_FACTOR_MAX = 3.0
"""Largest logarithm of the factor on the passage time: beyond it two orders say nothing (*assumed*)."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
FREQUENCIES_PER_MV = np.geomspace(1e-4, 1e5, 1_200)
"""Where the spectrum of a walk's steps is taken: steps of 0.01 to 10 mV."""


def siegert_hz(
    mean_mV: Rates,
    sd_mV: Rates,
    *,
    tau_m_ms: Rates,
    t_ref_ms: Rates,
    v_th_mV: Rates,
    v_reset_mV: Rates,
    third: Rates | float = 0.0,
    fourth: Rates | float = 0.0,
) -> Rates:
    """Return the rate of a leaky integrate-and-fire neuron under noise.

    Args:
        mean_mV: Mean potential without threshold.
        sd_mV: Noise width sigma, of variance tau_m times the sum of squared jumps times their rates.
        tau_m_ms: Membrane time constant.
        t_ref_ms: Refractory time.
        v_th_mV: Threshold, or the boundary that is absorbing in its place.
        v_reset_mV: Reset potential.
        third: tau_m times the sum of cubed jumps times their rates, in units of ``sd_mV`` cubed.
        fourth: Likewise with fourth powers.
    """
    sd_mV = np.maximum(sd_mV, 1e-6)
    upper = np.minimum((v_th_mV - mean_mV) / sd_mV, OVERFLOW)
    lower = np.minimum((v_reset_mV - mean_mV) / sd_mV, upper)
    passage = np.maximum(math.sqrt(math.pi) * (_antiderivative(upper) - _antiderivative(lower)), 0.0)
    passage_ms = tau_m_ms * passage * np.exp(_log_factor(lower, upper, passage, third / 18, fourth / 96))
    rate: Rates = 1e3 / (t_ref_ms + passage_ms + 1e-12)
    return np.asarray(np.where(upper >= OVERFLOW, 0.0, rate))


def overshoot(log_spectrum: NDArray[Any], square: float, cube: float) -> float:
    """Return how far (mV) a centred random walk lies beyond a boundary, on average, when it first crosses it.

    Args:
        log_spectrum: Logarithm of the characteristic function of a step at `FREQUENCIES_PER_MV`.
        square: Variance of a step (mV^2).
        cube: Third cumulant of a step (mV^3).
    """
    if square <= 0.0:
        return 0.0
    t = FREQUENCIES_PER_MV
    integrand = np.log(2 * np.abs(np.expm1(log_spectrum)) / (square * t**2)) / t**2
    return float(cube / (6 * square) - np.trapezoid(integrand, t) / math.pi)


def _log_factor(
    lower: Rates, upper: Rates, passage: Rates, skew: Rates | float, excess: Rates | float
) -> Rates:
    """Logarithm of the factor by which finite jumps change the time from ``lower`` to ``upper``."""
    far, near = _derivatives(np.maximum(lower, FAR)), _derivatives(np.maximum(upper, FAR))
    scale = np.maximum(passage, 1e-300)
    second, third, fifth = ((near[order] - far[order]) / scale for order in (2, 3, 5))
    first_order = -skew * second
    log_factor = first_order - excess * third + skew**2 * fifth / 2 - first_order**2 / 2
    return np.asarray(np.clip(log_factor, -LOG_FACTOR_MAX, LOG_FACTOR_MAX))


def _derivatives(y: Rates) -> list[Rates]:
    """Return sqrt(pi) exp(y^2) (1 + erf(y)) and its first five derivatives."""
    found = [math.sqrt(math.pi) * erfcx(-y)]
    found.append(2 + 2 * y * found[0])
    for order in range(1, 5):
        found.append(2 * y * found[order] + 2 * order * found[order - 1])
    return found


def _antiderivative(y: Rates) -> Rates:
    """Integral of exp(u^2) (1 + erf(u)) from 0 to y."""
    size = np.abs(y)
    # erfcx falls as 1/u, so the variable u = sinh(s) keeps the integrand smooth however far the limit.
    end = np.arcsinh(size)
    s = end[..., None] * (NODES + 1) / 2
    tail = (erfcx(np.sinh(s)) * np.cosh(s) * WEIGHTS).sum(-1) * end / 2
    grown = 2 * np.exp(np.minimum(size, OVERFLOW) ** 2) * dawsn(size)
    return np.asarray(np.where(y > 0, grown - tail, -tail))
