"""What fills come to: how much is exchanged, charged, held, kept in reserve; for both venues.

Rounding gives nothing away. What an order has exchanged so far is worked out exactly and rounded
once, a buy's up and a sell's down; a fill posts that less what was posted before. The margin of
what it has opened is worked out likewise and rounded up; fees see `.fees`, closes see `.pool`. So
no sequence of fills gains by rounding, and an order that is filled has paid what one fill would
have.

All of it is pure: a plan says what a fill would come to, and is carried out or made anew for less.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from backtest.money import ZERO, add, div, mul, round_down, round_up, sub
from backtest.services.settlement.fees import FeeSums, FeeTable

__all__ = [
    "NOTHING",
    "Opening",
    "Spot",
    "Sums",
    "Tally",
    "buy_reserve",
    "close_fee",
    "is_dust",
    "most_for",
    "opened",
    "opening_reserve",
    "spot_bought",
    "spot_sold",
]


class Sums(NamedTuple):
    """What an order has exchanged and been charged so far."""

    worth: Decimal
    """What its spot fills were worth, exactly; of a trading order what the margin of all that it
    has opened is worked out from."""
    posted: Decimal
    """What was posted of that: what changed hands, or the margin."""
    fees: FeeSums
    charged: Decimal


NOTHING = Sums(ZERO, ZERO, (), ZERO)
"""An order of which nothing has filled."""


class Tally:
    """The sums of one order, which whoever counts as that order has in common: the closes of all
    its positions by one command, their protections, the exits of a spot bracket."""

    __slots__ = ("closed", "sums")

    def __init__(self) -> None:
        self.sums = NOTHING
        self.closed = ZERO
        """What a close by command has closed so far."""

    def pay(self, fee: Decimal) -> None:
        """So much more was charged."""
        self.sums = self.sums._replace(charged=add(self.sums.charged, fee))


class Spot(NamedTuple):
    """What a fill of a spot order comes to."""

    volume: Decimal
    amount: Decimal
    """What of the quote changes hands."""
    fee: Decimal
    kept: Decimal
    """What stays in reserve for the leaves."""
    sums: Sums
    """Those of the order after it."""
    uncovered: Decimal = ZERO
    """What of the fee the insurance account bears."""


class Opening(NamedTuple):
    """What a fill that opens a position comes to."""

    volume: Decimal
    margin: Decimal
    fee: Decimal
    kept: Decimal
    sums: Sums


# -- reserves --------------------------------------------------------------------------------------


def buy_reserve(
    sums: Sums, leaves: Decimal, worst: Decimal, maker: bool, fees: FeeTable
) -> Decimal:
    """What a spot buy needs in reserve for ``leaves``, so that no fill at ``worst`` or better needs
    more than its share: all that it then has exchanged, rounded up, less what was posted, and the
    fees on all that, the unpaid minimum among them, less those charged."""
    worth = mul(leaves, worst)
    held = round_up(add(sums.worth, worth) if sums.worth else worth, fees.step)
    if sums.posted:
        held = sub(held, sums.posted)
    return _with_fee(held, sums, leaves, worth, ZERO, maker, fees)


def opening_reserve(
    sums: Sums,
    leaves: Decimal,
    margin: Decimal,
    worth: Decimal,
    exact_margin: Decimal,
    maker: bool,
    fees: FeeTable,
) -> Decimal:
    """What a trading order needs in reserve for ``leaves``: the ``margin`` of all that it has then
    opened, less what was posted, and the fees on them, which are ``worth`` so much at the price it
    reserves for."""
    held = sub(margin, sums.posted) if sums.posted else margin
    return _with_fee(held, sums, leaves, worth, exact_margin, maker, fees)


def _with_fee(
    held: Decimal,
    sums: Sums,
    leaves: Decimal,
    worth: Decimal,
    margin: Decimal,
    maker: bool,
    fees: FeeTable,
) -> Decimal:
    if fees.charges(False):
        due = fees.due(fees.added(sums.fees, False, leaves, worth, margin, maker))
        held = add(held, sub(due, sums.charged) if sums.charged else due)
    return held if held > ZERO else ZERO


# -- spot ------------------------------------------------------------------------------------------


def spot_bought(
    sums: Sums,
    wanted: Decimal,
    price: Decimal,
    maker: bool,
    fees: FeeTable,
    money: Decimal,
    keeps: Callable[[Decimal, Sums], Decimal],
    increment: Decimal,
    whole: bool,
) -> Spot:
    """Buy as much of ``wanted`` as ``money`` pays for: the order's reserve and what is available.

    ``keeps`` says what the leaves reserve after a fill of so much, with these sums. First the fill
    takes its share of the reserve and what is available, then the reserve of the leaves; beyond
    that it fills as far as the money goes, in steps of ``increment``, and not at all where it must
    be ``whole``.
    """

    def priced(volume: Decimal) -> Spot:
        worth = mul(volume, price)
        exact = add(sums.worth, worth)
        posted = round_up(exact, fees.step)
        raw = fees.added(sums.fees, False, volume, worth, ZERO, maker)
        charged = fees.due(raw)
        after = Sums(exact, posted, raw, charged)
        return Spot(volume, sub(posted, sums.posted), sub(charged, sums.charged), ZERO, after, ZERO)

    def cost(volume: Decimal) -> Decimal:
        plan = priced(volume)
        return add(plan.amount, plan.fee)

    plan = priced(wanted)
    needed = add(plan.amount, plan.fee)
    kept = keeps(wanted, plan.sums)
    if add(needed, kept) > money:
        if needed > money:
            volume = ZERO if whole else most_for(cost, wanted, money, increment)
            if not volume:
                return Spot(ZERO, ZERO, ZERO, ZERO, sums)
            plan = priced(volume)
            needed = add(plan.amount, plan.fee)
            kept = keeps(volume, plan.sums)
        kept = min(kept, sub(money, needed))
    return plan._replace(kept=kept) if kept else plan


def spot_sold(
    sums: Sums,
    volume: Decimal,
    price: Decimal,
    maker: bool,
    fees: FeeTable,
    free: Decimal,
    leaves: Decimal,
) -> Spot:
    """Sell ``volume`` of ``leaves`` for an account with ``free`` available.

    A fee that proceeds and available cannot pay stays due, for the next fill to pay; the last fill
    leaves it to the insurance account.
    """
    worth = mul(volume, price)
    exact = add(sums.worth, worth)
    posted = round_down(exact, fees.step)
    amount = sub(posted, sums.posted)
    raw = fees.added(sums.fees, False, volume, worth, ZERO, maker)
    charged = fees.due(raw)
    fee, uncovered = sub(charged, sums.charged), ZERO
    if fee > ZERO:
        there = add(amount, free)
        if fee > there:
            if volume == leaves:
                uncovered = sub(fee, there)
            else:
                fee = there
                charged = add(sums.charged, fee)
    after = Sums(exact, posted, raw, charged)
    return Spot(volume, amount, fee, sub(leaves, volume), after, uncovered)


def is_dust(buy: bool, sums: Sums, leaves: Decimal, price: Decimal, step: Decimal) -> bool:
    """Whether all of a buy is worth less than one ``step`` at ``price``; or whether ``leaves`` of a
    sell can bring no step more than it was paid already."""
    worth = add(sums.worth, mul(leaves, price))
    return (worth if buy else sub(worth, sums.posted)) < step


# -- positions -------------------------------------------------------------------------------------


def opened(
    sums: Sums,
    wanted: Decimal,
    price: Decimal,
    maker: bool,
    fees: FeeTable,
    money: Decimal,
    keeps: Callable[[Decimal, Sums], Decimal],
    margin: Callable[[Decimal, Decimal, Decimal], tuple[Decimal, Decimal]],
    exact_margin: Callable[[Decimal, Decimal], Decimal],
    contract_size: Decimal,
    worst: Decimal | None,
    increment: Decimal,
    whole: bool,
) -> Opening:
    """Open a position with as much of ``wanted`` as ``money`` pays for, likewise.

    ``margin`` says what all that the order has opened needs with a volume more at a price: after
    `Sums.worth` before, that after it and the margin, rounded up; ``exact_margin`` what the volume
    alone needs, not rounded, of which fees may be a share. A better price that needs more margin (a
    sell's, higher) must not cost the fill: where its share and what is available do not pay for
    that, it takes the margin of ``worst``, the price it reserved for.
    """

    def priced(volume: Decimal, at: Decimal) -> Opening:
        basis, held = margin(volume, at, sums.worth)
        fee, after = ZERO, sums
        if fees.charges(False):
            worth = mul(mul(volume, price), contract_size)
            exact = exact_margin(volume, at) if fees.by_margin else ZERO
            fee, after = _charged(sums, False, volume, worth, exact, maker, fees)
        own = sub(held, sums.posted) if sums.posted else held
        return Opening(volume, own, fee, ZERO, Sums(basis, held, after.fees, after.charged))

    def attempt(at: Decimal) -> tuple[Opening, bool]:
        """With the margin of that price; and whether its share and what is available paid."""

        def cost(volume: Decimal) -> Decimal:
            plan = priced(volume, at)
            return add(plan.margin, plan.fee)

        plan = priced(wanted, at)
        needed = add(plan.margin, plan.fee)
        kept = keeps(wanted, plan.sums)
        covered = add(needed, kept) <= money
        if not covered:
            if needed > money:
                volume = ZERO if whole else most_for(cost, wanted, money, increment)
                if not volume:
                    return Opening(ZERO, ZERO, ZERO, ZERO, sums), False
                plan = priced(volume, at)
                needed = add(plan.margin, plan.fee)
                kept = keeps(volume, plan.sums)
            kept = min(kept, sub(money, needed))
        return plan._replace(kept=kept), covered

    plan, covered = attempt(price)
    if not covered and worst is not None and price > worst:
        plan, _ = attempt(worst)
    return plan


def close_fee(
    sums: Sums, volume: Decimal, worth: Decimal, margin: Decimal, maker: bool, fees: FeeTable
) -> tuple[Decimal, Sums]:
    """What a fill that closes costs the order that closes, and the sums of that after it."""
    if not fees.charges(True):
        return ZERO, sums
    return _charged(sums, True, volume, worth, margin, maker, fees)


def _charged(
    sums: Sums,
    closes: bool,
    volume: Decimal,
    worth: Decimal,
    margin: Decimal,
    maker: bool,
    fees: FeeTable,
) -> tuple[Decimal, Sums]:
    raw = fees.added(sums.fees, closes, volume, worth, margin, maker)
    due = fees.due(raw)
    return sub(due, sums.charged), Sums(sums.worth, sums.posted, raw, due)


def most_for(
    cost: Callable[[Decimal], Decimal], wanted: Decimal, money: Decimal, step: Decimal
) -> Decimal:
    """The most that ``money`` pays for below ``wanted``, in steps of ``step``."""
    low, high = 0, int(div(wanted, step))
    while low < high:
        middle = (low + high + 1) // 2
        if cost(mul(Decimal(middle), step)) <= money:
            low = middle
        else:
            high = middle - 1
    return mul(Decimal(low), step)
