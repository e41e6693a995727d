"""What an exchange knows of one pair: its rules, its order book, what waits for a price."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from backtest.actors.kernel.actor import Actor
from backtest.actors.venue.pair_book import PairBook
from backtest.errors import ConfigError, FieldError
from backtest.models import TradingPair, TradingRules
from backtest.money import ZERO, add, div, is_multiple, mul, plain, sub
from backtest.services.book.book import OrderBook, SelfTrade
from backtest.services.fills.walk import Working
from backtest.times import MINUTE

from .session import PHASES, PhaseName
from .triggers import Triggers

__all__ = ["MarketBook", "MarketSpec"]


_MANY = 1 << 16
"""How many prices, and how many volumes, a book remembers."""


@frozen(kw_only=True)
class MarketSpec:
    """One market of an exchange.

    ``reference_price``  the price before the first trade: at it positions are marked, market orders
                         reserve, and an opening auction settles ties.
    ``self_trade``       what happens where an agent would trade with itself: ``"cancel_newest"``
                         (the default), ``"cancel_oldest"`` or ``"cancel_both"``.
    ``band``             how far from the reference price trades may be, as a share of it (``0.1``:
                         ten percent each way); None: any.  A match beyond it halts the market: for
                         ``halt_ns`` orders are collected, then an auction makes the new reference.
    ``halt_ns``          how long that takes.
    ``phase``            the phase that it begins in: ``"continuous"`` (the default), ``"auction"``
                         or ``"closed"``; later ones are a session's to tell.
    ``bar_ns``           the length of the bars that are made of trades, for those who want bars.

    Raises `ConfigError` for what makes no market.
    """

    pair: TradingPair
    rules: TradingRules
    reference_price: Decimal
    self_trade: str = SelfTrade.CANCEL_NEWEST
    band: Decimal | None = None
    halt_ns: int = 5 * MINUTE
    bar_ns: int = MINUTE
    phase: PhaseName = "continuous"

    def __attrs_post_init__(self) -> None:
        code = self.pair.code
        price = self.reference_price
        if type(price) is not Decimal or not price.is_finite() or price <= ZERO:
            raise ConfigError(f"{code}: reference_price must be a positive Decimal, not {price!r}")
        if not is_multiple(price, self.pair.price_increment):
            raise ConfigError(
                f"{code}: reference_price {plain(price)} is not a multiple of the price increment "
                f"{plain(self.pair.price_increment)}"
            )
        if self.self_trade not in tuple(SelfTrade):
            raise ConfigError(
                f"{code}: self_trade must be one of {', '.join(SelfTrade)}, not {self.self_trade!r}"
            )
        if self.band is not None and not ZERO < self.band < 1:
            raise ConfigError(f"{code}: band must be a share between 0 and 1, not {self.band}")
        for name, length in (("halt_ns", self.halt_ns), ("bar_ns", self.bar_ns)):
            if type(length) is not int or length <= 0:
                raise ConfigError(f"{code}: {name} must be a positive int, not {length!r}")
        if self.phase not in PHASES:
            raise ConfigError(f"{code}: phase must be one of {', '.join(PHASES)}, not {self.phase}")
        rules = self.rules
        if rules.spot_allowed is rules.trading_allowed:
            raise ConfigError(
                f"{code}: a market takes spot orders or trading orders, not both: who opens a long "
                "needs somebody who opens a short. Set one of spot_allowed and trading_allowed"
            )
        if rules.fill_on != "next_open" or rules.fills is not None:
            raise ConfigError(
                f"{code}: fill policies are for historical data; in a market orders meet each other"
            )


class MarketBook(PairBook):
    """An exchange's state of one pair: what `PairBook` keeps, and the orders that meet here."""

    __slots__ = (
        "_actor",
        "_prices",
        "_volumes",
        "band",
        "halted",
        "is_halted",
        "orders",
        "phase",
        "self_trade",
        "spec",
        "trailing",
        "triggers",
        "unmet",
    )

    def __init__(self, spec: MarketSpec, actor: Actor) -> None:
        super().__init__(spec.pair, spec.rules)
        self.cadences = ()  # no bar is ever under way here
        self.spec = spec
        self._actor = actor
        self._prices: dict[int, Decimal] = {}
        self._volumes: dict[int, Decimal] = {}
        """Those asked for, by number of increments: few are asked for again and again."""
        self.self_trade = SelfTrade(spec.self_trade)
        self.orders = OrderBook()
        self.phase: PhaseName = spec.phase
        if spec.phase == "auction":
            self.orders.begin_auction()
        self.triggers = Triggers()
        """Stops, stop-losses, take-profits and liquidations that wait for a price."""
        self.trailing: dict[Working, None] = {}
        """Trailing stops, whose level moves with every trade."""
        self.unmet: dict[Working, None] = {}
        """Liquidations and stop-losses that found nobody (any more): they take what comes next."""
        self.last = spec.reference_price
        self.band: tuple[Decimal, Decimal] | None = None
        """The lowest and the highest price at which may be traded now."""
        self.halted: list[tuple[int, int]] = []
        """From when until when the market was halted, each time."""
        self.is_halted = False
        """Whether the auction under way is that of a halt, and ends with it."""
        self.set_reference(spec.reference_price)

    @property
    def now(self) -> int:
        """The time, in nanoseconds."""
        return self._actor.events.now

    @property
    def halts(self) -> int:
        """How often the market was halted."""
        return len(self.halted)

    def set_reference(self, price: Decimal) -> None:
        """From now on the band is about ``price``."""
        band = self.spec.band
        if band is not None:
            width = mul(price, band)
            self.band = (sub(price, width), add(price, width))

    def allows(self, price: Decimal) -> bool:
        """Whether a trade at ``price`` is within the band."""
        band = self.band
        return band is None or band[0] <= price <= band[1]

    def ticks(self, price: Decimal) -> int:
        """``price``, which is on the grid, in price increments."""
        return _whole(price, self.pair.price_increment, "price")

    def lots(self, volume: Decimal) -> int:
        """``volume``, which is on the grid, in volume increments."""
        return _whole(volume, self.pair.volume_increment, "volume")

    def price_of(self, ticks: int) -> Decimal:
        """The price of so many increments."""
        price = self._prices.get(ticks)
        return _times(ticks, self.pair.price_increment, self._prices) if price is None else price

    def volume_of(self, lots: int) -> Decimal:
        """The volume of so many increments."""
        volume = self._volumes.get(lots)
        return _times(lots, self.pair.volume_increment, self._volumes) if volume is None else volume

    def meets(self, buy: bool) -> Decimal | None:
        """The best price of the other side; None when nobody is there."""
        ticks = self.orders.best_ask if buy else self.orders.best_bid
        return None if ticks is None else self.price_of(ticks)

    def follows(self, buy: bool) -> Decimal | None:
        """The last price: a trailing stop follows trades, whoever else is in the book."""
        return self.last

    def worst_price(
        self, buy: bool, limit: Decimal | None, stop: Decimal | None, now: Decimal | None
    ) -> Decimal:
        """The price that an order reserves for: the worse of what it would meet and the last."""
        last = self.last
        if now is None or (last is not None and last > now):
            now = last
        return super().worst_price(buy, limit, stop, now)


def _times(count: int, step: Decimal, known: dict[int, Decimal]) -> Decimal:
    """``count`` times ``step``, which is noted in ``known``."""
    if len(known) >= _MANY:
        known.clear()
    value = known[count] = mul(Decimal(count), step)
    return value


def _whole(value: Decimal, step: Decimal, name: str) -> int:
    exact = div(value, step)
    steps = int(exact)
    if steps != exact:
        raise FieldError(name, f"{plain(value)} is not a multiple of {plain(step)}")
    return steps
