"""What a kernel process is told to build, and how a user starts one on this machine."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING

from robobrain.brain.alterations import NONE, Alterations
from robobrain.brain.limits import DEFAULT_LIMIT, Limits
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.brain.devices import Devices
    from robobrain.bridge.link import LocalBrain

LONGEST_EXCHANGE_MS = 1000.0
"""Longest period of an exchange (*assumed*: a limb that hears of itself once a second is not controlled)."""
MOST_THREADS = 1024
"""Largest number of threads (*assumed*: more than one machine has cores)."""
MOST_RANKS = 65_536
"""Largest number of ranks (*assumed*: more than a brain of a million neurons can use)."""
_MPIRUN = ("mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n")


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Configuration of a kernel process.

    Attributes:
        brain: Size, part of all neurons, or folder of tables (see `robobrain.brain.choice.choose`).
        exchange_ms: Brain time of one exchange, as `checked_exchange_ms` takes it.
        threads: Threads of the kernel. They are part of what a run depends on: another number gives other,
            statistically equal, spikes.
        seed: Seed of wiring and first potentials; None for the tables' own.
        record_spikes: Hand out all spikes (True), those of so many neurons per population, or none (False).
        interfaces: YAML file of sources and monitors; None for the wiring of the forelimb loop.
        alterations: Lesions and controls.
        snapshots: Number of instants that are kept at most; the least recently used goes first.
        snapshot_bytes: Memory that they may take beyond what they share; None for no limit.
        ranks: MPI processes that a launcher starts, 0 for as many as it starts; None for one without MPI.
            ``ranks`` times ``threads`` is the number of virtual processes that a run depends on.
        resets: ``copy`` or ``reinitialisation`` (see `robobrain.bridge.messages.Resets`); ranks can't copy.
        neurons: ``packed`` or ``nest`` (see `robobrain.brain.packed`).
    """

    brain: str
    exchange_ms: float
    threads: int
    seed: int | None = None
    record_spikes: bool | int = False
    interfaces: str | None = None
    alterations: Alterations = NONE
    snapshots: int = DEFAULT_LIMIT
    snapshot_bytes: int | None = None
    ranks: int | None = None
    resets: str = "copy"
    neurons: str = "nest"


def checked_exchange_ms(exchange_ms: float) -> float:
    """Return the period of an exchange: a whole number of ms, as the network's shortest delay is 1 ms.

    Raises:
        ConfigurationError: It is no whole number from 1 to `LONGEST_EXCHANGE_MS`.
    """
    within = isinstance(exchange_ms, Real) and 1.0 <= exchange_ms <= LONGEST_EXCHANGE_MS
    if not (within and float(exchange_ms).is_integer()):
        raise ConfigurationError(
            f"exchange_ms is {exchange_ms!r:.20}; use a whole number of milliseconds from 1 to "
            f"{LONGEST_EXCHANGE_MS:g}, e.g. 10."
        )
    return float(exchange_ms)


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


def kernel_config(
    brain: str,
    *,
    exchange_ms: float = 10.0,
    threads: int | None = None,
    seed: int | None = None,
    record_spikes: bool | int = False,
    interfaces: Path | None = None,
    alterations: Alterations | None = None,
    snapshots: int = DEFAULT_LIMIT,
    snapshot_bytes: int | None = None,
    ranks: int | None = None,
    resets: str = "copy",
    neurons: str | None = None,
) -> KernelConfig:
    """Check the values and fill in the size's own number of threads.

    Raises:
        ConfigurationError: Unknown brain or alteration, a value out of range, or more than the memory holds.
    """
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.choice import choose  # noqa: PLC0415 - keeps the import of environments cheap
    from robobrain.brain.interfaces import load_interfaces  # noqa: PLC0415
    from robobrain.brain.packed import neuron_models  # noqa: PLC0415
    from robobrain.brain.resets import resets_of  # noqa: PLC0415

    period_ms = checked_exchange_ms(exchange_ms)
    choice = choose(brain)
    spec = choice.spec(alterations=alterations)
    load_interfaces(interfaces, {population.name: population.region for population in spec.populations})
    if ranks is None:  # those of a launcher may share it among several machines
        check_fits(choice.tables, spec)
    if threads is not None and not _is_count(threads, 1, MOST_THREADS):
        raise ConfigurationError(
            f"threads is {threads!r:.40}; use 1 or more, at most {MOST_THREADS}, or leave it out for the "
            "size's own."
        )
    if ranks is not None and not _is_count(ranks, 0, MOST_RANKS):
        raise ConfigurationError(
            f"ranks is {ranks!r:.40}; use 1 or more, at most {MOST_RANKS}, or leave it out for one process."
        )
    limits = Limits(count=snapshots, private_bytes=snapshot_bytes)
    return KernelConfig(
        brain=brain,
        exchange_ms=period_ms,
        threads=spec.threads if threads is None else int(threads),
        seed=seed,
        record_spikes=record_spikes,
        interfaces=None if interfaces is None else str(interfaces),
        alterations=alterations or NONE,
        snapshots=limits.count,
        snapshot_bytes=limits.private_bytes,
        ranks=None if ranks is None else int(ranks),
        resets=resets_of({"ranks": ranks, "resets": resets}).value,
        neurons=neuron_models(neurons).value,
    )


