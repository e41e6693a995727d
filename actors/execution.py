"""A market event at the venue: advance, mark, trigger, match, settle (semantics, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from backtest.errors import RejectReason
from backtest.models import Bar, Fill, OrderDirection, SpotOrder, TradingOrder
from backtest.models._fast import derive
from backtest.money import ZERO, add, div, mul, sub, to_step
from backtest.services.bar_path import CLOSE_ONLY
from backtest.services.fills import (
    BarWalk,
    Hit,
    Working,
    eligibility,
    pool,
    protection_passed,
    slipped,
)
from backtest.services.ledger import entry_uuid
from backtest.services.margin import realised_pnl
from backtest.services.order_operations import apportion, close, fill
from backtest.services.transaction_manager import (
    Leg,
    charge,
    close_position,
    fill_spot_buy,
    fill_spot_sell,
    fill_trading,
)
from backtest.times import DAY

from .amendment import Amendment
from .book import Branch, Closing, Holding, PairBook
from .protocol import Balances, EventKind
from .venue import Venue

__all__ = ["Execution"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT


class _Affordable(NamedTuple):
    """What of a fill can be paid for."""

    volume: Decimal
    kept: Decimal
    """What stays in reserve for the order's leaves."""
    whole: bool
    """Whether all of it can; otherwise the rest of the order is to be cancelled."""


