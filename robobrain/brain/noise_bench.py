"""Kinds of background noise on one population: what each costs, what it does to rates and correlations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from robobrain.brain.scaling import scale
from robobrain.brain.spec import BrainSpec, Population
from robobrain.brain.statistics import spike_statistics
from robobrain.brain.tables import BrainTables
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator, nest_seed

KINDS = ("train per neuron", "shared pool", "noise current", "escape noise")
SETTLE_MS, TRIAL_MS, TRIALS = 200.0, 400.0, 30
STEP_MV = 1.0
"""Shift of the mean potential per unit of log rate error, halved with every change of sign."""
CURRENT_STEP_MS = 1.0
"""A noise current is redrawn so often (assumed)."""
SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class NoiseEffect:
    """One kind of noise on a population that hears nothing else, its mean input tuned to the target rate.

    Attributes:
        kind: One of ``KINDS``.
        rate_hz: Mean rate.
        rate_sd_hz: Standard deviation of the rate over neurons.
        cv_isi: CV of inter-spike intervals.
        correlation: Mean pairwise correlation of spike counts.
        ns_per_step: Processor time per neuron and time step, sources included.
    """

    kind: str
    rate_hz: float
    rate_sd_hz: float
    cv_isi: float
    correlation: float
    ns_per_step: float


def measure_noise(
    tables: BrainTables,
    name: str,
    *,
    size: str = "small",
    neurons: int = 1_000,
    seconds: float = 10.0,
    report: Callable[[str], None] = lambda kind: None,
) -> list[NoiseEffect]:
    """Compare kinds of noise on ``neurons`` unconnected neurons of population ``name`` on one thread.

    Raises:
        ConfigurationError: The population is no current-based neuron with background input.
    """
    spec = scale(tables, size)
    population = next((p for p in spec.populations if p.name == name), None)
    if (
        population is None
        or population.model not in ("iaf_psc_alpha", "iaf_psc_exp")
        or name not in tables.drives
    ):
        raise ConfigurationError(
            f"'{name}' is no population of current-based neurons with background input; "
            "`robobrain brain info --populations` lists them"
        )
    bench = _Bench(spec, population, tables, neurons)
    effects = []
    for kind in KINDS:
        report(kind)
        effects.append(bench.measure(kind, tables.targets[name].target_hz, seconds * 1e3))
    return effects


class _Bench:
    def __init__(self, spec: BrainSpec, population: Population, tables: BrainTables, neurons: int) -> None:
        import nest  # noqa: PLC0415 - heavy

        self._nest: Any = nest
        self._spec, self._population, self._neurons = spec, population, neurons
        drive = tables.drives[population.name]
        self._rate_hz, self._weight_pA = drive.rate_hz, drive.weight * population.weight_per_nS_ex
        self._pooled = next(d for d in spec.drives if d.population == population.name)
        self._params: dict[str, Any] = dict(population.params)
        alpha = population.model == "iaf_psc_alpha"
        self._charge_pA_ms = self._weight_pA * self._params["tau_syn_ex"] * (math.e if alpha else 1.0)

    def measure(self, kind: str, target_hz: float, duration_ms: float) -> NoiseEffect:
        nest, spec = self._nest, self._spec
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.ResetKernel()
        nest.resolution = spec.resolution_ms
        nest.rng_seed = nest_seed(spec.seed, "noise", kind)
        cells = self._cells(kind)
        recorder = nest.Create("spike_recorder")
        nest.Connect(cells, recorder)
        nest.Simulate(SETTLE_MS)
        self._tune(cells, recorder, target_hz)
        recorder.n_events = 0
        start_ms, start = nest.biological_time, time.process_time()
        nest.Simulate(duration_ms)
        spent_s = time.process_time() - start
        events = recorder.events
        senders, times_ms = np.asarray(events["senders"]), np.asarray(events["times"])
        trains = [times_ms[senders == cell] for cell in cells.tolist()[:SAMPLE]]
        found = spike_statistics(trains, start_ms, start_ms + duration_ms)
        return NoiseEffect(
            kind=kind,
            rate_hz=len(senders) / self._neurons / duration_ms * 1e3,
            rate_sd_hz=found.rate_sd_hz,
            cv_isi=found.cv_isi,
            correlation=found.correlation,
            ns_per_step=spent_s * 1e9 / self._neurons / (duration_ms / spec.resolution_ms),
        )

    def _cells(self, kind: str) -> Any:
        nest, neurons = self._nest, self._neurons
        model, params = self._population.model, dict(self._params)
        if kind == "escape noise":
            # The only such neuron of NEST with currents; its noise is as wide as that of the potential.
            model = "iaf_psc_exp"
            params |= {"delta": self._width_of_noise(), "rho": 1e3 / params["tau_m"]}
        cells = nest.Create(model, neurons, params)
        rng = generator(self._spec.seed, "noise", kind)
        low, high = self._population.v_init_mV or (0.0, 0.0)
        cells.V_m = rng.uniform(low, high, neurons)
        if kind == "train per neuron":
            source = nest.Create("poisson_generator", params={"rate": self._rate_hz})
            nest.Connect(source, cells, "all_to_all", {"weight": self._weight_pA, "delay": 1.0})
        elif kind == "noise current":
            width_pA = self._charge_pA_ms * math.sqrt(self._rate_hz * 1e-3 / CURRENT_STEP_MS)
            source = nest.Create("noise_generator", params={"std": width_pA, "dt": CURRENT_STEP_MS})
            nest.Connect(source, cells, "all_to_all", {"delay": 1.0})
        elif kind == "shared pool":
            self._pool(cells, rng)
        return cells

    def _pool(self, cells: Any, rng: np.random.Generator) -> None:
        nest, noise, resolution_ms = self._nest, self._spec.noise, self._spec.resolution_ms
        relays = nest.Create("parrot_neuron", noise.relays)
        source = nest.Create("poisson_generator", params={"rate": noise.rate_hz})
        nest.Connect(source, relays, "all_to_all", {"delay": 1.0})
        target = np.repeat(np.asarray(cells.tolist()), self._pooled.inputs)
        relay = rng.integers(0, noise.relays, len(target)) + relays[0].global_id
        delay_ms = np.round(rng.uniform(*noise.delay_ms, len(target)) / resolution_ms) * resolution_ms
        synapses = {"weight": np.full(len(target), self._pooled.weight), "delay": delay_ms}
        nest.Connect(relay, target, "one_to_one", synapses)

    def _width_of_noise(self) -> float:
        """Standard deviation of the free potential under the table's trains."""
        jump_mV = self._charge_pA_ms / float(self._params["C_m"])
        width_mV: float = jump_mV * math.sqrt(self._rate_hz * 1e-3 * float(self._params["tau_m"]) / 2)
        return width_mV

    def _tune(self, cells: Any, recorder: Any, target_hz: float) -> None:
        """Shift the constant current until the rate is the target's."""
        current_pA, step_mV, before = float(self._params["I_e"]), STEP_MV, 0.0
        for _ in range(TRIALS):
            recorder.n_events = 0
            self._nest.Simulate(TRIAL_MS)
            rate_hz = max(recorder.n_events / self._neurons / TRIAL_MS * 1e3, 0.05 * target_hz)
            error = math.log(target_hz / rate_hz)
            if error * before < 0:
                step_mV /= 2
            before = error
            current_pA += step_mV * max(-2.0, min(2.0, error)) * self._population.bias_per_mV
            cells.I_e = current_pA
