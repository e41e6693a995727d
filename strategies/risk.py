"""The size of an order that risks so much: what is lost at its stop-loss, fees included."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from backtest.errors import FieldError
from backtest.models import FeeStage
from backtest.money import ZERO, add, mul, sub
from backtest.services.margin.linear import required_margin, worst_price_buy, worst_price_sell
from backtest.services.settlement.fees import FeeTable, fee_amount

from .affordable import largest
from .shares import percent_of

if TYPE_CHECKING:
    from backtest.actors import StrategyHost

    from .client import OrderClient

__all__ = ["RiskedOrder", "volume_at_risk"]

_BELOW = Decimal(10**15)


class RiskedOrder:
    """An order whose volume follows from what it may lose: ``risk`` percent of its account's
    equity, between its price and its stop-loss."""

    __slots__ = ("account", "leverage", "limit", "long", "pair", "risk", "spot", "stop", "stopped")

    def __init__(
        self,
        pair: str,
        risk: object,
        *,
        spot: bool,
        long: bool,
        limit: Decimal | None,
        stop: Decimal | None,
        stop_loss: Decimal | None,
        leverage: Decimal,
        account: str,
    ) -> None:
        if stop_loss is None:
            raise FieldError(
                "risk", "needs a stop_loss: the distance to it says what one unit may lose"
            )
        self.pair, self.account = pair, account
        self.risk = percent_of(risk, "risk")
        if self.risk <= ZERO:
            raise FieldError("risk", f"must be positive, not {risk}")
        self.spot, self.long, self.leverage = spot, long, leverage
        self.limit, self.stop, self.stopped = limit, stop, stop_loss


def volume_at_risk(order: RiskedOrder, client: OrderClient, host: StrategyHost) -> Decimal:
    """The largest volume that loses no more than the order's risk from its price to its stop-loss,
    with the fees of both fills, and that its account can afford; 0 where there is none.

    Its price is its limit, else its stop, else at what it would meet the market now. Slippage and
    gaps beyond the stop come on top.
    """
    holdings = client.holdings
    pair, rules = holdings.pair_of(order.pair), holdings.rules[order.pair]
    asked = host.asked(order.pair, order.long)
    price = next((one for one in (order.limit, order.stop, asked) if one is not None), None)
    may = client.targets.worth.into(
        pair.quote.code, mul(order.risk, client.targets.worth.equity(order.account))
    )
    if price is None or may is None:
        return ZERO
    fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), pair.quote.step)
    create, step = rules.fees_at(FeeStage.CREATE), pair.quote.step
    distance = sub(price, order.stopped).copy_abs()

    def can(volume: Decimal) -> bool:
        worth, margin = pair.worth(volume, price), ZERO
        if not order.spot:
            margin = required_margin(
                rules,
                volume=volume,
                price=price,
                contract_size=pair.contract_size,
                leverage=order.leverage,
                step=step,
            )
        lost = add(
            pair.worth(volume, distance),
            fees.due(fees.added((), False, volume, worth, margin, False)),
        )
        lost = add(lost, fee_amount(create, volume=volume, worth=worth, margin=margin, step=step))
        out = pair.worth(volume, order.stopped)
        closing = fees.added((), not order.spot, volume, out, margin, False)
        return add(lost, fees.due(closing)) <= may

    if order.spot and not order.long:
        most = pair.round_volume(holdings.balance(pair.base, order.account).available)
    else:
        most = _affordable(order, client, asked)
    volume = largest(pair, _BELOW, can)
    return min(volume, most)


def _affordable(order: RiskedOrder, client: OrderClient, asked: Decimal | None) -> Decimal:
    holdings = client.holdings
    limit = order.limit
    if limit is None and order.stop is not None:
        pair, rules = holdings.pair_of(order.pair), holdings.rules[order.pair]
        worst = worst_price_buy if order.long else worst_price_sell
        limit = worst(None, order.stop, asked, rules.market_buffer, pair)
    leverage = None if order.spot else order.leverage
    short = not order.spot and not order.long
    return holdings.affordable(order.pair, limit, order.account, leverage, short, asked)
