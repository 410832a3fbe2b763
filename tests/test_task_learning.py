"""Policies of plain arrays, the one that comes with the package, training, and the search for stimulation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from loop_doubles import RelayBrain
from typer.testing import CliRunner

from robobrain import Loop
from robobrain.body import Forelimb
from robobrain.body.specification import MUSCLE_NAMES
from robobrain.cli.app import app
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import JoystickTask, load_task
from robobrain.tasks.joystick.learning_curve import draw_curves
from robobrain.tasks.joystick.playing import play_session, rewarded
from robobrain.tasks.joystick.policy import Policy, load_policy
from robobrain.tasks.joystick.stimulation import SearchPlan, displacement_mm, score, search, search_all
from robobrain.tasks.joystick.training import (
    Evaluation,
    TrainingPlan,
    read_curve,
    train,
    write_curve,
)

ID = "robobrain/JoystickMuscle-v0"


def test_the_package_s_policy_is_rewarded_throughout_a_session_with_forces() -> None:
    env = gymnasium.make(ID)
    policy = load_policy()
    policy.check(ID, env.unwrapped.observation_names)  # type: ignore[attr-defined]
    trials = play_session(env, policy, trials=30, seed=7)
    assert {trial["block"] for trial in trials} == {"baseline", "perturbation", "washout"}
    assert rewarded(trials) >= 0.8
    env.close()


def test_a_policy_is_its_formula_and_survives_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    layers = tuple(
        (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32))
        for shape in ((5, 3), (2, 5))
    )
    policy = Policy(
        env_id="x", observation_names=("a", "b", "c"), mean=np.ones(3, np.float32),
        scale=np.full(3, 2, np.float32), layers=layers, low=np.zeros(2, np.float32),
        high=np.ones(2, np.float32),
    )  # fmt: skip
    seen = np.array([1.5, -2.0, 90.0], np.float32)
    hidden = np.tanh(layers[0][0] @ np.clip((seen - 1) / 2, -10, 10) + layers[0][1])
    expected = (np.clip(layers[1][0] @ hidden + layers[1][1], -1, 1) + 1) / 2
    assert policy(seen) == pytest.approx(expected)
    policy.save(tmp_path / "policy.npz")
    again = load_policy(tmp_path / "policy.npz")
    assert again.observation_names == policy.observation_names
    assert np.array_equal(again(seen), policy(seen))
    with pytest.raises(ConfigurationError, match="trained on x"):
        again.check(ID, ("a", "b", "c"))


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_an_unreadable_policy_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "policy.npz").write_bytes(content)
    with pytest.raises(ConfigurationError, match="robobrain train"):
        load_policy(tmp_path / "policy.npz")


def test_playing_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['stable_baselines3'] = None\n"
        "from typer.testing import CliRunner; from robobrain.cli.app import app\n"
        "result = CliRunner().invoke(app, ['play', '--trials', '2'])\n"
        "assert 'rewarded 100% of 2 trials' in result.output, result.output\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ConfigurationError, match=r"robobrain\[rl\]"):
        train(TrainingPlan())
    with pytest.raises(ConfigurationError, match=r"robobrain\[rl\]"):
        search(relay_loop(), SearchPlan(direction="pull"))


def test_a_learning_curve_survives_its_file_and_is_drawn(tmp_path: Path) -> None:
    curve = (Evaluation(steps=10, wall_s=1.5, rewarded=0.0), Evaluation(steps=20, wall_s=3.0, rewarded=0.9))
    write_curve(tmp_path / "curve.csv", curve)
    assert read_curve(tmp_path / "curve.csv") == curve
    draw_curves({"seed 1": curve}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


@pytest.mark.slow
def test_training_repeats_with_its_seed_and_leaves_a_policy(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    plan = TrainingPlan(steps=4096, every=4096, seed=3)
    first, second = train(plan), train(plan)
    assert len(first.curve) == 1
    for a, b in zip(first.policy.layers, second.policy.layers, strict=True):
        assert np.array_equal(a[0], b[0])
    torque = train(TrainingPlan(env_id="robobrain/JoystickTorque-v0", steps=2048, every=2048))
    assert torque.policy.layers[-1][0].shape == (4, 64)


def relay_loop() -> Loop:
    """A loop in which stimulation becomes motor rates at once, so that searches take no time."""
    return Loop(RelayBrain(), Forelimb(), JoystickTask(load_task()))


def test_a_score_is_the_way_along_less_the_way_across() -> None:
    place, silent = np.array([1.0, 6.0]), np.zeros(8)
    assert score(place, silent, "pull") == pytest.approx(5.5)
    assert score(place, silent, "left") == pytest.approx(-2.0)
    assert score(place, np.ones(8), "push") == pytest.approx(-7.0)


@pytest.mark.parametrize("direction", ["pull", "left"])
def test_the_search_finds_what_moves_the_limb(direction: str) -> None:
    pytest.importorskip("cma")
    plan = SearchPlan(direction=direction, generations=4, population=6)
    pattern = search(relay_loop(), plan, checks=1)
    axis, silent = (1 if direction == "pull" else 0), displacement_mm(relay_loop(), np.zeros(8), 1)
    assert pattern.displacement_mm[axis] > silent[axis] + 1.0
    assert list(pattern.best) == sorted(pattern.best)
    again = search(relay_loop(), plan, checks=1)
    assert np.array_equal(pattern.amplitude, again.amplitude)
    assert MUSCLE_NAMES[int(pattern.amplitude.argmax())].startswith(("Humerus", "Radius"))


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="pull, push, left, right"):
        search(relay_loop(), SearchPlan(direction="up"))


@pytest.mark.slow
def test_a_brain_is_searched_and_its_patterns_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("cma")
    plan = SearchPlan(direction="pull", generations=3, population=6)
    (pattern,) = search_all("tiny", [plan], threads=1, folder=tmp_path)
    assert pattern.displacement_mm[1] > 2.0
    assert "Humerus2" in (tmp_path / "patterns.json").read_text()


def test_commands_refuse_what_they_cannot_do(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    runner = CliRunner()
    assert "not empty" in runner.invoke(app, ["train", "policy", "--out", str(tmp_path)]).output
    assert "unknown" in runner.invoke(app, ["train", "policy", "--env", "wings"]).output
