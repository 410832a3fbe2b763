"""What the Gymnasium environments share: one episode is one trial of the joystick task."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Space
from gymnasium.utils import EzPickle

from robobrain.body import Forelimb, ForelimbSpec
from robobrain.body.choice import make_body
from robobrain.body.rig import CAMERAS
from robobrain.errors import BodyFault, BrainFault, ConfigurationError
from robobrain.tasks.joystick.observation import (
    Observable,
    ObservationTable,
    body_observables,
)
from robobrain.tasks.joystick.reward import REWARD_TERMS
from robobrain.tasks.joystick.rewindable import Action, Observation, RewindableEnv, chosen_snapshot, info_of
from robobrain.tasks.joystick.rig import Movement, Rig
from robobrain.tasks.joystick.screen import RENDER_MODES, Screen, usable_render_modes
from robobrain.tasks.joystick.specification import JoystickSpec, load_task
from robobrain.tasks.joystick.trial import JoystickTask

ObservationForm = Literal["vector", "dict"]
EnvClass = TypeVar("EnvClass", bound="type[JoystickEnv]")

DEFAULT_EXCHANGE_MS = 10.0


def documented(env: EnvClass) -> EnvClass:
    """Fill the tables of an environment's docstring from the default specifications."""
    body, task = ForelimbSpec.load(), load_task()
    low, high = env.body_class.drive_range
    drives = zip(env.body_class.drive_names, env.drive_meanings(body), strict=True)
    tables = {
        "{actions}": [
            "| entry | name | low | high | meaning |",
            "|---|---|---|---|---|",
            *(f"| {i} | {name} | {low:g} | {high:g} | {text} |" for i, (name, text) in enumerate(drives)),
        ],
        "{observations}": [ObservationTable(env.observables(body, task)).markdown()],
        "{rewards}": [
            "| term | weight |",
            "|---|---|",
            *(f"| {name} | {getattr(task.reward, name):g} |" for name in REWARD_TERMS),
        ],
        "{cameras}": [", ".join(f"``{name}``" for name in CAMERAS)],
    }
    for mark, lines in tables.items():
        text = indent("\n".join(lines), "    ").lstrip()
        env.__doc__ = (env.__doc__ or "").replace(mark, text)
    return env


