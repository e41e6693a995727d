"""The orders of a strategy: how it places them, and how it commands by values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from backtest.actors import BalanceUpdate, OrderEvent, StrategyHost
from backtest.errors import FieldError, FieldTypeError, OrderRejected, RejectReason
from backtest.models import (
    ActionType,
    DecisionAction,
    OrderDirection,
    TimeInForce,
)
from backtest.money import ONE, decimal_of

from .client import OrderClient
from .command import Command
from .handle import Number, OrderHandle
from .keywords import known_words
from .risk import RiskedOrder, volume_at_risk

__all__ = ["Ordering"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT
_GTC = TimeInForce.GTC


class Ordering:
    """The part of `Strategy` that gives orders; write strategies from `Strategy`, not from this."""

    warmup_bars: ClassVar[int] = 0
    """How many bars of each pair a strategy must have seen before it may order; until then
    `is_warming_up`."""
    history_bars: ClassVar[int | None] = None
    """How many bars of each pair are kept for `history`; None: 10 000 where the class mentions
    `history` by name, else none."""
    logs_refusals: ClassVar[bool] = True
    """Whether refusals of commands that nobody awaited are logged."""

    computation_delay: ClassVar[float | timedelta | str] = 0
    """How long each wake-up keeps it busy: what it sends leaves it that much later, and it is not
    woken again before. See `think`."""

    _host: StrategyHost
    _host_applies: Callable[[OrderEvent | BalanceUpdate], None]
    """Called by the host with each event, as it arrives."""
    _client: OrderClient

    @known_words
    def buy(
        self,
        pair: str,
        volume: Number | None = None,
        *,
        risk: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Buy ``volume`` of the base asset for the quote asset.

        Without a price a market order; with a limit, a stop, or both, such an order (both: once
        the stop is reached, a limit order). ``trail`` (a distance in price) or ``trail_percent``
        (2 means 2 %) makes it a trailing stop, which may begin at ``stop_price``.
        ``time_in_force`` is ``"GTC"``, ``"DAY"``, ``"IOC"``, ``"FOK"``, or ``"GTD"`` with
        ``expires``: a moment, or how long from now. ``post_only``: it must not take liquidity.
        Orders with the same label ``oco`` are one-cancels-other. ``stop_loss`` and
        ``take_profit`` sell what was bought, whichever is reached first.

        ``risk`` in place of a volume, such as ``"1%"`` with a ``stop_loss``: the largest volume
        that loses no more than that share of the account's `equity` between its price and the
        stop-loss, fees of both fills included, and that is `affordable`. Slippage and gaps come on
        top. A volume of 0, where there is none, is refused like any other.

        The order is sent at once. Await the handle to wait for its acceptance; that raises
        `OrderRejected` when the venue refuses.
        """
        if volume is None or risk is not None:
            given = (limit_price, stop_price, stop_loss, None, account)
            volume = self._sized("buy", pair, volume, risk, *given)
        return self._client.commands.create(
            True,
            pair,
            _LONG,
            volume,
            limit_price,
            stop_price,
            account,
            None,
            stop_loss,
            take_profit,
            trail,
            trail_percent,
            time_in_force,
            expires,
            post_only,
            False,
            oco,
        )

    @known_words
    def sell(
        self,
        pair: str,
        volume: Number | None = None,
        *,
        risk: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Sell ``volume`` of the base asset that the account owns; otherwise like `buy`.

        With ``stop_loss``, ``take_profit`` or both, and no other price, it is an exit: one order
        that sells at the one or the other, whichever is reached first. With ``risk`` it is for so
        much that the way from the market to the stop-loss costs no more.
        """
        if volume is None or risk is not None:
            given = (limit_price, stop_price, stop_loss, None, account)
            volume = self._sized("sell", pair, volume, risk, *given)
        return self._client.commands.create(
            True,
            pair,
            _SHORT,
            volume,
            limit_price,
            stop_price,
            account,
            None,
            stop_loss,
            take_profit,
            trail,
            trail_percent,
            time_in_force,
            expires,
            post_only,
            False,
            oco,
        )

    @known_words
    def long(
        self,
        pair: str,
        volume: Number | None = None,
        *,
        risk: Number | None = None,
        leverage: Number = 1,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Open a long position of ``volume`` contracts on margin; otherwise like `buy`.

        ``stop_loss`` and ``take_profit`` close it at those prices, whichever is reached first.
        """
        if volume is None or risk is not None:
            given = (limit_price, stop_price, stop_loss, leverage, account)
            volume = self._sized("long", pair, volume, risk, *given)
        return self._client.commands.create(
            False,
            pair,
            _LONG,
            volume,
            limit_price,
            stop_price,
            account,
            leverage,
            stop_loss,
            take_profit,
            trail,
            trail_percent,
            time_in_force,
            expires,
            post_only,
            reduce_only,
            oco,
        )

    @known_words
    def short(
        self,
        pair: str,
        volume: Number | None = None,
        *,
        risk: Number | None = None,
        leverage: Number = 1,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Open a short position of ``volume`` contracts on margin; otherwise like `long`."""
        if volume is None or risk is not None:
            given = (limit_price, stop_price, stop_loss, leverage, account)
            volume = self._sized("short", pair, volume, risk, *given)
        return self._client.commands.create(
            False,
            pair,
            _SHORT,
            volume,
            limit_price,
            stop_price,
            account,
            leverage,
            stop_loss,
            take_profit,
            trail,
            trail_percent,
            time_in_force,
            expires,
            post_only,
            reduce_only,
            oco,
        )

    def _sized(
        self,
        name: str,
        pair: str,
        volume: Number | None,
        risk: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
        stop_loss: Number | None,
        leverage: Number | None,
        account: str | None,
    ) -> Decimal:
        """The volume that ``risk`` stands for in an order that was given none."""
        if risk is None:
            raise FieldTypeError("volume", f"is missing in {name}(): self.{name}(volume)")
        if volume is not None:
            raise FieldError("risk", "gives the volume: leave out one of the two")
        client = self._client
        order = RiskedOrder(
            pair,
            risk,
            spot=leverage is None,
            long=name in ("buy", "long"),
            limit=None if limit_price is None else decimal_of(limit_price, "limit_price"),
            stop=None if stop_price is None else decimal_of(stop_price, "stop_price"),
            stop_loss=None if stop_loss is None else decimal_of(stop_loss, "stop_loss"),
            leverage=ONE if leverage is None else decimal_of(leverage, "leverage"),
            account=account or client.holdings.default_account,
        )
        return volume_at_risk(order, client, self._host)

    def open_orders(self, pair: str | None = None) -> list[OrderHandle]:
        """Orders with something pending, in the order of their acceptance; then pending closes of
        positions (`CloseHandle`). What protects a position, a stop-loss or take-profit, is none."""
        return self._client.open_orders(pair)

    def action(
        self, action_type: ActionType, pair: str, *, account: str | None = None, **fields: Any
    ) -> DecisionAction:
        """A command as a value, for `submit`: ids and time are filled in here, ``fields`` are the
        others of `DecisionAction`."""
        return self._client.commands.action(action_type, pair, account, fields)

    def submit(self, action: DecisionAction) -> Command[Any]:
        """Send a command that is a value; await what is given back for its outcome.

        For a new order that is its `OrderHandle`, for a split the handles of the parts.
        Raises `OrderRejected` for one that is not complete in itself.
        """
        self._client.commands.check_warm()
        good, problem = action.validate()
        if not good:
            raise OrderRejected(RejectReason.INVALID_ACTION, problem, action.order_id)
        return self._client.commands.submit(action)
