"""Bugs to be planted in the exchange: in the book, in matching, in the settlement of two sides."""

from __future__ import annotations

from typing import Any

from backtest.actors.exchange.calls import Calls
from backtest.actors.exchange.matching import Matching
from backtest.actors.exchange.placement import Placement
from backtest.actors.exchange.trades import Trades
from backtest.actors.venue.fill_side import FillSide
from backtest.actors.venue.financing import Financing
from backtest.models import TransactionType
from backtest.money import add
from backtest.services.book.book import OrderBook, Resting
from backtest.services.ledger.entries import CLEARING, MARKET

__all__ = ["EXCHANGE_PLANTS"]


def _everybody_takes(real: Any) -> Any:
    def init(self: Any, *args: Any, **named: Any) -> None:
        real(self, *args[:-1], True, **named) if not named else real(self, *args, **named)

    return init


def _one_side(real: Any) -> Any:
    """The maker's legs are not posted."""

    def post(self: Any, one: Any, other: Any, *args: Any, **named: Any) -> Any:
        other.segments[:] = [(order_id, []) for order_id, _ in other.segments]
        return real(self, one, other, *args, **named)

    return post


def _against_the_market(real: Any) -> Any:
    """PnL is settled with the market, as on historical data."""

    def post(self: Any, one: Any, other: Any, *args: Any, **named: Any) -> Any:
        for side in (one, other):
            side.segments[:] = [
                (order_id, [(MARKET, *leg[1:]) if leg[0] == CLEARING else leg for leg in legs])
                for order_id, legs in side.segments
            ]
        return real(self, one, other, *args, **named)

    return post


def _pnl_lost(real: Any) -> Any:
    """Who rested gets no PnL, and clearing has nothing of it."""

    def post(self: Any, one: Any, other: Any, *args: Any, **named: Any) -> Any:
        other.segments[:] = [
            (order_id, [leg for leg in legs if leg[2] is not TransactionType.CLOSE_PNL])
            for order_id, legs in other.segments
        ]
        return real(self, one, other, *args, **named)

    return post


def _a_tick_off(real: Any) -> Any:
    """Trades are made a tick above the price of who rested."""

    def trade(
        self: Any, book: Any, taker: Any, maker: Any, volume: Any, price: Any, **n: Any
    ) -> Any:
        return real(self, book, taker, maker, volume, add(price, book.pair.price_increment), **n)

    return trade


def _last_first(real: Any) -> Any:
    """An order goes to the front of its level."""

    def put(self: OrderBook, resting: Resting) -> None:
        level = self.level(resting.buy, resting.price)
        if level is None or level.head is None or resting.is_market:
            real(self, resting)
        else:
            self.add_before(resting, level.head)

    return put


def _worse_first(real: Any) -> Any:
    """The second-best price is met before the best."""

    def front(self: OrderBook, buy: bool) -> Resting | None:
        levels = list(self.levels(buy))[:2]
        return levels[-1].head if levels else None

    return front


def _nobodys(real: Any) -> Any:
    """No two orders are one owner's."""
    count = 0

    def owner(self: Placement, account: str) -> int:
        nonlocal count
        count += 1
        return count

    return owner


def _no_call(real: Any) -> Any:
    """A liquidation whose price is reached does not come to the book."""

    def fire(self: Placement, book: Any, price: Any) -> None:
        before = len(self.coming)
        real(self, book, price)
        kept = [one for one in list(self.coming)[before:] if one.kind != "liquidation"]
        while len(self.coming) > before:
            self.coming.pop()
        self.coming.extend(kept)

    return fire


def _uncalled(real: Any) -> Any:
    """Nobody looks at accounts with cross margin."""

    def look(self: Calls) -> None:
        self.touched.clear()

    return look


def _level_off(real: Any) -> Any:
    """A level forgets what was taken of it in part."""

    def take(self: OrderBook, resting: Resting, volume: int) -> None:
        level = resting.level
        real(self, resting, volume)
        if resting.volume and level is not None:
            level.volume += volume

    return take


def _ghosts(real: Any) -> Any:
    """What is cancelled stays in the book."""

    def withdraw(self: Placement, book: Any, working: Any) -> None:
        if type(working.place) is not Resting:
            real(self, book, working)

    return withdraw


def _rests_crossed(real: Any) -> Any:
    """What comes in rests at once, whatever it would meet."""

    async def meet(self: Matching, book: Any, working: Any, limit: int | None) -> bool:
        if limit is None:
            return bool(await real(self, book, working, limit))
        book.orders.begin_auction()
        return True

    return meet


def _untold_level(real: Any) -> Any:
    """Of an update of several levels the last is not told."""

    def changes(self: OrderBook) -> Any:
        update = real(self)
        if update is not None and len(update.changes) > 1:
            update = update._replace(changes=update.changes[:-1])
        return update

    return changes


def _funded_by_the_market(real: Any) -> Any:
    async def charge(self: Financing, *args: Any) -> None:
        self._between_agents = False
        await real(self, *args)

    return charge


EXCHANGE_PLANTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("all-take", "who rested pays the taker's fee", FillSide, "__init__", _everybody_takes),
    ("one-side", "the legs of who rested are not posted", Trades, "_post", _one_side),
    ("market-pays", "PnL is settled with the market", Trades, "_post", _against_the_market),
    ("pnl-lost", "who rested gets no PnL", Trades, "_post", _pnl_lost),
    ("tick-off", "trades are a tick above who rested", Trades, "trade", _a_tick_off),
    ("last-first", "who comes last stands first", OrderBook, "add", _last_first),
    ("second-best", "the second-best price is met first", OrderBook, "front", _worse_first),
    ("self-trade", "agents trade with themselves", Placement, "owner_of", _nobodys),
    ("no-call", "liquidations do not come to the book", Placement, "fire", _no_call),
    ("uncalled", "cross margin accounts are not called", Calls, "look", _uncalled),
    ("level-off", "a level forgets what was taken", OrderBook, "take", _level_off),
    ("ghosts", "what is cancelled stays in the book", Placement, "_withdraw", _ghosts),
    ("crossed", "what comes in rests, and crosses", Matching, "_meet", _rests_crossed),
    ("untold-level", "a level of an update is not told", OrderBook, "changes", _untold_level),
    ("market-funds", "the market pays the funding", Financing, "_charge", _funded_by_the_market),
)
"""Name, what it does, where, which method, and the change."""
