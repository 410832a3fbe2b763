"""What a joystick session is: zones, times, lateral force, blocks and reward weights, read from YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from robobrain.errors import ConfigurationError
from robobrain.plugins import load, offered
from robobrain.tasks.joystick.files import Provenance, Specification, build, package_file, read_yaml

PRESETS = ("quick", "mathis2017", "centre_out")
"""Names of the task presets that come with the package."""

DEFAULT_PRESET = "quick"


@dataclass(frozen=True, kw_only=True)
class Home(Specification):
    """Where and for how long the joystick must rest before a trial's cue.

    Attributes:
        radius_mm: The joystick is at home within this distance of its rest position.
        dwell_ms: Uninterrupted time at home until the cue.
        timeout_ms: The trial is given up this long after it began without a cue.
    """

    radius_mm: float
    dwell_ms: float
    timeout_ms: float

    def __post_init__(self) -> None:
        _need_positive(self, "radius_mm", "timeout_ms")
        _need_not_negative(self, "dwell_ms")
        _need(self.timeout_ms > self.dwell_ms, "timeout_ms must be longer than dwell_ms")


@dataclass(frozen=True, kw_only=True)
class Pull(Specification):
    """Lines and time limits of the movement, on the joystick's pull axis.

    Attributes:
        start_mm: Crossing this line after the cue is the attempt.
        return_mm: Falling below this line after the start ends the trial.
        response_timeout_ms: Longest time from the cue to the start.
        move_timeout_ms: Longest time from the start to the end.
    """

    start_mm: float
    return_mm: float
    response_timeout_ms: float
    move_timeout_ms: float

    def __post_init__(self) -> None:
        _need_positive(self, "start_mm", "response_timeout_ms", "move_timeout_ms")
        _need(self.return_mm < self.start_mm, "return_mm must lie below start_mm")


@dataclass(frozen=True, kw_only=True)
class Target(Specification):
    """The rectangle in which the joystick must be held.

    Attributes:
        near_mm: Near edge on the pull axis.
        far_mm: Far edge on the pull axis.
        half_width_mm: The lateral position may differ from 0 by this much.
        dwell_ms: Uninterrupted time inside until the reward.
    """

    near_mm: float
    far_mm: float
    half_width_mm: float
    dwell_ms: float

    def __post_init__(self) -> None:
        _need_positive(self, "near_mm", "half_width_mm")
        _need_not_negative(self, "dwell_ms")
        _need(self.far_mm > self.near_mm, "far_mm must lie beyond near_mm")

    def contains(self, lateral_mm: float, pull_mm: float) -> bool:
        """Say whether a joystick position is inside."""
        return self.near_mm <= pull_mm <= self.far_mm and abs(lateral_mm) <= self.half_width_mm

    def distance_mm(self, lateral_mm: float, pull_mm: float) -> float:
        """Return the distance from a joystick position to the nearest point of the rectangle."""
        short, far = self.near_mm - pull_mm, pull_mm - self.far_mm
        beside = abs(lateral_mm) - self.half_width_mm
        pull_gap = short if short > 0.0 else max(far, 0.0)
        return math.hypot(pull_gap, beside) if beside > 0.0 else pull_gap

    def centre_mm(self, direction_deg: float = 0.0) -> tuple[float, float]:
        """Return the lateral and the pull position of the centre when it lies in a direction."""
        angle, middle = math.radians(direction_deg), (self.near_mm + self.far_mm) / 2
        return middle * math.sin(angle), middle * math.cos(angle)


@dataclass(frozen=True, kw_only=True)
class LateralField(Specification):
    """When the lateral force acts: from the onset line on, until the trial ends or for the longest time.

    Attributes:
        onset_mm: The force switches on where a started pull crosses this line.
        longest_ms: It switches off after this time at the latest.
    """

    onset_mm: float
    longest_ms: float

    def __post_init__(self) -> None:
        _need_positive(self, "onset_mm", "longest_ms")


@dataclass(frozen=True, kw_only=True)
class InterTrial(Specification):
    """Pause between two trials: ``duration_ms`` plus a uniform draw from +-``jitter_ms``."""

    duration_ms: float
    jitter_ms: float

    def __post_init__(self) -> None:
        _need_not_negative(self, "duration_ms", "jitter_ms")
        _need(self.jitter_ms <= self.duration_ms, "jitter_ms must not exceed duration_ms")


@dataclass(frozen=True, kw_only=True)
class MeasureLines(Specification):
    """Pull positions at which the measures of a trial are taken.

    Attributes:
        deviation_before_mm: Lateral deviation is read here, before the force.
        deviation_after_mm: And here, after its onset.
        duration_from_mm: The movement's duration begins here.
        duration_to_mm: And ends here.
    """

    deviation_before_mm: float
    deviation_after_mm: float
    duration_from_mm: float
    duration_to_mm: float

    def __post_init__(self) -> None:
        _need_positive(self, "deviation_before_mm", "duration_from_mm")
        _need(
            self.deviation_after_mm > self.deviation_before_mm,
            "deviation_after_mm must lie beyond deviation_before_mm",
        )
        _need(self.duration_to_mm > self.duration_from_mm, "duration_to_mm must lie beyond duration_from_mm")


@dataclass(frozen=True, kw_only=True)
class RewardWeights(Specification):
    """Weights of the reward terms; ``effort`` and ``miss`` are subtracted.

    Attributes:
        success: Given once, at the end of a rewarded trial.
        progress: Given in parts, in sum for coming from rest to the target within one trial.
        effort: Taken per second, times the mean squared excitation.
        miss: Taken once, at the end of a trial without reward.
    """

    success: float
    progress: float
    effort: float
    miss: float

    def __post_init__(self) -> None:
        _need_not_negative(self, *(item.name for item in fields(self)))


@dataclass(frozen=True, kw_only=True)
class Block(Specification):
    """Consecutive trials under one lateral force.

    Attributes:
        name: Name in the trial table.
        trials: Number of trials.
        lateral_force_mN: Force on the joystick, positive toward the animal's left.
        catch_fraction: Probability that a trial of the block has no force.
        directions_deg: Directions of the movement, of which each trial draws one: 0 is a pull, 90 to the
            animal's left, 180 a push, 270 to its right. Start line and target turn with it; the force does
            not.
    """

    name: str
    trials: int
    lateral_force_mN: float
    catch_fraction: float = 0.0
    directions_deg: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        _need(self.trials >= 1, "trials must be at least 1")
        _need(len(self.directions_deg) >= 1, "directions_deg must name at least one direction")
        _need(0.0 <= self.catch_fraction <= 1.0, "catch_fraction must lie in 0 to 1")


@dataclass(frozen=True, kw_only=True)
class JoystickSpec(Specification):
    """A session of joystick movements. Positions are the joystick's, in mm from rest; x lateral, y pull.

    Where a block has other directions than a pull, what is said of y holds along the direction, and what is
    said of x across it. In the dark (``light: false``) environments show no joystick, paw and target, only
    what the limb feels.

    ``provenance`` holds the source of each number by its dotted name, e.g. ``home.radius_mm``.
    """

    name: str
    description: str
    home: Home
    pull: Pull
    target: Target
    force_field: LateralField
    inter_trial: InterTrial
    measures: MeasureLines
    reward: RewardWeights
    blocks: tuple[Block, ...]
    light: bool = True
    provenance: Mapping[str, Provenance] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _need(len(self.blocks) >= 1, "blocks must name at least one block")
        _need(self.home.radius_mm < self.pull.start_mm, "home.radius_mm must be smaller than pull.start_mm")
        _need(self.pull.start_mm <= self.target.near_mm, "pull.start_mm must not lie beyond target.near_mm")
        _need(
            self.force_field.onset_mm >= self.pull.start_mm,
            "force_field.onset_mm must not lie before pull.start_mm",
        )

    @property
    def trials(self) -> int:
        """Number of trials of the whole session."""
        return sum(block.trials for block in self.blocks)

    def block_of(self, trial: int) -> Block:
        """Return the block of a trial (from 1); beyond the session's end the last block goes on.

        Raises:
            ConfigurationError: ``trial`` is below 1.
        """
        if trial < 1:
            raise ConfigurationError(f"Trials are numbered from 1, got {trial}.")
        last = 0
        for block in self.blocks:
            last += block.trials
            if trial <= last:
                return block
        return self.blocks[-1]


def load_task(task: str | Path | JoystickSpec = DEFAULT_PRESET) -> JoystickSpec:
    """Load a task by the name of a preset or the path of a YAML file; a specification is returned as it is.

    Names are those of the package's presets, and those that other distributions offer under
    ``robobrain.tasks``.

    Raises:
        ConfigurationError: Neither a preset nor a file, or the file is invalid; the message names the entry.
    """
    if isinstance(task, JoystickSpec):
        return task
    path = package_file(f"{task}.yaml") if task in PRESETS else Path(task)
    if not path.is_file() and str(task) in offered("tasks"):
        offer = load("tasks", str(task))
        if isinstance(offer, JoystickSpec):
            return offer
        path = Path(str(offer))
    if path.is_dir():
        raise ConfigurationError(
            f"The task {str(task)!r} is a directory: give the path of a YAML file in it."
        )
    if not path.is_file():
        raise ConfigurationError(
            f"Unknown task {str(task)!r}: give a preset ({', '.join(PRESETS)}), a YAML file, or the name of"
            " one that an installed package offers."
        )
    values, provenance = read_yaml(path)
    return build(JoystickSpec, values | {"provenance": provenance}, path.name)


def _need(condition: bool, rule: str) -> None:
    if not condition:
        raise ConfigurationError(f"{rule}.")


def _need_positive(specification: object, *names: str) -> None:
    for name in names:
        _need(getattr(specification, name) > 0, f"{name} must be above 0, got {getattr(specification, name)}")


def _need_not_negative(specification: object, *names: str) -> None:
    for name in names:
        _need(
            getattr(specification, name) >= 0,
            f"{name} must not be negative, got {getattr(specification, name)}",
        )
