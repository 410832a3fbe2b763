"""Models for the tests of the kernel process: a small, real NEST network, and ones that fail on request."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import nest
import numpy as np
from numpy.typing import NDArray

from robobrain.bridge.messages import Description, PhaseTimes, PopulationInfo, Port, Readings, Samples, Spikes
from robobrain.seeding import nest_seed

EXCHANGE_MS = 10.0
SETTLE_MS = 50.0
EXCITATORY, INHIBITORY, CHANNELS = 160, 40, 4


class BalancedNetwork:
    """200 neurons with Poisson noise; four input rates in Hz, spike counts of two populations as outputs."""

    def __init__(self, config: dict[str, Any], progress: Callable[[str, float], None]) -> None:
        self._threads = int(config.get("threads", 1))
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.ResetKernel()
        nest.local_num_threads = self._threads
        nest.rng_seed = 7
        progress("neurons", 0.0)
        self._build()
        progress("neurons", 1.0)
        nest.Prepare()
        nest.Run(SETTLE_MS)
        nest.Cleanup()
        self._spikes.n_events = 0
        progress("settle", 1.0)
        self.description = self._describe()

    def _build(self) -> None:
        self._ex = nest.Create("iaf_psc_exp", EXCITATORY)
        self._in = nest.Create("iaf_psc_exp", INHIBITORY)
        everyone = self._ex + self._in
        noise = nest.Create("poisson_generator", params={"rate": 8000.0})
        counter = {"tau_m": 1e12, "V_th": 1e12, "E_L": 0.0, "V_m": 0.0, "V_reset": 0.0}
        self._counters = nest.Create("iaf_psc_delta", 2, params=counter)
        self._spikes = nest.Create("spike_recorder")
        self._inputs = nest.Create("inhomogeneous_poisson_generator", CHANNELS)
        nest.Connect(noise, everyone, syn_spec={"weight": 45.0})
        nest.Connect(self._ex, everyone, {"rule": "fixed_indegree", "indegree": 16}, {"weight": 40.0})
        nest.Connect(self._in, everyone, {"rule": "fixed_indegree", "indegree": 4}, {"weight": -200.0})
        each = EXCITATORY // CHANNELS
        for channel in range(CHANNELS):
            targets = self._ex[channel * each : (channel + 1) * each]
            nest.Connect(self._inputs[channel], targets, syn_spec={"weight": 100.0})
        nest.Connect(self._ex, self._counters[0])
        nest.Connect(self._in, self._counters[1])
        nest.Connect(everyone, self._spikes)

    def _describe(self) -> Description:
        return Description(
            identity="test",
            brain="balanced",
            nest_version=nest.__version__,
            ranks=1,
            threads=self._threads,
            resolution_ms=0.1,
            exchange_ms=EXCHANGE_MS,
            settle_ms=SETTLE_MS,
            neurons=EXCITATORY + INHIBITORY,
            synapses=nest.num_connections,
            inputs=(Port(name="drive", unit="Hz", channels=tuple("abcd"), low=0.0, high=5000.0),),
            outputs=(Port(name="count", unit="1", channels=("ex", "in"), low=0.0, high=1e6),),
            populations=(
                PopulationInfo(name="ex", region="test", first_id=1, size=EXCITATORY),
                PopulationInfo(name="in", region="test", first_id=1 + EXCITATORY, size=INHIBITORY),
            ),
            build_ms={"neurons": 1.0},
        )

    def begin(self, seed: int) -> Readings:
        nest.rng_seed = nest_seed(seed, "brain")
        nest.Prepare()
        self._t_ms = SETTLE_MS
        return Readings(outputs=self._counts())

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        start = time.perf_counter()
        now = self._t_ms + 0.1
        self._inputs.set([{"rate_times": [now], "rate_values": [float(rate)]} for rate in inputs])
        encoded = time.perf_counter()
        nest.Run(EXCHANGE_MS)
        self._t_ms += EXCHANGE_MS
        ran = time.perf_counter()
        outputs, spikes = self._counts(), self._new_spikes()
        times = PhaseTimes(
            encode_ms=1e3 * (encoded - start),
            run_ms=1e3 * (ran - encoded),
            decode_ms=1e3 * (time.perf_counter() - ran),
        )
        return Readings(outputs=outputs, spikes=spikes, times=times)

    def collect(self) -> Spikes:
        return self._new_spikes()

    def reseed(self, seed: int) -> None:
        nest.Cleanup()
        nest.rng_seed = nest_seed(seed, "brain")
        nest.Prepare()

    def silence(self, names: Sequence[str]) -> None:
        for name, nodes in (("ex", self._ex), ("in", self._in)):
            if name in names or "test" in names:
                nodes.V_th = 1e9

    def digest(self) -> bytes:
        potentials = np.asarray((self._ex + self._in).get("V_m"))
        return hashlib.sha256(potentials.tobytes() + self._counts().tobytes()).digest()

    def _counts(self) -> NDArray[np.float32]:
        return np.asarray(self._counters.get("V_m"), dtype=np.float32)

    def _new_spikes(self) -> Spikes:
        """Select by time: the recorder strings its threads' spikes together, thread by thread."""
        events = self._spikes.events
        new = events["times"] > self._t_ms - EXCHANGE_MS + 0.05
        t_ms, sender = events["times"][new], events["senders"][new]
        order = np.lexsort((sender, t_ms))
        return Spikes(t_ms=t_ms[order] - SETTLE_MS, sender=sender[order].astype(np.uint32))


class Refusing:
    """Can't be built."""

    def __init__(self, config: dict[str, Any], progress: Callable[[str, float], None]) -> None:
        raise ValueError("the tables are upside down")


class Overthreaded(BalancedNetwork):
    """Runs one thread more than it is told to."""

    def __init__(self, config: dict[str, Any], progress: Callable[[str, float], None]) -> None:
        super().__init__({**config, "threads": int(config["threads"]) + 1}, progress)


class Fragile(BalancedNetwork):
    """Fails in ``exchange`` when the first input is 666 Hz, hangs when it is 999 Hz."""

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        if inputs[0] == 666.0:
            raise RuntimeError("the membrane broke")
        if inputs[0] == 999.0:
            time.sleep(3600.0)
        return super().exchange(inputs)


class Drifting(BalancedNetwork):
    """Never gives the same digest twice."""

    def digest(self) -> bytes:
        return str(time.perf_counter_ns()).encode()


class Equippable(BalancedNetwork):
    """Takes any text as its devices; making ``hang`` takes for ever."""

    is_equipped = True

    def configure(self, devices: str) -> None:
        self._devices = devices
        self.is_equipped = not devices

    def equip(self) -> None:
        if not self.is_equipped and self._devices == "hang":
            time.sleep(3600.0)
        self.is_equipped = True

    def collect_samples(self) -> tuple[Samples, ...]:
        return ()
