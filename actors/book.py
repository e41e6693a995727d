"""What the venue knows of one pair: rules and prices, pending orders, open positions."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from uuid import UUID

from attrs import evolve

from backtest.models import (
    Agent,
    FeeStage,
    MarketEvent,
    Quote,
    SpotOrder,
    TradingOrder,
    TradingPair,
    TradingRules,
)
from backtest.money import ZERO
from backtest.services.calendars import calendar_of
from backtest.services.fills import Group, OpenPart, PathRules, QueueAhead, Terms, Working
from backtest.services.time_in_force import settled_ns

from .channel import Channel
from .coverage import Coverage
from .oco import OcoGroup

__all__ = ["Branch", "Closing", "Desk", "Holding", "PairBook"]


class Desk:
    """One agent at the venue: who it is, where its messages go, which accounts are its own."""

    __slots__ = (
        "account_ids",
        "accounts",
        "agent",
        "channel",
        "name",
        "newest",
        "request",
        "seen",
        "skipped",
    )

    def __init__(
        self, name: str, agent: Agent, accounts: dict[UUID, str], channel: Channel
    ) -> None:
        self.name = name
        self.agent = agent
        self.accounts = accounts
        """Account ids to names, the default account first."""
        self.account_ids = {account: account_id for account_id, account in accounts.items()}
        self.channel = channel
        self.request = f"asked for by {name}"
        """Why something was cancelled that its owner cancelled."""
        self.newest = 0
        """The highest number of a command so far."""
        self.skipped: list[tuple[int, int]] = []
        """Ranges of lower numbers that have not come."""
        self.seen: set[Hashable] = set()
        """Ids of commands that are no numbers."""

    def is_new(self, command: int) -> bool:
        """Whether ``command``, a positive number, comes for the first time; from now on it does
        not. Numbers rise but for what a line delays or repeats, so few need to be remembered."""
        newest = self.newest
        if command > newest:
            if command > newest + 1:
                self.skipped.append((newest + 1, command - 1))
            self.newest = command
            return True
        for place, (first, last) in enumerate(self.skipped):
            if first <= command <= last:
                parts = ((first, command - 1), (command + 1, last))
                self.skipped[place : place + 1] = [one for one in parts if one[0] <= one[1]]
                return True
        return False

    def is_new_id(self, command: Hashable) -> bool:
        """The same for an id that is no positive number."""
        if command in self.seen:
            return False
        self.seen.add(command)
        return True


class Branch:
    """A live line of orders under one id: an order, leaves of its fills, modified children."""

    __slots__ = (
        "accepted",
        "account",
        "asset",
        "book",
        "closing",
        "desk",
        "expires",
        "group",
        "holdings",
        "id",
        "leverage",
        "nets",
        "number",
        "oco",
        "oco_member",
        "offset",
        "order",
        "paid_flat",
        "part",
        "reduces",
        "spot",
        "taker",
        "terms",
        "total_filled",
        "working",
        "worst",
    )

    def __init__(
        self,
        branch_id: UUID,
        desk: Desk,
        account: str,
        book: PairBook,
        spot: bool,
        leverage: Decimal,
    ) -> None:
        self.number = 0
        """Its number at the venue, from 1; 0 until it is accepted."""
        self.id = branch_id
        self.desk = desk
        self.account = account
        self.book = book
        self.spot = spot
        self.leverage = leverage
        self.order: SpotOrder | TradingOrder | None = None
        """What is pending; None when nothing is."""
        self.accepted = 0
        """When the venue accepted it, in nanoseconds."""
        self.asset: str
        """The asset in which its reserve is held."""
        self.worst: Decimal
        """The price for which it reserves."""
        self.taker = True
        """Whether the fill fee in its reserve is a taker's."""
        self.paid_flat = False
        """Whether it had its first fill, with which flat fees are charged."""
        self.terms: Terms | None = None
        """What it asks of the walk beside kind, price and volume; None for nothing."""
        self.expires: int | None = None
        """When it expires, in nanoseconds; None for never."""
        self.total_filled = ZERO
        self.oco: OcoGroup | None = None
        """Its one-cancels-other group, which it has left when nothing of it is pending."""
        self.oco_member = 0
        self.nets = False
        """Whether it closes what is open on the other side before it opens anything."""
        self.reduces = False
        """Whether it opens nothing at all (reduce-only)."""
        self.offset = ZERO
        """How much of its order reserves nothing, since it is to close what is open already."""
        self.closing: Closing | None = None
        """As what it closes the other side, once it has."""
        self.working: Working
        self.group: Group
        self.part: OpenPart | None = None
        """What the exit of a spot bracket sells: its legs are the exits of this part, and its
        ``working`` is one of them. None for all other orders."""
        self.holdings: list[Holding] = []
        """Its open positions, oldest first."""

    def resize(self, volume: Decimal) -> None:
        """``volume`` is what is left of its order now."""
        self.working.volume = volume
        if self.part is not None:
            self.part.volume = volume
            for leg in self.part.exits:
                leg.volume = volume


