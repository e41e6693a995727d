"""What each event costs whom: one function per kind of event (docs/margin.md).

Each gives the *legs* of one entry:
``(account, asset, type, available change, unavailable change)``.
All are pure (and negate by `copy_negate`, which unlike ``-`` never rounds); amounts come in
rounded already, and every entry sums to zero per asset by construction (the ledger checks it all
the same). ``account`` is the account's name; the house accounts are `MARKET`, `CLEARING`, `FEES`,
`INSURANCE` and `WORLD`.
"""

from __future__ import annotations

from decimal import Decimal

from backtest.models.transaction import TransactionType
from backtest.money import ZERO, sub

__all__ = [
    "CLEARING",
    "FEES",
    "INSURANCE",
    "MARKET",
    "WORLD",
    "Leg",
    "change_reserve",
    "charge",
    "close_position",
    "create_order",
    "deposit",
    "fill_spot_buy",
    "fill_spot_sell",
    "fill_trading",
    "release",
    "round_off",
    "sell_collateral",
    "sweep",
    "take_margin",
]

MARKET = "market"
CLEARING = "clearing"
FEES = "fees"
INSURANCE = "insurance"
WORLD = "world"

Leg = tuple[str, str, TransactionType, Decimal, Decimal]

_ADJUSTMENT = TransactionType.ADJUSTMENT
_RESERVE = TransactionType.RESERVE_MARGIN
_RETURN = TransactionType.RETURN_MARGIN
_FILL_BUY = TransactionType.FILL_BUY
_FILL_SELL = TransactionType.FILL_SELL
_EXCHANGE = TransactionType.SPOT_EXCHANGE
_FEE_CREATE = TransactionType.FEE_CREATE
_FEE_FILL = TransactionType.FEE_FILL
_FEE_CLOSE = TransactionType.FEE_CLOSE
_FEE_CANCEL = TransactionType.FEE_CANCEL
_FEE_OVERNIGHT = TransactionType.FEE_OVERNIGHT
_PNL = TransactionType.CLOSE_PNL


def deposit(account: str, asset: str, amount: Decimal) -> list[Leg]:
    """Money that comes in from the world (or goes out, when negative)."""
    return [
        (account, asset, _ADJUSTMENT, amount, ZERO),
        (WORLD, asset, _ADJUSTMENT, amount.copy_negate(), ZERO),
    ]


def create_order(
    account: str, asset: str, reserve: Decimal, fee: Decimal = ZERO, fee_asset: str = ""
) -> list[Leg]:
    """An order of either kind accepted: its reserve locked, its create fee paid."""
    legs: list[Leg] = []
    if reserve:
        legs.append((account, asset, _RESERVE, reserve.copy_negate(), reserve))
    if fee:
        legs += _fee(account, fee_asset or asset, _FEE_CREATE, fee)
    return legs


def change_reserve(
    account: str,
    asset: str,
    before: Decimal,
    after: Decimal,
    fee: Decimal = ZERO,
    fee_asset: str = "",
) -> list[Leg]:
    """The reserve of a modified order moved from ``before`` to ``after``."""
    legs: list[Leg] = []
    more = sub(after, before)
    if more > ZERO:
        legs.append((account, asset, _RESERVE, more.copy_negate(), more))
    elif more < ZERO:
        legs.append((account, asset, _RETURN, more.copy_negate(), more))
    if fee:
        legs += _fee(account, fee_asset or asset, _FEE_CREATE, fee)
    return legs


def fill_spot_buy(
    account: str,
    base: str,
    quote: str,
    volume: Decimal,
    amount: Decimal,
    fee: Decimal,
    share: Decimal,
    counterparty: str | None = MARKET,
) -> list[Leg]:
    """A spot buy filled for ``amount`` out of the ``share`` of its reserve; what is missing is
    reserved first.

    Without a ``counterparty`` the other side is another agent's, in the same entry.
    """
    legs: list[Leg] = []
    left = sub(sub(share, amount), fee)
    if left < ZERO:
        legs.append((account, quote, _RESERVE, left, left.copy_negate()))
    legs.append((account, quote, _FILL_BUY, ZERO, amount.copy_negate()))
    legs.append((account, base, _EXCHANGE, volume, ZERO))
    if counterparty is not None:
        legs.append((counterparty, quote, _FILL_BUY, amount, ZERO))
        legs.append((counterparty, base, _EXCHANGE, volume.copy_negate(), ZERO))
    if fee:
        legs.append((account, quote, _FEE_FILL, ZERO, fee.copy_negate()))
        legs.append((FEES, quote, _FEE_FILL, fee, ZERO))
    if left > ZERO:
        legs.append((account, quote, _RETURN, left, left.copy_negate()))
    return legs


