"""A brain of one's own: a folder of tables to start from, and what it changes against the package's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from robobrain.brain.tables import FILES, BrainTables, default_folder, load_tables
from robobrain.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference of a brain's tables from the package's.

    Attributes:
        table: Name of the table.
        entry: Row that differs, by its key.
        kind: ``added``, ``removed`` or ``changed``.
        detail: For a changed row the columns, as ``column: before -> after``.
    """

    table: str
    entry: str
    kind: str
    detail: str = ""


def new_folder(folder: Path) -> tuple[Path, ...]:
    """Copy the package's tables to ``folder``, which must not exist or be empty; return the copies.

    Raises:
        ConfigurationError: There is something in the folder already, or it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty; name a new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sources = [path for path in sorted(default_folder().iterdir()) if _is_table(path)]
        return tuple(Path(shutil.copy(path, folder / path.name)) for path in sources)
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written ({error.strerror}); name another.") from error


def changes(tables: BrainTables) -> list[Change]:
    """Return what distinguishes ``tables`` from the package's, table by table."""
    own, theirs = _rows(load_tables()), _rows(tables)
    return [change for name in own for change in _compared(name, own[name], theirs[name])]


def stale_biases(tables: BrainTables) -> list[str]:
    """Return the sizes whose tuned currents are the package's though the tables are not."""
    if not changes(tables):
        return []
    package = load_tables()
    return [name for name in tables.sizes.sizes if (bias := tables.bias(name)) and bias == package.bias(name)]


def unread_files(folder: Path) -> list[str]:
    """Return the names of tables and configuration in ``folder`` that no brain is read from."""
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.suffix in (".csv", ".yaml", ".yml") and path.name not in FILES and not _is_beside(path)
    ]


def _is_beside(path: Path) -> bool:
    """Tell whether a file has its place beside the tables: tuned currents, and the authors' own numbers."""
    return path.name == "authors.csv" or (path.name.startswith("bias_") and path.suffix == ".csv")


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv" or path.name == "sizes.yaml"


def _rows(tables: BrainTables) -> dict[str, Mapping[Any, BaseModel]]:
    return {
        "neurons": tables.neurons,
        "populations": tables.populations,
        "projections": {(row.pre, row.post, row.receptor): row for row in tables.projections},
        "gains": {row.between: row for row in tables.gains},
        "drives": tables.drives,
        "resting_targets": tables.targets,
        "sizes": {
            "rule": tables.sizes.rule,
            "network": tables.sizes.network,
            "noise": tables.sizes.noise,
            **tables.sizes.sizes,
        },
    }


def _compared(
    table: str, before: Mapping[Any, BaseModel], after: Mapping[Any, BaseModel]
) -> Iterator[Change]:
    for key in dict.fromkeys((*before, *after)):
        entry = " ".join(key) if isinstance(key, tuple) else str(key)
        if key not in after:
            yield Change(table=table, entry=entry, kind="removed")
        elif key not in before:
            yield Change(table=table, entry=entry, kind="added")
        elif before[key] != after[key]:
            yield Change(table=table, entry=entry, kind="changed", detail=_detail(before[key], after[key]))


def _detail(before: BaseModel, after: BaseModel) -> str:
    pairs: list[tuple[str, Any, Any]] = [
        (name, getattr(before, name), getattr(after, name)) for name in type(before).model_fields
    ]
    return ", ".join(f"{name}: {old} -> {new}" for name, old, new in pairs if old != new)
