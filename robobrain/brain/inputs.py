"""The generators behind the input ports: how values of an exchange become trains, currents and spikes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, count
from typing import Any, NamedTuple

import numpy as np

from robobrain.brain.nodes import Floats, Nodes
from robobrain.brain.packed import RATE_SOURCE
from robobrain.brain.packed_library import Rates
from robobrain.brain.selectors import select_groups
from robobrain.brain.site import Site
from robobrain.brain.sources import (
    CurrentEncoder,
    DirectInputSource,
    Encoder,
    InputTarget,
    SpikesEncoder,
    Transfer,
)
from robobrain.errors import ConfigurationError


class _Group(NamedTuple):
    """Targets that one generator serves, and the channel that they hear."""

    source: DirectInputSource
    targets: Sequence[InputTarget]
    channel: int


class Inputs:
    """One generator per channel, half, gain and preferred value, shared by the groups that hear the same."""

    def __init__(self, site: Site, sources: Sequence[DirectInputSource]) -> None:
        """Create and connect the generators; errors as in `robobrain.brain.panel.Panel.build`."""
        self._site = site
        self.size = sum(len(source.channels) for source in sources)
        self._low = np.array([source.low for source in sources for _ in source.channels], dtype=float)
        self._high = np.array([source.high for source in sources for _ in source.channels], dtype=float)
        self._last = b""
        for source in sources:
            check_spikes(site, source)
        first_channels = [0, *accumulate(len(source.channels) for source in sources)]
        groups = [
            _Group(source, targets, first + source.channels.index(targets[0].channel))
            for source, first in zip(sources, first_channels, strict=False)
            for targets in _grouped(source.targets)
        ]
        kinds = [_model(group.source.encoder, site) for group in groups]
        self._pulsed, self._held, self._packed = (
            [index for index, kind in enumerate(kinds) if kind in models]
            for models in ({SPIKES}, {RATE, CURRENT}, {RATE_SOURCE})
        )
        self._held_kinds = [kinds[index] for index in self._held]
        self._rates = Rates(site.module, len(self._packed)) if site.module and self._packed else None
        places = count(self._rates.first if self._rates is not None else 0)
        created = []
        for group, kind in zip(groups, kinds, strict=True):
            device = site.nest.Create(kind, params={"place": next(places)} if kind == RATE_SOURCE else None)
            _connect(site, group.source, device, group.targets)
            created.append(device.global_id)
        self.devices = len(created)
        self._transfer = Transfer.of([(group.source.encoder, group.targets[0]) for group in groups])
        self._channel = np.array([group.channel for group in groups], dtype=np.intp)
        self._pulsed_nodes, self._held_nodes = (
            self._nodes(created, chosen) for chosen in (self._pulsed, self._held)
        )

    def write(self, values: Floats, t_ms: float) -> None:
        """Let ``values`` [size] act from ``t_ms`` on."""
        if values.shape != (self.size,) or not all(map(math.isfinite, values.tolist())):
            raise ConfigurationError(f"inputs must be {self.size} finite numbers, got {values!r}")
        written = values.tobytes()
        unchanged = written == self._last
        if unchanged and not self._pulsed:
            return  # generators hold what they were given
        within = np.minimum(np.maximum(values, self._low), self._high)
        strengths = self._transfer(within[self._channel])
        now = round(t_ms / self._site.resolution_ms)
        if self._rates is not None and not unchanged:
            self._rates.write(strengths[self._packed])
        if self._held_nodes is not None and not unchanged:
            first_ms = [(now + 1) * self._site.resolution_ms]
            held = zip(self._held_kinds, strengths[self._held].tolist(), strict=True)
            self._held_nodes.set([_held(kind, strength, first_ms) for kind, strength in held])
        if self._pulsed_nodes is not None:
            numbers = [round(strength) for strength in strengths[self._pulsed].tolist()]
            self._pulsed_nodes.set([{"spike_times": self._times_ms(number, now)} for number in numbers])
        self._last = written

    def quieten(self, t_ms: float) -> None:
        """Let nothing act from ``t_ms`` on, until values are written again."""
        first_ms = [t_ms + self._site.resolution_ms]
        if self._rates is not None:
            self._rates.write(0.0)
        if self._held_nodes is not None:
            self._held_nodes.set([_held(kind, 0.0, first_ms) for kind in self._held_kinds])
        if self._pulsed_nodes is not None:
            self._pulsed_nodes.set([{"spike_times": []}] * len(self._pulsed))
        self._last = b""

    def _times_ms(self, number: int, now: int) -> list[float]:
        """Return times of ``number`` spikes in the exchange that begins at step ``now``."""
        resolution_ms = self._site.resolution_ms
        return [(now + step) * resolution_ms for step in _spread(number, self._site.steps)]

    def _nodes(self, ids: list[int], chosen: list[int]) -> Nodes | None:
        if not chosen:
            return None
        collection = self._site.nest.NodeCollection([ids[index] for index in chosen])
        return Nodes(collection, low_level=self._site.low_level)


RATE, CURRENT, SPIKES = "inhomogeneous_poisson_generator", "dc_generator", "spike_generator"


def _model(encoder: Encoder, site: Site) -> str:
    if isinstance(encoder, CurrentEncoder):
        return CURRENT
    if isinstance(encoder, SpikesEncoder):
        return SPIKES
    return RATE if site.module is None else RATE_SOURCE


def _held(kind: str, strength: float, first_ms: list[float]) -> dict[str, Any]:
    if kind == CURRENT:
        return {"amplitude": strength}
    return {"rate_times": first_ms, "rate_values": [strength]}


@cache
def _spread(number: int, steps: int) -> list[int]:
    """Return ``number`` steps of 1 ... ``steps``, each at most once and evenly spread."""
    return [(2 * k + 1) * steps // (2 * number) + 1 for k in range(number)]


def check_spikes(site: Site, source: DirectInputSource) -> None:
    """Refuse more spikes in an exchange than it has time steps.

    Raises:
        ConfigurationError: That many do not fit; names the source.
    """
    if isinstance(source.encoder, SpikesEncoder) and source.encoder.max_spikes > site.steps:
        raise ConfigurationError(
            f"source {source.name}: max_spikes = {source.encoder.max_spikes}, but an exchange of "
            f"{site.exchange_ms:g} ms has only {site.steps} time steps"
        )


def _grouped(targets: Sequence[InputTarget]) -> list[list[InputTarget]]:
    """Gather the targets that one device can serve."""
    groups: dict[tuple[object, ...], list[InputTarget]] = {}
    for target in targets:
        groups.setdefault((target.channel, target.half, target.gain, target.preferred), []).append(target)
    return list(groups.values())


def _connect(site: Site, source: DirectInputSource, device: Any, targets: Sequence[InputTarget]) -> None:
    delay_ms = site.delay_ms(source.name, source.delay_ms)
    for target in targets:
        if target.weight_nS is None:
            for _, ids in site.neurons(f"source {source.name}", target.selector):
                site.connect(device, ids, weight=1.0, delay_ms=delay_ms)
            continue
        for population, ids in select_groups(target.selector, site.populations):
            weight = target.weight_nS * population.weight_per_nS_ex
            site.connect(device, ids, weight=weight, delay_ms=delay_ms)
