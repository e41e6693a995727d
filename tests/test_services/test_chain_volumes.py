"""Chains of orders: by hand, and whatever Hypothesis does to them, no volume or money is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.errors import FieldError, RejectReason
from backtest.models import OrderStatus
from backtest.services.orders.operations import cancel, close, fill, modify, split
from tests.chain_volumes import ChainVolumes, chain_volumes
from tests.effort import examples
from tests.generators import D, later, spot, trading, uid

REQUESTED = RejectReason.REQUESTED


def test_a_chain_worked_out_by_hand() -> None:
    root = spot(id=uid(1), volume=D(10))
    # 4 fill, 6 are left
    filled, leaves = fill(root, at=later(1), price=D(1), volume=D(4), fee=D(0), leaves_id=uid(2))
    assert leaves is not None
    # the 6 become 9: an increase of 3
    replaced, more = modify(leaves, at=later(2), new_id=uid(3), leaves=D(9), changes={})
    # the 9 are split into 2 and 7
    parent, (two, seven) = split(more, at=later(3), volumes=[D(2), D(7)], ids=[uid(4), uid(5)])
    # of the 7, 1 is cancelled; the 6 left become 5: a decrease of 1
    cancelled, six = cancel(
        seven, at=later(4), fee=D(0), reason=REQUESTED, volume=D(1), leaves_id=uid(6)
    )
    assert six is not None
    gone, five = modify(six, at=later(5), new_id=uid(7), leaves=D(5), changes={})
    chain = [five, gone, cancelled, two, parent, replaced, filled]
    volumes = chain_volumes(chain)
    # 10 + 3 = (2 + 5) pending + 4 filled + (1 + 1) cancelled
    assert volumes == {uid(1): ChainVolumes(D(10), D(3), D(7), D(4), D(2))}
    assert volumes[uid(1)].conserved


def test_a_position_that_is_split_beside_its_leaves() -> None:
    root = trading(id=uid(1), volume=D(10))
    filled, leaves = fill(root, at=later(1), price=D(1), volume=D(4), fee=D(0), leaves_id=uid(2))
    replaced, parts = split(filled, at=later(2), volumes=[D(1), D(3)], ids=[uid(3), uid(4)])
    assert leaves is not None
    # 10 = 6 pending + (1 + 3) filled: the split adds nothing and takes nothing away
    volumes = chain_volumes([replaced, leaves, *parts])[uid(1)]
    assert volumes == ChainVolumes(D(10), D(0), D(6), D(4), D(0))


def test_a_lost_part_shows() -> None:
    assert not ChainVolumes(D(10), D(0), D(4), D(5), D(0)).conserved
    root = spot(id=uid(1), volume=D(10))
    filled, leaves = fill(root, at=later(1), price=D(1), volume=D(4), fee=D(0), leaves_id=uid(2))
    assert leaves is not None
    # without its leaves the chain shows that only 4 were ever ordered: the command said 10
    assert chain_volumes([filled])[uid(1)].ordered == D(4)
    with pytest.raises(FieldError, match=r"^orders lack .*, the parent of"):
        chain_volumes([leaves])


def test_a_long_chain_is_no_deeper_than_a_short_one() -> None:
    orders, live = [], spot(id=uid(0), volume=D(3_000))
    for number in range(1, 3_000):
        done, left = fill(
            live, at=later(1), price=D(1), volume=D(1), fee=D(0), leaves_id=uid(number)
        )
        assert left is not None
        orders.append(done)
        live = left
    volumes = chain_volumes([*orders, live])[uid(0)]
    assert volumes == ChainVolumes(D(3_000), D(0), D(1), D(2_999), D(0))


class Chain:
    """One chain under random operations, with what should come of it kept in plain numbers."""

    def __init__(self, make: Any, volume: int) -> None:
        fee = "fee_create" if make is spot else "fees_on_create"
        root = make(id=uid(1), volume=D(volume), reserved=D("999.99"), **{fee: D("12.34")})
        self.orders: dict[UUID, Any] = {root.id: root}
        self.last = 1
        self.ordered = D(volume)
        self.increased = self.cancelled = self.filled = D(0)

    def new_id(self) -> UUID:
        self.last += 1
        return uid(self.last)

    def keep(self, *orders: Any) -> None:
        self.orders.update({order.id: order for order in orders if order is not None})

    def of(self, status: OrderStatus) -> list[Any]:
        return [order for order in self.orders.values() if order.status is status]

    def step(self, name: str, pick: int, share: Decimal) -> None:
        wanted = OrderStatus.FILLED if name in ("close", "split_position") else OrderStatus.PENDING
        live = self.of(wanted)
        if not live:
            return
        order = live[pick % len(live)]
        # A part on the grid of 0.001, at least one step, at most all of it.
        part = max((order.volume * share).quantize(D("0.001")), D("0.001"))
        getattr(self, name)(order, min(part, order.volume))

    def fill(self, order: Any, part: Decimal) -> None:
        self.filled += part
        margin = None if hasattr(order, "fee_create") else D("77.77")
        self.keep(
            *fill(
                order,
                at=later(1),
                price=D(5),
                volume=part,
                fee=D("1.11"),
                leaves_id=self.new_id(),
                margin=margin,
                reserved_left=D(1),
                step=D("0.01"),
            )
        )

    def cancel(self, order: Any, part: Decimal) -> None:
        self.cancelled += part
        self.keep(
            *cancel(
                order,
                at=later(1),
                fee=D(0),
                reason=REQUESTED,
                volume=part,
                leaves_id=self.new_id(),
            )
        )

    def more(self, order: Any, part: Decimal) -> None:
        self.increased += part
        self.modify(order, order.volume + part)

    def less(self, order: Any, part: Decimal) -> None:
        if part < order.volume:
            self.cancelled += part
            self.modify(order, order.volume - part)

    def modify(self, order: Any, leaves: Decimal) -> None:
        self.keep(*modify(order, at=later(1), new_id=self.new_id(), leaves=leaves, changes={}))

    def split(self, order: Any, part: Decimal) -> None:
        if part < order.volume:
            replaced, parts = split(
                order,
                at=later(1),
                volumes=[part, order.volume - part],
                ids=[self.new_id(), self.new_id()],
                step=D("0.01"),
            )
            for name in (*order.SHARED, "reserved"):
                assert sum(getattr(one, name) for one in parts) == getattr(order, name)
                assert all(getattr(one, name) >= 0 for one in parts)
            self.keep(replaced, *parts)

    def split_position(self, order: Any, part: Decimal) -> None:
        if not hasattr(order, "fee_create"):  # a filled spot order is final
            self.split(order, part)

    def close(self, order: Any, part: Decimal) -> None:
        if hasattr(order, "fee_create"):
            return
        closed, rest = close(
            order,
            at=later(1),
            price=D(6),
            volume=part,
            fee=D("0.5"),
            pnl=D(1),
            rest_id=self.new_id(),
            closing_reason="close",
            step=D("0.01"),
        )
        for name in order.SHARED:
            left = D(0) if rest is None else getattr(rest, name)
            assert getattr(closed, name) + left == getattr(order, name)
        self.keep(closed, rest)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "cancel", "more", "less", "split", "split_position", "close"]),
        st.integers(0, 9),
        st.decimals("0.001", "1", places=3),
    ),
    max_size=25,
)


@settings(max_examples=examples(300))
@given(st.sampled_from([spot, trading]), st.integers(1, 50), STEPS)
def test_no_volume_and_no_create_fee_is_lost(
    make: Any, volume: int, steps: list[tuple[str, int, Decimal]]
) -> None:
    chain = Chain(make, volume)
    for name, pick, share in steps:
        chain.step(name, pick, share)
    orders = list(chain.orders.values())
    (volumes,) = chain_volumes(orders).values()
    pending = sum((one.volume for one in chain.of(OrderStatus.PENDING)), D(0))
    assert volumes == ChainVolumes(
        chain.ordered, chain.increased, pending, chain.filled, chain.cancelled
    )
    assert volumes.conserved
    counted = [one for one in orders if not one.is_replaced]
    create = "fee_create" if make is spot else "fees_on_create"
    assert sum(getattr(one, create) for one in counted) == D("12.34")
    assert all(getattr(one, create) >= 0 for one in counted)
    assert all(one.root_id == uid(1) for one in orders)
    assert all(one.reserved == 0 for one in orders if not one.is_pending)
