"""The stylised facts of what there is: a market of agents, bars of history, quotes of history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain, pairwise

from backtest.analysis.market.bars import interval_bars
from backtest.analysis.market.order_flow import incoming_orders
from backtest.analysis.market.samples import BestQuote, PairRecord
from backtest.analysis.market.spreads import spread_statistics
from backtest.analysis.market.stylised_facts import StylisedFacts, log_returns, measure
from backtest.models import Bar, Quote
from backtest.times import MINUTE

__all__ = ["facts_of_bars", "facts_of_market", "facts_of_quotes"]


def facts_of_market(
    record: PairRecord,
    start_ns: int,
    end_ns: int,
    *,
    interval_ns: int = MINUTE,
    sessions: Sequence[tuple[int, int]] = (),
) -> StylisedFacts:
    """The stylised facts of one pair of a market of agents.

    With ``sessions`` (from when until when there was trading) no return reaches from one into the
    next.

    Returns are those of the mid at the ends of intervals where there are quotes, else of the last
    trade, which bounces between bid and ask and so looks anticorrelated (R. Roll, Journal of
    Finance 39, 1984).
    """
    parts = [
        interval_bars(record.trades, opened, closed, interval_ns, record.quotes)
        for opened, closed in sessions or ((start_ns, end_ns),)
    ]
    quoted = any(bar.mid is not None for bars in parts for bar in bars)
    returns: list[float] = []
    volumes: list[float] = []
    for before, after in chain.from_iterable(map(pairwise, parts)):
        prices = (before.mid, after.mid) if quoted else (before.close, after.close)
        if prices[0] is not None and prices[1] is not None:
            returns += log_returns([float(prices[0]), float(prices[1])])
            volumes.append(float(after.volume))
    return measure(
        returns=returns,
        interval_ns=interval_ns,
        price="mid" if quoted else "trade",
        volumes=volumes,
        orders=incoming_orders(record.trades, record.quotes),
        spread=spread_statistics(record.quotes, end_ns, record.price_increment),
    )


def facts_of_bars(bars: Iterable[Bar]) -> StylisedFacts:
    """The stylised facts of recorded bars, of their closes: what a simulation is compared with.

    A return is taken only where one bar follows the other without a gap. What needs orders or
    quotes is not measured.

    >>> from backtest.data import synthetic_bars
    >>> facts = facts_of_bars(synthetic_bars("BTCUSD", 300, seed=7))
    >>> facts["impact_exponent"].verdict.value
    'not measured'
    """
    series = list(bars)
    lengths = sorted(bar.nominal_length for bar in series)
    length = lengths[len(lengths) // 2] if lengths else MINUTE
    returns: list[float] = []
    volumes: list[Decimal | None] = []
    for before, after in pairwise(series):
        if after.open_ns == before.close_ns:
            returns += log_returns([float(before.close), float(after.close)])
            volumes.append(after.volume)
    known = [float(volume) for volume in volumes if volume is not None]
    return measure(
        returns=returns,
        interval_ns=length,
        price="close",
        volumes=known if len(known) == len(returns) else None,
    )


def facts_of_quotes(
    quotes: Iterable[Quote], *, interval_ns: int = MINUTE, tick: Decimal | None = None
) -> StylisedFacts:
    """The stylised facts of recorded quotes, of their mids at the ends of intervals.

    Intervals begin with the first quote; a mid holds until the next. What needs orders is not
    measured.
    """
    best = [BestQuote(quote.time_ns, quote.bid, quote.ask) for quote in quotes]
    if not best:
        return measure(returns=(), interval_ns=interval_ns, price="mid")
    start_ns, end_ns = best[0].time_ns, best[-1].time_ns
    mids = [bar.mid for bar in interval_bars((), start_ns, end_ns, interval_ns, best)]
    return measure(
        returns=log_returns([None if mid is None else float(mid) for mid in mids]),
        interval_ns=interval_ns,
        price="mid",
        spread=spread_statistics(best, end_ns, tick),
    )
