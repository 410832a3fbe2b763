"""Mean-field theory against closed forms and against NEST."""

from __future__ import annotations

import dataclasses
from time import perf_counter

import numpy as np
import pytest

from robobrain.brain.choice import choose
from robobrain.brain.meanfield import MeanField, _Walk
from robobrain.brain.network import Network
from robobrain.brain.resting import RateMeter
from robobrain.brain.siegert import FREQUENCIES_PER_MV, overshoot, siegert_hz
from robobrain.brain.spec import BrainSpec, Drive, NoisePool, Population, Projection

TAU_SYN_MS = 0.5


def one(mean_mV: float, sd_mV: float) -> float:
    rate = siegert_hz(
        np.array([mean_mV]),
        np.array([sd_mV]),
        tau_m_ms=np.array([20.0]),
        t_ref_ms=np.array([2.0]),
        v_th_mV=np.array([20.0]),
        v_reset_mV=np.array([10.0]),
    )
    return float(rate[0])


def test_without_noise_the_rate_is_that_of_a_constant_current() -> None:
    for mean_mV in (22.0, 30.0, 60.0):
        exact = 1e3 / (2.0 + 20.0 * np.log((mean_mV - 10.0) / (mean_mV - 20.0)))
        assert one(mean_mV, 0.01) == pytest.approx(exact, rel=1e-3)
    assert one(15.0, 0.01) == 0.0


def test_the_rate_rises_with_mean_and_noise_and_stays_finite() -> None:
    means = [one(mean_mV, 4.0) for mean_mV in np.linspace(-200, 400, 61)]
    noises = [one(15.0, sd_mV) for sd_mV in np.linspace(0.1, 50, 50)]
    assert np.all(np.isfinite(means))
    assert np.all(np.diff(means) >= -1e-9)
    assert np.all(np.diff(noises) >= -1e-9)
    assert means[-1] < 500.0


def test_the_overshoot_of_a_walk_is_that_of_closed_forms() -> None:
    t, sd_mV = FREQUENCIES_PER_MV, 0.3
    gaussian = overshoot(-((sd_mV * t) ** 2) / 2 + 0j, sd_mV**2, 0.0)
    assert gaussian == pytest.approx(0.5826 * sd_mV, rel=1e-3)  # |zeta(1/2)| / sqrt(2 pi)
    # Where steps are exponential, what is left beyond the boundary is again such a step, whatever was before.
    two_sided = overshoot(-np.log1p((sd_mV * t) ** 2) + 0j, 2 * sd_mV**2, 0.0)
    assert two_sided == pytest.approx(sd_mV, rel=1e-3)


@pytest.mark.parametrize("log_sd", [0.0, 0.6, 1.2])
def test_the_overshoot_under_weights_with_spread_is_that_of_a_fine_quadrature(log_sd: float) -> None:
    number, size_mV, step_ms = 2.0, 0.2, 0.1
    walk = _Walk(1, step_ms)
    walk.add(0, number / (step_ms * 1e-3), size_mV, log_sd)
    widths = np.linspace(-9.0, 9.0, 2_001)
    shares = np.exp(-(widths**2) / 2) / np.exp(-(widths**2) / 2).sum()
    jumps_mV = size_mV * np.exp(log_sd * widths - log_sd**2 / 2)
    phases = np.outer(FREQUENCIES_PER_MV, jumps_mV)
    spectrum = number * ((-2 * np.sin(phases / 2) ** 2 + 1j * (np.sin(phases) - phases)) @ shares)
    square, cube = (number * float(shares @ jumps_mV**order) for order in (2, 3))
    assert walk.overshoot(np.ones(1)) == pytest.approx(overshoot(spectrum, square, cube), rel=3e-4)


def cells(model: str, size: int) -> Population:
    params: dict[str, float | list[float]] = {
        "C_m": 250.0, "tau_m": 20.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0, "I_e": 0.0
    }  # fmt: skip
    if model != "iaf_psc_delta":
        params |= {"tau_syn_ex": TAU_SYN_MS, "tau_syn_in": TAU_SYN_MS}
    return Population(
        name="E",
        region="test",
        layer="",
        sign="E",
        size=size,
        size_full=size,
        model=model,
        params=params,
        v_init_mV=(0.0, 15.0),
        weight_per_nS_ex=1.0,
        bias_per_mV=12.5,
    )


