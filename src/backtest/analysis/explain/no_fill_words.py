"""Reasons in words with numbers: the lines of a story for what did not happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from backtest.analysis.explain.folds import Fold
from backtest.analysis.explain.no_fill_reasons import Silence
from backtest.analysis.explain.waits import PairRules
from backtest.analysis.text import grouped, moment
from backtest.models import Bar, Quote
from backtest.money import plain, sub
from backtest.services.fills.no_fill import Why
from backtest.services.fills.walk import flat_bar
from backtest.times import format_ns

__all__ = ["told"]

_ROLES = {
    "entry": "NOT FILLED",
    "stop_loss": "NO STOP-LOSS",
    "take_profit": "NO TAKE-PROFIT",
    "liquidation": "NO LIQUIDATION",
    "close": "NOT CLOSED",
}
_NAMES = {
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "liquidation": "liquidation price",
    "limit": "limit",
    "stop": "stop",
    "stop_limit": "stop",
    "trailing_stop": "trailing stop",
}
_CAME = {
    "stop_loss": "its stop-loss",
    "take_profit": "its take-profit",
    "liquidation": "its liquidation",
    "close": "an order to close it",
    "netting": "an order of the other side that closed it",
}
_MOST_TAKERS = 4


def told(fold: Fold, rules: PairRules, names: Mapping[str, str], whose: bool) -> str:
    """One line: when, what did not happen, in which phase, and why.

    ``names`` are those of orders by id: ``order #12``; ``whose`` says which order it is about.
    """
    when = moment(format_ns(fold.wait.since.ns)) if fold.at_once else _at(fold.first)
    if fold.events > 1:
        when += f" to {_at(fold.last)}"
    what = _ROLES[fold.wait.role]
    if fold.rest:
        what = f"THE REST, {grouped(_left(fold), 0)}, {what}"
    noun = _noun(fold)
    on = f"on this {noun}" if fold.events == 1 else f"on {fold.events} {noun}s"
    if fold.at_once:
        quoted = isinstance(fold.first.bar, Quote)
        on = f"at once, at the quote of {_at(fold.first)}" if quoted else "at this close"
    if whose:
        what += f" of order {fold.wait.order_id[:8]}"
    return f"{when}  {what} {on} ({fold.why.phase}): {_words(fold, rules, names)}"


def _at(one: Silence) -> str:
    return moment(format_ns(one.bar.close_ns))


def _noun(fold: Fold) -> str:
    return next(iter(fold.kinds)) if len(fold.kinds) == 1 else "event"


def _point(fold: Fold) -> str:
    """What of the event came nearest: of a quote, the side that the order meets."""
    if fold.only:
        return fold.only
    event = (fold.nearest or fold.first).bar
    if isinstance(event, Bar):
        return "high" if fold.wait.working.rises else "low"
    if isinstance(event, Quote):
        return "ask" if fold.wait.working.buy else "bid"
    return "price"


def _volume(fold: Fold) -> Decimal | None:
    """The volume that the event had for the order's side."""
    event = fold.first.bar
    if isinstance(event, Bar):
        return event.volume
    return flat_bar(event, fold.wait.working.buy).volume


def _left(fold: Fold) -> Decimal:
    own = fold.takers.get(fold.wait.order_id, Decimal(0))
    return sub(fold.wait.working.volume, own)


def _words(fold: Fold, rules: PairRules, names: Mapping[str, str]) -> str:
    words = _WORDS.get(fold.why)
    if words is None:
        return "what was recorded does not tell: please report this run"
    return words if isinstance(words, str) else words(fold, rules, names)


def _price(price: Decimal | None) -> str:
    return "" if price is None else grouped(price)


def _not_eligible(fold: Fold, rules: PairRules) -> str:
    since = moment(format_ns(fold.wait.since.ns))
    opened = moment(format_ns(fold.first.bar.open_ns))
    text = f"accepted at {since}, "
    if rules.rules.fill_on == "next_close":
        return text + "too late for this close"
    waits = "a market order waits for an open after that"
    if fold.events > 1:
        return text + f"after these bars had opened: {waits}"
    return text + f"after this bar had opened at {opened}: {waits}"


def _not_reached(fold: Fold) -> str:
    working = fold.wait.working
    role = fold.wait.role
    name = _NAMES.get(role) or _NAMES.get(working.kind, working.kind)
    goal = f"{name} {_price(working.price)}"
    point = _point(fold)
    side = "below" if working.rises else "above"
    assert fold.nearest is not None
    seen = _price(fold.nearest.reason.seen)
    if fold.only == "close":
        return f"accepted inside the bar, so that only its close counts: {seen}, {side} the {goal}"
    if fold.only == "open":
        return f"of this bar only the open counts for it: {seen}, {side} the {goal}"
    if fold.events == 1:
        return f"the {point} {seen} stayed {side} the {goal}"
    other = "above" if working.rises else "below"
    return f"the {point} was never at or {other} the {goal}; nearest {seen} at {_at(fold.nearest)}"


