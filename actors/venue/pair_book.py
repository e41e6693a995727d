"""What the venue knows of one pair: rules and prices, pending orders, open positions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

from attrs import evolve

from backtest.models import (
    Fee,
    FeeStage,
    LeverageKind,
    MarketEvent,
    Quote,
    TradingPair,
    TradingRules,
)
from backtest.money import ONE, ZERO, div, mul, round_up, sub
from backtest.services.cadence import Cadence
from backtest.services.calendars import calendar_of
from backtest.services.fills.walk import Group, PathRules, QueueAhead, Working
from backtest.services.margin.linear import (
    exact_margin,
    liquidation_level,
    margin_basis,
    required_margin,
    worst_price_buy,
    worst_price_sell,
)
from backtest.services.settlement.fees import FeeTable, fee_amount, proportional
from backtest.services.settlement.pool import Pool

from .branch import Branch
from .coverage import Coverage
from .oco import OcoGroup
from .position import Closing, Lot, Piece, Position
from .standing_quote import StandingQuote

__all__ = ["PairBook"]


class PairBook:
    """The venue's state of one pair."""

    __slots__ = (
        "alarm",
        "backs",
        "bar",
        "base",
        "branches",
        "cadences",
        "calendar",
        "charges",
        "charges_create",
        "code",
        "coverage",
        "cross_groups",
        "crossed",
        "day_end",
        "due",
        "eligibility",
        "expiring",
        "fees",
        "fees_cancel",
        "fees_create",
        "fees_filled",
        "fees_more",
        "fees_pending",
        "fills_at_close",
        "groups",
        "has_oco",
        "immediate",
        "is_strict",
        "is_watched",
        "is_watchful",
        "joint_groups",
        "last",
        "last_quote",
        "least_notional",
        "least_volume",
        "left",
        "maintenance",
        "next_funding",
        "next_rollover",
        "one_sided",
        "own_branches",
        "own_positions",
        "pair",
        "path",
        "positions",
        "queue",
        "quote",
        "rules",
        "standing",
        "step",
        "takes_spot",
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
        self.takes_spot = rules.spot_allowed and pair.contract_size == ONE
        """Whether spot orders may be had: what is exchanged is the base itself, not contracts."""
        self.is_strict = bool(self.one_sided or self.least_notional or not self.takes_spot)
        """Whether more than the least volume is asked of plain spot orders."""
        self.fills_at_close = rules.fill_on == "this_close"
        self.maintenance = rules.maintenance
        """What positions must maintain: a rate, or tiers."""
        self.fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), self.step)
        """What fills cost, that open and that close."""
        self.fees_create = rules.fees_at(FeeStage.CREATE)
        self.fees_more = proportional(self.fees_create)
        """What it costs to make an order larger."""
        self.charges_create = bool(self.fees_create) or rules.min_margin is not None
        """Whether the margin of a new order is tested, or anything charged for it."""
        self.fees_cancel = rules.fees_at(FeeStage.CANCEL)
        self.fees_pending = rules.fees_at(FeeStage.OVERNIGHT_PENDING)
        self.fees_filled = rules.fees_at(FeeStage.OVERNIGHT_FILLED)
        self.bar: MarketEvent | None = None
        """The last market event that was matched."""
        self.tick_path = evolve(self.path, slippage_beyond_bar=True)
        """The path rules for quotes and trades, which have no range to stay in."""
        self.last_quote: Quote | None = None
        self.cadences: tuple[Cadence, ...] = (Cadence(),)
        """How the bars of each of its sources follow each other."""
        self.standing = StandingQuote(pair, rules)
        """What new orders meet at once, where the pair is quoted."""
        self.coverage: Coverage | None = None
        """What its sources have told by now; None where nothing asks: there is one, of bars, and
        nothing expires."""
        self.queue = QueueAhead() if rules.queue == "conservative" else None
        """What stands ahead of resting limits on quotes and trades; None: nothing does."""
        self.last: Decimal | None = None
        """The last price: the mark."""
        self.left: tuple[Decimal | None, Decimal | None] = (None, None)
        """Volume that the last bar has left for buys and sells."""
        self.branches: dict[int, Branch] = {}
        """Branches with a pending order, by number: in the order of acceptance."""
        self.positions: dict[Position, None] = {}
        """Open positions, oldest first; one that lives on in part keeps its place."""
        self.own_branches: dict[str, dict[int, Branch]] = {}
        """The same branches by account: with thousands of accounts nobody looks through all."""
        self.own_positions: dict[str, tuple[dict[Position, None], dict[Position, None]]] = {}
        """The same positions by account: its shorts and its longs."""
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
        self.joint_groups: dict[str, list[Group]] = {}
        """By account the groups of those that have such orders pending, and so walk as one."""
        self.is_watched = False
        """Whether there ever were such orders here, or there are accounts with cross margin."""
        self.backs = False
        """Whether an account with cross margin has the base of this pair as collateral."""
        self.next_rollover: int | None = None
        """When the next overnight charge falls due; None before the first bar."""
        self.next_funding: tuple[int, Decimal] | None = None
        """When the next funding falls due, and at what rate; None for never."""
        self.charges = bool(self.fees_pending or self.fees_filled or rules.funding is not None)
        """Whether anything is charged as time passes."""
        self.is_watchful = self.charges
        """Whether a bar may find something due, or finer data that has told of its time: never
        without charges, expiries and such data."""

    def settled_ns(self, due: int) -> int | None:
        """From when on no bar can count any more that opened before ``due``, which is over.

        None where the next bar must say it. What ended since covers all bars that are as long or
        longer; those of finer sources have ended when they can be no longer.
        """
        told = None if self.coverage is None else self.coverage.told_since(due)
        at = due
        for cadence in self.cadences:
            if told is None or (cadence.longest is not None and cadence.longest < told):
                settled = cadence.settled_ns(due)
                if settled is None:
                    return None
                at = max(at, settled)
        return at

    def expect(self, cadences: Iterable[Cadence]) -> None:
        """Its sources of bars are such."""
        self.cadences = tuple(cadences)
        if len(self.cadences) > 1:
            self.cover()

    def cover(self) -> Coverage:
        """What the pair's sources have told, from now on noted."""
        if self.coverage is None:
            self.coverage = Coverage()
            self.is_watchful = True
        return self.coverage

    def meets(self, buy: bool) -> Decimal | None:
        """The price at which an order would meet the market now: of a quote its side of it, else
        the last price; None before there was one.

        A quote counts until a bar was walked after it, whether or not it still stands.
        """
        quote = self.standing.quote or self.bar
        if type(quote) is not Quote:
            return self.last
        return quote.ask if buy else quote.bid

    def follows(self, buy: bool) -> Decimal | None:
        """The price that a trailing stop follows, as it is now; None before there was one."""
        return self.meets(buy)

    def worst_price(
        self, buy: bool, limit: Decimal | None, stop: Decimal | None, now: Decimal | None
    ) -> Decimal:
        """The price that an order reserves for which would meet the market at ``now``."""
        worst = worst_price_buy if buy else worst_price_sell
        return worst(limit, stop, now, self.rules.market_buffer, self.pair)

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

    def opposite(self, account: str, long: bool, volume: Decimal) -> list[Piece]:
        """What an order of that side closes of them with ``volume``: the oldest first."""
        found: list[Piece] = []
        for position in self.facing(account, long):
            if volume <= ZERO:
                break
            found += position.pieces(volume)
            volume = sub(volume, position.pool.volume)
        return found

    def fee(
        self, fees: tuple[Fee, ...], volume: Decimal, price: Decimal, margin: Decimal
    ) -> Decimal:
        """What one charge of ``fees``, those of a stage at which nothing fills, comes to for
        ``volume`` at ``price``."""
        if not fees:
            return ZERO
        worth = self.pair.worth(volume, price)
        return fee_amount(fees, volume=volume, worth=worth, margin=margin, step=self.step)

    def margin(self, volume: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """The margin of ``volume`` contracts at ``price``."""
        return required_margin(
            self.rules,
            volume=volume,
            price=price,
            contract_size=self.pair.contract_size,
            leverage=leverage,
            step=self.step,
        )

    def exact_margin(self, volume: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """The same unrounded."""
        return exact_margin(
            self.rules,
            volume=volume,
            price=price,
            contract_size=self.pair.contract_size,
            leverage=leverage,
        )

    def margin_basis(self, volume: Decimal, price: Decimal) -> Decimal:
        """What the margin of ``volume`` contracts at ``price`` is worked out from: their worth, or
        where it is flat per volume, itself. Exact, and so good for sums."""
        return margin_basis(self.rules, self.pair.worth(volume, price), volume)

    def margin_on(self, basis: Decimal, leverage: Decimal) -> Decimal:
        """The margin that comes of such a sum."""
        if leverage != ONE and self.rules.leverage_kind is LeverageKind.MULTIPLIER:
            basis = div(basis, leverage)
        return round_up(basis, self.step)

    def can_liquidate(self, long: bool, leverage: Decimal) -> bool:
        """Whether a position could be liquidated: a fully paid long without maintenance cannot."""
        rules = self.rules
        paid = leverage == 1 and rules.leverage_kind is not LeverageKind.FLAT_MARGIN_PER_VOLUME
        kept = rules.maintenance_rate or rules.maintenance_tiers is not None
        return not (long and paid and not kept)

    def pnl(self, position: Position, price: Decimal) -> Decimal:
        """What a position has won or lost at ``price``, not rounded."""
        pool = position.pool
        worth = self.pair.worth(pool.volume, price)
        return sub(worth, pool.cost) if position.long else sub(pool.cost, worth)

    def liquidation(self, long: bool, pool: Pool) -> Decimal | None:
        """The price at which a position is liquidated; None for never."""
        size = mul(pool.volume, self.pair.contract_size)
        return liquidation_level(
            long, pool.cost, size, pool.margin, self.maintenance, self.pair.price_increment
        )

    def all_groups(self) -> list[Group]:
        """The groups on this pair: orders, then positions, each in the order of acceptance."""
        if self.groups is None:
            for branch in self.branches.values():
                self._join_lot(branch)
            if self.has_oco:
                self.groups = self._order_groups()
            else:
                self.groups = [branch.group for branch in self.branches.values()]
            self.groups += [
                position.group for position in self.positions if not _is_pending(position)
            ]
            if self.is_watched:
                own, crossed = self.groups, self.crossed
                self.cross_groups = [one for one in own if _account(one) in crossed]
                self.groups = self._join([one for one in own if _account(one) not in crossed])
        return self.groups

    def group_of(self, key: Branch | Closing) -> Group:
        """The group in which an order walks, or what closes a position."""
        self.all_groups()
        if type(key) is not Closing:
            return key.group  # type: ignore[union-attr]
        return self.walks_in(key.lot.position)

    def walks_in(self, position: Position) -> Group:
        """The group in which a position walks."""
        return position.lots[0].branch.group if _is_pending(position) else position.group

    def _join_lot(self, branch: Branch) -> None:
        """What an order has opened so far walks with it, where that is all of a position."""
        if branch.part is None and not branch.nets:
            lot = None if branch.oco is not None else branch.lot
            branch.group.parts = [] if lot is None else [lot.part]

    def _join(self, groups: list[Group]) -> list[Group]:
        """Take those groups out which walk as one: what an account has beside an order of its own
        that closes the other side, but for spot, or in a position of several lots; what is
        left."""
        joint: dict[str, list[Group]] = {}
        if not self.path.in_queue_order:
            joint = {branch.account: [] for branch in self.branches.values() if branch.nets}
            joint |= {one.account: [] for one in self.positions if len(one.lots) > 1}
        alone: list[Group] = []
        for group in groups:
            own = None if _is_spot(group) else joint.get(_account(group))
            (alone if own is None else own).append(group)
        self.joint_groups = {
            name: own
            for name, own in joint.items()
            if len(own) > 1 or (own and len(own[0].parts) > 1)
        }
        for name, own in joint.items():
            if name not in self.joint_groups:
                alone += own
        return alone

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
    return _branch(group.partners[0] if group.partners else group).account


def _is_spot(group: Group) -> bool:
    """Whether there is nothing but spot in a group."""
    return all(_branch(one).spot for one in group.partners or (group,))


def _branch(group: Group) -> Branch:
    key = group.parts[0].key if group.entry is None else group.entry.key
    if type(key) is Closing:
        key = key.lot
    branch: Branch = key.branch if type(key) is Lot else key
    return branch


def _is_pending(position: Position) -> bool:
    """Whether the order that opened it is pending still, and it walks with that: not where that
    walks with one-cancels-other partners."""
    branch = position.lots[0].branch
    return branch.order is not None and not branch.nets and branch.oco is None
