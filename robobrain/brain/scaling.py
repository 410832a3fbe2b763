"""From tables to a specification: thin neurons and in-degrees, then linearise the conductance neurons."""

from __future__ import annotations

from dataclasses import dataclass

from robobrain.brain.rows import DriveRow, NoiseRule, PopulationRow, ProjectionRow, ScalingRule, SizeRow
from robobrain.brain.sizes import split_family
from robobrain.brain.spec import BrainSpec, Drive, NoisePool, Population, Projection
from robobrain.brain.tables import BrainTables, load_tables
from robobrain.brain.working_point import WorkingPoint, working_points

PORTS = {"AMPA": 1, "NMDA": 2, "GABA": 3}
START_WINDOW_MV = 20.0
"""Width of the window below threshold from which first potentials are drawn (assumed)."""
START_MARGIN_MV = 6.0
"""Gap between that window and the threshold, so that no first volley is fired (assumed)."""


def load_spec(
    size: str = "small", *, tables: BrainTables | None = None, seed: int | None = None
) -> BrainSpec:
    """Return the specification of a brain size.

    Args:
        size: Name of a size in ``sizes.yaml``, with or without ``-conductance``.
        tables: Tables to scale; None for the package's own.
        seed: Seed of wiring and first potentials; None for the tables' own.

    Raises:
        ConfigurationError: Unknown size.
        TableError: Invalid tables.
    """
    tables = load_tables() if tables is None else tables
    return scale(tables, size, seed=seed)


def scale(tables: BrainTables, size_name: str, *, seed: int | None = None) -> BrainSpec:
    """Apply the scaling rule of ``sizes.yaml`` and the tuned bias currents of size and family."""
    size, rule, network = tables.size(size_name), tables.sizes.rule, tables.sizes.network
    points = working_points(tables, split_family(size_name)[1])
    offsets_pA = tables.bias_currents(size_name)
    inputs = {
        row.population: _background(row, points[row.population], tables.sizes.noise)
        for row in tables.drives.values()
    }
    populations = {}
    for name, row in tables.populations.items():
        point = points[name].with_constant_input(inputs[name].lost_mean if name in inputs else 0.0)
        count = neurons_built(row, size, rule)
        populations[name] = _population(row, point, count, point.bias_pA + offsets_pA.get(name, 0.0))
    projections = tuple(
        _projection(row, tables, size, populations, points[row.post])
        for row in tables.projections
        if row.enabled
    )
    return BrainSpec(
        name=size_name,
        tuned={name for name, row in populations.items() if row.v_init_mV} <= tables.bias(size_name).keys(),
        populations=tuple(populations.values()),
        projections=projections,
        drives=tuple(background.drive for background in inputs.values()),
        noise=NoisePool(
            relays=size.noise_relays,
            rate_hz=tables.sizes.noise.relay_rate_hz,
            delay_ms=(tables.sizes.noise.delay_min_ms, tables.sizes.noise.delay_max_ms),
        ),
        resolution_ms=network.resolution_ms,
        synapse_delay_max_ms=network.synapse_delay_max_ms,
        settle_ms=network.settle_ms,
        seed=network.seed if seed is None else seed,
        threads=size.threads,
    )


def neurons_built(row: PopulationRow, size: SizeRow, rule: ScalingRule) -> int:
    """Return how many neurons of a population are built at ``size``."""
    match row.scale_group:
        case "granule":
            wanted = max(size.neurons_min, round(row.neurons_full * size.granule_scale))
        case "nucleus":
            share = min(1.0, rule.nucleus_scale_factor * size.neuron_scale)
            wanted = max(rule.nucleus_neurons_min, round(row.neurons_full * share))
        case _:
            wanted = max(size.neurons_min, round(row.neurons_full * size.neuron_scale))
    return min(row.neurons_full, wanted)


def indegree_built(
    row: ProjectionRow, pre: PopulationRow, size: SizeRow, rule: ScalingRule, sources: int
) -> float:
    """Return the in-degree of a projection at ``size``, given the number of source neurons built."""
    if row.indegree <= rule.indegree_floor:
        wanted = row.indegree
    else:
        factor = size.granule_indegree_scale if pre.scale_group == "granule" else size.indegree_scale
        wanted = max(rule.indegree_floor, row.indegree * factor)
    return min(row.indegree, wanted, sources)


@dataclass(frozen=True)
class _Background:
    """Background input of a population, and the constant input (pA or nS) that replaces its lost mean."""

    drive: Drive
    lost_mean: float


def _background(row: DriveRow, point: WorkingPoint, rule: NoiseRule) -> _Background:
    weight = row.weight * point.ex_factor
    if point.model == "parrot_neuron":
        return _Background(
            Drive(population=row.population, rate_hz=row.rate_hz, weight=weight, inputs=0), 0.0
        )
    thinned_hz = row.rate_hz / rule.event_scale**2
    inputs = max(1, round(thinned_hz / rule.relay_rate_hz))
    rate_hz = inputs * rule.relay_rate_hz
    rounding = thinned_hz / rate_hz  # keeps the mean where the number of inputs was rounded
    drive = Drive(
        population=row.population, rate_hz=rate_hz, weight=weight * rule.event_scale * rounding, inputs=inputs
    )
    mean = row.rate_hz * 1e-3 * weight * point.charge_ms
    return _Background(drive, mean * (1 - 1 / rule.event_scale))


def _population(row: PopulationRow, point: WorkingPoint, size: int, bias_pA: float) -> Population:
    params = dict(point.params)
    window = None
    if point.model != "parrot_neuron":
        params["I_e"] = bias_pA
        window = _start_window(point)
    return Population(
        name=row.population,
        region=row.region,
        layer=row.layer,
        sign=row.sign,
        size=size,
        size_full=row.neurons_full,
        model=point.model,
        params=params,
        v_init_mV=window,
        weight_per_nS_ex=point.ex_factor,
        bias_per_mV=point.conductance_nS,
    )


def _start_window(point: WorkingPoint) -> tuple[float, float]:
    low = max(point.V_reset_mV, point.V_th_mV - START_WINDOW_MV)
    margin = min(START_MARGIN_MV, 0.4 * (point.V_th_mV - low))
    return low, point.V_th_mV - margin


def _projection(
    row: ProjectionRow,
    tables: BrainTables,
    size: SizeRow,
    populations: dict[str, Population],
    point: WorkingPoint,
) -> Projection:
    rule = tables.sizes.rule
    built = indegree_built(row, tables.populations[row.pre], size, rule, populations[row.pre].size)
    kept = built / row.indegree
    factor = point.in_factor if row.receptor == "in" else point.ex_factor if row.receptor == "ex" else 1.0
    log_sd = (
        max(rule.log_sd_min, row.weight_log_sd * kept**rule.log_sd_exponent) if row.weight_log_sd else 0.0
    )
    return Projection(
        pre=row.pre,
        post=row.post,
        receptor=row.receptor,
        indegree=built,
        weight=row.weight * tables.gain(row) * factor / kept,
        weight_log_sd=log_sd,
        sigma_mm=row.sigma_mm,
        delay_ms=row.delay_ms,
        delay_jitter_ms=row.delay_jitter_ms,
        port=PORTS.get(row.receptor, 0),
    )
