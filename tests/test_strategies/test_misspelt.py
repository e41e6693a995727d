"""What is nearly a name of ours: an error, or a warning, that says which one was meant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import backtest
from backtest.errors import ConfigError, FieldTypeError
from backtest.markets import MarketRunner, run_market, run_market_async
from backtest.models import Bar
from backtest.runs.runner import BacktestRunner
from backtest.strategies import Strategy
from backtest.strategies.handlers import HANDLERS

from .playing import Story, logged, market, play


def warned(strategy: Strategy) -> list[str]:
    """What a run of ``strategy`` warns of; the same is in the notices of its result."""
    with logged() as logs:
        result = play(strategy, market(1, 2, 3))
    told = [one["told"] for one in logs if one["event"] == "strategy.odd"]
    assert [one for one in result.receipt["notices"] if "no handler" in one or "read" in one] == (
        told
    )
    return told


class TestHandlers:
    def test_a_class_of_none_but_misspelt_ones_is_refused(self) -> None:
        class Late(Strategy):
            def on_bars(self, bar: Bar) -> None:
                pass

        with pytest.raises(ConfigError) as raised:
            play(Late(), market(1, 2, 3))
        assert str(raised.value) == (
            "Late has no handler and would do nothing: "
            "Late.on_bars is no handler and is never called; did you mean on_bar?"
        )

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("next", "did you mean on_bar?"),
            ("on_Bar", "did you mean on_bar?"),
            ("onBar", "did you mean on_bar?"),
            ("handle_data", "did you mean on_bar?"),
            ("on_tick", "did you mean on_quote?"),
            ("notify_order", "did you mean on_order?"),
            ("on_fill", "did you mean on_order?"),
            ("on_timers", "did you mean on_timer?"),
            ("init", "did you mean on_start?"),
            ("on_end", "did you mean on_stop?"),
            ("on_whatever", f"those are: {', '.join(HANDLERS)}"),
        ],
    )
    def test_a_misspelt_one_beside_others_is_warned_of(self, name: str, meant: str) -> None:
        kind = type("Mixed", (Story,), {"on_start": _nothing, name: _nothing})
        told = warned(kind())
        assert told == [f"Mixed.{name} is no handler and is never called; {meant}"]

    def test_a_method_that_the_class_calls_is_no_riddle(self) -> None:
        class Own(Strategy):
            def on_bar(self, bar: Bar) -> None:
                self.on_fill()
                for act in (self.on_signal, getattr(self, "next")):  # noqa: B009
                    act()

            def on_fill(self) -> None: ...

            def on_signal(self) -> None: ...

            def next(self) -> None: ...

            def helper(self) -> None: ...

        assert warned(Own()) == []

    def test_what_a_base_of_the_users_calls_is_none_either(self) -> None:
        class Base(Strategy):
            def on_bar(self, bar: Bar) -> None:
                self.on_signal()

            def on_signal(self) -> None: ...

        class Mine(Base):
            def on_signal(self) -> None: ...

        assert warned(Mine()) == []

    def test_each_class_is_told_of_once(self) -> None:
        class Odd(Strategy):
            def on_bar(self, bar: Bar) -> None: ...

            def next(self) -> None: ...

        with logged() as logs:
            play({"a": Odd(), "b": Odd()}, market(1, 2))
        assert [one["event"] for one in logs] == ["strategy.odd"]

    def test_a_parameter_called_like_a_handler_is_refused(self) -> None:
        class Odd(Strategy):
            on_bar: int = 3  # type: ignore[assignment]

        with pytest.raises(ConfigError, match="on_bar"):
            play(Odd(), market(1, 2))

    def test_a_market_of_agents_looks_too(self) -> None:
        class Late(Strategy):
            def on_bars(self, bar: Bar) -> None: ...

        with pytest.raises(ConfigError, match="did you mean on_bar"):
            run_market("reference-day", Late(), cash="10000 USD", agents=10, until="09:31")


def _nothing(self: Any, *given: Any) -> None:
    """A handler, or what looks like one."""


def test_a_misspelt_option_is_warned_of() -> None:
    class Slow(Strategy):
        warm_up_bars = 50

        def on_bar(self, bar: Bar) -> None: ...

    assert warned(Slow()) == [
        "Slow.warm_up_bars is nothing that we read; did you mean warmup_bars?"
    ]


_TAKEN = (
    "it takes: pair, volume, risk, limit_price, stop_price, stop_loss, take_profit, trail, "
    "trail_percent, time_in_force, expires, post_only, oco, account"
)


class Asking(Story):
    """Sends one thing that is not spelt right."""

    ask: Any = None

    async def on_bar(self, bar: Bar) -> None:
        with pytest.raises(FieldTypeError) as raised:
            await self.ask(self)
        self.tell(str(raised.value))


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.buy("BTCUSD", 1, price=2), "price is no argument of buy(); %limit_price?"),
        (lambda s: s.sell("BTCUSD", 1, stop=2), "stop is no argument of sell(); %stop_price?"),
        (lambda s: s.long("BTCUSD", 1, sl=2), "sl is no argument of long(); %stop_loss?"),
        (lambda s: s.short("BTCUSD", 1, tp=2), "tp is no argument of short(); %take_profit?"),
        (lambda s: s.long("BTCUSD", 1, lever=2), "lever is no argument of long(); %leverage?"),
        (lambda s: s.long("BTCUSD", 1, levrage=2), "levrage is no argument of long(); %leverage?"),
        (lambda s: s.buy("BTCUSD", 1, leverage=2), f"leverage is no argument of buy(); {_TAKEN}"),
    ],
    ids=["buy", "sell", "long", "short", "else", "nearly", "nothing alike"],
)
def test_an_order_says_what_was_meant(ask: Callable[[Any], Any], said: str) -> None:
    story = Asking(ask=ask)
    play(story, market(100))
    assert story.told == [(1, said.replace("%", "did you mean "))]


def test_a_handle_says_what_was_meant() -> None:
    class Changing(Story):
        async def on_bar(self, bar: Bar) -> None:
            order = await self.buy("BTCUSD", 1, limit_price=50)
            with pytest.raises(FieldTypeError, match=r"^price .*modify\(\); .*limit_price\?$"):
                order.modify(price=51)  # type: ignore[arg-type]
            with pytest.raises(FieldTypeError, match=r"^price .*close\(\); .*limit_price\?$"):
                order.close(price=51)  # type: ignore[arg-type]
            self.tell(order.live.limit_price)  # type: ignore[union-attr]

    story = Changing()
    play(story, market(100))
    assert story.told == [(1, 50)]


class TestRun:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("commission", "did you mean rules?"),
            ("cahs", "did you mean cash?"),
            ("initial_cash", "did you mean cash?"),
            ("symbol", "did you mean pair?"),
            ("timeframe", "did you mean bar?"),
            ("sed", "did you mean seed?"),
        ],
    )
    def test_says_what_was_meant(self, name: str, meant: str) -> None:
        with pytest.raises(FieldTypeError) as raised:
            backtest.run(Story(), data=market(1), cash="1 USD", **{name: 1})  # type: ignore[arg-type]
        assert str(raised.value) == f"{name} is no argument of run(); {meant}"

    @pytest.mark.anyio
    async def test_so_does_run_async(self, anyio_backend: str) -> None:
        with pytest.raises(FieldTypeError, match=r"^sed is no argument of run\(\); .*seed\?$"):
            await backtest.run_async(Story(), data=market(1), cash="1 USD", sed=1)  # type: ignore[arg-type]

    def test_so_does_a_market(self) -> None:
        with pytest.raises(FieldTypeError, match=r"^agent is no argument .*agents\?$"):
            run_market("reference-day", agent=10)  # type: ignore[arg-type]

    def test_a_market_has_all_settings_in_its_signature_with_their_defaults(self) -> None:
        told = inspect.signature(run_market).parameters
        assert inspect.signature(run_market_async).parameters == told
        of_runner = inspect.signature(MarketRunner).parameters
        assert sorted(set(told) - {"unknown", "joining"}) == sorted(of_runner)
        assert all(told[name].default == one.default for name, one in of_runner.items())

    def test_has_all_settings_in_its_signature_with_their_defaults(self) -> None:
        told = inspect.signature(backtest.run).parameters
        assert inspect.signature(backtest.run_async).parameters == told
        of_runner = inspect.signature(BacktestRunner).parameters
        assert sorted(set(told) - {"unknown"}) == sorted(of_runner)
        for name, one in of_runner.items():
            if name not in ("accounts", "collateral", "insurance_fund"):  # None here: an empty one
                assert told[name].default == one.default, name


class TestHandlersThatCannotBeCalled:
    """Said before the run, with the file and the line of the handler."""

    @staticmethod
    def refused(strategy: Strategy) -> str:
        with pytest.raises(ConfigError) as raised:
            play(strategy, market(1, 2, 3))
        return str(raised.value)

    def test_a_missing_argument(self) -> None:
        class Short(Strategy):
            def on_bar(self) -> None:  # type: ignore[override]
                pass

        line = Short.on_bar.__code__.co_firstlineno
        assert self.refused(Short()) == (
            "Short.on_bar is called with bar, and takes (self) -> 'None': write "
            f"'def on_bar(self, bar)' (test_misspelt.py line {line})"
        )

    def test_one_too_many(self) -> None:
        class Long(Strategy):
            async def on_start(self, market: Any) -> None:  # type: ignore[override]
                pass

        assert "is called with nothing, and takes (self, market" in self.refused(Long())
        assert "write 'async def on_start(self)' (test_misspelt.py line " in self.refused(Long())

    @pytest.mark.parametrize("how", ["plain run", "yield"])
    def test_no_coroutine(self, how: str) -> None:
        class Plain(Strategy):
            def run(self) -> None:  # type: ignore[override]
                pass

        class Yielding(Strategy):
            def on_bar(self, bar: Bar) -> Any:
                yield bar

        refused = self.refused(Plain() if how == "plain run" else Yielding())
        line = (Plain.run if how == "plain run" else Yielding.on_bar).__code__.co_firstlineno
        assert refused.endswith(f" (test_misspelt.py line {line})")

    def test_those_that_can_be_called_are_let_be(self) -> None:
        called: list[Any] = []

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def wrapper(self: Any, *given: Any) -> None:
                called.append(given)
                function(self)

            return wrapper

        class Odd(Strategy):
            @staticmethod
            def on_start() -> None:
                called.append("start")

            @counted
            def on_bar(self, *_: Any, **__: Any) -> None:
                pass

            @classmethod
            def on_stop(cls, more: int = 1) -> None:
                called.append(cls)

        play(Odd(), market(1, 2))
        assert called[0] == "start"
        assert [type(one) for one in called[1:3]] == [tuple, tuple]
        assert called[3] is Odd


class TestMissingArguments:
    @pytest.mark.parametrize(
        ("call", "told"),
        [
            (lambda one: one.buy(quantity=1), "quantity is no argument of buy(); did you mean vol"),
            (lambda one: one.sell("BTCUSD"), "volume is missing in sell(): self.sell(volume)"),
            (lambda one: one.short(size=1), "size is no argument of short(); did you mean volume?"),
            (
                lambda one: list(one.bars()),
                "pair is missing in bars(): async for one in self.bars(pair)",
            ),
            (
                lambda one: list(one.bars("BTCUSD")),
                "what comes over time is taken by 'async for', in a coroutine: neither by 'for' ",
            ),
        ],
    )
    def test_say_what_was_meant(self, call: Callable[[Any], Any], told: str) -> None:
        class Calling(Strategy):
            def on_bar(self, bar: Bar) -> None:
                call(self)

        with pytest.raises(TypeError) as raised:
            play(Calling(), market(1, 2, 3))
        assert str(raised.value).startswith(told)

    def test_bars_are_not_awaited(self) -> None:
        class Awaiting(Strategy):
            async def run(self) -> None:
                await self.bars("BTCUSD")  # type: ignore[misc]

        with pytest.raises(TypeError, match="taken by 'async for'"):
            play(Awaiting(), market(1, 2, 3))
