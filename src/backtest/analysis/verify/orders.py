"""Orders, fills and events against each other."""

from __future__ import annotations

from backtest.analysis.tables.exact import ONE_UNIT, round_half_even, text_of
from backtest.analysis.tables.times import as_moment
from backtest.analysis.verify.lines import FillLine, Material, OrderLine
from backtest.analysis.verify.moments import execution_time
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.volumes import OFFSET, enters

__all__ = ["fills", "orders"]

_PENDING, _FILLED, _CLOSED = "PENDING", "FILLED", "CLOSED"
_CANCELLED, _REPLACED = "CANCELLED", "REPLACED"
_NEAR = ONE_UNIT // 10**12
"""An average may have no end: it is the same to so many digits."""
_STATES = {
    # filled, closed, cancelled, replaced: which of the times an order in that state has. A
    # position that was replaced has its fill, an order that was replaced before it filled has not.
    _PENDING: (False, False, False, False),
    _FILLED: (True, False, False, False),
    _CLOSED: (True, True, False, False),
    _CANCELLED: (False, False, True, False),
    _REPLACED: (None, False, False, True),
}


def orders(material: Material, finding: Finding) -> str:
    """Each order by itself, and its place in its family."""
    seen: dict[str, OrderLine] = {}
    for place, order in enumerate(material.orders, 1):
        what = f"order {order.id}"
        finding.differ(f"the number of {what}", order.number, str(place))
        if order.id in seen:
            finding.wrong(f"{what} is there twice")
        seen[order.id] = order
        if order.account not in material.agents or order.pair not in material.pairs:
            finding.wrong(f"{what} is of an unknown account or pair: {order.account}, {order.pair}")
        _state(order, what, finding)
        if order.status != _PENDING and order.reserved:
            finding.wrong(
                f"{what} is {order.status} and still has {text_of(order.reserved)} reserved"
            )
    for order in material.orders:
        parent = seen.get(order.parent)
        if order.parent and parent is None:
            finding.wrong(f"order {order.id} has a parent that is not there, {order.parent}")
        root = order.id if not order.parent else ("" if parent is None else parent.root)
        if parent is not None or not order.parent:
            finding.differ(f"the root of order {order.id}", order.root, root)
        if not _is_of_branch(order, parent, seen):
            finding.wrong(f"order {order.id} is of another's branch, {order.branch}")
        if parent is not None:
            finding.differ(f"the creation of order {order.id}", order.created, parent.created)
        if parent is not None and (order.pair, order.account, order.kind, order.direction) != (
            parent.pair, parent.account, parent.kind, parent.direction,
        ):  # fmt: skip
            finding.wrong(f"order {order.id} is not of its parent's pair, account, kind and side")
        if order.entry_order:
            _exit(order, parent, seen.get(order.entry_order), finding)
    return f"{len(seen)} orders"


def _is_of_branch(order: OrderLine, parent: OrderLine | None, seen: dict[str, OrderLine]) -> bool:
    """Whether its branch is its own or its parent's; or, where a position was split, that of the
    part which begins with another order that was filled for it."""
    if parent is None:
        return order.branch == order.id
    if order.branch == order.id:
        return parent.status == _REPLACED
    first = seen.get(order.branch)
    if order.branch == parent.branch or first is None:
        return order.branch == parent.branch
    before = seen.get(first.parent)
    return first.branch == first.id and before is not None and before.branch == parent.branch


def _exit(
    order: OrderLine, parent: OrderLine | None, entry: OrderLine | None, finding: Finding
) -> None:
    """An exit of a spot bracket sells what one fill of its entry bought; one of what was owned
    names itself."""
    if parent is not None:
        finding.differ(f"the entry of order {order.id}", order.entry_order, parent.entry_order)
    elif order.entry_order == order.id and (order.kind, order.direction) == ("spot", "SHORT"):
        return  # of what was owned
    elif (
        entry is None
        or (entry.kind, entry.direction, entry.status) != ("spot", "LONG", _FILLED)
        or (entry.pair, entry.account, entry.filled) != (order.pair, order.account, order.created)
        or (order.kind, order.direction) != ("spot", "SHORT")
    ):
        finding.wrong(f"order {order.id} is no exit of order {order.entry_order}")


def _state(order: OrderLine, what: str, finding: Finding) -> None:
    times = (order.filled, order.closed, order.cancelled, order.replaced)
    wanted = _STATES.get(order.status)
    if wanted is None:
        finding.wrong(f"{what} has an unknown status, {order.status}")
        return
    for name, time, has in zip(("fill", "close", "cancel", "replaced"), times, wanted, strict=True):
        if has is not None and bool(time) != has:
            word = "no" if has else "a"
            finding.wrong(f"{what} is {order.status} and has {word} {name} timestamp")
    if order.volume <= 0:
        finding.wrong(f"{what} has a volume of {text_of(order.volume)}")
    if order.status in (_FILLED, _CLOSED):
        finding.differ(
            f"the filled volume of {what}", text_of(order.fill_volume), text_of(order.volume)
        )
        if order.kind == "spot" or order.closing_reason == OFFSET:
            _limit(order, order.fill_price, what, finding)
    if order.status == _CANCELLED:
        finding.differ(
            f"the cancelled volume of {what}", text_of(order.cancel_volume), text_of(order.volume)
        )
    if any(time and time < order.created for time in times):
        finding.wrong(f"{what} ended before it was created")


def _limit(order: OrderLine, price: int, what: str, finding: Finding) -> None:
    """What filled did so at its limit or better."""
    limit = order.limit_price
    worse = price > limit if order.direction == "LONG" else price < limit
    # A stop-loss is below the take-profit of the same exit, and fills there.
    if limit and worse and not order.entry_order:
        finding.wrong(f"{what} filled at {text_of(price)}, beyond its {text_of(limit)}")


