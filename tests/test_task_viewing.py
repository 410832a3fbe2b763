"""The window: what it needs, what it shows of a recording, and (where Xvfb is there) that it opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from loop_doubles import RelayBrain, description
from typer.testing import CliRunner

from robobrain import Loop, recording
from robobrain.body import Forelimb, Zone
from robobrain.body.posing import pose
from robobrain.cli import app
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_protocol, load_task, run_session
from robobrain.tasks.joystick.viewing import rate_lines, replay


class Watcher:
    """Stands in for a window and keeps where the joystick and the limb were."""

    is_open = True

    def __init__(self, body: Forelimb) -> None:
        self.body, self.seen = body, []

    def show(self, zones: tuple[Zone, ...] = (), lines: tuple[str, ...] = ()) -> None:
        self.seen.append((self.body.joystick_mm(), self.body.paw_mm(), lines))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record two trials of a loop whose brain hands the stimulation on."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    loop = Loop(RelayBrain(), Forelimb(), JoystickTask(load_task()))
    with recording.create(folder, {"brain": {"populations": []}}) as writer:
        run_session(loop, load_protocol("pull"), trials=2, seed=1, writer=writer)
    return folder


def test_a_recording_is_shown_as_it_was(run: Path) -> None:
    body = Forelimb()
    watcher = Watcher(body)
    shown = replay(run, body, watcher, speed=1e6)  # type: ignore[arg-type]
    opened = recording.open(run)
    t_ms, _ = opened.array("joint_angle_rad")
    tick_ms, joystick_mm = opened.array("joystick_mm")
    _, paw_mm = opened.array("paw_mm")
    assert shown == len(t_ms) == len(watcher.seen)
    ends = np.isin(tick_ms, t_ms)
    seen_joystick, seen_paw = (np.array([entry[part] for entry in watcher.seen]) for part in (0, 1))
    assert np.abs(seen_joystick - joystick_mm[ends]).max() < 0.01
    assert np.abs(seen_paw - paw_mm[ends]).max() < 0.01
    assert joystick_mm[:, 1].max() > 5.0
    assert watcher.seen[0][2][0] == "0.01 s"


def test_a_posture_is_taken_exactly_without_speed() -> None:
    moved, posed = Forelimb(), Forelimb()
    moved.advance(np.array([0.4, 0, 0.3, 0, 0, 0.8, 0.4, 0]), 60.0)
    state = moved.state()
    pose(
        posed,
        joint_angle_rad=state.joint_angle_rad,
        joystick_mm=state.joystick_mm,
        activation=state.muscle_activation,
    )
    assert posed.joystick_mm() == pytest.approx(state.joystick_mm, abs=1e-3)
    assert posed.paw_mm() == pytest.approx(state.paw_mm, abs=1e-6)
    assert not posed.data.qvel.any()


def test_rates_are_bars() -> None:
    loop = Loop(RelayBrain(), Forelimb(), JoystickTask(load_task()))
    frame = loop.reset(1)
    assert rate_lines(description().outputs[0].channels, frame) == ("M1      0.0 Hz",)


def test_without_a_display_the_way_to_a_film_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    problem = CliRunner().invoke(app, ["view"]).exception
    assert isinstance(problem, ConfigurationError)
    assert "--video" in str(problem)


@pytest.fixture
def display() -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as numbers:
        yield f":{numbers.readline().strip()}"
    server.terminate()
    server.wait()


@pytest.mark.slow
def test_a_window_opens_and_plays_a_recording_to_its_end(run: Path, display: str) -> None:
    env = os.environ | {"DISPLAY": display}
    main = "from robobrain.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, "view", "--recording", str(run), "--speed", "30"],
        env=env, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "exchanges shown" in done.stdout
