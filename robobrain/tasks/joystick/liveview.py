"""A run in the Rerun viewer while it goes on: arm, raster and time series on one timeline."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from robobrain.body.decorations import ACTIVE_RGB, RELAXED_RGB, muscle_path
from robobrain.body.specification import MUSCLE_NAMES
from robobrain.recording.figures.style import region_colour
from robobrain.tasks.joystick.activity import raster_order
from robobrain.tasks.joystick.live import VIEWER, check_live, is_file
from robobrain.tasks.joystick.loop import REGION_RATE, Frame
from robobrain.tasks.joystick.rig import FloatArray
from robobrain.tasks.joystick.streams import ticks_ms

if TYPE_CHECKING:
    from robobrain.body import Forelimb
    from robobrain.bridge.messages import Description

TIMELINE = "session"
FLUSH_S = 0.05
"""What came together within this wall-clock time is sent at once."""
SHOWN_GROUPS = 3
"""MuJoCo shows geoms of the groups 0, 1 and 2."""
MUSCLE_RADIUS_M = 0.4e-3


class LiveView:
    """Sends the frames of a loop to a viewer, or into a file of it.

    Args:
        target: As `robobrain.tasks.joystick.live.check_live` takes it.
        body: The limb of the loop; it stays the caller's.
        brain: The brain of the loop.
        name: Name of the recording in the viewer.

    Raises:
        ConfigurationError: The target can't be used.
    """

    def __init__(self, target: str, body: Forelimb, brain: Description, *, name: str) -> None:
        check_live(target)
        self._body = body
        self._frames: list[Frame] = []
        self._poses: list[tuple[FloatArray, FloatArray]] = []
        self._sent_s = monotonic()
        self._regions = next((p.channels for p in brain.outputs if p.name == REGION_RATE), ())
        self._raster_regions, self._row_of, self._region_of = raster_order(brain)
        self._stream = rr.RecordingStream("robobrain", recording_id=None)
        self._stream.send_recording_name(name)
        blueprint = _blueprint()
        if target == VIEWER:
            self._stream.spawn(default_blueprint=blueprint)
        elif is_file(target):
            self._stream.save(target, default_blueprint=blueprint)
        else:
            self._stream.connect_grpc(target, default_blueprint=blueprint)
        self._send_scene()

    def add(self, frame: Frame) -> None:
        """Take a frame, just after its exchange, and send what is due."""
        self._frames.append(frame)
        self._poses.append((self._body.data.xpos.copy(), self._body.data.xquat.copy()))
        if monotonic() - self._sent_s >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what was taken so far."""
        frames, self._frames = self._frames, []
        poses, self._poses = self._poses, []
        self._sent_s = monotonic()
        if not frames:
            return
        end_ms = np.array([frame.t_ms for frame in frames])
        self._send_poses(end_ms, poses)
        self._send_muscles(frames[-1])
        tick_ms = np.concatenate([ticks_ms(frame) for frame in frames])
        joystick = np.concatenate([frame.joystick_mm for frame in frames])
        self._scalars("joystick/lateral_mm", tick_ms, joystick[:, 0])
        self._scalars("joystick/pull_mm", tick_ms, joystick[:, 1])
        force = np.concatenate([frame.lateral_force_mN for frame in frames])
        self._scalars("force/lateral_mN", tick_ms, force)
        self._rows("motor_rate_hz", MUSCLE_NAMES, end_ms, [frame.motor_rate_hz for frame in frames])
        self._rows("activation", MUSCLE_NAMES, end_ms, [frame.body.muscle_activation for frame in frames])
        self._rows("region_rate_hz", self._regions, end_ms, [frame.region_rate_hz for frame in frames])
        for frame in frames:
            self._send_spikes(frame)
            self._send_events(frame)

    def close(self) -> None:
        """Send the rest and end the recording; a viewer stays open."""
        self.flush()
        self._stream.flush()
        self._stream.disconnect()

    def _scalars(self, entity: str, t_ms: FloatArray, values: NDArray[Any]) -> None:
        times = rr.TimeColumn(TIMELINE, duration=t_ms / 1e3)
        self._stream.send_columns(entity, [times], rr.Scalars.columns(scalars=values))

    def _rows(
        self, entity: str, names: Sequence[str], t_ms: FloatArray, rows: Sequence[NDArray[Any]]
    ) -> None:
        for name, values in zip(names, np.array(rows).T, strict=False):
            self._scalars(f"{entity}/{name}", t_ms, values)

    def _send_poses(self, t_ms: FloatArray, poses: Sequence[tuple[FloatArray, FloatArray]]) -> None:
        times = rr.TimeColumn(TIMELINE, duration=t_ms / 1e3)
        for index in range(1, self._body.model.nbody):
            places = np.array([place[index] for place, _ in poses])
            turns = np.array([turn[index][[1, 2, 3, 0]] for _, turn in poses])
            self._stream.send_columns(
                _body_entity(self._body, index),
                [times],
                rr.Transform3D.columns(translation=places, quaternion=turns),
            )

    def _send_muscles(self, frame: Frame) -> None:
        """Send the muscles' paths as they are now, reddened by activation."""
        body = self._body
        activation = body.data.act[:, np.newaxis]
        colours = (
            (255 * (RELAXED_RGB + activation * (ACTIVE_RGB - RELAXED_RGB))).clip(0, 255).astype(np.uint8)
        )
        strips = [muscle_path(body, muscle) for muscle in range(len(MUSCLE_NAMES))]
        self._stream.set_time(TIMELINE, duration=frame.t_ms / 1e3)
        self._stream.log("arm/muscles", rr.LineStrips3D(strips, colors=colours, radii=MUSCLE_RADIUS_M))

    def _send_spikes(self, frame: Frame) -> None:
        if frame.spikes is None or not len(frame.spikes.t_ms):
            return
        index = np.minimum(frame.spikes.sender, len(self._row_of) - 1)
        rows, regions = self._row_of[index], self._region_of[index]
        for number, region in enumerate(self._raster_regions):
            chosen = regions == number
            if chosen.any():
                times = rr.TimeColumn(TIMELINE, duration=_distinct(frame.spikes.t_ms[chosen]))
                points = rr.Scalars.columns(scalars=-rows[chosen].astype(np.float64))
                self._stream.send_columns(f"raster/{region}", [times], points)

    def _send_events(self, frame: Frame) -> None:
        for event in frame.events:
            detail = ", ".join(f"{name} {value}" for name, value in event.detail.items())
            self._stream.set_time(TIMELINE, duration=event.t_ms / 1e3)
            self._stream.log("events", rr.TextLog(f"{event.name} {detail}".strip(), level="INFO"))

    def _send_scene(self) -> None:
        """Send what doesn't change: shapes, colours and names."""
        stream = self._stream
        stream.log("arm", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for geom in range(self._body.model.ngeom):
            _send_geom(stream, self._body, geom)
        for region in self._raster_regions:
            look = rr.SeriesPoints(
                colors=_rgb(region_colour(region)), markers="circle", marker_sizes=0.8, names=region
            )
            stream.log(f"raster/{region}", look, static=True)
        for region in self._regions:
            look = rr.SeriesLines(colors=_rgb(region_colour(region)), names=region)
            stream.log(f"region_rate_hz/{region}", look, static=True)


def _distinct(t_ms: FloatArray) -> NDArray[np.timedelta64]:
    """Return sorted times, equal ones a nanosecond apart: an entity has one value per instant."""
    first = np.searchsorted(t_ms, t_ms, side="left")
    nanoseconds = np.round(t_ms * 1e6).astype(np.int64) + np.arange(len(t_ms)) - first
    return nanoseconds.astype("timedelta64[ns]")


def _blueprint() -> Any:
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Spatial3DView(origin="/arm", name="arm"),
                rrb.TextLogView(origin="/events", name="events"),
                row_shares=[3, 1],
            ),
            rrb.Vertical(
                rrb.TimeSeriesView(origin="/raster", name="raster"),
                rrb.TimeSeriesView(origin="/region_rate_hz", name="region rates (Hz)"),
                rrb.TimeSeriesView(origin="/joystick", name="joystick (mm)"),
                rrb.TimeSeriesView(origin="/activation", name="muscle activation"),
                row_shares=[3, 1, 1, 1],
            ),
        ),
        collapse_panels=True,
    )


