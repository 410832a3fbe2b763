"""Where neurons lie and which ones a neuron listens to.

Every population is an open sheet of 1 mm x 1 mm. Its neurons sit on the sites of a square lattice, spare ones
stacked on the first sites. Coordinates run from -0.5 to 0.5 mm, so that a projection between two sheets keeps
topography whatever their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.spec import Projection

HALF_MM = 0.5
REDRAWS = 30
"""Draws outside the sheet are repeated this often; a source that never falls inside sits at the centre."""


@dataclass(frozen=True)
class Sheet:
    """Lattice of one population of ``size`` neurons."""

    size: int

    @cached_property
    def side(self) -> int:
        """Sites along one edge."""
        return max(1, int(np.sqrt(self.size)))

    @property
    def sites(self) -> int:
        """Number of sites; site ``s`` holds the neurons s, s + sites, ..."""
        return self.side**2

    def positions_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of every neuron (mm, -0.5 ... 0.5)."""
        return self._positions_mm

    @cached_property
    def _positions_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        column, row = np.divmod(np.arange(self.size) % self.sites, self.side)
        return (column + 0.5) / self.side - HALF_MM, (row + 0.5) / self.side - HALF_MM

    def neurons_at(
        self, x_mm: NDArray[np.float64], y_mm: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return for each point one neuron, drawn from those on the nearest site."""
        column = np.minimum(((x_mm + HALF_MM) * self.side).astype(np.int64), self.side - 1)
        row = np.minimum(((y_mm + HALF_MM) * self.side).astype(np.int64), self.side - 1)
        site = column * self.side + row
        stacked = (self.size - site + self.sites - 1) // self.sites
        drawn: NDArray[np.int64] = site + self.sites * (rng.random(len(site)) * stacked).astype(np.int64)
        return drawn


@dataclass(frozen=True)
class Synapses:
    """Drawn synapses of one projection: indices within the populations, weights, delays."""

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    delay_ms: NDArray[np.float64]


def draw_synapses(
    projection: Projection,
    pre: Sheet,
    post: Sheet,
    resolution_ms: float,
    rng: np.random.Generator,
    *,
    shuffled: bool = False,
) -> Synapses:
    """Draw a projection: each target gets its in-degree (a fraction by chance), sources near its own place.

    Multapses are allowed, autapses are moved to the next neuron. Delays are multiples of the resolution.
    ``shuffled`` permutes the sources: all in- and out-degrees are kept, topography is lost.
    """
    target = np.repeat(np.arange(post.size), draw_indegrees(projection, post, rng))
    source = _draw_sources(projection, pre, post, target, rng)
    if projection.pre == projection.post:
        own = source == target
        source[own] = (source[own] + 1) % pre.size
    if shuffled:
        source = rng.permutation(source)
        if projection.pre == projection.post:
            _swap_autapses(source, target, rng)
    return Synapses(
        source=source,
        target=target,
        weight=_draw_weights(projection, len(target), rng),
        delay_ms=_draw_delays(projection, len(target), resolution_ms, rng),
    )


def draw_indegrees(projection: Projection, post: Sheet, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the number of synapses of each target; it is the first draw of a projection.

    All targets get the whole part of the in-degree; the rest goes to targets drawn without repetition. A
    projection never ends up without any synapse, however small the brain.
    """
    whole = int(projection.indegree)
    spare = (projection.indegree - whole) * post.size
    extra = int(spare) + int(rng.random() < spare - int(spare))
    indegree = np.full(post.size, whole, dtype=np.int64)
    indegree[rng.permutation(post.size)[: max(extra, 0 if whole else 1)]] += 1
    return indegree


def _draw_sources(
    projection: Projection, pre: Sheet, post: Sheet, target: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    if projection.sigma_mm is None or pre.side == 1:
        return rng.integers(0, pre.size, len(target))
    x_mm, y_mm = post.positions_mm()
    x_source = _scatter(x_mm[target], projection.sigma_mm, rng)
    y_source = _scatter(y_mm[target], projection.sigma_mm, rng)
    return pre.neurons_at(x_source, y_source, rng)


def _swap_autapses(source: NDArray[np.int64], target: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Let autapses swap their sources with other synapses, so that all degrees are kept."""
    for synapse in np.flatnonzero(source == target):
        for other in rng.integers(0, len(source), REDRAWS):
            if target[synapse] not in (source[other], target[other]):
                source[[synapse, other]] = source[[other, synapse]]
                break


def _scatter(
    centre_mm: NDArray[np.float64], sigma_mm: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw from a Gaussian around each centre, truncated to the sheet."""
    drawn = centre_mm + sigma_mm * rng.standard_normal(len(centre_mm))
    outside = np.flatnonzero(np.abs(drawn) >= HALF_MM)
    for _ in range(REDRAWS):
        if not outside.size:
            return drawn
        drawn[outside] = centre_mm[outside] + sigma_mm * rng.standard_normal(outside.size)
        outside = outside[np.abs(drawn[outside]) >= HALF_MM]
    drawn[outside] = centre_mm[outside]
    return drawn


def _draw_weights(projection: Projection, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    if not projection.weight_log_sd:
        return np.full(number, projection.weight)
    sd = projection.weight_log_sd
    return projection.weight * np.exp(sd * rng.standard_normal(number) - sd * sd / 2)


def _draw_delays(
    projection: Projection, number: int, resolution_ms: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    delay_ms = np.full(number, projection.delay_ms)
    if projection.delay_jitter_ms:
        delay_ms += projection.delay_jitter_ms * rng.random(number)
    return np.maximum(1, np.round(delay_ms / resolution_ms)) * resolution_ms
