from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from bridge_processes import listening, tree_of, wait_until_gone
from server_tools import Front, FrontProcess, wait_for
from typer.testing import CliRunner

from robobrain import recording
from robobrain.brain.config import kernel_config
from robobrain.brain.kernel import kernel_command
from robobrain.bridge.administration import ServerLink
from robobrain.bridge.remote import RemoteBrain
from robobrain.cli.app import app
from robobrain.errors import BrainFault, ConfigurationError
from robobrain.recording import figures
from robobrain.tasks.joystick.loop import EXCHANGES, Exchange, Frame
from robobrain.tasks.joystick.protocol import load_protocol
from robobrain.tasks.joystick.replay import Journal, replay
from robobrain.tasks.joystick.runner import RunPlan, run_plan
from robobrain.tasks.joystick.source import read_devices

ID = "robobrain/JoystickBrain-v0"
PULL = load_protocol("pull").amplitude.astype(np.float32)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    config = kernel_config("tiny", threads=1, record_spikes=True)
    with Front(command=kernel_command(asdict(config)), pool=2, stall_s=20.0) as one:
        yield one


def kill_leased(front: Front) -> None:
    with ServerLink(front.address) as link:
        for seat in link.status().seats:
            if seat.client:
                os.killpg(seat.pid, signal.SIGKILL)


def rollout(env: gymnasium.Env, steps: int = 20) -> np.ndarray:
    return np.array([env.reset(seed=3)[0], *(env.step(PULL)[0] for _ in range(steps))])


MONITORED = {
    "rhythms": [
        {
            "name": "theta",
            "frequency_hz": 8.0,
            "amplitude": 1.0,
            "unit": "mV",
            "provenance": {"assumed": "test"},
        }
    ],
    "outputs": [
        {
            "name": "cells",
            "unit": "Hz",
            "description": "one cell",
            "channels": ["a"],
            "low": 0.0,
            "high": 1000.0,
            "decoder": {"rate": {"tau_rise_ms": 5.0, "tau_decay_ms": 30.0}},
            "cells": {"population": "VM_EZ_TC"},
            "provenance": {"assumed": "test"},
        }
    ],
}


def assert_equal_runs(one: Path, other: Path) -> None:
    a, b = recording.open(one), recording.open(other)
    for name in set(a.streams) - {"phase_time_ms"}:
        for mine, theirs in zip(a.array(name), b.array(name), strict=True):
            assert np.array_equal(mine, theirs, equal_nan=True), name
    for mine, theirs in zip(a.spikes(), b.spikes(), strict=True):
        assert np.array_equal(mine, theirs)
    assert len(a.spikes()[0]) > 10_000
    assert a.trials == b.trials


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_recorded_session_is_bit_identical_over_grpc(
    front: Front, tmp_path: Path, exchange: Exchange
) -> None:
    local = RunPlan(
        out=tmp_path / "local",
        brain="tiny",
        threads=1,
        trials=1,
        exchange=exchange,
        devices=read_devices(MONITORED),
    )
    remote = replace(local, out=tmp_path / "remote", brain=None, threads=None, connect=front.address)
    for plan in (local, remote):
        run_plan(plan)
    assert_equal_runs(local.out, remote.out)
    for plan in (local, remote):
        manifest = recording.open(plan.out).manifest
        delay_ms = 10.0 if exchange == "overlapped" else 0.0
        assert manifest["exchange"] == {"mode": exchange, "period_ms": 10.0, "delay_ms": delay_ms}
        assert manifest["brain"]["outputs"][-1]["name"] == "cells"
    if exchange == "overlapped":
        journal = Journal(local.out)
        assert replay(local.out) == journal.exchanges > 50
        run_plan(journal.resumption(tmp_path / "again", ()), record=journal)
        assert_equal_runs(local.out, tmp_path / "again")


