"""What the oracle asks of the fees of fills (I14): an order has paid what all its fills cost.

Each fee within its bounds, their sum rounded up once: what a fill costs is what that exceeds what
was charged before. What counts as one order is an order's branch, whatever its fills open or close;
the exits of a spot bracket; what protects the positions of a branch; what one command closes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any
from uuid import UUID

from backtest.models import FeeKind, FeeStage, LeverageKind

__all__ = ["Charged", "FeeAudit", "exact_margin", "rounded_up"]

_PROTECTION = frozenset(("stop_loss", "take_profit"))

Payer = tuple[str, Any]


class FeeAudit:
    """Follows what each order is charged; ``orders`` gives an order's last state by its id."""

    def __init__(
        self, venue: Any, orders: Callable[[UUID], Any], netting: Collection[UUID] = ()
    ) -> None:
        self._venue = venue
        self._orders = orders
        self._netting = netting
        self._charged: dict[Payer, Charged] = {}
        self._closing: dict[UUID, Payer] = {}
        """By the id of a close: the command that it is charged as."""
        self._liquidated: dict[Any, int] = {}
        """How often a position of a branch, or of a netting account in a pair, was liquidated."""
        self._asked: dict[UUID, list[Payer]] = {}
        """By branch: the commands to close that were accepted since the last check."""

    def begin(self) -> None:
        """Another check begins."""
        self._asked.clear()

    def asked(self, order: Any, number: int) -> None:
        """Command ``number`` to close was accepted: its ids are those of the closes that are
        pending now and were not before, and of those that are done already."""
        command: Payer = ("command", number)
        self._asked.setdefault(order.branch_id, []).append(command)
        branch = self._venue.branch_of.get(order.id.int)
        lot = None if branch is None else branch.lot
        for closing in () if lot is None else lot.exits:
            if closing.role == "close":
                self._closing.setdefault(closing.id, command)

    def check(self, fill: Any, order: Any, worth: Fraction, changed: bool) -> Fraction | None:
        """Take a fill; None where it costs what it must, else what that is. ``changed``: its
        margin is not on the order any more."""
        book = self._venue.books[fill.pair]
        fresh, wanted = Charged(book.rules, book.pair.quote.precision), Fraction(0)
        for payer in self._payers(fill, order):
            charged = self._charged.get(payer, fresh).copy()
            due = charged.after(fill, order, worth, changed)
            # What a sale and the account cannot pay is due from the next one.
            sells = fill.order_kind == "spot" and fill.direction.sign < 0
            if due is None or Fraction(fill.fee) == due or (sells and 0 <= fill.fee < due):
                charged.take(Fraction(fill.fee))
                self._charged[payer] = charged
                if payer[0] == "liquidation":
                    key, times = payer[1]
                    self._liquidated[key] = times
                if fill.kind == "close":
                    self._closing[fill.closing_order_id] = payer
                return None
            wanted = due
        return wanted

    def _payers(self, fill: Any, order: Any) -> list[Payer]:
        """What counts as the one order that pays for a fill; several where that cannot be told."""
        if fill.kind == "netting":
            return [("order", fill.closing_order_id)]
        if fill.realised_pnl is None:
            entry = getattr(order, "entry_order_id", None)
            if entry is not None and entry != order.root_id and order.branch_id == order.root_id:
                return [("exits", self._orders(entry).branch_id)]
            return [("order", fill.branch_id)]
        if fill.kind in _PROTECTION:
            return [("protection", fill.branch_id)]
        if fill.kind == "liquidation":
            # All of a position is one order. What is liquidated later may be another position.
            nets = fill.account_id in self._netting
            key: Any = (fill.account_id, fill.pair) if nets else fill.branch_id
            again = self._liquidated.get(key, 0)
            return [("liquidation", (key, again)), ("liquidation", (key, again + 1))]
        own = self._closing.get(fill.closing_order_id)
        if own is not None:
            return [own]
        asked = self._asked.get(fill.branch_id) if fill.kind == "close" else None
        return list(asked or [(fill.kind, fill.closing_order_id)])


