"""The server's process: listens, keeps brains warm, ends in order. It never imports NEST."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from robobrain.bridge.pipe import MAX_FRAME_BYTES
from robobrain.bridge.security import Address, ServerCredentials, check_exposure
from robobrain.bridge.server.devices import DeviceLimits
from robobrain.bridge.server.guard import RateLimit, TokenGuard
from robobrain.bridge.server.pool import Pool
from robobrain.bridge.server.service import BrainService
from robobrain.bridge.server.sessions import Session, Sessions
from robobrain.bridge.server.telemetry import telemetry
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.bridge.v1.service_pb2_grpc import add_BrainServicer_to_server
from robobrain.errors import ConfigurationError

_LOGGER = logging.getLogger(__name__)
SERVICE = spb.DESCRIPTOR.services_by_name["Brain"].full_name
_STOP_GRACE_S = 2.0
_SPARE_CALLS = 64
_HEALTH_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may ask for at most.

    Attributes:
        message_bytes: Size of one message to the server.
        metadata_bytes: Size of the metadata of one call.
        calls_per_s: Calls of one host a second in the long run; the messages of a stream do not count.
        calls_burst: Calls of one host at once, beside four for each brain.
        devices: What a session may declare beside the brain's wiring.
    """

    message_bytes: int = 2**20
    metadata_bytes: int = 2**13
    calls_per_s: float = 100.0
    calls_burst: int = 200
    devices: DeviceLimits = field(default_factory=DeviceLimits)


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What a server serves, where, and to whom.

    Attributes:
        command: Program and arguments of a kernel process; ``--fd N`` is appended.
        listen: Where to listen.
        pool: Number of brains, and so of sessions at once.
        min_brains: Living brains below which the server counts as out of service: nobody else is let in. Down
            to it the pool runs on with fewer brains. 0: whoever comes waits for the next brain.
        lease_s: How long a session outlives its last stream or call.
        stall_s: How long a kernel that owes an answer may come to a halt before it counts as hung.
        credentials: Certificate, and what clients must prove; needed off loopback.
        reflection: Tell generic clients the schema.
        limits: What a client may ask for at most.
    """

    command: Sequence[str]
    listen: Address
    pool: int = 1
    min_brains: int = 0
    lease_s: float = 30.0
    stall_s: float = 20.0
    credentials: ServerCredentials | None = None
    reflection: bool = False
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not 1 <= self.pool <= 1024:
            raise ConfigurationError(f"a pool has 1 to 1024 brains, not {self.pool}")
        if not 0 <= self.min_brains <= self.pool:
            raise ConfigurationError(
                f"min_brains is {self.min_brains}; use 0 to {self.pool}, as the pool has"
            )
        for name in ("lease_s", "stall_s"):
            if not 0.1 <= getattr(self, name) <= 86400.0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; use 0.1 to 86400 seconds")
        check_exposure(self.listen, self.credentials)


@contextlib.asynccontextmanager
async def running(config: ServerConfig) -> AsyncIterator[tuple[Address, asyncio.Event]]:
    """Serve within the block; the first brain is built before it begins.

    Calls are answered while the brain is built, with UNAVAILABLE and how far it is.

    Yields:
        Where it listens, and an event that a client sets when it asks the server to end.

    Raises:
        ConfigurationError: The address can't be used, or a package is missing.
        BrainFault: The brain can't be built.
    """
    pool = Pool(config.command, config.pool, stall_s=config.stall_s, min_brains=config.min_brains)
    report = telemetry()
    limits = config.limits
    sessions = Sessions(
        pool,
        lease_s=config.lease_s,
        devices=limits.devices,
        on_end=lambda one: _ended(one, report.session_ended),
    )
    service = BrainService(
        pool, sessions, RateLimit(limits.calls_per_s, limits.calls_burst + 4 * config.pool), report
    )
    server = _grpc_server(config)
    health = _add_services(server, service, reflection=config.reflection)
    address = _bind(server, config)
    await server.start()
    tasks = [asyncio.create_task(sessions.end_vanished()), asyncio.create_task(_keep_health(health, pool))]
    try:
        await pool.start()
        yield address, service.ending
    finally:
        pool.stop_filling()
        sessions.end_all("the server was asked to end")
        await health.enter_graceful_shutdown()
        await server.stop(_STOP_GRACE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.close()
        await asyncio.to_thread(report.close)


async def serve(config: ServerConfig, on_ready: Callable[[Address], None]) -> None:
    """Serve until SIGINT, SIGTERM, or a client's Shutdown.

    Args:
        config: What to serve.
        on_ready: Told where, once the first brain is ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve_until_asked(config, on_ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serve_until_asked(config: ServerConfig, on_ready: Callable[[Address], None]) -> None:
    async with running(config) as (address, ending):
        on_ready(address)
        await ending.wait()


def _grpc_server(config: ServerConfig) -> grpc.aio.Server:
    limits, credentials = config.limits, config.credentials
    guards = [TokenGuard(credentials.token)] if credentials is not None and credentials.token else []
    return grpc.aio.server(
        interceptors=guards,
        maximum_concurrent_rpcs=_SPARE_CALLS + 2 * config.pool,
        options=[
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.max_send_message_length", 2 * MAX_FRAME_BYTES),
            ("grpc.max_metadata_size", limits.metadata_bytes),
            ("grpc.max_concurrent_streams", _SPARE_CALLS),
            ("grpc.so_reuseport", 0),  # a second server on this port is an error, not a lottery
            ("grpc.keepalive_time_ms", 10_000),  # finds clients whose machine or network is gone
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 4_000),
        ],
    )


def _add_services(server: grpc.aio.Server, service: BrainService, *, reflection: bool) -> Any:
    """Add all services and return the one that tells the server's health."""
    try:
        from grpc_health.v1 import health, health_pb2_grpc  # noqa: PLC0415 - of the extra "server"
        from grpc_reflection.v1alpha import reflection as schema  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"{error.name} is missing; pip install 'robobrain[server]'") from None
    add_BrainServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if reflection:
        schema.enable_server_reflection((SERVICE, health.SERVICE_NAME, schema.SERVICE_NAME), server)
    return servicer


def _bind(server: grpc.aio.Server, config: ServerConfig) -> Address:
    try:
        if config.credentials is None:
            port = server.add_insecure_port(str(config.listen))
        else:
            port = server.add_secure_port(str(config.listen), config.credentials.for_grpc())
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"can't listen on {config.listen} ({error}); is the port in use, or a certificate broken?"
        ) from None
    return Address(host=config.listen.host, port=port)


async def _keep_health(health: Any, pool: Pool) -> None:
    """Tell SERVING while there are as many living brains as there have to be, for ever."""
    from grpc_health.v1.health_pb2 import HealthCheckResponse  # noqa: PLC0415

    while True:
        ready = pool.living >= max(1, pool.min_brains)
        state = HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            await health.set(name, state)
        await asyncio.sleep(_HEALTH_EVERY_S)


def _ended(session: Session, report: Callable[[float, int], None]) -> None:
    report(session.since, session.meter.exchanges)
