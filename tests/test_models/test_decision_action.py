"""Decision actions: one per command, and what makes each complete."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models import ActionType, DecisionAction, Instructions, OrderDirection
from tests.generators import ACCOUNT, AGENT, BROKER, DAY, RUN, D, uid


def action(kind: str, **fields: Any) -> DecisionAction:
    return DecisionAction(ActionType[kind], DAY, AGENT, ACCOUNT, BROKER, RUN, **fields)


CREATE: dict[str, Any] = {
    "trading_pair_code": "BTCUSD",
    "volume": D(1),
    "direction": OrderDirection.LONG,
}
ORDER: dict[str, Any] = {"order_id": uid(1)}
CHUNKS: dict[str, Any] = {**ORDER, "split_chunks": (D(1), D(2))}

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("CREATE_SPOT_LIMIT", {**CREATE, "price": D(5)}),
    ("CREATE_SPOT_MARKET", CREATE),
    ("CREATE_SPOT_STOP", {**CREATE, "stop_price": D(5)}),
    ("CREATE_TRADE_LIMIT", {**CREATE, "price": D(5), "leverage": D(2)}),
    ("CREATE_TRADE_MARKET", {**CREATE, "stop_loss": D(4), "take_profit": D(6)}),
    ("CREATE_TRADE_STOP", {**CREATE, "stop_price": D(5)}),
    ("MODIFY_SPOT_LIMIT", {**ORDER, "price": D(6)}),
    ("MODIFY_SPOT_STOP", {**ORDER, "stop_price": D(6)}),
    ("MODIFY_TRADE_LIMIT", {**ORDER, "volume": D(6)}),
    ("MODIFY_TRADE_STOP", {**ORDER, "clear": {"take_profit"}, "stop_loss": D(3)}),
    ("MODIFY_POSITION", {**ORDER, "stop_loss": D(6)}),
    ("SPLIT_SPOT_LIMIT", CHUNKS),
    ("SPLIT_SPOT_STOP", CHUNKS),
    ("SPLIT_TRADE_LIMIT", {**CHUNKS, "split_prices": [D(1), D(2)]}),
    ("SPLIT_TRADE_STOP", CHUNKS),
    ("SPLIT_POSITION", CHUNKS),
    ("CANCEL_SPOT_LIMIT", ORDER),
    ("CANCEL_SPOT_STOP", ORDER),
    ("CANCEL_SPOT_MARKET", ORDER),
    ("CANCEL_TRADE_LIMIT", {**ORDER, "volume": D(1)}),
    ("CANCEL_TRADE_STOP", ORDER),
    ("CANCEL_TRADE_MARKET", ORDER),
    ("CLOSE_TRADE", {**ORDER, "volume": D(1), "price": D(9)}),
    ("CREATE_SPOT_STOP_LIMIT", {**CREATE, "stop_price": D(5), "price": D(6)}),
    ("CREATE_TRADE_STOP_LIMIT", {**CREATE, "stop_price": D(5), "price": D(6)}),
    ("CREATE_SPOT_TRAILING_STOP", {**CREATE, "instructions": Instructions(trail=D(1))}),
    ("CREATE_TRADE_TRAILING_STOP", {**CREATE, "instructions": Instructions(trail_percent=D(1))}),
    ("MODIFY_SPOT_STOP_LIMIT", {**ORDER, "price": D(6)}),
    ("MODIFY_TRADE_STOP_LIMIT", {**ORDER, "stop_price": D(6)}),
    ("MODIFY_SPOT_TRAILING_STOP", {**ORDER, "volume": D(6)}),
    ("MODIFY_TRADE_TRAILING_STOP", {**ORDER, "volume": D(6)}),
    ("SPLIT_SPOT_STOP_LIMIT", CHUNKS),
    ("SPLIT_TRADE_STOP_LIMIT", CHUNKS),
    ("SPLIT_SPOT_TRAILING_STOP", CHUNKS),
    ("SPLIT_TRADE_TRAILING_STOP", CHUNKS),
    ("CANCEL_SPOT_STOP_LIMIT", ORDER),
    ("CANCEL_TRADE_STOP_LIMIT", ORDER),
    ("CANCEL_SPOT_TRAILING_STOP", ORDER),
    ("CANCEL_TRADE_TRAILING_STOP", ORDER),
]


@pytest.mark.parametrize(("kind", "fields"), GOOD)
def test_a_complete_command_is_valid(kind: str, fields: dict[str, Any]) -> None:
    assert action(kind, **fields).validate() == (True, "")


def test_every_action_type_is_tried() -> None:
    assert {kind for kind, _ in GOOD} == {one.name for one in ActionType}


NEEDED = [(kind, name) for kind, fields in GOOD[:6] for name in CREATE if name in fields]
NEEDED += [(kind, "order_id") for kind, _ in GOOD if not kind.startswith("CREATE")]
NEEDED += [(f"CREATE_{one}_STOP_LIMIT", "price") for one in ("SPOT", "TRADE")]
NEEDED += [(f"CREATE_{one}_STOP_LIMIT", "stop_price") for one in ("SPOT", "TRADE")]
NEEDED += [("CREATE_SPOT_LIMIT", "price"), ("CREATE_TRADE_LIMIT", "price")]
NEEDED += [("CREATE_SPOT_STOP", "stop_price"), ("CREATE_TRADE_STOP", "stop_price")]


@pytest.mark.parametrize(("kind", "missing"), NEEDED)
def test_what_is_missing_is_named(kind: str, missing: str) -> None:
    fields = {name: value for name, value in dict(GOOD)[kind].items() if name != missing}
    assert action(kind, **fields).validate() == (False, f"{missing} is required for {kind}")


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("CREATE_SPOT_LIMIT", {**CREATE, "price": D(0)}, "price must be positive"),
        (
            "CREATE_SPOT_TRAILING_STOP",
            {**CREATE, "stop_price": D(5)},
            "instructions.trail (or trail_percent) is required for CREATE_SPOT_TRAILING_STOP",
        ),
        (
            "CREATE_SPOT_MARKET",
            {**CREATE, "instructions": Instructions(trail=D(1))},
            "instructions.trail (or trail_percent) is not for CREATE_SPOT_MARKET",
        ),
        ("CREATE_SPOT_MARKET", {**CREATE, "volume": D(-1)}, "volume must be positive"),
        ("CREATE_TRADE_MARKET", {**CREATE, "leverage": D(0)}, "leverage must be positive"),
        ("CREATE_TRADE_MARKET", {**CREATE, "stop_loss": D(0)}, "stop_loss must be positive"),
        (
            "CREATE_SPOT_MARKET",
            {**CREATE, "leverage": D(2)},
            "leverage is for trading orders only",
        ),
        (
            "CREATE_SPOT_MARKET",
            {**CREATE, "stop_price": D(2)},
            "stop_price is not for CREATE_SPOT_MARKET: use a stop action",
        ),
        (
            "CREATE_SPOT_MARKET",
            {**CREATE, "trading_pair_code": " "},
            "trading_pair_code is required for CREATE_SPOT_MARKET",
        ),
        (
            "CREATE_SPOT_MARKET",
            {**CREATE, "clear": "stop_loss"},
            "clear is for modify actions only",
        ),
        ("CANCEL_SPOT_LIMIT", CHUNKS, "split_chunks and split_prices are for split actions only"),
        (
            "MODIFY_SPOT_LIMIT",
            ORDER,
            "nothing to change: set volume, price, stop_price, stop_loss or take_profit",
        ),
        (
            "MODIFY_POSITION",
            {**ORDER, "volume": D(1)},
            "volume is not for an open position: it has stop_loss and take_profit",
        ),
        (
            "MODIFY_POSITION",
            {**ORDER, "stop_loss": D(1), "clear": ["stop_loss"]},
            "stop_loss cannot be both set and cleared",
        ),
        (
            "MODIFY_POSITION",
            {**ORDER, "clear": ["volume"]},
            "clear can only name stop_loss and take_profit, not volume",
        ),
        ("SPLIT_POSITION", ORDER, "split_chunks must hold at least two volumes"),
        (
            "SPLIT_POSITION",
            {**ORDER, "split_chunks": [D(1)]},
            "split_chunks must hold at least two volumes",
        ),
        (
            "SPLIT_POSITION",
            {**ORDER, "split_chunks": [D(1), D(0)]},
            "split_chunks must be positive",
        ),
        (
            "SPLIT_POSITION",
            {**CHUNKS, "split_prices": [D(1), D(1)]},
            "split_prices are for pending orders only",
        ),
        (
            "SPLIT_SPOT_LIMIT",
            {**CHUNKS, "split_prices": [D(1)]},
            "split_prices must be as many as split_chunks",
        ),
        (
            "SPLIT_SPOT_LIMIT",
            {**CHUNKS, "split_prices": [D(1), D(-1)]},
            "split_prices must be positive",
        ),
    ],
)
def test_what_makes_no_sense_is_said(kind: str, fields: dict[str, Any], message: str) -> None:
    assert action(kind, **fields).validate() == (False, message)


@pytest.mark.parametrize("field", ["volume", "price", "leverage", "stop_loss", "stop_price"])
def test_floats_and_nan_never_get_in(field: str) -> None:
    with pytest.raises(FieldTypeError, match=f"^{field} must be a Decimal, not the float"):
        action("CREATE_SPOT_LIMIT", **{field: 1.5})
    with pytest.raises(FieldError, match=f"^{field} must be a finite number"):
        action("CREATE_SPOT_LIMIT", **{field: Decimal("NaN")})


def test_a_list_of_chunks_becomes_a_tuple_of_decimals() -> None:
    split = action("SPLIT_SPOT_LIMIT", order_id=uid(1), split_chunks=[D(1), 2])
    assert split.split_chunks == (D(1), D(2))
    with pytest.raises(FieldTypeError, match=r"^split_chunks must be a Decimal, not the float"):
        action("SPLIT_SPOT_LIMIT", split_chunks=[0.5, 0.5])


def test_chunks_may_be_volumes_with_prices() -> None:
    chunks = [{"volume": D(1), "price": D(100)}, {"volume": 2, "price": D(101)}]
    split = action("SPLIT_TRADE_LIMIT", order_id=uid(1), split_chunks=chunks)
    assert (split.split_chunks, split.split_prices) == ((D(1), D(2)), (D(100), D(101)))
    assert split.validate() == (True, "")
    assert split == action(
        "SPLIT_TRADE_LIMIT", order_id=uid(1), split_chunks=[1, 2], split_prices=[100, 101]
    )


@pytest.mark.parametrize("price", [{}, {"price": None}])
def test_chunks_without_prices_keep_the_orders_own(price: dict[str, Any]) -> None:
    chunks = [{"volume": D(1), **price}, {"volume": D(2), **price}]
    split = action("SPLIT_SPOT_LIMIT", order_id=uid(1), split_chunks=chunks)
    assert (split.split_chunks, split.split_prices) == ((D(1), D(2)), None)
    assert split.validate() == (True, "")


def test_a_price_for_one_chunk_is_one_for_all() -> None:
    chunks = [{"volume": D(1), "price": D(100)}, {"volume": D(2)}]
    split = action("SPLIT_SPOT_LIMIT", order_id=uid(1), split_chunks=chunks)
    assert split.validate() == (False, "split_prices must be as many as split_chunks")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split_chunks": [{"price": D(1)}]}, "^split_chunks must be like .*, not {'price'"),
        ({"split_chunks": [{"volume": D(1), "size": 1}]}, "^split_chunks must be like"),
        ({"split_chunks": [{"volume": D(1)}, D(2)]}, "^split_chunks must all be mappings"),
        ({"split_chunks": [{"volume": 0.5}]}, "^split_chunks must be a Decimal, not the float"),
        ({"split_chunks": [{"volume": None}]}, "^split_chunks must be a Decimal, not NoneType"),
        ({"split_chunks": [None, D(1)]}, "^split_chunks must be a Decimal, not NoneType"),
        (
            {"split_chunks": [{"volume": D(1), "price": D(2)}], "split_prices": [D(2)]},
            "^split_prices are given twice",
        ),
        (
            {"split_chunks": [{"volume": D(1), "price": 0.5}]},
            "^split_prices must be a Decimal, not the float",
        ),
    ],
)
def test_chunks_that_are_no_parts_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((FieldError, FieldTypeError), match=message):
        action("SPLIT_SPOT_LIMIT", order_id=uid(1), **fields)


def test_types_are_checked() -> None:
    with pytest.raises(FieldTypeError, match=r"^action_type must be one of"):
        DecisionAction("CANCEL", DAY, AGENT, ACCOUNT, BROKER, RUN)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"^direction must be one of"):
        action("CREATE_SPOT_LIMIT", direction="LONG")
    with pytest.raises(FieldTypeError, match=r"^trading_pair_code must be text"):
        action("CREATE_SPOT_LIMIT", trading_pair_code=5)
    with pytest.raises(AttributeError):
        action("CLOSE_TRADE").volume = D(1)  # type: ignore[misc]
