"""Orders of both kinds in memory: every question, and replacing by saving a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backtest.models import OrderStatus, SpotOrder, TradingOrder
from backtest.repositories import OrderRepository, SpotOrderRepository
from tests.generators import ACCOUNT, AGENT, OTHER, RUN, D, later, spot, trading, uid

Make = Callable[..., Any]
Kind = tuple[Any, Make]


@pytest.fixture(params=["spot", "trading"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """An empty repository and the maker of its orders."""
    return (
        (SpotOrderRepository(), spot) if request.param == "spot" else (OrderRepository(), trading)
    )


def test_saving_returns_its_argument(kind: Kind) -> None:
    repository, make = kind
    order = make()
    assert repository.save(order) is order
    assert repository.get(order.id) is order
    assert repository.exists(order.id)
    assert (repository.count(), repository.get(uid(9))) == (1, None)


def test_saving_a_copy_replaces_the_state_and_moves_it(kind: Kind) -> None:
    repository, make = kind
    order = repository.save(make())
    filled = repository.save(order.create_filled_copy(later(1), D(50_000)))
    assert repository.get(order.id) is filled
    assert repository.count() == 1
    assert repository.get_pending_orders() == []
    assert repository.get_by_status(OrderStatus.FILLED) == [filled]
    assert repository.get_by_agent(AGENT) == [filled]


def test_a_replaced_state_keeps_its_place_among_equal_times(kind: Kind) -> None:
    repository, make = kind
    one, two, three = (repository.save(make()) for _ in range(3))
    done = repository.save(one.create_filled_copy(later(1), D(1)))
    assert repository.get_all() == [done, two, three]
    assert repository.get_by_agent(AGENT) == [done, two, three]


def test_pending_orders_by_agent_and_run(kind: Kind) -> None:
    repository, make = kind
    later_one = repository.save(make(create_timestamp=later(5)))
    first = repository.save(make())
    theirs = repository.save(make(agent_id=OTHER, create_timestamp=later(1)))
    other_run = repository.save(make(backtest_run_id=OTHER, create_timestamp=later(2)))
    repository.save(make(status=OrderStatus.CANCELLED))
    assert repository.get_pending_orders() == [first, theirs, other_run, later_one]
    assert repository.get_pending_orders(AGENT) == [first, other_run, later_one]
    assert repository.get_pending_orders(AGENT, RUN) == [first, later_one]
    assert repository.get_pending_orders(backtest_run_id=RUN) == [first, theirs, later_one]
    assert repository.get_pending_orders(uid(9)) == []


def test_orders_by_status_agent_account_and_pair(kind: Kind) -> None:
    repository, make = kind
    one = repository.save(make())
    two = repository.save(make(trading_pair_code="ETHUSD", account_id=OTHER))
    three = repository.save(make(status=OrderStatus.REPLACED, agent_id=OTHER))
    assert repository.get_by_status(OrderStatus.REPLACED, RUN) == [three]
    assert repository.get_by_status(OrderStatus.PENDING) == [one, two]
    assert repository.get_by_status(OrderStatus.PENDING, OTHER) == []
    assert repository.get_by_agent(AGENT, RUN) == [one, two]
    assert repository.get_by_account(ACCOUNT) == [one, three]
    assert repository.get_by_account(OTHER, OTHER) == []
    assert repository.get_by_trading_pair("ETHUSD") == [two]
    assert repository.get_by_trading_pair("ETHUSD", OTHER) == []


def test_a_chain_is_found_by_its_root(kind: Kind) -> None:
    repository, make = kind
    root = repository.save(make(id=uid(1)))
    parent = "parent_id" if make is spot else "parent_order_id"
    root_field = "root_id" if make is spot else "root_order_id"
    child = repository.save(make(**{parent: uid(1), root_field: uid(1)}))
    repository.save(make())
    assert repository.get_by_root_id(uid(1)) == [root, child]
    assert repository.get_by_root_id(uid(1), RUN) == [root, child]
    assert repository.get_by_root_id(uid(1), OTHER) == []


def test_deleting_and_clearing(kind: Kind) -> None:
    repository, make = kind
    one, two = repository.save(make()), repository.save(make(backtest_run_id=OTHER))
    assert repository.delete(one.id)
    assert not repository.delete(one.id)
    assert repository.get_pending_orders(AGENT) == [two]
    assert repository.clear_run(RUN) == 0
    assert repository.clear_run(OTHER) == 1
    assert repository.get_all() == []
    repository.save(one)
    repository.clear()
    assert repository.count() == 0
    assert repository.get_pending_orders() == []


def test_saving_the_same_value_twice_is_saving_it_once(kind: Kind) -> None:
    repository, make = kind
    order = make()
    repository.save(order)
    repository.save(order)
    assert repository.get_all() == repository.get_pending_orders(AGENT) == [order]


def test_open_positions_are_the_filled_ones() -> None:
    repository = OrderRepository()
    position: TradingOrder = repository.save(trading().create_filled_copy(later(1), D(50_000)))
    repository.save(trading())
    assert repository.get_open_positions() == [position]
    assert repository.get_open_positions(AGENT, RUN) == [position]
    assert repository.get_open_positions(OTHER) == []
    repository.save(position.create_closed_copy(later(2), D(50_001)))
    assert repository.get_open_positions() == []


def test_the_lists_are_new() -> None:
    repository = SpotOrderRepository()
    order: SpotOrder = repository.save(spot())
    repository.get_pending_orders().clear()
    repository.get_all().clear()
    assert repository.get_pending_orders() == repository.get_all() == [order]


def test_active_filled_cancelled_and_closed_by_agent_and_run(kind: Kind) -> None:
    repository, make = kind
    pending = repository.save(make(create_timestamp=later(4)))
    filled = repository.save(make().create_filled_copy(later(5), D(50_000)))
    theirs = repository.save(make(agent_id=OTHER, create_timestamp=later(2)))
    other_run = repository.save(make(backtest_run_id=OTHER, create_timestamp=later(3)))
    cancelled = repository.save(make(create_timestamp=later(1)).create_cancelled_copy(later(6)))
    repository.save(make(create_timestamp=later(9), status=OrderStatus.REPLACED))
    open_too = [] if make is spot else [filled]
    assert repository.get_active_orders() == [*open_too, theirs, other_run, pending]
    assert repository.get_active_orders(AGENT, RUN) == [*open_too, pending]
    assert repository.get_active_orders(OTHER) == [theirs]
    assert repository.get_filled_orders() == [filled]
    assert repository.get_filled_orders(OTHER) == []
    assert repository.get_cancelled_orders(AGENT, RUN) == [cancelled]
    assert repository.get_by_run_id(OTHER) == [other_run]
    assert len(repository.get_by_run_id(RUN)) == 5


def test_closed_positions_are_no_longer_filled_nor_active() -> None:
    repository = OrderRepository()
    position = repository.save(trading().create_filled_copy(later(1), D(50_000)))
    assert repository.get_closed_orders() == []
    closed = repository.save(position.create_closed_copy(later(2), D(51_000)))
    assert repository.get_closed_orders() == repository.get_closed_orders(AGENT, RUN) == [closed]
    assert repository.get_closed_orders(OTHER) == []
    assert repository.get_filled_orders() == repository.get_active_orders() == []
