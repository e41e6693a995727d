"""The values everything else is about: frozen, validated, `Decimal` only."""

from __future__ import annotations

from backtest.models.account import HOUSE, Account
from backtest.models.agent import Agent
from backtest.models.asset import Asset
from backtest.models.balance import Balance
from backtest.models.bar import Bar, trusted_bar
from backtest.models.bar_length import BarLength
from backtest.models.broker import Broker
from backtest.models.decision_action import ActionType, DecisionAction
from backtest.models.depth import (
    Depth,
    DepthChange,
    DepthLevel,
    DepthUpdate,
    trusted_depth,
    trusted_level,
    trusted_update,
)
from backtest.models.exit_policy import (
    ExitPolicy,
    ExitsFromFill,
    ExitsFromNextBar,
    ExitsUnlessUnclear,
)
from backtest.models.fee import Fee, FeeKind, FeeStage
from backtest.models.fill import Fill, Otherwise
from backtest.models.fill_policy import (
    Adaptive,
    Eligibility,
    InQueueOrder,
    NextClose,
    NextOpen,
    OpenHighLowClose,
    OpenLowHighClose,
    Participation,
    PathPolicy,
    Pessimistic,
    ThisClose,
    Unlimited,
    VolumePolicy,
)
from backtest.models.fills import Fills
from backtest.models.funding import Funding
from backtest.models.instructions import PLAIN, Instructions, TimeInForce
from backtest.models.lifecycle import (
    SPOT_LIFECYCLE,
    TRADING_LIFECYCLE,
    OrderStep,
    next_status,
)
from backtest.models.market_event import MarketEvent, Tick
from backtest.models.market_trade import MarketTrade
from backtest.models.orders import OrderDirection, OrderStatus, TradingOrder
from backtest.models.price_policy import (
    GapAtMarket,
    GapAtStop,
    LimitPolicy,
    Penetrate,
    StopPolicy,
    Touch,
)
from backtest.models.quote import Quote, trusted_quote
from backtest.models.run import BacktestRun
from backtest.models.slippage import (
    FixedSlippage,
    NoSlippage,
    PercentSlippage,
    SlippagePolicy,
    VolumeShareSlippage,
)
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
    "Adaptive",
    "Agent",
    "Asset",
    "BacktestRun",
    "Balance",
    "Bar",
    "BarLength",
    "Broker",
    "DecisionAction",
    "Depth",
    "DepthChange",
    "DepthLevel",
    "DepthUpdate",
    "Eligibility",
    "ExitPolicy",
    "ExitsFromFill",
    "ExitsFromNextBar",
    "ExitsUnlessUnclear",
    "Fee",
    "FeeKind",
    "FeeStage",
    "Fill",
    "Fills",
    "FixedSlippage",
    "Funding",
    "GapAtMarket",
    "GapAtStop",
    "InQueueOrder",
    "Instructions",
    "LeverageKind",
    "LimitPolicy",
    "MarketEvent",
    "MarketTrade",
    "NextClose",
    "NextOpen",
    "NoSlippage",
    "OpenHighLowClose",
    "OpenLowHighClose",
    "OrderDirection",
    "OrderStatus",
    "OrderStep",
    "Otherwise",
    "Participation",
    "PathPolicy",
    "Penetrate",
    "PercentSlippage",
    "Pessimistic",
    "Quote",
    "SlippagePolicy",
    "SpotOrder",
    "StopPolicy",
    "ThisClose",
    "Tick",
    "Tier",
    "Tiers",
    "TimeInForce",
    "Touch",
    "Trade",
    "TradingOrder",
    "TradingPair",
    "TradingRules",
    "Transaction",
    "TransactionType",
    "Unlimited",
    "VolumePolicy",
    "VolumeShareSlippage",
    "next_status",
    "trusted_bar",
    "trusted_depth",
    "trusted_level",
    "trusted_quote",
    "trusted_trade",
    "trusted_update",
]
