"""However its fills fall, an order comes to what one fill would; no sequence of them gains."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import examples
from tests.harness import D, World, bar, pair_of, play, rules

volumes = st.lists(st.decimals(D("0.001"), D("0.05"), places=3), min_size=1, max_size=6)
prices = st.decimals(D("0.50"), D(3), places=2)
precisions = st.sampled_from([0, 1, 2, 4])
FEES = {
    "fill": [
        {"percent_of_notional": "0.0123", "minimum": "0.05", "maximum": "0.5"},
        {"flat_per_volume": "0.0031"},
    ]
}


def _traded(side: str, parts: list[Decimal], price: Decimal, precision: int) -> World:
    """One limit order at ``price``, filled on as many bars as there are parts."""
    whole = sum(parts)

    async def script(me: Any) -> None:
        await me.next()
        order = await getattr(me, side)("BTCUSD", whole, limit_price=price)
        await me.next(len(parts))
        assert order.is_filled

    away = price * 2 if side == "buy" else price / 2
    bars = [bar(0, away), *(bar(n, price, volume=part) for n, part in enumerate(parts, 1))]
    return play(
        bars,
        script,
        cash={"USD": 100, "BTC": 20},
        rules=rules(fees=FEES),
        pairs=[pair_of(precision=precision, price_increment="0.0001")],
    )


@settings(max_examples=examples(25))
@given(volumes, prices, precisions, st.sampled_from(["buy", "sell"]))
def test_an_order_in_parts_comes_to_what_it_does_at_once(
    parts: list[Decimal], price: Decimal, precision: int, side: str
) -> None:
    # Enough of it that all of it is worth a step, and what is left before the last part, too.
    parts = [*parts, D(10)]
    in_parts = _traded(side, parts, price, precision)
    at_once = _traded(side, [sum(parts, D(0))], price, precision)
    assert in_parts.balance() == at_once.balance()
    assert in_parts.balance("BTC") == at_once.balance("BTC")
    assert in_parts.balance("fees") == at_once.balance("fees")


@settings(max_examples=examples(25))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell", "long", "short"]),
            st.decimals(D("0.001"), D("0.9"), places=3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.decimals(D("0.001"), D("0.3"), places=3),
    precisions,
)
def test_nothing_is_gained_where_the_price_stands_still(
    orders: list[tuple[str, Decimal]], each: Decimal, precision: int
) -> None:
    """Without fees, at a price of 1.0007: what the account has is worth no more than it was, and at
    most a step less for each order and each position."""
    price = D("1.0007")

    async def script(me: Any) -> None:
        await me.next()
        for side, volume in orders:
            order = getattr(me, side)("BTCUSD", volume)
            try:
                await order
            except ValueError:
                continue  # dust, or no money
            await me.next(2)
            if side in ("long", "short"):
                order.close()
            await me.next()

    bars = [bar(0, price), *(bar(n, price, volume=each) for n in range(1, 40))]
    world = play(
        bars,
        script,
        cash={"USD": 5, "BTC": 5},
        pairs=[pair_of(precision=precision, price_increment="0.0001")],
    )
    usd, btc = sum(world.balance()), sum(world.balance("BTC"))
    lost = 5 + 5 * price - usd - btc * price
    fills = len(world.records.fills)
    assert 0 <= lost <= fills * D(1).scaleb(-precision)
