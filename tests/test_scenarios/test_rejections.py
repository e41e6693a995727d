"""Every refusal has its reason, and leaves journal, balances and orders as they were."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest

from backtest.actors import EventKind
from backtest.errors import AccountError, BacktestError, OrderRejected, RejectReason
from backtest.models import ActionType, Bar, DecisionAction, OrderDirection
from backtest.strategies import Strategy
from tests.harness import D, Me, bar, pair_of, play, refused, rules

R = RejectReason


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        (R.UNKNOWN_PAIR, lambda me: me.buy("XRPUSD", 1)),
        (R.INVALID_VOLUME, lambda me: me.buy("BTCUSD", 0)),
        (R.INVALID_VOLUME, lambda me: me.sell("BTCUSD", -1)),
        (R.INVALID_VOLUME, lambda me: me.long("BTCUSD", "-0.001")),
        (R.INVALID_PRICE, lambda me: me.buy("BTCUSD", 1, limit_price=0)),
        (R.INVALID_PRICE, lambda me: me.short("BTCUSD", 1, limit_price=-5)),
        (R.INVALID_PRICE, lambda me: me.buy("BTCUSD", 1, stop_price=-5)),
        (R.INVALID_PRICE, lambda me: me.long("BTCUSD", 1, stop_loss=-5)),
        (R.VOLUME_INCREMENT, lambda me: me.buy("BTCUSD", "1.0001")),
        (R.PRICE_INCREMENT, lambda me: me.buy("BTCUSD", 1, limit_price="90.001")),
        (R.PRICE_INCREMENT, lambda me: me.buy("BTCUSD", 1, stop_price="110.005")),
        (R.PRICE_INCREMENT, lambda me: me.long("BTCUSD", 1, stop_loss="90.001")),
        (R.PRICE_INCREMENT, lambda me: me.long("BTCUSD", 1, take_profit="190.001")),
        (R.MIN_VOLUME, lambda me: me.buy("BTCUSD", "0.009", limit_price=5000)),
        (R.MIN_NOTIONAL, lambda me: me.buy("BTCUSD", "0.19", limit_price=100)),
        (R.MIN_NOTIONAL, lambda me: me.buy("BTCUSD", "0.19")),
        (R.MIN_MARGIN, lambda me: me.long("BTCUSD", 1, leverage=20)),
        (R.LEVERAGE, lambda me: me.long("BTCUSD", 1, leverage=21)),
        (R.LEVERAGE, lambda me: me.long("BTCUSD", 1, leverage="0.5")),
        (R.INSUFFICIENT_FUNDS, lambda me: me.buy("BTCUSD", 10)),
        (R.INSUFFICIENT_FUNDS, lambda me: me.buy("BTCUSD", "10.001", limit_price=100)),
        (R.INSUFFICIENT_FUNDS, lambda me: me.sell("BTCUSD", 3)),
        (R.INSUFFICIENT_FUNDS, lambda me: me.short("BTCUSD", 11)),
        (R.PROTECTION_SIDE, lambda me: me.long("BTCUSD", 1, stop_loss=100)),
    ],
)
def test_a_create_is_refused(reason: RejectReason, what: Callable[[Any], Any]) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: what(me), reason)

    limits = rules(min_volume="0.01", min_notional=20, min_margin=6, max_leverage=20)
    world = play([bar(0, 100)], script, cash={"USD": 1000, "BTC": 2}, rules=limits)
    assert world.orders() == []
    assert world.fills() == []
    assert world.journal() == []


@pytest.mark.parametrize(
    ("reason", "settings", "what"),
    [
        (R.NOT_SUPPORTED, {"spot_allowed": False}, lambda me: me.buy("BTCUSD", 1)),
        (R.NOT_SUPPORTED, {"trading_allowed": False}, lambda me: me.long("BTCUSD", 1)),
        (R.DIRECTION_NOT_ALLOWED, {"allowed_directions": "long"}, lambda me: me.short("BTCUSD", 1)),
        (R.DIRECTION_NOT_ALLOWED, {"allowed_directions": "short"}, lambda me: me.buy("BTCUSD", 1)),
        (R.LEVERAGE, {"leverage_kind": "none"}, lambda me: me.long("BTCUSD", 1, leverage=2)),
    ],
)
def test_a_rule_of_the_venue_refuses(
    reason: RejectReason, settings: dict[str, Any], what: Callable[[Any], Any]
) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await refused(me, lambda: what(me), reason)

    world = play([bar(0, 100)], script, rules=rules(**settings))
    assert world.journal() == []


def test_no_market_order_before_the_first_price() -> None:
    async def script(me: Any) -> None:
        await refused(me, lambda: me.buy("BTCUSD", 1), R.NO_PRICE_YET)
        await refused(me, lambda: me.long("BTCUSD", 1), R.NO_PRICE_YET)
        await me.buy("BTCUSD", 1, limit_price=50)

    play([bar(0, 100)], script)


@pytest.mark.parametrize(
    "wrong", [0.1, float("nan"), Decimal("NaN"), Decimal("Infinity"), "ten", None]
)
def test_what_is_no_number_never_leaves_the_strategy(wrong: Any) -> None:
    error = TypeError if isinstance(wrong, float) or wrong is None else ValueError

    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90)
        ledger = me._host.system.actors["account"].ledger
        before = (len(ledger.entries), me._host.system.events.sequence)
        calls: list[tuple[str, Callable[[], Any]]] = [("volume", lambda: me.buy("BTCUSD", wrong))]
        calls.append(("volumes", lambda: order.split([wrong, 1])))
        if wrong is not None:
            calls += [
                ("limit_price", lambda: me.buy("BTCUSD", 1, limit_price=wrong)),
                ("stop_price", lambda: me.sell("BTCUSD", 1, stop_price=wrong)),
                ("stop_loss", lambda: me.long("BTCUSD", 1, stop_loss=wrong)),
                ("take_profit", lambda: me.long("BTCUSD", 1, take_profit=wrong)),
                ("leverage", lambda: me.long("BTCUSD", 1, leverage=wrong)),
                ("volume", lambda: order.modify(volume=wrong)),
                ("volume", lambda: order.cancel(wrong)),
                ("volume", lambda: order.close(wrong)),
                ("limit_price", lambda: order.close(1, limit_price=wrong)),
            ]
        for field, call in calls:
            with pytest.raises(error, match=field) as caught:
                call()
            assert isinstance(caught.value, BacktestError)
        assert (len(ledger.entries), me._host.system.events.sequence) == before

    play([bar(0, 100)], script)


def test_amendments_that_make_no_sense() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, limit_price=95, stop_loss=90)
        await refused(me, lambda: order.split([1, 2]), R.STALE)
        await refused(me, lambda: order.split(["0.5", "0.5"]), R.STALE)
        await refused(me, lambda: order.split([2]), R.INVALID_VOLUME)
        await refused(me, lambda: order.split([2, 0]), R.INVALID_VOLUME)
        await refused(me, lambda: order.split([3, -1]), R.INVALID_VOLUME)
        await refused(me, lambda: order.split(["1.0005", "0.9995"]), R.VOLUME_INCREMENT)
        await refused(me, lambda: order.split([1, 1], limit_prices=[95]), R.INVALID_PRICE)
        await refused(me, lambda: order.split([1, 1], limit_prices=[95, 90]), R.PROTECTION_SIDE)
        await refused(me, lambda: order.cancel("2.001"), R.STALE)
        await refused(me, lambda: order.cancel(0), R.INVALID_VOLUME)
        await refused(me, lambda: order.cancel("0.0005"), R.VOLUME_INCREMENT)
        await refused(me, lambda: order.modify(), R.NOTHING_TO_CHANGE)
        await refused(me, lambda: order.modify(limit_price="95.001"), R.PRICE_INCREMENT)
        await refused(me, lambda: order.modify(limit_price=89), R.PROTECTION_SIDE)
        await refused(me, lambda: order.modify(stop_loss=95), R.PROTECTION_SIDE)
        await refused(me, lambda: order.modify(stop_price=95), R.INVALID_ACTION)
        await refused(me, lambda: order.modify(volume="1.0001"), R.VOLUME_INCREMENT)
        await refused(me, lambda: order.close(), R.ALREADY_DONE)
        spot = await me.buy("BTCUSD", 1, limit_price=95)
        await refused(me, lambda: spot.modify(stop_loss=96), R.PROTECTION_SIDE)
        stop = await me.buy("BTCUSD", 2, stop_price=120)
        await refused(me, lambda: stop.split([1, 1], limit_prices=[90, 91]), R.INVALID_ACTION)
        await order.cancel()
        await refused(me, lambda: order.cancel(), R.ALREADY_DONE)
        await refused(me, lambda: order.modify(volume=5), R.ALREADY_DONE)
        await refused(me, lambda: order.split([1, 1]), R.ALREADY_DONE)

    world = play([bar(0, 100)], script)
    assert world.balance("USD") == (D(1000 - 95 - 252), D(95 + 252))


def test_amendments_of_positions_that_make_no_sense() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=2)
        await me.next()
        await refused(me, lambda: order.close(3), R.STALE)
        await refused(me, lambda: order.close(0), R.INVALID_VOLUME)
        await refused(me, lambda: order.close("0.0001"), R.VOLUME_INCREMENT)
        await refused(me, lambda: order.close(1, limit_price="1.001"), R.PRICE_INCREMENT)
        await refused(me, lambda: order.split([1, 2]), R.STALE)
        await refused(me, lambda: order.split([1, 1], limit_prices=[100, 100]), R.INVALID_ACTION)
        await refused(me, lambda: order.modify(volume=1), R.ALREADY_DONE)
        await refused(me, lambda: order.modify(limit_price=90), R.ALREADY_DONE)
        await refused(me, lambda: order.modify(stop_loss=100), R.PROTECTION_SIDE)
        await refused(me, lambda: order.cancel(), R.ALREADY_DONE)
        await order.close()
        await refused(me, lambda: order.split([1, 1]), R.STALE)
        await me.next()
        await refused(me, lambda: order.close(), R.ALREADY_DONE)

    play([bar(0, 100), bar(1, 100), bar(2, 100)], script)


def test_a_modify_below_the_least_is_refused() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 2, limit_price=50)
        await refused(me, lambda: order.modify(volume="0.4"), R.MIN_VOLUME)
        await refused(me, lambda: order.modify(volume="0.9"), R.MIN_NOTIONAL)
        await refused(me, lambda: order.modify(limit_price=20), R.MIN_NOTIONAL)

    play([bar(0, 100)], script, rules=rules(min_volume="0.5", min_notional=46))


def test_reserved_money_cannot_be_spent() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 9, limit_price=100)
        await refused(me, lambda: me.buy("BTCUSD", 2, limit_price=51), R.INSUFFICIENT_FUNDS)
        await me.sell("BTCUSD", 1, limit_price=200)
        await refused(me, lambda: me.sell("BTCUSD", "0.001", limit_price=200), R.INSUFFICIENT_FUNDS)

    play([bar(0, 101)], script, cash={"USD": 1000, "BTC": 1})


def test_another_ones_order_and_account() -> None:
    shared: dict[str, Any] = {}

    async def owner(me: Any) -> None:
        await me.next()
        shared["order"] = await me.buy("BTCUSD", 1, limit_price=90)
        await me.next()
        assert shared["order"].leaves == 1

    async def thief(me: Any) -> None:
        await me.next(2)
        before = len(me._host.system.actors["account"].ledger.entries)
        for action in (ActionType.CANCEL_SPOT_LIMIT, ActionType.MODIFY_SPOT_LIMIT):
            me.submit(_action(me, action, order_id=shared["order"].id, volume=D(1)))
        me.submit(
            _action(
                me,
                ActionType.CREATE_SPOT_MARKET,
                trading_pair_code="BTCUSD",
                volume=D(1),
                direction=OrderDirection.BUY,
                account_id=UUID(int=100),
            )
        )
        me.submit(_action(me, ActionType.CANCEL_SPOT_LIMIT, order_id=UUID(int=12345)))
        await me.sleep(1)
        assert me.told() == [
            ("rejected", "NOT_YOURS"),
            ("rejected", "NOT_YOURS"),
            ("rejected", "NOT_YOURS"),
            ("rejected", "UNKNOWN_ORDER"),
        ]
        assert len(me._host.system.actors["account"].ledger.entries) == before
        with pytest.raises(AccountError, match="main"):
            me.buy("BTCUSD", 1, account="main")

    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 100)],
        owner,
        thief,
        cash={"main": {"USD": 1000}, "other": {"USD": 1000}},
        own=[["main"], ["other"]],
    )
    assert world.orders() == ["LONG 1 PENDING"]


def test_commands_as_values_are_carried_out() -> None:
    async def script(me: Any) -> None:
        await me.next()
        me.submit(
            _action(
                me,
                ActionType.CREATE_SPOT_LIMIT,
                trading_pair_code="BTCUSD",
                volume=D(1),
                price=D(90),
                direction=OrderDirection.BUY,
            )
        )
        await me.sleep(1)
        (accepted,) = me.heard
        assert accepted.kind is EventKind.ACCEPTED
        assert [one.id for one in me.open_orders()] == [accepted.order.id]
        me.submit(_action(me, ActionType.CANCEL_SPOT_LIMIT, order_id=accepted.order.id))
        await me.sleep(1)
        assert me.told()[-1] == ("cancelled", "REQUESTED")
        assert me.open_orders() == []
        with pytest.raises(OrderRejected) as caught:
            me.submit(_action(me, ActionType.CREATE_SPOT_LIMIT, trading_pair_code="BTCUSD"))
        assert caught.value.reason is R.INVALID_ACTION

        # what came of a command that was sent as a value is seen like all else
        me.submit(
            _action(
                me,
                ActionType.CREATE_TRADE_MARKET,
                trading_pair_code="BTCUSD",
                volume=D(2),
                direction=OrderDirection.LONG,
            )
        )
        await me.next(2)
        assert me.position("BTCUSD").volume == 2
        await me.close_all()
        await me.next()
        assert not me.position("BTCUSD")

    world = play([bar(n, 100) for n in range(4)], script)
    assert world.orders() == ["LONG 1 CANCELLED REQUESTED", "LONG 2 CLOSED close"]


def _action(me: Any, kind: ActionType, **fields: Any) -> DecisionAction:
    venue = me._host.system.actors["broker"].venue
    values = {
        "agent_id": venue.clients[me.name].agent.agent_id,
        "account_id": next(iter(me._client.holdings.accounts.values())),
        "broker_id": venue.broker_id,
        "backtest_run_id": venue.run_id,
    }
    return DecisionAction(kind, me.now, **(values | fields))


class Warm(Strategy):
    """Orders at every bar, allowed or not."""

    warmup_bars: ClassVar[int] = 2
    results: ClassVar[list[str]] = []

    async def on_bar(self, bar: Bar) -> None:
        try:
            await self.buy("BTCUSD", "0.1")
            self.results.append("accepted")
        except OrderRejected as refusal:
            self.results.append(refusal.reason.value)


def test_no_orders_while_warming_up() -> None:
    Warm.results.clear()
    world = play([bar(n, 100) for n in range(4)], kinds=[Warm])
    assert Warm.results == ["WARMING_UP", "accepted", "accepted", "accepted"]
    assert len(world.orders()) == 3


def test_a_refusal_names_the_order_and_how_to_mend_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        error = await refused(me, lambda: me.buy("BTCUSD", "1.0001"), R.VOLUME_INCREMENT)
        assert "round_volume" in str(error)
        order = await me.buy("BTCUSD", 1, limit_price=90)
        error = await refused(me, lambda: order.split([1, 1]), R.STALE)
        assert error.order_id == order.id
        # a refused order is done, and says why
        handle = me.buy("BTCUSD", 100)
        with pytest.raises(OrderRejected):
            await handle
        assert handle.is_rejected
        assert handle.is_done
        assert handle.end_reason == "INSUFFICIENT_FUNDS"
        assert handle.leaves == 0

    play([bar(0, 100)], script)


def test_a_refusal_that_nobody_awaits_is_heard() -> None:
    async def script(me: Any) -> None:
        await me.next()
        me.buy("BTCUSD", 100)
        await me.sleep(1)
        assert me.told(EventKind.REJECTED) == [("rejected", "INSUFFICIENT_FUNDS")]

    play([bar(0, 100), bar(1, 100)], script)


def test_the_contract_size_counts_for_the_least_notional() -> None:
    async def script(me: Me) -> None:
        await me.next()
        await me.long("BTCUSD", "0.01")
        await refused(me, lambda: me.long("BTCUSD", "0.009"), R.MIN_NOTIONAL)

    # 0.01 x 100 x 100 = 100
    play([bar(0, 100)], script, pairs=[pair_of(contract_size="100", min_notional="100")])
