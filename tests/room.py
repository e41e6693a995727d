"""Venues without a kernel: no system, no loop, no actor.

A `Room` is put together like the broker, an `ExchangeRoom` like the exchange, of their very parts;
in place of the actor there is a clock that a test sets, in place of the account actor the `Ledger`
itself. Whatever a rule decides it decides without waiting, and so `at_once` carries it out::

    room = Room(cash="1000")
    room.at("100")                                  # the mark
    assert room.do(long(2, limit=100, leverage=10)) == ["RESERVE_MARGIN USD -20 20", "ACCEPTED"]
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

from backtest.actors.broker.cross_margin import CrossMargin
from backtest.actors.broker.execution import Execution
from backtest.actors.broker.fills import Fills
from backtest.actors.broker.quotes import StandingQuotes
from backtest.actors.exchange.actor import _ExchangeVenue
from backtest.actors.exchange.calls import Calls
from backtest.actors.exchange.market import MarketBook, MarketSpec
from backtest.actors.exchange.matching import Matching
from backtest.actors.exchange.publication import Publication
from backtest.actors.exchange.trades import Trades
from backtest.actors.protocol import Amend, Create, OrderEvent, Posted, Verb
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.client import Client
from backtest.actors.venue.commands import AtThisClose, Commands
from backtest.actors.venue.cross_accounts import know_cross
from backtest.actors.venue.expiry import Expiry
from backtest.actors.venue.financing import Financing
from backtest.actors.venue.settlement import Settlement
from backtest.actors.venue.spot_exits import SpotExits
from backtest.actors.venue.venue import Venue
from backtest.errors import RejectReason
from backtest.models import (
    PLAIN,
    Account,
    Agent,
    Bar,
    Instructions,
    OrderDirection,
    Quote,
    TimeInForce,
    TradingPair,
    TradingRules,
)
from backtest.services.ledger.entries import INSURANCE, deposit
from backtest.services.ledger.ledger import Entry, Ledger
from backtest.services.valuation import Valuation
from backtest.testing import pair_of, plain_text
from backtest.testing import rules as rules_of
from backtest.times import from_ns

__all__ = ["ExchangeRoom", "Room", "at_once", "buy", "long", "refusal", "sell", "short"]

D = Decimal
Number = Decimal | int | str
T = TypeVar("T")


def at_once(work: Awaitable[T] | None) -> T | None:
    """Carry out ``work``, which waits for nothing."""
    if work is None:
        return None
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits: what a rule decides it decides at once")


# -- what is asked ---------------------------------------------------------------------------------


def _order(
    direction: OrderDirection,
    spot: bool,
    volume: Number | None,
    *,
    limit: Number | None = None,
    stop: Number | None = None,
    leverage: Number | None = None,
    stop_loss: Number | None = None,
    take_profit: Number | None = None,
    trail: Number | None = None,
    force: str | None = None,
    post_only: bool = False,
    reduce_only: bool = False,
    oco: str | None = None,
    expires: datetime | None = None,
    account: str = "main",
    pair: str = "BTCUSD",
    kind: Any = None,
) -> Create:
    if kind is None:
        if trail is not None:
            kind = "trailing_stop"
        elif stop is not None:
            kind = "stop" if limit is None else "stop_limit"
        else:
            kind = "market" if limit is None else "limit"
    own = PLAIN
    if any((force, trail is not None, oco, expires, post_only, reduce_only)):
        if expires is not None:
            force = "GTD"
        own = Instructions(
            time_in_force=TimeInForce.GTC if force is None else TimeInForce(force),
            expires_at=expires,
            post_only=post_only,
            reduce_only=reduce_only,
            oco=oco,
            trail=_number(trail),
        )
    return Create(
        0,
        account,
        pair,
        spot,
        kind,
        direction,
        _number(volume),
        _number(limit),
        _number(stop),
        _number(leverage),
        _number(stop_loss),
        _number(take_profit),
        own,
    )


def buy(volume: Number | None, **more: Any) -> Create:
    """A spot order that buys; its kind follows from its prices."""
    return _order(OrderDirection.LONG, True, volume, **more)


def sell(volume: Number | None, **more: Any) -> Create:
    """A spot order that sells."""
    return _order(OrderDirection.SHORT, True, volume, **more)


def long(volume: Number | None, **more: Any) -> Create:
    """A trading order that opens a long."""
    return _order(OrderDirection.LONG, False, volume, **more)


def short(volume: Number | None, **more: Any) -> Create:
    """A trading order that opens a short."""
    return _order(OrderDirection.SHORT, False, volume, **more)


def _number(value: Number | None) -> Decimal | None:
    return None if value is None else D(value)


def _exact(value: Any) -> Any:
    """Numbers in a command as the venue has them."""
    if isinstance(value, tuple):
        return tuple(_number(one) for one in value)
    return D(value) if isinstance(value, int | str) else value


# -- in place of the kernel ------------------------------------------------------------------------


class _Line:
    """In place of a channel: what was sent, and when."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def post(self, message: Any, priority: int = 0) -> None:
        self.sent.append(message)

    def post_at(self, at: int, message: Any, priority: int = 0) -> None:
        self.sent.append((at, message))


