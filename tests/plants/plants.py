"""Bugs to be planted on purpose: a harness that does not find them proves nothing.

Each is a context manager around one run. Here, and nowhere else, things are patched: that is the
point. What a plant does is what somebody might do by mistake on an ordinary afternoon.
"""

from __future__ import annotations

import sys
import time as clock
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import attrs

from backtest.actors import AccountActor, BrokerActor, EventKind, MarketData
from backtest.actors.broker.quotes import StandingQuotes
from backtest.actors.kernel.channel import Channel
from backtest.actors.protocol import BalanceUpdate
from backtest.actors.venue.client import Client
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.publisher import Publisher
from backtest.actors.venue.standing_quote import StandingQuote
from backtest.actors.venue.venue import Venue
from backtest.ids import IdSource
from backtest.models import FeeKind
from backtest.money import ZERO, add
from backtest.services.fills.bar_walk import BarWalk
from backtest.services.ledger.ledger import Ledger
from backtest.services.orders.revision import OrderTable
from backtest.services.settlement.fees import FeeTable
from backtest.services.settlement.pool import Pool
from backtest.services.valuation import Valuation
from backtest.strategies.client import OrderClient

from .bank_plants import BANK_PLANTS, STORAGE_PLANTS
from .exchange_plants import EXCHANGE_PLANTS
from .settlement_plants import SETTLEMENT_PLANTS
from .value_plants import VALUE_PLANTS

__all__ = ["PLANTS", "Plant", "planted"]

Change = Callable[[Any], Any]


@attrs.frozen
class Plant:
    """A bug: ``what`` it does, and how it is put in place."""

    what: str
    install: Callable[[ExitStack], None]
    is_random: bool = False
    """Whether it only shows as runs of one seed that differ from process to process."""
    without: frozenset[str] = frozenset(("exchange",))
    """The worlds that cannot show it: markets of agents, or all others."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Let the bug called ``name`` be there for a while. Raises `KeyError` for an unknown one."""
    plant = PLANTS[name]
    with ExitStack() as stack:
        plant.install(stack)
        yield


def _method(stack: ExitStack, owner: Any, name: str, change: Change) -> None:
    """Put ``change(real)`` in the place of a method, in whichever class of the family it is."""
    owner = next(kind for kind in owner.__mro__ if name in kind.__dict__)
    real = owner.__dict__[name]
    stack.callback(setattr, owner, name, real)
    setattr(owner, name, change(real))


def _function(stack: ExitStack, module: str, name: str, change: Change) -> None:
    """Put ``change(real)`` in the place of a function, wherever it was imported to.

    ``module`` is where it was when this was written. It may have moved: then it is looked for.
    """
    real = getattr(sys.modules.get(module), name, None)
    if real is None:
        homes = [one for one in list(sys.modules) if one.startswith("backtest.")]
        found = [getattr(sys.modules[one], name, None) for one in homes]
        defined = {one.__module__: one for one in found if hasattr(one, "__module__")}
        if len(defined) != 1:
            raise LookupError(f"{name} is not in {module} any more, but in {sorted(defined)}")
        (real,) = defined.values()
    fake = change(real)
    for place in list(sys.modules):
        if place.startswith("backtest.") and place.partition(".")[2].partition(".")[0] != "testing":
            user = sys.modules[place]
            if getattr(user, name, None) is real:
                stack.callback(setattr, user, name, real)
                setattr(user, name, fake)


def _on(owner: Any, name: str, change: Change) -> Callable[[ExitStack], None]:
    return lambda stack: _method(stack, owner, name, change)


def _in(module: str, name: str, change: Change) -> Callable[[ExitStack], None]:
    return lambda stack: _function(stack, f"backtest.{module}", name, change)


_LEGS = "services.ledger.entries"
_COUNT: dict[str, int] = {}


def _every(number: int, key: str) -> bool:
    """True at each ``number``-th call for ``key``."""
    _COUNT[key] = _COUNT.get(key, 0) + 1
    return _COUNT[key] % number == 0


