"""Nothing that the package works out goes by the decimal context of whoever calls it.

Whole runs are made and told in a context that raises as soon as anything is rounded in it; they
come to the same bytes as in Python's own. A strategy's own arithmetic goes by Python's default.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve

import backtest
from backtest.actors.kernel import fiber
from backtest.analysis.report.report import report
from backtest.analysis.verify.verify import verify_run
from backtest.data import open_bars
from backtest.markets import run_market
from backtest.models import Asset, Bar, TradingPair, TradingRules
from backtest.models.fills import Fills
from backtest.strategies import Strategy
from backtest.testing import bar, pair_of, play, rules
from backtest.testing.simulation.run import run_seed
from tests.test_analysis.runs import busy_run, small_run
from tests.test_markets.crowd import CROWD

D = Decimal
THIRD = D("0." + "3" * 28)


@contextmanager
def hostile() -> Iterator[None]:
    """Five digits, rounded up, and an error for whatever needs more."""
    traps = [decimal.Inexact, decimal.Rounded, decimal.FloatOperation, decimal.Subnormal]
    with decimal.localcontext(decimal.Context(5, decimal.ROUND_UP, traps=traps)):
        yield


def told(result: Any, folder: Path, stories: int = 10) -> dict[str, Any]:
    """All that a result says, and the bytes of its files."""
    result.verify().raise_for_problems()
    result.write(folder)
    assert verify_run(folder).ok
    files = {one.name: one.read_bytes() for one in sorted(folder.iterdir())}
    return {
        **files,
        "report": result.report(),
        "summary": repr(result.summary),
        "stories": [result.explain(order.id) for order in result.orders[:stories]],
        "balances": repr(result.balances),
        "fills": repr(result.fills),
        "repr": repr(result),
    }


def with_interval(result: Any, folder: Path) -> dict[str, Any]:
    interval = result.path_interval()
    return {
        **told(result, folder),
        "interval": str(interval),
        "plain": json.dumps(interval.plain()),
        "profit": repr(interval.profit),
    }


def market(folder: Path) -> dict[str, Any]:
    result = run_market(evolve(CROWD, duration="2m"))
    page = folder.with_suffix(".html")
    pytest.importorskip("plotly")
    result.page(page)
    return {
        **told(result, folder, stories=1),
        "text": result.report(),
        "run report": report(result, result.summary),
        "types": repr(result.by_type()),
        "facts": repr(result.stylised_facts(interval="10s")),
        "page": page.read_bytes(),
    }


CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "small": lambda folder: with_interval(small_run(), folder),
    "busy": lambda folder: told(busy_run(), folder),
    "market": market,
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_and_all_that_is_told_of_it_is_the_same(name: str, tmp_path: Path) -> None:
    expected = CASES[name](tmp_path / "usual")
    with hostile():
        found = CASES[name](tmp_path / "hostile")
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == value, key


def test_so_is_one_in_each_of_several_threads(tmp_path: Path) -> None:
    def one(number: int) -> dict[str, Any]:
        with hostile():
            return with_interval(small_run(), tmp_path / f"thread-{number}")

    expected = with_interval(small_run(), tmp_path / "usual")
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(one, range(3)):
            assert found == expected


class Quiet(Strategy):
    """Every kind of order, without any arithmetic of its own."""

    pair: str = "BTCUSD"

    async def on_bar(self, bar: Bar) -> None:
        self.number = getattr(self, "number", -1) + 1
        if self.number == 0:
            await self.buy(self.pair, "0.333", stop_loss="95.01", take_profit="140.07")
            await self.long(self.pair, "1.111", leverage=7, stop_loss="90.01")
            await self.long(self.pair, "0.777", leverage=7, limit_price="99.97")
            await self.short(self.pair, "0.555", leverage=3, stop_price="98.99")
            await self.buy(self.pair, "0.123", stop_price="101.03", limit_price="101.97")
            await self.long(self.pair, "0.321", leverage=9, trail_percent="1.7")
        elif self.number == 3:
            for order in self._client.handles_with_positions(self.pair):
                await order.close("0.011")


def quiet(bars: list[Bar]) -> Any:
    return backtest.run(
        Quiet(),
        data=bars,
        pair=pair_of(),
        cash="1000 USD",
        rules=rules(
            fees={
                "fill": {"percent_of_notional": "0.00123"},
                "close": {"percent_of_notional": "0.00077"},
                "overnight_filled": {"percent_of_notional": "0.00033"},
            },
            participation="0.37",
            slippage="0.013",
            maintenance_rate="0.0123",
        ),
    )


def test_the_engine_works_in_no_context_but_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Here the actors' own context is a hostile one, too: a strategy without arithmetic is at ease.
    walk = [100, 100, 102, 99, 96, 103, 107, 91]
    bars = [
        bar(at, price, max(price, after) + 3, min(price, after) - 2, after, "1.717")
        for at, (price, after) in enumerate(zip(walk, [*walk[1:], 95], strict=True))
    ]
    expected = told(quiet(bars), tmp_path / "usual")
    with hostile():
        for module in ("fiber", "lifecycle", "stepping"):
            name = f"backtest.actors.kernel.{module}.ARITHMETIC"
            monkeypatch.setattr(name, decimal.getcontext().copy())
        assert told(quiet(bars), tmp_path / "hostile") == expected


class Thirds(Strategy):
    """Divides wherever a strategy may."""

    found: ClassVar[list[Decimal]] = []

    def third(self) -> None:
        self.found.append(D(1) / D(3))

    def on_start(self) -> None:
        self.third()
        self.set_timer("soon", after="90s")

    async def on_bar(self, bar: Bar) -> None:
        self.third()

    def on_timer(self, name: str) -> None:
        self.third()

    def on_order(self, event: Any) -> None:
        self.third()

    def on_stop(self) -> None:
        self.third()

    async def run(self) -> None:
        async for _ in self.bars("BTCUSD"):
            self.third()
            break
        await self.buy("BTCUSD", 1)
        await self.sleep(30)
        self.third()


class Slips:
    """A policy of the user's own, called by the venue."""

    def slip(self, price: Decimal, buy: bool, volume: Decimal, bar: Bar) -> Decimal:
        Thirds.found.append(D(1) / D(3))
        return D(0)


