"""The oracle sees a venue that forgets to liquidate, or to call an account."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors.venue.pair_book import PairBook
from backtest.services.margin.cross import Standing
from backtest.testing.audit.oracle import InvariantBroken
from tests.harness import bar, play, rules


async def _hold(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(2)


BARS = [bar(0, 100), bar(1, 100), bar(2, 95, 95, 60, 62)]


@pytest.mark.parametrize(
    "given",
    [
        {"maintenance_rate": "0.05"},
        {"maintenance_tiers": [[300, "0.01"], [500, "0.04"], [None, "0.10"]]},
    ],
)
@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_a_position_that_is_forgotten_is_found(
    monkeypatch: pytest.MonkeyPatch, mode: str, given: Any
) -> None:
    more: dict[str, Any] = {
        "cash": {"USD": 300, "BTC": 1},
        "rules": rules(**given),
        "accounts": {"main": {"margin_mode": mode}},
    }
    if mode == "cross":
        more["accounts"]["main"]["collateral"] = {"BTC": "0.1"}
    assert len(play(BARS, _hold, **more).fills()) == 2
    monkeypatch.setattr(PairBook, "liquidation", lambda *_: None)
    monkeypatch.setattr(Standing, "triggers", lambda *_: (None, None))
    with pytest.raises(InvariantBroken, match="I13"):
        play(BARS, _hold, **more)
