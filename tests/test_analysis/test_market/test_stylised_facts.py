"""The stylised facts as a whole: made series, honest verdicts, nothing told that is not known."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from math import exp, inf, log
from random import Random

import pytest
from attrs import evolve

from backtest.analysis.market.facts_of import facts_of_bars, facts_of_market, facts_of_quotes
from backtest.analysis.market.real_markets import REAL, Real, Verdict, verdict_of
from backtest.analysis.market.samples import PairRecord
from backtest.analysis.market.stylised_facts import log_returns, measure
from backtest.data import MemoryBars
from backtest.models import Bar, Quote
from backtest.times import DAY, MINUTE, MONTH, SECOND
from tests.test_analysis.test_market.making import PAIR, quote, trade

GROWING = Real("growing", 0.1, 0.4, 0.0, "a source")
SHRINKING = Real("shrinking", 2.0, 5.0, inf, "a source")
CONCAVE = Real("concave", 0.1, 0.6, 1.0, "a source")
ABSENT = Real("absent", -0.1, 0.1, 0.0, "a source")
NEGATIVE = Real("negative", -0.3, -0.01, 0.0, "a source")


@pytest.mark.parametrize(
    ("value", "error", "real", "verdict"),
    [
        (None, None, GROWING, Verdict.NOT_MEASURED),
        (0.2, 0.1, GROWING, Verdict.AS_REAL),
        (0.2, 0.3, GROWING, Verdict.UNCLEAR),
        (0.05, 0.01, GROWING, Verdict.WEAKER),
        (0.05, 0.06, GROWING, Verdict.NOT_SEEN),
        (-0.2, 0.01, GROWING, Verdict.NOT_SEEN),
        (0.0, None, GROWING, Verdict.NOT_SEEN),
        (0.45, 0.1, GROWING, Verdict.UNCLEAR),  # beyond, by less than its error
        (0.09, 0.02, GROWING, Verdict.UNCLEAR),  # short of it, by less than its error
        (0.6, 0.1, GROWING, Verdict.STRONGER),
        (3.0, 0.5, SHRINKING, Verdict.AS_REAL),
        (8.0, 0.5, SHRINKING, Verdict.WEAKER),  # thinner tails
        (1.0, 0.5, SHRINKING, Verdict.STRONGER),
        (inf, None, SHRINKING, Verdict.NOT_SEEN),
        (0.5, 0.1, CONCAVE, Verdict.AS_REAL),
        (0.8, 0.1, CONCAVE, Verdict.WEAKER),
        (0.8, 0.3, CONCAVE, Verdict.NOT_SEEN),
        (1.2, 0.1, CONCAVE, Verdict.NOT_SEEN),
        (-0.2, 0.1, CONCAVE, Verdict.STRONGER),
        (0.05, 0.01, ABSENT, Verdict.AS_REAL),
        (-0.15, 0.1, ABSENT, Verdict.UNCLEAR),
        (-0.15, 0.01, ABSENT, Verdict.STRONGER),
        (-0.1, 0.02, NEGATIVE, Verdict.AS_REAL),
        (-0.005, 0.001, NEGATIVE, Verdict.WEAKER),
        (0.1, 0.02, NEGATIVE, Verdict.NOT_SEEN),
        (-0.5, 0.02, NEGATIVE, Verdict.STRONGER),
    ],
)
def test_verdicts(value: float | None, error: float | None, real: Real, verdict: Verdict) -> None:
    assert verdict_of(value, error, real) is verdict


def test_every_fact_is_told_in_the_order_of_the_references() -> None:
    facts = measure(returns=[], interval_ns=MINUTE, price="mid")
    assert list(facts.facts) == list(REAL)
    assert set(facts.verdicts().values()) == {"not measured"}


def test_the_ranges_are_ranges_and_name_their_sources() -> None:
    for real in REAL.values():
        assert real.low < real.high
        assert "(" in real.source


def test_independent_gaussian_returns_show_nothing_of_real_markets() -> None:
    random = Random(11)
    facts = measure(
        returns=[random.gauss(0, 0.001) for _ in range(4_000)], interval_ns=MINUTE, price="mid"
    )
    verdicts = facts.verdicts()
    assert verdicts["return_autocorrelation"] == "as in real markets"
    assert verdicts["volatility_clustering"] == "not seen"
    assert verdicts["squared_clustering"] == "not seen"
    assert verdicts["clustering_decay"] == "not seen"
    assert verdicts["kurtosis"] == "not seen"
    assert verdicts["gaussianity"] == "not measured"  # there is no kurtosis to lose
    assert verdicts["tail_index"] == "weaker"
    assert verdicts["impact_exponent"] == "not measured"


def test_returns_of_a_slowly_changing_volatility_cluster() -> None:
    # A log volatility that follows a slow autoregression, in the manner of real markets.
    random = Random(2)
    level, returns, volumes = 0.0, [], []
    for _ in range(10_000):
        level = 0.98 * level + random.gauss(0, 0.15)
        returns.append(exp(level) * random.gauss(0, 0.001))
        volumes.append(exp(level) * random.uniform(50, 100))
    facts = measure(returns=returns, interval_ns=MINUTE, price="mid", volumes=volumes)
    verdicts = facts.verdicts()
    assert verdicts["volatility_clustering"] == "as in real markets"
    assert verdicts["kurtosis"] == "as in real markets"
    assert verdicts["volume_volatility"] == "as in real markets"
    assert verdicts["leverage"] in ("not seen", "unclear: within the noise")


def test_independent_fat_tails_lose_nine_tenths_of_their_kurtosis_over_ten_intervals() -> None:
    # The fourth cumulant of a sum of independents is the sum of theirs, so the excess kurtosis of
    # ten together is a tenth of that of one.
    random = Random(4)
    returns = [0.001 * random.gauss(0, 1) * random.choice((1, 3)) for _ in range(40_000)]
    facts = measure(returns=returns, interval_ns=MINUTE, price="mid")
    assert facts["gaussianity"].value == pytest.approx(0.9, abs=0.1)
    assert facts["gaussianity"].verdict is Verdict.AS_REAL


def test_log_returns_leave_gaps_out() -> None:
    assert log_returns([1.0, 2.0, None, 8.0, 4.0]) == pytest.approx([log(2), -log(2)])


def test_the_table_and_the_plain_form_are_complete() -> None:
    facts = measure(returns=[0.001, -0.001] * 50, interval_ns=MINUTE, price="mid")
    text = str(facts)
    assert "autocorrelation of returns, lag 1" in text
    assert "100 returns over 60 s each, of the mid; 0 incoming orders" in text
    plain = json.loads(json.dumps(facts.plain(), allow_nan=False))
    assert plain["return_autocorrelation"] == {
        "value": -0.99, "error": 0.195018, "real": [-0.1, 0.1], "verdict": "stronger",
        "source": REAL["return_autocorrelation"].source,
    }  # fmt: skip


def bar(minute: int, close: str, volume: str | None = "10") -> Bar:
    price = Decimal(close)
    return Bar(
        PAIR, minute * MINUTE, (minute + 1) * MINUTE, price, price, price, price,
        None if volume is None else Decimal(volume),
    )  # fmt: skip


def test_bars_of_history_are_measured_by_their_closes() -> None:
    facts = facts_of_bars([bar(0, "100"), bar(1, "101"), bar(3, "50"), bar(4, "25")])
    # From minute 1 to minute 3 there is a gap, and no return over it.
    assert facts.returns == pytest.approx((log(1.01), log(0.5)))
    assert facts.interval_ns == MINUTE
    assert facts.price == "close"


def test_months_follow_each_other_however_long_they_are() -> None:
    ends = [0, 31, 59, 90, 120]  # January to April of a year that is no leap year
    bars = [
        evolve(bar(0, str(100 + 10 * place)), open_ns=start * DAY, close_ns=end * DAY)
        for place, (start, end) in enumerate(pairwise(ends))
    ]
    facts = facts_of_bars(MemoryBars(bars, PAIR))
    assert facts.returns == pytest.approx((log(1.1), log(12 / 11), log(13 / 12)))
    assert facts.interval_ns == MONTH


def test_bars_without_volume_have_no_volume_to_correlate() -> None:
    closes = ["100", "101", "100", "102"] * 10
    with_volume = facts_of_bars(
        [bar(place, close, str(place)) for place, close in enumerate(closes)]
    )
    assert with_volume["volume_volatility"].value is not None
    without = facts_of_bars([bar(place, close, None) for place, close in enumerate(closes)])
    assert without["volume_volatility"].value is None


def test_quotes_of_history_are_measured_by_their_mids() -> None:
    quotes = [
        Quote(PAIR, 0, Decimal(99), Decimal(101)),
        Quote(PAIR, 90 * SECOND, Decimal(101), Decimal(103)),
        Quote(PAIR, 180 * SECOND, Decimal(101), Decimal(103)),
    ]
    facts = facts_of_quotes(quotes, tick=Decimal("0.5"))
    assert facts.returns == pytest.approx((log(102 / 100), 0.0))
    assert facts.spread is not None
    assert facts.spread.mean_ticks == pytest.approx(4)
    assert facts_of_quotes([]).returns == ()


def test_a_market_is_measured_by_its_mids_and_its_incoming_orders() -> None:
    # Each minute a buy of 5 lifts the mid from 100 to 101, and a sell takes it back.
    trades, quotes = [], [quote(0, "99", "101")]
    for minute in range(40):
        at = 60 * minute
        trades.append(trade(at + 10, "101", 5, "buy", order=2 * minute + 1))
        quotes.append(quote(at + 10, "100", "102"))
        trades.append(trade(at + 70, "100", 5, "sell", order=2 * minute + 2))
        quotes.append(quote(at + 70, "99", "101"))
    trades.sort(key=lambda one: one.time_ns)
    quotes.sort(key=lambda one: one.time_ns)
    record = PairRecord(pair=PAIR, trades=trades, quotes=quotes)
    facts = facts_of_market(record, 0, 41 * MINUTE)
    assert facts.price == "mid"
    assert facts.orders == 80
    assert len(facts.returns) == 40
    assert facts.impact is not None
    assert facts.spread is not None
    assert facts.spread.mean == pytest.approx(2)


def test_without_quotes_a_market_is_measured_by_its_trades() -> None:
    record = PairRecord(pair=PAIR, trades=[trade(30, "100", 1), trade(90, "110", 1)])
    facts = facts_of_market(record, 0, 2 * MINUTE)
    assert facts.price == "trade"
    assert facts.returns == pytest.approx((log(1.1),))
