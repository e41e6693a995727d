"""Progress on a terminal (rich, extra); nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Callable[[int], None] | None]:
    """What a runner calls with the number of bars done, while inside; None when nothing is shown.

    It goes to standard error, and only when that is a terminal and rich is installed; not if
    ``quiet``.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,} bars"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def done(bars: int) -> None:
            bar.update(task, completed=bars)

        yield done
