"""Models of many fields show themselves on one line, with what a person wants to see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backtest.models import (
    Account,
    Agent,
    Asset,
    BacktestRun,
    Balance,
    Broker,
    Depth,
    DepthChange,
    DepthLevel,
    DepthUpdate,
    Fee,
    FeeKind,
    MarketTrade,
    OrderDirection,
    OrderStatus,
    TradingPair,
    TradingRules,
    Transaction,
    TransactionType,
)
from backtest.models.instructions import Instructions, TimeInForce
from tests.generators import D, later, spot, trading, uid

DAY = datetime(2024, 1, 1, tzinfo=UTC)
M = 60 * 10**9
ONE = str(uid(1))[:8]
CENTS = "Asset('USD', precision=2)"
PAIR = TradingPair("BTCUSD", "BTC", Asset("USD", 2), price_increment=D("0.10"))
BIDS = (DepthLevel(D(99), D(2), 1), DepthLevel(D(98), D(5), 2))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (PAIR, f"TradingPair('BTCUSD', Asset('BTC'), {CENTS}, price_increment=0.1)"),
        (TradingRules(), "TradingRules()"),
        (
            TradingRules.from_mapping(
                {"path": "adaptive", "fees": {"fill": {"percent_of_notional": "0.0010"}}}
            ),
            "TradingRules(fees={FILL: [Fee(PERCENT_OF_NOTIONAL, 0.001)]}, path='adaptive')",
        ),
        (
            TradingRules(allowed_directions=frozenset({OrderDirection.LONG})),
            "TradingRules(allowed_directions={LONG})",
        ),
        (Fee(FeeKind.FLAT_PER_TRADE, D(1), D("0.5")), "Fee(FLAT_PER_TRADE, 1, maker_rate=0.5)"),
        (Instructions(), "Instructions()"),
        (Instructions(TimeInForce.IOC, post_only=False), "Instructions(time_in_force=IOC)"),
        (
            MarketTrade(0, "ABM", D(9), D(2), None, "anna", "bert", uid(1), uid(2), 3),
            "<MarketTrade ABM 1970-01-01 00:00 9 x 2 anna from bert>",
        ),
        (
            Depth("BTCUSD", 0, 7, BIDS, (), D(100)),
            "<Depth BTCUSD 1970-01-01 00:00 #7 bid 99 x 2 (2 levels) last 100>",
        ),
        (
            DepthUpdate("BTCUSD", 0, 8, (DepthChange(True, D(99), D(0)),)),
            "<DepthUpdate BTCUSD 1970-01-01 00:00 #8 1 levels>",
        ),
        (
            Transaction(
                uid(1), uid(2), DAY, "lock", D(-10), D("10.00"), TransactionType.RESERVE_MARGIN,
                asset_code="USD",
            ),
            "<Transaction RESERVE_MARGIN USD available -10 unavailable 10 2024-01-01 00:00>",
        ),
        (
            Balance(uid(1), uid(2), DAY, D(95), D(0), asset_code="USD"),
            "<Balance USD available 95 unavailable 0 2024-01-01 00:00>",
        ),
        (Account(uid(1), "main", margin_mode="cross"), f"<Account main USD cross {ONE}>"),
        (Agent(uid(1), "me", (uid(2),)), f"<Agent me 1 accounts {ONE}>"),
        (Broker(uid(1), "venue"), f"<Broker venue {ONE}>"),
        (
            BacktestRun(uid(1), 7, 0, M),
            f"<BacktestRun seed 7 from 1970-01-01 00:00 to 1970-01-01 00:01 {ONE}>",
        ),
    ],
)  # fmt: skip
def test_of_what_there_is(item: Any, words: str) -> None:
    assert repr(item) == words


def test_of_orders() -> None:
    short = ONE
    order = spot(id=uid(1), order_number=3, volume=D("1.50"), limit_price=D(50_000))
    assert repr(order) == f"<SpotOrder #3 LONG 1.5 BTCUSD limit 50000 PENDING {short}>"
    part = order.create_filled_copy(later(1), D(49_999), D(1))
    assert repr(part) == (
        f"<SpotOrder #3 LONG 1.5 BTCUSD limit 50000 FILLED filled 1 at 49999 {short}>"
    )
    bet = trading(
        id=uid(1), order_number=0, volume=D(2), limit_price=None, leverage=D(5), stop_loss=D(90)
    )
    assert repr(bet) == f"<TradingOrder LONG 2 BTCUSD market stop_loss 90 5x PENDING {short}>"
    opened = bet.create_filled_copy(later(1), D(100), margin_reserved=D(40))
    assert repr(opened).endswith(f"5x FILLED at 100 margin 40 {short}>")
    closed = opened.create_closed_copy(later(2), D(110), fees_on_close=D(1))
    assert repr(closed).endswith(f"5x CLOSED at 100 to 110 net 19 {short}>")
    gone = bet.create_cancelled_copy(later(1))
    assert gone.status is OrderStatus.CANCELLED
    assert repr(gone).endswith(f"5x CANCELLED {short}>")


def test_none_is_no_fee() -> None:
    order = spot(fee_create=None, fee_fill=None, fee_cancel=None)
    assert {order.fee_create, order.fee_fill, order.fee_cancel, order.total_fees} == {D(0)}
    fees = ("create", "fill", "close", "cancel", "overnight")
    given: dict[str, Any] = {f"fees_on_{name}": None for name in fees}
    bet = trading(**given, margin_reserved=None, leverage=None, contract_size=None)
    assert (bet.total_fees, bet.margin_reserved) == (D(0), D(0))
    assert (bet.leverage, bet.contract_size) == (D(1), D(1))
    with pytest.raises(TypeError, match=r"^fee_create must be a Decimal, not the float"):
        spot(fee_create=0.5)
    with pytest.raises(ValueError, match=r"^volume"):
        spot(volume=D(0))
