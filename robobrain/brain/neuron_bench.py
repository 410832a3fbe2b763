"""One neuron type of the tables on the bench: f-I curve, response to steps, curve under synaptic noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.spec import BrainSpec, Population
from robobrain.errors import ConfigurationError, choices
from robobrain.seeding import nest_seed

Values = NDArray[np.float64]

SPAN_MS, SETTLE_MS = 2000.0, 300.0
STEP_ON_MS, STEP_OFF_MS, STEP_SPAN_MS = 50.0, 250.0, 350.0
STEPS = (-0.5, 0.5, 0.95, 1.3)
"""Step currents, as parts of the rheobase."""
CURRENTS = 41
RHEOBASES = 3.0
INPUTS = np.linspace(0.0, 2.0, 11)
"""Background input, as multiples of the tables'."""
NOISY_CELLS = 60


@dataclass(frozen=True, kw_only=True)
class NeuronCurves:
    """What was measured of one population's neuron.

    Attributes:
        population: What was measured.
        rheobase_pA: Smallest constant current that makes it fire.
        current_pA: Constant currents of the f-I curve.
        rate_hz: Rate at each of them, without noise.
        time_ms: Time of the step responses.
        step_pA: Current of each step, between 50 and 250 ms.
        potential_mV: Membrane potential, one row per step.
        input_hz: Rate of the background events of the input-output curve.
        output_hz: Mean rate under noise: all other inputs are Poisson trains at their sources' target rates,
            independent and of mean weight, so it lies below the rate in the network.
    """

    population: Population
    rheobase_pA: float
    current_pA: Values
    rate_hz: Values
    time_ms: Values
    step_pA: Values
    potential_mV: Values
    input_hz: Values
    output_hz: Values


def measure_neuron(spec: BrainSpec, name: str, target_hz: Mapping[str, float]) -> NeuronCurves:
    """Measure the neuron of population ``name``.

    Args:
        spec: Brain that it belongs to.
        name: Population.
        target_hz: Resting rate of every population, for the input-output curve.

    Raises:
        ConfigurationError: There is no such population, or it is a pool of relays.
    """
    population = next((p for p in spec.populations if p.name == name), None)
    if population is None:
        known = choices(name, (population.name for population in spec.populations))
        raise ConfigurationError(f"no population '{name}'; this brain has {known}")
    if population.v_init_mV is None:
        raise ConfigurationError(f"{name} is a pool of relays, which repeat what they hear")
    params: dict[str, Any] = population.params
    leak_nS = params["g_L"] if "g_L" in params else params["C_m"] / params["tau_m"]
    rheobase_pA = leak_nS * (params["V_th"] - params["E_L"])
    current_pA = np.linspace(0.0, RHEOBASES * rheobase_pA, CURRENTS)
    bench = _Bench(spec, population)
    step_pA = rheobase_pA * np.array(STEPS)
    time_ms, potential_mV = bench.steps(step_pA)
    input_hz, output_hz = bench.noise(target_hz)
    return NeuronCurves(
        population=population,
        rheobase_pA=rheobase_pA,
        current_pA=current_pA,
        rate_hz=bench.rates(current_pA),
        time_ms=time_ms,
        step_pA=step_pA,
        potential_mV=potential_mV,
        input_hz=input_hz,
        output_hz=output_hz,
    )


