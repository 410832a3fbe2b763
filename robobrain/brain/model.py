"""The whole brain as the kernel process serves it: network, panel of devices, and a clock."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.alterations import Alterations
from robobrain.brain.choice import choose
from robobrain.brain.devices import NO_DEVICES, Devices, beside_the_panel, from_text, joined
from robobrain.brain.history_taps import SampleChunk, check_signal
from robobrain.brain.inspection import inspect, membranes
from robobrain.brain.instruments import Instruments
from robobrain.brain.interfaces import load_devices, load_interfaces
from robobrain.brain.network import Network
from robobrain.brain.nodes import Nodes
from robobrain.brain.packed import NeuronModels, neuron_models
from robobrain.brain.panel import Panel, PortRow, input_ports, output_ports
from robobrain.brain.ranks import ranks
from robobrain.brain.resets import resets_of
from robobrain.brain.selectors import evenly_spread
from robobrain.brain.settled import OUT_OF_REACH_MV, Settled
from robobrain.brain.site import Site
from robobrain.brain.spike_tap import SpikeChunk, SpikeTap
from robobrain.bridge.messages import (
    Description,
    History,
    PhaseTimes,
    PopulationInfo,
    Port,
    Readings,
    Resets,
    Samples,
    Spikes,
)
from robobrain.errors import ConfigurationError
from robobrain.seeding import nest_seed

PROBES = 8
"""Neurons of each population whose membrane potential goes into a digest."""

NO_DEVICES_BESIDE = (
    "a brain that is reset by re-initialisation (on MPI ranks, or without fork) takes no devices beside the "
    "ports of its wiring: NEST can't take them out again; use a brain of one process"
)

_DIGITS = 6
"""Decimals of spike times (ms); NEST's grid is coarser, and the differences of its times are not on it."""


