"""What the cast says to each other. Bars and `DecisionAction` values travel as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Literal, NamedTuple
from uuid import UUID

from backtest.errors import RejectReason
from backtest.models import (
    Depth,
    Fill,
    OrderDirection,
    SpotOrder,
    TradingOrder,
    TradingPair,
    TradingRules,
)
from backtest.models._show import instant, shown
from backtest.models.instructions import PLAIN, Instructions
from backtest.named import Named
from backtest.services.fills.walk import WorkingKind
from backtest.services.ledger.entries import Leg
from backtest.services.margin.accounts import CrossAccount
from backtest.services.orders.revision import Revision

__all__ = [
    "ACCOUNT",
    "BROKER",
    "NO_FACTS",
    "Amend",
    "BalanceUpdate",
    "Balances",
    "Changes",
    "Create",
    "EndOfData",
    "EventKind",
    "Facts",
    "FallDue",
    "Hello",
    "Kind",
    "OrderEvent",
    "Post",
    "Posted",
    "ReadBalances",
    "ReadDepth",
    "Snapshot",
    "Subscribe",
    "Verb",
    "Welcome",
]

ACCOUNT = "account"
"""The name of the account actor."""

BROKER = "broker"
"""The name of the actor that is the venue."""

Balances = Mapping[tuple[str, str], tuple[Decimal, Decimal]]
"""Account and asset to available and unavailable."""


Kind = Literal["bars", "quotes", "trades", "depth"]
"""What market data there is."""


class EventKind(Named):
    """What happened to an order."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """A command was refused; the order, if there was one, is as it was."""
    TRIGGERED = "triggered"
    """A stop was reached; what it did not fill now fills at the following opens, or rests as a
    limit order."""
    TRAILED = "trailed"
    """The level of a trailing stop moved: `OrderEvent.level`."""
    FILLED = "filled"
    """Wholly or partly: `OrderEvent.live` is what is left."""
    NETTED = "netted"
    """What filled of an order closed positions on the other side, and opened none."""
    CANCELLED = "cancelled"
    MODIFIED = "modified"
    SPLIT = "split"
    CLOSING = "closing"
    """An order to close the position was accepted."""
    CLOSE_CANCELLED = "close_cancelled"
    CLOSED = "closed"
    """A position, or a part of it, was closed."""
    LIQUIDATED = "liquidated"
    CHARGED = "charged"
    """An overnight fee, or income."""
    MARGIN_USED = "margin_used"
    """Margin of a position in a cross margin account paid for a loss of another."""
    BANKRUPTCY = "bankruptcy"
    """A charge or loss that the account could not pay was borne by the insurance account."""


class PendingClose(NamedTuple):
    """An order to close positions that is pending. Immutable."""

    command: int
    """The command that asked for it."""
    id: UUID
    """Its id."""
    volume: Decimal
    """What it is still to close."""
    limit_price: Decimal | None
    stop_price: Decimal | None
    """Where it triggers; of a trailing stop, where that stands now."""
    instructions: Instructions = PLAIN


class Facts(NamedTuple):
    """What an event tells beside its order, fill and reason; its sentence is made from this, and
    nobody reads it back from there. What does not concern an event is empty. Immutable."""

    keeps_place: bool | None = None
    """Of a pending order that was modified: whether it kept its place in the queue."""
    parts: tuple[Decimal, ...] = ()
    """Of a split: the volumes of the parts."""
    changed: tuple[str, ...] = ()
    """Of a position or an exit that was modified: the prices that were."""
    closing_orders: tuple[UUID, ...] = ()
    """Which orders to close positions are meant."""
    condition: str = ""
    """What was reached, or what a close is: ``market``, ``limit``, ``stop``, ``stop_limit``,
    ``trailing_stop``, ``stop_loss``, ``take_profit``, ``liquidation``. ``collateral``: the venue
    sells it."""
    price: Decimal | None = None
    """Where ``condition`` is met; what an order netted at; where there was no more to close."""
    limit_price: Decimal | None = None
    """The limit of a close by a stop-limit order."""
    level: Decimal | None = None
    """Where a trailing stop stands."""
    expires: int | None = None
    """When an accepted order expires, in nanoseconds."""
    point: str = ""
    """Where on a bar there was no more to close."""
    quantity: Decimal | None = None
    """How much a close is to close, an order netted, is left to fill of an order that was
    triggered, or was there for one that could not fill whole."""


NO_FACTS = Facts()
"""Those of most events."""


Changes = tuple[tuple[UUID, Revision | None], ...]
"""Open positions that changed, by the id of the order: its new state, or None for one that is
gone."""


def _looked_at(changes: Changes) -> tuple[tuple[UUID, TradingOrder | None], ...]:
    return tuple((name, None if one is None else one.frozen()) for name, one in changes)


class OrderEvent(NamedTuple):
    """What happened to one order; strategies get it in `on_order`. Immutable."""

    kind: EventKind
    time: int
    """In nanoseconds."""
    branch: int
    """The number of the branch; 0 when the order never came to be."""
    branch_id: UUID | None
    """The id of the branch, which is also the venue's order id."""
    about: Revision | None
    """The order that the event is about, in its new state; `order` is that, frozen."""
    pending: Revision | None
    """What is pending of the branch after the event; `live` is that, frozen."""
    opened: Changes
    """Open positions that changed; `positions` has them frozen."""
    fill: Fill | None
    reason: RejectReason | None
    detail: str
    """What happened, in a sentence for people."""
    command: int
    """The command that this answers; 0 when it answers none."""
    parts: tuple[tuple[int, Revision], ...]
    """What came of the order as orders of their own; `children` has them frozen."""
    balances: Balances
    """The account's balances that changed, as they are after the event."""
    level: Decimal | None = None
    """Where a trailing stop stands now."""
    later: bool = False
    """Whether more of what the same command did follows: who asked is answered with the last."""
    close: int = 0
    """The command that asked for the close which this is about; 0 for none."""
    closes: tuple[PendingClose, ...] | None = None
    """All orders to close positions of the branch that are pending after the event; None where it
    does not tell of them."""
    facts: Facts = NO_FACTS
    has_stop: bool = False
    """Whether the order waits, or waited, for a stop."""

    @property
    def order(self) -> SpotOrder | TradingOrder | None:
        """The order that the event is about, in its new state."""
        return None if self.about is None else self.about.frozen()

    @property
    def live(self) -> SpotOrder | TradingOrder | None:
        """What is pending of the branch after the event."""
        return None if self.pending is None else self.pending.frozen()

    @property
    def positions(self) -> tuple[tuple[UUID, TradingOrder | None], ...]:
        """Open positions that changed: the new state, or None for one that is gone."""
        return _looked_at(self.opened)

    @property
    def children(self) -> tuple[tuple[int, SpotOrder | TradingOrder], ...]:
        """For a split: the branch numbers and orders of the parts."""
        return tuple((number, one.frozen()) for number, one in self.parts)

    def __repr__(self) -> str:
        reason = None if self.reason is None else self.reason.name
        about = self.order if self.fill is None else self.fill
        return shown(self, self.kind.value, instant(self.time), about, reason, self.detail)


