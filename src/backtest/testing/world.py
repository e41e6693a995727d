"""What became of a simulation, in the words in which a test asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from backtest.actors import System
from backtest.services.ledger.ledger import Row, journal_sha256

from .audit.counting import counted_worth
from .audit.oracle import Oracle
from .making import plain_text

__all__ = ["World"]


class World:
    """A finished simulation: balances, journal, fills and orders, each as short lines.

    ``system`` is the whole of it for whoever wants more, ``strategies`` the strategies by the names
    of their actors (``s0``, ``s1``, ...), ``records`` the venue's orders, fills and events.
    """

    def __init__(self, system: System, names: Mapping[str, UUID], oracle: Oracle) -> None:
        self.system = system
        self.oracle = oracle
        self.names = {account_id: name for name, account_id in names.items()}
        account: Any = system.actors["account"]
        broker: Any = system.actors["broker"]
        self.ledger = account.ledger
        self.venue = broker.venue
        self.records = broker.venue.records
        self.strategies: dict[str, Any] = {}

    def balance(self, asset: str | None = None, account: str = "main") -> tuple[Decimal, Decimal]:
        """Available and unavailable; without an ``asset`` of the one equity is in."""
        cash = self.venue.valuation.cash if asset is None else asset
        both: tuple[Decimal, Decimal] = self.ledger.balance(account, cash)
        return both

    def rows(self) -> list[Row]:
        """The transactions of all accounts, as `backtest.services.ledger.ledger` gives them."""
        return list(self.ledger.rows())

    def journal(self, account: str | None = "main", *, opening: bool = False) -> list[str]:
        """The transactions of an account, one line each: ``FILL_BUY USD 0 -100``.

        For ``account=None`` all accounts, house included, with the name in front. The deposits at
        the beginning are there with ``opening=True``.
        """
        lines = []
        for row in self.rows():
            if (account is None or row.account == account) and (opening or row.order_id):
                line = _line(row)
                lines.append(line if account is not None else f"{row.account} {line}")
        return lines

    def entries(self, account: str = "main") -> list[list[str]]:
        """The same by entry."""
        found: dict[int, list[str]] = {}
        for row in self.rows():
            if row.account == account and row.order_id:
                found.setdefault(row.entry, []).append(_line(row))
        return list(found.values())

    def fills(self) -> list[str]:
        """The fills, one line each: ``entry LONG 2 @ 101 open``, with ``fee``, ``maker`` and
        ``ambiguous`` where there is such a thing."""
        lines = []
        for one in self.records.fills:
            line = f"{one.kind} {one.direction.name} {plain_text(one.volume)}"
            line += f" @ {plain_text(one.price)} {one.point}"
            line += f" fee {plain_text(one.fee)}" if one.fee else ""
            line += " maker" if one.maker else ""
            lines.append(line + (" ambiguous" if one.ambiguous else ""))
        return lines

    def orders(self) -> list[str]:
        """The orders in their last state: ``LONG 2 FILLED``, with the reason of an end."""
        lines = []
        for one in self.records.orders:
            line = f"{one.direction.name} {plain_text(one.volume)} {one.status.name}"
            line += f" {one.end_reason}" if one.end_reason else ""
            closed = getattr(one, "closing_reason", None)
            lines.append(line + (f" {closed}" if closed else ""))
        return lines

    @property
    def equity(self) -> Decimal:
        """The equity in the cash asset, as the run values itself."""
        equity: Decimal = self.venue.valuation.equity()
        return equity

    @property
    def counted_equity(self) -> Fraction:
        """The equity counted again: balances and open positions at the last prices, in fractions.

        Like the run's own it is that of the accounts on which somebody trades.
        """
        books = self.venue.books
        amounts: dict[str, Fraction] = {}
        for account, assets in self.ledger.balances().items():
            if account in self.venue.sharers:
                for asset, both in assets.items():
                    owned = sum(map(Fraction, both), Fraction(0))
                    amounts[asset] = amounts.get(asset, Fraction(0)) + owned
        for book in books.values():
            for one in book.positions:
                size = Fraction(one.pool.volume) * Fraction(book.pair.contract_size)
                gain = Fraction(book.last) * size - Fraction(one.pool.cost)
                asset = book.pair.quote.code
                sign = 1 if one.long else -1
                amounts[asset] = amounts.get(asset, Fraction(0)) + gain * sign
        return counted_worth(
            amounts,
            self.venue.valuation.cash,
            [book.pair for book in books.values()],
            {code: book.last for code, book in books.items()},
        )

    @property
    def sha256(self) -> str:
        """The hash of the journal: equal for equal runs."""
        return journal_sha256(self.rows(), self.records.orders)

    def text(self) -> str:
        """All of it, for somebody who reads why a test failed."""
        parts = {
            "orders": self.orders(),
            "fills": self.fills(),
            "journal": self.journal(None, opening=True),
        }
        return "\n".join(
            "\n".join([f"{name}:", *(f"  {line}" for line in lines or ["none"])])
            for name, lines in parts.items()
        )


def _line(row: Row) -> str:
    amounts = f"{plain_text(row.available)} {plain_text(row.unavailable)}"
    return f"{row.kind.name} {row.asset} {amounts}"
