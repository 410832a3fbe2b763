"""Metrics and traces for OpenTelemetry, sent only where an endpoint is configured."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from robobrain.bridge.v1 import brain_pb2 as pb
from robobrain.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

_LOGGER = logging.getLogger(__name__)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Environment variable with the base URL of a collector (OTLP over HTTP)."""
PHASES = ("encode_ms", "run_ms", "decode_ms", "wait_ms")


class Telemetry:
    """Counts nothing and sends nothing; what a server without a collector uses."""

    def session_began(self) -> None:
        """Count a session."""

    def session_ended(self, began_unix_s: float, exchanges: int) -> None:
        """Count the end of a session and send its trace."""

    def exchange(self, reply: pb.Reply) -> None:
        """Count an exchange and its phases, or its fault."""

    def close(self) -> None:
        """Send what is left."""


class OpenTelemetry(Telemetry):
    """Sends histograms of the phases, counters of sessions and faults, and one span per session."""

    def __init__(self, metrics: MeterProvider, traces: TracerProvider) -> None:
        """Report through these providers."""
        self._metrics, self._traces = metrics, traces
        meter = metrics.get_meter("robobrain")
        self._tracer = traces.get_tracer("robobrain")
        self._sessions = meter.create_up_down_counter("robobrain.sessions", description="open sessions")
        self._faults = meter.create_counter("robobrain.faults", description="requests answered by a fault")
        self._phases = {
            name: meter.create_histogram(f"robobrain.exchange.{name.removesuffix('_ms')}", unit="ms")
            for name in PHASES
        }

    def session_began(self) -> None:
        """Count a session."""
        self._sessions.add(1)

    def session_ended(self, began_unix_s: float, exchanges: int) -> None:
        """Count the end of a session and send its trace."""
        self._sessions.add(-1)
        span = self._tracer.start_span(
            "session", start_time=int(began_unix_s * 1e9), attributes={"robobrain.exchanges": exchanges}
        )
        span.end()

    def exchange(self, reply: pb.Reply) -> None:
        """Count an exchange and its phases, or its fault."""
        if reply.HasField("fault"):
            self._faults.add(1, {"code": pb.FaultCode.Name(reply.fault.code)})
        elif reply.HasField("readings") and reply.readings.seq:
            for name, histogram in self._phases.items():
                histogram.record(getattr(reply.readings.timing, name))

    def close(self) -> None:
        """Send what is left."""
        self._metrics.shutdown()
        self._traces.shutdown()


def telemetry() -> Telemetry:
    """Return what the environment asks for: a sender where :data:`ENDPOINT` is set.

    Raises:
        ConfigurationError: It is set, but OpenTelemetry is not installed.
    """
    if not os.environ.get(ENDPOINT):
        return Telemetry()
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            f"{ENDPOINT} is set, but {error.name} is missing; pip install 'robobrain[otel]', or unset it"
        ) from None
    resource = Resource.create({"service.name": "robobrain"})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    _LOGGER.info("metrics and traces go to %s", os.environ[ENDPOINT])
    return OpenTelemetry(MeterProvider(resource=resource, metric_readers=[reader]), traces)
