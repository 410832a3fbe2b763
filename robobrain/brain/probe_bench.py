"""Pathway tests: stimulate one stage of the loop at a time and see when and how the others follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.network import Network
from robobrain.brain.onset import NO_ONSET, Onset, find_onset
from robobrain.brain.pathways import COLUMN, GRADED, PATHWAYS, Pathway, Stage
from robobrain.brain.resting import RateMeter
from robobrain.brain.selectors import Selector, select
from robobrain.seeding import generator

BASE_MS, STIMULUS_MS, GAP_MS = 300.0, 200.0, 300.0
BIN_MS = 2.0
LATEST_MS = 150.0
"""A response that begins later is none of the pathway's."""
SURE = 2.0
"""A change counts when it is larger than so many standard errors over trials."""
STIMULUS_DELAY_MS = 1.0
WITHOUT_MV = 40.0
"""Hyperpolarisation of populations that are kept from firing (assumed: far beyond any synaptic input)."""


@dataclass(frozen=True, kw_only=True)
class StageResponse:
    """Response of one stage.

    Attributes:
        base_hz: Rate before the stimulus.
        change_hz: Change during the stimulus.
        error_hz: Standard error of the change over trials.
        gain: Change per change of the first stage.
        onset: Beginning of the response, from that of the stimulus on.
        course_hz: Rate over the trial in bins of 2 ms, from ``-BASE_MS`` on, mean over trials.
    """

    stage: Stage
    base_hz: float
    change_hz: float
    error_hz: float
    gain: float
    onset: Onset
    course_hz: NDArray[np.float64]

    @property
    def driven_hz(self) -> float:
        """Rate during the stimulus."""
        return self.base_hz + self.change_hz

    @property
    def direction(self) -> str:
        """``up`` or ``down`` where the change is sure, else ``none``."""
        if abs(self.change_hz) < SURE * self.error_hz or self.change_hz == 0:
            return "none"
        return "up" if self.change_hz > 0 else "down"

    @property
    def holds(self) -> bool:
        """Whether the response has the expected direction and stays below its ceiling."""
        return self.stage.direction in ("any", self.direction) and self.driven_hz < self.stage.below_hz


@dataclass(frozen=True, kw_only=True)
class PathwayResponse:
    """Responses along one pathway."""

    pathway: Pathway
    stages: tuple[StageResponse, ...]

    @property
    def in_order(self) -> bool:
        """Whether none of the ordered stages surely responds before one that it follows."""
        onsets = {response.stage.label: response.onset for response in self.stages}
        known = [onsets[label] for label in self.pathway.ordered if onsets[label].found]
        return not any(earlier.surely_after(later) for earlier, later in combinations(known, 2))

    @property
    def astray(self) -> tuple[str, ...]:
        """Populations that do not change surely more in the stimulated column than in the others."""
        found = {(stage.stage.population, stage.stage.column): stage for stage in self.stages}
        pairs = {name: (found[name, "stimulated"], found[name, "others"]) for name in self.pathway.in_column}
        return tuple(name for name, (column, others) in pairs.items() if not _surely_above(column, others))

    @property
    def holds(self) -> bool:
        """Whether directions, order and places are as expected."""
        return self.in_order and not self.astray and all(response.holds for response in self.stages)


