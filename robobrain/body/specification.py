"""What a body is made of: numbers read from ``data/forelimb.yaml`` and ``data/spinal.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from robobrain.body.datafile import load

MUSCLE_NAMES = ("Foot1", "Foot2", "Radius1", "Radius2", "Humerus1", "Humerus2", "Humerus3", "Humerus4")
"""Order of the muscles in every array."""

JOINT_NAMES = ("shoulder_pro_retraction", "shoulder_ab_adduction", "elbow", "wrist")
"""Order of the limb's joints in every array."""

COORDINATE_NAMES = (*JOINT_NAMES, "joystick_lateral", "joystick_pull")
PHYSICS_NAMES = (
    *(f"angle/{name}" for name in COORDINATE_NAMES),
    *(f"speed/{name}" for name in COORDINATE_NAMES),
    *(f"activation/{name}" for name in MUSCLE_NAMES),
)
"""What makes up the posture and motion of the body, in MuJoCo's order: rad, rad/s, 0 to 1."""

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Span = tuple[float, float]

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class PhysicsSpec:
    """Settings of the engine and of the rest posture."""

    __pydantic_config__ = _STRICT
    gravity_m_s2: Vector
    timestep_s: Positive
    limit_time_constant_s: Positive
    settle_s: Positive
    resting_tone: Fraction


@dataclass(frozen=True, kw_only=True)
class CapsuleSpec:
    """The tissue of a segment: a capsule from the segment's origin to ``end_mm``, which gives its mass."""

    __pydantic_config__ = _STRICT
    end_mm: Vector
    radius_mm: Positive
    density_kg_m3: Positive


@dataclass(frozen=True, kw_only=True)
class SegmentSpec:
    """A rigid segment, placed in its parent's frame. Without a capsule it is fixed and has no mass."""

    __pydantic_config__ = _STRICT
    parent: str
    position_mm: Vector
    quaternion: Quaternion
    capsule: CapsuleSpec | None = None


@dataclass(frozen=True, kw_only=True)
class JointSpec:
    """A hinge at a segment's origin; ``motor_Nm`` is the largest torque of a limb that motors move."""

    __pydantic_config__ = _STRICT
    segment: str
    axis: Vector
    range_rad: Span
    damping_Nms_rad: NotNegative
    armature_kg_m2: NotNegative
    motor_Nm: Positive

    def __post_init__(self) -> None:
        """Check the range."""
        _check_span("range_rad", self.range_rad)


@dataclass(frozen=True, kw_only=True)
class MuscleModelSpec:
    """What the muscles share: activation dynamics and the shape of force over length and speed."""

    __pydantic_config__ = _STRICT
    activation_ms: Positive
    deactivation_ms: Positive
    max_speed_per_s: Positive
    fibre_range: Span
    active_range: Span
    passive_force: NotNegative
    eccentric_force: Positive

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_span("fibre_range", self.fibre_range)
        _check_span("active_range", self.active_range)


@dataclass(frozen=True, kw_only=True)
class PathPoint:
    """A point of a muscle's path, fixed in a segment."""

    __pydantic_config__ = _STRICT
    segment: str
    position_mm: Vector


@dataclass(frozen=True, kw_only=True)
class MuscleSpec:
    """A muscle: its strength, the lengths of fibre and tendon, and its path from origin to insertion."""

    __pydantic_config__ = _STRICT
    action: str
    max_force_N: Positive
    optimal_fibre_mm: Positive
    tendon_slack_mm: NotNegative
    path: Annotated[tuple[PathPoint, ...], Field(min_length=2)]


@dataclass(frozen=True, kw_only=True)
class JoystickSpec:
    """A stick on two hinges with springs and dampers, given by what is felt at its tip."""

    __pydantic_config__ = _STRICT
    pivot_mm: Vector
    tip_mm: Vector
    stick_mass_mg: Positive
    handle_radius_mm: Positive
    range_rad: Span
    tip_stiffness_N_m: NotNegative
    tip_damping_Ns_m: NotNegative
    tip_effective_mass_g: NotNegative
    grip_time_constant_s: Positive
    clamp_time_constant_s: Positive

    def __post_init__(self) -> None:
        """Check the range and that the tip is above the pivot."""
        _check_span("range_rad", self.range_rad)
        if self.tip_mm[2] <= self.pivot_mm[2]:
            raise ValueError("tip_mm must lie above pivot_mm")


