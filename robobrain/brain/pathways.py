"""Pathways of the loop: what is stimulated, what should follow, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from robobrain.brain.selectors import Tile
from robobrain.errors import ConfigurationError

Direction = Literal["up", "down", "none", "any"]

COLUMN = Tile(index=1, nx=4, ny=2)
"""The stimulated column: an eighth of a sheet."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One population that should follow, and how.

    Attributes:
        population: Its name.
        direction: How its rate should change; ``any`` is reported and not judged.
        column: Only the cells of the stimulated column, or of the others.
        below_hz: The rate must stay below this during the stimulus.
    """

    population: str
    direction: Direction
    column: Literal["all", "stimulated", "others"] = "all"
    below_hz: float = math.inf

    @property
    def label(self) -> str:
        """Name with the part of the population that is meant."""
        part = {"all": "", "stimulated": " (stimulated column)", "others": " (other columns)"}[self.column]
        return self.population + part


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """A stimulus and the stages that should follow it, in order of their latency.

    Attributes:
        name: What is tested.
        targets: Stimulated populations.
        rate_hz: Poisson rate per stimulated cell.
        weight_nS: Weight of the stimulus.
        silence_mV: Hyperpolarise the targets by so many mV instead.
        without: Populations that are kept from firing before and during the stimulus.
        column: Whether only one tile (an eighth) of the targets is stimulated.
        stages: What follows.
        ordered: Labels whose latencies must not decrease.
        in_column: Populations that must change surely more in the stimulated column than in the others.
    """

    name: str
    targets: tuple[str, ...]
    rate_hz: float = 0.0
    weight_nS: float = 0.0
    silence_mV: float = 0.0
    without: tuple[str, ...] = ()
    column: bool = False
    stages: tuple[Stage, ...]
    ordered: tuple[str, ...] = ()
    in_column: tuple[str, ...] = ()

    @property
    def populations(self) -> set[str]:
        """Every population that is stimulated, silenced or measured."""
        return {*self.targets, *self.without, *(stage.population for stage in self.stages)}


@dataclass(frozen=True, kw_only=True)
class Graded:
    """Pathways with the same stimulus, ever stronger: the responses of some stages must not decrease."""

    name: str
    pathways: tuple[str, ...]
    stages: tuple[str, ...]


def _stages(**directions: Direction) -> tuple[Stage, ...]:
    return tuple(Stage(population=name, direction=direction) for name, direction in directions.items())


PATHWAYS = (
    Pathway(
        name="spindles to cortex",
        targets=("VM_EZ_TC",),
        rate_hz=100.0,
        weight_nS=6.0,
        stages=_stages(
            VM_EZ_TC="up", S1_L4_Pyr="up", S1_L3_Pyr="up", S1_L5B_Pyr="up", M1_L23_CC="up", M1_L5B_PT="any"
        ),
        ordered=("VM_EZ_TC", "S1_L4_Pyr", "M1_L23_CC"),
    ),
    Pathway(
        name="corticospinal column",
        targets=("M1_L5B_PT",),
        rate_hz=200.0,
        weight_nS=80.0,
        column=True,
        stages=(
            Stage(population="M1_L5B_PT", direction="up", column="stimulated"),
            *_stages(
                CB_M1_pons="up",
                CB_M1_gr="up",
                CB_M1_pkj="any",
                CB_M1_vn="up",
                VL_EZ_TC="up",
                BG_PTN="up",
                BG_STN="up",
                BG_GPi="up",
                VL_IZ_TC="down",
            ),
            Stage(population="M1_L5B_PT", direction="any", column="others"),
        ),
        ordered=("M1_L5B_PT (stimulated column)", "CB_M1_pons", "CB_M1_gr", "VL_EZ_TC"),
    ),
    Pathway(
        name="corticostriatal cells",
        targets=("M1_L5A_CS", "S1_L5A_Pyr"),
        rate_hz=200.0,
        weight_nS=40.0,
        stages=_stages(
            M1_L5A_CS="up", BG_CSN="up", BG_MSN="up", BG_FSI="up", BG_GPe="any", BG_GPi="down", VL_IZ_TC="up"
        ),
        ordered=("M1_L5A_CS", "BG_CSN", "BG_MSN"),
    ),
    Pathway(
        name="pause of GPi",
        targets=("BG_GPi",),
        silence_mV=40.0,
        stages=_stages(BG_GPi="down", VL_IZ_TC="up", M1_L5B_PT="up", M1_L23_CC="any"),
        ordered=("BG_GPi", "VL_IZ_TC"),
    ),
    Pathway(
        name="return to the column",
        targets=("M1_L5B_PT",),
        rate_hz=200.0,
        weight_nS=80.0,
        column=True,
        stages=(
            Stage(population="M1_L5B_PT", direction="up", column="stimulated"),
            Stage(population="VL_EZ_TC", direction="up", column="stimulated"),
            Stage(population="VL_EZ_TC", direction="any", column="others"),
            Stage(population="VL_IZ_TC", direction="down", column="others"),
            Stage(population="M1_L5B_CC", direction="any", column="stimulated"),
            Stage(population="M1_L5B_PT", direction="down", column="others"),
        ),
        in_column=("VL_EZ_TC",),
    ),
    *(
        Pathway(
            name=f"sensory gain {step}",
            targets=("VM_EZ_TC",),
            rate_hz=rate_hz,
            weight_nS=6.0,
            stages=(
                Stage(population="VM_EZ_TC", direction="up"),
                Stage(population="S1_L4_Pyr", direction="any"),
                Stage(population="S1_L3_Pyr", direction="any"),
                Stage(population="M1_L23_CC", direction="any"),
                Stage(population="M1_L5B_PT", direction="any"),
                Stage(population="BG_STN", direction="any", below_hz=100.0),
            ),
        )
        for step, rate_hz in enumerate((50.0, 150.0, 450.0), start=1)
    ),
    Pathway(
        name="parallel fibres",
        targets=("CB_M1_gr",),
        rate_hz=100.0,
        weight_nS=0.4,
        column=True,
        stages=(
            Stage(population="CB_M1_gr", direction="up", column="stimulated"),
            Stage(population="CB_M1_pkj", direction="up", column="stimulated"),
            Stage(population="CB_M1_bs", direction="up", column="stimulated"),
            Stage(population="CB_M1_pkj", direction="down", column="others"),
            Stage(population="CB_M1_vn", direction="down", column="stimulated"),
            Stage(population="CB_M1_vn", direction="any", column="others"),
        ),
    ),
    Pathway(
        name="silence of VL",
        targets=("VL_EZ_TC", "VL_IZ_TC", "VL_EZ_TCm", "VL_IZ_TCm"),
        silence_mV=40.0,
        stages=(
            *_stages(VL_EZ_TC="down", VL_IZ_TC="down", M1_L5B_PT="down"),
            *_stages(M1_L5B_CC="any", M1_L23_CC="any"),
        ),
    ),
    Pathway(
        name="spindles without S1",
        targets=("VM_EZ_TC",),
        rate_hz=450.0,
        weight_nS=6.0,
        without=tuple(f"S1_{layer}_Pyr" for layer in ("L2", "L3", "L4", "L5A", "L5B", "L6")),
        stages=(
            *_stages(VM_EZ_TC="up", S1_L4_Pyr="none", S1_L3_Pyr="none"),
            *_stages(M1_L23_CC="none", M1_L5B_PT="none"),
        ),
    ),
)
"""What is probed. Strengths are assumed: 50, 150 and 450 Hz raise relay cells by about 5, 15 and 40 Hz."""

GRADED = (
    Graded(
        name="sensory gain",
        pathways=("sensory gain 1", "sensory gain 2", "sensory gain 3"),
        stages=("VM_EZ_TC", "S1_L4_Pyr", "S1_L3_Pyr", "M1_L23_CC"),
    ),
)


def named(names: Iterable[str]) -> tuple[Pathway, ...]:
    """Return the pathways with these names, or that begin with them; all for none.

    Raises:
        ConfigurationError: There is no such pathway.
    """
    wanted = tuple(names)
    for name in wanted:
        if not any(pathway.name.startswith(name) for pathway in PATHWAYS):
            known = ", ".join(pathway.name for pathway in PATHWAYS)
            raise ConfigurationError(f"no pathway '{name}'; there are {known}")
    return tuple(pathway for pathway in PATHWAYS if not wanted or pathway.name.startswith(wanted))
