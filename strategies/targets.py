"""How a strategy gets to its targets: what pends is counted, sales come first, money is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from backtest.actors.kernel.copies import ends_in_copies
from backtest.errors import FieldError, OrderRejected, RejectReason
from backtest.models import OrderDirection
from backtest.money import ONE, ZERO, add, div, exponent, mul, round_half_even, sub

from .affordable import is_enough
from .aims import Aim, Place, wanted_volumes
from .close_handle import CloseHandle
from .handle import OrderHandle
from .position import PositionView
from .target_orders import TargetOrders
from .worth import Worth

if TYPE_CHECKING:
    from backtest.actors import StrategyHost

    from .client import OrderClient

__all__ = ["Targets", "Terms"]

_FINE = exponent(30)
"""A share may have no end; one of which the whole is on the grid is not to fall short of it."""
_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT


class Terms(NamedTuple):
    """How targets are traded."""

    account: str
    leverage: Decimal | None
    limit: Decimal | None


class _Turn(asyncio.Lock):
    """One attempt at a time looks where the strategy stands, and sends."""

    __reduce_ex__ = ends_in_copies


class Targets:
    """Made by the client; each call of `reach` is one attempt, which the next of a pair ends."""

    def __init__(self, client: OrderClient, host: StrategyHost, cash: str) -> None:
        self._client = client
        self._host = host
        self._holdings = client.holdings
        self.worth = Worth(client.holdings, cash)
        self._sent: dict[tuple[str, str], list[OrderHandle]] = {}
        """The orders that were last sent for a target, by account and pair."""
        self._turn = _Turn()
        self._attempts = 0
        self._latest: dict[tuple[str, str], int] = {}

    async def reach(self, aims: Mapping[str, Aim], terms: Terms) -> TargetOrders:
        """Bring the strategy to ``aims``, by pair."""
        self._client.commands.check_warm()
        self._attempts = attempt = self._attempts + 1
        for code in aims:
            self._latest[terms.account, code] = attempt
        async with self._turn:
            await self._client.commands.all_answered()
            orders = TargetOrders()
            gaps = self._gaps(aims, terms, orders)
            stale = [code for code in aims if self._is_stale(code, gaps.get(code), terms)]
            if not stale:
                return orders
            for code in stale:
                await self._withdraw(code, terms.account)
            orders = TargetOrders()
            gaps = self._gaps(aims, terms, orders)
            await self._leave(gaps, terms, orders)
        opening = {code: gap for code, gap in gaps.items() if gap.opened}
        pending = [one for one in orders if not one.is_done]
        if pending and terms.limit is None and not self._suffices(opening, terms):
            # What they bring is needed: so they come first, and purchases when they are done.
            for one in pending:
                await one.done()
            # Of an account that nets, what a close brings is told after the order that closed.
            await self._host.system.sleep_until(self._host.system.now)
        async with self._turn:
            share = self._share(opening, terms)
            for code, gap in opening.items():
                if self._latest[terms.account, code] == attempt:
                    await self._open(code, gap, share, terms, orders)
        return orders

    def _gaps(self, aims: Mapping[str, Aim], terms: Terms, orders: TargetOrders) -> dict[str, Gap]:
        """What is to be traded of each pair."""
        places = {}
        for code, aim in aims.items():
            place = self._place(code, terms)
            if place is None:
                told = f"no price of {code} was told yet: nothing says what its volume is worth"
                orders.refuse(code, OrderRejected(RejectReason.NO_PRICE_YET, told))
                continue
            if place.spot and aim.sign < 0:
                raise FieldError(
                    "target",
                    f"of {code} is short, which spot orders cannot be: give leverage=1 (or more)",
                )
            places[code] = place
        equity = self.worth.equity(terms.account)
        wanted = wanted_volumes(aims, places, equity, self.worth)
        return {code: Gap(place, *place.parts(wanted[code])) for code, place in places.items()}

    # -- where it stands ---------------------------------------------------------------------------

    def _place(self, code: str, terms: Terms) -> Place | None:
        """Where it stands in a pair, with what is pending at the market; None before a price."""
        holdings = self._holdings
        pair, rules = holdings.pair_of(code), holdings.rules[code]
        price = terms.limit if terms.limit is not None else holdings.last.get(code)
        if price is None:
            return None
        account_id = holdings.account_id(terms.account)
        parts = [one for one in holdings.positions[code].values() if one.account_id == account_id]
        pending = self._pending(code, terms.account)
        spot = (
            terms.leverage is None
            and not parts
            and not any(not one.spot for one in pending)
            and rules.spot_allowed
            and pair.contract_size == ONE
        )
        leverage = terms.leverage
        if leverage is None:
            levers = [getattr(one.live, "leverage", ONE) for one in pending if not one.spot]
            leverage = parts[-1].leverage if parts else next(iter(levers), ONE)
        held = ZERO
        if spot:
            held = holdings.balance(pair.base, terms.account).total
        for part in () if spot else parts:
            held = add(held, mul(part.volume, Decimal(part.direction.sign)))
        for one in pending:
            if one.spot is spot:
                held = add(held, mul(one.leaves, Decimal(one.direction.sign)))
        place = Place(pair, rules, spot, leverage, price, held)
        if parts and not spot and holdings.exposure.nets(account_id):
            return place._replace(
                brings=place.freed(PositionView(code, parts, holdings.last[code]))
            )
        return place

    def _pending(self, code: str, account: str) -> list[OrderHandle]:
        """Orders that fill at the next price, and those that were sent for a target."""
        sent = self._sent.get((account, code), ())
        return [one for one in self._own(code, account) if one in sent or _is_at_market(one)]

    def _own(self, code: str, account: str) -> list[OrderHandle]:
        account_id = self._holdings.account_id(account)
        return [one for one in self._client.open_orders(code) if _account_of(one) == account_id]

    def _is_stale(self, code: str, gap: Gap | None, terms: Terms) -> bool:
        """Whether something has to be sent, or what was sent is to have another limit."""
        if gap is None:
            return False
        if gap.closed or gap.opened:
            return True
        sent = self._sent.get((terms.account, code), ())
        return any(not one.is_done and _limit_of(one) != terms.limit for one in sent)

    async def _withdraw(self, code: str, account: str) -> None:
        """Cancel what is pending of the last target."""
        for one in self._sent.pop((account, code), ()):
            if not one.is_done:
                await self._tried(one.cancel())

    # -- trading -----------------------------------------------------------------------------------

    async def _leave(self, gaps: Mapping[str, Gap], terms: Terms, orders: TargetOrders) -> None:
        """Close and sell what is to be less; what one order closes and opens comes later."""
        for code, gap in gaps.items():
            if gap.closed and not self._nets(terms, gap):
                await self._reduce(code, gap, terms, orders)
            elif gap.closed and not gap.opened:
                await self._open(code, gap, ONE, terms, orders)

    def _nets(self, terms: Terms, gap: Gap) -> bool:
        """Whether one order closes and opens: on an account that nets."""
        nets = self._holdings.exposure.nets(self._holdings.account_id(terms.account))
        return nets and not gap.place.spot and bool(gap.closed)

    async def _reduce(self, code: str, gap: Gap, terms: Terms, orders: TargetOrders) -> None:
        volume, place = gap.closed.copy_abs(), gap.place
        if place.spot:
            free = await self._freed(code, volume, place, terms.account)
            size = place.pair.round_volume(min(volume, free))
            if not is_enough(place.pair, place.rules, size, place.price):
                orders.missing[code] = volume
                return
            if size < volume:
                orders.missing[code] = sub(volume, size)
            await self._send(
                code, self._create(code, size.copy_negate(), place, terms), terms, orders
            )
            return
        side = _LONG if gap.closed < ZERO else _SHORT
        account_id = self._holdings.account_id(terms.account)
        for handle in self._client.handles_with_positions(code):
            size = ZERO
            for part in handle.parts.values():
                if part.direction is side and part.account_id == account_id:
                    size = add(size, part.volume)
            size = min(volume, size)
            if size:
                volume = sub(volume, size)
                close = self._client.commands.close(handle, size, limit_price=terms.limit)
                await self._send(code, close, terms, orders)
        if volume:
            orders.missing[code] = volume

    async def _freed(self, code: str, volume: Decimal, place: Place, account: str) -> Decimal:
        """What is free to be sold; orders that hold it are cancelled, the newest first."""
        holdings, base = self._holdings, place.pair.base
        counted = self._pending(code, account)
        for one in reversed(self._own(code, account)):
            lacking = sub(volume, holdings.balance(base, account).available)
            if lacking <= ZERO:
                break
            if one.spot and one.direction is _SHORT and one not in counted:
                await self._tried(one.cancel(lacking if lacking < one.leaves else None))
        return holdings.balance(base, account).available

    def _suffices(self, opening: Mapping[str, Gap], terms: Terms) -> bool:
        """Whether all purchases can be paid for now."""
        if self._share(opening, terms) < ONE:
            return False
        return all(self._most(code, gap, terms) for code, gap in opening.items() if gap.opened)

    def _share(self, opening: Mapping[str, Gap], terms: Terms) -> Decimal:
        """Which part of the purchases can be paid for: of those in one money the same, 1 at most;
        what cannot be bought at all takes nothing from the others."""
        parts: dict[str, Decimal] = {}
        for code, gap in opening.items():
            most, asset = self._most(code, gap, terms), gap.place.pair.quote.code
            if gap.opened and most:
                part = div(gap.opened.copy_abs(), most)
                parts[asset] = add(parts.get(asset, ZERO), part)
        return min((div(ONE, part) for part in parts.values() if part > ONE), default=ONE)

    def _most(self, code: str, gap: Gap, terms: Terms) -> Decimal:
        """The largest order that would be accepted by itself."""
        place, long = gap.place, gap.opened > ZERO
        leverage = None if place.spot else place.leverage
        price = self._host.asked(code, long)
        brings = place.brings if gap.closed else ZERO
        return self._holdings.affordable(
            code, terms.limit, terms.account, leverage, not long, price, brings
        )

    async def _open(
        self, code: str, gap: Gap, share: Decimal, terms: Terms, orders: TargetOrders
    ) -> None:
        place, wanted = gap.place, gap.opened.copy_abs()
        most = self._most(code, gap, terms) if wanted else ZERO
        size = wanted
        if most < wanted or share < ONE:
            size = place.pair.round_volume(min(most, round_half_even(mul(wanted, share), _FINE)))
        netted = gap.closed.copy_abs() if self._nets(terms, gap) else ZERO
        whole = add(size, netted)
        if not is_enough(place.pair, place.rules, whole, place.price):
            orders.missing[code] = add(orders.missing.get(code, ZERO), add(wanted, netted))
            return
        if size < wanted:
            orders.missing[code] = add(orders.missing.get(code, ZERO), sub(wanted, size))
        rises = gap.opened > ZERO or gap.closed > ZERO
        order = self._create(code, whole if rises else whole.copy_negate(), place, terms)
        await self._send(code, order, terms, orders)

    def _create(self, code: str, volume: Decimal, place: Place, terms: Terms) -> OrderHandle:
        return self._client.commands.create(
            place.spot,
            code,
            _LONG if volume > ZERO else _SHORT,
            volume.copy_abs(),
            terms.limit,
            None,
            terms.account,
            None if place.spot else place.leverage,
        )

    async def _send(
        self, code: str, order: OrderHandle, terms: Terms, orders: TargetOrders
    ) -> None:
        if await self._is_accepted(code, order, orders):
            self._sent.setdefault((terms.account, code), []).append(order)

    async def _is_accepted(self, code: str, order: OrderHandle, orders: TargetOrders) -> bool:
        refusal = await self._tried(order)
        if refusal is not None:
            orders.refuse(code, refusal)
            return False
        orders.add(order)
        return True

    async def _tried(self, command: Awaitable[Any]) -> OrderRejected | None:
        """Wait for the answer; a refusal is logged, and given."""
        try:
            await command
        except OrderRejected as refusal:
            self._client.note_refusal(refusal)
            return refusal
        return None

    # -- out of everything -------------------------------------------------------------------------

    async def close_out(self, pair: str | None, spot: bool) -> TargetOrders:
        """Cancel what is pending, close what is open, and sell what is owned."""
        orders = TargetOrders()
        await self._client.commands.all_answered()
        for handle in self._client.open_orders(pair):
            refusal = await self._tried(handle.cancel())
            if refusal is not None:
                orders.refuse(handle.pair, refusal)
        for handle in self._client.handles_with_positions(pair):
            await self._is_accepted(handle.pair, handle.close(), orders)
        if spot:
            for account in self._holdings.accounts:
                await self._sell_out(pair, account, orders)
        return orders

    async def _sell_out(self, pair: str | None, account: str, orders: TargetOrders) -> None:
        holdings, cash = self._holdings, self.worth.cash
        pairs = list(holdings.pairs.values()) if pair is None else [holdings.pair_of(pair)]
        terms, sold = Terms(account, None, None), {cash}
        for one in sorted(pairs, key=lambda pair: pair.quote.code != cash):
            rules, last = holdings.rules[one.code], holdings.last.get(one.code)
            if one.base.code in sold or not rules.spot_allowed or one.contract_size != ONE:
                continue
            size = one.round_volume(holdings.balance(one.base, account).available)
            if last is None or not is_enough(one, rules, size, last):
                continue
            sold.add(one.base.code)
            place = Place(one, rules, True, ONE, last, size)
            try:
                order = self._create(one.code, size.copy_negate(), place, terms)
            except OrderRejected as refusal:  # it is warming up
                orders.refuse(one.code, refusal)
                continue
            await self._is_accepted(one.code, order, orders)


class Gap(NamedTuple):
    """What is to be traded of a pair: signed, what reduces apart from what adds."""

    place: Place
    closed: Decimal
    opened: Decimal


def _account_of(handle: OrderHandle) -> Any:
    if isinstance(handle, CloseHandle):
        assert handle.entry is not None
        return next((part.account_id for part in handle.entry.parts.values()), None)
    live = handle.live
    return None if live is None else live.account_id


def _is_at_market(handle: OrderHandle) -> bool:
    live: Any = handle.live
    if live is None or live.limit_price is not None:
        return False
    return live.stop_price is None or handle.is_triggered


def _limit_of(handle: OrderHandle) -> Decimal | None:
    live: Any = handle.live
    return None if live is None else live.limit_price
