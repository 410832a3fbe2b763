"""The job script under a real SLURM of one node; needs Debian's slurm-wlm and munge.

Under ``.venv-mpi`` (``make mpi``) also its ranks, which srun starts.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import slurm_cluster
from bridge_processes import is_alive, wait_until_gone
from mpi_tools import course, equal
from mpi_tools import why_not as why_no_ranks
from slurm_cluster import Cluster, Job
from typer.testing import CliRunner

from robobrain.brain.config import local_brain
from robobrain.bridge.administration import ServerLink
from robobrain.bridge.credentials import make_credentials
from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.remote_stream import SessionGone
from robobrain.cli.app import app
from robobrain.errors import BrainFault

SCRIPT = Path(__file__).parent.parent / "deploy" / "serve.slurm"
WHY_NOT, WHY_NO_RANKS = slurm_cluster.why_not(), why_no_ranks()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "runs")]
on_ranks = pytest.mark.skipif(bool(WHY_NO_RANKS), reason=WHY_NO_RANKS or "runs")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as one:
        yield one


@dataclass(frozen=True, kw_only=True)
class Service:
    """A job that serves a brain.

    Attributes:
        job: The job.
        rendezvous: Its rendezvous file.
        lab: Credentials of the server and its clients.
    """

    job: Job
    rendezvous: Path
    lab: Path

    @property
    def address(self) -> str:
        """Where it is."""
        return f"@{self.rendezvous}"

    @property
    def credentials(self) -> Path:
        """What a client needs."""
        return self.lab / "client"

    def connect(self) -> RemoteBrain:
        """Lease its brain, with the credentials that its rendezvous file names."""
        return RemoteBrain(self.address)

    def processes(self) -> set[int]:
        """Return server, kernel and ranks, wherever they hang in the tree of processes."""
        with ServerLink(self.address, credentials=self.credentials) as link:
            kernel = link.status().seats[0].pid
        told = [(pid, words_of(pid)) for pid in map(int, filter(str.isdigit, os.listdir("/proc")))]
        socket = next((words[-1] for pid, words in told if pid == kernel and "--socket" in words), None)
        return {
            pid
            for pid, words in told
            if pid == kernel or str(self.rendezvous) in words or (socket and socket in words)
        }


def words_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def ranks_of(service: Service) -> list[int]:
    return sorted(pid for pid in service.processes() if "robobrain.brain.kernel" in words_of(pid)[:3])


def submitted(cluster: Cluster, folder: Path, size: str, *options: str) -> Service:
    """Submit the script as a user does."""
    make_credentials(folder / "lab", [os.uname().nodename])
    rendezvous = folder / "where.json"
    job = cluster.submit(
        SCRIPT,
        size,
        options=("--cpus-per-task=1", *options),
        CREDENTIALS=folder / "lab",
        RENDEZVOUS=rendezvous,
        ROBOBRAIN=Path(sys.executable).parent / "robobrain",
    )
    return Service(job=job, rendezvous=rendezvous, lab=folder / "lab")


def served(cluster: Cluster, folder: Path, *options: str) -> Service:
    """Submit the script and wait for its brain."""
    service = submitted(cluster, folder, "tiny", *options)
    service.job.wait_for_file(service.rendezvous)
    return service


def step_on(brain: RemoteBrain) -> None:
    """Step until something happens."""
    for _ in range(100_000):
        brain.step(np.zeros(brain.description.input_size))


def ends_in_order(service: Service, *options: str) -> str:
    """Cancel a job within an episode; return its state once all that it started has ended."""
    processes = service.processes()
    with service.connect() as brain:
        brain.reset(1)
        service.job.signal(*options)
        with pytest.raises(SessionGone, match="the server was asked to end"):
            step_on(brain)
    state = service.job.wait_for_end()
    assert not wait_until_gone(processes)
    assert not service.rendezvous.exists()
    return state


def test_a_job_serves_the_brain_that_a_local_one_is_until_it_is_cancelled(
    cluster: Cluster, tmp_path: Path
) -> None:
    service = served(cluster, tmp_path)
    with service.connect() as brain, local_brain("tiny", threads=1, record_spikes=True) as local:
        assert equal(course(brain, 1), course(local, 1))
    told = CliRunner().invoke(app, ["status", service.address, "--credentials", str(service.credentials)])
    assert "brain tiny" in told.output
    assert ends_in_order(service) == "CANCELLED"


def test_a_job_that_is_told_before_its_time_limit_ends_well(cluster: Cluster, tmp_path: Path) -> None:
    service = served(cluster, tmp_path)
    assert ends_in_order(service, "--batch", "--signal=TERM") == "COMPLETED"


def test_a_server_that_cant_start_fails_its_job(cluster: Cluster, tmp_path: Path) -> None:
    service = submitted(cluster, tmp_path, "enormous")
    assert service.job.wait_for_end() == "FAILED"
    assert "enormous" in service.job.output
    assert not service.rendezvous.exists()


@pytest.fixture(scope="module")
def two_ranks(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return served(cluster, tmp_path_factory.mktemp("ranks"), "--nodes=1", "--ntasks-per-node=2")


@on_ranks
def test_two_ranks_and_two_threads_give_the_same_first_session(two_ranks: Service) -> None:
    with two_ranks.connect() as brain:
        assert (brain.description.ranks, brain.description.threads) == (2, 1)
        on_two_ranks = course(brain, 1)
    with local_brain("tiny", threads=2, record_spikes=True) as threads:
        assert equal(course(threads, 1), on_two_ranks)
    with ServerLink(two_ranks.address, credentials=two_ranks.credentials) as link:
        assert link.status().seats[0].memory_mib > 50.0  # not the launcher's alone


@on_ranks
@pytest.mark.parametrize(
    ("rank", "sent", "outcome"),
    [(1, signal.SIGKILL, "process ended"), (0, signal.SIGSTOP, "stopped by a signal")],
)
def test_losing_a_rank_is_a_fault_and_all_are_replaced(
    two_ranks: Service, rank: int, sent: int, outcome: str
) -> None:
    with two_ranks.connect() as brain:
        brain.reset(1)
        ranks = ranks_of(two_ranks)
        assert len(ranks) == 2
        os.kill(ranks[rank], sent)
        with pytest.raises(BrainFault, match=outcome):
            step_on(brain)
        assert not wait_until_gone(set(ranks))
        brain.reset(1)
        assert all(map(is_alive, ranks_of(two_ranks)))
        brain.step(np.zeros(brain.description.input_size))


@on_ranks
def test_ranks_end_with_their_job(two_ranks: Service) -> None:
    assert len(ranks_of(two_ranks)) == 2
    assert ends_in_order(two_ranks) == "CANCELLED"
