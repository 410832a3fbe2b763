from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from server_tools import Front, wait_for
from typer.testing import CliRunner

from robobrain.bridge.remote import RemoteBrain
from robobrain.bridge.server.meter import Meter
from robobrain.cli.app import app
from robobrain.cli.serve import JsonFormatter
from robobrain.errors import BrainFault

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with Front(reflection=True) as one:
        yield one


def test_a_generic_client_can_describe_and_step_a_brain(front: Front) -> None:
    """Knows nothing but the address: the schema comes from the server."""
    with grpc.insecure_channel(front.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "robobrain.v1.Brain" in database.get_services()
        service = DescriptorPool(database).FindServiceByName("robobrain.v1.Brain")

        def call(name: str, *metadata: tuple[str, str], **values: Any) -> Any:
            method = service.methods_by_name[name]
            caller = channel.unary_unary(
                f"/robobrain.v1.Brain/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            return caller(GetMessageClass(method.input_type)(**values), metadata=metadata)

        about = call("Describe", protocol_version="1.0")
        assert [port.name for port in about.inputs] == ["left", "right"]
        session = ("robobrain-session", call("Open", protocol_version="1.0", client="generic").id)
        call("Reset", session, seed=2)
        inputs = np.array([1, 2, 3], dtype="<f4").tobytes()
        readings = call("Step", session, seq=1, inputs=inputs)
        assert np.frombuffer(readings.outputs, dtype="<f4").tolist() == [6.0, 8.0]
        call("Release", session)


def test_the_schema_is_told_only_when_asked_for() -> None:
    with Front() as front, grpc.insecure_channel(front.address) as channel, pytest.raises(grpc.RpcError):
        ProtoReflectionDescriptorDatabase(channel).get_services()


def test_health_follows_the_brain(front: Front) -> None:
    with grpc.insecure_channel(front.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def state(service: str) -> int:
            return int(health.Check(health_pb2.HealthCheckRequest(service=service)).status)

        for service in ("", "robobrain.v1.Brain"):
            wait_for(lambda service=service: state(service) == health_pb2.HealthCheckResponse.SERVING)


def test_status_shows_who_and_how_fast(front: Front) -> None:
    with RemoteBrain(front.address, client="Ada") as brain:
        brain.reset(0)
        for _ in range(5):
            brain.step([1, 2, 3])
        result = CliRunner().invoke(app, ["status", front.address])
    assert result.exit_code == 0, result.output
    assert "brain sum" in result.output
    assert "Ada since 20" in result.output
    assert " 5 " in result.output


def test_status_of_no_server_is_a_clear_fault() -> None:
    result = CliRunner().invoke(app, ["status", "127.0.0.1:1"])
    assert isinstance(result.exception, BrainFault)
    assert "no status of 127.0.0.1:1" in str(result.exception)


def test_rates_look_back_over_the_last_exchanges() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    assert (meter.real_time_factor, meter.spikes_per_s) == (0.0, 0.0)
    for _ in range(1000):
        now += 0.02
        meter.count(10.0, packed_senders=4 * 30)
    assert meter.exchanges == 1000
    assert meter.real_time_factor == pytest.approx(2.0)
    assert meter.spikes_per_s == pytest.approx(3000.0)


def test_a_log_line_is_one_json_object() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f", 1, "two\nlines %d", (7,), sys.exc_info()
        )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("error", "two\nlines 7")
    assert "ValueError: why" in entry["exception"]


class Collector(HTTPServer):
    """Takes what OpenTelemetry sends over HTTP."""

    def __init__(self) -> None:
        self.received: dict[str, bytes] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.received[self.path] = collector.received.get(self.path, b"") + body
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def test_metrics_and_traces_go_to_the_configured_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    with Front() as front, RemoteBrain(front.address) as brain:
        brain.reset(0)
        brain.step([1, 2, 3])
        with pytest.raises(BrainFault):
            brain.step([666, 0, 0])
    collector.shutdown()
    collector.server_close()
    metrics, traces = collector.received["/v1/metrics"], collector.received["/v1/traces"]
    for name in (b"robobrain.exchange.run", b"robobrain.exchange.wait", b"robobrain.sessions"):
        assert name in metrics
    assert b"FAULT_CODE_EPISODE_LOST" in metrics
    assert b"session" in traces


def test_the_front_never_imports_nest() -> None:
    script = (
        "import sys, robobrain.cli, robobrain.bridge.server, robobrain.brain.config as c;"
        "import robobrain.brain.kernel; c.kernel_config('tiny');"
        "assert 'nest' not in sys.modules and 'mujoco' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_schema_keeps_what_was_released() -> None:
    result = subprocess.run(
        [sys.executable, SCRIPTS / "check_compatibility.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_breaches_of_a_released_schema_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import check_compatibility as check

    def schema(name: str, text: str) -> dict[str, str]:
        folder = tmp_path / name / "robobrain" / "v1"
        folder.mkdir(parents=True)
        head = 'syntax = "proto3"; package robobrain.v1; '
        (folder / "a.proto").write_text(head + text)
        return check.parts(tmp_path / name)

    old = schema("old", "message A { uint32 a = 1; bytes b = 2; } service S { rpc X(A) returns (A); }")
    new = "message A { uint32 a = 1; bytes b = 2; string c = 3; } message B {} "
    assert not check.breaches(old, schema("more", new + "service S { rpc X(A) returns (A); }"))
    assert check.breaches(
        old, schema("less", "message A { uint64 a = 1; } service S { rpc X(A) returns (stream A); }")
    ) == [
        "robobrain.v1.A, field 1: was 'a: LABEL_OPTIONAL TYPE_UINT32', is 'a: LABEL_OPTIONAL TYPE_UINT64'",
        "robobrain.v1.A, field 2: was 'b: LABEL_OPTIONAL TYPE_BYTES', is gone",
        "robobrain.v1.S.X: was '.robobrain.v1.A -> .robobrain.v1.A', "
        "is '.robobrain.v1.A -> stream .robobrain.v1.A'",
    ]
    versions = tmp_path / "versions"
    for name in ("1.2", "1.10", "2.0"):
        (versions / name).mkdir(parents=True)
    assert check.last_released("1", versions) == versions / "1.10"
    assert check.last_released("3", versions) is None
