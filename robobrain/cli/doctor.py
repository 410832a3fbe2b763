"""``robobrain doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import typer
from rich.table import Table
from rich.text import Text

from robobrain.cli.console import console

PACKAGES = ("nest-simulator", "mujoco", "gymnasium", "grpcio", "protobuf", "numpy", "matplotlib")


def doctor() -> None:
    """Print versions, cores, neurons, and whether pictures can be made; exit 1 if a part is missing."""
    table = Table("what", "found", show_header=False, box=None)
    table.add_row("python", platform.python_version())
    table.add_row("system", f"{platform.system()} {platform.machine()}")
    table.add_row("cores", str(len(os.sched_getaffinity(0))))
    missing = False
    for package in ("robobrain", *PACKAGES):
        try:
            table.add_row(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            missing = True
            table.add_row(package, Text.assemble(("missing", "red"), ": pip install robobrain"))
    table.add_row("neurons", _neurons())
    table.add_row("rendering", _rendering())
    console.print(table)
    if missing:
        raise typer.Exit(1)


def _neurons() -> Text:
    from robobrain.brain.packed import module_path  # noqa: PLC0415

    if module_path() is not None:
        return Text("packed")
    return Text.assemble(("NEST's own", "yellow"), ": robobrain brain compile makes brains twice as fast")


def _rendering() -> Text:
    from robobrain.body import Forelimb, Renderer  # noqa: PLC0415 - loads MuJoCo
    from robobrain.errors import ConfigurationError  # noqa: PLC0415

    body = Forelimb()
    try:
        with Renderer(body, width=64, height=64) as renderer:
            renderer.render()
        return Text("works")
    except ConfigurationError as error:
        return Text.assemble(("no", "yellow"), f": {error}")
    finally:
        body.close()
