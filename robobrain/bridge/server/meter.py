"""How fast a session goes, from its last exchanges."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

_WINDOW = 200
_BYTES_PER_SENDER = 4


class Meter:
    """Counts exchanges; its rates look back over the last of them.

    Attributes:
        exchanges: Number of exchanges.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.exchanges = 0
        self._spikes = 0
        self._model_ms = 0.0
        self._marks: deque[tuple[float, float, int]] = deque(maxlen=_WINDOW)

    def count(self, exchange_ms: float, packed_senders: int) -> None:
        """Count an exchange of ``exchange_ms`` that handed out so many bytes of spike senders."""
        self.exchanges += 1
        self._model_ms += exchange_ms
        self._spikes += packed_senders // _BYTES_PER_SENDER
        self._marks.append((self._clock(), self._model_ms, self._spikes))

    @property
    def real_time_factor(self) -> float:
        """Wall time over model time, 0 before the second exchange."""
        wall_s, model_s, _ = self._span()
        return wall_s / model_s if model_s else 0.0

    @property
    def spikes_per_s(self) -> float:
        """Spikes per second of model time."""
        _, model_s, spikes = self._span()
        return spikes / model_s if model_s else 0.0

    def _span(self) -> tuple[float, float, int]:
        if len(self._marks) < 2:
            return 0.0, 0.0, 0
        (began_s, began_ms, before), (now_s, now_ms, after) = self._marks[0], self._marks[-1]
        return now_s - began_s, (now_ms - began_ms) / 1e3, after - before
