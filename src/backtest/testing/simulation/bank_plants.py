"""Bugs to be planted in how the account actor is asked and answers: the bank is there to find them.

The worlds beside it do not see them: a venue reads all balances when it begins, in the middle of
nothing, and few of them go on at all when the account actor has failed.
"""

from __future__ import annotations

from typing import Any

from backtest.actors import AccountActor
from backtest.actors.protocol import ReadBalances
from backtest.models import HOUSE
from backtest.money import sub

__all__ = ["BANK_PLANTS"]


def _half_read(real: Any) -> Any:
    """Who reads sees the last transfer on the one side and not yet on the other."""

    def respond(self: Any, payload: Any, cause: int) -> Any:
        told = real(self, payload, cause)
        entries = self.ledger.entries
        if type(payload) is ReadBalances and entries:
            agents = [leg for leg in entries[-1].legs if leg[0] not in HOUSE]
            if len({leg[0] for leg in agents}) > 1:
                account, asset, _, available, unavailable = agents[-1]
                old = told[account, asset]
                told[account, asset] = (sub(old[0], available), sub(old[1], unavailable))
        return told

    return respond


def _done_again(real: Any) -> Any:
    """The entry over which the actor failed is posted once more when it begins again."""

    def lost(self: Any, envelope: Any, error: Any) -> None:
        real(self, envelope, error)
        if isinstance(self, AccountActor):
            self.respond(envelope.payload, envelope.cause)

    return lost


BANK_PLANTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("half-read", "half a transfer is read", AccountActor, "respond", _half_read),
    ("done-again", "what failed is done after a restart", AccountActor, "lost", _done_again),
)
"""Name, what it does, where, which method, and the change."""
