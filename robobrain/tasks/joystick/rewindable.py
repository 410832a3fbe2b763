"""What lets an environment keep instants and go back to them."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from robobrain.errors import ConfigurationError
from robobrain.tasks.joystick.observation import ObservationTable
from robobrain.tasks.joystick.rig import Movement

Observation = NDArray[np.float32] | dict[str, NDArray[np.float32]]
Action = NDArray[np.float32]


class _Instant(NamedTuple):
    """What of a kept instant is the environment's own."""

    movement: Movement
    is_running: bool
    next_trial: int
    random: Mapping[str, Any]


class RewindableEnv(gymnasium.Env[Observation, Action]):
    """An environment whose instants can be kept: movers below, random generators and progress here.

    Attributes:
        table: The observation's entries.
        movement: What body and task did in the last step, with the wall-clock times of its parts.
    """

    table: ObservationTable

    def __init__(self) -> None:
        self.movement: Movement | None = None
        self._next_trial = 1
        self._running = False
        self._instants: dict[int, _Instant] = {}

    def snapshot(self) -> int:
        """Keep this instant of brain, body, task and random generators; return its number.

        Raises:
            gymnasium.error.ResetNeeded: ``reset`` was not called.
            SnapshotFault: There is no room for another copy of the brain; the episode goes on.
            BrainFault: The brain is lost.
        """
        if self.movement is None:
            raise ResetNeeded("Nothing has begun: call reset() before snapshot().")
        number = self._keep()
        self._instants[number] = _Instant(
            self.movement, self._running, self._next_trial, deepcopy(self.np_random.bit_generator.state)
        )
        return number

    def restore(self, snapshot: int) -> tuple[Observation, dict[str, Any]]:
        """Continue exactly from a kept instant; return the observation and info at which it was taken.

        Raises:
            ConfigurationError: There is no such instant.
            SnapshotFault: It is lost, or can't be copied now; the episode goes on as it was.
            BrainFault: The brain is lost.
        """
        return self._return_to(snapshot, None)

    def drop(self, snapshot: int) -> None:
        """Forget a kept instant.

        Raises:
            ConfigurationError: There is no such instant.
        """
        self._let_go(snapshot)
        self._instants.pop(snapshot, None)

    def _return_to(self, snapshot: int, seed: int | None) -> tuple[Observation, dict[str, Any]]:
        self._recall(snapshot, seed)
        instant = self._instants[snapshot]
        self.movement, self._running, self._next_trial = instant[:3]
        if seed is None:
            self.np_random.bit_generator.state = deepcopy(instant.random)
        self._show()
        return self._seen(instant.movement), info_of(instant.movement)

    @abstractmethod
    def _keep(self) -> int:
        """Keep the instant of what ``_advance`` moves and return its number."""

    @abstractmethod
    def _recall(self, snapshot: int, seed: int | None) -> None:
        """Go back to a kept instant; with a ``seed``, under other random draws."""

    @abstractmethod
    def _let_go(self, snapshot: int) -> None:
        """Forget a kept instant."""

    @abstractmethod
    def _seen(self, movement: Movement) -> Any:
        """Return what is observed of a movement."""

    @abstractmethod
    def _show(self) -> None:
        """Update what is shown."""


def info_of(movement: Movement) -> dict[str, Any]:
    """Return the info of a step or reset."""
    info: dict[str, Any] = {
        "reward_terms": dict(movement.reward_terms),
        "phase": movement.phase.value,
        "events": movement.events,
    }
    if movement.trial is not None:
        info |= {"trial": movement.trial.row(), "is_success": movement.trial.reward > 0.0}
    return info


def chosen_snapshot(options: Mapping[str, Any]) -> int:
    """Return the option ``snapshot``, which stands alone."""
    if len(options) > 1:
        raise ConfigurationError(f"The option 'snapshot' stands alone, got {sorted(options)}.")
    try:
        return operator.index(options["snapshot"])
    except TypeError:
        raise ConfigurationError(
            f"The option 'snapshot' must be a number that snapshot() gave, got {options['snapshot']!r}."
        ) from None