def mpi_launcher(ranks: int | None, launcher: str | None) -> tuple[str, ...]:
    """Return the words of the command that starts the ranks of a brain, none for one process.

    Args:
        ranks: Number of ranks; with a launcher of one's own only checked.
        launcher: Such as ``mpirun -n 4`` or ``srun -n 4``; None for Open MPI's mpirun where there are ranks.
            They are not bound to cores then, and take turns where there are more of them than cores.

    Raises:
        ConfigurationError: Words that no shell could read.
    """
    if launcher is None:
        return () if ranks is None else (*_MPIRUN, str(ranks))
    try:
        words = tuple(shlex.split(launcher))
    except ValueError as error:
        raise ConfigurationError(f"the launcher {launcher!r} can't be read: {error}") from None
    if not words:
        raise ConfigurationError("the launcher is empty; give a command such as 'mpirun -n 2'")
    return words


def local_brain(
    brain: str,
    *,
    exchange_ms: float = 10.0,
    threads: int | None = None,
    seed: int | None = None,
    record_spikes: bool | int = False,
    interfaces: Path | None = None,
    devices: Devices | None = None,
    alterations: Alterations | None = None,
    snapshots: int = DEFAULT_LIMIT,
    snapshot_bytes: int | None = None,
    ranks: int | None = None,
    launcher: str | None = None,
    resets: str = "copy",
    neurons: str | None = None,
    on_progress: Callable[[str, float], None] | None = None,
) -> LocalBrain:
    """Start a brain in a process of its own and wait until it is built and settled.

    Args:
        brain: Size (``tiny``, ``small``, ...), part of all neurons (``0.05``), or folder of tables.
        exchange_ms: Brain time of one exchange, a whole number of ms from 1 to 1,000.
        threads: Threads of the kernel; None for the size's own.
        seed: Seed of wiring and first potentials; None for the tables' own.
        record_spikes: Hand out all spikes (True), those of so many neurons per population, or none (False).
        interfaces: YAML file of sources and monitors; None for the wiring of the forelimb loop.
        devices: Sources and monitors beside that wiring; ``brain.configure`` replaces them later.
        alterations: Lesions and controls.
        snapshots: Number of instants that are kept at most; the least recently used goes first.
        snapshot_bytes: Memory that they may take beyond what they share; None for no limit.
        ranks: MPI processes of ``threads`` threads each; None for one process without MPI.
        launcher: Command that starts them (see `mpi_launcher`); alone it decides on their number.
        resets: ``copy`` or ``reinitialisation`` (see `robobrain.bridge.messages.Resets`); ranks can't copy.
        neurons: ``packed`` or ``nest``, with the same spikes; None for packed where they are compiled.
        on_progress: Called with phase and fraction done while the brain is built.

    Raises:
        ConfigurationError: Unknown brain or alteration, a value out of range, or more than the memory holds.
        BrainFault: The process could not build the brain.
    """
    from robobrain.brain.kernel import kernel_command  # noqa: PLC0415 - pulls in the bridge
    from robobrain.bridge.link import LocalBrain  # noqa: PLC0415

    config = kernel_config(
        brain,
        exchange_ms=exchange_ms,
        threads=threads,
        seed=seed,
        record_spikes=record_spikes,
        interfaces=interfaces,
        alterations=alterations,
        snapshots=snapshots,
        snapshot_bytes=snapshot_bytes,
        ranks=0 if ranks is None and launcher is not None else ranks,
        resets=resets,
        neurons=neurons,
    )
    command = kernel_command(dataclasses.asdict(config), launcher=mpi_launcher(ranks, launcher))
    link = LocalBrain(command, on_progress=on_progress)
    if devices is not None:
        from robobrain.brain.devices import to_text  # noqa: PLC0415

        try:
            link.configure(to_text(devices))
        except BaseException:
            link.close()
            raise
    return link
