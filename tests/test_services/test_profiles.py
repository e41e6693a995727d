"""Profiles: by name in Python, rules files and the command line, and what they make of a bar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.cli import main
from backtest.data import MemoryBars, write_csv
from backtest.errors import ConfigError
from backtest.models import TradingRules
from backtest.profiles import PROFILES, profile
from backtest.runs.config import read_rules
from backtest.strategies import Strategy
from tests.harness import D, bar

# A stop-loss at 97 and a take-profit at 104 around a market entry at 100.
FLAT = [bar(0, 100), bar(1, 100, 100, 100, 100)]


class Bracket(Strategy):
    kind: str = "market"

    async def on_bar(self, bar: Any) -> None:
        if not hasattr(self, "order"):
            price: dict[str, Any] = {"limit_price": 99} if self.kind == "limit" else {}
            self.order = await self.long("BTCUSD", 1, stop_loss=97, take_profit=104, **price)


def fills(name: str | None, bars: list[Any], kind: str = "market") -> list[tuple[str, Any, int]]:
    result = backtest.run(
        Bracket(kind=kind), data=bars, pair="BTCUSD", cash="1000 USD", profile=name
    )
    assert result.verify().ok
    return [(one.kind, one.price, one.bar_open_ns // (60 * 10**9)) for one in result.fills]


def test_every_profile_makes_rules_and_says_which_engine_it_is() -> None:
    assert list(PROFILES) == [
        "backtrader",
        "backtesting.py",
        "backtesting.py-on-close",
        "nautilus-bar",
        "nautilus-bar-adaptive",
    ]
    for name, one in PROFILES.items():
        assert one.name == name
        assert one.engine
        assert isinstance(one.rules(), TradingRules)
    with pytest.raises(ConfigError, match="no profile is called 'zipline'; known: backtrader"):
        profile("zipline")
    with pytest.raises(TypeError):
        profile("backtrader").settings["path"] = "adaptive"  # type: ignore[index]


# The entry is decided at the close of bar 0. Bar 1 is 100 / 105 / 96 / 102: entry at its open 100,
# and both exits within it. Bar 2 opens at 104.5, beyond the take-profit, and falls to 96.
WIDE = [bar(0, 100), bar(1, 100, 105, 96, 102), bar(2, "104.5", 105, 96, 100), bar(3, 100)]


def test_backtrader_exits_from_the_next_bar_the_stop_first() -> None:
    assert fills("backtrader", WIDE) == [("entry", D(100), 1), ("stop_loss", D(97), 2)]


def test_backtesting_py_exits_a_market_entry_on_its_bar_the_stop_first() -> None:
    assert fills("backtesting.py", WIDE) == [("entry", D(100), 1), ("stop_loss", D(97), 1)]


def test_backtesting_py_exits_a_limit_entry_from_the_next_bar() -> None:
    # Limit 99: filled on bar 1, whose low of 96 is below the stop-loss; stopped on bar 2.
    assert fills("backtesting.py", WIDE, "limit") == [
        ("entry", D(99), 1),
        ("stop_loss", D(97), 2),
    ]


def test_backtesting_py_on_close_fills_there_and_looks_at_the_next_bar() -> None:
    # Filled at the close of bar 0; the stop-loss comes first on bar 1.
    name = "backtesting.py-on-close"
    assert fills(name, WIDE) == [("entry", D(100), 0), ("stop_loss", D(97), 1)]


def test_nautilus_fills_at_the_close_and_walks_high_first() -> None:
    assert fills("nautilus-bar", WIDE) == [("entry", D(100), 0), ("take_profit", D(104), 1)]


def test_nautilus_adaptive_goes_to_the_nearer_extreme() -> None:
    # 105 is 5 above the open, 96 is 4 below: the low first.
    assert fills("nautilus-bar-adaptive", WIDE) == [("entry", D(100), 0), ("stop_loss", D(97), 1)]


def test_nautilus_gives_stops_and_limits_their_own_price_over_a_gap() -> None:
    down = [bar(0, 100), bar(1, 95, 96, 94, 95)]
    assert fills("nautilus-bar", down)[1] == ("stop_loss", D(97), 1)
    up = [bar(0, 100), bar(1, 106, 107, 105, 106)]
    assert fills("nautilus-bar", up)[1] == ("take_profit", D(104), 1)
    assert fills("backtesting.py", [*FLAT, bar(2, 95, 96, 94, 95)])[1] == ("stop_loss", D(95), 2)


def test_an_entry_that_gaps_beyond_its_stop_loss_fills_and_is_stopped() -> None:
    gap = [bar(0, 100), bar(1, 95, 96, 94, 95), bar(2, 96)]
    assert fills(None, gap) == []
    assert fills("backtesting.py", gap) == [("entry", D(95), 1), ("stop_loss", D(95), 1)]
    assert fills("backtrader", gap) == [("entry", D(95), 1), ("stop_loss", D(96), 2)]


# --- where it can be said -------------------------------------------------------------------------


def test_what_the_rules_say_goes_before_the_profile(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('fill_on = "this_close"\n[pairs.ETHUSD]\nprofile = "nautilus-bar"\n')
    book = read_rules(file, "backtrader")
    assert (book.default.path, book.default.fill_on) == ("queue_order", "this_close")
    assert book.rules("ETHUSD").path == "open_high_low_close"
    assert read_rules({"path": "adaptive"}, "backtrader").default.path == "adaptive"
    assert read_rules({"profile": "backtrader"}).default == profile("backtrader").rules()
    assert read_rules(None, "backtrader").default == profile("backtrader").rules()


@pytest.mark.parametrize("rules", [TradingRules(), {"BTCUSD": TradingRules()}])
def test_a_profile_beside_trading_rules_is_refused(rules: Any) -> None:
    with pytest.raises(ConfigError, match=r"profile\('backtrader'\).rules\(...\)"):
        read_rules(rules, "backtrader")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars, strategy = tmp_path / "bars.csv", tmp_path / "mine.py"
    write_csv(bars, MemoryBars(WIDE, "BTCUSD"))
    strategy.write_text(
        "from backtest.strategies import Strategy\n"
        "class Mine(Strategy):\n"
        "    async def on_bar(self, bar):\n"
        "        if not hasattr(self, 'order'):\n"
        "            self.order = await self.long('BTCUSD', 1, stop_loss=97, take_profit=104)\n"
    )
    asked = ["run", str(strategy), "--data", str(bars), "--pair", "BTCUSD", "--cash", "1000USD"]
    assert main([*asked, "--json", "--paths", "--profile", "backtrader"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["final_equity"] == "997"
    assert set(told["paths"]["paths"]) > {"queue_order", "pessimistic"}
    assert main([*asked, "--latency", "orders=1ms", "--latency", "market_data=2ms"]) == 0
    capsys.readouterr()
    assert main([*asked, "--latency", "1ms", "--latency", "2ms"]) == 1
    assert "give --latency once, or once for each link" in capsys.readouterr().err


class Leaves(Strategy):
    """Opens a position with a protection, and closes it at the market on the next bar."""

    take_profit: int = 0
    stop_loss: int = 0

    async def run(self) -> None:
        stream = self.bars("BTCUSD")
        await anext(stream)
        order = await self.long(
            "BTCUSD", 1, take_profit=self.take_profit or None, stop_loss=self.stop_loss or None
        )
        await anext(stream)
        await order.close()


@pytest.mark.parametrize("name", ["backtesting.py", "backtrader"])
@pytest.mark.parametrize(
    ("settings", "prices", "at"),
    [
        ({"take_profit": 105}, (102, 106, 101, 104), 102),
        ({"stop_loss": 95}, (98, 99, 94, 96), 98),
    ],
)
def test_a_close_at_the_market_goes_before_the_protections_of_its_bar(
    name: str, settings: Any, prices: Any, at: int
) -> None:
    """backtesting.py puts a close in front of its queue: it gives 102 and 98, too."""
    bars = [bar(0, 100), bar(1, 100), bar(2, *prices), bar(3, prices[-1])]
    result = backtest.run(
        Leaves(**settings), data=bars, pair="BTCUSD", cash="1000 USD", profile=name
    )
    assert [(one.kind, one.price, one.point) for one in result.fills] == [
        ("entry", D(100), "open"),
        ("close", D(at), "open"),
    ]


class StopLimit(Strategy):
    """Buys by a stop at 101, up to a limit."""

    limit: int = 110

    async def on_bar(self, bar: Any) -> None:
        if not hasattr(self, "order"):
            self.order = await self.long("BTCUSD", 1, stop_price=101, limit_price=self.limit)


@pytest.mark.parametrize(
    ("name", "inside", "over_a_gap"),
    [
        (None, 101, 103),
        ("backtrader", 101, 103),
        # This engine gives 101 over the gap, too, where the bar never was: not imitated.
        ("backtesting.py", 101, 103),
        ("backtesting.py-on-close", 101, 101),
        ("nautilus-bar", 101, 101),
        ("nautilus-bar-adaptive", 101, 101),
    ],
)
def test_a_stop_limit_fills_at_its_stop_or_at_what_the_gap_gives(
    name: str | None, inside: int, over_a_gap: int
) -> None:
    """Bars 100 / 105 / 99 / 104 and 103 / 105 / 102 / 104: the prices that the engines gave. With
    ``limit_gap = "limit"`` it filled at the limit, 110, and on the close at the open, 103."""
    for prices, at in (((100, 105, 99, 104), inside), ((103, 105, 102, 104), over_a_gap)):
        bars = [bar(0, 100), bar(1, *prices), bar(2, 104)]
        result = backtest.run(StopLimit(), data=bars, pair="BTCUSD", cash="1000 USD", profile=name)
        assert [(one.price, one.bar_open_ns // (60 * 10**9)) for one in result.fills] == [
            (D(at), 1)
        ]


def test_a_stop_limit_takes_the_own_price_of_its_limit_only_over_a_gap() -> None:
    # Limit 102, its gaps at its own price. Inside the bar the market stands at the stop: 101.
    # Bar 1 opens at 101.5, between the two: 102, what a limit gets of a gap, stops at the open.
    rules = TradingRules(limit_gap="limit")
    for prices, at in (((100, 105, 99, 104), 101), (("101.5", 105, 101, 104), 102)):
        bars = [bar(0, 100), bar(1, *prices), bar(2, 104)]
        result = backtest.run(
            StopLimit(limit=102), data=bars, pair="BTCUSD", cash="1000 USD", rules=rules
        )
        assert [one.price for one in result.fills] == [D(at)]
