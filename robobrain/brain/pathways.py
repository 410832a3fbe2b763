"""Pathway tests: stimulate one stage of the loop at a time and see when and how the others follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.network import Network
from robobrain.brain.resting import RateMeter
from robobrain.brain.selectors import Selector, Tile, select

Direction = Literal["up", "down", "any"]

BASE_MS, STIMULUS_MS, GAP_MS = 300.0, 200.0, 300.0
BIN_MS = 2.0
LATEST_MS = 150.0
"""A response that begins later is none of the pathway's."""
SURE = 2.0
"""A change counts when it is larger than so many standard errors over trials."""
STIMULUS_DELAY_MS = 1.0
COLUMN = Tile(index=1, nx=4, ny=2)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One population that should follow, and how; ``column`` narrows it to one tile or the others."""

    population: str
    direction: Direction
    column: Literal["all", "stimulated", "others"] = "all"

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
        column: Whether only one tile (an eighth) of the targets is stimulated.
        stages: What follows; ``any`` is reported and not judged.
        ordered: Labels whose latencies must not decrease.
    """

    name: str
    targets: tuple[str, ...]
    rate_hz: float = 0.0
    weight_nS: float = 0.0
    silence_mV: float = 0.0
    column: bool = False
    stages: tuple[Stage, ...]
    ordered: tuple[str, ...] = ()


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
)


@dataclass(frozen=True, kw_only=True)
class StageResponse:
    """Response of one stage.

    Attributes:
        base_hz: Rate before the stimulus.
        change_hz: Change during the stimulus.
        error_hz: Standard error of the change over trials.
        gain: Change per change of the first stage.
        latency_ms: Beginning of the response; NaN where none is seen.
        course_hz: Rate over the trial in bins of 2 ms, from ``-BASE_MS`` on, mean over trials.
    """

    stage: Stage
    base_hz: float
    change_hz: float
    error_hz: float
    gain: float
    latency_ms: float
    course_hz: NDArray[np.float64]

    @property
    def direction(self) -> str:
        """``up`` or ``down`` where the change is sure, else ``none``."""
        if abs(self.change_hz) < SURE * self.error_hz or self.change_hz == 0:
            return "none"
        return "up" if self.change_hz > 0 else "down"

    @property
    def holds(self) -> bool:
        """Whether the response has the expected direction."""
        return self.stage.direction in ("any", self.direction)


@dataclass(frozen=True, kw_only=True)
class PathwayResponse:
    """Responses along one pathway."""

    pathway: Pathway
    stages: tuple[StageResponse, ...]

    @property
    def in_order(self) -> bool:
        """Whether the latencies of the ordered stages do not decrease."""
        latency = {response.stage.label: response.latency_ms for response in self.stages}
        known = [latency[label] for label in self.pathway.ordered if np.isfinite(latency[label])]
        return all(earlier <= later + BIN_MS for earlier, later in pairwise(known))

    @property
    def holds(self) -> bool:
        """Whether directions and order are as expected."""
        return self.in_order and all(response.holds for response in self.stages)


