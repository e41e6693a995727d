"""Hypothesis strategies: markets, rules and order flows. Needs the extra ``testing``.

"Strategy" has two meanings here: what this module makes are Hypothesis's, from which it draws
examples; an `OrderFlow` becomes a trading strategy by its `trader()`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backtest.errors import MissingExtra
from backtest.models import Bar, TradingPair, TradingRules

from .flow import ACTIONS, OrderFlow, Step
from .making import MINUTE, pair_of, rules

try:
    from hypothesis import strategies as st
except ImportError:  # pragma: no cover - this suite runs with it
    raise MissingExtra("hypothesis", "testing", "backtest.testing.generators") from None

__all__ = ["bars", "fees", "order_flows", "prices", "steps", "trading_rules", "volumes"]

_FEE_KINDS = ("flat_per_trade", "flat_per_volume", "percent_of_notional", "percent_of_margin")
_STAGES = ("create", "fill", "close", "cancel", "overnight_filled", "overnight_pending")


def prices(
    pair: TradingPair | None = None, low: str = "50", high: str = "150"
) -> st.SearchStrategy[Decimal]:
    """Prices on the increment of ``pair`` (0.01 unless given) from ``low`` to ``high``."""
    step = (pair or pair_of()).price_increment
    return st.integers(int(-(-Decimal(low) // step)), int(Decimal(high) // step)).map(
        lambda units: units * step
    )


def volumes(pair: TradingPair | None = None, high: str = "4") -> st.SearchStrategy[Decimal]:
    """Positive volumes on the increment of ``pair`` (0.001 unless given), up to ``high``."""
    step = (pair or pair_of()).volume_increment
    return st.integers(1, int(Decimal(high) // step)).map(lambda units: units * step)


@st.composite
def bars(
    draw: st.DrawFn,
    pair: TradingPair | None = None,
    *,
    min_size: int = 1,
    max_size: int = 30,
    low: str = "50",
    high: str = "150",
    length: int = MINUTE,
    gaps: bool = True,
    capped: bool = True,
) -> list[Bar]:
    """Bars of one pair in the order of time, prices from ``low`` to ``high``.

    Jumps between bars, flat bars and bars that touch at one price are all among them; ``gaps``
    leaves some out, ``capped`` gives some a volume (0 among them).
    """
    pair = pair or pair_of()
    price = prices(pair, low, high)
    size = st.none() | st.just(Decimal(0)) | volumes(pair, "5") if capped else st.none()
    made: list[Bar] = []
    number = 0
    for _ in range(draw(st.integers(min_size, max_size))):
        number += draw(st.sampled_from([0, 0, 0, 1, 3])) if gaps else 0
        four = sorted(draw(st.lists(price, min_size=4, max_size=4)))
        open_, close = draw(st.sampled_from([(1, 2), (2, 1), (0, 3), (3, 0), (1, 1), (0, 2)]))
        begin = number * length
        made.append(
            Bar(
                pair.code,
                begin,
                begin + length,
                four[open_],
                four[3],
                four[0],
                four[close],
                draw(size),
            )
        )
        number += 1
    return made


@st.composite
def fees(draw: st.DrawFn) -> dict[str, list[dict[str, Decimal]]]:
    """Fees by stage, as `backtest.testing.rules` takes them; often none."""
    amount = st.integers(1, 300).map(lambda units: Decimal(units) / 10_000)
    fee = st.tuples(st.sampled_from(_FEE_KINDS), amount).map(lambda one: {one[0]: one[1]})
    return draw(st.dictionaries(st.sampled_from(_STAGES), st.lists(fee, min_size=1, max_size=2)))


@st.composite
def trading_rules(draw: st.DrawFn, /, **fixed: Any) -> TradingRules:
    """Rules of a pair: fees, path, slippage, volume cap, maintenance; ``fixed`` ones are kept."""
    drawn: dict[str, Any] = {
        "fees": draw(fees()),
        "path": draw(
            st.sampled_from(
                ["pessimistic", "adaptive", "open_high_low_close", "open_low_high_close"]
            )
        ),
        "slippage": draw(st.sampled_from(["0", "0", "0.01", "0.5"])),
        "participation": draw(st.sampled_from([1, None, "0.3"])),
        "maintenance_rate": draw(st.sampled_from(["0", "0.005", "0.05"])),
        "fill_on": draw(st.sampled_from(["next_open", "this_close", "next_close"])),
    }
    return rules(**{**drawn, **fixed})


def steps(pair: TradingPair | None = None) -> st.SearchStrategy[Step]:
    """One thing that a trader does; see `Step`."""
    away = st.none() | st.integers(-60, 60).map(lambda units: Decimal(units) / 1000)
    return st.builds(
        Step,
        bar=st.integers(0, 30),
        action=st.sampled_from(ACTIONS),
        volume=volumes(pair),
        limit=away,
        stop_loss=st.none() | st.integers(1, 90).map(lambda units: Decimal(units) / 1000),
        take_profit=st.none() | st.integers(1, 90).map(lambda units: Decimal(units) / 1000),
        leverage=st.sampled_from([1, 2, 5, 20]),
        target=st.integers(0, 7),
    )


def order_flows(
    pair: TradingPair | None = None, *, max_size: int = 12
) -> st.SearchStrategy[OrderFlow]:
    """Sequences of orders, changes, splits, cancels and closes, sensible and not."""
    flow = st.lists(steps(pair), max_size=max_size)
    code = (pair or pair_of()).code
    return flow.map(lambda made: OrderFlow(tuple(sorted(made, key=lambda one: one.bar)), code))
