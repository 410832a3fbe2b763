"""The dynamics of forelimb and joystick as MuJoCo parts that attach to one another.

Only the segments' capsules and the stick's tip have mass. Nothing collides: the paw is tied to the handle.
What the body looks like is added by ``appearance``, without mass.
"""

from __future__ import annotations

import math

import mujoco

from robobrain.body.appearance import dress_forelimb, dress_joystick
from robobrain.body.rig import build_rig
from robobrain.body.specification import ForelimbSpec, JoystickSpec, MuscleModelSpec, MuscleSpec, SegmentSpec
from robobrain.body.trace import add_trace

LIMB, JOYSTICK, RIG = "limb/", "joystick/", "rig/"
"""What the names of the three parts begin with."""
GRIP = "grip"
"""Site of the paw that holds the handle, and the constraint that ties it there."""
TIP = "tip"
"""Site at the joystick's tip, where the paw holds it."""
STICK = "stick"
"""The joystick's moving body."""
LATERAL, PULL = "lateral", "pull"
"""The joystick's hinges: + moves the tip to the animal's left, + moves it toward the animal's body."""
MOVER = "mover"
"""Body of the passive mover, and the constraint that ties the tip to it."""

_MAX_PICTURE = (1920, 1440)
_TENDON_WIDTH_M = 4e-4
_TISSUE_GROUP = 3
"""Group of the geoms that carry the mass; MuJoCo's viewers hide it by default."""


def build_model(spec: ForelimbSpec, *, motors: bool = False) -> mujoco.MjModel:
    """Return the compiled scene: rig, joystick and forelimb, the paw tied to the handle.

    Args:
        spec: The body's numbers.
        motors: Give each joint of the limb a motor, after the muscles.
    """
    scene = _new_part()
    scene.modelname = spec.name
    scene.option.timestep = spec.physics.timestep_s
    scene.option.gravity = spec.physics.gravity_m_s2
    scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    scene.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    scene.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    _set_view(scene)
    for prefix, part in (
        (LIMB, build_forelimb(spec)),
        (JOYSTICK, build_joystick(spec.joystick)),
        (RIG, build_rig()),
    ):
        scene.attach(part, frame=scene.worldbody.add_frame(), prefix=prefix)
    if motors:
        for name, joint in spec.joints.items():
            _add_motor(scene, LIMB + name, joint.motor_Nm)
            _stop_firmly(scene.joint(LIMB + name), spec.joystick.grip_time_constant_s)
    for site in (JOYSTICK + TIP, LIMB + GRIP):
        add_trace(scene, site)
    _tie(scene, GRIP, LIMB + GRIP, JOYSTICK + TIP, spec.joystick.grip_time_constant_s)
    mover = _tie(scene, MOVER, JOYSTICK + TIP, JOYSTICK + MOVER, spec.joystick.clamp_time_constant_s)
    mover.active = False
    mover.solimp = _RIGID
    return scene.compile()


def build_forelimb(spec: ForelimbSpec) -> mujoco.MjSpec:
    """Return the limb: thorax (fixed), humerus, forearm and paw with their joints and muscles."""
    part = _new_part()
    for name, segment in spec.segments.items():
        _add_segment(part, name, segment)
    for name, joint in spec.joints.items():
        hinge = part.body(joint.segment).add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE)
        hinge.axis = joint.axis
        hinge.limited = True
        hinge.range = joint.range_rad
        hinge.solref_limit = [spec.physics.limit_time_constant_s, 1]
        hinge.damping = [joint.damping_Nms_rad, 0, 0]
        hinge.armature = joint.armature_kg_m2
    paw, grip_mm = spec.grip
    part.body(paw).add_site(name=GRIP, pos=_metres(grip_mm), **_HIDDEN)
    for name, muscle in spec.muscles.items():
        _add_muscle(part, name, muscle, spec.muscle_model)
    dress_forelimb(part, spec)
    return part


def build_joystick(spec: JoystickSpec) -> mujoco.MjSpec:
    """Return the joystick: a stick on two sprung hinges, and the mover that can hold its tip."""
    part = _new_part()
    tip = [(end - start) * 1e-3 for start, end in zip(spec.pivot_mm, spec.tip_mm, strict=True)]
    lever_squared = math.hypot(*tip) ** 2
    stick = part.worldbody.add_body(name=STICK, pos=_metres(spec.pivot_mm))
    stick.explicitinertial = True
    stick.mass = spec.stick_mass_mg * 1e-6
    stick.ipos = tip
    stick.inertia = [0.4 * stick.mass * (spec.handle_radius_mm * 1e-3) ** 2] * 3
    for name, axis in ((LATERAL, (0, 1, 0)), (PULL, (-1, 0, 0))):
        hinge = stick.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis)
        hinge.limited = True
        hinge.range = spec.range_rad
        hinge.stiffness = [spec.tip_stiffness_N_m * lever_squared, 0, 0]
        hinge.damping = [spec.tip_damping_Ns_m * lever_squared, 0, 0]
        hinge.armature = spec.tip_effective_mass_g * 1e-3 * lever_squared
    stick.add_site(name=TIP, pos=tip, **_HIDDEN)
    mover = part.worldbody.add_body(name=MOVER, mocap=True, pos=_metres(spec.tip_mm))
    mover.add_site(name=MOVER, **_HIDDEN)
    dress_joystick(part, spec)
    return part


