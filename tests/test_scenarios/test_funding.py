"""Funding of perpetuals, worked out by hand: once, at its time, on the mark, never prorated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.data import read_funding
from backtest.errors import ConfigError, DataError, FieldError, FieldTypeError
from backtest.models import Funding
from backtest.runs.config import read_rules
from backtest.runs.manifest import rules_text
from backtest.strategies import Strategy
from tests.harness import HOUR, D, M, bar, play, rules

EIGHT = {"rate": "0.001", "every": "8h"}


def hourly(*rows: tuple[Any, ...]) -> list[Any]:
    """Bars of an hour: ``(hour, price or open, high, low, close)``."""
    return [bar(row[0], *row[1:], length=HOUR) for row in rows]


def _hold(side: str, volume: Any = 1, leverage: int = 2) -> Any:
    async def script(me: Any) -> None:
        await me.next()
        await getattr(me, side)("BTCUSD", volume, leverage=leverage)
        async for _ in me.stream:
            pass

    return script


def _charges(world: Any) -> list[tuple[int, str]]:
    return [
        (row.time // HOUR, str(row.available))
        for row in world.rows()
        if row.account == "main" and row.kind.name == "FEE_OVERNIGHT"
    ]


@pytest.mark.parametrize(
    ("side", "rate", "paid"),
    [
        ("long", "0.001", "-0.11"),  # 104 x 0.001 = 0.104, up to 0.11
        ("short", "0.001", "0.10"),  # income is cut off
        ("long", "-0.001", "0.10"),
        ("short", "-0.001", "-0.11"),
    ],
)
def test_longs_pay_shorts_when_it_is_positive(side: str, rate: str, paid: str) -> None:
    rows = [(5, 100), (6, 100), (7, 100, 104, 100, 104), (8, 107), (9, 107)]
    world = play(hourly(*rows), _hold(side), rules=rules(funding={"rate": rate, "every": "8h"}))
    # due at 8:00, at the last mark before it, 104; booked with the event of the bar that opens then
    assert _charges(world) == [(9, paid)]
    assert world.balance("USD", "market")[0] == -D(paid)


def test_it_is_the_same_for_who_came_a_minute_ago_and_nothing_for_who_comes_after() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=2)  # fills at 7:00, on the bar before
        await me.next()
        await me.long("BTCUSD", 3, leverage=2)  # fills at 8:00, the moment it is due
        await me.next(2)

    world = play(hourly((6, 100), (7, 100), (8, 100), (9, 100)), script, rules=rules(funding=EIGHT))
    assert _charges(world) == [(9, "-0.10")]


@pytest.mark.parametrize("bars", [4, 2])
def test_an_order_that_expires_then_does_not_hasten_it(bars: int) -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=2)  # fills at 7:00
        await me.buy("BTCUSD", 1, limit_price=50, expires=datetime(1970, 1, 1, 8, tzinfo=UTC))
        async for _ in me.stream:
            pass

    rows = [(6, 100), (7, 100), (8, 100), (9, 100)][:bars]
    world = play(hourly(*rows), script, rules=rules(funding=EIGHT))
    # due at 8:00: booked with the bar that opens then, and not at all when there is none
    assert _charges(world) == [(9, "-0.10")][: bars // 4]


def test_pending_orders_pay_none() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, limit_price=50)
        await me.buy("BTCUSD", 1, limit_price=50)
        await me.next(4)

    rows = [(6, 100), (7, 100), (8, 100), (9, 100), (10, 100)]
    assert _charges(play(hourly(*rows), script, rules=rules(funding=EIGHT))) == []


def test_what_is_due_inside_a_bar_is_charged_at_its_close() -> None:
    funding = {"rate": "0.001", "every": "8h", "at": "00:30"}
    rows = [(6, 100), (7, 100), (8, 104, 109, 104, 109), (9, 107)]
    world = play(hourly(*rows), _hold("long"), rules=rules(funding=funding))
    assert _charges(world) == [(9, "-0.11")]
    (event,) = [one for one in world.strategies["s0"].heard if one.kind is EventKind.CHARGED]
    assert event.detail == "funding 0.11 USD at 109, rate 0.001"


def test_a_gap_over_three_times_pays_three_times_at_one_mark() -> None:
    rows = [(5, 100), (6, 100), (7, 104), (25, 90), (26, 90)]
    world = play(hourly(*rows), _hold("long"), rules=rules(funding=EIGHT))
    assert _charges(world) == [(26, "-0.11")] * 3


def test_a_schedule_has_its_own_times_and_rates() -> None:
    schedule = [
        (7 * HOUR, "0.5"),  # before anything is open
        (datetime(1970, 1, 1, 9, tzinfo=UTC), "0.002"),
        (10 * HOUR + 30 * M, "-0.001"),
    ]
    rows = [(6, 100), (7, 100), (8, 100), (9, 100), (10, 110), (11, 110), (50, 110)]
    world = play(hourly(*rows), _hold("long"), rules=rules(funding=schedule))
    # 9:00: 100 x 0.002, booked with the bar from 9 to 10; 10:30: 110 x 0.001 at the close of 11
    assert _charges(world) == [(10, "-0.20"), (11, "0.11")]


def test_each_position_pays_its_own_and_a_hedge_pays_rounding_alone() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 1, leverage=2)
        await me.short("BTCUSD", 1, leverage=2)
        await me.next(3)

    world = play(hourly((6, 100), (7, 104), (8, 100), (9, 100)), script, rules=rules(funding=EIGHT))
    assert _charges(world) == [(9, "-0.11"), (9, "0.10")]


def test_night_and_funding_at_one_time_come_in_that_order() -> None:
    fees = {"overnight_filled": {"flat_per_trade": 3}}
    world = play(
        hourly((22, 100), (23, 100), (24, 100)),
        _hold("long"),
        rules=rules(funding=EIGHT, fees=fees),
    )
    assert _charges(world) == [(25, "-3.00"), (25, "-0.10")]
    (order,) = world.records.orders
    assert order.fees_on_overnight == D("3.10")


def test_it_is_part_of_the_pnl() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 2, leverage=2)
        await me.next(2)
        await order.close()
        await me.next()

    world = play(hourly((6, 100), (7, 100), (8, 100), (9, 110)), script, rules=rules(funding=EIGHT))
    (order,) = world.records.orders
    assert (order.gross_pnl, order.net_pnl) == (D(20), D("19.80"))
    assert world.equity == D("1019.80")


def test_from_margin_when_available_is_short() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.next()
        assert me.balance("USD") == (D(5), D(100))
        assert order.liquidation_price == D(90)
        await me.next()
        # 1000 x 0.008 = 8: 5 from available, 3 from the margin
        assert me.balance("USD") == (D(0), D(97))
        assert order.liquidation_price == D("90.30")
        await me.next()

    funding = {"rate": "0.008", "every": "8h"}
    rows = [(6, 100), (7, 100), (8, 100), (9, 95, 95, "90.2", 92)]
    world = play(hourly(*rows), script, cash={"USD": 105}, rules=rules(funding=funding))
    assert world.entries()[2:] == [
        ["RETURN_MARGIN USD 3 -3", "FEE_OVERNIGHT USD -8 0"],
        ["RETURN_MARGIN USD 97 -97", "CLOSE_PNL USD -97 0"],
    ]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 90.3 low"


def test_a_margin_that_was_charged_away_inside_a_bar_is_tested_at_its_close() -> None:
    # At 8:30, at the mark of 92: 920 x 0.05 = 46, of which 5 are available and 41 from the margin.
    # (1000 - 59) / 10 = 94.10, and the price is 92: liquidated there and then.
    # PnL -80, margin 59: the insurance pays 21.
    funding = {"rate": "0.05", "every": "8h", "at": "00:30"}
    rows = [(6, 100), (7, 100), (8, 100, 100, 92, 92), (9, 99)]
    world = play(
        hourly(*rows), _hold("long", 10, 10), cash={"USD": 105}, rules=rules(funding=funding)
    )
    assert world.entries()[2:] == [
        ["RETURN_MARGIN USD 41 -41", "FEE_OVERNIGHT USD -46 0"],
        ["RETURN_MARGIN USD 59 -59", "CLOSE_PNL USD -80 0", "ADJUSTMENT USD 21 0"],
    ]
    assert world.fills()[-1] == "liquidation SHORT 10 @ 92 close"
    told = world.strategies["s0"].told(EventKind.LIQUIDATED, EventKind.BANKRUPTCY)
    assert told == [("liquidated", None), ("bankruptcy", None)]


def test_bankrupt_from_insurance() -> None:
    # 1000 x 0.2 = 200: 5 available, 100 margin, 95 from the insurance
    funding = {"rate": "0.2", "every": "8h"}
    rows = [(6, 100), (7, 100), (8, 101), (9, 101)]
    world = play(
        hourly(*rows), _hold("long", 10, 10), cash={"USD": 105}, rules=rules(funding=funding)
    )
    assert world.entries()[2] == [
        "RETURN_MARGIN USD 100 -100",
        "ADJUSTMENT USD 95 0",
        "FEE_OVERNIGHT USD -200 0",
    ]
    assert world.balance("USD", "insurance") == (D(-95), D(0))
    (event, *_) = [one for one in world.strategies["s0"].heard if one.kind is EventKind.BANKRUPTCY]
    assert event.detail == "95 USD of a funding charge borne by the insurance account"


class Holds(Strategy):
    async def run(self) -> None:
        stream = self.bars("BTCUSD")
        await anext(stream)
        await self.long("BTCUSD", 2, leverage=10)
        await self.short("BTCUSD", 1, leverage=10)


def test_a_run_with_funding_verifies_and_tells_its_fees() -> None:
    result = backtest.run(
        Holds(),
        data=hourly((6, 100), (7, 100), (8, 100), (9, 110)),
        pair="BTCUSD",
        cash="1000 USD",
        rules=rules(funding=EIGHT),
    )
    assert result.verify().ok, result.verify().problems
    # 200 x 0.001 less 100 x 0.001
    assert result.summary["fees"]["overnight"] == {"USD": D("0.1")}


# -- what can be written ---------------------------------------------------------------------------


def test_when_it_is_due() -> None:
    funding = Funding("0.0001", every=timedelta(hours=8), at="04:00")
    assert funding.after(0) == (4 * HOUR, D("0.0001"))
    assert funding.after(4 * HOUR) == (12 * HOUR, D("0.0001"))
    assert funding.after(-1) == (4 * HOUR, D("0.0001"))
    assert Funding(schedule=[(5, 1)]).after(5) is None
    assert Funding("0.0001", at="12:00") == funding  # every eight hours: at 4, 12 and 20
    assert len({funding, Funding("0.0001", at="12:00"), Funding(schedule=[(5, 1)])}) == 2


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        ({}, FieldError, "needs a rate, or a schedule"),
        ({"rate": 0.1}, FieldTypeError, "not the float"),
        ({"rate": "0.1", "every": "0h"}, FieldError, "longer than nothing"),
        ({"rate": "0.1", "at": "8"}, FieldError, "time of day"),
        ({"rate": "0.1", "at": "24:00"}, FieldError, "time of day"),
        ({"rte": "0.1"}, FieldError, "no 'rte'"),
        ([(5, 1), (5, 2)], FieldError, "rising times"),
        ([("5", 1)], FieldTypeError, "aware datetimes or nanoseconds"),
        ([(datetime(2024, 1, 1), 1)], FieldError, "time zone"),
        ("0.1", FieldTypeError, "must be Funding"),
    ],
)
def test_what_is_no_funding(value: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        rules(funding=value)


def test_rates_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("symbol,fundingTime,fundingRate\nBTCUSD,1704067200000,0.0001\n"
                    "BTCUSD,1704096000000,-0.00005\n")  # fmt: skip
    begin = 1_704_067_200 * 10**9
    read = read_funding(path)
    assert read == Funding(schedule=[(begin, "0.0001"), (begin + 8 * HOUR, "-0.00005")])
    (tmp_path / "rules.toml").write_text(f'[pairs.BTCUSD]\nfunding = {{ file = "{path}" }}\n')
    assert read_rules(tmp_path / "rules.toml").rules("BTCUSD").funding == read
    told = rules_text(rules(funding=read))["funding"]
    assert told == {"schedule": [[begin, "0.0001"], [begin + 8 * HOUR, "-0.00005"]]}
    with pytest.raises(ConfigError, match="not both"):
        read_rules({"funding": {"file": str(path), "rate": "1"}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "no column is called time"),
        ("time,rate\n2024-01-01 00:00:00\n", r"rates.csv:2: a column is missing"),
        ("time,rate\n2024-01-01 00:00:00,x\n", r"rates.csv:2: rate must be a number"),
        ("time,rate\nyesterday,1\n", r"rates.csv:2: "),
        ("time,rate\n2024-01-02 00:00,1\n2024-01-01 00:00,1\n", "rising times"),
    ],
)
def test_a_file_that_is_no_table_of_rates(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "rates.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_funding(tmp_path / "rates.csv")


def test_it_is_told_as_plain_data() -> None:
    told = rules_text(rules(funding=EIGHT))["funding"]
    assert told == {"rate": "0.001", "every_ns": 8 * HOUR, "at_ns": 0}
    assert rules_text(rules())["funding"] is None
    assert "8" in repr(Funding("0.1"))
    assert "1 times" in repr(Funding(schedule=[(5, 1)]))
