"""The orders that came in and met others: their signs, and how far they moved the price."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import fsum, log
from typing import NamedTuple

from backtest.analysis.market.correlations import Line, autocorrelation, regression
from backtest.analysis.market.samples import BestQuote
from backtest.models import MarketTrade
from backtest.money import add

__all__ = [
    "Impact",
    "ImpactBin",
    "Incoming",
    "impact_of",
    "incoming_orders",
    "mids_of",
    "sign_autocorrelation",
]

_BINS = 10
_FEWEST_ORDERS = 50
_FEWEST_BINS = 3


class Incoming(NamedTuple):
    """An order that came in and met resting ones: all its trades of that moment together."""

    time_ns: int
    sign: int
    """1 bought, -1 sold."""
    volume: float
    trades: int
    before: float | None
    """The log of the price before it; None where there was none."""
    after: float | None
    """The log of the price after it."""

    @property
    def move(self) -> float | None:
        """The log return in its own direction: above 0 where the price went along."""
        if self.before is None or self.after is None:
            return None
        return self.sign * (self.after - self.before)


class ImpactBin(NamedTuple):
    """Orders of about one size, and how far they moved the price on average."""

    volume: float
    """Their mean volume."""
    move: float
    """Their mean move, a log return in their direction."""
    orders: int


class Impact(NamedTuple):
    """How the move of the price depends on the size of the order that came in."""

    orders: int
    mean_move: float
    """A log return; above 0: the price goes the way of those who come in."""
    linear: Line | None
    """Signed log return against signed volume: the slope is Kyle's lambda, per unit of volume."""
    exponent: float | None
    """b in: move ~ volume^b. 1 is linear, 0.5 a square root, 0 the same for all sizes."""
    exponent_error: float | None
    """Its standard error, from how the bins scatter about the line."""
    bins: tuple[ImpactBin, ...]


def mids_of(quotes: Sequence[BestQuote]) -> tuple[list[int], list[float]]:
    """Times and mids of the quotes that have both sides."""
    times: list[int] = []
    mids: list[float] = []
    for time_ns, bid, ask, _, _ in quotes:
        if bid is not None and ask is not None:
            times.append(time_ns)
            mids.append((float(bid) + float(ask)) / 2)
    return times, mids


def incoming_orders(
    trades: Sequence[MarketTrade], quotes: Sequence[BestQuote] = ()
) -> list[Incoming]:
    """The incoming orders of the tape, in turn; trades of auctions are left out.

    Trades of one order at one time are one: an order that walks through levels makes many. With
    ``quotes`` (every change of the best) the price is the mid, just before the order and just after
    it: that of the last quote of an earlier time, and that of the last of its own. Without, it is
    the last trade's before the order and the order's own last, which bounces between bid and ask.
    """
    groups: list[list[MarketTrade]] = []
    last: tuple[int, object] | None = None
    for trade in trades:
        if trade.aggressor is None:
            continue
        order = trade.buyer_order if trade.aggressor == "buy" else trade.seller_order
        if last == (trade.time_ns, order):
            groups[-1].append(trade)
        else:
            groups.append([trade])
            last = trade.time_ns, order
    times, mids = mids_of(quotes)
    found: list[Incoming] = []
    traded: float | None = None
    for group in groups:
        first = group[0]
        time_ns = first.time_ns
        volume = first.volume
        for other in group[1:]:
            volume = add(volume, other.volume)
        ended = log(group[-1].price)
        before: float | None = traded
        after: float | None = ended
        if times:
            at, until = bisect_left(times, time_ns), bisect_right(times, time_ns)
            before = log(mids[at - 1]) if at else None
            after = log(mids[until - 1]) if until else None
        sign = 1 if first.aggressor == "buy" else -1
        found.append(Incoming(time_ns, sign, float(volume), len(group), before, after))
        traded = ended
    return found


def sign_autocorrelation(orders: Sequence[Incoming], lags: int) -> tuple[float, ...] | None:
    """The autocorrelation of the signs, lag by lag in orders.

    Buys follow buys in real markets, for thousands of orders: F. Lillo & J. D. Farmer, The Long
    Memory of the Efficient Market, Studies in Nonlinear Dynamics & Econometrics 8 (3), 2004.
    """
    return autocorrelation([float(order.sign) for order in orders], lags)


def impact_of(orders: Sequence[Incoming]) -> Impact | None:
    """How the price moved with the orders that came in, by their size.

    The orders are sorted by volume into ten bins of as equal a count as orders of one volume in
    one bin allow; the exponent is the slope of the least-squares line of log(mean move) on
    log(mean volume) over the bins whose mean move is above 0. Sources: F. Lillo, J. D. Farmer &
    R. N. Mantegna, Master Curve for Price-Impact Function, Nature 421 (2003); J.-P. Bouchaud,
    J. D. Farmer & F. Lillo, How Markets Slowly Digest Changes in Supply and Demand (2009). The
    linear measure is that of A. S. Kyle, Continuous Auctions and Insider Trading, Econometrica 53
    (1985).

    None below 50 orders with a price before and after. The exponent is None where fewer than 3
    bins are left: all orders of a size, or no move.
    """
    known = [(one.volume, move, one.sign) for one in orders if (move := one.move) is not None]
    if len(known) < _FEWEST_ORDERS:
        return None
    bins = _bins([(volume, move) for volume, move, _ in known])
    moved = [one for one in bins if one.move > 0]
    line = None
    if len(moved) >= _FEWEST_BINS:
        line = regression([log(one.volume) for one in moved], [log(one.move) for one in moved])
    return Impact(
        orders=len(known),
        mean_move=fsum(move for _, move, _ in known) / len(known),
        linear=regression(
            [sign * volume for volume, _, sign in known], [sign * move for _, move, sign in known]
        ),
        exponent=None if line is None else line.slope,
        exponent_error=None if line is None else line.error,
        bins=tuple(bins),
    )


def _bins(moves: list[tuple[float, float]]) -> list[ImpactBin]:
    """At most ten bins by volume; orders of one volume are never in two."""
    moves.sort(key=lambda one: one[0])
    wanted = -(-len(moves) // _BINS)
    bins: list[ImpactBin] = []
    start = 0
    while start < len(moves):
        end = min(start + wanted, len(moves))
        while end < len(moves) and moves[end][0] == moves[end - 1][0]:
            end += 1
        some = moves[start:end]
        bins.append(
            ImpactBin(
                fsum(volume for volume, _ in some) / len(some),
                fsum(move for _, move in some) / len(some),
                len(some),
            )
        )
        start = end
    return bins
