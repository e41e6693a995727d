"""Pictures of one pair over time: price, spread, volume, the depth of the book."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, floor
from typing import Any

from backtest.analysis.market.bars import IntervalBar
from backtest.analysis.market.figure_style import (
    ACCENT,
    ASK,
    BID,
    DANGER,
    GREY,
    INK,
    Figure,
    axis,
    label,
    layout,
    line,
    number,
    numbers,
    stamp,
    time_axis,
)
from backtest.analysis.market.samples import DepthSample, MarketRecord, PairRecord
from backtest.money import sub

__all__ = ["depth_figure", "price_figure"]

_ROWS = 90
_COLUMNS = 400
_BLUES = ((0.0, "#eef4fb"), (0.02, "#c6dbf0"), (0.1, "#82b1de"), (0.4, "#3f7fc0"), (1.0, "#173f75"))
_ORANGES = (
    (0.0, "#fdf3ea"), (0.02, "#f7d9bb"), (0.1, "#eeb27a"), (0.4, "#d07a2d"), (1.0, "#7f4310"),
)  # fmt: skip


def price_figure(market: MarketRecord, record: PairRecord, bars: Sequence[IntervalBar]) -> Figure:
    """Price (with fundamental, liquidations and halts), spread and volume, one above the other."""
    times = [stamp(bar.close_ns) for bar in bars]
    unit = f" ({record.quote_asset})" if record.quote_asset else ""
    data: list[Any] = _range_of(bars)
    data.append(line(times, numbers(bar.close for bar in bars), "last trade", ACCENT))
    if record.fundamental:
        data.append(
            line(
                [stamp(time) for time, _ in record.fundamental],
                numbers(value for _, value in record.fundamental),
                "fundamental",
                GREY,
                line={"dash": "dot", "width": 1.4},
            )
        )
    if record.liquidations:
        data.append(_liquidations(record))
    quoted = any(bar.spread is not None for bar in bars)
    if quoted:
        spreads = numbers(bar.spread for bar in bars)
        data.append(
            line(times, spreads, "spread", "#5f6b76", yaxis="y2", showlegend=False)
            | {"line": {"color": "#5f6b76", "width": 1.2, "shape": "hv"}}
        )
    auctioned = [sub(sub(bar.volume, bar.bought), bar.sold) for bar in bars]
    for name, colour, volumes in (
        ("bought by takers", BID, [bar.bought for bar in bars]),
        ("sold by takers", ASK, [bar.sold for bar in bars]),
        ("in auctions", GREY, auctioned),
    ):
        if any(volumes):
            data.append(
                {
                    "type": "bar", "x": times, "y": numbers(volumes), "name": name,
                    "marker": {"color": colour, "line": {"width": 0}}, "yaxis": "y3",
                }
            )  # fmt: skip
    shared = time_axis(market.start_ns, market.end_ns, market.sessions, anchor="y3")
    figure = layout(
        640,
        hovermode="x unified",
        barmode="stack",
        bargap=0.05,
        xaxis=shared,
        yaxis=axis("price" + unit, domain=[0.42 if quoted else 0.28, 1]),
        yaxis3=axis("volume", domain=[0, 0.2], rangemode="tozero"),
        shapes=[_halt(start, end) for start, end in record.halts],
    )
    if quoted:
        figure["yaxis2"] = axis("spread" + unit, domain=[0.25, 0.37], rangemode="tozero")
    return {"data": data, "layout": figure}


def _range_of(bars: Sequence[IntervalBar]) -> list[Any]:
    """The band from low to high of each interval; where nobody traded it is as thin as the last."""
    times = [stamp(bar.close_ns) for bar in bars]
    edge = {"width": 0}
    lows = numbers(bar.close if bar.low is None else bar.low for bar in bars)
    highs = numbers(bar.close if bar.high is None else bar.high for bar in bars)
    common = {"hoverinfo": "skip", "showlegend": False}
    return [
        line(times, lows, "low", ACCENT, line=edge, **common),
        line(
            times, highs, "high", ACCENT, line=edge, **common,
            fill="tonexty", fillcolor="rgba(47, 95, 158, 0.16)",
        ),
    ]  # fmt: skip


def _liquidations(record: PairRecord) -> Any:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "liquidations",
        "x": [stamp(one.time_ns) for one in record.liquidations],
        "y": numbers(one.price for one in record.liquidations),
        "text": [label(one.account) for one in record.liquidations],
        "hovertemplate": "%{text} liquidated at %{y}<extra></extra>",
        "marker": {
            "symbol": "x", "size": 8, "color": DANGER, "line": {"width": 1, "color": "#ffffff"},
        },
    }  # fmt: skip


def _halt(start_ns: int, end_ns: int) -> Any:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": stamp(start_ns), "x1": stamp(end_ns),
        "y0": 0, "y1": 1, "fillcolor": "rgba(138, 148, 160, 0.18)", "line": {"width": 0},
        "layer": "below",
    }  # fmt: skip


# -- depth -----------------------------------------------------------------------------------------


def depth_figure(market: MarketRecord, record: PairRecord) -> Figure | None:
    """The volume that rested at each price, over time; None where the book was never looked at.

    Darker is more, on a scale that begins fine: small volumes can be told apart, too.
    """
    samples = [_floats(sample) for sample in _thinned(record.depth)]
    mids = [_mid(sample) for sample in samples]
    if all(mid is None for mid in mids):
        return None
    low, step, rows = _grid(samples, mids, record.price_increment)
    bids = _cells([bids for _, bids, _ in samples], low, step, rows)
    asks = _cells([asks for _, _, asks in samples], low, step, rows)
    times = [stamp(time_ns) for time_ns, _, _ in samples]
    prices = numbers(low + step * row for row in range(rows))
    top = _high_volume(bids, asks)
    data: list[Any] = [
        {
            "type": "heatmap", "name": name, "x": times, "y": prices, "z": cells,
            "colorscale": scale, "zmin": 0, "zmax": top, "hoverongaps": False,
            "colorbar": {
                "title": {"text": name, "side": "right", "font": {"size": 11}}, "thickness": 10,
                "len": 0.48, "y": place, "yanchor": anchor, "outlinewidth": 0, "x": 1.01,
            },
            "hovertemplate": "%{x}: %{z} " + name + " at %{y}<extra></extra>",
        }
        for name, scale, cells, place, anchor in (
            ("offered", _ORANGES, asks, 0.52, "bottom"), ("bid for", _BLUES, bids, 0.48, "top"),
        )
    ]  # fmt: skip
    data.append(
        line(
            times, numbers(mids), "mid", INK, line={"width": 1}, hoverinfo="skip", showlegend=False
        )
    )
    unit = f" ({record.quote_asset})" if record.quote_asset else ""
    drawn = layout(
        460,
        xaxis=time_axis(market.start_ns, market.end_ns, market.sessions, showgrid=False),
        yaxis=axis("price" + unit, showgrid=False, range=[prices[0], prices[-1]]),
        margin={"l": 72, "r": 84, "t": 16, "b": 40},
    )
    return {"data": data, "layout": drawn}


_Levels = list[tuple[float, float]]
_Floats = tuple[int, _Levels, _Levels]


def _thinned(samples: Sequence[DepthSample]) -> Sequence[DepthSample]:
    return samples[:: -(-len(samples) // _COLUMNS) or 1]


def _floats(sample: DepthSample) -> _Floats:
    return (
        sample.time_ns,
        [(float(price), float(volume)) for price, volume in sample.bids],
        [(float(price), float(volume)) for price, volume in sample.asks],
    )


def _mid(sample: _Floats) -> float | None:
    _, bids, asks = sample
    return (bids[0][0] + asks[0][0]) / 2 if bids and asks else None


def _grid(
    samples: Sequence[_Floats], mids: Sequence[float | None], increment: Decimal | None
) -> tuple[float, float, int]:
    """Lowest price, step and number of the rows: the way of the mid, and as much of the book."""
    known = [mid for mid in mids if mid is not None]
    away = sorted(
        abs(price - mid)
        for (_, bids, asks), mid in zip(samples, mids, strict=True)
        if mid is not None
        for price, _ in (*bids, *asks)
    )
    # Orders far from the price would leave the rest a line: show what three in four keep within.
    pad = max(away[len(away) * 3 // 4], (max(known) - min(known)) / 20)
    low, high = max(min(known) - pad, 0.0), max(known) + pad
    tick = float(increment) if increment else (high - low) / _ROWS or 1.0
    # A row is a whole number of ticks, or rows would hold now more of them and now fewer.
    step = tick * max(1, ceil((high - low) / _ROWS / tick - 1e-9))
    low = tick * floor(low / tick + 1e-9)
    return low, step, floor((high - low) / step + 1e-9) + 1


def _cells(
    columns: Sequence[_Levels], low: float, step: float, rows: int
) -> list[list[float | int | None]]:
    """Volumes by row of price and column of time; None where nothing rested."""
    cells: list[list[float | int | None]] = [[None] * len(columns) for _ in range(rows)]
    for column, levels in enumerate(columns):
        sums: dict[int, float] = {}
        for price, volume in levels:
            row = floor((price - low) / step + 1e-9)
            if 0 <= row < rows:
                sums[row] = sums.get(row, 0.0) + volume
        for row, total in sums.items():
            cells[row][column] = number(total)
    return cells


def _high_volume(*tables: Sequence[Sequence[float | int | None]]) -> float | int:
    """The volume that all but a hundredth of the cells keep below: what is darkest."""
    seen = sorted(one for table in tables for row in table for one in row if one is not None)
    if not seen:
        return 1
    return seen[min(len(seen) * 99 // 100, len(seen) - 1)] or 1