class Charged:
    """What one order has been charged for its fills, and what it should have been."""

    def __init__(self, rules: Any, digits: int) -> None:
        self._rules = rules
        self._digits = digits
        self._opening = list(rules.fees_at(FeeStage.FILL))
        self._closing = list(rules.fees_at(FeeStage.CLOSE))
        self.sums: dict[tuple[str, int], Fraction] = {}
        """By fee, the one of the fill where the same stands at the close: what it comes to."""
        self._paid = Fraction(0)
        self._is_known = True
        """Whether all that its fees are a share of can still be told."""

    def copy(self) -> Charged:
        """The same, to be tried."""
        other = copy(self)
        other.sums = dict(self.sums)
        return other

    def after(self, fill: Any, order: Any, worth: Fraction, changed: bool) -> Fraction | None:
        """Take a fill; what it must cost, None where that cannot be told."""
        closes = fill.realised_pnl is not None
        fees = self._closing if closes else self._opening
        margin = Fraction(0)
        if fill.order_kind == "trading" and any(
            one.kind is FeeKind.PERCENT_OF_MARGIN for one in fees
        ):
            # The margin of the moment is not on the order any more.
            margin = exact_margin(
                self._rules, Fraction(fill.volume), worth, Fraction(order.leverage)
            )
            held = Fraction(order.margin_reserved)
            if closes or changed or held != rounded_up(margin, self._digits):
                self._is_known = False
        self.fill(closes, Fraction(fill.volume), worth, margin, fill.maker)
        return self.due() - self._paid if self._is_known else None

    def take(self, fee: Fraction) -> None:
        """The fill was charged ``fee``."""
        self._paid += fee

    def fill(
        self, closes: bool, volume: Fraction, worth: Fraction, margin: Fraction, maker: bool
    ) -> None:
        """Add what a fill comes to."""
        left = list(self._opening)
        for place, one in enumerate(self._closing if closes else self._opening):
            key = ("close", place) if closes else ("fill", place)
            if closes and one in left:
                key = ("fill", left.index(one))
                left[key[1]] = None
            rate: Decimal = one.rate
            if maker and one.maker_rate is not None:
                rate = one.maker_rate
            basis = {
                FeeKind.PERCENT_OF_NOTIONAL: worth,
                FeeKind.FLAT_PER_VOLUME: volume,
                FeeKind.PERCENT_OF_MARGIN: margin,
                FeeKind.FLAT_PER_TRADE: Fraction(1),
            }.get(one.kind)
            if basis is None:
                continue
            if key not in self.sums or one.kind is not FeeKind.FLAT_PER_TRADE:
                self.sums[key] = self.sums.get(key, Fraction(0)) + Fraction(rate) * basis

    def due(self) -> Fraction:
        """What all fills together cost: each fee within its bounds, their sum rounded up once."""
        total = Fraction(0)
        for (stage, place), amount in self.sums.items():
            fee = (self._opening if stage == "fill" else self._closing)[place]
            least = amount if fee.minimum is None else max(amount, Fraction(fee.minimum))
            total += least if fee.maximum is None else min(least, Fraction(fee.maximum))
        return rounded_up(total, self._digits)


def exact_margin(rules: Any, volume: Fraction, worth: Fraction, leverage: Fraction) -> Fraction:
    """The margin of ``volume`` contracts that are ``worth`` so much, unrounded."""
    if rules.leverage_kind is LeverageKind.FLAT_MARGIN_PER_VOLUME:
        return volume * Fraction(rules.margin_per_volume)
    return worth if rules.leverage_kind is LeverageKind.NONE else worth / leverage


def rounded_up(value: Fraction, digits: int) -> Fraction:
    """``value`` with so many digits after the point, toward plus infinity."""
    return Fraction(ceil(value * 10**digits), 10**digits)
