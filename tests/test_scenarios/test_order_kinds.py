"""Every kind of order against every kind of data, by numbers that one can follow with a finger.

All data says the same: one price at a time, a minute apart, with the same volume. A bar is flat, a
quote has bid and ask at one price, and of several sources the quotes come in the middle of bars.
So an order does the same on each, and the figures below hold for all of them; but a quote stands,
so that market orders meet the one at which they were given, where on other data they meet the next.

The market after an order to buy was given at 100 (for sells all is mirrored at 100)::

    100   101   98   97   104   105
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from backtest.errors import RejectReason
from backtest.models import MarketEvent
from tests.harness import D, World, bar, play, quote, refused, rules, trade

PATH = (100, 101, 98, 97, 104, 105)
STILL = (100, 100, 100, 100)
DRY = (10, "0.001", "0.001", "0.001")
"""Volumes of which a half is nothing, but for the first."""
DATA = ("bars", "quotes", "trades", "several")
QUOTED = ("quotes", "several")
SIDES = ("buy", "sell", "long", "short")
KINDS: dict[str, dict[str, int]] = {
    "market": {},
    "limit": {"limit_price": 99},
    "stop": {"stop_price": 103},
    "stop_limit": {"stop_price": 103, "limit_price": 106},
    "trailing_stop": {"trail": 3},
}
CASH = {"USD": 10_000, "BTC": 100}


def market(
    data: str, prices: Sequence[int | str], volumes: Sequence[int | str]
) -> Sequence[MarketEvent]:
    """``prices`` with ``volumes``, a minute apart, as ``data``."""
    both = list(zip(prices, volumes, strict=True))
    if data == "bars":
        return [bar(at, price, volume=volume) for at, (price, volume) in enumerate(both)]
    if data == "trades":
        return [trade(60 * (at + 1), price, volume) for at, (price, volume) in enumerate(both)]
    quotes = [quote(60 * (at + 1), price, price, v, v) for at, (price, v) in enumerate(both)]
    if data == "quotes":
        return quotes
    # Bars of ten minutes, which the quotes inside them go before.
    coarse = bar(
        0, 100, max(map(D, prices)), min(map(D, prices)), prices[-1], 1, length=600 * 10**9
    )
    return [*quotes, coarse]


def mirrored(side: str, price: Any) -> Any:
    """``price`` for the sellers' side of the market."""
    return price if side in ("buy", "long") else 200 - price


def asked(side: str, kind: str) -> dict[str, Any]:
    """The prices of an order of ``kind``."""
    return {
        name: value if name == "trail" else mirrored(side, value)
        for name, value in KINDS[kind].items()
    }


def run(
    data: str,
    side: str,
    script: Callable[[Any], Awaitable[None]],
    path: Sequence[int] = PATH,
    volume: int = 10,
    volumes: Sequence[int | str] | None = None,
) -> World:
    """Play ``script`` from the first price on; of each volume half is to be had."""
    prices = [mirrored(side, price) for price in path]

    async def begin(me: Any) -> None:
        await until(me, 60)
        await script(me)

    events = market(data, prices, volumes or [2 * volume] * len(prices))
    return play(events, begin, cash=CASH, rules=rules(participation="0.5"))


async def until(me: Any, second: int) -> None:
    """Wait for ``second``, and for what happens then."""
    left = second - me.now.timestamp()
    # Ticks begin the simulation at their own time: a moment later the first is there.
    await me.sleep(left if left > 0 else "1ms")


def fills(world: World) -> list[Any]:
    """Volume and price of every fill."""
    return [(one.volume, one.price) for one in world.records.fills]


def ends(world: World) -> list[str]:
    """Status, and reason of the end, of every order."""
    return [
        order.status.name + (f" {order.end_reason}" if order.end_reason else "")
        for order in world.records.orders
    ]


def dry(kind: str, data: str) -> Sequence[str | int] | None:
    """Volumes without one for a market order: not the next, and not the one that stands."""
    if kind != "market":
        return None
    return ("0.001",) * 4 if data in QUOTED else DRY


every_kind = pytest.mark.parametrize("kind", KINDS)
every_side = pytest.mark.parametrize("side", SIDES)
all_data = pytest.mark.parametrize("data", DATA)


@all_data
@every_side
@every_kind
def test_filled_whole(kind: str, side: str, data: str) -> None:
    # The market order at the next price, 101, or at the quote of 100 that stands. The limit of 99
    # when the price jumps to 98: a bar that opens there fills it there, a tick that comes to it at
    # what it had offered. The stop of 103 when 104 jumps over it; so does the stop-limit, for 104
    # is within its limit of 106. The trailing stop begins at 100 + 3, follows 98 to 101 and 97 to
    # 100, and is passed at 104.
    market = 100 if data in QUOTED else 101
    price = {"market": market, "limit": 98 if data == "bars" else 99}.get(kind, 104)

    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        await until(me, 360)
        assert order.is_filled

    world = run(data, side, script)
    assert fills(world) == [(2, mirrored(side, price))]


