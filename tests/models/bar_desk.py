"""New orders of the model on bars: what is refused and why, and what is reserved. See
docs/orders.md."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.models.bar_cross import lost
from tests.models.bar_positions import Position
from tests.models.bar_state import BASE, QUOTE, Order, State
from tests.models.common import Unclear
from tests.models.money import ZERO, Meter, down, on_grid, to_grid, up

__all__ = [
    "PRICES",
    "Refused",
    "afford",
    "bad_prices",
    "counts_as_maker",
    "cover",
    "create",
    "form",
    "level",
    "marketable",
    "only",
    "opposite",
    "reservation",
    "reserve",
    "wrong_side",
]

DAY = 86_400
PRICES = ("limit_price", "stop_price", "stop_loss", "take_profit")
FIELDS = {"limit_price": "limit", "stop_price": "stop", "trail_percent": "percent"}


class Refused(Exception):
    """A command is refused, for this reason."""


def only(reasons: list[str]) -> None:
    """Refuse for the one reason there is; which of several goes first is nobody's rule."""
    found = sorted(set(reasons))
    if len(found) > 1:
        raise Unclear("several reasons to refuse at once")
    if found:
        raise Refused(found[0])


# -- new orders ------------------------------------------------------------------------------------


def create(state: State, verb: str, label: str, given: dict[str, Any]) -> None:
    """A new order is taken, or refused."""
    order = read(state, verb, label, given)
    why = [*form(state, order, given), *sense(state, order)]
    if order.tif == "GTD" and order.expires is not None and order.expires <= state.now:
        why.append("EXPIRED")
    if order.oco is not None:
        for other in state.orders.values():
            if (other.account, other.oco) == (order.account, order.oco) and other.filled:
                raise Unclear("a new member of a group of which one is partly filled")
    only(why)
    fee = state.fixed_fee("create", order.leaves)
    if state.netting and not order.spot and not order.reduce_only:
        cover(state, order)
    reserve(state, order, fee)
    state.purses[order.account].hold(state.asset(order), state.reserve(order))
    state.purses[order.account].get(QUOTE, -fee)
    enter(state, order)


def enter(state: State, order: Order) -> None:
    """``order`` is pending from now on."""
    order.queue, order.since = state.turn(), state.now
    state.orders[order.label] = order
    state.known[order.label] = order