def _counting(install: Callable[[ExitStack], None]) -> Callable[[ExitStack], None]:
    """``install``, with the counters at zero: every run begins alike."""

    def begin(stack: ExitStack) -> None:
        _COUNT.clear()
        install(stack)

    return begin


def _swapped(real: Any) -> Any:
    return lambda *a, **k: [
        (one, asset, kind, -av, un) for one, asset, kind, av, un in real(*a, **k)
    ]


def _leg_dropped(real: Any) -> Any:
    return lambda *a, **k: real(*a, **k)[:-1] or real(*a, **k)


def _fee_forgotten(real: Any) -> Any:
    def close(account: str, asset: str, margin: Any, pnl: Any, fee: Any, *more: Any) -> Any:
        return real(account, asset, margin, pnl, ZERO, *more)

    return close


def _posted_twice(real: Any) -> Any:
    def respond(self: Any, payload: Any, cause: int) -> Any:
        answer = real(self, payload, cause)
        return real(self, payload, cause) if _every(40, "post") else answer

    return respond


def _no_reserve(real: Any) -> Any:
    return lambda account, asset, reserve, *more: real(account, asset, ZERO, *more)


def _half_reserve(real: Any) -> Any:
    def reserve(self: Any, branch: Any, leaves: Any, *more: Any) -> Any:
        amount = real(self, branch, leaves, *more)
        return amount if not branch.buy else amount.quantize(branch.book.step) / 2

    return reserve


def _float_sum(real: Any) -> Any:
    return lambda one, other: Decimal(repr(float(one) + float(other)))


def _set_order(real: Any) -> Any:
    def mark(self: Any, *more: Any) -> None:
        self._listeners.sort(key=lambda channel: channel.target.name.__hash__())
        real(self, *more)

    return mark


def _wall_clock(real: Any) -> Any:
    def post(self: Any, legs: Any, *, time: int, **given: Any) -> Any:
        return real(self, legs, time=clock.time_ns(), **given)

    return post


def _half_margin(real: Any) -> Any:
    def close(account: str, asset: str, margin: Any, *more: Any) -> Any:
        return real(account, asset, margin / 2, *more)

    return close


def _rounded_down(real: Any) -> Any:
    return lambda value, step: value.quantize(step, ROUND_FLOOR)


def _twice_the_pool(real: Any) -> Any:
    def pool(volume: Any, share: Any, step: Any) -> Any:
        there = real(volume, share, step)
        return None if there is None else there * 2

    return pool


def _silent(kind: EventKind, *, recorded: bool) -> Change:
    def change(real: Any) -> Any:
        def tell(self: Any, told: Any, branch: Any, *more: Any, **given: Any) -> None:
            if told is not kind:
                real(self, told, branch, *more, **given)
            elif recorded:
                client, branch.client = branch.client, _Deaf(branch.client)
                try:
                    real(self, told, branch, *more, **given)
                finally:
                    branch.client = client

        return tell

    return change


class _Deaf:
    """A client whose channel leads nowhere."""

    def __init__(self, client: Any) -> None:
        self.channel = self
        self.name = client.name

    def post(self, *_: Any) -> int:
        return 1


def _stale(real: Any) -> Any:
    def learn(self: Any, touched: Any) -> Any:
        if _every(25, "learn"):
            return {key: both for key, both in touched.items() if key[0] in self.sharers}
        return real(self, touched)

    return learn


def _worse_first(real: Any) -> Any:
    def push(self: Any, event: Any, lane: Any, group: Any, points: Any, sort: bool = True) -> None:
        working = event.working
        buy = working.buy
        working.buy = not buy  # the key turns better into worse
        try:
            real(self, event, lane, group, points, sort)
        finally:
            working.buy = buy

    return push


def _losing(real: Any) -> Any:
    def post(self: Any, payload: Any, *more: Any, **given: Any) -> int:
        if type(payload) is BalanceUpdate and _every(3, "lost"):
            self.sent += 1
            return 1
        number: int = real(self, payload, *more, **given)
        return number

    return post


