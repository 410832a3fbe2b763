"""Mean-field theory against closed forms and against NEST."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from robobrain.brain.choice import choose
from robobrain.brain.meanfield import MeanField, siegert_hz
from robobrain.brain.network import Network
from robobrain.brain.resting import RateMeter
from robobrain.brain.spec import BrainSpec, Drive, NoisePool, Population, Projection


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


def balanced(model: str, *, jump_mV: float, external_hz: float, inhibition: float) -> BrainSpec:
    """A network of 1,600 excitatory and 400 inhibitory neurons with a tenth of them connected."""
    params: dict[str, float | list[float]] = {
        "C_m": 250.0, "tau_m": 20.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0, "I_e": 0.0
    }  # fmt: skip
    weight = jump_mV
    if model == "iaf_psc_exp":
        params |= {"tau_syn_ex": 0.5, "tau_syn_in": 0.5}
        weight = jump_mV * 250.0 / 0.5
    sizes = {"E": 1_600, "I": 400}
    return BrainSpec(
        name="balanced",
        tuned=True,
        populations=tuple(
            Population(
                name=name,
                region="test",
                layer="",
                sign=name,
                size=size,
                size_full=size,
                model=model,
                params=dict(params),
                v_init_mV=(0.0, 15.0),
                weight_per_nS_ex=1.0,
                bias_per_mV=12.5,
            )
            for name, size in sizes.items()
        ),
        projections=tuple(
            Projection(
                pre=pre,
                post=post,
                receptor="any",
                indegree=sizes[pre] / 10,
                weight=weight if pre == "E" else -inhibition * weight,
                weight_log_sd=0.0,
                sigma_mm=None,
                delay_ms=1.5,
                delay_jitter_ms=2.0,
                port=0,
            )
            for pre in sizes
            for post in sizes
        ),
        drives=tuple(Drive(population=name, rate_hz=external_hz, weight=weight, inputs=0) for name in sizes),
        noise=NoisePool(relays=1, rate_hz=1.0, delay_ms=(1.0, 2.0)),
        resolution_ms=0.1,
        synapse_delay_max_ms=7.0,
        settle_ms=300.0,
        seed=3,
        threads=1,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "jump_mV", "external_hz", "inhibition", "tolerance"),
    [
        ("iaf_psc_delta", 0.1, 20e3, 5.0, 0.01),
        ("iaf_psc_delta", 0.2, 10e3, 4.5, 0.01),
        # Measured up to 1.2 %: finite networks fluctuate together, and synapses filter.
        ("iaf_psc_delta", 0.1, 30e3, 6.0, 0.02),
        ("iaf_psc_exp", 0.1, 20e3, 5.0, 0.02),
    ],
)
def test_the_prediction_agrees_with_nest(
    model: str, jump_mV: float, external_hz: float, inhibition: float, tolerance: float
) -> None:
    spec = balanced(model, jump_mV=jump_mV, external_hz=external_hz, inhibition=inhibition)
    start = perf_counter()
    predicted = MeanField(spec).solve({"E": 30.0, "I": 30.0})
    theory_s = perf_counter() - start
    start = perf_counter()
    meter = RateMeter(Network(spec, threads=1))
    meter.run(spec.settle_ms)
    simulated = meter.run(2_000.0)
    ratio = (perf_counter() - start) / theory_s
    assert predicted.converged
    assert predicted.rate_hz == pytest.approx(simulated, rel=tolerance)
    print(f"{model}: {predicted.rate_hz['E']:.1f} Hz, NEST {simulated['E']:.1f} Hz, {ratio:.0f} times faster")


def test_a_population_of_relays_adds_up_what_it_hears() -> None:
    choice = choose("medium")
    spec = choice.spec()
    predicted = MeanField(spec).solve({name: row.target_hz for name, row in choice.tables.targets.items()})
    heard = sum(p.indegree * predicted.rate_hz[p.pre] for p in spec.projections if p.post == "BG_CSN")
    background = next(drive.rate_hz for drive in spec.drives if drive.population == "BG_CSN")
    assert predicted.converged
    assert predicted.rate_hz["BG_CSN"] == pytest.approx(heard + background, rel=1e-3)
