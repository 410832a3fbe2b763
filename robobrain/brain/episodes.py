"""The episodes of a brain that is served by fork: what a copy of the kernel does."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from robobrain.brain.holder import Channel, Team, be_expendable, end_with_parent, fork
from robobrain.brain.snapshots import Known, Origin
from robobrain.brain.words import Ask, Keep, Over, Refused, Started, Woken
from robobrain.bridge.codec import parse
from robobrain.bridge.pipe import Pipe, PipeClosed
from robobrain.bridge.serve import Configurable, KernelModel, Server, Steps, fault_reply
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, SnapshotFault

_LOGGER = logging.getLogger(__name__)
_PATIENCE_S = 2.0
"""Assumed: longest wait of a step for the process of the episode before to end, which takes milliseconds.
Then the step goes on untied, and the next one tries again."""
_GLANCE_S = 2e-4
"""Assumed: time between two looks whether it has."""

GoOn = Callable[[pb.Request, Known], Steps]
"""Makes the episode that a request asks for out of a held instant with these known first exchanges."""


class EpisodeServer(Server):
    """Serves an episode in a copy of the kernel, and holds instants in further copies of it.

    Args:
        model: The brain, settled.
        pipe: Where requests come from. The kernel reads it while no episode runs, else the episode does.
        team: Runs NEST in a copy.
    """

    def __init__(self, model: KernelModel, pipe: Pipe, team: Team) -> None:
        super().__init__(model, pipe)
        self._team = team
        self._kernel = os.getpid()
        self._channel: Channel
        self._origin: Origin
        self._is_tied = False

    def _become_copy(self, channel: Channel) -> None:
        """Turn this fresh copy of the kernel into an episode or a holder at the other end of ``channel``."""
        self._channel = channel
        # Holders that this episode will fork and that end before it must not stay as zombies.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def _live(self, request: pb.Request, begin: Callable[[], Steps]) -> NoReturn:
        """Serve an episode, then end this process."""
        code = 1
        try:
            self._tie()
            self._team.run(partial(self._serve_and_part, request, begin))
            code = 0
        except PipeClosed:
            pass  # with the kernel all is over
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

    def _tie(self, patience_s: float = 0.0) -> None:
        """Have Linux end this process with the kernel, which is its parent once the episode before has ended.

        Args:
            patience_s: How long to wait for that at most.
        """
        until = time.monotonic() + patience_s
        while os.getppid() != self._kernel:
            if self._channel.is_lost():
                raise PipeClosed("the kernel is gone")
            if time.monotonic() >= until:
                return
            time.sleep(_GLANCE_S)
        end_with_parent()
        self._is_tied = True
        if os.getppid() != self._kernel:  # it ended just before Linux was told
            raise PipeClosed("the kernel is gone")

    def _step(self, episode: Steps, request: pb.Request, beginning: pb.Request) -> bool:
        if not self._is_tied:
            self._tie(_PATIENCE_S)  # before NEST runs, which may hang and then hears nobody
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
            self._hold(theirs, partial(self._continue, episode))
        theirs.close()
        seq, t_ms = episode.last.seq, episode.last.t_ms
        self._channel.send(Keep(request.id, pid, self._origin[0], episode.seed, seq, t_ms), ours)
        ours.close()
        reply = self._word()
        if taken := pb.Reply.FromString(reply).snapshots.taken:
            self._watch_start(episode, (taken, None, ()), {})
        self._pipe.send(reply)

    def _hold_equipped(self) -> NoReturn:
        """Make the devices, say whether that went well, and hold the settled brain that has them."""
        try:
            assert isinstance(self._model, Configurable)
            self._tie()  # before NEST runs, which may hang and then hears nobody
            self._team.run(self._model.equip)
        except PipeClosed:
            os._exit(0)  # with the kernel all is over
        except ConfigurationError as error:
            self._channel.send(error)
            os._exit(1)
        except Exception as error:
            _LOGGER.exception("the model failed to make the devices")
            self._channel.send(BrainFault(f"{type(error).__name__}: {error}"))
            os._exit(1)
        self._channel.send(None)
        self._hold(self._channel, self._begin_episode)

    def _hold(self, channel: Channel, go_on: GoOn) -> NoReturn:
        """Hold an instant until the kernel lets go of it, or has an episode go on from it.

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
            self._live(request, partial(go_on, request, wake.known))

    def _begin_episode(self, request: pb.Request, known: Known) -> Steps:
        """Begin at the settled instant."""
        episode = Steps(self._model, request.reset.seed)
        self._watch_start(episode, settled(request), known)
        return episode

    def _continue(self, episode: Steps, request: pb.Request, known: Known) -> Steps:
        """Go on from a kept instant."""
        origin = _, seed, silence = origin_of(request)
        if seed is not None:
            self._model.reseed(seed)
            episode.seed = seed
        if silence:
            self._model.silence(silence)
        self._watch_start(episode, origin, known)
        return episode

    def _watch_start(self, episode: Steps, origin: Origin, known: Known) -> None:
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


def settled(request: pb.Request) -> Origin:
    """Return the origin of an episode that a reset asks for."""
    return 0, request.reset.seed, ()


def origin_of(request: pb.Request) -> Origin:
    """Return the origin of an episode that continues a kept instant."""
    restore = request.restore
    return restore.snapshot, restore.seed if restore.HasField("seed") else None, tuple(restore.silence)


def _named(origin: Origin) -> str:
    number, seed, silence = origin
    place = f"snapshot {number}" if number else "the settled state"
    place += "" if seed is None else f" with seed {seed}"
    return place + (f" without {', '.join(silence)}" if silence else "")
