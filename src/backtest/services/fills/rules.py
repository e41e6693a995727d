"""What a venue says about fills in one pair, as the walk along a bar's path needs it."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from attrs import define, field

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.models.exit_policy import ExitPolicy, ExitsFromNextBar, ExitsUnlessUnclear
from backtest.models.fill_policy import Adaptive, PathPolicy
from backtest.models.price_policy import GapAtStop, LimitPolicy, StopPolicy
from backtest.models.slippage import SlippagePolicy
from backtest.models.trading_pair import TradingPair
from backtest.models.trading_rules import TradingRules
from backtest.money import ONE, ZERO, add, mul, sub, to_step

__all__ = ["PathRules", "check_distance", "checked_first", "slipped"]


@define(eq=False)
class PathRules:
    """What a venue says about fills in one pair; make it once, not per bar (`PathRules.of`).

    ``path`` is "pessimistic", "open_high_low_close", "open_low_high_close", "adaptive" or
    "queue_order"; slippage is ``slippage`` (price units) + ``slippage_rate`` x price; a limit needs
    the price to go ``penetration_ticks`` increments beyond it (0: touch). The policies of a user's
    own (``path_policy``, ``limit_policy``, ``slippage_policy``, ``exit_policy``) go before those.
    """

    path: str = "pessimistic"
    volume_increment: Decimal = Decimal("0.00000001")
    price_increment: Decimal = Decimal("0.00000001")
    penetration_ticks: int = 0
    slippage: Decimal = ZERO
    slippage_rate: Decimal = ZERO
    slippage_beyond_bar: bool = False
    contract_size: Decimal = ONE
    limit_gap: str = "open"
    exits_from: str = "fill"
    stop_gap: str = "open"
    guards: bool = True
    """Whether an entry at or beyond its own stop-loss or take-profit is cancelled."""
    path_policy: PathPolicy | None = None
    limit_policy: LimitPolicy | None = None
    slippage_policy: SlippagePolicy | None = None
    exit_policy: ExitPolicy | None = None
    stop_policy: StopPolicy | None = None
    penetration: Decimal = field(init=False)
    """How far the price must go beyond a limit; zero for touch."""
    gap_improves: bool = field(init=False)
    """Whether a limit that the price has passed at once fills at that better price."""
    slips: bool = field(init=False)
    high_first: bool | None = field(init=False)
    """Whether the high comes first on every bar; None: that is asked per bar, or per group."""
    chooses: PathPolicy | None = field(init=False)
    """Whom to ask for each bar which extreme came first; None: nobody."""
    in_queue_order: bool = field(init=False)
    """Whether there is no path: each order looks at the whole bar, in order of acceptance."""
    delays_exits: ExitPolicy | None = field(init=False)
    """Whom to ask whether protections act on the bar of their entry; None: they do."""

    def __attrs_post_init__(self) -> None:
        if self.path not in _HIGH_FIRST:
            raise FieldError("path", f"must be a known path, not {self.path!r}")
        self.penetration = mul(Decimal(self.penetration_ticks), self.price_increment)
        if self.limit_policy is not None:
            self.penetration = self.limit_policy.beyond(self.price_increment)
            check_distance(self.penetration, "beyond", self.limit_policy)
        self.gap_improves = self.limit_gap == "open"
        self.slips = bool(self.slippage or self.slippage_rate or self.slippage_policy)
        self.high_first = _HIGH_FIRST[self.path]
        self.chooses = Adaptive() if self.path == "adaptive" else None
        self.in_queue_order = self.path == "queue_order"
        if self.path_policy is not None:
            self.chooses, self.in_queue_order = self.path_policy, False
        if self.stop_policy is None and self.stop_gap != "open":
            self.stop_policy = GapAtStop(exits=self.stop_gap == "stop")
        self.delays_exits = self.exit_policy or _EXITS[self.exits_from]

    @classmethod
    def of(cls, rules: TradingRules, pair: TradingPair) -> PathRules:
        """The path rules of ``pair`` under ``rules``."""
        own = rules.fills
        return cls(
            path=rules.path,
            volume_increment=pair.volume_increment,
            price_increment=pair.price_increment,
            penetration_ticks=rules.penetration_ticks,
            slippage=rules.slippage,
            slippage_rate=rules.slippage_rate,
            slippage_beyond_bar=rules.slippage_beyond_bar,
            contract_size=pair.contract_size,
            limit_gap=rules.limit_gap,
            exits_from=rules.exits_from,
            stop_gap=rules.stop_gap,
            guards=rules.passed_entry == "cancel",
            path_policy=None if own is None else own.path,
            limit_policy=None if own is None else own.limits,
            slippage_policy=None if own is None else own.slippage,
            exit_policy=None if own is None else own.exits,
            stop_policy=None if own is None else own.stops,
        )


_HIGH_FIRST: dict[str, bool | None] = {
    "pessimistic": None,
    "open_high_low_close": True,
    "open_low_high_close": False,
    "adaptive": None,
    "queue_order": True,
}


_EXITS: dict[str, ExitPolicy | None] = {
    "fill": None,
    "next_bar": ExitsFromNextBar(),
    "clear": ExitsUnlessUnclear(),
}


def check_distance(distance: object, method: str, policy: object) -> None:
    """Refuse what a user's own policy may not answer."""
    if not isinstance(distance, Decimal) or not distance.is_finite() or distance < ZERO:
        raise FieldError(
            "fills",
            f"{type(policy).__name__}.{method} must give a Decimal of 0 or more, not {distance!r}",
        )


def checked_first(policy: PathPolicy, bar: Bar) -> bool | None:
    """Whether ``policy`` has the high first on ``bar``; None for whichever is worse."""
    first = policy.high_first(bar)
    if first is not None and not isinstance(first, bool):
        raise FieldError(
            "fills",
            f"{type(policy).__name__}.high_first must give True, False or None, not {first!r}",
        )
    return first


def slipped(
    price: Decimal, buy: bool, bar: Bar, rules: PathRules, volume: Decimal = ONE
) -> Decimal:
    """``price`` made worse for the trader by the slippage: on an increment, inside the bar.

    Rounded against the trader to the price increment, then held within the bar's low and high
    unless ``slippage_beyond_bar``; never below one increment. Without slippage: ``price`` itself.
    ``volume`` is what fills, for policies that look at it.
    """
    if not rules.slips:
        return price
    step = rules.price_increment
    policy = rules.slippage_policy
    if policy is None:
        slip = add(rules.slippage, mul(price, rules.slippage_rate))
    else:
        slip = policy.slip(price, buy, volume, bar)
        check_distance(slip, "slip", policy)
    if buy:
        worse = to_step(add(price, slip), step, ROUND_CEILING)
        return worse if rules.slippage_beyond_bar or worse <= bar.high else bar.high
    worse = to_step(sub(price, slip), step, ROUND_FLOOR)
    if rules.slippage_beyond_bar:
        return worse if worse >= step else step
    return worse if worse >= bar.low else bar.low
