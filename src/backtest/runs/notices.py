"""What a reader of a run's figures should know beside them, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from backtest.actors import StrategyHost
from backtest.actors.host.interface import Unseen
from backtest.actors.protocol import Kind
from backtest.data import parts_of
from backtest.models import FeeStage, Fill, SpotOrder, TradingOrder, TradingRules
from backtest.money import ONE, ZERO, plain
from backtest.runs.sources import Source
from backtest.times import format_span

__all__ = [
    "kinds_of",
    "notices_in_vain",
    "notices_of_data",
    "notices_of_trading",
    "notices_of_unseen",
]


def notices_of_data(sources: Mapping[str, Source]) -> list[str]:
    """What of the market data was mended or left out as it was read."""
    parts = [part for source in sources.values() for part in parts_of(source)]
    return [one for part in parts for one in getattr(part, "notices", ())]


def notices_of_trading(
    rules: Mapping[str, TradingRules],
    orders: Sequence[SpotOrder | TradingOrder],
    fills: list[Fill],
) -> list[str]:
    """What the rules left out that trading at real venues would have felt."""
    return [*_free_closes(rules, fills), *_unwatched_leverage(rules, orders)]


def notices_of_unseen(hosts: Iterable[StrategyHost]) -> list[str]:
    """What strategies were sent and have never looked at, or late, for they waited elsewhere."""
    return [
        f"strategy {host.name.removeprefix('strategy/')!r} {_missed(one)}; it waited at {one.line}"
        for host in hosts
        for one in host.unseen
    ]


def notices_in_vain(
    hosts: Iterable[StrategyHost], kinds: Mapping[str, Collection[Kind]]
) -> list[str]:
    """What strategies waited for, or did, that could come to nothing. ``kinds`` are those of the
    market data, by pair."""
    return [
        f"strategy {host.name.removeprefix('strategy/')!r} {told}"
        for host in hosts
        for told in host.in_vain(kinds)
    ]


def kinds_of(sources: Mapping[str, Source]) -> dict[str, list[Kind]]:
    """The kinds of market data that there are, by pair."""
    return {
        code: list(dict.fromkeys(getattr(part, "kind", "bars") for part in parts_of(source)))
        for code, source in sources.items()
    }


def _missed(unseen: Unseen) -> str:
    late = (
        f"saw {unseen.late:,} late, when newer ones had come, by up to {format_span(unseen.behind)}"
    )
    if not unseen.events:
        return f"{late}, of the market events that it was sent"
    never = f"never saw {unseen.events:,} of the market events that it was sent"
    return f"{never}, and {late}" if unseen.late else never


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
    rules: Mapping[str, TradingRules], orders: Sequence[SpotOrder | TradingOrder]
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
