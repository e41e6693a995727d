"""Trades between two agents: priced for both, posted as one entry, told to both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.actors.protocol import Balances
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.fill_plans import rest_is_dust
from backtest.actors.venue.fill_records import Match
from backtest.actors.venue.fill_side import FillSide
from backtest.actors.venue.position import Closing, branch_of
from backtest.actors.venue.settlement import Settlement, unclosed
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.models import MarketTrade, Trade
from backtest.models.trade import Aggressor, trusted_trade
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import Working
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import round_off, sweep
from backtest.services.settlement.amounts import Spot

from .calls import Calls
from .market import MarketBook

__all__ = ["Dealt", "Trades"]


class Dealt(NamedTuple):
    """What came of a match: how much was dealt, and who could not pay for all of it."""

    volume: Decimal
    trade: Trade | None
    short: tuple[Working, ...]


class Trades:
    """Lets two orders trade: whoever meets, both or neither has it in the books."""

    def __init__(
        self,
        venue: Venue,
        cancellation: Cancellation,
        settlement: Settlement,
        calls: Calls,
    ) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._settlement = settlement
        self._calls = calls
        self.tape: list[MarketTrade] = []
        """Every trade, with both sides by name."""
        self.clearing: dict[str, Decimal] = {}
        """What the clearing account holds, by asset."""

    async def trade(
        self,
        book: MarketBook,
        taker: Working,
        maker: Working,
        volume: Decimal,
        price: Decimal,
        *,
        in_auction: bool = False,
    ) -> Dealt:
        """Let ``taker`` and ``maker`` deal ``volume`` at ``price``, or as much as both can pay.

        In an auction neither takes: both are charged as makers.
        """
        venue = self._venue
        wanted = volume
        short: list[Working] = []
        raised: dict[str, None] = {}
        while True:
            one = self._side(book, taker, volume, price, not in_auction)
            other = self._side(book, maker, volume, price, False)
            both = min(one.volume, other.volume)
            if both == volume:
                if venue.cross and await self._raise((one, other), raised):
                    continue  # it has more available now, and less in reserve
                break
            # Only who keeps the other from more is short of it.
            short = [side.working for side in (one, other) if side.volume == both]
            if not both:
                break
            volume = both
        if not both:
            return Dealt(ZERO, None, tuple(short))
        balances = await self._post(one, other, price, both)
        buyer, seller = (one, other) if taker.buy else (other, one)
        now = venue.now
        aggressor: Aggressor | None = "buy" if taker.buy else "sell"
        tick = trusted_trade(book.code, now, price, both, None if in_auction else aggressor)
        self.tape.append(
            MarketTrade(
                now,
                book.code,
                price,
                both,
                tick.aggressor,
                buyer.account,
                seller.account,
                buyer.order_id,
                seller.order_id,
                venue.records.entry,
            )
        )
        for side in (one, other):
            self._settle(side, tick, balances)
        # What follows posts entries of its own, so both sides are on record before.
        for side in (one, other):
            # What has come in may go on, and is looked at when it is to rest.
            await self._follow(side, rests=in_auction or side is other)
        await self._sweep(book)
        return Dealt(both, tick, tuple(short) if both < wanted else ())

    def _side(
        self, book: MarketBook, working: Working, volume: Decimal, price: Decimal, taker: bool
    ) -> FillSide:
        """One side of it, which has none where only profits of other positions could pay for it."""
        side = FillSide(self._venue, book, working, volume, price, taker)
        if side.lacks:
            cross = self._venue.cross[side.account]
            if self._calls.needs_profits(cross, side.lacks, side.closed, side.own):
                side.volume = ZERO
        return side

    async def _raise(self, sides: Sequence[FillSide], raised: dict[str, None]) -> bool:
        """Let the accounts that lack something for what they close find it, each once; whether any
        did."""
        venue, found = self._venue, False
        for side in sides:
            if side.lacks and side.account not in raised:
                raised[side.account] = None
                cross = venue.cross[side.account]
                needed = add(venue.available(side.account, cross.asset), side.lacks)
                await self._calls.raise_money(cross, needed, side.closed, side.own)
                found = True
        return found

    def can_pay(
        self,
        book: MarketBook,
        taker: Working,
        met: Sequence[tuple[Working, Decimal, Decimal]],
    ) -> bool:
        """Whether ``taker`` could pay for all of ``met``, and each of these for its own part.

        The taker is asked for all of it at the last, the worst price, so that it may be refused
        what it could just have paid: a fill-or-kill order must never fill in part.
        """
        venue, asset = self._venue, book.quote
        total = ZERO
        left: dict[str, Decimal] = {}
        """What is available to those who are met, once the ones before have filled: one account can
        have several of them, of which it could pay for each, but not for all."""
        for maker, volume, price in met:
            total = add(total, volume)
            side = FillSide(venue, book, maker, volume, price, False)
            if side.volume < volume or side.lacks:
                return False
            account = side.account
            free = left.get(account)
            if free is None:
                free = venue.available(account, asset)
            for _, legs in side.segments:
                for owner, what, _, change, _ in legs:
                    if owner == account and what == asset:
                        free = add(free, change)
            if free < ZERO and side.branch.spot and not maker.buy:
                free = ZERO  # what a sale cannot pay of its fee does not keep it from happening
            if free < ZERO:
                return False
            left[account] = free
        return all(
            side.volume == total and not side.lacks
            for side in self._whole_sides(book, taker, total, [price for _, _, price in met])
        )

    def _whole_sides(
        self, book: MarketBook, taker: Working, volume: Decimal, prices: Sequence[Decimal]
    ) -> Iterator[FillSide]:
        """All of ``taker`` at the last, the worst of ``prices``: on a cross margin account, what
        whose positions lose at each mark on the way is not there to be spent."""
        venue, mark = self._venue, book.last
        crossed = branch_of(taker).account in venue.cross
        try:
            for book.last in (mark, prices[0], prices[-1]) if crossed else (mark,):
                yield FillSide(venue, book, taker, volume, prices[-1], True)
        finally:
            book.last = mark

    async def _post(
        self, one: FillSide, other: FillSide, price: Decimal, volume: Decimal
    ) -> Balances:
        """Post the legs of both as one entry."""
        legs, first, parts = one.legs()
        more, second, others = other.legs()
        start = len(legs)
        parts += [(start, second), *((start + place, order_id) for place, order_id in others)]
        legs += more
        legs += round_off(one.book.quote, _left_over(one, other))
        why = traded("traded", volume, price)
        balances = await self._venue.post(legs, first, why, tuple(parts))
        for side in (one, other):
            for terms in side.closes:
                asset = side.book.quote
                self.clearing[asset] = sub(self.clearing.get(asset, ZERO), terms.pnl)
        return balances

    def _settle(self, side: FillSide, tick: Trade, balances: Balances) -> None:
        """Make and tell what became of one side's orders and positions."""
        account = side.account
        own = {key: both for key, both in balances.items() if key[0] == account}
        working, branch, taker = side.working, side.branch, side.taker

        def take_off(closing: Closing, volume: Decimal) -> Match:
            lot = closing.lot
            lot.volume = sub(lot.volume, volume)
            return Match(working, lot, side.price, volume, taker)

        if type(working) is Closing:
            working.volume = sub(working.volume, side.volume)
        entry = Match(working, branch.part, side.price, side.opens, taker)
        self._settlement.settle(side, tick, take_off, entry, own)
        if side.own is not None:
            branch.resize(ZERO if branch.order is None else branch.order.volume)

    async def _follow(self, side: FillSide, rests: bool) -> None:
        """What a trade means for other orders of the one whose order it was, and for its rest."""
        branch = side.branch
        if type(side.working) is Closing:
            return
        if branch.oco is not None:
            await self._cancellation.cancel_partners(branch, branch.oco)
        if branch.reduces and (much := unclosed(branch)):
            reason, why = RejectReason.REDUCE_ONLY, "there is no more than that to close"
            await self._cancellation.cancel(branch, much, reason, why)
        if rests and rest_is_dust(branch):
            await self._cancellation.cancel_dust(branch)

    async def _sweep(self, book: MarketBook) -> None:
        """Once nobody holds a position, what rounding left in clearing goes to fees."""
        asset = book.quote
        left = self.clearing.get(asset, ZERO)
        if not left:
            return
        venue = self._venue
        if any(one.positions for one in venue.books.values() if one.quote == asset):
            return
        self.clearing[asset] = ZERO
        await venue.post(sweep(asset, left), None, "rounding of closed positions swept to fees")


def _left_over(one: FillSide, other: FillSide) -> Decimal:
    """What the buyer of the base pays beyond what the seller gets: a step at most, either way."""
    buyer, seller = (one, other) if one.working.buy else (other, one)
    if type(buyer.plan) is Spot and type(seller.plan) is Spot:
        return sub(buyer.plan.amount, seller.plan.amount)
    return ZERO
