"""The network in NEST: create, connect, drive. Each phase is timed; nothing here is a number of the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.alterations import EVERYWHERE
from robobrain.brain.axons import first_legs_ms, is_slow, noise_leg_ms
from robobrain.brain.nodes import Nodes
from robobrain.brain.packed import MODELS, SYNAPSE, load, module_path
from robobrain.brain.packed_library import SpikeLog
from robobrain.brain.ranks import ranks
from robobrain.brain.selectors import PlacedPopulation
from robobrain.brain.sheet import Sheet, draw_synapses
from robobrain.brain.spec import CYCLE_MS, BrainSpec, Population, Projection
from robobrain.errors import ConfigurationError
from robobrain.seeding import generator, nest_seed

Progress = Callable[[str, float], None]
Ids = NDArray[np.int64]

BATCH = 500_000
"""Synapses per call of Connect: a call costs about 90 us however few they are."""


class _Wires(NamedTuple):
    """Synapses as Connect takes them: identifiers, and one value each."""

    source: Ids
    target: Ids
    weight: NDArray[np.float64]
    delay: NDArray[np.float64]
    receptor_type: Ids


class Axons(NamedTuple):
    """Relays of a population's slow paths: first identifier, and the delay until a spike is there."""

    first_id: int
    delay_ms: float


class _Batch:
    """Synapses that wait for one call of Connect."""

    def __init__(self, connect: Callable[[Ids, Ids, dict[str, NDArray[Any]]], None]) -> None:
        self._connect = connect
        self._wires: list[_Wires] = []
        self.waiting = 0

    def add(self, wires: _Wires) -> None:
        self._wires.append(wires)
        self.waiting += len(wires.target)

    def connect(self) -> None:
        """Connect what waits."""
        if self.waiting:
            columns = zip(_Wires._fields, zip(*self._wires, strict=True), strict=True)
            joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns}
            self._connect(joined.pop("source"), joined.pop("target"), joined)
        self._wires, self.waiting = [], 0


@dataclass(frozen=True, kw_only=True)
class KernelCounts:
    """NEST's own count of a network."""

    neurons: int
    synapses: int