class _Bench:
    def __init__(self, spec: BrainSpec, population: Population) -> None:
        import nest  # noqa: PLC0415 - heavy

        self._nest: Any = nest
        self._spec, self._population = spec, population

    def _reset(self) -> None:
        self._nest.verbosity = self._nest.VerbosityLevel.ERROR
        self._nest.ResetKernel()
        self._nest.resolution = self._spec.resolution_ms
        self._nest.rng_seed = nest_seed(self._spec.seed, "neuron")

    def _cells(self, number: int) -> Any:
        cells = self._nest.Create(self._population.model, number, params=self._population.params)
        cells.V_m = self._population.params["E_L"]
        return cells

    def rates(self, current_pA: Values) -> Values:
        """Return the rate at each constant current."""
        self._reset()
        cells = self._cells(len(current_pA))
        cells.I_e = current_pA.tolist()
        return self._counted(cells, 1)

    def steps(self, current_pA: Values) -> tuple[Values, Values]:
        """Return time and the potential at each step current."""
        self._reset()
        cells = self._cells(len(current_pA))
        cells.I_e = 0.0
        meters = []
        for cell, amplitude in zip(cells, current_pA, strict=True):
            times = {"start": STEP_ON_MS, "stop": STEP_OFF_MS}
            source = self._nest.Create("dc_generator", params={"amplitude": float(amplitude), **times})
            self._nest.Connect(source, cell)
            meter = self._nest.Create("voltmeter", params={"interval": self._spec.resolution_ms})
            self._nest.Connect(meter, cell)
            meters.append(meter)
        self._nest.Simulate(STEP_SPAN_MS)
        return np.asarray(meters[0].events["times"]), np.array([meter.events["V_m"] for meter in meters])

    def noise(self, target_hz: Mapping[str, float]) -> tuple[Values, Values]:
        """Return rates of background events and the mean rate that each gives."""
        self._reset()
        cells = self._cells(NOISY_CELLS * len(INPUTS))
        for projection in self._spec.projections:
            if projection.post == self._population.name:
                rate_hz = projection.indegree * target_hz[projection.pre]
                self._noise(cells, rate_hz, projection.weight, projection.port)
        drive = next((d for d in self._spec.drives if d.population == self._population.name), None)
        base_hz = drive.rate_hz if drive is not None else 0.0
        if drive is not None:
            for number, factor in enumerate(INPUTS):
                group = cells[number * NOISY_CELLS : (number + 1) * NOISY_CELLS]
                self._noise(group, factor * base_hz, drive.weight, 0)
        return INPUTS * base_hz, self._counted(cells, NOISY_CELLS)

    def _noise(self, cells: Any, rate_hz: float, weight: float, port: int) -> None:
        source = self._nest.Create("poisson_generator", params={"rate": rate_hz})
        synapse = {"weight": weight, "delay": self._spec.resolution_ms, "receptor_type": port}
        self._nest.Connect(source, cells, "all_to_all", synapse)

    def _counted(self, cells: Any, group: int) -> Values:
        recorder = self._nest.Create("spike_recorder", params={"start": SETTLE_MS})
        self._nest.Connect(cells, recorder)
        self._nest.Simulate(SETTLE_MS + SPAN_MS)
        places = (np.asarray(recorder.events["senders"]) - cells[0].global_id) // group
        counts = np.bincount(places.astype(np.int64), minlength=len(cells) // group)
        return np.asarray(counts / group / SPAN_MS * 1e3)


def draw_neuron(curves: NeuronCurves, path: Path) -> None:
    """Draw the curves to a PNG file."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    constant, steps, noisy = figure.subplots(1, 3)
    constant.plot(curves.current_pA, curves.rate_hz, color="tab:blue")
    constant.axvline(curves.rheobase_pA, color="0.7", linestyle=":")
    constant.set(xlabel="constant current (pA); dotted: rheobase", ylabel="rate (Hz)", title="f-I curve")
    for current_pA, potential_mV in zip(curves.step_pA, curves.potential_mV, strict=True):
        steps.plot(curves.time_ms, potential_mV, label=f"{current_pA:.0f} pA", linewidth=1)
    steps.legend(fontsize=7, frameon=False, loc="upper right")
    steps.set(xlabel="time (ms)", ylabel="membrane potential (mV)", title="current steps, 50 to 250 ms")
    noisy.plot(curves.input_hz, curves.output_hz, "o-", color="tab:green", markersize=4)
    if curves.input_hz[-1] > 0:
        noisy.axvline(curves.input_hz[-1] / INPUTS[-1], color="0.7", linestyle=":")
    noisy.set(
        xlabel="background events (Hz); dotted: tables", ylabel="rate (Hz)", title="under synaptic noise"
    )
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{curves.population.name}: {curves.population.model}")
    figure.savefig(path, dpi=110)
