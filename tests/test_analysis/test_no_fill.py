"""The reason for every event that did not fill: against the walk itself, and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import pytest
from attrs import evolve

import backtest.actors.broker.execution as execution
from backtest.actors.venue.position import Closing, branch_of
from backtest.analysis.explain.no_fill_reasons import Silence, Taken, silences
from backtest.analysis.explain.replay import waits_of
from backtest.analysis.explain.waits import Line, PairRules
from backtest.analysis.rereading import market_events
from backtest.analysis.result import RunResult
from backtest.analysis.tables.tables import COLUMNS
from backtest.models import Bar, Quote, Trade
from backtest.money import ZERO
from backtest.runs.runner import BacktestRunner
from backtest.services.fills.bar_walk import BarWalk
from backtest.services.fills.cross_walk import CrossWalk
from backtest.services.fills.events import event_of, reachable
from backtest.services.fills.no_fill import Why
from backtest.services.fills.walk import Working
from tests.effort import examples
from tests.harness import DAY, HOUR, D, M
from tests.random_trading import PAIRS, Wild, Wildest, random_bars, random_rules

PRICE = {Why.PRICE_NOT_REACHED, Why.PENETRATION_NOT_MET, Why.STOP_NOT_REACHED}


class Seen(NamedTuple):
    """What the walk knew of one condition on one bar."""

    number: int
    order_id: str
    role: str
    closing_id: str
    start: int
    reached: bool | None
    """None: it began on this bar."""
    volume: Any
    filled: Any
    left: Any
    """What the side's pool had when the bar was done, in whole increments; None: no cap."""
    follows: bool
    """A trailing stop: nobody knows where it would have been later on the path."""


class Watched(BarWalk):
    """A walk that writes down every condition it was given, and what filled of it."""

    book: list[Watched] = []  # noqa: RUF012 - emptied by each run
    number = 0

    def __init__(
        self, bar: Bar, groups: Any, rules: Any, pools: Any = (None, None), *watches: Any
    ) -> None:
        self.bar, self.path = bar, rules
        self.conditions: dict[int, tuple[Working, str, str, str, int, bool | None, Any]] = {}
        self.filled: dict[int, Any] = {}
        self.following: set[int] = set()
        groups_of_all = [*groups, *(one for many in watches for own in many for one in own.groups)]
        for group in [inner for one in groups_of_all for inner in (one.partners or (one,))]:
            if group.entry is not None and group.entry.volume > ZERO:
                self._note(group.entry)
            for part in group.parts:
                for working in part.exits:
                    self._note(working)
        super().__init__(bar, groups, rules, pools, *watches)
        self.at = Watched.number
        if groups_of_all:  # without: a market order at this close
            Watched.book.append(self)

    def _note(self, working: Working, begun: bool = False) -> None:
        if working.kind == "trailing_stop" and not working.triggered:
            self.following.add(id(working))
        role: str
        if isinstance(working, Closing):
            role = "close" if working.role == "close" else working.kind
            order_id, closing_id = str(working.lot.order.id), str(working.id)
        else:
            branch = branch_of(working)
            assert branch.order is not None
            role = "entry" if branch.part is None else str(working.kind)
            order_id, closing_id = str(branch.order.id), ""
        self.conditions[id(working)] = (
            working, order_id, role, closing_id, working.start,
            None if begun else self._reaches(working), working.volume,
        )  # fmt: skip

    def _reaches(self, working: Working) -> bool:
        if not reachable(working, self.bar, self.path):
            return False
        bar, start = self.bar, working.start
        return any(
            event_of(working, start, points[start], points, bar, self.path) is not None
            for points in (
                (bar.open, bar.high, bar.low, bar.close),
                (bar.open, bar.low, bar.high, bar.close),
            )
        )

    def report(self, hit: Any, volume: Any, part: Any = None) -> None:
        part_of = hit.part if hit.part is not None and hit.working in hit.part.exits else None
        held = part_of.volume if part_of is not None else None
        super().report(hit, volume, part)
        done = self.filled.get(id(hit.working), ZERO) + volume
        if held is not None and held == volume:
            done = None  # the position is gone: nothing is left to fill
        self.filled[id(hit.working)] = done
        for working in part.exits if part is not None else ():
            if id(working) in self.conditions:  # what it acts on is more now
                *other, before = self.conditions[id(working)]
                self.conditions[id(working)] = (*other, before + volume)
            else:
                self._note(working, begun=True)

    def seen(self) -> Iterator[Seen]:
        for key, (
            working,
            order_id,
            role,
            closing_id,
            start,
            reached,
            volume,
        ) in self.conditions.items():
            pool = self.pools[0 if working.buy else 1]
            left = None if pool is None else pool // self.path.volume_increment
            filled = self.filled.get(key, ZERO)
            if key in self.following and reached is not None:
                reached = any(
                    one is working for one in self.triggered
                )  # its level moved: the walk alone knows
            yield Seen(
                self.at, order_id, role, closing_id, start, reached, volume,
                volume if filled is None else filled, left, key in self.following,
            )  # fmt: skip