def test_a_servers_brain_is_free_again_while_figures_are_drawn(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[str] = []
    draw = figures.write

    def observed(*arguments: Any) -> Any:
        with ServerLink(front.address) as link:
            clients.extend(seat.client for seat in link.status().seats)
        return draw(*arguments)

    monkeypatch.setattr(figures, "write", observed)
    result = run_plan(RunPlan(out=tmp_path / "run", trials=1, connect=front.address))
    assert clients == ["", ""]
    assert {file.name for file in result.files} >= {"session.png", "raster.png"}


def test_a_lost_remote_brain_truncates_the_episode_and_reset_goes_on(front: Front) -> None:
    with gymnasium.make(ID, brain="tiny", connect=front.address) as env:
        first = rollout(env)
        kill_leased(front)
        observation, reward, terminated, truncated, info = env.step(PULL)
        assert (terminated, truncated, reward) == (False, True, 0.0)
        assert "signal 9" in info["fault"]
        assert np.array_equal(observation, first[-1])
        assert np.array_equal(rollout(env), first)


def test_an_overlapped_environment_goes_back_to_instants_on_a_server_as_on_this_machine(front: Front) -> None:
    courses = []
    for where in ({"brain": "tiny", "threads": 1}, {"connect": front.address}):
        with gymnasium.make(ID, **where, exchange="overlapped", devices=MONITORED) as env:
            raw = env.unwrapped
            assert raw.observation_names[-1] == "cells/a"
            rollout(env)
            instant = raw.snapshot()
            onward = [env.step(PULL)[0] for _ in range(10)]
            raw.restore(instant)
            again = [env.step(PULL)[0] for _ in range(10)]
            assert np.array_equal(onward, again)
            env.reset(seed=8, options={"snapshot": instant})
            assert not np.array_equal(onward, [env.step(PULL)[0] for _ in range(10)])
            raw.drop(instant)
            courses.append(onward)
    assert np.array_equal(*courses)


def test_vector_environments_share_a_pool(front: Front) -> None:
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(ID, connect=front.address)] * 2)
    observations, _ = envs.reset(seed=[5, 5])
    assert np.array_equal(observations[0], observations[1])
    observations, *_ = envs.step(np.array([PULL, 0 * PULL]))
    assert not np.array_equal(observations[0], observations[1])
    envs.close()


def test_another_brain_than_the_servers_is_refused(front: Front) -> None:
    for wish, value in {"brain": "small", "threads": 2, "exchange_ms": 5.0}.items():
        with pytest.raises(ConfigurationError, match=f"{wish} is .*the server at"):
            gymnasium.make(ID, connect=front.address, **{wish: value})
    with pytest.raises(ConfigurationError, match="credentials are for a server"):
        gymnasium.make(ID, brain="tiny", credentials="somewhere")


def test_a_lost_server_keeps_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = RemoteBrain.__init__.__kwdefaults__ | {"reconnect_s": 0.5}
    monkeypatch.setattr(RemoteBrain.__init__, "__kwdefaults__", impatient)
    config = kernel_config("tiny", threads=1, record_spikes=True)
    with FrontProcess(command=kernel_command(asdict(config))) as front:

        def listen(frame: Frame, _: object) -> None:
            if frame.seq == 50:
                front.process.kill()
                front.process.wait()

        plan = RunPlan(out=tmp_path / "run", trials=1, connect=front.address)
        with pytest.raises(BrainFault, match="connection to"):
            run_plan(plan, on_frame=listen)
    run = recording.open(tmp_path / "run")
    assert run.status == "failed"
    assert len(run.array("motor_rate_hz")[0]) == 50


def test_the_command_serves_until_it_is_asked_to_end(tmp_path: Path) -> None:
    place = tmp_path / "place.json"
    options = [
        "--brain",
        "tiny",
        "--listen",
        "127.0.0.1:0",
        "--rendezvous",
        str(place),
        "--log-format",
        "json",
    ]
    command = [sys.executable, "-c", "from robobrain.cli import main; main()", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            while not place.exists():
                assert server.poll() is None
                time.sleep(0.05)
            where = json.loads(place.read_text())
            address = f"{where['host']}:{where['port']}"
            with ServerLink(f"@{place}") as link:
                kernel = link.status().seats[0].pid
                result = CliRunner().invoke(app, ["bench", "link", "--connect", address, "--exchanges", "10"])
                assert "gRPC" in result.output
                wait_for(lambda: {server.pid, kernel} < tree_of(server.pid))  # and the next episode
                assert listening(tree_of(server.pid)) == {("tcp", where["port"])}
                link.shutdown()
            output, log = server.communicate(timeout=20)
        finally:
            server.kill()
    assert server.returncode == 0
    assert f"brain tiny listens on {address}" in output
    assert all(json.loads(line)["message"] for line in log.splitlines())
    assert not place.exists()
    assert not wait_until_gone({kernel})


def test_credentials_come_from_the_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["serve", "--make-credentials", str(tmp_path / "lab"), "--host", "node7", "--days", "3"]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "lab" / "client" / "token").exists()
    assert "valid 3 days for node7" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--listen", "0.0.0.0:0"], "--make-credentials"),
        (["--listen", "nowhere"], "no address"),
        (["--brain", "enormous"], "enormous"),
        (["--mutual-tls"], "--credentials"),
        (["--log-format", "xml"], "text or json"),
        (["--lease-s", "0"], "lease_s"),
    ],
)
def test_unusable_options_are_refused(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert isinstance(result.exception, ConfigurationError)
    assert message in str(result.exception)
