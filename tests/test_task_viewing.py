"""The window: what it needs, what it shows of a recording, and (where Xvfb is there) that it opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
from loop_doubles import RelayBrain, description
from typer.testing import CliRunner

from robobrain import Loop, recording
from robobrain.body import Forelimb, Zone
from robobrain.body.forelimb import MOST_HAND_FORCE_N
from robobrain.body.window import places_beside, pull_with
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_protocol, load_task, run_session
from robobrain.tasks.joystick.activity import Activity
from robobrain.tasks.joystick.viewing import by_hand, replay


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
    assert watcher.seen[0][2] == ("0.01 s",)
    told = [lines[1:] for _, _, lines in watcher.seen]
    assert ("trial 1, baseline", "cue") in told
    assert told[-1] == ("trial 2, baseline", "reward")


def test_rates_and_spikes_of_the_last_second_are_drawn() -> None:
    brain = RelayBrain()
    loop, activity = Loop(brain, Forelimb(), JoystickTask(load_task())), Activity(brain.description)
    frame = loop.reset(1)
    for number in range(150):
        frame = loop.step(np.zeros(8))
        frame.region_rate_hz = np.array([float(number)])
        activity.add(frame)
    figure = activity.rates()
    assert (figure.linename[0], figure.linepnt[0]) == (b"M1", 100)
    points = figure.linedata[0, :200].reshape(100, 2)
    assert points[:, 0] == pytest.approx(np.linspace(-0.99, 0.0, 100), abs=1e-6)
    assert points[:, 1].tolist() == list(range(50, 150))
    assert figure.range[1].tolist() == [0.0, 149.0]
    picture = activity.raster(300, 200)
    assert (picture.shape, picture.dtype) == ((200, 300, 3), np.uint8)
    drawn = (picture != 255).any(axis=2)
    first = 18  # below the heading
    columns = 50 + np.flatnonzero(drawn[first, 50:])  # of neuron 1, which fired in each exchange
    assert np.diff(columns).max() <= 4  # a spike each 10 ms of 1 s in 240 columns
    assert columns[0] < 56  # 1 s ago
    assert columns[-1] > 285  # now
    assert drawn[first:, 5:45].any()  # the region's name


def test_without_spikes_the_raster_is_empty() -> None:
    activity = Activity(description())
    assert np.ptp(activity.raster(300, 200)[18:, 50:]) == 0  # below the heading, beside the names
    assert activity.rates().linepnt[0] == 0


def test_what_is_beside_the_scene_fits_into_the_window() -> None:
    for size in ((1920, 1080), (640, 480), (40, 40)):
        above, below = places_beside(*size)
        for place in (above, below):
            assert place.left >= 0
            assert place.bottom >= 0
            assert place.left + place.width <= size[0]
            assert place.bottom + place.height <= size[1]
        assert below.bottom + below.height <= above.bottom


def grip_on_joystick(body: Forelimb, left_mm: float, pull_mm: float) -> mujoco.MjvPerturb:
    """Return what MuJoCo's viewer makes of a mouse that has the joystick's tip and went on from there."""
    mouse = mujoco.MjvPerturb()
    mouse.select = body.model.body("joystick/stick").id
    mouse.active = int(mujoco.mjtPertBit.mjPERT_TRANSLATE)
    stick = body.data.body(mouse.select)
    mouse.localpos = stick.xmat.reshape(3, 3).T @ (body.tip_m - stick.xpos)
    mouse.refselpos = body.rest_tip_m + np.array([left_mm, pull_mm, 0.0]) * 1e-3
    return mouse


def test_the_mouse_pulls_the_joystick_and_lets_go() -> None:
    body, tone = Forelimb(), np.full(8, 0.02)
    mouse, path = grip_on_joystick(body, 3.0, 6.0), []
    for _ in range(100):
        pull_with(mouse, body)
        body.advance(tone, 10.0)
        path.append(body.joystick_mm())
    assert 1.0 < path[-1][0] < 3.0
    assert 2.0 < path[-1][1] < 6.0
    assert np.abs(path[-1] - path[-10]).max() < 0.05  # it stands still
    assert body.lateral_force_mN == 0.0
    mouse.active = 0
    for _ in range(100):
        pull_with(mouse, body)
        body.advance(tone, 10.0)
    assert not body.data.qfrc_applied.any()
    assert np.abs(body.joystick_mm()).max() < 0.1


def test_a_hand_acts_beside_the_lateral_force_and_is_bounded() -> None:
    body = Forelimb()
    mouse = grip_on_joystick(body, 0.0, 1000.0)
    force_N = body.pull_by_hand(mouse.select, mouse.localpos, mouse.refselpos)
    assert np.linalg.norm(force_N) == pytest.approx(MOST_HAND_FORCE_N)
    body.advance(np.full(8, 0.02), 10.0, 20.0)
    assert body.lateral_force_mN == pytest.approx(20.0)
    assert body.data.qfrc_applied.any()
    body.reset()
    assert not body.data.qfrc_applied.any()


def test_a_limb_alone_can_be_pulled_while_its_window_is_open() -> None:
    class Hand(Watcher):
        @property
        def is_open(self) -> bool:
            return len(self.seen) < 40

        def show(self, zones: tuple[Zone, ...] = (), lines: tuple[str, ...] = ()) -> None:
            pull_with(grip_on_joystick(self.body, 0.0, 6.0), self.body)
            super().show(zones, lines)

    body = Forelimb()
    hand = Hand(body)
    assert by_hand(body, hand, speed=1e6) == 40  # type: ignore[arg-type]
    assert hand.seen[-1][0][1] > 2.0
    assert "mm pulled" in hand.seen[-1][2][0]


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
