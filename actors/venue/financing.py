"""What an open position or a pending order costs as time passes: by the night, and funding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal

from backtest.actors.protocol import Changes, EventKind
from backtest.models import Bar, trusted_bar
from backtest.money import ONE, ZERO, add, plain, sub
from backtest.services.ledger.entries import CLEARING, FEES, MARKET, charge, sweep
from backtest.services.margin.financing import borne_by, first_due, funding_amount
from backtest.services.orders.operations import apportion
from backtest.services.orders.revision import Revision

from .branch import Branch
from .cross_accounts import CrossAccounts
from .pair_book import PairBook
from .position import Position
from .positions import set_margin
from .venue import Venue

__all__ = ["Financing"]


class Financing:
    """Charges each rollover and each funding once, on the mark that the venue has at that time."""

    def __init__(
        self,
        venue: Venue,
        cross: CrossAccounts,
        test_level: Callable[[PairBook, Bar, Position], Awaitable[None]] | None = None,
    ) -> None:
        self._venue = venue
        self._cross = cross
        self._test_level = test_level
        """Liquidates a position at the close of a bar, if that is where it has to be."""
        self._between_agents = test_level is None
        """Whether funding goes from one side to the other, and nights are the house's."""

    def is_due(self, book: PairBook, bar: Bar) -> bool:
        """Whether a charge falls due by the end of ``bar``."""
        if book.next_rollover is None:
            # The first bar of the pair: what falls due first is what does so after its open.
            book.next_rollover = book.calendar.rollover(bar.open_ns, book.rules.rollover_ns)
            if book.rules.funding is not None:
                book.next_funding = book.rules.funding.after(bar.open_ns)
        funding = book.next_funding
        if funding is not None and funding[0] < bar.close_ns:
            return True
        return book.next_rollover < bar.close_ns

    def is_due_at(self, book: PairBook, time: int) -> bool:
        """Whether a charge falls due by ``time``, the moment of a quote or a trade."""
        return self.is_due(book, trusted_bar(book.code, time, time + 1, ONE, ONE, ONE, ONE, None))

    async def charge_until(
        self, book: PairBook, end: int, bar: Bar | None = None, only: Branch | None = None
    ) -> None:
        """Charge what falls due at or before ``end``, in the order of time, at the mark the venue
        has now. At one time the night goes before funding.

        A position whose margin has to pay is tested after each charge: at the close of ``bar``,
        the bar inside which it falls due, or else at the next price there is. Once it is called
        nothing more is charged to it. ``only``: of one branch; what others owe stays due.
        """
        night, funding = book.next_rollover, book.next_funding
        while (coming := first_due(night, funding, end)) is not None:
            due, rate = coming
            if rate is None:
                night = book.calendar.rollover(due, book.rules.rollover_ns)
            else:
                funding = book.rules.funding.after(due)  # type: ignore[union-attr]
            if only is None:
                book.next_rollover, book.next_funding = night, funding
            if rate is None:
                await self._overnight(book, due, bar, only)
            else:
                await self._funding(book, due, rate, bar, only)
        if only is not None and only.order is None and only.lot is not None:
            for lot in only.lot.position.lots:  # they have paid until now, and what comes of them
                lot.opened = [one._replace(since=max(one.since, end + 1)) for one in lot.opened]

    async def charge_order(self, branch: Branch, positions: bool) -> None:
        """Charge what is pending of ``branch``, or else, with ``positions``, what it has open, for
        what fell due by now, at the last mark there is.

        A command is about to change or to end it: each charge is for what stood then.
        """
        # Between agents all is charged when it falls due, and both sides together.
        if branch.order is not None or (positions and not self._between_agents):
            await self.charge_until(branch.book, self._venue.now, only=branch)

    def _charged(
        self, book: PairBook, due: int, mark: Decimal, only: Branch | None
    ) -> Iterator[tuple[Position, Decimal]]:
        """The positions that stood when it fell due, and how much of them, but for those that are
        called at ``mark`` by the time it is their turn: a charge may call a whole account."""
        if only is not None and only.order is not None:
            return  # it is what is pending that changes
        own = [] if only is None or only.lot is None else [only.lot.position]
        for one in list(book.positions) if only is None else own:
            stood = one.standing(due) if one.lots else ZERO
            if stood > ZERO and not self._cross.has_to_close(one, mark):
                yield one, stood

    async def _overnight(
        self, book: PairBook, due: int, bar: Bar | None, only: Branch | None
    ) -> None:
        mark = book.last
        if mark is None or not (book.fees_filled or book.fees_pending):
            return
        for position, volume in self._charged(book, due, mark, only):
            pool = position.pool
            margin, _ = apportion(pool.margin, volume, pool.volume, book.step)
            amount = book.fee(book.fees_filled, volume, mark, margin)
            await self._charge(position, amount, "overnight", "", bar)
        for branch in list(book.branches.values()) if only is None else [only]:
            await self._keeping(branch, due, mark, bar)

    async def _keeping(self, branch: Branch, due: int, mark: Decimal, bar: Bar | None) -> None:
        """Charge what is pending of ``branch`` for the night that ends at ``due``, once."""
        order, book = branch.order, branch.book
        if order is None or branch.accepted >= due or branch.charged >= due:
            return
        if branch.is_of_bracket or (branch.expires is not None and branch.expires <= due):
            # The exit of a spot bracket costs nothing to keep. What has expired is over, though a
            # bar that opened before may fill it yet.
            return
        branch.charged, volume = due, order.volume
        margin = self._venue.order_margin(branch, volume)
        amount = book.fee(book.fees_pending, volume, mark, margin)
        await self._charge(branch, amount, "overnight", "", bar)

    async def _funding(
        self, book: PairBook, due: int, rate: Decimal, bar: Bar | None, only: Branch | None
    ) -> None:
        mark, rest = book.last, ZERO
        if mark is None:
            return
        for position, volume in self._charged(book, due, mark, only):
            amount = funding_amount(book.pair.worth(volume, mark), rate, position.long, book.step)
            await self._charge(position, amount, "funding", f", rate {plain(rate)}", bar)
            rest = add(rest, amount)
        if self._between_agents and rest:
            # Longs and shorts are as many, so all that can be left is what rounding took.
            legs = sweep(book.quote, rest)
            await self._venue.post(legs, None, "rounding of funding swept to fees")

    async def _charge(
        self,
        what: Branch | Position,
        amount: Decimal,
        name: str,
        rate: str,
        bar: Bar | None,
    ) -> None:
        """Charge a position, or what is pending of a branch: from available, then from the margin
        of the position, then from the insurance account. The level is then tested, of the position
        or of its cross margin account.

        What a position is charged is on record with the oldest of its orders.
        """
        venue, book = self._venue, what.book
        asset, mark = book.quote, book.last or ZERO
        position = what if type(what) is Position else None
        branch = what if type(what) is Branch else what.lots[0].branch  # type: ignore[union-attr]
        order: Revision | None = branch.order
        margin = ZERO
        if position is not None:
            order, margin = position.lots[0].order, position.pool.margin
        if not amount or order is None:
            return
        cross = venue.cross.get(branch.account)
        if cross is not None:
            # The whole account stands for it, after the margin of the position itself.
            spared = () if position is None else (position,)
            await self._cross.raise_money(cross, sub(amount, margin), spared)
            order = branch.order if position is None else position.lots[0].order
            if order is None:
                return
        free = venue.available(branch.account, asset)
        from_margin, uncovered = borne_by(amount, free, margin)
        counterparty = MARKET
        if self._between_agents:
            counterparty = CLEARING if name == "funding" else FEES
        legs = charge(
            branch.account,
            asset,
            amount,
            from_margin=from_margin,
            uncovered=uncovered,
            counterparty=counterparty,
        )
        why = f"{name} charge" + ("" if position else " on a pending order")
        balances = await venue.post(legs, order.id, why)
        changes = self._book(what, order, amount, from_margin)
        order = branch.order if position is None else position.lots[0].order
        assert order is not None
        venue.publisher.tell(
            EventKind.CHARGED,
            branch,
            order,
            positions=changes,
            detail=f"{name} {plain(amount)} {asset} at {plain(mark)}{rate}",
            balances=balances,
        )
        article = "an" if name == "overnight" else "a"
        venue.publisher.tell_uncovered(branch, order, uncovered, asset, f"{article} {name} charge")
        test = self._test_level
        if bar is not None and test is not None and position is not None and (from_margin or cross):
            await test(book, bar, position)

    def _book(
        self,
        what: Branch | Position,
        order: Revision,
        amount: Decimal,
        from_margin: Decimal,
    ) -> Changes:
        """Put a charge on record with ``order``; the open orders that changed."""
        venue = self._venue
        if type(what) is Branch and what.spot:
            return ()
        order = order.charged(amount)
        venue.records.orders.keep(order)
        if type(what) is Branch:
            what.order = order
            return ()
        assert isinstance(what, Position)
        what.lots[0].renew(0, order)
        if not from_margin:
            return ((order.id, order),)
        # Its level is another now, and with it the price at which it is liquidated.
        changed = set_margin(venue, what, sub(what.pool.margin, from_margin))
        return tuple({order.id: order, **dict(changed)}.items())
