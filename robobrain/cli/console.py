"""Where commands print, and how they show the building of a brain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

console = Console()
errors = Console(stderr=True)


@contextmanager
def build_progress(brain: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar while a brain is built; off where the output is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"{brain}: start", total=1.0)

        def show(phase: str, fraction: float) -> None:
            bar.update(task, description=f"{brain}: {phase}", completed=fraction)

        yield show
