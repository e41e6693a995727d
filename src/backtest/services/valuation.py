"""What all agents' accounts are worth together, sampled as time passes.

Equity is, in the cash asset, available + unavailable of all assets at their last price, plus the
unrealised PnL of open positions (semantics, section 1). A sample is taken whenever time moves on
and something that has a price is held, so memory grows with hours, not with bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from backtest.models import TradingPair
from backtest.money import ONE, ZERO, add, div, mul, sub
from backtest.times import HOUR

__all__ = ["Valuation"]


class Valuation:
    """Fed by the venue with prices, balances and positions; asked for equity by the report.

    The venue calls `sample` when time moves on, before anything changes at the new time.
    """

    __slots__ = (
        "_constant",
        "_dirty",
        "_exposed",
        "_is_stale",
        "_pairs",
        "_terms",
        "cash",
        "exposed_ns",
        "first_ns",
        "first_prices",
        "last_ns",
        "max_drawdown",
        "max_drawdown_rate",
        "peak",
        "prices",
        "samples",
        "sizes",
        "start",
        "time",
        "totals",
    )

    def __init__(self, cash: str, pairs: list[TradingPair]) -> None:
        self.cash = cash
        self._pairs = {pair.code: pair for pair in pairs}
        self.totals: dict[str, Decimal] = {}
        """What the agents own, by asset."""
        self.prices: dict[str, Decimal] = {}
        """Last prices by pair; the venue writes them."""
        self.first_prices: dict[str, Decimal] = {}
        """First prices by pair: at those the opening balances count."""
        self.sizes: dict[str, tuple[Decimal, Decimal]] = {}
        """By pair: signed size of all open positions, and their signed cost."""
        self._exposed = self._is_stale = False
        self.samples: list[tuple[int, Decimal]] = []
        """Equity at the end of each hour in which it may have changed: (time, equity)."""
        self.start: Decimal | None = None
        self.peak = ZERO
        self.max_drawdown = ZERO
        self.max_drawdown_rate = ZERO
        self.exposed_ns = 0
        self.first_ns = self.last_ns = 0
        self.time = 0
        """The moment whose changes are being gathered."""
        self._dirty = False
        self._terms: list[tuple[str, Decimal]] | None = None
        self._constant = ZERO

    def begin(self, time: int) -> None:
        """The run starts now; what is owned now is what it starts with."""
        self.time = self.first_ns = self.last_ns = time
        self.start = self.peak = self.equity()
        self._dirty = False

    # -- what the venue tells ----------------------------------------------------------------------

    def balance(
        self, asset: str, before: tuple[Decimal, Decimal], after: tuple[Decimal, Decimal]
    ) -> None:
        """An account's balance of ``asset`` changed from ``before`` to ``after``."""
        change = sub(add(after[0], after[1]), add(before[0], before[1]))
        if change:
            self.totals[asset] = add(self.totals.get(asset, ZERO), change)
            self._dirty = self._is_stale = True

    def position(self, pair: str, size: Decimal, price: Decimal) -> None:
        """Open positions of ``pair`` grew by the signed ``size`` (contracts x contract size),
        entered at ``price``."""
        held, cost = self.sizes.get(pair, (ZERO, ZERO))
        self.sizes[pair] = (add(held, size), add(cost, mul(size, price)))
        self._dirty = self._is_stale = True

    @property
    def exposed(self) -> bool:
        """Whether equity moves with the market."""
        if self._is_stale:
            self._is_stale, self._exposed = False, self._is_exposed()
        return self._exposed

    def _is_exposed(self) -> bool:
        return any(total for asset, total in self.totals.items() if asset != self.cash) or any(
            size or cost for size, cost in self.sizes.values()
        )

    def move_to(self, time: int) -> None:
        """Time moves on to ``time``: `sample`, if there may be anything to take."""
        if self.exposed or self._dirty or len(self.first_prices) < len(self.prices):
            self.sample(time)
        else:
            self.time = self.last_ns = time

    def sample(self, time: int) -> None:
        """Time moves on to ``time``: take the equity of the moment before, if it may differ."""
        if len(self.first_prices) < len(self.prices):
            for code, price in self.prices.items():
                self.first_prices.setdefault(code, price)
        if self.exposed or self._dirty:
            equity = self._equity_now()
            before = self.time
            if equity > self.peak:
                self.peak = equity
            else:
                fall = sub(self.peak, equity)
                if fall > self.max_drawdown:
                    self.max_drawdown = fall
                if self.peak > ZERO and fall > mul(self.max_drawdown_rate, self.peak):
                    self.max_drawdown_rate = div(fall, self.peak)
            hour = (before - 1) // HOUR  # the end of an hour belongs to it
            if self.samples and (self.samples[-1][0] - 1) // HOUR == hour:
                self.samples[-1] = (before, equity)
            else:
                self.samples.append((before, equity))
            if self.exposed:
                self.exposed_ns += time - before
            self._dirty = False
        self.time = self.last_ns = time

    def _equity_now(self) -> Decimal:
        """`equity`, from terms that are worked out anew only when holdings have changed."""
        if self._dirty:
            self._terms = self._work_out()
        if self._terms is None:
            return self.equity()
        total, prices = self._constant, self.prices
        for code, size in self._terms:
            total = add(total, mul(size, prices[code]))
        return total

    def _work_out(self) -> list[tuple[str, Decimal]] | None:
        """Equity as a constant and sizes by pair; None while some asset has no direct price."""
        constant = ZERO
        terms: dict[str, Decimal] = {}
        for asset, owned in self.totals.items():
            if asset == self.cash:
                constant = add(constant, owned)
            elif owned:
                code = self._direct(asset)
                if code is None:
                    return None
                terms[code] = add(terms.get(code, ZERO), owned)
        for code, (size, cost) in self.sizes.items():
            if size or cost:
                if self._pairs[code].settlement.code != self.cash or code not in self.prices:
                    return None
                terms[code] = add(terms.get(code, ZERO), size)
                constant = sub(constant, cost)
        self._constant = constant
        return list(terms.items())

    def _direct(self, asset: str) -> str | None:
        """The first pair with a price that trades ``asset`` for cash: what `price_of` takes too."""
        for code in self.prices:
            pair = self._pairs[code]
            if pair.base.code == asset:
                return code if pair.quote.code == self.cash else None
        return None

    # -- what the report asks ----------------------------------------------------------------------

    def equity(self) -> Decimal:
        """Everything at its last price, in the cash asset; what has no price yet counts nothing."""
        total = ZERO
        for asset, owned in self.totals.items():
            if owned:
                price = self.price_of(asset)
                if price is not None:
                    total = add(total, mul(owned, price))
        for code, (size, cost) in self.sizes.items():
            mark = self.prices.get(code)
            if (size or cost) and mark is not None:
                price = self.price_of(self._pairs[code].settlement.code)
                if price is not None:
                    total = add(total, mul(sub(mul(size, mark), cost), price))
        return total

    def unpriced(self) -> list[str]:
        """Assets that are owned and cannot be expressed in the cash asset."""
        return [
            asset for asset, owned in self.totals.items() if owned and self.price_of(asset) is None
        ]

    def price_of(self, asset: str, prices: Mapping[str, Decimal] | None = None) -> Decimal | None:
        """What one unit of ``asset`` costs in cash, through up to three pairs; None if not known.

        At the last prices, or at ``prices`` by pair.
        """
        return self._route(asset, frozenset((asset,)), self.prices if prices is None else prices)

    def _route(
        self, asset: str, seen: frozenset[str], prices: Mapping[str, Decimal]
    ) -> Decimal | None:
        if asset == self.cash:
            return ONE
        for code, price in prices.items():
            pair = self._pairs[code]
            if pair.base.code == asset and pair.quote.code not in seen and len(seen) < 4:
                onward = self._route(pair.quote.code, seen | {pair.quote.code}, prices)
                if onward is not None:
                    return mul(price, onward)
        return None
