"""What the oracle asks of orders: reserves and volumes of every chain (I4, I5, I11)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

from .segments import segments
from .units import Units, shown, units

__all__ = ["ChainAudit"]

_NOTHING: Units = 0
_FINAL = frozenset(("CANCELLED", "CLOSED", "REPLACED"))
_POSITIVE = (
    "limit_price",
    "stop_price",
    "fill_price",
    "close_price",
    "stop_loss",
    "take_profit",
    "volume",
    "fill_volume",
    "cancel_volume",
)

Key = tuple[str, str]
Holder = UUID | tuple[UUID, str]
"""The root of a chain; of a netting account its id and a pair."""


class ChainAudit:
    """Follows the table of orders and the fills in ``records``; ``fail`` is called with an
    invariant and a problem. Put new ledger entries into `entries` before `check`."""

    def __init__(
        self,
        records: Any,
        fail: Callable[[str, str], NoReturn],
        netting: Collection[UUID] = frozenset(),
    ) -> None:
        self.entries: list[Any] = []
        self.changed: list[Any] = []
        """Orders that are new or changed; whoever reads it clears it."""
        self.positions: dict[UUID, Any] = {}
        """Open positions, as the table of orders tells them."""
        self.open: dict[str, tuple[Units, Units]] = {}
        """By pair, of all open positions: volume, longs less shorts, and what was paid for it."""
        self.open_count: dict[str, int] = {}
        """By pair, how many positions are open."""
        self._records = records
        self._fail = fail
        self._orders: list[Any] = []
        self._place: dict[UUID, int] = {}
        self._born: dict[UUID, Units] = {}
        """The volume with which every order began."""
        self._born_open: set[UUID] = set()
        """Those that began as positions: an order may fill before the first check sees it."""
        self._children: dict[UUID, list[Any]] = {}
        self._fills = self._told = 0
        self._traded: dict[UUID, tuple[Units, Units]] = {}
        """By root: volume of the fills that entered, and of those that closed."""
        self._netting = netting
        """The ids of the accounts that have one position in a pair."""
        self._held: dict[Holder, Units] = {}
        """By root: what its live orders say they hold in reserve or margin. Orders of a netting
        account hold what is of one position in a pair together."""
        self._locked: dict[Holder, dict[Key, Units]] = {}
        """The same: what the journal locked for the orders, less what it gave back."""
        self._in_chains: dict[Key, Units] = {}
        self._netted: dict[UUID, Units] = {}
        """By branch: what its fills closed of the other side, as the positions there say."""
        self._exits: dict[UUID, UUID] = {}
        """By filled order: the exit of a spot bracket, which reserves with that fill."""

    def note(self) -> None:
        """Take down the volume of every new order. To be called before and after each message: what
        an order loses it loses by a message to the account actor, so it is seen whole before."""
        orders = self._records.orders
        for order in orders[len(self._born) :]:
            self._born[order.id] = units(order.volume)
            # What closed the other side was never open, though nobody may see it pending.
            if order.fill_volume is not None and _reason(order) != "offset":
                self._born_open.add(order.id)

    def check(self, money: Mapping[Key, tuple[Units, Units]], whole: bool = True) -> None:
        """Take note of what is new and check the chains it concerns; ``money`` is the oracle's.

        Not ``whole``: of the orders known already only those are looked at that an event or an
        entry names.
        """
        named = self._read_births()
        moved = {(leg[0], leg[1]): None for entry in self.entries for leg in entry.legs}
        if not whole:
            # An entry for one order may change what others have of the same position.
            named.update((self._place[order_id], None) for order_id in self.positions)
            for entry in self.entries:
                for order_id, _ in segments(entry):
                    if order_id is not None and order_id in self._place:
                        named[self._place[order_id]] = None
        touched = self._read_orders(None if whole else named)
        self._read_fills()
        self._read_entries(touched)
        if not touched:
            return
        for root in touched:
            self._check_volumes(root)
        for holder in {self._holder(self._orders[self._place[root]]): None for root in touched}:
            self._check_reserve(holder)
        # What is unavailable, and what chains hold of it, changes by an entry or not at all.
        for key in moved:
            both = money[key]
            if both[1] != self._in_chains.get(key, _NOTHING):
                self._fail(
                    "I4",
                    f"{key[0]} has {shown(both[1])} {key[1]} unavailable, orders hold "
                    f"{shown(self._in_chains.get(key, _NOTHING))}",
                )

    def order(self, order_id: UUID) -> Any:
        """The order in its last state."""
        return self._records.orders[self._place[order_id]]

    def _read_births(self) -> dict[int, None]:
        """The places of the orders that new events name.

        A part that is netted and had nothing in reserve goes without a message to the account
        actor: what its order began with is what was told of it."""
        events = self._records.events
        named: dict[int, None] = {}
        while self._told < len(events):
            event = events[self._told]
            self._told += 1
            if event.order_number:
                named[event.order_number - 1] = None
            if event.volume is not None and event.kind.name in ("ACCEPTED", "MODIFIED"):
                order = self._records.orders[event.order_number - 1]
                self._born[order.id] = units(event.volume)
            elif event.kind.name == "SPLIT":
                self._read_parts(self._records.orders[event.order_number - 1], event.facts.parts)
        return named

    def _read_parts(self, order: Any, volumes: Iterable[Decimal]) -> None:
        """The parts of a pending order began with the volumes that were told: by now one may have
        met a quote that stands."""
        if order.fill_volume is not None:
            return
        later = self._records.orders[order.order_number :]
        parts = [one for one in later if one.parent_id == order.id]
        for part, volume in zip(parts, volumes, strict=False):
            self._born[part.id] = units(volume)

    # -- reading -----------------------------------------------------------------------------------

    def _read_orders(self, named: dict[int, None] | None) -> dict[UUID, None]:
        """The roots of the orders that are new or changed; ``named`` are the places to look at
        among those that are known, None: all."""
        touched: dict[UUID, None] = {}
        orders = self._records.orders
        known = len(self._orders)
        places: Iterable[int]
        if named is None:
            if orders == self._orders:  # compares identities first, in C
                return touched
            places = range(len(orders))
        else:
            places = [*(one for one in named if one < known), *range(known, len(orders))]
        for place in places:
            order = orders[place]
            if place < known:
                if order is self._orders[place]:
                    continue
                old = self._orders[place]
                self._orders[place] = order
            else:
                old = None
                self._orders.append(order)
            self._read_order(place, old, order)
            touched[order.root_id] = None
        return touched

    def _read_order(self, place: int, old: Any, order: Any) -> None:
        self.changed.append(order)
        self._check_numbers(order)
        if order.order_number != place + 1:
            self._fail("I5", f"order {order.id}: number {order.order_number} at {place + 1}")
        if old is None:
            self._welcome(order, place)
        else:
            self._check_change(old, order)
        change = _holds(order) - (_NOTHING if old is None else _holds(old))
        holder = self._holder(order)
        self._held[holder] = self._held.get(holder, _NOTHING) + change
        self._count(self.positions.pop(order.id, None), -1)
        if order.status.name == "FILLED" and not _is_spot(order):
            self.positions[order.id] = order
            self._count(order, 1)

    def _count(self, order: Any, sign: int) -> None:
        """A position is open from now on, or (``sign`` -1) is not as it was any more."""
        if order is None:
            return
        code, size = order.trading_pair_code, units(order.volume) * order.direction.sign * sign
        volume, paid = self.open.get(code, (_NOTHING, _NOTHING))
        worth = size * Fraction(order.fill_price) * Fraction(order.contract_size)
        self.open[code] = volume + size, paid + worth
        self.open_count[code] = self.open_count.get(code, 0) + sign

    def _welcome(self, order: Any, place: int) -> None:
        if order.id in self._place:
            self._fail("I5", f"order {order.id} is in the table twice")
        self._place[order.id] = place
        parent = order.parent_id
        if parent is None:
            entry = getattr(order, "entry_order_id", None)
            if entry is not None and entry != order.id:
                self._welcome_exit(order, entry)
            if order.root_id != order.id:
                self._fail("I5", f"order {order.id} is a root with the root {order.root_id}")
            return
        if parent not in self._place:
            self._fail("I5", f"order {order.id} has an unknown parent {parent}")
        if self._records.orders[self._place[parent]].root_id != order.root_id:
            self._fail("I5", f"order {order.id} left the chain of its parent")
        self._children.setdefault(parent, []).append(order)

    def _welcome_exit(self, order: Any, entry_id: UUID) -> None:
        """An exit sells what one fill bought, all of it and no more; each fill has one."""
        place = self._place.get(entry_id)
        entry = None if place is None else self._records.orders[place]
        if entry is None or entry.status.name != "FILLED" or entry_id in self._exits:
            self._fail("I5", f"exit {order.id} belongs to no fill of its own: {entry_id}")
        if units(entry.volume) != self._born[order.id]:
            self._fail("I5", f"exit {order.id} began with another volume than {entry.volume}")
        self._exits[entry_id] = order.id

    def _check_change(self, old: Any, new: Any) -> None:
        if old.id != new.id or old.root_id != new.root_id or old.parent_id != new.parent_id:
            self._fail("I5", f"order {old.id} became {new.id}")
        if _is_final(old):
            self._fail("I5", f"order {old.id} was {old.status.name} and changed all the same")
        if new.status.name != "PENDING" and new.reserved != 0:
            self._fail("I4", f"order {new.id} is {new.status.name} and reserves {new.reserved}")

    def _check_numbers(self, order: Any) -> None:
        for name in _POSITIVE:
            value = getattr(order, name, None)
            if value is not None and not (
                type(value) is Decimal and value.is_finite() and value > 0
            ):
                self._fail("I11", f"order {order.id} has {name} {value!r}")
        if not (order.reserved.is_finite() and order.reserved >= 0):
            self._fail("I11", f"order {order.id} reserves {order.reserved}")

    def _read_fills(self) -> None:
        fills = self._records.fills
        while self._fills < len(fills):
            fill = fills[self._fills]
            self._fills += 1
            for name in ("price", "volume"):
                value = getattr(fill, name)
                if not (value.is_finite() and value > 0):
                    self._fail("I11", f"a fill of {fill.order_id} has {name} {value!r}")
            if fill.kind == "netting":
                netted = self._netted.get(fill.closing_order_id, _NOTHING)
                self._netted[fill.closing_order_id] = netted + units(fill.volume)
            entered, closed = self._traded.get(fill.root_id, (_NOTHING, _NOTHING))
            if fill.kind == "entry" or fill.order_kind == "spot":
                entered += units(fill.volume)
            else:
                closed += units(fill.volume)
            self._traded[fill.root_id] = entered, closed

    def _read_entries(self, touched: dict[UUID, None]) -> None:
        for entry in self.entries:
            for order_id, legs in segments(entry):
                if order_id is not None:
                    self._read_segment(entry, order_id, legs, touched)
        self.entries.clear()

    def _read_segment(
        self, entry: Any, order_id: UUID, legs: Any, touched: dict[UUID, None]
    ) -> None:
        """What an entry books for one of its orders."""
        place = self._place.get(order_id)
        if place is None:
            self._fail("I4", f"entry {entry.number} is for an unknown order {order_id}")
        root = self._orders[place].root_id
        touched[root] = None
        exit = self._exits.get(order_id)
        bought = _bought(legs) if exit is not None else ""
        for account, asset, kind, _, unavailable in legs:
            if unavailable:
                chain: Holder = self._holder(self._orders[place])
                if exit is not None and asset == bought and kind.name == "RESERVE_MARGIN":
                    chain = exit
                locked = self._locked.setdefault(chain, {})
                key, change = (account, asset), units(unavailable)
                locked[key] = locked.get(key, _NOTHING) + change
                self._in_chains[key] = self._in_chains.get(key, _NOTHING) + change

    # -- checking ----------------------------------------------------------------------------------

    def _chain(self, root: UUID) -> Iterator[Any]:
        """The orders of a chain in their last state, parents before children."""
        waiting = [root]
        while waiting:
            order_id = waiting.pop()
            yield self._orders[self._place[order_id]]
            waiting += [child.id for child in self._children.get(order_id, ())]

    def _check_volumes(self, root: UUID) -> None:
        """Root volume + increases = pending + filled or closed + cancelled (decreases too)."""
        put_in = self._born[root]
        live: dict[str, Units] = {
            "PENDING": _NOTHING,
            "FILLED": _NOTHING,
            "CLOSED": _NOTHING,
            "CANCELLED": _NOTHING,
        }
        offset: dict[UUID, Units] = {}
        for order in self._chain(root):
            volume = units(order.volume)
            if _reason(order) == "offset":
                offset[order.branch_id] = offset.get(order.branch_id, _NOTHING) + volume
                continue
            if order.status.name != "REPLACED":
                live[order.status.name] += volume
                continue
            # A replaced position goes on as positions, beside the leaves of the fill that made it.
            was_open = order.fill_volume is not None
            below = _NOTHING
            for child in self._children.get(order.id, ()):
                if (child.id in self._born_open) == was_open:
                    below += self._born[child.id]
            if was_open and below != volume:
                self._fail("I5", f"position {order.id} of {order.volume} went on as {shown(below)}")
            if below > volume:
                put_in += below - volume
            else:
                live["CANCELLED"] += volume - below
        for branch, volume in offset.items():
            if self._netted.get(branch, _NOTHING) != volume:
                self._fail("I5", f"branch {branch} closed {shown(volume)}, others say otherwise")
        if put_in != sum(live.values()) + sum(offset.values()):
            became = {name: shown(volume) for name, volume in live.items()}
            self._fail("I5", f"of chain {root} {shown(put_in)} was ordered, it became {became}")
        entered, closed = self._traded.get(root, (_NOTHING, _NOTHING))
        if entered != live["FILLED"] + live["CLOSED"] or closed != live["CLOSED"]:
            self._fail("I5", f"the fills of chain {root} are not what its orders say")

    def _holder(self, order: Any) -> Holder:
        """Which orders hold what an order holds."""
        nets = order.account_id in self._netting and not _is_spot(order)
        return (order.account_id, order.trading_pair_code) if nets else order.root_id

    def _check_reserve(self, root: Holder) -> None:
        locked = {key: amount for key, amount in self._locked.get(root, {}).items() if amount}
        held = self._held.get(root, _NOTHING)
        if len(locked) > 1 or sum(locked.values()) != held:
            amounts = {key: shown(amount) for key, amount in locked.items()}
            self._fail(
                "I4", f"chain {root} has locked {amounts}, its live orders hold {shown(held)}"
            )


def _bought(legs: Any) -> str:
    """The asset that the account got in exchange."""
    for _, asset, kind, available, _ in legs:
        if kind.name == "SPOT_EXCHANGE" and available > 0:
            return str(asset)
    return ""


def _reason(order: Any) -> str | None:
    """Why a position was closed; ``offset`` for an order that closed others and opened none."""
    reason: str | None = getattr(order, "closing_reason", None)
    return reason


def _is_spot(order: Any) -> bool:
    return not hasattr(order, "leverage")


def _is_final(order: Any) -> bool:
    status = order.status.name
    return status in _FINAL or (status == "FILLED" and _is_spot(order))


def _holds(order: Any) -> Units:
    """What an order says that it holds: its reserve while pending, its margin while open."""
    status = order.status.name
    if status == "PENDING":
        return units(order.reserved)
    if status == "FILLED" and not _is_spot(order):
        return units(order.margin_reserved)
    return _NOTHING
