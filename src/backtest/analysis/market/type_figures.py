"""Pictures of the types of agents: what they won and held over time, and what each one won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backtest.analysis.market.by_type import TypeFigures
from backtest.analysis.market.figure_style import (
    Figure,
    axis,
    colours_of,
    label,
    layout,
    line,
    numbers,
    stamp,
    time_axis,
)
from backtest.analysis.market.samples import MarketRecord, PairRecord
from backtest.analysis.market.type_series import TypeSample

__all__ = ["result_figure", "series_figure"]


def series_figure(
    market: MarketRecord, record: PairRecord, series: Mapping[str, Sequence[TypeSample]]
) -> Figure:
    """PnL and, below it, inventory of each type over time."""
    colours = colours_of(dict.fromkeys(market.types.values()))
    data: list[Any] = []
    for kind, samples in series.items():
        times = [stamp(one.time_ns) for one in samples]
        look = {"legendgroup": kind}
        pnl = numbers(one.pnl for one in samples)
        held = numbers(one.inventory for one in samples)
        data.append(line(times, pnl, kind, colours[kind], **look))
        data.append(
            line(times, held, kind, colours[kind], yaxis="y2", showlegend=False, **look)
            | {"line": {"color": colours[kind], "width": 1.4, "shape": "hv"}}
        )
    unit = f" ({record.quote_asset})" if record.quote_asset else ""
    drawn = layout(
        520,
        hovermode="x unified",
        xaxis=time_axis(market.start_ns, market.end_ns, market.sessions, anchor="y2"),
        yaxis=axis("PnL" + unit, domain=[0.54, 1]),
        yaxis2=axis("bought less sold", domain=[0, 0.46]),
    )
    return {"data": data, "layout": drawn}


def result_figure(market: MarketRecord, figures: Mapping[str, TypeFigures]) -> Figure | None:
    """The spread of the PnL of single agents, by type; None where no result is known."""
    colours = colours_of(dict.fromkeys(market.types.values()))
    known = [one for one in figures.values() if one.pnl_median is not None]
    if not known:
        return None
    data: list[Any] = [
        {
            "type": "box", "orientation": "h", "name": label(one.type), "y": [label(one.type)],
            "q1": numbers([one.pnl_quarter]), "median": numbers([one.pnl_median]),
            "q3": numbers([one.pnl_three_quarters]), "lowerfence": numbers([one.pnl_worst]),
            "upperfence": numbers([one.pnl_best]), "mean": numbers([one.pnl_mean]),
            "marker": {"color": colours[one.type]}, "line": {"width": 1.4}, "showlegend": False,
            "boxmean": True,
        }
        for one in reversed(known)
    ]  # fmt: skip
    unit = f" ({market.cash_asset})" if market.cash_asset else ""
    drawn = layout(
        90 + 44 * len(known),
        xaxis=axis("PnL of one agent" + unit),
        yaxis=axis(type="category"),
    )
    return {"data": data, "layout": drawn}
