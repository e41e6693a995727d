"""What of an order chain waited at the venue, and when: made from the tables of a run, afterwards.

A wait is one condition (an order's leaves, a stop-loss, a take-profit, a liquidation, an order to
close) from one change to the next, in numbers of market events. The venue keeps no such list while
it runs: everything here follows from the events, the fills and the orders that it recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

from attrs import define, field

from backtest.models import Asset, LeverageKind, TradingPair, TradingRules
from backtest.money import ZERO, add, sub
from backtest.services.fills import PathRules, Terms, Working, WorkingKind
from backtest.services.margin import liquidation_price
from backtest.times import parse_ns

__all__ = ["Line", "PairRules", "Since", "Wait", "waits_of"]

Line = dict[str, str]
"""A row of a table, by column."""

MARKET = "market-data"
"""The sender of market events."""
VENUE = "broker"
"""The sender of what the venue does of its own accord between two market events."""


@define(eq=False)
class Since:
    """When a condition was accepted; ``whole`` once a bar has opened since, so that all counts."""

    ns: int
    whole: bool = False


@define(eq=False)
class Opened:
    """How a position came to be: the wait that filled, and where on the bar."""

    event: int
    part_of_event: bool
    """False: at this close, when the bar was done."""
    entry: Wait
    point: str


@define(eq=False)
class Held:
    """An open position of the chain, as it is at one moment of the replay."""

    order_id: str
    volume: Decimal
    long: bool
    price: Decimal
    margin: Decimal
    waits: list[Wait] = field(factory=list)


@define(eq=False)
class Wait:
    """One condition, unchanged on the market events ``first`` to ``last`` (None: to the end).

    ``role`` is ``entry``, ``stop_loss``, ``take_profit``, ``liquidation`` or ``close``;
    ``order_id`` the order that waits, or whose position the condition is of. ``outcome`` says what
    became of it in event ``last``: ``filled``, ``part``, ``triggered``, ``ended`` (an event of the
    order says why), ``late`` (its time was over), ``gone:KIND`` (the position was closed by KIND),
    or nothing when it was changed between two events. ``opened`` says how the position was opened
    if that was in the event before ``first``, whose rest then counts, too.
    """

    role: str
    order_id: str
    pair: str
    working: Working
    since: Since
    first: int
    last: int | None = None
    outcome: str = ""
    opened: Opened | None = None
    at_close_of: int | None = None
    """The event at whose close it could have filled at once (``fill_on="this_close"``)."""
    stopped: bool = False
    """The stop-loss of its position has triggered before."""
    closing_id: str = ""
    before: Wait | None = None
    """What it was until it was changed."""
    expires: int | None = None
    """When the order expires."""
    reached: bool = False
    """Its stop was reached on event ``last``."""


class PairRules:
    """What the configuration of a run says of one pair's fills and margin."""

    def __init__(
        self, code: str, config: Mapping[str, Any], rules: TradingRules | None = None
    ) -> None:
        """``rules``: those of the run, where they are at hand; else they are made of their text."""
        text = config["pairs"][code]
        self.pair = TradingPair(
            code,
            Asset(text["base"], int(text["base_precision"])),
            Asset(text["quote"], int(text["quote_precision"])),
            Decimal(text["price_increment"]),
            Decimal(text["volume_increment"]),
            contract_size=Decimal(text["contract_size"]),
        )
        if rules is None:
            text = config["rules"][code]
            rules = TradingRules.from_mapping(
                {name: value for name, value in text.items() if name != "fees"}
            )
        self.rules = rules
        self.path = PathRules.of(self.rules, self.pair)


def waits_of(
    orders: list[Line],
    events: list[Line],
    fills: Mapping[str, Line],
    legs: Mapping[str, list[Line]],
    rules: PairRules,
) -> list[Wait]:
    """The waits of one chain, in the order in which they began.

    ``orders`` and ``events`` are those of the chain, ``fills`` its fills by entry id and ``legs``
    its transactions by entry.
    """
    replay = _Replay(orders, fills, legs, rules)
    for event in events:
        if event["kind"] == "charged":
            replay.charge(event)
    for event in events:
        replay.tell(event)
    return replay.waits


