"""Films of recorded sessions: what they show is what was recorded, at the same moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from loop_doubles import RelayBrain
from typer.testing import CliRunner

from robobrain import Loop, recording
from robobrain.body import Forelimb
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError, RecordingError
from robobrain.recording.figures import styled
from robobrain.tasks.joystick import JoystickTask, load_protocol, load_task, run_session
from robobrain.tasks.joystick.panel import Panel
from robobrain.tasks.joystick.replayed import RecordedBody
from robobrain.tasks.joystick.runner import zones
from robobrain.tasks.joystick.video import render_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> recording.Run:
    path, spec = tmp_path_factory.mktemp("runs") / "run", load_task()
    populations = [{"name": "M1_all", "region": "M1", "first_id": 1, "size": 8}]
    manifest = {"brain": {"populations": populations}, "task": {"zones": zones(spec)}}
    loop = Loop(RelayBrain(), Forelimb(), JoystickTask(spec))
    run_session(loop, load_protocol("pull"), trials=2, seed=1, writer=recording.create(path, manifest))
    return recording.open(path)


def test_the_limb_goes_where_the_joystick_was(run: recording.Run) -> None:
    t_ms, joystick = run.array("joystick_mm")
    body = Forelimb()
    shown = RecordedBody(run, body, *run.span_ms)
    for index in (9, 499, 999, 1049):
        shown.show(t_ms[index])
        assert body.joystick_mm() == pytest.approx(joystick[index], abs=1e-9)
    between = []
    for index in range(1000, 1100):
        shown.show(t_ms[index])
        between.append(body.joystick_mm() - joystick[index])
    assert np.abs(between).max() < 0.2
    shown.show(-50.0)
    shown.show(1e9)
    assert body.joystick_mm() == pytest.approx(joystick[-1], abs=1e-9)


def test_the_panel_moves_with_time(run: recording.Run) -> None:
    start = run.trials[0]["start_ms"]
    with styled():
        panel = Panel(run, 480, 720, t0_ms=0.0, t1_ms=run.span_ms[1])
        rest, moving, again = (panel.draw(t_ms) for t_ms in (100.0, start + 20.0, 100.0))
        assert rest.shape == (720, 480, 3)
        assert np.array_equal(rest, again)
        assert (rest != moving).any(axis=2).sum() > 300
        times, senders = panel._spikes(start - 1000.0, start)
    expected = run.spikes(None, start - 1000.0, start)
    assert np.array_equal(times, expected[0])
    assert np.array_equal(senders, expected[1])


@pytest.mark.slow
def test_a_film_has_its_pictures(run: recording.Run, tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v2")
    told: list[tuple[int, int]] = []
    start_s = run.trials[0]["start_ms"] / 1e3
    file = render_run(
        run, tmp_path / "new" / "film.mp4", from_s=start_s - 0.1, to_s=start_s + 0.2, fps=10, slow=2,
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(number, 6) for number in range(1, 7)]
    with imageio.get_reader(file) as film:
        assert film.get_meta_data()["size"] == (1280, 720)
        assert film.get_meta_data()["fps"] == 10
        pictures = np.array([film.get_data(index) for index in range(6)]).astype(float)
    arm, panel = pictures[:, :, :800], pictures[:, :, 800:]
    assert arm[0].std() > 20
    assert np.abs(arm[5] - arm[0]).mean() > 0.5
    assert np.abs(panel[5] - panel[0]).mean() > 0.5
    assert [p.name for p in file.parent.iterdir()] == ["film.mp4"]


def test_refuses_what_can_not_be_shown(run: recording.Run, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"Nothing to show: 900 to"):
        render_run(run, tmp_path / "film.mp4", from_s=900)
    for option in ("from_s", "to_s", "slow"):
        for number in (np.nan, np.inf, -np.inf):
            with pytest.raises(RecordingError, match=r"Nothing to show: .*(nan|inf)"):
                render_run(run, tmp_path / "film.mp4", **{option: number})
    with pytest.raises(RecordingError, match=r"must end in \.mp4"):
        render_run(run, tmp_path / "film.gif")
    with pytest.raises(ConfigurationError, match="camera 'moon' is unknown"):
        render_run(run, tmp_path / "film.mp4", camera="moon")
    recording.create(tmp_path / "empty", {}).close()
    result = CliRunner().invoke(app, ["render", str(tmp_path / "empty")])
    assert "Nothing to show" in str(result.exception)
    with recording.create(tmp_path / "bare", {}) as writer:
        writer.declare("joystick_mm", "mm", ("lateral", "pull"))
        writer.append("joystick_mm", [0.0, 1000.0], np.zeros((2, 2)))
    with pytest.raises(RecordingError, match="no stream 'body_state'"):
        render_run(recording.open(tmp_path / "bare"), tmp_path / "film.mp4")
    assert not list(tmp_path.glob("*.mp4"))
