"""Margin calls between agents: cross margin accounts that do not suffice, and their liquidations.

An account is tested at the marks after whatever changed it or moved a mark, unrounded. When it is
called its pending orders are cancelled, and its positions come to the book at the market, worst
first, one after the other, until it suffices. Those that find nobody wait for whoever comes, as
long as the account is called.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from decimal import Decimal

from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.cross_accounts import Call, CrossAccounts
from backtest.actors.venue.position import Closing, Position, branch_of
from backtest.actors.venue.positions import drop_closing
from backtest.actors.venue.stops import tell_triggered
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.money import ZERO, plain, sub
from backtest.services.book.book import Resting
from backtest.services.fills.walk import Working
from backtest.services.margin.accounts import CrossAccount
from backtest.services.margin.calls import best_of, next_to_close
from backtest.services.margin.cross import Standing

from .market import MarketBook
from .pending import market_of

__all__ = ["Calls"]


class Calls(CrossAccounts):
    """Watches cross margin accounts, calls them and liquidates.

    Where an account has positions in one market only, what calls it is a price, and stands among
    the triggers there. Where it has several, and while it is called, it is looked at whenever one
    of their marks moves.
    """

    def __init__(self, venue: Venue, cancellation: Cancellation) -> None:
        super().__init__(venue, cancellation)
        self.coming: deque[Working] = deque()
        """What is to be matched, and who is to be called, in the order in which it came."""
        self.touched: dict[str, bool] = {}
        """The accounts to be looked at, and whether they may have more money than before."""
        self.near: dict[MarketBook, dict[str, None]] = {}
        """Who is looked at whenever the mark of a market moves."""
        self._alarms: dict[str, list[tuple[MarketBook, Call]]] = {}
        self._known: dict[str, list[object]] = {}
        """What an account had when it was looked at last: money, and its positions in numbers."""
        self._under_way: dict[str, None] = {}
        """Whose calls wait for their turn."""
        self._numbers: dict[str, int] = {}
        """Which of two accounts that one price calls is the first: the one that held something
        before."""
        self._lacking: dict[str, dict[Working, None]] = {}
        """By account what must be carried out and can be paid for only by profits of others."""

    # -- who is looked at --------------------------------------------------------------------------

    def touch(self, name: str, paid: bool = True) -> None:
        """Something of the account is another; ``paid``: its money may be, too."""
        if name in self._venue.cross:
            self.touched[name] = paid or self.touched.get(name, False)

    def moved(self, book: MarketBook) -> None:
        """The mark of ``book`` moved."""
        for name in self.near.get(book, ()):
            self.touch(name)

    def wake(self, book: MarketBook) -> None:
        """``book`` trades on: who has something there may be called now."""
        for name in self._venue.cross:
            if book.held(name):
                self.touch(name)

    def recover(self) -> None:
        """The venue begins again after a failure."""
        self._under_way.clear()
        for name in self._venue.cross:
            self.touch(name)

    def look(self) -> None:
        """Look at the accounts that were touched: who is to be called is, who suffices again is
        left alone; of the others it is noted what would call them."""
        touched, self.touched = self.touched, {}
        for name, paid in touched.items():
            self._look(self._venue.cross[name], paid)

    def _look(self, account: CrossAccount, paid: bool) -> None:
        name = account.name
        books = [book for book in self._books() if book.held(name)]
        if not self._has_changed(account, books):
            return
        self._forget(name)
        if not books:
            self._venue.called.pop(name, None)
            self._lacking.pop(name, None)
            return
        standing, price = self._stands(account, books)
        is_underfunded = standing.level(price) <= ZERO
        lacking = self._lacks_still(name, is_underfunded)
        if is_underfunded or lacking or len(books) > 1:
            for book in books:
                self.near.setdefault(book, {})[name] = None
        if paid:
            self._come_again(lacking)
        if not is_underfunded:
            self._end(account, standing, price, lacking)
            self._set_alarms(account, books, standing)
        elif name in self._venue.called:
            self._go_on(account, standing, price)
        elif name not in self._under_way and _continuous(books):
            self._under_way[name] = None
            self.coming.append(Call(account))

    def _has_changed(self, account: CrossAccount, books: Collection[MarketBook]) -> bool:
        """Whether another price calls the account than that which it waits for, in one market:
        what it reserves does not, as long as it has as much."""
        name, known = account.name, self._known.get(account.name)
        now: list[object] = [self.total(account, account.asset)]
        held = [one for book in books for one in book.held(name)]
        now += [one.pool for one in held]
        self._known[name] = now
        if any(lot.closing("liquidation") is not None for one in held for lot in one.lots):
            return True  # it may have had its turn, and wait in vain
        if len(books) != 1 or name in self._venue.called or name in self._lacking:
            return True
        alarms = self._alarms.get(name)
        return (
            known is None
            or alarms is None
            or any(call.place is None for _, call in alarms)
            or known != now
        )

    def _stands(
        self, account: CrossAccount, books: Sequence[MarketBook]
    ) -> tuple[Standing, Decimal]:
        """Where the account stands, at which price: that of its market, if it has one only."""
        if len(books) != 1:
            return self.standing(account), ZERO
        book = books[0]
        assert book.last is not None
        return self.standing(account, book), book.last

    def _books(self) -> Collection[MarketBook]:
        # The venue of an exchange makes no others; not tested one by one, for every trade asks.
        return self._venue.books.values()  # type: ignore[return-value]

    def _forget(self, name: str) -> None:
        """What was noted of the account is old."""
        for book, call in self._alarms.pop(name, ()):
            if call.place is not None:
                book.triggers.withdraw(call)
        for near in self.near.values():
            near.pop(name, None)

    def _set_alarms(
        self, account: CrossAccount, books: Collection[MarketBook], standing: Standing
    ) -> None:
        alarms = self._alarms[account.name] = []
        number = self._numbers.setdefault(account.name, len(self._numbers))
        for book in books:
            assert book.last is not None
            if len(books) > 1:
                standing = self.standing(account, book)
            low, high = standing.triggers(book.last)
            for price, rises in ((low, False), (high, True)):
                if price is not None:
                    call = Call(account, rises, price, number)
                    book.triggers.wait(call)
                    alarms.append((book, call))

    # -- the call ----------------------------------------------------------------------------------

    async def carry_out(self, call: Call) -> None:
        """Call an account, unless it suffices by now."""
        account, name = call.account, call.account.name
        self._under_way.pop(name, None)
        self.touch(name, False)
        books = [book for book in self._books() if book.held(name)]
        if name in self._venue.called or not _continuous(books):
            return
        standing, price = self._stands(account, books)
        if standing.level(price) <= ZERO:
            self._venue.called[name] = None
            await self.cancel_orders(account, _why(account, standing, price))

    def _go_on(self, account: CrossAccount, standing: Standing, price: Decimal) -> None:
        """Let the next of its positions come to the book, once the one before has had its turn.

        It is the worst; but while the account has too little to pay for what that has lost, the
        best.
        """
        held = list(self.positions(account))
        if any(_has_turn_to_come(one) for one in held):
            return
        left = {one for one in held if _can_come(one)}
        results = [one for one in standing.results(price) if one[0] in left]
        position = next_to_close(results, standing.money)
        if position is not None:
            self._liquidate(position, _why(account, standing, price))

    def _liquidate(self, position: Position, detail: str) -> None:
        """Let a position come to its book, lot by lot."""
        venue, book = self._venue, position.book
        for lot in position.lots:
            if lot.closing("liquidation") is not None:
                continue
            closing = Closing(
                venue.ids.draw(),
                "liquidation",
                lot,
                "liquidation",
                book.last,
                venue.next_sequence(),
            )
            closing.triggered = True
            lot.put(closing)
            tell_triggered(venue, closing, detail)

    def _end(
        self,
        account: CrossAccount,
        standing: Standing,
        price: Decimal,
        lacking: Collection[Working],
    ) -> None:
        """The account suffices: what waits of its liquidations waits no more."""
        self._venue.called.pop(account.name, None)
        if lacking:
            return
        for position in self.positions(account):
            for lot in position.lots:
                closing = lot.closing("liquidation")
                if closing is not None and _waits(closing):
                    why = f"account {account.name} suffices again: {_figures(standing, price)}"
                    drop_closing(self._venue, closing, RejectReason.MARGIN_CALL, why)

    # -- what only profits pay ---------------------------------------------------------------------

    def hold(self, working: Working) -> None:
        """``working`` must be carried out, and only profits of other positions can pay for it: it
        waits until those, which are closed for it, the largest first, have brought enough."""
        branch = branch_of(working)
        account, book = self._venue.cross[branch.account], market_of(branch)
        place = working.place
        if type(place) is Resting and place.level is not None:
            book.orders.remove(place)
        working.place = None
        book.unmet[working] = None
        self._lacking.setdefault(account.name, {})[working] = None
        self.near.setdefault(book, {})[account.name] = None
        results = list(self.standing(account).results(ZERO))
        best = best_of(one for one in results if _can_come(one[0]))
        if best is not None and not any(_has_turn_to_come(one) for one, _ in results):
            self._liquidate(best, f"account {account.name} needs its profit")

    def paid(self, working: Working) -> None:
        """``working`` could be paid for, perhaps after all."""
        if self._lacking:
            name = branch_of(working).account
            if self._lacking.get(name, {}).pop(working, working) is not working:
                self.touch(name)

    def _lacks_still(self, name: str, is_underfunded: bool) -> Collection[Working]:
        """What of the account waits for profits of others: liquidations, while it
        ``is_underfunded``."""
        lacking = self._lacking.get(name)
        if lacking is None:
            return ()
        for working in list(lacking):
            if not working.is_live or (working.kind == "liquidation" and not is_underfunded):
                del lacking[working]
        if not lacking:
            del self._lacking[name]
        return lacking

    def _come_again(self, lacking: Collection[Working]) -> None:
        for working in lacking:
            book = market_of(branch_of(working))
            if working in book.unmet:
                del book.unmet[working]
                self.coming.append(working)

    def needs_profits(
        self,
        account: CrossAccount,
        lacks: Decimal,
        closed: Collection[Position],
        own: Branch | None,
    ) -> bool:
        """Whether what it ``lacks`` to close some positions can be found only in what others have
        won: not in their margins, nor in what is reserved for orders but its ``own``."""
        there = self._venue.reserved(account.name, account.asset)
        for position in closed:
            there = sub(there, position.pool.margin)
        if own is not None and own.order is not None and own.asset == account.asset:
            there = sub(there, own.order.reserved)
        if lacks <= there:
            return False
        results = self.standing(account).results(ZERO)
        return any(pnl > ZERO and position not in closed for position, pnl in results)

    # -- the money ---------------------------------------------------------------------------------

    async def raise_money(
        self,
        account: CrossAccount,
        needed: Decimal,
        spared: Collection[Position],
        own: Branch | None = None,
    ) -> None:
        """Pending orders are cancelled, then the margins of other positions are taken."""
        if self.lacks(account, needed):
            detail = f"account {account.name} needs {plain(needed)} {account.asset}"
            await self.cancel_orders(account, detail, but=own)
            await self.use_margins(account, needed, spared)


def _continuous(books: Collection[MarketBook]) -> bool:
    """Whether anything can be liquidated now."""
    return any(book.phase == "continuous" for book in books)


def _can_come(position: Position) -> bool:
    """Whether something of it can come to the book, and has not."""
    book = position.book
    assert isinstance(book, MarketBook)
    return book.phase == "continuous" and any(
        lot.closing("liquidation") is None for lot in position.lots
    )


def _has_turn_to_come(position: Position) -> bool:
    """Whether a liquidation of it is on its way to the book."""
    closings = [lot.closing("liquidation") for lot in position.lots]
    return any(one is not None and not _waits(one) for one in closings)


def _waits(working: Working) -> bool:
    """Whether a liquidation has had its turn, and waits for somebody to meet."""
    return working.place is not None or working in market_of(branch_of(working)).unmet


def _why(account: CrossAccount, standing: Standing, price: Decimal) -> str:
    return f"account {account.name} is called: {_figures(standing, price)}"


def _figures(standing: Standing, price: Decimal) -> str:
    equity, maintenance = standing.equity(price), standing.maintenance(price)
    return f"equity {plain(equity)}, maintenance {plain(maintenance)}"
