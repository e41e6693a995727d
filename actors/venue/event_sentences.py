"""The sentences of events: made here, from what happened and its facts, and read by people only."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from backtest.actors.protocol import EventKind, Facts
from backtest.errors import RejectReason
from backtest.money import plain
from backtest.times import format_ns

__all__ = ["sentence"]


def sentence(kind: EventKind, reason: RejectReason | None, facts: Facts, said: str) -> str:
    """What the story of an order says of an event; ``said`` is what the venue said of it, which
    only who decided it can know."""
    words = _WORDS.get(kind)
    return said if words is None else words(reason, facts, said)


def _accepted(_: RejectReason | None, facts: Facts, said: str) -> str:
    words = [said] if said else []
    if facts.level is not None:
        words.append(f"trailing stop at {plain(facts.level)}")
    if facts.expires is not None:
        words.append(f"good till {format_ns(facts.expires)}")
    return "; ".join(words)


def _cancelled(reason: RejectReason | None, facts: Facts, said: str) -> str:
    if said:
        return said
    if reason is RejectReason.FILL_OR_KILL:
        there = facts.quantity
        lacked = "" if there is None else f": the volume there was {plain(there)}"
        return f"not all of it could fill at its first opportunity{lacked}"
    if reason is RejectReason.IMMEDIATE_OR_CANCEL:
        return "it did not fill at its first opportunity"
    if reason is RejectReason.REDUCE_ONLY and facts.price is not None:
        where = f"at {plain(facts.price)}, at the {facts.point}"
        return f"{where}, there was no more than that to close"
    return ""


def _close_cancelled(reason: RejectReason | None, facts: Facts, said: str) -> str:
    words = _cancelled(reason, facts, said)
    return f"{words}; {_orders(facts.closing_orders)}" if facts.closing_orders else words


def _closing(_: RejectReason | None, facts: Facts, _said: str) -> str:
    how = "at the market"
    if facts.price is not None:
        price = plain(facts.price)
        is_limit = facts.condition == "limit"
        how = f"at {price}" if is_limit else f"by a {facts.condition} at {price}"
    if facts.limit_price is not None:
        how += f" with limit {plain(facts.limit_price)}"
    volume = plain(facts.quantity)  # type: ignore[arg-type]
    return f"close {volume} {how}; {_orders(facts.closing_orders)}"


def _modified(_: RejectReason | None, facts: Facts, _said: str) -> str:
    if facts.keeps_place is None:
        return " and ".join(facts.changed)
    place = "keeps its place in" if facts.keeps_place else "goes to the end of"
    stop = "" if facts.level is None else f"; trailing stop at {plain(facts.level)}"
    return f"{place} the queue{stop}"


def _netted(_: RejectReason | None, facts: Facts, _said: str) -> str:
    volume, price = plain(facts.quantity), plain(facts.price)  # type: ignore[arg-type]
    return f"closed {volume} of the other side at {price}"


def _split(_: RejectReason | None, facts: Facts, _said: str) -> str:
    return f"into {' + '.join(map(plain, facts.parts))}"


def _trailed(_: RejectReason | None, facts: Facts, _said: str) -> str:
    return f"trailing stop at {plain(facts.level)}"  # type: ignore[arg-type]


def _triggered(_: RejectReason | None, facts: Facts, said: str) -> str:
    price, left = plain(facts.price), plain(facts.quantity)  # type: ignore[arg-type]
    if said:
        what = said
    elif facts.condition == "limit":
        what = f"the stop was reached, it is a limit order at {price} from here on"
    else:
        what = f"{facts.condition} at {price} was reached"
    return f"{what}; {left} is left to fill"


def _orders(ids: tuple[UUID, ...]) -> str:
    return f"order {' + '.join(map(str, ids))}"


_WORDS: dict[EventKind, Callable[[RejectReason | None, Facts, str], str]] = {
    EventKind.ACCEPTED: _accepted,
    EventKind.CANCELLED: _cancelled,
    EventKind.CLOSE_CANCELLED: _close_cancelled,
    EventKind.CLOSING: _closing,
    EventKind.MODIFIED: _modified,
    EventKind.NETTED: _netted,
    EventKind.SPLIT: _split,
    EventKind.TRAILED: _trailed,
    EventKind.TRIGGERED: _triggered,
}
