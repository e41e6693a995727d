"""A split as a value: volumes with their prices, as strategies of the described system send it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.models import ActionType
from backtest.testing import bar, play

D = Decimal


def test_parts_have_the_volumes_and_prices_of_the_chunks() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 3, limit_price=95)
        chunks = [{"volume": D(1), "price": D(97)}, {"volume": D(2), "price": D(94)}]
        parts = await me.submit(
            me.action(ActionType.SPLIT_SPOT_LIMIT, "BTCUSD", order_id=order.id, split_chunks=chunks)
        )
        assert [(one.leaves, one.live.limit_price) for one in parts] == [(1, 97), (2, 94)]
        again = await me.submit(
            me.action(
                ActionType.SPLIT_SPOT_LIMIT,
                "BTCUSD",
                order_id=parts[1].id,
                split_chunks=[{"volume": D(1)}, {"volume": D(1)}],
            )
        )
        assert [one.live.limit_price for one in again] == [94, 94]
        await me.next()

    world = play([bar(0, 100), bar(1, 100, 100, 96, 98)], script)
    assert world.fills() == ["entry LONG 1 @ 97 low maker"]


def test_a_position_is_split_by_volumes() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 3)
        await me.next()
        parts = await me.submit(
            me.action(
                ActionType.SPLIT_POSITION,
                "BTCUSD",
                order_id=order.id,
                split_chunks=[{"volume": D(1)}, {"volume": D(2)}],
            )
        )
        assert [one.open_volume for one in parts] == [1, 2]

    play([bar(0, 100), bar(1, 100)], script)
