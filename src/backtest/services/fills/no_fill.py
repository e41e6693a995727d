"""Why a condition at the venue did not act on a bar: a word for the reason, and the numbers of it.

Pure functions that mirror the walk (`.bar_walk`) from the outside: they never take part in a run,
they are asked afterwards (`explain`). None means that nothing stood in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from backtest.models.bar import Bar
from backtest.money import ZERO, add, sub, to_step
from backtest.services.fills.events import Points, event_of
from backtest.services.fills.path import NOT_ON_THIS_BAR, OPEN_ONLY, Working
from backtest.services.fills.rules import PathRules

__all__ = ["NoFill", "Why", "came_before", "no_price", "no_volume", "not_after_stop"]


class Why(Enum):
    """Why a condition did not act on a market event. The value is the phase that says so."""

    def __new__(cls, word: str, phase: str) -> Why:
        """``phase`` is one of the six that a market event passes (docs/walk.md)."""
        made = object.__new__(cls)
        made._value_ = word
        made.phase = phase
        return made

    phase: str

    NOT_ELIGIBLE = "not_eligible", "match"
    """No price of the bar is certainly later than the order's acceptance."""
    PRICE_NOT_REACHED = "price_not_reached", "match"
    PENETRATION_NOT_MET = "penetration_not_met", "match"
    """The limit was touched, but the market did not go far enough beyond it."""
    STOP_NOT_REACHED = "stop_not_reached", "trigger"
    NO_VOLUME = "no_volume", "match"
    """The event had no volume for its side."""
    SHARE_TOO_SMALL = "share_too_small", "match"
    """The event's volume x participation comes to less than one increment."""
    POOL_USED_UP = "pool_used_up", "match"
    """Others took the volume that the bar had for this side."""
    BEFORE_ENTRY = "before_entry", "trigger"
    """The price was there only before the position was opened on this very bar."""
    LIMIT_NOT_REACHED = "limit_not_reached", "match"
    """The stop of a stop-limit order was reached, and after that its limit was not."""
    EXITS_LATER = "exits_later", "trigger"
    """Under the rules of the venue, exits do not act on the bar of their entry (``exits_from``)."""
    NOT_ALL = "not_all", "match"
    """There was less volume than all of an order that must fill whole or not at all."""
    QUOTES_DECIDE = "quotes_decide", "match"
    """Where a market is quoted, a trade fills resting limits only."""
    AHEAD_IN_QUEUE = "ahead_in_queue", "match"
    """What stood ahead of it at its price took what there was (``queue="conservative"``)."""
    LESS_TO_REDUCE = "less_to_reduce", "match"
    """Less was open on the other side than a reduce-only order must fill whole."""
    OTHER_CAME_FIRST = "other_came_first", "trigger"
    """Another exit of the position came first on the path and left nothing."""
    STOP_LOSS_TRIGGERED = "stop_loss_triggered", "trigger"
    """Its position's stop-loss has triggered: nothing else closes it but a liquidation."""
    LEVEL_MOVED = "level_moved", "trigger"
    """The position changed on this very bar, and its liquidation price with it."""
    UNKNOWN = "unknown", "match"
    """What was recorded does not tell. An ordinary run has none."""


class NoFill(NamedTuple):
    """One reason."""

    why: Why
    wanted: Decimal | None = None
    """The price that it needed."""
    seen: Decimal | None = None
    """The nearest price that counted for it."""
    only: str = ""
    """``open`` or ``close`` where that was the only price that counted."""
    pool: Decimal | None = None
    """The volume that there was for its side."""


def no_price(working: Working, bar: Bar, rules: PathRules) -> NoFill | None:
    """Why no price of ``bar`` let ``working`` act; None where one did.

    ``working.start`` says from where on the bar counts.
    """
    start = working.start
    if start >= NOT_ON_THIS_BAR:
        return NoFill(Why.NOT_ELIGIBLE)
    price = working.price
    if price is None or working.triggered:
        return None
    only, seen = "", bar.high if working.rises else bar.low
    if start:
        only, seen = "close", bar.close
    elif working.end == OPEN_ONLY:
        only, seen = "open", bar.open
    if (seen < price) if working.rises else (seen > price):
        why = Why.PRICE_NOT_REACHED if working.is_limit else Why.STOP_NOT_REACHED
        return NoFill(why, price, seen, only)
    if working.is_limit and rules.penetration:
        goal = (sub if working.buy else add)(price, rules.penetration)
        if (seen < goal) if working.rises else (seen > goal):
            return NoFill(Why.PENETRATION_NOT_MET, goal, seen, only)
    return None


def no_volume(pool: Decimal | None, taken: Decimal, volume_increment: Decimal) -> NoFill | None:
    """Why there was nothing to have for one side; None where there was (or no cap).

    ``pool`` is what the bar had for it (`.walk.pool`), ``taken`` what filled.
    """
    if pool is None or to_step(sub(pool, taken), volume_increment) > ZERO:
        return None
    if pool <= ZERO:
        return NoFill(Why.NO_VOLUME, pool=pool)
    return NoFill(Why.POOL_USED_UP, pool=pool)


def came_before(
    entry: Working,
    working: Working,
    point: str,
    paths: Sequence[Points],
    bar: Bar,
    rules: PathRules,
) -> bool | None:
    """Whether the price of ``working`` was there only before ``entry`` opened its position.

    ``point`` is the one toward which the price was moving then (``open``, ``high``, ``low`` or
    ``close``), ``paths`` are those that the bar may have taken. None when that hangs on which of
    them it was.
    """
    answers: list[bool] = []
    for points in paths:
        opened = event_of(entry, entry.start, points[entry.start], points, bar, rules)
        if opened is None:
            continue
        toward = "high" if (opened.rank == 1) is (points[1] == bar.high) else "low"
        if point == (toward if opened.rank in (1, 2) else "open" if not opened.rank else "close"):
            later = event_of(working, opened.rank, opened.reached, points, bar, rules)
            answers.append(later is None)
    return answers[0] if answers and all(one is answers[0] for one in answers) else None


def not_after_stop(
    working: Working, paths: Sequence[Points], bar: Bar, rules: PathRules
) -> bool | None:
    """Whether, after the stop of a stop-limit order was reached, its limit price was not.

    ``working`` is the order as it was before the bar. None when that hangs on the path.
    """
    answers: list[bool] = []
    for points in paths:
        event = event_of(working, working.start, points[working.start], points, bar, rules)
        if event is not None and event.is_trigger:
            answers.append(event.then is None)
    return answers[0] if answers and all(one is answers[0] for one in answers) else None
