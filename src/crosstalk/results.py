"""What every result can do: say itself in words, as a table, as JSON, as a page, as a picture, and save any of these.

The words, pages and pictures are made by `crosstalk.report`, above all floors that hold results. It is looked up by its
name when a result is first asked to speak, so that no result knows how it is drawn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from crosstalk.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Reported", "Shown", "Voice"]

VOICES = "crosstalk.report.voices"
PICTURES = ("png", "svg", "pdf")
LONGEST = 399  # characters of a repr
TEXT = 60  # characters of a text in it


class Voice(Protocol):
    """How one kind of result speaks; `crosstalk.report.voices` holds one for each."""

    def text(self, result: Any) -> str:
        """What the command line prints, at 80 columns."""

    def html(self, result: Any) -> str:
        """The report as one page."""

    def json(self, result: Any) -> str:
        """The document that ``--json`` writes."""

    def frame(self, result: Any) -> pd.DataFrame:
        """The rows of the result."""

    def plot(self, result: Any, axes: Axes) -> None:
        """Draw on axes that are given."""


class Shown:
    """A short ``repr`` of any size of content, and a table in notebooks where there is ``to_frame``."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Name, single values, and how many of what else there is; below 400 characters."""
        plain: list[str] = []
        counted: list[str] = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, (bool, int, float)):
                plain.append(f"{field.name}={value:.6g}" if isinstance(value, float) else f"{field.name}={value}")
            elif isinstance(value, str) and value and "sha256" not in field.name:
                plain.append(f"{field.name}={_short(value)!r}")
            elif isinstance(value, (tuple, list, Mapping)) and len(value):
                counted.append(f"{len(value)} {field.name}")
        inside = "; ".join(part for part in (", ".join(plain), ", ".join(counted)) if part)
        text = f"{type(self).__name__}({inside})"
        return text if len(text) <= LONGEST else text[: LONGEST - 4] + "...)"

    def _repr_html_(self) -> str:
        head = f"<p><code>{escape(repr(self))}</code></p>"
        frame: Callable[[], pd.DataFrame] | None = getattr(self, "to_frame", None)
        return head if frame is None else head + str(frame().to_html(max_rows=20, escape=True, index=False, na_rep=""))


class Reported(Shown):
    """A result that speaks: ``summary``, ``to_frame``, ``to_json``, ``to_html``, ``save`` and ``plot``."""

    __slots__ = ()

    def summary(self) -> str:
        """The result in words and tables, as the command line prints it, at 80 columns."""
        return _voice(self).text(self)

    def to_frame(self) -> pd.DataFrame:
        """The rows of the result, tidy; which rows is said in the reference of each result."""
        return _voice(self).frame(self)

    def to_json(self) -> str:
        """The JSON document that the command line writes; the same result gives the same bytes."""
        return _voice(self).json(self)

    def to_html(self) -> str:
        """The report as one HTML page that needs no other file and no network."""
        return _voice(self).html(self)

    def save(self, path: str | Path) -> Path:
        """Write the result; the ending of the name says what: html, json, csv, txt, png, svg or pdf.

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        UsageError
            On another ending.
        OutputError
            If it cannot be written.
        """
        from crosstalk.provenance import atomic_write

        file = Path(path)
        ending = file.suffix.lower().removeprefix(".")
        make = {"html": self.to_html, "json": self.to_json, "csv": self._csv, "txt": self.summary}
        if ending in make:
            return atomic_write(file, make[ending]())
        if ending in PICTURES:
            return atomic_write(file, self._picture(ending))
        raise UsageError(f"{file}: the ending '{ending}' is unknown; expected one of {', '.join((*make, *PICTURES))}")

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the result.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw; new ones, in a figure of their own, by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots(layout="constrained")
        _voice(self).plot(self, axes)
        return axes

    def _csv(self) -> str:
        from crosstalk.spreadsheets import frame_csv

        return frame_csv(self.to_frame(), number="%.6g")

    def _picture(self, ending: str) -> bytes:
        from io import BytesIO

        from matplotlib.figure import Figure

        # without pyplot, which would keep the figure
        figure = Figure(layout="constrained")
        self.plot(figure.add_subplot())
        content = BytesIO()
        # no date, so that the same result gives the same bytes
        figure.savefig(content, format=ending, metadata={"Date": None} if ending == "svg" else None)
        return content.getvalue()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT else line[: TEXT - 3] + "..."


def _voice(result: Reported) -> Voice:
    voice: Voice = import_module(VOICES).voice_of(type(result))
    return voice
