"""How many instants of a brain are kept."""

from __future__ import annotations

from dataclasses import dataclass

from robobrain.errors import ConfigurationError

DEFAULT_LIMIT = 16
"""Instants kept at most, where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may be kept.

    Attributes:
        count: Number of instants.
        private_bytes: Memory of all their processes together, beyond what they share; None for no limit.
    """

    count: int = DEFAULT_LIMIT
    private_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could be kept."""
        if self.count < 1 or (self.private_bytes is not None and self.private_bytes < 1):
            raise ConfigurationError(f"limits of snapshots must be at least 1, got {self}")
