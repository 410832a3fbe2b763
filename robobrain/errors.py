"""Errors of robobrain. Each message says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MANY = 15


class RobobrainError(Exception):
    """Base of every error that robobrain raises on purpose."""


class ConfigurationError(RobobrainError, ValueError):
    """A value from outside (argument, flag, file, array) can't be used."""


class TableError(ConfigurationError):
    """A row of a data file is invalid."""

    def __init__(self, file: str, row: int | str, problem: str, fix: str) -> None:
        """Build the message ``file, row: problem. fix``.

        Args:
            file: Name of the file.
            row: Line number in the file (the header is line 1) or the name of the entry.
            problem: What is wrong.
            fix: What to do about it.
        """
        super().__init__(f"{file}, row {row}: {problem}. Fix: {fix}.")
        self.file, self.row, self.problem, self.fix = file, row, problem, fix


class BrainFault(RobobrainError):
    """The brain can't go on: its process was lost, hangs, or refused a message."""


class ProtocolError(BrainFault):
    """Two ends of the bridge disagree (version, sequence, size of a message)."""


class SnapshotFault(BrainFault):
    """A kept instant of a brain is lost, or there is no room for a copy; the running episode is unharmed."""


class BodyFault(RobobrainError):
    """The body's physics diverged."""


class RecordingError(RobobrainError):
    """A run can't be written or read."""


class ReplayError(RobobrainError):
    """A run does not repeat itself: the message names the first difference and its likely cause."""


def choices(name: str, known: Iterable[str]) -> str:
    """Return what could stand for an unknown ``name``: all that is known, or the nearest three of many."""
    names = list(dict.fromkeys(known))
    if len(names) <= _MANY:
        return ", ".join(names) or "none"
    near = get_close_matches(name, names, n=3, cutoff=0.0)
    return f"{', '.join(near)} and {len(names) - len(near)} others"
