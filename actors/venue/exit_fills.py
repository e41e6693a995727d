"""How positions end: by a close, a stop-loss, a take-profit or a liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from attrs import evolve

from backtest.actors.protocol import Balances, Changes, EventKind
from backtest.errors import RejectReason
from backtest.models import Bar, Fill, MarketEvent
from backtest.money import ZERO, add, mul, sub
from backtest.services.fills.walk import CLOSE_ONLY, Hit, Walk, flat_bar, point_of, slipped, walk_of
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import close_position
from backtest.services.margin.accounts import CrossAccount
from backtest.services.orders.operations import apportion
from backtest.services.orders.revision import Revision
from backtest.services.settlement.pool import Pool

from .branch import Branch
from .close_plans import CloseTerms, covered, priced, with_more
from .fill_records import Execution, record_fill, signed
from .pair_book import PairBook
from .position import Closing, Lot, Position
from .positions import drop_lot, restate, revalue, tell_walk
from .venue import Venue

__all__ = ["Backing", "ExitFills", "Scene"]

_WORDS = {
    "close": "closed",
    "stop_loss": "stopped out of",
    "take_profit": "took profit on",
    "liquidation": "liquidated",
    "netting": "netted",
}


class Scene(NamedTuple):
    """Where on a bar something is closed, or an account is called."""

    book: PairBook
    bar: MarketEvent
    walk: Walk
    hit: Hit


class Backing(Protocol):
    """What a cross margin account does for its positions."""

    async def raise_money(
        self, account: CrossAccount, needed: Decimal, spare: Position | None, scene: Scene | None
    ) -> None:
        """Find what a close or a charge costs."""

    def is_called(self, account: CrossAccount) -> bool:
        """Whether it does not suffice at the marks."""

    async def call(self, account: CrossAccount, scene: Scene | None) -> None:
        """Close positions until it suffices."""


class ExitFills:
    """Carries out the hits that close positions, wholly or in parts."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.backing: Backing | None = None
        """Where there are cross margin accounts."""

    def is_called(self, position: Position, mark: Decimal) -> bool:
        """Whether a position has to be liquidated at ``mark``, or its cross margin account is
        called at the marks."""
        cross = self._venue.cross.get(position.account)
        if cross is not None and self.backing is not None:
            return self.backing.is_called(cross)
        price = position.liquidation
        if price is None:
            return False
        return mark <= price if position.long else mark >= price

    async def liquidate_if_due(self, book: PairBook, bar: Bar, position: Position) -> None:
        """Liquidate a position at the close of ``bar``, if that is where it has to be; of a cross
        margin account as many as it takes."""
        cross = self._venue.cross.get(position.account)
        if cross is not None and self.backing is not None:
            if self.backing.is_called(cross):
                await self.backing.call(cross, None)
            return
        if self.is_called(position, bar.close):
            closing = position.lots[0].closing("liquidation")
            if closing is not None:
                await self.liquidate(book, bar, closing, bar.close)

    async def liquidate(
        self, book: PairBook, bar: MarketEvent, closing: Closing, mark: Decimal, detail: str = ""
    ) -> None:
        """Close all of a lot at ``mark``, which is where ``bar`` closed; or on the side of a quote
        that it meets."""
        part = closing.lot
        whole, path = bar, book.path
        if not isinstance(whole, Bar):
            whole, path = flat_bar(whole, closing.buy), book.tick_path
            mark = whole.close
        price = slipped(mark, closing.buy, whole, path)
        hit = Hit(
            closing.lot.position.group,
            closing,
            part,
            price,
            part.volume,
            CLOSE_ONLY,
            point_of(bar, closing.buy),
            True,
            False,
            False,
            mark,
            (mark,) * 4,
        )
        await self.close(book, bar, walk_of(bar, (), path), hit, closing, detail)

    async def close(
        self,
        book: PairBook,
        bar: MarketEvent,
        walk: Walk,
        hit: Hit,
        closing: Closing,
        detail: str = "",
    ) -> None:
        """Close a lot, wholly or partly, at the price of ``hit``; ``detail`` says why. What is
        liquidated is the whole position."""
        position = closing.lot.position
        if closing.role == "liquidation":
            position.pool = position.closing(hit.price, position.pool.volume)
            for lot in list(position.lots):
                own = lot.closing("liquidation") if lot is not closing.lot else closing
                if own is not None and lot.opened:
                    at = evolve(hit, working=own, part=lot, volume=lot.volume)
                    await self._close_lot(book, bar, walk, at, own, detail)
            return
        if closing.role != "netting":
            position.pool = position.closing(hit.price, hit.volume)
        await self._close_lot(book, bar, walk, hit, closing, detail)
        if position.lots:
            tell_walk(walk, hit, position)

    async def _close_lot(
        self,
        book: PairBook,
        bar: MarketEvent,
        walk: Walk,
        hit: Hit,
        closing: Closing,
        detail: str,
    ) -> None:
        lot, left = closing.lot, hit.volume
        while left > ZERO and lot.opened:
            order = lot.order
            volume = min(left, order.volume)
            own = hit if volume == hit.volume else evolve(hit, volume=volume)
            await self._close(book, bar, walk, own, closing, order, detail)
            left = sub(left, volume)

    async def _close(
        self,
        book: PairBook,
        bar: MarketEvent,
        walk: Walk,
        hit: Hit,
        closing: Closing,
        order: Revision,
        detail: str,
    ) -> None:
        """Close one of the orders of a lot, wholly or partly."""
        venue, position = self._venue, closing.lot.position
        account, asset, volume = position.account, book.quote, hit.volume
        pool, sums = position.pool, closing.tally.sums
        terms = priced(book, closing, order, volume, hit.price, pool, sums, taker=hit.taker)
        if self.backing is not None and account in venue.cross:
            needed = sub(sub(terms.fee, terms.pnl), terms.margin)
            scene = Scene(book, bar, walk, hit)
            await self.backing.raise_money(venue.cross[account], needed, position, scene)
            # What is still missing is taken from the margin of the rest of a partial close.
            missing = sub(needed, venue.available(account, asset))
            if missing > ZERO:
                terms = with_more(terms, missing)
        terms = covered(venue, terms, venue.available(account, asset))
        uncovered = add(terms.uncovered, terms.fee_uncovered)
        legs = close_position(account, asset, terms.margin, terms.pnl, terms.fee, uncovered)
        why = traded(_WORDS[closing.role], volume, hit.price)
        balances = await venue.post(legs, order.id, why)
        walk.report(hit, volume)
        self.settled(book, bar, hit, terms, balances, detail)

    def settled(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Execution,
        terms: CloseTerms,
        balances: Balances,
        detail: str = "",
    ) -> None:
        """A close is posted, and taken off the lot's part: make and tell what became of it."""
        venue = self._venue
        closing, _, volume, notional, _, pnl, fee, uncovered, fee_uncovered = terms[:9]
        lot = closing.lot
        order = lot.order  # as what was closed just before has left it
        branch, position, asset = lot.branch, lot.position, book.quote
        closing.tally.sums = terms.sums
        if closing.command:
            closing.tally.closed = add(closing.tally.closed, volume)
        size = mul(volume, book.pair.contract_size)
        long = position.long
        venue.valuation.position(book.code, signed(not long, size), signed(not long, terms.cost))
        pool = position.pool
        average = None if pool.price is not None else pool.average(book.pair.contract_size)
        done = order.closed(
            venue.now, volume, hit.price, fee, pnl, closing.role, book.step, average
        )
        rest = None
        if volume != order.volume:
            rest = order.open_still(venue.ids.draw(), venue.next_number(), volume, book.step)
        venue.records.keep(done)
        in_vain = [one for one in lot.exits if one.role == "close" and one is not closing]
        changes = self._go_on(lot, closing, rest, terms.pool)
        record = record_fill(
            venue,
            bar,
            hit,
            branch,
            done,
            closing.role,
            hit.working.buy,
            volume,
            notional,
            fee,
            closing,
            pnl,
            terms.cost,
        )
        self._tell_closed(branch, closing, done, changes, record, balances, detail)
        if in_vain and not lot.opened:
            venue.publisher.tell(
                EventKind.CLOSE_CANCELLED,
                branch,
                done,
                reason=RejectReason.ALREADY_DONE,
                detail="there is nothing left to close",
            )
        venue.publisher.tell_uncovered(branch, done, uncovered, asset, "a loss beyond the margin")
        venue.publisher.tell_uncovered(branch, done, fee_uncovered, asset, "a close fee")

    def _go_on(self, lot: Lot, closing: Closing, rest: Revision | None, pool: Pool) -> Changes:
        """Let the lot live on with its rest, or end it; what changed of the open orders."""
        venue, position, old, first = self._venue, lot.position, lot.order.id, lot.opened[0]
        position.pool = pool
        changes: Changes = ((old, None),)
        if rest is None:
            del lot.opened[0]
        else:
            part, whole = sub(first.order.volume, rest.volume), first.order.volume
            _, margin = apportion(first.margin, part, whole, position.book.step, down=True)
            lot.opened[0] = first._replace(order=rest, margin=margin)
            venue.take_on(rest, lot.branch)
            changes = ((old, None), (rest.id, rest))
        if not lot.opened:
            drop_lot(venue, lot)
        elif closing.volume <= ZERO and closing.role != "netting":
            if closing in lot.exits:
                lot.exits.remove(closing)
        if not position.lots:
            return changes
        revalue(venue, position)
        restated = restate(venue, position)
        if not restated:
            return changes
        known = dict(restated)
        changes = tuple((order_id, known.pop(order_id, one)) for order_id, one in changes)
        return (*changes, *known.items())

    def _tell_closed(
        self,
        branch: Branch,
        closing: Closing,
        done: Revision,
        positions: Changes,
        record: Fill,
        balances: Balances,
        detail: str,
    ) -> None:
        kind = EventKind.LIQUIDATED if closing.role == "liquidation" else EventKind.CLOSED
        self._venue.publisher.tell(
            kind,
            branch,
            done,
            positions=positions,
            fill=record,
            detail=detail or _WORDS[closing.role],
            balances=balances,
            close=closing.command,
        )
