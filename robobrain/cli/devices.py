"""``robobrain brain devices``: sources and monitors of a brain, checked, with what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from robobrain.cli.console import console


def devices(
    size: Annotated[str, typer.Argument(help="Size of the brain: tiny, small, ...")] = "small",
    interfaces: Annotated[
        Path | None, typer.Option(help="YAML file of the wiring (default: that of the forelimb loop).")
    ] = None,
    add: Annotated[Path | None, typer.Option(help="YAML file of devices beside the wiring.")] = None,
    exchange_ms: Annotated[float, typer.Option(help="Period of the exchange.")] = 10.0,
) -> None:
    """List sources and monitors, check them against the brain, and estimate what each adds to an exchange."""
    from robobrain.brain.devices import NO_DEVICES, joined  # noqa: PLC0415
    from robobrain.brain.inspection import inspect  # noqa: PLC0415
    from robobrain.brain.interfaces import load_devices  # noqa: PLC0415
    from robobrain.brain.layout import planned_site  # noqa: PLC0415
    from robobrain.brain.scaling import scale  # noqa: PLC0415
    from robobrain.brain.tables import load_tables  # noqa: PLC0415

    site = planned_site(scale(load_tables(), size), exchange_ms)
    added = NO_DEVICES if add is None else load_devices(add)
    rows = inspect(joined(load_devices(interfaces), added), site)
    table = Table(title=f"{size}: sources and monitors, exchange of {exchange_ms:g} ms")
    for heading in ("kind", "name", "unit", "values", "neurons", "about µs per exchange"):
        table.add_column(heading, justify="left" if heading in {"kind", "name", "unit"} else "right")
    for row in rows:
        table.add_row(
            row.kind, row.name, row.unit, f"{row.values:,}", f"{row.neurons:,}", f"{row.cost_us:,.0f}"
        )
    table.add_section()
    table.add_row("total", "", "", "", "", f"{sum(row.cost_us for row in rows):,.0f}")
    console.print(table)
