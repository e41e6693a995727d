"""Orders and fills in words: what was asked, what it came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from backtest.analysis.explain.waits import Line
from backtest.analysis.text import grouped, moment, signed

__all__ = ["REASONS", "cause", "fill_lines", "prices", "state", "what"]

REASONS = {
    "REQUESTED": "its owner asked for it",
    "MODIFIED_AWAY": "a modify left nothing of it",
    "INSUFFICIENT_FUNDS": "the account could not pay for it",
    "ONE_CANCELS_OTHER": "another order of its group filled",
    "EXPIRED": "its time was over",
    "IMMEDIATE_OR_CANCEL": "what does not fill at once is cancelled",
    "FILL_OR_KILL": "all of it at once or nothing",
    "WOULD_TAKE": "post-only: it must not take liquidity",
    "REDUCE_ONLY": "it may only reduce what is open",
    "MIN_NOTIONAL": "what was left of it could bring nothing more",
    "MARGIN_CALL": "its account had to be liquidated",
    "PROTECTION_PASSED": "the fill would have been at or beyond its own stop-loss or take-profit",
    "NO_LIQUIDITY": "the book had nothing more for it to meet",
    "SELF_TRADE": "it would have traded with another order of its owner",
    "ALREADY_DONE": "there was nothing left of what it was for",
}
"""Why an order, or a close, ended before all of it was filled."""
_SIDES = {("spot", "LONG"): "buy", ("spot", "SHORT"): "sell"}


def state(order: Line, last: Mapping[str, str]) -> str:
    """What has become of an order; ``last`` are the last prices by pair."""
    status = order["status"]
    if status == "PENDING":
        reserved = grouped(Decimal(order["reserved"]))
        return f"still pending{_waits(order, last)}; {reserved} in reserve"
    if status == "CANCELLED":
        reason = order["end_reason"]
        return f"cancelled at {moment(order['cancel_timestamp'])}: {REASONS.get(reason, reason)}"
    price = grouped(Decimal(order["fill_price"]))
    if status == "CLOSED":
        if order["closing_reason"] == "offset":
            return f"filled at {price} and closed as much of the other side: it opened nothing"
        net = signed(Decimal(order["net_pnl"]))
        return (
            f"filled at {price} and closed at {grouped(Decimal(order['close_price']))} "
            f"({order['closing_reason'].replace('_', ' ')}), net PnL {net}"
        )
    if order["order_kind"] == "trading":
        margin = grouped(Decimal(order["margin_reserved"]))
        return f"filled at {price}: an open position, margin {margin}{_protected(order)}"
    return f"filled at {price}"


def _waits(order: Line, prices_now: Mapping[str, str]) -> str:
    """What a pending order waits for, and why that has not come."""
    last = prices_now.get(order["pair"])
    now = "" if last is None else f" (the last price is {grouped(Decimal(last))})"
    buy = order["direction"] == "LONG"
    texts = []
    for name, below in (("stop_price", not buy), ("limit_price", buy)):
        if order[name]:
            price = grouped(Decimal(order[name]))
            texts.append(f"{price} or {'less' if below else 'more'}")
    if order["order_type"] == "stop_limit":
        return f", for its stop at {texts[0]}, or since then its limit, {texts[1]}{now}"
    if texts:
        return f", for a price of {', or of '.join(texts)}{now}"
    return ", for the next bar that has volume for it"


def _protected(order: Line) -> str:
    words = [
        f"{word} {grouped(Decimal(order[name]))}"
        for word, name in (("stop-loss", "stop_loss"), ("take-profit", "take_profit"))
        if order[name]
    ]
    return f", {', '.join(words)}" if words else ""


def what(order: Line, volume: str) -> str:
    """An order in words: side, volume, kind, prices and what else was asked."""
    side = _SIDES.get((order["order_kind"], order["direction"]), order["direction"].lower())
    amount = grouped(Decimal(volume or order["volume"]), 0)
    text = f"{side} {amount} {order['pair']}, {prices(order)}"
    if order["leverage"] and order["leverage"] != "1":
        text += f", leverage {order['leverage']}"
    force = order["time_in_force"]
    if force != "GTC":
        until = f" until {moment(order['expires_at'])}" if order["expires_at"] else ""
        text += f", {force}{until}"
    for name in ("post_only", "reduce_only"):
        if order[name] == "true":
            text += f", {name.replace('_', '-')}"
    if order["oco"]:
        text += f", one of group {order['oco']!r}"
    return text


def prices(order: Line) -> str:
    """The kind of an order and its prices."""
    words = [order["order_type"].replace("_", "-")]
    if order["order_type"] == "exit":
        for word, name in (("stop-loss", "stop_price"), ("take-profit", "limit_price")):
            if order[name]:
                words.append(f"{word} {grouped(Decimal(order[name]))}")
        return " ".join(words)
    if order["order_type"] == "stop_limit":
        stop, limit = (grouped(Decimal(order[one])) for one in ("stop_price", "limit_price"))
        words.append(f"at {stop} with limit {limit}")
    elif order["limit_price"] or order["stop_price"]:
        words.append(f"at {grouped(Decimal(order['limit_price'] or order['stop_price']))}")
    if order["trail"]:
        words.append(f"trailing by {grouped(Decimal(order['trail']))}")
    if order["trail_percent"]:
        words.append(f"trailing by {grouped(Decimal(order['trail_percent']), 0)} %")
    for word, name in (("stop-loss", "stop_loss"), ("take-profit", "take_profit")):
        if order[name]:
            words.append(f"{word} {grouped(Decimal(order[name]))}")
    return " ".join(words)


def cause(event: Line) -> str:
    """What led to the message of an event."""
    return "" if event["cause"] == "0" else f", which message {event['cause']} led to"


def fill_lines(fill: Line) -> Iterator[str]:
    """A fill: what, at what price, where; and what it would have been on the other path."""
    price, fee = grouped(Decimal(fill["price"])), Decimal(fill["fee"])
    side = "bought" if fill["direction"] == "LONG" else "sold"
    words = [
        f"    {side} {grouped(Decimal(fill['volume']), 0)} at {price}",
        f"worth {grouped(Decimal(fill['notional']))}",
    ]
    if fee:
        words.append(f"fee {grouped(fee)} {fill['fee_asset']}")
    if fill["realised_pnl"]:
        words.append(f"PnL {signed(Decimal(fill['realised_pnl']))}")
    words.append("as maker" if fill["maker"] == "true" else "as taker")
    yield ", ".join(words)
    point, opened = fill["point"], moment(fill["bar_open"])
    line = f"    at the {point} of the bar that opened {opened}"
    if point in ("bid", "ask"):
        line = f"    at the {point} of the quote of {opened}"
    elif point == "trade":
        line = f"    at the trade of {opened}"
    if fill["ambiguous"] == "true":
        line += "; ambiguous: it hangs on the guess about the bar's path"
    yield line
    if fill["ambiguous"] == "true":
        yield f"    with the bar's extremes the other way round: {_otherwise(fill)}"


def _otherwise(fill: Line) -> str:
    """What the ambiguous fill, and the rest of its position, would have come to."""
    own = "this would not have filled"
    if fill["other_price"]:
        volume, price = Decimal(fill["other_volume"]), Decimal(fill["other_price"])
        own = f"{grouped(volume, 0)} at {grouped(price)}"
    others = [
        one.replace("_", "-").replace("@", "at")
        for one in fill["otherwise"].split("; ")
        if one and one.partition(" ")[0] != fill["kind"]
    ]
    return own if not others else f"{own}; {', '.join(others)}"
