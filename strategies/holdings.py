"""What a strategy has: its accounts, their balances, and its open positions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from backtest.actors import Welcome
from backtest.errors import AccountError, BacktestError
from backtest.models import Asset, TradingOrder, TradingPair
from backtest.money import ONE, ZERO, add
from backtest.spelling import suggestion

from .affordable import affordable, affordable_on_margin
from .balance import BalanceView
from .exposure import Exposure
from .position import PositionView

__all__ = ["Holdings"]

_NOTHING = (ZERO, ZERO)


class Holdings:
    """Made by the client of the strategy called ``name``, which brings it up to date."""

    def __init__(self, name: str, welcome: Welcome, last: Mapping[str, Decimal]) -> None:
        self._name = name
        self.pairs = welcome.pairs
        self.rules = welcome.rules
        self.last = last
        """The last close of each pair that the strategy was given."""
        self.accounts = {name: account_id for account_id, name in welcome.accounts}
        self.default_account = welcome.accounts[0][1] if welcome.accounts else ""
        self.balances = dict(welcome.balances)
        self.positions: dict[str, dict[UUID, TradingOrder]] = {code: {} for code in self.pairs}
        self.exposure = Exposure(self, welcome.cross, welcome.netting)

    def account_id(self, account: str) -> UUID:
        """The id of the strategy's account called ``account``."""
        account_id = self.accounts.get(account)
        if account_id is None:
            raise AccountError(
                f"account {account!r} is not {self._name}'s; it has: {', '.join(self.accounts)}"
            )
        return account_id

    def pair_of(self, code: str) -> TradingPair:
        """The trading pair called ``code``."""
        pair = self.pairs.get(code)
        if pair is None:
            raise BacktestError(f"there is no pair {code!r}; there are: {', '.join(self.pairs)}")
        return pair

    def position(self, pair: str) -> PositionView:
        """The strategy's open positions in ``pair``, taken together."""
        self.pair_of(pair)
        return self.exposure.position(pair, self.positions[pair].values())

    def balance(self, asset: Asset | str, account: str | None) -> BalanceView:
        """What one of the strategy's accounts has of ``asset``."""
        name = account or self.default_account
        code = asset.code if isinstance(asset, Asset) else asset
        held = self.balances.get((name, code))
        if held is None or name not in self.accounts:
            if account is not None:
                self.account_id(account)
            known = {code: None for _, code in self.balances}
            for pair in self.pairs.values():
                known |= {pair.base.code: None, pair.quote.code: None}
            if code not in known:
                meant = suggestion(str(code), known)
                told = f"did you mean {meant!r}?" if meant else f"there are: {', '.join(known)}"
                raise AccountError(f"there is no asset {code!r} here; {told}")
        return BalanceView(*(held or _NOTHING))

    def affordable(
        self,
        pair: str,
        limit: Decimal | None,
        account: str | None,
        leverage: Decimal | None,
        short: bool,
        price: Decimal | None,
        brings: Decimal = ZERO,
    ) -> Decimal:
        """The largest volume of a spot buy that would be accepted now; with a leverage, of a long
        or a short. ``price`` is at what it would meet the market, ``brings`` what it closes before
        it opens."""
        traded, rules = self.pair_of(pair), self.rules[pair]
        free = add(self.balance(traded.quote, account).available, brings)
        if leverage is None and not short:
            return affordable(traded, rules, free, price, limit)
        leverage = ONE if leverage is None else leverage
        return affordable_on_margin(traded, rules, free, price, limit, leverage, not short)