class _Replay:
    """The chain's orders and positions, event by event."""

    def __init__(
        self,
        orders: list[Line],
        fills: Mapping[str, Line],
        legs: Mapping[str, list[Line]],
        rules: PairRules,
    ) -> None:
        self.waits: list[Wait] = []
        self._orders = {order["order_id"]: order for order in orders}
        self._children: dict[str, list[str]] = {}
        for order in orders:
            if order["parent_id"]:
                self._children.setdefault(order["parent_id"], []).append(order["order_id"])
        self._leaves: set[str] = set()
        """Orders that are what a partial fill left: no rest of a position, though of one parent."""
        self._fills = fills
        self._legs = legs
        self._rules = rules
        self._live: dict[str, Wait] = {}
        """Pending orders by branch."""
        self._held: dict[str, Held] = {}
        """Open positions by the id of their order, oldest first."""
        self._charges: dict[str, Decimal] = {}
        """What nights took out of the margin of a position, by the id of its order."""
        self._told: dict[str, Callable[[Line, int, bool], None]] = {
            "accepted": self._accepted,
            "filled": self._filled,
            "cancelled": self._cancelled,
            "modified": self._modified,
            "split": self._split,
            "triggered": self._triggered,
            "trailed": self._trailed,
            "closing": self._closing,
            "close_cancelled": self._close_cancelled,
            "closed": self._closed,
            "liquidated": self._closed,
            "charged": self._charged,
        }

    def tell(self, event: Line) -> None:
        told = self._told.get(event["kind"])
        # The exit of a spot bracket has two prices and no silences: its events tell its story.
        if told is not None and self._orders[event["order_id"]]["order_type"] != "exit":
            told(event, int(event["market_event"]), event["sender"] == MARKET)

    # -- waits -------------------------------------------------------------------------------------

    def _begin(
        self,
        role: str,
        order_id: str,
        kind: str,
        buy: bool,
        price: str | Decimal | None,
        volume: Decimal,
        since: Since,
        number: int,
        *,
        triggered: bool = False,
        terms: Terms | None = None,
        expires: int | None = None,
    ) -> Wait:
        """A condition that waits from the market event after ``number``."""
        at = Decimal(price) if price else None
        working = Working(
            None, cast("WorkingKind", kind), buy, at, volume, triggered=triggered, terms=terms
        )
        pair = self._orders[order_id]["pair"]
        wait = Wait(role, order_id, pair, working, since, number + 1, expires=expires)
        self.waits.append(wait)
        return wait

    def _end(self, wait: Wait, number: int, outcome: str = "") -> None:
        """``wait`` ends with market event ``number``; one that never saw an event is forgotten."""
        if wait.last is not None:
            return
        wait.last, wait.outcome = number, outcome
        seen = wait.first - (wait.opened is not None)
        if seen > number and wait.at_close_of is None:
            self.waits.remove(wait)
            before = wait.before
            if outcome and before is not None and before.last == number:
                # Changed twice on one event: what it came to in the end counts.
                if outcome in ("filled", "ended") or before.outcome != "part":
                    before.outcome = outcome

    def _go_on(
        self,
        wait: Wait,
        number: int,
        outcome: str,
        *,
        volume: Decimal | None = None,
        triggered: bool | None = None,
        stopped: bool | None = None,
        order_id: str = "",
        price: Decimal | None = None,
        kind: WorkingKind | None = None,
    ) -> Wait:
        """End ``wait`` and let the same condition wait on, changed."""
        self._end(wait, number, outcome)
        old = wait.working
        working = Working(
            None,
            kind or old.kind,
            old.buy,
            old.price if price is None else price,
            old.volume if volume is None else volume,
            triggered=old.triggered if triggered is None else triggered,
            terms=old.terms,
        )
        new = Wait(
            wait.role,
            order_id or wait.order_id,
            wait.pair,
            working,
            wait.since,
            number + 1,
            stopped=wait.stopped if stopped is None else stopped,
            closing_id=wait.closing_id,
            before=wait,
            expires=wait.expires,
        )
        self.waits.append(new)
        return new

    # -- pending orders ----------------------------------------------------------------------------

    def _enter(
        self,
        order: Line,
        volume: Decimal,
        since: Since,
        number: int,
        *,
        level: str = "",
        expires: int | None = None,
        old: Wait | None = None,
    ) -> Wait:
        """``order`` is what is pending of its branch; ``old`` what was so before."""
        kind = order["order_type"]
        if old is not None and old.working.kind == "limit":
            kind = "limit"  # the stop of a stop-limit order has been reached
        price = order["limit_price"] if kind == "limit" else level or order["stop_price"]
        limit = Decimal(order["limit_price"]) if kind == "stop_limit" else None
        trail, percent = (
            Decimal(order[name]) if order[name] else None for name in ("trail", "trail_percent")
        )
        force = order["time_in_force"]
        terms = Terms(limit, trail, percent, force in ("IOC", "FOK"), force == "FOK")
        wait = self._begin(
            "entry", order["order_id"], kind, order["direction"] == "LONG", price, volume, since,
            number, triggered=old is not None and old.working.triggered,
            terms=None if terms == Terms() else terms,
            expires=expires if old is None else old.expires,
        )  # fmt: skip
        self._live[order["branch_id"]] = wait
        return wait

    def _accepted(self, event: Line, number: int, _: bool) -> None:
        order = self._orders[event["order_id"]]
        level, expires = "", None
        for part in event["detail"].split("; "):
            if part.startswith("trailing stop at "):
                level = part.removeprefix("trailing stop at ")
            elif part.startswith("good till "):
                expires = parse_ns(part.removeprefix("good till "))
        since = Since(parse_ns(event["timestamp"]))
        volume = Decimal(event["volume"])
        wait = self._enter(order, volume, since, number, level=level, expires=expires)
        if order["order_type"] == "market" and self._rules.rules.fill_on == "this_close":
            wait.at_close_of = number

    def _filled(self, event: Line, number: int, in_event: bool) -> None:
        order = self._orders[event["order_id"]]
        wait = self._live.pop(order["branch_id"])
        volume = Decimal(event["volume"])
        left = sub(wait.working.volume, volume)
        if left > ZERO:
            children = self._children.get(order["order_id"], [])
            self._leaves.update(children[:1])
            kind = wait.working.kind
            limit = order["limit_price"] if kind == "stop_limit" else ""
            wait_on = self._go_on(
                wait,
                number,
                "part",
                volume=left,
                triggered=kind in ("stop", "trailing_stop") or wait.working.triggered,
                order_id=children[0] if children else "",
                kind="limit" if limit else None,
                price=Decimal(limit) if limit else None,
            )
            self._live[order["branch_id"]] = wait_on
        else:
            self._end(wait, number, "filled")
        if order["order_kind"] == "trading":
            fill = self._fills[event["entry_id"]]
            opened = Opened(number, in_event, wait, fill["point"])
            self._hold(order, volume, number, opened)

    def _cancelled(self, event: Line, number: int, in_event: bool) -> None:
        order = self._orders[event["order_id"]]
        wait = self._live.pop(order["branch_id"])
        left = sub(wait.working.volume, Decimal(event["volume"]))
        if left <= ZERO:
            here = in_event or event["sender"] == VENUE
            late = event["reason"] in ("EXPIRED", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL")
            self._end(wait, number, ("late" if late else "ended") if here else "")
            return
        children = self._children.get(order["order_id"], [])
        new = self._go_on(wait, number, "", volume=left, order_id=children[0] if children else "")
        self._live[order["branch_id"]] = new

    def _modified(self, event: Line, number: int, _: bool) -> None:
        child = self._orders[event["order_id"]]
        if child["parent_id"] in self._held:
            self._modified_position(event, child, number)
            return
        old = self._live.pop(child["branch_id"])
        volume = Decimal(event["volume"])
        if event["detail"].startswith("keeps"):
            self._live[child["branch_id"]] = self._go_on(
                old, number, "", volume=volume, order_id=child["order_id"]
            )
            return
        self._end(old, number)
        since = Since(parse_ns(event["timestamp"]))
        self._enter(child, volume, since, number, old=old)

    def _split(self, event: Line, number: int, _: bool) -> None:
        order = self._orders[event["order_id"]]
        volumes = [Decimal(one) for one in event["detail"].removeprefix("into ").split(" + ")]
        children = self._children[order["order_id"]]
        parts = [self._orders[one] for one in children if one not in self._leaves][-len(volumes) :]
        held = self._held.pop(order["order_id"], None)
        if held is not None:
            for part, volume in zip(parts, volumes, strict=True):
                self._split_position(held, part, volume, number)
            for wait in held.waits:
                self._end(wait, number)
            return
        old = self._live.pop(order["branch_id"])
        self._end(old, number)
        for part, volume in zip(parts, volumes, strict=True):
            moved = part["limit_price"] != order["limit_price"]
            since = Since(parse_ns(event["timestamp"])) if moved else old.since
            self._enter(part, volume, since, number, old=old)

    def _triggered(self, event: Line, number: int, _: bool) -> None:
        kind = event["detail"].partition(" ")[0]
        if kind == "stop_loss":
            held = self._held.get(event["order_id"])
            if held is not None:
                for wait in list(held.waits):
                    self._change(held, wait, number, wait.role == kind)
            return
        branch = self._orders[event["order_id"]]["branch_id"]
        live = self._live.get(branch)
        if live is None or live.working.triggered:
            return
        live.reached = live.working.kind != "limit"
        if live.working.kind == "stop_limit":
            limit = self._orders[live.order_id]["limit_price"]
            self._live[branch] = self._go_on(
                live, number, "triggered", kind="limit", price=Decimal(limit)
            )
        elif live.working.kind != "limit":
            self._live[branch] = self._go_on(live, number, "triggered", triggered=True)

    def _trailed(self, event: Line, number: int, _: bool) -> None:
        level = Decimal(event["detail"].removeprefix("trailing stop at "))
        branch = self._orders[event["order_id"]]["branch_id"]
        live = self._live.get(branch)
        if live is not None and live.working.kind == "trailing_stop":
            self._live[branch] = self._go_on(live, number, "", price=level)

    def _change(self, held: Held, wait: Wait, number: int, is_it: bool) -> None:
        """A stop-loss has triggered: it is a market order now, and the others wait for it."""
        if is_it and wait.working.triggered:
            return
        outcome = "triggered" if is_it else ""
        wait.reached = is_it
        new = self._go_on(
            wait, number, outcome, triggered=is_it or wait.working.triggered, stopped=True
        )
        held.waits[held.waits.index(wait)] = new

    # -- positions ---------------------------------------------------------------------------------

    def _hold(self, order: Line, volume: Decimal, number: int, opened: Opened) -> None:
        """``order`` is an open position from now on, with its protections."""
        held = Held(
            order["order_id"],
            volume,
            order["direction"] == "LONG",
            Decimal(order["fill_price"]),
            self._margin_of(order["order_id"]),
        )
        self._held[order["order_id"]] = held
        prices: list[tuple[str, str | Decimal | None]] = [
            ("stop_loss", order["stop_loss"]),
            ("liquidation", self._liquidation(held) if self._can_end(order) else None),
            ("take_profit", order["take_profit"]),
        ]
        for kind, price in prices:
            if price:
                exit = self._exit(held, kind, kind, price, volume, Since(0, True), number)
                exit.opened = opened

    def _exit(
        self,
        held: Held,
        role: str,
        kind: str,
        price: str | Decimal | None,
        volume: Decimal,
        since: Since,
        number: int,
    ) -> Wait:
        wait = self._begin(role, held.order_id, kind, not held.long, price, volume, since, number)
        wait.stopped = any(one.working.triggered for one in held.waits if one.role == "stop_loss")
        held.waits.append(wait)
        return wait

    def _margin_of(self, order_id: str) -> Decimal:
        """What the position of ``order_id`` held as margin when it began."""
        order = self._orders[order_id]
        margin = add(Decimal(order["margin_reserved"] or 0), self._charges.get(order_id, ZERO))
        if order["status"] == "CLOSED":
            for child in self._children.get(order_id, []):
                if self._is_rest(child, order):
                    margin = add(margin, self._margin_of(child))
        return margin

    def _is_rest(self, child: str, order: Line) -> bool:
        """Whether ``child`` is what a partial close left of the position ``order``."""
        row = self._orders[child]
        return child not in self._leaves and row["fill_timestamp"] == order["fill_timestamp"]

    def _liquidation(self, held: Held) -> Decimal | None:
        rules, pair = self._rules.rules, self._rules.pair
        return liquidation_price(
            held.long,
            held.price,
            held.volume,
            pair.contract_size,
            held.margin,
            rules.maintenance,
            pair.price_increment,
        )

    def _can_end(self, order: Line) -> bool:
        """Whether a new position could be liquidated: a fully paid long without maintenance
        cannot."""
        rules = self._rules.rules
        flat = rules.leverage_kind is LeverageKind.FLAT_MARGIN_PER_VOLUME
        kept = rules.maintenance_rate or rules.maintenance_tiers is not None
        paid = Decimal(order["leverage"]) == 1 and not flat
        return not (order["direction"] == "LONG" and paid and not kept)

    def _mend_liquidation(self, held: Held, number: int) -> None:
        """The margin or the volume changed, and with it the liquidation price."""
        price = self._liquidation(held)
        for wait in held.waits:
            if wait.role == "liquidation":
                if price is None:
                    self._end(wait, number)
                    held.waits.remove(wait)
                elif price != wait.working.price:
                    new = self._go_on(wait, number, wait.outcome, price=price)
                    held.waits[held.waits.index(wait)] = new
                return
        if price is not None:
            since = Since(0, True)
            self._exit(held, "liquidation", "liquidation", price, held.volume, since, number)

    def _rename(self, held: Held, order_id: str) -> None:
        """The position lives on under another id, in its place."""
        old, held.order_id = held.order_id, order_id
        self._held = {order_id if one == old else one: value for one, value in self._held.items()}

    def _modified_position(self, event: Line, child: Line, number: int) -> None:
        parent = self._orders[child["parent_id"]]
        held = self._held[parent["order_id"]]
        self._rename(held, child["order_id"])
        for role in ("stop_loss", "take_profit"):
            if child[role] == parent[role] and role not in event["detail"]:
                continue
            for wait in list(held.waits):
                if wait.role == role:
                    self._end(wait, number)
                    held.waits.remove(wait)
            if child[role]:
                since = Since(parse_ns(event["timestamp"]))
                self._exit(held, role, role, child[role], held.volume, since, number)
        for place, wait in enumerate(held.waits):
            if wait.order_id != held.order_id:
                held.waits[place] = self._go_on(wait, number, "", order_id=held.order_id)

    def _split_position(self, held: Held, part: Line, volume: Decimal, number: int) -> None:
        own = Held(
            part["order_id"],
            volume,
            held.long,
            held.price,
            self._margin_of(part["order_id"]),
        )
        self._held[own.order_id] = own
        for wait in held.waits:
            if wait.role in ("stop_loss", "take_profit"):
                new = self._begin(
                    wait.role, own.order_id, wait.working.kind, wait.working.buy,
                    wait.working.price, volume, wait.since, number,
                    triggered=wait.working.triggered,
                )  # fmt: skip
                new.stopped = wait.stopped
                own.waits.append(new)
        if self._can_end(part):
            self._mend_liquidation(own, number)

    def _closing(self, event: Line, number: int, _: bool) -> None:
        _verb, volume, _at, price = event["detail"].split(" ", 3)
        left = Decimal(volume)
        at = "" if price == "the market" else price
        branch = self._orders[event["order_id"]]["branch_id"]
        for held in self._held.values():
            if self._orders[held.order_id]["branch_id"] != branch:
                continue
            part = min(left, held.volume)
            if part <= ZERO:
                break
            left = sub(left, part)
            kind = "limit" if at else "market"
            since = Since(parse_ns(event["timestamp"]))
            wait = self._exit(held, "close", kind, at, part, since, number)
            if not at and self._rules.rules.fill_on == "this_close":
                wait.at_close_of = number

    def _close_cancelled(self, event: Line, number: int, _: bool) -> None:
        if event["reason"] == "ALREADY_DONE":
            return
        branch = self._orders[event["order_id"]]["branch_id"]
        for held in self._held.values():
            if self._orders[held.order_id]["branch_id"] == branch:
                for wait in list(held.waits):
                    if wait.role == "close":
                        self._end(wait, number)
                        held.waits.remove(wait)

    def _closed(self, event: Line, number: int, in_event: bool) -> None:
        order = self._orders[event["order_id"]]
        fill = self._fills[event["entry_id"]]
        held = self._held[order["order_id"]]
        volume = Decimal(event["volume"])
        done = self._done(held, fill)
        held.volume = sub(held.volume, volume)
        if held.volume <= ZERO:
            del self._held[order["order_id"]]
            for wait in held.waits:
                outcome = "filled" if wait is done else f"gone:{fill['kind']}"
                self._end(wait, number, outcome if in_event or wait is done else "")
            return
        rest = next(
            one for one in self._children.get(order["order_id"], []) if self._is_rest(one, order)
        )
        self._rename(held, rest)
        held.margin = self._margin_of(rest)
        for wait in list(held.waits):
            left = sub(wait.working.volume, volume) if wait is done else wait.working.volume
            at = held.waits.index(wait)
            if left <= ZERO and wait.role == "close":
                self._end(wait, number, "filled")
                held.waits.remove(wait)
            elif wait is done:
                stop = True if wait.role == "stop_loss" else None
                held.waits[at] = self._go_on(
                    wait, number, "part", volume=left, order_id=rest, triggered=stop
                )
            else:
                here = "gone:" + fill["kind"] if in_event else ""
                stopped = True if fill["kind"] == "stop_loss" else None
                held.waits[at] = self._go_on(wait, number, here, order_id=rest, stopped=stopped)
        self._mend_liquidation(held, number)

    def _done(self, held: Held, fill: Line) -> Wait | None:
        """The wait that ``fill`` was of."""
        for wait in held.waits:
            if wait.closing_id == fill["closing_order_id"]:
                return wait
        likely = [one for one in held.waits if one.role == fill["kind"] and not one.closing_id]
        price, buy = Decimal(fill["price"]), fill["direction"] == "LONG"
        for wait in likely:
            limit = wait.working.price
            if len(likely) == 1 or (
                limit is None
                or (fill["maker"] == "true" and limit == price)
                or (fill["maker"] != "true" and (price <= limit if buy else price >= limit))
            ):
                wait.closing_id = fill["closing_order_id"]
                return wait
        return None

    def charge(self, event: Line) -> None:
        """Note what a charge takes out of a position's margin, before the replay begins."""
        for leg in self._legs.get(event["entry"], []):
            old = self._charges.get(event["order_id"], ZERO)
            self._charges[event["order_id"]] = add(old, _from_margin(leg))

    def _charged(self, event: Line, number: int, _: bool) -> None:
        held = self._held.get(event["order_id"])
        if held is None:
            return
        for leg in self._legs.get(event["entry"], []):
            margin = _from_margin(leg)
            if margin:
                held.margin = sub(held.margin, margin)
                self._mend_liquidation(held, number)


def _from_margin(leg: Line) -> Decimal:
    """What a transaction of a charge took out of a position's margin."""
    if leg["transaction_type"] != "RETURN_MARGIN":
        return ZERO
    return Decimal(leg["unavailable_balance_change"]).copy_negate()
