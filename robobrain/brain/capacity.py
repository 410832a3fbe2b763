"""What a brain will cost to build, said before it is built, and whether the machine can hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robobrain.brain.axons import first_legs_ms, noise_leg_ms
from robobrain.brain.scaling import scale
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables
from robobrain.errors import ConfigurationError

# Measured with `robobrain bench build` at tiny, small, 0.1, medium and full; NEST 3.10.0, one thread of an
# x86-64 server core (see docs/brain_measured.md). Memory hardly depends on the machine; time does.
PROCESS_BYTES = 190e6
"""Interpreter, NumPy, NEST, and what NEST imports where it can (pandas, SciPy, Matplotlib: 80 MB)."""
NEURON_BYTES = 3_900.0
SYNAPSE_BYTES = 48.0
"""One synapse with the tables that NEST keeps of its source and target (no part grows with in-degree)."""
START_S = 0.5
"""Import of NEST, kernel start and calls, which small brains are dominated by."""
NEURON_S = 26e-6
SYNAPSE_S = 0.2e-6
RESERVE = 0.9
"""Part of the free memory that a build may take."""
SMALLEST_SCALE = 1e-4
BISECTIONS = 20
ROUNDING = 0.95
"""Keeps a scale that is rounded to two digits from being one that does not fit."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Predicted cost of a build: memory of the kernel process once it runs, wall time on one idle core."""

    neurons: int
    synapses: int
    noise_synapses: int
    memory_bytes: float
    build_s: float


def predict_cost(spec: BrainSpec) -> Cost:
    """Return what ``spec`` will take, from the tables alone."""
    sizes = {population.name: population.size for population in spec.populations}
    noise = sum(drive.inputs * sizes[drive.population] for drive in spec.drives)
    relays = spec.noise.relays * (2 if noise_leg_ms(spec) else 1)
    relays += sum(sizes[name] for name in first_legs_ms(spec))
    neurons, synapses = spec.neurons + relays, spec.synapses_expected + noise
    return Cost(
        neurons=spec.neurons,
        synapses=round(spec.synapses_expected),
        noise_synapses=noise,
        memory_bytes=PROCESS_BYTES + NEURON_BYTES * neurons + SYNAPSE_BYTES * synapses,
        build_s=START_S + NEURON_S * neurons + SYNAPSE_S * synapses,
    )


def check_fits(tables: BrainTables, spec: BrainSpec, *, free_bytes: float | None = None) -> None:
    """Raise unless the memory holds ``spec``.

    Args:
        tables: Tables of the brain, to say which scale would fit.
        spec: What is to be built.
        free_bytes: Memory to count with; None for what this machine has left.

    Raises:
        ConfigurationError: It does not fit; the message says what would.
    """
    free_bytes = free_memory_bytes() if free_bytes is None else free_bytes
    needed = predict_cost(spec).memory_bytes
    if needed <= RESERVE * free_bytes:
        return
    largest = _largest_scale(tables, free_bytes)
    advice = (
        f"A scale of {largest:.2g} would fit (about {scale(tables, f'{largest:.2g}').neurons:,} neurons)"
        if largest
        else "No brain of these tables would fit"
    )
    raise ConfigurationError(
        f"brain {spec.name} needs about {gib(needed)}, but only {gib(free_bytes)} of memory are free "
        f"(a build may take {RESERVE:.0%} of it). {advice}; or free memory, or use a larger machine."
    )


def gib(size_bytes: float) -> str:
    """Return a size in GiB, as people read it."""
    return f"{size_bytes / 2**30:.2g} GiB" if size_bytes < 100 * 2**30 else f"{size_bytes / 2**30:,.0f} GiB"


def free_memory_bytes() -> float:
    """Return the memory that this process can still take: of the machine, and of its control group."""
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kib = next(int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable"))
    return min(kib * 1024.0, _group_left_bytes())


def _group_left_bytes() -> float:
    """Return what the control group (container, batch job) has left, infinity without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = (group / "memory.current").read_text(encoding="ascii")
        return float("inf") if limit == "max" else float(limit) - float(used)
    except OSError:
        return float("inf")


def _largest_scale(tables: BrainTables, free_bytes: float) -> float | None:
    def fits(part: float) -> bool:
        return predict_cost(scale(tables, f"{part!r}")).memory_bytes <= RESERVE * free_bytes

    if not fits(SMALLEST_SCALE):
        return None
    low, high = SMALLEST_SCALE, 1.0
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(f"{ROUNDING * low:.2g}")
