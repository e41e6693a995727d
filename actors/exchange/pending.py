"""What is pending at an exchange: whose it is, whether it lives, how much is left of it."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.venue.branch import Branch
from backtest.actors.venue.position import Closing, branch_of
from backtest.models import Instructions
from backtest.services.fills.walk import Working, protection_passed

from .market import MarketBook

__all__ = [
    "book_of",
    "instructions_of",
    "leaves_of",
    "market_of",
    "must_end",
    "passes_protection",
    "workings_of",
]


def market_of(branch: Branch) -> MarketBook:
    """The market in which an order or position is."""
    book = branch.book
    assert isinstance(book, MarketBook)
    return book


def book_of(working: Working) -> MarketBook:
    """The market in which it is."""
    return market_of(branch_of(working))


def leaves_of(working: Working) -> Decimal:
    """What is left of it: a close is never for more than the position holds."""
    if type(working) is Closing:
        there = working.lot.volume
        return there if working.kind == "liquidation" else min(working.volume, there)
    return working.volume


def workings_of(branch: Branch) -> list[Working]:
    """All that is pending of a branch: its order, the legs of its exit, closes of its positions."""
    found: list[Working] = []
    if branch.order is not None:
        found += [branch] if branch.part is None else branch.part.exits
    if branch.lot is not None:
        found += branch.lot.exits
    return found


def must_end(working: Working) -> bool:
    """Whether it must be carried out, however long it takes to find somebody to meet."""
    return working.kind in ("liquidation", "stop_loss")


def instructions_of(working: Working) -> Instructions:
    """What its owner has asked for beside price and volume."""
    return branch_of(working).instructions


def passes_protection(working: Working, price: Decimal) -> bool:
    """Whether an entry would fill at or beyond its own stop-loss or take-profit."""
    if type(working) is not Branch:
        return False
    return protection_passed(working.buy, price, working.stop_loss, working.take_profit)
