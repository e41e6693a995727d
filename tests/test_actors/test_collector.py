"""Python's garbage collector during a run: it spares what lives on, and garbage is still found."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from backtest.actors.kernel.garbage import calm_collector


class Ring:
    """Garbage that only the collector finds: it refers to itself."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        Ring.alive += 1

    def __del__(self) -> None:
        Ring.alive -= 1


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    gc.collect()
    Ring.alive = 0
    yield
    gc.collect()
    assert Ring.alive == 0


def test_garbage_is_found_while_it_is_made() -> None:
    with calm_collector():
        kept = [[] for _ in range(200_000)]  # type: ignore[var-annotated]
    assert len(kept) == 200_000  # clean samples of another run, which say nothing about the next
    with calm_collector():
        most = 0
        for _ in range(300_000):
            Ring()
            most = max(most, Ring.alive)
        # All that is new is garbage, so the first batch of 25 000 is no clean sample, nor is any.
        # Since Python 3.12 a collection begins a few instructions after it is due.
        assert most <= 25_100


def test_garbage_among_much_that_lives_on_is_found_when_there_is_more_than_a_tenth() -> None:
    kept: list[list[int]] = []
    with calm_collector():
        for _ in range(300_000):
            kept.append([])
        for _ in range(600_000):
            kept.append([])
            Ring()
        # Half of what is new is garbage. At most 15 batches of it were spared, when it began.
        assert Ring.alive <= 16 * 25_000
    assert len(kept) == 900_000


def test_who_asks_for_a_collection_gets_a_whole_one() -> None:
    with calm_collector():
        kept = [[] for _ in range(200_000)]  # type: ignore[var-annotated]
        for _ in range(1_000):
            Ring()
        assert Ring.alive
        gc.collect()
        assert Ring.alive == 0
    assert len(kept) == 200_000


def test_everything_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    with calm_collector():
        assert gc.get_threshold() != before[0]
        with calm_collector():
            pass
        assert gc.get_threshold() != before[0]
        assert gc.get_freeze_count() > 0
    assert (gc.get_threshold(), list(gc.callbacks)) == before
    assert gc.get_freeze_count() == 0


def test_what_ended_runs_left_behind_does_not_pile_up() -> None:
    most = 0
    for _ in range(7):  # runs whose actors refer to each other: garbage once they are over
        with calm_collector():
            ring = Ring()
            ring.itself = [ring, *([] for _ in range(60_000))]  # type: ignore[assignment]
        del ring
        most = max(most, Ring.alive)
    # Collected when more than 100 000 objects were left: two batches of 25 000 a run, so each time
    # after the third.
    assert 1 < most <= 3
