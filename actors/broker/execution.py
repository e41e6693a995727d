"""A market event at the venue: trigger, match and settle (docs/fills.md)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.cross_accounts import Call
from backtest.actors.venue.expiry import shorten
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Closing, Lot, branch_of
from backtest.actors.venue.stops import tell_moved, tell_trailed, tell_triggered
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.models import Bar, MarketEvent, Quote, Tick, Trade
from backtest.money import ZERO, plain, to_step
from backtest.services.fills.cross_walk import CrossWalk
from backtest.services.fills.walk import (
    CLOSE_ONLY,
    FROM_OPEN,
    NOT_ON_THIS_BAR,
    OPEN_ONLY,
    BarWalk,
    Group,
    Hit,
    TickWalk,
    Walk,
    Working,
    checked_pool,
    eligibility,
    on_offer,
    pool,
    protection_passed,
    slipped,
)

from .cross_margin import CrossMargin
from .fills import Fills, Scene
from .groups import all_groups, group_of
from .shared_paths import shared_paths

__all__ = ["Execution"]


class Execution:
    """Walks bars and carries out what they allow."""

    def __init__(
        self,
        venue: Venue,
        cancellation: Cancellation,
        fills: Fills,
        cross: CrossMargin,
    ) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._fills = fills
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
        groups = all_groups(book)
        if book.is_watched:
            watches = self._cross.watches(book) + shared_paths(book)
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
        groups = all_groups(book)
        if book.is_watched:
            # On one point there is no path to be called on: that is tested after the tick.
            groups = groups + book.cross_groups
            for joint in book.joint_groups.values():
                groups = groups + joint
        walk = TickWalk(
            tick,
            groups,
            book.tick_path,
            on_offer(
                tick, book.rules.participation, book.pair.volume_increment, book.volume_policy
            ),
            book.queue,
            before=book.last_quote if quoted else book.bar,
            quoted=quoted,
        )
        return walk, walk.next()

    async def meet(self, book: PairBook, quote: Quote, new: Sequence[Working]) -> bool:
        """Let ``new`` conditions, accepted now, meet ``quote``, which stands; whether any filled.

        It is a walk of its own, with what fills have left of the quote. What stays pending has
        met the quote, and waits for what comes.
        """
        groups: dict[Group, None] = {}
        for working in new:
            working.start = FROM_OPEN
            if working.terms is not None and working.terms.immediate:
                self._meet(book, working)
            groups[group_of(book, working)] = None
        standing = book.standing
        walk = TickWalk(quote, list(groups), book.tick_path, standing.left(), book.queue, only=new)
        hit = walk.next()
        if hit is not None:
            self._venue.move_to(self._venue.now)
        await self.match(book, quote, walk, hit)
        standing.use(walk.pools)
        # A bar that is under way tells these of its close alone, as it does the order itself.
        now = self._venue.now
        for part in walk.opened:
            book.waiting += [(now, working) for working in part.exits]
        return hit is not None

    def _open_to(self, book: PairBook, bar: Bar) -> list[tuple[int, Working]]:
        """Say of each new order from where on ``bar`` counts for it; those that still wait."""
        waiting = []
        fill_on, policy = book.rules.fill_on, book.eligibility
        for item in book.waiting:
            accepted, working = item
            if working.triggered:  # the rest of a stop waits for an open, whatever the rules say
                working.start = eligibility("market", accepted, True, bar)
            else:
                working.start = eligibility(working.kind, accepted, True, bar, fill_on, policy)
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
            book.immediate.append((working.sequence, working))

    async def match(self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit | None) -> None:
        """Carry out every hit of the walk."""
        while hit is not None:
            await self._execute(book, bar, walk, hit)
            hit = walk.next()
        for working in walk.triggered:
            tell_triggered(self._venue, working)
            if working.terms is not None and working.terms.immediate:
                book.immediate.append((working.sequence, working))
        for working in walk.trailed:
            tell_trailed(self._venue, working)
        if book.immediate:
            await self._end_immediate(book)
        if walk.forked or walk.inside > 1:
            self._venue.records.forks.append((bar.close_ns, book.code))
        if type(bar) is Bar:
            book.left = walk.pools

    async def _end_immediate(self, book: PairBook) -> None:
        """Cancel what is left of the orders whose opportunity has passed."""
        ended, book.immediate = book.immediate, []
        ended.sort(key=itemgetter(0))
        for sequence, working in ended:
            if working.is_live and working.sequence == sequence:
                await self._fills.end(branch_of(working))

    async def match_close(self, branch: Branch) -> None:
        """Fill a market order at the close that has just been (``fill_on="this_close"``)."""
        book = branch.book
        bar = book.bar
        if type(bar) is not Bar or branch.order is None or bar.close_ns != self._venue.now:
            return
        await self._at_close(book, bar, branch.group, branch, None)
        if branch.terms is not None and branch.terms.immediate and branch.order is not None:
            await self._fills.end(branch)

    async def match_closing(self, closing: Closing) -> None:
        """The same for a market order that closes a position."""
        book = closing.lot.branch.book
        bar = book.bar
        if type(bar) is not Bar or bar.close_ns != self._venue.now:
            return
        lot = closing.lot
        if closing not in lot.exits:
            return
        await self._at_close(book, bar, lot.position.group, closing, lot)

    async def _at_close(
        self,
        book: PairBook,
        bar: Bar,
        group: Group,
        working: Working,
        lot: Lot | None,
    ) -> None:
        wanted = working.volume
        if lot is not None:
            # Another close, or a fill that nets, may have come first at this very close.
            wanted = min(wanted, lot.volume)
        volume = wanted
        left = book.left[0 if working.buy else 1]
        if left is not None:
            volume = min(volume, to_step(left, book.pair.volume_increment))
        terms = working.terms
        if volume <= ZERO:
            return
        if volume < wanted and terms is not None and terms.whole:
            working.lacked = volume
            return
        at, path = bar.close, book.path
        price = slipped(at, working.buy, bar, path, volume)
        hit = Hit(
            group,
            working,
            lot,
            price,
            volume,
            CLOSE_ONLY,
            "close",
            True,
            False,
            lot is None
            and path.guards
            and protection_passed(working.buy, price, group.stop_loss, group.take_profit),
            at,
            (at,) * 4,
        )
        walk = BarWalk(bar, (), path, book.left)
        coming: Hit | None = hit
        while coming is not None:  # what is left may have to be liquidated at this very close
            await self._execute(book, bar, walk, coming)
            coming = walk.next()
        book.left = walk.pools

    async def _execute(self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit) -> None:
        working = hit.working
        if working.kind == "trailing_stop":
            tell_moved(self._venue, working)
        scene = Scene(book, bar, walk, hit)
        if type(working) is Call:
            await self._cross.call(working.account, scene)
        elif hit.passed:
            await self._refuse_fill(walk, hit, branch_of(working))
        else:
            await self._fills.fill(scene)

    async def _refuse_fill(self, walk: Walk, hit: Hit, branch: Branch) -> None:
        """A fill that must not happen: the order is cancelled instead."""
        walk.drop(hit.working)
        terms = hit.working.terms
        if hit.taker and terms is not None and terms.maker_only:
            reason = RejectReason.WOULD_TAKE
            detail = f"a post-only order would have taken at {plain(hit.price)}"
        else:
            reason = RejectReason.PROTECTION_PASSED
            detail = (
                f"a fill at {plain(hit.price)} would be at or beyond its own "
                "stop-loss or take-profit"
            )
        await self._cancellation.cancel(branch, None, reason, detail)