@all_data
@every_side
@every_kind
def test_filled_in_parts(kind: str, side: str, data: str) -> None:
    # There is a volume of 1 at each price, for an order of 2. What a stop leaves is a market order.
    market = (100, 101) if data in QUOTED else (101, 98)
    prices = {"market": market, "limit": (98, 97)}.get(kind, (104, 105))
    if data != "bars":  # what rests there offers its own price, the rest of a stop-limit, too
        prices = {"limit": (99, 99), "stop_limit": (104, 106)}.get(kind, prices)

    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        await until(me, 360)
        assert order.is_filled
        assert order.filled_volume == 2

    world = run(data, side, script, volume=1)
    assert fills(world) == [(1, mirrored(side, price)) for price in prices]


@all_data
@every_side
@every_kind
def test_waits(kind: str, side: str, data: str) -> None:
    # The price stays at 100, where no condition is met; a market order finds no volume, for half of
    # 0.001 is less than one increment.
    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        await until(me, 180)
        assert order.leaves == 2

    world = run(data, side, script, STILL, volumes=dry(kind, data))
    assert fills(world) == []
    assert ends(world) == ["PENDING"]


@all_data
@every_side
@every_kind
def test_expires(kind: str, side: str, data: str) -> None:
    # Given at 60 s for 90 s: over at 150 s, with nothing filled at 100.
    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, expires="90s", **asked(side, kind))
        await until(me, 210)
        assert order.is_done

    world = run(data, side, script, STILL, volumes=dry(kind, data))
    assert fills(world) == []
    assert ends(world) == ["CANCELLED EXPIRED"]
    assert sum(world.balance("USD")) == 10_000


@all_data
@every_side
@every_kind
def test_immediate_or_cancel(kind: str, side: str, data: str) -> None:
    # Of 2 there is 1 at the first opportunity, which is 101 for the market order (or the 100 that
    # stands) and 104 for stops. The limit of 99 meets that first: nothing.
    filled = {"market": [100 if data in QUOTED else 101], "limit": []}.get(kind, [104])

    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, time_in_force="IOC", **asked(side, kind))
        await until(me, 360)
        assert order.is_done

    world = run(data, side, script, volume=1)
    assert fills(world) == [(1, mirrored(side, price)) for price in filled]
    assert ends(world)[-1] == "CANCELLED IMMEDIATE_OR_CANCEL"


@all_data
@every_side
@every_kind
def test_fill_or_kill(kind: str, side: str, data: str) -> None:
    # Of 2 there is 1: nothing fills.
    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, time_in_force="FOK", **asked(side, kind))
        await until(me, 360)
        assert order.is_done

    world = run(data, side, script, volume=1)
    assert fills(world) == []
    assert ends(world) == ["CANCELLED FILL_OR_KILL"]


# -- what is done to orders does not depend on the data --------------------------------------------


@every_side
@every_kind
def test_cancelled(kind: str, side: str) -> None:
    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        await order.cancel()
        assert order.is_done

    world = run("bars", side, script)
    assert ends(world) == ["CANCELLED REQUESTED"]
    assert world.balance("USD") == (D(10_000), D(0))
    assert world.balance("BTC") == (D(100), D(0))


@every_side
@every_kind
def test_modified(kind: str, side: str) -> None:
    # 1 of what were 2; all else as in `test_filled_whole`.
    price = {"market": 101, "limit": 98}.get(kind, 104)

    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        await order.modify(volume=1)
        await until(me, 360)
        assert order.is_filled

    world = run("bars", side, script)
    assert fills(world) == [(1, mirrored(side, price))]


@every_side
@every_kind
def test_split(kind: str, side: str) -> None:
    # 2 made 0.5 and 1.5; all else as in `test_filled_whole`.
    price = {"market": 101, "limit": 98}.get(kind, 104)

    async def script(me: Any) -> None:
        order = await getattr(me, side)("BTCUSD", 2, **asked(side, kind))
        parts = await order.split(["0.5", "1.5"])
        await until(me, 360)
        assert all(part.is_filled for part in parts)

    world = run("bars", side, script)
    at = mirrored(side, price)
    assert fills(world) == [(D("0.5"), at), (D("1.5"), at)]


@every_side
@every_kind
def test_cancelled_by_its_group(kind: str, side: str) -> None:
    # A market order of the same group was there first, and fills at 101.
    async def script(me: Any) -> None:
        send = getattr(me, side)
        await send("BTCUSD", 1, oco="one")
        order = await send("BTCUSD", 2, oco="one", **asked(side, kind))
        await until(me, 180)
        assert order.is_done

    world = run("bars", side, script)
    assert fills(world) == [(1, mirrored(side, 101))]
    assert ends(world) == ["FILLED", "CANCELLED ONE_CANCELS_OTHER"]


