"""What the oracle reckons again of every fill, from its price, its volume and the rules alone.

* I12 what fills brought each account is what the journal's fills, fees and PnL moved
* I14 notional and PnL of a fill are those of the formulas, to a step of the asset (how they are
  rounded is I26's); fee and margin exactly
* I15 its price is within its bar, no worse than its limit, and not from before its acceptance
* I16 what filled on one side of a bar is within the volume that there was
* I19 at one point of a bar limits fill by price, then by acceptance
* I20 what an accepted order reserves is what the formula says
* I21 a position on its own loses no more than its margin; the insurance account bears the rest
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, NoReturn
from uuid import UUID

from backtest.actors import EventKind
from backtest.actors.exchange.actor import ExchangeActor
from backtest.models import Bar

from .fees import Charged, FeeAudit, exact_margin, rounded_up
from .quotes import QuoteAudit
from .segments import segments
from .units import Units, shown, units

__all__ = ["TradeAudit"]

_TRADES = frozenset(
    ("FILL_BUY", "FILL_SELL", "SPOT_EXCHANGE", "FEE_FILL", "FEE_CLOSE", "CLOSE_PNL")
)
_COUNTERPARTIES = frozenset(("market", "clearing", "fees", "world"))

Key = tuple[str, str]
Sides = tuple[Fraction | None, dict[bool, Fraction]]

_MARGIN_PAYS = frozenset((EventKind.CHARGED, EventKind.MARGIN_USED))
"""Events by which the margin of a position may be another."""


class TradeAudit:
    """Follows the fills of ``broker``'s venue; ``orders`` gives an order's last state by its id."""

    def __init__(
        self,
        broker: Any,
        orders: Callable[[UUID], Any],
        fail: Callable[[str, str], NoReturn],
    ) -> None:
        self.entries: list[Any] = []
        """New ledger entries; put them here before `check`."""
        self._venue = broker.venue
        self._is_exchange = isinstance(broker, ExchangeActor)
        self._orders = orders
        self._fail = fail
        self.names = {
            account.account_id: account.name
            for _, owned in broker._agents.values()
            for account in owned
        }
        """Of the accounts, by id."""
        self._cross = {
            account.account_id
            for _, owned in broker._agents.values()
            for account in owned
            if account.margin_mode == "cross"
        }
        self._shared = {
            account.name
            for _, owned in broker._agents.values()
            for account in owned
            if account.margin_mode == "cross"
        }
        """Accounts that bear a loss with all they have."""
        self._netting = {
            account.account_id
            for _, owned in broker._agents.values()
            for account in owned
            if account.netting
        }
        self._bars: dict[tuple[str, int], list[Bar]] = {}
        self._ticked: set[str] = set()
        """Pairs that were matched on quotes or trades: their fills belong to no bar."""
        self._pools: dict[tuple[str, int], Sides] = {}
        self._fills = 0
        self._events = 0
        self._roots: dict[UUID, int] = {}
        """When the venue accepted an order, by the root of its chain."""
        self._forced: set[UUID] = set()
        """Sales of collateral: at once, at the price of the call, whatever volume there was."""
        self._fees = FeeAudit(self._venue, orders, self._netting)
        self._queue: dict[tuple[str, int, str, bool], tuple[Fraction, int]] = {}
        """The plain limit that filled last at a point of a bar: its price, turned so that less is
        better, and its number in the order of acceptance."""
        self._opened: dict[UUID, Fraction] = {}
        """By branch: the margin of all that it has opened, exactly."""
        self._shared_out: set[UUID] = set()
        """Branches of whose positions something was closed, or whose margin has paid for something:
        what was left of that was shared out anew."""
        self._moved: dict[Key, Units] = {}
        """What the journal's trades moved, less what the fills say."""
        self._quotes = QuoteAudit(broker, orders, fail)

    def saw(self, event: Any) -> None:
        """A market event is delivered to the venue."""
        self._quotes.saw(event)
        if type(event) is Bar:
            self._bars.setdefault((event.pair, event.open_ns), []).append(event)
        else:
            self._ticked.add(event.pair)

    def check(self) -> None:
        """Look at what is new."""
        self._read_events()
        touched: dict[Key, None] = {}
        for entry in self.entries:
            for _, legs in segments(entry):
                closes = False
                for account, asset, kind, available, unavailable in legs:
                    if kind.name in _TRADES:
                        change = units(available) + units(unavailable)
                        self._move((account, asset), change, touched)
                        closes = closes or kind.name == "CLOSE_PNL"
                if closes:
                    self._check_loss(entry, legs)
        self.entries.clear()
        fills = self._venue.records.fills
        new = fills[self._fills :]
        self._fills = len(fills)
        self._shared_out.update(one.branch_id for one in new if one.realised_pnl is not None)
        for fill in new:
            self._check_fill(fill, touched)
        if self._ticked:
            self._quotes.check()
        for key in touched:
            if self._moved[key] and key[0] in self._venue.sharers:
                self._fail(
                    "I12",
                    f"the trades moved {shown(self._moved[key])} {key[1]} of {key[0]} more than "
                    "its fills say",
                )

    def _check_loss(self, entry: Any, legs: Any) -> None:
        """What a close lost beyond the margin that it gave back is the insurance account's."""
        left: Units = 0
        fee: Units = 0
        borne: Units = 0
        for account, _, kind, available, unavailable in legs:
            if account == "insurance":
                borne -= units(available)
            elif account in self._shared:
                return
            elif account not in _COUNTERPARTIES:
                if kind.name == "CLOSE_PNL":
                    left += units(available)
                elif kind.name == "RETURN_MARGIN":
                    left -= units(unavailable)
                elif kind.name == "FEE_CLOSE":
                    fee -= units(available)
        loss = max(0, -left)
        if not loss <= borne <= loss + max(0, fee):
            self._fail(
                "I21",
                f"entry {entry.number} ({entry.why}) loses {shown(loss)} beyond its margin, the "
                f"insurance account bears {shown(borne)}",
            )

    def _move(self, key: Key, change: Units, touched: dict[Key, None]) -> None:
        self._moved[key] = self._moved.get(key, 0) + change
        touched[key] = None

    def _read_events(self) -> None:
        records = self._venue.records
        self._fees.begin()
        for place, event in enumerate(records.events[self._events :], self._events):
            if event.kind in _MARGIN_PAYS and event.order_number:
                self._shared_out.add(records.orders[event.order_number - 1].branch_id)
            if event.kind is EventKind.CLOSING:
                self._fees.asked(records.orders[event.order_number - 1], place)
            if event.kind is EventKind.ACCEPTED:
                order = records.orders[event.order_number - 1]
                self._roots[order.root_id] = event.time
                spot = not hasattr(order, "leverage")
                if spot and not event.entry and order.entry_order_id is None:
                    # What the venue sells itself when an account is called reserves nothing.
                    self._forced.add(order.root_id)
                elif order.status.name == "PENDING" and order.parent_id is None:
                    self._check_reserve(order)
        self._events = len(records.events)

    def _check_reserve(self, order: Any) -> None:
        """What a new order reserves: only where no price of the moment is part of it."""
        book = self._venue.books[order.trading_pair_code]
        pair, rules = book.pair, book.rules
        held, volume = Fraction(order.reserved), Fraction(order.volume)
        spot = not hasattr(order, "leverage")
        buys = order.direction.sign > 0
        if spot and not buys:
            needed = {volume}
        elif not buys or order.limit_price is None or order.stop_price is not None:
            return
        elif order.account_id in self._cross or order.account_id in self._netting:
            return
        elif order.instructions.reduce_only:
            return  # what it closes is there already
        else:
            digits = pair.quote.precision
            worth = volume * Fraction(order.limit_price) * Fraction(pair.contract_size)
            margin = Fraction(0)
            if not spot:
                margin = exact_margin(rules, volume, worth, Fraction(order.leverage))
            needed = set()
            for maker in (True, False):
                charged = Charged(rules, digits)
                charged.fill(False, volume, worth, margin, maker)
                needed.add(
                    max(Fraction(0), rounded_up(worth if spot else margin, digits) + charged.due())
                )
        if held not in needed:
            wanted = [float(one) for one in sorted(needed)]
            self._fail("I20", f"order {order.id} reserves {held}, the formula says {wanted}")

    # -- a fill ------------------------------------------------------------------------------------

    def _check_fill(self, fill: Any, touched: dict[Key, None]) -> None:
        book = self._venue.books[fill.pair]
        order = self._orders(fill.order_id)
        worth = Fraction(fill.volume) * Fraction(fill.price) * Fraction(book.pair.contract_size)
        if abs(Fraction(fill.notional) - worth) >= Fraction(1, 10**book.pair.quote.precision):
            self._fail("I14", f"{_told(fill)} is worth {float(worth)}, not {fill.notional}")
        changed = fill.order_kind == "trading" and self._changed(fill, order)
        wanted = self._fees.check(fill, order, worth, changed)
        if wanted is not None:
            self._fail("I14", f"{_told(fill)} costs {float(wanted)}, not {fill.fee}")
        if fill.realised_pnl is not None:
            self._check_pnl(fill, order, book)
        elif fill.order_kind == "trading":
            self._check_margin(fill, order, book)
        if self._is_exchange:
            limit = order.limit_price if fill.kind == "entry" else None
            if limit is not None and (fill.price - limit) * fill.direction.sign > 0:
                self._fail("I15", f"{_told(fill)} is worse than its limit {limit}")
        elif fill.pair not in self._ticked and fill.root_id not in self._forced:
            self._check_place(fill, order, book)
        self._book(fill, book, touched)

    def _book(self, fill: Any, book: Any, touched: dict[Key, None]) -> None:
        account, quote = self.names[fill.account_id], book.quote
        money = -units(fill.fee)
        if fill.realised_pnl is not None:
            money += units(fill.realised_pnl)
        elif fill.order_kind == "spot":
            buys = fill.direction.sign > 0
            money += -units(fill.notional) if buys else units(fill.notional)
            base = units(fill.volume) if buys else -units(fill.volume)
            self._move((account, book.base), -base, touched)
        self._move((account, quote), -money, touched)

    def _check_pnl(self, fill: Any, order: Any, book: Any) -> None:
        moved = Fraction(fill.price) - Fraction(order.fill_price)
        size = Fraction(fill.volume) * Fraction(book.pair.contract_size)
        # The side of a close is the opposite of its position's.
        pnl = -fill.direction.sign * moved * size
        # An average price is told to 24 places.
        most = Fraction(1, 10**book.pair.quote.precision) + size / 10**23
        if abs(Fraction(fill.realised_pnl) - pnl) >= most:
            self._fail("I14", f"{_told(fill)} brings {float(pnl)}, not {fill.realised_pnl}")

    def _check_margin(self, fill: Any, order: Any, book: Any) -> None:
        digits = book.pair.quote.precision
        worth = Fraction(fill.volume) * Fraction(fill.price) * Fraction(book.pair.contract_size)
        exact = exact_margin(book.rules, Fraction(fill.volume), worth, Fraction(order.leverage))
        before = self._opened.get(fill.branch_id, Fraction(0))
        self._opened[fill.branch_id] = before + exact
        if fill.branch_id in self._shared_out or self._changed(fill, order):
            return
        # Rounded up once, over all that the order has opened.
        needed = rounded_up(before + exact, digits) - rounded_up(before, digits)
        held = Fraction(order.margin_reserved)
        # A sell at a better price that it cannot pay for takes the margin of its reserve's price.
        if fill.direction.sign < 0 and held < needed:
            self._shared_out.add(fill.branch_id)
        elif held != needed:
            self._fail("I14", f"{_told(fill)} needs a margin of {float(needed)}, not {held}")

    def _changed(self, fill: Any, order: Any) -> bool:
        """Whether the position is not what the fill made it any more, or shares its margin."""
        return bool(
            order.status.name != "FILLED"
            or order.volume != fill.volume
            or order.fill_price != fill.price
            or order.account_id in self._netting
            or order.fees_on_overnight
            or order.account_id in self._cross
        )

    # -- where and when ----------------------------------------------------------------------------

    def _check_place(self, fill: Any, order: Any, book: Any) -> None:
        bars = self._bars.get((fill.pair, fill.bar_open_ns))
        if not bars:
            self._fail("I15", f"{_told(fill)} on a bar that nobody sent")
        bar = bars[-1]
        rules = book.rules
        # A gap may be filled at a limit or stop that the bar never saw, where the rules say so.
        inside = rules.limit_gap == "open" and rules.stop_gap == "open"
        if inside and not rules.slippage_beyond_bar and not bar.low <= fill.price <= bar.high:
            self._fail("I15", f"{_told(fill)} outside its bar: {bar.low} to {bar.high}")
        if fill.timestamp_ns < bar.close_ns:
            self._fail("I15", f"{_told(fill)} at {fill.timestamp_ns}, before its bar has closed")
        limit = order.limit_price if fill.kind == "entry" else None
        if fill.kind == "take_profit":
            limit = order.take_profit if fill.order_kind == "trading" else order.limit_price
        if limit is not None and (fill.price - limit) * fill.direction.sign > 0:
            self._fail("I15", f"{_told(fill)} is worse than its limit {limit}")
        if fill.kind == "entry" and book.rules.fills is None:
            self._check_price(fill, order, bar, book)
        born = self._roots.get(fill.root_id)
        if born is not None and fill.kind == "entry":
            seen = bar.close_ns if fill.point == "close" else bar.open_ns
            if born > seen:
                self._fail(
                    "I15",
                    f"{_told(fill)} at the {fill.point} of a bar from {bar.open_ns}, but was "
                    f"accepted at {born}",
                )
        if fill.kind != "liquidation":
            self._check_pool(fill, bars, book)

    def _check_price(self, fill: Any, order: Any, bar: Bar, book: Any) -> None:
        """A plain market or limit order has only so many prices at which it can fill."""
        if order.stop_price is not None or order.instructions.is_trailing:
            return
        buys, limit = fill.direction.sign > 0, order.limit_price
        if limit is None:
            met = [bar.open, bar.close] if fill.point == "close" else [bar.open]
            prices = [_slipped(one, buys, bar, book) for one in met]
        else:
            met = [bar.close if fill.point == "close" else bar.open]
            prices = [Fraction(one) for one in met if (one <= limit if buys else one >= limit)]
            prices.append(Fraction(limit))
        if Fraction(fill.price) not in prices:
            self._fail("I15", f"{_told(fill)}: it could be {[float(one) for one in prices]}")
        if limit is not None and len(self._bars[fill.pair, fill.bar_open_ns]) == 1:
            self._check_queue(fill, order, -limit if buys else limit)

    def _check_queue(self, fill: Any, order: Any, price: Decimal) -> None:
        if fill.order_kind != "spot" or order.stop_loss or order.take_profit:
            return
        if order.instructions.oco is not None or order.account_id in self._cross:
            return
        rules = self._venue.books[fill.pair].rules
        if rules.path == "queue_order" or order.parent_id is not None:
            return  # the order of acceptance alone; or a child, whose place is not its number
        key = (fill.pair, fill.bar_open_ns, fill.point, fill.direction.sign > 0)
        place = (Fraction(price), order.order_number)
        last = self._queue.get(key)
        if last is not None and place < last:
            self._fail("I19", f"{_told(fill)} filled after one that was behind it")
        self._queue[key] = place

    def _check_pool(self, fill: Any, bars: list[Bar], book: Any) -> None:
        share = book.rules.participation
        if share is None or book.rules.fills is not None or any(bar.volume is None for bar in bars):
            return
        key = (fill.pair, fill.bar_open_ns)
        sides = self._pools.setdefault(key, (None, {True: Fraction(0), False: Fraction(0)}))[1]
        buys = fill.direction.sign > 0
        sides[buys] += Fraction(fill.volume)
        step = Fraction(book.pair.volume_increment)
        most = sum(floor(Fraction(bar.volume or 0) * Fraction(share) / step) * step for bar in bars)
        if sides[buys] > most:
            self._fail(
                "I16", f"{_told(fill)}: {float(sides[buys])} filled, {float(most)} was there"
            )


def _told(fill: Any) -> str:
    return f"fill of {fill.volume} {fill.pair} at {fill.price} ({fill.kind}, {fill.order_id})"


def _slipped(price: Decimal, buys: bool, bar: Bar, book: Any) -> Fraction:
    """``price`` with the slippage of the rules: on the grid, inside the bar unless beyond it."""
    rules, step = book.rules, Fraction(book.pair.price_increment)
    slip = Fraction(rules.slippage) + Fraction(price) * Fraction(rules.slippage_rate)
    if not slip:
        return Fraction(price)
    if buys:
        worse = ceil((Fraction(price) + slip) / step) * step
        return worse if rules.slippage_beyond_bar else min(worse, Fraction(bar.high))
    worse = floor((Fraction(price) - slip) / step) * step
    return max(worse, step) if rules.slippage_beyond_bar else max(worse, Fraction(bar.low))
