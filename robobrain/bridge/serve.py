"""The brain's end of a pipe: answers requests with whatever model it is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robobrain.bridge.codec import (
    check_version,
    encode_description,
    encode_fault,
    encode_readings,
    encode_samples,
    encode_spikes,
    parse,
    unpack_float32,
)
from robobrain.bridge.messages import Description, Readings, Samples, Spikes, check_inputs
from robobrain.bridge.pipe import Frames, PipeClosed
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, ProtocolError

_LOGGER = logging.getLogger(__name__)
_SHUTDOWN = pb.Request(shutdown=pb.Shutdown()).SerializeToString()

SNAPSHOT_KINDS = frozenset({"snapshot", "restore", "drop", "list_snapshots"})
NO_SNAPSHOTS = "this brain keeps no snapshots: it only returns to its settled state"


class KernelModel(Protocol):
    """What a server drives.

    ``begin`` and ``exchange`` refuse what they can't use with :class:`ConfigurationError` before they change
    anything; every other exception ends the episode. The server numbers the readings.
    """

    @property
    def description(self) -> Description:
        """What the brain is."""

    def begin(self, seed: int) -> Readings:
        """Start an episode from the settled state and return the outputs at rest."""

    def exchange(self, inputs: NDArray[np.float32]) -> Readings:
        """Apply ``inputs``, finite float32[input_size], for one exchange period; return what came of it."""

    def collect(self) -> Spikes | None:
        """Return the spikes that no exchange has handed out yet, None where they are not recorded."""

    def reseed(self, seed: int) -> None:
        """Draw random numbers from ``seed`` from here on; asked only of models whose instants are kept."""

    def silence(self, names: Sequence[str]) -> None:
        """Let the neurons of populations or regions fire no more; asked only as ``reseed`` is."""

    def digest(self) -> bytes:
        """Return a digest of membrane potentials and spike counts; asked only as ``reseed`` is."""


@runtime_checkable
class Configurable(Protocol):
    """A model whose devices can be changed between two episodes.

    It is asked in the process that holds the settled state; the devices are made by ``equip``, in a copy of
    that process, or by ``begin`` where they are missing.
    """

    @property
    def is_equipped(self) -> bool:
        """Whether this process has all devices of the next episode."""

    def equip(self) -> None:
        """Make the devices of the next episode that are missing.

        Raises:
            ConfigurationError: They do not fit the brain.
        """

    def configure(self, devices: str) -> None:
        """Take the devices of the next episodes, JSON as in the message Configure; changes the description.

        Raises:
            ConfigurationError: They can't be used; the earlier ones stay.
        """

    def collect_samples(self) -> tuple[Samples, ...]:
        """Return the samples that no exchange has handed out yet."""


class Server:
    """Answers the requests that come through a pipe, one at a time, until shutdown or the pipe's end.

    Episodes run in this process, for models that return to the settled state by themselves and can't keep
    an instant. What runs them in copies of the process derives from this.
    """

    def __init__(self, model: KernelModel, pipe: Frames) -> None:
        """Prepare to serve ``model`` through ``pipe``."""
        self._model = model
        self._pipe = pipe

    def run(self) -> None:
        """Serve until a Shutdown, the end of the pipe, or a message that can't be understood."""
        payload = b""
        try:
            while True:
                request = parse(pb.Request, payload or self._pipe.receive())
                if request.HasField("shutdown"):
                    return
                payload = self._run(request) if request.HasField("reset") else self._answer_idle(request)
        except PipeClosed:
            return
        except ProtocolError as error:
            _LOGGER.error("connection ended: %s", error)
            self._send(pb.Reply(fault=encode_fault(error)))

    def _answer_idle(self, request: pb.Request) -> bytes:
        if request.HasField("describe"):
            self._describe(request)
        elif request.HasField("configure"):
            self._configure(request)
        elif request.WhichOneof("kind") in SNAPSHOT_KINDS:
            self._send(fault_reply(request, ConfigurationError(NO_SNAPSHOTS)))
        else:
            self._send(fault_reply(request, ConfigurationError("no episode has begun: reset first")))
        return b""

    def _run(self, reset: pb.Request) -> bytes:
        """Run the episode that ``reset`` asks for and return the request that ended it."""
        return self._serve_episode(reset, lambda: Steps(self._model, reset.reset.seed))

    def _serve_episode(self, beginning: pb.Request, begin: Callable[[], Steps]) -> bytes:
        """Begin an episode and answer requests until one that is not for it.

        Args:
            beginning: The request that asks for the episode; its answer are the first readings.
            begin: Begins it.

        Returns:
            The request that the episode can't answer, empty where it ended before.
        """
        try:
            return self._serve_steps(beginning, begin)
        except PipeClosed:
            return _SHUTDOWN
        except ProtocolError as error:
            self._send(pb.Reply(fault=encode_fault(error)))
            return _SHUTDOWN

    def _serve_steps(self, beginning: pb.Request, begin: Callable[[], Steps]) -> bytes:
        try:
            episode = begin()
        except ConfigurationError as error:
            self._send(fault_reply(beginning, error))
            return b""
        except Exception as error:
            _LOGGER.exception("the model failed to begin an episode")
            self._lose_episode(beginning, error)
            return b""
        self._send(pb.Reply(id=beginning.id, readings=episode.first_readings()))
        while True:
            payload = self._pipe.receive()
            request = parse(pb.Request, payload)
            if request.HasField("describe"):
                self._describe(request)
            elif request.HasField("collect"):
                self._send(pb.Reply(id=request.id, readings=episode.collect()))
            elif request.HasField("step"):
                if not self._step(episode, request, beginning):
                    return b""
            elif not self._answer_beyond(episode, request):
                return payload

    def _answer_beyond(self, episode: Steps, request: pb.Request) -> bool:
        """Answer what is more than a step; return False where that ends the episode."""
        if request.WhichOneof("kind") in SNAPSHOT_KINDS:
            self._answer_idle(request)
            return True
        return False

    def _step(self, episode: Steps, request: pb.Request, beginning: pb.Request) -> bool:
        try:
            self._send(pb.Reply(id=request.id, readings=episode.answer(request.step)))
        except (ConfigurationError, ProtocolError) as error:
            self._send(fault_reply(request, error))
        except PipeClosed:
            raise
        except Exception as error:
            _LOGGER.exception("the model failed in step %d", request.step.seq)
            self._lose_episode(beginning, error)
            return False
        return True

    def _lose_episode(self, beginning: pb.Request, error: Exception) -> None:
        self._send(episode_lost(beginning, error))

    def _describe(self, request: pb.Request) -> None:
        try:
            check_version(request.describe.protocol_version)
        except ProtocolError as error:
            self._send(fault_reply(request, error))
        else:
            self._send(pb.Reply(id=request.id, description=encode_description(self._description)))

    @property
    def _description(self) -> Description:
        return self._model.description

    def _configure(self, request: pb.Request) -> bool:
        """Give the model other devices and answer; return whether they were taken."""
        try:
            if not isinstance(self._model, Configurable):
                raise ConfigurationError("this brain takes no devices beside its wiring")
            self._model.configure(request.configure.devices)
        except ConfigurationError as error:
            self._send(fault_reply(request, error))
            return False
        self._send(pb.Reply(id=request.id, description=encode_description(self._description)))
        return True

    def _send(self, reply: pb.Reply) -> None:
        self._pipe.send(reply.SerializeToString())


