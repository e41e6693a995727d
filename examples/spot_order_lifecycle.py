"""The life of a spot order by hand: created, filled in part, the rest cancelled; never changed.

Run it from the project's folder: python examples/spot_order_lifecycle.py
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from backtest.errors import InvalidTransition
from backtest.models.orders import OrderDirection, OrderStatus
from backtest.models.spot_order import SpotOrder
from backtest.repositories.spot_order_repository import SpotOrderRepository

AGENT, RUN = uuid4(), uuid4()
NOON = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)


def new_order(number: int, volume: str, limit: str | None) -> SpotOrder:
    return SpotOrder(
        broker_id=uuid4(),
        trading_pair_code="BTCUSD",
        agent_id=AGENT,
        account_id=uuid4(),
        backtest_run_id=RUN,
        order_number=number,
        direction=OrderDirection.LONG,
        status=OrderStatus.PENDING,
        create_timestamp=NOON,
        volume=Decimal(volume),
        limit_price=None if limit is None else Decimal(limit),
    )


def show(what: str, order: SpotOrder) -> None:
    kind = "market" if order.is_market_order else f"limit {order.limit_price}"
    print(
        f"{what:32} #{order.order_number} {kind:12} {order.status.name:10} "
        f"volume {order.volume}, remaining {order.remaining_volume}, fees {order.total_fees}"
    )


def main() -> None:
    repository = SpotOrderRepository()
    limit, market = new_order(1, "1.5", "50000"), new_order(2, "0.2", None)
    for order in (limit, market):
        repository.save(order)
        show("created", order)
    print(len(repository.get_pending_orders(AGENT, RUN)), "orders pending\n")

    filled = market.create_filled_copy(
        fill_timestamp=NOON + timedelta(minutes=1),
        fill_price=Decimal("50010"),
        fill_volume=Decimal("0.2"),
        fee_fill=Decimal("10.01"),
    )
    repository.save(filled)  # a copy has the id of its order, and takes its place
    show("filled", filled)

    part = limit.create_filled_copy(NOON, Decimal("49990"), Decimal("1.0"), Decimal("49.99"))
    show("could have filled in part", part)
    cancelled = limit.create_cancelled_copy(
        cancel_timestamp=NOON + timedelta(hours=1),
        cancel_volume=Decimal("1.5"),
        fee_cancel=Decimal("0"),
    )
    repository.save(cancelled)
    show("but was cancelled instead", cancelled)
    show("the first order is as it was", limit)
    print(len(repository.get_pending_orders(AGENT, RUN)), "orders pending\n")

    try:
        cancelled.create_filled_copy(fill_timestamp=NOON, fill_price=Decimal("50000"))
    except InvalidTransition as refusal:
        print("Filling it now is refused:", refusal)


if __name__ == "__main__":
    main()
