"""Reading and writing NEST nodes cheaply, and arithmetic on the kernel's time grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robobrain.brain.ranks import ranks

Floats = NDArray[np.float64]


class Nodes:
    """Reads and writes one parameter set of many nodes in one call, on whatever ranks they are.

    The calls of ``nest.nestkernel_api`` are private, but four to ten times cheaper than those of
    ``NodeCollection``, which are used where the private ones are missing. Where there are several ranks, all
    of them make each call.
    """

    def __init__(self, nodes: Any, *, low_level: bool = True) -> None:
        """Wrap a NodeCollection of any node models; ``low_level=False`` forces the public calls."""
        self._nodes, self._datum = nodes, nodes._datum
        api = _private_api() if low_level else None
        self._set = getattr(api, "llapi_set_nc_status", None)
        self._get = getattr(api, "llapi_get_nc_status", None)

    def set(self, parameters: list[dict[str, Any]]) -> None:
        """Set one dictionary of parameters per node; each rank heeds those of its own nodes."""
        if self._set is not None:
            self._set(self._datum, parameters)
        else:
            self._nodes.set(parameters)

    def events(self) -> dict[str, Any]:
        """Return what one recorder has recorded: arrays by name; on rank 0 those of all ranks."""
        found = self._nodes.events if self._get is None else self._get(self._datum, "events")
        events: dict[str, Any] = found[0] if isinstance(found, tuple) else found
        if ranks().size == 1:
            return events
        parts = ranks().gathered(events) or [{name: values[:0] for name, values in events.items()}]
        return {name: np.concatenate([part[name] for part in parts]) for name in events}

    def clear(self) -> None:
        """Forget what one recorder has recorded; NEST refuses that between ``Prepare`` and ``Cleanup``."""
        self.set([{"n_events": 0}])

    def get(self, key: str) -> Floats:
        """Return a parameter of all nodes, shape ``[nodes]``."""
        return np.asarray(self.values(key), dtype=float)

    def values(self, key: str) -> Sequence[float]:
        """Return a parameter of all nodes as plain numbers."""
        found = self._nodes.get(key) if self._get is None else self._get(self._datum, key)
        values: Sequence[float] = found if isinstance(found, tuple) else (found,)  # a lone node's comes bare
        if ranks().size > 1:  # each node has its value on one rank
            own = np.array([0.0 if value is None else value for value in values])
            values = ranks().total(own).tolist()
        return values


def _private_api() -> ModuleType | None:
    try:
        return import_module("nest.nestkernel_api")
    except ImportError:
        return None


def is_multiple(value: float, unit: float) -> bool:
    """Return whether ``value`` is a positive whole multiple of ``unit``, up to rounding of decimals."""
    return (
        value > 0
        and round(value / unit) >= 1
        and math.isclose(value / unit, round(value / unit), rel_tol=1e-9)
    )
