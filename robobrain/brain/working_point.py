"""Working points, and linearisation: each conductance neuron becomes a current-based one there.

At the resting rates of the tables a population sees the mean conductances <g_ex> and <g_in>. Around the
potential V* the neuron then behaves as one with leak g = g_L + <g_ex> + <g_in>, and a synapse of weight w
(nS) as a current of w (E_rev - V*) (pA). Such a neuron costs 15 to 25 times less per step. The family
``conductance`` keeps the neurons as they are published.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from robobrain.brain.rows import CONDUCTANCE_MODELS, NeuronRow
from robobrain.brain.sizes import CURRENT
from robobrain.brain.tables import BrainTables

CURRENT_MODEL = {"iaf_cond_alpha": "iaf_psc_alpha", "iaf_cond_exp": "iaf_psc_exp"}
SINGULAR_MS = 1e-3
"""NEST's propagators are inaccurate where tau_m and tau_syn nearly coincide; such pairs are moved apart."""


@dataclass(frozen=True, kw_only=True)
class WorkingPoint:
    """A population's neuron as it is simulated.

    Attributes:
        model: NEST model.
        params: NEST parameters without ``I_e``.
        bias_pA: Constant current of the neuron type.
        ex_factor: Units of the model per nS of an excitatory weight (pA/nS; 1 if not linearised).
        in_factor: The same for an inhibitory weight, positive.
        charge_ms: Integral of an excitatory event per unit of weight (pA ms per pA, nS ms per nS).
        conductance_nS: Total conductance at the working point (leak alone if not linearised).
        V_th_mV: Threshold.
        V_reset_mV: Reset potential.
    """

    model: str
    params: dict[str, float | list[float]] = field(default_factory=dict)
    bias_pA: float = 0.0
    ex_factor: float = 1.0
    in_factor: float = 1.0
    charge_ms: float = 0.0
    conductance_nS: float = 0.0
    V_th_mV: float = 0.0
    V_reset_mV: float = 0.0

    def with_constant_input(self, strength: float) -> WorkingPoint:
        """Return this neuron under a constant excitatory input, in its unit of weight (pA or nS).

        A constant conductance adds to the leak and pulls the resting potential towards its reversal.
        """
        if self.model not in CONDUCTANCE_MODELS:
            return dataclasses.replace(self, bias_pA=self.bias_pA + strength)
        values = {name: float(value) for name, value in self.params.items() if not isinstance(value, list)}
        leak_nS = values["g_L"] + strength
        rest_mV = (values["g_L"] * values["E_L"] + strength * values["E_ex"]) / leak_nS
        return dataclasses.replace(self, params={**self.params, "g_L": leak_nS, "E_L": rest_mV})


def working_points(tables: BrainTables, family: str = CURRENT) -> dict[str, WorkingPoint]:
    """Return the working point of every population, from the full-size tables and the resting targets.

    Args:
        tables: The brain's tables.
        family: ``current`` to linearise conductance neurons, ``conductance`` to keep them.
    """
    g_ex, g_in = _mean_conductances(tables)
    points = {}
    for name in tables.populations:
        neuron = tables.neuron_of(name)
        if neuron.model in CONDUCTANCE_MODELS:
            linear = _linearised(neuron, g_ex[name], g_in[name])
            points[name] = linear if family == CURRENT else _as_published(neuron, linear)
        elif neuron.model == "parrot_neuron":
            points[name] = WorkingPoint(model=neuron.model)
        else:
            points[name] = _current_based(neuron)
    return points


def _mean_conductances(tables: BrainTables) -> tuple[dict[str, float], dict[str, float]]:
    """Mean excitatory and inhibitory conductance (nS) of each population at the target rates."""
    g_ex, g_in = dict.fromkeys(tables.populations, 0.0), dict.fromkeys(tables.populations, 0.0)
    for row in tables.projections:
        if not row.enabled or row.receptor not in ("ex", "in"):
            continue
        total = g_ex if row.receptor == "ex" else g_in
        events_per_ms = row.indegree * tables.targets[row.pre].target_hz * 1e-3
        weight_nS = abs(row.weight) * tables.gain(row)
        total[row.post] += (
            events_per_ms * weight_nS * _charge_time_ms(tables.neuron_of(row.post), row.receptor)
        )
    for drive in tables.drives.values():
        neuron = tables.neuron_of(drive.population)
        if neuron.model in CONDUCTANCE_MODELS:
            g_ex[drive.population] += drive.rate_hz * 1e-3 * drive.weight * _charge_time_ms(neuron, "ex")
    return g_ex, g_in