def _other_notional(real: Any) -> Any:
    def fill(account: str, base: str, quote: str, volume: Any, notional: Any, *more: Any) -> Any:
        digit = Decimal((0, (1,), notional.as_tuple().exponent))
        return real(account, base, quote, volume, notional + digit, *more)

    return fill


def _no_remainder(real: Any) -> Any:
    def apportion(amount: Any, part: Any, whole: Any, step: Any = None, **more: Any) -> Any:
        share, rest = real(amount, part, whole, step, **more)
        return share, (rest - step if step is not None and rest > step and part != whole else rest)

    return apportion


def _better_price(real: Any) -> Any:
    def event_of(working: Any, rank: int, at: Any, points: Any, bar: Any, rules: Any) -> Any:
        event = real(working, rank, at, points, bar, rules)
        if event is not None and working.is_limit and event.price == working.price:
            better = event.price + rules.price_increment * (-1 if working.buy else 1)
            if bar.low <= better <= bar.high:
                event.price = better
        return event

    return event_of


def _slipped_well(real: Any) -> Any:
    return lambda price, buy, *more: real(price, not buy, *more)


def _no_short_sign(real: Any) -> Any:
    return lambda self, long, *more: real(self, True, *more)


def _last_price(real: Any) -> Any:
    def filled(self: Any, volume: Any, price: Any, *more: Any) -> Any:
        return real(self, volume, price, *more)._replace(price=price)

    return filled


def _margin_each(real: Any) -> Any:
    def opened(sums: Any, *more: Any) -> Any:
        return real(sums._replace(worth=ZERO, posted=ZERO), *more)

    return opened


def _old_level(real: Any) -> Any:
    def revalue(venue: Any, position: Any) -> None:
        if position.liquidation is None:
            real(venue, position)

    return revalue


def _from_the_open(real: Any) -> Any:
    return lambda *a, **k: 0


def _revived(real: Any) -> Any:
    def keep(self: Any, order: Any) -> None:
        if order.frozen().status.name != "CANCELLED" or not _every(3, "revived"):
            real(self, order)

    return keep


def _too_much_left(real: Any) -> Any:
    def child(order: Any, id: Any, volume: Any, *more: Any) -> Any:
        return real(order, id, volume + Decimal((0, (1,), volume.as_tuple().exponent)), *more)

    return child


def _uncovered(real: Any) -> Any:
    # As if nothing were ever uncovered: the terms stay as they were priced.
    return lambda closes, free, isolated: list(closes)


def _early(real: Any) -> Any:
    def emit(self: Any) -> int:
        at: int = real(self)
        coming = self._next
        if coming is None:
            return at
        begins: int = getattr(coming, "open_ns", at)
        soon: int = max(self.system.now, begins + 1)
        return soon

    return emit


def _view_of_yesterday(real: Any) -> Any:
    def apply(self: Any, event: Any) -> None:
        if event.balances and _every(2, "view"):
            before = dict(self.balances)
            real(self, event)
            self.balances.update(before)
        else:
            real(self, event)

    return apply


def _too_fine(real: Any) -> Any:
    return lambda self, asset, before, after: (
        None if _every(9, "worth") else real(self, asset, before, after)
    )


def _never(real: Any) -> Any:
    return lambda self, what: None


def _meets_nothing(real: Any) -> Any:
    async def carry_out(self: Any, command: Any) -> None:
        await command

    return carry_out


def _new_ids(real: Any) -> Any:
    return lambda self: uuid.uuid4()


def _twice_gone(real: Any) -> Any:
    def drop(venue: Any, lot: Any) -> None:
        if not _every(4, "dropped"):
            real(venue, lot)

    return drop


def _not_checked(real: Any) -> Any:
    return lambda self, *_: None


def _doubled_back(real: Any) -> Any:
    return lambda account, asset, back, *more: real(account, asset, back * 2, *more)


