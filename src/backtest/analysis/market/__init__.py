"""What people look at of a market made of agents: its tape, its agents, its stylised facts."""

from __future__ import annotations

from backtest.analysis.market.bars import IntervalBar, interval_bars
from backtest.analysis.market.by_type import TypeFigures, by_type
from backtest.analysis.market.facts_of import facts_of_bars, facts_of_market, facts_of_quotes
from backtest.analysis.market.page import market_page, write_page
from backtest.analysis.market.real_markets import REAL, Real, Verdict
from backtest.analysis.market.samples import (
    AccountResult,
    BestQuote,
    Charge,
    DepthSample,
    Liquidation,
    MarketRecord,
    PairRecord,
)
from backtest.analysis.market.stylised_facts import Fact, StylisedFacts
from backtest.analysis.market.tape import write_tape
from backtest.analysis.market.type_series import TypeSample, type_series

__all__ = [
    "REAL",
    "AccountResult",
    "BestQuote",
    "Charge",
    "DepthSample",
    "Fact",
    "IntervalBar",
    "Liquidation",
    "MarketRecord",
    "PairRecord",
    "Real",
    "StylisedFacts",
    "TypeFigures",
    "TypeSample",
    "Verdict",
    "by_type",
    "facts_of_bars",
    "facts_of_market",
    "facts_of_quotes",
    "interval_bars",
    "market_page",
    "type_series",
    "write_page",
    "write_tape",
]
