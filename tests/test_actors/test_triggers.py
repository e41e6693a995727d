"""What waits for a price: who is fired, in which order, whatever was withdrawn meanwhile."""

from __future__ import annotations

from typing import Any

from backtest.actors.exchange.triggers import Triggers
from backtest.services.fills.walk import Working
from tests.harness import D


def stop(buy: bool, price: int, sequence: int, kind: Any = "stop") -> Working:
    return Working(kind, buy, D(price), D(1), sequence=sequence)


def test_the_nearest_fires_first_and_at_one_price_an_entry_then_the_loss_then_the_gain() -> None:
    triggers = Triggers()
    near, far = stop(True, 101, 5), stop(True, 103, 1)
    loss, called = stop(True, 102, 3, "stop_loss"), stop(True, 102, 2, "liquidation")
    entry, gain = stop(True, 102, 9), stop(False, 102, 1, "take_profit")  # both need it to rise
    falling = stop(False, 99, 1)
    for one in (far, gain, called, loss, entry, near, falling):
        triggers.wait(one)
    assert triggers.fire(D(100)) == []
    assert triggers.fire(D(102)) == [near, entry, loss, called, gain]
    assert triggers.fire(D(102)) == []
    assert triggers.fire(D(98)) == [falling]
    assert triggers.fire(D(104)) == [far]


def test_what_was_withdrawn_never_fires_however_much_it_is() -> None:
    """Of 200 every tenth stays, and one of these is moved: what is stale is thrown out on the way,
    and the others keep their order."""
    triggers = Triggers()
    every = [stop(number % 2 == 0, 200 if number % 2 == 0 else 50, number) for number in range(200)]
    for one in every:
        triggers.wait(one)
    for number, one in enumerate(every):
        if number % 10 > 1:
            triggers.withdraw(one)
    moved = every[100]
    triggers.withdraw(moved)
    moved.price = D(199)
    triggers.wait(moved)
    rising = [one for one in every[::10] if one is not moved]
    assert triggers.fire(D(199)) == [moved]
    assert triggers.fire(D(200)) == rising
    assert triggers.fire(D(50)) == every[1::10]
    assert triggers.fire(D(300)) == triggers.fire(D(1)) == []
