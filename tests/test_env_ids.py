"""What every id of the package must stand: Gymnasium's and Stable-Baselines3's checks, wrappers, vectors."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, RecordVideo

import robobrain  # noqa: F401 (registers the environments)
from robobrain.body.rig import CAMERAS
from robobrain.brain.config import local_brain
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick import load_task
from robobrain.tasks.joystick.direct import JoystickMuscleEnv
from robobrain.tasks.joystick.screen import Screen, task_lines

MUSCLE, TORQUE, BRAIN = (f"robobrain/Joystick{name}-v0" for name in ("Muscle", "Torque", "Brain"))
SMALL = {"width": 64, "height": 48}
TINY = {"brain": "tiny", "threads": 1}

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def pictures() -> None:
    made = gymnasium.make(MUSCLE, render_mode="rgb_array", **SMALL)
    made.reset(seed=0)
    try:
        made.render()
    except ConfigurationError as problem:
        pytest.skip(str(problem))
    finally:
        made.close()


@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_a_closed_environment_makes_no_step(name: str) -> None:
    made = gymnasium.make(name).unwrapped
    made.reset(seed=0)
    made.close()
    with pytest.raises(ResetNeeded):
        made.step(made.action_space.sample())


@pytest.mark.parametrize("observation", ["vector", "dict"])
@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
@pytest.mark.usefixtures("pictures")
def test_gymnasiums_checks_pass_with_pictures(name: str, observation: str) -> None:
    made = gymnasium.make(name, observation=observation, render_mode="rgb_array", **SMALL)
    check_env(made.unwrapped, skip_render_check=False)
    made.close()


@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # check_env leaves the environments it makes open
def test_gymnasiums_checks_pass_with_pictures_and_a_brain() -> None:
    made = gymnasium.make(BRAIN, render_mode="rgb_array", **TINY, **SMALL)
    check_env(made.unwrapped, skip_render_check=False)
    made.close()


@pytest.mark.parametrize(
    ("name", "keywords"),
    [(MUSCLE, {}), (TORQUE, {}), pytest.param(BRAIN, TINY, marks=pytest.mark.slow)],
)
def test_stable_baselines_checks_pass(name: str, keywords: dict[str, Any]) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    made = gymnasium.make(name, **keywords)
    with pytest.warns(UserWarning, match="symmetric") if name != TORQUE else nullcontext():
        checker.check_env(made.unwrapped)  # it advises a symmetric action space; excitations have none
    made.close()


@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_both_forms_of_observation_hold_the_same(name: str) -> None:
    vector, groups = (gymnasium.make(name, observation=form) for form in ("vector", "dict"))
    seen, _ = vector.reset(seed=3)
    grouped, _ = groups.reset(seed=3)
    vector.action_space.seed(3)
    for _ in range(20):
        assert np.array_equal(np.concatenate(list(grouped.values())), seen)
        action = vector.action_space.sample()
        seen, grouped = vector.step(action)[0], groups.step(action)[0]
    names = {entry.split("/")[0] for entry in vector.unwrapped.observation_names}
    assert names == set(groups.observation_space.spaces)
    assert FlattenObservation(groups).observation_space.shape == vector.observation_space.shape


def test_torques_move_the_joints_and_are_named() -> None:
    made: Any = gymnasium.make(TORQUE).unwrapped
    assert made.action_space.shape == (4,)
    assert not any(entry.startswith("muscle") for entry in made.observation_names)
    made.reset(seed=1)
    for _ in range(5):
        made.step(np.array([0.4, 0, 0, 0], np.float32))
    assert made.body.joystick_mm()[1] > 1.0
    page = type(made).__doc__ or ""
    assert "| 2 | elbow | -1 | 1 | torque, 1 is 1.90 mN m |" in page
    for line in made.table.markdown().splitlines():
        assert line in page
    assert "{" not in page.replace("/{", "")


@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_resting_until_the_cue_works_for_every_body(name: str) -> None:
    made = gymnasium.make(name)
    made.reset(seed=1)
    for _ in range(25):
        _, _, _, _, info = made.step(np.zeros(made.action_space.shape, np.float32))
    assert info["phase"] == "ready"


@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_copies_by_pickle_continue_alike(name: str) -> None:
    made: Any = gymnasium.make(name, observation="dict", task=load_task("mathis2017"), camera="top").unwrapped
    copy = pickle.loads(pickle.dumps(made))
    assert copy.task.spec == made.task.spec
    first, _ = made.reset(seed=4)
    second, _ = copy.reset(seed=4)
    assert all(np.array_equal(first[group], second[group]) for group in first)


@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_rollouts_are_equal_across_processes(name: str) -> None:
    code = (
        "import gymnasium, hashlib, robobrain, sys\n"
        f"env = gymnasium.make({name!r}); env.action_space.seed(5); digest = hashlib.sha256()\n"
        "digest.update(env.reset(seed=5)[0].tobytes())\n"
        "for _ in range(80):\n"
        "    seen, _, *done, _ = env.step(env.action_space.sample()); digest.update(seen.tobytes())\n"
        "    if any(done): digest.update(env.reset()[0].tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    digests = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("name", [MUSCLE, TORQUE])
def test_synchronous_and_parallel_vectors_agree(name: str, mode: AutoresetMode) -> None:
    def rollout(kind: Any) -> np.ndarray:
        vector = kind([lambda: gymnasium.make(name)] * 2, autoreset_mode=mode)
        rows = [vector.reset(seed=[3, 4])[0].copy()]
        vector.action_space.seed(2)
        for _ in range(60):
            seen, reward, terminated, truncated, _ = vector.step(vector.action_space.sample())
            rows.append(np.column_stack([seen, reward, terminated, truncated])[:, : rows[0].shape[1]])
            done = terminated | truncated
            if mode is AutoresetMode.DISABLED and done.any():
                vector.reset(options={"reset_mask": done})
        vector.close()
        return np.array(rows)

    assert np.array_equal(rollout(SyncVectorEnv), rollout(AsyncVectorEnv))


@pytest.mark.usefixtures("pictures")
def test_videos_and_statistics_are_recorded(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    made = gymnasium.make(MUSCLE, render_mode="rgb_array", exchange_ms=100.0, **SMALL)
    made = RecordEpisodeStatistics(RecordVideo(made, str(tmp_path / "videos"), disable_logger=True))
    made.reset(seed=1)
    done = False
    while not done:
        _, _, terminated, truncated, info = made.step(np.full(8, 0.02, np.float32))
        done = terminated or truncated
    made.close()
    assert info["episode"]["l"] == 17
    (video,) = tmp_path.glob("videos/*.mp4")
    assert video.stat().st_size > 1000


@pytest.mark.usefixtures("pictures")
def test_pictures_show_the_state_of_the_trial() -> None:
    made: Any = gymnasium.make(MUSCLE, render_mode="rgb_array", width=320, height=240).unwrapped
    made.reset(seed=1, options={"trial": 11})
    assert task_lines(made.task) == ("trial 11, perturbation", "home, 0.00 s")
    at_home = made.render()
    assert np.array_equal(at_home, made.render())
    for _ in range(21):
        made.step(np.full(8, 0.02, np.float32))
    ready = made.render()
    assert made.task.phase == "ready"
    corner = (slice(0, 60), slice(0, 140))
    assert (at_home[corner] != ready[corner]).any()
    assert (at_home[120:] != ready[120:]).any()
    made.close()


@pytest.mark.usefixtures("pictures")
def test_every_camera_can_be_chosen() -> None:
    pictures = set()
    for camera in CAMERAS:
        made = gymnasium.make(TORQUE, render_mode="rgb_array", camera=camera, **SMALL)
        made.reset(seed=1)
        pictures.add(made.render().tobytes())
        made.close()
    assert len(pictures) == len(CAMERAS)


def test_wrong_choices_are_refused_when_the_environment_is_made() -> None:
    with pytest.raises(ConfigurationError, match="overview"):
        gymnasium.make(MUSCLE, camera="behind")
    with pytest.raises(ConfigurationError, match="vector, dict"):
        gymnasium.make(MUSCLE, observation="list")
    with pytest.raises(ConfigurationError, match="rgb_array"):
        JoystickMuscleEnv(render_mode="ansi")


@pytest.mark.parametrize(
    ("name", "argument", "values"),
    [
        (MUSCLE, "task", [3, [], {}, None, b"quick", True]),
        (TORQUE, "task", [1.5]),
        (MUSCLE, "body", [3, [], {}]),
        (MUSCLE, "exchange_ms", ["10", [], None, float("nan")]),
        (MUSCLE, "observation", [[], 3]),
        (MUSCLE, "width", ["64", -1, 0, 1.5, True, None, 10**30]),
        (TORQUE, "height", [[], 10**6]),
        (MUSCLE, "camera", [[], {}, 3, None]),
        (MUSCLE, "fatigue", ["no", 3, None, []]),
        (BRAIN, "brain", [3, [], 0, True, 0.05, b"tiny"]),
        (BRAIN, "threads", ["1", [], 1.5, float("nan"), True, 10**30, -1]),
        (BRAIN, "alterations", [3, [], "S1"]),
        (BRAIN, "connect", [3, [], True, 50051]),
        (BRAIN, "credentials", [3, [], True]),
        (BRAIN, "devices", [3, [], True, b"x"]),
        (BRAIN, "exchange", [[], 3]),
    ],
)
def test_arguments_of_another_kind_are_refused_by_name(name: str, argument: str, values: list[Any]) -> None:
    others = {"brain": "tiny"} if name == BRAIN else {}
    for value in values:
        with pytest.raises(ConfigurationError, match=rf"{argument}.*\b(give|use|choose)\b") as refused:
            gymnasium.make(name, **others | {argument: value})
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [{"brain": 3}, {"brain": None}, {"brain": "tiny", "threads": "1"}, {"brain": "tiny", "threads": 10**9}],
)
def test_a_local_brain_of_another_kind_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"name a size|threads is"):
        local_brain(**arguments)


def test_a_pause_is_described_too() -> None:
    made: Any = gymnasium.make(MUSCLE).unwrapped
    assert task_lines(made.task) == ("iti",)
    assert Screen(made.body, made.task, None, width=64, height=48, camera="top").mode is None