def test_a_strategy_reckons_as_python_does_by_default() -> None:
    Thirds.found.clear()
    with hostile():
        backtest.run(
            Thirds(),
            data=[bar(at, 100) for at in range(4)],
            pair="BTCUSD",
            cash="1000 USD",
            rules=TradingRules(fills=Fills(slippage=Slips())),
        )
        assert decimal.getcontext().prec == 5
    # The start, four bars, the timer, two events of an order, the loop twice, the end; the policy.
    assert len(Thirds.found) >= 12
    assert set(Thirds.found) == {THIRD}


def test_what_a_strategy_sets_is_its_own() -> None:
    class Coarse(Thirds):
        def on_start(self) -> None:
            decimal.getcontext().prec = 3

    Thirds.found.clear()
    one, other = Coarse(), Thirds()
    before = decimal.getcontext().prec
    backtest.run(
        {"one": one, "other": other},
        data=[bar(at, 100) for at in range(3)],
        pair="BTCUSD",
        cash={"one": "1000 USD", "other": "1000 USD"},
    )
    assert set(Thirds.found) == {D("0.333"), THIRD}
    assert decimal.getcontext().prec == before


def test_every_digit_of_the_ledger_is_shown() -> None:
    # 31 digits: more than Python's 28.
    cash = "1234567890123456789012.123456789"
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 9))
    bars = {pair: [bar(0, 100)]}
    result = backtest.run(Strategy(), data=bars, cash={"USD": cash})
    shown = "1,234,567,890,123,456,789,012.123456789"
    assert f"final equity  {shown} USD" in result.report()
    assert result.report().count(shown) >= 4
    assert result.tables.facts["summary"]["final_equity"] == cash


def test_files_are_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    prices = "1.23456789,1.3456789,1.1234567,1.2345678,7.654321"
    rows = [f"{1_700_000_000_000 + at * 60_000},{prices}" for at in range(5)]
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    expected = list(open_bars(path, "BTCUSD"))
    with hostile():
        assert list(open_bars(path, "BTCUSD")) == expected


def test_the_test_helpers_are_at_ease_too() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", "1.234")
        await me.next()

    with hostile():
        world = play([bar(0, "100.07"), bar(1, "101.13"), bar(2, "99.99")], script)
        assert world.fills() == ["entry LONG 1.234 @ 101.13 open"]
        assert run_seed(3, 300).problem == ""


def test_what_is_no_number_is_refused_whatever_is_trapped() -> None:
    with decimal.localcontext(decimal.Context(traps=[])):
        with pytest.raises(ValueError, match="must be a number, not 'ten'"):
            backtest.run(Strategy(), data=[bar(0, 100)], pair="BTCUSD", cash={"USD": "ten"})
    assert fiber.ARITHMETIC.prec == 28
