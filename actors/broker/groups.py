"""What walks a bar or a tick together: the groups of orders and positions on a pair."""

from __future__ import annotations

from backtest.actors.venue.branch import Branch, Owned
from backtest.actors.venue.listing import walks_with_order
from backtest.actors.venue.oco import OcoGroup
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.position import Closing, Lot, branch_of
from backtest.services.fills.walk import Group, Working

__all__ = ["accounts", "all_groups", "group_of", "groups_of"]


def all_groups(book: PairBook) -> list[Group]:
    """The groups on this pair: orders, then positions, each in the order of acceptance."""
    if book.groups is None:
        for branch in book.branches.values():
            _join_lot(branch)
        if book.has_oco:
            book.groups = _order_groups(book)
        else:
            book.groups = [branch.group for branch in book.branches.values()]
        book.groups += [
            position.group for position in book.positions if not walks_with_order(position)
        ]
        if book.is_watched:
            own, crossed = book.groups, book.crossed
            book.cross_groups = [one for one in own if _account(one) in crossed]
            book.groups = _join(book, [one for one in own if _account(one) not in crossed])
    return book.groups


def group_of(book: PairBook, working: Working) -> Group:
    """The group in which an order walks, or what closes a position."""
    all_groups(book)
    if type(working) is Closing:
        return book.walks_in(working.lot.position)
    return branch_of(working).group


def groups_of(book: PairBook, account: str) -> list[Group]:
    """The groups of a cross margin account on this pair."""
    all_groups(book)
    return [one for one in book.cross_groups if _account(one) == account]


def accounts(book: PairBook) -> set[str]:
    """The names of the cross margin accounts with orders or positions on this pair."""
    all_groups(book)
    return {_account(one) for one in book.cross_groups}


def _join_lot(branch: Branch) -> None:
    """What an order has opened so far walks with it, where that is all of a position."""
    if branch.part is None and not branch.nets:
        lot = None if branch.oco is not None else branch.lot
        branch.group.parts = [] if lot is None else [lot]


def _join(book: PairBook, groups: list[Group]) -> list[Group]:
    """Take those groups out which walk as one: what an account has beside an order of its own
    that closes the other side, but for spot, or in a position of several lots; what is
    left."""
    joint: dict[str, list[Group]] = {}
    if not book.path.in_queue_order:
        joint = {branch.account: [] for branch in book.branches.values() if branch.nets}
        joint |= {one.account: [] for one in book.positions if len(one.lots) > 1}
    alone: list[Group] = []
    for group in groups:
        own = None if _is_spot(group) else joint.get(_account(group))
        (alone if own is None else own).append(group)
    book.joint_groups = {
        name: own for name, own in joint.items() if len(own) > 1 or (own and len(own[0].parts) > 1)
    }
    for name, own in joint.items():
        if name not in book.joint_groups:
            alone += own
    return alone


def _order_groups(book: PairBook) -> list[Group]:
    """The groups of orders, where one-cancels-other partners on this pair are one group."""
    together: dict[OcoGroup, list[Group]] = {}
    listed: list[list[Group]] = []
    for branch in book.branches.values():
        oco = branch.oco
        partners = None if oco is None else together.get(oco)
        if partners is not None:
            partners.append(branch.group)
            continue
        own = [branch.group]
        listed.append(own)
        if oco is not None:
            together[oco] = own
    return [one[0] if len(one) == 1 else Group(None, partners=one) for one in listed]


def _account(group: Group) -> str:
    """Whose a group is."""
    return _branch(group.partners[0] if group.partners else group).account


def _is_spot(group: Group) -> bool:
    """Whether there is nothing but spot in a group."""
    return all(_branch(one).spot for one in group.partners or (group,))


def _branch(group: Group) -> Branch:
    if group.entry is not None:
        return branch_of(group.entry)
    part = group.parts[0]
    assert isinstance(part, Lot | Owned)
    return part.branch
