"""What an order puts aside, and why it is refused: (order, rules, mark) -> what is posted.

Without more the mark is 100, prices lie on cents, volumes on thousandths, money is in cents.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backtest.actors.protocol import Create
from backtest.errors import RejectReason
from tests.harness import HOUR, bar, pair_of, quote
from tests.room import Room, buy, long, refusal, sell, short

R = RejectReason
BTC = {"main": {"USD": 1000, "BTC": 5}}
SECOND = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def room(rules: dict[str, Any] | None = None, mark: str | None = "100", **more: Any) -> Room:
    made = Room(rules, **more)
    if mark is not None:
        made.at(mark)
    return made


MAKER_TAKER = {"commission": {"maker": "0.001", "taker": "0.002"}}
TENTH = {"commission": "0.001"}


@pytest.mark.parametrize(
    ("rules", "ask", "posted"),
    [
        # A buy is worth volume x price.
        ({}, buy(2, limit=99), ["RESERVE_MARGIN USD -198 198"]),
        # 0.333 x 1.01 = 0.33633: up.
        ({}, buy("0.333", limit="1.01"), ["RESERVE_MARGIN USD -0.34 0.34"]),
        # At the market: 100 x 1.05; with a buffer of a tenth, 100 x 1.1; without one, 100.
        ({}, buy(2), ["RESERVE_MARGIN USD -210 210"]),
        ({"market_buffer": "0.1"}, buy(2), ["RESERVE_MARGIN USD -220 220"]),
        ({"market_buffer": "0"}, buy(2), ["RESERVE_MARGIN USD -200 200"]),
        # A stop: 110 x 1.05 = 115.50. With a limit that is what it pays at most.
        ({}, buy(2, stop=110), ["RESERVE_MARGIN USD -231 231"]),
        ({}, buy(2, stop=110, limit=112), ["RESERVE_MARGIN USD -224 224"]),
        # Trailing by 3 it begins at 103: 103 x 1.05 = 108.15.
        ({}, buy(2, trail=3), ["RESERVE_MARGIN USD -216.3 216.3"]),
        # A sell gives the base itself.
        ({}, sell("1.5", limit=120), ["RESERVE_MARGIN BTC -1.5 1.5"]),
        ({}, sell("1.5"), ["RESERVE_MARGIN BTC -1.5 1.5"]),
        # The fee on all of it, rounded up: 0.198 and 0.2 %, 0.404.
        (TENTH, buy(2, limit=99), ["RESERVE_MARGIN USD -198.2 198.2"]),
        (MAKER_TAKER, buy(2, limit=99), ["RESERVE_MARGIN USD -198.2 198.2"]),
        (MAKER_TAKER, buy(2, limit=101), ["RESERVE_MARGIN USD -202.41 202.41"]),
        # At the mark itself it takes: 0.4.
        (MAKER_TAKER, buy(2, limit=100), ["RESERVE_MARGIN USD -200.4 200.4"]),
        # A stop-limit takes where its limit is beyond its stop: 224 x 0.002 = 0.448.
        (MAKER_TAKER, buy(2, stop=110, limit=112), ["RESERVE_MARGIN USD -224.45 224.45"]),
        # ... and rests where it is before it: 216 x 0.001 = 0.216.
        (MAKER_TAKER, buy(2, stop=110, limit=108), ["RESERVE_MARGIN USD -216.22 216.22"]),
        # The least there is of a fee is reserved; no more than the most.
        (
            {"fees": {"fill": {"percent_of_notional": "0.001", "minimum": "5"}}},
            buy(2, limit=99),
            ["RESERVE_MARGIN USD -203 203"],
        ),
        (
            {"fees": {"fill": {"percent_of_notional": "0.1", "maximum": "5"}}},
            buy(2, limit=99),
            ["RESERVE_MARGIN USD -203 203"],
        ),
        # A fee for making an order is paid at once, in the quote asset.
        (
            {"fees": {"create": {"flat_per_trade": "1.5"}}},
            buy(2, limit=99),
            ["RESERVE_MARGIN USD -198 198", "FEE_CREATE USD -1.5 0"],
        ),
        (
            {"fees": {"create": {"percent_of_notional": "0.01"}}},
            sell(1, limit=120),
            ["RESERVE_MARGIN BTC -1 1", "FEE_CREATE USD -1.2 0"],
        ),
    ],
)
def test_what_a_spot_order_puts_aside(
    rules: dict[str, Any], ask: Create, posted: list[str]
) -> None:
    assert room(rules, cash=BTC).do(ask) == [*posted, "ACCEPTED"]


@pytest.mark.parametrize(
    ("rules", "ask", "reserve"),
    [
        # volume x worst price / leverage
        ({}, long(2, limit=99, leverage=10), "19.8"),
        ({}, long(2, limit=99), "198"),
        # At the market and at a stop with the buffer: 105, 115.50.
        ({}, long(2, leverage=10), "21"),
        ({}, long(2, stop=110, leverage=10), "23.1"),
        # Of a short the higher of its own price and the mark: more price is more margin.
        ({}, short(2, leverage=10), "20"),
        ({}, short(2, limit=103, leverage=10), "20.6"),
        ({}, short(2, limit=97, leverage=10), "20"),
        # 95 x 1.05 = 99.75 is below the mark, 99 x 1.05 = 103.95 is not.
        ({}, short(2, stop=95, leverage=10), "20"),
        ({}, short(2, stop=99, leverage=10), "20.79"),
        # 100 / 3 = 33.33..: up.
        ({}, long(1, limit=100, leverage=3), "33.34"),
        # The fee beside the margin: 198 x 0.001 = 0.198.
        (TENTH, long(2, limit=99, leverage=10), "20"),
        # A share of the margin: a tenth of 19.80.
        (
            {"fees": {"fill": {"percent_of_margin": "0.1"}}},
            long(2, limit=99, leverage=10),
            "21.78",
        ),
        # Flat per volume, whatever price and leverage.
        (
            {"leverage_kind": "FLAT_MARGIN_PER_VOLUME", "margin_per_volume": "7"},
            long(2, limit=99, leverage=10),
            "14",
        ),
        # Without leverage the notional.
        ({"leverage_kind": "NONE"}, long(2, limit=99), "198"),
    ],
)
def test_what_a_trading_order_puts_aside(rules: dict[str, Any], ask: Create, reserve: str) -> None:
    assert room(rules).do(ask) == [f"RESERVE_MARGIN USD -{reserve} {reserve}", "ACCEPTED"]


def test_contracts_are_worth_their_size() -> None:
    """2 x 99 x 10 / 10."""
    made = room(pairs=[pair_of(contract_size="10")])
    assert made.do(long(2, limit=99, leverage=10)) == ["RESERVE_MARGIN USD -198 198", "ACCEPTED"]


@pytest.mark.parametrize(
    ("rules", "ask", "reason"),
    [
        # what it names
        ({}, buy(1, pair="ETHUSD"), R.UNKNOWN_PAIR),
        ({}, buy(1, account="theirs"), R.NOT_YOURS),
        ({}, buy(None), R.INVALID_ACTION),
        ({}, buy(1, kind="limit"), R.INVALID_ACTION),
        ({}, buy(1, limit=99, kind="market"), R.INVALID_ACTION),
        ({}, buy(1, limit=99, kind="stop_limit"), R.INVALID_ACTION),
        ({}, buy(1, stop=99, limit=99, kind="stop"), R.INVALID_ACTION),
        # volume and prices on their grids
        ({}, buy(0), R.INVALID_VOLUME),
        ({}, buy(-1), R.INVALID_VOLUME),
        ({}, buy(10**15), R.INVALID_VOLUME),
        ({}, buy("0.0005"), R.VOLUME_INCREMENT),
        ({}, buy(1, limit=0), R.INVALID_PRICE),
        ({}, buy(1, limit=-1), R.INVALID_PRICE),
        ({}, buy(1, limit=10**15), R.INVALID_PRICE),
        ({}, buy(1, limit="99.001"), R.PRICE_INCREMENT),
        ({}, buy(1, stop="110.005", limit=112), R.PRICE_INCREMENT),
        ({}, buy(1, stop=110, limit="112.005"), R.PRICE_INCREMENT),
        ({}, buy(1, limit=99, stop_loss="90.001"), R.PRICE_INCREMENT),
        ({}, buy(1, limit=99, take_profit="110.001"), R.PRICE_INCREMENT),
        ({}, buy(1, trail="3.001"), R.PRICE_INCREMENT),
        # as little as may be
        ({"min_volume": "0.01"}, buy("0.009", limit=99), R.MIN_VOLUME),
        ({"min_notional": "10"}, buy("0.1", limit="99.99"), R.MIN_NOTIONAL),
        ({}, buy("0.001", limit="9.99"), R.MIN_NOTIONAL),
        ({}, sell("0.001", limit="9.99"), R.MIN_NOTIONAL),
        ({"min_margin": "20"}, long(2, limit=99, leverage=10), R.MIN_MARGIN),
        # what the venue takes
        ({"allowed_directions": ["LONG"]}, short(1, limit=101), R.DIRECTION_NOT_ALLOWED),
        ({"allowed_directions": ["SHORT"]}, buy(1, limit=99), R.DIRECTION_NOT_ALLOWED),
        ({"spot_allowed": False}, buy(1, limit=99), R.NOT_SUPPORTED),
        ({"trading_allowed": False}, long(1, limit=99), R.NOT_SUPPORTED),
        ({}, buy(1, limit=99, leverage=2), R.LEVERAGE),
        ({}, long(1, limit=99, leverage="0.5"), R.LEVERAGE),
        ({"max_leverage": "5"}, long(1, limit=99, leverage="5.1"), R.LEVERAGE),
        ({"leverage_kind": "NONE"}, long(1, limit=99, leverage=2), R.LEVERAGE),
        # 10 x 99 = 990 is in the second bracket, which allows a leverage of 5; 1089 beyond both.
        (
            {"maintenance_tiers": [["500", "0.01", "10"], ["1000", "0.05", "5"]]},
            long(10, limit=99, leverage=6),
            R.LEVERAGE,
        ),
        (
            {"maintenance_tiers": [["500", "0.01", "10"], ["1000", "0.05", "5"]]},
            long(11, limit=99, leverage=5),
            R.LEVERAGE,
        ),
        # protection against the order's own price, or the mark
        ({}, long(1, limit=99, stop_loss=99), R.PROTECTION_SIDE),
        ({}, long(1, limit=99, take_profit=99), R.PROTECTION_SIDE),
        ({}, long(1, stop_loss=100), R.PROTECTION_SIDE),
        ({}, long(1, stop=110, take_profit=110), R.PROTECTION_SIDE),
        ({}, short(1, limit=101, stop_loss=101), R.PROTECTION_SIDE),
        ({}, short(1, limit=101, take_profit=101), R.PROTECTION_SIDE),
        ({}, buy(1, limit=99, stop_loss=99), R.PROTECTION_SIDE),
        # a sell at two prices protects what is owned, as a long is protected
        ({}, sell(1, stop_loss=100), R.PROTECTION_SIDE),
        ({}, sell(1, take_profit=100), R.PROTECTION_SIDE),
        ({}, sell(1, limit=101, stop_loss=90), R.NOT_SUPPORTED),
        ({}, sell(1, stop_loss=90, force="IOC"), R.NOT_SUPPORTED),
        # instructions
        ({}, buy(1, limit=99, trail=3, kind="limit"), R.INVALID_ACTION),
        ({}, buy(1, kind="trailing_stop"), R.INVALID_ACTION),
        ({}, sell(1, trail=100), R.INVALID_PRICE),
        ({}, buy(1, post_only=True), R.INVALID_ACTION),
        ({}, buy(1, stop=110, post_only=True), R.INVALID_ACTION),
        ({}, buy(1, limit=99, force="IOC", post_only=True), R.INVALID_ACTION),
        ({}, buy(1, limit=100, post_only=True), R.WOULD_TAKE),
        ({}, sell(1, limit=100, post_only=True), R.WOULD_TAKE),
        ({}, buy(1, stop=110, limit=110, post_only=True), R.WOULD_TAKE),
        ({}, buy(1, limit=99, expires=SECOND), R.EXPIRED),
        ({}, buy(1, limit=99, reduce_only=True), R.INVALID_ACTION),
        ({}, long(1, limit=99, reduce_only=True), R.REDUCE_ONLY),
        # money: 1000 and 5 BTC are there
        ({}, buy(10, limit="100.01"), R.INSUFFICIENT_FUNDS),
        ({}, buy("9.524"), R.INSUFFICIENT_FUNDS),  # 9.524 x 105 = 1000.02
        ({}, sell("5.001", limit=99), R.INSUFFICIENT_FUNDS),
        ({}, long("100.1", limit=100, leverage=10), R.INSUFFICIENT_FUNDS),
        # 1000 are reserved, and a cent of fees is due
        (
            {"fees": {"create": {"flat_per_trade": "0.01"}}},
            buy(10, limit=100),
            R.INSUFFICIENT_FUNDS,
        ),
    ],
)
def test_why_an_order_is_refused(rules: dict[str, Any], ask: Create, reason: R) -> None:
    """With nothing posted, nothing pending, and a sentence."""
    made = room(rules, cash={**BTC, "theirs": {"USD": 1000}}, others={"s1": ["theirs"]})
    made.shell.events.now = 10**9  # a second after the beginning
    before = made.ledger.balances()
    assert made.do(ask, by="s0") == [f"REJECTED {reason.value}"]
    assert made.why()
    assert made.ledger.balances() == before
    assert made.branches() == []


@pytest.mark.parametrize(
    ("rules", "ask"),
    [
        ({"min_volume": "0.01"}, buy("0.01", limit=99)),
        ({"min_volume": "0.01"}, long("0.01", limit=99)),
        ({"min_notional": "10"}, buy("0.1", limit=100)),
        ({}, buy("0.001", limit=10)),
        ({"min_margin": "20"}, long(2, limit=100, leverage=10)),
        ({"allowed_directions": ["LONG"]}, sell(1, limit=101)),  # it opens no short
        ({"max_leverage": "5"}, long(1, limit=99, leverage=5)),
        (
            {"maintenance_tiers": [["500", "0.01", "10"], ["1000", "0.05", "5"]]},
            long(5, limit=100, leverage=10),
        ),
        (
            {"maintenance_tiers": [["500", "0.01", "10"], ["1000", "0.05", "5"]]},
            long(10, limit=100, leverage=5),
        ),
        ({}, long(1, limit=99, stop_loss="98.99", take_profit="99.01")),
        ({}, long(1, stop_loss="99.99", take_profit="100.01")),
        ({}, short(1, limit=101, stop_loss="101.01", take_profit="100.99")),
        ({}, sell(1, stop_loss="99.99", take_profit="100.01")),
        ({}, sell(1, trail="99.99")),
        ({}, buy(1, limit="99.99", post_only=True)),
        ({}, sell(1, limit="100.01", post_only=True)),
        ({}, buy(1, stop=110, limit="109.99", post_only=True)),
        ({}, buy(10, limit=100)),
        ({}, buy("9.523")),  # 999.915, up to 999.92
        ({}, sell(5, limit=99)),
        ({}, long(100, limit=100, leverage=10)),
    ],
)
def test_what_lies_on_the_edge_is_accepted(rules: dict[str, Any], ask: Create) -> None:
    assert refusal(room(rules, cash=BTC).do(ask)) is None


def test_without_a_price_only_orders_that_bring_one_are_taken() -> None:
    made = room(mark=None)
    assert made.do(buy(1)) == ["REJECTED NO_PRICE_YET"]
    assert made.do(buy(1, trail=3)) == ["REJECTED NO_PRICE_YET"]
    assert made.do(buy(1, stop=100)) == ["RESERVE_MARGIN USD -105 105", "ACCEPTED"]
    # Nothing says that it would take.
    assert made.do(buy(1, limit=100, post_only=True)) == ["RESERVE_MARGIN USD -100 100", "ACCEPTED"]


def test_spot_orders_exchange_the_base_and_no_contracts() -> None:
    made = room(pairs=[pair_of(contract_size="10")])
    assert made.do(buy(1, limit=99)) == ["REJECTED NOT_SUPPORTED"]


def test_an_order_expires_with_the_day_or_at_its_moment() -> None:
    made = room()
    made.shell.events.now = 5 * HOUR
    made.do(buy(1, limit=99, force="DAY"))
    assert made.branch().expires == 24 * HOUR
    moment = datetime(1970, 1, 1, 6, tzinfo=UTC)
    made.do(buy(1, limit=99, expires=moment))
    assert made.branch().expires == 6 * HOUR
    made.do(buy(1, limit=99))
    assert made.branch().expires is None


def test_a_standing_quote_that_suffices_is_what_an_order_at_the_market_reserves() -> None:
    """2 at 101, of which there are 2; 3 at 101 x 1.05 = 106.05."""
    made = room(mark=None)
    made.quote(quote(1, 99, 101, 2, 2))
    assert made.do(buy(2)) == ["RESERVE_MARGIN USD -202 202", "ACCEPTED"]
    assert made.do(buy(3)) == ["RESERVE_MARGIN USD -318.15 318.15", "ACCEPTED"]


def test_an_account_has_so_many_orders_pending_and_no_more() -> None:
    made = room({"max_open_orders": 2})
    assert refusal(made.do(buy(1, limit=99))) is None
    assert refusal(made.do(buy(1, limit=98))) is None
    assert made.do(buy(1, limit=97)) == ["REJECTED MAX_OPEN_ORDERS"]
    made.cancel()
    assert refusal(made.do(buy(1, limit=97))) is None


def test_fees_beyond_what_a_sale_brings_must_be_available() -> None:
    """1 at 2 brings 2 and costs 3: a unit is missing."""
    flat = {"fees": {"fill": {"flat_per_trade": "3"}}}
    made = room(flat, cash={"main": {"USD": "0.99", "BTC": 5}})
    assert made.do(sell(1, limit=2)) == ["REJECTED INSUFFICIENT_FUNDS"]
    made = room(flat, cash={"main": {"USD": "1", "BTC": 5}})
    assert made.do(sell(1, limit=2)) == ["RESERVE_MARGIN BTC -1 1", "ACCEPTED"]


# -- what closes the other side --------------------------------------------------------------------


def held(volume: str, netting: bool = True, **more: Any) -> Room:
    """A long of ``volume`` at 100 with a leverage of 10, on a netting account."""
    made = room(accounts={"main": {"netting": netting}}, **more)
    made.do(long(volume, limit=100, leverage=10))
    made.bar(bar(1, 100))
    assert made.positions()[0].pool.volume == int(volume)
    return made


@pytest.mark.parametrize(
    ("ask", "posted"),
    [
        # All of it closes: nothing is put aside, so that nothing is posted.
        (short(2, limit=101, leverage=10), []),
        (short(2, limit=101, reduce_only=True), []),
        # Beyond what is open it is for more: 1 x 101 / 10.
        (short(3, limit=101, leverage=10), ["RESERVE_MARGIN USD -10.1 10.1"]),
        # More of the same side is all new: 2 x 99 / 10.
        (long(2, limit=99, leverage=10), ["RESERVE_MARGIN USD -19.8 19.8"]),
    ],
)
def test_what_reduces_puts_nothing_aside(ask: Create, posted: list[str]) -> None:
    assert held("2").do(ask) == [*posted, "ACCEPTED"]


def test_what_earlier_orders_are_to_close_later_ones_are_not() -> None:
    """2 are open: the first claims 1.5, the second has 0.5 and opens 0.5, 0.5 x 101 / 10."""
    made = held("2")
    assert made.do(short("1.5", limit=101, leverage=10)) == ["ACCEPTED"]
    assert made.do(short("1", limit=101, leverage=10)) == [
        "RESERVE_MARGIN USD -5.05 5.05",
        "ACCEPTED",
    ]


def test_partners_are_to_close_it_once() -> None:
    """Only one of the two fills: of 3 they claim 2, the larger; 1 is left for a third order."""
    made = held("3")
    assert made.do(short(2, limit=101, leverage=10, oco="out")) == ["ACCEPTED"]
    assert made.do(short(1, stop=95, leverage=10, oco="out")) == ["ACCEPTED"]
    assert made.do(short(1, limit=101, leverage=10)) == ["ACCEPTED"]
    lines = made.do(short(2, limit=101, leverage=10))
    assert lines == ["RESERVE_MARGIN USD -20.2 20.2", "ACCEPTED"]


def test_on_a_hedging_account_the_other_side_is_a_position_of_its_own() -> None:
    made = held("2", netting=False)
    assert made.do(short(2, limit=101, leverage=10)) == [
        "RESERVE_MARGIN USD -20.2 20.2",
        "ACCEPTED",
    ]
    assert made.do(short(2, limit=101, reduce_only=True)) == ["ACCEPTED"]


def test_a_reversal_is_taken_on_what_the_close_would_bring() -> None:
    """10 long at 100 hold 100 of 105, so that 5 are available; short 20 at 100 is to close 10,
    which brings 100, and to open 10, for which 100 are needed. 5 of them are put aside now."""
    made = held("10", cash=105)
    assert made.do(short(20, limit=100, leverage=10)) == ["RESERVE_MARGIN USD -5 5", "ACCEPTED"]
    # 21 open 11 for 110: 5 + 100 are there.
    made = held("10", cash=105)
    assert made.do(short(21, limit=100, leverage=10)) == ["REJECTED INSUFFICIENT_FUNDS"]
    # What the position has lost is not there either: at 99 it brings 90, and 10 of the 20 need
    # 100, of which 95 are there.
    made = held("10", cash=105)
    made.at(99)
    assert made.do(short(20, limit=100, leverage=10)) == ["REJECTED INSUFFICIENT_FUNDS"]


# -- cross margin ----------------------------------------------------------------------------------


def test_what_a_cross_margin_account_has_lost_it_cannot_put_aside() -> None:
    """100 of 1000 are margin; 10 long at 100 have lost 50 at 95: 850 are left for new orders."""
    made = room(accounts={"main": {"margin_mode": "cross"}})
    made.do(long(10, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.at(95)
    assert made.do(long("17.001", limit=50)) == ["REJECTED INSUFFICIENT_FUNDS"]
    assert made.do(long(17, limit=50)) == ["RESERVE_MARGIN USD -850 850", "ACCEPTED"]


def test_a_cross_margin_account_that_is_called_opens_nothing() -> None:
    made = room(accounts={"main": {"margin_mode": "cross"}}, cash=BTC)
    made.do(long(10, limit=100, leverage=10))
    made.bar(bar(1, 100))
    made.venue.called["main"] = None
    assert made.do(long(1, limit=99)) == ["REJECTED MARGIN_CALL"]
    assert made.do(buy(1, limit=99)) == ["REJECTED MARGIN_CALL"]
    assert made.do(short(1, limit=101, reduce_only=True)) == ["ACCEPTED"]
    assert made.do(sell(1, limit=101)) == ["RESERVE_MARGIN BTC -1 1", "ACCEPTED"]


def test_positions_of_a_cross_margin_account_are_settled_in_its_asset() -> None:
    made = room(accounts={"main": {"margin_mode": "cross", "settlement_asset": "EUR"}})
    assert made.do(long(1, limit=99)) == ["REJECTED NOT_SUPPORTED"]
