"""What each type of agent won, held and did, worked out by hand."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from backtest.analysis.market.by_type import by_type, quantile
from backtest.analysis.market.samples import (
    AccountResult,
    Charge,
    MarketRecord,
    PairRecord,
)
from backtest.analysis.market.tape import TAPE_COLUMNS, write_tape
from backtest.analysis.market.type_series import type_series
from backtest.errors import ConfigError
from backtest.models import MarketTrade
from backtest.money import ZERO, add
from backtest.times import SECOND
from tests.test_analysis.test_market.making import PAIR, trade

TYPES = {"anna": "noise", "bert": "maker", "carl": "noise", "dora": "value"}


def result(account: str, start: int, final: str, fees: str = "0", taken: int = 0) -> AccountResult:
    return AccountResult(account, Decimal(start), Decimal(final), Decimal(fees), taken)


def market(*trades: MarketTrade, **more: object) -> MarketRecord:
    pair = PairRecord(pair=PAIR, trades=trades, **more)  # type: ignore[arg-type]
    return MarketRecord(
        start_ns=0,
        end_ns=100 * SECOND,
        pairs={PAIR: pair},
        types=TYPES,
        results=(
            result("anna", 1000, "1010.5", "0.5"),
            result("bert", 1000, "995", "-1"),
            result("carl", 1000, "980", "0.25", 1),
            result("dora", 1000, "1000"),
        ),
    )


def test_the_figures_of_each_type() -> None:
    figures = by_type(
        market(
            trade(1, "100", 10, "buy", "anna", "bert"),
            trade(2, "101", 4, "sell", "bert", "carl"),
            trade(3, "102", 2, None, "carl", "anna"),
        )
    )
    assert list(figures) == ["noise", "maker", "value"]
    noise = figures["noise"]
    assert noise.accounts == 2
    assert noise.pnl == Decimal("-9.5")  # 10.5 - 20
    assert noise.pnl_mean == Decimal("-4.75")
    assert (noise.pnl_worst, noise.pnl_best) == (Decimal(-20), Decimal("10.5"))
    assert noise.winners == 1
    assert noise.fees == Decimal("0.75")
    assert noise.liquidations == 1
    # Anna took, carl took, and both were in the auction's trade, in which nobody did.
    assert (noise.trades, noise.maker_trades, noise.taker_trades) == (4, 0, 2)
    assert noise.volume == Decimal(18)  # 10 + 4 + 2 + 2
    assert noise.turnover == Decimal(1812)  # 1000 + 404 + 204 + 204
    assert noise.inventory == {PAIR: Decimal(6)}  # 10 - 4 + 2 - 2
    maker = figures["maker"]
    assert maker.maker_share == Decimal(1)
    assert maker.fees == Decimal(-1)
    assert maker.inventory == {PAIR: Decimal(-6)}
    value = figures["value"]
    assert (value.trades, value.maker_share, value.inventory) == (0, None, {})
    assert value.pnl == 0


def test_what_came_of_holding_is_not_won_by_trading() -> None:
    # 1000 became 1100, of which 90 came of what it held: 10 were won.
    held = AccountResult("bert", Decimal(1000), Decimal(1100), ZERO, 0, Decimal(90))
    figures = by_type(
        MarketRecord(start_ns=0, end_ns=1, pairs={}, types={"bert": "maker"}, results=[held])
    )
    assert figures["maker"].pnl == Decimal(10)
    assert figures["maker"].held_gain == Decimal(90)


def test_the_turnover_of_contracts_has_their_size() -> None:
    figures = by_type(
        market(trade(1, "100", 2, "buy", "anna", "bert"), contract_size=Decimal("0.5"))
    )
    assert figures["noise"].turnover == Decimal(100)


def test_the_plain_form_has_decimals_as_text() -> None:
    told = by_type(market(trade(1, "100", 2, "buy", "anna", "bert")))["noise"].plain()
    assert told["pnl"] == "-9.5"
    assert told["maker_share"] == "0"
    assert told["accounts"] == 2
    assert told["inventory"] == {PAIR: "2"}


@pytest.mark.parametrize(
    ("share", "value"), [((1, 4), 1), ((1, 2), 2), ((3, 4), 3), ((0, 1), 1), ((1, 1), 4)]
)
def test_a_quantile_is_one_of_the_values(share: tuple[int, int], value: int) -> None:
    # Of 1, 2, 3, 4 the median by nearest rank is the second: half of them are no larger.
    assert quantile([Decimal(n) for n in (1, 2, 3, 4)], *share) == value
    assert quantile([], *share) is None


def test_inventory_and_pnl_over_time() -> None:
    record = PairRecord(
        pair=PAIR,
        trades=[
            trade(1, "100", 10, "buy", "anna", "bert"),
            trade(2, "103", 4, "sell", "dora", "anna"),
        ],
        charges=[Charge(2 * SECOND, "anna", Decimal("0.5")), Charge(3 * SECOND, "bert", ZERO)],
    )
    series = type_series(record, TYPES, [0, SECOND, 2 * SECOND])
    assert [(one.inventory, one.pnl) for one in series["noise"]] == [
        (Decimal(0), Decimal(0)),
        (Decimal(10), Decimal(0)),  # bought 10 at the mark
        (Decimal(6), Decimal("29.5")),  # -1000 + 412 + 6 x 103 - 0.5
    ]
    assert [one.pnl for one in series["maker"]] == [0, 0, Decimal(-30)]
    assert [one.pnl for one in series["value"]] == [0, 0, 0]


def test_all_types_together_lose_what_was_charged_whatever_they_trade() -> None:
    random = Random(8)
    names = list(TYPES)
    trades, charges, paid = [], [], ZERO
    for second in range(500):
        buyer, seller = random.sample(names, 2)
        price = str(Decimal(random.randrange(9_000, 11_000)) / 100)
        trades.append(trade(second, price, random.randrange(1, 50), "buy", buyer, seller))
        fee = Decimal(random.randrange(-10, 20)) / 100
        charges.append(Charge(second * SECOND, buyer, fee))
        paid = add(paid, fee)
    record = PairRecord(
        pair=PAIR, trades=trades, charges=charges, contract_size=Decimal("0.1"),
    )  # fmt: skip
    times = [100 * SECOND, 500 * SECOND]
    series = type_series(record, TYPES, times)
    last = [samples[-1] for samples in series.values()]
    assert sum(one.pnl for one in last) == paid.copy_negate()
    assert sum(one.inventory for one in last) == 0
    assert {one.time_ns for samples in series.values() for one in samples} == set(times)


def test_the_tape_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "tape.csv"
    trades = [trade(1.5, "100.50", 10, "buy", order=7), trade(2, "101", 4, None)]
    assert write_tape(trades, TYPES, path) == 2
    with path.open(newline="") as file:
        head, first, second = list(csv.reader(file))
    assert tuple(head) == TAPE_COLUMNS
    row = dict(zip(head, first, strict=True))
    assert row["time"] == "1970-01-01T00:00:01.500000+00:00"
    assert (row["price"], row["volume"], row["aggressor"]) == ("100.5", "10", "buy")
    assert (row["buyer"], row["buyer_type"]) == ("anna", "noise")
    assert (row["seller"], row["seller_type"]) == ("bert", "maker")
    assert row["buyer_order"] == "00000000-0000-0000-0000-000000000007"
    assert second[5] == ""
    assert [one.name for one in tmp_path.iterdir()] == ["tape.csv"]


def test_a_tape_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write to"):
        write_tape([], TYPES, tmp_path / "missing" / "tape.csv")


def test_an_account_without_a_type_is_named() -> None:
    with pytest.raises(ConfigError, match="'eve', which has no type"):
        market(trade(1, "100", 1, "buy", "eve", "bert"))


def test_a_result_without_a_type_is_named() -> None:
    with pytest.raises(ConfigError, match="result of the account 'eve'"):
        MarketRecord(start_ns=0, end_ns=1, pairs={}, types=TYPES, results=[result("eve", 1, "1")])


def test_a_market_must_last() -> None:
    with pytest.raises(ConfigError, match="must end after it begins"):
        MarketRecord(start_ns=5, end_ns=5, pairs={}, types={})
