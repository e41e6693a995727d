"""Every error this package raises on purpose: one base, each also the builtin it most resembles.

An error says what went wrong, where, and how to mend it. Ids and amounts are attributes, so that a
program need not parse the sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from backtest.named import Named

__all__ = [
    "AccountError",
    "BacktestError",
    "BookError",
    "ConfigError",
    "DataError",
    "Deadlock",
    "DepthGap",
    "FieldError",
    "FieldTypeError",
    "InboxOverflow",
    "InsufficientFunds",
    "InvalidTransition",
    "LedgerError",
    "Livelock",
    "MissingExtra",
    "NotInBook",
    "NotRepeatable",
    "OrderFlood",
    "OrderRejected",
    "RejectReason",
    "SimulationEnded",
    "Stubborn",
    "UnbalancedEntry",
    "Undeliverable",
    "VerificationFailed",
    "WouldCross",
]


class BacktestError(Exception):
    """Base of every error raised on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled as its class and its message, which are not the arguments of most
        # of these: without this, one that was raised in a process of a pool would break the pool.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[BacktestError], args: tuple[Any, ...], state: dict[str, Any]
) -> BacktestError:
    """An error as it was, in another process."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class FieldError(BacktestError, ValueError):
    """A field holds a value that it may not hold; the message begins with the field's name."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field} {problem}")


class FieldTypeError(BacktestError, TypeError):
    """A field was given a value of a type that it may not hold (a ``float`` for money, say)."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field} {problem}")


class InvalidTransition(BacktestError, ValueError):
    """An order was asked to go where its life-cycle has no way; nothing was changed."""


class RejectReason(Named):
    """Why a command was refused or an order ended before it was filled."""

    UNKNOWN_PAIR = "UNKNOWN_PAIR"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOT_YOURS = "NOT_YOURS"
    INVALID_VOLUME = "INVALID_VOLUME"
    INVALID_PRICE = "INVALID_PRICE"
    VOLUME_INCREMENT = "VOLUME_INCREMENT"
    PRICE_INCREMENT = "PRICE_INCREMENT"
    MIN_VOLUME = "MIN_VOLUME"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MIN_MARGIN = "MIN_MARGIN"
    DIRECTION_NOT_ALLOWED = "DIRECTION_NOT_ALLOWED"
    LEVERAGE = "LEVERAGE"
    NO_PRICE_YET = "NO_PRICE_YET"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    """The account has as many orders pending as the rule allows."""
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    PROTECTION_SIDE = "PROTECTION_SIDE"
    PROTECTION_PASSED = "PROTECTION_PASSED"
    ALREADY_DONE = "ALREADY_DONE"
    STALE = "STALE"
    NOTHING_TO_CHANGE = "NOTHING_TO_CHANGE"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    INVALID_ACTION = "INVALID_ACTION"
    WARMING_UP = "WARMING_UP"
    WOULD_TAKE = "WOULD_TAKE"
    """A post-only order would have taken liquidity."""
    DUPLICATE_COMMAND = "DUPLICATE_COMMAND"
    """The same command came before: it has one effect."""
    EXPIRED = "EXPIRED"
    """Its time in force was over."""
    IMMEDIATE_OR_CANCEL = "IMMEDIATE_OR_CANCEL"
    """What did not fill at once."""
    FILL_OR_KILL = "FILL_OR_KILL"
    """Not all of it could fill at once."""
    REDUCE_ONLY = "REDUCE_ONLY"
    """There was nothing (more) on the other side for it to close."""
    ONE_CANCELS_OTHER = "ONE_CANCELS_OTHER"
    """Another order of its group filled."""
    VENUE_FAILED = "VENUE_FAILED"
    """The venue failed while it dealt with the command, and was restarted; the command is lost."""
    MARGIN_CALL = "MARGIN_CALL"
    """Cancelled, or refused, because the account's margin no longer sufficed."""
    NO_LIQUIDITY = "NO_LIQUIDITY"
    """The book had nothing (more) for a market order to meet."""
    SELF_TRADE = "SELF_TRADE"
    """It would have traded with another order of its owner."""
    MARKET_CLOSED = "MARKET_CLOSED"
    """The market takes no orders now."""
    REQUESTED = "REQUESTED"
    """Not a refusal: the owner asked for the cancel."""
    MODIFIED_AWAY = "MODIFIED_AWAY"
    """A modify set the total volume to what was filled already, so the rest was cancelled."""


