"""What a learner is rewarded with."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from backtest.gym.learner import Learner
from backtest.money import sub

__all__ = ["Reward", "equity_change"]

Reward = Callable[[Learner], Decimal | float]
"""Called after each step: what it was worth."""


def equity_change(learner: Learner) -> Decimal:
    """By how much equity changed since the decision before, in cash, exactly."""
    return sub(learner.equity, learner.equity_before)