class ProbeBench:
    """A network with a meter, on which pathways are tested one after the other."""

    def __init__(self, network: Network, pathways: Iterable[Pathway] = PATHWAYS) -> None:
        """Settle ``network``; those of ``pathways`` can be tested whose populations it has."""
        self._network = network
        self._meter = RateMeter(network)
        self.pathways = tuple(p for p in pathways if p.populations <= network.populations.keys())
        self._by_name = {population.name: population for population in network.spec.populations}
        self._stimuli = {pathway.name: self._stimulus(pathway) for pathway in self.pathways}
        network.nest.Simulate(network.spec.settle_ms)
        self._now_ms = network.spec.settle_ms

    def test(
        self, pathway: Pathway, *, trials: int, report: Callable[[int], None] = lambda trial: None
    ) -> PathwayResponse:
        """Stimulate ``trials`` times and measure the stages."""
        cells = {stage: self._cells(stage) for stage in pathway.stages}
        bins = round((BASE_MS + STIMULUS_MS) / BIN_MS)
        courses = {stage: np.zeros((trials, bins)) for stage in pathway.stages}
        keep_silent = self._pause(pathway.without, WITHOUT_MV)
        for trial in range(trials):
            keep_silent(True)
            self._simulate(GAP_MS)
            start_ms = self._now_ms
            counted = [self._span(BASE_MS), self._span(STIMULUS_MS, self._stimuli[pathway.name])]
            senders, times_ms = (np.concatenate(parts) for parts in zip(*counted, strict=True))
            for stage, members in cells.items():
                mine = times_ms[np.isin(senders, members)] - start_ms
                counts, _ = np.histogram(mine, bins=bins, range=(0.0, BASE_MS + STIMULUS_MS))
                courses[stage][trial] = counts / len(members) / BIN_MS * 1e3
            keep_silent(False)
            report(trial)
        driven_hz = 0.0
        responses = []
        for stage in pathway.stages:
            rng = generator(self._network.spec.seed, "onset", pathway.name, stage.label)
            response = _response(stage, courses[stage], driven_hz, rng)
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
            return self._pause(pathway.targets, pathway.silence_mV)
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

    def _pause(self, names: Iterable[str], shift_mV: float) -> Callable[[bool], None]:
        """Return what hyperpolarises populations and lets them go."""
        before = {name: np.asarray(self._network.nodes[name].get("I_e")) for name in names}

        def pause(on: bool) -> None:
            for name, current in before.items():
                shift_pA = shift_mV * self._by_name[name].bias_per_mV if on else 0.0
                self._network.nodes[name].I_e = current - shift_pA

        return pause

    def _cells(self, stage: Stage) -> NDArray[np.int64]:
        """Return the recorded cells of a stage."""
        recorded = self._meter.cells[stage.population]
        if stage.column == "all":
            return recorded
        column = select(Selector(population=stage.population, tile=COLUMN), self._network.populations)
        return recorded[np.isin(recorded, column, invert=stage.column == "others")]


def _surely_above(one: StageResponse, other: StageResponse) -> bool:
    return bool(one.change_hz - other.change_hz > SURE * np.hypot(one.error_hz, other.error_hz))


def _response(
    stage: Stage, courses_hz: NDArray[np.float64], driven_hz: float, rng: np.random.Generator
) -> StageResponse:
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
        onset=_onset(courses_hz, split, rng) if sure else NO_ONSET,
        course_hz=course,
    )


def _onset(courses_hz: NDArray[np.float64], split: int, rng: np.random.Generator) -> Onset:
    latest_bin = split + round(LATEST_MS / BIN_MS)
    return find_onset(courses_hz, stimulus_bin=split, latest_bin=latest_bin, bin_ms=BIN_MS, rng=rng)


def unmet(responses: Mapping[str, PathwayResponse]) -> list[str]:
    """Return one line for each expectation that does not hold."""
    lines = []
    for name, response in responses.items():
        lines += [
            f"{name}: {stage.stage.label} goes {stage.direction} to {stage.driven_hz:.1f} Hz, expected "
            f"{stage.stage.direction}"
            + (f" and below {stage.stage.below_hz:g} Hz" if np.isfinite(stage.stage.below_hz) else "")
            for stage in response.stages
            if not stage.holds
        ]
        lines += [
            f"{name}: {population} does not change more in the stimulated column than in the others"
            for population in response.astray
        ]
        if not response.in_order:
            lines.append(
                f"{name}: responses begin surely out of order ({', '.join(response.pathway.ordered)})"
            )
    return lines + _not_graded(responses)


def _not_graded(responses: Mapping[str, PathwayResponse]) -> list[str]:
    """Return one line for each stage whose response does not grow with the stimulus."""
    lines = []
    for graded in GRADED:
        if not set(graded.pathways) <= responses.keys():
            continue
        for label in graded.stages:
            steps = [
                next(stage for stage in responses[name].stages if stage.stage.label == label)
                for name in graded.pathways
            ]
            falls = [_surely_above(weaker, stronger) for weaker, stronger in pairwise(steps)]
            if any(falls) or steps[-1].direction != "up":
                found = ", ".join(f"{step.change_hz:+.2f}" for step in steps)
                lines.append(f"{graded.name}: {label} changes by {found} Hz, expected to grow")
    return lines
