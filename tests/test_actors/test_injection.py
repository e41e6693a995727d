"""A fault at every event of a scenario of 317, in every actor, before and after its effect.

Whatever fails wherever: the run ends with that failure and says where and when, or goes on as the
rule of the actor says; and the ledger is consistent, its journal whole up to the failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import product
from typing import Any

import pytest

from backtest.actors import Directive, OrderEvent, Supervision, System
from backtest.errors import (
    BacktestError,
    Deadlock,
    InboxOverflow,
    OrderRejected,
    Undeliverable,
)
from backtest.services.ledger.ledger import Row
from backtest.testing import Injected, Injection, World, assert_ledger_ok, broken_after, inject
from backtest.testing.injection import Fault
from backtest.times import format_ns
from tests.effort import every
from tests.test_testing.scenario import BARS, scene

ACTORS = ("account", "broker", "s0", "s1")
SIDES: tuple[Fault, ...] = ("raise_before", "raise_after")
SCENES = list(product(ACTORS, SIDES))
NEVER_COMES = "something that never comes"
RESTART = Supervision(directive=Directive.RESTART)
STOP = Supervision(directive=Directive.STOP)


def _unwatched(system: System) -> None:
    """Without an oracle the kernel delivers in place: both ways must hold."""
    system.tracer = system.observer = None


@cache
def _reference() -> tuple[list[Row], dict[str, int]]:
    """The journal of the scenario without a fault, and how many messages each actor handles."""
    counts: dict[str, Injection] = {}

    def prepare(system: System) -> None:
        for name in system.actors:
            counts[name] = inject(system, name, "drop", -1)

    world = scene(prepare)
    world.system.simulate()
    world.oracle.finish()
    bare = scene(_unwatched)
    bare.system.simulate()
    assert bare.rows() == world.rows()
    return world.rows(), {name: one.count for name, one in counts.items()}


def test_the_scenario_is_what_it_should_be() -> None:
    rows, counts = _reference()
    assert sum(counts.values()) > 250
    kinds = {row.kind.name for row in rows}
    assert {"FEE_OVERNIGHT", "CLOSE_PNL", "FILL_BUY", "FILL_SELL", "FEE_CANCEL"} <= kinds


class Outcome:
    """One run of the scenario with one fault."""

    def __init__(
        self, name: str, fault: Fault, at: Any, *rules: tuple[str, Supervision], watched: bool
    ) -> None:
        made: list[Injection] = []

        def prepare(system: System) -> None:
            if not watched:
                _unwatched(system)
            for actor, rule in rules:
                system.actors[actor].supervision = rule
            made.append(inject(system, name, fault, at))

        self.at = at
        self.watched = watched
        self.world: World = scene(prepare)
        self.injection = made[0]
        self.error: BaseException | None = None
        try:
            self.world.system.simulate()
        except Exception as error:
            self.error = error

    @property
    def hit(self) -> Any:
        return self.injection.hit[0]

    @property
    def chain(self) -> list[BaseException]:
        """The error and what caused it, the last cause at the end."""
        found, error = [], self.error
        while error is not None:
            found.append(error)
            error = error.__cause__
        return found

    def check_ledger(self, *, orders: bool = True) -> None:
        """The ledger holds, no message is lost; with ``orders`` they agree with the ledger, too."""
        assert self.injection.hit, self.at
        assert_ledger_ok(self.world)
        counted = self.world.system.statistics()
        assert counted.sent == counted.handled + counted.waiting + counted.dead
        if self.watched and orders:
            self.world.oracle.finish()

    def check_prefix(self) -> None:
        """The journal is that of the run without a fault, up to a whole entry."""
        rows, reference = self.world.rows(), _reference()[0]
        assert rows == reference[: len(rows)], self.at
        if len(rows) < len(reference):
            assert reference[len(rows)].entry != (rows[-1].entry if rows else 0), self.at


def _every(name: str, fault: Fault, *rules: tuple[str, Supervision]) -> Iterator[Outcome]:
    """The scenario with the fault at every message of the actor, every fourth run watched.

    That is so for what ends the run, and for the broker and the account who go on. Of the rest
    every second message does, where what is raised is raised before the effect of one and after
    that of the next; in the soak all of them.
    """
    whole = not rules or name in ("broker", "account")
    step = every(1 if whole and fault in SIDES else 2)
    for at in range(step - 1 if fault == "raise_after" else 0, _reference()[1][name], step):
        yield Outcome(name, fault, at, *rules, watched=at % 4 == 0)


class TestEscalate:
    @pytest.mark.parametrize(("name", "fault"), SCENES)
    def test_ends_the_run_with_what_was_raised_and_where(self, name: str, fault: Fault) -> None:
        for outcome in _every(name, fault):
            error, hit = outcome.error, outcome.hit
            assert type(error) is Injected, outcome.at
            notes = "\n".join(error.__notes__)
            assert f"in {name} at {format_ns(hit.time)}" in notes
            assert f"handling message {hit.id} from {hit.channel.sender}" in notes
            assert outcome.world.system.now == hit.time
            # The entry is posted and the broker never heard of it: the ledger is right all the
            # same, the orders are one step behind.
            outcome.check_ledger(orders=(name, fault) != ("account", "raise_after"))
            outcome.check_prefix()

    @pytest.mark.parametrize("count", range(1, len(BARS)))
    def test_a_source_that_breaks_down(self, count: int) -> None:
        world = scene(None, bars=broken_after(BARS, count))
        with pytest.raises(Injected, match=f"the source broke after {count} bars") as caught:
            world.system.simulate()
        assert "in market-data at" in caught.value.__notes__[0]
        world.oracle.finish()
        assert_ledger_ok(world)
        rows, reference = world.rows(), _reference()[0]
        assert rows == reference[: len(rows)]


class TestRestart:
    @pytest.mark.parametrize("name", ["s0", "s1"])
    @pytest.mark.parametrize("fault", SIDES)
    def test_a_strategy_goes_on_and_the_market_never_notices(self, name: str, fault: Fault) -> None:
        for outcome in _every(name, fault, (name, RESTART)):
            assert outcome.error is None, outcome.at
            outcome.check_ledger()
            hosts = outcome.world.system.actors
            lost = fault == "raise_before" and type(outcome.hit.payload).__name__ == "Bar"
            for one in ("s0", "s1"):
                assert hosts[one].bars_seen == len(BARS) - (lost and one == name)  # type: ignore[attr-defined]

    def test_the_broker_loses_one_message_and_no_more(self) -> None:
        for outcome in _every("broker", "raise_before", ("broker", RESTART)):
            kind = type(outcome.hit.payload).__name__
            if kind == "Hello":
                assert isinstance(outcome.error, BacktestError)
                assert type(outcome.chain[-1]) is Injected
                continue
            assert outcome.error is None, (outcome.at, kind)
            outcome.check_ledger()
            seen = [outcome.world.system.actors[one].bars_seen for one in ("s0", "s1")]  # type: ignore[attr-defined]
            assert seen == [len(BARS) - (kind == "Bar")] * 2
            refused = [
                one for one in outcome.world.records.events if "the venue failed" in one.detail
            ]
            assert len(refused) == (kind in ("Create", "Amend"))

    def test_the_broker_that_had_done_its_work_is_as_if_nothing_had_been(self) -> None:
        for outcome in _every("broker", "raise_after", ("broker", RESTART)):
            assert outcome.error is None, outcome.at
            outcome.check_ledger()
            assert outcome.world.rows() == _reference()[0], outcome.at

    def test_the_account_that_had_answered_is_as_if_nothing_had_been(self) -> None:
        for outcome in _every("account", "raise_after", ("account", RESTART)):
            assert outcome.error is None, outcome.at
            outcome.check_ledger()
            assert outcome.world.rows() == _reference()[0], outcome.at

    def test_the_account_that_had_not_fails_whoever_asked(self) -> None:
        for outcome in _every("account", "raise_before", ("account", RESTART)):
            assert isinstance(outcome.error, BacktestError), outcome.at
            assert type(outcome.chain[-1]) is Injected
            assert "in broker at" in "\n".join(outcome.error.__notes__)
            outcome.check_ledger()
            outcome.check_prefix()

    def test_account_and_broker_both(self) -> None:
        # What the account did not do the broker loses, and both go on.
        for outcome in _every("account", "raise_before", ("account", RESTART), ("broker", RESTART)):
            assert outcome.error is None, outcome.at
            outcome.check_ledger()

    def test_a_source_that_can_go_on_does(self) -> None:
        class Flaky:
            def __init__(self) -> None:
                self.number = -1

            def __iter__(self) -> Flaky:
                return self

            def __next__(self) -> Any:
                self.number += 1
                if self.number == 7:
                    raise OSError("the network is gone")
                if self.number > len(BARS):
                    raise StopIteration
                return BARS[self.number - (self.number > 7)]

        def prepare(system: System) -> None:
            system.actors["market-data"].supervision = RESTART

        world = scene(prepare, bars=Flaky())
        world.system.simulate()
        world.oracle.finish()
        assert world.rows() == _reference()[0]

    def test_a_source_that_is_over_is_no_end_of_the_data(self) -> None:
        def prepare(system: System) -> None:
            system.actors["market-data"].supervision = RESTART

        world = scene(prepare, bars=broken_after(BARS, 9))
        with pytest.raises(BacktestError, match="the source broke down") as caught:
            world.system.simulate()
        assert type(caught.value.__cause__) is Injected
        world.oracle.finish()


class TestStop:
    @pytest.mark.parametrize("name", ["s0", "s1"])
    @pytest.mark.parametrize("fault", SIDES)
    def test_a_strategy_is_gone_and_the_others_go_on(self, name: str, fault: Fault) -> None:
        other = "s1" if name == "s0" else "s0"
        for outcome in _every(name, fault, (name, STOP)):
            assert outcome.error is None, outcome.at
            outcome.check_ledger()
            system = outcome.world.system
            assert system.actors[other].bars_seen == len(BARS)  # type: ignore[attr-defined]
            bars = [
                one for one in system.dead_letters if type(one.envelope.payload).__name__ == "Bar"
            ]
            assert len(bars) <= 3, "bars are not sent to one who is gone"
            assert all(one.reason for one in system.dead_letters)

    @pytest.mark.parametrize(("name", "fault"), list(product(("account", "broker"), SIDES)))
    def test_without_account_or_broker_the_run_ends_and_says_so(
        self, name: str, fault: Fault
    ) -> None:
        survived = 0
        for outcome in _every(name, fault, (name, STOP)):
            survived += outcome.error is None
            assert outcome.error is None or isinstance(outcome.error, BacktestError), outcome.at
            outcome.check_ledger(orders=(name, fault) != ("account", "raise_after"))
            outcome.check_prefix()
        assert survived <= 2, "only at the very end nobody needs it any more"


class TestCrashLoops:
    """A fault at every message from the tenth on."""

    @pytest.mark.parametrize("name", ACTORS)
    def test_restarts_are_bounded(self, name: str) -> None:
        rule = Supervision(directive=Directive.RESTART, max_restarts=3, within_ns=10**15)
        always = range(10, 10_000)
        rules = [(name, rule)]
        if name == "account":  # who asks it fails with it
            rules.append(("broker", Supervision(directive=Directive.RESTART, max_restarts=99)))
        outcome = Outcome(name, "raise_before", always, *rules, watched=True)
        assert type(outcome.error) is Injected
        assert len(outcome.injection.hit) == 4  # three restarts, and the end
        outcome.check_ledger()

    @pytest.mark.parametrize("name", ["s0", "s1"])
    def test_a_window_of_time_lets_a_slow_loop_go_on(self, name: str) -> None:
        rule = Supervision(directive=Directive.RESTART, max_restarts=60, within_ns=60 * 10**9)
        outcome = Outcome(name, "raise_before", range(10, 10_000), (name, rule), watched=True)
        assert outcome.error is None
        assert len(outcome.injection.hit) > 10
        outcome.check_ledger()

    @pytest.mark.parametrize("name", ACTORS)
    def test_stop_and_escalate_end_them_at_once(self, name: str) -> None:
        for rule in (STOP, Supervision()):
            outcome = Outcome(name, "raise_before", range(10, 10_000), (name, rule), watched=True)
            assert len(outcome.injection.hit) == 1
            outcome.check_ledger()


class TestHang:
    @pytest.mark.parametrize("name", ["account", "broker"])
    def test_is_a_deadlock_that_names_who_waits_for_whom(self, name: str) -> None:
        for outcome in _every(name, "hang"):
            if outcome.error is None:
                # Nobody is left whom it would make wait: it is the end of the data.
                assert outcome.hit.time == BARS[-1].close_ns
                continue
            assert isinstance(outcome.error, Deadlock), (outcome.at, outcome.error)
            waits = dict(outcome.error.waits)
            assert waits["broker"] == ("account" if name == "account" else NEVER_COMES)
            outcome.check_ledger()
            outcome.check_prefix()

    @pytest.mark.parametrize("name", ["s0", "s1"])
    def test_of_a_strategy_is_its_own_affair_and_the_market_goes_on(self, name: str) -> None:
        other = "s1" if name == "s0" else "s0"
        for outcome in _every(name, "hang"):
            # While a timer lies in the future it may be what the strategy waits for.
            if outcome.error is not None:
                assert isinstance(outcome.error, Deadlock), outcome.at
                assert (name, NEVER_COMES) in outcome.error.waits
            host: Any = outcome.world.system.actors[other]
            assert host.bars_seen == len(BARS)
            outcome.check_ledger()

    def test_an_inbox_that_runs_over_meanwhile_names_the_one_who_hangs(self) -> None:
        def prepare(system: System) -> None:
            inject(system, "s0", "hang", 5)
            system.actors["s0"].fiber.bound = 4

        world = scene(prepare)
        with pytest.raises(InboxOverflow, match="the inbox of s0 holds 4 messages"):
            world.system.simulate()
        assert_ledger_ok(world)


class TestDropAndDelay:
    @pytest.mark.parametrize("name", ["s0", "s1"])
    def test_what_a_strategy_never_heard_breaks_nothing(self, name: str) -> None:
        for outcome in _every(name, "drop"):
            if outcome.error is not None:  # it was the answer to a command that is awaited
                assert isinstance(outcome.error, Deadlock), outcome.at
                assert type(outcome.hit.payload) is OrderEvent
            outcome.check_ledger()

    def test_what_the_account_never_heard_is_a_deadlock(self) -> None:
        for at in (0, 3, 40):
            outcome = Outcome("account", "drop", at, watched=True)
            assert isinstance(outcome.error, Deadlock)
            assert ("broker", "account") in outcome.error.waits
            outcome.check_ledger()

    @pytest.mark.parametrize("name", ACTORS)
    def test_a_slow_actor_changes_when_not_whether(self, name: str) -> None:
        for outcome in _every(name, "delay"):
            if outcome.error is not None:  # of the last bar, so that it comes when all is over
                assert isinstance(outcome.error, Deadlock), outcome.at
                assert outcome.hit.time == BARS[-1].close_ns
            outcome.check_ledger()


class TestFaultsOfTheMoment:
    """Errors that an actor may meet anywhere, not only those of its own."""

    @pytest.mark.parametrize("error", [MemoryError, RecursionError, StopIteration, KeyError])
    @pytest.mark.parametrize("name", ACTORS)
    def test_any_exception_will_do(self, name: str, error: type[Exception]) -> None:
        def prepare(system: System) -> None:
            inject(system, name, "raise_after", 12, error=error)

        world = scene(prepare)
        # A StopIteration must not look like a return: Python makes a RuntimeError of it.
        with pytest.raises(RuntimeError if error is StopIteration else error):
            world.system.simulate()
        assert_ledger_ok(world)

    @pytest.mark.parametrize("name", ACTORS)
    def test_ctrl_c_in_the_middle_of_it(self, name: str) -> None:
        def prepare(system: System) -> None:
            system.actors[name].supervision = RESTART  # it is never restarted away
            inject(system, name, "raise_after", 12, error=KeyboardInterrupt)

        world = scene(prepare)
        with pytest.raises(KeyboardInterrupt):
            world.system.simulate()
        assert_ledger_ok(world)


@pytest.mark.soak
@pytest.mark.parametrize(("first", "second"), list(product(SCENES, SCENES)))
def test_two_faults_in_one_run(first: tuple[str, Fault], second: tuple[str, Fault]) -> None:
    """Every pair of actors and sides, the second fault anywhere after the first, all restarting."""
    counts = _reference()[1]
    for at, then in product(range(0, counts[first[0]], 3), range(0, counts[second[0]], 3)):

        def prepare(system: System, at: int = at, then: int = then) -> None:
            for actor in system.actors.values():
                actor.supervision = Supervision(directive=Directive.RESTART, max_restarts=9)
            inject(system, *first, at)
            inject(system, *second, then)

        world = scene(prepare)
        with suppress(Deadlock, Undeliverable, OrderRejected, Injected):
            world.system.simulate()
        world.oracle.finish()
        assert_ledger_ok(world)


def test_a_command_to_a_venue_that_was_stopped_says_so() -> None:
    outcome = Outcome("broker", "raise_before", 4, ("broker", STOP), watched=False)
    assert isinstance(outcome.error, Undeliverable)
