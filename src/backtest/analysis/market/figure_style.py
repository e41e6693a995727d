"""How the pictures look: one palette, one layout, numbers and times as plotly.js takes them.

Figures are plain dictionaries in plotly's JSON form. The package plotly is asked for plotly.js
alone: its Python classes would add seconds, and ids of their own at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from itertools import pairwise
from typing import Any

from backtest.times import DAY, HOUR, MINUTE, SECOND, format_ns

__all__ = [
    "ACCENT",
    "ASK",
    "BID",
    "DANGER",
    "GREY",
    "INK",
    "Figure",
    "axis",
    "colours_of",
    "interval_for",
    "label",
    "layout",
    "line",
    "number",
    "numbers",
    "stamp",
    "time_axis",
]

Figure = dict[str, Any]

INK = "#1f2933"
GREY = "#8a94a0"
GRID = "#e8ecf0"
ACCENT = "#2f5f9e"
BID = "#2f6fb3"
ASK = "#d07a2d"
DANGER = "#c0392b"
_PALETTE = (
    "#2f6fb3", "#d07a2d", "#3a9467", "#a8508c", "#7062c4",
    "#5f6b76", "#b8433a", "#2c9a9a", "#b59a2b", "#6b4f3a",
)  # fmt: skip
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_POINTS = 500
_INTERVALS = (
    SECOND // 1000, SECOND // 100, SECOND // 10, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND,
    15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE,
    30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 12 * HOUR, DAY,
)  # fmt: skip


def interval_for(span_ns: int, points: int = _POINTS) -> int:
    """The shortest round interval of which at most ``points`` make up the span."""
    for interval in _INTERVALS:
        if span_ns <= interval * points:
            return interval
    return -(-span_ns // (points * DAY)) * DAY


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, by its place."""
    return {name: _PALETTE[place % len(_PALETTE)] for place, name in enumerate(names)}


def number(value: Decimal | float | None) -> float | int | None:
    """A number to draw: ten digits are more than a screen has."""
    if value is None:
        return None
    short = float(f"{float(value):.10g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def numbers(values: Iterable[Decimal | float | None]) -> list[float | int | None]:
    """`number` of each."""
    return [number(value) for value in values]


def stamp(time_ns: int) -> str:
    """A time as plotly.js takes it: UTC, to the microsecond, no zone."""
    return format_ns(time_ns - time_ns % 1_000)[:26].removesuffix("+00:00").replace("T", " ")


def layout(height: int, **more: Any) -> Figure:
    """What all figures have in common, and ``more``."""
    return {
        "height": height,
        "margin": {"l": 72, "r": 24, "t": 16, "b": 40},
        "font": {"family": _FONT, "size": 12, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": {"font": {"family": _FONT, "size": 12}},
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
            "traceorder": "normal", "font": {"size": 12},
        },
        **more,
    }  # fmt: skip


def label(text: str) -> str:
    """``text`` as plotly shows it letter by letter: it takes some HTML, links above all."""
    return escape(text, quote=False)


def axis(title: str = "", **more: Any) -> Figure:
    """An axis of numbers."""
    return {
        "title": {"text": label(title), "font": {"size": 12, "color": GREY}, "standoff": 8},
        "gridcolor": GRID,
        "linecolor": GRID,
        "zerolinecolor": "#c9d0d7",
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": GRID,
        "automargin": True,
        **more,
    }


def time_axis(
    start_ns: int, end_ns: int, sessions: Sequence[tuple[int, int]] = (), **more: Any
) -> Figure:
    """The axis of time, from begin to end; hours between ``sessions`` are left out."""
    found = axis(
        "",
        type="date",
        range=[stamp(start_ns), stamp(end_ns)],
        hoverformat="%H:%M:%S" if end_ns - start_ns <= DAY else "%d %b %H:%M:%S",
        showspikes=True,
        spikemode="across",
        spikethickness=1,
        spikedash="dot",
        spikecolor=GREY,
        **more,
    )
    if end_ns - start_ns <= DAY:
        found["tickformat"] = "%H:%M:%S" if end_ns - start_ns <= 10 * MINUTE else "%H:%M"
    closed = [
        {"bounds": [stamp(before[1]), stamp(after[0])]}
        for before, after in pairwise(sessions)
        if after[0] > before[1]
    ]
    if closed:
        found["rangebreaks"] = closed
    return found


def line(xs: Sequence[Any], ys: Sequence[Any], name: str, colour: str, **more: Any) -> Figure:
    """A line; where ``ys`` has None it is broken."""
    drawn = {"color": colour, "width": 1.6, **more.pop("line", {})}
    return {
        "type": "scatter", "mode": "lines", "x": xs, "y": ys, "name": label(name), "line": drawn,
        **more,
    }  # fmt: skip
