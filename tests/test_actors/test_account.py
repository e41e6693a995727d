"""The account actor by itself: what it is asked, and what it answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from backtest.actors import AccountActor, Directive, Supervision, System
from backtest.actors.protocol import Post, Posted, ReadBalances
from backtest.errors import AccountError, BacktestError, InsufficientFunds, UnbalancedEntry
from backtest.services.ledger.entries import create_order, deposit
from backtest.testing import inject
from tests.harness import D

from .kernel import SECOND, Script

OPENING = [("main", "USD", D(100)), ("main", "BTC", D(0)), ("other", "USD", D(7))]


def _ask(
    life: Any, *, fund: Any = (), prepare: Any = None, rule: Supervision | None = None
) -> AccountActor:
    """Let ``life`` ask an account actor; that actor, when all is over."""
    account = AccountActor(["main", "other"], OPENING, fund)
    if rule is not None:
        account.supervision = rule
    asker = Script("asker", life)
    system = System()
    system.add(account)
    system.add(asker)
    if prepare is not None:
        prepare(system)
    system.simulate()
    return account


async def _nothing(self: Script) -> None:
    """Asks for nothing."""


def test_it_is_called_account_and_asks_asyncio_nothing() -> None:
    account = AccountActor([], [])
    assert account.name == "account"
    assert not account.handles_inside


def test_it_opens_with_the_deposits_that_are_any() -> None:
    account = _ask(_nothing, fund=[("USD", D(50)), ("BTC", D(0))])
    rows = account.ledger.rows()
    assert [(row.account, row.asset, row.available, row.description) for row in rows] == [
        ("main", "USD", D(100), "Adjustment: opening balance"),
        ("world", "USD", D(-100), "Adjustment: opening balance"),
        ("other", "USD", D(7), "Adjustment: opening balance"),
        ("world", "USD", D(-7), "Adjustment: opening balance"),
        ("insurance", "USD", D(50), "Adjustment: insurance fund"),
        ("world", "USD", D(-50), "Adjustment: insurance fund"),
    ]
    entries = account.ledger.entries
    assert [(one.cause, one.order_id, one.time) for one in entries] == [(0, None, 0)] * 3
    assert account.ledger.accounts[:2] == ["main", "other"]


def test_an_entry_is_answered_with_its_number_and_what_it_touched() -> None:
    got: list[Any] = []

    async def life(self: Script) -> None:
        await self.system.sleep_until(SECOND)
        for amount in (30, 20):
            legs = create_order("main", "USD", D(amount))
            got.append(await self.link("account").request(Post(legs, None, f"buy {amount}")))

    account = _ask(life)
    assert got == [
        Posted(3, {("main", "USD"): (D(70), D(30))}),
        Posted(4, {("main", "USD"): (D(50), D(50))}),
    ]
    third = account.ledger.entries[2]
    assert (third.time, third.order_id, third.why) == (SECOND, None, "buy 30")
    assert [row.description for row in account.ledger.rows()][-2:] == [
        "Reserve: buy 30",
        "Reserve: buy 20",
    ]


def test_an_entry_knows_its_order_and_its_cause() -> None:
    order = UUID(int=5)

    class Relay(Script):
        async def run(self) -> None:
            message = await self.receive()
            assert message.payload == "go"
            await self.link("account").request(Post(deposit("main", "USD", D(1)), order, "x"))
            self.note(message.id)

    async def life(self: Script) -> None:
        self.link("relay").post("go")

    relay = Relay("relay", _nothing)
    account = _ask(life, prepare=lambda system: system.add(relay))
    last = account.ledger.entries[-1]
    assert last.order_id == order
    assert (0, last.cause) in relay.log


def test_a_broken_rule_is_raised_at_the_asker_and_the_actor_goes_on() -> None:
    async def life(self: Script) -> None:
        link = self.link("account")
        for legs, error in (
            (create_order("main", "USD", D(101)), InsufficientFunds),
            (deposit("main", "USD", D(1))[:1], UnbalancedEntry),
        ):
            with pytest.raises(error):
                await link.request(Post(legs, None, "too much"))
        posted = await link.request(Post(create_order("main", "USD", D(100)), None, "all"))
        assert posted.balances == {("main", "USD"): (D(0), D(100))}

    assert len(_ask(life).ledger.entries) == 3


def test_an_account_that_nobody_opened_is_a_fault_of_the_program() -> None:
    async def life(self: Script) -> None:
        await self.link("account").request(Post(create_order("ghost", "USD", D(1)), None, "x"))

    with pytest.raises(AccountError, match="no account 'ghost'"):
        _ask(life)


def test_all_balances_are_told_house_included() -> None:
    got: list[Any] = []

    async def life(self: Script) -> None:
        got.append(await self.link("account").request(ReadBalances()))

    _ask(life)
    assert got == [
        {
            ("main", "USD"): (D(100), D(0)),
            ("other", "USD"): (D(7), D(0)),
            ("world", "USD"): (D(-107), D(0)),
        }
    ]


def test_anything_else_is_not_understood() -> None:
    async def life(self: Script) -> None:
        await self.link("account").request("hello")

    with pytest.raises(BacktestError, match="does not understand 'hello'"):
        _ask(life)


def test_a_restart_pays_nothing_in_a_second_time() -> None:
    async def life(self: Script) -> None:
        link = self.link("account")
        with pytest.raises(BacktestError, match="account failed"):
            await link.request(Post(create_order("main", "USD", D(1)), None, "lost"))
        await link.request(Post(create_order("main", "USD", D(1)), None, "again"))

    restart = Supervision(directive=Directive.RESTART)
    account = _ask(
        life,
        rule=restart,
        prepare=lambda system: inject(system, "account", "raise_before", 0),
    )
    assert [one.why for one in account.ledger.entries] == ["opening balance"] * 2 + ["again"]
