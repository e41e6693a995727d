"""Market makers: where their orders stand, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from math import log
from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.models import TradingOrder
from backtest.strategies.agents import AvellanedaStoikov, MarketMaker, PovMarketMaker
from backtest.times import DAY, HOUR, MINUTE

from .running import PAIR, D, bars, play, sent_orders


def ladder(maker: MarketMaker, middle: str) -> tuple[list[Decimal], list[Decimal]]:
    """Bids and asks, best first."""
    rungs = list(maker.ladder(D(middle)))
    return [price for buy, price in rungs if buy], [price for buy, price in rungs if not buy]


class Holding(MarketMaker):
    """A maker that is told what it holds, and is in no run."""

    def hold(self, volume: str | int) -> Holding:
        self.traded = PAIR
        self.base_size, self.lean = D(str(self.size)), D(str(self.skew))
        self.held = D(volume)
        return self

    @property
    def inventory(self) -> Decimal:
        return self.held


class Reserved(AvellanedaStoikov):
    """The same of Avellaneda and Stoikov's; ``time`` is how long ago it began."""

    def hold(self, volume: str | int, time: int = 0) -> Reserved:
        self.held, self.time = D(volume), time
        self.traded, self.base_size, self.began = PAIR, D(str(self.size)), 0
        return self

    @property
    def inventory(self) -> Decimal:
        return self.held

    @property
    def now_ns(self) -> int:
        return self.time


class TestMarketMaker:
    def test_without_inventory_the_ladder_is_around_the_middle(self) -> None:
        # 4 increments of 0.01 between the best two, then 2 behind one another.
        maker = Holding(levels=3, spread=4, step=2).hold(0)
        assert ladder(maker, "100") == (
            [D("99.98"), D("99.96"), D("99.94")],
            [D("100.02"), D("100.04"), D("100.06")],
        )

    def test_prices_between_two_increments_are_rounded_outward(self) -> None:
        # 100.005 ± 0.015: 99.99 and 100.02.
        assert ladder(Holding(levels=1, spread=3).hold(0), "100.005") == (
            [D("99.99")],
            [D("100.02")],
        )
        # 100.005 ± 0.02: 99.985 down to 99.98, 100.025 up to 100.03.
        assert ladder(Holding(levels=1, spread=4).hold(0), "100.005") == (
            [D("99.98")],
            [D("100.03")],
        )

    def test_inventory_moves_the_ladder_against_itself(self) -> None:
        # Holding 30 with orders of 10: three times 2 increments down. Short of 15: 3 up.
        long = Holding(levels=1, size=10, skew=2.0).hold(30)
        assert ladder(long, "100") == ([D("99.92")], [D("99.96")])
        short = Holding(levels=1, size=10, skew=2.0).hold(-15)
        assert ladder(short, "100") == ([D("100.01")], [D("100.05")])

    def test_no_price_is_below_one_increment(self) -> None:
        maker = Holding(levels=5, spread=2).hold(0)
        assert ladder(maker, "0.03") == (
            [D("0.02"), D("0.01")],
            [D("0.04"), D("0.05"), D("0.06"), D("0.07"), D("0.08")],
        )

    @pytest.mark.parametrize("wrong", [{"levels": 0}, {"spread": 0}, {"step": 0}, {"size": 0}])
    def test_refuses_what_is_no_ladder(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match=r"levels|size"):
            play(MarketMaker(**wrong), bars(2))

    def test_orders_that_stand_right_are_left_alone(self) -> None:
        # A market that does not move: the first ladder stands to the end, and nothing else is sent.
        still = bars(30, volatility=0.0, volume=None)
        result = play(MarketMaker(levels=2, every="60s", random_first=False), still)
        assert len(result.orders) == 4
        assert {order.status.name for order in result.orders} == {"PENDING"}

    def test_a_market_that_moves_has_the_ladder_follow(self) -> None:
        result = play(MarketMaker(levels=2, every="60s", random_first=False), bars(30))
        assert len(result.orders) > 60
        # Whatever is pending stands around the last look, never on both sides of itself.
        pending = [one for one in result.orders if one.status.name == "PENDING"]
        bids = [price_of(one) for one in pending if one.direction.name == "LONG"]
        asks = [price_of(one) for one in pending if one.direction.name == "SHORT"]
        assert len(pending) <= 4
        assert bids or asks
        assert max(bids, default=D(0)) < min(asks, default=D(1000))

    def test_its_inventory_stays_within_its_limit(self) -> None:
        maker = MarketMaker(levels=3, size=4, limit=10, skew=0.0, every="60s")
        result = play(maker, bars(300, volume=None))
        assert 0 < abs(maker.inventory)
        held = most = D(0)
        for fill in result.fills:
            held += fill.volume if fill.direction.name == "LONG" else -fill.volume
            most = max(most, abs(held))
        assert D(4) <= most <= D(10)


