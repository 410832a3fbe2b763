"""Find one bias current per population so that the resting rates meet their targets.

First open loop, with every presynaptic population replaced by Poisson trains at its target rate, which always
converges; then closed loop from there. Closed loop from scratch runs away.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robobrain.brain.network import Network
from robobrain.brain.resting import RateMeter
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of tuning with a fixed measuring span and step (all values assumed, found by trial)."""

    name: str
    closed: bool
    iterations: int
    span_ms: float
    step: float


STAGES = (
    Stage(name="open loop", closed=False, iterations=26, span_ms=200.0, step=0.35),
    Stage(name="closed loop", closed=True, iterations=45, span_ms=300.0, step=0.12),
    Stage(name="refinement", closed=True, iterations=15, span_ms=1000.0, step=0.06),
)

LARGEST_LOG_STEP = 1.5
HALF_SPAN_MV = {"cortex": 2.0, "nucleus": 1.0}
"""Shift of the mean potential that one unit of log rate error calls for."""
LOWEST_SHARE = 0.05
"""A silent population is treated as if it fired at this share of its target."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Result: bias current, last measured rate and target of each population."""

    bias_pA: dict[str, float]
    rate_hz: dict[str, float]
    target_hz: dict[str, float]

    @property
    def mean_log_error(self) -> float:
        """Mean of |log(rate / target)| over the tuned populations."""
        errors = [abs(math.log(max(self.rate_hz[p], 0.05 * t) / t)) for p, t in self.target_hz.items()]
        return sum(errors) / len(errors)

    def write(self, path: Path) -> None:
        """Write the table ``bias_SIZE.csv``."""
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["population", "bias_pA", "rate_hz", "target_hz"])
            for name, bias in self.bias_pA.items():
                writer.writerow(
                    [name, f"{bias:.2f}", f"{self.rate_hz[name]:.3f}", f"{self.target_hz[name]:g}"]
                )


def stages(effort: float = 1.0) -> tuple[Stage, ...]:
    """Return the stages with ``effort`` times their iterations; larger sizes average more and need fewer."""
    return tuple(
        dataclasses.replace(stage, iterations=max(1, round(effort * stage.iterations))) for stage in STAGES
    )


def tune(
    spec: BrainSpec,
    tables: BrainTables,
    *,
    threads: int,
    stages: tuple[Stage, ...] = STAGES,
    report: Callable[[str, int, float], None] = lambda stage, iteration, error: None,
) -> Tuning:
    """Tune the bias currents of ``spec``, starting from those it has.

    Args:
        spec: Brain to tune.
        tables: Its tables, for the targets.
        threads: Threads of the kernel.
        stages: What to run.
        report: Called after each iteration with stage, iteration and mean |log error|.
    """
    tuned = [p for p in spec.populations if p.v_init_mV is not None]
    base = {p.name: float(p.params["I_e"]) for p in tuned}  # type: ignore[arg-type]
    before = tables.bias_currents(spec.name)
    shift = dict.fromkeys(base, 0.0)
    targets = {p.name: tables.targets[p.name].target_hz for p in tuned}
    rates = dict.fromkeys(targets, 0.0)
    for stage in stages:
        network = Network(spec, threads=threads, replay=None if stage.closed else targets)
        meter = RateMeter(network)
        apply = _applier(network, base, shift)
        apply()
        meter.run(spec.settle_ms)
        average = dict.fromkeys(targets, 0.0)
        for iteration in range(stage.iterations):
            rates = meter.run(stage.span_ms)
            fade = 1.0 if iteration < 0.6 * stage.iterations else 0.4
            for population in tuned:
                name = population.name
                half_span = HALF_SPAN_MV["nucleus" if population.region == "BG" else "cortex"]
                error = _log_error(rates[name], targets[name], population.size, stage.span_ms)
                shift[name] += stage.step * fade * error * half_span * population.bias_per_mV
                average[name] += rates[name] / stage.iterations
            apply()
            report(
                stage.name, iteration, Tuning(bias_pA=shift, rate_hz=rates, target_hz=targets).mean_log_error
            )
        rates = average
    offsets = {name: before.get(name, 0.0) + shift[name] for name in base}
    return Tuning(bias_pA=offsets, rate_hz={name: rates[name] for name in targets}, target_hz=targets)


def _applier(network: Network, base: dict[str, float], shift: dict[str, float]) -> Callable[[], None]:
    def apply() -> None:
        for name, current in base.items():
            network.nodes[name].I_e = current + shift[name]

    return apply


def _log_error(rate_hz: float, target_hz: float, neurons: int, span_ms: float) -> float:
    half_spike_hz = 0.5 / (neurons * span_ms * 1e-3)
    error = math.log(target_hz / max(rate_hz, half_spike_hz, LOWEST_SHARE * target_hz))
    return max(-LARGEST_LOG_STEP, min(LARGEST_LOG_STEP, error))