class Steps:
    """The steps of one episode, in sequence.

    Attributes:
        last: The readings of the last step.
        check: Called with the packed inputs after each exchange, before it is answered; None for no check.
    """

    def __init__(self, model: KernelModel, seed: int) -> None:
        """Begin an episode of ``model``."""
        self.model = model
        self.seed = seed
        self.check: Callable[[bytes], None] | None = None
        self._input_size = model.description.input_size
        self._exchange_ms = model.description.exchange_ms
        self.last = encode_readings(model.begin(seed), seq=0, t_ms=0.0)

    def first_readings(self) -> pb.Readings:
        """Return the last readings without spikes and times, which were handed out before."""
        return pb.Readings(seq=self.last.seq, t_ms=self.last.t_ms, outputs=self.last.outputs)

    def answer(self, step: pb.Step) -> pb.Readings:
        """Run one step, or return the last answer where its number is repeated."""
        done = self.last.seq
        if step.seq == done > 0:
            return self.last
        if step.seq != done + 1:
            raise ProtocolError(f"step {step.seq} does not follow step {done}; reset begins a new sequence")
        if abs(step.t_ms - self.last.t_ms) > self._exchange_ms / 2:
            raise ProtocolError(
                f"step {step.seq} begins at {step.t_ms} ms, the brain is at {self.last.t_ms} ms"
            )
        inputs = unpack_float32(step.inputs)
        check_inputs(inputs, self._input_size)
        readings = self.model.exchange(inputs)
        if self.check is not None:
            self.check(step.inputs)
        self.last = encode_readings(readings, seq=step.seq, t_ms=step.seq * self._exchange_ms)
        return self.last

    def collect(self) -> pb.Readings:
        """Return the last answer with the spikes that were not handed out yet in place of its own."""
        readings = self.first_readings()
        if (spikes := self.model.collect()) is not None:
            readings.spikes.CopyFrom(encode_spikes(spikes))
        if isinstance(self.model, Configurable):
            readings.samples.extend(encode_samples(samples) for samples in self.model.collect_samples())
        return readings


def fault_reply(request: pb.Request, error: Exception) -> pb.Reply:
    """Return the reply that makes the client raise the like of ``error``."""
    return pb.Reply(id=request.id, fault=encode_fault(error))


def episode_lost(beginning: pb.Request, error: Exception) -> pb.Reply:
    """Return the reply that says that the episode, asked for by ``beginning``, is over."""
    message = str(error) if isinstance(error, BrainFault) else f"{type(error).__name__}: {error}"
    return pb.Reply(id=beginning.id, fault=pb.Fault(code=pb.FAULT_CODE_EPISODE_LOST, message=message))
