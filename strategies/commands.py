"""The commands of a strategy: what it asks of the venue is checked, numbered and sent here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backtest.actors import StrategyHost, Welcome
from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import FieldError, OrderRejected, RejectReason
from backtest.models import (
    PLAIN,
    ActionType,
    DecisionAction,
    Instructions,
    OrderDirection,
    TimeInForce,
)
from backtest.models._fast import derive
from backtest.money import decimal_of
from backtest.services.fills.walk import WorkingKind
from backtest.times import duration_ns, from_ns, to_ns

from .close_handle import CloseHandle
from .command import Command
from .handle import Expires, Number, OrderHandle
from .holdings import Holdings

if TYPE_CHECKING:
    from .client import OrderClient

__all__ = ["Commands"]

_new = tuple.__new__
_GTC = TimeInForce.GTC


class Commands:
    """Made by the client, which takes the answers; what it sends has left when a call returns."""

    def __init__(
        self, client: OrderClient, host: StrategyHost, welcome: Welcome, holdings: Holdings
    ) -> None:
        self._client = client
        self._host = host
        self._welcome = welcome
        self._holdings = holdings
        self.sent: dict[int, Command[Any]] = {}
        """Commands that are not answered yet, by number."""
        self.closes: dict[int, CloseHandle] = {}
        """Handles of closes that are pending, or not answered yet, by the number of the command."""
        self._by_id: dict[UUID | int | None, Command[Any]] = {}
        """Commands that were given ids by who made them."""

    def create(
        self,
        spot: bool,
        pair: str,
        direction: OrderDirection,
        volume: Number,
        limit_price: Number | None,
        stop_price: Number | None,
        account: str | None,
        leverage: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: Expires | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        oco: str | None = None,
    ) -> OrderHandle:
        """Send a new order; its handle."""
        host = self._host
        if host.warm_up is not None:
            self.check_warm()
        terms = PLAIN
        plain = trail is trail_percent is expires is oco is None and time_in_force is _GTC
        if not plain or post_only or reduce_only:
            terms = self._terms(
                trail, trail_percent, time_in_force, expires, post_only, reduce_only, oco
            )
        kind: WorkingKind = "market"
        if limit_price is not None:
            kind, limit_price = "limit", decimal_of(limit_price, "limit_price")
        if stop_price is not None:
            kind = "stop" if limit_price is None else "stop_limit"
            stop_price = decimal_of(stop_price, "stop_price")
        if terms is not PLAIN and terms.is_trailing:
            if limit_price is not None:
                raise FieldError("limit_price", "cannot be combined with trail: it is a stop")
            kind = "trailing_stop"
        size = decimal_of(volume, "volume")
        handle = OrderHandle(self._client, pair, direction, size, spot)
        if account is None:
            account = self._holdings.default_account
        elif account not in self._holdings.accounts:
            self._holdings.account_id(account)
        number = host.commands = host.commands + 1
        self.sent[number] = handle
        ask = _new(
            Create,
            (
                number,
                account,
                pair,
                spot,
                kind,
                direction,
                size,
                limit_price,
                stop_price,
                None if leverage is None else decimal_of(leverage, "leverage"),
                None if stop_loss is None else decimal_of(stop_loss, "stop_loss"),
                None if take_profit is None else decimal_of(take_profit, "take_profit"),
                terms,
            ),
        )
        host.submit(ask)
        return handle

    async def all_answered(self) -> None:
        """Wait until the venue has answered all that was sent so far."""
        for command in list(self.sent.values()):
            await command.answered()

    def check_warm(self) -> None:
        """Raise `OrderRejected` while the strategy has not seen what it needs; before the run's
        start it is the venue that refuses."""
        warm_up = self._host.warm_up
        if warm_up is None or self._host.is_warm() or self._host.events.now < warm_up.until_ns:
            return
        raise OrderRejected(
            RejectReason.WARMING_UP,
            f"{self._host.bars_warmed(warm_up)} of {warm_up.needed} warm-up bars seen: "
            "check self.is_warming_up before ordering",
        )

    def _terms(
        self,
        trail: Number | None,
        trail_percent: Number | None,
        time_in_force: TimeInForce | str,
        expires: Expires | None,
        post_only: bool,
        reduce_only: bool,
        oco: str | None,
    ) -> Instructions:
        """What an order asks for beside its prices."""
        force = _force(time_in_force)
        if expires is not None:
            if force not in (_GTC, TimeInForce.GTD):
                raise FieldError(
                    "expires",
                    f"is for GTD orders, and time_in_force is {force.value}: leave out one of the "
                    "two (expires= alone makes the order GTD)",
                )
            force = TimeInForce.GTD
        elif force is TimeInForce.GTD:
            raise FieldError(
                "expires", 'is missing: time_in_force GTD needs it, such as expires="4h"'
            )
        return Instructions(
            force,
            None if expires is None else self.moment(expires),
            post_only,
            reduce_only,
            _maybe(trail, "trail"),
            _maybe(trail_percent, "trail_percent"),
            oco,
        )

    def cancel(self, handle: OrderHandle, volume: Number | None) -> Command[OrderHandle]:
        return self._amend(handle, Verb.CANCEL, handle, _maybe(volume, "volume"))

    def moment(self, expires: Expires) -> datetime:
        """The moment that ``expires`` means: itself, or that long from now."""
        if not isinstance(expires, datetime):
            return from_ns(self._host.system.now + duration_ns(expires, "expires"))
        to_ns(expires, "expires")  # refuses a naive one
        return expires

    def modify(
        self,
        handle: OrderHandle,
        clear: frozenset[str],
        expires: Expires | None = None,
        close: int = 0,
        **prices: Number | None,
    ) -> Command[OrderHandle]:
        given: dict[str, Any] = {name: _maybe(price, name) for name, price in prices.items()}
        if expires is not None:
            given["expires_at"] = self.moment(expires)
        unknown = clear - {"stop_loss", "take_profit"}
        if unknown:
            raise FieldError("clear", f"can name stop_loss and take_profit, not {sorted(unknown)}")
        if close:
            handle, given["close"] = handle.value, close
        return self._amend(handle, Verb.MODIFY, handle, clear=clear, **given)

    def split(
        self,
        handle: OrderHandle,
        volumes: Sequence[Number],
        prices: Sequence[Number] | None,
        take_profits: Sequence[Number | None] | None = None,
    ) -> Command[list[OrderHandle]]:
        chunks = tuple(decimal_of(one, "volumes") for one in volumes)
        limits = None
        if prices is not None:
            limits = tuple(decimal_of(one, "limit_prices") for one in prices)
        targets = None
        if take_profits is not None:
            targets = tuple(_maybe(one, "take_profits") for one in take_profits)
        return self._amend(
            handle, Verb.SPLIT, [], volumes=chunks, limit_prices=limits, take_profits=targets
        )

    def close(
        self, handle: OrderHandle, volume: Number | None, **prices: Number | None
    ) -> CloseHandle:
        given = {name: _maybe(price, name) for name, price in prices.items()}
        size = _maybe(volume, "volume")
        close = CloseHandle(self._client, handle, handle.open_volume if size is None else size)
        self._amend(handle, Verb.CLOSE, close, size, **given)
        return close

    def cancel_close(self, close: CloseHandle, volume: Number | None) -> Command[OrderHandle]:
        """Cancel what is pending of ``close``, and of no other."""
        entry = close.value
        return self._amend(entry, Verb.CANCEL, entry, _maybe(volume, "volume"), close=close.number)

    def _amend(
        self,
        handle: OrderHandle,
        verb: Verb,
        value: Any,
        volume: Decimal | None = None,
        **changes: Any,
    ) -> Command[Any]:
        command: Command[Any]
        if handle.id is None:
            raise FieldError(
                "order",
                f"was refused ({handle.error}), there is nothing to change"
                if handle.is_rejected
                else "was not accepted yet: await it before you change it",
            )
        number = self._host.commands = self._host.commands + 1
        if verb is Verb.CLOSE:
            command, value.number = value, number
            self.closes[number] = value
        else:
            command = Command(self._client, value)
        self.sent[number] = command
        self._host.submit(Amend(number, verb, handle.id, volume, **changes))
        return command

    def action(
        self, action_type: ActionType, pair: str, account: str | None, fields: dict[str, Any]
    ) -> DecisionAction:
        """A validated command with the ids of its strategy."""
        values = {
            **fields,
            "action_type": action_type,
            "timestamp": self._host.system.moment,
            "agent_id": self._welcome.agent_id,
            "account_id": self._holdings.account_id(account or self._holdings.default_account),
            "broker_id": self._welcome.broker_id,
            "backtest_run_id": self._welcome.run_id,
            "trading_pair_code": pair,
        }
        return DecisionAction(**values)

    def submit(self, action: DecisionAction) -> Command[Any]:
        """Send a command that was made elsewhere; a new order gets a handle like any other.

        One with a ``command_id`` that was sent before is not sent again: its outcome is given.
        """
        before = self._by_id.get(action.command_id)
        if before is not None:
            return before
        value: Any = None
        if action.action_type.name.startswith("CREATE"):
            spot = "SPOT" in action.action_type.name
            value = OrderHandle(
                self._client,
                action.trading_pair_code,  # type: ignore[arg-type]
                action.direction,  # type: ignore[arg-type]
                action.volume,  # type: ignore[arg-type]
                spot,
            )
            command: Command[Any] = value
        else:
            if action.action_type.name.startswith("SPLIT"):
                value = []
            command = Command(self._client, value)
        number = self._host.commands = self._host.commands + 1
        self.sent[number] = command
        if action.command_id is not None:
            self._by_id[action.command_id] = command
        # Numbers are the client's own: one of the caller's could be another command's.
        self._host.submit(derive(action, command_id=number))
        return command


def _force(given: TimeInForce | str) -> TimeInForce:
    """The time in force that ``given`` names, in capitals or not."""
    try:
        return TimeInForce(given.upper() if isinstance(given, str) else given)
    except ValueError:
        known = ", ".join(one.value for one in TimeInForce)
        raise FieldError("time_in_force", f"must be one of {known}, not {given!r}") from None


def _maybe(value: Number | None, name: str) -> Decimal | None:
    return None if value is None else decimal_of(value, name)
