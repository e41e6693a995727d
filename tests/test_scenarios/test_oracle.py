"""The oracle finds what it is there to find: each test breaks one thing and names the invariant."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

from backtest import actors
from backtest.actors import Envelope, System
from backtest.models import OrderStatus, TransactionType
from backtest.models._fast import derive
from backtest.services.ledger import entries as transaction_manager
from backtest.services.ledger.ledger import Entry, Ledger
from backtest.testing.audit.oracle import InvariantBroken
from tests.harness import D, M, bar, play

BARS = [bar(0, 100), bar(1, 101), bar(2, 103), bar(3, 99)]


async def _trade(me: Any) -> None:
    await me.next()
    await me.buy("BTCUSD", 2)
    order = await me.long("BTCUSD", 1, leverage=4)
    await me.buy("BTCUSD", 1, limit_price=50)
    await me.next()
    await order.close("0.5")
    await me.next(2)


def _sabotaged(what: Callable[[System, Envelope], None], at: int) -> InvariantBroken:
    """Do ``what`` once, at the first message at or after ``at`` minutes; what the oracle says."""
    done: list[int] = []

    def prepare(system: System) -> None:
        check = system.observer
        assert check is not None

        def observer(message: Envelope) -> None:
            if system.now >= at * M and not done and _idle(system):
                done.append(system.now)
                what(system, message)
            check(message)

        system.observer = observer

    with pytest.raises(InvariantBroken) as caught:
        play(BARS, _trade, prepare=prepare)
    assert done
    assert caught.value.time >= done[0]
    return caught.value


def _idle(system: System) -> bool:
    return bool(system.actors["broker"].fiber.waiting == "a message to handle")


def _ledger(system: System) -> Any:
    account: Any = system.actors["account"]
    return account.ledger


def _records(system: System) -> Any:
    broker: Any = system.actors["broker"]
    return broker.venue.records


def _entry(ledger: Any, *legs: tuple[str, str, str]) -> Entry:
    made = [
        (account, "USD", TransactionType.ADJUSTMENT, D(available), D(unavailable))
        for account, available, unavailable in legs
    ]
    number, first = len(ledger.entries) + 1, ledger.transactions + 1
    ledger.transactions += len(made)
    return Entry(number, first, ledger.entries[-1].time, None, 7, "sabotage", made)


def _replace(system: System, which: OrderStatus, **changes: Any) -> None:
    orders = _records(system).orders
    for place, order in enumerate(orders):
        if order.status is which:
            orders[place] = derive(order, **changes)
            return
    raise AssertionError(f"no order is {which}")


def test_a_balance_that_the_journal_does_not_explain() -> None:
    def add_a_cent(system: System, message: Envelope) -> None:
        both = _ledger(system).balance("main", "USD")
        _ledger(system)._balances["main"]["USD"] = (both[0] + D("0.01"), both[1])

    error = _sabotaged(add_a_cent, 2)
    assert error.invariant == "I10"
    assert "main" in str(error)


def test_an_entry_that_does_not_sum_to_zero() -> None:
    def post(system: System, message: Envelope) -> None:
        ledger = _ledger(system)
        ledger.entries.append(_entry(ledger, ("main", "1", "0")))

    assert _sabotaged(post, 1).invariant == "I2"


def test_an_entry_of_less_than_a_step() -> None:
    def post(system: System, message: Envelope) -> None:
        tiny = "0.000000001"  # the step of USD is 0.00000001
        legs = ("main", tiny, "0"), ("fees", f"-{tiny}", "0")
        ledger = _ledger(system)
        ledger.entries.append(_entry(ledger, *legs))

    error = _sabotaged(post, 1)
    assert error.invariant == "I11"
    assert "less than a step of USD" in str(error)


def test_an_entry_that_nobody_asked_for() -> None:
    def post(system: System, message: Envelope) -> None:
        ledger = _ledger(system)
        legs = [("main", "1", "0"), ("market", "-1", "0")]
        ledger.entries.append(_entry(ledger, *legs))

    assert _sabotaged(post, 1).invariant == "I6"


def test_a_journal_that_is_changed_afterwards() -> None:
    def rewrite(system: System, message: Envelope) -> None:
        entries = _ledger(system).entries
        old = entries[0]
        entries[0] = old._replace(legs=[(*leg[:3], leg[3] * 2, leg[4]) for leg in old.legs])

    assert _sabotaged(rewrite, 1).invariant == "I10"


def test_an_account_below_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "_refuse", lambda *_: None)

    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 20)
        await me.next()

    with pytest.raises(InvariantBroken) as caught:
        play(BARS, script)
    assert caught.value.invariant == "I3"


def test_a_reserve_that_is_not_in_the_ledger() -> None:
    def reserve_more(system: System, message: Envelope) -> None:
        _replace(system, OrderStatus.PENDING, reserved=D(51))

    assert _sabotaged(reserve_more, 2).invariant == "I4"


def test_a_margin_that_is_not_in_the_ledger() -> None:
    def hold_more(system: System, message: Envelope) -> None:
        orders = _records(system).orders
        place = next(
            n for n, one in enumerate(orders) if one.is_filled and hasattr(one, "leverage")
        )
        orders[place] = derive(orders[place], margin_reserved=D(1))

    assert _sabotaged(hold_more, 2).invariant == "I4"


def test_a_final_order_that_changes() -> None:
    def revive(system: System, message: Envelope) -> None:
        _replace(system, OrderStatus.FILLED, status=OrderStatus.PENDING)

    error = _sabotaged(revive, 3)
    assert error.invariant == "I5"
    assert "FILLED" in str(error)


def test_volume_out_of_nowhere() -> None:
    def grow(system: System, message: Envelope) -> None:
        _replace(system, OrderStatus.PENDING, volume=D(3))

    assert _sabotaged(grow, 2).invariant == "I5"


def test_a_fill_that_is_not_in_the_orders() -> None:
    def repeat(system: System, message: Envelope) -> None:
        records = _records(system)
        records.fills.append(records.fills[-1])
        _replace(system, OrderStatus.PENDING, create_timestamp=None)
        chain = [one for one in records.orders if one.root_id == records.fills[-1].root_id]
        place = records.orders.index(chain[-1])
        records.orders[place] = derive(chain[-1])

    assert _sabotaged(repeat, 3).invariant == "I5"


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "0", "-1"])
def test_a_price_that_is_none(wrong: str) -> None:
    def spoil(system: System, message: Envelope) -> None:
        _replace(system, OrderStatus.PENDING, limit_price=Decimal(wrong))

    assert _sabotaged(spoil, 2).invariant == "I11"


def test_a_message_out_of_order() -> None:
    def rewind(system: System, message: Envelope) -> None:
        system.events.sequence -= 50

    assert _sabotaged(rewind, 2).invariant == "I7"


@pytest.mark.parametrize(
    ("name", "fault", "invariant"),
    [
        # nothing is reserved for an order
        (
            "create_order",
            lambda real: lambda a, s, r, *f: real(a, s, r * 0, *f),
            "I4",
        ),
        # half of a cancelled reserve stays where it was
        ("release", lambda real: lambda a, s, r, *f: real(a, s, r / 2, *f), "I4"),
        # a closed position gives back no margin
        (
            "close_position",
            lambda real: lambda a, s, m, *f, **k: real(a, s, m * 0, *f, **k),
            "I4",
        ),
        # a fill forgets what it did not use of its reserve
        (
            "fill_spot_buy",
            lambda real: lambda a, b, q, v, n, f, *_: real(a, b, q, v, n, f, n + f),
            "I4",
        ),
    ],
)
def test_a_bug_in_what_is_posted(
    monkeypatch: pytest.MonkeyPatch, name: str, fault: Any, invariant: str
) -> None:
    async def script(me: Any) -> None:
        await _trade(me)
        order = await me.buy("BTCUSD", 1, limit_price=60)
        await order.cancel()

    real = getattr(transaction_manager, name)
    modules = walk_packages(actors.__path__, "backtest.actors.")
    users = [import_module(one.name) for one in modules]
    for user in users:
        if hasattr(user, name):
            monkeypatch.setattr(user, name, fault(real))
    with pytest.raises(InvariantBroken) as caught:
        play([*BARS, bar(4, 100)], script)
    assert caught.value.invariant == invariant


def test_an_honest_run_is_checked_after_every_message() -> None:
    seen: list[int] = []

    def prepare(system: System) -> None:
        before = system.tracer
        assert before is not None

        def count(message: Envelope) -> None:
            seen.append(message.id)
            before(message)

        system.tracer = count

    world = play(BARS, _trade, prepare=prepare)
    assert world.oracle.checks == len(seen) > 30
