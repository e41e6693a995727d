"""One quote or trade met by orders and positions, by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import FieldError
from backtest.models import Bar, Quote, Trade
from backtest.models.slippage import VolumeShareSlippage
from backtest.services.fills.events import STOPS
from backtest.services.fills.walk import (
    BarWalk,
    Group,
    Hit,
    OpenPart,
    PathRules,
    QueueAhead,
    Terms,
    TickWalk,
    Working,
    mark_of,
    meets,
)

from .walking import Named, name_of

D = Decimal
RULES = PathRules(price_increment=D("0.01"), volume_increment=D("0.1"), slippage_beyond_bar=True)


def quote(
    bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None, at: int = 1
) -> Quote:
    sizes = (None if one is None else D(one) for one in (bid_size, ask_size))
    return Quote("BTCUSD", at, D(bid), D(ask), *sizes)


def trade(price: str, volume: str | None = None, aggressor: Any = None) -> Trade:
    return Trade("BTCUSD", 1, D(price), None if volume is None else D(volume), aggressor)


class Made:
    """Orders in the order of acceptance."""

    def __init__(self) -> None:
        self.count = 0

    def order(
        self,
        kind: Any,
        buy: bool,
        price: str | None = None,
        volume: str = "1",
        *,
        fresh: bool = False,
        **more: Any,
    ) -> Working:
        self.count += 1
        at = None if price is None else D(price)
        return Named(
            f"{kind}-{self.count}", kind, buy, at, D(volume), 0, self.count, fresh=fresh, **more
        )


def hits(walk: TickWalk, filled: str | None = None) -> list[str]:
    """What the walk gives, each hit filled whole (or as far as ``filled``)."""
    found = []
    while (hit := walk.next()) is not None:
        found.append(line(hit))
        volume = hit.volume if filled is None else min(hit.volume, D(filled))
        walk.report(hit, volume)
    return found


def line(hit: Hit) -> str:
    text = f"{name_of(hit.working)} {hit.volume} @ {hit.price} {hit.point}"
    text += "" if hit.taker else " maker"
    return text + (" passed" if hit.passed else "")


def walked(
    tick: Quote | Trade, *workings: Working, rules: PathRules = RULES, **more: Any
) -> list[str]:
    return hits(TickWalk(tick, [Group(one) for one in workings], rules, **more))


# -- sides and prices ------------------------------------------------------------------------------


def test_a_buy_meets_the_ask_and_a_sell_the_bid() -> None:
    one = Made()
    assert walked(quote("99", "101"), one.order("market", True), one.order("market", False)) == [
        "market-1 1 @ 101 ask",
        "market-2 1 @ 99 bid",
    ]


def test_both_sides_meet_the_price_of_a_trade() -> None:
    one = Made()
    assert walked(trade("100"), one.order("market", True), one.order("market", False)) == [
        "market-1 1 @ 100 trade",
        "market-2 1 @ 100 trade",
    ]


@pytest.mark.parametrize(
    ("buy", "limit", "found"),
    [
        (True, "100.99", []),  # the ask of 101 is above it
        (True, "101", ["limit-1 1 @ 101 ask maker"]),
        (True, "102", ["limit-1 1 @ 102 ask maker"]),  # who fell to it met it at 102
        (False, "99.01", []),
        (False, "99", ["limit-1 1 @ 99 bid maker"]),
        (False, "98", ["limit-1 1 @ 98 bid maker"]),
    ],
)
def test_a_resting_limit_fills_at_its_own_price(buy: bool, limit: str, found: list[str]) -> None:
    assert walked(quote("99", "101"), Made().order("limit", buy, limit)) == found


@pytest.mark.parametrize(
    ("buy", "limit", "found"),
    [
        (True, "102", ["limit-1 1 @ 101 ask"]),
        (False, "98", ["limit-1 1 @ 99 bid"]),
        (True, "100", []),
    ],
)
def test_a_marketable_limit_takes_the_quote(buy: bool, limit: str, found: list[str]) -> None:
    order = Made().order("limit", buy, limit, fresh=True)
    assert walked(quote("99", "101"), order) == found
    assert not order.fresh


@pytest.mark.parametrize(
    ("buy", "stop", "found"),
    [
        (True, "101", ["stop-1 1 @ 101 ask"]),
        (True, "100", ["stop-1 1 @ 101 ask"]),  # the next that is to be had, not the stop's price
        (True, "101.01", []),
        (False, "99", ["stop-1 1 @ 99 bid"]),
        (False, "100", ["stop-1 1 @ 99 bid"]),
        (False, "98.99", []),
    ],
)
def test_a_stop_triggers_on_the_side_that_it_meets(buy: bool, stop: str, found: list[str]) -> None:
    order = Made().order("stop", buy, stop)
    assert walked(quote("99", "101"), order) == found
    assert order.triggered is bool(found)


def test_stop_limit_becomes_a_limit_and_takes_if_it_is_marketable() -> None:
    one = Made()
    within = one.order("stop_limit", True, "100.5", terms=Terms(limit=D("101.5")))
    beyond = one.order("stop_limit", True, "100.5", terms=Terms(limit=D("100.8")))
    walk = TickWalk(quote("99", "101"), [Group(within), Group(beyond)], RULES)
    assert hits(walk) == ["stop_limit-1 1 @ 101 ask"]
    assert [(name_of(w), w.kind, w.price) for w in walk.triggered] == [
        ("stop_limit-1", "limit", D("101.5")),
        ("stop_limit-2", "limit", D("100.8")),
    ]


def test_a_trailing_stop_follows_the_side_that_it_meets() -> None:
    sell = Made().order("trailing_stop", False, "97", terms=Terms(trail=D(2)))
    walk = TickWalk(quote("100", "105"), [Group(sell)], RULES)
    assert (hits(walk), walk.trailed, sell.price) == ([], [sell], D(98))  # 100 - 2
    walk = TickWalk(quote("99", "99.5"), [Group(sell)], RULES)
    assert (hits(walk), walk.trailed, sell.price) == ([], [], D(98))
    walk = TickWalk(quote("97.5", "99"), [Group(sell)], RULES)
    assert hits(walk) == ["trailing_stop-1 1 @ 97.5 bid"]
    assert "trailing_stop" in STOPS


def test_slippage_has_no_range_to_stay_in() -> None:
    rules = PathRules(price_increment=D("0.01"), slippage=D("0.5"), slippage_beyond_bar=True)
    one = Made()
    assert walked(
        quote("99", "101"),
        one.order("market", True),
        one.order("market", False),
        one.order("limit", True, "102"),
        rules=rules,
    ) == [
        "market-1 1 @ 101.5 ask",
        "market-2 1 @ 98.5 bid",
        "limit-3 1 @ 102 ask maker",
    ]


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (quote("98", "99"), "limit-1 1 @ 99 ask"),  # it met that quote: it takes the next one
        (quote("100", "101"), "limit-1 1 @ 100 ask maker"),  # it did not: it was posted
        (trade("99"), "limit-1 1 @ 99 ask"),
        (trade("101"), "limit-1 1 @ 100 ask maker"),
    ],
)
def test_a_new_limit_takes_if_it_was_marketable_when_it_came(
    before: Quote | Trade, found: str
) -> None:
    order = Made().order("limit", True, "100", fresh=True)
    assert walked(quote("98", "99"), order, before=before) == [found]


def test_penetration_wants_more_than_a_touch() -> None:
    rules = PathRules(price_increment=D("0.01"), penetration_ticks=2, slippage_beyond_bar=True)
    for ask, found in (("100", []), ("99.99", []), ("99.98", ["limit-1 1 @ 100 ask maker"])):
        assert walked(quote("99", ask), Made().order("limit", True, "100"), rules=rules) == found


def test_post_only_must_not_take() -> None:
    order = Made().order("limit", True, "102", fresh=True, terms=Terms(maker_only=True))
    assert walked(quote("99", "101"), order) == ["limit-1 1 @ 101 ask passed"]


# -- order and volume ------------------------------------------------------------------------------


def test_market_and_triggered_orders_before_limits_by_better_price_then_acceptance() -> None:
    one = Made()
    made = [
        one.order("limit", True, "101"),
        one.order("limit", True, "103"),
        one.order("limit", True, "103"),
        one.order("stop", True, "100"),
        one.order("market", True),
    ]
    # 3.5 are asked for: the stop and the market order, then 103 by acceptance, then nothing.
    assert walked(quote("99", "101"), *made, pools=(D("3.5"), None)) == [
        "stop-4 1 @ 101 ask",
        "market-5 1 @ 101 ask",
        "limit-2 1 @ 103 ask maker",
        "limit-3 0.5 @ 103 ask maker",
    ]


def test_pools_of_the_two_sides_are_apart_and_rounded_down() -> None:
    one = Made()
    orders = [one.order("market", True, None, "5"), one.order("market", False, None, "5")]
    walk = TickWalk(quote("99", "101"), [Group(o) for o in orders], RULES, (D("2.05"), D("3")))
    assert hits(walk) == ["market-1 2.0 @ 101 ask", "market-2 3 @ 99 bid"]
    assert walk.pools == (D("0.05"), D(0))
    assert [o.volume for o in orders] == [D(3), D(2)]


def test_fill_or_kill_wants_all_of_it() -> None:
    order = Made().order("market", True, None, "5", terms=Terms(immediate=True, whole=True))
    assert walked(quote("99", "101"), order, pools=(D(4), None)) == []
    assert walked(quote("99", "101"), order, pools=(D(5), None)) == ["market-1 5 @ 101 ask"]


def test_what_is_blocked_or_dropped_takes_no_part_and_more_cannot_be_reported() -> None:
    one = Made()
    blocked = one.order("market", True)
    blocked.blocked = True
    first, second = one.order("market", True), one.order("market", True)
    walk = TickWalk(quote("99", "101"), [Group(o) for o in (blocked, first, second)], RULES)
    hit = walk.next()
    assert hit is not None
    assert hit.working is first
    with pytest.raises(FieldError, match="must be within 0 and the hit's 1, not 2"):
        walk.report(hit, D(2))
    walk.drop(second)
    assert walk.next() is None


def test_where_quotes_say_what_is_to_be_had_a_trade_meets_resting_limits_alone() -> None:
    one = Made()
    orders = [
        one.order("market", True),
        one.order("stop", True, "90"),
        one.order("limit", True, "101", fresh=True),
        one.order("limit", True, "101"),
        one.order("limit", True, "100.5", fresh=True),
    ]
    assert walked(trade("100"), *orders, quoted=True, before=quote("100", "101")) == [
        "limit-4 1 @ 101 trade maker",
        "limit-5 1 @ 100.5 trade maker",  # not marketable at an ask of 101, so it rests
    ]
    assert [one.fresh for one in orders[2:]] == [True, False, False]


def test_of_partners_all_are_met_and_the_owner_drops_the_others() -> None:
    one = Made()
    limit, stop = one.order("limit", True, "102"), one.order("stop", True, "101")
    group = Group(None, partners=[Group(limit), Group(stop)])
    walk = TickWalk(quote("99", "101"), [group], RULES)
    hit = walk.next()
    assert hit is not None
    assert line(hit) == "stop-2 1 @ 101 ask"
    walk.report(hit, hit.volume)
    walk.drop(limit)
    assert walk.next() is None


# -- positions -------------------------------------------------------------------------------------


def exits(one: Made, long: bool, **prices: str) -> list[Working]:
    kinds: Any = prices.items()
    return [one.order(kind, not long, price, "2") for kind, price in kinds]


def position(long: bool, exits: list[Working]) -> Group:
    return Group(None, parts=[OpenPart(long, D(2), D(100), D(10), exits)])


def test_a_long_is_closed_at_the_bid_and_a_short_at_the_ask() -> None:
    one = Made()
    long = position(True, exits(one, True, stop_loss="98", take_profit="104"))
    short = position(False, exits(one, False, stop_loss="102", take_profit="96"))
    assert hits(TickWalk(quote("98.5", "101.5"), [long, short], RULES)) == []
    assert hits(TickWalk(quote("97", "103"), [long, short], RULES)) == [
        "stop_loss-1 2 @ 97 bid",
        "stop_loss-3 2 @ 103 ask",
    ]


def test_a_take_profit_fills_at_its_own_price_as_a_maker() -> None:
    long = position(True, exits(Made(), True, stop_loss="98", take_profit="104"))
    assert hits(TickWalk(quote("105", "106"), [long], RULES)) == ["take_profit-2 2 @ 104 bid maker"]


def test_of_one_positions_exits_the_stop_loss_comes_before_the_liquidation() -> None:
    long = position(True, exits(Made(), True, liquidation="98", stop_loss="97"))
    walk = TickWalk(quote("96", "97"), [long], RULES, (D(0), D("0.5")))
    # Of the stop-loss 0.5 find volume; the liquidation takes what is left, without a limit.
    assert hits(walk) == ["stop_loss-2 0.5 @ 96 bid", "liquidation-1 1.5 @ 96 bid"]


def test_a_stopped_position_is_closed_by_nothing_else() -> None:
    long = position(True, exits(Made(), True, stop_loss="98", take_profit="104"))
    hits(TickWalk(quote("97", "99"), [long], RULES, (None, D(0))))
    assert long.parts[0].is_stopped
    # The stop-loss is a market order now; the take-profit, though reached, is past.
    assert hits(TickWalk(quote("105", "106"), [long], RULES)) == ["stop_loss-1 2 @ 105 bid"]


def test_exits_of_a_new_position_are_tested_on_the_side_that_they_meet() -> None:
    one = Made()
    entry = one.order("market", True, None, "2")
    group = Group(entry, stop_loss=D("99.5"), take_profit=D(105))
    walk = TickWalk(quote("99", "101"), [group], RULES)
    hit = walk.next()
    assert hit is not None
    assert line(hit) == "market-1 2 @ 101 ask"  # beyond its own stop-loss is the bid, not the fill
    part = OpenPart(True, D(2), D(101), D(10), exits(one, True, stop_loss="99.5"))
    walk.report(hit, D(2), part)
    assert hits(walk) == ["stop_loss-2 2 @ 99 bid"]


def test_what_is_closed_already_has_nothing_left_to_close() -> None:
    one = Made()
    exits = [
        one.order("market", False, None, "2"),
        one.order("stop_loss", False, "99", "2"),
        one.order("stop_limit", False, "99", "2", terms=Terms(limit=D(98))),
    ]
    long = position(True, exits)
    assert hits(TickWalk(quote("98", "99"), [long], RULES)) == ["market-1 2 @ 98 bid"]
    assert [one.triggered for one in exits] == [False, False, False]
    assert exits[2].kind == "stop_limit"


def test_slippage_by_the_share_of_the_size() -> None:
    rules = PathRules(
        price_increment=D("0.0001"),
        slippage_beyond_bar=True,
        slippage_policy=VolumeShareSlippage(),
    )
    tick = quote("99", "100", "9", "1000")
    # 100 x 0.1 x (20 / 1000)^2 = 0.004; of 10 that are to be had 0.001.
    for left, found in (("20", "market-1 20 @ 100.004 ask"), ("10", "market-1 10 @ 100.001 ask")):
        order = Made().order("market", True, None, "20")
        (line,) = walked(tick, order, rules=rules, pools=(D(left), None))
        assert line.replace("0 ask", " ask") == found


def test_an_entry_at_or_beyond_its_own_protection_is_passed() -> None:
    entry = Made().order("market", True)
    walk = TickWalk(quote("99", "101"), [Group(entry, stop_loss=D(101))], RULES)
    assert hits(walk) == ["market-1 1 @ 101 ask passed"]


# -- the queue -------------------------------------------------------------------------------------


def queued(*ticks: Quote | Trade, limit: str = "100", volume: str = "5") -> list[str]:
    """A buy limit that came after the first of ``ticks`` (if that is a quote)."""
    queue = QueueAhead()
    order = Made().order("limit", True, limit, volume, fresh=True)
    found = []
    rest = ticks
    if isinstance(ticks[0], Quote):
        queue.quote, rest = ticks[0], ticks[1:]
    for tick in rest:
        size = tick.ask_size if isinstance(tick, Quote) else tick.volume
        quoted = isinstance(tick, Trade) and queue.quote is not None
        walk = TickWalk(
            tick,
            [Group(order)],
            RULES,
            (size, size),
            queue,
            before=queue.quote,
            quoted=quoted,
        )
        found.append(" ".join(hits(walk)) or "-")
        if isinstance(tick, Quote):
            queue.quote = tick
    return found


def test_what_stood_ahead_trades_first() -> None:
    first = quote("100", "101", "3", "9")
    # 3 ahead: 2 trade, 1 is left; of the next 2.5, 1.5 are ours, and then all.
    assert queued(first, trade("100", "2"), trade("100", "2.5"), trade("100", "2")) == [
        "-",
        "limit-1 1.5 @ 100 trade maker",
        "limit-1 2 @ 100 trade maker",
    ]


def test_trades_of_buyers_at_its_price_were_with_the_other_queue() -> None:
    first = quote("100", "101", "1", "9")
    assert queued(first, trade("100", "9", "buy"), trade("100", "3", "sell")) == [
        "-",
        "limit-1 2 @ 100 trade maker",
    ]


def test_what_trades_or_is_asked_beyond_leaves_nobody_ahead() -> None:
    first = quote("100", "101", "30", "9")
    assert queued(first, trade("99.99", "1")) == ["limit-1 1 @ 100 trade maker"]
    assert queued(first, quote("98", "99", "1", "2"), trade("100", "1")) == [
        "limit-1 2 @ 100 ask maker",
        "limit-1 1 @ 100 trade maker",
    ]


def test_what_is_left_of_a_limit_that_took_is_the_first_at_its_price() -> None:
    first = quote("98", "99", "1", "2")
    assert queued(first, quote("98", "99", "1", "2"), trade("100", "1")) == [
        "limit-1 2 @ 99 ask",
        "limit-1 1 @ 100 trade maker",
    ]


def test_what_is_asked_at_its_price_meets_those_ahead_first() -> None:
    first = quote("100", "101", "3", "9")
    assert queued(first, quote("99", "101"), quote("99", "100", "1", "4")) == [
        "-",  # the bid fell below: nobody else is at 100
        "limit-1 4 @ 100 ask maker",
    ]
    assert queued(first, quote("100", "101", "3", "1"), quote("100", "100", "3", "4")) == [
        "-",
        "limit-1 1 @ 100 ask maker",
    ]


def test_a_bid_that_shrinks_says_that_less_is_ahead() -> None:
    first = quote("100", "101", "9", "9")
    assert queued(first, quote("100", "101", "2", "9"), trade("100", "3")) == [
        "-",
        "limit-1 1 @ 100 trade maker",
    ]


def test_above_the_bid_nobody_is_ahead_and_below_it_is_not_known() -> None:
    first = quote("100", "101", "9", "9")
    assert queued(first, trade("100.5", "1"), trade("100.5", "1"), limit="100.5") == [
        "limit-1 1 @ 100.5 trade maker",
        "limit-1 1 @ 100.5 trade maker",
    ]
    assert queued(
        first,
        quote("100", "101", "9", "9"),
        trade("99", "50"),  # 99 is its own price, and how many wait there was never shown
        quote("99", "101", "4", "9"),  # now it is: 4
        trade("99", "5"),
        limit="99",
    ) == ["-", "-", "-", "limit-1 1 @ 99 trade maker"]


def test_without_sizes_only_what_goes_beyond_counts() -> None:
    assert queued(quote("100", "101"), trade("100", "50"), trade("99.99", "2")) == [
        "-",
        "limit-1 2 @ 100 trade maker",
    ]


def test_of_trades_alone_one_at_its_price_is_no_offer() -> None:
    # Marketable by the last price, but that price was not there to be taken; a better one was.
    assert queued(trade("100", "50"), trade("99.5", "2")) == ["-", "limit-1 2 @ 100 trade maker"]
    assert queued(trade("99.5", "2"), trade("100", "2")) == [
        "limit-1 2 @ 99.5 trade",
        "limit-1 2 @ 100 trade maker",
    ]


def test_a_quote_without_sizes_leaves_what_was_known_to_be_ahead() -> None:
    first = quote("100", "101", "3", "9")
    # 3 were ahead, and a bid of no size does not say otherwise: 1 of 4 is ours.
    assert queued(first, quote("100", "101"), trade("100", "4")) == [
        "-",
        "limit-1 1 @ 100 trade maker",
    ]


def test_two_orders_share_what_those_ahead_leave() -> None:
    queue = QueueAhead()
    queue.quote = quote("100", "101", "3", "9")
    one = Made()
    orders = [one.order("limit", True, "100", "2"), one.order("limit", True, "100", "2")]
    walk = TickWalk(trade("100", "6"), [Group(o) for o in orders], RULES, (D(6), D(6)), queue)
    # 3 of 6 are theirs who stood ahead: 3 are left, for both together.
    assert hits(walk) == ["limit-1 2 @ 100 trade maker", "limit-2 1 @ 100 trade maker"]


# -- prices ----------------------------------------------------------------------------------------


def test_marks_and_meetings() -> None:
    tick = quote("1.00", "1.03")
    assert (meets(tick, True), meets(tick, False)) == (D("1.03"), D("1.00"))
    assert mark_of(tick, D("0.01")) == D("1.02")  # 1.015, half to even
    assert mark_of(quote("1.00", "1.01"), D("0.01")) == D("1.00")  # 1.005
    assert mark_of(quote("0.001", "0.002"), D("0.01")) == D("0.0015")  # not 0
    assert mark_of(trade("7.123"), D("0.01")) == D("7.123")


# -- against the walk along a bar ------------------------------------------------------------------

PRICES = st.sampled_from([D(98), D(99), D(100), D(101), D(102)])


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Orders whose limits are at the price or do not reach it: resting, the walks differ."""
    made: list[tuple[Any, ...]] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["market", "limit", "stop", "stop_limit"]))
        buy, price = draw(st.booleans()), draw(PRICES)
        fresh = draw(st.booleans())
        if kind == "limit" and not fresh:
            price = max(price, D(100)) if not buy else min(price, D(100))
        terms = None
        if kind == "stop_limit":
            terms = Terms(limit=draw(PRICES))
        volume = D(draw(st.integers(1, 40))) / 10
        made.append((kind, buy, None if kind == "market" else price, volume, fresh, terms))
    return made


