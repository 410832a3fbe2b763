"""``robobrain brain new`` and ``check``: a brain of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.cli.console import console, print_notice

Directory = Annotated[Path, typer.Argument(help="Folder of the brain's tables.")]


def new(folder: Directory) -> None:
    """Copy the package's tables to a new folder, to be edited and given to --brain."""
    from robobrain.brain.folder import new_folder  # noqa: PLC0415

    for path in new_folder(folder):
        console.print(str(path), highlight=False)
    console.print(
        f"Edit them, then `robobrain brain check {folder}`. A table that you delete is the package's own; "
        "NAME.extend.csv adds rows to table NAME and replaces those with the same key."
    )


def check(folder: Directory) -> None:
    """Validate a folder of tables and print what it changes; exit 1 with file, row and fix if broken."""
    from robobrain.brain.folder import changes, stale_biases, unread_files  # noqa: PLC0415
    from robobrain.brain.scaling import scale  # noqa: PLC0415
    from robobrain.brain.tables import FILES, files_of, load_tables  # noqa: PLC0415
    from robobrain.brain.working_point import working_points  # noqa: PLC0415

    tables = load_tables(folder)
    working_points(tables)
    found = changes(tables)
    console.print(f"valid: {', '.join(files_of(folder))}")
    if found:
        table = Table("table", "row", "change", "columns", title="against the package's tables")
        for change in found:
            table.add_row(change.table, change.entry, change.kind, change.detail)
        console.print(table)
    else:
        console.print("the same brain as the package's")
    for name in tables.sizes.sizes:
        spec = scale(tables, name)
        tuned = "tuned" if spec.tuned else "bias currents not tuned"
        console.print(
            f"{name}: {spec.neurons:,} neurons, {spec.synapses_expected:,.0f} synapses expected, "
            f"identity {spec.identity}, {tuned}"
        )
    for name in unread_files(folder):
        print_notice(f"{name} is not read:", f"a brain's tables are {', '.join(FILES)} and bias_SIZE.csv")
    for name in stale_biases(tables):
        print_notice(
            f"bias_{name}.csv was tuned for the package's tables:",
            f"`robobrain brain tune {name} --brain {folder} --out {folder}`",
        )