def _not_penetrated(fold: Fold, rules: PairRules) -> str:
    working = fold.wait.working
    point = _point(fold)
    assert fold.nearest is not None
    reason = fold.nearest.reason
    ticks = rules.rules.penetration_ticks
    beyond = f"{ticks} tick{'s' if ticks > 1 else ''} beyond it"
    best = "the" if fold.events == 1 else "the best"
    return (
        f"{best} {point} {_price(reason.seen)} touched the limit {_price(working.price)}, but "
        f"{_price(reason.wanted)} was needed ({beyond})"
    )


def _no_volume(fold: Fold) -> str:
    noun = _noun(fold)
    return f"the {noun} had no volume" if fold.events == 1 else f"the {noun}s had no volume"


def _too_little(fold: Fold, rules: PairRules) -> str:
    volume, share = _volume(fold), rules.rules.participation
    return (
        f"volume {plain(volume or Decimal(0))} x participation {plain(share or Decimal(1))} "
        f"is less than one increment of {plain(rules.pair.volume_increment)}"
    )


def _used_up(fold: Fold, rules: PairRules, names: Mapping[str, str]) -> str:
    share = rules.rules.participation
    volume = _volume(fold)
    if fold.events == 1 and volume is not None and share is not None:
        text = f"volume {plain(volume)} x participation {plain(share)} = {plain(fold.pool)}"
    else:
        text = f"the {_noun(fold)}s' volume for its side, {plain(fold.pool)} in all,"
    parts = [
        f"{plain(taken)} to {'itself' if one == fold.wait.order_id else names.get(one, one)}"
        for one, taken in list(fold.takers.items())[:_MOST_TAKERS]
    ]
    more = len(fold.takers) - _MOST_TAKERS
    if more > 0:
        parts.append(f"the rest to {more} others")
    return f"{text} was used up: {', '.join(parts)}"


def _before_entry(fold: Fold) -> str:
    price = _price(fold.wait.working.price)
    return f"{price} was there only before the position was opened on this bar"


def _limit_not_reached(fold: Fold) -> str:
    terms = fold.wait.working.terms
    limit = _price(None if terms is None else terms.limit)
    return f"its stop was reached, and after that the limit {limit} was not"


def _all_or_nothing(fold: Fold, there: str) -> str:
    return f"all of {plain(fold.wait.working.volume)} must fill or nothing, and {there}"


_WORDS: dict[Why, str | Callable[[Fold, PairRules, Mapping[str, str]], str]] = {
    Why.NOT_ELIGIBLE: lambda fold, rules, names: _not_eligible(fold, rules),
    Why.PRICE_NOT_REACHED: lambda fold, rules, names: _not_reached(fold),
    Why.STOP_NOT_REACHED: lambda fold, rules, names: _not_reached(fold),
    Why.PENETRATION_NOT_MET: lambda fold, rules, names: _not_penetrated(fold, rules),
    Why.NO_VOLUME: lambda fold, rules, names: _no_volume(fold),
    Why.SHARE_TOO_SMALL: lambda fold, rules, names: _too_little(fold, rules),
    Why.POOL_USED_UP: _used_up,
    Why.BEFORE_ENTRY: lambda fold, rules, names: _before_entry(fold),
    Why.LIMIT_NOT_REACHED: lambda fold, rules, names: _limit_not_reached(fold),
    Why.EXITS_LATER: "under the rules of this venue, exits do not act on the bar of their entry",
    Why.NOT_ALL: lambda fold, rules, names: _all_or_nothing(fold, f"{plain(fold.pool)} was there"),
    Why.LESS_TO_REDUCE: lambda fold, rules, names: _all_or_nothing(
        fold, "less was open on the other side"
    ),
    Why.QUOTES_DECIDE: "a trade of a market that is quoted fills resting limits only",
    Why.AHEAD_IN_QUEUE: "what stood ahead of it in the queue at its price took what there was",
    Why.OTHER_CAME_FIRST: lambda fold, rules, names: (
        f"{_CAME.get(fold.cause, fold.cause)} came first"
    ),
    Why.LEVEL_MOVED: lambda fold, rules, names: (
        f"what filled or closed on this bar moved it away from {_price(fold.wait.working.price)}"
    ),
    Why.STOP_LOSS_TRIGGERED: (
        "its stop-loss has triggered and closes what is left at the following opens"
    ),
}
