"""What building a brain costs: against NEST's own rule for as many synapses, and against the prediction."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from robobrain.brain.capacity import Cost, predict_cost
from robobrain.brain.network import Network
from robobrain.brain.spec import BrainSpec
from robobrain.seeding import nest_seed

PLAIN_INDEGREE = 100
PLAIN_WEIGHT, PLAIN_DELAY_MS = 1.0, 1.5


@dataclass(frozen=True, kw_only=True)
class BuildCost:
    """Measured cost of one build. Times are the process's own time, so that other load counts little.

    Attributes:
        predicted: What the tables predict.
        synapses: Synapses in the kernel, background included.
        build_s: Creating, connecting and driving, on one thread.
        connect_s: Connecting and driving alone.
        plain_s: ``fixed_indegree`` of the same number of synapses between plain populations.
        memory_bytes: Resident memory once the network has run.
        synapse_bytes: Memory that connecting and the first step added, per synapse.
    """

    predicted: Cost
    synapses: int
    build_s: float
    connect_s: float
    plain_s: float
    memory_bytes: float
    synapse_bytes: float

    @property
    def ratio(self) -> float:
        """Connecting over NEST's own rule."""
        return self.connect_s / self.plain_s


class _Clock:
    """Takes memory and processor time at the end of each phase of a build."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.bytes: dict[str, float] = {}
        self._start = time.process_time()

    def __call__(self, phase: str, fraction: float) -> None:
        if fraction == 1.0:
            now = time.process_time()
            self.seconds[phase], self._start = now - self._start, now
            self.bytes[phase] = resident_bytes()


def measure_build(spec: BrainSpec) -> BuildCost:
    """Build ``spec`` on one thread, run one step, and compare with NEST's own rule in the same process."""
    clock = _Clock()
    start = time.process_time()
    network = Network(spec, threads=1, progress=clock)
    build_s = time.process_time() - start
    network.nest.Simulate(network.min_delay_ms)
    memory_bytes = resident_bytes()
    synapses = sum(network.synapses.values()) + network.noise_synapses
    return BuildCost(
        predicted=predict_cost(spec),
        synapses=synapses,
        build_s=build_s,
        connect_s=clock.seconds["connect"] + clock.seconds["drive"],
        plain_s=_plain_s(network, synapses),
        memory_bytes=memory_bytes,
        synapse_bytes=(memory_bytes - clock.bytes["create"]) / synapses,
    )


def _plain_s(network: Network, synapses: int) -> float:
    """Return the time of one ``fixed_indegree`` Connect of so many synapses in a kernel of its own."""
    nest = network.nest
    nest.ResetKernel()
    nest.resolution = network.spec.resolution_ms
    nest.rng_seed = nest_seed(network.spec.seed, "plain")
    targets = max(1, synapses // PLAIN_INDEGREE)
    cells = nest.Create("iaf_psc_alpha", targets)
    rule = {"rule": "fixed_indegree", "indegree": PLAIN_INDEGREE}
    start = time.process_time()
    nest.Connect(cells, cells, rule, {"weight": PLAIN_WEIGHT, "delay": PLAIN_DELAY_MS})
    return time.process_time() - start


def resident_bytes() -> float:
    """Return the memory that this process holds."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024.0
