"""Trades: what was opened and closed again, with the profit that the journal booked for it.

A trade is

* an order chain of trading orders that closed something and has no position open any more: its PnL
  is the sum of all transactions of the chain on the account (PnL, fees of every stage, what the
  insurance bore), or
* a spot round trip: an order chain that sold what had been bought before. Its PnL is what the sale
  brought, less its fees, less the average cost (with the fees of buying) of what it sold.

Averages are kept per account and pair. What the account owned when the run began counts as bought
at the pair's first price. Of a sale beyond what the pair's own purchases brought in (the base came
through another pair, say) only the part with a known cost counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from uuid import UUID

from attrs import frozen

from backtest.analysis.record import RunRecord
from backtest.models import OrderStatus, SpotOrder, TradingOrder, TradingPair
from backtest.money import ZERO, add, div, mul, round_half_even, sub
from backtest.services.ledger.entries import Leg

__all__ = ["Trade", "trades_of"]

Order = SpotOrder | TradingOrder


@frozen(kw_only=True)
class Trade:
    """One trade: ``pnl`` in ``asset``, net of fees."""

    kind: str
    """``position`` or ``spot``."""
    root_id: UUID
    """The order chain: of a spot round trip, that of the sale."""
    account: str
    pair: str
    asset: str
    pnl: Decimal


def trades_of(record: RunRecord) -> list[Trade]:
    """The trades of a run, in the order in which they began to be closed."""
    orders = {order.id: order for order in record.records.orders}
    names = {account.account_id: name for name, account in record.accounts.items()}
    positions = _Positions(orders.values())
    inventories: dict[tuple[str, str], _Inventory] = {}
    sold: dict[UUID, Trade] = {}
    for order_id, legs in _segments(record):
        order = None if order_id is None else orders.get(order_id)
        if order is None:
            continue
        if isinstance(order, TradingOrder):
            positions.book(order, legs, names[order.account_id], record)
            continue
        account = names[order.account_id]
        pair = record.pairs[order.trading_pair_code]
        inventory = inventories.get((account, pair.code))
        if inventory is None:
            inventory = inventories[account, pair.code] = _opening(record, account, pair)
        base = _change(legs, account, pair.base.code)
        quote = _change(legs, account, pair.quote.code)
        if order.direction.sign > 0:
            inventory.bought(order.root_id, base, quote)
            continue
        pnl = inventory.sold(order.root_id, base, quote)
        before = sold.get(order.root_id)
        if pnl is not None and (base or before is not None):
            sold[order.root_id] = Trade(
                kind="spot",
                root_id=order.root_id,
                account=account,
                pair=pair.code,
                asset=pair.quote.code,
                pnl=pnl if before is None else add(before.pnl, pnl),
            )
    return [*positions.trades(record), *sold.values()]


def _segments(record: RunRecord) -> Iterator[tuple[UUID | None, Sequence[Leg]]]:
    """What was booked, order by order: an entry of several is one of each."""
    for entry in record.ledger.entries:
        yield from entry.segments()


def _change(legs: Sequence[Leg], account: str, asset: str) -> Decimal:
    """What ``legs`` brought ``account`` of ``asset``, in reserve or not."""
    total = ZERO
    for owner, what, _, available, unavailable in legs:
        if owner == account and what == asset:
            total = add(total, add(available, unavailable))
    return total


class _Positions:
    """The chains of trading orders, with what the journal booked for each."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._done: dict[UUID, TradingOrder] = {}
        open_chains: dict[UUID, None] = {}
        for order in orders:
            if isinstance(order, TradingOrder) and order.closing_reason != "offset":
                if order.status is OrderStatus.CLOSED:
                    self._done.setdefault(order.root_id, order)
                elif order.status is OrderStatus.FILLED:
                    open_chains[order.root_id] = None
        for root in open_chains:
            self._done.pop(root, None)
        self._pnl = dict.fromkeys(self._done, ZERO)

    def book(
        self, order: TradingOrder, legs: Sequence[Leg], account: str, record: RunRecord
    ) -> None:
        """Add what was booked for an order to its chain's."""
        root = order.root_id
        if root in self._pnl:
            asset = record.pairs[order.trading_pair_code].quote.code
            change = _change(legs, account, asset)
            self._pnl[root] = add(self._pnl[root], change)

    def trades(self, record: RunRecord) -> Iterator[Trade]:
        """The chains that are over, as trades."""
        for root, order in self._done.items():
            pair = record.pairs[order.trading_pair_code]
            yield Trade(
                kind="position",
                root_id=root,
                account=record.account_name(order.account_id),
                pair=pair.code,
                asset=pair.quote.code,
                pnl=self._pnl[root],
            )


class _Inventory:
    """What an account holds of a pair's base, and what it cost, at average cost."""

    def __init__(self, held: Decimal, cost: Decimal, step: Decimal) -> None:
        self.held = held
        self.cost = cost
        self._step = step
        self._filled: set[UUID] = set()
        self._waiting: dict[UUID, Decimal] = {}

    def _with_fees(self, root: UUID, base: Decimal, quote: Decimal) -> Decimal | None:
        """``quote`` with the fees that came before the chain's first fill; None until that.

        The fees of an order that never fills belong to no trade.
        """
        if root in self._filled:
            return quote
        quote = add(quote, self._waiting.pop(root, ZERO))
        if base:
            self._filled.add(root)
            return quote
        self._waiting[root] = quote
        return None

    def bought(self, root: UUID, base: Decimal, quote: Decimal) -> None:
        """``base`` came in, ``quote`` (negative) was paid for it."""
        paid = self._with_fees(root, base, quote)
        if paid is not None and (base or self.held):
            self.held = add(self.held, base)
            self.cost = sub(self.cost, paid)

    def sold(self, root: UUID, base: Decimal, quote: Decimal) -> Decimal | None:
        """``base`` (negative) went out, ``quote`` came in: the profit; None if that is no sale."""
        received = self._with_fees(root, base, quote)
        if received is None:
            return None
        if not base:  # a fee of a chain that has sold already
            return received
        volume = base.copy_negate()
        part = min(volume, self.held)
        if part <= ZERO:
            return None
        if part < volume:
            received = round_half_even(div(mul(received, part), volume), self._step)
        cost = self.cost
        if part < self.held:
            cost = round_half_even(div(mul(self.cost, part), self.held), self._step)
        self.held = sub(self.held, part)
        self.cost = sub(self.cost, cost)
        return sub(received, cost)


def _opening(record: RunRecord, account: str, pair: TradingPair) -> _Inventory:
    """The inventory at the start: what the account owned, at the pair's first price.

    Where several pairs have the same base, the first of them has it.
    """
    step = pair.quote.step
    first = next(one for one in record.pairs.values() if one.base.code == pair.base.code)
    price = record.valuation.first_prices.get(pair.code)
    text = record.config["cash"].get(account, {}).get(pair.base.code)
    if text is None or price is None or first.code != pair.code:
        return _Inventory(ZERO, ZERO, step)
    held = Decimal(text)
    return _Inventory(held, round_half_even(mul(held, price), step), step)
