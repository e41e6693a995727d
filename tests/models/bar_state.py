"""Orders and money of the model on bars: what they are, what they reserve, what a fill posts. See
docs/orders.md, docs/margin.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.models.bar_cross import cover, levels, margin_called
from tests.models.bar_positions import Brackets, Lot, Position, level_reached, liquidation, settle
from tests.models.common import Case, Unclear
from tests.models.money import ZERO, Meter, Purse, down, fee_of, up

__all__ = ["Order", "State", "Sum"]

BASE, QUOTE = "BTC", "USD"


@dataclass(eq=False)
class Sum:
    """What has been exchanged so far, exactly; what was posted for it: its worth, or margin."""

    exact: Decimal = ZERO
    posted: Decimal = ZERO


@dataclass(eq=False)
class Order:
    """One branch: an order and all that partial fills and modifications make of it. An order to
    close, or to protect (of the kind ``exit``, with a stop and a target), has the lot it is for."""

    label: str
    account: str
    side: int
    spot: bool
    kind: str
    leaves: Decimal
    group: str
    entry_fee: Meter
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    percent: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    leverage: Decimal = Decimal(1)
    tif: str = "GTC"
    expires: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    oco: str | None = None
    partner: str = ""
    """Of the part of a split: of which order, for they are one partner of its group."""
    lot: Lot | None = None
    called: Position | None = None
    """Of a liquidation: what it closes."""
    of_entry: bool = False
    """An exit that a bracket made: part of its entry, it pays for fills alone."""
    worst: Decimal = ZERO
    maker: bool = False
    """Whether its reserve counts on a maker's fee."""
    queue: int = 0
    since: int = 0
    fresh: bool = True
    """It has met no price yet."""
    triggered: bool = False
    filled: Decimal = ZERO
    reason: str | None = None
    sum: Sum = field(default_factory=Sum)
    opened: Lot | None = None
    """What its fills have opened."""
    close_fee: Meter | None = None
    """On a netting account: what it pays for what it closes."""
    covered: Decimal = ZERO
    """On a netting account: how much of it is to close what is open, and reserves nothing."""
    short: Decimal = ZERO
    """On a netting account: what its reserve lacks, to be paid from what it frees."""
    exits: int = 0
    """How many exits its fills have made."""
    exits_as_one: tuple[Sum, Meter] | None = None
    """What those have exchanged and paid: they count as one order together."""
    start: tuple[int, Decimal] | None = None
    """From where on it takes part in the bar: the rank, and the first price that counts."""
    open_only: bool = False
    tried: set[str] = field(default_factory=set)
    """Which of its conditions have had their turn on this bar."""
    moved: dict[str, int] = field(default_factory=dict)
    """When the stop or the limit of an exit was given anew."""
    places: dict[str, int] = field(default_factory=dict)
    """Its place in the queue since: each of the two has its own."""
    late: set[str] = field(default_factory=set)
    """Which of them that was inside this bar, so that only its close counts for them."""
    had_chance: bool = False


