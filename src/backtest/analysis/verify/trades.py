"""What was won and lost, trade by trade, worked out again from the journal's transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from backtest.analysis.metrics import percent, quotient
from backtest.analysis.tables.exact import ONE_UNIT, amount, round_half_even, text_of
from backtest.analysis.verify.lines import Leg, Material, OrderLine
from backtest.analysis.verify.worth import worth
from backtest.money import plain

__all__ = ["Trades", "ratio"]


class Trades:
    """Follows the journal, order by order, and knows in the end what each trade came to."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._chains: dict[str, int] = {}
        """By chain of trading orders: what its transactions came to."""
        self._sales: dict[str, tuple[str, int]] = {}
        """By chain that sold what had been bought: the asset it was sold for, and the profit."""
        self._held: dict[tuple[str, str], tuple[int, int]] = {}
        """By account and pair: what is held of the base, and what it cost."""
        self._filled: set[str] = set()
        self._waiting: dict[str, int] = {}
        """By chain that has not filled yet: the fees it has paid."""

    def entry(self, order_id: str, legs: Sequence[Leg]) -> None:
        """Look at what one entry books for one order."""
        order = self._material.order_by_id.get(order_id)
        if order is None:
            return
        pair = self._material.pairs[order.pair]
        base, quote = (
            sum(
                leg.available + leg.unavailable
                for leg in legs
                if leg.account == order.account and leg.asset == asset
            )
            for asset in (pair.base, pair.quote)
        )
        if order.kind == "trading":
            self._chains[order.root] = self._chains.get(order.root, 0) + quote
            return
        paid = self._with_fees(order.root, base, quote)
        if paid is None:
            return
        held, cost = self._inventory(order)
        if order.direction == "LONG":
            if base or held:
                self._held[order.account, order.pair] = (held + base, cost - paid)
            return
        self._sell(order, base, paid, held, cost)

    def _with_fees(self, root: str, base: int, quote: int) -> int | None:
        """Fees that came before the first fill of a chain count with it."""
        if root in self._filled:
            return quote
        quote += self._waiting.pop(root, 0)
        if base:
            self._filled.add(root)
            return quote
        self._waiting[root] = quote
        return None

    def _sell(self, order: OrderLine, base: int, received: int, held: int, cost: int) -> None:
        step = self._material.pairs[order.pair].quote_step
        volume = -base
        share = 0
        if volume:
            part = min(volume, held)
            if part <= 0:
                return
            if part < volume:
                received = round_half_even(received * part, volume * step) * step
            share = cost if part == held else round_half_even(cost * part, held * step) * step
            self._held[order.account, order.pair] = (held - part, cost - share)
        elif order.root not in self._sales:
            return
        asset = self._material.pairs[order.pair].quote
        before = self._sales.get(order.root, (asset, 0))[1]
        self._sales[order.root] = (asset, before + received - share)

    def _inventory(self, order: OrderLine) -> tuple[int, int]:
        """What is held and what it cost; in the beginning, what the account owned then at the
        pair's first price, for the first of the pairs with that base."""
        key = (order.account, order.pair)
        if key not in self._held:
            facts, pairs = self._material.facts, self._material.pairs
            pair = pairs[order.pair]
            text = facts["config"]["cash"].get(order.account, {}).get(pair.base)
            price = facts["prices"]["first"].get(order.pair)
            first = next(code for code, one in pairs.items() if one.base == pair.base)
            self._held[key] = (0, 0)
            if text is not None and price is not None and first == order.pair:
                held, step = amount(text), pair.quote_step
                cost = round_half_even(held * amount(price), ONE_UNIT * step) * step
                self._held[key] = (held, cost)
        return self._held[key]

    def figures(self) -> dict[str, Any]:
        """The figures of the trades, as the summary has them."""
        last = {code: amount(text) for code, text in self._material.facts["prices"]["last"].items()}
        won = lost = wins = losses = count = 0
        for asset, pnl in self._all():
            value = worth(self._material, {asset: pnl}, last)
            count += 1
            if pnl > 0:
                wins, won = wins + 1, won + value
            elif pnl < 0:
                losses, lost = losses + 1, lost - value
        return {
            "trades": count,
            "wins": wins,
            "losses": losses,
            "win_rate_percent": ratio(wins, count, of_hundred=True),
            "profit_factor": ratio(won, lost),
            "trade_pnl": text_of(won - lost),
        }

    def _all(self) -> Iterator[tuple[str, int]]:
        done: dict[str, str] = {}
        still_open: set[str] = set()
        for order in self._material.orders:
            if order.kind != "trading" or order.closing_reason == "offset":
                continue
            if order.status == "CLOSED":
                done[order.root] = self._material.pairs[order.pair].quote
            elif order.status == "FILLED":
                still_open.add(order.root)
        for root, asset in done.items():
            if root not in still_open:
                yield asset, self._chains.get(root, 0)
        yield from self._sales.values()


def ratio(part: int, whole: int, *, of_hundred: bool = False) -> str | None:
    """A share as the summary spells it; None of nothing."""
    if not whole:
        return None
    share = quotient(Decimal(text_of(part)), Decimal(text_of(whole)))
    share = percent(share) if of_hundred else share
    return None if share is None else plain(share)
