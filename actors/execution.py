"""A market event at the venue: trigger, match and settle (semantics, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from attrs import evolve

from backtest.errors import RejectReason
from backtest.models import Bar, MarketEvent, OrderDirection, Quote, Tick, Trade, TradingOrder
from backtest.models._fast import derive
from backtest.money import ZERO, add, div, mul, sub, to_step
from backtest.services.cross_walk import CrossWalk
from backtest.services.fills import (
    CLOSE_ONLY,
    FROM_OPEN,
    NOT_ON_THIS_BAR,
    OPEN_ONLY,
    BarWalk,
    Hit,
    OpenPart,
    TickWalk,
    Walk,
    Working,
    checked_pool,
    eligibility,
    flat_bar,
    meets,
    point_of,
    pool,
    protection_passed,
    slipped,
    walk_of,
)
from backtest.services.order_operations import fill
from backtest.services.time_in_force import ended_because
from backtest.services.transaction_manager import (
    Leg,
    create_order,
    fill_spot_buy,
    fill_spot_sell,
    fill_trading,
)

from .amendment import Amendment
from .book import PairBook
from .branch import Branch, Closing, Holding
from .closing_desk import ClosingDesk, Scene
from .cross import CrossDesk
from .cross_account import CrossAccount
from .dues import shorten
from .exits import ExitDesk
from .fill_record import record_fill, signed_size
from .netting import NettingDesk
from .oco import OcoGroup
from .protocol import EventKind
from .venue import Venue

__all__ = ["Execution"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT


_WORDS = {"stop_loss": "its stop-loss was reached", "take_profit": "its take-profit was reached"}
"""What is said of the fill of an exit."""


class _Affordable(NamedTuple):
    """What of a fill can be paid for."""

    volume: Decimal
    kept: Decimal
    """What stays in reserve for the order's leaves."""
    covered: bool
    """Whether the fill's share of the reserve and available paid, and nothing else had to."""


