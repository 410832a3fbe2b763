from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import numpy as np
import pytest
from bridge_processes import is_alive
from server_tools import KERNEL, Front, RawClient, refusal

from robobrain.bridge.administration import ServerLink
from robobrain.bridge.credentials import make_credentials
from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.security import (
    Address,
    ClientCredentials,
    ServerCredentials,
    check_exposure,
    read_token,
)
from robobrain.bridge.server import Limits, ServerConfig
from robobrain.bridge.server.guard import RateLimit
from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.bridge.v1 import service_pb2 as spb
from robobrain.errors import BrainFault, ConfigurationError

HOSTS = ["localhost", "127.0.0.1"]
MESSAGES = int(os.environ.get("ROBOBRAIN_FUZZ", "3000"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab") / "credentials"
    make_credentials(folder, HOSTS)
    return folder


@pytest.fixture(scope="module")
def guarded(lab: Path) -> Iterator[Front]:
    with Front(credentials=ServerCredentials.load(lab / "server")) as front:
        yield front


def without(folder: Path, source: Path, *names: str) -> Path:
    """Copy the files of ``source`` except ``names``."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name not in names:
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.name).chmod(0o600)
    return folder


def works(address: str, credentials: Path | None = None) -> None:
    with RemoteBrain(address, credentials=credentials, connect_timeout_s=2.0) as brain:
        brain.reset(0)
        assert brain.step([1, 0, 0]).outputs.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("text", ["host", "host:", ":1", "host:65536", "host:x", "::1:5", "[host]:5", "a:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"address|brackets"):
        Address.parse(text)


def test_addresses_know_whether_others_reach_them() -> None:
    reachable = {
        "127.0.0.1:1": True,
        "localhost:1": True,
        "[::1]:1": True,
        "127.8.9.1:1": True,
        "0.0.0.0:1": False,
        "[::]:1": False,
        "10.0.0.1:1": False,
        "node17:1": False,
    }
    assert {text: Address.parse(text).is_loopback for text in reachable} == reachable
    assert [str(Address.parse(text)) for text in reachable] == list(reachable)


def test_off_loopback_nothing_starts_without_credentials(lab: Path) -> None:
    everywhere = Address.parse("0.0.0.0:0")
    with pytest.raises(ConfigurationError, match="--make-credentials"):
        ServerConfig(command=KERNEL, listen=everywhere)
    proof = ServerCredentials.load(lab / "server")
    check_exposure(everywhere, proof)
    with pytest.raises(ConfigurationError, match="keeps nobody out"):
        check_exposure(everywhere, replace(proof, token=None))
    with pytest.raises(ConfigurationError, match="another machine"):
        RemoteBrain("node17:50051")


def test_credentials_are_for_their_owner_only(lab: Path) -> None:
    for path in lab.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    with pytest.raises(ConfigurationError, match="not empty"):
        make_credentials(lab, HOSTS)


def test_secrets_do_not_show(lab: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = read_token(lab / "server" / "token")
    shown = repr(ServerCredentials.load(lab / "server")) + repr(ClientCredentials.load(lab / "client"))
    assert token not in shown
    assert "PRIVATE KEY" not in shown
    with caplog.at_level(logging.DEBUG), Front(credentials=ServerCredentials.load(lab / "server")) as front:
        works(front.address, lab / "client")
    assert token not in caplog.text


@pytest.mark.parametrize("name", ["token", "server.key"])
def test_a_secret_that_others_can_read_is_refused(lab: Path, tmp_path: Path, name: str) -> None:
    folder = without(tmp_path / "open", lab / "server")
    (folder / name).chmod(0o640)
    with pytest.raises(ConfigurationError, match=f"chmod 600 .*{name}"):
        ServerCredentials.load(folder)


@pytest.mark.parametrize("content", [b"short", b"", b"a token with spaces in it", b"\xff" * 32])
def test_a_token_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="token"):
        read_token(path)


def test_who_has_the_token_gets_in(guarded: Front, lab: Path) -> None:
    works(guarded.address, lab / "client")
    with ServerLink(guarded.address, credentials=lab / "client") as link:
        assert link.status().brain == "sum"


def test_a_wrong_or_missing_token_is_refused(guarded: Front, lab: Path, tmp_path: Path) -> None:
    nothing = without(tmp_path / "nothing", lab / "client", "token")
    wrong = without(tmp_path / "wrong", lab / "client")
    (wrong / "token").write_text("x" * 43)
    for folder in (nothing, wrong):
        with pytest.raises(BrainFault, match="needs its token"):
            works(guarded.address, folder)
        with (
            pytest.raises(BrainFault, match="token"),
            ServerLink(guarded.address, credentials=folder) as link,
        ):
            link.status()
    works(guarded.address, lab / "client")


def test_every_call_needs_the_token(guarded: Front, lab: Path) -> None:
    channel = grpc.secure_channel(guarded.address, ClientCredentials.load(lab / "client").for_grpc())
    with channel:
        for method in spb.DESCRIPTOR.services_by_name["Brain"].methods:
            call = channel.stream_stream(f"/robobrain.v1.Brain/{method.name}")
            error = refusal(lambda call=call: list(call(iter([b""]), timeout=5)))  # type: ignore[misc]
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert refusal(lambda: health(b"", timeout=5)).code() == grpc.StatusCode.UNAUTHENTICATED


def test_plaintext_to_a_tls_port_is_a_clear_fault(guarded: Front, lab: Path) -> None:
    with pytest.raises(BrainFault, match="if the server uses TLS, give its credentials"):
        works(guarded.address)
    works(guarded.address, lab / "client")


def test_tls_to_a_plaintext_port_is_a_clear_fault(lab: Path) -> None:
    with Front() as front:
        with pytest.raises(BrainFault, match=r"WRONG_VERSION_NUMBER|no brain at"):
            works(front.address, lab / "client")
        works(front.address)


def test_another_authority_is_refused_at_once(guarded: Front, lab: Path, tmp_path: Path) -> None:
    make_credentials(tmp_path / "other", HOSTS)
    with pytest.raises(BrainFault, match="CERTIFICATE_VERIFY_FAILED"):
        works(guarded.address, tmp_path / "other" / "client")


def test_an_expired_certificate_is_refused_at_once(tmp_path: Path) -> None:
    make_credentials(tmp_path / "old", HOSTS, days=0)
    time.sleep(1.1)
    old = ServerCredentials.load(tmp_path / "old" / "server")
    with Front(credentials=old) as front, pytest.raises(BrainFault, match="certificate has expired"):
        works(front.address, tmp_path / "old" / "client")


def test_mutual_tls_asks_for_a_valid_certificate_of_the_client(lab: Path, tmp_path: Path) -> None:
    make_credentials(tmp_path / "other", HOSTS)
    stranger = without(tmp_path / "stranger", tmp_path / "other" / "client")
    (stranger / "ca.pem").write_bytes((lab / "client" / "ca.pem").read_bytes())
    nobody = without(tmp_path / "nobody", lab / "client", "client.pem", "client.key")
    tokenless = without(tmp_path / "tokenless", lab / "server", "token")
    with pytest.raises(ConfigurationError, match="token"):
        ServerCredentials.load(tokenless)
    with Front(credentials=ServerCredentials.load(tokenless, mutual=True)) as front:
        for folder in (stranger, nobody):
            with pytest.raises(BrainFault, match="no brain at"):
                works(front.address, folder)
        works(front.address, lab / "client")


def test_limits_are_kept_and_the_brain_is_left_alone() -> None:
    limits = Limits(message_bytes=10_000, calls_per_s=0.01, calls_burst=12)
    with Front(limits=limits) as front, RawClient(front.address) as raw:
        session = raw.open()
        reset = pb.Request(id=1, reset=pb.Reset(seed=0))
        raw.exchange(session, reset)
        huge = pb.Request(id=2, step=pb.Step(seq=1, inputs=bytes(20_000)))
        error = refusal(lambda: raw.exchange(session, huge))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        step = pb.Request(id=2, step=pb.Step(seq=1, inputs=np.ones(3, "<f4").tobytes()))
        (reply,) = raw.exchange(session, step)
        assert reply.readings.seq == 1
        codes = [refusal(lambda: raw.open("x" * 129)).code() for _ in range(14)]
        assert codes[0] == grpc.StatusCode.INVALID_ARGUMENT
        assert codes[-1] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_names_with_control_characters_are_refused() -> None:
    with Front() as front, RawClient(front.address) as raw:
        for name in ("", "a\x1b[31m", "line\nline"):
            error = refusal(lambda name=name: raw.open(name))  # type: ignore[misc]
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_rate_limit_lets_bursts_through_and_recovers() -> None:
    now = 0.0
    limit = RateLimit(per_s=2.0, burst=3, clock=lambda: now)
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b")
    now = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    for number in range(5000):
        limit.allows(str(number))
    assert len(limit._left) == 1024


@pytest.mark.slow
@pytest.mark.timeout(120 + 0.01 * MESSAGES)
def test_noise_neither_stops_the_server_nor_reaches_the_brain() -> None:
    """The count is small for the suite; ROBOBRAIN_FUZZ=100000 is the acceptance run."""
    rng = random.Random(11)
    limits = Limits(calls_per_s=1e6, calls_burst=10**6)
    with Front(limits=limits) as front, RemoteBrain(front.address) as brain, RawClient(front.address) as raw:
        brain.reset(0)
        session = brain._session.metadata
        with ServerLink(front.address) as link:
            pid = link.status().seats[0].pid
        _send_noise(raw, session, rng, MESSAGES)
        host, _, port = front.address.rpartition(":")
        for _ in range(MESSAGES // 100):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(rng.randbytes(rng.randrange(1, 4000)))
        assert is_alive(pid)
        with ServerLink(front.address) as link:
            assert (link.status().seats[0].pid, link.status().seats[0].faults) == (pid, 0)
        readings = raw.exchange(session, pb.Request(id=2**62, step=_step()))[0].readings
        assert np.frombuffer(readings.outputs, "<f4").tolist() == [3.0, 3.0]


def _step() -> pb.Step:
    return pb.Step(seq=1, t_ms=0.0, inputs=np.ones(3, "<f4").tobytes())


def _send_noise(raw: RawClient, session: tuple[tuple[str, str], ...], rng: random.Random, count: int) -> None:
    """Send ``count`` messages that are broken, cut, too large, or out of order."""
    good = pb.Request(id=5, step=_step()).SerializeToString()
    stream = raw.channel.stream_stream("/robobrain.v1.Brain/Exchange")
    sent = 0
    while sent < count:
        kind = rng.randrange(5)
        if kind == 0:
            noise = [rng.randbytes(rng.randrange(1, 200))]
        elif kind == 1:
            noise = [good[: rng.randrange(1, len(good))]]
        elif kind == 2:
            flipped = bytearray(good)
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
            noise = [bytes(flipped)]
        elif kind == 3 and sent % 50 == 0:
            noise = [bytes(2**20 + rng.randrange(1, 1000))]
        else:
            noise = [_out_of_order(rng) for _ in range(20)]
        sent += len(noise)
        call = stream(iter(noise), metadata=session, timeout=10)
        with contextlib.suppress(grpc.RpcError):
            list(call)
        assert call.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _out_of_order(rng: random.Random) -> bytes:
    """Return a well-formed request that must not run the brain."""
    inputs = np.ones(rng.randrange(3), "<f4").tobytes()  # too few
    step = pb.Step(seq=rng.randrange(2**40), t_ms=rng.uniform(-1e9, 1e9), inputs=inputs)
    return pb.Request(id=rng.randrange(2**50), step=step).SerializeToString()


def test_certificates_name_their_hosts_and_end(lab: Path) -> None:
    from cryptography import x509

    server = x509.load_pem_x509_certificate((lab / "server" / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(number) for number in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert 364 < (server.not_valid_after_utc - datetime.now(UTC)).days + 1 <= 366
