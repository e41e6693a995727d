"""What is pending and open of one pair, and whose it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from backtest.models import TradingPair, TradingRules
from backtest.money import ZERO, sub
from backtest.services.fills.walk import Group, Working

from .branch import Branch
from .instrument import Instrument
from .position import Piece, Position

__all__ = ["Listing", "walks_with_order"]

_NEITHER: tuple[dict[Position, None], dict[Position, None]] = ({}, {})


class Listing(Instrument):
    """The orders and positions on an instrument, in the order in which they came."""

    __slots__ = (
        "branches",
        "cross_groups",
        "crossed",
        "groups",
        "has_oco",
        "immediate",
        "is_watched",
        "joint_groups",
        "listed",
        "own_branches",
        "own_positions",
        "positions",
        "waiting",
    )

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        super().__init__(pair, rules)
        self.branches: dict[int, Branch] = {}
        """Branches with a pending order, by number: in the order of acceptance."""
        self.positions: dict[Position, None] = {}
        """Open positions, oldest first; one that lives on in part keeps its place."""
        self.own_branches: dict[str, dict[int, Branch]] = {}
        """The same branches by account: with thousands of accounts nobody looks through all."""
        self.own_positions: dict[str, tuple[dict[Position, None], dict[Position, None]]] = {}
        """The same positions by account: its shorts and its longs."""
        self.listed = 0
        """How many positions there ever were."""
        self.has_oco = False
        """Whether there ever was an order here with one-cancels-other partners."""
        self.groups: list[Group] | None = None
        """What walks the next bar; None when it must be listed anew."""
        self.waiting: list[tuple[int, Working]] = []
        """When they were accepted, and the orders since which no bar has opened yet."""
        self.immediate: list[tuple[int, Working]] = []
        """Orders that must fill on the bar at hand or be cancelled, with their places in the queue:
        one that has another place by then was accepted anew."""
        self.crossed: frozenset[str] = frozenset()
        """The names of the accounts with cross margin."""
        self.cross_groups: list[Group] = []
        """Their groups, which walk the next bar account by account."""
        self.joint_groups: dict[str, list[Group]] = {}
        """By account the groups of those that have such orders pending, and so walk as one."""
        self.is_watched = False
        """Whether there ever were such orders here, or there are accounts with cross margin."""

    def list_order(self, branch: Branch) -> None:
        """Something of ``branch`` is pending, last in the order of acceptance."""
        number, account = branch.number, branch.account
        self.branches[number] = branch
        own = self.own_branches.get(account)
        if own is None:
            own = self.own_branches[account] = {}
        own[number] = branch
        self.groups = None

    def unlist_order(self, branch: Branch) -> None:
        """Nothing of ``branch`` is pending any more, if there was."""
        if self.branches.pop(branch.number, None) is not None:
            del self.own_branches[branch.account][branch.number]
            self.groups = None

    def list_position(self, position: Position) -> None:
        """A position was opened."""
        self.listed += 1
        position.number = self.listed
        self.positions[position] = None
        own = self.own_positions.get(position.account)
        if own is None:
            own = self.own_positions[position.account] = ({}, {})
        own[position.long][position] = None
        self.groups = None

    def unlist_position(self, position: Position) -> None:
        """A position is closed, or has been replaced."""
        del self.positions[position]
        del self.own_positions[position.account][position.long][position]
        self.groups = None

    def position_of(self, account: str, long: bool) -> Position | None:
        """The position of a netting account on a side."""
        return next(iter(self.facing(account, not long)), None)

    def facing(self, account: str, long: bool) -> Collection[Position]:
        """The positions of ``account`` on the other side than ``long``, oldest first, as they are
        now: for who only looks at them."""
        own = self.own_positions.get(account)
        return () if own is None else own[not long]

    def held(self, account: str) -> Sequence[Position]:
        """All positions of ``account``, oldest first."""
        shorts, longs = self.own_positions.get(account, _NEITHER)
        if not (shorts and longs):
            return [*shorts, *longs]
        return sorted((*shorts, *longs), key=lambda one: one.number)

    def opposite(self, account: str, long: bool, volume: Decimal) -> list[Piece]:
        """What an order of that side closes of them with ``volume``: the oldest first."""
        found: list[Piece] = []
        for position in self.facing(account, long):
            if volume <= ZERO:
                break
            found += position.pieces(volume)
            volume = sub(volume, position.pool.volume)
        return found

    def walks_in(self, position: Position) -> Group:
        """The group in which a position walks."""
        return position.lots[0].branch.group if walks_with_order(position) else position.group


def walks_with_order(position: Position) -> bool:
    """Whether the order that opened it is pending still, and it walks with that: not where that
    walks with one-cancels-other partners."""
    branch = position.lots[0].branch
    return branch.order is not None and not branch.nets and branch.oco is None
