"""How long work tells of itself: in words, and by the share that is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "bar", "telling"]

Progress = Callable[[str, float], None]
"""Called with words and the share of the whole that is done, 0 to 1; NaN where the share is not known."""

WORDS = 48  # characters beside a bar


@contextmanager
def bar(text: str) -> Iterator[Progress]:
    """Yield a function that moves a bar on the error stream, or in a notebook."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as moving:
        task = moving.add_task(text, total=1.0)

        def say(words: str, share: float) -> None:
            moving.update(task, description=f"{text}: {words}"[:WORDS].ljust(WORDS))
            if not math.isnan(share):
                moving.update(task, completed=share)

        yield say


@contextmanager
def telling(progress: Progress | bool | None, text: str) -> Iterator[Progress | None]:
    """Yield what is to be told of the work: a bar for True, nothing for False and None, or the function given."""
    if progress is True:
        with bar(text) as say:
            yield say
    else:
        yield progress or None
