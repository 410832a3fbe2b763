"""A kernel process: started with one end of a socket pair, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from robobrain.bridge.pipe import Pipe
from robobrain.errors import BrainFault

_LOG_TAIL_BYTES = 2000


class KernelProcess:
    """A running command with a pipe to it, alone in its own session.

    A keeper thread starts the command and waits for its end. It lives as long as the command does, so a
    kernel that asks Linux to be killed with its parent, which means the *thread* that started it, stays
    alive when the user's thread ends. Whatever the command has left behind in its process group ends with it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], poll_s: float) -> None:
        """Start ``command`` with ``--fd N`` appended, where N is its end of the pipe.

        Args:
            command: Program and arguments.
            environment: Variables added to this process's own.
            poll_s: How long one wait of the pipe lasts before it raises TimeoutError.

        Raises:
            BrainFault: The command can't be started.
        """
        ours, theirs = socket.socketpair()
        ours.settimeout(poll_s)
        self.pipe = Pipe(ours)
        self._owner_pid = os.getpid()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._last_words = ""
        self._reaping = threading.Lock()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._keeper = threading.Thread(
            target=self._keep,
            args=([*command, "--fd", str(theirs.fileno())], {**os.environ, **environment}, theirs, started),
            name="kernel-keeper",
            daemon=True,
        )
        self._keeper.start()
        try:
            self._process = started.result()
        except OSError as error:
            self.pipe.close()
            raise BrainFault(f"the brain's command can't be started: {error}") from error

    def _keep(
        self,
        command: list[str],
        environment: dict[str, str],
        theirs: socket.socket,
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        with theirs:
            try:
                process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                started.set_exception(error)
                return
        started.set_result(process)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            _kill_group(process.pid)
            process.wait()

    @property
    def pid(self) -> int:
        """Process id of the command, which also names its process group."""
        return self._process.pid

    def log_tail(self) -> str:
        """Return the end of what the process wrote to stdout and stderr."""
        if not self._log.closed:
            size = os.fstat(self._log.fileno()).st_size
            tail = os.pread(self._log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
            self._last_words = tail.decode(errors="replace").strip()
        return self._last_words

    def is_stopped(self) -> bool:
        """Return whether a process of the group is stopped by a signal."""
        return any(
            group == self.pid and state in "Tt"
            for group, state in map(_group_and_state, Path("/proc").iterdir())
        )

    def end(self, grace_s: float = 0.0, farewell: bytes = b"") -> str:
        """End every process of the group and return how the command ended; may be called again.

        In a forked copy of the process that started it this closes only the copy's end of the pipe.

        Args:
            grace_s: How long to wait for it to end by itself.
            farewell: Frame that asks it to.
        """
        if os.getpid() != self._owner_pid:
            self.pipe.close()
            return "belongs to another process"
        if farewell and self._keeper.is_alive():
            with contextlib.suppress(OSError, BrainFault):
                self.pipe.send(farewell)
        self._keeper.join(grace_s)
        with self._reaping:
            if self._process.returncode is None:
                _kill_group(self.pid)
        self._keeper.join()
        with contextlib.suppress(OSError):
            self.pipe.drain()
        self.pipe.close()
        self.log_tail()
        self._log.close()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _group_and_state(entry: Path) -> tuple[int, str]:
    """Return process group and state of a directory of /proc, (0, "") where it is no living process."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
    except OSError:
        fields = []
    return (int(fields[2]), fields[0]) if fields else (0, "")
