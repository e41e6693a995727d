"""The sizes of a strategy: what it is worth, what it can afford, and how it gets to its targets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from backtest.actors import StrategyHost
from backtest.errors import FieldError
from backtest.money import ONE, ZERO, add, decimal_of

from .aims import Aim
from .client import OrderClient
from .handle import Number
from .keywords import known_words
from .shares import percent_of, weight_of
from .target_orders import TargetOrders
from .targets import Terms

__all__ = ["Sizing"]


class Sizing:
    """The part of `Strategy` that reckons sizes; write strategies from that, not from this."""

    _host: StrategyHost
    _client: OrderClient

    def equity(self, account: str | None = None) -> Decimal:
        """What the strategy's account (or another of its own) is worth now, in the cash asset of
        the run: all that it has of each asset, pending orders and margin included, and what its
        open positions have won, at last prices. What has no price yet counts nothing.

        Where strategies share an account it is what the account is worth, whoever traded; of others
        the open positions count where the account nets or has cross margin, else their margin.
        Raises `AccountError` for an account that is not the strategy's.
        """
        client = self._client
        return client.targets.worth.equity(account or client.holdings.default_account)

    def affordable(
        self,
        pair: str,
        limit_price: Number | None = None,
        account: str | None = None,
        *,
        leverage: Number | None = None,
        short: bool = False,
    ) -> Decimal:
        """The largest volume of a `buy` that would be accepted now: at ``limit_price``, or at the
        market; 0 where none would. With a ``leverage``, of a `long`, or of a ``short``: what it
        would open. (What an account that nets closes of the other side comes on top.)

        An order at the market reserves for the last price (of a quote: its ask) x (1 +
        ``market_buffer``), 5 % unless the rules say otherwise, and for the fees; what it does not
        need comes back with the fill. A limit order reserves for its limit.
        """
        limit = None if limit_price is None else decimal_of(limit_price, "limit_price")
        lever = None if leverage is None else decimal_of(leverage, "leverage")
        return self._client.holdings.affordable(
            pair, limit, account, lever, short, self._host.asked(pair, not short)
        )

    @known_words
    async def target(
        self,
        pair: str,
        *,
        percent: Number | None = None,
        volume: Number | None = None,
        value: Number | None = None,
        leverage: Number | None = None,
        limit_price: Number | None = None,
        account: str | None = None,
    ) -> TargetOrders:
        """Trade until the strategy has so much of ``pair``: ``percent`` of the account's `equity`
        (50, or ``"50%"``), a ``volume`` in units of the base (or contracts), or a ``value`` in the
        quote asset; one of the three. Negative is short.

        Without ``leverage`` it is what spot orders buy and sell, unless the strategy has a position
        of margin orders there: then that, at its leverage; with one, what `long` and `short` open.
        The volume is the largest on the grid that is worth no more at the last price (or at
        ``limit_price``) when the fees of getting there are paid; an order is never more than is
        `affordable`. Orders at the market that are pending count as done; what an earlier target of
        the pair left pending is cancelled where it does not lead to this one. Other orders stay:
        only where a sale needs what resting sells hold are those cancelled, the newest first.

        What is sent is awaited until it is accepted. It waits for a fill only where it must: where
        an opening needs what a close brings. Gives `TargetOrders`: a refusal is in their
        ``refused``, not raised. Raises `OrderRejected` while the strategy warms up, `FieldError`
        for a spot target that is short.
        """
        given = {"percent": percent, "volume": volume, "value": value}
        if sum(one is not None for one in given.values()) != 1:
            raise FieldError("target", "takes one of percent, volume and value")
        aim = Aim(
            None if percent is None else percent_of(percent, "percent"),
            None if volume is None else decimal_of(volume, "volume"),
            None if value is None else decimal_of(value, "value"),
        )
        self._client.holdings.pair_of(pair)
        return await self._client.targets.reach(
            {pair: aim}, self._terms(leverage, limit_price, account)
        )

    @known_words
    async def target_weights(
        self,
        weights: Mapping[str, Number],
        *,
        close_others: bool = False,
        leverage: Number | None = None,
        account: str | None = None,
    ) -> TargetOrders:
        """Bring several pairs to their weights, the shares of the account's `equity` that each is
        to have: ``{"BTCUSD": "0.6", "ETHUSD": "30%"}``; otherwise like `target`.

        What is to be less is sold first. Where the rest needs what that brings, it is bought when
        the sales are done, as decided now; where the money does not suffice (a market order
        reserves the ``market_buffer``), each purchase is cut by the same share. Pairs that are not
        named stay as they are, or go to nothing with ``close_others``. Spot weights are not
        negative and no more than 1 together, those with a ``leverage`` no more than that.
        """
        shares = {pair: weight_of(one, f"weights[{pair!r}]") for pair, one in weights.items()}
        holdings = self._client.holdings
        bases = [holdings.pair_of(pair).base.code for pair in shares]
        twice = next((one for one in bases if bases.count(one) > 1), None)
        if twice is not None and leverage is None:
            raise FieldError("weights", f"name {twice} by two pairs: what is owned of it is one")
        terms, whole = self._terms(leverage, None, account), ZERO
        for share in shares.values():
            whole = add(whole, share if leverage is None else share.copy_abs())
        if terms.leverage is None and whole > ONE:
            raise FieldError("weights", f"are more than 1 together, and nothing is lent: {weights}")
        if terms.leverage is not None and whole > terms.leverage:
            raise FieldError(
                "weights", f"are more together than the leverage {leverage}: {weights}"
            )
        if close_others:
            for code, pair in holdings.pairs.items():
                if leverage is not None or pair.base.code not in bases:
                    if self._has(code, account):
                        shares.setdefault(code, ZERO)
        aims = {pair: Aim(share) for pair, share in shares.items()}
        return await self._client.targets.reach(aims, terms)

    def _has(self, pair: str, account: str | None) -> bool:
        holdings = self._client.holdings
        base = holdings.pair_of(pair).base
        if holdings.positions[pair] or self._client.open_orders(pair):
            return True
        cash = self._client.targets.worth.cash
        return base.code != cash and bool(holdings.balance(base, account))

    def _terms(
        self, leverage: Number | None, limit_price: Number | None, account: str | None
    ) -> Terms:
        holdings = self._client.holdings
        name = account or holdings.default_account
        holdings.account_id(name)
        return Terms(
            name,
            None if leverage is None else decimal_of(leverage, "leverage"),
            None if limit_price is None else decimal_of(limit_price, "limit_price"),
        )

    async def close_all(self, pair: str | None = None, *, spot: bool = True) -> TargetOrders:
        """Cancel what is pending or was just sent, close what is open, and sell what the strategy's
        accounts own of the base asset, all at the market; of all pairs or of one.

        ``spot=False`` leaves alone what is owned. It is the account's, whoever bought it, and what
        it began with; the cash asset of the run is not sold, an asset with several pairs for cash
        where there is such a pair. Gives the orders that close and sell; what is refused is in
        their ``refused``, and the rest is done all the same.
        """
        if pair is not None:
            self._client.holdings.pair_of(pair)
        return await self._client.targets.close_out(pair, spot)