def read(state: State, verb: str, label: str, given: dict[str, Any]) -> Order:
    """The order that a command asks for."""
    number = {name: Decimal(given[name]) for name in given if name in (*PRICES, "trail")}
    spot, side = verb in ("buy", "sell"), 1 if verb in ("buy", "long") else -1
    limit, stop = number.get("limit_price"), number.get("stop_price")
    trail = number.get("trail")
    percent = Decimal(given["trail_percent"]) if "trail_percent" in given else None
    kind = "market" if limit is None else "limit"
    if stop is not None:
        kind = "stop" if limit is None else "stop_limit"
    if trail is not None or percent is not None:
        kind = "trailing"
    stop_loss, take_profit = number.get("stop_loss"), number.get("take_profit")
    if spot and side < 0 and not (stop_loss is None and take_profit is None):
        kind = "exit"
    tif = given.get("time_in_force", "GTD" if "expires" in given else "GTC")
    account = given.get("account", next(iter(state.purses)))
    order = Order(
        label,
        account,
        side,
        spot,
        kind,
        Decimal(given["volume"]),
        f"{account} {given['oco']}" if given.get("oco") else label,
        state.meter("fill"),
        limit,
        stop,
        trail,
        percent,
        stop_loss,
        take_profit,
        Decimal(given.get("leverage", 1)),
        tif,
        given.get("expires"),
        given.get("post_only", False),
        given.get("reduce_only", False),
        given.get("oco"),
    )
    if tif == "DAY":
        order.expires = (state.now // DAY + 1) * DAY
    if order.reduce_only:
        order.entry_fee = state.meter("close")
    if kind == "trailing" and stop is None:
        if state.last is None:
            raise Refused("NO_PRICE_YET")
        order.stop = level(state, order, state.last)
    if kind == "market" and state.last is None:
        raise Refused("NO_PRICE_YET")
    reservation(state, order)
    return order


def level(state: State, order: Order, price: Decimal) -> Decimal:
    """Where a trailing stop stands that begins at ``price``, rounded against the trader."""
    distance = price * order.percent / 100 if order.percent is not None else order.trail
    assert distance is not None
    return to_grid(price + order.side * distance, state.tick, order.side > 0)


def reservation(state: State, order: Order) -> None:
    """The worst price that an order reserves for, and whether as a maker."""
    last, buy = state.last, order.side > 0
    buffered = 1 + state.buffer
    if order.spot and not buy:
        price = order.limit or order.stop or order.take_profit or last
        if order.kind == "exit":
            price = order.take_profit or order.stop_loss
    elif order.limit is not None:
        price = order.limit
    elif order.stop is not None:
        price = order.stop * buffered
    else:
        price = (last or ZERO) * (buffered if buy else 1)
    assert price is not None
    if order.limit is None and (buy or order.stop is not None):
        price = to_grid(price, state.tick, True)
    if not buy and not order.spot and last is not None:
        price = max(price, last)
    order.worst = price
    counts_as_maker(state, order)


def counts_as_maker(state: State, order: Order) -> None:
    """Whether the reserve counts on a maker's fee: unless its limit would trade at once."""
    last = state.last
    order.maker = order.limit is not None and not marketable(order, last)
    if order.kind == "stop_limit" and not order.triggered:
        order.maker = not marketable(order, order.stop)


def marketable(order: Order, price: Decimal | None) -> bool:
    """Whether the limit would trade at once at ``price``."""
    if price is None or order.limit is None:
        return False
    return (order.limit - price) * order.side >= 0


def form(state: State, order: Order, given: dict[str, Any]) -> list[str]:
    """What is wrong with its numbers."""
    why = []
    if not on_grid(order.leaves, state.lot):
        why.append("VOLUME_INCREMENT")
    least = state.case["pair"].get("min_volume")
    if least is not None and order.leaves < Decimal(least):
        why.append("MIN_VOLUME")
    why += bad_prices(state, given)
    if order.leverage < 1 or order.leverage > Decimal(
        state.rules.get("max_leverage", order.leverage)
    ):
        why.append("LEVERAGE")
    worth = order.leaves * order.worst * state.contract
    if order.spot and worth < state.step and not order.of_entry:
        why.append("MIN_NOTIONAL")
    least_worth = Decimal(state.case["pair"].get("min_notional", 0))
    if order.limit is None and least_worth:
        raise Unclear("the price that the least notional of an order without a limit goes by")
    if worth < least_worth:
        why.append("MIN_NOTIONAL")
    if order.spot and state.contract != 1:
        why.append("NOT_SUPPORTED")
    return why


def bad_prices(state: State, given: dict[str, Any]) -> list[str]:
    """What is wrong with the prices of a command."""
    prices = [Decimal(given[name]) for name in PRICES if name in given]
    why = ["PRICE_INCREMENT"] if any(not on_grid(one, state.tick) for one in prices) else []
    return why + (["INVALID_PRICE"] if any(one <= 0 for one in prices) else [])


def sense(state: State, order: Order) -> list[str]:
    """What does not go together with the market, or with what is open."""
    why = wrong_side(state, order)
    if order.post_only and order.kind == "limit" and marketable(order, state.last):
        why.append("WOULD_TAKE")
    if order.post_only and order.kind == "stop_limit" and marketable(order, order.stop):
        raise Unclear("when a post-only stop-limit on the far side of its stop is refused")
    if order.reduce_only and not opposite(state, order):
        why.append("REDUCE_ONLY")
    return why


def wrong_side(state: State, order: Order) -> list[str]:
    """A protection on the wrong side of the limit, the stop, or the last price."""
    if order.stop_loss is None and order.take_profit is None:
        return []
    mark = order.limit or order.stop or state.last
    if mark is None:
        raise Refused("NO_PRICE_YET")
    side = -order.side if order.kind == "exit" else order.side
    low, high = order.stop_loss, order.take_profit
    bad = (low is not None and (mark - low) * side <= 0) or (
        high is not None and (high - mark) * side <= 0
    )
    return ["PROTECTION_SIDE"] if bad else []


def opposite(state: State, order: Order) -> list[Position]:
    """What is open on the other side, oldest first."""
    return [
        one for one in state.positions if one.account == order.account and one.side == -order.side
    ]


def reserve(state: State, order: Order, fee: Decimal, had: Decimal = ZERO) -> None:
    """Refuse what the account cannot reserve; of a reversal, what it could not with what closes."""
    if not order.covered:
        afford(state, order, fee, had)
        return
    whole, money = state.reserve(order), state.purses[order.account].free[QUOTE] - fee + had
    if money < 0:
        raise Refused("INSUFFICIENT_FUNDS")
    if whole > money:
        money_then = [money + freed for freed in frees(state, order)]
        if all(whole > one for one in money_then):
            raise Refused("INSUFFICIENT_FUNDS")
        if any(whole > one for one in money_then):
            raise Unclear("a reversal that can be paid for by one reading, and not by the other")
        order.short = whole - money


def cover(state: State, order: Order) -> None:
    """How much of ``order`` closes what is open, and is claimed by no earlier order."""
    there = sum((one.volume for one in opposite(state, order)), ZERO)
    others = [
        one
        for one in state.orders.values()
        if (one.account, one.side) == (order.account, order.side) and one is not order
    ]
    found = set()
    for claims in (
        [one.leaves if one.reduce_only else one.covered for one in others],
        [one.leaves for one in others],
    ):
        found.add(min(order.leaves, max(there - sum(claims, ZERO), ZERO)))
    if len(found) > 1:
        raise Unclear("whether orders that have reserved for all of their volume claim any")
    order.covered = found.pop()
    if order.covered and any(lot.closes for lot in state.lots.values()):
        raise Unclear("whether pending closes claim what an order is to close")
    if order.close_fee is None:
        same = order.entry_fee.fee == state.meter("close").fee
        order.close_fee = order.entry_fee if same else state.meter("close")


def frees(state: State, order: Order) -> list[Decimal]:
    """What a reversal frees at the last mark: margin and PnL less the fee, which is reckoned as
    that of the close alone, and as what the close adds to that of the order."""
    (position,), mark = opposite(state, order), state.last
    assert mark is not None
    assert order.close_fee is not None
    if order.covered < position.volume:
        raise Unclear("what a reversal frees of a position that an earlier order claims in part")
    worth = position.volume * mark * state.contract
    gain = (Fraction(worth) - position.cost) * position.side
    whole = down(position.exact + gain, state.places) - position.posted + position.margin
    alone = Meter(order.close_fee.fee, state.places).owed(position.volume, worth, False)
    both = [whole - alone]
    if order.close_fee is order.entry_fee:
        size = order.leaves - order.covered
        opens = size * order.worst * state.contract
        meter = order.entry_fee
        total = meter.owed(position.volume + size, worth + opens, order.maker)
        both.append(whole - total + meter.owed(size, opens, order.maker))
    if Fraction(position.margin) + gain < 0:
        both += [-alone]
    if Fraction(down(position.exact + gain, state.places)) == position.exact + gain:
        return both
    return [*both, *(one + state.step for one in both)]


def afford(state: State, order: Order, fee: Decimal, had: Decimal = ZERO) -> None:
    """Refuse what the account cannot reserve (beyond what it ``had``) and pay ``fee`` for."""
    free = dict(state.purses[order.account].free)
    if state.cross and state.last is not None:
        free[QUOTE] -= up(lost(state, order.account, state.last), state.places)
    need, asset = state.reserve(order) - had, state.asset(order)
    if asset == QUOTE:
        need += fee
    elif fee > free[QUOTE]:
        raise Refused("INSUFFICIENT_FUNDS")
    if need > free.get(asset, ZERO):
        raise Refused("INSUFFICIENT_FUNDS")
    if asset == BASE:
        worth = order.leaves * order.worst
        charged = order.entry_fee.owed(order.leaves, worth, order.maker)
        if charged > down(worth, state.places) + free[QUOTE] - fee:
            raise Refused("INSUFFICIENT_FUNDS")
