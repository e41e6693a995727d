"""Helpers for the tests of those who write strategies and actors; see docs/testing.md.

Needs nothing beyond the package itself. The pytest plugin (`backtest.testing.plugin`) and the
Hypothesis generators (`backtest.testing.generators`) come with the extra ``testing`` and are
imported only where they are asked for.
"""

from __future__ import annotations

from .audit.ledger import LedgerBroken, assert_ledger_ok
from .audit.oracle import InvariantBroken, Oracle
from .flow import FlowTrader, OrderFlow, Step
from .injection import FAULTS, Injected, Injection, broken_after, inject
from .making import DAY, HOUR, MINUTE, bar, pair_of, plain_text, quote, rules, trade
from .market import Market, tick_by_tick
from .stage import Script, Scripted, play, refused
from .world import World

__all__ = [
    "DAY",
    "FAULTS",
    "HOUR",
    "MINUTE",
    "FlowTrader",
    "Injected",
    "Injection",
    "InvariantBroken",
    "LedgerBroken",
    "Market",
    "Oracle",
    "OrderFlow",
    "Script",
    "Scripted",
    "Step",
    "World",
    "assert_ledger_ok",
    "bar",
    "broken_after",
    "inject",
    "pair_of",
    "plain_text",
    "play",
    "quote",
    "refused",
    "rules",
    "tick_by_tick",
    "trade",
]
