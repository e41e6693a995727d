"""Trading pairs: two assets and the grid on which they trade."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from attrs import field, frozen

from backtest.errors import ConfigError, FieldTypeError
from backtest.models._show import called
from backtest.models._validate import (
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_IF_SET,
    check_numbers,
    check_texts,
)
from backtest.models.asset import Asset, asset_of
from backtest.money import (
    ONE,
    ZERO,
    decimal_of,
    mul,
    round_half_even,
    setting_of,
    to_step,
)

__all__ = ["TradingPair"]

_NUMBERS = (
    ("price_increment", POSITIVE),
    ("volume_increment", POSITIVE),
    ("min_volume", POSITIVE_IF_SET),
    ("min_notional", NON_NEGATIVE),
    ("contract_size", POSITIVE),
)
_FINEST = Decimal("0.00000001")
_SEPARATORS = "/-_:"


@frozen(slots=False)
class TradingPair:
    """``base`` traded for ``quote``, on a grid of prices and volumes. Frozen.

    ``min_volume`` left out means one ``volume_increment``; ``min_notional`` is in quote;
    ``contract_size`` is base per contract; where it is not 1 there are no spot orders. ``base`` and
    ``quote`` may be codes.

    >>> pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2), price_increment=Decimal("0.5"))
    >>> pair.round_price("100.3"), pair.notional(Decimal("0.1"), Decimal("100.5"))
    (Decimal('100.5'), Decimal('10.05'))
    """

    code: str
    base: Asset = field(converter=asset_of)
    quote: Asset = field(converter=asset_of)
    price_increment: Decimal = _FINEST
    volume_increment: Decimal = _FINEST
    min_volume: Decimal | None = None
    min_notional: Decimal = ZERO
    contract_size: Decimal = ONE

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_texts(values, ("code",))
        for name in ("base", "quote"):
            if not isinstance(values[name], Asset):
                raise FieldTypeError(name, f"must be an Asset or its code, not {values[name]!r}")
        check_numbers(values, _NUMBERS)
        for name, _ in _NUMBERS:
            if values[name] is not None:
                setting_of(values[name], name)  # in the range of what people give

    @classmethod
    def from_code(cls, code: str, quote: str | Asset, **settings: Any) -> TradingPair:
        """The pair of a code that ends with its quote: ``BTCUSD``, ``BTC/USD`` or ``BTC-USD``.

        ``settings`` are further fields. Raises `ConfigError` when the code does not tell the base.
        """
        name = quote.code if isinstance(quote, Asset) else quote
        base = code.removesuffix(name).rstrip(_SEPARATORS) if code.endswith(name) else ""
        if not base or not name:
            raise ConfigError(
                f"cannot tell the base and quote asset of pair {code!r}: it does not end with the "
                f"cash asset {name!r}. Give both: TradingPair({code!r}, base='...', quote='...')"
            )
        return cls(code, base, quote, **settings)

    def __repr__(self) -> str:
        return called(self)

    @property
    def least_volume(self) -> Decimal:
        """The smallest volume of an order: ``min_volume``, or one increment if left out."""
        return self.volume_increment if self.min_volume is None else self.min_volume

    @property
    def settlement(self) -> Asset:
        """The asset in which margin, fees and PnL of this pair are paid: its quote."""
        return self.quote

    def round_price(self, price: Decimal | int | str, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        """``price`` on the grid, halves to even unless ``rounding`` says otherwise."""
        return to_step(decimal_of(price, "price"), self.price_increment, rounding)

    def round_volume(self, volume: Decimal | int | str) -> Decimal:
        """The largest volume on the grid that is not above ``volume``."""
        return to_step(decimal_of(volume, "volume"), self.volume_increment, ROUND_FLOOR)

    def notional(self, volume: Decimal, price: Decimal) -> Decimal:
        """What ``volume`` is worth at ``price``, half-even to the quote asset's precision.

        A figure to look at. What is exchanged, charged and held as margin is worked out from
        `worth`, and each rounded against the account.
        """
        return round_half_even(self.worth(volume, price), self.quote.step)

    def worth(self, volume: Decimal, price: Decimal) -> Decimal:
        """The same, exactly."""
        worth = mul(volume, price)
        return worth if self.contract_size == ONE else mul(worth, self.contract_size)