class JoystickEnv(RewindableEnv, EzPickle):
    """What the environments share: one episode is one trial of the joystick task.

    Attributes:
        body: The limb at the joystick.
        task: The trial logic.
        table: The observation's entries.
        movement: What body and task did in the last step, with the wall-clock times of its parts.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 100}  # noqa: RUF012
    body_class: ClassVar[type[Forelimb]] = Forelimb
    ending_faults: tuple[type[Exception], ...] = (BodyFault,)
    """Faults that truncate the episode; others are raised."""

    def __init__(
        self,
        *,
        task: str | Path | JoystickSpec,
        body: str | None,
        exchange_ms: float,
        observation: ObservationForm,
        render_mode: str | None,
        width: int,
        height: int,
        camera: str,
    ) -> None:
        if observation not in get_args(ObservationForm):
            raise ConfigurationError(
                f"Unknown observation {observation!r}; choose one of {', '.join(get_args(ObservationForm))}."
            )
        super().__init__()
        self.body = self.body_class() if body is None else make_body(body)
        self.task = JoystickTask(load_task(task))
        self._rig = Rig(self.body, self.task, exchange_ms)
        self._screen = Screen(self.body, self.task, render_mode, width=width, height=height, camera=camera)
        self.render_mode = render_mode
        self.metadata = {"render_modes": usable_render_modes(), "render_fps": round(1.0 / self.dt)}
        low, high = self.body.drive_range
        self.action_space = Box(low, high, (len(self.body.drive_names),), dtype=np.float32)
        self._grouped = observation == "dict"
        self._observe(())

    @property
    def dt(self) -> float:
        """Time of one step in s."""
        return self._rig.exchange_ms / 1000.0

    @property
    def model(self) -> Any:
        """The MuJoCo model."""
        return self.body.model

    @property
    def data(self) -> Any:
        """The MuJoCo data."""
        return self.body.data

    @property
    def observation_names(self) -> tuple[str, ...]:
        """Name of each entry of the observation."""
        return self.table.names

    @property
    def observation_units(self) -> tuple[str, ...]:
        """Unit of each entry of the observation."""
        return self.table.units

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a trial at rest: the session's next, the first after a seed, or ``options["trial"]``.

        ``options["snapshot"]`` begins at a kept instant instead: exactly as it was without a seed, with other
        random draws of brain and task under a seed.

        Raises:
            ConfigurationError: An option is unknown, or not a trial's or snapshot's number.
            BrainFault: The brain can't be started.
        """
        super().reset(seed=seed)
        if options and "snapshot" in options:
            number = chosen_snapshot(options)
            return self._return_to(number, None if seed is None else int(self.np_random.integers(2**32)))
        trial = _chosen_trial(options or {}, 1 if seed is not None else self._next_trial)
        movement = self._restart(int(self.np_random.integers(2**32)), trial)
        self._next_trial, self._running, self.movement = trial + 1, True, movement
        self._show()
        return self._seen(movement), info_of(movement)

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Run one exchange under ``action``; values beyond the action space are clipped.

        Returns:
            Observation, reward, whether the joystick ended the trial, whether time ended it (or a diverged
            physics or a lost remote brain, then named in ``info["fault"]``), and info.

        Raises:
            ConfigurationError: The action has a wrong shape or is not finite.
            gymnasium.error.ResetNeeded: No trial is running.
            BrainFault: The local brain is lost; ``reset`` starts another.
        """
        if self.movement is None or not self._running:
            raise ResetNeeded("No trial is running: call reset() before step().")
        try:
            movement = self._advance(action)
        except self.ending_faults as fault:
            self._running = False
            return (
                self._seen(self.movement),
                0.0,
                False,
                True,
                info_of(self.movement) | {"fault": str(fault)},
            )
        except BrainFault:
            self._running = False
            raise
        self.movement = movement
        self._running = movement.trial is None
        terminated = movement.trial is not None and not movement.trial.outcome.is_timeout
        truncated = movement.trial is not None and movement.trial.outcome.is_timeout
        self._show()
        return self._seen(movement), movement.reward, terminated, truncated, info_of(movement)

    def render(self) -> Any:
        """Return a picture in the mode chosen when the environment was made; ``human`` updates its window."""
        return self._screen.render()

    @property
    def window_is_open(self) -> bool:
        """Whether the window of the mode ``human`` was not closed by its user."""
        return self._screen.is_open

    def close(self) -> None:
        """Close the window and end the trial; may be repeated."""
        self._running = False
        self._screen.close()

    @abstractmethod
    def _restart(self, seed: int, trial: int) -> Movement:
        """Begin ``trial`` at rest."""

    @abstractmethod
    def _advance(self, action: Action) -> Movement:
        """Run one exchange."""

    @classmethod
    def drive_meanings(cls, body: ForelimbSpec) -> list[str]:
        """Return what each entry of the action drives."""
        return [f"excitation of the {muscle.action}" for muscle in body.muscles.values()]

    @classmethod
    def observables(cls, body: ForelimbSpec, task: JoystickSpec) -> tuple[Observable, ...]:
        """Return what is observed of body and task."""
        return body_observables(body, task)

    def _observe(self, more: Sequence[Observable]) -> None:
        """Observe body and task, and ``more``."""
        own = self.observables(self.body.spec, self.task.spec)
        self.table = ObservationTable((*own, *more))
        space: Space[Any] = self.table.spaces if self._grouped else self.table.space
        self.observation_space = space

    def _seen(self, movement: Movement) -> Any:
        return self.table.groups(movement) if self._grouped else self.table.observe(movement)

    def _show(self) -> None:
        if self.render_mode == "human":
            self._screen.render()


def _chosen_trial(options: dict[str, Any], default: int) -> int:
    unknown = set(options) - {"trial"}
    if unknown:
        raise ConfigurationError(
            f"Unknown reset options {sorted(unknown)}; use 'trial', a number from 1, or 'snapshot'."
        )
    try:
        return operator.index(options.get("trial", default))
    except TypeError:
        raise ConfigurationError(
            f"The option 'trial' must be a whole number, got {options['trial']!r}."
        ) from None
