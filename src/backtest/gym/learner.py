"""The learner: a strategy whose decisions are made outside, while simulated time stands still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from backtest.actors import BROKER, OrderEvent
from backtest.actors.protocol import Kind, ReadDepth
from backtest.errors import ConfigError, FieldError
from backtest.models import Bar, Depth, DepthLevel, Quote, Trade, TradingPair
from backtest.models.depth import trusted_level
from backtest.money import ONE, ZERO, add, sub
from backtest.services.valuation import Valuation
from backtest.strategies import PositionView, Strategy
from backtest.times import duration_ns

__all__ = ["Learner", "learner"]

Act = Callable[["Learner", Any], Awaitable[None] | None]


class Learner(Strategy):
    """What an environment puts into a run: it asks for an action, carries it out, and knows what
    observations and rewards are made of. Observations and actions get it as their first argument,
    and may use all that a strategy has (`balance`, `buy`, `random`, …) beside what is here.

    ``pair`` is what it trades ("" the only one there is), ``every`` when it decides.
    """

    pair: str = ""
    every: str = "bar"

    decides_outside = True  # which the run's receipt says
    logs_refusals = False  # a policy that explores is refused all the time: `events` tells

    # -- what it sees ------------------------------------------------------------------------------

    def on_start(self) -> None:
        if not self.pair:
            if len(self.pairs) > 1:
                raise ConfigError(f"which of {', '.join(self.pairs)} is traded? Give pair=…")
            self.pair = next(iter(self.pairs))
        self.terms: TradingPair = self.pair_of(self.pair)
        """The pair with its increments."""
        self.bar: Bar | None = None
        """The last bar, if there are bars."""
        self.quote: Quote | None = None
        """The last quote, of historical data with quotes."""
        self.book: Depth | None = None
        """The order book at the decision, in a market of agents: the best ``levels``."""
        self.trade: Trade | None = None
        """The last trade, where it decides at trades."""
        self.events: list[OrderEvent] = []
        """What happened to its orders since the decision before."""
        self.decisions = 0
        """How often it was asked."""
        self.price_before = self.first_price = ZERO
        self.equity = self.equity_before = self.first_equity = ZERO
        self.start_ns = self.now_ns
        self._valuation = Valuation(self._cash or self.terms.quote.code, list(self.pairs.values()))

    equity: Decimal = attrs.field(default=ZERO, init=False)  # type: ignore[assignment]
    """What its account is worth at the decision."""
    _act: Act | None = None
    _cash: str | None = None
    end_ns: int | None = None
    """When the run ends, where that is known."""
    max_steps: int | None = None
    """After how many decisions the episode ends, if it ends for that."""
    levels = 1
    """How many levels of the order book it is shown."""
    wants: ClassVar[Kind | None] = None
    """What kind of market data it decides at; in a market it gets no other."""

    @property
    def price(self) -> Decimal:
        """The last price of the pair, at which all is valued."""
        price = self.last_price(self.pair)
        assert price is not None, "it decides only when there is one"
        return price

    @property
    def best_bid(self) -> DepthLevel:
        """What is bid best; the last price and an unknown volume where nobody bids or tells."""
        if self.book is not None and self.book.bids:
            return self.book.bids[0]
        if self.book is None and self.quote is not None:
            return trusted_level(self.quote.bid, self.quote.bid_size, 0)
        return trusted_level(self.price, None, 0)

    @property
    def best_ask(self) -> DepthLevel:
        """What is asked best; the last price and an unknown volume where nobody asks or tells."""
        if self.book is not None and self.book.asks:
            return self.book.asks[0]
        if self.book is None and self.quote is not None:
            return trusted_level(self.quote.ask, self.quote.ask_size, 0)
        return trusted_level(self.price, None, 0)

    @property
    def held(self) -> Decimal:
        """How much of the base asset its account owns."""
        return self.balance(self.terms.base.code).total

    @property
    def net(self) -> PositionView:
        """Its net position on margin in the pair."""
        return self.position(self.pair)

    @property
    def takes_spot(self) -> bool:
        """Whether the pair takes spot orders: a market of agents takes those or others."""
        rules = self._client.holdings.rules[self.pair]
        return rules.spot_allowed and self.terms.contract_size == ONE

    @property
    def time_left(self) -> float:
        """From 1 to 0: the share of the steps, or of the time, that is left; 1 where nobody knows
        when the end will come."""
        if self.max_steps is not None:
            return 1 - (self.decisions - 1) / self.max_steps
        if self.end_ns is None or self.end_ns <= self.start_ns:
            return 1.0
        return max(0.0, (self.end_ns - self.now_ns) / (self.end_ns - self.start_ns))

    # -- for the environment -----------------------------------------------------------------------

    def bind(
        self,
        act: Act,
        cash: str | None,
        end_ns: int | None,
        max_steps: int | None,
        levels: int,
    ) -> None:
        """Carry actions out by ``act``; all that is not a parameter of the strategy."""
        self._act, self._cash = act, cash
        self.end_ns, self.max_steps, self.levels = end_ns, max_steps, levels

    def _host_wants(self) -> frozenset[Kind]:
        return frozenset(() if self.wants is None else (self.wants,))

    def begin(self) -> None:
        """The first decision is due: against this prices and equity are measured."""
        self.first_price = self.price_before = self.price
        self.first_equity = self.equity_before = self.equity = self._reckon()

    def look(self) -> None:
        """Take stock: the next decision is due, or the run is over."""
        self.equity_before, self.equity = self.equity, self._reckon()

    def conclude(self) -> None:
        """The run is over: prices are what the venue marks at, whatever it was told of them."""
        venue = self._host.system.actors[BROKER]
        assert venue.look is not None
        for code in self.pairs:
            depth: Depth = venue.look(ReadDepth(code, self.levels))
            if depth.last is not None:
                self._host.last[code] = depth.last
            if code == self.pair and self.book is not None:
                self.book = depth

    def looked(self) -> list[OrderEvent]:
        """All has been told, these events too: what comes now belongs to the next decision."""
        self.price_before = self.price
        events, self.events = self.events, []
        return events

    def _reckon(self) -> Decimal:
        """Everything at its last price, in cash, as the result of a run values it."""
        holdings = self._client.holdings
        amounts: dict[str, Decimal] = {}
        for (account, asset), both in holdings.balances.items():
            if account in holdings.accounts:
                amounts[asset] = add(amounts.get(asset, ZERO), add(*both))
        for code, parts in holdings.positions.items():
            if parts:
                asset, gain = self.pairs[code].settlement.code, self.position(code).unrealised_pnl
                amounts[asset] = add(amounts.get(asset, ZERO), gain)
        return self._valuation.worth_of(amounts, self._host.last)

    def in_cash(self, amount: Decimal) -> Decimal:
        """What ``amount`` of the quote asset is worth in cash, as equity counts it; 0 where no
        pairs with a price lead there."""
        return self._valuation.worth_of({self.terms.quote.code: amount}, self._host.last)

    # -- what actions are made of ------------------------------------------------------------------

    def pending(self) -> Decimal:
        """What is ordered and not filled yet in the pair: buys less sells."""
        total = ZERO
        for order in self.open_orders(self.pair):
            change = add if order.direction.name == "LONG" else sub
            total = change(total, order.leaves)
        return total

    def withdraw(self) -> None:
        """Cancel all that is pending in the pair."""
        for order in self.open_orders(self.pair):
            order.cancel()

    def flatten(self) -> None:
        """Cancel what is pending in the pair, sell what is held and close what is open."""
        self.withdraw()
        volume = self.terms.round_volume(self.held)
        if volume >= self.terms.least_volume:
            self.sell(self.pair, volume)
        for order in self._client.handles_with_positions(self.pair):
            order.close()

    # -- when it decides ---------------------------------------------------------------------------

    def on_order(self, event: OrderEvent) -> None:
        self.events.append(event)

    def on_quote(self, quote: Quote) -> Any:
        if quote.pair == self.pair:
            self.quote = quote

    async def _decide(self) -> None:
        drive = self._host.system.drive
        if drive is None or self._act is None:
            raise ConfigError(
                f"{self.name} is a learner: its run goes step by step, driven by an environment, "
                "and cannot be repeated without one"
            )
        if self._host.streams.published is not None:
            # A market of agents tells its book to who asks, as fast as the links are.
            self.book = await self.depth(self.pair, self.levels)
        if self.last_price(self.pair) is None:
            return  # there is nothing to see yet
        self.decisions += 1
        pending = self._act(self, await drive.pause())
        if pending is not None:
            await pending


class BarLearner(Learner):
    wants = "bars"

    def on_bar(self, bar: Bar) -> Any:
        if bar.pair != self.pair:
            return None
        self.bar = bar
        return self._decide()


class QuoteLearner(Learner):
    wants = "quotes"

    def on_quote(self, quote: Quote) -> Any:
        if quote.pair != self.pair:
            return None
        self.quote = quote
        return self._decide()


class TradeLearner(Learner):
    wants = "trades"

    def on_trade(self, trade: Trade) -> Any:
        if trade.pair != self.pair:
            return None
        self.trade = trade
        return self._decide()


class TimerLearner(Learner):
    def on_start(self) -> None:
        super().on_start()
        self.set_timer("decide", every=self.every)

    def on_bar(self, bar: Bar) -> None:
        if bar.pair == self.pair:
            self.bar = bar

    async def on_timer(self, name: str) -> None:
        await self._decide()


_KINDS: dict[str, type[Learner]] = {
    "bar": BarLearner,
    "quote": QuoteLearner,
    "trade": TradeLearner,
}


def learner(pair: str, every: str) -> Learner:
    """A learner of ``pair`` that decides at each ``"bar"``, ``"quote"`` or ``"trade"``, or every so
    long: ``"30s"``."""
    kind = _KINDS.get(every)
    if kind is None:
        try:
            good = duration_ns(every, "every") > 0
        except (FieldError, TypeError):
            good = False
        if not good:
            known = ", ".join(map(repr, _KINDS))
            raise ConfigError(f"every must be {known} or a length of time ('30s'), not {every!r}")
        kind = TimerLearner
    return kind(pair=pair, every=every)
