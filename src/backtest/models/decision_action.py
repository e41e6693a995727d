"""Decision actions: what an agent asks a broker to do, as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from attrs import field, frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models._show import shown
from backtest.models._validate import (
    AMOUNT,
    AMOUNT_IF_SET,
    check_member,
    check_numbers,
    check_times,
    number,
)
from backtest.models.instructions import PLAIN, Instructions, check_instructions
from backtest.models.lifecycle import OrderDirection
from backtest.money import ZERO, plain

__all__ = ["ActionType", "DecisionAction"]


class ActionType(Enum):
    """One per command."""

    CREATE_SPOT_LIMIT = "CREATE_SPOT_LIMIT"
    CREATE_SPOT_MARKET = "CREATE_SPOT_MARKET"
    CREATE_SPOT_STOP = "CREATE_SPOT_STOP"
    CREATE_SPOT_STOP_LIMIT = "CREATE_SPOT_STOP_LIMIT"
    CREATE_SPOT_TRAILING_STOP = "CREATE_SPOT_TRAILING_STOP"
    CREATE_TRADE_LIMIT = "CREATE_TRADE_LIMIT"
    CREATE_TRADE_MARKET = "CREATE_TRADE_MARKET"
    CREATE_TRADE_STOP = "CREATE_TRADE_STOP"
    CREATE_TRADE_STOP_LIMIT = "CREATE_TRADE_STOP_LIMIT"
    CREATE_TRADE_TRAILING_STOP = "CREATE_TRADE_TRAILING_STOP"
    MODIFY_SPOT_LIMIT = "MODIFY_SPOT_LIMIT"
    MODIFY_SPOT_STOP = "MODIFY_SPOT_STOP"
    MODIFY_SPOT_STOP_LIMIT = "MODIFY_SPOT_STOP_LIMIT"
    MODIFY_SPOT_TRAILING_STOP = "MODIFY_SPOT_TRAILING_STOP"
    MODIFY_TRADE_LIMIT = "MODIFY_TRADE_LIMIT"
    MODIFY_TRADE_STOP = "MODIFY_TRADE_STOP"
    MODIFY_TRADE_STOP_LIMIT = "MODIFY_TRADE_STOP_LIMIT"
    MODIFY_TRADE_TRAILING_STOP = "MODIFY_TRADE_TRAILING_STOP"
    MODIFY_POSITION = "MODIFY_POSITION"
    """Stop-loss and take-profit of an open position."""
    SPLIT_SPOT_LIMIT = "SPLIT_SPOT_LIMIT"
    SPLIT_SPOT_STOP = "SPLIT_SPOT_STOP"
    SPLIT_SPOT_STOP_LIMIT = "SPLIT_SPOT_STOP_LIMIT"
    SPLIT_SPOT_TRAILING_STOP = "SPLIT_SPOT_TRAILING_STOP"
    SPLIT_TRADE_LIMIT = "SPLIT_TRADE_LIMIT"
    SPLIT_TRADE_STOP = "SPLIT_TRADE_STOP"
    SPLIT_TRADE_STOP_LIMIT = "SPLIT_TRADE_STOP_LIMIT"
    SPLIT_TRADE_TRAILING_STOP = "SPLIT_TRADE_TRAILING_STOP"
    SPLIT_POSITION = "SPLIT_POSITION"
    CANCEL_SPOT_LIMIT = "CANCEL_SPOT_LIMIT"
    CANCEL_SPOT_STOP = "CANCEL_SPOT_STOP"
    CANCEL_SPOT_STOP_LIMIT = "CANCEL_SPOT_STOP_LIMIT"
    CANCEL_SPOT_TRAILING_STOP = "CANCEL_SPOT_TRAILING_STOP"
    CANCEL_SPOT_MARKET = "CANCEL_SPOT_MARKET"
    CANCEL_TRADE_LIMIT = "CANCEL_TRADE_LIMIT"
    CANCEL_TRADE_STOP = "CANCEL_TRADE_STOP"
    CANCEL_TRADE_STOP_LIMIT = "CANCEL_TRADE_STOP_LIMIT"
    CANCEL_TRADE_TRAILING_STOP = "CANCEL_TRADE_TRAILING_STOP"
    CANCEL_TRADE_MARKET = "CANCEL_TRADE_MARKET"
    CLOSE_TRADE = "CLOSE_TRADE"


_NUMBERS = tuple(
    (name, AMOUNT_IF_SET)
    for name in ("volume", "price", "leverage", "stop_loss", "take_profit", "stop_price")
)
_POSITIVE = ("volume", "price", "stop_price", "leverage", "stop_loss", "take_profit")
_CLEARABLE = frozenset({"stop_loss", "take_profit"})
_CHANGES = ("volume", "price", "stop_price", "stop_loss", "take_profit")
_PROTECTION = ("stop_loss", "take_profit")


Chunk = Decimal | Mapping[str, Decimal | None]
"""A part of a split: its volume, or ``{"volume": ..., "price": ...}``."""


def _decimals(value: Iterable[Decimal] | None) -> tuple[Decimal, ...] | None:
    return None if value is None else tuple(value)


def _chunks(value: Iterable[Chunk] | None) -> Any:
    return None if value is None else tuple(value)


def _sort_chunks(values: dict[str, Any]) -> None:
    """Sort the volumes and prices of chunks that are mappings into the fields of their own."""
    chunks = values["split_chunks"]
    if chunks is None or not any(isinstance(one, Mapping) for one in chunks):
        return
    volumes, prices = [], []
    for chunk in chunks:
        if not isinstance(chunk, Mapping):
            raise FieldTypeError("split_chunks", f"must all be mappings, or none; {chunk!r} is not")
        if "volume" not in chunk or not chunk.keys() <= {"volume", "price"}:
            raise FieldError(
                "split_chunks", f'must be like {{"volume": ..., "price": ...}}, not {dict(chunk)!r}'
            )
        volumes.append(chunk["volume"])
        if chunk.get("price") is not None:
            prices.append(chunk["price"])
    values["split_chunks"] = tuple(volumes)
    if prices:
        if values["split_prices"] is not None:
            raise FieldError("split_prices", "are given twice: split_chunks have them, too")
        values["split_prices"] = tuple(prices)


def _names(value: Iterable[str]) -> frozenset[str]:
    return frozenset((value,) if isinstance(value, str) else value)


@frozen(slots=False)
class DecisionAction:
    """One command of an agent, as a value; the broker turns it into orders. Frozen.

    ``price`` is the limit of a limit order (a market order does not need one), ``stop_price`` the
    trigger of a stop order. A modify changes what is set and removes what ``clear`` names
    (``stop_loss``, ``take_profit``); its ``volume`` is the total including what has filled. A split
    takes ``split_chunks`` (volumes) and, for pending orders, ``split_prices``; or mappings of both
    as chunks, ``[{"volume": ..., "price": ...}]``, which are sorted into the two. ``order_id`` is
    any id of the branch. ``instructions`` says how long a new order lives and what it must not do;
    a modify takes from them how far it trails and when it expires, a close how far it trails.
    ``command_id`` makes a repeated command harmless.

    The constructor refuses wrong types, NaN and infinities; whether the command makes sense is
    `validate`'s to say.
    """

    action_type: ActionType
    timestamp: datetime
    agent_id: UUID
    account_id: UUID
    broker_id: UUID
    backtest_run_id: UUID
    trading_pair_code: str | None = None
    order_id: UUID | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    direction: OrderDirection | None = None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    split_chunks: tuple[Decimal, ...] | None = field(default=None, converter=_chunks)
    stop_price: Decimal | None = None
    split_prices: tuple[Decimal, ...] | None = field(default=None, converter=_decimals)
    command_id: UUID | int | None = None
    clear: frozenset[str] = field(default=frozenset(), converter=_names)
    instructions: Instructions = PLAIN

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_member(self.action_type, "action_type", ActionType)
        check_times(values, ("timestamp",))
        if self.direction is not None:
            check_member(self.direction, "direction", OrderDirection)
        if self.trading_pair_code is not None and not isinstance(self.trading_pair_code, str):
            raise FieldTypeError("trading_pair_code", "must be text (str)")
        check_numbers(values, _NUMBERS)
        check_instructions(self.instructions)
        _sort_chunks(values)
        for name in ("split_chunks", "split_prices"):
            if values[name] is not None:
                values[name] = tuple(number(one, name, AMOUNT) for one in values[name])

    def __repr__(self) -> str:
        numbers = [(name, getattr(self, name)) for name in _POSITIVE if name != "volume"]
        asked = None if self.instructions == PLAIN else repr(self.instructions)
        chunks = self.split_chunks and " + ".join(map(plain, self.split_chunks))
        prices = self.split_prices and ", ".join(map(plain, self.split_prices))
        return shown(
            self,
            self.action_type,
            self.direction,
            self.volume,
            self.trading_pair_code,
            ("order", self.order_id),
            *numbers,
            ("into", chunks),
            ("at", prices),
            ("clear", ", ".join(sorted(self.clear)) or None),
            asked,
        )

    def validate(self) -> tuple[bool, str]:
        """Whether the command is complete and consistent in itself, and if not, what is wrong.

        ``(True, "")`` when it is. Says nothing about rules, money or the market: the broker does.
        """
        problem = self._problem()
        return (problem is None, problem or "")

    def _problem(self) -> str | None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value <= ZERO:
                return f"{name} must be positive"
        verb, _, subject = self.action_type.value.partition("_")
        if verb != "MODIFY" and self.clear:
            return "clear is for modify actions only"
        if verb != "SPLIT" and (self.split_chunks is not None or self.split_prices is not None):
            return "split_chunks and split_prices are for split actions only"
        if verb == "CREATE":
            return self._create_problem(subject)
        if self.order_id is None:
            return f"order_id is required for {self.action_type.value}"
        if verb == "MODIFY":
            return self._modify_problem(subject)
        if verb == "SPLIT":
            return self._split_problem(subject)
        return None

    def _create_problem(self, subject: str) -> str | None:
        kind = self.action_type.value
        if not self.trading_pair_code or not self.trading_pair_code.strip():
            return f"trading_pair_code is required for {kind}"
        if self.volume is None:
            return f"volume is required for {kind}"
        if self.direction is None:
            return f"direction is required for {kind}"
        trails = subject.endswith("TRAILING_STOP")
        if subject.endswith("LIMIT") and self.price is None:
            return f"price is required for {kind}"
        # Where a trailing stop begins may be left out: it follows from the market's price.
        if subject.endswith(("_STOP", "_STOP_LIMIT")) and self.stop_price is None and not trails:
            return f"stop_price is required for {kind}"
        if trails is not self.instructions.is_trailing:
            word = "is required for" if trails else "is not for"
            return f"instructions.trail (or trail_percent) {word} {kind}"
        if "STOP" not in subject and self.stop_price is not None:
            return f"stop_price is not for {kind}: use a stop action"
        if subject.startswith("SPOT") and self.leverage is not None:
            return "leverage is for trading orders only"
        return None

    def _modify_problem(self, subject: str) -> str | None:
        unknown = self.clear - _CLEARABLE
        if unknown:
            names = ", ".join(sorted(unknown))
            return f"clear can only name stop_loss and take_profit, not {names}"
        asks = self.instructions.is_trailing or self.instructions.expires_at is not None
        if not self.clear and not asks and all(getattr(self, name) is None for name in _CHANGES):
            return "nothing to change: set volume, price, stop_price, stop_loss or take_profit"
        for name in _PROTECTION:
            if name in self.clear and getattr(self, name) is not None:
                return f"{name} cannot be both set and cleared"
        if subject == "POSITION":
            for name in ("volume", "price", "stop_price"):
                if getattr(self, name) is not None:
                    return f"{name} is not for an open position: it has stop_loss and take_profit"
        return None

    def _split_problem(self, subject: str) -> str | None:
        if self.split_chunks is None or len(self.split_chunks) < 2:
            return "split_chunks must hold at least two volumes"
        if any(chunk <= ZERO for chunk in self.split_chunks):
            return "split_chunks must be positive"
        if self.split_prices is None:
            return None
        if subject == "POSITION":
            return "split_prices are for pending orders only"
        if len(self.split_prices) != len(self.split_chunks):
            return "split_prices must be as many as split_chunks"
        if any(price <= ZERO for price in self.split_prices):
            return "split_prices must be positive"
        return None
