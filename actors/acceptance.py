"""New orders at the venue: every check that a command passes before its money is reserved."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from backtest.errors import InsufficientFunds, OrderRejected, RejectReason
from backtest.models import (
    ActionType,
    DecisionAction,
    FeeStage,
    LeverageKind,
    OrderDirection,
    TradingOrder,
    TradingPair,
)
from backtest.money import ONE, ZERO, is_multiple
from backtest.services.fills import WorkingKind, protection_passed
from backtest.services.margin import worst_price_buy, worst_price_sell
from backtest.services.order_operations import create_spot, create_trading
from backtest.services.transaction_manager import create_order

from .book import Branch, Desk, PairBook
from .protocol import EventKind
from .venue import Venue

__all__ = ["Acceptance", "check_grid", "check_protection", "refuse"]

_CREATE: dict[ActionType, tuple[bool, WorkingKind]] = {
    ActionType.CREATE_SPOT_MARKET: (True, "market"),
    ActionType.CREATE_SPOT_LIMIT: (True, "limit"),
    ActionType.CREATE_SPOT_STOP: (True, "stop"),
    ActionType.CREATE_TRADE_MARKET: (False, "market"),
    ActionType.CREATE_TRADE_LIMIT: (False, "limit"),
    ActionType.CREATE_TRADE_STOP: (False, "stop"),
}
_LONG = OrderDirection.LONG


def refuse(reason: RejectReason, detail: str) -> NoReturn:
    """Refuse the command at hand."""
    raise OrderRejected(reason, detail)


def check_grid(pair: TradingPair, volume: Decimal | None, *prices: Decimal | None) -> None:
    """Refuse volumes and prices that are not positive or off the pair's increments."""
    if volume is not None:
        if volume <= ZERO:
            refuse(RejectReason.INVALID_VOLUME, f"a volume must be positive, not {volume}")
        if not is_multiple(volume, pair.volume_increment):
            refuse(
                RejectReason.VOLUME_INCREMENT,
                f"{volume} is not a multiple of {pair.code}'s volume increment "
                f"{pair.volume_increment}: use pair.round_volume({volume})",
            )
    for price in prices:
        if price is None:
            continue
        if price <= ZERO:
            refuse(RejectReason.INVALID_PRICE, f"a price must be positive, not {price}")
        if not is_multiple(price, pair.price_increment):
            refuse(
                RejectReason.PRICE_INCREMENT,
                f"{price} is not a multiple of {pair.code}'s price increment "
                f"{pair.price_increment}: use pair.round_price({price})",
            )


def check_protection(
    long: bool, price: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None
) -> None:
    """Refuse a stop-loss or take-profit on the wrong side of ``price``."""
    if protection_passed(long, price, stop_loss, take_profit):
        side = "long" if long else "short"
        refuse(
            RejectReason.PROTECTION_SIDE,
            f"at {price}, a {side}'s stop-loss {stop_loss} and take-profit {take_profit} must lie "
            + ("below and above it" if long else "above and below it"),
        )


