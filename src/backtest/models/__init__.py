"""The values everything else is about: frozen, validated, `Decimal` only."""

from __future__ import annotations

from backtest.models.account import HOUSE, Account
from backtest.models.agent import Agent
from backtest.models.asset import Asset
from backtest.models.balance import Balance
from backtest.models.bar import Bar, trusted_bar
from backtest.models.broker import Broker
from backtest.models.decision_action import ActionType, DecisionAction
from backtest.models.fee import Fee, FeeKind, FeeStage
from backtest.models.fill import Fill
from backtest.models.funding import Funding
from backtest.models.instructions import PLAIN, Instructions, TimeInForce
from backtest.models.lifecycle import (
    SPOT_LIFECYCLE,
    TRADING_LIFECYCLE,
    OrderStep,
    next_status,
)
from backtest.models.orders import OrderDirection, OrderStatus, TradingOrder
from backtest.models.quote import Quote, trusted_quote
from backtest.models.run import BacktestRun
from backtest.models.spot_order import SpotOrder
from backtest.models.tiers import Tier, Tiers
from backtest.models.trade import Trade, trusted_trade
from backtest.models.trading_pair import TradingPair
from backtest.models.trading_rules import LeverageKind, TradingRules
from backtest.models.transaction import Transaction, TransactionType

__all__ = [
    "HOUSE",
    "PLAIN",
    "SPOT_LIFECYCLE",
    "TRADING_LIFECYCLE",
    "Account",
    "ActionType",
    "Agent",
    "Asset",
    "BacktestRun",
    "Balance",
    "Bar",
    "Broker",
    "DecisionAction",
    "Fee",
    "FeeKind",
    "FeeStage",
    "Fill",
    "Funding",
    "Instructions",
    "LeverageKind",
    "OrderDirection",
    "OrderStatus",
    "OrderStep",
    "Quote",
    "SpotOrder",
    "Tier",
    "Tiers",
    "TimeInForce",
    "Trade",
    "TradingOrder",
    "TradingPair",
    "TradingRules",
    "Transaction",
    "TransactionType",
    "next_status",
    "trusted_bar",
    "trusted_quote",
    "trusted_trade",
]