class Create(NamedTuple):
    """To the venue: a new order. Answered by an `OrderEvent`, accepted or rejected."""

    command: int
    """The sender's number for it, which the answer repeats."""
    account: str
    pair: str
    spot: bool
    kind: WorkingKind
    """``market``, ``limit``, ``stop``, ``stop_limit`` or ``trailing_stop``."""
    direction: OrderDirection | None
    volume: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    instructions: Instructions = PLAIN


class Verb(Enum):
    """What may be done about an order that is at the venue already."""

    CANCEL = "cancel"
    MODIFY = "modify"
    SPLIT = "split"
    CLOSE = "close"


class Amend(NamedTuple):
    """To the venue: a change of what is there. Answered by an `OrderEvent`."""

    command: int
    verb: Verb
    order_id: UUID | None
    """Any id of the branch."""
    volume: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    clear: frozenset[str] = frozenset()
    volumes: tuple[Decimal, ...] = ()
    limit_prices: tuple[Decimal, ...] | None = None
    trail: Decimal | None = None
    trail_percent: Decimal | None = None
    expires_at: datetime | None = None
    take_profits: tuple[Decimal | None, ...] | None = None
    """Of a split: those of the parts; None for the one there was."""
    close: int = 0
    """Of a cancel or a modify: the command that asked for the close which is meant; 0 for what is
    pending of the order."""