def _short_changed(real: Any) -> Any:
    def fill(account: str, asset: str, share: Any, margin: Any, fee: Any) -> Any:
        return (
            real(account, asset, share, margin, fee)[:1]
            if fee
            else real(account, asset, share, margin, fee)
        )

    return fill


def _maker_always(real: Any) -> Any:
    return lambda *given: real(*given[:-1], True)


def _flat_each_time(real: Any) -> Any:
    def added(self: Any, sums: Any, *more: Any) -> Any:
        new = list(real(self, sums, *more))
        for place, fee in enumerate(self._fees):
            if fee.kind is FeeKind.FLAT_PER_TRADE and sums and sums[place] is not None:
                new[place] = add(sums[place], fee.rate)
        return tuple(new)

    return added


PLANTS: dict[str, Plant] = {
    name: Plant(what, _counting(install), is_random)
    for name, what, install, is_random in (
        (
            "drop-leg",
            "an entry loses its last leg",
            _in(_LEGS, "fill_spot_sell", _leg_dropped),
            False,
        ),
        ("fee-sign", "the sign of every fee is swapped", _in(_LEGS, "_fee", _swapped), False),
        ("forget-fee", "a close books no fee", _in(_LEGS, "close_position", _fee_forgotten), False),
        (
            "half-fee",
            "a fill books half of its fee entry",
            _in(_LEGS, "fill_trading", _short_changed),
            False,
        ),
        (
            "post-twice",
            "an entry is posted twice",
            _on(AccountActor, "respond", _posted_twice),
            False,
        ),
        (
            "ignore-reserve",
            "nothing is reserved for an order",
            _in(_LEGS, "create_order", _no_reserve),
            False,
        ),
        (
            "half-reserve",
            "a buy reserves half, consistently",
            _on(Venue, "reserve", _half_reserve),
            False,
        ),
        ("float-sum", "balances are added as floats", _in("money", "exact_add", _float_sum), False),
        (
            "set-order",
            "strategies hear of a bar in the order of hashes",
            _on(BrokerActor, "_mark", _set_order),
            True,
        ),
        (
            "wall-clock",
            "the ledger looks at the clock on the wall",
            _on(Ledger, "post", _wall_clock),
            False,
        ),
        (
            "keep-margin",
            "a close gives back half of its margin",
            _in(_LEGS, "close_position", _half_margin),
            False,
        ),
        (
            "round-down",
            "fees and margin are rounded down",
            _in("money", "round_up", _rounded_down),
            False,
        ),
        (
            "beyond-pool",
            "twice the volume of a bar may fill",
            _in("services.fills.walk", "pool", _twice_the_pool),
            False,
        ),
        (
            "look-ahead",
            "an order fills on the bar it was made in",
            _in("services.fills.walk", "eligibility", _from_the_open),
            False,
        ),
        (
            "silent-cancel",
            "a cancel is recorded and not told",
            _on(Publisher, "tell", _silent(EventKind.CANCELLED, recorded=True)),
            False,
        ),
        (
            "lost-cancel",
            "a cancel is neither recorded nor told",
            _on(Publisher, "tell", _silent(EventKind.CANCELLED, recorded=False)),
            False,
        ),
        (
            "close-twice",
            "a closed position may be closed again",
            _in("actors.venue.positions", "drop_lot", _twice_gone),
            False,
        ),
        (
            "no-liquidation",
            "positions are never liquidated",
            _on(PairBook, "liquidation", lambda real: lambda *_: None),
            False,
        ),
        (
            "stale-mirror",
            "the venue misses a change of a balance",
            _on(Venue, "learn", _stale),
            False,
        ),
        (
            "apply-twice",
            "a command that comes twice has two effects",
            _on(Client, "is_new", lambda real: lambda *_: True),
            False,
        ),
        (
            "worse-first",
            "worse limits fill before better ones",
            _on(BarWalk, "_push", _worse_first),
            False,
        ),
        (
            "lose-message",
            "a message is sent and never delivered",
            _on(Channel, "post", _losing),
            False,
        ),
        (
            "two-notionals",
            "a fill is worth one digit more in the ledger",
            _in(_LEGS, "fill_spot_buy", _other_notional),
            False,
        ),
        (
            "lose-remainder",
            "apportioning loses the remainder",
            _in("services.orders.parts", "apportion", _no_remainder),
            False,
        ),
        (
            "better-price",
            "a limit fills a tick better, balanced",
            _in("services.fills.outcome", "event_of", _better_price),
            False,
        ),
        (
            "slip-well",
            "slippage makes prices better",
            _in("services.fills.path", "slipped", _slipped_well),
            False,
        ),
        (
            "short-sign",
            "a short's PnL has a long's sign",
            _on(Pool, "closed", _no_short_sign),
            False,
        ),
        (
            "last-price",
            "what is added to a position gives it its price, not the average",
            _on(Pool, "filled", _last_price),
            False,
        ),
        (
            "margin-each",
            "each fill that opens something has its margin rounded up",
            _in("services.settlement.amounts", "opened", _margin_each),
            False,
        ),
        (
            "old-level",
            "a partial close leaves the liquidation price as it was",
            _in("actors.venue.positions", "revalue", _old_level),
            False,
        ),
        ("revive", "a cancelled order is pending still", _on(OrderTable, "keep", _revived), False),
        (
            "leaves-grow",
            "what is left after a part is too much",
            _in("services.orders.parts", "child_of", _too_much_left),
            False,
        ),
        (
            "no-insurance",
            "nobody bears a loss beyond the margin",
            _in("actors.venue.close_plans", "covered", _uncovered),
            False,
        ),
        (
            "early-bar",
            "a bar is seen before it has closed",
            _on(MarketData, "_emit", _early),
            False,
        ),
        (
            "old-view",
            "a strategy sees old balances",
            _on(OrderClient, "apply", _view_of_yesterday),
            False,
        ),
        (
            "lost-worth",
            "equity misses a change of a balance",
            _on(Valuation, "balance", _too_fine),
            False,
        ),
        (
            "stale-quote",
            "what comes after a quote does not end it",
            _on(StandingQuote, "end_by", _never),
            False,
        ),
        (
            "no-quote",
            "new orders do not meet the quote that stands",
            _on(StandingQuotes, "carry_out", _meets_nothing),
            False,
        ),
        ("new-ids", "ids are new in every run", _on(IdSource, "draw", _new_ids), True),
        (
            "overdraw",
            "the ledger lets accounts go below zero",
            _on(Ledger, "_refuse", _not_checked),
            False,
        ),
        (
            "release-twice",
            "a cancelled reserve comes back twice",
            _in(_LEGS, "release", _doubled_back),
            False,
        ),
        (
            "always-maker",
            "everybody pays the maker's fee",
            _on(FeeTable, "added", _maker_always),
            False,
        ),
        (
            "flat-each-time",
            "a flat fee is charged with every fill",
            _on(FeeTable, "added", _flat_each_time),
            False,
        ),
    )
}


def _all_of(parts: tuple[tuple[Any, str, Change], ...]) -> Callable[[ExitStack], None]:
    """Several changes, of methods of classes and of functions of modules."""

    def install(stack: ExitStack) -> None:
        for place, name, change in parts:
            (_in if isinstance(place, str) else _on)(place, name, change)(stack)

    return install


PLANTS |= {name: Plant(what, _all_of(parts)) for name, what, parts in VALUE_PLANTS}
PLANTS |= {
    name: Plant(what, _on(owner, method, change), without=frozenset(("history",)))
    for name, what, owner, method, change in EXCHANGE_PLANTS
}
PLANTS |= {
    name: Plant(what, _all_of(((place, method, change),)))
    for name, what, place, method, change in (*BANK_PLANTS, *SETTLEMENT_PLANTS, *STORAGE_PLANTS)
}
"""The bugs by name."""