def fill_spot_sell(
    account: str,
    base: str,
    quote: str,
    volume: Decimal,
    amount: Decimal,
    fee: Decimal,
    counterparty: str | None = MARKET,
    uncovered: Decimal = ZERO,
) -> list[Leg]:
    """A spot sell filled: the reserved base goes, ``amount`` comes, the fee is paid from it;
    ``uncovered`` is the part of the fee that the account cannot pay.

    Without a ``counterparty`` the other side is another agent's, in the same entry.
    """
    legs: list[Leg] = [
        (account, base, _FILL_SELL, ZERO, volume.copy_negate()),
        (account, quote, _EXCHANGE, amount, ZERO),
    ]
    if counterparty is not None:
        legs.append((counterparty, base, _FILL_SELL, volume, ZERO))
        legs.append((counterparty, quote, _EXCHANGE, amount.copy_negate(), ZERO))
    if fee:
        legs += _covered(account, quote, uncovered)
        legs += _fee(account, quote, _FEE_FILL, fee)
    return legs


def release(
    account: str,
    asset: str,
    reserve: Decimal,
    fee: Decimal = ZERO,
    fee_asset: str = "",
    uncovered: Decimal = ZERO,
) -> list[Leg]:
    """What is left of a reserve given back, the cancel fee paid; ``uncovered`` is the part of the
    fee that the account cannot pay, taken from the insurance account."""
    legs: list[Leg] = []
    if reserve:
        legs.append((account, asset, _RETURN, reserve, reserve.copy_negate()))
    if fee:
        legs += _covered(account, fee_asset or asset, uncovered)
        legs += _fee(account, fee_asset or asset, _FEE_CANCEL, fee)
    return legs


def fill_trading(
    account: str, asset: str, share: Decimal, margin: Decimal, fee: Decimal
) -> list[Leg]:
    """A trading order filled: of the ``share`` of its reserve ``margin`` stays, the fee is paid."""
    legs = change_reserve(account, asset, share, margin)
    if fee:
        legs += _fee(account, asset, _FEE_FILL, fee)
    # A fill has its entry even where the margin is just what was reserved: nothing is returned.
    return legs or [(account, asset, _RETURN, ZERO, ZERO)]


def charge(
    account: str,
    asset: str,
    amount: Decimal,
    *,
    from_margin: Decimal = ZERO,
    uncovered: Decimal = ZERO,
    counterparty: str = MARKET,
) -> list[Leg]:
    """An overnight fee (income when negative): from available; ``from_margin`` of it is first taken
    out of the position's margin, and ``uncovered`` of it comes from the insurance account."""
    legs: list[Leg] = []
    if from_margin:
        legs.append((account, asset, _RETURN, from_margin, from_margin.copy_negate()))
    legs += _covered(account, asset, uncovered)
    legs.append((account, asset, _FEE_OVERNIGHT, amount.copy_negate(), ZERO))
    legs.append((counterparty, asset, _FEE_OVERNIGHT, amount, ZERO))
    return legs


def close_position(
    account: str,
    asset: str,
    margin: Decimal,
    pnl: Decimal,
    fee: Decimal,
    uncovered: Decimal = ZERO,
    counterparty: str = MARKET,
) -> list[Leg]:
    """A position closed or liquidated, wholly or partly: its margin back, its PnL, its fee;
    ``uncovered`` is what it lost beyond its margin, which the insurance account bears."""
    legs: list[Leg] = []
    if margin:
        legs.append((account, asset, _RETURN, margin, margin.copy_negate()))
    legs.append((account, asset, _PNL, pnl, ZERO))
    legs.append((counterparty, asset, _PNL, pnl.copy_negate(), ZERO))
    if fee:
        legs += _fee(account, asset, _FEE_CLOSE, fee)
    legs += _covered(account, asset, uncovered)
    return legs


def take_margin(account: str, asset: str, amount: Decimal) -> list[Leg]:
    """Margin of a position in a cross margin account made available, to pay for another's loss."""
    return [(account, asset, _RETURN, amount, amount.copy_negate())]


def round_off(asset: str, amount: Decimal) -> list[Leg]:
    """What rounding leaves of a trade between two agents, whose amounts are each rounded by what
    its own order has exchanged so far: to `FEES`, or for once from there."""
    return [(FEES, asset, _ADJUSTMENT, amount, ZERO)] if amount else []


def sweep(asset: str, amount: Decimal) -> list[Leg]:
    """What rounding has left in `CLEARING` once nobody holds a position, moved to `FEES`."""
    return [
        (CLEARING, asset, _ADJUSTMENT, amount.copy_negate(), ZERO),
        (FEES, asset, _ADJUSTMENT, amount, ZERO),
    ]


def sell_collateral(
    account: str, base: str, quote: str, volume: Decimal, amount: Decimal, fee: Decimal
) -> list[Leg]:
    """Collateral sold to the market: unlike a spot sell, out of what is available."""
    legs = fill_spot_sell(account, base, quote, volume, amount, fee)
    legs[0] = (account, base, _FILL_SELL, volume.copy_negate(), ZERO)
    return legs


def _fee(account: str, asset: str, kind: TransactionType, fee: Decimal) -> list[Leg]:
    return [(account, asset, kind, fee.copy_negate(), ZERO), (FEES, asset, kind, fee, ZERO)]


def _covered(account: str, asset: str, amount: Decimal) -> list[Leg]:
    if not amount:
        return []
    return [
        (account, asset, _ADJUSTMENT, amount, ZERO),
        (INSURANCE, asset, _ADJUSTMENT, amount.copy_negate(), ZERO),
    ]