def network(
    model: str,
    *,
    cell_count: int,
    indegree: int,
    jump_mV: float,
    inhibition: float,
    drives_hz: tuple[float, float],
    seed: int,
) -> BrainSpec:
    """A network of four parts excitatory and one part inhibitory neurons, wired at random.

    Jumps are of ``jump_mV`` and of ``-inhibition * jump_mV``; ``drives_hz`` come from outside with either.
    """
    charge_ms = {"iaf_psc_delta": 1.0, "iaf_psc_exp": TAU_SYN_MS, "iaf_psc_alpha": np.e * TAU_SYN_MS}[model]
    weight = jump_mV if model == "iaf_psc_delta" else jump_mV * 250.0 / charge_ms
    weights, shares = {"E": weight, "I": -inhibition * weight}, {"E": 0.8, "I": 0.2}
    populations = {
        name: dataclasses.replace(cells(model, round(share * cell_count)), name=name, sign=name)
        for name, share in shares.items()
    }
    return BrainSpec(
        name="balanced",
        tuned=True,
        populations=tuple(populations.values()),
        projections=tuple(
            Projection(
                pre=pre,
                post=post,
                receptor="any",
                indegree=shares[pre] * indegree,
                weight=weights[pre],
                weight_log_sd=0.0,
                sigma_mm=None,
                delay_ms=1.5,
                delay_jitter_ms=2.0,
                port=0,
            )
            for pre in shares
            for post in shares
            if indegree
        ),
        drives=tuple(
            Drive(population=name, rate_hz=rate_hz, weight=weights[sign], inputs=0)
            for name in shares
            for sign, rate_hz in zip("EI", drives_hz, strict=True)
            if rate_hz
        ),
        noise=NoisePool(relays=1, rate_hz=1.0, delay_ms=(1.0, 2.0)),
        resolution_ms=0.1,
        synapse_delay_max_ms=7.0,
        settle_ms=300.0,
        seed=seed,
        threads=1,
    )


def measured_hz(spec: BrainSpec, duration_ms: float) -> float:
    """Return the mean rate of all neurons."""
    meter = RateMeter(Network(spec, threads=1))
    meter.run(spec.settle_ms)
    rates = meter.run(duration_ms)
    return sum(rates[population.name] * population.size for population in spec.populations) / spec.neurons


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "jump_mV", "inhibition", "drives_hz"),
    [
        ("iaf_psc_delta", 0.1, 5.0, (32_656.0, 3_164.0)),  # 78 Hz: the mean lies far above the threshold
        ("iaf_psc_delta", 0.2, 8.0, (8_400.0, 600.0)),  # 10 Hz: only noise reaches the threshold
        ("iaf_psc_exp", 0.15, 6.0, (14_000.0, 1_500.0)),  # 8 Hz
        ("iaf_psc_alpha", 0.15, 6.0, (14_000.0, 1_500.0)),  # 8 Hz
    ],
)
def test_a_neuron_under_poisson_trains_fires_as_predicted(
    model: str, jump_mV: float, inhibition: float, drives_hz: tuple[float, float]
) -> None:
    spec = network(
        model,
        cell_count=2_000,
        indegree=0,
        jump_mV=jump_mV,
        inhibition=inhibition,
        drives_hz=drives_hz,
        seed=3,
    )
    predicted = MeanField(spec).solve({}).rate_hz["E"]
    assert predicted == pytest.approx(measured_hz(spec, 2_000.0), rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["iaf_psc_delta", "iaf_psc_exp"])
def test_the_prediction_agrees_with_nest_in_balanced_networks(model: str) -> None:
    specs = [
        network(
            model,
            cell_count=3_000,
            indegree=200,
            jump_mV=0.1,
            inhibition=8.0,
            drives_hz=(12e3, 0.0),
            seed=seed,
        )
        for seed in (3, 4, 5)
    ]
    start = perf_counter()
    predicted = MeanField(specs[0]).solve({"E": 30.0, "I": 30.0})
    theory_s = perf_counter() - start
    start = perf_counter()
    simulated_hz = [measured_hz(spec, 1_500.0) for spec in specs]
    ratio = (perf_counter() - start) / len(specs) / theory_s
    print(f"{model}: {predicted.rate_hz['E']:.2f} Hz, NEST {simulated_hz}, {ratio:.0f} times faster")
    assert predicted.converged
    assert predicted.rate_hz["E"] == pytest.approx(np.mean(simulated_hz), rel=0.01)


def test_a_population_of_relays_adds_up_what_it_hears() -> None:
    choice = choose("medium")
    spec = choice.spec()
    predicted = MeanField(spec).solve({name: row.target_hz for name, row in choice.tables.targets.items()})
    heard = sum(p.indegree * predicted.rate_hz[p.pre] for p in spec.projections if p.post == "BG_CSN")
    background = next(drive.rate_hz for drive in spec.drives if drive.population == "BG_CSN")
    assert predicted.converged
    assert predicted.rate_hz["BG_CSN"] == pytest.approx(heard + background, rel=1e-3)