@given(orders(), st.sampled_from([None, D(0), D("2.5"), D(100)]))
def test_a_trade_is_a_bar_that_does_not_move(
    drawn: list[tuple[Any, ...]], volume: Decimal | None
) -> None:
    """Where a limit does not rest beyond the price, `TickWalk` and `BarWalk` say the same."""

    def groups() -> list[Group]:
        return [
            Group(Named(str(n), kind, buy, price, size, 0, n, fresh=fresh, terms=terms))
            for n, (kind, buy, price, size, fresh, terms) in enumerate(drawn)
        ]

    def told(walk: Any) -> list[tuple[Any, ...]]:
        found = []
        while (hit := walk.next()) is not None:
            found.append((name_of(hit.working), hit.price, hit.volume, hit.taker, hit.passed))
            walk.report(hit, hit.volume)
        triggered = [(name_of(one), one.kind) for one in walk.triggered]
        return [*found, (walk.pools, sorted(triggered))]

    flat = Bar("BTCUSD", 0, 1, D(100), D(100), D(100), D(100), volume)
    tick = Trade("BTCUSD", 1, D(100), volume or None)
    pools = (volume, volume)
    assert told(TickWalk(tick, groups(), RULES, pools)) == told(
        BarWalk(flat, groups(), RULES, pools)
    )
