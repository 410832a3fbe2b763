"""Data files of the body: YAML whose every number states where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from robobrain.errors import ConfigurationError, TableError
from robobrain.yaml_files import read_yaml

T = TypeVar("T")

KINDS = ("read", "derived", "measured", "assumed")
"""What a provenance line may begin with."""

_FIXES = {
    "missing": "add this entry",
    "extra_forbidden": "remove this entry or correct its name",
    "finite_number": "give a finite number",
}


def load(specification: type[T], source: str | Path) -> T:
    """Read a data file into ``specification``, a frozen dataclass, and check it.

    Args:
        specification: Dataclass with the file's top-level entries as fields, plus ``provenance``.
        source: Path of a file, or the bare name of one that comes with robobrain.

    Raises:
        ConfigurationError: There is no such file; names those that come with robobrain.
        TableError: The file can't be read, or is no YAML mapping; an entry is missing, unknown or invalid, or
            a number has no provenance.
    """
    path = _find(source)
    name, content = path.name, read_yaml(path)
    provenance = _take_provenance(name, content)
    _check_provenance(name, content, provenance)
    try:
        return TypeAdapter(specification).validate_python({**content, "provenance": provenance})
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"]) or "whole file"
        fix = _FIXES.get(first["type"], "give a valid value")
        raise TableError(name, entry, first["msg"], fix) from error


def _find(source: str | Path) -> Path | Traversable:
    packaged = resources.files("robobrain.body") / "data"
    bare = isinstance(source, str) and Path(source).name == source
    if bare and (packaged / str(source)).is_file():
        return packaged / str(source)
    if bare and not Path(source).is_file():
        names = sorted(file.name for file in packaged.iterdir() if file.name.endswith(".yaml"))
        raise ConfigurationError(
            f"There is no data file {source!r}. Fix: give the path of a YAML file, or one of "
            f"{', '.join(names)}, which come with robobrain."
        )
    return Path(source)


def _take_provenance(name: str, content: dict[str, Any]) -> dict[str, str]:
    """Remove the sections' ``provenance`` from ``content`` and return it, keyed by pattern of entry."""
    provenance: dict[str, str] = {}
    for section, entries in content.items():
        if isinstance(entries, dict):
            lines = entries.pop("provenance", {})
            if not isinstance(lines, dict):
                raise TableError(name, f"{section}.provenance", "is no mapping", "give one line per entry")
            provenance |= {f"{section}.{pattern}": str(line) for pattern, line in lines.items()}
    return provenance


def _check_provenance(name: str, content: dict[str, Any], provenance: dict[str, str]) -> None:
    """Raise TableError unless every number's provenance is given and every line applies to one."""
    for pattern, line in provenance.items():
        if line.partition(":")[0] not in KINDS:
            fix = f"begin it with one of {', '.join(KINDS)}"
            raise TableError(name, pattern, f"provenance {line!r}", fix)
    unused = set(provenance)
    for entry in _numbers(content):
        matching = {pattern for pattern in provenance if fnmatchcase(entry, pattern)}
        if not matching:
            raise TableError(name, entry, "number without provenance", "add a line for it")
        unused -= matching
    for pattern in sorted(unused):
        raise TableError(name, pattern, "provenance of no number", "remove this line or correct its name")


def _numbers(value: object, entry: str = "") -> Iterator[str]:
    """Yield the dotted names of all numbers; the elements of a list of numbers count as one."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{entry}.{key}" if entry else str(key))
    elif isinstance(value, list):
        if any(isinstance(item, int | float) for item in value):
            yield entry
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from _numbers(item, f"{entry}.{index}")
    elif isinstance(value, int | float):
        yield entry
