"""What each strategy won: in sum the profit of the run, whatever they share."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import backtest
from backtest.analysis.by_strategy import OPENING, pnl_by_strategy
from backtest.data import synthetic_bars
from backtest.models import Bar, TradingRules
from backtest.strategies import Strategy
from backtest.times import MINUTE

RULES = TradingRules.from_mapping(
    {
        "commission": "0.001",
        "max_leverage": 5,
        "maintenance_rate": "0.01",
        "fees": {"overnight_filled": {"percent_of_notional": "0.001"}},
    }
)


class Drawing(Strategy):
    """Draws what it does: spot orders, or positions with a stop-loss."""

    margin: bool = False

    def on_bar(self, bar: Bar) -> Any:
        drawn = self.random.random()
        if drawn < 0.2 and self.margin:
            stop = self.pair_of("BTCUSD").round_price(bar.close * Decimal("0.999"))
            self.long("BTCUSD", "0.3", leverage=3, stop_loss=stop)
        elif drawn < 0.2:
            self.buy("BTCUSD", "0.3")
        elif drawn < 0.4 and not self.margin and self.holding("BTCUSD") >= Decimal("0.3"):
            self.sell("BTCUSD", "0.3")
        elif drawn < 0.5 and self.margin:
            return self.close_all()
        return None


@pytest.mark.parametrize("netting", [False, True])
@pytest.mark.parametrize("cash", ["3000 USD", {"USD": 3000, "BTC": 2}])
@pytest.mark.parametrize("seed", range(3))
def test_in_sum_it_is_the_profit(cash: Any, netting: bool, seed: int) -> None:
    result = backtest.run(
        {"spot": Drawing(), "one": Drawing(margin=True), "two": Drawing(margin=True)},
        data=synthetic_bars("BTCUSD", 300, seed=seed, price=1_000), pair="BTCUSD", cash=cash,
        netting=netting, rules=RULES, seed=seed,
    )  # fmt: skip
    gained = pnl_by_strategy(result)
    assert sum(gained.values()) == result.summary["profit"]
    opening = gained.pop(OPENING, Decimal(0))
    assert list(gained) == ["spot", "one", "two"]
    assert len(result.fills) > 20
    # What was there is worth more or less by what the price has moved, and that is nobody's doing.
    held = Decimal(2) if isinstance(cash, dict) else Decimal(0)
    moved = result.valuation.prices["BTCUSD"] - result.valuation.first_prices["BTCUSD"]
    assert opening == held * moved


def test_two_that_share_an_account_are_told_apart() -> None:
    """A buys one at 101 and sells at 103; B buys one at 102 and has it at the close of 103.5."""

    class At(Strategy):
        buys: int
        sells: int = 0

        def on_bar(self, bar: Bar) -> None:
            minute = bar.close_ns // MINUTE
            if minute == self.buys:
                self.buy("BTCUSD", 1)
            if minute == self.sells:
                self.sell("BTCUSD", 1)

    high, low, half = Decimal(104), Decimal(99), Decimal("0.5")
    bars = [
        Bar("BTCUSD", n * MINUTE, (n + 1) * MINUTE, opens, high, low, opens + half, Decimal(9))
        for n, opens in enumerate(map(Decimal, range(100, 104)))
    ]
    result = backtest.run(
        {"a": At(buys=1, sells=3), "b": At(buys=2)}, data=bars, pair="BTCUSD", cash="1000 USD"
    )
    # A: bought at the open of the second bar, 101, sold at that of the fourth, 103.
    assert pnl_by_strategy(result) == {"a": Decimal(2), "b": Decimal("1.5")}


def test_an_average_price_without_an_end_leaves_nothing_over() -> None:
    """One at 101 and two at 97 are three at 98.333…; one of another strategy closes 1.3 of them."""

    class Lots(Strategy):
        plan: dict[int, str]

        def on_bar(self, bar: Bar) -> None:
            volume = self.plan.get(bar.close_ns // MINUTE)
            if volume is not None:
                self.long("BTCUSD", volume) if volume[0] != "-" else self.short(
                    "BTCUSD", volume[1:]
                )

    bars = [
        Bar("BTCUSD", n * MINUTE, (n + 1) * MINUTE, *[Decimal(price)] * 4)
        for n, price in enumerate((100, 101, 97, 95, 103))
    ]
    result = backtest.run(
        {"a": Lots(plan={1: "1", 2: "2"}), "b": Lots(plan={3: "-1.3"})},
        data=bars, pair="BTCUSD", cash="1000 USD", netting=True,
    )  # fmt: skip
    # 1.3 closed at 95 have lost 4.33333334, rounded; 1.7 that cost 167.1666… are worth 175.1.
    gained = pnl_by_strategy(result)
    assert list(gained) == ["a", "b"]
    assert sum(gained.values()) == result.summary["profit"]
    assert round(sum(gained.values()), 8) == Decimal("3.59999999")
