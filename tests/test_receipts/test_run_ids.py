"""A run's id is that of what was run: seed, settings, parameters, data and sources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.verify.verify import verify_run
from backtest.data import MemoryBars
from backtest.ids import derived_id
from backtest.markets import Scenario, run_market
from backtest.models import Bar, TradingRules
from backtest.receipt import run_id_of
from backtest.strategies import Strategy
from backtest.testing import bar, rules
from tests.harness import D

BARS = [bar(n, 100 + n) for n in range(4)]


class Buys(Strategy):
    """Buys ``volume`` at the first bar; ``unused`` changes nothing."""

    volume: D = D(1)
    unused: Any = None

    async def on_bar(self, bar: Bar) -> None:
        if not self.open_orders() and not self.balance("BTC").total:
            await self.buy("BTCUSD", self.volume)
            self.volume += 1  # its own affair: the configuration is what it was given


def run(strategy: Any = None, **settings: Any) -> RunResult:
    given = {"data": BARS, "pair": "BTCUSD", "cash": "1000 USD", **settings}
    return backtest.run(Buys() if strategy is None else strategy, **given)


def run_id(*args: Any, **settings: Any) -> str:
    return str(run(*args, **settings).receipt["run_id"])


def test_each_set_of_parameters_has_an_id_and_a_receipt_of_its_own() -> None:
    results = [run(Buys(volume=D(n) / 10)) for n in range(1, 16)]
    assert len({one.receipt["run_id"] for one in results}) == 15
    assert len({one.config_sha256 for one in results}) == 15


def test_the_same_again_has_the_same_id_and_the_same_bytes(tmp_path: Path) -> None:
    folders = [run().write(tmp_path / name) for name in ("one", "other")]
    for file in sorted(one.name for one in folders[0].iterdir()):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"cash": "1001 USD"},
        {"cash": {"USD": 1000, "BTC": 1}},
        {"data": BARS[:3]},
        {"data": [*BARS[:3], attrs.evolve(BARS[3], high=D(104))]},
        {"rules": TradingRules(max_leverage=D(3))},
        {"rules": rules(fees={"fill": {"percent_of_notional": "0.001"}})},
        {"latency": "5ms"},
        {"netting": True},
        {"margin_mode": "cross"},
        {"insurance_fund": {"USD": 1}},
        {"inbox_bound": 5},
        {"strategy": {"other": Buys()}},
        {"strategy": {"one": Buys(), "two": Buys()}},
    ],
    ids=range(14),
)
def test_whatever_is_run_otherwise_is_another_run(settings: dict[str, Any]) -> None:
    assert run_id(**settings) != run_id()


def test_the_order_of_pairs_and_strategies_counts() -> None:
    data = {"BTCUSD": BARS, "ETHUSD": [attrs.evolve(one, pair="ETHUSD") for one in BARS]}
    turned = dict(reversed(data.items()))
    assert run_id(data=data, pair=None) != run_id(data=turned, pair=None)
    both = {"a": Buys(), "b": Buys(volume=D(2))}
    assert run_id(both) != run_id({"b": Buys(volume=D(2)), "a": Buys()})


def test_all_other_ids_derive_from_it_and_a_number() -> None:
    result = run()
    root = result.run.run_id
    assert root == run_id_of(result.config)
    assert result.orders[0].id == derived_id(root, "order/1")
    assert result.orders[0].broker_id == derived_id(root, "party/1")
    assert result.accounts["main"].account_id == derived_id(root, "party/2")
    assert result.fills[0].entry_id == derived_id(root, "entry/3")  # cash, reserve, fill


def test_the_configuration_is_what_was_given_whatever_a_strategy_makes_of_it() -> None:
    result = run()
    assert result.strategies["buys"].volume == 2
    assert result.config["strategies"]["buys"]["parameters"]["volume"] == {"Decimal": "1"}


# -- the journal's hash ----------------------------------------------------------------------------


def test_the_journal_has_no_ids_in_its_hash() -> None:
    one, other = run(), run(Buys(unused="something"))
    assert one.receipt["run_id"] != other.receipt["run_id"]
    assert {order.id for order in one.orders}.isdisjoint(order.id for order in other.orders)
    assert one.journal_sha256 == other.journal_sha256
    assert run(Buys(volume=D(2))).journal_sha256 != one.journal_sha256


def test_it_is_of_order_part_time_account_asset_type_and_amounts() -> None:
    class Once(Strategy):
        async def run(self) -> None:
            await self.buy("BTCUSD", 2, limit_price=100)

    # Bars of volume 1: 2 at 100 fill in two parts, the second of which is an order of its own.
    def part(number: str, at: str) -> list[str]:
        return [
            f"{number}|{at}|main|USD|FILL_BUY|0|-100",
            f"{number}|{at}|main|BTC|SPOT_EXCHANGE|1|0",
            f"{number}|{at}|market|USD|FILL_BUY|100|0",
            f"{number}|{at}|market|BTC|SPOT_EXCHANGE|-1|0",
        ]

    lines = [
        "|1970-01-01T00:00:00+00:00|main|USD|ADJUSTMENT|1000|0",
        "|1970-01-01T00:00:00+00:00|world|USD|ADJUSTMENT|-1000|0",
        "1.1|1970-01-01T00:00:00+00:00|main|USD|RESERVE_MARGIN|-200|200",
        *part("1.1", "1970-01-01T00:01:00+00:00"),
        *part("1.2", "1970-01-01T00:02:00+00:00"),
    ]
    text = "".join(f"{line}\n" for line in lines)
    result = run(Once(), data=[bar(n, 100, volume=1) for n in range(3)])
    assert result.journal_sha256 == hashlib.sha256(text.encode()).hexdigest()


# -- data that can be read only once ---------------------------------------------------------------


class Stream:
    """Bars that come once, as from a socket; their hash is known when they have come."""

    pair, bar_ns = "BTCUSD", 60 * 10**9

    def __init__(self, bars: list[Bar]) -> None:
        self._rest = iter(bars)
        self._seen: list[Bar] = []

    def __iter__(self) -> Iterator[Bar]:
        return self

    def __next__(self) -> Bar:
        self._seen.append(next(self._rest))
        return self._seen[-1]

    def digest(self) -> str:
        assert len(self._seen) > 1, "it was asked for before it was read"
        return MemoryBars(self._seen, "BTCUSD").digest()


def test_what_can_be_read_only_once_is_hashed_when_it_was_and_is_not_in_the_id(
    tmp_path: Path,
) -> None:
    result = run(data=Stream(BARS))
    assert result.inputs == {"BTCUSD": MemoryBars(BARS, "BTCUSD").digest()}
    assert result.config["data"]["BTCUSD"]["once"] is True
    (notice,) = result.receipt["notices"]
    assert notice.startswith("the data of BTCUSD can be read only once")
    assert f"  {notice}\n" in result.report()
    other = run(data=Stream(BARS[:3]))
    assert other.receipt["run_id"] == result.receipt["run_id"]
    assert other.config_sha256 != result.config_sha256
    assert result.verify().ok
    assert verify_run(result.write(tmp_path / "run")).ok


def test_a_file_is_hashed_before_it_is_streamed(tmp_path: Path) -> None:
    from backtest.data import write_csv

    file = tmp_path / "bars.csv"
    write_csv(file, MemoryBars(BARS, "BTCUSD"))
    read = run(data=file, bar="1m")
    streamed = run(data=file, bar="1m", stream=True)
    assert streamed.receipt["notices"] == []
    assert streamed.receipt["run_id"] == read.receipt["run_id"]
    assert streamed.inputs["BTCUSD"] == hashlib.sha256(file.read_bytes()).hexdigest()


# -- markets ---------------------------------------------------------------------------------------


def test_a_market_goes_by_its_scenario_its_seed_and_who_joins() -> None:
    scenario = Scenario.load("flash-crash")

    def of(**settings: Any) -> str:
        settings = {"agents": 12, "until": "09:30:05", **settings}
        return str(run_market(scenario, **settings).receipt["run_id"])

    assert of() == of()
    changed = [of(seed=3), of(agents=13), of(until="09:30:06"), of(latency="1ms")]
    joined = [
        of(strategies={"me": Buys()}),
        of(strategies={"me": Buys(unused=1)}),
        of(strategies={"me": Buys()}, cash="5 USD"),
    ]
    # Whose links the latency is of is nobody here, so that nothing changes by it.
    assert len({of(), *changed, *joined}) == 7