# -- fills -----------------------------------------------------------------------------------------


def fills(material: Material, finding: Finding) -> str:
    """Each fill against its order: price, time, money."""
    ended: dict[str, int] = {}
    for fill in material.fills:
        order = material.order_by_id.get(fill.order)
        what = f"the fill of order {fill.order} at {fill.time}"
        if order is None:
            finding.wrong(f"{what} is of an unknown order")
            continue
        pair = material.pairs[fill.pair]
        worth = fill.price * fill.volume * pair.contract_size
        if not _is_notional(fill, worth, pair.quote_step):
            finding.wrong(f"the notional of {what} is {text_of(fill.notional)}")
        if (fill.root, fill.branch, fill.account, fill.pair, fill.order_kind) != (
            order.root, order.branch, order.account, order.pair, order.kind,
        ):  # fmt: skip
            finding.wrong(f"{what} is not of its order's chain, account, pair and kind")
        execution_time(fill, what, finding)
        if enters(fill):
            _entry(fill, order, what, finding)
        else:
            _closing(fill, order, what, finding)
            closed = material.positions.closes.get((fill.entry_id, fill.order))
            if closed is None:
                finding.wrong(f"{what} closes a position that no fill has opened")
            else:
                expected = text_of(closed.pnl)
                finding.differ(f"the PnL of {what}", text_of(fill.pnl), expected)
        if fill.kind != "entry" or order.kind == "spot":
            ended[fill.order] = ended.get(fill.order, 0) + 1
    _offsets(material, finding)
    for order in material.orders:
        if order.closing_reason == OFFSET:
            continue
        if order.kind == "trading" and order.filled:
            _price(material, order, finding)
        final = order.status == _CLOSED or (order.kind == "spot" and order.status == _FILLED)
        if ended.get(order.id, 0) != int(final):
            finding.wrong(
                f"order {order.id} is {order.status} and has {ended.get(order.id, 0)} fills"
            )
    return f"{len(material.fills)} fills agree with their orders"


def _offsets(material: Material, finding: Finding) -> None:
    """What an order closed of the other side is what the positions there say that it closed."""
    told: dict[str, int] = {}
    for order in material.orders:
        if order.closing_reason == OFFSET:
            told[order.branch] = told.get(order.branch, 0) + order.volume
            what = f"order {order.id}, which closed others,"
            finding.differ(
                f"the closing price of {what}",
                text_of(order.close_price),
                text_of(order.fill_price),
            )
            finding.differ(f"the PnL of {what}", text_of(order.gross_pnl), text_of(0))
    closed: dict[str, int] = {}
    for fill in material.fills:
        if fill.kind == "netting":
            closed[fill.closing] = closed.get(fill.closing, 0) + fill.volume
    for branch in {**told, **closed}:
        finding.differ(
            f"what order {branch} closed of the other side",
            text_of(told.get(branch, 0)),
            text_of(closed.get(branch, 0)),
        )


def _entry(fill: FillLine, order: OrderLine, what: str, finding: Finding) -> None:
    finding.differ(f"the side of {what}", fill.direction, order.direction)
    finding.differ(f"the time of {what}", as_moment(fill.time), order.filled)
    if order.kind == "trading":
        _limit(order, fill.price, f"order {order.id}", finding)
    else:
        finding.differ(f"the price of {what}", text_of(fill.price), text_of(order.fill_price))
        finding.differ(f"the volume of {what}", text_of(fill.volume), text_of(order.volume))
        finding.differ(f"the fee of {what}", text_of(fill.fee), text_of(order.fee_fill))


def _price(material: Material, order: OrderLine, finding: Finding) -> None:
    """What is or was open shows the price of its fill, or the average of its position's."""
    what, price = f"the fill price of order {order.id}", material.positions.prices.get(order.id)
    if price is None:
        finding.wrong(f"{what} is {text_of(order.fill_price)}, but no fill has opened it")
    elif abs(order.fill_price - price) > _NEAR:
        finding.differ(what, text_of(order.fill_price), text_of(price))


def _closing(fill: FillLine, order: OrderLine, what: str, finding: Finding) -> None:
    opposite = {"LONG": "SHORT", "SHORT": "LONG"}.get(order.direction)
    finding.differ(f"the side of {what}", fill.direction, opposite)
    finding.differ(f"the time of {what}", as_moment(fill.time), order.closed)
    finding.differ(f"the kind of {what}", fill.kind, order.closing_reason)
    for name, found, expected in (
        ("price", fill.price, order.close_price),
        ("volume", fill.volume, order.volume),
        ("fee", fill.fee, order.fee_close),
        ("PnL", fill.pnl, order.gross_pnl),
    ):
        finding.differ(f"the {name} of {what}", text_of(found), text_of(expected))


def _is_notional(fill: FillLine, worth: int, step: int) -> bool:
    """Whether the notional is ``worth``, a product of three, as such fills are rounded."""
    if fill.order_kind == "spot":
        return _is_near(fill.notional, worth, step)
    return fill.notional == round_half_even(worth, step * ONE_UNIT * ONE_UNIT) * step


def _is_near(amount: int, exact: int, step: int) -> bool:
    """Whether an amount is within a step of ``exact``, a product of three. How it is rounded hangs
    on the fills before it: that what they come to in all is right is `check_value`'s to tell."""
    unit = ONE_UNIT * ONE_UNIT
    return abs(amount * unit - exact) < step * unit