class Network:
    """A brain built into the NEST kernel of this process.

    Attributes:
        spec: What was built.
        populations: Place and identifiers of each population.
        axons: Relays of each population that has paths too slow for one synapse.
        synapses: Number of recurrent synapses by projection (pre, post, receptor).
        noise_synapses: Number of synapses from the pool of background relays.
        generators: Sources of the background input.
        module: Module of the packed neurons that it is built from; None for NEST's own.
        build_ms: Wall time of each phase.
    """

    def __init__(
        self,
        spec: BrainSpec,
        *,
        threads: int | None = None,
        replay: Mapping[str, float] | None = None,
        packed: Path | bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Reset the kernel and build.

        Args:
            spec: What to build.
            threads: Threads of the kernel; None for the size's own.
            replay: Rates (Hz) by population: open loop, where each of these populations sends through
                stand-ins that fire as Poisson trains at that rate whatever it does itself.
            packed: Build from packed neurons where they are compiled (True), from NEST's own (False), or from
                the packed ones of this module.
            progress: Called with phase and fraction done.
        """
        import nest  # noqa: PLC0415 - heavy, and only kernel processes need it

        self.nest: Any = nest
        self.spec = spec
        self.threads = spec.threads if threads is None else threads
        self.populations: dict[str, PlacedPopulation] = {}
        self.nodes: dict[str, Any] = {}
        self.axons: dict[str, Axons] = {}
        self.synapses: dict[tuple[str, str, str], int] = {}
        self.noise_synapses = 0
        self.generators: list[Any] = []
        self.build_ms: dict[str, float] = {}
        self.module = module_path() if packed is True else packed or None
        self._report = progress or (lambda phase, fraction: None)
        self._prepare_kernel()
        with self._phase("create"):
            self._create()
        with self._phase("connect"):
            senders = self._senders(replay or {})
            self._create_axons(senders)
            self._connect(senders)
        with self._phase("drive"):
            self._drive()

    @property
    def min_delay_ms(self) -> float:
        """Shortest delay in the kernel: exchanges are multiples of it."""
        return float(self.nest.min_delay)

    def spike_log(self) -> SpikeLog | None:
        """Return where the packed neurons log their spikes; None where there are none."""
        return None if self.module is None else SpikeLog(self.module, self.threads)

    def kernel_counts(self) -> KernelCounts:
        """Ask NEST itself for the neurons of all populations and the synapses between them."""
        return KernelCounts(neurons=self._neurons_in_kernel, synapses=len(self.synapses_in_kernel()))

    def synapses_in_kernel(self, pre: str = EVERYWHERE, post: str = EVERYWHERE) -> Any:
        """Return NEST's collection of the synapses from ``pre`` to ``post``, on whatever way the spikes go.

        Args:
            pre: Population, region, or ``*``.
            post: Likewise.
        """
        senders = [population for population in self.populations.values() if _within(population, pre)]
        receivers = [population for population in self.populations.values() if _within(population, post)]
        return self._synapses(senders, receivers)

    def cut(self, pre: str, post: str) -> int:
        """Let nothing pass from ``pre`` to ``post`` any more; return the number of synapses.

        Possible between two runs. Weights become zero, which is cheap; only the few synapses on relays, which
        repeat spikes whatever their weight, are removed (4 ms each).

        Args:
            pre: Population, region, or ``*``.
            post: Likewise.
        """
        senders = [population for population in self.populations.values() if _within(population, pre)]
        found = 0
        for relay in (False, True):
            receivers = [p for p in self.populations.values() if p.relay == relay and _within(p, post)]
            if not (senders and receivers):
                continue
            synapses = self._synapses(senders, receivers)
            found += len(synapses)
            if relay and len(synapses):
                synapses.disconnect()
            elif len(synapses):
                synapses.weight = 0.0
        return found

    def _synapses(self, senders: Sequence[PlacedPopulation], receivers: Sequence[PlacedPopulation]) -> Any:
        sources = [(p.first_id, p.size) for p in senders]
        sources += [(self.axons[p.name].first_id, p.size) for p in senders if p.name in self.axons]
        targets = [(p.first_id, p.size) for p in receivers]
        return self.nest.GetConnections(self._collect(sources), self._collect(targets))

    def _collect(self, ranges: Sequence[tuple[int, int]]) -> Any:
        ids = [np.arange(first_id, first_id + size) for first_id, size in ranges]
        return self.nest.NodeCollection(np.concatenate(ids).tolist())

    def _prepare_kernel(self) -> None:
        self.nest.verbosity = self.nest.VerbosityLevel.ERROR
        self.nest.ResetKernel()
        if self.nest.num_processes != ranks().size:
            raise ConfigurationError(
                f"{ranks().size} ranks were started, but this NEST was built without MPI; 'make mpi' "
                "installs one with MPI into .venv-mpi"
            )
        self.nest.resolution = self.spec.resolution_ms
        self.nest.local_num_threads = self.threads
        self.nest.rng_seed = nest_seed(self.spec.seed, "network")
        if self.module is not None:
            load(self.nest, self.module)
        else:  # apart from those of devices, as packed ones are: NEST's sums depend on the order of synapses
            self.nest.CopyModel("static_synapse", SYNAPSE)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._report(name, 0.0)
        start = time.perf_counter()
        yield
        self.build_ms[name] = (time.perf_counter() - start) * 1e3
        self._report(name, 1.0)

    def _create(self) -> None:
        for population in self.spec.populations:
            params: dict[str, Any] = dict(population.params)
            lists = {
                name: params.pop(name) for name, value in population.params.items() if isinstance(value, list)
            }
            if population.v_init_mV is not None:
                rng = generator(self.spec.seed, "potential", population.name)
                params["V_m"] = rng.uniform(*population.v_init_mV, population.size)
            nodes = self._nodes_of(population, params)
            for name, value in lists.items():
                nodes.set({name: value})
            self.nodes[population.name] = nodes
            self.populations[population.name] = place(population, nodes[0].global_id)
        self._neurons_in_kernel = int(self.nest.network_size)  # nothing else has been created yet

    def _nodes_of(self, population: Population, params: dict[str, Any]) -> Any:
        """Create neurons; an array among ``params`` has one value for each."""
        if ranks().size == 1:  # one call costs half of two
            return self._created(population.model, population.size, params)
        potentials = params.pop(
            "V_m", None
        )  # where there are ranks, NEST takes no values of other ranks' nodes
        nodes = self._created(population.model, population.size, params)
        if potentials is not None:
            Nodes(nodes).set([{"V_m": value} for value in potentials.tolist()])
        return nodes

    def _created(self, model: str, number: int, params: dict[str, Any] | None = None) -> Any:
        """Create nodes of one of NEST's models, or packed ones that compute the same."""
        built = model if self.module is None else MODELS.get(model, model)
        return self.nest.Create(built, number, params=params)

    def _senders(self, replay: Mapping[str, float]) -> dict[str, int]:
        """Return the first identifier of the nodes that send in the name of each population."""
        senders = {name: population.first_id for name, population in self.populations.items()}
        for name, rate_hz in replay.items():
            senders[name] = self._poisson_relays(self.populations[name].size, rate_hz)
        return senders

    def _create_axons(self, senders: Mapping[str, int]) -> None:
        """Create the relays of slow paths, and lead the spikes of ``senders`` to them."""
        for name, delay_ms in first_legs_ms(self.spec).items():
            self.axons[name] = self._relays(senders[name], self.populations[name].size, delay_ms)

    def _relays(self, from_id: int, size: int, delay_ms: float) -> Axons:
        """Create a relay for each of the nodes from ``from_id`` on; it repeats that node's spikes later."""
        relays = Axons(int(self._created("parrot_neuron", size)[0].global_id), delay_ms)
        legs = {"weight": np.ones(size), "delay": np.full(size, delay_ms)}
        sources, targets = (np.arange(first_id, first_id + size) for first_id in (from_id, relays.first_id))
        self._connect_columns(sources, targets, legs)
        return relays

    def _connect(self, senders: Mapping[str, int]) -> None:
        sheets = {population.name: Sheet(population.size) for population in self.spec.populations}
        total = len(self.spec.projections)
        batch = _Batch(self._connect_columns)
        for index, projection in enumerate(self.spec.projections):
            drawn = draw_synapses(
                projection,
                sheets[projection.pre],
                sheets[projection.post],
                self.spec.resolution_ms,
                wiring_generator(self.spec.seed, projection),
                shuffled=self.spec.shuffled,
            )
            self.synapses[projection.key] = len(drawn.target)
            slow = is_slow(self.spec, projection)
            first_id, gone_ms = self.axons[projection.pre] if slow else (senders[projection.pre], 0.0)
            batch.add(
                _Wires(
                    source=drawn.source + first_id,
                    target=drawn.target + self.populations[projection.post].first_id,
                    weight=drawn.weight,
                    delay=drawn.delay_ms - gone_ms,
                    receptor_type=np.full(len(drawn.target), projection.port),
                )
            )
            if batch.waiting >= BATCH:
                batch.connect()
                self._report("connect", index / total)
        batch.connect()

    def _connect_columns(self, source: Ids, target: Ids, synapses: dict[str, NDArray[Any]]) -> None:
        self.nest.Connect(source, target, "one_to_one", {"synapse_model": SYNAPSE} | synapses)

    def _drive(self) -> None:
        noise, resolution_ms = self.spec.noise, self.spec.resolution_ms
        pool = self._poisson_relays(noise.relays, noise.rate_hz)
        leg_ms = noise_leg_ms(self.spec)
        late = self._relays(pool, noise.relays, leg_ms).first_id if leg_ms else pool
        batch = _Batch(self._connect_columns)
        for drive in self.spec.drives:
            if not drive.inputs:
                source = self._generator(drive.rate_hz)
                synapse = {"weight": drive.weight, "delay": CYCLE_MS}
                self.nest.Connect(source, self.nodes[drive.population], "all_to_all", synapse)
                continue
            rng = generator(self.spec.seed, "noise", drive.population)
            listener = self.populations[drive.population]
            target = np.repeat(np.arange(listener.size), drive.inputs) + listener.first_id
            relay = rng.integers(0, noise.relays, len(target))
            delay_ms = rng.uniform(*noise.delay_ms, len(target))
            delay_ms = np.maximum(1, np.round(delay_ms / resolution_ms)) * resolution_ms
            slow = delay_ms > self.spec.synapse_delay_max_ms
            relay += np.where(slow, late, pool)
            delay_ms -= np.where(slow, leg_ms, 0.0)
            weight = np.full(len(target), drive.weight)
            batch.add(_Wires(relay, target, weight, delay_ms, np.zeros_like(target)))
            self.noise_synapses += len(target)
            if batch.waiting >= BATCH:
                batch.connect()
        batch.connect()

    def _poisson_relays(self, number: int, rate_hz: float) -> int:
        """Create neurons that fire as independent Poisson trains; return the first identifier."""
        relays = self._created("parrot_neuron", number)
        source = self._generator(rate_hz)
        self.nest.Connect(source, relays, "all_to_all", {"delay": CYCLE_MS})
        return int(relays[0].global_id)

    def _generator(self, rate_hz: float) -> Any:
        source = self.nest.Create("poisson_generator", params={"rate": rate_hz})
        self.generators.append(source)
        return source


def _within(population: PlacedPopulation, name: str) -> bool:
    return name in (population.name, population.region, EVERYWHERE)


def wiring_generator(seed: int, projection: Projection) -> np.random.Generator:
    """Return the random stream from which a projection is drawn."""
    return generator(seed, "wiring", *projection.key)


def place(population: Population, first_id: int) -> PlacedPopulation:
    """Return the population on its sheet, with its neurons numbered from ``first_id`` on."""
    x_mm, y_mm = Sheet(population.size).positions_mm()
    return PlacedPopulation(
        name=population.name,
        region=population.region,
        first_id=int(first_id),
        size=population.size,
        x_mm=x_mm,
        y_mm=y_mm,
        weight_per_nS_ex=population.weight_per_nS_ex,
        layer=population.layer,
        current_per_mV=population.bias_per_mV,
        relay=population.v_init_mV is None,
    )
