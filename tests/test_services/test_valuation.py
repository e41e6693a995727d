"""What is owned, at its last price: worked out by hand, through other pairs where it must be."""

from __future__ import annotations

from decimal import Decimal

from backtest.models import TradingPair
from backtest.services.valuation import Valuation
from backtest.times import HOUR, MINUTE

D = Decimal
PAIRS = [
    TradingPair("BTCUSD", "BTC", "USD"),
    TradingPair("ETHBTC", "ETH", "BTC"),
    TradingPair("ADAETH", "ADA", "ETH"),
    TradingPair("DOTADA", "DOT", "ADA"),
]
PRICES = {"BTCUSD": D(100), "ETHBTC": D("0.05"), "ADAETH": D("0.01"), "DOTADA": D(2)}
NOTHING = D(0), D(0)


def valued(prices: dict[str, Decimal], **owned: int) -> Valuation:
    """A valuation at ``prices`` of what is ``owned``, begun at 0."""
    made = Valuation("USD", PAIRS)
    made.prices.update(prices)
    for asset, amount in owned.items():
        made.balance(asset, NOTHING, (D(amount), D(0)))
    made.begin(0)
    return made


def test_available_and_unavailable_count_and_what_has_no_price_counts_nothing() -> None:
    made = valued(PRICES, USD=50, ADA=200, DOT=3)
    made.balance("BTC", NOTHING, (D(1), D(2)))
    made.balance("XRP", NOTHING, (D(4), D(0)))
    # 50 + 200 x 0.05 + 3 x 0.1 (2 x 0.01 x 0.05 x 100) + 3 x 100
    assert made.equity() == D("360.3")
    assert made.unpriced() == ["XRP"]
    made.balance("XRP", (D(4), D(0)), NOTHING)
    assert made.unpriced() == []
    assert made.equity() == D("360.3")


def test_a_balance_that_only_moved_into_reserve_changes_nothing() -> None:
    made = valued(PRICES, USD=50)
    made.balance("USD", (D(50), D(0)), (D(20), D(30)))
    made.move_to(HOUR)
    assert (made.totals, made.samples, made.exposed) == ({"USD": D(50)}, [], False)


def test_a_position_is_worth_what_its_price_has_moved() -> None:
    made = valued(PRICES, USD=1000)
    made.position("BTCUSD", D(2), D(200))
    made.position("BTCUSD", D(-3), D(-330))  # a short beside it
    made.prices["BTCUSD"] = D(120)
    # 1000 + 2 x (120 - 100) - 3 x (120 - 110)
    assert made.equity() == D(1010)
    assert made.exposed
    made.position("BTCUSD", D(-2), D(-200))  # each is taken out for what it came in for
    made.position("BTCUSD", D(3), D(330))
    assert (made.equity(), made.exposed) == (D(1000), False)


def test_a_position_settled_in_another_asset_is_worth_that_assets_price() -> None:
    made = valued({"ETHBTC": D("0.05")}, USD=1000)
    made.position("ETHBTC", D(10), D("0.5"))
    made.prices["ETHBTC"] = D("0.06")
    assert made.equity() == D(1000)  # 0.1 BTC, which has no price yet
    made.sample(MINUTE)
    made.prices["BTCUSD"] = D(100)
    assert made.equity() == D(1010)
    made.sample(2 * MINUTE)
    # A sample is of the moment before the one that time moves on to.
    assert made.samples == [(0, D(1000)), (MINUTE, D(1010))]


def test_a_position_without_a_mark_counts_nothing_until_it_has_one() -> None:
    made = valued({}, USD=1000)
    made.position("BTCUSD", D(2), D(200))
    assert made.equity() == D(1000)
    made.sample(MINUTE)
    made.prices["BTCUSD"] = D(90)
    made.sample(2 * MINUTE)
    assert made.samples == [(0, D(1000)), (MINUTE, D(980))]
    assert made.first_prices == {"BTCUSD": D(90)}


def test_samples_are_of_hours_and_the_fall_is_from_the_peak() -> None:
    made = valued({"BTCUSD": D(100)}, USD=500, BTC=5)
    assert made.start == D(1000)
    # Owned and held at once: 500 + 5 x p + 1 x (p - 100), from terms worked out once.
    made.position("BTCUSD", D(1), D(100))
    for minute, price in ((20, 110), (40, 90), (80, 95), (100, 120), (130, 60)):
        made.move_to(minute * MINUTE)
        made.prices["BTCUSD"] = D(price)
    made.move_to(140 * MINUTE)
    # 400 + 6 p at the last change of each hour; the end of an hour belongs to it, 0:00 to the day
    # before. 1060 at 20 min, 940 at 40; 970, 1120 at 80, 100; 760 at 130.
    assert made.samples == [
        (0, D(1000)),
        (40 * MINUTE, D(940)),
        (100 * MINUTE, D(1120)),
        (130 * MINUTE, D(760)),
    ]
    # From 1060 to 940 is 120; from 1120 to 760 is 360, and 360 / 1120 the larger share too.
    assert (made.peak, made.max_drawdown) == (D(1120), D(360))
    assert round(made.max_drawdown_rate, 6) == D("0.321429")
    assert (made.touched, made.moments, made.last_ns) == (6, 6, 140 * MINUTE)


