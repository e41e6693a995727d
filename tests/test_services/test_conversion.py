"""What one asset is worth in another: by which pairs, and to the last digit."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal, localcontext
from itertools import permutations

import pytest

from backtest.models import Asset, TradingPair
from backtest.services.conversion import Conversion, direct_pairs

D = Decimal
USD = Asset("USD", 2)


def pairs(*codes: str) -> list[TradingPair]:
    """Pairs of ``BASE/QUOTE`` codes; dollars have cents."""
    made = []
    for code in codes:
        base, quote = (USD if one == "USD" else one for one in code.split("/"))
        made.append(TradingPair(code, base, quote))
    return made


def worth(prices: dict[str, str], asset: str, amount: str = "1") -> Decimal | None:
    """By pairs that all have a price, the same in whatever order they come."""
    found = set()
    for codes in permutations(prices):
        made = Conversion("USD", pairs(*codes))
        for order in (codes, codes[::-1]):
            found.add(made.worth(asset, D(amount), {code: D(prices[code]) for code in order}))
    assert len(found) == 1
    return found.pop()


def test_cash_is_worth_itself_and_what_no_pair_leads_to_nothing() -> None:
    assert worth({"BTC/USD": "100"}, "USD", "7.125") == D("7.125")
    assert worth({"BTC/USD": "100", "XRP/EUR": "2"}, "XRP") is None


def test_the_direct_pair_goes_before_all_and_is_exact() -> None:
    prices = {"ETH/USD": "1600", "ETH/BTC": "0.05", "BTC/USD": "30000", "USD/ETH": "0.001"}
    assert worth(prices, "ETH") == D(1600)
    assert worth(prices, "ETH", "0.00012345") == D("0.19752")  # no division, no rounding


def test_the_inverse_goes_before_any_way_round() -> None:
    # 12 345 / 150 is 82.30 exactly, 1000 / 150 6.666..., rounded down to the cent.
    prices = {"USD/JPY": "150", "JPY/EUR": "0.0062", "EUR/USD": "1.1"}
    assert worth(prices, "JPY", "12345") == D("82.30")
    assert worth(prices, "JPY", "1000") == D("6.66")
    assert worth(prices, "JPY", "-1000") == D("-6.67")  # a loss is rounded down, too


def test_the_way_of_fewest_pairs_is_taken() -> None:
    # ADA -> ETH -> USD is two pairs, ADA -> BTC -> EUR -> USD three.
    prices = {"ADA/BTC": "9", "BTC/EUR": "9", "EUR/USD": "9", "ADA/ETH": "0.01", "ETH/USD": "1600"}
    assert worth(prices, "ADA") == D(16)


def test_of_ways_of_one_length_the_first_asset_codes_win() -> None:
    # Through BTC 2 x 10 = 20, through ETH 3 x 10 = 30: B comes first.
    prices = {"ADA/ETH": "3", "ETH/USD": "10", "ADA/BTC": "2", "BTC/USD": "10"}
    assert worth(prices, "ADA") == D(20)
    # The whole sequence decides, not what is next to cash: A-B-Z-USD before A-C-B2-USD.
    prices = {"A/B": "1", "B/Z": "2", "Z/USD": "3", "A/C": "5", "C/BB": "7", "BB/USD": "11"}
    assert worth(prices, "A") == D(6)
    # Nor which way is by inverse pairs: through A an XRP is 2 x 3 = 6, through B 100 / 4 = 25.
    prices = {"B/XRP": "4", "B/USD": "100", "XRP/A": "2", "A/USD": "3"}
    assert worth(prices, "XRP") == D(6)


def test_each_step_goes_by_the_direct_pair_before_the_inverse_and_then_by_the_code() -> None:
    prices = {"A/B": "2", "B/A": "4", "B/USD": "10"}
    assert worth(prices, "A") == D(20)
    assert worth({"B/A": "4", "B/USD": "10"}, "A") == D("2.50")
    made = Conversion(
        "USD", [TradingPair("BTCUSD", "BTC", USD), TradingPair("BTC-PERP", "BTC", USD)]
    )
    # "BTC-PERP" sorts before "BTCUSD", and goes before it as soon as it has a price.
    assert made.worth("BTC", D(1), {"BTCUSD": D(7)}) == D(7)
    assert made.worth("BTC", D(1), {"BTCUSD": D(7), "BTC-PERP": D(8)}) == D(8)
    assert direct_pairs("BTC", "USD", made._pairs.values()) == ["BTC-PERP", "BTCUSD"]


def test_a_pair_without_a_price_is_no_way() -> None:
    made = Conversion("USD", pairs("ETH/USD", "ETH/BTC", "BTC/USD"))
    assert made.worth("ETH", D(1), {}) is None
    assert made.worth("ETH", D(1), {"ETH/BTC": D("0.05")}) is None
    both = {"ETH/BTC": D("0.05"), "BTC/USD": D(30_000)}
    assert made.worth("ETH", D(1), both) == D(1500)
    assert made.worth("ETH", D(1), {**both, "ETH/USD": D(1600)}) == D(1600)
    assert made.is_priced("ETH", both)
    assert not made.is_priced("ETH", {"BTC/USD": D(1)})


def test_a_long_way_is_divided_once() -> None:
    # 1 / 3 x 3 of whole numbers: rounded on the way it would be 0.99.
    prices = {"B/A": "3", "B/C": "3", "C/USD": "1"}
    assert worth(prices, "A") == D(1)
    # Five pairs of eighteen digits each have ninety digits: none is lost before the division.
    one = "1.000000000000000001"
    prices = dict.fromkeys(("B/A", "B/C", "D/C", "D/E", "F/E"), one) | {"F/USD": one}
    made = Conversion("USD", pairs(*prices))
    assert made.worth("A", D(1), {code: D(price) for code, price in prices.items()}) == D(1)


@pytest.mark.parametrize("digits", [0, 2, 18])
def test_what_is_divided_is_rounded_down_to_the_finest_precision_of_cash(digits: int) -> None:
    made = Conversion("USD", [TradingPair("USDJPY", Asset("USD", digits), "JPY")])
    expected = {0: "66", 2: "66.66", 18: "66.666666666666666666"}[digits]
    assert made.worth("JPY", D(10_000), {"USDJPY": D(150)}) == D(expected)


def test_the_callers_context_changes_nothing() -> None:
    with localcontext(prec=3, rounding=ROUND_UP):
        # 8157.7399..., and a product of sixteen digits.
        assert worth({"USD/JPY": "151.337"}, "JPY", "1234567.89") == D("8157.73")
        assert worth({"BTC/USD": "30123.45"}, "BTC", "1.23456789") == D("37189.4441060205")