class ProbeBench:
    """A network with a meter, on which pathways are tested one after the other."""

    def __init__(self, network: Network) -> None:
        """Settle ``network``."""
        self._network = network
        self._meter = RateMeter(network)
        self._stimuli = {pathway.name: self._stimulus(pathway) for pathway in self.pathways}
        network.nest.Simulate(network.spec.settle_ms)
        self._now_ms = network.spec.settle_ms

    @property
    def pathways(self) -> tuple[Pathway, ...]:
        """The pathways whose populations this brain has."""
        known = self._network.populations
        return tuple(
            pathway
            for pathway in PATHWAYS
            if all(name in known for name in (*pathway.targets, *(s.population for s in pathway.stages)))
        )

    def test(
        self, pathway: Pathway, *, trials: int, report: Callable[[int], None] = lambda trial: None
    ) -> PathwayResponse:
        """Stimulate ``trials`` times and measure the stages."""
        cells = {stage: self._cells(stage) for stage in pathway.stages}
        bins = round((BASE_MS + STIMULUS_MS) / BIN_MS)
        courses = {stage: np.zeros((trials, bins)) for stage in pathway.stages}
        for trial in range(trials):
            self._simulate(GAP_MS)
            start_ms = self._now_ms
            counted = [self._span(BASE_MS), self._span(STIMULUS_MS, self._stimuli[pathway.name])]
            senders, times_ms = (np.concatenate(parts) for parts in zip(*counted, strict=True))
            for stage, members in cells.items():
                mine = times_ms[np.isin(senders, members)] - start_ms
                counts, _ = np.histogram(mine, bins=bins, range=(0.0, BASE_MS + STIMULUS_MS))
                courses[stage][trial] = counts / len(members) / BIN_MS * 1e3
            report(trial)
        driven_hz = 0.0
        responses = []
        for stage in pathway.stages:
            response = _response(stage, courses[stage], driven_hz)
            driven_hz = driven_hz or response.change_hz
            responses.append(response)
        return PathwayResponse(pathway=pathway, stages=tuple(responses))

    def _span(
        self, duration_ms: float, stimulus: Callable[[bool], None] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if stimulus is not None:
            stimulus(True)
        self._simulate(duration_ms)
        if stimulus is not None:
            stimulus(False)
        return self._meter.events()

    def _simulate(self, duration_ms: float) -> None:
        self._meter.run(duration_ms)
        self._now_ms += duration_ms

    def _stimulus(self, pathway: Pathway) -> Callable[[bool], None]:
        """Create the devices of a stimulus; return what switches it."""
        network = self._network
        if pathway.silence_mV:
            before = {name: network.nodes[name].get("I_e") for name in pathway.targets}
            by_name = {population.name: population for population in network.spec.populations}

            def pause(on: bool) -> None:
                for name, current in before.items():
                    shift = pathway.silence_mV * by_name[name].bias_per_mV if on else 0.0
                    network.nodes[name].I_e = np.asarray(current) - shift

            return pause
        source = network.nest.Create("poisson_generator", params={"rate": 0.0})
        for name in pathway.targets:
            place = network.populations[name]
            tile = COLUMN if pathway.column else None
            cells = select(Selector(population=name, tile=tile), network.populations)
            synapse = {"weight": pathway.weight_nS * place.weight_per_nS_ex, "delay": STIMULUS_DELAY_MS}
            network.nest.Connect(source, network.nest.NodeCollection(cells.tolist()), "all_to_all", synapse)

        def drive(on: bool) -> None:
            source.rate = pathway.rate_hz if on else 0.0

        return drive

    def _cells(self, stage: Stage) -> NDArray[np.int64]:
        """Return the recorded cells of a stage."""
        recorded = self._meter.cells[stage.population]
        if stage.column == "all":
            return recorded
        column = select(Selector(population=stage.population, tile=COLUMN), self._network.populations)
        return recorded[np.isin(recorded, column, invert=stage.column == "others")]


def _response(stage: Stage, courses_hz: NDArray[np.float64], driven_hz: float) -> StageResponse:
    split = round(BASE_MS / BIN_MS)
    changes = courses_hz[:, split:].mean(1) - courses_hz[:, :split].mean(1)
    change = float(changes.mean())
    course = courses_hz.mean(0)
    error = float(changes.std(ddof=1) / np.sqrt(len(changes))) if len(changes) > 1 else float("inf")
    sure = change != 0 and abs(change) >= SURE * error
    return StageResponse(
        stage=stage,
        base_hz=float(course[:split].mean()),
        change_hz=change,
        error_hz=error,
        gain=change / driven_hz if driven_hz else 1.0,
        latency_ms=_onset_ms(course, split) if sure else float("nan"),
        course_hz=course,
    )


def _onset_ms(course_hz: NDArray[np.float64], split: int) -> float:
    """Return the most likely time of a step between two rates, if counts are Poisson."""
    bins, total = len(course_hz), course_hz.sum()
    before = np.cumsum(course_hz)
    candidates = np.arange(split, split + round(LATEST_MS / BIN_MS))
    early, late = before[candidates - 1], total - before[candidates - 1]
    likelihood = _entropy(early, candidates) + _entropy(late, bins - candidates)
    return float((candidates[int(np.argmax(likelihood))] - split) * BIN_MS)


def _entropy(events: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(events > 0, events * np.log(np.maximum(events, 1e-12) / bins), 0.0)


def by_direction(responses: Mapping[str, PathwayResponse]) -> list[str]:
    """Return one line for each expectation that does not hold."""
    lines = []
    for name, response in responses.items():
        lines += [
            f"{name}: {stage.stage.label} goes {stage.direction}, expected {stage.stage.direction}"
            for stage in response.stages
            if not stage.holds
        ]
        if not response.in_order:
            lines.append(f"{name}: latencies are out of order ({', '.join(response.pathway.ordered)})")
    return lines
