"""The command line: what it prints, how it fails, what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from bridge_processes import listening, tree_of, wait_until_gone
from rich.text import Text
from server_tools import wait_for

from robobrain import recording
from robobrain.cli.app import app

COMMAND = [sys.executable, "-m", "robobrain"]


def robobrain(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def helps(command: click.Command, *path: str) -> Iterator[tuple[str, str]]:
    """Yield each text of help with the command that it belongs to."""
    for text in (command.help, *(getattr(option, "help", None) for option in command.params)):
        yield " ".join(path), text or ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from helps(inner, *path, name)


def test_no_help_is_taken_for_markup() -> None:
    """The help is shown with Rich's markup, which leaves out what stands in brackets."""
    texts = list(helps(typer.main.get_command(app)))
    assert len(texts) > 100
    assert [text for text in texts if Text.from_markup(text[1]).plain != text[1]] == []


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = robobrain("run", "--brain", "tiny", "--trials", "2", "--seed", "3", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "rewarded" in done.stderr
    assert "(real time: 1)" in done.stdout
    return folder / "run"


def test_a_run_leaves_data_and_figures(run_folder: Path) -> None:
    run = recording.open(run_folder)
    assert run.status == "complete"
    assert run.manifest["seed"] == 3
    assert run.manifest["brain"]["size"] == "tiny"
    assert run.manifest["command"][1:4] == ["run", "--brain", "tiny"]
    assert len(run.trials) == 2
    assert not recording.check(run_folder)
    figures = {file.name for file in (run_folder / "figures").iterdir()}
    assert {"session.png", "raster.png", "rates.png", "muscles.png", "paths.png"} <= figures


def test_a_complete_run_is_not_resumed(run_folder: Path) -> None:
    done = robobrain("run", "--resume", ".", cwd=run_folder)
    assert done.returncode == 1
    assert ". is complete: there is nothing left to run" in done.stderr
    assert [path.name for path in run_folder.parent.iterdir()] == [run_folder.name]


@pytest.mark.parametrize("arguments", [["recording", "info", "."], ["doctor"]])
def test_output_that_can_not_be_written_is_one_clear_error(run_folder: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=run_folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: the output can't be written (No space left on device)\n"


def test_a_bar_leaves_nothing_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = robobrain("replay", "nope", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nope is no run directory")


def test_the_spikes_reach_to_the_end_of_the_session(run_folder: Path) -> None:
    run = recording.open(run_folder)
    t_ms, sender = run.spikes()
    end_ms = run.array("joystick_mm")[0][-1]
    assert end_ms - 5.0 < t_ms[-1] <= end_ms
    assert {name for name in run.populations if len(run.spikes(name)[0])} >= {"M1_L5B_PT", "BG_GPi"}
    assert sender.max() < sum(population.size for population in run.populations.values()) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "--brain", "huge"], 1, "Unknown brain size 'huge'"),
        (["run", "--brain", "[red]no[/]"], 1, "Unknown brain size '[red]no[/]'"),
        (["run", "--brain", "tiny", "--trials", "0"], 1, "at least one trial"),
        (["run", "--brain", "tiny", "--protocol", "dance"], 1, "Unknown stimulation protocol 'dance'"),
        (["run", "--brain", "tiny", "--task", "chess"], 1, "chess"),
        (["run", "--brain", "tiny", "--exchange-ms", "2.5"], 1, "whole number of milliseconds"),
        (["run", "--brain", "tiny", "--exchange-ms", "1e9"], 1, "milliseconds from 1 to 1000"),
        (["run", "--brain", "tiny", "--threads", "0"], 1, "threads is 0"),
        (["run", "--speed", "9"], 2, "No such option"),
        (["run", "--resume", "x", "--seed", "2", "--trials", "3"], 1, "leave out --seed, --trials"),
        (["brain", "info", "huge"], 1, "Known sizes: tiny, small"),
        (["brain", "tune", "tiny", "--out", "nowhere"], 1, "nowhere is no folder"),
    ],
)
def test_bad_input_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = robobrain(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_used_directory_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    done = robobrain("run", "--brain", "tiny", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = robobrain("run", "--brain", "tiny", "--out", "file/run", cwd=tmp_path)
    assert done.returncode == 1
    assert "Can't create the run directory" in done.stderr


def test_ctrl_c_keeps_what_was_recorded(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--brain", "tiny", "--trials", "500", "--out", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert "trial" in process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted: what was recorded is kept" in rest
    run = recording.open(tmp_path / "run")
    assert run.status == "interrupted"
    assert len(run.trials) >= 1
    assert run.spikes()[0][-1] == pytest.approx(run.array("excitation")[0][-1], abs=5.0)
    assert (tmp_path / "run" / "figures" / "session.png").exists()


def test_a_second_ctrl_c_leaves_the_figures_out(tmp_path: Path) -> None:
    """Jobs of the background ignore the signal, and what they start does, hence ``env``."""
    with subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, "run", "--brain", "tiny", "--trials", "1", "--out", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert any("drawing the figures" in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "Figures left out: draw them with robobrain report run" in rest
    assert recording.open(tmp_path / "run").status == "complete"
    assert not recording.check(tmp_path / "run")
    assert not (tmp_path / "run" / "figures" / "arm.png").exists()


def test_a_killed_brain_ends_the_run_clearly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--brain", "tiny", "--trials", "500", "--out", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()
    for kernel in children(process.pid):
        os.kill(kernel, signal.SIGKILL)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "the brain's process ended (signal 9)" in " ".join(rest.split())
    assert recording.open(tmp_path / "run").status == "failed"
    assert not recording.check(tmp_path / "run")


def children(pid: int) -> list[int]:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        found = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
        if found:
            return found
    raise AssertionError("the run has no kernel process")


def test_info_counts_the_authors_neurons(tmp_path: Path) -> None:
    done = robobrain("brain", "info", "tiny", "--verify", "--populations", cwd=tmp_path)
    assert done.returncode == 0
    assert "1,010,001" in done.stdout
    assert "NEST counts 2,624 neurons" in done.stdout


def test_rest_prints_ranges_and_holds(tmp_path: Path) -> None:
    done = robobrain("brain", "rest", "tiny", "--seconds", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "M1_L5B_PT" in done.stdout
    assert "of 77 populations in range" in done.stdout


def test_bench_prints_shares(tmp_path: Path) -> None:
    done = robobrain("bench", "loop", "--brain", "tiny", "--seconds", "0.5", "--repeats", "1", cwd=tmp_path)
    assert done.returncode == 0
    for heading in ("lockstep", "overlapped", "efficiency"):
        assert heading in done.stdout
    done = robobrain("bench", "exchange", "--brain", "tiny", "--exchanges", "10", cwd=tmp_path)
    assert done.returncode == 0
    assert "16 sources, 20 monitors" in done.stdout


def test_bench_link_compares_both_links_of_a_brain_that_computes_nothing(tmp_path: Path) -> None:
    done = robobrain("bench", "link", "--idle", "--exchanges", "20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for link in ("pipe", "gRPC"):
        assert re.search(rf"idle +{link} +0 +0\.000", done.stdout)
    assert "idle: gRPC adds" in done.stdout


@pytest.mark.parametrize("brain", [["--idle"], ["--brain", "tiny", "--grpc"]])
def test_a_killed_bench_link_leaves_no_server(brain: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "bench", "link", *brain, "--exchanges", "1000000"], stdout=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: bool(listening(tree_of(process.pid))), limit_s=60.0)
        family = tree_of(process.pid)
        process.kill()
    assert not wait_until_gone(family)


def test_bench_link_refuses_ranks_over_grpc(tmp_path: Path) -> None:
    done = robobrain("bench", "link", "--ranks", "1", "--grpc", cwd=tmp_path)
    assert done.returncode == 1
    assert "leave --grpc away" in done.stderr


def test_doctor_names_the_versions(tmp_path: Path) -> None:
    done = robobrain("doctor", cwd=tmp_path)
    assert done.returncode == 0
    assert "nest-simulator" in done.stdout
