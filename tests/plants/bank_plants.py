"""Bugs to be planted in how the account actor answers, and in how a run is written to its folder.

The worlds do not see them: a venue reads all balances when it begins, in the middle of nothing, few
of them go on at all when the account actor has failed, and none of them writes anything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from backtest.actors import AccountActor
from backtest.actors.protocol import ReadBalances
from backtest.analysis.tables.run_folder import RUN_FILE, RunFolder
from backtest.models import HOUSE
from backtest.money import sub

__all__ = ["BANK_PLANTS", "STORAGE_PLANTS"]


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


def _passed_over(real: Any) -> Any:
    """A table that cannot be written is passed over."""

    def write(*args: Any) -> None:
        with suppress(OSError):
            real(*args)

    return write


def _old_first(real: Any) -> Any:
    """The old run goes before the new one takes its place."""

    def put(self: Any, draft: Any) -> None:
        if (self.path / RUN_FILE).exists():
            self._disk.remove(self.path / RUN_FILE)
        real(self, draft)

    return put


BANK_PLANTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    ("half-read", "half a transfer is read", AccountActor, "respond", _half_read),
    ("done-again", "what failed is done after a restart", AccountActor, "lost", _done_again),
)
"""Name, what it does, where, which method, and the change."""

STORAGE_PLANTS: tuple[tuple[str, str, Any, str, Any], ...] = (
    (
        "passed-over",
        "what cannot be written is passed over",
        "analysis.tables.files",
        "_write_all",
        _passed_over,
    ),
    ("old-first", "the old run goes before the new one comes", RunFolder, "put", _old_first),
)
"""The same; a module for a function."""