class _Bank:
    """In place of the account actor: the ledger answers at once."""

    def __init__(self, ledger: Ledger, shell: _Shell) -> None:
        self._ledger = ledger
        self._shell = shell

    def ask(self, asked: Any) -> Posted:
        touched = self._ledger.post(
            asked.legs,
            time=self._shell.events.now,
            order_id=asked.order_id,
            cause=0,
            why=asked.why,
            parts=asked.parts,
        )
        return Posted(len(self._ledger.entries), touched)


class _Time:
    now = 0

    @property
    def moment(self) -> datetime:
        return from_ns(self.now)


class _Shell:
    """In place of the actor: a clock, and lines that lead nowhere."""

    name = "broker"
    bars = ticks = 0

    def __init__(self) -> None:
        self.events = _Time()
        self.fiber = SimpleNamespace(handling=(0, 0, 1, SimpleNamespace(sender="s0"), None, 0))
        self.lines: dict[str, _Line] = {}

    def link(self, name: str) -> _Line:
        return self.lines.setdefault(name, _Line())


# -- the venues ------------------------------------------------------------------------------------


class Room:
    """The broker without its actor. One strategy, ``s0``, trades on all accounts but those of
    ``others``, which are by the name of a strategy.

    ``cash`` is of the account ``main`` in USD, or by account and asset; ``accounts`` are options of
    `Account` by name; ``rules`` plain values, or by pair.
    """

    def __init__(
        self,
        rules: Mapping[str, Any] | None = None,
        *,
        cash: Number | Mapping[str, Mapping[str, Number]] = 1000,
        pairs: Iterable[TradingPair] = (),
        accounts: Mapping[str, Mapping[str, Any]] | None = None,
        others: Mapping[str, Iterable[str]] | None = None,
        insurance: Number = 0,
        **more: Any,
    ) -> None:
        self.shell = _Shell()
        by_account = cash if isinstance(cash, Mapping) else {"main": {"USD": cash}}
        self.pairs = tuple(pairs) or (pair_of(),)
        self.ledger = Ledger(list(by_account))
        self._owners: dict[str, int] = {}
        self._commands_given = 0
        self._build(rules_of(**(rules or {})), more)
        venue = self.venue
        venue._account = _Bank(self.ledger, self.shell)  # type: ignore[assignment]
        known = {
            name: Account(UUID(int=100 + place), name, **(accounts or {}).get(name, {}))
            for place, name in enumerate(by_account)
        }
        owned = {name: list(theirs) for name, theirs in (others or {}).items()}
        taken = {one for theirs in owned.values() for one in theirs}
        owned = {"s0": [name for name in known if name not in taken], **owned}
        for number, (name, theirs) in enumerate(owned.items(), 1):
            self._join(number, name, [known[one] for one in theirs])
        for account, assets in by_account.items():
            for asset, amount in assets.items():
                self._pay_in(account, asset, D(amount))
        if insurance:
            self._pay_in(INSURANCE, "USD", D(insurance))
        venue.learn(
            {
                (account, asset): both
                for account, held in self.ledger.balances().items()
                for asset, both in held.items()
            }
        )
        venue.valuation.begin(0)
        know_cross(venue, known.values())
        self._entries = len(self.ledger.entries)
        self._told = 0

    def _build(self, rules: TradingRules, more: Mapping[str, Any]) -> None:
        by_code = {pair.code: (pair, more.get(pair.code) or rules) for pair in self.pairs}
        valuation = Valuation("USD", list(self.pairs))
        shell: Any = self.shell
        venue = self.venue = Venue(shell, UUID(int=1), UUID(int=2), by_code, valuation)
        self._parts(venue)
        fills = Fills(venue, self.cancellation, self.settlement)
        self.cross = CrossMargin(venue, self.cancellation, fills)
        self.financing = Financing(venue, self.cross, fills.test_level)
        self.commands = Commands(venue, self.cancellation, self.exits, self.financing)
        self.execution = Execution(venue, self.cancellation, fills, self.cross)
        self.expiry = Expiry(venue, self.cancellation, self.financing)
        self.quotes = StandingQuotes(venue, self.execution, self.financing, self.cross)

    def _parts(self, venue: Venue) -> None:
        self.cancellation = Cancellation(venue)
        self.exits = SpotExits(venue, self.cancellation)
        self.settlement = Settlement(venue, self.exits)

    def _join(self, number: int, name: str, accounts: list[Account]) -> None:
        agent = Agent(UUID(int=200 + number), name, tuple(one.account_id for one in accounts))
        line: Any = self.shell.link(name)
        client = Client(name, agent, {one.account_id: one.name for one in accounts}, line)
        self.venue.clients[name] = client
        for one in accounts:
            self._owners[one.name] = number
            self.venue.publisher.attend(client, one.name)
            if one.netting:
                self.venue.netting.add(one.name)
                self.venue.pooled.add(one.name)

    def _pay_in(self, account: str, asset: str, amount: Decimal) -> None:
        legs = deposit(account, asset, amount)
        self.ledger.post(legs, time=0, order_id=None, cause=0, why="opening balance")

    # -- what is asked of it -----------------------------------------------------------------------

    @property
    def book(self) -> Any:
        """The first pair, as the venue keeps it."""
        return self.venue.books[self.pairs[0].code]

    def do(self, ask: Create | Amend, *, by: str | None = None) -> list[str]:
        """Carry out a command of whoever owns the account or the order, or of ``by``; what was
        posted for it and told of it."""
        self._commands_given += 1
        sender = self._owner_of(ask) if by is None else by
        ask = ask._replace(command=self._commands_given)
        envelope: Any = (0, 0, 1, SimpleNamespace(sender=sender), ask, 0)
        at_once(self._carry_out(envelope, ask))
        return self.news()

    def _owner_of(self, ask: Create | Amend) -> str:
        if isinstance(ask, Create):
            clients = self.venue.clients.items()
            return next((name for name, one in clients if ask.account in one.account_ids), "s0")
        branch = None if ask.order_id is None else self.venue.branch_of.get(ask.order_id.int)
        return "s0" if branch is None else branch.client.name

    def _carry_out(self, envelope: Any, ask: Create | Amend) -> Awaitable[None]:
        if isinstance(ask, Create):
            return self.commands.create(envelope, ask)
        return self.commands.amend(envelope, ask)

    def news(self) -> list[str]:
        """What was posted and told since somebody asked: of the agents' accounts, in short."""
        entries, self._entries = self.ledger.entries[self._entries :], len(self.ledger.entries)
        events = self.venue.records.events
        told, self._told = events[self._told :], len(events)
        lines = [line for entry in entries for line in self._lines(entry)]
        for one in told:
            reason = "" if one.reason is None else f" {one.reason.value}"
            lines.append(f"{one.kind.name}{reason}")
        return lines

    def _lines(self, entry: Entry) -> Iterable[str]:
        for account, asset, kind, available, unavailable in entry.legs:
            if account in self._owners:
                whose = "" if account == "main" else f"{account} "
                amounts = f"{plain_text(available)} {plain_text(unavailable)}"
                yield f"{whose}{kind.name} {asset} {amounts}"

    def house(self, account: str, asset: str = "USD") -> Decimal:
        """What a house account has."""
        return self.ledger.balance(account, asset)[0]

    def money(self, asset: str = "USD", account: str = "main") -> tuple[Decimal, Decimal]:
        """Available and unavailable."""
        return self.ledger.balance(account, asset)

    def why(self) -> str:
        """The sentence of the last event."""
        return self.venue.records.events[-1].detail

    def heard(self, name: str = "s0") -> list[OrderEvent]:
        """What a strategy was sent."""
        return [one for one in self.shell.lines[name].sent if type(one) is OrderEvent]

    def branches(self) -> list[Branch]:
        """What is pending on all pairs, in the order of acceptance."""
        return [one for book in self.venue.books.values() for one in book.branches.values()]

    def branch(self, number: int = -1) -> Branch:
        """What was accepted as that number, from 1; the last of all, if left out."""
        found = {
            one.number: one
            for one in [*self.venue.branch_of.values(), *self._open()]
            if one is not None
        }
        return found[max(found) if number < 0 else number]

    def _open(self) -> list[Branch]:
        return [
            lot.branch
            for book in self.venue.books.values()
            for position in book.positions
            for lot in position.lots
        ]

    def positions(self) -> list[Any]:
        """The open positions of all pairs, oldest first."""
        return [one for book in self.venue.books.values() for one in book.positions]

    # -- what may be done about an order -----------------------------------------------------------

    def amend(self, verb: Verb, branch: Branch | None = None, **more: Any) -> list[str]:
        """A command about ``branch``, the last that was accepted if left out."""
        branch = self.branch() if branch is None else branch
        values = {name: _exact(value) for name, value in more.items() if name != "close"}
        return self.do(Amend(0, verb, branch.id, **values, close=more.get("close", 0)))

    def cancel(self, branch: Branch | None = None, **more: Any) -> list[str]:
        return self.amend(Verb.CANCEL, branch, **more)

    def modify(self, branch: Branch | None = None, **more: Any) -> list[str]:
        return self.amend(Verb.MODIFY, branch, **more)

    def split(self, *volumes: Number, branch: Branch | None = None, **more: Any) -> list[str]:
        return self.amend(Verb.SPLIT, branch, volumes=volumes, **more)

    def close(self, branch: Branch | None = None, **more: Any) -> list[str]:
        return self.amend(Verb.CLOSE, branch, **more)

    # -- the market --------------------------------------------------------------------------------

    def at(self, price: Number, pair: str | None = None) -> None:
        """``price`` is the mark from now on; nothing walks to it."""
        book = self.book if pair is None else self.venue.books[pair]
        book.last = self.venue.valuation.prices[book.code] = D(price)

    def bar(self, bar: Bar) -> list[str]:
        """Walk ``bar``; what was posted for it and told of it."""
        book = self.venue.books[bar.pair]
        self.shell.events.now = bar.close_ns
        self.venue.valuation.move_to(bar.close_ns)
        book.standing.end_by(bar)
        due = book.charges and self.financing.is_due(book, bar)
        if due or (book.due is not None and book.due < bar.close_ns):
            at_once(self.expiry.settle(book, bar.open_ns))
        walk, hit = self.execution.walk(book, bar)
        at_once(self.execution.match(book, bar, walk, hit))
        book.bar = bar
        self.at(bar.close, bar.pair)
        at_once(self.expiry.settle(book, bar.close_ns - 1, inside=bar))
        if self.venue.cross:
            at_once(self.cross.test(book))
        return self.news()

    def quote(self, quote: Quote) -> None:
        """``quote`` stands from now on, and nothing meets it."""
        book = self.venue.books[quote.pair]
        self.shell.events.now = quote.time_ns
        book.bar = book.last_quote = quote
        book.standing.begin(quote, None)
        self.at((quote.bid + quote.ask) / 2, quote.pair)

    def alarms(self) -> list[int]:
        """The times at which the venue asked to be woken."""
        sent = [] if "broker" not in self.shell.lines else self.shell.lines["broker"].sent
        return [one[0] for one in sent if isinstance(one, tuple) and not _is_own(one)]


