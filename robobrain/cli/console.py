"""Where commands print, and how they show the building of a brain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

# No markup: names, paths and messages may hold brackets, which would be taken for it and left out.
console = Console(markup=False)
errors = Console(stderr=True, markup=False)


def print_fault(heading: str, text: str = "") -> None:
    """Print what went wrong, unbroken and as it is."""
    _print_headed(heading, text, "bold red")


def print_notice(heading: str, text: str = "") -> None:
    """Print what is worth knowing though the command succeeds, unbroken and as it is."""
    _print_headed(heading, text, "yellow")


def _print_headed(heading: str, text: str, style: str) -> None:
    headed = Text.assemble((heading, style), f" {text}" if text else "")
    errors.print(headed, soft_wrap=True, highlight=False)


@contextmanager
def progress_bars(*columns: ProgressColumn) -> Iterator[Progress]:
    """Show bars, by default with percentage and time left; nothing where the output is no terminal."""
    bars = Progress(*columns, console=errors, transient=True)
    with bars if errors.is_terminal else nullcontext():
        yield bars


@contextmanager
def build_progress(brain: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar while a brain is built; off where the output is no terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with progress_bars(*columns) as bar:
        task = bar.add_task(f"{brain}: start", total=1.0)

        def show(phase: str, fraction: float) -> None:
            bar.update(task, description=f"{brain}: {phase}", completed=fraction)

        yield show
