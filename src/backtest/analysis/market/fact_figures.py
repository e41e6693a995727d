"""Pictures of the stylised facts: memory of returns and of signs, their tails, the impact."""

from __future__ import annotations

from math import exp, fsum, log, pi, sqrt
from typing import Any

from backtest.analysis.market.correlations import noise_band, regression
from backtest.analysis.market.figure_style import (
    ACCENT,
    ASK,
    GREY,
    INK,
    Figure,
    axis,
    layout,
    line,
    number,
    numbers,
)
from backtest.analysis.market.stylised_facts import StylisedFacts

__all__ = ["fact_figures"]

_HEIGHT = 320
_WIDEST = 8
_BINS_PER_DEVIATION = 4


def fact_figures(facts: StylisedFacts) -> list[tuple[str, str, Figure]]:
    """``(id, title, figure)`` of each picture for which there are numbers."""
    found = [
        ("memory", "Memory of returns", _memory(facts)),
        ("tails", "Distribution of returns", _tails(facts)),
        ("signs", "Memory of order signs", _signs(facts)),
        ("impact", "Impact of an order's size", _impact(facts)),
    ]
    return [(name, title, figure) for name, title, figure in found if figure is not None]


def _memory(facts: StylisedFacts) -> Figure | None:
    if not facts.autocorrelation:
        return None
    lags = list(range(1, len(facts.autocorrelation) + 1))
    data: list[Any] = [
        *_noise(lags, noise_band(len(facts.returns))),
        {
            "type": "bar", "x": lags, "y": numbers(facts.autocorrelation), "name": "returns",
            "marker": {"color": "#b9c2cc"},
        },
        line(lags, numbers(facts.absolute_autocorrelation), "|returns|", ACCENT),
        line(
            lags, numbers(facts.squared_autocorrelation), "returns²", ASK, line={"dash": "dot"}
        ),
    ]  # fmt: skip
    drawn = layout(
        _HEIGHT, xaxis=axis("lag (intervals)", range=[0.4, lags[-1] + 0.6]),
        yaxis=axis("autocorrelation"),
    )  # fmt: skip
    return {"data": data, "layout": drawn}


def _noise(lags: list[int], band: float) -> list[Any]:
    """The band in which correlations of nothing lie, shaded."""
    ends = [lags[0] - 0.6, lags[-1] + 0.6]
    common = {"hoverinfo": "skip", "line": {"width": 0}}
    return [
        line(ends, [-band, -band], "noise", GREY, showlegend=False, **common),
        line(
            ends, [band, band], "noise", GREY, **common,
            fill="tonexty", fillcolor="rgba(138, 148, 160, 0.2)",
        ),
    ]  # fmt: skip


def _tails(facts: StylisedFacts) -> Figure | None:
    count = len(facts.returns)
    if count < 2:
        return None
    mean = fsum(facts.returns) / count
    deviation = sqrt(fsum((one - mean) ** 2 for one in facts.returns) / count)
    if deviation == 0:
        return None
    scaled = [(one - mean) / deviation for one in facts.returns]
    edge = min(_WIDEST, max(4, int(max(map(abs, scaled))) + 1))
    bins = 2 * edge * _BINS_PER_DEVIATION
    width = 1 / _BINS_PER_DEVIATION
    counts = [0] * bins
    for one in scaled:
        counts[min(max(int((one + edge) / width), 0), bins - 1)] += 1
    middles = [-edge + (place + 0.5) * width for place in range(bins)]
    bell = [exp(-middle * middle / 2) / sqrt(2 * pi) for middle in middles]
    # Less than a hundredth of a return is nothing to draw.
    least = 0.3 / count / width
    data: list[Any] = [
        {
            "type": "scatter", "mode": "markers", "name": "measured", "x": middles,
            "y": [number(one / count / width) if one else None for one in counts],
            "marker": {"color": ACCENT, "size": 6},
        },
        line(
            middles, [number(one) if one > least else None for one in bell], "Gaussian", GREY,
            line={"dash": "dot"},
        ),
    ]  # fmt: skip
    drawn = layout(
        _HEIGHT, xaxis=axis("return (standard deviations)", range=[-edge, edge]),
        yaxis=axis("density", type="log", exponentformat="power", dtick=1),
    )  # fmt: skip
    return {"data": data, "layout": drawn}


def _signs(facts: StylisedFacts) -> Figure | None:
    if not facts.sign_autocorrelation:
        return None
    lags = list(range(1, len(facts.sign_autocorrelation) + 1))
    data: list[Any] = [
        *_noise(lags, noise_band(facts.orders)),
        line(lags, numbers(facts.sign_autocorrelation), "signs of incoming orders", ACCENT),
    ]
    drawn = layout(
        _HEIGHT, xaxis=axis("lag (orders)", range=[0.4, lags[-1] + 0.6]),
        yaxis=axis("autocorrelation", rangemode="tozero"),
    )  # fmt: skip
    return {"data": data, "layout": drawn}


def _impact(facts: StylisedFacts) -> Figure | None:
    impact = facts.impact
    if impact is None:
        return None
    bins = [one for one in impact.bins if one.move > 0]
    if len(bins) < 2:
        return None
    data: list[Any] = [
        {
            "type": "scatter", "mode": "markers", "name": "mean of a bin",
            "x": numbers(one.volume for one in bins),
            "y": numbers(one.move * 10_000 for one in bins),
            "text": [f"{one.orders:,} orders" for one in bins],
            "hovertemplate": "volume %{x}: %{y} bp (%{text})<extra></extra>",
            "marker": {"color": ACCENT, "size": 8},
        }
    ]  # fmt: skip
    fitted = regression([log(one.volume) for one in bins], [log(one.move) for one in bins])
    if fitted is not None:
        volumes = [bins[0].volume, bins[-1].volume]
        moves = [exp(fitted.intercept + fitted.slope * log(one)) * 10_000 for one in volumes]
        name = f"volume^{fitted.slope:.2f}"
        data.append(line(numbers(volumes), numbers(moves), name, INK, line={"dash": "dot"}))
    drawn = layout(
        _HEIGHT, xaxis=axis("volume of the order", type="log", dtick="D2"),
        yaxis=axis("move of the price (bp)", type="log", dtick="D2"),
    )  # fmt: skip
    return {"data": data, "layout": drawn}
