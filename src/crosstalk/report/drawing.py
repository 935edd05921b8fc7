"""What every figure of a report shares: colours, size, and its rendering as inline SVG, the same bytes each time."""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "LIGHT",
    "PURPLE",
    "STYLES",
    "VERMILION",
    "WIDTH",
    "beside_texts",
    "new_figure",
    "plain_log",
    "svg",
    "whisker",
]

# Okabe and Ito's colours, each with a line style of its own so that grey print tells them apart
INK, GREY, LIGHT = "#1a1a1a", "#767676", "#d9d9d9"
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
STYLES = (
    (BLUE, "-"),
    (VERMILION, "--"),
    (GREEN, "-."),
    (PURPLE, (0, (5, 1, 1, 1, 1, 1))),
    (GREY, ":"),
)
VARIABLES = {
    INK: "ink", GREY: "grey", LIGHT: "line", "#ffffff": "paper", "#000000": "ink", BLUE: "blue", VERMILION: "orange",
    GREEN: "green",
}  # fmt: skip
"""Variables of the style sheet that stand for the colours of figures."""
WIDTH = 7.4  # inches; the text column


def new_figure(height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of the width of the text, with its axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_RC):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(GREY)
        axis.tick_params(colors=INK, labelcolor=INK, length=3, color=GREY)
    return figure, list(axes)


def beside_texts(height: float, left: float, texts: float, above: float) -> tuple[Figure, Axes, Axes]:
    """Make an axis with ``left`` inches of room on its left, a column of ``texts`` inches on its right."""
    figure, (axis, column) = new_figure(height, columns=2)
    figure.set_layout_engine("none")
    bottom, tall = 0.5 / height, (height - 0.5 - above) / height
    axis.set_position((left / WIDTH, bottom, (WIDTH - left - texts) / WIDTH, tall))
    column.set_position(((WIDTH - texts + 0.12) / WIDTH, bottom, (texts - 0.12) / WIDTH, tall))
    return figure, axis, column


def whisker(
    axis: Axes, ends: tuple[float, float], limits: tuple[float, float], y: float, colour: str, width: float
) -> None:
    """Draw an interval; an arrow where it leaves the axis."""
    low, high = max(ends[0], limits[0]), min(ends[1], limits[1])
    axis.plot([low, high], [y, y], color=colour, lw=width, solid_capstyle="butt", zorder=2)
    for end, cut, arrow in ((low, ends[0] < low, 8), (high, ends[1] > high, 9)):
        if cut:
            axis.plot(end, y, marker=arrow, color=colour, ms=6, ls="", clip_on=False, zorder=4)


_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "crosstalk",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
}


def plain_log(axis: Axes) -> None:
    """Ticks of a logarithmic axis at round numbers, written as numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_xlim()
    span = high / low
    subs = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0) if span < 10 else (1.0, 2.0, 5.0) if span < 300 else (1.0,)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def svg(figure: Figure, name: str, words: str) -> str:
    """Render a figure; ids carry the figure's name so that several fit on one page."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context(_RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{name}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = text.replace("DejaVu Sans", "system-ui, DejaVu Sans")
    # colours that the page sets, so that a dark page has figures of its own; the number stands where there is no page
    for colour, name_ in VARIABLES.items():
        text = re.sub(rf"(fill|stroke): ({colour})\b", rf"\1: var(--{name_}, \2)", text, flags=re.IGNORECASE)
    # the size comes from the page; the viewBox keeps the proportions
    text = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(words, quote=True)}"', 1)