class Closing:
    """An order to close a position: explicit, stop-loss, take-profit or liquidation."""

    __slots__ = ("command", "holding", "id", "kind", "paid_flat", "working")

    def __init__(self, closing_id: UUID, kind: str, holding: Holding) -> None:
        self.id = closing_id
        self.kind = kind
        """``close``, ``stop_loss``, ``take_profit`` or ``liquidation``; ``netting`` for an order
        of the other side."""
        self.holding = holding
        self.paid_flat = False
        self.command = 0
        """The owner's command that asked for it; 0 for none."""
        self.working: Working = None  # type: ignore[assignment]


class Holding:
    """One open position (hedging: every filled part is one), with what may close it."""

    __slots__ = ("branch", "closings", "group", "order", "part", "since")

    def __init__(self, branch: Branch, order: TradingOrder, part: OpenPart) -> None:
        self.branch = branch
        self.order = order
        self.part = part
        self.closings: list[Closing] = []
        self.since = 0
        """The earliest moment at which it can have been opened, in nanoseconds."""
        self.group = Group(entry=None, parts=[part])

    def closing(self, kind: str) -> Closing | None:
        """Its stop-loss, take-profit or liquidation, if it has one."""
        for closing in self.closings:
            if closing.kind == kind:
                return closing
        return None

    def put(self, closing: Closing, working: Working) -> None:
        """Let ``working`` act on the position."""
        closing.working = working
        self.closings.append(closing)
        self.part.exits.append(working)

    def take(self, closing: Closing) -> None:
        """Let it act no more."""
        self.closings.remove(closing)
        self.part.exits.remove(closing.working)


