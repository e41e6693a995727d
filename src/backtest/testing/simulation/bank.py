"""A bank beside each world: money moves between accounts under faults, and no sum ever changes.

Tellers transfer between the accounts of one account actor, at once or through a reserve; auditors
read all balances meanwhile. Links are late, the account actor is slow, fails before or after what
it was asked for, and begins again. Whoever asked may then not know what came of it; but

* what was acknowledged is in the journal once, with these legs and those balances;
* what was refused is not in it, and could not have been paid; what was asked once is there once;
* what is read at once is what there was between asking and hearing: no half transfer, no money
  that is nowhere, none that is there twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, NoReturn

import attrs

from backtest.actors import AccountActor, Actor
from backtest.actors.protocol import Post, Posted, ReadBalances
from backtest.errors import BacktestError, InsufficientFunds
from backtest.models import TransactionType
from backtest.money import plain
from backtest.services.ledger.entries import Leg
from backtest.testing.audit.oracle import InvariantBroken

from .chance import draw_weighted, stream
from .faults import PATIENT, Faults, FaultySystem, with_faults
from .market import START_NS

__all__ = ["BankOutcome", "run_bank"]

D = Decimal
SHARE = 10
"""One message at the bank for so many in the world beside it."""
_OFTENER = 20
_ASSET = "USD"
_STEP = D("0.01")
_KEPT = 20
_PACE_NS = 10**9
State = dict[str, tuple[Fraction, Fraction]]


@attrs.frozen(kw_only=True)
class BankOutcome:
    """What came of the bank of a seed."""

    sha256: str
    """Of the journal, and of all that tellers and auditors heard."""
    invariant: str
    problem: str
    events: int
    entries: int
    checks: int
    fired: dict[str, int]
    journal: tuple[tuple[str, ...], ...]
    """The last of its entries, leg by leg, as text: its books."""


class _System(FaultySystem):
    """A system of which every link may be late."""

    def _covers(self, sender: str, target: str) -> bool:
        return self._faulty and sender != target


class Bank:
    """The accounts of a seed, who uses them, and what must hold of it all."""

    def __init__(self, seed: int, events: int, without: frozenset[str]) -> None:
        chance = stream(seed, "bank")
        self.names = [f"client-{number}" for number in range(chance.choice([2, 3, 5, 8]))]
        opening = [(one, _ASSET, _STEP * chance.randrange(1, 100_000)) for one in self.names]
        tellers = [f"teller-{number}" for number in range(chance.choice([1, 2, 4]))]
        faults = Faults(seed, without, tellers, _PACE_NS)
        # Whoever asks, goes on: the account actor begins again however often it fails, and it fails
        # more often than where whole markets must come of it.
        rates = {kind: _OFTENER * rate for kind, rate in faults.plan.rates.items()}
        rule = {"account": PATIENT}
        faults.plan = attrs.evolve(faults.plan, rates=rates, fatal="", supervision=rule)
        self.faults = faults
        self.system = _System(seed, faults)
        self.system.begin_at(START_NS)
        account = with_faults(AccountActor, faults)
        self.account: Any = self.system.add(account(self.names, opening))
        for name in tellers:
            self.system.add(Teller(name, self, stream(seed, f"bank/{name}")))
        for number in range(chance.choice([1, 2])):
            name = f"auditor-{number}"
            self.system.add(Auditor(name, self, stream(seed, f"bank/{name}")))
        self.events = events
        self.heard = hashlib.sha256()
        self.checks = 0
        self.total = sum((Fraction(amount) for _, _, amount in opening), Fraction(0))
        """What all clients have together, from when all was paid in."""
        self._states: list[State] = [{name: (Fraction(0), Fraction(0)) for name in self.names}]
        """What there was after each entry, folded from the journal's legs alone."""
        self._places: dict[str, int] = {}
        """Where in the journal what was asked for is, by the words that came with it."""

    @property
    def is_open(self) -> bool:
        """Whether there is more to do. The last who asks ends the faults."""
        if self.system.statistics().handled < self.events:
            return True
        self.faults.cease()
        return False

    def entries(self) -> int:
        """How many entries there are; each is looked at when it is seen for the first time."""
        entries = self.account.ledger.entries
        for entry in entries[len(self._states) - 1 :]:
            state = dict(self._states[-1])
            for name, _, _, available, unavailable in entry.legs:
                if name in state:
                    old = state[name]
                    state[name] = (old[0] + Fraction(available), old[1] + Fraction(unavailable))
            self._states.append(state)
            if min(min(both) for both in state.values()) < 0:
                self.fail(f"an account is below zero after entry {entry.number}: {entry.why}")
            if entry.number > len(self.names) and self._sum(state) != self.total:
                self.fail(f"there is {self._sum(state)} after entry {entry.number}: {entry.why}")
            if entry.why in self._places and entry.number > len(self.names):
                self.fail(f"{entry.why} was posted twice")
            self._places[entry.why] = entry.number
            self.checks += 1
        return len(entries)

    def acknowledged(self, words: str, legs: tuple[Leg, ...], answer: Posted) -> None:
        """A teller heard that this was done."""
        self.entries()
        place = self._places.get(words)
        if place is None or place != answer.entry:
            self.fail(f"{words} was acknowledged as entry {answer.entry}, and is {place}")
        if tuple(self.account.ledger.entries[place - 1].legs) != legs:
            self.fail(f"{words} was posted with other legs than it was asked with")
        told = {name: _exact(both) for (name, _), both in answer.balances.items()}
        was = self._states[place]
        if told != {leg[0]: was[leg[0]] for leg in legs}:
            self.fail(f"{words} was acknowledged with other balances than it left")
        self.note(words, place)

    def refused(self, words: str, refusal: InsufficientFunds) -> None:
        """A teller heard that this could not be paid."""
        self.entries()
        if words in self._places:
            self.fail(f"{words} was refused, and posted")
        if not refusal.available < refusal.needed:
            self.fail(f"{words} was refused, and could be paid: {refusal}")
        self.note(words, "refused")

    def read(self, since: int, told: Mapping[tuple[str, str], tuple[Decimal, Decimal]]) -> None:
        """An auditor who asked when there were ``since`` entries heard this."""
        entries = self.entries()
        found = {name: _exact(told.get((name, _ASSET), (D(0), D(0)))) for name in self.names}
        if self._sum(found) != self.total:
            self.fail(f"what is read adds up to {self._sum(found)}, not to {self.total}")
        if found not in self._states[since : entries + 1]:
            self.fail(f"what is read never was, from entry {since} to {entries}")
        self.checks += 1
        self.note("read", entries)

    def note(self, *what: Any) -> None:
        """This was heard now: runs of one seed hear the same."""
        self.heard.update(f"{self.system.now}|{what}\n".encode())

    def fail(self, problem: str) -> NoReturn:
        raise InvariantBroken("bank", problem, self.system.now, None)

    def finish(self) -> None:
        """At the end the live balances are those of the journal."""
        self.entries()
        live = self.account.ledger.balances()
        left = {name: _exact(live[name].get(_ASSET, (D(0), D(0)))) for name in self.names}
        if left != self._states[-1]:
            self.fail("the balances at the end are not those of the journal")

    @staticmethod
    def _sum(state: State) -> Fraction:
        return sum((one for both in state.values() for one in both), Fraction(0))


