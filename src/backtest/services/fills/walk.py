"""Fills: who may take part, how much volume there is, and the walks along bars and ticks.

The face of `path` (what meets on a bar), `bar_walk` and `tick_walk` (the walks);
docs/fills.md has the rules in plain words.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.models.fill_policy import Eligibility, VolumePolicy
from backtest.models.market_event import MarketEvent, Tick
from backtest.models.quote import Quote
from backtest.money import mul, to_step
from backtest.services.fills.bar_walk import BarWalk
from backtest.services.fills.path import (
    CLOSE_ONLY,
    FROM_OPEN,
    NOT_ON_THIS_BAR,
    OPEN_ONLY,
    WHOLE_BAR,
    Group,
    Hit,
    OpenPart,
    Point,
    Terms,
    Working,
    WorkingKind,
    protection_passed,
    trailed,
)
from backtest.services.fills.queue_ahead import QueueAhead
from backtest.services.fills.rules import PathRules, check_distance, slipped
from backtest.services.fills.tick_prices import flat_bar, mark_of, meets, point_of
from backtest.services.fills.tick_walk import TickWalk

Walk = BarWalk | TickWalk
"""A market event met by all groups: `next` gives hits, `report` says what filled."""

__all__ = [
    "CLOSE_ONLY",
    "FROM_OPEN",
    "NOT_ON_THIS_BAR",
    "OPEN_ONLY",
    "WHOLE_BAR",
    "BarWalk",
    "Group",
    "Hit",
    "OpenPart",
    "PathRules",
    "Point",
    "QueueAhead",
    "Terms",
    "TickWalk",
    "Walk",
    "Working",
    "WorkingKind",
    "checked_pool",
    "eligibility",
    "flat_bar",
    "mark_of",
    "meets",
    "on_offer",
    "point_of",
    "pool",
    "protection_passed",
    "slipped",
    "trailed",
    "walk_of",
]


def eligibility(
    kind: str,
    accepted_ns: int,
    accepted_before_event: bool,
    bar: Bar,
    fill_on: str = "next_open",
    policy: Eligibility | None = None,
) -> int:
    """`Working.start` for ``bar``: 0 (from the open), 3 (its close only) or 4 (not on this bar).

    A price counts only if it is certainly not earlier than the acceptance. ``kind`` is a
    `Working.kind`; ``accepted_before_event`` says that the venue accepted the order before it got
    the bar's event. ``fill_on`` is for market orders: "next_open" (the default) and what
    "this_close" left over wait for an open; "next_close" for a close. A ``policy`` of the user's
    own answers instead, but no earlier than the acceptance allows.
    """
    if policy is not None:
        start = policy.start(kind, accepted_ns, bar)
        if start not in (FROM_OPEN, CLOSE_ONLY, NOT_ON_THIS_BAR):
            raise FieldError(
                "fills",
                f"{type(policy).__name__}.start must give 0 (open), 3 (close) or 4 (not on this "
                f"bar), not {start!r}",
            )
        if accepted_ns <= bar.open_ns:
            return start
        in_time = accepted_ns <= bar.close_ns and accepted_before_event
        return max(start, CLOSE_ONLY if in_time else NOT_ON_THIS_BAR)
    if kind == "market" and fill_on == "next_close":
        in_time = accepted_ns <= bar.close_ns and accepted_before_event
        return CLOSE_ONLY if in_time else NOT_ON_THIS_BAR
    if accepted_ns <= bar.open_ns:
        return FROM_OPEN
    if kind != "market" and accepted_ns <= bar.close_ns and accepted_before_event:
        return CLOSE_ONLY
    return NOT_ON_THIS_BAR


def pool(
    bar_volume: Decimal | None, participation: Decimal | None, volume_increment: Decimal
) -> Decimal | None:
    """The volume that one side may take from a bar; None: no cap. (Give it twice: ``(p, p)``.)

    ``bar_volume x participation``, rounded down to the volume increment. No cap where the source
    has no volume, and where ``participation`` is None, whatever the volume.
    """
    if bar_volume is None or participation is None:
        return None
    return to_step(mul(bar_volume, participation), volume_increment)


def checked_pool(policy: VolumePolicy, bar: Bar, volume_increment: Decimal) -> Decimal | None:
    """What a ``policy`` of the user's own allows, rounded down to the increment."""
    volume = policy.pool(bar, volume_increment)
    if volume is None:
        return None
    check_distance(volume, "pool", policy)
    return to_step(volume, volume_increment)


def on_offer(
    tick: Tick,
    participation: Decimal | None,
    volume_increment: Decimal,
    policy: VolumePolicy | None = None,
) -> tuple[Decimal | None, Decimal | None]:
    """The volume that a quote or a trade has for buys and for sells; None: no cap. A ``policy`` of
    the user's own answers instead of ``participation``."""
    if policy is not None:
        return (
            checked_pool(policy, flat_bar(tick, True), volume_increment),
            checked_pool(policy, flat_bar(tick, False), volume_increment),
        )
    if isinstance(tick, Quote):
        return (
            pool(tick.ask_size, participation, volume_increment),
            pool(tick.bid_size, participation, volume_increment),
        )
    volume = pool(tick.volume, participation, volume_increment)
    return volume, volume


def walk_of(
    event: MarketEvent,
    groups: Sequence[Group],
    rules: PathRules,
    pools: tuple[Decimal | None, Decimal | None] = (None, None),
) -> Walk:
    """The walk of ``groups`` along a bar, or at a tick; ``rules`` as it needs them."""
    if isinstance(event, Bar):
        return BarWalk(event, groups, rules, pools)
    return TickWalk(event, groups, rules, pools)
