"""A strategy's side of the counter: it sends commands and keeps handles, balances and positions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from backtest.actors import BalanceUpdate, EventKind, OrderEvent, StrategyHost, System, Welcome
from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import (
    AccountError,
    BacktestError,
    FieldError,
    OrderRejected,
    RejectReason,
)
from backtest.log import get_logger
from backtest.models import (
    PLAIN,
    ActionType,
    Asset,
    DecisionAction,
    Instructions,
    OrderDirection,
    SpotOrder,
    TradingOrder,
    TradingPair,
)
from backtest.models._fast import derive
from backtest.money import ONE, ZERO, add, decimal_of
from backtest.services.fills.walk import WorkingKind
from backtest.spelling import suggestion
from backtest.times import duration_ns, from_ns, to_ns

from .affordable import affordable, affordable_on_margin
from .balance import BalanceView
from .close_handle import CloseHandle
from .command import Command
from .exposure import Exposure
from .handle import Expires, Number, OrderHandle
from .position import Changes, take_changes

if TYPE_CHECKING:
    from .strategy import Strategy

__all__ = ["OrderClient"]

_new = tuple.__new__
_NOTHING = (ZERO, ZERO)


class OrderClient:
    """Made by the strategy when it joins; everything in it is as the last event left it."""

    def __init__(self, host: StrategyHost, welcome: Welcome, strategy: Strategy) -> None:
        self.host = host
        self.system: System = host.system
        self.name = host.name
        self.agent_id = welcome.agent_id
        self.pairs = welcome.pairs
        self.rules = welcome.rules
        self.accounts = {name: account_id for account_id, name in welcome.accounts}
        self.default_account = welcome.accounts[0][1] if welcome.accounts else ""
        self.balances = dict(welcome.balances)
        self.open: dict[int, OrderHandle] = {}
        """Handles with something pending, by branch number: in the order of acceptance."""
        self.positions: dict[str, dict[UUID, TradingOrder]] = {code: {} for code in self.pairs}
        self.last = host.last
        """The last close of each pair that the strategy was given."""
        self.exposure = Exposure(self, welcome.cross, welcome.netting)
        self.over = False
        self._logged: set[RejectReason] = set()
        """The reasons of refusals that a warning told of."""
        self._strategy = strategy
        self._branches: dict[int, OrderHandle] = {}
        self._commands: dict[int, Command[Any]] = {}
        self._closes: dict[int, CloseHandle] = {}
        """Handles of closes that are pending, or not answered yet, by the number of the command."""
        self._submitted: dict[UUID | int | None, Command[Any]] = {}
        """Commands that were given ids by who made them."""
        self._unanswered: Command[Any] | None = None
        """The command of whose effects more is to come."""
        self._ids = welcome

    # -- commands ----------------------------------------------------------------------------------

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
        instructions: Instructions = PLAIN,
    ) -> OrderHandle:
        """Send a new order; its handle."""
        kind, limit_price, stop_price = _kind_of(limit_price, stop_price, instructions)
        size = decimal_of(volume, "volume")
        handle = OrderHandle(self, pair, direction, size, spot)
        if account is None:
            account = self.default_account
        elif account not in self.accounts:
            self._account_id(account)
        number = self.host.next_command()
        self._commands[number] = handle
        if spot and stop_loss is None and take_profit is None:
            ask = _new(
                Create,
                (
                    number,
                    account,
                    pair,
                    True,
                    kind,
                    direction,
                    size,
                    limit_price,
                    stop_price,
                    None,
                    None,
                    None,
                    instructions,
                ),
            )
        else:
            ask = Create(
                number,
                account,
                pair,
                spot,
                kind,
                direction,
                size,
                limit_price,
                stop_price,
                _maybe(leverage, "leverage"),
                _maybe(stop_loss, "stop_loss"),
                _maybe(take_profit, "take_profit"),
                instructions,
            )
        self.host.submit(ask)
        return handle

    def cancel(self, handle: OrderHandle, volume: Number | None) -> Command[OrderHandle]:
        return self._amend(handle, Verb.CANCEL, handle, _maybe(volume, "volume"))

    def moment(self, expires: Expires) -> datetime:
        """The moment that ``expires`` means: itself, or that long from now."""
        if not isinstance(expires, datetime):
            return from_ns(self.system.now + duration_ns(expires, "expires"))
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
        close = CloseHandle(self, handle, handle.open_volume if size is None else size)
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
        number = self.host.next_command()
        if verb is Verb.CLOSE:
            command, value.number = value, number
            self._closes[number] = value
        else:
            command = Command(self, value)
        self._commands[number] = command
        self.host.submit(Amend(number, verb, handle.id, volume, **changes))
        return command

    def action(
        self, action_type: ActionType, pair: str, account: str | None, fields: dict[str, Any]
    ) -> DecisionAction:
        """A validated command with this client's ids."""
        values = {
            **fields,
            "action_type": action_type,
            "timestamp": self.at,
            "agent_id": self._ids.agent_id,
            "account_id": self._account_id(account or self.default_account),
            "broker_id": self._ids.broker_id,
            "backtest_run_id": self._ids.run_id,
            "trading_pair_code": pair,
        }
        return DecisionAction(**values)

    def submit(self, action: DecisionAction) -> Command[Any]:
        """Send a command that was made elsewhere; a new order gets a handle like any other.

        One with a ``command_id`` that was sent before is not sent again: its outcome is given.
        """
        before = self._submitted.get(action.command_id)
        if before is not None:
            return before
        value: Any = None
        if action.action_type.name.startswith("CREATE"):
            spot = "SPOT" in action.action_type.name
            value = OrderHandle(
                self,
                action.trading_pair_code,  # type: ignore[arg-type]
                action.direction,  # type: ignore[arg-type]
                action.volume,  # type: ignore[arg-type]
                spot,
            )
            command: Command[Any] = value
        else:
            if action.action_type.name.startswith("SPLIT"):
                value = []
            command = Command(self, value)
        number = self.host.next_command()
        self._commands[number] = command
        if action.command_id is not None:
            self._submitted[action.command_id] = command
        # Numbers are the client's own: one of the caller's could be another command's.
        self.host.submit(derive(action, command_id=number))
        return command

    def _account_id(self, account: str) -> UUID:
        account_id = self.accounts.get(account)
        if account_id is None:
            raise AccountError(
                f"account {account!r} is not {self.name}'s; it has: {', '.join(self.accounts)}"
            )
        return account_id

    def handles_with_positions(self, pair: str | None) -> list[OrderHandle]:
        """Handles of the strategy's open positions, oldest first."""
        return [
            one
            for one in list(self._branches.values())
            if one.parts and (pair is None or one.pair == pair)
        ]

    def pair_of(self, code: str) -> TradingPair:
        """The trading pair called ``code``."""
        pair = self.pairs.get(code)
        if pair is None:
            raise BacktestError(f"there is no pair {code!r}; there are: {', '.join(self.pairs)}")
        return pair

    def balance(self, asset: Asset | str, account: str | None) -> BalanceView:
        """What one of the strategy's accounts has of ``asset``."""
        name = account or self.default_account
        code = asset.code if isinstance(asset, Asset) else asset
        held = self.balances.get((name, code))
        if held is None or name not in self.accounts:
            if account is not None:
                self._account_id(account)
            known = {code: None for _, code in self.balances}
            for pair in self.pairs.values():
                known |= {pair.base.code: None, pair.quote.code: None}
            if code not in known:
                meant = suggestion(str(code), known)
                told = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(known)}"
                raise AccountError(f"there is no asset {code!r} here; {told}")
        return BalanceView(*(held or _NOTHING))

    def affordable(
        self,
        pair: str,
        limit: Decimal | None,
        account: str | None,
        leverage: Decimal | None,
        short: bool,
    ) -> Decimal:
        """The largest volume of a spot buy that would be accepted now; with a leverage, of a long
        or a short."""
        traded, rules = self.pair_of(pair), self.rules[pair]
        free = self.balance(traded.quote, account).available
        price = self.host.asked(pair, not short)
        if leverage is None and not short:
            return affordable(traded, rules, free, price, limit)
        leverage = ONE if leverage is None else leverage
        return affordable_on_margin(traded, rules, free, price, limit, leverage, not short)

    def open_orders(self, pair: str | None) -> list[OrderHandle]:
        """Handles with something pending, in the order of acceptance."""
        found = [one for one in self.open.values() if pair is None or one.pair == pair]
        if self._closes:
            found += [
                one
                for one in self._closes.values()
                if one.live is not None and (pair is None or one.pair == pair)
            ]
        return found

    @property
    def short_name(self) -> str:
        """The name of the strategy in its run."""
        return self.name.removeprefix("strategy/")

    @property
    def log(self) -> Any:
        """A logger that carries the strategy's name and the simulated time."""
        return get_logger("backtest.strategy").bind(
            strategy=self.short_name, time=from_ns(self.system.now).isoformat()
        )

    @property
    def at(self) -> datetime:
        return self.system.moment

    # -- events ------------------------------------------------------------------------------------

    def apply(self, event: OrderEvent | BalanceUpdate) -> None:
        """Bring everything up to date with what the venue says."""
        if event.balances:
            self.balances.update(event.balances)
        if type(event) is not OrderEvent:
            if event.positions:
                self._share(event.positions)
            return
        command = self._commands.pop(event.command, None) if event.command else None
        if event.kind is EventKind.REJECTED:
            self._rejected(event, command)
            return
        if event.kind is EventKind.ACCEPTED and command is not None:
            handle = command.value
            handle.branch, handle.id = event.branch, event.branch_id
            self._branches[event.branch] = handle
        else:
            known = self._branches.get(event.branch)
            if known is None:
                # A bankruptcy is told of after the order that it befell is gone.
                self._answer_last(event)
                return
            handle = known
        handle.apply(event)
        if event.positions:
            self._take(event, handle)
        closes = self._follow(event, handle, command)
        if event.later:
            self._unanswered = self._unanswered if command is None else command
        elif command is not None:
            command.answer()
        else:
            self._answer_last(event)
        for close in closes:
            close.settle()
        handle.settle()

    def _follow(
        self, event: OrderEvent, handle: OrderHandle, command: Command[Any] | None
    ) -> Sequence[CloseHandle]:
        """Bring handles up to date with an event of ``handle``; those of closes that it told of."""
        kind = event.kind
        if kind is EventKind.CANCELLED:
            handle.cancelled_volume = add(handle.cancelled_volume, event.order.cancel_volume)  # type: ignore[union-attr,arg-type]
            handle.end_reason = None if event.reason is None else event.reason.value
        elif kind is EventKind.SPLIT:
            self._split(event, handle, command)
        elif kind is EventKind.FILLED and event.children:
            for number, order in event.children:
                handle.add_exit(self._new_handle(handle, number, order))
        closes: Sequence[CloseHandle] = ()
        if event.closes is not None and (event.closes or handle.closes):
            closes = self._follow_closes(event, handle)
        if handle.live is not None:
            self.open[event.branch] = handle
        else:
            self.open.pop(event.branch, None)
            if not handle.parts:
                self._branches.pop(event.branch, None)
        return closes

    def _take(self, event: OrderEvent, handle: OrderHandle) -> None:
        """Bring open positions up to date with an event of ``handle``."""
        changes = event.positions
        if not event.children:
            # What other orders have of the same position is restated, too.
            foreign = [
                one for one in changes if one[1] is not None and one[1].branch_id != handle.id
            ]
            if foreign:
                self._share(foreign)
                changes = tuple(one for one in changes if one not in foreign)
        take_changes(self.positions[handle.pair], changes)

    def _share(self, changes: Changes) -> None:
        """Open orders of an account whose positions are one for all are others now; some may be
        this strategy's."""
        others = []
        for order_id, order in changes:
            held = None if order is None else self.positions[order.trading_pair_code]
            if order is None or held is None or order_id not in held:
                others.append((order_id, order))
                continue
            held[order_id] = order
            for handle in self._branches.values():
                if order_id in handle.parts:
                    handle.parts[order_id] = order
        take_changes(self.exposure.others, others)

    def _follow_closes(self, event: OrderEvent, entry: OrderHandle) -> list[CloseHandle]:
        """Closes of the positions of ``entry`` were accepted, changed, or are pending no more;
        their handles."""
        pending = {one.command: one for one in event.closes or ()}
        for number, state in pending.items():
            if number not in entry.closes:
                known = self._closes.get(number)
                if known is None:  # it was not asked for by a handle
                    known = self._closes[number] = CloseHandle(self, entry, state.volume)
                    known.number = number
                    known.answer()
                entry.closes = {**entry.closes, number: known}
        followed = cast("list[CloseHandle]", list(entry.closes.values()))
        for close in followed:
            close.follow(event, pending.get(close.number))
            if close.number not in pending:
                del self._closes[close.number]
        entry.closes = {number: one for number, one in entry.closes.items() if number in pending}
        return followed

    def _answer_last(self, event: OrderEvent) -> None:
        """The last of what a command did was told."""
        if self._unanswered is not None and not event.later:
            waiting, self._unanswered = self._unanswered, None
            waiting.answer()

    def _split(self, event: OrderEvent, parent: OrderHandle, command: Command[Any] | None) -> None:
        parent.is_replaced = True
        if not parent.split_into:
            parent.split_into = []
        for number, order in event.children:
            known = self._branches.get(number)
            if known is not None:  # it takes over from several positions, each told by itself
                known.take_over(order)  # type: ignore[arg-type]
                continue
            part = self._new_handle(parent, number, order)
            part.is_triggered = parent.is_triggered
            parent.split_into.append(part)
            if parent.entry is not None:
                parent.entry.add_exit(part)
        if command is not None:
            # What was pending and what is open may have been split one after the other.
            command.value.extend(parent.split_into[parent.split_given :])
            parent.split_given = len(parent.split_into)

    def _new_handle(
        self, parent: OrderHandle, number: int, order: SpotOrder | TradingOrder
    ) -> OrderHandle:
        """The handle of a branch that came of another."""
        made = OrderHandle(self, parent.pair, order.direction, order.volume, parent.spot)
        made.branch, made.id = number, order.branch_id
        made.answer()
        if order.is_filled:
            made.take_over(order)  # type: ignore[arg-type]
        else:
            made.live = order
            self.open[number] = made
        self._branches[number] = made
        return made

    def _rejected(self, event: OrderEvent, command: Command[Any] | None) -> None:
        if event.branch in self._branches:
            self._branches[event.branch].tell(event)
        if command is None:
            return
        assert event.reason is not None
        error = OrderRejected(event.reason, event.detail, event.branch_id)
        command.answer(error)
        if type(command) is CloseHandle:
            self._closes.pop(command.number, None)
            command.end_reason = event.reason.value
            command.settle()
        elif isinstance(command.value, OrderHandle) and command is command.value:
            command.value.end_reason = event.reason.value
            command.value.settle()
        if self._strategy.logs_refusals and not command.awaited:
            self.log_refusal(error)

    def log_refusal(self, refusal: OrderRejected) -> None:
        """Log a refusal: the first of each reason as a warning, the others for who looks closer."""
        log = self.log
        if refusal.reason in self._logged:
            log.debug("order.rejected", reason=refusal.reason.value, detail=refusal.detail)
            return
        self._logged.add(refusal.reason)
        log.warning(
            "order.rejected",
            reason=refusal.reason.value,
            detail=refusal.detail,
            others="the report counts them",
        )

    def ended(self) -> None:
        """The run is over."""
        self.over = True
        for handle in [*self._branches.values(), *self._closes.values()]:
            handle.stop_events()


def _kind_of(
    limit_price: Number | None, stop_price: Number | None, instructions: Instructions
) -> tuple[WorkingKind, Decimal | None, Decimal | None]:
    """What kind of order prices and instructions make it; the prices as they are sent."""
    kind: WorkingKind = "market"
    if limit_price is not None:
        kind = "limit"
        limit_price = decimal_of(limit_price, "limit_price")
    if stop_price is not None:
        kind = "stop" if limit_price is None else "stop_limit"
        stop_price = decimal_of(stop_price, "stop_price")
    if instructions is not PLAIN and instructions.is_trailing:
        if limit_price is not None:
            raise FieldError("limit_price", "cannot be combined with trail: it is a stop")
        kind = "trailing_stop"
    return kind, limit_price, stop_price


def _maybe(value: Number | None, name: str) -> Decimal | None:
    return None if value is None else decimal_of(value, name)
