"""A strategy's side of the counter: it takes what the venue says, and keeps handles of orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from backtest.actors import BalanceUpdate, EventKind, OrderEvent, StrategyHost, System, Welcome
from backtest.errors import OrderRejected, RejectReason
from backtest.log import get_logger
from backtest.models import SpotOrder, TradingOrder
from backtest.services.orders.revision import Revision
from backtest.times import from_ns

from .close_handle import CloseHandle
from .command import Command
from .commands import Commands
from .handle import OrderHandle
from .history import History
from .holdings import Holdings
from .position import Changes, take_changes
from .targets import Targets

if TYPE_CHECKING:
    from .strategy import Strategy

__all__ = ["OrderClient"]

_ACCEPTED, _REJECTED = EventKind.ACCEPTED, EventKind.REJECTED


class OrderClient:
    """Made by the strategy when it joins; everything in it is as the last event left it."""

    def __init__(self, host: StrategyHost, welcome: Welcome, strategy: Strategy) -> None:
        self.system: System = host.system
        self.name = host.name
        self.agent_id = welcome.agent_id
        self.holdings = Holdings(self.name, welcome, host.last)
        self.balances = self.holdings.balances
        self.commands = Commands(self, host, welcome, self.holdings)
        self.targets = Targets(self, host, welcome.cash)
        self.history: History
        """The bars and indicators of the strategy, which puts it here."""
        self.open: dict[int, OrderHandle] = {}
        """Handles with something pending, by branch number: in the order of acceptance."""
        self.over = False
        self._logged: set[RejectReason] = set()
        """The reasons of refusals that a warning told of."""
        self._strategy = strategy
        self._branches: dict[int, OrderHandle] = {}
        self._sent = self.commands.sent
        self._unanswered: Command[Any] | None = None
        """The command of whose effects more is to come."""

    def handles_with_positions(self, pair: str | None) -> list[OrderHandle]:
        """Handles of the strategy's open positions, oldest first."""
        return [
            one
            for one in list(self._branches.values())
            if one.parts and (pair is None or one.pair == pair)
        ]

    def open_orders(self, pair: str | None) -> list[OrderHandle]:
        """Handles with something pending, in the order of acceptance."""
        found = [one for one in self.open.values() if pair is None or one.pair == pair]
        if self.commands.closes:
            found += [
                one
                for one in self.commands.closes.values()
                if one.pending is not None and (pair is None or one.pair == pair)
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
            self._share(event.positions)
            return
        kind, branch = event.kind, event.branch
        command = self._sent.pop(event.command, None) if event.command else None
        if kind is _REJECTED:
            self._rejected(event, command)
            return
        handle: OrderHandle | None
        if kind is _ACCEPTED and type(command) is OrderHandle:
            handle = self._branches[branch] = command
            handle.branch, handle.id = branch, event.branch_id
        else:
            handle = self._branches.get(branch)
        if handle is None:
            # A bankruptcy is told of after the order that it befell is gone.
            self._answer_last(event)
            return
        handle.apply(event)
        closes: Sequence[CloseHandle] = ()
        if event.opened or event.parts or event.closes is not None:
            closes = self._follow(event, handle, command)
        if command is not None and not event.later:
            command.answer()
        elif command is not None or self._unanswered is not None:
            self._answer_last(event, command)
        for close in closes:
            close.settle()
        if event.pending is not None:
            self.open[branch] = handle
        else:
            self.open.pop(branch, None)
            if not handle.parts:
                self._branches.pop(branch, None)
            handle.settle()

    def _follow(
        self, event: OrderEvent, handle: OrderHandle, command: Command[Any] | None
    ) -> Sequence[CloseHandle]:
        """Take up positions, parts of a split, exits and closes; the handles of closes told of."""
        if event.opened:
            self._take(event, handle)
        if event.kind is EventKind.SPLIT:
            self._split(event, handle, command)
        elif event.kind is EventKind.FILLED:
            for number, order in event.parts:
                handle.add_exit(self._new_handle(handle, number, order))
        if event.closes is not None and (event.closes or handle.closes):
            return self._follow_closes(event, handle)
        return ()

    def _take(self, event: OrderEvent, handle: OrderHandle) -> None:
        """Bring open positions up to date with an event of ``handle``."""
        changes = event.positions
        if not event.parts:
            # What other orders have of the same position is restated, too.
            foreign = [
                one for one in changes if one[1] is not None and one[1].branch_id != handle.id
            ]
            if foreign:
                self._share(foreign)
                changes = tuple(one for one in changes if one not in foreign)
        take_changes(self.holdings.positions[handle.pair], changes)

    def _share(self, changes: Changes) -> None:
        """Open orders of an account whose positions are one for all are others now; some may be
        this strategy's."""
        others = []
        for order_id, order in changes:
            held = None if order is None else self.holdings.positions[order.trading_pair_code]
            if order is None or held is None or order_id not in held:
                others.append((order_id, order))
                continue
            held[order_id] = order
            for handle in self._branches.values():
                if order_id in handle.parts:
                    handle.parts[order_id] = order
        take_changes(self.holdings.exposure.others, others)

    def _follow_closes(self, event: OrderEvent, entry: OrderHandle) -> list[CloseHandle]:
        """Closes of the positions of ``entry`` were accepted, changed, or are pending no more;
        their handles."""
        pending = {one.command: one for one in event.closes or ()}
        for number, state in pending.items():
            if number not in entry.closes:
                known = self.commands.closes.get(number)
                if known is None:  # it was not asked for by a handle
                    known = self.commands.closes[number] = CloseHandle(self, entry, state.volume)
                    known.number = number
                    known.answer()
                entry.closes = {**entry.closes, number: known}
        followed = cast("list[CloseHandle]", list(entry.closes.values()))
        for close in followed:
            close.follow(event, pending.get(close.number))
            if close.number not in pending:
                del self.commands.closes[close.number]
        entry.closes = {number: one for number, one in entry.closes.items() if number in pending}
        return followed

    def _answer_last(self, event: OrderEvent, command: Command[Any] | None = None) -> None:
        """Answer ``command``, or the one of which more was to come, once that has come."""
        if command is not None:
            self._unanswered = command
        if self._unanswered is not None and not event.later:
            waiting, self._unanswered = self._unanswered, None
            waiting.answer()

    def _split(self, event: OrderEvent, parent: OrderHandle, command: Command[Any] | None) -> None:
        parent.is_replaced = True
        if not parent.split_into:
            parent.split_into = []
        for number, part in event.parts:
            known = self._branches.get(number)
            if known is not None:  # it takes over from several positions, each told by itself
                known.take_over(part.frozen())
                continue
            made = self._new_handle(parent, number, part)
            made.is_triggered = parent.is_triggered
            parent.split_into.append(made)
            if parent.entry is not None:
                parent.entry.add_exit(made)
        if command is not None:
            # What was pending and what is open may have been split one after the other.
            command.value.extend(parent.split_into[parent.split_given :])
            parent.split_given = len(parent.split_into)

    def _new_handle(self, parent: OrderHandle, number: int, revision: Revision) -> OrderHandle:
        """The handle of a branch that came of another."""
        order: SpotOrder | TradingOrder = revision.frozen()
        made = OrderHandle(self, parent.pair, order.direction, order.volume, parent.spot)
        made.branch, made.id = number, order.branch_id
        made.answer()
        if order.is_filled:
            made.take_over(order)  # type: ignore[arg-type]
        else:
            made.pending = revision
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
            self.commands.closes.pop(command.number, None)
            command.end_reason = event.reason.value
            command.settle()
        elif isinstance(command.value, OrderHandle) and command is command.value:
            command.value.end_reason = event.reason.value
            command.value.settle()
        if not command.awaited:
            self.note_refusal(error)

    def note_refusal(self, refusal: OrderRejected) -> None:
        """Log a refusal that nobody looks at, unless the strategy wants none."""
        if self._strategy.logs_refusals:
            self.log_refusal(refusal)

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
        for handle in [*self._branches.values(), *self.commands.closes.values()]:
            handle.stop_events()
