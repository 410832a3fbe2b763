"""The environment in which a spiking brain moves the limb."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded
from gymnasium.utils import EzPickle

from robobrain.body import ForelimbSpec
from robobrain.brain.alterations import Alterations
from robobrain.errors import BodyFault, BrainFault
from robobrain.tasks.joystick.arguments import check_kinds
from robobrain.tasks.joystick.envs import DEFAULT_EXCHANGE_MS, JoystickEnv, ObservationForm, documented
from robobrain.tasks.joystick.loop import Exchange, Frame, Loop, checked_exchange
from robobrain.tasks.joystick.observation import brain_observables
from robobrain.tasks.joystick.rewindable import Action
from robobrain.tasks.joystick.rig import fractions
from robobrain.tasks.joystick.source import BrainSource, read_devices
from robobrain.tasks.joystick.specification import DEFAULT_PRESET, JoystickSpec

if TYPE_CHECKING:
    from robobrain.brain.devices import Devices


@documented
class JoystickBrainEnv(JoystickEnv):
    """Stimulate the motor cortex of a spiking whole brain that moves the forelimb at the joystick.

    ## Episode

    As in ``robobrain/JoystickMuscle-v0``. Each begins in the same settled brain, reseeded by the
    environment's random generator, and in the same posture of rest. A lost local brain raises
    ``BrainFault``. A remote one (``connect``) that can't be continued truncates the episode and is named in
    ``info["fault"]``. After both, the next ``reset`` begins on another brain.

    ## Action

    ``Box(0, 1, (8,), float32)``: stimulation of the eight columns of the primary motor cortex, each named
    after the muscle that it drives. Values beyond 0 and 1 are clipped; NaN, infinity and other shapes are a
    ``ConfigurationError``.

    {actions}

    ## Observation

    ``Box(float32)``, clipped to these bounds:

    {observations}

    Then the brain's outputs in the bounds that the brain declares for them: ``motor`` (8, Hz, the output of
    the muscle columns) and ``region_rate`` (7, Hz, the mean rate of each region).
    ``env.unwrapped.table.markdown()`` gives the complete table of a running environment.

    ## Reward, info

    As in ``robobrain/JoystickMuscle-v0``; ``effort`` counts the excitations that the spinal cord gives.
    Weights:

    {rewards}

    ``env.unwrapped.movement`` is the whole ``Frame`` of the last step, with the brain's inputs, outputs and
    spikes.

    ## Arguments

    ``brain``: name of a size (``tiny``, ``small`` ...), part of all neurons (``"0.05"``), or folder of tables
    (``"my_brain:tiny"``); None for ``small``. ``threads``: threads of NEST, None for the brain's own choice.
    ``alterations``: lesions and controls of the brain, ``{"lesion": ["S1"], "silence": ["CB_M1_pkj"],
    "disconnect": ["M1:BG"], "shuffle": True}``, each optional. ``connect``: ``host:port`` of a server
    (``robobrain serve``) whose brain is used instead of a local one; then ``brain`` and ``threads`` may be
    left out, and must be the server's where they are given. ``credentials``: folder of the client's
    credentials, for a server that asks for them. ``devices``: sources and monitors beside the brain's wiring,
    as a YAML file, its content, or ``Devices``; output monitors are observed. ``exchange``: ``"overlapped"``
    lets brain and body compute at once, with one period of delay from brain to body. The others as in
    ``robobrain/JoystickMuscle-v0``.

    ## Version history

    * v0: first version.
    """

    def __init__(
        self,
        *,
        brain: str | None = None,
        threads: int | None = None,
        alterations: Mapping[str, Any] | None = None,
        task: str | Path | JoystickSpec = DEFAULT_PRESET,
        body: str | None = None,
        connect: str | None = None,
        credentials: str | Path | None = None,
        devices: str | Path | Mapping[str, Any] | Devices | None = None,
        exchange: Exchange = "lockstep",
        exchange_ms: float = DEFAULT_EXCHANGE_MS,
        observation: ObservationForm = "vector",
        render_mode: str | None = None,
        width: int = 640,
        height: int = 480,
        camera: str = "overview",
    ) -> None:
        arguments: dict[str, Any] = {
            "task": task,
            "body": body,
            "exchange_ms": exchange_ms,
            "observation": observation,
            "render_mode": render_mode,
            "width": width,
            "height": height,
            "camera": camera,
        }
        of_the_brain: dict[str, Any] = {
            "brain": brain,
            "threads": threads,
            "alterations": alterations,
            "connect": connect,
            "credentials": credentials,
            "devices": devices,
            "exchange": exchange,
        }
        check_kinds(arguments | of_the_brain)
        EzPickle.__init__(self, **of_the_brain, **arguments)
        super().__init__(**arguments)
        self._exchange = checked_exchange(exchange)
        self._source = BrainSource(
            brain=brain,
            threads=threads,
            exchange_ms=self._rig.exchange_ms,
            alterations=Alterations.of(alterations),
            connect=connect,
            credentials=None if credentials is None else Path(credentials),
            devices=read_devices(devices),
        )
        if connect is not None:
            self.ending_faults = (BodyFault, BrainFault)
        self._loop: Loop | None = self._start_loop()
        self._observe(brain_observables(self._loop.brain.description.outputs))

    @classmethod
    def drive_meanings(cls, body: ForelimbSpec) -> list[str]:
        """Return what each entry of the action drives."""
        return [f"stimulation of the column of the {muscle.action}" for muscle in body.muscles.values()]

    def close(self) -> None:
        """End the brain and close the window; may be repeated."""
        super().close()
        if self._loop is not None:
            self._loop.brain.close()
            self._loop = None

    def _restart(self, seed: int, trial: int) -> Frame:
        if self._loop is not None:
            try:
                return self._loop.reset(seed, trial=trial)
            except BrainFault:
                self._loop.brain.close()
        self._loop = self._start_loop()
        return self._loop.reset(seed, trial=trial)

    def _advance(self, action: Action) -> Frame:
        return self._running_loop().step(fractions(action, "action"))

    def _keep(self) -> int:
        return self._running_loop().snapshot()

    def _recall(self, snapshot: int, seed: int | None) -> None:
        self._running_loop().restore(snapshot, seed)

    def _let_go(self, snapshot: int) -> None:
        self._running_loop().drop(snapshot)

    def _running_loop(self) -> Loop:
        if self._loop is None:
            raise ResetNeeded("The environment was closed: call reset() to start another brain.")
        return self._loop

    def _start_loop(self) -> Loop:
        brain = self._source.start()
        try:
            return Loop(brain, self.body, self.task, exchange=self._exchange)
        except BaseException:
            brain.close()
            raise