class TestPovMarketMaker:
    def test_orders_are_a_share_of_what_was_traded(self) -> None:
        # Bars of 40 at a share of 5 % are orders of 2; never less than the 0.5 that it starts with.
        sized = PovMarketMaker(levels=1, share=0.05, size="0.5", every="60s", random_first=False)
        result = play(sized, busy(40))
        volumes = {one.volume for one in sent_orders(result)}
        assert D("2.000") in volumes
        assert volumes <= {D("2.000"), D("0.5"), D("0.500")}
        quiet = PovMarketMaker(levels=1, share=0.05, size="0.5", every="60s", random_first=False)
        volumes = {one.volume for one in sent_orders(play(quiet, busy(1)))}
        assert volumes == {D("0.500")}


class TestAvellanedaStoikov:
    def test_reservation_price_and_spread_are_those_of_the_paper(self) -> None:
        # γ = 0.1, k = 1.5, σ = 2, T = 1 day, s = 100, half a day left: γσ²τ = 0.2.
        # The spread is 0.2 + 20 ln(1 + 0.1/1.5) = 0.2 + 20 × 0.0645385 = 1.49077.
        # Holding 3: r = 100 − 3 × 0.2 = 99.4; bid 99.4 − 0.745385, ask 99.4 + 0.745385.
        assert 20 * log(1 + 0.1 / 1.5) == pytest.approx(1.29077, abs=1e-5)
        maker = started(Reserved(size=1, gamma="0.1", k="1.5", volatility=2)).hold(3, DAY // 2)
        assert ladder(maker, "100") == ([D("98.65")], [D("100.15")])
        # Nothing held: 100 ± 0.745385. Short of 3: around 100.6.
        assert ladder(maker.hold(0, DAY // 2), "100") == ([D("99.25")], [D("100.75")])
        assert ladder(maker.hold(-3, DAY // 2), "100") == ([D("99.85")], [D("101.35")])

    def test_the_inventory_weighs_less_the_nearer_the_end(self) -> None:
        # An hour of the day left: γσ²τ = 0.4/24 = 0.016667; r = 100 − 0.05; half 0.65372.
        maker = started(Reserved(size=1, gamma="0.1", k="1.5", volatility=2)).hold(3, 23 * HOUR)
        assert ladder(maker, "100") == ([D("99.29")], [D("100.61")])

    def test_the_horizon_begins_anew_when_it_is_over(self) -> None:
        maker = started(Reserved(size=1, gamma="0.1", k="1.5", volatility=2)).hold(3, HOUR)
        first = ladder(maker, "100")
        assert ladder(maker.hold(3, DAY + HOUR), "100") == first

    def test_inventory_is_counted_in_orders(self) -> None:
        maker = started(Reserved(size=10, gamma="0.1", k="1.5", volatility=2)).hold(30, DAY // 2)
        assert ladder(maker, "100") == ([D("98.65")], [D("100.15")])

    def test_a_measured_volatility_weighs_the_latest_look_with_a_twentieth(self) -> None:
        # Looks a minute apart, first 100, then 101: 1² in 1/1440 day is 1440 per day, of which 5 %:
        # 72. Then no move: 72 × 0.95 = 68.4.
        maker = started(Reserved(size=1, volatility=None)).hold(0)
        for minute, price in enumerate(("100", "101", "101")):
            maker.hold(0, minute * MINUTE).ladder(D(price))
        assert maker.variance.quantize(D("0.000001")) == D("68.4")

    def test_the_two_prices_are_never_one(self) -> None:
        # (2/γ) ln(1 + γ/k) with k = 100 000 is 0.00002: both would be rounded to 100.
        maker = started(Reserved(size=1, gamma="0.1", k=100_000, volatility=0)).hold(0)
        assert ladder(maker, "100") == ([D("99.99")], [D("100.01")])

    def test_a_run_begins_with_the_part_of_the_spread_that_depends_on_nothing(self) -> None:
        maker = AvellanedaStoikov(gamma="0.1", k="1.5", volatility=2)
        play(maker, bars(2))
        assert maker.rent.quantize(D("0.000001")) == D("1.290770")
        assert maker.variance == 4

    @pytest.mark.parametrize("wrong", [{"gamma": 0}, {"k": -1}, {"horizon": 0}])
    def test_refuses_what_the_formulas_cannot_take(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(FieldError, match=r"gamma|horizon"):
            play(AvellanedaStoikov(**wrong), bars(2))


def busy(volume: int) -> Any:
    """Minute bars with exactly that volume each."""
    from attrs import evolve

    return [evolve(one, volume=D(volume)) for one in bars(20)]


def started(maker: Reserved) -> Reserved:
    """What `on_start` works out, without a run."""
    maker.aversion, depth = D(str(maker.gamma)), D(str(maker.k))
    maker.rent = 2 / maker.aversion * (1 + maker.aversion / depth).ln()
    maker.length, maker.seen_price, maker.seen_ns = DAY, None, 0
    maker.variance = D(0) if maker.volatility is None else D(str(maker.volatility)) ** 2
    return maker


def price_of(order: Any) -> Decimal:
    assert isinstance(order, TradingOrder)
    assert order.limit_price is not None
    return order.limit_price