def _is_own(message: Any) -> bool:
    return type(message) is AtThisClose


class ExchangeRoom(Room):
    """The exchange without its actor. ``main`` belongs to ``s0``; each other account to a strategy
    of its name, unless ``others`` says otherwise. Markets begin at ``reference`` (100)."""

    def __init__(self, rules: Mapping[str, Any] | None = None, **more: Any) -> None:
        cash = more.get("cash", 1000)
        names = list(cash) if isinstance(cash, Mapping) else ["main"]
        more.setdefault("others", {name: [name] for name in names if name != "main"})
        spot = more.pop("spot", False)
        both = {"spot_allowed": spot, "trading_allowed": not spot}
        super().__init__({**both, **(rules or {})}, **more)
        self.venue.publisher.told = []
        self.venue.publisher.held = []

    def _build(self, rules: TradingRules, more: Mapping[str, Any]) -> None:
        specs = {
            pair.code: MarketSpec(
                pair=pair,
                rules=rules,
                **{"reference_price": D(100), **more},
            )
            for pair in self.pairs
        }
        valuation = Valuation("USD", list(self.pairs))
        shell: Any = self.shell
        venue = self.venue = _ExchangeVenue(shell, UUID(int=1), UUID(int=2), specs, valuation)
        self._parts(venue)
        self.calls = Calls(venue, self.cancellation)
        self.financing = Financing(venue, self.calls)
        self.commands = Commands(venue, self.cancellation, self.exits, self.financing)
        books: Any = venue.books
        publication = Publication(books)
        self.trades = Trades(venue, self.cancellation, self.settlement, self.calls)
        self.matching = Matching(
            venue, self.cancellation, self.trades, publication, self._owners, self.calls
        )
        self.expiry = Expiry(venue, self.cancellation, self.financing)
        for code, book in books.items():
            valuation.prices[code] = book.last

    async def _carry_out(self, envelope: Any, ask: Create | Amend) -> None:
        await super()._carry_out(envelope, ask)
        await self.matching.settle()

    def phase(self, name: Any) -> list[str]:
        """From now on the market is in that phase."""

        async def change() -> None:
            await self.matching.change_phase(self.book, name)
            await self.matching.settle()

        at_once(change())
        return self.news()

    def stands(self) -> list[str]:
        """What rests in the book, best first: ``buy 2 at 99 main``."""
        book: MarketBook = self.book
        found = []
        for buys in (True, False):
            for one in book.orders.orders(buys):
                branch = one.key if type(one.key) is Branch else one.key.branch
                at = "the market" if one.is_market else plain_text(book.price_of(one.price))
                side = "buy" if buys else "sell"
                volume = plain_text(book.volume_of(one.volume))
                found.append(f"{side} {volume} at {at} {branch.account}")
        return found

    def tape(self) -> list[str]:
        """The trades so far: ``2 at 99 main sold``, by who took; ``met`` in an auction."""
        lines = []
        for one in self.trades.tape:
            taker = {"buy": f"{one.buyer} took", "sell": f"{one.seller} took", None: "met"}
            volume, price = plain_text(one.volume), plain_text(one.price)
            lines.append(f"{volume} at {price} {taker[one.aggressor]}")
        return lines


def refusal(lines: list[str]) -> RejectReason | None:
    """Why a command was refused; None where it was not."""
    for line in lines:
        if line.startswith("REJECTED "):
            return RejectReason(line.split()[1])
    return None
