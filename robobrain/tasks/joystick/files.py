"""The file edge of the task: YAML with provenance becomes validated, frozen specifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from robobrain import yaml_files
from robobrain.errors import TableError

Basis = Literal["verified", "inferred", "chosen"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a number comes from: what kind of knowledge it is, and its source or reason."""

    basis: Basis
    note: str


_PROBLEMS = {
    "missing": ("the entry is missing", "add the entry"),
    "unexpected_keyword_argument": ("the entry is unknown", "remove it or correct its name"),
}
"""Problem and fix by pydantic's type of error."""

OWN_CHOICE = Provenance(basis="chosen", note="by the author of the file")


class Specification:
    """Base of the dataclasses read from files: unknown entries and infinite or NaN numbers are refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}


def package_file(name: str) -> Path:
    """Return the path of the task's package data file ``name``."""
    return Path(str(resources.files(__package__) / "data" / name))


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, Provenance]]:
    """Read a YAML mapping and split the numbers from their provenance.

    A number is written as ``{value: 4, basis: verified | inferred | chosen, note: text}``. A bare number is
    accepted too and counts as the choice of the file's author.

    Returns:
        The mapping with plain values, and the provenance by dotted entry name (``home.radius_mm``).

    Raises:
        TableError: The file can't be read or is not a YAML mapping, or a sourced number is malformed.
    """
    content = yaml_files.read_yaml(path)
    provenance: dict[str, Provenance] = {}
    return _plain(content, "", path.name, provenance), provenance


def build(specification: type[T], values: Mapping[str, Any], file: str, entry: str = "") -> T:
    """Validate ``values`` into a ``specification``.

    Raises:
        TableError: An entry is missing, unknown or out of range; it names file, entry and fix.
    """
    try:
        return TypeAdapter(specification).validate_python(dict(values))
    except ValidationError as problems:
        first = problems.errors()[0]
        location = _dotted(entry, *first["loc"])
        problem, fix = _PROBLEMS.get(first["type"], (first["msg"], "correct the value"))
        raise TableError(file, location or "whole file", problem, fix) from problems


def _plain(node: Any, entry: str, file: str, provenance: dict[str, Provenance]) -> Any:
    if isinstance(node, dict) and "value" in node:
        provenance[entry] = _provenance(node, entry, file)
        return node["value"]
    if isinstance(node, dict):
        return {key: _plain(value, _dotted(entry, key), file, provenance) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, _dotted(entry, i), file, provenance) for i, value in enumerate(node)]
    if isinstance(node, int | float):
        provenance[entry] = OWN_CHOICE
    return node


def _provenance(node: dict[str, Any], entry: str, file: str) -> Provenance:
    note = node.get("note")
    basis = next((basis for basis in get_args(Basis) if basis == node.get("basis")), None)
    if set(node) != {"value", "basis", "note"} or basis is None or not note:
        raise TableError(
            file,
            entry,
            "a sourced number needs exactly value, basis and note",
            f"write {{value: 1, basis: {' | '.join(get_args(Basis))}, note: source or reason}}",
        )
    return Provenance(basis=basis, note=str(note))


def _dotted(*parts: str | int) -> str:
    return ".".join(str(part) for part in parts if part != "")
