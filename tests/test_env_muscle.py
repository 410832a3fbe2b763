from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import robobrain
from robobrain.body.specification import MUSCLE_NAMES
from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.direct import JoystickMuscleEnv
from robobrain.tasks.joystick.reward import REWARD_TERMS

ID = "robobrain/JoystickMuscle-v0"
REST = np.full(8, 0.02, dtype=np.float32)
PULL_PATTERN = {"Humerus2": 1.0, "Radius1": 0.4, "Humerus3": 0.55, "Foot1": 0.6}
PULL = np.array([0.7 * PULL_PATTERN.get(name, 0.0) for name in MUSCLE_NAMES], dtype=np.float32)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def env() -> Iterator[JoystickMuscleEnv]:
    made = gymnasium.make(ID).unwrapped
    assert isinstance(made, JoystickMuscleEnv)
    yield made
    made.close()


def play(env: Any, *, pull: bool = True) -> tuple[float, bool, bool, dict[str, Any]]:
    """Rest until the cue, then pull; return the sum of rewards and the last step."""
    info: dict[str, Any] = {"phase": env.task.phase.value}
    total = 0.0
    while True:
        action = REST if info["phase"] == "home" or not pull else PULL
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        if terminated or truncated:
            return total, terminated, truncated, info


def test_importing_robobrain_registers_without_the_heavy_packages() -> None:
    code = (
        "import sys, robobrain, gymnasium\n"
        "heavy = {'nest', 'mujoco', 'matplotlib', 'grpc', 'google.protobuf', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "ids = ['robobrain/JoystickMuscle-v0', 'robobrain/JoystickBrain-v0']\n"
        "assert all(id in gymnasium.registry for id in ids)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_loop_is_public_and_other_names_are_not() -> None:
    assert robobrain.Loop.__name__ == "Loop"
    with pytest.raises(AttributeError, match="Lop"):
        robobrain.Lop  # noqa: B018


def test_the_environment_passes_gymnasiums_checks() -> None:
    made = gymnasium.make(ID)
    check_env(made.unwrapped, skip_render_check=True)
    made.close()


@pytest.mark.parametrize("mode", ["rgb_array", "depth_array"])
def test_pictures(mode: str) -> None:
    made = gymnasium.make(ID, render_mode=mode, width=64, height=48)
    made.reset(seed=0)
    try:
        picture = made.render()
    except ConfigurationError as problem:
        pytest.skip(str(problem))
    assert picture.shape == ((48, 64, 3) if mode == "rgb_array" else (48, 64))
    assert picture.dtype == (np.uint8 if mode == "rgb_array" else np.float32)
    assert picture.max() > picture.min()
    made.close()
    made.close()


def test_a_window_without_a_display_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigurationError, match=r"needs a display .*rgb_array"):
        gymnasium.make(ID, render_mode="human")
    assert gymnasium.make(ID).unwrapped.metadata["render_modes"] == ["rgb_array", "depth_array"]


def test_rendering_needs_a_mode(env: JoystickMuscleEnv) -> None:
    with pytest.raises(ConfigurationError, match="render_mode"):
        env.render()


def test_a_pull_after_the_cue_is_rewarded(env: JoystickMuscleEnv) -> None:
    env.reset(seed=1)
    total, terminated, truncated, info = play(env)
    assert terminated
    assert not truncated
    assert info["is_success"]
    assert info["trial"]["outcome"] == "rewarded"
    assert info["trial"]["peak_pull_mm"] > 7.0
    assert 1.4 < total < 1.5
    assert [event.name for event in info["events"]][-2:] == ["end", "reward"]
    with pytest.raises(ResetNeeded):
        env.step(REST)


def test_doing_nothing_is_truncated(env: JoystickMuscleEnv) -> None:
    env.reset(seed=1)
    total, terminated, truncated, info = play(env, pull=False)
    assert truncated
    assert not terminated
    assert info["trial"]["outcome"] == "no_response"
    assert total == pytest.approx(-0.2, abs=0.01)


def test_reward_is_the_sum_of_its_terms(env: JoystickMuscleEnv) -> None:
    _, info = env.reset(seed=1)
    assert tuple(info["reward_terms"]) == REWARD_TERMS
    for _ in range(60):
        _, reward, terminated, _, info = env.step(PULL if info["phase"] != "home" else REST)
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        if terminated:
            break