class State:
    """All orders, positions and purses, and what has become of them."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rules = rules = case["rules"]
        pair = case["pair"]
        self.tick, self.lot = Decimal(pair["price"]), Decimal(pair["volume"])
        self.places = pair.get("quote", 8)
        self.step = Decimal(1).scaleb(-self.places)
        self.contract = Decimal(pair.get("contract", 1))
        self.buffer = Decimal(rules.get("market_buffer", "0.05"))
        self.brackets = Brackets(rules)
        self.netting = case.get("netting", False)
        self.cross = case.get("cross", False)
        self.purses = {name: Purse(owned) for name, owned in case["cash"].items()}
        self.calls = [self.call_of("main", side) for side in (-1, 1)] if self.cross else []
        """Of the account, with cross margin: below and above."""
        self.orders: dict[str, Order] = {}
        """Pending orders by label, in the order of their acceptance."""
        self.positions: list[Position] = []
        self.lots: dict[str, Lot] = {}
        """What is open of them, by the labels of the handles."""
        self.known: dict[str, Order | Lot | None] = {}
        """All that ever had a label; None: it was refused."""
        self.closes: dict[str, Order] = {}
        """Orders to close, by their labels."""
        self.ends: dict[str, list[Any]] = {}
        self.fills: list[list[Any]] = []
        self.last: Decimal | None = None
        self.market: Any = None
        """The last bar, with the volume that is left of it."""
        self.shared: set[str] = set()
        """Accounts on which an order that reduces was pending when the bar began."""
        self.now = 0
        self.count = 0

    def turn(self) -> int:
        """The next place in the queue."""
        self.count += 1
        return self.count

    def meter(self, stage: str) -> Meter:
        """A new order's fee of a stage."""
        return Meter(fee_of(self.rules, stage), self.places)

    def fixed_fee(self, stage: str, volume: Decimal) -> Decimal:
        """What being created or cancelled costs."""
        return self.meter(stage).charge(volume, ZERO, False)

    # -- reserves ----------------------------------------------------------------------------------

    def needed(self, order: Order, more: Decimal = ZERO) -> Decimal:
        """The margin (of a spot order: the sum) for what it has exchanged and ``more``."""
        return up((order.sum.exact + more) / order.leverage, self.places)

    def reserve(self, order: Order, leaves: Decimal | None = None) -> Decimal:
        """What is set apart for ``order`` with so many leaves (left out: its own)."""
        leaves = order.leaves if leaves is None else leaves
        if order.lot is not None or order.reduce_only or not leaves:
            return ZERO
        leaves = max(leaves - order.covered, ZERO)
        if not leaves:
            return ZERO
        if order.spot and order.side < 0:
            return leaves
        worth = leaves * order.worst * self.contract
        whole = (
            self.needed(order, worth)
            - order.sum.posted
            + order.entry_fee.owed(leaves, worth, order.maker)
        )
        return max(whole - order.short, ZERO) if order.short else whole

    def asset(self, order: Order) -> str:
        """In what ``order`` reserves."""
        return BASE if order.spot and order.side < 0 else QUOTE

    # -- ends --------------------------------------------------------------------------------------

    def end(
        self, order: Order, reason: str, volume: Decimal | None = None, fee: bool = True
    ) -> None:
        """Cancel ``volume`` of the leaves, all of them if left out."""
        volume = order.leaves if volume is None else volume
        before = self.reserve(order)
        order.leaves -= volume
        purse = self.purses[order.account]
        purse.hold(self.asset(order), self.reserve(order) - before)
        if order.lot is not None:
            if not order.leaves:
                order.lot.closes.remove(order)
            return
        if fee and not order.of_entry:
            cost = self.fixed_fee("cancel", volume)
            self.pay(purse, cost)
        self.ends.setdefault(order.label, []).append([reason, volume])
        order.reason = reason
        if not order.leaves:
            del self.orders[order.label]

    def pay(self, purse: Purse, cost: Decimal) -> None:
        """Take a charge from available, and what that lacks from the insurance."""
        purse.get(QUOTE, -cost)
        if purse.free[QUOTE] < 0:
            purse.insured -= purse.free[QUOTE]
            purse.free[QUOTE] = ZERO

    # -- fills -------------------------------------------------------------------------------------

    def affordable(self, order: Order, volume: Decimal, price: Decimal, maker: bool) -> Decimal:
        """How much of ``volume`` the reserve and what is available can pay for, in whole lots."""
        money = self.reserve(order) + self.purses[order.account].free[QUOTE]
        while volume > 0 and self.cost(order, volume, price, maker) > money:
            volume -= self.lot
        return volume

    def cost(self, order: Order, volume: Decimal, price: Decimal, maker: bool) -> Decimal:
        """What a fill takes: the rounded sum so far less what was posted, and the fee."""
        worth = volume * price * self.contract
        return (
            self.needed(order, worth)
            - order.sum.posted
            + order.entry_fee.owed(volume, worth, maker)
        )

    def take(self, order: Order, volume: Decimal, price: Decimal, maker: bool) -> Decimal:
        """Fill a spot buy, or open a position: the reserve gives its share. The fee."""
        before, purse = self.reserve(order), self.purses[order.account]
        order.sum.exact += volume * price * self.contract
        paid = self.needed(order) - order.sum.posted
        order.sum.posted += paid
        fee = order.entry_fee.charge(volume, volume * price * self.contract, maker)
        order.leaves -= volume
        order.filled += volume
        short = self.reserve(order) + paid + fee - before - purse.free[QUOTE]
        if short > 0:
            self.uncover(order, short)
        purse.hold(QUOTE, self.reserve(order) - before)
        purse.get(QUOTE, -paid - fee)
        if order.spot:
            purse.get(BASE, volume)
        else:
            purse.held[QUOTE] += paid
        return fee

    def uncover(self, order: Order, short: Decimal) -> None:
        """The reserve of the leaves pays for a fill: leaves that it no longer covers end."""
        raise Unclear("leaves that their reserve no longer covers: which of them end")

    def give(self, order: Order, volume: Decimal, price: Decimal, maker: bool) -> Decimal:
        """Fill a spot sell. The fee: what the proceeds and available cannot pay stays due."""
        purse = self.purses[order.account]
        order.sum.exact += volume * price
        got = down(order.sum.exact, self.places) - order.sum.posted
        order.sum.posted += got
        purse.held[BASE] -= volume
        order.leaves -= volume
        order.filled += volume
        fee = order.entry_fee.charge(volume, volume * price, maker)
        purse.get(QUOTE, got)
        if fee > purse.free[QUOTE]:
            unpaid = fee - purse.free[QUOTE]
            if order.leaves:
                order.entry_fee.charged -= unpaid
                fee -= unpaid
            else:
                purse.insured += unpaid
                purse.get(QUOTE, unpaid)
        purse.get(QUOTE, -fee)
        return fee

    def close(
        self,
        position: Position,
        meter: Meter,
        volume: Decimal,
        price: Decimal,
        maker: bool,
        lot: Lot | None = None,
        called: bool = False,
    ) -> tuple[Decimal, Decimal]:
        """Close ``volume`` of a position, or of one lot of it, the fee by ``meter``. The PnL and
        the fee. What is liquidated pays its fee from its margin alone."""
        purse, worth = self.purses[position.account], volume * price * self.contract
        insured, before = purse.insured, purse.free[QUOTE]
        pnl = settle(position, purse, QUOTE, volume, worth, self.places, lot, self.cross)
        if self.cross and purse.insured > insured:
            lack, purse.insured = purse.insured - insured, insured
            cover(self, position, lack)
        got = purse.free[QUOTE] - before
        fee = meter.charge(volume, worth, maker)
        if called and fee > got and not self.cross:
            purse.insured += fee - got
            purse.get(QUOTE, fee - got)
        if position.volume and fee > purse.free[QUOTE]:
            part = min(fee - purse.free[QUOTE], position.margin)
            position.margin -= part
            purse.held[QUOTE] -= part
            purse.get(QUOTE, part)
        if self.cross and fee > purse.free[QUOTE]:
            cover(self, position, fee)
        else:
            self.pay(purse, fee)
        self.sweep(position)
        return pnl, fee

    def sweep(self, position: Position) -> None:
        """Lots without volume are gone, and so is a position without any."""
        for lot in [one for one in self.lots.values() if not one.volume]:
            lot.closes.clear()
            del self.lots[lot.label]
        if not position.volume:
            self.positions.remove(position)

    def liquidation(self, position: Position) -> Decimal | None:
        """The price at which a position is liquidated; None: never."""
        if self.cross:
            return self.nearest(position.account)
        return liquidation(position, self.brackets, self.contract, self.tick)

    def call_of(self, account: str, side: int) -> Order:
        """What waits for the price of a call."""
        fee = self.meter("close")
        return Order("", account, side, False, "call", ZERO, f"account {account}", fee)

    def call_price(self, order: Order) -> Decimal | None:
        """The price at which a position, or an account, is called; None: never."""
        if order.called is not None:
            return self.liquidation(order.called)
        low, high = levels(self, order.account)
        return low if order.side < 0 else high

    def reached(self, position: Position, mark: Decimal) -> bool:
        """Whether a position, or its account, is at its level at ``mark``; not rounded."""
        if self.cross:
            return margin_called(self, position.account, mark)
        return level_reached(position, self.brackets, self.contract, mark)

    def nearest(self, account: str) -> Decimal | None:
        """Of the two prices at which an account is called the one nearer to the last."""
        assert self.last is not None
        low, high = levels(self, account)
        if low is None or high is None:
            return high if low is None else low
        return low if self.last - low <= high - self.last else high
