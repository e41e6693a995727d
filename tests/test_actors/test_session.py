"""The session actor: the phases of a day at their times, and the end of the run."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import BROKER, SimulatedClock, System
from backtest.actors.exchange.session import Phase, SessionActor
from backtest.actors.protocol import EndOfData
from backtest.errors import ConfigError
from tests.test_actors.kernel import SECOND, Script, Sink

OPEN = Phase("ABCUSD", "continuous")
CALL = Phase("ABCUSD", "auction")
SHUT = Phase("ABCUSD", "closed")


def _played(session: SessionActor, *others: Any) -> tuple[System, Sink]:
    system = System(0, SimulatedClock())
    system.begin_at(session.start)
    exchange = Sink(BROKER)
    for actor in (exchange, session, *others):
        system.add(actor)
    system.simulate()
    return system, exchange


def test_phases_come_at_their_times_and_the_end_comes_last() -> None:
    day = [(100, CALL), (160, OPEN), (500, CALL), (520, SHUT)]
    _, exchange = _played(SessionActor(100, 520, day))
    assert exchange.got == [
        (100, CALL), (160, OPEN), (500, CALL), (520, SHUT), (520, EndOfData()),
    ]  # fmt: skip


def test_what_lies_behind_the_end_is_not_sent() -> None:
    _, exchange = _played(SessionActor(100, 200, [(100, OPEN), (201, SHUT)]))
    assert exchange.got == [(100, OPEN), (200, EndOfData())]


def test_phases_are_sorted_by_time_and_kept_in_order_at_one_time() -> None:
    other = Phase("XYZUSD", "auction")
    _, exchange = _played(SessionActor(0, 10, [(5, SHUT), (0, other), (0, OPEN)]))
    assert exchange.got == [(0, other), (0, OPEN), (5, SHUT), (10, EndOfData())]


def test_a_phase_comes_before_what_an_agent_does_at_that_time() -> None:
    async def life(agent: Script) -> None:
        await agent.system.sleep_until(5)
        agent.link(BROKER).post("order")

    _, exchange = _played(SessionActor(0, 10, [(5, OPEN)]), Script("agent", life))
    assert exchange.got == [(5, OPEN), (5, "order"), (10, EndOfData())]


def test_the_run_ends_with_the_session_whatever_the_agents_still_plan() -> None:
    async def life(agent: Script) -> None:
        while True:
            await agent.system.sleep_until(agent.system.now + SECOND)
            agent.note("woken")

    agent = Script("agent", life)
    system, _ = _played(SessionActor(0, 3 * SECOND, []), agent)
    assert agent.log == [(SECOND, "woken"), (2 * SECOND, "woken"), (3 * SECOND, "woken")]
    assert system.now == 3 * SECOND


def test_progress_is_told_in_equal_steps_and_changes_nothing() -> None:
    told: list[int] = []
    day = [(0, OPEN), (35, CALL)]
    session = SessionActor(0, 100, day, progress=told.append, steps=4)
    _, exchange = _played(session)
    # Steps of 25; the phase at 35 is no step, and the end is told too.
    assert told == [25, 50, 75, 100]
    assert exchange.got == _played(SessionActor(0, 100, day))[1].got


def test_a_day_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must end after it begins, at 1970-01-01T00:00:00"):
        SessionActor(10, 10, [])


def test_a_phase_before_the_day_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ABCUSD changes to 'auction' at .*, before the session"):
        SessionActor(10, 20, [(9, CALL)])