@dataclass(frozen=True, kw_only=True)
class ForelimbSpec:
    """A forelimb at a joystick. ``provenance`` tells, by pattern of entry, where the numbers come from."""

    __pydantic_config__ = _STRICT
    name: str
    physics: PhysicsSpec
    segments: dict[str, SegmentSpec]
    joints: dict[str, JointSpec]
    muscle_model: MuscleModelSpec
    muscles: dict[str, MuscleSpec]
    joystick: JoystickSpec
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        """Check the names: order of joints and muscles, parents before children, known segments."""
        _check_names("joints", self.joints, JOINT_NAMES)
        _check_names("muscles", self.muscles, MUSCLE_NAMES)
        self.grip  # noqa: B018 (raises when there is none)
        known = ["world"]
        for name, segment in self.segments.items():
            _check_segment(f"segments.{name}.parent", segment.parent, known)
            known.append(name)
        for name, joint in self.joints.items():
            _check_segment(f"joints.{name}.segment", joint.segment, known)
        for name, muscle in self.muscles.items():
            for point in muscle.path:
                _check_segment(f"muscles.{name}.path", point.segment, known)

    @property
    def grip(self) -> tuple[str, Vector]:
        """The segment that holds the joystick, the last one, and the place of the grip in it, in mm."""
        name, segment = next(reversed(self.segments.items()))
        if segment.capsule is None:
            raise ValueError(f"segments.{name} must have a capsule, whose end is the grip")
        return name, segment.capsule.end_mm

    @classmethod
    def load(cls, source: str | Path = "forelimb.yaml") -> ForelimbSpec:
        """Read and check a forelimb's data file; without ``source``, the one that comes with robobrain."""
        return load(cls, source)


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """How a motor pool turns its cortical column's rate into excitation."""

    __pydantic_config__ = _STRICT
    baseline_hz: NotNegative
    span_hz: Positive
    tone: Fraction


@dataclass(frozen=True, kw_only=True)
class ReflexSpec:
    """Inhibition between antagonists and the stretch reflex."""

    __pydantic_config__ = _STRICT
    antagonist_gain: NotNegative
    stretch_gain: NotNegative
    delay_ms: NotNegative
    antagonists: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class SpinalSpec:
    """The spinal stage: one motor pool per muscle of MUSCLE_NAMES."""

    __pydantic_config__ = _STRICT
    name: str
    pools: PoolSpec
    reflexes: ReflexSpec
    provenance: dict[str, str]

    def __post_init__(self) -> None:
        """Check that each muscle has one antagonist."""
        paired = sorted(muscle for pair in self.reflexes.antagonists for muscle in pair)
        if paired != sorted(MUSCLE_NAMES):
            raise ValueError(f"reflexes.antagonists must name each of {', '.join(MUSCLE_NAMES)} once")

    @classmethod
    def load(cls, source: str | Path = "spinal.yaml") -> SpinalSpec:
        """Read and check a spinal data file; without ``source``, the one that comes with robobrain."""
        return load(cls, source)


def _check_span(entry: str, span: Span) -> None:
    if not span[0] < span[1]:
        raise ValueError(f"{entry} must rise, not {span[0]:g} to {span[1]:g}")


def _check_names(entry: str, names: Iterable[str], expected: tuple[str, ...]) -> None:
    if tuple(names) != expected:
        raise ValueError(f"{entry} must be {', '.join(expected)}, in this order")


def _check_segment(entry: str, segment: str, known: list[str]) -> None:
    if segment not in known:
        raise ValueError(f"{entry} is {segment!r}; known at this place: {', '.join(known)}")