def _new_part() -> mujoco.MjSpec:
    part = mujoco.MjSpec()
    part.compiler.degree = False
    return part


_RIGID = (0.999, 0.9999, 0.001, 0.5, 2)
"""Impedance of a constraint that yields a thousandth to what pulls at it."""

_HIDDEN = {"group": 4, "size": (2e-4, 2e-4, 2e-4)}


def _set_view(scene: mujoco.MjSpec) -> None:
    """Set what rendering needs to know of a scene that is a few centimetres large."""
    scene.stat.center = [0.005, -0.07, 0.01]
    scene.stat.extent = 0.1
    scene.visual.global_.offwidth, scene.visual.global_.offheight = _MAX_PICTURE
    # Coarser than MuJoCo's defaults: software rendering takes less than half the time.
    scene.visual.quality.numslices = 18
    scene.visual.quality.numstacks = 8
    scene.visual.quality.shadowsize = 3072
    scene.visual.quality.offsamples = 4
    scene.visual.map.shadowclip = 0.8
    scene.visual.map.znear = 0.05
    scene.visual.map.zfar = 20
    scene.visual.headlight.ambient = [0.36, 0.36, 0.36]
    scene.visual.headlight.diffuse = [0.12, 0.12, 0.12]
    scene.visual.headlight.specular = [0, 0, 0]


def _add_segment(part: mujoco.MjSpec, name: str, segment: SegmentSpec) -> None:
    parent = part.worldbody if segment.parent == "world" else part.body(segment.parent)
    body = parent.add_body(name=name, pos=_metres(segment.position_mm), quat=segment.quaternion)
    if segment.capsule is not None:
        tissue = body.add_geom(name=f"{name}_tissue", type=mujoco.mjtGeom.mjGEOM_CAPSULE)
        tissue.fromto = [0, 0, 0, *_metres(segment.capsule.end_mm)]
        tissue.size = [segment.capsule.radius_mm * 1e-3, 0, 0]
        tissue.density = segment.capsule.density_kg_m3
        tissue.contype = tissue.conaffinity = 0
        tissue.group = _TISSUE_GROUP


def _add_muscle(part: mujoco.MjSpec, name: str, muscle: MuscleSpec, model: MuscleModelSpec) -> None:
    """Add a tendon along the muscle's path, with a muscle of its name that pulls it.

    MuJoCo maps ``lengthrange`` of the path onto ``range`` of the fibre; with the tendon's slack length in
    between, a fibre has its normalised length exactly at (path - slack) / optimum.
    """
    tendon = part.add_tendon(name=name, width=_TENDON_WIDTH_M)
    for index, point in enumerate(muscle.path):
        site = f"{name}_{index}"
        part.body(point.segment).add_site(name=site, pos=_metres(point.position_mm), **_HIDDEN)
        tendon.wrap_site(site)
    actuator = part.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_TENDON)
    actuator.set_to_muscle(
        timeconst=[model.activation_ms * 1e-3, model.deactivation_ms * 1e-3],
        tausmooth=0,
        range=model.fibre_range,
        force=muscle.max_force_N,
        lmin=model.active_range[0],
        lmax=model.active_range[1],
        vmax=model.max_speed_per_s,
        fpmax=model.passive_force,
        fvmax=model.eccentric_force,
    )
    actuator.lengthrange = [
        (muscle.tendon_slack_mm + fibre * muscle.optimal_fibre_mm) * 1e-3 for fibre in model.fibre_range
    ]
    actuator.ctrllimited = True
    actuator.ctrlrange = [0, 1]


def _add_motor(scene: mujoco.MjSpec, joint: str, torque_Nm: float) -> None:
    """Add a motor of the joint's name; its control is the fraction of its largest torque, -1 to 1."""
    motor = scene.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.set_to_motor()
    motor.gear[0] = torque_Nm
    motor.ctrllimited = True
    motor.ctrlrange = [-1, 1]


def _stop_firmly(hinge: mujoco.MjsJoint, time_constant_s: float) -> None:
    """Let a joint end as firmly as the grip holds: motors, unlike muscles, push on beyond its range."""
    hinge.solref_limit = [time_constant_s, 1]
    hinge.solimp_limit = _RIGID


def _tie(
    scene: mujoco.MjSpec, name: str, site: str, other: str, time_constant_s: float
) -> mujoco.MjsEquality:
    """Add a constraint that draws two sites together, critically damped with the given time constant."""
    tie = scene.add_equality(name=name, name1=site, name2=other)
    tie.type = mujoco.mjtEq.mjEQ_CONNECT
    tie.objtype = mujoco.mjtObj.mjOBJ_SITE
    tie.solref = [time_constant_s, 1]
    return tie


def _metres(position_mm: tuple[float, float, float]) -> list[float]:
    return [value * 1e-3 for value in position_mm]
