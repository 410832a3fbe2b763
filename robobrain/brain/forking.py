"""Serving a brain by fork: each episode is a copy of a process that holds an instant and waits.

The kernel holds the settled instant and never simulates again. An episode that is told to keep its present
instant forks a holder, which waits for the kernel's word; to restore it, the holder forks the next holder
and goes on as the episode itself. So one fork does it at any depth, a holder that is lost takes no episode
along, and neither does an episode take its holders: whatever loses its parent is adopted by the kernel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from robobrain.brain.holder import (
    Channel,
    Team,
    adopt_orphans,
    be_expendable,
    end_with_parent,
    fork,
    memory_of,
    use_huge_pages,
)
from robobrain.brain.limits import Limits
from robobrain.brain.snapshots import Kept, Origin, Snapshots
from robobrain.brain.words import Ask, Keep, Over, Refused, Started, Wake, Woken
from robobrain.bridge.codec import encode_fault, encode_snapshot, parse
from robobrain.bridge.messages import Description
from robobrain.bridge.pipe import Pipe, PipeClosed
from robobrain.bridge.serve import KernelModel, Server, Steps, episode_lost, fault_reply
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_REAP_S = 1.0
_LARGE_BYTES = 2**30
"""From here on memory is gathered in huge pages: 2 s per GiB at the start, 16 ms per GiB in each fork."""


@dataclass(frozen=True)
class _Episode:
    """The running episode, as the kernel knows it."""

    pid: int
    channel: Channel
    beginning: pb.Request


class ForkServer(Server):
    """Answers requests with episodes in forked copies of this process, and keeps instants of them.

    Args:
        model: The brain, settled.
        pipe: Where requests come from. The kernel reads it while no episode runs, else the episode does.
        team: Runs NEST in a copy.
        limits: How many instants are kept.
    """

    def __init__(self, model: KernelModel, pipe: Pipe, team: Team, limits: Limits) -> None:
        super().__init__(model, pipe)
        self._team = team
        self._kernel = os.getpid()
        self._snapshots = Snapshots(limits)
        self._episode: _Episode | None = None
        self._statuses: dict[int, int] = {}
        # What follows is a copy's own.
        self._channel: Channel
        self._origin: Origin
        self._is_tied = False

    @property
    def _description(self) -> Description:
        return dataclasses.replace(self._model.description, snapshot_limit=self._snapshots.limits.count)

    def run(self) -> None:
        """Serve until a Shutdown, the end of the pipe, or a message that can't be understood."""
        adopt_orphans()
        gc.collect()
        gc.freeze()  # the collector would write to, and so copy, pages that all copies share
        if sum(memory_of(self._kernel)) > _LARGE_BYTES:
            use_huge_pages()
        try:
            while self._serve_next():
                self._reap()
        except PipeClosed:
            return
        except ProtocolError as error:
            _LOGGER.error("connection ended: %s", error)
            self._send(pb.Reply(fault=encode_fault(error)))

    # The kernel's part.

    def _serve_next(self) -> bool:
        """Serve one request of the client or one message of the episode; return False for a shutdown."""
        if self._episode is not None:
            return self._serve_running(self._episode)
        request = parse(pb.Request, self._pipe.receive())
        if request.HasField("shutdown"):
            return False
        if request.HasField("describe"):
            self._describe(request)
        elif reply := self._answer(request):
            self._send(reply)
        return True

    def _serve_running(self, episode: _Episode) -> bool:
        try:
            message, end = episode.channel.receive()
        except EOFError:
            self._lose(episode)
            return True
        if isinstance(message, Ask):
            request = parse(pb.Request, message.payload)
            if request.HasField("shutdown"):
                return False
            reply = self._answer(request)
            episode.channel.send(reply.SerializeToString() if reply else None)
            if reply is None:
                episode.channel.close()
        elif isinstance(message, Keep):
            episode.channel.send(self._register(message, end).SerializeToString())
        elif isinstance(message, Started):
            self._snapshots.record_start(message.origin, message.inputs, message.state)
        elif isinstance(message, Over):
            self._forget(episode)
        return True

    def _answer(self, request: pb.Request) -> pb.Reply | None:
        """Do what is asked; return the reply, None where it is given and the running episode has to end."""
        try:
            match request.WhichOneof("kind"):
                case "reset":
                    self._begin(request)
                    return None
                case "restore":
                    self._restore(request)
                    return None
                case "configure":
                    self._change_devices(request)
                    return None
                case "drop":
                    self._snapshots.drop(request.drop.snapshot)
                    return pb.Reply(id=request.id, snapshots=pb.Snapshots())
                case "list_snapshots":
                    held = [encode_snapshot(info) for info in self._snapshots.infos()]
                    return pb.Reply(id=request.id, snapshots=pb.Snapshots(held=held))
                case _:
                    raise ConfigurationError("no episode has begun: reset first")
        except (ConfigurationError, SnapshotFault) as error:
            return fault_reply(request, error)

    def _change_devices(self, request: pb.Request) -> None:
        """Give the settled brain other devices; episode and instants have those of before, so they go.

        Where the devices can't be used only the episode ends.
        """
        self._episode = None
        if self._configure(request):
            self._snapshots.clear()

    def _begin(self, request: pb.Request) -> None:
        """Begin an episode in a copy of this process, from the settled instant."""
        origin = (0, request.reset.seed, ())
        try:
            ours, theirs = Channel.pair()
            pid = fork()
        except OSError as error:
            raise SnapshotFault(f"the settled brain can't be copied: {error}") from error
        if pid == 0:
            ours.close()
            self._become_copy(theirs)
            self._live(request, lambda: self._first_steps(request.reset.seed, origin))
        theirs.close()
        self._episode = _Episode(pid, ours, request)

    def _first_steps(self, seed: int, origin: Origin) -> Steps:
        known = self._snapshots.starts(origin)
        episode = Steps(self._model, seed)
        self._watch_start(episode, origin, known)
        return episode

    def _restore(self, request: pb.Request) -> None:
        """Have the holder of an instant go on as the episode."""
        number = request.restore.snapshot
        kept = self._snapshots.use(number)
        known = self._snapshots.starts(_origin_of(request))
        kept.channel.send(Wake(request.SerializeToString(), known))
        try:
            answer, end = kept.channel.receive()
        except EOFError:
            raise self._snapshots.lose(number) from None
        if isinstance(answer, Refused):
            raise SnapshotFault(f"snapshot {number} can't be restored now: {answer.why}")
        self._episode = _Episode(kept.pid, kept.channel, request)
        if end is None:  # no descriptor is left for the line to the next holder, which ends by that
            _LOGGER.warning("snapshot %d is gone: too many open files", number)
            self._snapshots.forget(number)
            return
        kept.pid, kept.channel, kept.restores = answer.pid, end, kept.restores + 1

    def _register(self, keep: Keep, end: Channel | None) -> pb.Reply:
        if end is None:
            fault = SnapshotFault("no snapshot can be taken now: too many open files in the kernel")
            return pb.Reply(id=keep.request_id, fault=encode_fault(fault))
        kept = Kept(
            pid=keep.pid, channel=end, parent=keep.parent, seed=keep.seed, seq=keep.seq, t_ms=keep.t_ms
        )
        number, evicted = self._snapshots.add(kept)
        return pb.Reply(id=keep.request_id, snapshots=pb.Snapshots(taken=number, evicted=evicted))

    def _lose(self, episode: _Episode) -> None:
        error = BrainFault(f"the brain's episode process was lost ({self._end_of(episode.pid)})")
        _LOGGER.error("%s", error)
        self._forget(episode)
        self._send(episode_lost(episode.beginning, error))

    def _forget(self, episode: _Episode) -> None:
        episode.channel.close()
        self._episode = None

    def _end_of(self, pid: int) -> str:
        """Return in words how process ``pid`` ended."""
        until = time.monotonic() + _REAP_S
        while pid not in self._statuses and time.monotonic() < until:
            self._reap()
            time.sleep(1e-3)
        if pid not in self._statuses:
            return "how is unknown"
        code = os.waitstatus_to_exitcode(self._statuses.pop(pid))
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _reap(self) -> None:
        """Take note of the processes that ended."""
        running = None if self._episode is None else self._episode.pid
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if ended[0] == running:
                    self._statuses = dict([ended])

    # A copy's part.

    def _become_copy(self, channel: Channel) -> None:
        """Turn this fresh copy of the kernel into one of its episodes."""
        self._channel = channel
        if self._episode is not None:
            self._episode.channel.close()
        self._snapshots.close()
        # Holders that this episode will fork and that end before it must not stay as zombies.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def _live(self, request: pb.Request, begin: Callable[[], Steps]) -> NoReturn:
        """Serve an episode, then end this process."""
        code = 1
        try:
            self._tie()
            self._team.run(functools.partial(self._serve_and_part, request, begin))
            code = 0
        except BaseException:
            _LOGGER.exception("the episode process failed")
        finally:
            os._exit(code)  # no clean-up here: NEST and the pipe are not only this process's

    def _serve_and_part(self, request: pb.Request, begin: Callable[[], Steps]) -> None:
        payload = self._serve_episode(request, begin)
        if not payload:
            self._channel.send(Over())
        elif parse(pb.Request, payload).HasField("shutdown"):
            self._channel.send(Ask(payload))

    def _tie(self) -> None:
        """Have Linux end this process with the kernel, as soon as that is its parent."""
        if not self._is_tied and os.getppid() == self._kernel:
            end_with_parent()
            self._is_tied = True

    def _step(self, episode: Steps, request: pb.Request, beginning: pb.Request) -> bool:
        self._tie()
        return super()._step(episode, request, beginning)

    def _answer_beyond(self, episode: Steps, request: pb.Request) -> bool:
        if request.HasField("shutdown"):
            return False
        if request.HasField("snapshot"):
            self._keep(episode, request)
            return True
        self._channel.send(Ask(request.SerializeToString()))
        reply = self._word()
        if reply is None:
            return False
        self._pipe.send(reply)
        return True

    def _word(self) -> Any:
        """Wait for the kernel's word."""
        try:
            return self._channel.receive()[0]
        except EOFError:
            raise PipeClosed("the kernel is gone") from None

    def _keep(self, episode: Steps, request: pb.Request) -> None:
        """Fork a holder of the present instant."""
        try:
            ours, theirs = Channel.pair()
            pid = fork()
        except OSError as error:
            self._send(fault_reply(request, SnapshotFault(f"no snapshot can be taken now: {error}")))
            return
        if pid == 0:
            ours.close()
            self._channel.close()
            self._hold(theirs, episode)
        theirs.close()
        seq, t_ms = episode.last.seq, episode.last.t_ms
        self._channel.send(Keep(request.id, pid, self._origin[0], episode.seed, seq, t_ms), ours)
        ours.close()
        reply = self._word()
        if taken := pb.Reply.FromString(reply).snapshots.taken:
            self._watch_start(episode, (taken, None, ()), {})
        self._pipe.send(reply)

    def _hold(self, channel: Channel, episode: Steps) -> NoReturn:
        """Hold an instant until the kernel lets go of it, or has it restored.

        Where memory runs out, an instant is lost rather than the episode or the settled brain.
        """
        self._is_tied = False
        be_needed = be_expendable()
        while True:
            try:
                wake, _ = channel.receive()
            except EOFError:
                os._exit(0)
            try:
                ours, theirs = Channel.pair()
                pid = fork()
            except OSError as error:
                channel.send(Refused(str(error)))
                continue
            if pid == 0:
                channel.close()
                ours.close()
                channel = theirs
                continue
            be_needed()
            theirs.close()
            channel.send(Woken(pid), ours)
            ours.close()
            self._channel = channel
            request = parse(pb.Request, wake.payload)
            self._live(request, functools.partial(self._continue, episode, request, wake.known))

    def _continue(self, episode: Steps, request: pb.Request, known: Mapping[bytes, bytes]) -> Steps:
        origin = _, seed, silence = _origin_of(request)
        if seed is not None:
            self._model.reseed(seed)
            episode.seed = seed
        if silence:
            self._model.silence(silence)
        self._watch_start(episode, origin, known)
        return episode

    def _watch_start(self, episode: Steps, origin: Origin, known: Mapping[bytes, bytes]) -> None:
        """Compare the first exchange after ``origin`` with the one known for the same inputs, or report it.

        Raises (in the exchange):
            BrainFault: The state after it is another one.
        """
        self._origin = origin

        def check(packed: bytes) -> None:
            episode.check = None
            inputs, state = hashlib.sha256(packed).digest()[:16], self._model.digest()
            if inputs not in known:
                self._channel.send(Started(origin, inputs, state))
            elif known[inputs] != state:
                raise BrainFault(
                    f"the first exchange after {_named(origin)} differs from the one before with the same "
                    "inputs: this continuation is not exact, and the copies of this brain can't be trusted"
                )

        episode.check = check


def _origin_of(request: pb.Request) -> Origin:
    restore = request.restore
    return restore.snapshot, restore.seed if restore.HasField("seed") else None, tuple(restore.silence)


def _named(origin: Origin) -> str:
    number, seed, silence = origin
    place = f"snapshot {number}" if number else "the settled state"
    place += "" if seed is None else f" with seed {seed}"
    return place + (f" without {', '.join(silence)}" if silence else "")
