"""A strategy that does anything at any time, and markets to do it in; all from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

from backtest.errors import FieldError, OrderRejected
from backtest.models import Bar, TradingRules
from backtest.strategies import Strategy
from tests.harness import D, M, World, pair_of, play, rules

__all__ = ["PAIRS", "Wild", "Wildest", "random_bars", "random_rules", "run_wild"]

PAIRS = [pair_of("BTCUSD"), pair_of("ETHUSD", contract_size="1")]


class Wild(Strategy):
    """Decides by its own random stream and by the last prices; waits now and then."""

    schemes: ClassVar[bool] = False
    """Whether it brackets, groups and reduces, too."""

    def on_start(self) -> None:
        self.handles: list[Any] = []

    async def on_bar(self, bar: Bar) -> None:
        for _ in range(self.random.randrange(3)):
            await self.act(bar.pair, bar.close)
        if self.random.random() < 0.1:
            await self.sleep(self.random.randrange(90))
            await self.act(bar.pair, bar.close)

    async def run(self) -> None:
        async for bar in self.bars("ETHUSD"):
            if self.random.random() < 0.2:
                await self.sleep(self.random.randrange(1, 200))
                await self.act(bar.pair, bar.close)

    async def act(self, pair: str, last: Decimal) -> None:
        try:
            await self.anything(pair, last)
        except (OrderRejected, FieldError):
            pass  # what is refused is refused: the oracle sees that nothing came of it

    async def anything(self, pair: str, last: Decimal) -> None:
        chance = self.random
        volume = D(chance.randrange(1, 4000)) / 1000
        away = last * (100 + chance.randrange(-6, 7)) / 100
        near = round(away, 2)
        what = chance.choice(
            ["buy", "sell", "long", "short", "long", "short", "cancel", "modify", "split", "close"]
        )
        if what in ("buy", "sell", "long", "short"):
            given = self.kind_and_terms(near, last)
            if what in ("long", "short"):
                given["leverage"] = chance.choice([1, 2, 5, 20])
            if self.schemes:
                if what in ("long", "short"):
                    given["reduce_only"] = chance.random() < 0.1
                if chance.random() < 0.2:
                    given["oco"] = chance.choice(["one", "other"])
            if what in ("long", "short") or (self.schemes and what == "buy"):
                sign = -1 if what == "short" else 1
                if chance.random() < 0.5:
                    given["stop_loss"] = round(
                        last * (100 - sign * chance.randrange(1, 9)) / 100, 2
                    )
                if chance.random() < 0.5:
                    given["take_profit"] = round(
                        last * (100 + sign * chance.randrange(1, 9)) / 100, 2
                    )
            self.handles.append(getattr(self, what)(pair, volume, **given))
            return
        if not self.handles:
            return
        handle = chance.choice(self.handles[-20:])
        if self.schemes and handle.exits and chance.random() < 0.5:
            handle = chance.choice(handle.exits)
        part = None if chance.random() < 0.5 else volume
        if what == "cancel":
            await handle.cancel(part)
        elif what == "close":
            given = {} if chance.random() < 0.4 else self.kind(near, last)
            close = handle.close(part, **given)
            await close
            if self.schemes and chance.random() < 0.2:
                await close.cancel()
        elif what == "modify":
            fields = {
                "volume": volume,
                "trail": D(chance.randrange(1, 500)) / 100,
                "trail_percent": chance.randrange(1, 6),
                "expires": chance.randrange(1, 900),
            }
            prices = ["limit_price", "stop_price", "stop_loss", "take_profit"]
            chosen = chance.choices([*fields, *prices], k=chance.choice([1, 1, 2]))
            await handle.modify(**{name: fields.get(name, near) for name in chosen})
        else:
            whole = handle.leaves or handle.open_volume
            half = round(whole / 2, 3)
            targets = [near, None] if self.schemes and chance.random() < 0.3 else None
            self.handles += await handle.split([half, whole - half], take_profits=targets)

    def kind(self, near: Decimal, last: Decimal) -> dict[str, Any]:
        """The prices that make an order of any kind."""
        chance = self.random
        kind = chance.choice(["limit", "stop", "stop_limit", "trail", "trail_percent"])
        if kind == "trail":
            return {"trail": D(chance.randrange(1, 500)) / 100}
        if kind == "trail_percent":
            return {"trail_percent": D(chance.randrange(1, 60)) / 10}
        given = {} if kind == "limit" else {"stop_price": near}
        if kind != "stop":
            given["limit_price"] = near + (D(chance.randrange(-300, 300)) / 100 if given else 0)
        return given

    def kind_and_terms(self, near: Decimal, last: Decimal) -> dict[str, Any]:
        """An order of any kind that lives for any time."""
        chance = self.random
        given = self.kind(near, last) if chance.random() < 0.7 else {}
        if chance.random() < 0.4:
            given["time_in_force"] = chance.choice(["GTC", "DAY", "IOC", "FOK", "IOC", "FOK"])
        elif chance.random() < 0.4:
            given["expires"] = chance.randrange(1, 900)
        if chance.random() < 0.15:
            given["post_only"] = True
        return given


class Wildest(Wild):
    """Does that with brackets, groups, reduce-only orders and targets as well."""

    schemes = True


def random_bars(seed: int, count: int = 60) -> list[Bar]:
    """Minute bars of BTCUSD and two-minute bars of ETHUSD, with gaps, jumps and thin volume."""
    chance = Random(seed)
    made = []
    for pair, length in (("BTCUSD", M), ("ETHUSD", 2 * M)):
        price = D(100)
        for number in range(count * M // length):
            if chance.random() < 0.1:
                continue
            made.append(_bar(chance, pair, number * length, length, price))
            price = made[-1].close
    return sorted(made, key=lambda one: (one.close_ns, one.pair))


def _bar(chance: Random, pair: str, begin: int, length: int, price: Decimal) -> Bar:
    def step(size: int) -> Decimal:
        return max(D("0.50"), price + D(chance.randrange(-size, size + 1)) / 100)

    open_ = step(1500) if chance.random() < 0.1 else step(50)
    close = step(400)
    high, low = max(open_, close), min(open_, close)
    high += D(chance.randrange(300)) / 100
    low = max(D("0.01"), low - D(chance.randrange(300)) / 100)
    volume = chance.choice([None, D(0), D(chance.randrange(1, 5000)) / 1000, D(1000)])
    return Bar(pair, begin, begin + length, open_, high, low, close, volume)


def random_rules(seed: int) -> Mapping[str, TradingRules]:
    """Rules of either pair: any fees, path, slippage, maintenance and moment of filling."""
    chance = Random(seed)
    made = {}
    for pair in PAIRS:
        kinds = ["flat_per_trade", "flat_per_volume", "percent_of_notional", "percent_of_margin"]
        fees = {
            stage: [{chance.choice(kinds): D(chance.randrange(1, 300)) / 10_000}]
            for stage in (
                "create",
                "fill",
                "close",
                "cancel",
                "overnight_filled",
                "overnight_pending",
            )
            if chance.random() < 0.5
        }
        made[pair.code] = rules(
            fees=fees,
            path=chance.choice(["pessimistic", "adaptive", "open_high_low_close"]),
            fill_on=chance.choice(["next_open", "next_open", "this_close", "next_close"]),
            slippage=D(chance.randrange(0, 40)) / 100,
            maintenance_rate=D(chance.randrange(0, 5)) / 100,
            rollover_ns=chance.randrange(0, 40) * M,
            participation=chance.choice([None, 1, "0.3"]),
        )
    return made


def run_wild(seed: int, bars: list[Bar] | None = None, **more: Any) -> World:
    """Two wild strategies on one account and one on another, all chance from ``seed``."""
    return play(
        random_bars(seed) if bars is None else bars,
        kinds=[Wildest, Wildest, Wildest],
        cash={"main": {"USD": 2000, "BTC": 3}, "other": {"USD": 500}},
        own=[["main"], ["main"], ["other", "main"]],
        pairs=PAIRS,
        rules=random_rules(seed),
        accounts={
            name: {"netting": seed % 3 == place} for place, name in ((1, "main"), (2, "other"))
        },
        seed=seed,
        **more,
    )
