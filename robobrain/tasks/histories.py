"""Histories of a brain's monitors, potentials and fields for instance, on their way into a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from robobrain.bridge.messages import Description, History, Samples
from robobrain.errors import ConfigurationError
from robobrain.recording import RunWriter


def check_stream_names(streams: Iterable[str], monitors: Iterable[str]) -> None:
    """Refuse monitors that would be recorded under the name of another stream.

    Raises:
        ConfigurationError: A name is used twice; names it.
    """
    counted = Counter((*streams, *monitors))
    if twice := [name for name, number in counted.items() if number > 1]:
        raise ConfigurationError(f"a run records {', '.join(twice)} already; rename the monitor")


class HistoryRecorder:
    """Hands the histories of a brain to a writer, each as a stream of the monitor's name and unit.

    Args:
        writer: Where to; it stays the caller's to close.
        description: The brain.

    Raises:
        RecordingError: A monitor has the name of another stream.
    """

    def __init__(self, writer: RunWriter, description: Description) -> None:
        self._writer = writer
        self._types = {history.name: _dtype(history) for history in description.histories}
        for history in description.histories:
            writer.declare(history.name, history.unit, history.columns, self._types[history.name])

    def add(self, samples: Sequence[Samples], offset_ms: float = 0.0) -> None:
        """Take what monitors handed out in an episode that began at ``offset_ms`` of session time."""
        for chunk in samples:
            if not len(chunk.t_ms):
                continue
            values = chunk.values.astype(self._types[chunk.monitor])
            self._writer.append(chunk.monitor, offset_ms + chunk.t_ms, values)


def _dtype(history: History) -> str:
    return "float64" if history.interval_ms else "int64"
