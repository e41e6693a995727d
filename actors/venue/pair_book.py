"""What the venue knows of one pair: rules, orders and positions, and the market as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from backtest.models import MarketEvent, Quote, TradingPair, TradingRules
from backtest.services.cadence import Cadence
from backtest.services.fills.walk import QueueAhead

from .branch import Branch
from .coverage import Coverage
from .listing import Listing
from .standing_quote import StandingQuote

__all__ = ["PairBook"]


class PairBook(Listing):
    """The venue's state of one pair."""

    __slots__ = (
        "alarm",
        "backs",
        "bar",
        "cadences",
        "coverage",
        "due",
        "expiring",
        "is_watchful",
        "last",
        "last_quote",
        "left",
        "next_funding",
        "next_rollover",
        "queue",
        "standing",
    )

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        super().__init__(pair, rules)
        self.bar: MarketEvent | None = None
        """The last market event that was matched."""
        self.last_quote: Quote | None = None
        self.cadences: tuple[Cadence, ...] = (Cadence(),)
        """How the bars of each of its sources follow each other."""
        self.standing = StandingQuote(pair, rules)
        """What new orders meet at once, where the pair is quoted."""
        self.coverage: Coverage | None = None
        """What its sources have told by now; None where nothing asks: there is one, of bars, and
        nothing expires."""
        self.queue = QueueAhead() if rules.queue == "conservative" else None
        """What stands ahead of resting limits on quotes and trades; None: nothing does."""
        self.last: Decimal | None = None
        """The last price: the mark."""
        self.left: tuple[Decimal | None, Decimal | None] = (None, None)
        """Volume that the last bar has left for buys and sells."""
        self.expiring: list[tuple[int, int, Branch]] = []
        """A heap: when orders expire, the numbers of their branches, the branches."""
        self.due: int | None = None
        """When the first of these expires; None for never."""
        self.alarm: int | None = None
        """When the venue looks at them next if no bar comes before; None for not at all."""
        self.backs = False
        """Whether an account with cross margin has the base of this pair as collateral."""
        self.next_rollover: int | None = None
        """When the next overnight charge falls due; None before the first bar."""
        self.next_funding: tuple[int, Decimal] | None = None
        """When the next funding falls due, and at what rate; None for never."""
        self.is_watchful = self.charges
        """Whether a bar may find something due, or finer data that has told of its time: never
        without charges, expiries and such data."""

    def settled_ns(self, due: int) -> int | None:
        """From when on no bar can count any more that opened before ``due``, which is over.

        None where the next bar must say it. What ended since covers all bars that are as long or
        longer; those of finer sources have ended when they can be no longer.
        """
        told = None if self.coverage is None else self.coverage.told_since(due)
        at = due
        for cadence in self.cadences:
            if told is None or (cadence.longest is not None and cadence.longest < told):
                settled = cadence.settled_ns(due)
                if settled is None:
                    return None
                at = max(at, settled)
        return at

    def expect(self, cadences: Iterable[Cadence]) -> None:
        """Its sources of bars are such."""
        self.cadences = tuple(cadences)
        if len(self.cadences) > 1:
            self.cover()

    def cover(self) -> Coverage:
        """What the pair's sources have told, from now on noted."""
        if self.coverage is None:
            self.coverage = Coverage()
            self.is_watchful = True
        return self.coverage

    def meets(self, buy: bool) -> Decimal | None:
        """The price at which an order would meet the market now: of a quote its side of it, else
        the last price; None before there was one.

        A quote counts until a bar was walked after it, whether or not it still stands.
        """
        quote = self.standing.quote or self.bar
        if type(quote) is not Quote:
            return self.last
        return quote.ask if buy else quote.bid

    def follows(self, buy: bool) -> Decimal | None:
        """The price that a trailing stop follows, as it is now; None before there was one."""
        return self.meets(buy)
