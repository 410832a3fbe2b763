"""A real SLURM of one node, on the loopback interface, for the tests of the job script."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from server_tools import wait_for

_DAEMONS = ("munged", "slurmctld", "slurmd")
_ENDED = {"CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL", "TIMEOUT"}
_CONFIGURATION = """
ClusterName=robobrain
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Return what is missing for a cluster, empty where one can be started."""
    missing = [name for name in _DAEMONS if _program(name) is None]
    return f"no {', '.join(missing)}: Debian has them in slurm-wlm and munge" if missing else ""


class Cluster:
    """SLURM's daemons, as children of this process.

    Attributes:
        folder: All that they write, and a place for jobs to write to.
        environment: Variables with which SLURM's commands find it.
    """

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="robobrain-slurm-")))
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def submit(self, script: Path, *arguments: str, options: tuple[str, ...] = (), **settings: object) -> Job:
        """Submit a job; ``settings`` are variables of its environment."""
        output = ("--chdir", str(self.folder), "--output", str(self.folder / "job-%j.out"))
        command = ("sbatch", "--parsable", *output, *options, str(script), *arguments)
        return Job(self, self.run(*command, **settings).strip())

    def run(self, *command: str, **settings: object) -> str:
        """Return what one of SLURM's commands says."""
        environment = self.environment | {name: str(value) for name, value in settings.items()}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def _start(self, stack: contextlib.ExitStack) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        configuration, key = self.folder / "slurm.conf", self.folder / "munge.key"
        host = socket.gethostname().partition(".")[0]
        controller_port, node_port = _free_ports(2)
        configuration.write_text(
            _CONFIGURATION.format(
                host=host,
                user=getpass.getuser(),
                folder=self.folder,
                controller_port=controller_port,
                node_port=node_port,
            )
        )
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.environment = dict(os.environ) | {"SLURM_CONF": str(configuration)}
        places = {
            f"--{name}-file": self.folder / f"munge.{name}" for name in ("key", "pid", "log", "seed")
        } | {"--socket": self.folder / "munge.socket"}
        self._daemon(
            stack, "munged", "--foreground", "--force", *(f"{option}={at}" for option, at in places.items())
        )
        wait_for((self.folder / "munge.socket").exists)
        self._daemon(stack, "slurmctld", "-D", "-f", str(configuration))
        self._daemon(stack, "slurmd", "-D", "-N", host, "-f", str(configuration))
        stack.callback(self._cancel_jobs)
        wait_for(self._is_idle, limit_s=60.0)

    def _daemon(self, stack: contextlib.ExitStack, name: str, *arguments: str) -> None:
        command = [str(_program(name)), *arguments]
        with (self.folder / f"{name}.out").open("wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(_end, process)

    def _is_idle(self) -> bool:
        with contextlib.suppress(AssertionError):
            return self.run("sinfo", "--noheader", "--format=%T").strip() == "idle"
        return False

    def _cancel_jobs(self) -> None:
        self.run("scancel", f"--user={getpass.getuser()}")
        wait_for(lambda: not self.run("squeue", "--noheader"), limit_s=60.0)


class Job:
    """A submitted job."""

    def __init__(self, cluster: Cluster, number: str) -> None:
        self._cluster, self.number = cluster, number

    @property
    def state(self) -> str:
        """SLURM's word for how it is."""
        said = self._cluster.run("scontrol", "--oneliner", "show", "job", self.number)
        found = re.search(r"JobState=(\w+)", said)
        assert found, said
        return found[1]

    @property
    def output(self) -> str:
        """What it wrote."""
        return (self._cluster.folder / f"job-{self.number}.out").read_text()

    def wait_for_file(self, path: Path) -> None:
        """Wait until the job has written a file."""

        def is_there() -> bool:
            assert path.exists() or self.state not in _ENDED, self.output
            return path.exists()

        wait_for(is_there, limit_s=120.0)

    def wait_for_end(self) -> str:
        """Wait until nothing runs any more and return the state."""
        wait_for(lambda: self.state in _ENDED, limit_s=60.0)
        return self.state

    def signal(self, *options: str) -> None:
        """Send what ``scancel`` sends."""
        self._cluster.run("scancel", *options, self.number)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