def test_a_bar_is_touched_from_the_first_to_the_last_moment_of_what_is_held_in_it() -> None:
    made = valued({"BTCUSD": D(100)}, USD=1000)
    made.move_to(MINUTE)  # nothing yet
    made.move_to(2 * MINUTE)
    made.position("BTCUSD", D(1), D(100))  # opened and closed within the bar
    made.position("BTCUSD", D(-1), D(-100))
    assert (made.touched, made.moments) == (1, 2)
    made.move_to(3 * MINUTE)
    made.balance("BTC", NOTHING, (D(1), D(0)))  # bought, and held over the next bar
    made.move_to(4 * MINUTE)
    made.move_to(5 * MINUTE)
    made.balance("BTC", (D(1), D(0)), NOTHING)
    made.sample(5 * MINUTE)  # the end of the data moves nothing
    made.sample(5 * MINUTE)
    assert (made.touched, made.moments) == (4, 5)
    made.move_to(6 * MINUTE)
    assert (made.touched, made.moments) == (4, 6)
    made.balance("BTC", NOTHING, (D(1), D(0)))  # bought and sold within the bar
    made.balance("BTC", (D(1), D(0)), NOTHING)
    made.balance("USD", (D(9), D(0)), NOTHING)
    made.move_to(7 * MINUTE)
    assert (made.touched, made.moments) == (5, 7)
    made.balance("USD", NOTHING, (D(9), D(0)))  # money alone does not move with the market
    assert (made.touched, made.moments) == (5, 7)


def test_a_smaller_fall_in_money_may_be_the_larger_share() -> None:
    made = valued({"BTCUSD": D(10)}, BTC=1)
    # 10 -> 5 is a half; 1000 -> 900 is more money, and a tenth.
    for number, price in enumerate((5, 1000, 900), start=1):
        made.move_to(number * MINUTE)
        made.prices["BTCUSD"] = D(price)
    made.move_to(4 * MINUTE)
    assert (made.max_drawdown, made.max_drawdown_rate) == (D(100), D("0.5"))


def test_who_never_had_anything_loses_no_share_of_it() -> None:
    made = valued({"BTCUSD": D(100)})
    made.position("BTCUSD", D(1), D(100))
    made.prices["BTCUSD"] = D(70)
    made.sample(MINUTE)
    assert (made.max_drawdown, made.max_drawdown_rate) == (D(30), D(0))


def test_cash_alone_is_sampled_when_it_changes_and_is_no_exposure() -> None:
    made = valued({}, USD=100)
    made.move_to(HOUR)
    made.balance("USD", (D(100), D(0)), (D(90), D(0)))  # a fee
    made.move_to(3 * HOUR)
    made.move_to(5 * HOUR)
    assert made.samples == [(HOUR, D(90))]
    assert (made.touched, made.moments) == (0, 3)
    assert (made.first_ns, made.last_ns) == (0, 5 * HOUR)
    made.prices["BTCUSD"] = D(100)  # the first price of a pair is kept, held or not
    made.move_to(6 * HOUR)
    made.prices["BTCUSD"] = D(200)
    made.move_to(7 * HOUR)
    assert (made.first_prices, made.samples) == ({"BTCUSD": D(100)}, [(HOUR, D(90))])


def test_what_has_no_direct_price_is_worked_out_each_time_and_what_is_gone_not() -> None:
    made = valued(PRICES, ADA=200)  # 10
    made.sample(MINUTE)
    made.prices["BTCUSD"] = D(200)
    made.sample(2 * MINUTE)
    made.balance("ADA", (D(200), D(0)), (D(100), D(0)))
    made.balance("XRP", NOTHING, (D(9), D(0)))  # is in no pair at all
    made.sample(3 * MINUTE)
    made.balance("ADA", (D(100), D(0)), NOTHING)
    made.balance("XRP", (D(9), D(0)), NOTHING)
    made.position("BTCUSD", D(1), D(200))
    made.position("BTCUSD", D(-1), D(-200))
    made.sample(4 * MINUTE)
    # All of it within an hour, of which the last counts; after the first, which is of the day
    # before: 200 x 0.01 x 0.05 x 200 = 20, half of it, nothing.
    assert made.samples == [(0, D(10)), (3 * MINUTE, D(0))]
    assert (made.max_drawdown, made.peak) == (D(20), D(20))
    assert not made.exposed


def test_what_has_no_price_at_all_waits_for_one() -> None:
    made = valued({"BTCUSD": D(100)}, BTC=1)
    made.balance("XRP", NOTHING, (D(9), D(0)))
    made.sample(MINUTE)
    made.balance("ETH", NOTHING, (D(4), D(0)))
    made.prices["ETHBTC"] = D("0.5")
    made.sample(2 * MINUTE)
    assert made.unpriced() == ["XRP"]
    assert made.samples == [(0, D(100)), (MINUTE, D(300))]  # 100 + 4 x 0.5 x 100