def _rgb(colour: str) -> list[int]:
    """Return a colour written as #rrggbb as numbers."""
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _body_entity(body: Forelimb, index: int) -> str:
    name = body.model.body(index).name or f"body{index}"
    return "arm" if index == 0 else f"arm/{name.replace('/', '_')}"


def _send_geom(stream: rr.RecordingStream, body: Forelimb, geom: int) -> None:
    """Send the shape of a geom, fixed to its body; planes and hidden ones are left out."""
    model = body.model
    rgba = _colour(model, geom)
    kind = mujoco.mjtGeom(int(model.geom_type[geom]))
    if model.geom_group[geom] >= SHOWN_GROUPS or rgba[3] == 0 or kind is mujoco.mjtGeom.mjGEOM_PLANE:
        return
    size = model.geom_size[geom]
    place, turn = model.geom_pos[geom], model.geom_quat[geom][[1, 2, 3, 0]]
    where = {"quaternions": [turn], "colors": [rgba], "fill_mode": "solid"}
    shape: Any
    if kind is mujoco.mjtGeom.mjGEOM_MESH:
        stream.log(f"{_body_entity(body, int(model.geom_bodyid[geom]))}/geom{geom}",
                   rr.Transform3D(translation=place, quaternion=turn), static=True)  # fmt: skip
        shape = _mesh(model, int(model.geom_dataid[geom]), rgba)
    elif kind is mujoco.mjtGeom.mjGEOM_CAPSULE:
        axis = np.empty(3)
        mujoco.mju_rotVecQuat(axis, np.array([0.0, 0.0, size[1]]), model.geom_quat[geom])
        shape = rr.Capsules3D(lengths=[2 * size[1]], radii=[size[0]], translations=[place - axis], **where)
    elif kind is mujoco.mjtGeom.mjGEOM_CYLINDER:
        shape = rr.Cylinders3D(lengths=[2 * size[1]], radii=[size[0]], centers=[place], **where)
    elif kind is mujoco.mjtGeom.mjGEOM_BOX:
        shape = rr.Boxes3D(half_sizes=[size], centers=[place], **where)
    else:
        half = size if kind is mujoco.mjtGeom.mjGEOM_ELLIPSOID else np.repeat(size[0], 3)
        shape = rr.Ellipsoids3D(half_sizes=[half], centers=[place], **where)
    stream.log(f"{_body_entity(body, int(model.geom_bodyid[geom]))}/geom{geom}", shape, static=True)


def _colour(model: mujoco.MjModel, geom: int) -> NDArray[np.uint8]:
    material = int(model.geom_matid[geom])
    rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    return np.asarray((255 * rgba).round(), dtype=np.uint8)


def _mesh(model: mujoco.MjModel, mesh: int, rgba: NDArray[np.uint8]) -> rr.Mesh3D:
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    begin, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    return rr.Mesh3D(
        vertex_positions=model.mesh_vert[first : first + count],
        triangle_indices=model.mesh_face[begin : begin + faces],
        vertex_colors=np.tile(rgba, (count, 1)),
    )