def _charge_time_ms(neuron: NeuronRow, receptor: str) -> float:
    """Time integral of a conductance of peak 1 nS (ms): e tau for alpha functions, tau for exponentials."""
    tau_ms = neuron.tau_syn_ex_ms if receptor == "ex" else neuron.tau_syn_in_ms
    assert tau_ms is not None  # held by NeuronRow for conductance models
    return tau_ms * (math.e if neuron.model == "iaf_cond_alpha" else 1.0)


def _linearised(neuron: NeuronRow, g_ex_nS: float, g_in_nS: float) -> WorkingPoint:
    values = {name: float(value) for name, value in neuron if isinstance(value, float | int)}
    v_star = values["V_working_mV"]
    g_total = values["g_L_nS"] + g_ex_nS + g_in_nS
    tau_m = values["C_m_pF"] / g_total
    # The synaptic conductances pull towards V* here; their reversal potentials enter through the weights.
    e_l = (values["g_L_nS"] * values["E_L_mV"] + (g_ex_nS + g_in_nS) * v_star) / g_total
    return WorkingPoint(
        model=CURRENT_MODEL[neuron.model],
        params={
            "C_m": values["C_m_pF"],
            "tau_m": tau_m,
            "E_L": e_l,
            "V_th": values["V_th_mV"],
            "V_reset": values["V_reset_mV"],
            "t_ref": values["t_ref_ms"],
            "tau_syn_ex": _apart(values["tau_syn_ex_ms"], tau_m),
            "tau_syn_in": _apart(values["tau_syn_in_ms"], tau_m),
        },
        bias_pA=values["I_e_pA"],
        ex_factor=values["E_ex_mV"] - v_star,
        in_factor=abs(values["E_in_mV"] - v_star),
        charge_ms=_charge_time_ms(neuron, "ex"),
        conductance_nS=g_total,
        V_th_mV=values["V_th_mV"],
        V_reset_mV=values["V_reset_mV"],
    )


def _as_published(neuron: NeuronRow, linear: WorkingPoint) -> WorkingPoint:
    """Return the conductance neuron itself: weights stay in nS; what it is at its working point is kept."""
    columns = ("C_m_pF", "g_L_nS", "E_L_mV", "V_th_mV", "V_reset_mV", "t_ref_ms", "E_ex_mV", "E_in_mV")
    taus = ("tau_syn_ex_ms", "tau_syn_in_ms")
    return dataclasses.replace(
        linear,
        model=neuron.model,
        params={name.rpartition("_")[0]: float(getattr(neuron, name)) for name in (*columns, *taus)},
        ex_factor=1.0,
        in_factor=1.0,
    )


def _apart(tau_syn_ms: float, tau_m_ms: float) -> float:
    return tau_syn_ms * 1.01 if abs(tau_syn_ms - tau_m_ms) < SINGULAR_MS else tau_syn_ms


def _current_based(neuron: NeuronRow) -> WorkingPoint:
    values = {name: float(value) for name, value in neuron if isinstance(value, float | int)}
    return WorkingPoint(
        model=neuron.model,
        params={
            "C_m": values["C_m_pF"],
            "tau_m": values["tau_m_ms"],
            "E_L": values["E_L_mV"],
            "V_th": values["V_th_mV"],
            "V_reset": values["V_reset_mV"],
            "V_min": values["V_min_mV"],
            "t_ref": values["t_ref_ms"],
            "tau_syn": [values["tau_syn_ex_ms"], values["tau_nmda_ms"], values["tau_syn_in_ms"]],
        },
        bias_pA=values["I_e_pA"],
        conductance_nS=values["C_m_pF"] / values["tau_m_ms"],
        V_th_mV=values["V_th_mV"],
        V_reset_mV=values["V_reset_mV"],
    )