def _exact(both: tuple[Decimal, Decimal]) -> tuple[Fraction, Fraction]:
    return Fraction(both[0]), Fraction(both[1])


class _Client(Actor):
    """Somebody at the bank, who comes again and again while it is open."""

    def __init__(self, name: str, bank: Bank, chance: Random) -> None:
        super().__init__(name)
        self._bank = bank
        self._chance = chance
        self._asked = 0

    async def run(self) -> None:
        while self._bank.is_open:
            if self._chance.random() < 0.8:  # else at the same moment again
                await self.system.sleep_until(self.system.now + self._chance.randrange(_PACE_NS))
            await self.come()

    async def come(self) -> None:
        raise NotImplementedError


class Teller(_Client):
    """Moves money from one account to another: at once, or through a reserve."""

    async def come(self) -> None:
        giver, taker = self._chance.sample(self._bank.names, 2)
        # Now and then more than anybody has, or what just comes to nothing.
        most = draw_weighted(self._chance, [(1_000, 4), (100_000, 4), (10**9, 1)])
        amount = _STEP * self._chance.randrange(1, most)
        if self._chance.random() < 0.6:
            paid, got = (giver, -amount, D(0)), (taker, amount, D(0))
            await self._post(paid, got)
        elif await self._post((giver, -amount, amount)):
            await self._post((giver, D(0), -amount), (taker, amount, D(0)))

    async def _post(self, *changes: tuple[str, Decimal, Decimal]) -> bool:
        """Ask for an entry; whether it is known to be done."""
        self._asked += 1
        words = f"{self.name}/{self._asked}"
        legs = tuple(
            (name, _ASSET, TransactionType.ADJUSTMENT, available, unavailable)
            for name, available, unavailable in changes
        )
        try:
            answer = await self.link("account").request(Post(legs, None, words))
        except InsufficientFunds as refusal:
            self._bank.refused(words, refusal)
            return False
        except InvariantBroken:
            raise
        except BacktestError as error:
            self._bank.note(words, str(error))  # done or not: nobody can tell
            return False
        self._bank.acknowledged(words, legs, answer)
        return True


class Auditor(_Client):
    """Reads all balances, and adds up."""

    async def come(self) -> None:
        since = self._bank.entries()
        try:
            told = await self.link("account").request(ReadBalances())
        except BacktestError as error:
            self._bank.note("read", str(error))
            return
        self._bank.read(since, told)


def run_bank(seed: int, events: int, without: frozenset[str] = frozenset()) -> BankOutcome:
    """Run the bank of ``seed`` beside a world of ``events`` messages, and judge it."""
    bank = Bank(seed, max(events // SHARE, 20), without)
    invariant = problem = ""
    try:
        bank.system.simulate()
        bank.finish()
    except InvariantBroken as broken:
        invariant, problem = broken.invariant, str(broken)
    except Exception as error:
        invariant, problem = type(error).__name__, f"at the bank: {error}"
    for entry in bank.account.ledger.entries:
        bank.heard.update(f"{entry.time}|{entry.why}|{entry.legs}\n".encode())
    return BankOutcome(
        sha256=bank.heard.hexdigest(),
        invariant=invariant,
        problem=problem,
        events=bank.system.statistics().handled,
        entries=len(bank.account.ledger.entries),
        checks=bank.checks,
        fired=dict(bank.faults.fired),
        journal=tuple(
            (entry.why, name, kind.value, plain(available), plain(unavailable))
            for entry in bank.account.ledger.entries[-_KEPT:]
            for name, _, kind, available, unavailable in entry.legs
        ),
    )
