"""What the venue knows of one pair: its rules and prices, the pending orders, the open positions."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.models import Agent, Bar, Fee, FeeStage, SpotOrder, TradingOrder, TradingPair, TradingRules
from backtest.money import ZERO
from backtest.services.fills import Group, OpenPart, PathRules, Working

from .channel import Channel

__all__ = ["Branch", "Closing", "Desk", "Holding", "PairBook"]


class Desk:
    """One agent at the venue: who it is, where its messages go, which accounts are its own."""

    __slots__ = ("accounts", "agent", "channel", "name")

    def __init__(self, name: str, agent: Agent, accounts: dict[UUID, str], channel: Channel) -> None:
        self.name = name
        self.agent = agent
        self.accounts = accounts
        """Account ids to names, the default account first."""
        self.channel = channel


class Branch:
    """A live line of orders under one id: an order, the leaves of its fills, its modified children."""

    __slots__ = (
        "account",
        "asset",
        "book",
        "desk",
        "group",
        "holdings",
        "id",
        "number",
        "order",
        "paid_flat",
        "spot",
        "taker",
        "total_filled",
        "working",
        "worst",
    )

    def __init__(
        self, number: int, branch_id: UUID, desk: Desk, account: str, book: PairBook, spot: bool
    ) -> None:
        self.number = number
        self.id = branch_id
        self.desk = desk
        self.account = account
        self.book = book
        self.spot = spot
        self.order: SpotOrder | TradingOrder | None = None
        """What is pending; None when nothing is."""
        self.asset = ""
        """The asset in which its reserve is held."""
        self.worst = ZERO
        """The price for which it reserves."""
        self.taker = True
        """Whether the fill fee in its reserve is a taker's."""
        self.paid_flat = False
        """Whether it had its first fill, with which flat fees are charged."""
        self.total_filled = ZERO
        self.working: Working = None  # type: ignore[assignment]
        self.group: Group = None  # type: ignore[assignment]
        self.holdings: list[Holding] = []
        """Its open positions, oldest first."""


class Closing:
    """An order to close a position: explicit, stop-loss, take-profit or liquidation."""

    __slots__ = ("holding", "id", "kind", "paid_flat", "working")

    def __init__(self, closing_id: UUID, kind: str, holding: Holding) -> None:
        self.id = closing_id
        self.kind = kind
        """``close``, ``stop_loss``, ``take_profit`` or ``liquidation``."""
        self.holding = holding
        self.paid_flat = False
        self.working: Working = None  # type: ignore[assignment]


class Holding:
    """One open position (hedging: every filled part is one), with what may close it."""

    __slots__ = ("branch", "closings", "group", "order", "part")

    def __init__(self, branch: Branch, order: TradingOrder, part: OpenPart) -> None:
        self.branch = branch
        self.order = order
        self.part = part
        self.closings: list[Closing] = []
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
        "bar",
        "branches",
        "charges_overnight",
        "code",
        "fees",
        "groups",
        "holdings",
        "last",
        "left",
        "next_rollover",
        "pair",
        "path",
        "rules",
        "waiting",
    )

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        self.code = pair.code
        self.pair = pair
        self.rules = rules
        self.path = PathRules.of(rules, pair)
        self.fees: dict[FeeStage, tuple[Fee, ...]] = {stage: rules.fees_at(stage) for stage in FeeStage}
        self.bar: Bar | None = None
        self.last: Decimal | None = None
        """The last price: the mark."""
        self.left: tuple[Decimal | None, Decimal | None] = (None, None)
        """Volume that the last bar has left for buys and sells."""
        self.branches: dict[int, Branch] = {}
        """Branches with a pending order, by number: in the order of acceptance."""
        self.holdings: dict[UUID, Holding] = {}
        self.groups: list[Group] | None = None
        """What walks the next bar; None when it must be listed anew."""
        self.waiting: list[tuple[int, Working]] = []
        """When they were accepted, and the orders since which no bar has opened yet."""
        self.next_rollover: int | None = None
        self.charges_overnight = bool(
            self.fees[FeeStage.OVERNIGHT_FILLED] or self.fees[FeeStage.OVERNIGHT_PENDING]
        )

    def all_groups(self) -> list[Group]:
        """The groups on this pair: orders first, then positions, each in the order of acceptance."""
        if self.groups is None:
            self.groups = [branch.group for branch in self.branches.values()]
            self.groups += [holding.group for holding in self.holdings.values()]
        return self.groups
