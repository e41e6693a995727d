"""The oracle: a second opinion on a running system, by arithmetic of its own.

It shares no code with the ledger. It reads the journal's entries, the live balances and the venue's
table of orders after every message, folds them in exact fractions, and raises `InvariantBroken` at
the first message after which one of the invariants does not hold:

* I1 money is conserved per asset; what is there without ``world`` is what came in
* I2 every entry sums to zero per asset
* I3 no agent's account is below zero
* I4 what is reserved is the sum of the reserves and margins of live orders, per account and chain
* I5 the volume of every order chain is conserved, and final orders never change
* I6 entries appear only when the account actor was asked for one
* I7 time and ``(time, priority, sequence)`` rise, nothing is handled before it was sent
* I8 every message sent was delivered, is on its way, or was dropped on purpose
* I9 a command has one effect, however often it is sent
* I10 folding the journal from empty gives the live balances
* I11 no NaN, no infinity, no price or volume at or below zero; assets move by whole steps
* I12 what trades brought an account is what its fills say
* I13 after a bar, no position or cross margin account that it concerns is below its maintenance; on
  an exchange what is so is being liquidated
* I14 notional, fee, PnL and margin of every fill are those of the formulas
* I15 its price is within its bar and its limit, and not from before its acceptance
* I16 what filled on one side of a bar is within the volume that there was
* I17 whatever happens to an order is told to its owner
* I18 the venue's mirror of the balances is the ledger
* I19 at one point of a bar plain limits fill by price, then by acceptance
* I20 what an accepted order reserves is what the formula says
* I21 a position on its own loses no more than its margin; the insurance account bears the rest
* I22 where agents trade with each other: what the one pays the other gets, in one entry
* I23 who is met in an order book was first in line, at his price, and nobody meets himself
* I24 a book is what the record says: never crossed while trading, levels the sum of their orders
* I25 the updates of the depth rebuild the book
* I26 a fill moves value and makes none: per order and per position, up to one step of the quote
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import gcd
from typing import Any, NoReturn

from backtest.actors import Envelope, System
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.kernel.fiber import HANDLE
from backtest.actors.protocol import Post
from backtest.errors import BacktestError
from backtest.models import Bar, Quote, Trade, TradingPair

from .between import BetweenAudit
from .book import BookAudit
from .chains import ChainAudit
from .margin import MarginAudit
from .messages import MessageAudit
from .segments import malformed
from .trades import TradeAudit
from .units import SCALE, Units, shown, units
from .value import ValueAudit

__all__ = ["InvariantBroken", "Oracle"]

_MARKET = frozenset((Bar, Quote, Trade))
_HOUSE = frozenset(("market", "clearing", "fees", "insurance", "world"))
Key = tuple[str, str]


class InvariantBroken(BacktestError, AssertionError):
    """An invariant does not hold: ``invariant`` says which, ``time`` (ns) when."""

    def __init__(self, invariant: str, problem: str, time: int, message: Envelope | None) -> None:
        self.invariant = invariant
        self.time = time
        self.message = message
        after = "at the end"
        if message is not None:
            what = type(message.payload).__name__
            after = f"after message {message.id} ({what} to {message.channel.target.name})"
        super().__init__(f"{invariant} broken at {time} ns, {after}: {problem}")


class Oracle:
    """Watches ``system`` from before its run: ``Oracle(system)``, and `finish` when it is over.

    ``venue`` and ``account`` are the names of the actors that it looks at. A tracer and an
    observer that are set already are called first. With ``whole_every`` above 1 only each so many
    messages everything is compared, and after the others what new entries and events touched: for
    systems of a thousand agents. Money is conserved, and every touched balance is the journal's,
    after each message all the same.
    """

    def __init__(
        self,
        system: System,
        venue: str = "broker",
        account: str = "account",
        *,
        whole_every: int = 1,
    ) -> None:
        self.system = system
        self._whole_every = whole_every
        self._is_whole = True
        self.checks = 0
        """Messages after which everything was checked."""
        broker: Any = system.actors[venue]
        self._broker = broker
        self._account: Any = system.actors[account]
        self._message: Envelope | None = None
        self._key = (-1, 0, 0)
        self._asked: Any = None
        """The legs that the account actor was asked to post and has not posted."""
        self._money: dict[Key, tuple[Units, Units]] = {}
        self._came_in: dict[str, Units] = {}
        self._touched: dict[Key, None] = {}
        """Balances that new entries moved, and that were not compared yet."""
        self._seen: dict[str, dict[str, tuple[Decimal, Decimal]]] = {}
        """The live balances as they were at the last check."""
        self._unmirrored: dict[Key, None] = {}
        """Balances that changed since the venue's mirror was looked at."""
        self._worth: dict[Key, Units] = {}
        self._steps = _steps(book.pair for book in broker.venue.books.values())
        self._totals: dict[str, Units] = {}
        """By asset: what all accounts together have, live."""
        self._settled = True
        """Whether the venue had finished what it was doing at the last check."""
        self._entries = 0
        self._transactions = 0
        self._last_time = 0
        self._margins = MarginAudit(broker, self._fail)
        self._chains = ChainAudit(broker.venue.records, self._fail, self._margins.netting)
        self._trades = TradeAudit(broker, self._chains.order, self._fail)
        self._value = ValueAudit(
            broker, self._chains.order, self._trades.names, self._margins.netting, self._fail
        )
        self._between: BetweenAudit | None = None
        self.books: BookAudit | None = None
        """What it knows of the order books, where agents trade with each other."""
        if isinstance(broker, ExchangeActor):
            self._between = BetweenAudit(broker, self._chains, self._fail)
            self.books = BookAudit(broker, self._fail)
        self.messages = MessageAudit(system, broker, self._fail)
        self._before = (system.tracer, system.observer)
        system.tracer, system.observer = self.trace, self.check

    def trace(self, message: Envelope) -> None:
        """Called before each message is delivered: check the order of delivery."""
        if self._before[0] is not None:
            self._before[0](message)
        self._message = message
        self._chains.note()
        key = (message.time, message.priority, message.id)
        if key <= self._key:
            self._fail("I7", f"{key} is delivered after {self._key}")
        if not message.sent <= message.time == self.system.now:
            self._fail(
                "I7", f"sent at {message.sent}, due at {message.time}, handled at {self.system.now}"
            )
        self._key = key
        self.messages.saw(message)
        if self.books is not None:
            self.books.saw(message)
        if type(message.payload) in _MARKET and message.channel.target is self._broker.fiber:
            self._trades.saw(message.payload)
        if message.channel.target is self._account.fiber and type(message.payload) is Post:
            self._asked = message.payload.legs

    def check(self, message: Envelope) -> None:
        """Called after each message: check everything."""
        if self._before[1] is not None:
            self._before[1](message)
        self._message = message
        self._is_whole = self.checks % self._whole_every == 0
        self._chains.note()
        self._check_entries()
        self._check_balances()
        # While the venue waits for the account actor the order is not yet what the money says.
        self._settled = self._broker.fiber.waiting is HANDLE
        if self._settled:
            self._check_settled()
            self._check_margins(message)
        if self._is_whole:
            self.messages.check()
        self.checks += 1

    def _check_settled(self) -> None:
        """What holds whenever the venue has finished what it was doing."""
        self._chains.check(self._money, self._is_whole)
        self._trades.check()
        self._value.check()
        if self._between is not None and self.books is not None:
            self._between.check(self._money)
            self.books.check(self._is_whole)
            if self._is_whole and not self._broker._matching.has_failed:
                self._margins.check_exchange(self._chains.positions.values(), self._money)
        changed = self._chains.changed
        self.messages.check_told(changed)
        changed.clear()
        mirror = self._broker.venue.money
        for key in self._unmirrored:
            if key[0] in self._broker.venue.sharers and mirror.get(key) != self._live(key):
                self._fail("I18", f"the venue takes {mirror.get(key)} for {key}")
        self._unmirrored.clear()

    def _check_margins(self, message: Envelope) -> None:
        if message.channel.target is self._broker.fiber and type(message.payload) is Bar:
            positions = self._chains.positions.values()
            self._margins.check(message.payload.pair, positions, self._money)

    def finish(self) -> None:
        """Check once more when the run is over, and fold the whole journal anew."""
        self._message = None
        self._is_whole = True
        self._chains.note()
        self._check_entries()
        self._check_balances()
        if self._settled:
            # Else the run ended, by an error, while the venue waited for the account actor.
            self._check_settled()
        # Nothing is taken as compared now.
        self._seen = {}
        self._check_balances()
        seen, self._money = self._money, {}
        for entry in self._account.ledger.entries:
            self._fold(entry)
        if seen != self._money:
            self._fail("I10", "the journal is not what it was when its entries were posted")

    def _fail(self, invariant: str, problem: str) -> NoReturn:
        raise InvariantBroken(invariant, problem, self.system.now, self._message)

    # -- the journal: I1, I2, I6, I11 --------------------------------------------------------------

    def _check_entries(self) -> None:
        entries = self._account.ledger.entries
        if len(entries) < self._entries:
            self._fail("I10", f"the journal shrank from {self._entries} to {len(entries)} entries")
        while self._entries < len(entries):
            entry = entries[self._entries]
            self._entries += 1
            if not self._check_entry(entry):
                if self._asked is None or list(entry.legs) != list(self._asked):
                    self._fail("I6", f"nobody asked the account actor for entry {entry.number}")
                self._asked = None
        if len(entries) and self._account.ledger.transactions != self._transactions:
            self._fail("I10", "the number of transactions is not that of the journal")

    def _check_entry(self, entry: Any) -> bool:
        """Look at one new entry; whether it is an opening deposit."""
        self._check_place(entry)
        sums: dict[str, Units] = {}
        worldly = False
        for account, asset, kind, available, unavailable in entry.legs:
            for amount in (available, unavailable):
                if type(amount) is not Decimal or not amount.is_finite():
                    self._fail("I11", f"entry {entry.number} moves {amount!r} of {asset}")
            free, locked = units(available), units(unavailable)
            change = free + locked
            step = self._steps.get(asset)
            if step is not None and (free % step or locked % step):
                self._fail(
                    "I11", f"entry {entry.number} ({entry.why}) moves less than a step of {asset}"
                )
            if change:
                sums[asset] = sums.get(asset, 0) + change
            if account == "world":
                worldly = True
                self._came_in[asset] = self._came_in.get(asset, 0) - change
                if kind.name != "ADJUSTMENT":
                    self._fail("I1", f"entry {entry.number}: {kind.name} with the world")
        for asset, total in sums.items():
            if total:
                self._fail(
                    "I2", f"entry {entry.number} ({entry.why}) sums to {shown(total)} {asset}"
                )
        self._fold(entry)
        if self._between is not None:
            self._margins.saw(entry, self._money)
        self._chains.entries.append(entry)
        self._trades.entries.append(entry)
        self._value.entries.append(entry)
        if self._between is not None:
            self._between.entries.append(entry)
        return worldly and entry.cause == 0

    def _check_place(self, entry: Any) -> None:
        """An entry comes next, and not before its time."""
        wrong = malformed(entry) if entry.parts else ""
        if wrong:
            self._fail("I10", f"entry {entry.number}: {wrong}")
        if entry.number != self._entries or entry.first != self._transactions + 1:
            self._fail("I10", f"entry {entry.number} stands at {self._entries}")
        if entry.time < self._last_time or entry.time > self.system.now:
            self._fail("I7", f"entry {entry.number} is of {entry.time}, the last {self._last_time}")
        self._last_time = entry.time
        self._transactions += len(entry.legs)

    def _fold(self, entry: Any) -> None:
        money, touched = self._money, self._touched
        for account, asset, _, available, unavailable in entry.legs:
            key = (account, asset)
            old = money.get(key, (0, 0))
            money[key] = (
                old[0] + units(available) if available else old[0],
                old[1] + units(unavailable) if unavailable else old[1],
            )
            touched[key] = None

    # -- balances: I1, I3, I10 ---------------------------------------------------------------------

    def _check_balances(self) -> None:
        """Compare the live balances, all of them, with the journal's.

        A balance that is the same object as at the last check, and that no new entry concerns, has
        been compared; whether it is the same object is asked of every one, by `dict`, in C.
        """
        changed = self._touched
        if self._is_whole:
            self._compare_all(changed)
        if changed:
            self._touched = {}
            for key in changed:
                self._check_balance(key)
            self._unmirrored.update(changed)
            for asset in {asset: None for _, asset in changed}:
                if self._totals[asset]:
                    total = shown(self._totals[asset])
                    self._fail("I1", f"all accounts together have {total} {asset}, not nothing")
                if -self._worth.get(("world", asset), 0) != self._came_in.get(asset, 0):
                    self._fail("I1", f"{asset}: what is there is not what came in")

    def _compare_all(self, changed: dict[Key, None]) -> None:
        """Add to ``changed`` all balances that are not the same objects as when last compared."""
        live = self._account.ledger.balances()
        if live == self._seen:
            return
        found = 0
        for account, assets in live.items():
            found += len(assets)
            seen = self._seen.get(account, {})
            if seen != assets:
                for asset, both in assets.items():
                    if seen.get(asset) is not both:
                        changed[account, asset] = None
        if found != len(self._money):
            self._fail("I10", f"{found} balances are live, the journal has {len(self._money)}")
        self._seen = live

    def _live(self, key: Key) -> tuple[Decimal, Decimal] | None:
        """The balance as the account actor would tell it; None where there is none."""
        if self._is_whole:
            return self._seen.get(key[0], {}).get(key[1])
        both: tuple[Decimal, Decimal] = self._account.ledger.balance(*key)
        return both

    def _check_balance(self, key: Key) -> None:
        account, asset = key
        both = self._live(key)
        if both is None:
            self._fail("I10", f"{account} has no {asset}, the journal says it has")
        if not (both[0].is_finite() and both[1].is_finite()):
            self._fail("I11", f"{account} has {both} {asset}")
        own = (units(both[0]), units(both[1]))
        if own != self._money.get(key):
            self._fail("I10", f"{account} has {both} {asset}, the journal folds to another")
        if account not in _HOUSE and (own[0] < 0 or own[1] < 0):
            self._fail("I3", f"{account} has {both[0]} + {both[1]} {asset}")
        worth = own[0] + own[1]
        change = worth - self._worth.get(key, 0)
        self._worth[key] = worth
        self._totals[asset] = self._totals.get(asset, 0) + change


def _steps(pairs: Iterable[TradingPair]) -> dict[str, int]:
    """By asset the least amount that moves: a step of it, or of the volumes in which it trades."""
    steps: dict[str, int] = {}
    for pair in pairs:
        for asset in (pair.base, pair.quote):
            step = SCALE // 10**asset.precision
            steps[asset.code] = gcd(step, steps.get(asset.code, step))
        volume = int(units(pair.volume_increment))
        steps[pair.base.code] = gcd(volume, steps[pair.base.code])
    return steps
