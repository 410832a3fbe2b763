"""The kernel process: builds a brain, then serves it through a pipe.

``python -m robobrain.brain.kernel --config JSON --fd N`` is what :func:`kernel_command` starts, or, through a
launcher, one such process for each MPI rank with ``--socket PATH`` in place of the descriptor. Nothing else
happens in this process: NEST keeps Python's interpreter lock while it runs and wants no foreign threads.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robobrain.brain.forking import ForkServer
from robobrain.brain.holder import Team, end_with_parent, openmp_path
from robobrain.brain.limits import DEFAULT_LIMIT, Limits
from robobrain.brain.openmp import configure_openmp
from robobrain.brain.ranks import Ranks, join
from robobrain.brain.resets import resets_of
from robobrain.brain.together import RankServer, SharedPipe
from robobrain.bridge.codec import encode_fault
from robobrain.bridge.messages import Resets
from robobrain.bridge.pipe import Frames, Pipe, PipeClosed
from robobrain.bridge.process import SOCKET
from robobrain.bridge.serve import KernelModel, Server
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import BrainFault, ConfigurationError, RobobrainError

_LOGGER = logging.getLogger(__name__)
DEFAULT_MODEL = "robobrain.brain.model:BrainModel"
_HUGE = "glibc.malloc.hugetlb=1"

Progress = Callable[[str, float], None]
"""Takes the phase of the building and the part of it that is done, 0 to 1."""


def kernel_command(
    config: Mapping[str, Any], *, model: str = DEFAULT_MODEL, launcher: Sequence[str] = ()
) -> list[str]:
    """Return the command of a kernel process.

    Args:
        config: What the model is built from; values that JSON can hold. ``threads``, ``resets``, ``ranks``,
            ``snapshots`` and ``snapshot_bytes`` (limits of the kept instants) are read here as well.
        model: ``module:Class``; called with the configuration and a :data:`Progress`.
        launcher: Program and arguments that start one such process for each MPI rank; empty for one process.
    """
    kernel = [sys.executable, "-m", "robobrain.brain.kernel", "--config", json.dumps(dict(config))]
    tunables = f"GLIBC_TUNABLES={_with_huge_pages(os.environ.get('GLIBC_TUNABLES', ''))}"
    ends = ("--socket", SOCKET) if launcher else ()
    return [*launcher, "env", tunables, *kernel, "--model", model, *ends]


def _with_huge_pages(tunables: str) -> str:
    """Return glibc's tunables with the one that asks Linux for huge pages: cheap to fork and to run on.

    It acts on what the main thread takes; other threads' memory is gathered later where it is large.
    """
    if "glibc.malloc.hugetlb" in tunables:
        return tunables
    return f"{tunables}:{_HUGE}" if tunables else _HUGE


def main() -> None:
    """Build the brain that the arguments describe and serve it until the pipe ends."""
    arguments = _parse_arguments()
    config = json.loads(arguments.config)
    _configure_environment(int(config.get("threads", 1)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's: it closes the brain when it ends
    end_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ranks: Ranks | None = None
    pipe: Pipe | SharedPipe
    if arguments.socket is None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to all of a job, it is for the client as well
        pipe = Pipe(socket.socket(fileno=arguments.fd))
    else:
        ranks, pipe = _join_ranks(arguments.socket, config.get("ranks"))
    try:
        model = _build(arguments.model, config, pipe)
        server = _server(model, pipe, config, ranks)
    except PipeClosed:
        sys.exit("the client closed while the brain was built")
    except Exception as error:
        _LOGGER.exception("the brain can't be built")
        pipe.send(pb.Reply(fault=encode_fault(_named(error))).SerializeToString())
        if ranks is not None and not isinstance(error, ConfigurationError):  # that one all ranks have
            ranks.end_all()
        sys.exit(1)
    server.run()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m robobrain.brain.kernel", description=__doc__)
    parser.add_argument("--config", required=True, help="JSON object for the model")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="module:Class of the brain")
    ends = parser.add_mutually_exclusive_group(required=True)
    ends.add_argument("--fd", type=int, help="file descriptor of the pipe")
    ends.add_argument("--socket", help="this is an MPI rank; path where rank 0 finds the pipe")
    return parser.parse_args()


def _join_ranks(path: str, wanted: int | None) -> tuple[Ranks, SharedPipe]:
    """Become one of the ranks; rank 0 calls the client."""
    try:
        ranks = join()
    except ConfigurationError as error:
        sys.exit(str(error))
    if wanted and wanted != ranks.size:
        sys.exit(f"the launcher started {ranks.size} ranks, {wanted} were asked for; make both the same")
    if ranks.rank != 0:
        return ranks, SharedPipe(None, ranks)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        sys.exit(
            f"rank 0 runs on {socket.gethostname()} and can't reach {path}, where it was started: {error}"
        )
    return ranks, SharedPipe(Pipe(connection), ranks)


def _server(
    model: KernelModel, pipe: Pipe | SharedPipe, config: Mapping[str, Any], ranks: Ranks | None
) -> Server:
    if isinstance(pipe, SharedPipe):
        assert ranks is not None
        return RankServer(model, pipe, ranks)
    if resets_of(config) is Resets.REINITIALISATION:
        return Server(model, pipe)
    return ForkServer(model, pipe, Team(model.description.threads), _limits(config))


def _configure_environment(threads: int) -> None:
    """Set what OpenMP and NEST read when they load; start over where OpenMP is loaded already."""
    before = dict(os.environ)
    configure_openmp(threads)
    if before != os.environ and openmp_path() is not None:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _build(name: str, config: dict[str, Any], pipe: Frames) -> KernelModel:
    def report(phase: str, fraction: float) -> None:
        progress = pb.Progress(phase=phase, fraction=fraction)
        pipe.send(pb.Reply(progress=progress).SerializeToString())

    module, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"no brain model {name!r} ({error}); name it as module:Class") from error
    model: KernelModel = factory(config, report)
    started_for, threads = os.environ["OMP_NUM_THREADS"], model.description.threads
    if started_for != str(threads):
        raise ConfigurationError(
            f"the model runs {threads} threads, the process was started for {started_for}; "
            "give the number as 'threads' in the configuration"
        )
    return model


def _limits(config: Mapping[str, Any]) -> Limits:
    return Limits(
        count=int(config.get("snapshots", DEFAULT_LIMIT)), private_bytes=config.get("snapshot_bytes")
    )


def _named(error: Exception) -> Exception:
    """Return ``error`` with a message that stands alone."""
    if isinstance(error, RobobrainError):
        return error
    return BrainFault(f"the brain can't be built: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
