"""The things that meet on a bar's path: working orders, open parts, their groups, and a hit.

These are the few mutable objects of the services. The venue owns them and may keep them from bar to
bar; `BarWalk` reads them and keeps ``volume`` and ``triggered`` true. They validate nothing:
whoever makes them has validated what goes in.

A bar is walked open, first extreme, second extreme, close: the *ranks* 0, 1, 2, 3. Rank 0 is the
open itself; rank 1 the way from the open to the first extreme, its end included; and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

from attrs import define, field, frozen

from backtest.errors import FieldError
from backtest.money import ZERO, add, mul, sub, to_step

__all__ = [
    "CLOSE_ONLY",
    "FROM_OPEN",
    "NOT_ON_THIS_BAR",
    "OPEN_ONLY",
    "UNSEEN",
    "WHOLE_BAR",
    "Group",
    "Hit",
    "OpenPart",
    "Point",
    "Terms",
    "Working",
    "WorkingKind",
    "protection_passed",
    "trailed",
]

WorkingKind = Literal[
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "stop_loss",
    "take_profit",
    "liquidation",
]
Point = Literal["open", "high", "low", "close", "bid", "ask", "trade"]

_PERCENT = Decimal("0.01")

FROM_OPEN = 0
"""`Working.start`: every price of the bar counts."""
CLOSE_ONLY = 3
"""`Working.start`: only the close counts (accepted inside the bar)."""
NOT_ON_THIS_BAR = 4
"""`Working.start`: no price of the bar counts."""
UNSEEN = object()
"""`Working.ahead`: no tick has come since it was accepted."""
OPEN_ONLY = 1
"""`Working.end`: only the first price counts (it expires inside the bar, or must fill at once)."""
WHOLE_BAR = 4
"""`Working.end`: all prices from the start on count."""


@frozen
class Terms:
    """What an order asks of the walk beside kind, price and volume; most ask for nothing.

    ``limit``         the limit price that a stop-limit order has once its stop was reached.
    ``trail``, ``trail_percent``  how far behind the price a trailing stop stays (2 means 2 %).
    ``immediate``     what does not fill at the order's first opportunity does not fill (IOC, FOK).
    ``whole``         nothing fills where not all of it can (FOK).
    ``maker_only``    it must not take liquidity: a hit that would is ``passed`` (post-only).
    """

    limit: Decimal | None = None
    trail: Decimal | None = None
    trail_percent: Decimal | None = None
    immediate: bool = False
    whole: bool = False
    maker_only: bool = False


class Working:
    """One condition at the venue: an order's leaves, or an exit of an open part.

    A venue's own orders are such conditions, and add what only it needs to know.

    ``kind``       "market", "limit", "stop", "stop_limit", "trailing_stop" (orders, and explicit
                   closes as exits), "stop_loss", "take_profit", "liquidation" (exits). The walk
                   makes a stop-limit whose stop was reached a "limit" for good (`to_limit`).
    ``buy``        the side of the *execution*: the stop-loss of a long part is a sell.
    ``price``      limit, stop or liquidation price, or the level at which a trailing stop now is
                   (the walk moves it); None for a market order.
    ``volume``     leaves; the walk takes off what is reported. An exit never closes more than its
                   part holds, whatever is written here; a liquidation closes all the part holds.
    ``start``      FROM_OPEN (0), CLOSE_ONLY (3) or NOT_ON_THIS_BAR (4): see `fills.eligibility`.
    ``sequence``   acceptance by the venue: earlier is smaller.
    ``triggered``  a stop, trailing stop or stop-loss that triggered (the walk sets it and lists the
                   order in `BarWalk.triggered`): from the next bar on it is a market order at the
                   open.
    ``blocked``    True: it takes no part until the owner clears it. The walk never writes it.
    ``fresh``      True: it has not been through a bar yet, so a limit that is marketable where it
                   becomes active takes liquidity (``Hit.taker``). The walk clears it.
    ``terms``      what else it asks for; None for nothing.
    ``end``        WHOLE_BAR (4), or OPEN_ONLY (1): of the bar only its first price counts.
    ``lacked``     the volume that there was when all of it was to fill and that was less (the walk
                   sets it).
    ``spot``       whether it buys or sells the base itself.
    ``nets``       whether it closes what is open on the other side before it opens anything.
    ``reduces``    whether it opens nothing at all (reduce-only).
    ``ahead``      what stood before it in the market's queue (`QueueAhead` keeps it).
    ``place``      where an order-book venue has put it; the walk knows nothing of that.
    ``is_limit``   whether it fills at its price or better; ``rises``: whether a rising price meets
                   it (stop buy, limit sell).
    """

    __slots__ = (
        "ahead",
        "blocked",
        "buy",
        "end",
        "fresh",
        "is_limit",
        "kind",
        "lacked",
        "nets",
        "place",
        "price",
        "reduces",
        "rises",
        "sequence",
        "spot",
        "start",
        "terms",
        "triggered",
        "volume",
    )

    def __init__(
        self,
        kind: WorkingKind,
        buy: bool,
        price: Decimal | None,
        volume: Decimal,
        start: int = FROM_OPEN,
        sequence: int = 0,
        *,
        fresh: bool = False,
        triggered: bool = False,
        terms: Terms | None = None,
    ) -> None:
        self.buy = buy
        self.terms = terms
        self.spot = self.nets = self.reduces = False
        self.place: Any = None
        self.line_up(kind, price, volume, sequence, fresh=fresh)
        self.start = start
        self.triggered = triggered

    def line_up(
        self,
        kind: WorkingKind,
        price: Decimal | None,
        volume: Decimal,
        sequence: int,
        *,
        fresh: bool = True,
    ) -> None:
        """It is accepted now, as this kind of condition, at this place in the queue."""
        self.kind: WorkingKind = kind
        self.price = price
        self.volume = volume
        self.sequence = sequence
        self.start = FROM_OPEN
        self.end = WHOLE_BAR
        self.triggered = self.blocked = False
        self.fresh = fresh
        self.lacked: Decimal | None = None
        self.ahead: Any = UNSEEN
        self.is_limit = is_limit = kind == "limit" or kind == "take_profit"
        self.rises = self.buy is not is_limit

    @property
    def is_live(self) -> bool:
        """Whether what it stands for is pending still."""
        return True

    @property
    def turns(self) -> bool:
        """Whether what it does later on a path depends on what the price did before: a trailing
        stop, or a stop-limit whose stop was not reached."""
        return self.kind == "stop_limit" or (self.kind == "trailing_stop" and not self.triggered)

    def to_limit(self) -> None:
        """Its stop was reached: from here on it is a limit order, and stays one."""
        if self.terms is None or self.terms.limit is None:
            raise FieldError("limit", "must be set in the terms of a stop-limit order")
        self.kind = "limit"
        self.price = self.terms.limit
        self.is_limit = True
        self.rises = not self.buy
        self.fresh = False

    def twin(self) -> Working:
        """One that is as this one is now, to be walked in its place."""
        twin = Working(self.kind, self.buy, self.price, self.volume)
        for name in Working.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


class OpenPart:
    """An open position, or the part of one that one order made.

    ``exits`` are its stop-loss, take-profit, liquidation and explicit close orders. Together they
    never close more than ``volume``, which the walk reduces by what is reported. ``margin`` is what
    a liquidation can lose at most; after a partial close the owner writes the new margin. Parts of
    one ``position`` are liquidated together; None for one that is a position by itself.
    """

    __slots__ = ("entry_price", "exits", "long", "margin", "position", "volume")

    exits: list[Any]

    def __init__(
        self,
        long: bool,
        volume: Decimal,
        entry_price: Decimal,
        margin: Decimal,
        exits: Sequence[Working],
        position: Any = None,
    ) -> None:
        self.long = long
        self.volume = volume
        self.entry_price = entry_price
        self.margin = margin
        self.exits = list(exits)
        self.position = position

    @property
    def is_stopped(self) -> bool:
        """Whether its stop-loss has triggered: then nothing else closes it but a liquidation."""
        return any(one.triggered and one.kind == "stop_loss" for one in self.exits)

    def twin(self) -> OpenPart:
        """One that is as this one is now, with the same exits, to be walked in its place."""
        return OpenPart(
            self.long, self.volume, self.entry_price, self.margin, self.exits, self.position
        )


@define(eq=False)
class Group:
    """What is evaluated together: an entry with its protections, and the parts it has opened.

    ``entry``        the pending order (spot or trading), or None when only parts are left.
    ``stop_loss``, ``take_profit``  prices that a part opened by the entry will have (trading).
    ``liquidation``  ``(fill price, volume) -> liquidation price | None`` of such a part; None when
                     it cannot be liquidated.
    ``margin``       ``(fill price, volume) -> margin`` of such a part: bounds its loss when the two
                     paths are compared; None: unbounded.
    ``parts``        the open parts. The walk never changes this list: a part that the entry opens
                     on the bar is handed to `BarWalk.report`, and added here by the owner.
    ``partners``     the groups of one-cancels-other orders, which take one path together: of all
                     their entries only one fills. Such a group has nothing else of its own.
    """

    entry: Working | None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    liquidation: Callable[[Decimal, Decimal], Decimal | None] | None = None
    parts: list[OpenPart] = field(factory=list)
    margin: Callable[[Decimal, Decimal], Decimal] | None = None
    partners: Sequence[Group] = ()

    @property
    def buys(self) -> bool:
        """Whether it is a buyer or a long (else a seller or a short); of partners, the first."""
        if self.partners:
            return self.partners[0].buys
        if self.entry is not None:
            return self.entry.buy
        return self.parts[0].long if self.parts else True


@define(eq=False)
class Hit:
    """An execution that the path allows; the venue carries it out and reports what filled.

    ``part``       the part that it closes; None for an entry.
    ``price``      execution price, slippage included.
    ``volume``     > 0, already capped by the pool and by the part.
    ``rank``       0 open, 1 first extreme, 2 second extreme, 3 close.
    ``point``      the point at which, or toward which, the price was moving.
    ``taker``      False for limits and take-profits that rested.
    ``ambiguous``  it would not happen identically if the extremes came in the other order.
    ``passed``     an entry that must not fill: its price is at or beyond its own stop-loss or
                   take-profit, or it would take what its terms forbid it to (``taker``): cancel it
                   (``PROTECTION_PASSED``, ``WOULD_TAKE``) and `BarWalk.drop` it.
    ``reached``    the price of the path at that moment (without slippage).
    ``points``     the path that the group took (the walk's own use).
    ``otherwise``  of an ambiguous one: all that the group alone comes to with the extremes the
                   other way round, price and volume by working order, or by kind for exits of a
                   part that the path itself opens. None otherwise.
    """

    group: Group
    working: Working
    part: OpenPart | None
    price: Decimal
    volume: Decimal
    rank: int
    point: Point
    taker: bool
    ambiguous: bool
    passed: bool
    reached: Decimal
    points: tuple[Decimal, Decimal, Decimal, Decimal]
    otherwise: dict[object, tuple[Decimal, Decimal]] | None = None


def trailed(buy: bool, price: Decimal, terms: Terms, step: Decimal) -> Decimal:
    """Where a trailing stop stands that follows the price ``price``; a sell's below it.

    ``trail`` away, or ``trail_percent`` of the price, rounded against the trader to ``step``: a
    sell's level down, a buy's up.
    """
    distance = terms.trail
    if distance is None:
        distance = mul(price, mul(terms.trail_percent or ZERO, _PERCENT))
    if buy:
        return to_step(add(price, distance), step, ROUND_CEILING)
    return to_step(sub(price, distance), step, ROUND_FLOOR)


def protection_passed(
    long: bool, price: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None
) -> bool:
    """Whether a fill at ``price`` would be at or beyond its own stop-loss or take-profit."""
    if long:
        return (stop_loss is not None and price <= stop_loss) or (
            take_profit is not None and price >= take_profit
        )
    return (stop_loss is not None and price >= stop_loss) or (
        take_profit is not None and price <= take_profit
    )