class BrainModel:
    """A whole brain in the NEST kernel of this process, settled and ready to be forked.

    Attributes:
        description: What was built, and the order of inputs and outputs.
        threads: Number of threads of the kernel.
    """

    def __init__(self, config: Mapping[str, Any], progress: Callable[[str, float], None]) -> None:
        """Build and settle what ``config`` describes (fields: `robobrain.brain.config.KernelConfig`)."""
        alterations = Alterations.of(config.get("alterations"))
        spec = choose(config["brain"]).spec(seed=config.get("seed"), alterations=alterations)
        packed = neuron_models(config.get("neurons")) is NeuronModels.PACKED
        self._network = Network(spec, threads=config.get("threads"), packed=packed, progress=progress)
        self._nest = self._network.nest
        self.threads = self._network.threads
        self._exchange_ms = float(config["exchange_ms"])
        self._devices = NO_DEVICES
        self._instruments: Instruments | None = None
        self._instrument(config, progress)
        self._probes = Nodes(self._nest.NodeCollection(_probe_ids(self._network)))
        self._resets = resets_of(config)
        if self._resets is Resets.REINITIALISATION and not self._wired.empty:
            raise ConfigurationError(NO_DEVICES_BESIDE)
        self._check(self._wired)
        self._settle(progress)
        self._start_ms, self._t_ms = self._network.spec.settle_ms, -1.0
        self._settled = self._noted() if self._resets is Resets.REINITIALISATION else None
        self.description = self._describe()

    def begin(self, seed: int) -> Readings:
        """Reseed the kernel's random numbers and start the clock at the settled state."""
        is_first, span_ms = self._t_ms < 0, self._network.spec.settle_ms / 2
        if not is_first:
            self._return_to_settled()
        self.reseed(seed)
        self.equip()
        self._t_ms = 0.0
        outputs = self._panel.begin(span_ms) if is_first else self._panel.begin_again(span_ms)
        if self._instruments is not None:
            outputs = np.concatenate([outputs, self._instruments.panel.begin()])
        return Readings(outputs=outputs)

    @property
    def is_equipped(self) -> bool:
        """Whether this process has all devices of the next episode."""
        return self._instruments is not None or joined(self._wired, self._devices).empty

    def equip(self) -> None:
        """Make the devices of the next episode that are missing.

        Raises:
            ConfigurationError: They do not fit the brain.
        """
        if not self.is_equipped:
            self._nest.Cleanup()
            self._instruments = Instruments(self._site(), joined(self._wired, self._devices), self._start_ms)
            self._nest.Prepare()

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        """Let ``inputs`` act for one exchange period and read what came of it."""
        start = time.perf_counter()
        now_ms = self._start_ms + self._t_ms
        if self._instruments is not None:
            self._instruments.write(inputs[self._panel.input_size :], now_ms)
        self._panel.write(inputs[: self._panel.input_size], now_ms)
        written = time.perf_counter()
        self._nest.Run(self._exchange_ms)
        ran = time.perf_counter()
        self._t_ms += self._exchange_ms
        outputs = self._panel.read()
        samples: tuple[Samples, ...] = ()
        if self._instruments is not None:
            outputs = np.concatenate([outputs, self._instruments.panel.read()])
            samples = _samples(self._instruments.advance(self._exchange_ms))
        spikes = self._spikes()
        times = PhaseTimes(
            encode_ms=(written - start) * 1e3,
            run_ms=(ran - written) * 1e3,
            decode_ms=(time.perf_counter() - ran) * 1e3,
        )
        return Readings(outputs=outputs, spikes=spikes, times=times, samples=samples)

    def collect(self) -> Spikes | None:
        """Return the spikes of the exchanges since spikes were last handed out."""
        return None if self._tap is None else self._since_start(self._tap.flush())

    def collect_samples(self) -> tuple[Samples, ...]:
        """Return the samples of the exchanges since samples were last handed out."""
        return () if self._instruments is None else _samples(self._instruments.flush())

    def configure(self, devices: str) -> None:
        """Take the devices of the next episodes.

        Raises:
            ConfigurationError: They do not fit this brain; those of before stay.
        """
        wanted = from_text(devices)
        if self._resets is Resets.REINITIALISATION and not wanted.empty:
            raise ConfigurationError(NO_DEVICES_BESIDE)
        self._check(joined(self._wired, wanted))
        wired = {port.name for ports in self._panel.ports for port in ports}
        added = [*(source.name for source in wanted.inputs), *(monitor.name for monitor in wanted.outputs)]
        if taken := sorted(wired.intersection(added)):
            raise ConfigurationError(f"the brain's wiring already has {', '.join(taken)}; rename the devices")
        self._devices = wanted
        self.description = self._describe()

    def reseed(self, seed: int) -> None:
        """Draw random numbers from ``seed`` from here on, at the start or in the middle of an episode."""
        self._nest.rng_seed = nest_seed(seed, "brain")

    def silence(self, names: Sequence[str]) -> None:
        """Let the neurons of populations or regions fire no more: their thresholds move out of reach.

        ``PRE:POST`` cuts the synapses between two of them instead; ``*`` stands for everything.

        Raises:
            ConfigurationError: A population consists of relays, which have no threshold, or there is nothing
                to cut.
        """
        for pair in names:
            pre, colon, post = pair.partition(":")
            if colon and not self._network.cut(pre, post):
                raise ConfigurationError(f"there is no synapse from {pre} to {post} to cut")
        for name, population in self._network.populations.items():
            if name in names or population.region in names:
                nodes = self._network.nodes[name]
                if "V_th" not in nodes[0].get():
                    raise ConfigurationError(f"{name} consists of relays, which can't be silenced")
                nodes.V_th = OUT_OF_REACH_MV

    def digest(self) -> bytes:
        """Return a digest of the last exchange: spikes of the whole network, and probes of its state.

        Reading a potential costs 12 us, so `PROBES` neurons of each population are read, evenly spread. The
        network is recurrent and NEST's count has every spike, so another course shows in a few ms.
        """
        counts = np.append(self._panel.counted, self._nest.local_spike_counter)
        return hashlib.sha256(self._probes.get("V_m").tobytes() + counts.tobytes()).digest()

    def _check(self, devices: Devices) -> None:
        site = self._site()
        inspect(devices, site)
        for field in devices.fields:
            check_signal(site, field)

    def _noted(self) -> Settled:
        """Note the settled state, for a return to it in this process."""
        self._nest.Cleanup()
        settled = Settled(self._network)
        self._nest.Prepare()
        return settled

    def _return_to_settled(self) -> None:
        """Return to the settled state in this process, where no copy of it was kept."""
        assert self._settled is not None
        self._nest.Cleanup()
        self._start_ms = self._settled.restore(self._panel, self._start_ms + self._t_ms)
        self._nest.Prepare()
        if self._tap is not None:
            self._tap.flush()

    def _site(self) -> Site:
        """Return the settled network as the makers of an episode's devices find it."""
        return Site(
            nest=self._nest,
            populations=self._network.populations,
            resolution_ms=self._network.spec.resolution_ms,
            exchange_ms=self._exchange_ms,
            min_delay_ms=self._network.min_delay_ms,
            module=self._network.module,
            max_delay_ms=float(self._nest.max_delay),
        )

    def _instrument(self, config: Mapping[str, Any], progress: Callable[[str, float], None]) -> None:
        progress("instrument", 0.0)
        start = time.perf_counter()
        populations = self._network.populations
        wiring = config.get("interfaces")
        interfaces = load_interfaces(Path(wiring) if wiring else None)
        self._wired = beside_the_panel(load_devices(Path(wiring)) if wiring else NO_DEVICES)
        self._panel = Panel.build(
            self._nest,
            populations,
            interfaces.sources,
            interfaces.monitors,
            resolution_ms=self._network.spec.resolution_ms,
            exchange_ms=self._exchange_ms,
            min_delay_ms=self._network.min_delay_ms,
            module=self._network.module,
        )
        record: bool | int = config.get("record_spikes", False)
        self._tap = None
        if record:
            self._tap = SpikeTap(
                self._nest,
                populations,
                populations,
                min_delay_ms=self._network.min_delay_ms,
                log=self._network.spike_log(),
                per_population=None if record is True else record,
            )
        self._network.build_ms["instrument"] = (time.perf_counter() - start) * 1e3
        progress("instrument", 1.0)

    def _settle(self, progress: Callable[[str, float], None]) -> None:
        """Run the network to its settled state, and leave it prepared.

        Prepare writes to each neuron, which in every copy of this process would copy the pages of all of
        them: at 109,000 neurons 39,000 pages, more time than all the rest of a reset (measured).
        """
        start, half_ms = time.perf_counter(), self._network.spec.settle_ms / 2
        self._nest.Prepare()
        self._nest.Run(half_ms)
        progress("settle", 0.5)
        self._panel.begin()  # the second half gives the outputs at rest that an episode begins with
        self._nest.Run(half_ms)
        progress("settle", 1.0)
        if self._tap is not None:
            self._tap.flush()
        self._network.build_ms["settle"] = (time.perf_counter() - start) * 1e3

    def _spikes(self) -> Spikes | None:
        chunk = self._tap.advance(self._exchange_ms) if self._tap is not None else None
        return None if chunk is None else self._since_start(chunk)

    def _since_start(self, chunk: SpikeChunk) -> Spikes:
        return Spikes(t_ms=np.round(chunk.t_ms - self._start_ms, _DIGITS), sender=chunk.sender)

    def _describe(self) -> Description:
        network, spec = self._network, self._network.spec
        inputs, outputs = self._panel.ports
        devices = joined(self._wired, self._devices)
        return Description(
            identity=spec.identity,
            brain=spec.label,
            nest_version=self._nest.__version__,
            neuron_models=(NeuronModels.NEST if network.module is None else NeuronModels.PACKED).value,
            ranks=ranks().size,
            threads=self.threads,
            resolution_ms=spec.resolution_ms,
            exchange_ms=self._exchange_ms,
            settle_ms=spec.settle_ms,
            neurons=spec.neurons,
            synapses=sum(network.synapses.values()),
            inputs=_ports((*inputs, *input_ports(devices.inputs))),
            outputs=_ports((*outputs, *output_ports(devices.outputs))),
            populations=tuple(
                PopulationInfo(name=p.name, region=p.region, first_id=p.first_id, size=p.size)
                for p in network.populations.values()
            ),
            build_ms=dict(network.build_ms),
            histories=histories(devices, self._site()),
            resets=self._resets,
        )