class WatchedTogether(Watched, CrossWalk):
    """The same where all that an account has takes one path."""


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run of the test walk its bars under our eyes."""
    Watched.book = []
    monkeypatch.setattr(execution, "BarWalk", Watched)
    monkeypatch.setattr(execution, "CrossWalk", WatchedTogether)
    old = execution.Execution.walk

    def walk(self: Any, book: Any, bar: Bar) -> Any:
        Watched.number = self._venue.actor.bars
        return old(self, book, bar)

    monkeypatch.setattr(execution.Execution, "walk", walk)


def lines(result: RunResult, name: str) -> list[Line]:
    return [dict(zip(COLUMNS[name], row, strict=True)) for row in result.tables.rows(name)]


def all_silences(result: RunResult, bars: list[Bar]) -> list[Silence]:
    """The reasons of every chain of a run."""
    orders, events, fills = (lines(result, name) for name in ("orders", "events", "fills"))
    legs: dict[str, list[Line]] = {}
    for leg in lines(result, "transactions"):
        legs.setdefault(leg["entry"], []).append(leg)
    found = []
    for root in dict.fromkeys(order["root_id"] for order in orders):
        chain = [order for order in orders if order["root_id"] == root]
        rules = PairRules(chain[0]["pair"], result.config)
        accounts = result.config["accounts"]
        waits = waits_of(chain[0], orders, events, fills, legs, rules, accounts)
        taken = Taken(events, [fill for fill in fills if fill["pair"] == chain[0]["pair"]])
        found += list(silences(waits, bars, rules, taken))
    return found


class Wilder(Wild):
    """Sends the newer kinds of orders too."""

    async def anything(self, pair: str, last: Any) -> None:
        chance = self.random
        if chance.random() < 0.6:
            await super().anything(pair, last)
            return
        if self.handles and chance.random() < 0.3:
            await self.change(chance.choice(self.handles), last)
            return
        side = chance.choice(["buy", "buy", "sell", "long", "short"])
        prices = [round(last * (1000 + chance.randrange(-40, 41)) / 1000, 2) for _ in range(2)]
        given: dict[str, Any] = chance.choice(
            [
                {"limit_price": prices[0], "stop_price": prices[1]},
                {"trail": round(last * chance.randrange(1, 30) / 1000, 2)},
                {"trail_percent": chance.randrange(1, 4)},
                {"limit_price": prices[0], "post_only": True},
                {"limit_price": prices[0]},
                {"stop_price": prices[0]},
                {},
            ]
        )
        if not given.get("post_only") and chance.random() < 0.4:
            given["time_in_force"] = chance.choice(["DAY", "IOC", "FOK"])
        elif chance.random() < 0.4:
            given["expires"] = chance.choice(["30s", "3m", "200s", "10m"])
        if chance.random() < 0.3:
            given["oco"] = chance.choice(["a", "b", "c"])
        if side in ("long", "short") and chance.random() < 0.2:
            given["reduce_only"] = True
        elif side != "sell" and chance.random() < 0.5:
            sign = -1 if side == "short" else 1
            given["stop_loss"] = round(last * (1000 - sign * chance.randrange(50)) / 1000, 2)
            given["take_profit"] = round(last * (1000 + sign * chance.randrange(50)) / 1000, 2)
        send = getattr(self, side)
        self.handles.append(await send(pair, D(chance.randrange(1, 3000)) / 1000, **given))

    async def change(self, handle: Any, last: Any) -> None:
        chance = self.random
        price = round(last * chance.randrange(960, 1041) / 1000, 2)
        what = chance.choice(["stop", "trail", "both", "trailing", "exits", "expires"])
        if what == "stop":
            await handle.close(stop_price=price)
        elif what == "trail":
            await handle.close(trail=chance.randrange(1, 5))
        elif what == "both":
            await handle.close(stop_price=price, limit_price=round(price * D("1.01"), 2))
        elif what == "trailing":
            await handle.modify(trail=chance.randrange(1, 5))
        elif what == "expires":
            await handle.modify(expires="2m")
        elif handle.exits:
            exit = chance.choice(handle.exits)
            self.handles.append(exit)
            await exit.modify(stop_loss=price)


def varied_rules(seed: int) -> dict[str, Any]:
    """Rules that also ask for a path in the order of the queue, later exits, and penetration."""
    chance = Random(seed + 999)
    return {
        code: evolve(
            one,
            path=chance.choice(["queue_order", "pessimistic", "open_low_high_close"]),
            exits_from=chance.choice(["fill", "next_bar", "clear"]),
            limit_gap=chance.choice(["open", "limit"]),
            penetration_ticks=chance.choice([0, 0, 2]),
        )
        for code, one in random_rules(seed).items()
    }


def days(seed: int) -> list[Bar]:
    """The same bars, a day for each minute: days of 23 to 25 hours that begin anywhere.

    They go without fees: one that is charged before a bar moves a liquidation, which the walk alone
    does not tell.
    """
    chance = Random(seed)
    opens = [n * DAY + HOUR // 2 * chance.randrange(10, 13) for n in range(200)]
    made = [
        evolve(
            one,
            open_ns=opens[one.open_ns // M],
            close_ns=opens[one.close_ns // M] - chance.choice([0, 0, HOUR // 2]),
        )
        for one in random_bars(seed)
    ]
    return sorted(made, key=lambda one: (one.close_ns, one.pair))


def wild_run(
    seed: int, kind: type[Wild] = Wild, bars: list[Bar] | None = None, **more: Any
) -> tuple[RunResult, list[Bar]]:
    how = random_rules(seed) if kind is Wild else varied_rules(seed)
    if bars is None:
        bars = random_bars(seed)
    else:
        how = {code: evolve(one, fees={}) for code, one in how.items()}
    runner = BacktestRunner(
        strategies={"s0": kind(), "s1": kind(), "s2": kind()},
        data={pair: [one for one in bars if one.pair == pair.code] for pair in PAIRS},
        cash={"main": {"USD": 2000, "BTC": 3}, "other": {"USD": 500}},
        accounts={"s0": "main", "s1": "main", "s2": ["other", "main"]},
        rules=how,
        seed=seed,
        **more,
    )
    return runner.run(), bars


@pytest.mark.parametrize(
    ("kind", "source", "first"),
    [
        *((kind, None, first) for kind in (Wild, Wildest, Wilder) for first in (0, 10)),
        (Wilder, days, 10),
    ],
)
def test_every_event_without_a_fill_has_the_right_reason(
    kind: type[Wild], source: Any, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0
    kinds: set[Why] = set()
    seeds = range(first, first + examples(5, soak=10))
    for seed in seeds:
        watch(monkeypatch)
        result, bars = wild_run(seed, kind, source and source(seed), netting=bool(seed % 2))
        reasons: dict[tuple[int, str, str], list[Silence]] = {}
        for one in all_silences(result, bars):
            if not one.at_once:
                key = (one.event, one.wait.order_id, one.wait.role)
                reasons.setdefault(key, []).append(one)
            kinds.add(one.reason.why)
            assert one.reason.why is not Why.UNKNOWN, one
        cancelled: dict[tuple[int, str], Any] = {}
        for event in lines(result, "events"):
            late = event["reason"] in ("EXPIRED", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
            if event["kind"] == "cancelled" and event["sender"] == "market-data" and not late:
                at = int(event["market_event"]), event["branch_id"]
                cancelled[at] = cancelled.get(at, ZERO) + D(event["volume"])
        branches = {order["order_id"]: order["branch_id"] for order in lines(result, "orders")}
        seen: dict[tuple[int, str, str], list[Seen]] = {}
        for walk in Watched.book:
            for one_seen in walk.seen():
                key = (one_seen.number, one_seen.order_id, one_seen.role)
                seen.setdefault(key, []).append(one_seen)
        for key, conditions in seen.items():
            found = reasons.pop(key, [])
            gone = cancelled.get((key[0], branches[key[1]]), ZERO) if key[2] == "entry" else ZERO
            _compare(key, conditions, found, gone)
            told += len(found)
        assert not reasons, list(reasons)[:5]
    assert told > 300 * len(seeds)


def _compare(
    key: tuple[int, str, str],
    conditions: list[Seen],
    found: list[Silence],
    gone: Any,
) -> None:
    if gone and gone + conditions[0].filled >= conditions[0].volume:  # an event says why
        assert not found, key
        return
    open_ = [one for one in conditions if one.filled < one.volume]
    if key[2] not in ("entry", "close"):
        # an exit acts on what the position holds, whatever its own volume says
        open_ = [one for one in open_ if not one.filled or one.left == 0]
    assert len(found) == len(open_), (key, conditions, [one.reason for one in found])
    if len(found) != 1:
        return
    (silence,), (one,) = found, open_
    why = silence.reason.why
    if one.reached is None:
        assert silence.event == silence.wait.first - 1
        return
    assert why is not Why.BEFORE_ENTRY
    assert (why is Why.NOT_ELIGIBLE) is (one.start >= 4), (key, one, silence.reason)
    # Of a trailing stop that closes a position nobody knows more once another exit came first.
    if not (one.follows and key[2] == "close" and not one.reached and why not in PRICE):
        assert (why in PRICE or why is Why.NOT_ELIGIBLE) is (not one.reached), (key, one, why)
    assert (silence.reason.only == "close") is (why in PRICE and one.start == 3)
    if why in (Why.NO_VOLUME, Why.POOL_USED_UP):
        assert one.left == 0, (key, one, silence.reason)
    assert silence.rest is bool(one.filled), (key, one)


class Ticking(Wilder):
    """Decides on quotes and trades."""

    async def on_quote(self, quote: Any) -> None:
        if self.random.random() < 0.3:
            await self.act(quote.pair, quote.bid)

    async def on_trade(self, trade: Any) -> None:
        if self.random.random() < 0.3:
            await self.act(trade.pair, trade.price)


def ticking_run(seed: int) -> RunResult:
    """Quotes, trades, or both, some with bars beside them."""
    chance = Random(seed)
    data: dict[Any, Any] = {}
    for pair in PAIRS:
        bars = [one for one in random_bars(seed) if one.pair == pair.code]
        quotes, trades = [], []
        for one in bars:
            for place, price in enumerate((one.open, one.high, one.low, one.close)):
                at = one.open_ns + (place + 1) * (one.close_ns - one.open_ns) // 5
                size = chance.choice([None, ZERO, D(chance.randrange(1, 3000)) / 1000])
                spread = D(chance.randrange(20)) / 100
                quotes.append(Quote(pair.code, at, price, price + spread, size, size))
                trades.append(Trade(pair.code, at + 1, price, size or None))
        data[pair] = [
            [quotes, trades], quotes, trades, [quotes, bars], [trades, bars], bars,
        ][chance.randrange(6)]  # fmt: skip
    rules = {
        code: evolve(one, queue=chance.choice(["touch", "conservative"]))
        for code, one in random_rules(seed).items()
    }
    return BacktestRunner(
        strategies={"s0": Ticking(), "s1": Ticking()},
        data=data,
        cash={"main": {"USD": 4000, "BTC": 3}},
        rules=rules,
        seed=seed,
        netting=bool(seed % 2),
        margin_mode="cross" if seed % 3 == 0 else "isolated",
    ).run()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_data_nothing_is_without_a_reason(seed: int) -> None:
    result = ticking_run(seed)
    events, problem = market_events(result.sources, result.inputs, result.config)
    assert events is not None, problem
    found = all_silences(result, list(events))
    assert len(found) > 100
    for one in found:
        assert one.reason.why is not Why.UNKNOWN, one
    for order in result.orders[::25]:
        assert "At the end of the data" in result.explain(order.id)
