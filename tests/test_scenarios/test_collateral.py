"""Collateral of cross margin accounts, worked out by hand: what counts, and what is sold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.analysis.verify.verify import verify_run
from backtest.errors import ConfigError, FieldError
from backtest.models import Asset, TradingPair
from backtest.strategies import Strategy
from tests.harness import D, bar, pair_of, play, rules

PAIRS = [pair_of("BTCUSD"), pair_of("ETHUSD")]
FIVE = rules(maintenance_rate="0.05")


def with_(**weights: Any) -> Any:
    return {"main": {"margin_mode": "cross", "collateral": weights}}


def eth(number: int, *prices: Any) -> Any:
    return bar(number, *prices, pair="ETHUSD")


def flat(*prices: Any) -> Any:
    """Bars of BTC at each price, with ETH at 10 beside them."""
    return [one for n, price in enumerate(prices) for one in (bar(n, price), eth(n, 10))]


async def _long_then_close(me: Any) -> None:
    await me.next()
    order = await me.long("BTCUSD", 10, leverage=10)
    await me.next(2)
    await order.close()
    await me.next()


async def _hold(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(3)


def test_it_counts_at_its_weight_and_moves_with_its_own_price() -> None:
    # 105 USD and 2 BTC at 0.9: 105 + 1.8 p + 10 (p - 100) = 0.5 p: 895 / 11.3 = 79.2035
    # At 79.20 it owes 208.00: 100 of margin, 5 available, 103.00 from BTC: 1.301 x 79.20 are
    # 103.0392, down to 103.03
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next(2)

    world = play(
        [bar(0, 100), bar(1, 100), bar(2, 95, 95, 75, 80)],
        script,
        cash={"USD": 105, "BTC": 2},
        rules=FIVE,
        accounts=with_(BTC="0.9"),
    )
    assert world.fills()[1:] == [
        "entry SHORT 1.301 @ 79.2 low",
        "liquidation SHORT 10 @ 79.2 low",
    ]
    assert world.entries()[-2:] == [
        ["FILL_SELL BTC -1.301 0", "SPOT_EXCHANGE USD 103.03 0"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -208 0"],
    ]
    assert world.balance("BTC") == (D("0.699"), D(0))
    assert world.balance() == (D("0.03"), D(0))
    assert world.journal("insurance") == []


def test_a_loss_is_paid_from_it_when_the_settlement_asset_is_used_up() -> None:
    # At 80: 200 lost, 150 there. 50 from ETH at 10: 5 of them.
    world = play(
        flat(100, 100, 80, 80),
        _long_then_close,
        cash={"USD": 150, "ETH": 20},
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
    )
    assert world.entries()[-2:] == [
        ["FILL_SELL ETH -5 0", "SPOT_EXCHANGE USD 50 0"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -200 0"],
    ]
    assert world.orders() == ["LONG 10 CLOSED close", "SHORT 5 FILLED"]
    assert world.balance() == (D(0), D(0))
    assert world.balance("ETH") == (D(15), D(0))


def test_the_fee_of_the_sale_is_sold_for_as_well_in_whole_increments() -> None:
    # 0.3 %: v x 10 - fee >= 50 at 5.016 (50.16 - 0.16), not at 5.015 (50.15 - 0.16 = 49.99).
    # The long has paid 3.00 at its fill: 1000 x 0.003. 153 - 3 = 150, as above.
    fees = rules(fees={"fill": {"percent_of_notional": "0.003"}})
    world = play(
        flat(100, 100, 80, 80),
        _long_then_close,
        cash={"USD": 153, "ETH": 20},
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
        rules=fees,
    )
    assert world.entries()[-2] == [
        "FILL_SELL ETH -5.016 0",
        "SPOT_EXCHANGE USD 50.16 0",
        "FEE_FILL USD -0.16 0",
    ]
    assert world.balance() == (D(0), D(0))


@pytest.mark.parametrize(
    ("weights", "sold"),
    [
        ({"ETH": 1, "XRP": 1}, ["FILL_SELL ETH -3 0", "FILL_SELL XRP -10 0"]),
        ({"XRP": 1, "ETH": 1}, ["FILL_SELL XRP -25 0"]),
    ],
)
def test_it_is_sold_in_the_order_in_which_it_is_named(weights: Any, sold: list[str]) -> None:
    # 50 are missing: 3 ETH at 10 give 30, then XRP at 2: 10 give 20. XRP first: 25 give all.
    bars = flat(100, 100, 80, 80)
    bars += [bar(n, 2, pair="XRPUSD") for n in range(4)]
    world = play(
        sorted(bars, key=lambda one: one.close_ns),
        _long_then_close,
        cash={"USD": 150, "ETH": 3, "XRP": 40},
        accounts=with_(**weights),
        pairs=[*PAIRS, pair_of("XRPUSD")],
    )
    assert [line for line in world.journal() if line.startswith("FILL_SELL")] == sold


def test_what_it_cannot_pay_is_the_insurances() -> None:
    # 250 lost of 150 + 3 x 10: 70
    world = play(
        flat(100, 100, 75, 75),
        _hold,
        cash={"USD": 150, "ETH": 3},
        accounts=with_(ETH="1"),
        pairs=PAIRS,
    )
    # At 75 the account was called: 150 + 30 - 250 < 0
    assert world.entries()[-1] == [
        "RETURN_MARGIN USD 100 -100",
        "CLOSE_PNL USD -250 0",
        "ADJUSTMENT USD 70 0",
    ]
    assert world.balance("ETH") == (D(0), D(0))
    assert world.balance("USD", "insurance") == (D(-70), D(0))


def test_less_than_an_increment_cannot_be_sold() -> None:
    # 0.0005 ETH are no increment of 0.001: all of the 50 are the insurance's.
    world = play(
        flat(100, 100, 80, 80),
        _hold,
        cash={"USD": 150, "ETH": "0.0005"},
        accounts=with_(ETH="1"),
        pairs=PAIRS,
    )
    assert world.balance("ETH") == (D("0.0005"), D(0))
    assert world.balance("USD", "insurance") == (D(-50), D(0))


def test_collateral_in_a_pending_sale_is_freed_first() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        sale = await me.sell("ETHUSD", 20, limit_price=15)
        await me.next(2)
        await order.close()
        await me.next()
        assert sale.end_reason == "MARGIN_CALL"
        assert me.balance("ETH") == (D(15), D(0))

    play(
        flat(100, 100, 80, 80),
        script,
        cash={"USD": 150, "ETH": 20},
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
    )


def test_the_margin_of_other_positions_goes_before_it() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.long("BTCUSD", 10, leverage=10)
        await me.long("ETHUSD", 20, leverage=10)
        await me.next(2)
        await order.close()
        await me.next()

    # 150: margins 100 and 20, 30 available. 200 lost: 100 + 30 + 20, then 50 of ETH.
    world = play(
        flat(100, 100, 80, 80),
        script,
        cash={"USD": 150, "ETH": 20},
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
    )
    assert world.entries()[-3:] == [
        ["RETURN_MARGIN USD 20 -20"],
        ["FILL_SELL ETH -5 0", "SPOT_EXCHANGE USD 50 0"],
        ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -200 0"],
    ]


def test_falling_collateral_calls_an_account_whose_positions_stand_still() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.long("BTCUSD", 10, leverage=10)
        await me.next(3)

    # BTC at 85: 105 - 150 = -45, 42.5 to maintain; 20 ETH count 16 q: called at 87.5 / 16 = 5.468
    bars = [bar(0, 100), eth(0, 10), bar(1, 100), eth(1, 10), bar(2, 85), eth(2, 10)]
    bars += [bar(3, 85), eth(3, 9, 9, 4, 5)]
    world = play(
        bars,
        script,
        cash={"USD": 105, "ETH": 20},
        rules=FIVE,
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
        finishes=False,
    )
    # 150 lost of 105: 45 from ETH at 5.46: 8.242 x 5.46 = 45.00132
    assert [(one.pair, one.kind, one.price, one.volume) for one in world.records.fills[1:]] == [
        ("ETHUSD", "entry", D("5.46"), D("8.242")),
        ("BTCUSD", "liquidation", D(85), D(10)),
    ]
    assert world.balance("ETH") == (D("11.758"), D(0))


def test_its_sale_is_an_order_with_a_story() -> None:
    world = play(
        flat(100, 100, 80, 80),
        _long_then_close,
        cash={"USD": 150, "ETH": 20},
        accounts=with_(ETH="0.8"),
        pairs=PAIRS,
    )
    heard = [one for one in world.strategies["s0"].heard if one.order and one.order.volume == 5]
    assert [one.kind for one in heard] == [EventKind.ACCEPTED, EventKind.FILLED]
    assert {one.detail for one in heard} == {"collateral sold: account main needs USD"}


# -- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"margin_mode": "crossed"}, FieldError, "isolated or cross"),
        ({"collateral": {"BTC": 1}}, FieldError, "margin_mode='cross'"),
        ({"margin_mode": "cross", "collateral": {"BTC": 0}}, FieldError, "above 0"),
        ({"margin_mode": "cross", "collateral": {"BTC": "1.1"}}, FieldError, "at most 1"),
        ({"margin_mode": "cross", "collateral": {"USD": 1}}, FieldError, "cannot name USD"),
        ({"margin_mode": "cross", "collateral": ["BTC"]}, TypeError, "must map assets"),
        ({"margin_mode": "cross", "collateral": {"ETH": 1}}, ConfigError, "no pair of the data"),
    ],
)
def test_what_cannot_be_asked_for(options: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        play([bar(0, 100)], _long_then_close, accounts={"main": options})


class Holds(Strategy):
    async def run(self) -> None:
        stream = self.bars("BTCUSD")
        await anext(stream)
        await self.long("BTCUSD", 10, leverage=10)


def _data() -> Any:
    rows = [bar(0, 100), bar(1, 100), bar(2, 95, 95, 75, 80), bar(3, 80)]
    pair = TradingPair(
        "BTCUSD",
        Asset("BTC"),
        Asset("USD", 2),
        price_increment=D("0.01"),
        volume_increment=D("0.001"),
    )
    return {pair: rows}


def test_a_run_with_all_of_it_verifies_in_memory_and_from_its_files(tmp_path: Path) -> None:
    result = backtest.run(
        Holds(),
        data=_data(),
        cash={"USD": 105, "BTC": 2},
        rules=FIVE,
        margin_mode="cross",
        collateral={"BTC": "0.9"},
    )
    assert [one.kind for one in result.records.fills] == ["entry", "entry", "liquidation"]
    assert result.verify().ok, result.verify().problems
    result.write(tmp_path / "run")
    assert verify_run(tmp_path / "run").ok
    config = result.receipt["config"] if "config" in result.receipt else None
    assert config is None or config["accounts"]["main"]["margin_mode"] == "cross"


def test_options_of_an_account_from_a_rules_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        'maintenance_rate = "0.05"\n'
        '[accounts.main]\nmargin_mode = "cross"\n'
        '[accounts.main.collateral]\nBTC = "0.9"\n'
    )
    result = backtest.run(Holds(), data=_data(), cash={"USD": 105, "BTC": 2}, rules=path)
    assert [one.kind for one in result.records.fills] == ["entry", "entry", "liquidation"]
    for text, says in (
        ('[accounts.mine]\nmargin_mode = "cross"\n', "names? account 'mine'"),
        ('[accounts.main]\nmargin = "cross"\n', "no option of account 'main' is called 'margin'"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=says):
            backtest.run(Holds(), data=_data(), cash={"USD": 105, "BTC": 2}, rules=path)
