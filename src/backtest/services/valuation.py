"""What all agents' accounts are worth together, sampled as time passes.

Equity is, in the cash asset, available + unavailable of all assets at their last price, plus the
unrealised PnL of open positions; `Conversion` values what is not cash. A sample is taken whenever
time moves on and something that has a price is held, so memory grows with hours, not with bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from backtest.models import TradingPair
from backtest.money import ZERO, add, div, mul, sub
from backtest.services.conversion import Conversion
from backtest.times import HOUR

__all__ = ["Holding", "Valuation"]

Sizes = dict[str, tuple[Decimal, Decimal]]
Holding = tuple[int, dict[str, Decimal], Sizes]
"""From a moment on (nanoseconds): what is owned by asset, and by pair the signed size of open
positions and their signed cost."""

_LONG_AGO = -(1 << 63)


class Valuation:
    """Fed by the venue with prices, balances and positions; asked for equity by the report.

    The venue calls `sample` when time moves on, before anything changes at the new time.
    """

    __slots__ = (
        "_constant",
        "_conversion",
        "_dirty",
        "_exposed",
        "_hour_ends",
        "_is_stale",
        "_is_touched",
        "_pairs",
        "_terms",
        "_touched",
        "_trough",
        "_until",
        "cash",
        "first_ns",
        "first_prices",
        "holdings",
        "last_ns",
        "max_drawdown",
        "max_drawdown_rate",
        "moments",
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
        self._conversion = Conversion(cash, pairs)
        self.totals: dict[str, Decimal] = {}
        """What the agents own, by asset."""
        self.prices: dict[str, Decimal] = {}
        """Last prices by pair; the venue writes them."""
        self.first_prices: dict[str, Decimal] = {}
        """First prices by pair: at those the opening balances count."""
        self.sizes: dict[str, tuple[Decimal, Decimal]] = {}
        """By pair: signed size of all open positions, and their signed cost."""
        self._exposed = self._is_stale = False
        self._hour_ends = 0
        """The end of the hour of the last sample."""
        self.samples: list[tuple[int, Decimal]] = []
        """Equity at the end of each hour in which it may have changed: (time, equity)."""
        self.holdings: list[Holding] = []
        """What was held from when on: a line for each moment at whose end that was other."""
        self.start: Decimal | None = None
        self.peak = self._trough = ZERO
        self.max_drawdown = ZERO
        self.max_drawdown_rate = ZERO
        self.moments = 0
        """The moments at which there was news of the market: where there are bars, their closes."""
        self._touched = 0
        self._is_touched = False
        """Whether something that moves with the market was held since the moment before this."""
        self.first_ns = self.last_ns = 0
        self._until = _LONG_AGO
        """Until then there is nothing to look at: nobody could trade."""
        self.time = 0
        """The moment whose changes are being gathered."""
        self._dirty = False
        self._terms: list[tuple[str, Decimal]] | None = None
        self._constant = ZERO

    def begin(self, time: int) -> None:
        """The run starts now; what is owned now is what it starts with."""
        time = max(time, self._until)
        self.time = self.first_ns = self.last_ns = time
        self.start = self.peak = self._trough = self.equity()
        self._dirty = False
        self.holdings.append((time, dict(self.totals), dict(self.sizes)))

    def wait_until(self, start: int) -> None:
        """The run is about what comes after ``start``: before that, prices alone are taken."""
        self._until = start

    # -- what the venue tells ----------------------------------------------------------------------

    def balance(
        self, asset: str, before: tuple[Decimal, Decimal], after: tuple[Decimal, Decimal]
    ) -> None:
        """An account's balance of ``asset`` changed from ``before`` to ``after``."""
        change = sub(add(after[0], after[1]), add(before[0], before[1]))
        if change:
            self.totals[asset] = add(self.totals.get(asset, ZERO), change)
            self._dirty = self._is_stale = True
            if asset != self.cash:
                self._is_touched = True

    def position(self, pair: str, size: Decimal, cost: Decimal) -> None:
        """Open positions of ``pair`` grew by the signed ``size`` (contracts x contract size), and
        what they have cost by the signed ``cost``."""
        held, paid = self.sizes.get(pair, (ZERO, ZERO))
        self.sizes[pair] = (add(held, size), add(paid, cost))
        self._dirty = self._is_stale = self._is_touched = True

    @property
    def exposed(self) -> bool:
        """Whether equity moves with the market."""
        if self._is_stale:
            self._is_stale = False
            self._exposed = any(
                total for asset, total in self.totals.items() if asset != self.cash
            ) or any(size or cost for size, cost in self.sizes.values())
        return self._exposed

    def move_to(self, time: int) -> None:
        """Time moves on to ``time``, with news of the market: `sample`, if there may be anything to
        take."""
        if time <= self._until:
            self.time = time
            return
        if self.time < self._until:
            self.time = self._until
        exposed = self.exposed if self._is_stale else self._exposed
        if exposed or self._dirty or self._is_touched or len(self.first_prices) < len(self.prices):
            if self.moments and (self._is_touched or exposed):
                self._touched += 1
            self._is_touched = exposed
            self.sample(time)
        else:
            self.time = self.last_ns = time
        self.moments += 1

    @property
    def is_touched(self) -> bool:
        """Whether something that moves with the market was held in the bar that ends now: from the
        bar before on, for a while, or at its close."""
        return self.moments > 0 and (self._is_touched or self.exposed)

    @property
    def touched(self) -> int:
        """How many of the `moments` are those of bars in which something was held."""
        return self._touched + self.is_touched

    def sample(self, time: int) -> None:
        """Time moves on to ``time``: take the equity of the moment before, if it may differ."""
        if len(self.first_prices) < len(self.prices):
            for code, price in self.prices.items():
                self.first_prices.setdefault(code, price)
            self._terms = None  # there may be a better way to value something now
        if self._dirty or (self.exposed if self._is_stale else self._exposed):
            if self._dirty or self._terms is None:
                self._renew()
            if self._terms is None:
                equity = self.equity()
            else:
                equity, prices = self._constant, self.prices
                for code, size in self._terms:
                    equity = add(equity, mul(size, prices[code]))
            before = self.time
            if equity > self.peak:
                self.peak = self._trough = equity
            elif equity < self._trough:
                self._trough = equity
                fall = sub(self.peak, equity)
                if fall > self.max_drawdown:
                    self.max_drawdown = fall
                if self.peak > ZERO and fall > mul(self.max_drawdown_rate, self.peak):
                    self.max_drawdown_rate = div(fall, self.peak)
            if self.samples and before <= self._hour_ends:
                self.samples[-1] = (before, equity)
            else:
                self.samples.append((before, equity))
                self._hour_ends = -(-before // HOUR) * HOUR  # which belongs to the hour
            self._dirty = False
        self.time = self.last_ns = time

    def _renew(self) -> None:
        """Holdings have changed, or nothing is worked out: only then is it, anew."""
        if self._dirty:
            self.holdings.append((self.time, dict(self.totals), dict(self.sizes)))
        self._terms = self._work_out()

    def _work_out(self) -> list[tuple[str, Decimal]] | None:
        """Equity as a constant and sizes by pair; None while some asset has no direct price."""
        constant = ZERO
        terms: dict[str, Decimal] = {}
        for asset, owned in self.totals.items():
            if asset == self.cash:
                constant = add(constant, owned)
            elif owned:
                code = self._conversion.direct(asset, self.prices)
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

    def hold(self, holding: Holding) -> None:
        """Hold what a `Holding` says, and nothing else: to value a run's past again."""
        _, totals, sizes = holding
        self.totals, self.sizes = dict(totals), dict(sizes)
        self._is_stale = True
        self._terms = self._work_out()

    def worth_now(self) -> tuple[Decimal, Decimal, Decimal]:
        """Equity at the last prices, and of it what moves with the market: net, longs less shorts,
        and gross, together; a pair's holdings and positions are one."""
        prices = self.prices
        terms = self._terms
        if terms is None:
            terms = self._terms = self._work_out()
        if terms is None:
            return self._worth_on_ways()
        equity, net, gross = self._constant, ZERO, ZERO
        for code, size in terms:
            value = mul(size, prices[code])
            equity, net, gross = add(equity, value), add(net, value), add(gross, value.copy_abs())
        return equity, net, gross

    def _worth_on_ways(self) -> tuple[Decimal, Decimal, Decimal]:
        """The same where something is valued through several pairs, or has no price yet: asset by
        asset, pair by pair."""
        values = [
            self.worth(asset, owned)
            for asset, owned in self.totals.items()
            if asset != self.cash and owned
        ]
        for code, (size, _) in self.sizes.items():
            mark = self.prices.get(code)
            if size and mark is not None:
                values.append(self.worth(self._pairs[code].settlement.code, mul(size, mark)))
        net = gross = ZERO
        for value in values:
            if value is not None:
                net, gross = add(net, value), add(gross, value.copy_abs())
        return self.equity(), net, gross

    # -- what the report asks ----------------------------------------------------------------------

    def equity(self) -> Decimal:
        """Everything at its last price, in the cash asset; what has no price yet counts nothing.

        What is owned of an asset and what positions have won in it are valued together.
        """
        amounts = dict(self.totals)
        for code, (size, cost) in self.sizes.items():
            mark = self.prices.get(code)
            if (size or cost) and mark is not None:
                asset = self._pairs[code].settlement.code
                amounts[asset] = add(amounts.get(asset, ZERO), sub(mul(size, mark), cost))
        return self.worth_of(amounts)

    def unpriced(self) -> list[str]:
        """Assets that are owned and cannot be expressed in the cash asset."""
        return [
            asset
            for asset, owned in self.totals.items()
            if owned and not self._conversion.is_priced(asset, self.prices)
        ]

    def worth(
        self, asset: str, amount: Decimal, prices: Mapping[str, Decimal] | None = None
    ) -> Decimal | None:
        """What ``amount`` of ``asset`` is worth in cash, at the last prices, or at ``prices`` by
        pair; None where no pairs with a price lead there."""
        return self._conversion.worth(asset, amount, self.prices if prices is None else prices)

    def worth_of(
        self, amounts: Mapping[str, Decimal], prices: Mapping[str, Decimal] | None = None
    ) -> Decimal:
        """What ``amounts`` by asset are worth together; what has no price counts nothing."""
        total = ZERO
        for asset, amount in amounts.items():
            if amount:
                worth = self.worth(asset, amount, prices)
                if worth is not None:
                    total = add(total, worth)
        return total