class Acceptance:
    """Turns create commands into pending orders with their money reserved, or refuses them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def create(self, desk: Desk, action: DecisionAction) -> Branch:
        """Accept one order; raises `OrderRejected`, with nothing changed."""
        venue = self._venue
        spot, kind = _CREATE[action.action_type]
        book = venue.books.get(action.trading_pair_code)  # type: ignore[arg-type]
        if book is None:
            refuse(
                RejectReason.UNKNOWN_PAIR,
                f"there is no pair {action.trading_pair_code!r} here; "
                f"there are: {', '.join(venue.books)}",
            )
        account = desk.accounts.get(action.account_id)
        if account is None:
            refuse(RejectReason.NOT_YOURS, f"account {action.account_id} is not {desk.name}'s")
        self._check_form(action, kind, spot)
        check_grid(
            book.pair,
            action.volume,
            action.price if kind == "limit" else None,
            action.stop_price,
            action.stop_loss,
            action.take_profit,
        )
        branch = self._draft(desk, account, book, spot, kind, action)
        order = branch.order
        self._check_rules(book, branch, action)
        margin = ZERO if spot else venue.margin(book, order.volume, branch.worst, order.leverage)  # type: ignore[union-attr]
        if book.rules.min_margin is not None and not spot and margin < book.rules.min_margin:
            refuse(RejectReason.MIN_MARGIN, f"{margin} is below the least margin {book.rules.min_margin}")
        reserve = venue.reserve(branch, order.volume, True)  # type: ignore[union-attr]
        fee = ZERO
        if book.fees[FeeStage.CREATE]:
            notional = book.pair.notional(order.volume, branch.worst)  # type: ignore[union-attr]
            fee = venue.fee(
                book, FeeStage.CREATE, volume=order.volume, notional=notional, margin=margin  # type: ignore[union-attr]
            )
        values = order.__dict__  # a draft that nobody else has seen yet
        values["reserved"] = reserve
        values["fee_create" if spot else "fees_on_create"] = fee
        quote = book.pair.quote.code
        try:
            balances = await venue.post(
                create_order(account, branch.asset, reserve, fee, quote),
                branch.id,
                "order accepted",
            )
        except InsufficientFunds as short:
            refuse(
                RejectReason.INSUFFICIENT_FUNDS,
                f"{account} has {short.available} {short.asset} available, {short.needed} needed",
            )
        venue.list_branch(branch)
        venue.records.keep(order)  # type: ignore[arg-type]
        venue.tell(
            EventKind.ACCEPTED, branch, order, command=action.command_id, balances=balances  # type: ignore[arg-type]
        )
        return branch

    def _check_form(self, action: DecisionAction, kind: WorkingKind, spot: bool) -> None:
        if action.volume is None or action.direction is None:
            refuse(RejectReason.INVALID_ACTION, "an order needs a volume and a direction")
        if (kind == "limit") != (action.price is not None) and kind != "market":
            refuse(RejectReason.INVALID_ACTION, f"price must be set for a limit order only, not for a {kind}")
        if (kind == "stop") != (action.stop_price is not None):
            refuse(RejectReason.INVALID_ACTION, f"stop_price must be set for a stop order only, not for a {kind}")
        if spot:
            if action.stop_loss is not None or action.take_profit is not None:
                refuse(
                    RejectReason.NOT_SUPPORTED,
                    "a spot order has no stop_loss or take_profit: send a stop or limit order, "
                    "or use a trading order",
                )
            if action.leverage is not None and action.leverage != ONE:
                refuse(RejectReason.LEVERAGE, "a spot order has no leverage: use a trading order")

    def _draft(
        self,
        desk: Desk,
        account: str,
        book: PairBook,
        spot: bool,
        kind: WorkingKind,
        action: DecisionAction,
    ) -> Branch:
        """The branch and its order as they would be; reserves nothing, lists nothing."""
        venue = self._venue
        order_id = venue.ids.draw()
        buy = action.direction is _LONG
        limit, stop = (action.price if kind == "limit" else None), action.stop_price
        if kind == "market" and book.last is None:
            refuse(
                RejectReason.NO_PRICE_YET,
                f"{book.code} has no price yet: a market order can be sent after its first bar",
            )
        worst = worst_price_buy if buy else worst_price_sell
        branch = Branch(0, order_id, desk, account, book, spot)
        branch.worst = worst(limit, stop, book.last, book.rules.market_buffer, book.pair)
        branch.asset = book.pair.base.code if spot and not buy else book.pair.quote.code
        branch.taker = kind != "limit" or (
            book.last is not None and (limit >= book.last if buy else limit <= book.last)  # type: ignore[operator]
        )
        order: object
        if spot:
            order = create_spot(
                id=order_id,
                order_number=0,
                at=venue.at,
                pair=book.code,
                direction=action.direction,  # type: ignore[arg-type]
                volume=action.volume,  # type: ignore[arg-type]
                agent_id=desk.agent.agent_id,
                account_id=action.account_id,
                broker_id=venue.broker_id,
                run_id=venue.run_id,
                limit_price=limit,
                stop_price=stop,
            )
        else:
            order = create_trading(
                id=order_id,
                order_number=0,
                at=venue.at,
                pair=book.code,
                direction=action.direction,  # type: ignore[arg-type]
                volume=action.volume,  # type: ignore[arg-type]
                price=book.last if book.last is not None else branch.worst,
                agent_id=desk.agent.agent_id,
                account_id=action.account_id,
                broker_id=venue.broker_id,
                run_id=venue.run_id,
                limit_price=limit,
                stop_price=stop,
                stop_loss=action.stop_loss,
                take_profit=action.take_profit,
                leverage=ONE if action.leverage is None else action.leverage,
                contract_size=book.pair.contract_size,
            )
        venue.enter(branch, order, kind, buy)  # type: ignore[arg-type]
        return branch

    def _check_rules(self, book: PairBook, branch: Branch, action: DecisionAction) -> None:
        """The venue's own rules: what may be traded here, how little and with how much leverage."""
        rules, pair = book.rules, book.pair
        order = branch.order
        if not (rules.spot_allowed if branch.spot else rules.trading_allowed):
            what = "spot" if branch.spot else "trading"
            refuse(RejectReason.NOT_SUPPORTED, f"{book.code} takes no {what} orders here")
        if action.direction not in rules.allowed_directions and not (
            branch.spot and not branch.working.buy
        ):
            refuse(RejectReason.DIRECTION_NOT_ALLOWED, f"{action.direction} is not allowed on {book.code}")  # type: ignore[str-bytes-safe]
        volume = action.volume
        least = pair.least_volume if rules.min_volume is None else rules.min_volume
        if volume < least:  # type: ignore[operator]
            refuse(RejectReason.MIN_VOLUME, f"{volume} is below {book.code}'s least volume {least}")
        least = pair.min_notional if rules.min_notional is None else rules.min_notional
        if least:
            price = order.limit_price or order.stop_price or book.last  # type: ignore[union-attr]
            notional = pair.notional(volume, price)  # type: ignore[arg-type]
            if notional < least:
                refuse(
                    RejectReason.MIN_NOTIONAL,
                    f"{notional} is below {book.code}'s least notional {least}",
                )
        if isinstance(order, TradingOrder):
            self._check_trading(book, branch, order)

    def _check_trading(self, book: PairBook, branch: Branch, order: TradingOrder) -> None:
        rules = book.rules
        most = ONE if rules.leverage_kind is LeverageKind.NONE else rules.max_leverage
        if order.leverage < ONE or (most is not None and order.leverage > most):
            most_text = "" if most is None else f" and at most {most}"
            refuse(
                RejectReason.LEVERAGE,
                f"leverage must be at least 1{most_text} on {book.code}, not {order.leverage}",
            )
        if order.stop_loss is not None or order.take_profit is not None:
            price = order.limit_price or order.stop_price or book.last
            if price is None:
                refuse(RejectReason.NO_PRICE_YET, f"{book.code} has no price yet to test the protection")
            check_protection(branch.working.buy, price, order.stop_loss, order.take_profit)
