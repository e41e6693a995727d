"""A market's result as what `backtest.analysis.market` looks at: pairs, quotes, depth, accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from backtest.actors.exchange.publication import DepthRecord
from backtest.analysis.market.accounts import account_results, charges_of, liquidations_of
from backtest.analysis.market.figure_style import interval_for
from backtest.analysis.market.samples import BestQuote, DepthSample, MarketRecord, PairRecord
from backtest.markets.instrument import Instrument
from backtest.models import MarketTrade, TradingPair
from backtest.money import mul
from backtest.times import DAY, MINUTE

if TYPE_CHECKING:
    from backtest.markets.result import MarketResult

__all__ = ["depth_interval", "record_of"]


def depth_interval(start_ns: int, end_ns: int) -> int:
    """How often the book is looked at in a market of that span: each minute of a trading day."""
    return interval_for(end_ns - start_ns)


def record_of(result: MarketResult) -> MarketRecord:
    """Everything that happened in it, for tables and pictures; nothing is run again."""
    scenario = result.scenario
    trades: dict[str, list[MarketTrade]] = {code: [] for code in result.pairs}
    for trade in result.trades:
        trades[trade.pair].append(trade)
    charges, taken = charges_of(result), liquidations_of(result)
    start, end = scenario.start_ns, result.run.end_ns or scenario.until_ns
    pairs = {
        one.code: PairRecord(
            pair=one.code,
            trades=trades[one.code],
            quotes=[
                BestQuote(quote.time_ns, quote.bid, quote.ask, quote.bid_size, quote.ask_size)
                for quote in result.quotes[one.code]
            ],
            depth=[_depth(one.pair, sample) for sample in result.depths[one.code]],
            fundamental=list(_fundamental(result, one, start, end)),
            liquidations=taken[one.code],
            halts=result.halts[one.code],
            charges=charges[one.code],
            reference_price=one.reference_price,
            quote_asset=one.pair.quote.code,
            contract_size=one.pair.contract_size,
            price_increment=one.pair.price_increment,
        )
        for one in scenario.pairs
    }
    return MarketRecord(
        start_ns=start,
        end_ns=end,
        pairs=pairs,
        types=dict(result.populations),
        results=account_results(result),
        cash_asset=result.cash_asset,
        sessions=_sessions(scenario.pairs, start, end),
        title=scenario.name,
        notes={
            "seed": str(scenario.seed),
            "messages": f"{result.messages:,}",
            "journal": result.receipt["journal_sha256"],
        },
    )


def _depth(pair: TradingPair, sample: DepthRecord) -> DepthSample:
    tick, lot = pair.price_increment, pair.volume_increment
    bids, asks = (
        [(mul(Decimal(price), tick), mul(Decimal(volume), lot)) for price, volume, _ in side]
        for side in (sample.bids, sample.asks)
    )
    return DepthSample(sample.time_ns, bids, asks)


def _fundamental(
    result: MarketResult, one: Instrument, start: int, end: int
) -> Iterator[tuple[int, Decimal]]:
    """What it was worth, as often as a picture can show."""
    worth = result.fundamentals[one.code]
    if worth is not None:
        step = interval_for(end - start)
        for time in range(start, end + 1, step):
            yield time, worth.price(time, one.pair)


def _sessions(pairs: Sequence[Instrument], start: int, end: int) -> list[tuple[int, int]]:
    """When any pair was open or in an auction, where all keep hours and days lie between."""
    hours = [one.hours for one in pairs]
    if end - start <= DAY or any(one is None for one in hours):
        return []
    found: list[tuple[int, int]] = []
    for midnight in range(start - start % DAY, end, DAY):
        opens = min(
            one.opens if one.opening_auction is None else one.opening_auction
            for one in hours
            if one is not None
        )
        closes = max(one.closes for one in hours if one is not None)
        first, last = max(start, midnight + opens), min(end, midnight + closes)
        if last - first >= MINUTE:
            found.append((first, last))
    return found
