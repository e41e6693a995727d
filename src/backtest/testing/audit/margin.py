"""What the oracle asks of margin (I13): no account and no position is left below maintenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from .segments import segments
from .units import Units, shown, whole

__all__ = ["MarginAudit"]

_NOTHING = Fraction(0)

Key = tuple[str, str]


class MarginAudit:
    """Counts again after a bar of a pair what isolated positions in it, and cross margin accounts
    with positions in it, have and must have.

    ``broker`` is the venue's actor; ``fail`` is called with an invariant and a problem.
    """

    def __init__(self, broker: Any, fail: Callable[[str, str], NoReturn]) -> None:
        self._venue = broker.venue
        owned = [account for _, accounts in broker._agents.values() for account in accounts]
        self._fail = fail
        self.accounts = {
            account.account_id: account for account in owned if account.margin_mode == "cross"
        }
        self.netting = {account.account_id for account in owned if account.netting}
        """The ids of the accounts that have one position in a pair."""

    def check(
        self,
        pair: str,
        positions: Iterable[Any],
        money: Mapping[Key, tuple[Units, Units]],
    ) -> None:
        """After a bar of ``pair``; ``positions`` are those open, ``money`` is the oracle's."""
        book = self._venue.books[pair]
        if Fraction(book.last) % Fraction(book.pair.price_increment):
            return  # off the grid: what is due is due at the next price that is on it
        held: dict[Any, list[_Pool]] = {}
        for pool in self._pools(positions):
            if pool.account_id in self.accounts:
                held.setdefault(pool.account_id, []).append(pool)
            elif pool.pair == pair and pool.level(book) <= 0:
                self._fail("I13", f"{pool} stands below its maintenance at {book.last}")
        for account_id, pools in held.items():
            if any(pool.pair == pair for pool in pools):
                self._check(self.accounts[account_id], pools, money)

    def _pools(self, orders: Iterable[Any]) -> Iterable[_Pool]:
        """What is open, by position: of a netting account all orders in a pair are one, of others
        those of one branch."""
        pools: dict[Any, _Pool] = {}
        for order in orders:
            key: Any = order.branch_id
            if order.account_id in self.netting:
                key = order.account_id, order.trading_pair_code
            pool = pools.get(key)
            if pool is None:
                pool = pools[key] = _Pool(order)
            pool.add(order)
        return pools.values()

    def check_exchange(
        self, positions: Iterable[Any], money: Mapping[Key, tuple[Units, Units]]
    ) -> None:
        """On an exchange: of what stands below its maintenance the liquidation is in the book, or
        waits for somebody to meet; of an account with cross margin, that of all that it has."""
        held: dict[Any, list[_Pool]] = {}
        for pool in self._pools(positions):
            book = self._venue.books[pool.pair]
            if pool.account_id in self.accounts:
                held.setdefault(pool.account_id, []).append(pool)
                continue
            if book.phase != "continuous":
                continue
            if not pool.margin:
                continue  # a known limit: rounded to nothing by a split, it has no price of its own
            if pool.level(book) <= 0 and not _is_under_way(book, pool):
                self._fail(
                    "I13",
                    f"{pool} stands below its maintenance at {book.last}, and nothing is under way",
                )
        for account_id, pools in held.items():
            self._check_called(self.accounts[account_id], pools, money)

    def _check_called(
        self, account: Any, pools: list[_Pool], money: Mapping[Key, tuple[Units, Units]]
    ) -> None:
        equity, needed = self._sums(account, pools, money)
        waits = {pool: _is_under_way(self._venue.books[pool.pair], pool) for pool in pools}
        if equity > needed:
            if any(waits.values()) and not self._lacks(account):
                self._fail("I13", f"account {account.name} suffices, and is being liquidated")
            return
        for pool, under_way in waits.items():
            if self._venue.books[pool.pair].phase == "continuous" and not under_way:
                self._fail(
                    "I13",
                    f"account {account.name} has {float(equity)} and must maintain "
                    f"{float(needed)}, and {pool} is not under way",
                )

    def _lacks(self, account: Any) -> bool:
        """Whether a stop-loss of it waits, perhaps for what a liquidation brings."""
        return any(
            working.kind == "stop_loss" and working.branch.account == account.name
            for book in self._venue.books.values()
            for working in book.unmet
        )

    def saw(self, entry: Any, money: Mapping[Key, tuple[Units, Units]]) -> None:
        """An entry was posted, and ``money`` is what there is after it: where the insurance bears
        what a cross margin account has lost by a close, that account has nothing left."""
        for _, legs in segments(entry):
            if not any(leg[0] == "insurance" and leg[3] < 0 for leg in legs):
                continue
            closes = {leg[0] for leg in legs if leg[2].name == "CLOSE_PNL"}
            for account in self.accounts.values():
                available, unavailable = money.get((account.name, account.settlement_asset), (0, 0))
                if account.name in closes and (available or unavailable):
                    self._fail(
                        "I21",
                        f"entry {entry.number}: the insurance pays for {account.name}, which has "
                        f"{shown(available)} and {shown(unavailable)} in reserve",
                    )

    def _check(
        self, account: Any, pools: list[_Pool], money: Mapping[Key, tuple[Units, Units]]
    ) -> None:
        equity, needed = self._sums(account, pools, money)
        if equity <= needed:
            self._fail(
                "I13",
                f"account {account.name} has {float(equity)} and must maintain {float(needed)}",
            )

    def _sums(
        self, account: Any, pools: list[_Pool], money: Mapping[Key, tuple[Units, Units]]
    ) -> tuple[Fraction, Fraction]:
        """The equity of a cross margin account, and what it must maintain."""
        equity = whole(sum(money.get((account.name, account.settlement_asset), ())))
        for asset, weight in account.collateral.items():
            owned = whole(sum(money.get((account.name, asset), ())))
            equity += owned * Fraction(weight) * self._price(asset, account.settlement_asset)
        needed = _NOTHING
        for pool in pools:
            book = self._venue.books[pool.pair]
            equity += pool.gain(book)
            needed += pool.maintenance(book)
        return equity, needed

    def _price(self, asset: str, settlement: str) -> Fraction:
        for book in self._venue.books.values():
            if book.pair.base.code == asset and book.pair.quote.code == settlement:
                return _NOTHING if book.last is None else Fraction(book.last)
        return _NOTHING


