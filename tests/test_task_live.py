"""What a run sends to the viewer, read back from a file of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop_doubles import RelayBrain

from robobrain import Loop
from robobrain.body import Forelimb
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_protocol, load_task, run_session
from robobrain.tasks.joystick.live import check_live
from robobrain.tasks.joystick.loop import Frame

rr = pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Frame], dict[str, list[Any]]]:
    """Run a session with a view into a file; return its frames, and the file's batches by entity."""
    from robobrain.tasks.joystick.liveview import LiveView

    file = tmp_path_factory.mktemp("live") / "run.rrd"
    body, frames = Forelimb(), []
    loop = Loop(RelayBrain(), body, JoystickTask(load_task()))
    view = LiveView(str(file), body, loop.brain.description, name="test")

    def listen(frame: Frame, _: object) -> None:
        frames.append(frame)
        view.add(frame)

    run_session(loop, load_protocol("pull"), trials=1, seed=1, on_frame=listen)
    view.close()
    entities: dict[str, list[Any]] = {}
    for chunk in rr.chunk.RrdReader(str(file)).stream().collect().stream():
        entities.setdefault(chunk.entity_path.lstrip("/"), []).append(chunk.to_record_batch())
    return frames, entities


def series(batches: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return times in s and values of an entity's scalars, in order of time."""
    times, values = [], []
    for batch in batches:
        name = next((n for n in batch.schema.names if "Scalars" in n or "scalars" in n), None)
        if name is not None:
            times.append(batch.column("session").cast("int64").to_numpy() / 1e9)
            values.append(np.array([row[0] for row in batch.column(name).to_pylist()]))
    t_s, numbers = np.concatenate(times), np.concatenate(values)
    order = np.argsort(t_s, kind="stable")
    return t_s[order], numbers[order]


def test_signals_arrive_with_their_times(shown: tuple[list[Frame], dict[str, list[Any]]]) -> None:
    frames, entities = shown
    joystick = np.concatenate([frame.joystick_mm for frame in frames])
    t_s, pull = series(entities["joystick/pull_mm"])
    np.testing.assert_allclose(t_s, np.arange(1, len(joystick) + 1) / 1e3, atol=1e-9)
    np.testing.assert_array_equal(pull, joystick[:, 1])
    t_s, activation = series(entities["activation/Humerus2"])
    np.testing.assert_allclose(t_s, [frame.t_ms / 1e3 for frame in frames], atol=1e-9)
    np.testing.assert_array_equal(activation, [frame.body.muscle_activation[5] for frame in frames])
    assert {"region_rate_hz/M1", "motor_rate_hz/Foot1", "force/lateral_mN", "events"} <= set(entities)


def test_every_spike_is_in_the_raster(shown: tuple[list[Frame], dict[str, list[Any]]]) -> None:
    frames, entities = shown
    t_s, rows = series(entities["raster/M1"])
    expected = np.concatenate([frame.spikes.t_ms for frame in frames if frame.spikes is not None])
    np.testing.assert_allclose(t_s, expected / 1e3, atol=1e-9)
    assert set(rows) == {-0.0}


def test_the_arm_has_shapes_muscles_and_moves(shown: tuple[list[Frame], dict[str, list[Any]]]) -> None:
    _, entities = shown
    shapes = [name for name in entities if name.startswith("arm/") and "/geom" in name]
    assert len(shapes) > 20
    assert "arm/muscles" in entities
    moving = [name for name in entities if name.startswith("arm/") and name.count("/") == 1]
    moved = 0
    for name in moving:
        for batch in entities[name]:
            column = next((n for n in batch.schema.names if n.endswith("quaternion")), None)
            if column is not None and batch.num_rows > 1:
                turns = np.array([row[0] for row in batch.column(column).to_pylist()])
                moved += bool(np.ptp(turns, axis=0).max() > 1e-3)
    assert moved


def test_equal_times_are_told_apart() -> None:
    from robobrain.tasks.joystick.liveview import _distinct

    times = _distinct(np.array([1.0, 1.0, 1.0, 2.5]))
    assert times.astype(np.int64).tolist() == [1_000_000, 1_000_001, 1_000_002, 2_500_000]


def test_refuses_a_place_where_nothing_can_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigurationError, match="no screen for a viewer"):
        check_live("viewer")
    with pytest.raises(ConfigurationError, match="no writable folder"):
        check_live(str(tmp_path / "missing" / "run.rrd"))
    with pytest.raises(ConfigurationError, match="Can't show a run at 'somewhere'"):
        check_live("somewhere")
    check_live("rerun+http://127.0.0.1:9876/proxy")
    check_live(str(tmp_path / "run.rrd"))
