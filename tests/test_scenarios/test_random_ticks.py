"""Anything at any time, on quotes, trades and bars of two lengths at once, the oracle watching."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest
from attrs import evolve

from backtest.actors import Envelope, System
from backtest.data import merge, resample
from backtest.data.sources import MemoryBars
from backtest.models import Bar, MarketEvent, Quote, Trade
from tests.effort import examples
from tests.harness import D, World, play
from tests.random_trading import PAIRS, Wildest, random_bars, random_rules

S = 10**9


class WildOnTicks(Wildest):
    async def on_quote(self, quote: Quote) -> None:
        if self.random.random() < 0.5:
            await self.act(quote.pair, self.last_price(quote.pair) or quote.bid)

    async def on_trade(self, trade: Trade) -> None:
        if self.random.random() < 0.3:
            await self.act(trade.pair, trade.price)


def ticks(seed: int, pair: str, count: int = 150) -> tuple[list[Quote], list[Trade]]:
    """Quotes and trades of an hour, with gaps, equal times, locked quotes and unknown sizes."""
    chance = Random(seed)
    price = D(100)
    at = 0
    quotes, trades = [], []

    def size() -> Decimal | None:
        return chance.choice([None, D(0), D(chance.randrange(1, 3000)) / 1000, D(1000)])

    for _ in range(count):
        at += chance.choice([0, 1, 5, 20, 40, 200]) * S
        price = max(D(1), price + D(chance.randrange(-150, 151)) / 100)
        if chance.random() < 0.6:
            ask = price + D(chance.choice([0, 1, 5, 200])) / 100
            quotes.append(Quote(pair, at, price, ask, size(), size()))
        else:
            volume = chance.choice([None, D(chance.randrange(1, 3000)) / 1000])
            side: Any = chance.choice([None, "buy", "sell"])
            trades.append(Trade(pair, at, price, volume, side))
    return quotes, trades


def market(seed: int) -> list[MarketEvent]:
    """What there is of the pairs: any mix of bars of two lengths, quotes and trades."""
    chance = Random(seed)
    parts: list[list[Any]] = []
    for pair in ("BTCUSD", "ETHUSD"):
        quotes, trades = ticks(seed + len(pair) + len(parts), pair)
        bars = [one for one in random_bars(seed) if one.pair == pair]
        long = list(resample(MemoryBars(bars, pair), "10m"))
        kinds = chance.choice(["q", "t", "qt", "qb", "tb", "qtbl", "bl", "tl"])
        parts += [
            part
            for kind, part in (("q", quotes), ("t", trades), ("b", bars), ("l", long))
            if kind in kinds and part
        ]
    return list(merge(parts))


def run(seed: int, events: list[MarketEvent], prepare: Any = None) -> World:
    queue = "conservative" if seed % 2 else "touch"
    rules = {code: evolve(one, queue=queue) for code, one in random_rules(seed).items()}
    cash = {"USD": "20000", "BTC": "5"}
    return play(
        events,
        kinds=[WildOnTicks, WildOnTicks],
        cash=cash,
        accounts={"main": {"netting": seed % 3 == 0}},
        rules=rules,
        pairs=PAIRS,
        insurance=[("USD", D(100_000))],
        seed=seed,
        prepare=prepare,
    )


SEEDS = range(examples(24))


@cache
def played(seed: int) -> World:
    return run(seed, market(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_agrees_with_anything_done_on_ticks(seed: int) -> None:
    world = played(seed)
    assert len(world.records.events) > 30
    assert world.sha256 == run(seed, market(seed)).sha256


def test_ticks_do_fill_and_close_in_every_way() -> None:
    worlds = [played(seed) for seed in SEEDS]
    fills = [one for world in worlds for one in world.records.fills]
    assert {one.point for one in fills} >= {"bid", "ask", "trade", "open"}
    on_ticks = [one for one in fills if one.point in ("bid", "ask", "trade")]
    assert {one.kind for one in on_ticks} >= {
        "entry", "close", "stop_loss", "take_profit", "liquidation"
    }  # fmt: skip
    assert {one.maker for one in on_ticks} == {True, False}
    assert not any(one.ambiguous for one in on_ticks)


@pytest.mark.parametrize("seed", range(examples(8)))
def test_the_future_changes_nothing_before_it(seed: int) -> None:
    events = market(seed)
    chance = Random(seed)
    after = chance.choice(events[10:-10]).close_ns

    def told(given: list[MarketEvent]) -> tuple[list[str], World]:
        lines: list[str] = []

        def prepare(system: System) -> None:
            before = system.tracer
            assert before is not None

            def trace(message: Envelope) -> None:
                before(message)
                if message.time <= after:
                    lines.append(f"{message.time} {message.priority} {message.id} {message[4]!r}")

            system.tracer = trace

        world = run(seed, given, prepare)
        return [line for line in lines if " at 0x" not in line], world

    def other(event: MarketEvent) -> MarketEvent:
        if event.close_ns <= after:
            return event
        factor = D(chance.randrange(50, 200)) / 100
        if isinstance(event, Quote):
            return evolve(event, bid=event.bid * factor, ask=event.ask * factor)
        if isinstance(event, Trade):
            return evolve(event, price=event.price * factor)
        prices = {name: getattr(event, name) * factor for name in ("open", "high", "low", "close")}
        return Bar(event.pair, event.open_ns, event.close_ns, **prices, volume=event.volume)

    lines, world = told(events)
    others, changed = told([other(one) for one in events])
    assert lines == others
    assert len(lines) > 20
    assert [row for row in world.rows() if row.time <= after] == [
        row for row in changed.rows() if row.time <= after
    ]
