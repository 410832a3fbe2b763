"""Copies of a process by fork, and what they need to live: a tie to the kernel, a channel, an OpenMP team.

The copy is made on write, so it costs milliseconds and carries everything that NEST keeps: membrane
potentials, spikes in flight, synaptic traces, generators.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import select
import signal
import socket
import struct
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from robobrain.errors import BrainFault

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""From <linux/prctl.h>."""
_MADV_COLLAPSE = 25
"""From <linux/mman.h>; Linux 6.1 or later."""
_HUGE_PAGE_BYTES = 2 * 2**20
_OUT_OF_MEMORY_SCORE = Path("/proc/self/oom_score_adj")
_EXPENDABLE = 1000
"""The most there is, see proc(5)."""
_LENGTH = struct.Struct("<Q")
"""Comes before each message: how many bytes it has."""


class Channel:
    """One end of a private line between the kernel and a copy of it: whole messages, and ends of others."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected SOCK_STREAM socket."""
        self._socket = connection

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return both ends of a new line.

        Raises:
            OSError: There are no descriptors left.
        """
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(one), cls(other)

    def send(self, message: object, end: Channel | None = None) -> None:
        """Send a message, and with it an end of another line; a partner that is gone is noticed later."""
        payload = pickle.dumps(message)
        descriptors = [] if end is None else [end._socket.fileno()]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._socket, [_LENGTH.pack(len(payload))], descriptors)
            self._socket.sendall(payload)

    def receive(self) -> tuple[Any, Channel | None]:
        """Wait for a message.

        Raises:
            EOFError: No process holds the other end any more.
        """
        try:
            header, descriptors, _, _ = socket.recv_fds(self._socket, _LENGTH.size, 1, socket.MSG_WAITALL)
            end = Channel(socket.socket(fileno=descriptors[0])) if descriptors else None
            return pickle.loads(self._read(_LENGTH.unpack(header)[0])), end
        except (ConnectionResetError, struct.error):
            raise EOFError from None

    def _read(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        payload = bytearray()
        while len(payload) < size:
            part = self._socket.recv(size - len(payload))
            if not part:
                raise EOFError
            payload += part
        return bytes(payload)

    def is_lost(self) -> bool:
        """Return whether no process holds the other end any more."""
        line = select.poll()
        line.register(self._socket, 0)  # hang-ups and errors are always told
        return bool(line.poll(0))

    def close(self) -> None:
        """Close this end; may be called again."""
        self._socket.close()


class Team:
    """Runs NEST where OpenMP can start threads, in a process that was copied from one where it had."""

    def __init__(self, threads: int) -> None:
        """Take the number of OpenMP threads of the network.

        Raises:
            BrainFault: There are several threads, but no OpenMP library to set their number in.
        """
        self._threads = threads
        self._openmp = _loaded_openmp() if threads > 1 else None

    def run(self, work: Callable[[], None]) -> None:
        """Run ``work``, in a thread of its own where the network has several.

        OpenMP keeps one team per thread that uses it. The team of the thread that forked did not survive the
        fork, and using it hangs; a new thread gets a new team, whose size it has to be told.
        """
        if self._openmp is None:
            work()
            return
        with ThreadPoolExecutor(
            1, initializer=self._openmp.omp_set_num_threads, initargs=(self._threads,)
        ) as new:
            new.submit(work).result()


def fork() -> int:
    """Fork, as ``os.fork``.

    Raises:
        OSError: There is no memory or no process left.
    """
    with warnings.catch_warnings():
        # Python warns because of OpenMP's threads; the copy never touches that team again.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def be_expendable() -> Callable[[], None]:
    """Have Linux end this process before others where memory runs out; return what takes that back.

    Without /proc, or where it can't be written to, nothing happens.
    """
    try:
        before = int(_OUT_OF_MEMORY_SCORE.read_text())
    except OSError:
        return lambda: None
    _rank_for_killing(_EXPENDABLE)
    return lambda: _rank_for_killing(before)


def _rank_for_killing(score: int) -> None:
    with contextlib.suppress(OSError):
        _OUT_OF_MEMORY_SCORE.write_text(str(score))


def memory_of(pid: int) -> tuple[int, int]:
    """Return the bytes that process ``pid`` has for itself and those in common with others; 0 when gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    private, shared = (
        1024 * (kilobytes[f"{kind}_Clean"] + kilobytes[f"{kind}_Dirty"]) for kind in ("Private", "Shared")
    )
    return private, shared


def use_huge_pages() -> None:
    """Have Linux gather this process's own memory in huge pages, as far as it can.

    A fork copies the page table, whose size is then one entry per 2 MB instead of one per 4 kB, and a copy
    that writes to its memory still copies only the 4 kB that it writes to. What grows later is left alone:
    huge pages in a copy would be its own as a whole. Before Linux 6.1 nothing happens.
    """
    libc = ctypes.CDLL(None)
    for start, end in _own_memory():
        first, last = -(-start // _HUGE_PAGE_BYTES), end // _HUGE_PAGE_BYTES
        if first < last:
            size = ctypes.c_size_t((last - first) * _HUGE_PAGE_BYTES)
            libc.madvise(ctypes.c_void_p(first * _HUGE_PAGE_BYTES), size, _MADV_COLLAPSE)


def _own_memory() -> list[tuple[int, int]]:
    """Return begin and end of each mapping of this process that holds no file and can be written to."""
    mappings = (line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines())
    return [
        (int(begin, 16), int(end, 16))
        for addresses, access, _, _, _, *name in mappings
        if access == "rw-p" and name in ([], ["[heap]"])
        for begin, _, end in [addresses.partition("-")]
    ]


def openmp_path() -> str | None:
    """Return the path of the OpenMP library in this process, None where there is none."""
    mapped = (line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines())
    return next((path for path in mapped if "libgomp" in Path(path).name), None)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _loaded_openmp() -> ctypes.CDLL:
    path = openmp_path()
    if path is None:
        raise BrainFault(
            "no libgomp is loaded: this NEST can't run an episode on several threads; use threads=1"
        )
    return ctypes.CDLL(path)
