"""One-cancels-other groups: which orders are partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from backtest.errors import OrderRejected, RejectReason

if TYPE_CHECKING:
    from .branch import Branch
    from .client import Client

__all__ = ["OcoGroup", "OcoGroups"]

Key = tuple[str, str, str]


class OcoGroup:
    """Live orders of one agent and account under one label, on whatever pairs.

    The parts of a split order are one member together: they do not cancel each other, as the
    leaves of one order do not.
    """

    __slots__ = ("has_filled", "key", "members", "size")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.members: dict[Branch, int] = {}
        """Branches with a pending order, and which member each is (a part of), by acceptance."""
        self.size = 0
        """How many members there have been."""
        self.has_filled = False

    @property
    def label(self) -> str:
        return self.key[2]

    def partners(self, branch: Branch) -> list[Branch]:
        """The orders that a fill of ``branch`` cancels, in the order of acceptance."""
        own = branch.oco_member
        return [one for one, member in self.members.items() if member != own]


class OcoGroups:
    """The groups of a venue. One is forgotten with its last live order; its label is free then."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Key, OcoGroup] = {}

    def check(self, client: Client, account: str, label: str) -> None:
        """Refuse an order under a label of which an order has filled, and lives on with its rest:
        that fill would have cancelled it."""
        group = self._groups.get((client.name, account, label))
        if group is not None and group.has_filled:
            _refuse(
                f"an order of the group {label!r} has filled: use another label, or wait until "
                "the rest of it is done"
            )

    def find(self, branch: Branch, label: str | None) -> OcoGroup | None:
        """The group that ``branch``, not accepted yet, would join under ``label``."""
        if label is None:
            return None
        return self._groups.get((branch.client.name, branch.account, label))

    def join(self, branch: Branch, label: str) -> None:
        """``branch``, just accepted, is a member."""
        key = (branch.client.name, branch.account, label)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = OcoGroup(key)
        group.size += 1
        branch.oco, branch.oco_member = group, group.size
        group.members[branch] = group.size

    def inherit(self, branch: Branch, parent: Branch) -> None:
        """``branch`` is a part of ``parent``, and with the other parts one member."""
        group = parent.oco
        if group is not None:
            branch.oco, branch.oco_member = group, parent.oco_member
            group.members[branch] = parent.oco_member

    def leave(self, branch: Branch) -> None:
        """Nothing of ``branch`` is pending any more."""
        group = branch.oco
        if group is not None and group.members.pop(branch, None) is not None:
            if not group.members and self._groups.get(group.key) is group:
                del self._groups[group.key]


def _refuse(detail: str) -> NoReturn:
    raise OrderRejected(RejectReason.ONE_CANCELS_OTHER, detail)
