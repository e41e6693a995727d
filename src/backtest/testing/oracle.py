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
* I10 folding the journal from empty gives the live balances
* I11 no NaN, no infinity, no price or volume at or below zero
* I13 after a bar, no position or cross margin account that it concerns is below its maintenance
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

from backtest.actors import Envelope, System
from backtest.actors.fiber import HANDLE
from backtest.actors.protocol import Post
from backtest.errors import BacktestError
from backtest.models import Bar

from ._chain_audit import ChainAudit
from ._margin_audit import MarginAudit

__all__ = ["InvariantBroken", "Oracle"]

_HOUSE = frozenset(("market", "clearing", "fees", "insurance", "world"))
_NOTHING = Fraction(0)

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
    observer that are set already are called first.
    """

    def __init__(self, system: System, venue: str = "broker", account: str = "account") -> None:
        self.system = system
        self.checks = 0
        """Messages after which everything was checked."""
        broker: Any = system.actors[venue]
        self._broker = broker
        self._account: Any = system.actors[account]
        self._message: Envelope | None = None
        self._key = (-1, 0, 0)
        self._asked: Any = None
        """The legs that the account actor was asked to post and has not posted."""
        self._money: dict[Key, tuple[Fraction, Fraction]] = {}
        self._came_in: dict[str, Fraction] = {}
        self._settled = True
        """Whether the venue had finished what it was doing at the last check."""
        self._entries = 0
        self._transactions = 0
        self._last_time = 0
        self._live: dict[Key, tuple[tuple[Decimal, Decimal], tuple[Fraction, Fraction]]] = {}
        self._chains = ChainAudit(broker.venue.records, self._fail)
        self._margins = MarginAudit(broker, self._fail)
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
        if message.channel.target is self._account.fiber and type(message.payload) is Post:
            self._asked = message.payload.legs

    def check(self, message: Envelope) -> None:
        """Called after each message: check everything."""
        if self._before[1] is not None:
            self._before[1](message)
        self._message = message
        self._chains.note()
        self._check_entries()
        self._check_balances()
        # While the venue waits for the account actor the order is not yet what the money says.
        self._settled = self._broker.fiber.waiting is HANDLE
        if self._settled:
            self._chains.check(self._money)
            self._check_margins(message)
        self.checks += 1

    def _check_margins(self, message: Envelope) -> None:
        if message.channel.target is self._broker.fiber and type(message.payload) is Bar:
            self._margins.check(message.payload.pair, self._chains.positions.values(), self._money)

    def finish(self) -> None:
        """Check once more when the run is over, and fold the whole journal anew."""
        self._message = None
        self._chains.note()
        self._check_entries()
        self._check_balances()
        if self._settled:
            # Else the run ended, by an error, while the venue waited for the account actor.
            self._chains.check(self._money)
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
        if entry.number != self._entries or entry.first != self._transactions + 1:
            self._fail("I10", f"entry {entry.number} stands at {self._entries}")
        if entry.time < self._last_time or entry.time > self.system.now:
            self._fail("I7", f"entry {entry.number} is of {entry.time}, the last {self._last_time}")
        self._last_time = entry.time
        self._transactions += len(entry.legs)
        sums: dict[str, Fraction] = {}
        worldly = False
        for account, asset, kind, available, unavailable in entry.legs:
            for amount in (available, unavailable):
                if type(amount) is not Decimal or not amount.is_finite():
                    self._fail("I11", f"entry {entry.number} moves {amount!r} of {asset}")
            change = Fraction(available) + Fraction(unavailable)
            sums[asset] = sums.get(asset, _NOTHING) + change
            if account == "world":
                worldly = True
                self._came_in[asset] = self._came_in.get(asset, _NOTHING) - change
                if kind.name != "ADJUSTMENT":
                    self._fail("I1", f"entry {entry.number}: {kind.name} with the world")
        for asset, total in sums.items():
            if total:
                self._fail("I2", f"entry {entry.number} ({entry.why}) sums to {total} {asset}")
        self._fold(entry)
        self._chains.entries.append(entry)
        return worldly and entry.cause == 0

    def _fold(self, entry: Any) -> None:
        for account, asset, _, available, unavailable in entry.legs:
            old = self._money.get((account, asset), (_NOTHING, _NOTHING))
            new = (old[0] + Fraction(available), old[1] + Fraction(unavailable))
            self._money[account, asset] = new

    # -- balances: I1, I3, I10 ---------------------------------------------------------------------

    def _check_balances(self) -> None:
        totals: dict[str, Fraction] = {}
        world: dict[str, Fraction] = {}
        found = 0
        for account, assets in self._account.ledger.balances().items():
            for asset, both in assets.items():
                found += 1
                own = self._fraction((account, asset), both)
                if own != self._money.get((account, asset)):
                    self._fail("I10", f"{account} has {both} {asset}, the journal folds to another")
                if account not in _HOUSE and (own[0] < 0 or own[1] < 0):
                    self._fail("I3", f"{account} has {both[0]} + {both[1]} {asset}")
                totals[asset] = totals.get(asset, _NOTHING) + own[0] + own[1]
                if account == "world":
                    world[asset] = own[0] + own[1]
        if found != len(self._money):
            self._fail("I10", f"{found} balances are live, the journal has {len(self._money)}")
        for asset, total in totals.items():
            if total:
                self._fail("I1", f"all accounts together have {total} {asset}, not nothing")
            if -world.get(asset, _NOTHING) != self._came_in.get(asset, _NOTHING):
                self._fail("I1", f"{asset}: what is there is not what came in")

    def _fraction(self, key: Key, both: tuple[Decimal, Decimal]) -> tuple[Fraction, Fraction]:
        """A live balance in fractions; the same object as last time is not read again."""
        known = self._live.get(key)
        if known is not None and known[0] is both:
            return known[1]
        if not (both[0].is_finite() and both[1].is_finite()):
            self._fail("I11", f"{key[0]} has {both} {key[1]}")
        read = (Fraction(both[0]), Fraction(both[1]))
        self._live[key] = (both, read)
        return read
