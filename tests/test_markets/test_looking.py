"""What people look at of a market: the same numbers from the ledger and from the tape."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from backtest.actors import EventKind
from backtest.analysis.market.page import check_page
from backtest.analysis.market.type_series import type_series
from backtest.analysis.metrics import start_equity
from backtest.errors import ConfigError
from backtest.markets import Instrument, MarketResult, Population, uniform
from backtest.models import TradingRules
from backtest.money import ZERO, exponent, round_half_even, sub
from backtest.times import MINUTE
from tests.test_analysis.runs import small_run
from tests.test_markets.crowd import CROWD, PAIR

D = Decimal
FINE = exponent(12)


@pytest.fixture(scope="module")
def crowd() -> MarketResult:
    return CROWD.run()


def test_the_results_of_the_accounts_are_the_result_of_the_run(crowd: MarketResult) -> None:
    results = crowd.record.results
    assert [one.account for one in results] == list(crowd.populations)
    # An average price may have no end: what accounts have open is told to so many digits.
    total = sum((one.final_equity for one in results), ZERO)
    assert round_half_even(total, FINE) == round_half_even(crowd.final_equity, FINE)
    assert sum((one.start_equity for one in results), ZERO) == start_equity(crowd)
    assert sum((one.fees for one in results), ZERO) == crowd.summary["fees_total"]["USD"]


def test_each_type_wins_by_the_tape_what_it_wins_by_the_ledger(crowd: MarketResult) -> None:
    # The tape knows no accounts, margins or positions: cash and inventory at the last price, less
    # the charges. What closes gain is rounded down, a cent at most each.
    record = crowd.record
    series = type_series(record.pairs["ABMUSD"], record.types, [record.end_ns])
    figures = crowd.by_type()
    assert set(figures) == {"maker", "value", "trend", "noise"}
    for kind, one in figures.items():
        rounded = sub(series[kind][-1].pnl, one.pnl)
        assert -FINE < rounded < one.trades * D("0.01")
        assert one.inventory.get("ABMUSD", ZERO) == series[kind][-1].inventory
        assert one.fees > 0
    assert sum(one.trades for one in figures.values()) == 2 * len(crowd.trades)
    assert sum(one.maker_trades for one in figures.values()) == len(crowd.trades)
    # All together lose what they paid in fees; the rest is what their shares gained.
    fees = sum((one.fees for one in figures.values()), ZERO)
    held = sum((one.held_gain for one in figures.values()), ZERO)
    total = sum((one.pnl for one in figures.values()), ZERO)
    lost = sub(-fees, total)
    assert -FINE < lost < len(crowd.trades) * D("0.02")
    gained = sub(crowd.final_equity, start_equity(crowd))
    assert abs(sub(sub(sub(held, fees), lost), gained)) < FINE


def test_quotes_and_depth_are_on_record_and_in_step(crowd: MarketResult) -> None:
    pair = crowd.record.pairs["ABMUSD"]
    assert len(pair.quotes) > 50
    assert len(pair.depth) > 50
    quotes = {quote.time_ns: quote for quote in pair.quotes}
    both = [one for one in pair.depth if one.time_ns in quotes and one.bids and one.asks]
    assert both
    for sample in both:
        # The book is looked at when a command is done; another one at that time may follow.
        assert sample.bids[0][0] < sample.asks[0][0]
        assert [price for price, _ in sample.bids] == sorted(
            (price for price, _ in sample.bids), reverse=True
        )


def test_the_fundamental_is_on_record(crowd: MarketResult) -> None:
    worth = crowd.fundamentals["ABMUSD"]
    assert worth is not None
    first, *_, last = crowd.record.pairs["ABMUSD"].fundamental
    assert first == (CROWD.start_ns, worth.price(CROWD.start_ns, PAIR))
    assert last[0] <= CROWD.until_ns


def test_stylised_facts_of_a_market(crowd: MarketResult) -> None:
    facts = crowd.stylised_facts(interval="5s")
    assert facts.price == "mid"
    assert facts.interval_ns == 5_000_000_000
    assert facts["return_autocorrelation"].value is not None
    assert facts.orders > 20
    assert facts.spread is not None
    assert facts.spread.mean_ticks == pytest.approx(facts.spread.mean * 100)
    with pytest.raises(ConfigError, match="no pair 'XYZ'"):
        crowd.stylised_facts("XYZ")


def test_the_page_is_the_same_for_the_same_seed(crowd: MarketResult, tmp_path: Path) -> None:
    one = crowd.page(tmp_path / "one.html").read_bytes()
    assert CROWD.run().page(tmp_path / "other.html").read_bytes() == one
    other = evolve(CROWD, seed=CROWD.seed + 1).run().page(tmp_path / "another.html").read_bytes()
    assert other != one
    (tmp_path / "thesis.html").write_text("<p>years of work</p>")
    with pytest.raises(ConfigError, match=r"thesis.html is there and is no page of ours"):
        crowd.page(tmp_path / "thesis.html")
    assert (tmp_path / "thesis.html").read_text() == "<p>years of work</p>"
    crowd.page(tmp_path / "thesis.html", force=True)
    crowd.page(tmp_path / "thesis.html")  # it is one of ours now
    assert {path.name for path in tmp_path.iterdir()} == {
        "one.html", "other.html", "another.html", "thesis.html",
    }  # fmt: skip
    assert crowd.page(tmp_path / "a" / "b.html").read_bytes() == one
    assert check_page(tmp_path / "c" / "d.html") == tmp_path / "c" / "d.html"
    assert not (tmp_path / "c").exists(), "asking makes nothing"
    text = one.decode()
    assert crowd.journal_sha256 in text
    assert 'id="p1-depth"' in text


def test_the_tape_goes_with_the_files_of_the_run(crowd: MarketResult, tmp_path: Path) -> None:
    folder = crowd.write(tmp_path / "out")
    with (folder / "tape.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(crowd.trades)
    first = crowd.trades[0]
    assert Decimal(rows[0]["price"]) == first.price
    assert rows[0]["buyer"] == first.buyer
    assert rows[0]["buyer_type"] == crowd.populations[first.buyer]
    crowd.write(tmp_path / "out")  # it may be written again over itself
    assert len(list(folder.iterdir())) == len({one.name for one in folder.iterdir()})
    # A run without a tape takes the old one away.
    small_run().write(tmp_path / "out")
    assert not (folder / "tape.csv").exists()
    # One that the run there did not write is somebody's.
    (folder / "tape.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'tape.csv', which the run there did not write"):
        crowd.write(folder)
    assert (folder / "tape.csv").read_text() == "mine"


def test_a_halt_is_on_record() -> None:
    narrow = evolve(
        CROWD,
        pairs=Instrument(
            pair=PAIR, reference_price=100, rules=TradingRules(), band="0.0002", halt="10s",
            fundamental={"volatility": 0.05, "reversion": 5},
        ),
        populations=[
            Population(
                "market_maker", 2, name="maker",
                parameters={"reference": 100, "every": "5s", "size": 20},
            ),
            Population("noise", 25, parameters={"every": "15s", "size": 5}),
        ],
    ).run()  # fmt: skip
    halts = narrow.halts["ABMUSD"]
    assert halts
    assert all(until - since == MINUTE // 6 for since, until in halts)
    assert narrow.record.pairs["ABMUSD"].halts == halts


def test_liquidated_positions_are_counted_once_and_shown_with_every_part() -> None:
    # Leverage 10, maintenance 8 %: a fall of about 2 % is enough, and the value falls by 10 %.
    falling = evolve(
        CROWD,
        pairs=Instrument(
            pair=PAIR, reference_price=100,
            rules=TradingRules.from_mapping({"max_leverage": 10, "maintenance_rate": "0.08"}),
            fundamental={
                "volatility": 0.0, "reversion": 0, "shocks": [["60s", "0.02"], ["150s", "-0.1"]],
            },
        ),
        populations=[
            Population(
                "market_maker", 2, name="maker",
                parameters={"reference": 100, "every": "5s", "size": 20},
            ),
            Population("value", 10, parameters={"every": "5s", "size": 10}),
            Population(
                "leveraged_trend", 5, name="trend", cash="20000 USD", leverage=10,
                parameters={"every": "4s", "fast": 3, "slow": 8, "use": "0.5"},
            ),
            Population("noise", 25, parameters={"every": "15s", "size": uniform(1, 9)}),
        ],
    ).run()  # fmt: skip
    shown = falling.record.pairs["ABMUSD"].liquidations
    assert shown
    assert all(one.account.startswith("trend") for one in shown)
    counted = sum(one.liquidations for one in falling.record.results)
    assert counted == len({one.position for one in shown}) <= len(shown)
    assert falling.by_type()["trend"].liquidations == counted
    told = sum(one.kind is EventKind.LIQUIDATED for one in falling.records.events)
    assert len(shown) == told
