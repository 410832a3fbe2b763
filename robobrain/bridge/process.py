"""A kernel process: started with one end of a socket pair, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from robobrain.bridge import tie
from robobrain.bridge.pipe import Pipe
from robobrain.errors import BrainFault

SOCKET = "{socket}"
"""Word of a command that stands for the path of a Unix socket, where the process of the pipe has to call."""

_LOG_TAIL_BYTES = 2000
_CALL_S = 120.0
"""Longest wait for that call (assumed): a launcher starts its processes, and they import what they need."""
_LOOK_EVERY_S = 0.2
_LAUNCHER_GRACE_S = 5.0
"""Longest wait (assumed) for a launcher that was asked to end and to end its ranks on other machines."""


class KernelProcess:
    """A running command with a pipe to it, alone in its own session.

    A command inherits its end of the pipe. A launcher that passes no descriptor on gets a path instead, where
    the process that it starts calls; such a command is tied to this process, as the launcher does not do it.

    A keeper thread starts the command and waits for its end. It lives as long as the command does, so a
    kernel that asks Linux to be killed with its parent, which means the *thread* that started it, stays
    alive when the user's thread ends. Whatever the command has left behind in its session ends with it, and
    so do ranks that a service has started for a launcher in another session, as SLURM's daemon for srun.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        poll_s: float,
        abandoned: threading.Event | None = None,
    ) -> None:
        """Start ``command``; where it has no word `SOCKET`, ``--fd N`` is appended: N is its end of the pipe.

        Args:
            command: Program and arguments.
            environment: Variables added to this process's own.
            poll_s: How long one wait of the pipe lasts before it raises TimeoutError.
            abandoned: Set by another thread that does not want the process any more.

        Raises:
            BrainFault: The command can't be started, or its process did not call.
        """
        self._launched: list[bytes] = []
        self._abandoned = abandoned or threading.Event()
        if SOCKET in command:
            with _Reception() as reception:
                launched = [reception.path if word == SOCKET else word for word in command]
                self._launched = [os.fsencode(word) for word in launched]
                self._start([sys.executable, tie.__file__, *launched], environment, None)
                connection = self._await_call(reception)
        else:
            connection, theirs = socket.socketpair()
            with theirs:
                try:
                    self._start([*command, "--fd", str(theirs.fileno())], environment, theirs)
                except BaseException:
                    connection.close()
                    raise
        connection.settimeout(poll_s)
        self.pipe = Pipe(connection)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], theirs: socket.socket | None
    ) -> None:
        self._owner_pid = os.getpid()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._last_words = ""
        self._reaping = threading.Lock()
        started: Future[subprocess.Popen[bytes]] = Future()
        self._keeper = threading.Thread(
            target=self._keep,
            args=(command, {**os.environ, **environment}, theirs, started),
            name="kernel-keeper",
            daemon=True,
        )
        self._keeper.start()
        try:
            self._process = started.result()
        except OSError as error:
            raise BrainFault(f"the brain's command can't be started: {error}") from error

    def _keep(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        theirs: socket.socket | None,
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=[] if theirs is None else [theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            self._kill_ranks()
            _kill_session(process.pid)
            process.wait()

    def _await_call(self, reception: _Reception) -> socket.socket:
        until = time.monotonic() + _CALL_S
        try:
            while self._keeper.is_alive():
                if (connection := reception.caller(_LOOK_EVERY_S)) is not None:
                    return connection
                if self._abandoned.is_set():
                    raise BrainFault("nobody waits for a brain process to call any more")
                if time.monotonic() > until:
                    raise BrainFault(
                        f"no brain process called within {_CALL_S:g} s: rank 0 must run on this machine"
                    )
            raise BrainFault("the launcher ended before a brain process called")
        except BaseException as error:
            how = self._end_session()
            if isinstance(error, BrainFault):
                raise BrainFault(f"{error} ({how}). The end of its log:\n{self._last_words}") from None
            raise

    @property
    def pid(self) -> int:
        """Process id of the command, which also names its session."""
        return self._process.pid

    def log_tail(self) -> str:
        """Return the end of what the process wrote to stdout and stderr."""
        if not self._log.closed:
            size = os.fstat(self._log.fileno()).st_size
            tail = os.pread(self._log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
            self._last_words = tail.decode(errors="replace").strip()
        return self._last_words

    def ranks(self) -> list[int]:
        """Return the processes on this machine that a launcher started for this brain, none without one.

        They need not be of its session: some launchers have a service start them.
        """
        if not self._launched:
            return []
        return [pid for pid in map(_pid, Path("/proc").iterdir()) if pid and self._has_launched(pid)]

    def _has_launched(self, pid: int) -> bool:
        """Return whether a process runs what the launcher was told to start; it names a socket of its own."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            return False
        return len(words) < len(self._launched) and self._launched[-len(words) :] == words

    def is_stopped(self) -> bool:
        """Return whether a process of the session, or a rank, is stopped by a signal."""
        ranks = self.ranks()
        return any(
            state in "Tt" and (session == self.pid or pid in ranks) for pid, state, session in _processes()
        )

    def end(self, grace_s: float = 0.0, farewell: bytes = b"") -> str:
        """End every process of the session and return how the command ended; may be called again.

        A launcher whose ranks here are killed gets five seconds to end those on other machines.

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
        how = self._end_session()
        with contextlib.suppress(OSError):
            self.pipe.drain()
        self.pipe.close()
        return how

    def _end_session(self) -> str:
        if self._launched:
            with self._reaping:
                if self._process.returncode is None:
                    self._kill_ranks()
                    os.kill(self.pid, signal.SIGTERM)
            self._keeper.join(_LAUNCHER_GRACE_S)
        with self._reaping:
            if self._process.returncode is None:
                _kill_session(self.pid)
        self._keeper.join()
        self.log_tail()
        self._log.close()
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _kill_ranks(self) -> None:
        for pid in self.ranks():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class _Reception:
    """A Unix socket that only this user can reach, for one call."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="robobrain-")
        self.path = str(Path(self._folder.name) / "pipe")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        self._folder.cleanup()

    def caller(self, timeout_s: float) -> socket.socket | None:
        """Return the connection of who called, None where nobody did in time."""
        self._listener.settimeout(timeout_s)
        try:
            return self._listener.accept()[0]
        except TimeoutError:
            return None


def _kill_session(session: int) -> None:
    """Kill every process of a session; launchers put theirs into process groups of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
    for pid, state, its_session in _processes():
        if its_session == session and state != "Z":
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pid(entry: Path) -> int:
    return int(entry.name) if entry.name.isdigit() else 0


def _processes() -> Iterator[tuple[int, str, int]]:
    """Yield number, state and session of each process, ended ones that nobody has waited for included."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields:
                    yield int(entry.name), fields[0], int(fields[3])
