"""The states of an order, kept as operations: frozen orders are made of them when asked for.

Most states are never asked for, and a frozen order of forty fields costs as much as the rest of a
fill. So the venue goes on with the few values that it decides by (id, volume, what is reserved),
and a `Revision` keeps how its state came of the one before. Asked for (by the tables of a run, a
strategy that looks at the order of an event, `explain`), it is folded into the frozen `SpotOrder`
or `TradingOrder` by `backtest.services.orders.operations`, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, overload
from uuid import UUID

from backtest.errors import RejectReason
from backtest.models._fast import derive
from backtest.models.instructions import Instructions
from backtest.models.lifecycle import OrderDirection
from backtest.models.orders import TradingOrder
from backtest.models.spot_order import SpotOrder
from backtest.money import ZERO, sub
from backtest.services.orders.create import create_spot, create_trading
from backtest.services.orders.operations import cancel, close, fill, modify, offset
from backtest.services.orders.parts import replaced, take_part
from backtest.times import from_ns

__all__ = ["OrderTable", "Revision", "View", "created_spot", "created_trading"]

View = SpotOrder | TradingOrder
"""A frozen order."""

_NOBODY = UUID(int=0)
"""For the leaves that an operation makes beside what is asked for: they are thrown away."""


class Revision:
    """One state of an order.

    ``id`` and ``number`` are those of the order in the table of orders; ``volume`` is its volume,
    and ``reserved`` what is held for it, as they are then. A revision never changes. ``operation``
    is a function and its values, called as ``function(revision, frozen order before, *values)``;
    once the frozen order is ``made``, that and ``before`` are dropped.
    """

    __slots__ = ("before", "id", "made", "number", "operation", "reserved", "volume")

    def __init__(
        self,
        order_id: UUID,
        number: int,
        volume: Decimal,
        reserved: Decimal,
        before: Revision | None,
        operation: tuple[Any, ...],
    ) -> None:
        self.id = order_id
        self.number = number
        self.volume = volume
        self.reserved = reserved
        self.before = before
        self.operation = operation
        self.made: View | None = None

    def frozen(self) -> Any:
        """The frozen order: a `SpotOrder` or a `TradingOrder`, the same each time."""
        if self.made is None:
            # An order that was changed ten thousand times has as many revisions: no recursion.
            line = [self]
            before = self.before
            while before is not None and before.made is None:
                line.append(before)
                before = before.before
            for one in reversed(line):
                fold: Callable[..., View] = one.operation[0]
                made = None if one.before is None else one.before.made
                one.made = fold(one, made, *one.operation[1:])
                one.before, one.operation = None, ()
        return self.made

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.frozen(),)

    def __eq__(self, other: object) -> bool:
        """Whether the frozen orders are equal."""
        if not isinstance(other, Revision):
            return NotImplemented
        return self is other or bool(self.frozen() == other.frozen())

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return repr(self.frozen())

    # -- how it begins -----------------------------------------------------------------------------

    @classmethod
    def of(cls, order: View) -> Revision:
        """An order that has been made already."""
        made = cls(order.id, order.order_number, order.volume, order.reserved, None, ())
        made.made = order
        return made

    # -- what becomes of what is pending -----------------------------------------------------------

    def filled(
        self,
        time: int,
        volume: Decimal,
        price: Decimal,
        fee: Decimal,
        margin: Decimal | None,
        step: Decimal,
    ) -> Revision:
        """The part of ``volume`` that filled; it keeps the id. `left` is the rest."""
        what = (_filled, time, price, fee, margin, step)
        return Revision(self.id, self.number, volume, ZERO, self, what)

    def netted(self, time: int, volume: Decimal, price: Decimal, step: Decimal) -> Revision:
        """The part of ``volume`` that filled, and closed others instead of opening anything."""
        return Revision(self.id, self.number, volume, ZERO, self, (_netted, time, price, step))

    def cancelled(
        self, time: int, volume: Decimal, fee: Decimal, reason: RejectReason, step: Decimal
    ) -> Revision:
        """The part of ``volume`` that was cancelled; it keeps the id. `left` is the rest."""
        what = (_cancelled, time, fee, reason, step)
        return Revision(self.id, self.number, volume, ZERO, self, what)

    def left(
        self, order_id: UUID, number: int, part: Decimal, reserved: Decimal, step: Decimal
    ) -> Revision:
        """The rest, once ``part`` of its volume was taken: an order of its own."""
        rest = sub(self.volume, part)
        return Revision(order_id, number, rest, reserved, self, (_left, part, step))

    # -- what becomes of pending and open orders ---------------------------------------------------

    def replaced(self, time: int) -> Revision:
        """A modify replaced it: it counts for nothing. `modified` is the child that lives on."""
        return Revision(self.id, self.number, self.volume, ZERO, self, (_replaced, time))

    def modified(
        self,
        order_id: UUID,
        number: int,
        volume: Decimal,
        changes: Mapping[str, object],
        reserved: Decimal = ZERO,
        fee: Decimal = ZERO,
    ) -> Revision:
        """The child of a modify, with ``changes``, and the ``fee`` for what it is larger."""
        return Revision(order_id, number, volume, reserved, self, (_modified, changes, fee))

    def charged(self, amount: Decimal) -> Revision:
        """The same order, charged ``amount`` for a night."""
        return Revision(self.id, self.number, self.volume, self.reserved, self, (_charged, amount))

    def changed(self, **values: object) -> Revision:
        """The same order with other ``values`` in these fields."""
        what = (_changed, values)
        return Revision(self.id, self.number, self.volume, self.reserved, self, what)

    # -- what becomes of what is open --------------------------------------------------------------

    def closed(
        self,
        time: int,
        volume: Decimal,
        price: Decimal,
        fee: Decimal,
        pnl: Decimal,
        reason: str,
        step: Decimal,
        average: Decimal | None,
    ) -> Revision:
        """The part of ``volume`` that was closed; it keeps the id. `open_still` is the rest."""
        what = (_closed, time, price, fee, pnl, reason, step, average)
        return Revision(self.id, self.number, volume, ZERO, self, what)

    def open_still(self, order_id: UUID, number: int, part: Decimal, step: Decimal) -> Revision:
        """The rest, once ``part`` of its volume was closed: an order of its own."""
        return Revision(order_id, number, sub(self.volume, part), ZERO, self, (_left, part, step))


class OrderTable(Sequence[View]):
    """All orders of a run by number, from 1, each in its last state: a sequence of frozen orders.

    An item is made when it is looked at.
    """

    __slots__ = ("revisions",)

    def __init__(self, orders: Sequence[View] = ()) -> None:
        self.revisions = [Revision.of(order) for order in orders]

    def keep(self, revision: Revision) -> None:
        """Store an order's new state under its number."""
        number = revision.number
        if number > len(self.revisions):
            self.revisions.append(revision)
        else:
            self.revisions[number - 1] = revision

    def __len__(self) -> int:
        return len(self.revisions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __setitem__(self, place: int, order: View) -> None:
        self.revisions[place] = Revision.of(order)

    @overload
    def __getitem__(self, place: int) -> View: ...
    @overload
    def __getitem__(self, place: slice) -> list[View]: ...
    def __getitem__(self, place: int | slice) -> View | list[View]:
        if isinstance(place, slice):
            return [one.frozen() for one in self.revisions[place]]
        made: View = self.revisions[place].frozen()
        return made

    def __iter__(self) -> Iterator[View]:
        for one in self.revisions:
            yield one.frozen()

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderTable, (list(self),)


# -- how each operation is folded ------------------------------------------------------------------
#
# Each is given the revision, the frozen order before it, and the operation's values.


def created_spot(new: Revision, _: None, *values: Any) -> SpotOrder:
    """A pending spot order; ``values`` as `_begun` has them, and the order whose exit it is."""
    *common, entry = values
    return create_spot(**_begun(new, *common), entry_order_id=entry)


def created_trading(new: Revision, _: None, *values: Any) -> TradingOrder:
    """A pending trading order; likewise, and the market's price, leverage and contract size."""
    *common, price, leverage, size = values
    return create_trading(
        **_begun(new, *common), price=price, leverage=leverage, contract_size=size
    )


def _begun(
    new: Revision,
    time: int,
    pair: str,
    side: OrderDirection,
    agent: UUID,
    account: UUID,
    broker: UUID,
    run: UUID,
    limit: Decimal | None,
    stop: Decimal | None,
    stop_loss: Decimal | None,
    take_profit: Decimal | None,
    fee: Decimal,
    instructions: Instructions,
) -> dict[str, Any]:
    """What the two kinds have in common: when it came, whose it is, what it asks for."""
    return {
        "id": new.id,
        "order_number": new.number,
        "at": from_ns(time),
        "pair": pair,
        "direction": side,
        "volume": new.volume,
        "agent_id": agent,
        "account_id": account,
        "broker_id": broker,
        "run_id": run,
        "limit_price": limit,
        "stop_price": stop,
        "stop_loss": stop_loss,
        "take_profit": take_profit,
        "reserved": new.reserved,
        "fee": fee,
        "instructions": instructions,
    }


def _filled(
    new: Revision,
    before: View,
    time: int,
    price: Decimal,
    fee: Decimal,
    margin: Decimal | None,
    step: Decimal,
) -> View:
    return fill(
        before,
        at=from_ns(time),
        price=price,
        volume=new.volume,
        fee=fee,
        leaves_id=_NOBODY,
        margin=margin,
        step=step,
    ).filled


def _netted(
    new: Revision, before: TradingOrder, time: int, price: Decimal, step: Decimal
) -> TradingOrder:
    at = from_ns(time)
    return offset(
        before, at=at, price=price, volume=new.volume, leaves_id=_NOBODY, step=step
    ).filled


def _cancelled(
    new: Revision, before: View, time: int, fee: Decimal, reason: RejectReason, step: Decimal
) -> View:
    return cancel(
        before,
        at=from_ns(time),
        volume=new.volume,
        leaves_id=_NOBODY,
        fee=fee,
        reason=reason,
        step=step,
    ).cancelled


def _left(new: Revision, before: View, part: Decimal, step: Decimal) -> View:
    _, rest = take_part(before, part, new.id, new.reserved, step)
    rest.__dict__["order_number"] = new.number  # a copy that is ours alone still
    return rest


def _replaced(_: Revision, before: View, time: int) -> View:
    return replaced(before, from_ns(time), RejectReason.REQUESTED)


def _modified(new: Revision, before: View, changes: Mapping[str, object], fee: Decimal) -> View:
    child = modify(
        before,
        at=before.create_timestamp,  # of the parent, which is not asked for here
        new_id=new.id,
        leaves=new.volume,
        changes=changes,
        reserved=new.reserved,
        fee=fee,
    ).child
    child.__dict__["order_number"] = new.number
    return child


def _charged(_: Revision, before: TradingOrder, amount: Decimal) -> TradingOrder:
    return before.create_with_overnight_fees(amount)


def _changed(_: Revision, before: View, values: Mapping[str, object]) -> View:
    return derive(before, **values)


def _closed(
    new: Revision,
    before: TradingOrder,
    time: int,
    price: Decimal,
    fee: Decimal,
    pnl: Decimal,
    reason: str,
    step: Decimal,
    average: Decimal | None,
) -> TradingOrder:
    return close(
        before,
        at=from_ns(time),
        price=price,
        volume=new.volume,
        fee=fee,
        pnl=pnl,
        closing_reason=reason,
        rest_id=_NOBODY,
        step=step,
        average=average,
    ).closed


def _unpickled(order: View) -> Revision:
    return Revision.of(order)
