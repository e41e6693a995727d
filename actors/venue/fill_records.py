"""The record of one execution."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.models import (
    Bar,
    Fill,
    MarketEvent,
    OrderDirection,
    Otherwise,
)
from backtest.services.fills.walk import CLOSE_ONLY, Hit, OpenPart, Point, Working
from backtest.services.orders.revision import Revision

from .branch import Branch
from .position import Closing
from .venue import Venue

__all__ = ["Execution", "Match", "record_fill", "signed"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT


class Match:
    """One side of a trade with another agent, as its record needs it."""

    __slots__ = ("part", "price", "taker", "volume", "working")

    ambiguous = False
    point: Point = "trade"
    rank = 0

    def __init__(
        self, working: Working, part: OpenPart | None, price: Decimal, volume: Decimal, taker: bool
    ) -> None:
        self.working = working
        self.part = part
        self.price = price
        self.volume = volume
        self.taker = taker


Execution = Hit | Match
"""What a fill is the record of: a hit on historical data, or a match with another order."""


def signed(long: bool, amount: Decimal) -> Decimal:
    """``amount`` of a long; of a short it is negative."""
    return amount if long else amount.copy_negate()


def _outcomes(hit: Hit) -> tuple[Decimal | None, Decimal | None, tuple[Otherwise, ...]]:
    """What the fill itself, and all of its group, comes to on the other path."""
    found = hit.otherwise or {}
    own = found.get(hit.working) or found.get(hit.working.kind) or (None, None)
    return *own, tuple(Otherwise(_kind(key), *both) for key, both in found.items())


def _kind(key: Any) -> str:
    """What a fill of ``key`` is called: a working order's, or an exit's by its kind."""
    if isinstance(key, str):
        return key
    return key.role if type(key) is Closing else "entry"


def _executed(event: MarketEvent, hit: Execution, now: int) -> int | None:
    """When ``hit`` happened, as far as ``event``, which the venue was given ``now``, tells."""
    if type(event) is not Bar or not isinstance(hit, Hit):
        return now
    if event.close_ns != now:
        return None  # the price is that of an earlier bar, met inside one of another pair
    if not hit.rank:
        return event.open_ns
    return now if hit.rank == CLOSE_ONLY and hit.reached == hit.points[CLOSE_ONLY] else None


def record_fill(
    venue: Venue,
    bar: MarketEvent,
    hit: Execution,
    branch: Branch,
    order: Revision,
    kind: str,
    buy: bool,
    volume: Decimal,
    notional: Decimal,
    fee: Decimal,
    closing: Closing | None,
    pnl: Decimal | None,
    cost: Decimal | None = None,
) -> Fill:
    now, client = venue.now, branch.client
    otherwise = _outcomes(hit) if isinstance(hit, Hit) and hit.ambiguous else (None, None, ())
    made = Fill(
        now,
        order.id,
        branch.root_id,
        branch.id,
        client.account_ids[branch.account],
        client.agent.agent_id,
        branch.book.code,
        _LONG if buy else _SHORT,
        kind,
        "spot" if branch.spot else "trading",
        hit.price,
        volume,
        notional,
        fee,
        branch.book.quote,
        not hit.taker,
        hit.ambiguous,
        bar.open_ns,
        hit.point,
        venue.entry_id(),
        None if closing is None else closing.id,
        pnl,
        *otherwise,
        _executed(bar, hit, now),
        cost,
    )
    venue.records.fills.append(made)
    return made
