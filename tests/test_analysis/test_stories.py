"""The report of a run and the story of an order."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

import backtest
from backtest.analysis.explain.explain import UnknownOrder, explain
from backtest.analysis.explain.words import REASONS
from backtest.analysis.rereading import market_events
from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import read_run
from backtest.errors import RejectReason
from backtest.models import Bar, OrderStatus
from backtest.strategies import Strategy
from tests.effort import every
from tests.test_analysis.runs import busy_run, hourly, small_run


@pytest.fixture(scope="module")
def small() -> RunResult:
    return small_run()


@pytest.fixture(scope="module")
def busy() -> RunResult:
    return busy_run()


# -- the report ------------------------------------------------------------------------------------


def test_the_report_accounts_for_every_cent(small: RunResult) -> None:
    report = small.report()
    lines = [" ".join(line.split()) for line in report.splitlines()]
    assert "return +0.734 % (+7.34 USD)" in lines
    assert "max drawdown 4.1351 % (43.24 USD)" in lines
    assert "trades 3, 2 won (66.67 %), profit factor 2.02" in lines
    # 1000 - 204 + 115 + 95 + 2 - 0.54 - 0.12 = 1007.34
    assert lines[lines.index("Where the money went") + 1 :][:8] == [
        "USD",
        "paid in +1,000.00",
        "paid for buys -204.00",
        "received in exchange +210.00",
        "realised PnL of positions +2.00",
        "fill fees -0.54",
        "close fees -0.12",
        "= final balance +1,007.34",
    ]
    assert "main USD available 1,007.34 in reserve 0.00" in lines
    assert f"journal {small.journal_sha256}" in lines
    assert not [line for line in report.splitlines() if line != line.rstrip()]


def test_the_same_run_has_the_same_report() -> None:
    assert small_run().report() == small_run().report()


def test_a_report_tells_open_positions_and_refusals(busy: RunResult) -> None:
    report = busy.report()
    assert "Open positions" in report
    assert f"refused       {busy.summary['rejections']}:" in report
    assert "overnight" in report
    assert "'one' on a, b" in report


# -- the story -------------------------------------------------------------------------------------


def test_the_story_of_a_position(small: RunResult) -> None:
    order = next(one for one in small.orders if one.status is OrderStatus.CLOSED)
    story = small.explain(order.id)
    assert story.startswith(f"Order {order.id}\n  long 1 BTCUSD, market, leverage 2, by strategy")
    told = [line for line in story.splitlines() if line.startswith("2024-")]
    assert [line.split("  ")[0] for line in told] == [
        "2024-01-01 02:00",  # accepted
        "2024-01-01 03:00",  # filled
        "2024-01-01 03:00 to 2024-01-01 05:00",  # not liquidated
        "2024-01-01 04:00",  # asked to be closed
        "2024-01-01 05:00",  # closed
    ]
    assert [line.split("  ")[1].split()[0] for line in told] == [
        "ACCEPTED", "FILLED", "NO", "CLOSING", "CLOSED",
    ]  # fmt: skip
    # Margin 55 of leverage 2 is used up at 55, which the low of 90 is nearest to.
    assert told[2].endswith(
        "NO LIQUIDATION on 3 bars (trigger): the low was never at or below the liquidation price "
        "55.00; nearest 90.00 at 2024-01-01 05:00"
    )
    # Reserve 1 x 108 x 1.05 / 2 = 56.70 and fee 0.12 (0.1134); margin 110 / 2 = 55, fee 0.11.
    assert "RESERVE_MARGIN  USD  available -56.82  in reserve +56.82" in story
    assert "RETURN_MARGIN  USD  available +1.82  in reserve -1.82" in story
    assert "CLOSE_PNL      USD  available +2.00" in story
    assert "1 filled at 110.00 and closed at 112.00 (close), net PnL +1.77" in story
    assert "in all, the account received +1.77 USD" in story
    assert "of that, 0.23 USD were fees" in story


def test_an_event_names_its_message_and_what_led_to_it(small: RunResult) -> None:
    event = small.records.events[0]
    story = small.explain(small.orders[0].id)
    assert (
        f"by message {event.message} from strategy/small, which message {event.cause} led to"
        in story
    )
    assert 0 < event.cause < event.message


def test_every_id_of_a_chain_tells_its_story(busy: RunResult) -> None:
    chains: dict[object, list[object]] = {}
    for order in busy.orders:
        chains.setdefault(order.root_id, []).append(order.id)
    ids = max(chains.values(), key=len)
    assert len(ids) > 3
    told = {busy.explain(str(one)).split("\n\n", 1)[1] for one in ids}
    assert len(told) == 1
    assert str(ids[-1]) in busy.explain(str(ids[-1])).splitlines()[0]


def test_numbers_beginnings_and_closing_orders_are_taken(busy: RunResult) -> None:
    order = busy.orders[3]
    assert busy.explain(order.order_number).startswith(f"Order {order.id}")
    assert busy.explain(str(order.id)[:10]).startswith(f"Order {order.id}")
    assert busy.explain(f" {str(order.id).upper()} ").startswith(f"Order {order.id}")
    fill = next(one for one in busy.fills if one.closing_order_id is not None)
    assert busy.explain(str(fill.closing_order_id)).startswith(f"Order {fill.order_id}")


def test_an_unknown_id_is_said_to_be_unknown(busy: RunResult) -> None:
    for asked in ("00000000-0000-4000-8000-000000000000", "0", "abc", "", "zzzzzzzz"):
        with pytest.raises(UnknownOrder, match="there is no order"):
            busy.explain(asked)


def test_every_order_has_a_story_and_the_files_tell_the_same(
    busy: RunResult, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = read_run(busy.write(tmp_path_factory.mktemp("run") / "busy"))
    events, why = market_events(busy.sources, busy.inputs, busy.config)
    assert events is not None
    assert not why
    bars = list(events)
    for order in busy.orders[:: every(14)]:
        story = busy.explain(order.id)
        assert "At the end of the data" in story
        assert story == explain(files, str(order.id), bars)
        without = explain(files, str(order.id), None, "it is gone")
        assert "Why it did not fill on other bars is not told: it is gone" in without


def test_every_transaction_of_an_order_stands_in_its_story(busy: RunResult) -> None:
    roots = {order.id: order.root_id for order in busy.orders}
    entries: dict[object, list[int]] = {}
    for entry in busy.ledger.entries:
        if entry.order_id is not None and entry.legs:
            entries.setdefault(roots[entry.order_id], []).append(entry.number)
    for root in list(entries)[:: every(10)]:
        story = busy.explain(str(root))
        assert all(story.count(f"    entry {number}, ") == 1 for number in entries[root])


class Hopeful(Strategy):
    """Waits for a price that does not come, and asks for what cannot be."""

    async def on_bar(self, bar: Bar) -> None:
        if not self.open_orders():
            self.order = await self.buy("BTCUSD", 1, limit_price=80)
            self.done = await self.buy("BTCUSD", 1, limit_price=70)
            await self.done.cancel()
            try:
                await self.order.modify(limit_price=200, volume=2)
            except ValueError:
                pass
            try:
                await self.done.cancel()
            except ValueError:
                pass


def test_what_did_not_happen_has_a_reason() -> None:
    bars = hourly("BTCUSD", ("100", "110", "90", "105"), ("105", "110", "90", "95"))
    run = backtest.run(Hopeful(), data=bars, pair="BTCUSD", cash="150 USD")
    waiting, cancelled = run.orders
    story = run.explain(waiting.id)
    assert "1 still pending, for a price of 80.00 or less (the last price is 95.00)" in story
    assert "80.00 in reserve" in story
    assert "REJECTED 1 of order" in story
    assert "INSUFFICIENT_FUNDS" in story
    story = run.explain(cancelled.id)
    assert "CANCELLED 1 of order" in story
    assert "(REQUESTED: its owner asked for it)" in story
    # What was refused after the order was done is under its id as well.
    assert "ALREADY_DONE" in story
    assert D(run.tables.facts["balances"]["main"]["USD"]["unavailable"]) == 80


def test_every_reason_for_which_an_order_ends_has_words() -> None:
    only_refuse = {
        "UNKNOWN_PAIR", "UNKNOWN_ORDER", "NOT_YOURS", "INVALID_VOLUME", "INVALID_PRICE",
        "VOLUME_INCREMENT", "PRICE_INCREMENT", "MIN_VOLUME", "MIN_MARGIN", "DIRECTION_NOT_ALLOWED",
        "LEVERAGE", "NO_PRICE_YET", "MAX_OPEN_ORDERS", "PROTECTION_SIDE", "STALE",
        "NOTHING_TO_CHANGE", "NOT_SUPPORTED", "INVALID_ACTION", "WARMING_UP", "DUPLICATE_COMMAND",
        "VENUE_FAILED", "MARKET_CLOSED",
    }  # fmt: skip
    assert REASONS.keys() == {reason.name for reason in RejectReason} - only_refuse
