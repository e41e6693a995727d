"""From pieces of lots to trades: what one order opened and one order closed is one trade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from backtest.analysis.trades.history import Costs, Execution, History
from backtest.analysis.trades.matching import FINE, Matching, Piece
from backtest.analysis.trades.trade import METHODS, Trade
from backtest.errors import ConfigError
from backtest.money import ZERO, add, div, mul, plain, round_half_even, sub

__all__ = ["Matched", "matched"]

_RATIO = Context(prec=34, rounding=ROUND_HALF_EVEN)
_PLACES = Decimal("0.0001")

Matched = tuple[list[Trade], dict[tuple[str, str], Decimal]]
"""The trades, and what was charged by account and asset that belongs to none."""


def matched(history: History, method: str = "fifo") -> Matched:
    """The trades of ``history``: closed ones in the order in which they were over, then open ones.

    Raises `ConfigError` for another method.
    """
    if method not in METHODS:
        raise ConfigError(f"trades are matched by {' or '.join(METHODS)}, not by {method!r}")
    matching = Matching(history, method)
    groups: dict[object, list[Piece]] = {}
    for piece in matching.pieces:
        groups.setdefault(_key(piece), []).append(piece)
    ordered = sorted(groups.values(), key=_over)
    trades = [_trade(history, number, own) for number, own in enumerate(ordered, 1)]
    return trades, matching.untraded


def _key(piece: Piece) -> object:
    end = piece.closed_by
    closed: object = None
    if end is not None:
        closed = end.branch, end.closing, end.kind
    whose = piece.origins[0]  # with average cost, what the pool began with
    return piece.account, piece.pair, piece.order_kind, piece.lot.is_long, whose, closed


def _over(own: Sequence[Piece]) -> tuple[bool, int]:
    """When a trade was over; when it began, if it is not."""
    last = own[-1].closed_by
    return (True, min(one.lot.time for one in own)) if last is None else (False, last.time)


def _trade(history: History, number: int, own: Sequence[Piece]) -> Trade:
    piece, last = own[0], own[-1].closed_by
    terms, lot = history.pairs[piece.pair], piece.lot
    volume, costs, value, gross = ZERO, Costs(), ZERO, ZERO
    for one in own:
        volume, value = add(volume, one.volume), add(value, one.entry_value)
        gross = add(gross, one.gross)
        costs.take(one.costs)
    origins = list(dict.fromkeys(origin for one in own for origin in one.origins))
    known = [one for one in origins if one.branch]
    pnl = sub(gross, costs.paid)
    ends = [one.closed_by for one in own if one.closed_by is not None]
    exit_price = history.marks[piece.pair]
    if last is not None:
        exit_price = _average((one.price, part.volume) for one, part in zip(ends, own, strict=True))
    starts, reason = [one.lot for one in own], "open" if last is None else _reason(last)
    return Trade(
        trade_number=number,
        account=piece.account,
        strategy=known[0].strategy if known else "" if last is None else last.strategy,
        pair=piece.pair,
        order_kind=piece.order_kind,
        side="LONG" if lot.is_long else "SHORT",
        is_open=last is None,
        volume=_tidy(volume),
        entry_ns=min(one.time for one in starts),
        entry_price=_average((one.entry_price, one.volume) for one in own),
        entry_reason=origins[0].reason,
        entry_order_ids=tuple(dict.fromkeys(one.branch for one in known)),
        exit_ns=history.end_ns if last is None else last.time,
        exit_price=exit_price,
        exit_reason=reason,
        exit_order_ids=() if last is None else _ids(last.closing or last.branch),
        asset_code=terms.quote,
        entry_value=_tidy(value),
        gross_pnl=_tidy(gross),
        fees=_tidy(costs.fees),
        financing=_tidy(costs.financing),
        insured=_tidy(costs.insured),
        pnl=_tidy(pnl),
        return_percent=_percent(pnl, value),
        contract_size=terms.contract_size,
        root_id=known[0].root if known else "" if last is None else last.root,
        between=(
            min(one.start for one in starts), history.end_ns if last is None else last.end
        ),
    )  # fmt: skip


def _tidy(value: Decimal) -> Decimal:
    """The same number without zeros at its end."""
    return Decimal(plain(value))


def _ids(one: str) -> tuple[str, ...]:
    return (one,) if one else ()


def _reason(last: Execution) -> str:
    return "order" if last.kind == "entry" else last.kind


def _average(parts: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Prices by volume, to 24 places; one price as it is."""
    prices, total, volume = set[Decimal](), ZERO, ZERO
    first = ZERO
    for price, part in parts:
        first = first if prices else price
        prices.add(price)
        total, volume = add(total, mul(price, part)), add(volume, part)
    return _tidy(first if len(prices) == 1 else round_half_even(div(total, volume), FINE))


def _percent(part: Decimal, whole: Decimal) -> Decimal | None:
    if not whole:
        return None
    percent = _RATIO.divide(_RATIO.multiply(part, Decimal(100)), whole)
    return percent.quantize(_PLACES, ROUND_HALF_EVEN, _RATIO)
