"""Agents that have a volume to trade, and a schedule for it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from backtest.errors import FieldError
from backtest.models import Bar, Depth, Trade
from backtest.money import ONE, ZERO, add, decimal_of, div, mul, plain, sub
from backtest.strategies.handle import Number, OrderHandle
from backtest.times import SECOND, duration_ns

from .agent import Agent, Duration, seconds_of

__all__ = ["Execution", "LearntVwap", "Participation", "Twap", "Vwap"]


class Execution(Agent):
    """Buys (or sells) ``volume`` in all, at once: what the others of this module have in common.

    Beginning ``after`` so long, and at every look from then on (one each ``every``), `target` says
    how much should have been traded by now (here: all of it). It sends an order for what of that is
    neither traded nor pending; what an order did not get is part of the next. With
    ``passive=False`` orders are market orders. With ``passive=True`` they are limits at the own
    side's best price, whose rest is cancelled at the next look, until the schedule is over: then
    they take. It goes on until all is traded; `remaining` says what is left.
    """

    side: str = "buy"
    volume: Number = 100
    after: Duration = 0
    every: Duration = "60s"
    passive: bool = False

    def on_start(self) -> None:
        super().on_start()
        if self.side not in ("buy", "sell"):
            raise FieldError("side", f"must be 'buy' or 'sell', not {self.side!r}")
        self.is_buyer = self.side == "buy"
        self.whole = decimal_of(self.volume, "volume")
        if self.whole <= 0 or self.traded.round_volume(self.whole) != self.whole:
            raise FieldError(
                "volume",
                "must be a positive multiple of "
                f"{plain(self.traded.volume_increment)}, not {plain(self.whole)}",
            )
        self.between = seconds_of(self.every, "every")
        self.sent: list[OrderHandle] = []
        self.before = ZERO
        """What orders traded that are done."""
        wait = duration_ns(self.after, "after")
        self.began = self.now_ns + wait
        self.wake(wait / SECOND)

    # -- the schedule ------------------------------------------------------------------------------

    def target(self) -> Decimal:  # type: ignore[override]
        """How much of the whole should have been traded by now."""
        return self.whole

    def is_late(self) -> bool:
        """Whether the schedule is over: what is left takes."""
        return True

    def pause(self) -> float:
        """Seconds until the next look."""
        return self.between

    # -- what it does ------------------------------------------------------------------------------

    @property
    def executed(self) -> Decimal:
        """What it has traded."""
        done = self.before
        for handle in self.sent:
            done = add(done, handle.filled_volume)
        return done

    @property
    def remaining(self) -> Decimal:
        """What it has still to trade."""
        return sub(self.whole, self.executed)

    def on_timer(self, name: str) -> None:
        self.settle()
        if not self.remaining:
            return
        self.wake(self.pause())
        if self.passive:
            self.withdraw(*self.sent)
            self.look()
        else:
            self.send(None)

    def act(self, depth: Depth) -> None:
        # What was withdrawn is done by now; where its answer is still on the way it counts as
        # pending, and is part of the next order.
        self.settle()
        if self.is_late():
            self.send(None)
        else:
            own = depth.best_bid if self.is_buyer else depth.best_ask
            self.send(depth.last if own is None else own)

    def send(self, price: Decimal | None) -> None:
        """Send an order for what is due."""
        due = self.due()
        if due > 0:
            handle = self.place(self.is_buyer, due, price)
            if handle is not None:
                self.sent.append(handle)

    def settle(self) -> None:
        """Forget the orders that are done, but not what they traded."""
        pending = []
        for handle in self.sent:
            if handle.is_done:
                self.before = add(self.before, handle.filled_volume)
            else:
                pending.append(handle)
        self.sent = pending

    def due(self) -> Decimal:
        """What should have been traded by now and is neither traded nor pending."""
        target = min(self.target(), self.whole)
        if sub(self.whole, target) < self.traded.least_volume:
            target = self.whole  # what would be left could not be traded by itself
        due = sub(target, self.executed)
        for handle in self.sent:
            due = sub(due, handle.leaves)
        return due

    def share(self, part: int, of: int) -> Decimal:
        """``part``/``of`` of the whole, rounded down to the volume increment."""
        step = self.traded.volume_increment
        return mul(Decimal(int(div(self.whole, step)) * part // of), step)


class Twap(Execution):
    """Equal slices at equal times: the time-weighted average price.

    ``slices`` orders within ``duration``, the first at once (after ``after``). By the i-th of n
    slices i/n of the volume should be traded, rounded down to the volume increment: slices differ
    by one increment at most, and sum to the volume exactly. Other parameters are `Execution`'s and
    `Agent`'s.
    """

    duration: Duration = "1h"
    slices: int = 12

    def on_start(self) -> None:
        super().on_start()
        self.length = duration_ns(self.duration, "duration")
        self.divide(self.slices)

    def divide(self, parts: int) -> None:
        """Make so many slices."""
        if not 1 <= parts <= self.length // 1_000:
            raise FieldError("slices", f"must be at least 1, and last a microsecond, not {parts}")
        self.parts = parts

    def number(self) -> int:
        """How many slices are due by now."""
        # Timers are set to the microsecond: a slice that is due within one is due.
        passed = self.now_ns - self.began + 1_000
        return min(self.parts, passed * self.parts // self.length + 1)

    def target(self) -> Decimal:  # type: ignore[override]
        return self.share(self.number(), self.parts)

    def is_late(self) -> bool:
        return self.now_ns - self.began + 1_000 >= self.length

    def pause(self) -> float:
        if self.is_late():
            return self.between
        following = self.began + self.number() * self.length // self.parts
        return (following - self.now_ns) / SECOND


class Vwap(Twap):
    """Slices in proportion to what the market usually trades at their time: the volume-weighted
    average price (S. Berkowitz, D. Logue, E. Noser, "The Total Cost of Transactions", 1988).

    ``profile`` are the weights of equal parts of ``duration``, ``[3, 1, 2]``; each is a slice. By
    the i-th slice the volume should be traded in the proportion of the first i weights to all,
    rounded down to the volume increment. Other parameters are those of `Twap`.
    """

    profile: Sequence[Number] = ()

    def on_start(self) -> None:
        super().on_start()
        if self.profile:
            self.divide(len(self.profile))
            self.weigh([decimal_of(one, "profile") for one in self.profile])
        else:
            self.weigh([ONE] * self.parts)

    def weigh(self, weights: Sequence[Decimal]) -> None:
        """Take these as the weights of the slices."""
        if any(one < 0 for one in weights) or not any(weights):
            raise FieldError("profile", f"must not be negative, nor zero throughout, not {weights}")
        finest = min(int(one.as_tuple().exponent) for one in weights)
        self.weights = list(accumulate(int(one.scaleb(-finest)) for one in weights))
        """Whole numbers in the proportion of the weights, each added to those before it."""

    def target(self) -> Decimal:  # type: ignore[override]
        return self.share(self.weights[self.number() - 1], self.weights[-1])


class LearntVwap(Vwap):
    """A `Vwap` that learns its profile from the market before it begins.

    Until then it adds up what is traded in each of its ``slices`` slices, one ``period`` (or
    several) earlier: with ``period="1d"``, ``after="2d"`` and ``duration="1h"``, in the same hour
    of the two days before. Trades are counted where there are any, else the volumes of bars (at
    their close). Where it has seen nothing all slices are equal.
    """

    period: Duration = "1d"

    def on_start(self) -> None:
        super().on_start()
        self.subscribe(self.pair)
        self.period_ns = duration_ns(self.period, "period")
        if self.period_ns < self.length:
            raise FieldError("period", f"must not be shorter than duration, but is {self.period!r}")
        self.counts = [ZERO] * self.parts
        self.sees_trades = False

    def on_trade(self, trade: Trade) -> None:
        if not self.sees_trades:
            self.sees_trades = True
            self.counts = [ZERO] * self.parts
        self.count(trade.time_ns, trade.volume)

    def on_bar(self, bar: Bar) -> None:
        if not self.sees_trades:
            self.count(bar.close_ns - 1, bar.volume)

    def count(self, time_ns: int, volume: Decimal | None) -> None:
        """Count ``volume`` to the slice in which it would be one or more periods later."""
        if volume is None or time_ns >= self.began:
            return
        into = (time_ns - self.began) % self.period_ns
        number = into * self.parts // self.length
        if number < self.parts:
            self.counts[number] = add(self.counts[number], volume)

    def on_timer(self, name: str) -> None:
        if not self.sent and not self.before and any(self.counts):
            self.weigh(self.counts)
        super().on_timer(name)


class Participation(Execution):
    """Trades ``rate`` of what the market trades, until ``volume`` is done (percentage of volume).

    At each look, every ``every``, rate × the volume that the market has traded since it began
    should be traded, rounded down. It counts trades where there are any, else the volumes of bars.
    Where its own trades are on the tape, as on an exchange, they count as the market's: then it is
    ``rate`` of all volume, its own included. Other parameters are `Execution`'s and `Agent`'s.
    """

    rate: float = 0.1

    def on_start(self) -> None:
        if not 0 < self.rate <= 1:
            raise FieldError("rate", f"must be above 0 and at most 1, not {self.rate!r}")
        self.factor = Decimal(repr(float(self.rate)))
        self.seen = ZERO
        self.sees_trades = False
        super().on_start()
        self.subscribe(self.pair)

    def on_trade(self, trade: Trade) -> None:
        if not self.sees_trades:
            self.sees_trades, self.seen = True, ZERO
        self.count(trade.volume)

    def on_bar(self, bar: Bar) -> None:
        if not self.sees_trades and bar.open_ns >= self.began:
            self.count(bar.volume)

    def count(self, volume: Decimal | None) -> None:
        if volume is not None and self.now_ns >= self.began:
            self.seen = add(self.seen, volume)

    def target(self) -> Decimal:  # type: ignore[override]
        return min(self.whole, self.traded.round_volume(mul(self.factor, self.seen)))

    def is_late(self) -> bool:
        return False
