"""Serving a brain by fork: each episode is a copy of a process that holds an instant and waits.

The kernel holds the settled instant and never simulates again. An episode that is told to keep its present
instant forks a holder, which waits for the kernel's word; to restore it, the holder forks the next holder
and goes on as the episode itself. So one fork does it at any depth, a holder that is lost takes no episode
along, and neither does an episode take its holders: whatever loses its parent is adopted by the kernel.

Devices beside the wiring are made in a holder of the settled instant, once and not for each episode: NEST
sorts all synapses anew when it gets a connection (0.2 s at 1.7 million, measured). The kernel's own network
stays without them, for the next set.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from robobrain.brain.episodes import EpisodeServer, origin_of, settled
from robobrain.brain.holder import Channel, Team, adopt_orphans, fork, memory_of, use_huge_pages
from robobrain.brain.limits import Limits
from robobrain.brain.snapshots import Holder, Kept, Known, Snapshots
from robobrain.brain.words import Ask, Keep, Over, Refused, Started, Wake
from robobrain.bridge.codec import encode_fault, encode_snapshot, parse
from robobrain.bridge.messages import Description
from robobrain.bridge.pipe import Pipe, PipeClosed
from robobrain.bridge.serve import Configurable, KernelModel, episode_lost, fault_reply
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_REAP_S = 1.0
"""Assumed: longest wait for a process that is lost to be known as ended."""
_ENDS_REMEMBERED = 256
"""Assumed: more than end between the loss of one that matters and the question how."""
_LARGE_BYTES = 2**30
"""From here on memory is gathered in huge pages: 2 s per GiB at the start, 16 ms per GiB in each fork."""


@dataclass(frozen=True)
class _Episode:
    """The running episode, as the kernel knows it."""

    pid: int
    channel: Channel
    beginning: pb.Request


class ForkServer(EpisodeServer):
    """Answers requests with episodes in forked copies of this process, and keeps instants of them.

    Args:
        model: The brain, settled.
        pipe: Where requests come from. The kernel reads it while no episode runs, else the episode does.
        team: Runs NEST in a copy.
        limits: How many instants are kept.
    """

    def __init__(self, model: KernelModel, pipe: Pipe, team: Team, limits: Limits) -> None:
        super().__init__(model, pipe, team)
        self._snapshots = Snapshots(limits)
        self._episode: _Episode | None = None
        self._equipped: Holder | None = None
        self._statuses: dict[int, int] = {}

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
                case "restore":
                    self._restore(request)
                case "configure":
                    self._change_devices(request)
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
        except BrainFault as error:
            return episode_lost(request, error)
        return None

    def _change_devices(self, request: pb.Request) -> None:
        """Give the settled brain other devices; episode and instants have those of before, so they go.

        Where the devices can't be used only the episode ends.
        """
        self._episode = None
        if self._configure(request):
            self._snapshots.clear()
            self._let_go_of_devices()

    def _begin(self, request: pb.Request) -> None:
        """Begin an episode in a copy of the settled brain, of this process or of the one with the devices."""
        known = self._snapshots.starts(settled(request))
        if not isinstance(self._model, Configurable) or self._model.is_equipped:
            pid, channel = self._copy(
                lambda: self._live(request, partial(self._begin_episode, request, known))
            )
            self._episode = _Episode(pid, channel, request)
            return
        is_new = self._equipped is None
        holder = self._equipped = self._equipped or self._equip()
        try:
            self._equipped = self._wake(holder, request, known)
        except EOFError:
            self._let_go_of_devices()
            if is_new:
                raise BrainFault(
                    f"the brain with its devices was lost ({self._end_of(holder.pid)})"
                ) from None
            self._begin(request)  # with devices made anew
            return
        if self._equipped is None:
            _LOGGER.warning("too many open files: the next reset makes the devices anew")

    def _equip(self) -> Holder:
        """Have a copy make the devices and hold the settled brain that has them."""
        holder = self._copy(self._hold_equipped)
        try:
            error, _ = holder.channel.receive()
        except EOFError:
            end = self._end_of(holder.pid)
            error = BrainFault(f"the process that makes the devices was lost ({end})")
        if error is not None:
            holder.channel.close()
            raise error
        return holder

    def _let_go_of_devices(self) -> None:
        """Have the holder of the settled brain with its devices end, if there is one."""
        if self._equipped is not None:
            self._equipped.channel.close()
            self._equipped = None

    def _copy(self, become: Callable[[], NoReturn]) -> Holder:
        """Fork, and have the copy do something else than this process does."""
        try:
            ours, theirs = Channel.pair()
            pid = fork()
        except OSError as error:
            raise SnapshotFault(f"the settled brain can't be copied: {error}") from error
        if pid == 0:
            ours.close()
            self._let_go()
            self._become_copy(theirs)
            become()
        theirs.close()
        return Holder(pid, ours)

    def _let_go(self) -> None:
        """Close what is the kernel's only, in a copy of it."""
        for held in (self._episode, self._equipped):
            if held is not None:
                held.channel.close()
        self._snapshots.close()

    def _wake(self, holder: Holder, request: pb.Request, known: Known) -> Holder | None:
        """Have a holder go on as the episode; return the next holder.

        None where no descriptor is left for the line to it: then it has ended.

        Raises:
            SnapshotFault: There is no room for another copy.
            EOFError: The holder was lost.
        """
        holder.channel.send(Wake(request.SerializeToString(), known))
        answer, end = holder.channel.receive()
        if isinstance(answer, Refused):
            raise SnapshotFault(f"the brain can't be copied now: {answer.why}")
        self._episode = _Episode(holder.pid, holder.channel, request)
        return None if end is None else Holder(answer.pid, end)

    def _restore(self, request: pb.Request) -> None:
        """Have the holder of an instant go on as the episode."""
        number = request.restore.snapshot
        kept = self._snapshots.use(number)
        try:
            following = self._wake(kept.holder, request, self._snapshots.starts(origin_of(request)))
        except EOFError:
            raise self._snapshots.lose(number) from None
        if following is None:
            _LOGGER.warning("too many open files: snapshot %d is lost", number)
            self._snapshots.forget(number)
            return
        kept.holder = following
        kept.restores += 1

    def _register(self, keep: Keep, end: Channel | None) -> pb.Reply:
        if end is None:
            fault = SnapshotFault("no snapshot can be taken now: too many open files in the kernel")
            return pb.Reply(id=keep.request_id, fault=encode_fault(fault))
        kept = Kept(
            holder=Holder(keep.pid, end), parent=keep.parent, seed=keep.seed, seq=keep.seq, t_ms=keep.t_ms
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
        """Take note of how processes ended, of the last ones only: most are never asked about."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._statuses.update([ended])
        while len(self._statuses) > _ENDS_REMEMBERED:
            del self._statuses[next(iter(self._statuses))]