def _samples(chunks: tuple[SampleChunk, ...]) -> tuple[Samples, ...]:
    return tuple(Samples(**chunk._asdict()) for chunk in chunks)


def _probe_ids(network: Network) -> list[int]:
    return [
        int(population.first_id + index)
        for population in network.populations.values()
        for index in evenly_spread(population.size, min(PROBES, population.size))
    ]


def _ports(rows: tuple[PortRow, ...]) -> tuple[Port, ...]:
    return tuple(Port(**row._asdict()) for row in rows)


def histories(devices: Devices, site: Site) -> tuple[History, ...]:
    """Return the histories that devices hand out."""
    sums = (
        History(
            name=field.name,
            unit=field.signal.unit,
            columns=tuple(field.groups),
            interval_ms=field.interval_ms,
            description=field.description,
        )
        for field in devices.fields
    )
    potentials = (
        History(
            name=voltage.name,
            unit="mV",
            columns=tuple(map(str, membranes(voltage.name, voltage.targets, site).tolist())),
            interval_ms=voltage.interval_ms,
            description=voltage.description,
        )
        for voltage in devices.voltages
    )
    spikes = (
        History(name=monitor.name, unit="node id", columns=("sender",), description=monitor.description)
        for monitor in devices.spike_times
    )
    return (*sums, *potentials, *spikes)