class Execution:
    """Walks bars, carries out what they allow, and charges what falls due."""

    def __init__(self, venue: Venue, amendment: Amendment) -> None:
        self._venue = venue
        self._amendment = amendment

    # -- advance -----------------------------------------------------------------------------------

    def is_due(self, book: PairBook, bar: Bar) -> bool:
        """Whether an overnight charge falls due by the end of ``bar``."""
        if book.next_rollover is None:
            # The first bar of the pair: the first rollover is the first one after its open.
            time_of_day = book.rules.rollover_ns
            days = (bar.open_ns - time_of_day) // DAY + 1
            book.next_rollover = days * DAY + time_of_day
        return book.next_rollover < bar.close_ns

    async def charge_until(self, book: PairBook, end: int) -> None:
        """Charge every rollover at or before ``end``, at the mark the venue has now."""
        while book.next_rollover is not None and book.next_rollover <= end:
            book.next_rollover += DAY
            if book.last is None:
                continue
            for holding in list(book.holdings):
                await self._charge_holding(book, holding, book.last)
            for branch in list(book.branches.values()):
                await self._charge_pending(book, branch, book.last)

    async def _charge_holding(self, book: PairBook, holding: Holding, mark: Decimal) -> None:
        venue, part, branch = self._venue, holding.part, holding.branch
        notional = book.pair.notional(part.volume, mark)
        amount = venue.fee(
            book,
            book.fees_filled,
            volume=part.volume,
            notional=notional,
            margin=part.margin,
        )
        if not amount:
            return
        asset = book.quote
        free = venue.available(branch.account, asset)
        from_margin = min(max(ZERO, sub(amount, free)), part.margin)
        uncovered = max(ZERO, sub(sub(amount, free), from_margin))
        legs = charge(branch.account, asset, amount, from_margin=from_margin, uncovered=uncovered)
        balances = await venue.post(legs, holding.order.id, "overnight charge")
        order = holding.order.create_with_overnight_fees(amount)
        if from_margin:
            order = derive(order, margin_reserved=sub(order.margin_reserved, from_margin))
            self._set_margin(holding, order.margin_reserved)
        self._renew(holding, order)
        venue.tell(
            EventKind.CHARGED,
            branch,
            order,
            positions=((order.id, order),),
            detail=f"overnight {amount} {asset} at {mark}",
            balances=balances,
        )
        self._report_uncovered(branch, order, uncovered, asset, "an overnight charge")

    async def _charge_pending(self, book: PairBook, branch: Branch, mark: Decimal) -> None:
        venue, order = self._venue, branch.order
        if order is None:
            return
        notional = book.pair.notional(order.volume, mark)
        amount = venue.fee(
            book,
            book.fees_pending,
            volume=order.volume,
            notional=notional,
            margin=ZERO if branch.spot else order.reserved,
        )
        if not amount:
            return
        asset = book.quote
        uncovered = max(ZERO, sub(amount, venue.available(branch.account, asset)))
        legs = charge(branch.account, asset, amount, uncovered=uncovered)
        balances = await venue.post(legs, order.id, "overnight charge on a pending order")
        if isinstance(order, TradingOrder):
            branch.order = order = order.create_with_overnight_fees(amount)
            venue.records.keep(order)
        venue.tell(
            EventKind.CHARGED,
            branch,
            order,
            detail=f"overnight {amount} {asset} at {mark}",
            balances=balances,
        )
        self._report_uncovered(branch, order, uncovered, asset, "an overnight charge")

    def _report_uncovered(
        self,
        branch: Branch,
        order: SpotOrder | TradingOrder,
        uncovered: Decimal,
        asset: str,
        what: str,
    ) -> None:
        if uncovered:
            self._venue.tell(
                EventKind.BANKRUPTCY,
                branch,
                order,
                detail=f"{uncovered} {asset} of {what} borne by the insurance account",
            )

    def _renew(self, holding: Holding, order: TradingOrder) -> None:
        """The position goes on under the same id in a new state."""
        holding.order = order
        self._venue.records.keep(order)

    def _set_margin(self, holding: Holding, margin: Decimal) -> None:
        """A position's margin changed, and with it the price at which it is liquidated."""
        venue, part, book = self._venue, holding.part, holding.branch.book
        part.margin = margin
        closing = holding.closing("liquidation")
        price = venue.liquidation(book, part.long, part.entry_price, part.volume, margin)
        if closing is not None:
            if price is None:
                holding.take(closing)
            else:
                closing.working.price = price
        elif price is not None:
            closing = Closing(venue.ids.draw(), "liquidation", holding)
            working = Working(closing, "liquidation", not part.long, price, part.volume)
            holding.put(closing, working)

    # -- trigger and match -------------------------------------------------------------------------

    def walk(self, book: PairBook, bar: Bar) -> tuple[BarWalk, Hit | None]:
        """The walk of the pair's groups along ``bar``, and its first hit."""
        if book.waiting:
            book.waiting = self._open_to(book, bar)
        volume = pool(bar.volume, book.rules.participation, book.pair.volume_increment)
        walk = BarWalk(bar, book.all_groups(), book.path, (volume, volume))
        return walk, walk.next()

    def _open_to(self, book: PairBook, bar: Bar) -> list[tuple[int, Working]]:
        """Say of each new order from where on ``bar`` counts for it; those that still wait."""
        waiting = []
        fill_on = book.rules.fill_on
        for item in book.waiting:
            accepted, working = item
            kind = "market" if working.triggered else working.kind
            working.start = eligibility(kind, accepted, True, bar, fill_on)
            if working.start:
                waiting.append(item)
        return waiting

    async def match(self, book: PairBook, bar: Bar, walk: BarWalk, hit: Hit | None) -> None:
        """Carry out every hit of the walk."""
        while hit is not None:
            await self._execute(book, bar, walk, hit)
            hit = walk.next()
        for working in walk.triggered:
            self._tell_triggered(working)
        book.left = walk.pools

    def _tell_triggered(self, working: Working) -> None:
        """Say of a stop that it was reached, if there is something left for it to fill."""
        key = working.key
        if type(key) is Branch:
            branch, order = key, key.order if key.working is working else None
            left = working.volume
        else:
            branch = key.holding.branch
            order = key.holding.order if key in key.holding.closings else None
            left = key.holding.part.volume
        if order is not None:
            self._venue.tell(
                EventKind.TRIGGERED,
                branch,
                order,
                detail=f"{working.kind} at {working.price} was reached; {left} is left to fill",
            )

    async def match_close(self, branch: Branch) -> None:
        """Fill a market order at the close that has just been (``fill_on="this_close"``)."""
        book = branch.book
        bar = book.bar
        if bar is None or branch.order is None or bar.close_ns != self._venue.now:
            return
        await self._at_close(book, bar, branch.group, branch.working, None)

    async def match_closing(self, closing: Closing) -> None:
        """The same for a market order that closes a position."""
        book = closing.holding.branch.book
        bar = book.bar
        if bar is None or bar.close_ns != self._venue.now or closing not in closing.holding.closings:
            return
        await self._at_close(book, bar, closing.holding.group, closing.working, closing.holding)

    async def _at_close(
        self, book: PairBook, bar: Bar, group: Any, working: Working, holding: Holding | None
    ) -> None:
        volume = working.volume
        left = book.left[0 if working.buy else 1]
        if left is not None:
            volume = min(volume, to_step(left, book.pair.volume_increment))
        if volume <= ZERO:
            return
        price = slipped(bar.close, working.buy, bar, book.path)
        points = (bar.close,) * 4
        hit = Hit(
            group,
            working,
            None if holding is None else holding.part,
            price,
            volume,
            CLOSE_ONLY,
            "close",
            True,
            False,
            holding is None
            and protection_passed(working.buy, price, group.stop_loss, group.take_profit),
            bar.close,
            points,
        )
        walk = BarWalk(bar, (), book.path, book.left)
        await self._execute(book, bar, walk, hit)
        book.left = walk.pools

    async def _execute(self, book: PairBook, bar: Bar, walk: BarWalk, hit: Hit) -> None:
        key = hit.working.key
        if type(key) is Closing:
            await self._close(book, bar, walk, hit, key)
        elif key.spot:
            await self._fill_spot(book, bar, walk, hit, key)
        elif hit.passed:
            walk.drop(hit.working)
            await self._amendment.cancel(
                key,
                None,
                RejectReason.PROTECTION_PASSED,
                f"a fill at {hit.price} would be at or beyond its own stop-loss or take-profit",
            )
        else:
            await self._fill_trading(book, bar, walk, hit, key)

    # -- entries -----------------------------------------------------------------------------------

    def _affordable(
        self, branch: Branch, volume: Decimal, cost: Callable[[Decimal], Decimal], free: Decimal
    ) -> _Affordable:
        """How much of ``volume`` the order's reserve and what is ``free`` can pay for."""
        order = branch.order
        assert order is not None
        money = add(order.reserved, free)
        kept = self._venue.reserve(branch, sub(order.volume, volume), False)
        if add(cost(volume), kept) <= money:
            return _Affordable(volume, kept, True)
        # The rest of the order will be cancelled, so what is reserved for it can be spent as well.
        step = branch.book.pair.volume_increment
        low, high = 0, int(div(volume, step))
        while low < high:
            middle = (low + high + 1) // 2
            if cost(mul(Decimal(middle), step)) <= money:
                low = middle
            else:
                high = middle - 1
        volume = mul(Decimal(low), step)
        kept = self._venue.reserve(branch, sub(order.volume, volume), False)
        return _Affordable(volume, min(kept, sub(money, cost(volume))), False)

    async def _fill_spot(
        self, book: PairBook, bar: Bar, walk: BarWalk, hit: Hit, branch: Branch
    ) -> None:
        venue, pair = self._venue, book.pair
        base, quote = pair.base.code, book.quote
        price, maker, first = hit.price, not hit.taker, not branch.paid_flat
        buy = hit.working.buy

        def terms(volume: Decimal) -> tuple[Decimal, Decimal]:
            notional = pair.notional(volume, price)
            fee = venue.fee(
                book, book.fees_fill, volume=volume, notional=notional, maker=maker, first=first
            )
            return notional, fee

        free = venue.available(branch.account, quote)
        if buy:
            volume, kept, whole = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some)), free
            )
        else:
            volume, whole = hit.volume, True
            notional, fee = terms(volume)
            if sub(fee, notional) > free:
                volume, whole = ZERO, False
            kept = sub(branch.order.volume, volume)  # type: ignore[union-attr]
        if volume:
            notional, fee = terms(volume)
            legs: list[Leg]
            if buy:
                share = sub(branch.order.reserved, kept)  # type: ignore[union-attr]
                legs = fill_spot_buy(branch.account, base, quote, volume, notional, fee, share)
            else:
                legs = fill_spot_sell(branch.account, base, quote, volume, notional, fee)
            await self._book_fill(book, bar, hit, branch, volume, notional, fee, kept, legs, None)
        walk.report(hit, volume)
        if not whole:
            await self._cancel_rest(walk, hit, branch)

    async def _cancel_rest(self, walk: BarWalk, hit: Hit, branch: Branch) -> None:
        walk.drop(hit.working)
        if branch.order is not None:
            await self._amendment.cancel(
                branch,
                None,
                RejectReason.INSUFFICIENT_FUNDS,
                f"{branch.account} cannot pay for more at {hit.price}",
            )

    async def _fill_trading(
        self, book: PairBook, bar: Bar, walk: BarWalk, hit: Hit, branch: Branch
    ) -> None:
        venue, pair = self._venue, book.pair
        order = branch.order
        assert isinstance(order, TradingOrder)
        asset = book.quote
        price, maker, first = hit.price, not hit.taker, not branch.paid_flat
        free = venue.available(branch.account, asset)

        def terms(volume: Decimal, margin_price: Decimal) -> tuple[Decimal, Decimal]:
            margin = venue.margin(book, volume, margin_price, order.leverage)
            fee = venue.fee(
                book,
                book.fees_fill,
                volume=volume,
                notional=pair.notional(volume, price),
                margin=margin,
                maker=maker,
                first=first,
            )
            return margin, fee

        at = price
        volume, kept, whole = self._affordable(
            branch, hit.volume, lambda some: add(*terms(some, at)), free
        )
        if not whole and not hit.working.buy and price > branch.worst:
            # A better price that needs more margin (a sell, higher) must not cost the fill.
            at = branch.worst
            volume, kept, whole = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some, at)), free
            )
        part = None
        if volume:
            margin, fee = terms(volume, at)
            notional = pair.notional(volume, price)
            legs = fill_trading(branch.account, asset, sub(order.reserved, kept), margin, fee)
            holding = await self._book_fill(
                book, bar, hit, branch, volume, notional, fee, kept, legs, margin
            )
            part = holding.part  # type: ignore[union-attr]
        walk.report(hit, volume, part)
        if not whole:
            await self._cancel_rest(walk, hit, branch)

    async def _book_fill(
        self,
        book: PairBook,
        bar: Bar,
        hit: Hit,
        branch: Branch,
        volume: Decimal,
        notional: Decimal,
        fee: Decimal,
        kept: Decimal,
        legs: list[Leg],
        margin: Decimal | None,
    ) -> Holding | None:
        """Post an entry's fill, then make and tell what became of the order."""
        venue, order = self._venue, branch.order
        assert order is not None
        balances = await venue.post(legs, order.id, f"filled {volume} at {hit.price}")
        whole = volume == order.volume
        filled, leaves = fill(
            order,
            at=venue.at,
            price=hit.price,
            volume=volume,
            fee=fee,
            leaves_id=None if whole else venue.ids.draw(),
            margin=margin,
            reserved_left=kept,
            step=book.step,
        )
        branch.paid_flat = True
        branch.total_filled = add(branch.total_filled, volume)
        venue.records.keep(filled)
        holding = None
        positions: tuple[Any, ...] = ()
        if margin is not None:
            holding = venue.open_holding(branch, filled)  # type: ignore[arg-type]
            positions = ((filled.id, filled),)
            venue.valuation.position(book.code, self._signed(book, holding, volume), hit.price)
        if leaves is None:
            venue.unlist(branch)
        else:
            self._amendment.live_on(branch, leaves)
        record = self._record(
            bar, hit, branch, filled, "entry", hit.working.buy, volume, notional, fee, None, None
        )
        venue.tell(
            EventKind.FILLED, branch, filled, positions=positions, fill=record, balances=balances
        )
        return holding

    def _signed(self, book: PairBook, holding: Holding, volume: Decimal) -> Decimal:
        size = mul(volume, book.pair.contract_size)
        return size if holding.part.long else size.copy_negate()

    def _record(
        self,
        bar: Bar,
        hit: Hit,
        branch: Branch,
        order: SpotOrder | TradingOrder,
        kind: str,
        buy: bool,
        volume: Decimal,
        notional: Decimal,
        fee: Decimal,
        closing: Closing | None,
        pnl: Decimal | None,
    ) -> Fill:
        venue = self._venue
        made = Fill(
            venue.now,
            order.id,
            order.root_id,
            branch.id,
            order.account_id,
            order.agent_id,
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
            entry_uuid(venue.run_id, venue.entry),
            None if closing is None else closing.id,
            pnl,
        )
        venue.records.fills.append(made)
        return made

    # -- closes ------------------------------------------------------------------------------------

    async def _close(
        self, book: PairBook, bar: Bar, walk: BarWalk, hit: Hit, closing: Closing
    ) -> None:
        """Close a position, wholly or partly, at the price of ``hit``."""
        venue, pair = self._venue, book.pair
        holding = closing.holding
        branch, part, order = holding.branch, holding.part, holding.order
        asset, volume = book.quote, hit.volume
        notional = pair.notional(volume, hit.price)
        margin, _ = apportion(part.margin, volume, part.volume, book.step)
        pnl = realised_pnl(
            1 if part.long else -1,
            part.entry_price,
            hit.price,
            volume,
            pair.contract_size,
            book.step,
        )
        fee = venue.fee(
            book,
            book.fees_close,
            volume=volume,
            notional=notional,
            margin=margin,
            maker=not hit.taker,
            first=not closing.paid_flat,
        )
        uncovered, fee_uncovered = self._uncovered(branch, closing, asset, margin, pnl, fee, holding)
        legs = close_position(
            branch.account, asset, margin, pnl, fee, add(uncovered, fee_uncovered)
        )
        why = f"{_WORDS[closing.kind]} {volume} at {hit.price}"
        balances = await venue.post(legs, order.id, why)
        closing.paid_flat = True
        size = self._signed(book, holding, volume)
        venue.valuation.position(book.code, size.copy_negate(), part.entry_price)
        done, rest = close(
            order,
            at=venue.at,
            price=hit.price,
            volume=volume,
            fee=fee,
            pnl=pnl,
            closing_reason=closing.kind,
            rest_id=None if volume == part.volume else venue.ids.draw(),
            step=book.step,
        )
        venue.records.keep(done)
        in_vain = [one for one in holding.closings if one.kind == "close" and one is not closing]
        positions = self._go_on(walk, hit, holding, closing, rest, sub(part.margin, margin))
        record = self._record(
            bar, hit, branch, done, closing.kind, hit.working.buy, volume, notional, fee, closing, pnl
        )
        self._tell_closed(branch, closing, done, positions, record, balances)
        if rest is None and in_vain:
            venue.tell(
                EventKind.CLOSE_CANCELLED,
                branch,
                done,
                reason=RejectReason.ALREADY_DONE,
                detail="there is nothing left to close",
            )
        self._report_uncovered(branch, done, uncovered, asset, "a loss beyond the margin")
        self._report_uncovered(branch, done, fee_uncovered, asset, "a close fee")

    def _uncovered(
        self,
        branch: Branch,
        closing: Closing,
        asset: str,
        margin: Decimal,
        pnl: Decimal,
        fee: Decimal,
        holding: Holding,
    ) -> tuple[Decimal, Decimal]:
        """What of the loss and what of the fee the account does not bear.

        An isolated position never loses more than its margin. A fee is taken from what is
        available; a liquidation's only from what remains of the margin.
        """
        left = add(margin, pnl)
        loss = max(ZERO, left.copy_negate())
        left = max(ZERO, left)
        if closing.kind != "liquidation":
            left = add(left, self._venue.available(branch.account, asset))
        return loss, max(ZERO, sub(fee, left))

    def _go_on(
        self,
        walk: BarWalk,
        hit: Hit,
        holding: Holding,
        closing: Closing,
        rest: TradingOrder | None,
        margin: Decimal,
    ) -> tuple[tuple[Any, TradingOrder | None], ...]:
        """Let the position live on with its rest, or end it; what changed of the positions."""
        venue, branch, old = self._venue, holding.branch, holding.order.id
        if rest is None:
            walk.report(hit, hit.volume)
            venue.drop_holding(holding)
            return ((old, None),)
        walk.report(hit, hit.volume)
        rest.__dict__["order_number"] = venue.next_number()  # a copy that is ours alone still
        rest.__dict__["margin_reserved"] = margin
        holding.order = rest
        venue.branch_of[rest.id.int] = branch
        venue.records.keep(rest)
        self._set_margin(holding, margin)
        if closing.working.volume <= ZERO:
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
    ) -> None:
        kind = EventKind.LIQUIDATED if closing.kind == "liquidation" else EventKind.CLOSED
        self._venue.tell(
            kind,
            branch,
            done,
            positions=positions,
            fill=record,
            detail=_WORDS[closing.kind],
            balances=balances,
        )


_WORDS = {
    "close": "closed",
    "stop_loss": "stopped out of",
    "take_profit": "took profit on",
    "liquidation": "liquidated",
}
