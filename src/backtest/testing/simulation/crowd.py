"""The agents of a simulated market, which trade with each other, and the clock that drives them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from backtest.actors import Actor
from backtest.actors.exchange.session import Phase
from backtest.actors.kernel.system import NEVER
from backtest.actors.protocol import EndOfData
from backtest.models import Bar, Depth, DepthUpdate, Quote, Trade
from backtest.strategies.handle import OrderHandle

from .agents import Trader
from .faults import Faults
from .market import START_NS, TAIL
from .plan import Plan

__all__ = ["Conductor", "Crowd", "Maker"]

D = Decimal


class Crowd(Trader):
    """One of many: what a `Trader` does, now and then, whatever the market does meanwhile.

    ``reference`` are the prices before anybody has traded; ``crosses``: an account of its own has
    cross margin.
    """

    reference: dict[str, Decimal]
    crosses: bool = False

    def on_start(self) -> None:
        super().on_start()
        # As each trade may lead to orders, and those to trades, it is the clock that moves it.
        self.set_timer("act", every=self.step)

    async def on_bar(self, bar: Bar) -> None:
        pass

    async def on_quote(self, quote: Quote) -> None:
        pass

    async def on_trade(self, trade: Trade) -> None:
        pass

    def on_depth(self, update: Depth | DepthUpdate) -> None:
        pass

    async def on_timer(self, name: str) -> None:
        if name == "act":
            for pair in self.pairs:
                await self.hear(pair)
        else:
            await super().on_timer(name)

    def kinds(self, pair: str) -> list[str]:
        """As a rule what is dealt there."""
        fitting, other = ["buy", "sell"], ["long", "short"]
        if not self._client.holdings.rules[pair].spot_allowed:
            fitting, other = other, fitting
        return fitting * 10 + other

    def _volume(self, pair: str) -> Decimal:
        """With cross margin now and then as much as it takes to be called."""
        volume = super()._volume(pair)
        return volume * self.random.choice((1, 10, 40)) if self.crosses else volume

    def last_price(self, pair: str) -> Decimal | None:
        return super().last_price(pair) or self.reference.get(pair)


class Maker(Crowd):
    """Quotes both sides of every pair around the last price, anew at each step; its money does not
    run out. When the others wind down it is there to trade with, and goes last."""

    def on_start(self) -> None:
        super().on_start()
        self.quoted = 0

    async def hear(self, pair: str) -> None:
        for handle in self.open_orders(pair):
            self._end(handle.cancel)
        if self.phase() == "farewell":
            for handle in self._client.handles_with_positions(pair):
                self._end(handle.close)
            return
        last = self.last_price(pair)
        if last is None:
            return
        terms, chance = self.pair_of(pair), self.random
        calm = self.phase() != "safety"
        send: tuple[Callable[..., OrderHandle], ...] = (self.long, self.short)
        if self._client.holdings.rules[pair].spot_allowed:
            send = (self.buy, self.sell)
        for sign, order in zip((-1, 1), send, strict=True):
            for level in range(1, 2 if calm else chance.randrange(1, 4)):
                away = terms.price_increment * level * chance.choice([1, 1, 2, 20])
                price = max(terms.price_increment, last + sign * away)
                volume = terms.volume_increment * chance.randrange(1, 10**5)
                if calm:
                    # Enough for all there are; of what it may spend, a small part.
                    most = terms.round_volume(D(10) ** 13 / (price * terms.contract_size))
                    volume = min(terms.volume_increment * 10**9, most)
                self._end(lambda: order(pair, volume, limit_price=price))  # noqa: B023
        self.quoted += 1

    async def on_timer(self, name: str) -> None:
        if name == "act":
            await super().on_timer(name)

    async def run(self) -> None:
        pass


class Conductor(Actor):
    """The clock of a simulated market: says when enough has happened, when it is over, and calls
    an auction now and then. It stands where the market data of other worlds does."""

    handles_inside = False

    def __init__(
        self,
        plan: Plan,
        faults: Faults,
        chance: Random,
        is_enough: Callable[[], bool],
        is_resolved: Callable[[], bool],
    ) -> None:
        super().__init__("session")
        self.phase = "safety"
        self.steps = 0
        self.tail = 0
        self.begin_ns = START_NS // plan.step_ns * plan.step_ns
        self._plan = plan
        self._faults = faults
        self._chance = chance
        self._is_enough = is_enough
        self._is_resolved = is_resolved
        self._collecting: dict[str, int] = {}
        """By pair: at which step its auction ends."""

    def attach(self) -> None:
        self.system.set_feed(self._emit, self.begin_ns, self.fiber)

    async def started(self) -> None:
        self._exchange = self.link("broker")

    def _emit(self) -> int:
        """A step of the market: what is to be told the exchange; when the next is."""
        if self.phase == "safety" and self.steps and self._is_enough():
            self.phase = "liveness"
            self._faults.cease()
        if self.phase in ("liveness", "farewell"):
            self.tail += 1
            if self.tail > 4 and (self.tail > TAIL or self._is_resolved()):
                self._exchange.post(EndOfData())
                return NEVER
        self.steps += 1
        self._auctions()
        return self.begin_ns + self.steps * self._plan.step_ns

    def _auctions(self) -> None:
        for code in self._plan.specs:
            end = self._collecting.get(code)
            if end is not None and (self.steps >= end or self.phase != "safety"):
                del self._collecting[code]
                self._exchange.post(Phase(code, "continuous"))
            elif end is None and self.phase == "safety" and self._chance.random() < 0.01:
                self._collecting[code] = self.steps + self._chance.randrange(1, 6)
                phase = self._chance.choice(["auction", "auction", "closed"])
                self._exchange.post(Phase(code, phase))  # type: ignore[arg-type]
