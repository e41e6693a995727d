"""Strategies that behave well, badly and randomly; what they can ask for, they ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import anyio

from backtest.actors import EventKind, OrderEvent
from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import (
    AccountError,
    FieldError,
    FieldTypeError,
    OrderRejected,
)
from backtest.models import ActionType, Bar, OrderDirection, Quote, Trade
from backtest.models._fast import derive

from .chance import draw_weighted
from .orders import Drawing
from .plan import AgentPlan

__all__ = ["Trader"]

D = Decimal
_REFUSALS = (OrderRejected, FieldError, FieldTypeError, AccountError)
_MANY = 25
"""With how many orders and positions an agent begins to tidy up."""

_COMMON = [("create", 12), ("cancel", 4), ("modify", 4), ("split", 2), ("close", 5)]
_HABITS: dict[str, list[tuple[str, int]]] = {
    "patient": [("wait", 6), *_COMMON],
    "wild": [*_COMMON, ("close_all", 1), ("action", 2)],
    "hasty": [("burst", 2), ("twice", 1), *_COMMON],
    "bad": [("nonsense", 6), ("dead", 3), ("foreign", 2), ("twice", 2), ("doze", 1), *_COMMON],
}


class Trader(Drawing):
    """An agent of the simulation: ``plan`` says what it is like, ``phase`` what time it is."""

    plan: AgentPlan
    phase: Callable[[], str]

    def on_start(self) -> None:
        if not hasattr(self, "handles"):
            self.keep_none()
            self.ids: dict[UUID, dict[UUID | None, bool]] = {}
            self.dead: list[UUID] = []
            self.wound_down: dict[str, int] = {}
            self.restarts = -1
        self.restarts += 1
        if self.random.random() < 0.3:
            self.set_timer("tick", every=self.step * 3 // 2 + 1)

    # -- what an oracle asks it --------------------------------------------------------------------

    def seen_balances(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """What it takes its balances for."""
        return self._client.holdings.balances

    def seen_positions(self) -> dict[str, dict[UUID, Any]]:
        """What it takes its positions for, by pair."""
        return self._client.holdings.positions

    # -- what it hears -----------------------------------------------------------------------------

    def on_order(self, event: OrderEvent) -> None:
        if event.branch_id is not None and event.branch:
            self._keep_book(event)
        if (
            self.phase() == "safety"
            and self.plan.style == "hasty"
            and event.kind is EventKind.FILLED
            and event.order is not None
            and self.random.random() < 0.2
        ):
            self._dropped(self.create(event.order.trading_pair_code))

    def _keep_book(self, event: OrderEvent) -> None:
        """Note what is live of every branch, also of those that its client does not know."""
        assert event.branch_id is not None
        mine = self.ids.setdefault(event.branch_id, {})
        mine[None] = event.pending is not None
        for order_id, order in event.positions:
            if order is None or not event.children:
                mine[order_id] = order is not None
        for _, child in event.children:
            self.ids.setdefault(child.branch_id, {})[child.id if child.is_filled else None] = True
        if not any(mine.values()):
            del self.ids[event.branch_id]
            self.dead = [*self.dead[-30:], event.branch_id]

    async def on_bar(self, bar: Bar) -> None:
        await self.hear(bar.pair)

    async def on_quote(self, quote: Quote) -> None:
        await self.hear(quote.pair)

    async def on_trade(self, trade: Trade) -> None:
        await self.hear(trade.pair)

    async def hear(self, pair: str) -> None:
        """The market of ``pair`` moved."""
        if self.phase() == "liveness":
            self.wind_down(pair)
            return
        if self.phase() == "doomed" and self.random.random() < 0.5:
            return
        chance = self.random
        habits = _HABITS[self.plan.style]
        if len(self.ids) + sum(map(len, self._client.holdings.positions.values())) > _MANY:
            # Enough is enough: what a bar costs grows with all that is pending and open.
            await self.once("close_all", pair)
            self.end_unknown()
            return
        for _ in range(chance.randrange(self.plan.eager + 10) // 10):
            await self.once(draw_weighted(chance, habits), pair)

    async def on_timer(self, name: str) -> None:
        if self.phase() != "liveness" and self.random.random() < 0.3:
            await self.once("create", self.random.choice(list(self.pairs)))

    async def run(self) -> None:
        """Beside the handlers: take one pair slowly, asleep between commands."""
        chance = self.random
        if chance.random() < 0.5:
            return
        pair = chance.choice(list(self.pairs))
        async for _ in self.bars(pair, conflate=chance.random() < 0.5):
            if self.phase() == "liveness":
                return
            if chance.random() < 0.2:
                await self.sleep(chance.randrange(1, 6 * self.step))
                if self.phase() != "liveness":
                    await self.once(draw_weighted(chance, _COMMON), pair)

    # -- what it does ------------------------------------------------------------------------------

    async def once(self, habit: str, pair: str) -> None:
        """One thing of its repertoire. Whatever is refused is refused: the oracle looks on."""
        try:
            if self.plan.wary:
                with anyio.move_on_after(self.step * self.random.choice([1, 8, 40]) / 8):
                    await getattr(self, f"do_{habit}")(pair)
            else:
                await getattr(self, f"do_{habit}")(pair)
        except _REFUSALS:
            pass

    async def do_create(self, pair: str) -> None:
        handle = self.create(pair)
        self._dropped(handle)
        if self.random.random() < 0.5:
            await handle

    async def do_wait(self, pair: str) -> None:
        """The textbook: order, wait, give up, cancel."""
        handle = await self.create(pair)
        self._dropped(handle)
        if not await handle.filled(timeout=self.step * self.random.choice([1, 5])) and handle.live:
            await handle.cancel()
        elif handle.parts and self.random.random() < 0.7:
            await handle.close()
            await handle.closed(timeout=5 * self.step)

    async def do_burst(self, pair: str) -> None:
        for _ in range(self.random.randrange(2, 25)):
            self._dropped(self.create(pair))

    async def do_cancel(self, pair: str) -> None:
        handle = self._any(pair)
        if handle is not None:
            part = None if self.random.random() < 0.6 else self._part(handle)
            await handle.cancel(part)

    async def do_modify(self, pair: str) -> None:
        handle = self._any(pair)
        if handle is None:
            return
        field = self.random.choice(
            ["volume", "limit_price", "stop_price", "stop_loss", "take_profit", "clear"]
        )
        if field == "clear":
            await handle.modify(clear=self.random.choice([["stop_loss"], ["take_profit"]]))
        elif field == "volume":
            whole = handle.volume * self.random.choice([1, 2, 3, 5]) / 4
            await handle.modify(volume=self.pair_of(handle.pair).round_volume(whole))
        else:
            price = self._price(handle.pair, 300)
            if price is not None:
                await handle.modify(**{field: price})

    async def do_split(self, pair: str) -> None:
        handle = self._any(pair)
        if handle is None:
            return
        whole = handle.leaves or handle.open_volume
        terms = self.pair_of(handle.pair)
        parts, left = [], whole
        for _ in range(self.random.randrange(1, 4)):
            part = terms.round_volume(left * self.random.choice([1, 2, 3]) / 5)
            parts.append(part)
            left -= part
        parts.append(left)
        prices = None
        if self.random.random() < 0.3:
            one = self._price(handle.pair, 100)
            prices = None if one is None else [one] * len(parts)
        self.handles += await handle.split(parts, prices)

    async def do_close(self, pair: str) -> None:
        open_ = [one for one in self.handles if getattr(one, "parts", None)]
        if not open_:
            return
        handle = self.random.choice(open_)
        price = self._price(handle.pair, 200) if self.random.random() < 0.3 else None
        volume = None if self.random.random() < 0.6 else self._part(handle)
        await handle.close(volume, price)

    async def do_close_all(self, pair: str) -> None:
        await self.close_all(pair if self.random.random() < 0.7 else None, spot=False)

    async def do_action(self, pair: str) -> None:
        """The same commands as values."""
        chance = self.random
        price, volume = self._price(pair, 100), self._volume(pair)
        direction = chance.choice(list(OrderDirection))
        if chance.random() < 0.5 or not (self.ids or self.dead):
            kind = chance.choice([one for one in ActionType if one.name.startswith("CREATE")])
            action = self.action(
                kind, pair, volume=volume, price=price, stop_price=price, direction=direction
            )
        else:
            kind = chance.choice([one for one in ActionType if not one.name.startswith("CREATE")])
            action = self.action(
                kind,
                pair,
                order_id=chance.choice([*self.ids, *self.dead]),
                volume=volume,
                price=price,
            )
        command = self.submit(action)
        if chance.random() < 0.7:
            await command

    # -- how it misbehaves -------------------------------------------------------------------------

    async def do_doze(self, pair: str) -> None:
        await self.sleep(self.step * self.random.choice([1, 7, 30]))

    async def do_nonsense(self, pair: str) -> None:
        """Numbers that are none, grids that are missed, pairs that do not exist."""
        chance = self.random
        volume = self._volume(pair)
        off = self.pair_of(pair).volume_increment / 3
        wrong: list[Callable[[], Awaitable[Any]]] = [
            lambda: self.buy(pair, Decimal("NaN")),
            lambda: self.buy(pair, 0.5),  # type: ignore[arg-type]
            lambda: self.sell(pair, "Infinity"),
            lambda: self.long(pair, -volume),
            lambda: self.short(pair, 0),
            lambda: self.long(pair, volume + off),
            lambda: self.buy(pair, volume, limit_price="0"),
            lambda: self.buy(pair, volume, limit_price=self.pair_of(pair).price_increment / 7),
            lambda: self.long(pair, volume, leverage="0.5"),
            lambda: self.long(pair, volume, leverage=10**6),
            lambda: self.short(pair, volume, stop_loss="0.00000001", take_profit=10**12),
            lambda: self.buy("NOPE", volume),
            lambda: self.buy(pair, volume * 10**20),
            lambda: self.sell(pair, volume, account="nobody"),
            lambda: self.long(pair, "1e400"),
        ]
        await chance.choice(wrong)()

    async def do_dead(self, pair: str) -> None:
        """Commands about what is not there any more, or never was."""
        chance = self.random
        ids = [one for one in (*self.ids, *self.dead) if chance.random() < 0.3] or [
            UUID(int=chance.getrandbits(120))
        ]
        verb = chance.choice(list(Verb))
        volume, price = self._volume(pair), self._price(pair, 100)
        number = self._host.commands = self._host.commands + 1
        given: dict[str, Any] = {}
        if verb is Verb.SPLIT:
            given["volumes"] = (volume, volume)
        elif verb is Verb.MODIFY:
            given["limit_price"] = price
        self._host.submit(
            Amend(
                number, verb, chance.choice(ids), None if chance.random() < 0.5 else volume, **given
            )
        )

    async def do_foreign(self, pair: str) -> None:
        """Orders on somebody else's account."""
        chance = self.random
        action = self.action(
            ActionType.CREATE_SPOT_MARKET,
            pair,
            volume=self._volume(pair),
            direction=OrderDirection.LONG,
        )
        stranger = UUID(int=100 + chance.randrange(8))
        if stranger not in self._client.holdings.accounts.values():
            self._host.submit(derive(action, account_id=stranger, command_id=0))

    async def do_twice(self, pair: str) -> None:
        """The same command, under the same number, twice."""
        number = self._host.commands = self._host.commands + 1
        ask = Create(
            number,
            self._client.holdings.default_account,
            pair,
            self.random.random() < 0.5,
            "market",
            OrderDirection.LONG,
            self._volume(pair),
            None,
            None,
        )
        self._host.submit(ask)
        self._host.submit(ask)

    # -- the end -----------------------------------------------------------------------------------

    def wind_down(self, pair: str) -> None:
        """Cancel what is pending, close what is open; again now and then, until nothing is left."""
        now, rest = self.now_ns, 12 * self.step * 10**9
        if now - self.wound_down.get(pair, 0) < rest:
            return  # a close needs time to be accepted and to meet an open
        self.wound_down[pair] = now
        for handle in self.open_orders(pair):
            self._end(handle.cancel)
        for handle in self._client.handles_with_positions(pair):
            self._end(handle.cancel)  # a pending close at a limit that is never reached
            self._end(handle.close)
        if now - self.wound_down.get("", 0) < 2 * rest:
            return
        self.wound_down[""] = now
        self.end_unknown()

    def end_unknown(self) -> None:
        """End what its client does not know: from before a restart, or sent behind its back."""
        known = {one.id for one in self.open_orders()}
        known |= {one.id for one in self._client.handles_with_positions(None)}
        for order_id in [one for one in self.ids if one not in known]:
            for verb in (Verb.CANCEL, Verb.CLOSE):
                self._host.commands += 1
                self._host.submit(Amend(self._host.commands, verb, order_id))

    def _end(self, command: Callable[[], Any]) -> None:
        """Send it, and do not wait: with latency, one after the other would take for ever."""
        with suppress(*_REFUSALS):
            command()
