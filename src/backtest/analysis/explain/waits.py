"""What of an order chain waited at the venue, and when.

A wait is one condition (an order's leaves, a stop-loss, a take-profit, a liquidation, an order to
close) from one change to the next, in numbers of market events. The venue keeps no such list while
it runs; `backtest.analysis.explain.replay` makes it afterwards, from what was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from attrs import define, evolve

from backtest.actors.venue.standing_quote import StandingQuote
from backtest.errors import BacktestError
from backtest.models import Asset, TradingPair, TradingRules
from backtest.services.fills.walk import PathRules, Terms, Working, WorkingKind

__all__ = ["MARKET", "VENUE", "Line", "Opened", "PairRules", "Since", "Wait", "Waits"]

Line = dict[str, str]
"""A row of a table, by column."""

MARKET = "market-data"
"""The sender of market events."""
VENUE = "broker"
"""The sender of what the venue does of its own accord between two market events."""


_NO_MATTER = frozenset({"fees", "funding"})
"""Rules that decide nothing about when an order fills."""


@define(eq=False)
class Since:
    """When a condition was accepted; ``whole`` once a bar has opened since, so that all counts."""

    ns: int
    whole: bool = False


@define(eq=False)
class Opened:
    """How a position came to be: what filled, in which event, and where on its path."""

    event: int
    part_of_event: bool
    """False: at this close, when the event was over."""
    entry: Working
    since: Since
    """When that was accepted."""
    point: str


@define(eq=False)
class Wait:
    """One condition, unchanged on the market events ``first`` to ``last`` (None: to the end).

    ``role`` is ``entry``, ``stop_loss``, ``take_profit``, ``liquidation`` or ``close``;
    ``order_id`` the order that waits, or whose position the condition is of. ``outcome`` says what
    became of it in event ``last``: ``filled``, ``part``, ``triggered``, ``ended`` (an event of the
    order says why), ``late`` (its time was over), ``gone:KIND`` (the position was closed by KIND),
    or nothing when it was changed between two events. ``opened`` says how the position was opened
    if that was in the event before ``first``, whose rest then counts, too.
    """

    role: str
    order_id: str
    working: Working
    since: Since
    first: int
    last: int | None = None
    outcome: str = ""
    opened: Opened | None = None
    at_once_after: int | None = None
    """The event after which it could have filled at once: at that close (``fill_on="this_close"``),
    or at the quote that stands."""
    stopped: bool = False
    """The stop-loss of its position has triggered before."""
    closing_id: str = ""
    before: Wait | None = None
    """What it was until it was changed."""
    expires: int | None = None
    """When the order expires."""
    reached: bool = False
    """Its stop was reached on event ``last``."""
    for_day: bool = False
    """It is an order for the day."""
    reduces: bool = False
    """It is a reduce-only order."""
    moved: bool = False
    """Its price became another on event ``last``, by what happened on that."""

    def found_by(self, number: int) -> Wait:
        """What it was when market event ``number`` began: parts of it may have filled in it."""
        one = self
        while one.first > number and one.before is not None and one.before.last == number:
            one = one.before
        return one

    def met_at_once(self, number: int) -> bool:
        """Whether it, or what it was until now, could fill at once after event ``number``."""
        one: Wait | None = self
        while one is not None and one.at_once_after != number:
            one = one.before if one.before is not None and one.before.last == number else None
        return one is not None


class Waits:
    """The waits of a chain as they begin, change and end."""

    def __init__(self) -> None:
        self.all: list[Wait] = []

    def begin(
        self,
        role: str,
        order_id: str,
        kind: str,
        buy: bool,
        price: str | Decimal | None,
        volume: Decimal,
        since: Since,
        number: int,
        *,
        triggered: bool = False,
        terms: Terms | None = None,
        expires: int | None = None,
    ) -> Wait:
        """A condition that waits from the market event after ``number``."""
        working = Working(
            cast("WorkingKind", kind),
            buy,
            Decimal(price) if price else None,
            volume,
            triggered=triggered,
            terms=terms,
        )
        wait = Wait(role, order_id, working, since, number + 1, expires=expires)
        self.all.append(wait)
        return wait

    def end(self, wait: Wait, number: int, outcome: str = "") -> None:
        """``wait`` ends with market event ``number``; one that never saw an event is forgotten."""
        if wait.last is not None:
            return
        wait.last, wait.outcome = number, outcome
        seen = wait.first - (wait.opened is not None)
        if seen > number and wait.at_once_after is None:
            self.all.remove(wait)
            before = wait.before
            while outcome and before is not None and before.last == number:
                # Changed again on one event: what it came to in the end counts.
                before.reached = before.reached or wait.reached
                if outcome in ("filled", "ended") or before.outcome != "part":
                    before.outcome = outcome
                before = before.before

    def lacked(self, wait: Wait, volume: Decimal, number: int) -> None:
        """When all of ``wait`` was to fill, in event ``number``, there was ``volume`` and no more.

        What it was before it changed on that event tried as well: an order whose stop was reached.
        """
        one: Wait | None = wait
        while one is not None and one.last in (None, number):
            one.working.lacked = volume
            one = one.before

    def moves(self, wait: Wait, number: int) -> None:
        """The price of ``wait`` becomes another in event ``number``, as that of what it was."""
        one: Wait | None = wait
        while one is not None and one.last in (None, number):
            one.moved = True
            one = one.before

    def go_on(
        self,
        wait: Wait,
        number: int,
        outcome: str = "",
        *,
        volume: Decimal | None = None,
        triggered: bool | None = None,
        stopped: bool | None = None,
        order_id: str = "",
        price: Decimal | None = None,
        kind: WorkingKind | None = None,
    ) -> Wait:
        """End ``wait`` and let the same condition wait on, changed."""
        self.end(wait, number, outcome)
        old = wait.working
        working = Working(
            kind or old.kind,
            old.buy,
            old.price if price is None else price,
            old.volume if volume is None else volume,
            triggered=old.triggered if triggered is None else triggered,
            terms=old.terms,
        )
        new = Wait(
            wait.role,
            order_id or wait.order_id,
            working,
            wait.since,
            number + 1,
            stopped=wait.stopped if stopped is None else stopped,
            closing_id=wait.closing_id,
            before=wait,
            expires=wait.expires,
            for_day=wait.for_day,
            reduces=wait.reduces,
        )
        self.all.append(new)
        return new


class PairRules:
    """What the configuration of a run says of one pair's fills and margin."""

    def __init__(
        self, code: str, config: Mapping[str, Any], rules: TradingRules | None = None
    ) -> None:
        """``rules``: those of the run, where they are at hand; else they are made of their text."""
        text = config["pairs"][code]
        self.pair = TradingPair(
            code,
            Asset(text["base"], int(text["base_precision"])),
            Asset(text["quote"], int(text["quote_precision"])),
            Decimal(text["price_increment"]),
            Decimal(text["volume_increment"]),
            contract_size=Decimal(text["contract_size"]),
        )
        if rules is None:
            text = config["rules"][code]
            rules = TradingRules.from_mapping(
                {name: value for name, value in text.items() if name not in _NO_MATTER}
            )
        self.rules = rules
        self.path = PathRules.of(self.rules, self.pair)
        data = config["data"][code]
        self.several = "sources" in data
        """Whether there were several sources of the pair."""
        self.fills_at_close = self.rules.fill_on == "this_close"
        self.stands = self.rules.quotes == "standing" and any(
            one.get("kind") == "quotes" for one in data.get("sources", [data])
        )
        """Whether a quote may stand that new orders meet at once."""

    def fills_at_once(self, kind: str) -> bool:
        """Whether an order of ``kind`` may fill when it is accepted."""
        return self.stands or (self.fills_at_close and kind == "market")

    def standing(self) -> StandingQuote:
        """The quote that stands, none to begin with."""
        try:
            return StandingQuote(self.pair, self.rules)
        except BacktestError:  # somebody's own calendar, of which files have the name alone
            return StandingQuote(self.pair, evolve(self.rules, calendar="always_open"))
