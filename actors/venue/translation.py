"""`DecisionAction` values as the messages that the venue takes."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import OrderRejected, RejectReason
from backtest.models import DecisionAction
from backtest.services.fills.walk import WorkingKind

__all__ = ["message_of"]

_KINDS: dict[str, WorkingKind] = {
    "MARKET": "market",
    "LIMIT": "limit",
    "STOP": "stop",
    "STOP_LIMIT": "stop_limit",
    "TRAILING_STOP": "trailing_stop",
}


def message_of(action: DecisionAction, accounts: Mapping[UUID, str]) -> Create | Amend:
    """The message that says what ``action`` says; ``accounts`` are the sender's, by id.

    Raises `OrderRejected` for an action that is incomplete in itself, or on another's account.
    """
    good, problem = action.validate()
    if not good:
        raise OrderRejected(RejectReason.INVALID_ACTION, problem, action.order_id)
    account = accounts.get(action.account_id)
    if account is None:
        raise OrderRejected(
            RejectReason.NOT_YOURS,
            f"account {action.account_id} is not the sender's",
            action.order_id,
        )
    command = action.command_id if isinstance(action.command_id, int) else 0
    verb, _, subject = action.action_type.value.partition("_")
    if verb == "CREATE":
        market, _, kind = subject.partition("_")
        return Create(
            command,
            account,
            action.trading_pair_code or "",
            market == "SPOT",
            _KINDS[kind],
            action.direction,
            action.volume,
            action.price if kind.endswith("LIMIT") else None,
            action.stop_price,
            action.leverage,
            action.stop_loss,
            action.take_profit,
            action.instructions,
        )
    return Amend(
        command,
        Verb[verb],
        action.order_id,
        action.volume,
        action.price,
        action.stop_price,
        action.stop_loss,
        action.take_profit,
        action.clear,
        action.split_chunks or (),
        action.split_prices,
        action.instructions.trail,
        action.instructions.trail_percent,
        action.instructions.expires_at,
    )
