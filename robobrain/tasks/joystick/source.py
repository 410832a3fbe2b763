"""Where a loop's brain comes from: a process on this machine, or a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robobrain.brain.alterations import NONE, Alterations
from robobrain.brain.devices import NO_DEVICES, Devices, joined, to_text
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from robobrain.bridge.link import LocalBrain
    from robobrain.bridge.messages import Description
    from robobrain.bridge.remote import RemoteBrain

DEFAULT_BRAIN = "small"


@dataclass(frozen=True, kw_only=True)
class BrainSource:
    """What brain to start or to connect to.

    Attributes:
        brain: Name of a size; None for the default, or for whatever the server has.
        threads: Threads of the kernel; None for the size's own, or for whatever the server has.
        exchange_ms: Brain time of one exchange; the server must have the same.
        record_spikes: Hand out all spikes (True), those of so many neurons per population, or none (False).
            A server decides that for itself.
        alterations: Lesions and controls; not for a server's brain.
        devices: Sources and monitors beside the brain's wiring.
        connect: ``host:port`` of a server, or ``@FILE`` with its rendezvous file; None for a brain on this
            machine.
        credentials: Folder of the client's credentials, for a server that asks for them.
        ranks: MPI processes of ``threads`` threads each; None for one, or for whatever the server has.
    """

    brain: str | None = None
    threads: int | None = None
    exchange_ms: float = 10.0
    record_spikes: bool | int = False
    alterations: Alterations = NONE
    devices: Devices = NO_DEVICES
    connect: str | None = None
    credentials: Path | None = None
    ranks: int | None = None

    def __post_init__(self) -> None:
        if self.credentials is not None and self.connect is None:
            raise ConfigurationError("credentials are for a server; name it with connect, as host:port")
        if self.alterations != NONE and self.connect is not None:
            raise ConfigurationError("a server's brain can't be altered; start the server with another brain")

    @property
    def name(self) -> str:
        """The brain in a word, before it is known better."""
        return self.brain or (DEFAULT_BRAIN if self.connect is None else self.connect)

    def check(self) -> None:
        """Find what is wrong with it before anything is started.

        Raises:
            ConfigurationError: Unknown brain, a value out of range, or devices that do not fit the brain.
        """
        from robobrain.brain.choice import choose  # noqa: PLC0415
        from robobrain.brain.config import kernel_config  # noqa: PLC0415
        from robobrain.brain.inspection import inspect  # noqa: PLC0415
        from robobrain.brain.interfaces import load_devices  # noqa: PLC0415
        from robobrain.brain.layout import planned_site  # noqa: PLC0415
        from robobrain.bridge.rendezvous import find_address  # noqa: PLC0415

        if self.connect is None:
            kernel_config(
                self.name,
                exchange_ms=self.exchange_ms,
                threads=self.threads,
                alterations=self.alterations,
                ranks=self.ranks,
            )
            if not self.devices.empty:
                spec = choose(self.name).spec(alterations=self.alterations)
                wired = joined(load_devices(None), self.devices)
                inspect(wired, planned_site(spec, self.exchange_ms))
        else:
            find_address(self.connect)

    def start(self, on_progress: Callable[[str, float], None] | None = None) -> LocalBrain | RemoteBrain:
        """Start the brain, or lease it from its server.

        Args:
            on_progress: Called with phase and fraction done while the brain is built.

        Raises:
            ConfigurationError: A value can't be used, or the server has another brain.
            BrainFault: The brain can't be had.
        """
        if self.connect is not None:
            return self._lease(self.connect, on_progress)
        return self.start_local(on_progress)

    def start_local(self, on_progress: Callable[[str, float], None] | None = None) -> LocalBrain:
        """Start the brain in a process on this machine; arguments and errors as in `start`."""
        from robobrain.brain.config import local_brain  # noqa: PLC0415 - others need no brain

        return local_brain(
            self.name,
            exchange_ms=self.exchange_ms,
            threads=self.threads,
            record_spikes=self.record_spikes,
            alterations=self.alterations,
            devices=None if self.devices.empty else self.devices,
            ranks=self.ranks,
            on_progress=on_progress,
        )

    def _lease(self, address: str, on_progress: Callable[[str, float], None] | None) -> RemoteBrain:
        from robobrain.bridge.remote import RemoteBrain  # noqa: PLC0415

        remote = RemoteBrain(address, credentials=self.credentials, on_progress=on_progress)
        try:
            self._check_served(address, remote.description)
            if not self.devices.empty:
                remote.configure(to_text(self.devices))
        except BaseException:
            remote.close()
            raise
        return remote

    def _check_served(self, address: str, served: Description) -> None:
        names = ("brain", "ranks", "threads", "exchange_ms")
        wanted = {name: getattr(self, name) for name in names}
        for name, value in wanted.items():
            if value is not None and value != getattr(served, name):
                raise ConfigurationError(
                    f"{name} is {value}, the server at {address} has {getattr(served, name)}; "
                    "use the server's, or start another server"
                )


def read_devices(devices: str | Path | Mapping[str, Any] | Devices | None) -> Devices:
    """Return sources and monitors in the form that a brain's source takes.

    Args:
        devices: A YAML file, its content as a mapping, a declaration in Python, or None for none.

    Raises:
        ConfigurationError: The file can't be read, or an entry is invalid.
    """
    from robobrain.brain.interfaces import load_devices, parse_devices  # noqa: PLC0415

    if devices is None:
        return NO_DEVICES
    if isinstance(devices, Devices):
        return devices
    if isinstance(devices, Mapping):
        return parse_devices("devices", devices)
    return load_devices(Path(devices))
