"""How positions end: by a close, a stop-loss, a take-profit or a liquidation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from backtest.actors.protocol import Balances, EventKind
from backtest.errors import RejectReason
from backtest.models import Bar, Fill, MarketEvent, TradingOrder
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import CLOSE_ONLY, Hit, Walk, flat_bar, point_of, slipped, walk_of
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import close_position
from backtest.services.margin.accounts import CrossAccount
from backtest.services.orders.operations import apportion, close
from backtest.services.settlement.amounts import Gains, Sums, close_fee, closed

from .branch import Branch, Closing, Holding
from .fill_records import Execution, record_fill, signed_size
from .pair_book import PairBook
from .positions import drop_holding, set_margin
from .venue import Venue

__all__ = ["Backing", "CloseTerms", "ExitFills", "Scene"]

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


class CloseTerms(NamedTuple):
    """What a close of a position comes to, once it is priced."""

    closing: Closing
    volume: Decimal
    notional: Decimal
    margin: Decimal
    """What of the position's margin comes back."""
    pnl: Decimal
    fee: Decimal
    uncovered: Decimal
    """What of the loss the insurance account bears."""
    fee_uncovered: Decimal
    """What of the fee it bears."""
    sums: Sums
    """Those of the order that closes, after it."""
    gains: Gains
    """What the closes of the position come to with it."""


