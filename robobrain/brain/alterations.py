"""Lesions and controls: changes to a specification by name, each a part of the identity of what is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from robobrain.brain.spec import BrainSpec, Population, Projection
from robobrain.errors import ConfigurationError, choices

NEVER_MV = 1e9
"""Threshold of a cell that never fires."""
EVERYWHERE = "*"


@dataclass(frozen=True, kw_only=True)
class Alterations:
    """What is changed about a brain. Names are populations or regions.

    Attributes:
        lesion: Dead tissue: its cells never fire, and no synapse from or to them is built. Their places are
            kept, so that interfaces hold; what is sent to them is lost, what is read from them is zero.
        silence: Cells that never fire, but still listen, as under optogenetic or pharmacological silencing.
        disconnect: ``PRE:POST``: no synapse from PRE to POST is built; ``*`` stands for everything.
        shuffle: Permute the sources of every projection: each cell keeps its numbers of incoming and outgoing
            synapses, but topography is lost.
    """

    lesion: tuple[str, ...] = ()
    silence: tuple[str, ...] = ()
    disconnect: tuple[str, ...] = ()
    shuffle: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> Alterations:
        """Return the alterations of a mapping of plain lists, as JSON holds them; None for none."""
        values = values or {}
        names = {name: tuple(values.get(name, ())) for name in ("lesion", "silence", "disconnect")}
        return cls(**names, shuffle=bool(values.get("shuffle", False)))

    @property
    def described(self) -> tuple[str, ...]:
        """One phrase for each change."""
        named = (("lesion", self.lesion), ("silence", self.silence), ("disconnect", self.disconnect))
        phrases = [f"{verb} {name}" for verb, names in named for name in names]
        return (*phrases, *(["shuffle"] if self.shuffle else []))


NONE = Alterations()
"""The brain of the tables."""


def alter(spec: BrainSpec, changes: Alterations) -> BrainSpec:
    """Return ``spec`` with ``changes``.

    Raises:
        ConfigurationError: A name is unknown, or a disconnection meets no projection.
    """
    if not changes.described:
        return spec
    dead = _members(spec, changes.lesion, "lesion")
    silent = _members(spec, changes.silence, "silence")
    cut = _cut(spec, changes.disconnect)
    relays = {p.name for p in spec.populations if p.v_init_mV is None}
    deaf = dead | (silent & relays)  # a relay repeats what it hears, so it is silenced by hearing nothing
    return dataclasses.replace(
        spec,
        populations=tuple(_muted(p) if p.name in dead | silent else p for p in spec.populations),
        projections=tuple(
            p for p in spec.projections if p.key not in cut and p.pre not in dead and p.post not in deaf
        ),
        drives=tuple(drive for drive in spec.drives if drive.population not in deaf),
        shuffled=changes.shuffle,
        altered=changes.described,
    )


def _muted(population: Population) -> Population:
    if population.v_init_mV is None:
        return population
    return dataclasses.replace(population, params={**population.params, "V_th": NEVER_MV})


def _members(spec: BrainSpec, names: Iterable[str], what: str) -> set[str]:
    """Return the populations that the names mean."""
    members: set[str] = set()
    for name in names:
        found = {p.name for p in spec.populations if name in (p.name, p.region, EVERYWHERE)}
        if not found:
            known = [place for p in spec.populations for place in (p.region, p.name)]
            raise ConfigurationError(
                f"{what} '{name}': this brain has no such population or region; it has "
                f"{choices(name, known)}. 'robobrain brain info --populations' lists them."
            )
        members |= found
    return members


def _cut(spec: BrainSpec, pairs: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return the keys of the projections that the pairs mean."""
    cut: set[tuple[str, str, str]] = set()
    for pair in pairs:
        pre, colon, post = pair.partition(":")
        if not (pre and colon and post):
            raise ConfigurationError(f"disconnect '{pair}': write PRE:POST, e.g. M1:BG or M1_L5B_PT:CB_M1.")
        found = _between(spec, _members(spec, [pre], "disconnect"), _members(spec, [post], "disconnect"))
        if not found:
            raise ConfigurationError(f"disconnect '{pair}': there is no projection from {pre} to {post}.")
        cut |= {projection.key for projection in found}
    return cut


def _between(spec: BrainSpec, pre: set[str], post: set[str]) -> list[Projection]:
    return [p for p in spec.projections if p.pre in pre and p.post in post]
