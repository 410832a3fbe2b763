"""What a kernel process is told to build, and how a user starts one on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robobrain.brain.alterations import NONE, Alterations
from robobrain.brain.limits import DEFAULT_LIMIT, Limits
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.brain.devices import Devices
    from robobrain.bridge.link import LocalBrain


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Configuration of a kernel process.

    Attributes:
        brain: Size, part of all neurons, or folder of tables (see `robobrain.brain.choice.choose`).
        exchange_ms: Brain time of one exchange; a multiple of the network's shortest delay (1 ms).
        threads: Threads of the kernel. They are part of what a run depends on: another number gives other,
            statistically equal, spikes.
        seed: Seed of wiring and first potentials; None for the tables' own.
        record_spikes: Hand out all spikes (True), those of so many neurons per population, or none (False).
        interfaces: YAML file of sources and monitors; None for the wiring of the forelimb loop.
        alterations: Lesions and controls.
        snapshots: Number of instants that are kept at most; the least recently used goes first.
        snapshot_bytes: Memory that they may take beyond what they share; None for no limit.
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
) -> KernelConfig:
    """Check the values and fill in the size's own number of threads.

    Raises:
        ConfigurationError: Unknown brain or alteration, a value out of range, or more than the memory holds.
    """
    from robobrain.brain.capacity import check_fits  # noqa: PLC0415
    from robobrain.brain.choice import choose  # noqa: PLC0415 - keeps the import of environments cheap
    from robobrain.brain.interfaces import load_interfaces  # noqa: PLC0415

    choice = choose(brain)
    spec = choice.spec(alterations=alterations)
    load_interfaces(interfaces, {population.name: population.region for population in spec.populations})
    check_fits(choice.tables, spec)
    if not (exchange_ms > 0 and exchange_ms == round(exchange_ms)):
        raise ConfigurationError(
            f"exchange_ms is {exchange_ms}; use a whole number of milliseconds, e.g. 10."
        )
    if threads is not None and threads < 1:
        raise ConfigurationError(f"threads is {threads}; use 1 or more, or leave it out for the size's own.")
    limits = Limits(count=snapshots, private_bytes=snapshot_bytes)
    return KernelConfig(
        brain=brain,
        exchange_ms=float(exchange_ms),
        threads=spec.threads if threads is None else threads,
        seed=seed,
        record_spikes=record_spikes,
        interfaces=None if interfaces is None else str(interfaces),
        alterations=alterations or NONE,
        snapshots=limits.count,
        snapshot_bytes=limits.private_bytes,
    )


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
    on_progress: Callable[[str, float], None] | None = None,
) -> LocalBrain:
    """Start a brain in a process of its own and wait until it is built and settled.

    Args:
        brain: Size (``tiny``, ``small``, ...), part of all neurons (``0.05``), or folder of tables.
        exchange_ms: Brain time of one exchange.
        threads: Threads of the kernel; None for the size's own.
        seed: Seed of wiring and first potentials; None for the tables' own.
        record_spikes: Hand out all spikes (True), those of so many neurons per population, or none (False).
        interfaces: YAML file of sources and monitors; None for the wiring of the forelimb loop.
        devices: Sources and monitors beside that wiring; ``brain.configure`` replaces them later.
        alterations: Lesions and controls.
        snapshots: Number of instants that are kept at most; the least recently used goes first.
        snapshot_bytes: Memory that they may take beyond what they share; None for no limit.
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
    )
    link = LocalBrain(kernel_command(dataclasses.asdict(config)), on_progress=on_progress)
    if devices is not None:
        from robobrain.brain.devices import to_text  # noqa: PLC0415

        try:
            link.configure(to_text(devices))
        except BaseException:
            link.close()
            raise
    return link