def test_the_force_of_a_block_shifts_the_path_to_its_side(env: JoystickMuscleEnv) -> None:
    deviation = {}
    for trial in (1, 11):
        env.reset(seed=1, options={"trial": trial})
        deviation[trial] = play(env)[3]["trial"]
    assert (deviation[1]["lateral_force_mN"], deviation[11]["lateral_force_mN"]) == (0.0, 20.0)
    before, after = (
        {t: d[f"deviation_{side}_mm"] for t, d in deviation.items()} for side in ("before", "after")
    )
    assert after[11] > after[1] + 0.1
    assert before[11] == before[1]


def test_episodes_walk_through_the_session_and_a_seed_starts_over(env: JoystickMuscleEnv) -> None:
    numbers = []
    for seed in (5, None, None, 5, None):
        env.reset(seed=seed)
        numbers.append(env.task.trial)
    assert numbers == [1, 2, 3, 1, 2]
    env.reset(options={"trial": 250})
    assert env.task.trial == 250


@pytest.mark.parametrize("options", [{"trial": 0}, {"trial": 1.5}, {"block": 1}, {"trial": None}])
def test_wrong_options_are_refused(env: JoystickMuscleEnv, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        env.reset(options=options)


@pytest.mark.parametrize(
    "action",
    [
        np.full(8, np.nan),
        np.array([np.inf] + 7 * [0.0]),
        np.zeros(7),
        np.zeros((1, 8)),
        0.0,
        ["a"] * 8,
        None,
    ],
)
def test_unusable_actions_are_refused_and_change_nothing(env: JoystickMuscleEnv, action: Any) -> None:
    env.reset(seed=1)
    before = env.data.qpos.copy()
    with pytest.raises(ConfigurationError, match="action"):
        env.step(action)
    assert np.array_equal(env.data.qpos, before)
    env.step(REST)


def test_actions_beyond_the_range_are_clipped(env: JoystickMuscleEnv) -> None:
    def end(low: float, high: float) -> np.ndarray:
        env.reset(seed=1)
        action = np.where(np.arange(8) % 2, low, high)
        for _ in range(5):
            observation = env.step(action)[0]
        return observation

    assert np.array_equal(end(-3.0, 7.0), end(0.0, 1.0))


def test_seeds_decide_everything(env: JoystickMuscleEnv) -> None:
    def rollout(made: gymnasium.Env[Any, Any]) -> np.ndarray:
        observation, _ = made.reset(seed=11)
        made.action_space.seed(3)
        rows = [observation]
        for _ in range(50):
            observation, reward, terminated, truncated, _ = made.step(made.action_space.sample())
            rows.append(np.append(observation[:-1], np.float32(reward)))
            if terminated or truncated:
                made.reset()
        return np.array(rows)

    first = rollout(env)
    assert np.array_equal(first, rollout(env))
    other = gymnasium.make(ID)
    assert np.array_equal(first, rollout(other))
    other.close()


def test_observations_are_bounded_named_and_not_reused(env: JoystickMuscleEnv) -> None:
    first, _ = env.reset(seed=1)
    kept = first.copy()
    assert len(env.observation_names) == len(env.observation_units) == env.observation_space.shape[0] == 54
    assert len(set(env.observation_names)) == 54
    assert np.isfinite(env.observation_space.low).all()
    assert np.isfinite(env.observation_space.high).all()
    rng = np.random.default_rng(2)
    for _ in range(300):
        observation, _, terminated, truncated, _ = env.step(rng.random(8).round())
        assert observation in env.observation_space
        if terminated or truncated:
            env.reset()
    assert np.array_equal(first, kept)


def test_observations_carry_what_their_names_say(env: JoystickMuscleEnv) -> None:
    env.reset(seed=1)
    for _ in range(25):
        observation = env.step(PULL)[0]
    entry = dict(zip(env.observation_names, observation, strict=True))
    assert entry["joystick/pull"] == pytest.approx(env.body.joystick_mm()[1], rel=1e-6)
    assert entry["paw/vertical"] == pytest.approx(env.body.paw_mm()[2], rel=1e-5)
    assert entry["muscle_activation/Humerus2"] == pytest.approx(env.data.act[5], rel=1e-6)
    assert entry["target/pull"] == 8.5
    assert [entry[f"phase/{name}"] for name in ("iti", "home", "ready", "moving", "holding")] == [
        0,
        1,
        0,
        0,
        0,
    ]


def test_the_docstring_is_the_reference_page(env: JoystickMuscleEnv) -> None:
    page = JoystickMuscleEnv.__doc__ or ""
    for line in env.table.markdown().splitlines():
        assert line in page
    for name in REWARD_TERMS:
        assert f"| {name} | {getattr(env.task.spec.reward, name):g} |" in page
    assert "{" not in page.replace("/{", "").replace('options={"trial"', "")


@pytest.mark.parametrize(
    "exchange_ms", [0.0, -10.0, 2.5, float("nan"), float("inf"), 1001, 1e9, 10**400, "10", None, 10 + 0j]
)
def test_a_step_is_a_whole_number_of_ms(exchange_ms: object) -> None:
    with pytest.raises(ConfigurationError, match="whole number of milliseconds from 1 to 1000"):
        gymnasium.make(ID, exchange_ms=exchange_ms)


def test_step_length_and_frame_rate_follow_the_exchange() -> None:
    made = gymnasium.make(ID, exchange_ms=20.0).unwrapped
    assert made.dt == 0.02
    assert made.metadata["render_fps"] == 50
    assert JoystickMuscleEnv.metadata["render_fps"] == 100
    made.reset(seed=0)
    made.step(REST)
    assert made.data.time == pytest.approx(0.02)
    assert made.model.opt.timestep == 0.0005
    made.close()


def test_the_environment_pickles_by_its_arguments() -> None:
    made = JoystickMuscleEnv(task="mathis2017", exchange_ms=5.0)
    copy = pickle.loads(pickle.dumps(made))
    assert copy.task.spec.name == "mathis2017"
    assert copy.dt == 0.005
    made.reset(seed=4)
    copy.reset(seed=4)
    assert np.array_equal(made.step(PULL)[0], copy.step(PULL)[0])


def test_a_diverged_body_ends_the_episode_with_its_reason(
    env: JoystickMuscleEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its warning to a file in the working directory
    env.reset(seed=1)
    env.step(REST)
    env.data.qvel[:] = 1e6
    observation, reward, terminated, truncated, info = env.step(REST)
    assert observation in env.observation_space
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "diverged" in info["fault"]
    observation, _ = env.reset(seed=1)
    fresh, _ = gymnasium.make(ID).reset(seed=1)
    assert np.array_equal(observation, fresh)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_environments_agree_with_single_ones(mode: AutoresetMode) -> None:
    vector = SyncVectorEnv([lambda: gymnasium.make(ID)] * 2, autoreset_mode=mode)
    vector.reset(seed=[3, 4])
    actions = np.stack([PULL, REST])
    for _ in range(200):
        observations, _, terminated, truncated, infos = vector.step(actions)
        done = terminated | truncated
        if mode is AutoresetMode.DISABLED and done.any():
            vector.reset(options={"reset_mask": done})
    assert observations in vector.observation_space
    assert "reward_terms" in infos
    vector.close()


@pytest.mark.slow
def test_worker_processes_play_many_random_episodes_without_a_warning() -> None:
    vector = AsyncVectorEnv([lambda: gymnasium.make(ID)] * 2)
    vector.reset(seed=5)
    vector.action_space.seed(5)
    episodes = 0
    for _ in range(1500):
        _, _, terminated, truncated, infos = vector.step(vector.action_space.sample())
        ended = terminated | truncated
        episodes += int(ended.sum())
        if ended.any():
            assert set(infos["trial"]["outcome"][ended]) <= {
                "rewarded",
                "missed",
                "returned",
                "timeout",
                "no_home",
                "no_response",
            }
    assert episodes >= 5
    vector.close()


@pytest.mark.parametrize("body", ["Muscle", "Torque"])
def test_instants_continue_exactly_and_trials_count_on(body: str) -> None:
    env = gymnasium.make(f"robobrain/Joystick{body}-v0").unwrapped
    with pytest.raises(ResetNeeded):
        env.snapshot()
    env.reset(seed=1)
    pull = np.full(env.action_space.shape, 0.3, dtype=np.float32)
    for _ in range(20):
        env.step(pull)
    instant = env.snapshot()
    expected = [env.step(pull)[0] for _ in range(20)]
    after = env.reset()[0]
    env.reset(seed=9)
    env.restore(instant)
    assert all(np.array_equal(env.step(pull)[0], one) for one in expected)
    assert np.array_equal(env.reset()[0], after)
    env.drop(instant)
    for act in (env.drop, env.restore):
        with pytest.raises(ConfigurationError, match="no snapshot"):
            act(instant)


def test_instants_are_observed_in_the_form_that_was_asked_for() -> None:
    env = gymnasium.make("robobrain/JoystickMuscle-v0", observation="dict").unwrapped
    expected = env.reset(seed=1)[0]
    observation = env.restore(env.snapshot())[0]
    assert observation.keys() == expected.keys()
    assert all(np.array_equal(observation[name], expected[name]) for name in expected)
