"""What the oracle asks of margin (I13): no account and no position is left below maintenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from .units import Units, whole

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
        self._fail = fail
        self.accounts = {
            account.account_id: account
            for _, owned in broker._agents.values()
            for account in owned
            if account.margin_mode == "cross"
        }

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
        held: dict[Any, list[Any]] = {}
        for order in positions:
            if order.account_id in self.accounts:
                held.setdefault(order.account_id, []).append(order)
            elif order.trading_pair_code == pair:
                self._check_isolated(order)
        for account_id, orders in held.items():
            if any(order.trading_pair_code == pair for order in orders):
                self._check(self.accounts[account_id], orders, money)

    def check_exchange(self, positions: Iterable[Any]) -> None:
        """On an exchange: of what stands below its maintenance the liquidation is in the book, or
        waits for somebody to meet."""
        for order in positions:
            book = self._venue.books[order.trading_pair_code]
            if book.phase != "continuous" or order.account_id in self.accounts:
                continue
            if not order.margin_reserved:
                continue  # a known limit: rounded to nothing by a split, it has no price of its own
            mark = Fraction(book.last)
            size = Fraction(order.volume) * Fraction(order.contract_size)
            gain = (mark - Fraction(order.fill_price)) * size * order.direction.sign
            needed = maintained(book.rules, mark * size)
            if Fraction(order.margin_reserved) + gain <= needed and not _is_under_way(book, order):
                self._fail(
                    "I13",
                    f"position {order.id} stands below its maintenance at {book.last}, and nothing "
                    "is under way",
                )

    def _check(
        self, account: Any, orders: list[Any], money: Mapping[Key, tuple[Units, Units]]
    ) -> None:
        equity = whole(sum(money.get((account.name, account.settlement_asset), ())))
        for asset, weight in account.collateral.items():
            owned = whole(sum(money.get((account.name, asset), ())))
            equity += owned * Fraction(weight) * self._price(asset, account.settlement_asset)
        needed = _NOTHING
        for order in orders:
            book = self._venue.books[order.trading_pair_code]
            mark, size = Fraction(book.last), Fraction(order.volume) * Fraction(order.contract_size)
            equity += (mark - Fraction(order.fill_price)) * size * order.direction.sign
            needed += maintained(book.rules, mark * size)
        if equity <= needed:
            self._fail(
                "I13",
                f"account {account.name} has {float(equity)} and must maintain {float(needed)}",
            )

    def _check_isolated(self, order: Any) -> None:
        book = self._venue.books[order.trading_pair_code]
        mark, size = Fraction(book.last), Fraction(order.volume) * Fraction(order.contract_size)
        gain = (mark - Fraction(order.fill_price)) * size * order.direction.sign
        needed = maintained(book.rules, mark * size)
        if Fraction(order.margin_reserved) + gain <= needed:
            self._fail("I13", f"position {order.id} stands below its maintenance at {book.last}")

    def _price(self, asset: str, settlement: str) -> Fraction:
        for book in self._venue.books.values():
            if book.pair.base.code == asset and book.pair.quote.code == settlement:
                return _NOTHING if book.last is None else Fraction(book.last)
        return _NOTHING


def _is_under_way(book: Any, order: Any) -> bool:
    """Whether the liquidation of a position waits for somebody to meet, or to come in."""
    for working in book.unmet:
        holding = getattr(working.key, "holding", None)
        if holding is not None and holding.order.id == order.id and working.kind == "liquidation":
            return True
    return False


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
