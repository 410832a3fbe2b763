"""Several brains side by side: a native vector environment over ``JoystickBrain-v0``."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import iterate

from robobrain.tasks.joystick.brain_env import JoystickBrainEnv

Step = tuple[Any, Any, bool, bool, dict[str, Any]]


class JoystickBrainVectorEnv(SyncVectorEnv):
    """``num_envs`` brains, each in a process of its own with a limb of its own, stepped at the same time.

    Made by ``gymnasium.make_vec(id, vectorization_mode="vector_entry_point", num_envs=n, ...)``. The limbs
    live in threads of this process, which wait for their brains most of the time. It behaves as a
    ``SyncVectorEnv`` of the single environments does, bit for bit.

    Args:
        num_envs: Number of brains.
        autoreset_mode: As in ``SyncVectorEnv``.
        **keywords: Arguments of every ``JoystickBrain-v0``.

    Raises:
        ConfigurationError: An argument can't be used.
        BrainFault: A brain could not be started; the others are ended.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **keywords: Any,
    ) -> None:
        with ExitStack() as undo:
            self._threads = ThreadPoolExecutor(num_envs, thread_name_prefix="limb")
            undo.callback(self._threads.shutdown)
            self._ahead: list[_Ahead] = []
            for _ in range(num_envs):
                env = _Ahead(JoystickBrainEnv(**keywords), self._threads)
                undo.callback(env.close)
                self._ahead.append(env)
            makers = [partial(_itself, env) for env in self._ahead]
            super().__init__(makers, autoreset_mode=AutoresetMode(autoreset_mode))
            undo.pop_all()

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all brains at the same time; see ``SyncVectorEnv.step``."""
        for env, action in zip(self._ahead, iterate(self.action_space, actions), strict=True):
            env.begin(action)
        return super().step(actions)

    def close_extras(self, **keywords: Any) -> None:
        """End all brains."""
        super().close_extras(**keywords)
        self._threads.shutdown()


class _Ahead(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose next step can begin before it is asked for; ended episodes wait for a reset."""

    def __init__(self, env: JoystickBrainEnv, threads: ThreadPoolExecutor) -> None:
        super().__init__(env)
        self._threads = threads
        self._begun: Future[Step] | None = None
        self._runs = False

    def begin(self, action: Any) -> None:
        if self._runs:
            self._begun = self._threads.submit(self.env.step, action)

    def step(self, action: Any) -> Step:
        begun, self._begun = self._begun, None
        result = self.env.step(action) if begun is None else begun.result()
        self._runs = not (result[2] or result[3])
        return result

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        self._begun = None
        result = self.env.reset(**keywords)
        self._runs = True
        return result


def _itself(env: _Ahead) -> _Ahead:
    return env