class Execution:
    """Walks bars and carries out what they allow."""

    def __init__(
        self,
        venue: Venue,
        amendment: Amendment,
        closing_desk: ClosingDesk,
        exits: ExitDesk,
        netting: NettingDesk,
        cross: CrossDesk,
    ) -> None:
        self._venue = venue
        self._amendment = amendment
        self._closing_desk = closing_desk
        self._exits = exits
        self._netting = netting
        self._cross = cross

    # -- trigger and match -------------------------------------------------------------------------

    def walk(self, book: PairBook, bar: Bar) -> tuple[BarWalk, Hit | None]:
        """The walk of the pair's groups along ``bar``, and its first hit."""
        if book.waiting:
            book.waiting = self._open_to(book, bar)
        if book.due is not None and book.due < bar.close_ns:
            shorten(book, bar)
        increment = book.pair.volume_increment
        if book.volume_policy is None:
            volume = pool(bar.volume, book.rules.participation, increment)
        else:
            volume = checked_pool(book.volume_policy, bar, increment)
        groups = book.all_groups()
        if self._venue.cross:
            watches = self._cross.watches(book)
            if watches:
                walk: BarWalk = CrossWalk(bar, groups, book.path, (volume, volume), watches)
                return walk, walk.next()
        walk = BarWalk(bar, groups, book.path, (volume, volume))
        return walk, walk.next()

    def walk_tick(self, book: PairBook, tick: Tick) -> tuple[TickWalk, Hit | None]:
        """What ``tick`` meets of the pair's groups, and its first hit.

        A trade of a pair that is quoted, too, meets resting limits alone: the quotes say what
        could have been had.
        """
        quoted = type(tick) is Trade and book.last_quote is not None
        if book.waiting and not quoted:
            # Whatever was accepted by now counts for this tick, and for bars that begin later.
            for _, working in book.waiting:
                working.start = FROM_OPEN
                if working.terms is not None and working.terms.immediate:
                    self._meet(book, working)
            book.waiting.clear()
        groups = book.all_groups()
        if self._venue.cross:
            # On one point there is no path to be called on: that is tested after the tick.
            groups = groups + book.cross_groups
        walk = TickWalk(
            tick,
            groups,
            book.tick_path,
            self._pools(book, tick),
            book.queue,
            before=book.last_quote if quoted else book.bar,
            quoted=quoted,
        )
        return walk, walk.next()

    def _pools(self, book: PairBook, tick: Tick) -> tuple[Decimal | None, Decimal | None]:
        """What of ``tick`` there is for buys and for sells."""
        increment, share = book.pair.volume_increment, book.rules.participation
        if book.volume_policy is not None:
            return (
                checked_pool(book.volume_policy, flat_bar(tick, True), increment),
                checked_pool(book.volume_policy, flat_bar(tick, False), increment),
            )
        if isinstance(tick, Quote):
            return pool(tick.ask_size, share, increment), pool(tick.bid_size, share, increment)
        volume = pool(tick.volume, share, increment)
        return volume, volume

    def _open_to(self, book: PairBook, bar: Bar) -> list[tuple[int, Working]]:
        """Say of each new order from where on ``bar`` counts for it; those that still wait."""
        waiting = []
        fill_on = book.rules.fill_on
        for item in book.waiting:
            accepted, working = item
            kind = "market" if working.triggered else working.kind
            working.start = eligibility(kind, accepted, True, bar, fill_on, book.eligibility)
            if working.start:
                waiting.append(item)
            if working.terms is not None and working.terms.immediate:
                self._meet(book, working)
        return waiting

    def _meet(self, book: PairBook, working: Working) -> None:
        """Of an order that must fill at once: the first price that counts is its only one.

        A stop among them has its one opportunity where the price reaches it.
        """
        if working.kind in ("market", "limit") and working.start < NOT_ON_THIS_BAR:
            working.end = OPEN_ONLY
            book.immediate.append(working)

    async def match(self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit | None) -> None:
        """Carry out every hit of the walk."""
        while hit is not None:
            await self._execute(book, bar, walk, hit)
            hit = walk.next()
        for working in walk.triggered:
            self._tell_triggered(working)
            if working.terms is not None and working.terms.immediate:
                book.immediate.append(working)
        for working in walk.trailed:
            self._tell_trailed(working)
        if book.immediate:
            await self._end_immediate(book)
        if walk.forked or walk.inside > 1:
            self._venue.records.forks.append((bar.close_ns, book.code))
        book.left = walk.pools

    async def _end_immediate(self, book: PairBook) -> None:
        """Cancel what is left of the orders whose opportunity has passed."""
        ended, book.immediate = book.immediate, []
        ended.sort(key=lambda working: working.sequence)
        for working in ended:
            branch = working.key
            if branch.order is not None and branch.working is working:
                reason, detail = ended_because(branch.order.instructions)
                await self._amendment.cancel(branch, None, reason, detail)

    def _tell_trailed(self, working: Working) -> None:
        """Say of a trailing stop where it stands now."""
        key = working.key
        level = working.price
        if type(key) is Branch:
            if key.order is None or key.working is not working:
                return
            self._catch_up(key)
            branch, order = key, key.order
        else:
            if key not in key.holding.closings:
                return
            branch, order = key.holding.branch, key.holding.order
        self._venue.tell(
            EventKind.TRAILED, branch, order, detail=f"trailing stop at {level}", level=level
        )

    def _catch_up(self, branch: Branch) -> None:
        """Let the order of a trailing stop say where the walk has moved it to."""
        order, level = branch.order, branch.working.price
        if order is not None and order.stop_price != level:
            branch.order = derive(order, stop_price=level)
            self._venue.records.keep(branch.order)

    def _tell_triggered(self, working: Working) -> None:
        """Say of a stop that it was reached, if there is something left for it to fill."""
        key = working.key
        if type(key) is Branch:
            part = key.part
            acts = key.working is working if part is None else working in part.exits
            branch, order = key, key.order if acts else None
            left = working.volume if part is None else part.volume
        else:
            branch = key.holding.branch
            order = key.holding.order if key in key.holding.closings else None
            left = key.holding.part.volume
        if order is None:
            return
        if working.kind == "limit":
            what = f"the stop was reached, it is a limit order at {working.price} from here on"
        else:
            what = f"{working.kind} at {working.price} was reached"
        if working.kind == "trailing_stop" and type(key) is Branch:
            self._catch_up(key)
            order = key.order
        self._venue.tell(
            EventKind.TRIGGERED, branch, order, detail=f"{what}; {left} is left to fill"
        )

    async def match_close(self, branch: Branch) -> None:
        """Fill a market order at the close that has just been (``fill_on="this_close"``)."""
        book = branch.book
        bar = book.bar
        if bar is None or branch.order is None or bar.close_ns != self._venue.now:
            return
        await self._at_close(book, bar, branch.group, branch.working, None)
        if branch.terms is not None and branch.terms.immediate and branch.order is not None:
            reason, detail = ended_because(branch.order.instructions)
            await self._amendment.cancel(branch, None, reason, detail)

    async def match_closing(self, closing: Closing) -> None:
        """The same for a market order that closes a position."""
        book = closing.holding.branch.book
        bar = book.bar
        if (
            bar is None
            or bar.close_ns != self._venue.now
            or closing not in closing.holding.closings
        ):
            return
        await self._at_close(book, bar, closing.holding.group, closing.working, closing.holding)

    async def _at_close(
        self,
        book: PairBook,
        bar: MarketEvent,
        group: Any,
        working: Working,
        holding: Holding | None,
    ) -> None:
        volume = working.volume
        left = book.left[0 if working.buy else 1]
        if left is not None:
            volume = min(volume, to_step(left, book.pair.volume_increment))
        terms = working.terms
        if volume <= ZERO or (volume < working.volume and terms is not None and terms.whole):
            return
        at, path = meets(bar, working.buy), book.path
        whole: Bar
        if isinstance(bar, Bar):
            whole = bar
        else:
            whole, path = flat_bar(bar, working.buy), book.tick_path
        price = slipped(at, working.buy, whole, path, volume)
        hit = Hit(
            group,
            working,
            None if holding is None else holding.part,
            price,
            volume,
            CLOSE_ONLY,
            point_of(bar, working.buy),
            True,
            False,
            holding is None
            and path.guards
            and protection_passed(working.buy, price, group.stop_loss, group.take_profit),
            at,
            (at,) * 4,
        )
        walk = walk_of(bar, (), path, book.left)
        await self._execute(book, bar, walk, hit)
        book.left = walk.pools

    async def _execute(self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit) -> None:
        key = hit.working.key
        if type(key) is Closing:
            await self._closing_desk.close(book, bar, walk, hit, key)
            return
        if type(key) is CrossAccount:
            await self._cross.call(key, Scene(book, bar, walk, hit))
            return
        if hit.passed:
            await self._refuse_fill(walk, hit, key)
            return
        if hit.working.kind == "trailing_stop":
            self._catch_up(key)
        if key.spot:
            await self._fill_spot(book, bar, walk, hit, key)
        elif key.nets:
            await self._net(book, bar, walk, hit, key)
        else:
            await self._fill_trading(book, bar, walk, hit, key)

    async def _refuse_fill(self, walk: Walk, hit: Hit, branch: Branch) -> None:
        """A fill that must not happen: the order is cancelled instead."""
        walk.drop(hit.working)
        terms = hit.working.terms
        if hit.taker and terms is not None and terms.maker_only:
            reason = RejectReason.WOULD_TAKE
            detail = f"a post-only order would have taken at {hit.price}"
        else:
            reason = RejectReason.PROTECTION_PASSED
            detail = f"a fill at {hit.price} would be at or beyond its own stop-loss or take-profit"
        await self._amendment.cancel(branch, None, reason, detail)

    async def _net(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        """Close what is open on the other side, and open what is left."""
        terms = branch.terms
        if terms is not None and terms.whole and not self._netting.fills_whole(book, hit, branch):
            walk.drop(hit.working)
            reason, detail = ended_because(branch.order.instructions)  # type: ignore[union-attr]
            await self._amendment.cancel(branch, None, reason, detail)
            return
        closed, left = await self._netting.close(book, bar, walk, hit, branch)
        if branch.oco is not None and closed:
            await self._cancel_partners(walk, branch, branch.oco)
        if left:
            await self._fill_trading(book, bar, walk, evolve(hit, volume=left), branch)

    # -- entries -----------------------------------------------------------------------------------

    def _affordable(
        self, branch: Branch, volume: Decimal, cost: Callable[[Decimal], Decimal], free: Decimal
    ) -> _Affordable:
        """How much of ``volume`` the order's reserve and what is ``free`` can pay for.

        First the fill's share of the reserve and what is free; then the reserve of the leaves, too:
        an order must not end because its parts are rounded up one by one.
        """
        order = branch.order
        assert order is not None
        money = add(order.reserved, free)
        needed = cost(volume)
        kept = self._venue.reserve(branch, sub(order.volume, volume), False)
        if add(needed, kept) <= money:
            return _Affordable(volume, kept, True)
        if needed > money:
            step = branch.book.pair.volume_increment
            low, high = 0, int(div(volume, step))
            while low < high:
                middle = (low + high + 1) // 2
                if cost(mul(Decimal(middle), step)) <= money:
                    low = middle
                else:
                    high = middle - 1
            volume = mul(Decimal(low), step)
            if branch.terms is not None and branch.terms.whole:
                volume = ZERO
            needed = cost(volume)
            kept = self._venue.reserve(branch, sub(order.volume, volume), False)
        return _Affordable(volume, min(kept, sub(money, needed)), False)

    async def _fill_spot(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
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

        free = venue.spendable(branch.account, quote)
        if buy:
            volume, kept, _ = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some)), free
            )
        else:
            volume = hit.volume
            notional, fee = terms(volume)
            if sub(fee, notional) > free:
                volume = ZERO
            kept = sub(branch.order.volume, volume)  # type: ignore[union-attr]
        part = None
        if volume:
            notional, fee = terms(volume)
            legs: list[Leg]
            if buy:
                share = sub(branch.order.reserved, kept)  # type: ignore[union-attr]
                legs = fill_spot_buy(branch.account, base, quote, volume, notional, fee, share)
                if _brackets(branch):
                    # What was bought is the reserve of the exit, in the same entry.
                    legs += create_order(branch.account, base, volume)
            else:
                legs = fill_spot_sell(branch.account, base, quote, volume, notional, fee)
            part = await self._book_fill(
                book, bar, hit, branch, volume, notional, fee, kept, legs, None
            )
        walk.report(hit, volume, part)
        if branch.oco is not None and volume:
            await self._cancel_partners(walk, branch, branch.oco)
        if volume < hit.volume:
            await self._cancel_rest(walk, hit, branch)

    async def _cancel_rest(self, walk: Walk, hit: Hit, branch: Branch) -> None:
        walk.drop(hit.working)
        if branch.order is not None:
            await self._amendment.cancel(
                branch,
                None,
                RejectReason.INSUFFICIENT_FUNDS,
                f"{branch.account} cannot pay for more at {hit.price}",
            )

    async def _cancel_partners(self, walk: Walk, branch: Branch, group: OcoGroup) -> None:
        """Something of ``branch`` filled: its one-cancels-other partners are cancelled at once."""
        group.has_filled = True
        for other in group.partners(branch):
            walk.drop(other.working)
            await self._amendment.cancel(
                other,
                None,
                RejectReason.ONE_CANCELS_OTHER,
                f"order {branch.id} of the group {group.label!r} filled",
            )

    async def _fill_trading(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        venue, pair = self._venue, book.pair
        order = branch.order
        assert isinstance(order, TradingOrder)
        asset = book.quote
        price, maker, first = hit.price, not hit.taker, not branch.paid_flat
        free = venue.spendable(branch.account, asset)

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
        volume, kept, covered = self._affordable(
            branch, hit.volume, lambda some: add(*terms(some, at)), free
        )
        if not covered and not hit.working.buy and price > branch.worst:
            # A better price that needs more margin (a sell, higher) must not cost the fill.
            at = branch.worst
            volume, kept, _ = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some, at)), free
            )
        part = None
        if volume:
            margin, fee = terms(volume, at)
            notional = pair.notional(volume, price)
            legs = fill_trading(branch.account, asset, sub(order.reserved, kept), margin, fee)
            part = await self._book_fill(
                book, bar, hit, branch, volume, notional, fee, kept, legs, margin
            )
        walk.report(hit, volume, part)
        if branch.oco is not None and volume:
            await self._cancel_partners(walk, branch, branch.oco)
        if volume < hit.volume:
            await self._cancel_rest(walk, hit, branch)

    async def _book_fill(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Hit,
        branch: Branch,
        volume: Decimal,
        notional: Decimal,
        fee: Decimal,
        kept: Decimal,
        legs: list[Leg],
        margin: Decimal | None,
    ) -> OpenPart | None:
        """Post an order's fill, then make and tell what became of it; what it opened, if it did."""
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
        part = exit = None
        positions: tuple[Any, ...] = ()
        children: tuple[Any, ...] = ()
        if margin is not None:
            holding = venue.open_holding(branch, filled)  # type: ignore[arg-type]
            holding.since = bar.close_ns if hit.rank == CLOSE_ONLY else bar.open_ns
            positions = ((filled.id, filled),)
            part = holding.part
            venue.valuation.position(book.code, signed_size(book, part.long, volume), hit.price)
        brackets = _brackets(branch)
        if leaves is None:
            venue.unlist(branch)
        else:
            self._amendment.live_on(branch, leaves)
        if brackets:
            exit = self._exits.open(branch, filled)  # type: ignore[arg-type]
            part = exit.part
            children = ((exit.number, exit.order),)
        record = record_fill(
            venue,
            bar,
            hit,
            branch,
            filled,
            "entry" if hit.part is None else hit.working.kind,
            hit.working.buy,
            volume,
            notional,
            fee,
            None,
            None,
        )
        venue.tell(
            EventKind.FILLED,
            branch,
            filled,
            positions=positions,
            fill=record,
            detail=_WORDS.get(record.kind, "") if exit is None else f"{exit.id} sells it again",
            children=children,
            balances=balances,
        )
        if exit is not None:
            venue.tell(
                EventKind.ACCEPTED,
                exit,
                exit.order,
                detail=f"sells again what order {filled.id} bought",
                balances=balances,
            )
        return part


def _brackets(branch: Branch) -> bool:
    """Whether what the order buys goes to an exit: a spot order with a stop-loss or take-profit."""
    order = branch.order
    return (
        branch.spot
        and order is not None
        and (order.stop_loss is not None or order.take_profit is not None)
    )
