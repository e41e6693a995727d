"""Commands of the model on bars: new orders, and what is done to orders and positions that are
there. See docs/orders.md."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from typing import Any

from tests.models.bar_desk import (
    PRICES,
    Refused,
    bad_prices,
    counts_as_maker,
    cover,
    create,
    form,
    level,
    marketable,
    only,
    reservation,
    reserve,
    wrong_side,
)
from tests.models.bar_positions import Lot, apportion
from tests.models.bar_state import QUOTE, Order, State, Sum
from tests.models.common import Unclear
from tests.models.money import ZERO, Meter, on_grid

__all__ = ["carry_out"]

FIELDS = {"limit_price": "limit", "stop_price": "stop", "trail_percent": "percent"}


def carry_out(state: State, verb: str, label: str, given: dict[str, Any]) -> str:
    """Do what the command says: ``ok``, ``skipped``, or the reason of the refusal."""
    try:
        if verb in ("buy", "sell", "long", "short"):
            state.known[label] = None
            create(state, verb, label, given)
        elif verb == "cancel_close":
            return cancel_close(state, label)
        elif state.known.get(label) is None:
            return "skipped"
        else:
            {"cancel": cancel, "modify": modify, "split": split, "close": close}[verb](
                state, label, given
            )
    except Refused as reason:
        return str(reason)
    return "ok"


def cancel(state: State, label: str, given: dict[str, Any]) -> None:
    """Cancel all or a part of what is pending; of a position, its pending closes."""
    order = state.orders.get(label)
    if order is None:
        lot = state.lots.get(label)
        if lot is None or not lot.closes:
            raise Refused("ALREADY_DONE")
        lot.closes.clear()
        return
    volume = Decimal(given["volume"]) if given.get("volume") else order.leaves
    if not on_grid(volume, state.lot):
        raise Refused("VOLUME_INCREMENT")
    if volume > order.leaves:
        raise Unclear("a cancel of more than there is")
    state.end(order, "REQUESTED", volume)


def cancel_close(state: State, label: str) -> str:
    """Cancel one order to close."""
    order = state.closes.get(label)
    if order is None:
        return "skipped"
    assert order.lot is not None
    if order not in order.lot.closes:
        raise Refused("ALREADY_DONE")
    order.lot.closes.remove(order)
    return "ok"


def modify(state: State, label: str, given: dict[str, Any]) -> None:
    """Change a pending order, or the protection of a position."""
    order = state.orders.get(label)
    if order is None:
        if label not in state.lots:
            raise Refused("ALREADY_DONE")
        protect(state, state.lots[label], given)
        return
    if label in state.lots and {"stop_loss", "take_profit"} & given.keys():
        raise Unclear("a new protection of an order that is partly a position")
    if not given:
        raise Refused("NOTHING_TO_CHANGE")
    if order.kind == "exit":
        names = {"limit_price": "take_profit", "stop_price": "stop_loss"}
        given = {names.get(name, name): given[name] for name in given}
    if ("limit_price" in given and order.limit is None) or (
        "stop_price" in given and order.stop is None
    ):
        raise Refused("INVALID_ACTION")
    if ("trail" in given and order.kind != "trailing") or (
        "expires" in given and (order.kind == "exit" or order.tif in ("IOC", "FOK"))
    ):
        raise Refused("INVALID_ACTION")
    protects = {"stop_loss", "take_profit"} & given.keys()
    if protects and order.kind != "exit" and order.spot and order.side < 0:
        raise Refused("NOT_SUPPORTED")
    if order.reduce_only and protects:
        raise Refused("INVALID_ACTION")
    if order.triggered and {"stop_price", "trail"} & given.keys():
        raise Refused("INVALID_ACTION")
    if order.triggered and "stop_loss" in given and order.kind == "exit":
        raise Unclear("a new stop for an order whose stop was reached")
    total = Decimal(given["volume"]) if "volume" in given else order.filled + order.leaves
    if total <= order.filled:
        if given.keys() != {"volume"}:
            raise Unclear("a new price for what is filled already")
        state.end(order, "MODIFIED_AWAY")
        return
    child = copy(order)
    child.leaves = total - order.filled
    why = ["INVALID_VOLUME"] if order.kind == "exit" and child.leaves > order.leaves else []
    for name in ("trail", "trail_percent", *PRICES):
        if name in given:
            setattr(child, FIELDS.get(name, name), Decimal(given[name]))
    if "trail" in given:
        child.percent = None
    if "expires" in given:
        child.tif, child.expires = "GTD", given["expires"]
        if child.expires <= state.now:
            raise Refused("EXPIRED")
    if (
        child.kind == "trailing"
        and "stop_price" not in given
        and given.keys() & {"trail", "trail_percent"}
    ):
        assert state.last is not None
        child.stop = level(state, child, state.last)
    smaller = given.keys() == {"volume"} and child.leaves <= order.leaves
    if given.keys() == {"volume"} and child.leaves == order.leaves:
        raise Unclear("a modify that changes nothing")
    changed = given.keys() & {*PRICES[:2], "trail", "trail_percent"} or order.kind == "exit"
    if changed or child.leaves > order.leaves:
        reservation(state, child)
    elif not smaller:
        counts_as_maker(state, child)
    about_volume = ("VOLUME_INCREMENT", "MIN_VOLUME", "MIN_NOTIONAL")
    priced = given.keys() & {"volume", "limit_price", "stop_price", "trail"}
    why += [one for one in form(state, child, given) if priced or one not in about_volume]
    if order.filled and {"MIN_VOLUME", "MIN_NOTIONAL"} & set(why):
        raise Unclear("whether the least holds for the whole or for the rest")
    against = wrong_side(state, child)
    if against and not given.keys() - {"volume", "expires"} and order.kind != "exit":
        raise Unclear("whether a new volume tests the protection again")
    if given.keys() - {"volume", "expires"}:
        why += against
    if child.post_only and not smaller and child.kind == "limit" and marketable(child, state.last):
        why.append("WOULD_TAKE")
    only(why)
    more = max(child.leaves - order.leaves, ZERO)
    fee = ZERO if order.of_entry else proportional(state, more)
    had = state.reserve(order)
    if order.short or (order.covered and child.leaves < order.leaves):
        raise Unclear("what of a reversal's reserve a modification leaves")
    if state.netting and not order.spot and not order.reduce_only and more:
        cover(state, child)
    reserve(state, child, fee, had)
    purse = state.purses[order.account]
    purse.hold(state.asset(order), state.reserve(child) - had)
    purse.get(QUOTE, -fee)
    order.__dict__.update(child.__dict__)
    if order.kind == "exit":
        moved(state, order, given)
    elif not smaller:
        order.queue, order.since, order.fresh = state.turn(), state.now, True
        state.orders[label] = state.orders.pop(label)


def proportional(state: State, more: Decimal) -> Decimal:
    """The create fee of an increase: what goes by volume."""
    meter = state.meter("create")
    if meter.fee is None or meter.fee.kind == "flat_per_trade":
        return ZERO
    return meter.charge(more, ZERO, False)


def protect(state: State, lot: Lot, given: dict[str, Any]) -> None:
    """Give what is open another stop-loss or take-profit."""
    if given.keys() - {"stop_loss", "take_profit"}:
        raise Refused("ALREADY_DONE")
    old = lot.protection
    order = copy(old)
    for name in given:
        setattr(order, name, Decimal(given[name]))
    if old.triggered:
        raise Unclear("a new protection when the stop-loss was reached")
    why = wrong_side(state, order)
    why += bad_prices(state, given)
    only(why)
    moved(state, order, given)
    lot.protection = order


def moved(state: State, order: Order, given: dict[str, Any]) -> None:
    """The legs of an exit that are given anew count from now on; the other stays."""
    order.moved, order.places = dict(order.moved), dict(order.places)
    for name, leg in (("stop_loss", "stop"), ("take_profit", "limit")):
        if name in given:
            order.moved[leg], order.places[leg] = state.now, state.turn()
    order.fresh = order.fresh or "take_profit" in given


def closing(state: State, lot: Lot, volume: Decimal) -> Order:
    """An order to close what a handle has, without prices yet."""
    return Order(
        lot.label,
        lot.position.account,
        -lot.position.side,
        False,
        "exit",
        volume,
        lot.position.group,
        state.meter("close"),
        lot=lot,
        queue=state.turn(),
        since=state.now,
    )


def split(state: State, label: str, given: dict[str, Any]) -> None:
    """Make several orders, or positions, of one."""
    volumes = [Decimal(one) for one in given["volumes"]]
    order, lot = state.orders.get(label), state.lots.get(label)
    if order is not None and lot is not None:
        raise Unclear("an order that is partly a position")
    if any(not on_grid(one, state.lot) for one in volumes):
        raise Refused("VOLUME_INCREMENT")
    if order is not None:
        why = ["INVALID_ACTION"] if given.get("limit_prices") and order.limit is None else []
        if why and order.kind == "exit":
            raise Unclear("limit prices for the parts of an exit")
        only(why + (["STALE"] if sum(volumes) != order.leaves else []))
        split_order(state, order, volumes, given.get("limit_prices"))
    elif lot is not None:
        why = ["INVALID_ACTION"] if given.get("limit_prices") else []
        only(why + (["STALE"] if sum(volumes) != lot.volume or lot.closes else []))
        split_lot(state, lot, volumes)
    else:
        raise Refused("ALREADY_DONE")


def split_order(state: State, order: Order, volumes: list[Decimal], prices: Any) -> None:
    """The parts begin with nothing exchanged or charged; each reserves for itself."""
    if order.covered:
        raise Unclear("which parts of an order are to close what is open")
    parts = []
    for number, volume in enumerate(volumes):
        part = copy(order)
        part.opened, part.close_fee = None, None
        part.label, part.leaves = f"{order.label}.{number}", volume
        part.filled, part.sum = ZERO, Sum()
        part.tried, part.partner = set(), order.partner or order.label
        part.reason, part.exits, part.exits_as_one = None, 0, None
        least = state.case["pair"].get("min_volume")
        if least is not None and volume < Decimal(least):
            raise Refused("MIN_VOLUME")
        part.entry_fee = Meter(order.entry_fee.fee, state.places)
        if prices is not None:
            part.limit = Decimal(prices[number])
            if not on_grid(part.limit, state.tick):
                raise Refused("PRICE_INCREMENT")
            reservation(state, part)
            only(wrong_side(state, part))
            if part.post_only and marketable(part, state.last):
                raise Refused("WOULD_TAKE")
        if order.oco is None:
            part.group = part.label
        parts.append(part)
    purse, asset = state.purses[order.account], state.asset(order)
    more = sum(map(state.reserve, parts), ZERO) - state.reserve(order)
    if more > purse.free.get(asset, ZERO):
        raise Refused("INSUFFICIENT_FUNDS")
    purse.hold(asset, more)
    del state.orders[order.label]
    order.leaves = ZERO
    for part in parts:
        state.orders[part.label] = part
        state.known[part.label] = part
        if prices is not None and part.limit != order.limit:
            part.queue, part.since, part.fresh = state.turn(), state.now, True


def split_lot(state: State, lot: Lot, volumes: list[Decimal]) -> None:
    """The parts of what one handle has: on a netting account the position stays whole."""
    old, sources = lot.position, [one for one in lot.position.fills if one[0] is lot]
    positions = [old] * len(volumes)
    if not state.netting:
        positions = list(apportion(old, volumes, state.places))
        state.positions.remove(old)
        state.positions += positions
    parts = []
    for number, (volume, position) in enumerate(zip(volumes, positions, strict=True)):
        label = f"{lot.label}.{number}"
        protection = copy(lot.protection)
        protection.label, protection.entry_fee = label, state.meter("close")
        protection.tried, part = set(), Lot(label, position, protection, volume, volume)
        protection.lot = part
        if not state.netting:
            protection.group = position.group = label
            position.fee, position.call = protection.entry_fee, copy(old.call)
            position.call.label = position.call.group = label
            position.call.called = position
            position.fills = [(part, volume)]
        parts.append(part)
        state.lots[label] = state.known[label] = part
    del state.lots[lot.label]
    if state.netting:
        at = old.fills.index(sources[0])
        if len(sources) > 1:
            raise Unclear("the places of the parts of a lot that came in several fills")
        old.fills[at : at + 1] = [(part, part.volume) for part in parts]


def close(state: State, label: str, given: dict[str, Any]) -> None:
    """An order to close a position, wholly or in part."""
    lot = state.lots.get(label)
    if lot is None:
        raise Refused("ALREADY_DONE")
    volume = Decimal(given["volume"]) if given.get("volume") else lot.volume
    if volume > lot.volume:
        raise Refused("STALE")
    order = closing(state, lot, volume)
    number = {name: Decimal(given[name]) for name in given if name in (*PRICES, "trail")}
    order.limit, order.stop = number.get("limit_price"), number.get("stop_price")
    order.trail = number.get("trail")
    order.percent = Decimal(given["trail_percent"]) if "trail_percent" in given else None
    order.kind = "market" if order.limit is None else "limit"
    if order.stop is not None:
        order.kind = "stop" if order.limit is None else "stop_limit"
    if order.trail is not None or order.percent is not None:
        order.kind = "trailing"
        if order.stop is None:
            assert state.last is not None
            order.stop = level(state, order, state.last)
    why = []
    if not on_grid(volume, state.lot):
        why.append("VOLUME_INCREMENT")
    why += bad_prices(state, given)
    only(why)
    lot.closes.append(order)
    state.closes[given["as"]] = order
