"""What an account of a strategy is worth, as the strategy sees it."""

from __future__ import annotations

from decimal import Decimal

from backtest.money import ZERO, add, mul, sub
from backtest.services.conversion import Conversion

from .holdings import Holdings

__all__ = ["Worth"]


class Worth:
    """Values an account in ``cash``, the asset in which the run is valued, at last prices."""

    def __init__(self, holdings: Holdings, cash: str) -> None:
        self._holdings = holdings
        self.cash = cash
        self._conversions: dict[str, Conversion] = {}

    def equity(self, account: str) -> Decimal:
        """All that the account has, pending orders and margin included, and what its open positions
        have won; what has no price yet counts nothing."""
        holdings = self._holdings
        account_id, last = holdings.account_id(account), holdings.last
        amounts: dict[str, Decimal] = {}
        for (name, asset), (free, locked) in holdings.balances.items():
            if name == account:
                amounts[asset] = add(amounts.get(asset, ZERO), add(free, locked))
        own = [one for held in holdings.positions.values() for one in held.values()]
        for one in [*own, *holdings.exposure.others.values()]:
            mark = last.get(one.trading_pair_code)
            if one.account_id == account_id and mark is not None:
                asset = holdings.pairs[one.trading_pair_code].settlement.code
                moved = mul(sub(mark, one.fill_price), mul(one.volume, one.contract_size))  # type: ignore[arg-type]
                won = moved if one.direction.sign > 0 else moved.copy_negate()
                amounts[asset] = add(amounts.get(asset, ZERO), won)
        total = ZERO
        for asset, amount in amounts.items():
            if amount:
                total = add(total, self.of(asset, amount) or ZERO)
        return total

    def of(self, asset: str, amount: Decimal) -> Decimal | None:
        """What ``amount`` of ``asset`` is worth in cash; None where no pair with a price tells."""
        return self._into(self.cash, asset, amount)

    def into(self, asset: str, amount: Decimal) -> Decimal | None:
        """What ``amount`` of cash is worth in ``asset``; None likewise."""
        return self._into(asset, self.cash, amount)

    def _into(self, target: str, asset: str, amount: Decimal) -> Decimal | None:
        if asset == target:
            return amount
        found = self._conversions.get(target)
        if found is None:
            found = self._conversions[target] = Conversion(target, self._holdings.pairs.values())
        return found.worth(asset, amount, self._holdings.last)