class PairBook:
    """The venue's state of one pair."""

    __slots__ = (
        "alarm",
        "backs",
        "bar",
        "base",
        "branches",
        "calendar",
        "charges",
        "code",
        "coverage",
        "cross_groups",
        "crossed",
        "day_end",
        "due",
        "eligibility",
        "expiring",
        "fees_cancel",
        "fees_close",
        "fees_create",
        "fees_fill",
        "fees_filled",
        "fees_pending",
        "fills_at_close",
        "groups",
        "has_oco",
        "holdings",
        "immediate",
        "last",
        "last_quote",
        "least_notional",
        "least_volume",
        "left",
        "maintenance",
        "next_funding",
        "next_rollover",
        "one_sided",
        "pair",
        "path",
        "queue",
        "quote",
        "rules",
        "step",
        "tick_path",
        "volume_policy",
        "waiting",
    )

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        self.code = pair.code
        self.pair = pair
        self.rules = rules
        self.path = PathRules.of(rules, pair)
        own = rules.fills
        self.eligibility = None if own is None else own.eligibility
        self.volume_policy = None if own is None else own.volume
        self.base, self.quote = pair.base.code, pair.quote.code
        self.step = pair.quote.step
        """The smallest amount of the quote asset, in which fees, margin and PnL are paid."""
        self.least_volume = pair.least_volume if rules.min_volume is None else rules.min_volume
        self.least_notional = (
            pair.min_notional if rules.min_notional is None else rules.min_notional
        )
        self.one_sided = len(rules.allowed_directions) < 2
        self.fills_at_close = rules.fill_on == "this_close"
        self.maintenance = rules.maintenance
        """What positions must maintain: a rate, or tiers."""
        self.fees_create = rules.fees_at(FeeStage.CREATE)
        self.fees_fill = rules.fees_at(FeeStage.FILL)
        self.fees_close = rules.fees_at(FeeStage.CLOSE)
        self.fees_cancel = rules.fees_at(FeeStage.CANCEL)
        self.fees_pending = rules.fees_at(FeeStage.OVERNIGHT_PENDING)
        self.fees_filled = rules.fees_at(FeeStage.OVERNIGHT_FILLED)
        self.bar: MarketEvent | None = None
        """The last market event that was matched."""
        self.tick_path = evolve(self.path, slippage_beyond_bar=True)
        """The path rules for quotes and trades, which have no range to stay in."""
        self.last_quote: Quote | None = None
        self.coverage: Coverage | None = None
        """What of coarser bars finer data has told; None where there is one source of bars."""
        self.queue = QueueAhead() if rules.queue == "conservative" else None
        """What stands ahead of resting limits on quotes and trades; None: nothing does."""
        self.last: Decimal | None = None
        """The last price: the mark."""
        self.left: tuple[Decimal | None, Decimal | None] = (None, None)
        """Volume that the last bar has left for buys and sells."""
        self.branches: dict[int, Branch] = {}
        """Branches with a pending order, by number: in the order of acceptance."""
        self.holdings: dict[Holding, None] = {}
        """Open positions, oldest first; one that lives on in part keeps its place."""
        self.has_oco = False
        """Whether there ever was an order here with one-cancels-other partners."""
        self.groups: list[Group] | None = None
        """What walks the next bar; None when it must be listed anew."""
        self.waiting: list[tuple[int, Working]] = []
        """When they were accepted, and the orders since which no bar has opened yet."""
        self.immediate: list[Working] = []
        """Orders that must fill on the bar at hand or be cancelled."""
        self.calendar = calendar_of(rules.calendar)
        self.day_end: Callable[[int], int] = self.calendar.day_end
        """When a ``DAY`` order expires that is sent at a time, both in nanoseconds."""
        self.expiring: list[tuple[int, int, Branch]] = []
        """A heap: when orders expire, the numbers of their branches, the branches."""
        self.due: int | None = None
        """When the first of these expires; None for never."""
        self.alarm: int | None = None
        """When the venue looks at them next if no bar comes before; None for not at all."""
        self.crossed: frozenset[str] = frozenset()
        """The names of the accounts with cross margin."""
        self.cross_groups: list[Group] = []
        """Their groups, which walk the next bar account by account; see `all_groups`."""
        self.backs = False
        """Whether such an account has the base of this pair as collateral."""
        self.next_rollover: int | None = None
        """When the next overnight charge falls due; None before the first bar."""
        self.next_funding: tuple[int, Decimal] | None = None
        """When the next funding falls due, and at what rate; None for never."""
        self.charges = bool(self.fees_pending or self.fees_filled or rules.funding is not None)
        """Whether anything is charged as time passes."""

    def settled_ns(self, due: int) -> int | None:
        """When it is known what a bar can still do for an order that expires at ``due``.

        None before the first bar of the pair, which decides that itself.
        """
        return None if self.bar is None else settled_ns(due, self.bar)

    def meets(self, buy: bool) -> Decimal | None:
        """The price at which an order would meet the market now: of a quote its side of it, else
        the last price; None before there was one."""
        quote = self.last_quote
        if quote is None:
            return self.last
        return quote.ask if buy else quote.bid

    def all_groups(self) -> list[Group]:
        """The groups on this pair: orders, then positions, each in the order of acceptance."""
        if self.groups is None:
            if self.has_oco:
                self.groups = self._order_groups()
            else:
                self.groups = [branch.group for branch in self.branches.values()]
            self.groups += [holding.group for holding in self.holdings]
            if self.crossed:
                own, crossed = self.groups, self.crossed
                self.groups = [one for one in own if _account(one) not in crossed]
                self.cross_groups = [one for one in own if _account(one) in crossed]
        return self.groups

    def groups_of(self, account: str) -> list[Group]:
        """The groups of a cross margin account on this pair."""
        self.all_groups()
        return [one for one in self.cross_groups if _account(one) == account]

    def accounts(self) -> set[str]:
        """The names of the cross margin accounts with orders or positions on this pair."""
        self.all_groups()
        return {_account(one) for one in self.cross_groups}

    def _order_groups(self) -> list[Group]:
        """The groups of orders, where one-cancels-other partners on this pair are one group."""
        together: dict[OcoGroup, list[Group]] = {}
        listed: list[list[Group]] = []
        for branch in self.branches.values():
            oco = branch.oco
            partners = None if oco is None else together.get(oco)
            if partners is not None:
                partners.append(branch.group)
                continue
            own = [branch.group]
            listed.append(own)
            if oco is not None:
                together[oco] = own
        return [one[0] if len(one) == 1 else Group(None, partners=one) for one in listed]


def _account(group: Group) -> str:
    """Whose a group is."""
    if group.partners:
        group = group.partners[0]
    key = group.parts[0].key if group.entry is None else group.entry.key
    if type(key) is Closing:
        key = key.holding
    branch: Branch = key.branch if type(key) is Holding else key
    return branch.account