class _Pool:
    """A position, summed up from the orders that are open of it."""

    def __init__(self, order: Any) -> None:
        self.account_id = order.account_id
        self.pair = order.trading_pair_code
        self.sign = order.direction.sign
        self.orders: list[Any] = []
        self.size = self.cost = self.margin = _NOTHING

    def __str__(self) -> str:
        return f"the position of {', '.join(str(order.id) for order in self.orders)}"

    def add(self, order: Any) -> None:
        """One order more."""
        self.orders.append(order)
        size = Fraction(order.volume) * Fraction(order.contract_size)
        self.size += size
        self.cost += size * Fraction(order.fill_price)
        self.margin += Fraction(order.margin_reserved)

    def gain(self, book: Any) -> Fraction:
        """Its profit at the mark."""
        gain: Fraction = (self.size * Fraction(book.last) - self.cost) * self.sign
        return gain

    def maintenance(self, book: Any) -> Fraction:
        """What it must maintain at the mark."""
        return maintained(book.rules, self.size * Fraction(book.last))

    def level(self, book: Any) -> Fraction:
        """What it has beyond that."""
        return self.margin + self.gain(book) - self.maintenance(book)


def _is_under_way(book: Any, pool: _Pool) -> bool:
    """Whether the liquidation of a position waits for somebody to meet, or to come in."""
    own = {order.id for order in pool.orders}
    return any(
        working.kind == "liquidation" and working.lot.order.id in own for working in book.unmet
    )


def maintained(rules: Any, notional: Fraction) -> Fraction:
    """What ``notional`` must maintain: each part of it at the rate of its own bracket."""
    if rules.maintenance_tiers is None:
        return notional * Fraction(rules.maintenance_rate)
    total = begin = _NOTHING
    for tier in rules.maintenance_tiers:
        end = notional if tier.up_to is None else min(notional, Fraction(tier.up_to))
        total += (end - begin) * Fraction(tier.rate)
        begin, rate = end, Fraction(tier.rate)
        if begin == notional:
            return total
    return total + (notional - begin) * rate
