"""What a reader of a run's figures should know beside them, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from backtest.actors import StrategyHost
from backtest.data import parts_of
from backtest.inputs import Source
from backtest.models import FeeStage, Fill, SpotOrder, TradingOrder, TradingRules
from backtest.money import ONE, ZERO, plain

__all__ = ["notices_of_data", "notices_of_trading", "notices_of_unseen"]


def notices_of_data(sources: Mapping[str, Source]) -> list[str]:
    """What of the market data was mended or left out as it was read."""
    parts = [part for source in sources.values() for part in parts_of(source)]
    return [one for part in parts for one in getattr(part, "notices", ())]


def notices_of_trading(
    rules: Mapping[str, TradingRules],
    orders: list[SpotOrder | TradingOrder],
    fills: list[Fill],
) -> list[str]:
    """What the rules left out that trading at real venues would have felt."""
    return [*_free_closes(rules, fills), *_unwatched_leverage(rules, orders)]


def notices_of_unseen(hosts: Iterable[StrategyHost]) -> list[str]:
    """What strategies were sent and have never looked at, for they waited elsewhere."""
    return [
        f"strategy {host.name.removeprefix('strategy/')!r} never saw {one.events:,} of the market "
        f"events that it was sent; it waited at {one.line}"
        for host in hosts
        for one in host.unseen
    ]


def _free_closes(rules: Mapping[str, TradingRules], fills: list[Fill]) -> Iterator[str]:
    """Where opening a position cost something and closing it did not."""
    for code, one in rules.items():
        if not one.fees_at(FeeStage.FILL) or one.fees_at(FeeStage.CLOSE):
            continue
        closes = sum(fill.pair == code and fill.closing_order_id is not None for fill in fills)
        if closes:
            yield (
                f"closing positions of {code} was free ({closes:,} of them): fees.fill is charged "
                "for opening alone, commission for both"
            )


def _unwatched_leverage(
    rules: Mapping[str, TradingRules], orders: list[SpotOrder | TradingOrder]
) -> Iterator[str]:
    """Where positions had leverage and no maintenance rate."""
    most: dict[str, Decimal] = {}
    for order in orders:
        if isinstance(order, TradingOrder) and order.leverage > ONE and order.fill_price:
            code = order.trading_pair_code
            most[code] = max(most.get(code, ZERO), order.leverage)
    for code, leverage in most.items():
        if not rules[code].maintenance_rate and not rules[code].maintenance_tiers:
            yield (
                f"positions of {code} had leverage up to {plain(leverage)} and maintenance_rate 0: "
                "they are liquidated only when all of their margin is lost, later than at any "
                "exchange; give maintenance_rate in the rules"
            )
