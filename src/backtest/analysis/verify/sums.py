"""What the journal adds up to for orders and positions, against what they show themselves."""

from __future__ import annotations

from backtest.analysis.tables.exact import text_of
from backtest.analysis.verify.journal import Journal
from backtest.analysis.verify.lines import Material, OrderLine
from backtest.analysis.verify.verification import Finding

__all__ = ["reserves", "trades"]

_PENDING, _FILLED, _CLOSED = "PENDING", "FILLED", "CLOSED"
_CANCELLED, _REPLACED = "CANCELLED", "REPLACED"
_Holder = str | tuple[str, str]
"""A chain; on an account that nets it and a pair, whose orders hold what is of one position."""


def reserves(material: Material, journal: Journal, finding: Finding) -> str:
    """What is in reserve is there for a pending order or an open position, to the last digit."""
    explained: dict[tuple[str, str], int] = {}
    by_holder: dict[_Holder, int] = {}
    live = 0
    for order in material.orders:
        pair = material.pairs[order.pair]
        held = 0
        if order.status == _PENDING:
            held = order.reserved
        elif order.status == _FILLED and order.kind == "trading":
            held = order.margin
        live += bool(held)
        base = order.kind == "spot" and order.direction == "SHORT"
        key = (order.account, pair.base if base else pair.quote)
        explained[key] = explained.get(key, 0) + held
        holder = _holder(material, order)
        by_holder[holder] = by_holder.get(holder, 0) + held
        entry = material.order_by_id.get(order.entry_order)
        if entry is not None and not order.parent:
            # What the exit sells was put in reserve with the fill of its entry, and stands there.
            of_entry = _holder(material, entry)
            by_holder[of_entry] = by_holder.get(of_entry, 0) + entry.volume
            by_holder[holder] -= entry.volume
    for key in sorted({*explained, *journal.held}):
        if key[0] in material.agents:
            found = journal.held.get(key, (0, 0))[1]
            if found != explained.get(key, 0):
                finding.wrong(
                    f"{key[0]} has {text_of(found)} {key[1]} in reserve, orders and positions "
                    f"explain {text_of(explained.get(key, 0))}"
                )
    reserved: dict[_Holder, int] = {}
    for root, sums in _by_chain(material, journal).items():
        holder = _holder(material, material.order_by_id[root])
        reserved[holder] = reserved.get(holder, 0) + sum(own for _, own in sums.values())
    for holder, found in reserved.items():
        if found != by_holder.get(holder, 0):
            what = f"chain {holder}" if isinstance(holder, str) else " in ".join(holder)
            finding.wrong(
                f"{what} has {text_of(found)} in reserve, its orders explain "
                f"{text_of(by_holder.get(holder, 0))}"
            )
    return f"{live} orders and positions hold all that is in reserve"


def _holder(material: Material, order: OrderLine) -> _Holder:
    if order.kind == "trading" and order.account in material.netting:
        return order.account, order.pair
    return order.root


def _by_chain(
    material: Material, journal: Journal
) -> dict[str, dict[tuple[str, str], tuple[int, int]]]:
    """The journal's sums per order, added up per chain."""
    chains: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
    for order_id, sums in journal.by_order.items():
        order = material.order_by_id.get(order_id)
        if order is None:
            continue
        chain = chains.setdefault(order.root, {})
        for key, (total, reserved) in sums.items():
            before = chain.get(key, (0, 0))
            chain[key] = (before[0] + total, before[1] + reserved)
    return chains


def trades(material: Material, journal: Journal, finding: Finding) -> str:
    """PnL and fees that orders show are the sums of their chains' own transactions."""
    shown: dict[str, dict[str, int]] = {}
    for order in material.orders:
        if order.status == _CLOSED:
            paid = order.fee_create + order.fee_fill + order.fee_close + order.fee_cancel
            net = order.gross_pnl - paid - order.fee_overnight
            finding.differ(f"the net PnL of order {order.id}", text_of(order.net_pnl), text_of(net))
        for name, status, fee in (
            ("close", _CLOSED, order.fee_close), ("cancel", _CANCELLED, order.fee_cancel),
        ):  # fmt: skip
            if fee and order.status != status:
                finding.wrong(f"order {order.id} is {order.status} and has a {name} fee")
        if order.status == _REPLACED:
            continue
        sums = shown.setdefault(order.root, {})
        for kind, units in (
            ("FEE_CREATE", -order.fee_create),
            ("FEE_FILL", -order.fee_fill),
            ("FEE_CLOSE", -order.fee_close),
            ("FEE_CANCEL", -order.fee_cancel),
            ("FEE_OVERNIGHT", -order.fee_overnight),
            ("CLOSE_PNL", order.gross_pnl if order.status == _CLOSED else 0),
        ):
            sums[kind] = sums.get(kind, 0) + units
    booked = _by_chain(material, journal)
    for root, sums in shown.items():
        chain: dict[str, int] = {}
        for (kind, _), (total, _) in booked.get(root, {}).items():
            chain[kind] = chain.get(kind, 0) + total
        spot = material.order_by_id[root].kind == "spot" if root in material.order_by_id else False
        for kind, units in sums.items():
            if kind == "FEE_OVERNIGHT" and spot:
                continue  # spot orders do not carry it: it stands in the journal alone
            if chain.get(kind, 0) != units:
                finding.wrong(
                    f"chain {root}: its orders show {text_of(units)} of {kind}, its transactions "
                    f"sum to {text_of(chain.get(kind, 0))}"
                )
    return f"PnL and fees of {len(shown)} chains"