class Backing(Protocol):
    """What a cross margin account does for its positions."""

    async def raise_money(
        self, account: CrossAccount, needed: Decimal, spare: Holding | None, scene: Scene | None
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

    def is_called(self, holding: Holding, mark: Decimal) -> bool:
        """Whether a position has to be liquidated at ``mark``, or its cross margin account is
        called at the marks."""
        cross = self._venue.cross.get(holding.branch.account)
        if cross is not None and self.backing is not None:
            return self.backing.is_called(cross)
        closing = holding.closing("liquidation")
        if closing is None or closing.working.price is None:
            return False
        price = closing.working.price
        return mark <= price if holding.part.long else mark >= price

    async def test(self, book: PairBook, bar: Bar, holding: Holding) -> None:
        """Liquidate a position at the close of ``bar``, if that is where it has to be; of a cross
        margin account as many as it takes."""
        cross = self._venue.cross.get(holding.branch.account)
        if cross is not None and self.backing is not None:
            if self.backing.is_called(cross):
                await self.backing.call(cross, None)
            return
        closing = holding.closing("liquidation")
        if closing is not None and self.is_called(holding, bar.close):
            await self.liquidate(book, bar, closing, bar.close)

    async def liquidate(
        self, book: PairBook, bar: MarketEvent, closing: Closing, mark: Decimal, detail: str = ""
    ) -> None:
        """Close all of a position at ``mark``, which is where ``bar`` closed; or on the side of a
        quote that it meets."""
        working, part = closing.working, closing.holding.part
        whole, path = bar, book.path
        if not isinstance(whole, Bar):
            whole, path = flat_bar(whole, working.buy), book.tick_path
            mark = whole.close
        price = slipped(mark, working.buy, whole, path)
        hit = Hit(
            closing.holding.group,
            working,
            part,
            price,
            part.volume,
            CLOSE_ONLY,
            point_of(bar, working.buy),
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
        """Close a position, wholly or partly, at the price of ``hit``; ``detail`` says why."""
        venue = self._venue
        holding = closing.holding
        branch, part, order = holding.branch, holding.part, holding.order
        asset, volume = book.quote, hit.volume
        terms = self.priced(book, closing, hit.price, volume, taker=hit.taker)
        margin, pnl, fee = terms.margin, terms.pnl, terms.fee
        if self.backing is not None and branch.account in venue.cross:
            needed = sub(sub(fee, pnl), margin)
            scene = Scene(book, bar, walk, hit)
            await self.backing.raise_money(venue.cross[branch.account], needed, holding, scene)
            # What is still missing is taken from the margin of the rest of a partial close.
            missing = sub(needed, venue.available(branch.account, asset))
            if missing > ZERO:
                margin = add(margin, min(missing, sub(part.margin, margin)))
        free = venue.available(branch.account, asset)
        terms = self.covered(terms._replace(margin=margin), free)
        uncovered = add(terms.uncovered, terms.fee_uncovered)
        legs = close_position(branch.account, asset, margin, pnl, fee, uncovered)
        why = traded(_WORDS[closing.kind], volume, hit.price)
        balances = await venue.post(legs, order.id, why)
        walk.report(hit, volume)
        self.settled(book, bar, hit, terms, balances, detail)

    def priced(
        self,
        book: PairBook,
        closing: Closing,
        price: Decimal,
        volume: Decimal,
        *,
        taker: bool,
        sums: Sums | None = None,
    ) -> CloseTerms:
        """What closing ``volume`` at ``price`` comes to, before anybody asks who can bear it;
        ``sums`` are those of the order that closes, where it closes others before."""
        holding, pair = closing.holding, book.pair
        part = holding.part
        margin, _ = apportion(part.margin, volume, part.volume, book.step, down=True)
        pnl, gains = closed(
            holding.gains,
            1 if part.long else -1,
            part.entry_price,
            price,
            volume,
            pair.contract_size,
            book.step,
        )
        if sums is None:
            sums = closing.tally.sums
        worth = pair.worth(volume, price)
        fee, after = close_fee(sums, volume, worth, margin, not taker, book.fees)
        notional = pair.notional(volume, price)
        return CloseTerms(closing, volume, notional, margin, pnl, fee, ZERO, ZERO, after, gains)

    def covered(self, terms: CloseTerms, free: Decimal) -> CloseTerms:
        """``terms`` with what of the loss and what of the fee the account does not bear, which has
        ``free`` available.

        An isolated position never loses more than its margin. A fee is taken from what is
        available; a liquidation's only from what remains of the margin. A cross margin account
        bears all that it can pay.
        """
        closing, fee = terms.closing, terms.fee
        left = add(terms.margin, terms.pnl)
        if closing.holding.branch.account in self._venue.cross:
            left = add(left, free)
            loss = max(ZERO, left.copy_negate())
            left = max(ZERO, left)
        else:
            loss = max(ZERO, left.copy_negate())
            left = max(ZERO, left)
            if closing.kind != "liquidation":
                left = add(left, free)
        return terms._replace(uncovered=loss, fee_uncovered=max(ZERO, sub(fee, left)))

    def settled(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Execution,
        terms: CloseTerms,
        balances: Balances,
        detail: str = "",
    ) -> None:
        """A close is posted, and taken off the position's part: make and tell what became of it."""
        venue = self._venue
        closing, volume, notional, margin, pnl, fee, uncovered, fee_uncovered = terms[:8]
        holding = closing.holding
        branch, part, order, asset = holding.branch, holding.part, holding.order, book.quote
        closing.tally.sums, holding.gains = terms.sums, terms.gains
        if closing.command:
            closing.tally.closed = add(closing.tally.closed, volume)
        size = signed_size(book, holding.part.long, volume)
        venue.valuation.position(book.code, size.copy_negate(), part.entry_price)
        done, rest = close(
            order,
            at=venue.at,
            price=hit.price,
            volume=volume,
            fee=fee,
            pnl=pnl,
            closing_reason=closing.kind,
            rest_id=None if volume == order.volume else venue.ids.draw(),
            step=book.step,
        )
        venue.records.keep(done)
        in_vain = [one for one in holding.closings if one.kind == "close" and one is not closing]
        positions = self._go_on(holding, closing, rest, sub(part.margin, margin))
        record = record_fill(
            venue,
            bar,
            hit,
            branch,
            done,
            closing.kind,
            hit.working.buy,
            volume,
            notional,
            fee,
            closing,
            pnl,
        )
        self._tell_closed(branch, closing, done, positions, record, balances, detail)
        if rest is None and in_vain:
            venue.publisher.tell(
                EventKind.CLOSE_CANCELLED,
                branch,
                done,
                reason=RejectReason.ALREADY_DONE,
                detail="there is nothing left to close",
            )
        venue.publisher.tell_uncovered(branch, done, uncovered, asset, "a loss beyond the margin")
        venue.publisher.tell_uncovered(branch, done, fee_uncovered, asset, "a close fee")

    def worth(
        self, book: PairBook, holding: Holding, price: Decimal, maker: bool, sums: Sums
    ) -> tuple[Decimal, Sums]:
        """What closing all of a position at ``price`` would make available to an order of the other
        side, and the sums of that order then."""
        volume = holding.part.volume
        closing = Closing(holding.branch.id, "netting", holding)
        terms = self.priced(book, closing, price, volume, taker=not maker, sums=sums)
        return sub(max(ZERO, add(terms.margin, terms.pnl)), terms.fee), terms.sums

    def _go_on(
        self,
        holding: Holding,
        closing: Closing,
        rest: TradingOrder | None,
        margin: Decimal,
    ) -> tuple[tuple[Any, TradingOrder | None], ...]:
        """Let the position live on with its rest, or end it; what changed of the positions."""
        venue, branch, old = self._venue, holding.branch, holding.order.id
        if rest is None:
            drop_holding(venue, holding)
            return ((old, None),)
        rest.__dict__["margin_reserved"] = margin  # a copy that is ours alone still
        holding.order = rest
        venue.take_on(rest, branch)
        set_margin(venue, holding, margin)
        if closing.working.volume <= ZERO and closing.kind != "netting":
            holding.take(closing)
        return ((old, None), (rest.id, rest))

    def _tell_closed(
        self,
        branch: Branch,
        closing: Closing,
        done: TradingOrder,
        positions: tuple[tuple[Any, TradingOrder | None], ...],
        record: Fill,
        balances: Balances,
        detail: str,
    ) -> None:
        kind = EventKind.LIQUIDATED if closing.kind == "liquidation" else EventKind.CLOSED
        self._venue.publisher.tell(
            kind,
            branch,
            done,
            positions=positions,
            fill=record,
            detail=detail or _WORDS[closing.kind],
            balances=balances,
            close=closing.command,
        )