class OrderRejected(BacktestError, ValueError):
    """A command was refused. Nothing was changed, nothing is reserved.

    Attributes: ``reason`` (a `RejectReason`), ``order_id`` (the branch the command was for, or the
    id that the refused order would have had) and ``detail`` (the sentence).
    """

    def __init__(self, reason: RejectReason, detail: str, order_id: UUID | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.order_id = order_id
        where = f" (order {order_id})" if order_id is not None else ""
        super().__init__(f"{reason.value}: {detail}{where}")


class BookError(BacktestError, ValueError):
    """An order book was asked for what it cannot do; it is as it was before."""


class WouldCross(BookError):
    """An order would rest where it would meet the other side."""


class NotInBook(BookError, LookupError):
    """An order is not in the book: it was filled or removed, or never added."""


class DepthGap(BookError):
    """Updates of a book were lost: what was rebuilt from them is no longer the book.

    ``expected`` and ``found`` are sequence numbers.
    """

    def __init__(self, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"update {expected} was expected and {found} came: ask for a new snapshot and begin "
            "with that"
        )


class LedgerError(BacktestError, ValueError):
    """The ledger refused an entry; it is as it was before."""


class UnbalancedEntry(LedgerError):
    """The legs of an entry do not sum to zero in some asset."""


class InsufficientFunds(LedgerError):
    """An entry would have taken an account below zero.

    Attributes: ``account`` (its name), ``asset``, ``available`` and ``needed`` (`Decimal` or None).
    """

    def __init__(self, account: str, asset: str, available: Any, needed: Any, side: str) -> None:
        self.account = account
        self.asset = asset
        self.available = available
        self.needed = needed
        super().__init__(
            f"account {account!r} has {available} {asset} {side}, {needed} needed; "
            "nothing was posted (deposit more, or order less)"
        )


class AccountError(BacktestError, LookupError):
    """An account, asset or agent that nobody registered."""


class DataError(BacktestError, ValueError):
    """Market data that cannot be used: says which file (or source) and which line."""

    def __init__(
        self, problem: str, *, source: str | Path | None = None, line: int | None = None
    ) -> None:
        self.problem = problem
        self.source = None if source is None else str(source)
        self.line = line
        where = "" if source is None else f"{source}"
        if line is not None:
            where += f":{line}" if where else f"line {line}"
        super().__init__(f"{where}: {problem}" if where else problem)


class NotRepeatable(DataError):
    """Market data that gave something else, or nothing, when it was read a second time."""


class ConfigError(BacktestError, ValueError):
    """A run was asked for in a way that cannot be carried out."""


class MissingExtra(BacktestError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs the package {package!r}: pip install 'backtest-actors[{extra}]'"
        )


class Deadlock(BacktestError, RuntimeError):
    """Nothing can happen any more and somebody still waits for a reply.

    ``waits`` is a sequence of ``(who, for whom)`` pairs of actor names.
    """

    def __init__(self, waits: Sequence[tuple[str, str]]) -> None:
        self.waits = tuple(waits)
        chain = "; ".join(f"{who} waits for {whom}" for who, whom in self.waits)
        super().__init__(f"nothing can happen any more, yet {chain}")


class Stubborn(Deadlock):
    """The run is over, and somebody refuses to be cancelled.

    ``waits`` is a sequence of ``(who, at what line)`` pairs.
    """

    def __init__(self, waits: Sequence[tuple[str, str]]) -> None:
        self.waits = tuple(waits)
        told = "; ".join(f"{who} at {line}" for who, line in self.waits)
        BacktestError.__init__(
            self,
            f"the run is over, and nothing can happen any more, yet it does not end: {told}, and "
            "refuses to be cancelled. What catches BaseException, or asyncio.CancelledError, must "
            "raise it again",
        )


class Livelock(BacktestError, RuntimeError):
    """Something goes on and on without simulated time ever moving.

    ``who`` are the names of the actors (and tasks) that are busy, ``steps`` how many steps were
    made at that one time.
    """

    def __init__(self, who: Sequence[str], steps: int, when: str) -> None:
        self.who = tuple(who)
        self.steps = steps
        super().__init__(
            f"{steps} steps were made at {when} and time does not move; busy: "
            f"{', '.join(self.who) or 'nobody known'}. Whoever polls with sleep(0), or answers "
            "each event with another order, should wait for what it polls, or sleep; if so much is "
            "to be done at one time, raise stall_bound"
        )


class Undeliverable(BacktestError, RuntimeError):
    """A message was sent to an actor that does not exist or has ended."""


class InboxOverflow(BacktestError, RuntimeError):
    """An actor's inbox reached its bound where the sender may not wait."""

    def __init__(self, actor: str, bound: int) -> None:
        self.actor = actor
        self.bound = bound
        super().__init__(
            f"the inbox of {actor} holds {bound} messages, its bound: it sleeps or computes while "
            "messages keep coming. Await less in its handlers, raise inbox_bound, or subscribe "
            "with conflate=True"
        )


class OrderFlood(InboxOverflow):
    """A strategy sends commands faster than the venue can take them."""

    def __init__(self, actor: str, bound: int) -> None:
        self.actor = actor
        self.bound = bound
        BacktestError.__init__(
            self,
            f"{actor} has sent {bound} commands that the venue could not look at yet: it sends "
            "them in a loop without waiting. Await the orders, or send fewer at one time",
        )


class SimulationEnded(BacktestError, RuntimeError):
    """A command was given after the run had ended."""


class VerificationFailed(BacktestError, ValueError):
    """A finished run does not prove itself; ``problems`` lists what failed."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))
