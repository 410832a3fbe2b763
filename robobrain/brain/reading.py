"""Reading of tables: CSV files to validated rows that know where they stand."""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from robobrain.errors import ConfigurationError, TableError

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Placed(Generic[Model]):
    """A row and its place: file, and line as an editor counts (1 is the header)."""

    file: str
    line: int
    row: Model

    def fault(self, problem: str, fix: str) -> TableError:
        """Return an error that points here."""
        return TableError(self.file, self.line, problem, fix)

    def require(self, what: str, name: str, known: dict[str, Any]) -> None:
        """Raise `TableError` unless ``name`` is known."""
        if name in known:
            return
        near = get_close_matches(name, known, n=1, cutoff=0.0)
        raise self.fault(
            f"unknown {what} '{name}'", f"use a name that exists{f', e.g. {near[0]!r}' if near else ''}"
        )


def read_rows(path: Path, row_type: type[Model]) -> list[Placed[Model]]:
    """Read a CSV file into validated rows; each stands on one line.

    Raises:
        ConfigurationError: The file is missing.
        TableError: The file is no table, or its header or a row is invalid.
    """
    file = path.name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(
            f"The table {path} is missing. Copy it from a complete folder of tables."
        ) from None
    except OSError as error:
        raise TableError(file, 1, f"can't be read ({error.strerror})", "put a readable file there") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TableError(file, line, f"not UTF-8 text ({error.reason})", "save it as UTF-8") from None
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        _check_header(file, list(reader.fieldnames or ()), row_type)
        return [
            Placed(file=file, line=reader.line_num, row=_validated(file, reader.line_num, row_type, row))
            for row in reader
        ]
    except csv.Error as error:
        raise TableError(
            file, reader.line_num + 1, f"not a CSV file ({error})", "correct the quotation marks"
        ) from None


def read_table(
    paths: list[Path], row_type: type[Model], key: Callable[[Model], Hashable]
) -> dict[Hashable, Placed[Model]]:
    """Read a table and its extensions: a row of a later file replaces the one with the same key.

    Raises:
        ConfigurationError: A file is missing.
        TableError: A row is invalid, or there twice in one file.
    """
    table: dict[Hashable, Placed[Model]] = {}
    for path in paths:
        seen: set[Hashable] = set()
        for placed in read_rows(path, row_type):
            name = key(placed.row)
            if name in seen:
                shown = " ".join(str(part) for part in name) if isinstance(name, tuple) else name
                raise placed.fault(f"'{shown}' is there twice", "remove one of the two rows")
            seen.add(name)
            table.pop(name, None)
            table[name] = placed
    return table


def _check_header(file: str, columns: list[str], row_type: type[Model]) -> None:
    known = row_type.model_fields
    if missing := [name for name, field in known.items() if field.is_required() and name not in columns]:
        raise TableError(file, 1, f"column {', '.join(missing)} is missing", "add it to the header")
    if unknown := [name for name in columns if name not in known]:
        shown = ", ".join(repr(name) for name in unknown)
        raise TableError(file, 1, f"unknown column {shown}", f"use only {', '.join(known)}")
    if twice := [name for name in known if columns.count(name) > 1]:
        raise TableError(file, 1, f"column {', '.join(twice)} is there twice", "remove one of the two")


def _validated(file: str, line: int, row_type: type[Model], row: dict[str, Any]) -> Model:
    if None in row or None in row.values():
        raise TableError(file, line, "the row has not as many values as the header", "add or remove commas")
    if any("\n" in value or "\r" in value for value in row.values()):
        raise TableError(
            file, line, "a value goes over several lines", "close its quotation mark on the line it begins on"
        )
    try:
        return row_type.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(str(part) for part in first["loc"])
        what = f"column '{column}' is '{row.get(column, '')}': {first['msg']}" if column else first["msg"]
        raise TableError(
            file, line, what, f"correct {f'column {column!r}' if column else 'the row'}"
        ) from None
