"""Which brain: a size of the package's tables, or a folder of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robobrain.brain.alterations import NONE, Alterations, alter
from robobrain.brain.scaling import scale
from robobrain.brain.sizes import parse_scale, split_family
from robobrain.brain.spec import BrainSpec
from robobrain.brain.tables import BrainTables, load_tables
from robobrain.errors import ConfigurationError
from robobrain.plugins import load, offered

DEFAULT_SIZE = "small"


@dataclass(frozen=True, kw_only=True)
class BrainChoice:
    """Tables and the size at which they are built."""

    tables: BrainTables
    size: str

    def spec(self, *, seed: int | None = None, alterations: Alterations | None = None) -> BrainSpec:
        """Return the scaled and altered specification.

        Raises:
            ConfigurationError: The alterations name what is not there.
        """
        return alter(scale(self.tables, self.size, seed=seed), alterations or NONE)


def choose(brain: str) -> BrainChoice:
    """Return what ``brain`` means.

    Args:
        brain: A size (``small``), the part of all neurons to build (``0.05``), or a folder of tables with or
            without a size (``my_brain``, ``my_brain:tiny``). Instead of a folder, the name of one that
            another distribution offers under ``robobrain.brains``. ``-conductance`` behind a size builds the
            published conductance-based neurons (``tiny-conductance``).

    Raises:
        ConfigurationError: There is no such size or folder.
        TableError: The folder's tables are invalid.
    """
    if not isinstance(brain, str):
        raise ConfigurationError(
            f"the brain is {brain!r:.60}; name a size, a part of all neurons or a folder"
        )
    own = load_tables()
    plain, _ = split_family(brain)
    if plain in own.sizes.sizes or parse_scale(plain) is not None:
        return BrainChoice(tables=own, size=brain)
    folder, _, size = brain.rpartition(":") if not Path(brain).is_dir() else (brain, "", DEFAULT_SIZE)
    if not folder or not Path(folder).is_dir():
        name, size = (folder, size) if folder else (brain, DEFAULT_SIZE)
        if name not in offered("brains"):
            own.size(brain)  # raises, and lists what there is
        folder = str(load("brains", name))
    tables = load_tables(Path(folder))
    tables.size(size)
    return BrainChoice(tables=tables, size=size)