class Post(NamedTuple):
    """To the account actor: post these legs as one entry. Answered with `Posted`, or a refusal."""

    legs: Sequence[Leg]
    order_id: UUID | None
    why: str
    parts: Sequence[tuple[int, UUID]] = ()
    """Of an entry of several orders: from which leg on it is whose (`Entry.parts`)."""


class Posted(NamedTuple):
    """An entry is in the journal."""

    entry: int
    """Its number."""
    balances: Balances
    """What it touched, as it is now."""


class ReadBalances(NamedTuple):
    """To the account actor: tell all balances of the agents' accounts."""


class Hello(NamedTuple):
    """A strategy joins, or begins anew; the venue answers with a `Welcome`."""

    wants: frozenset[Kind] = frozenset()
    """What market data it wants from here on, of every pair: that and no other, until it says so by
    `Subscribe`. Ask whether something is in it; its order is that of hashes. Of the depth it is all
    levels. A venue with ``publishes=False`` sends everything to everybody and looks at none of
    this."""


class Subscribe(NamedTuple):
    """To a venue that publishes: send market data of a kind, or (``on=False``) send it no more.

    Whoever subscribes to the depth gets a `Depth` first, also when it had the depth before, and
    then each `DepthUpdate` that follows it.
    """

    pair: str
    kind: Kind
    on: bool
    levels: int = 0
    """Of the depth: how many levels a side matter to it; 0: all. A venue may send more."""


class ReadDepth(NamedTuple):
    """To the venue: how does the order book of ``pair`` stand? Answered with a `Depth`; where it
    comes as a message and not as a request, with a `Snapshot`. An unknown pair is a
    `BacktestError` to who requests."""

    pair: str
    levels: int = 1
    """How many levels a side; 0: all."""


class Snapshot(NamedTuple):
    """To a strategy: the answer to a `ReadDepth` that was sent without waiting."""

    depth: Depth


class Welcome(NamedTuple):
    """What a strategy knows before its first message."""

    pairs: Mapping[str, TradingPair]
    accounts: tuple[tuple[UUID, str], ...]
    """Its accounts, the default one first: id and name."""
    balances: Balances
    agent_id: UUID
    broker_id: UUID
    run_id: UUID
    rules: Mapping[str, TradingRules]
    """The trading rules of each pair."""
    cross: Mapping[UUID, CrossAccount]
    """Those of its accounts that have cross margin."""
    publishes: bool = False
    """Whether market data comes to subscribers only; else all of it comes to everybody."""
    netting: Collection[UUID] = ()
    """The ids of those of its accounts that have one position in a pair."""
    cash: str = ""
    """The asset in which the run is valued."""


class BalanceUpdate(NamedTuple):
    """To a strategy: another one that shares its account changed the balances."""

    balances: Balances
    opened: Changes = ()
    """For an account with cross margin, or netting, its open positions that changed."""

    @property
    def positions(self) -> tuple[tuple[UUID, TradingOrder | None], ...]:
        """The same, frozen."""
        return _looked_at(self.opened)


class FallDue(NamedTuple):
    """The venue to itself: an order of ``pair`` may have expired."""

    pair: str


class EndOfData(NamedTuple):
    """To the venue: there is no more market data."""