@every_side
@every_kind
def test_refused(kind: str, side: str) -> None:
    # 0.0005 is no multiple of 0.001.
    async def script(me: Any) -> None:
        async def wrong() -> None:
            await getattr(me, side)("BTCUSD", "0.0005", **asked(side, kind))

        await refused(me, wrong, RejectReason.VOLUME_INCREMENT)

    assert ends(run("bars", side, script)) == []


@every_side
@pytest.mark.parametrize("kind", ["limit", "stop_limit"])
def test_post_only_refused_where_it_would_take(kind: str, side: str) -> None:
    # A limit of 101 would buy at 100 now; one of 106 would where its stop is reached, at 103.
    prices = {"limit_price": mirrored(side, 101)} if kind == "limit" else asked(side, kind)

    async def script(me: Any) -> None:
        async def wrong() -> None:
            await getattr(me, side)("BTCUSD", 2, post_only=True, **prices)

        await refused(me, wrong, RejectReason.WOULD_TAKE)

    assert ends(run("bars", side, script)) == []


# -- what ends positions, and what a spot bracket bought -------------------------------------------

EXITS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, int]] = {
    # what the entry is given, what its close is given, and the price that ends it
    "stop_loss": ({"stop_loss": 95}, None, 94),
    "take_profit": ({"take_profit": 110}, None, 111),
    # Margin of 50.50 at leverage 2: used up at 101 - 50.50.
    "liquidation": ({"leverage": 2}, None, 50),
    "market": ({}, {}, 103),
    "limit": ({}, {"limit_price": 105}, 106),
    "stop": ({}, {"stop_price": 99}, 98),
    "stop_limit": ({}, {"stop_price": 99, "limit_price": 97}, 98),
    # From 101 on, so at 99.
    "trailing_stop": ({}, {"trail": 2}, 98),
}
ENDINGS = [
    (side, kind)
    for side in ("buy", "long", "short")
    for kind in EXITS
    if side != "buy" or kind in ("stop_loss", "take_profit")
]
every_ending = pytest.mark.parametrize(("side", "kind"), ENDINGS)


def ending(
    data: str, side: str, kind: str, after: Sequence[int], volumes: Sequence[int | str]
) -> tuple[World, Any]:
    """A position of 2 from 101 (from 100 where that is quoted), given what ``kind`` asks for, and
    the prices ``after`` that. The quote that a close at the market meets has the first volume."""
    entry, close, _ = EXITS[kind]
    handles = []

    async def script(me: Any) -> None:
        given = {
            name: value if name == "leverage" else mirrored(side, value)
            for name, value in entry.items()
        }
        order = await getattr(me, side)("BTCUSD", 2, **given)
        handles.append(order)
        await until(me, 120)
        assert order.filled_volume == 2
        if close is not None:
            await order.close(
                **{
                    name: value if name == "trail" else mirrored(side, value)
                    for name, value in close.items()
                }
            )
        await until(me, 60 * (2 + len(after)))

    path = (100, 101, *after)
    stands = volumes[0] if kind == "market" and data in QUOTED else 10
    return run(data, side, script, path, volumes=(10, stands, *volumes)), handles[0]


def met(kind: str, data: str) -> int:
    """The price of the end: on ticks, that of a resting limit which the price jumps over; of a
    close at the market, that of the quote that stands."""
    if kind == "market" and data in QUOTED:
        return 101
    limit = {"take_profit": 110, "limit": 105}.get(kind)
    return EXITS[kind][2] if limit is None or data == "bars" else limit


@all_data
@every_ending
def test_an_exit_whole(side: str, kind: str, data: str) -> None:
    price = EXITS[kind][2]
    world, _ = ending(data, side, kind, (price, price), (10, 10))
    assert fills(world)[1:] == [(2, mirrored(side, met(kind, data)))]


@all_data
@every_ending
def test_an_exit_in_parts(side: str, kind: str, data: str) -> None:
    # There is 1 of 2 at a time for the 2; a liquidation is not limited.
    price = EXITS[kind][2]
    world, _ = ending(data, side, kind, (price, price), (2, 2))
    first = second = met(kind, data)
    if data != "bars" and kind == "stop_limit":  # the rest of it offers its own price
        second = 97
    if kind == "market":
        second = 103
    if kind == "liquidation":
        assert fills(world)[1:] == [(2, mirrored(side, first))]
    else:
        assert fills(world)[1:] == [(1, mirrored(side, first)), (1, mirrored(side, second))]


@all_data
@every_ending
def test_an_exit_waits(side: str, kind: str, data: str) -> None:
    volume = "0.001" if kind == "market" else 10
    world, handle = ending(data, side, kind, (101, 101), (volume, volume))
    assert len(fills(world)) == 1
    if side != "buy":
        assert handle.open_volume == 2
