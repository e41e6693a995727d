"""An order kept as its steps is, whenever it is looked at, what the operations make of it."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import RejectReason
from backtest.models import PLAIN, OrderDirection, OrderStatus
from backtest.money import ZERO
from backtest.services.orders.create import create_trading
from backtest.services.orders.operations import cancel, close, fill, modify, offset
from backtest.services.orders.revision import OrderTable, Revision, created_trading
from backtest.times import from_ns

D = Decimal
STEP = D("0.01")
AGENT, ACCOUNT, BROKER, RUN = (UUID(int=number) for number in (101, 102, 103, 104))


def begun(volume: Decimal, reserved: Decimal) -> tuple[Revision, Any]:
    """A limit to buy, kept as steps, and made at once."""
    what = (
        created_trading,
        1_000,
        "BTCUSD",
        OrderDirection.LONG,
        *(AGENT, ACCOUNT, BROKER, RUN),
        *(D(100), None, D(90), None),
        D("0.50"),
        PLAIN,
        *(D(99), D(5), D(1)),
    )
    made = create_trading(
        id=UUID(int=1),
        order_number=1,
        at=from_ns(1_000),
        pair="BTCUSD",
        direction=OrderDirection.LONG,
        volume=volume,
        price=D(99),
        agent_id=AGENT,
        account_id=ACCOUNT,
        broker_id=BROKER,
        run_id=RUN,
        limit_price=D(100),
        stop_loss=D(90),
        leverage=D(5),
        reserved=reserved,
        fee=D("0.50"),
    )
    return Revision(UUID(int=1), 1, volume, reserved, None, what), made


def numbered(order: Any, number: int) -> Any:
    """``order``, a copy that is ours alone, with its number in the table."""
    order.__dict__["order_number"] = number
    return order


def part_of(draw: Any, volume: Decimal, *, whole: bool = True) -> Decimal:
    lots = int(volume)
    return D(draw(st.integers(1, lots if whole else lots - 1)))


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[Revision, Any]]:
    """What became of an order and of all that lived on of it: as steps, and made at once."""
    volume = D(draw(st.integers(2, 12)))
    pair = begun(volume, volume * 20)
    seen, pending = [pair], [pair]
    opened: list[tuple[Revision, Any]] = []
    number = 1
    for at in range(2_000, 2_000 + 1_000 * draw(st.integers(1, 10)), 1_000):
        held = pending or opened
        if not held:
            break
        revision, order = held.pop()
        number += 1
        new, now = UUID(int=number), from_ns(at)
        if held is opened:
            closed = part_of(draw, order.volume)
            rest_id = None if closed == order.volume else new
            done, rest = close(
                order, at=now, price=D(104), volume=closed, fee=D("0.07"), pnl=D(4) * closed,
                closing_reason="close", rest_id=rest_id, step=STEP,
            )  # fmt: skip
            now_closed = revision.closed(
                at, closed, D(104), D("0.07"), D(4) * closed, "close", STEP, None
            )
            seen.append((now_closed, done))
            if rest is not None:
                still = revision.open_still(new, number, closed, STEP)
                opened.append((still, numbered(rest, number)))
                seen.append(opened[-1])
            continue
        step = draw(st.sampled_from(["fill", "net", "cancel", "modify", "charge"]))
        if step == "charge":
            pending.append(
                (revision.charged(D("0.03")), order.create_with_overnight_fees(D("0.03")))
            )
            seen.append(pending[-1])
            continue
        if step == "modify":
            changes = {"limit_price": D(draw(st.integers(95, 105)))}
            left = part_of(draw, D(12))
            old, child = modify(
                order, at=now, new_id=new, leaves=left, changes=changes, reserved=left * 20,
                fee=D("0.11"),
            )  # fmt: skip
            lives_on = revision.modified(new, number, left, changes, left * 20, D("0.11"))
            seen.append((revision.replaced(at), old))
            pending.append((lives_on, numbered(child, number)))
            seen.append(pending[-1])
            continue
        part = part_of(draw, order.volume)
        kept = ZERO
        more: dict[str, UUID] = {}
        if part != order.volume:
            kept = (order.volume - part) * 20
            more = {"leaves_id": new}
        if step == "fill":
            done, leaves = fill(
                order, at=now, price=D(99), volume=part, fee=D("0.20"), margin=part * 19,
                reserved_left=kept, step=STEP, **more,
            )  # fmt: skip
            filled = revision.filled(at, part, D(99), D("0.20"), part * 19, STEP)
            opened.append((filled, done))
        elif step == "net":
            done, leaves = offset(
                order, at=now, price=D(99), volume=part, reserved_left=kept, step=STEP, **more
            )
            filled = revision.netted(at, part, D(99), STEP)
        else:
            done, leaves = cancel(
                order, at=now, volume=part, fee=D("0.02"), reason=RejectReason.REQUESTED,
                reserved_left=kept, step=STEP, **more,
            )  # fmt: skip
            filled = revision.cancelled(at, part, D("0.02"), RejectReason.REQUESTED, STEP)
        seen.append((filled, done))
        if leaves is not None:
            pending.append((revision.left(new, number, part, kept, STEP), numbered(leaves, number)))
            seen.append(pending[-1])
    return seen


@given(lives(), st.randoms(use_true_random=False))
def test_each_state_is_what_the_operations_make_of_it_in_whatever_order_they_are_looked_at(
    seen: list[tuple[Revision, Any]], random: Any
) -> None:
    random.shuffle(seen)
    for revision, order in seen:
        # What decides without looking is what is seen then.
        told = revision.id, revision.number, revision.volume, revision.reserved
        assert revision.frozen() == order
        assert told == (order.id, order.order_number, order.volume, order.reserved)
        assert revision.frozen() is revision.frozen()


def test_an_order_that_was_changed_ten_thousand_times_can_be_looked_at() -> None:
    revision, _ = begun(D(2), D(40))
    first = revision
    for number in range(2, 10_002):
        changes = {"limit_price": D(number)}
        revision = revision.modified(UUID(int=number), number, D(2), changes, D(40))
    assert revision.frozen().limit_price == D(10_001)
    assert first.frozen().limit_price == D(100)  # and what it was is what it was


def test_the_table_holds_the_last_state_of_each_order_by_number() -> None:
    table = OrderTable()
    one, _ = begun(D(5), D(100))
    table.keep(one)
    filled = one.filled(2_000, D(2), D(99), ZERO, D(38), STEP)
    table.keep(filled)
    table.keep(one.left(UUID(int=2), 2, D(2), D(60), STEP))
    assert len(table) == 2
    assert [(order.status, order.volume) for order in table] == [
        (OrderStatus.FILLED, D(2)),
        (OrderStatus.PENDING, D(3)),
    ]
    assert table[1].parent_order_id == table[0].id  # type: ignore[union-attr]
    assert table[-1] is table[1]
    assert table[:1] == [table[0]]
    assert filled.frozen() is table[0]


def test_what_is_pickled_or_copied_is_the_order_as_it_was() -> None:
    one, _ = begun(D(5), D(100))
    left = one.left(UUID(int=2), 2, D(2), D(60), STEP)
    table = OrderTable()
    table.keep(one)
    table.keep(left)
    again = pickle.loads(pickle.dumps(table))
    assert list(again) == list(table)
    assert copy.deepcopy(left).frozen() == left.frozen()
    assert repr(left) == repr(left.frozen())


def test_equal_orders_are_equal_whoever_kept_them() -> None:
    one, other = (begun(D(5), D(100))[0] for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one.charged(D(1)) != other
    assert one != one.frozen()
    here, there = OrderTable([one.frozen()]), OrderTable()
    there.keep(other)
    assert here == there == [other.frozen()]
