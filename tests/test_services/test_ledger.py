"""The ledger as a data structure: what it keeps, tells, and refuses, to the last field."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from backtest.errors import AccountError, InsufficientFunds, LedgerError, UnbalancedEntry
from backtest.models import TransactionType
from backtest.services.ledger.descriptions import describe
from backtest.services.ledger.entries import create_order, deposit
from backtest.services.ledger.ledger import (
    Entry,
    Ledger,
    Row,
    entry_uuid,
    journal_sha256,
    part_numbers,
    transaction_of,
)
from backtest.testing.audit.segments import malformed, segments
from tests.harness import D

ORDER, RUN, ACCOUNT = UUID(int=7), UUID(int=8), UUID(int=9)
KIND = TransactionType.ADJUSTMENT


def _leg(account: str, available: str, unavailable: str = "0", asset: str = "USD") -> Any:
    return (account, asset, KIND, Decimal(available), Decimal(unavailable))


def _post(ledger: Ledger, *legs: Any, time: int = 10) -> Any:
    return ledger.post(list(legs), time=time, order_id=ORDER, cause=3, why="a test")


def _ledger() -> Ledger:
    """``main`` with 100 USD, 40 of them in reserve."""
    ledger = Ledger(["main", "other"])
    ledger.post(deposit("main", "USD", D(100)), time=5, order_id=None, cause=0, why="opening")
    ledger.post(create_order("main", "USD", D(40)), time=6, order_id=ORDER, cause=2, why="buy")
    return ledger


class TestAccounts:
    def test_are_the_agents_in_order_and_the_house(self) -> None:
        house = ["market", "clearing", "fees", "insurance", "world"]
        assert Ledger().accounts == house
        assert Ledger(["b", "a"]).accounts == ["b", "a", *house]
        ledger = Ledger()
        ledger.open("late")
        assert ledger.accounts == ["late", *house]
        assert ledger.balance("late", "USD") == (D(0), D(0))

    def test_have_names_of_their_own(self) -> None:
        for name in ("main", "fees"):
            with pytest.raises(LedgerError, match=f"an account called '{name}' already"):
                _ledger().open(name)

    def test_nobody_knows(self) -> None:
        with pytest.raises(
            AccountError, match=r"no account 'ghost'; there are: market, .*main, other"
        ):
            _ledger().balance("ghost", "USD")


class TestPosting:
    def test_gives_the_balances_it_touched(self) -> None:
        ledger = _ledger()
        touched = _post(ledger, _leg("main", "-10"), _leg("other", "10"))
        assert touched == {("main", "USD"): (D(50), D(40)), ("other", "USD"): (D(10), D(0))}
        assert ledger.balance("main", "USD") == (D(50), D(40))
        assert ledger.balance("other", "USD") == (D(10), D(0))
        assert ledger.balance("other", "BTC") == (D(0), D(0))

    def test_keeps_the_entry_as_it_came(self) -> None:
        ledger = _ledger()
        legs = [_leg("main", "-10"), _leg("other", "10")]
        _post(ledger, *legs, time=11)
        assert ledger.entries[-1] == Entry(3, 4, 11, ORDER, 3, "a test", legs)
        assert (len(ledger.entries), ledger.transactions) == (3, 5)

    def test_one_leg_is_as_good_as_several(self) -> None:
        ledger = _ledger()
        assert _post(ledger, _leg("main", "40", "-40")) == {("main", "USD"): (D(100), D(0))}
        assert _post(ledger, _leg("main", "-100", "100")) == {("main", "USD"): (D(0), D(100))}
        assert ledger.balance("main", "USD") == (D(0), D(100))

    def test_two_legs_of_one_balance_add_up(self) -> None:
        ledger = _ledger()
        touched = _post(
            ledger, _leg("main", "-30", "30"), _leg("main", "-20", "20"), _leg("main", "5", "-5")
        )
        assert touched == {("main", "USD"): (D(15), D(85))}

    def test_what_is_short_in_between_is_not_short(self) -> None:
        ledger = _ledger()
        _post(
            ledger,
            _leg("main", "-70"),
            _leg("other", "70"),
            _leg("main", "30"),
            _leg("other", "-30"),
        )
        assert ledger.balance("main", "USD") == (D(20), D(40))

    def test_assets_are_apart(self) -> None:
        ledger = _ledger()
        _post(
            ledger,
            _leg("main", "-60"),
            _leg("market", "60"),
            _leg("main", "2", asset="BTC"),
            _leg("market", "-2", asset="BTC"),
        )
        assert ledger.balances()["main"] == {"USD": (D(0), D(40)), "BTC": (D(2), D(0))}
        assert ledger.balances()["market"] == {"USD": (D(60), D(0)), "BTC": (D(-2), D(0))}

    def test_the_house_may_go_below_zero_in_one_leg_and_in_several(self) -> None:
        ledger = _ledger()
        _post(ledger, _leg("fees", "-9"), _leg("main", "9"))
        _post(ledger, _leg("fees", "-1", "1"))
        _post(ledger, _leg("fees", "2", "-2"))
        assert ledger.balance("fees", "USD") == (D(-8), D(-1))

    def test_the_same_time_is_no_time_before(self) -> None:
        ledger = _ledger()
        _post(ledger, _leg("main", "-1", "1"), time=6)
        with pytest.raises(LedgerError, match=r"cannot be earlier \(5\) than the last \(6\)"):
            _post(ledger, _leg("main", "-1", "1"), time=5)
        assert len(ledger.entries) == 3

    def test_balances_are_a_copy(self) -> None:
        ledger = _ledger()
        ledger.balances()["main"]["USD"] = (D(0), D(0))
        ledger.balances().clear()
        assert ledger.balance("main", "USD") == (D(60), D(40))


class TestRefusals:
    """The ledger is afterwards as it was, and the error tells who lacks what."""

    @staticmethod
    def _refused(*legs: Any) -> Any:
        ledger = _ledger()
        before = (list(ledger.entries), ledger.balances(), ledger.transactions)
        with pytest.raises((LedgerError, AccountError)) as caught:
            _post(ledger, *legs)
        assert (ledger.entries, ledger.balances(), ledger.transactions) == before
        assert caught.value.__cause__ is None
        return caught.value

    @pytest.mark.parametrize(
        ("legs", "available", "needed", "words"),
        [
            # 60 free: 60.01 is one cent too much, by one leg or by two
            ([_leg("main", "-60.01", "60.01")], "60", "120.01", "60 USD available"),
            ([_leg("main", "-61"), _leg("market", "61")], "60", "121", "60 USD available"),
            # 40 in reserve
            ([_leg("main", "41", "-41")], "40", "41", "40 USD in reserve"),
            ([_leg("main", "0", "-50"), _leg("market", "50")], "40", "50", "40 USD in reserve"),
        ],
    )
    def test_of_what_is_not_there(
        self, legs: list[Any], available: str, needed: str, words: str
    ) -> None:
        error = self._refused(*legs)
        assert type(error) is InsufficientFunds
        assert (error.account, error.asset) == ("main", "USD")
        assert error.available == Decimal(available)
        assert words in str(error)

    def test_tells_how_much_would_be_needed(self) -> None:
        error = self._refused(_leg("main", "-61"), _leg("market", "61"))
        assert error.needed == 61
        error = self._refused(_leg("main", "0", "-50"), _leg("market", "50"))
        assert error.needed == 50
        error = self._refused(_leg("other", "-5", asset="BTC"), _leg("market", "5", asset="BTC"))
        assert (error.account, error.asset, error.available, error.needed) == ("other", "BTC", 0, 5)

    def test_nothing_available_is_enough_where_the_reserve_lacks(self) -> None:
        # 60 - 60 are there, 40 - 50 are not
        error = self._refused(_leg("main", "-60", "-50"), _leg("market", "110"))
        assert (error.available, error.needed) == (40, 50)
        assert "40 USD in reserve" in str(error)

    def test_of_what_is_just_there_is_none(self) -> None:
        ledger = _ledger()
        _post(ledger, _leg("main", "-60", "60"))
        _post(ledger, _leg("main", "0", "-100"), _leg("market", "100"))
        assert ledger.balance("main", "USD") == (D(0), D(0))

    def test_of_what_does_not_sum_to_zero(self) -> None:
        for legs in (
            [_leg("main", "-1", "2")],
            [_leg("main", "5", "5")],  # one leg that moves as much into both
            [_leg("main", "-1"), _leg("market", "1.01")],
            [_leg("main", "-1"), _leg("market", "1", asset="BTC")],
            [_leg("market", "1"), _leg("fees", "1"), _leg("world", "-1")],
        ):
            error = self._refused(*legs)
            assert type(error) is UnbalancedEntry
            assert "not to zero: a test" in str(error)
        assert "the legs in USD sum to 0.01," in str(
            self._refused(_leg("main", "-1"), _leg("market", "1.01"))
        )

    def test_of_an_account_that_nobody_opened(self) -> None:
        for legs in ([_leg("ghost", "-1", "1")], [_leg("main", "-1"), _leg("ghost", "1")]):
            error = self._refused(*legs)
            assert type(error) is AccountError
            assert "no account 'ghost'; nothing was posted" in str(error)

    def test_of_numbers_that_are_none(self) -> None:
        huge, tiny = "1E+50", "1E-50"
        for legs, words in (
            ([_leg("main", huge), _leg("main", tiny), _leg("world", "-1")], "too many digits"),
            ([_leg("main", f"-{tiny}", tiny), _leg("main", huge)], "too many digits"),
            ([_leg("main", "-1", "sNaN")], "infinite or not a number"),
            ([_leg("main", "Infinity"), _leg("main", "-Infinity")], "infinite or not a number"),
            ([_leg("main", "Infinity", "-Infinity")], "infinite or not a number"),
        ):
            assert words in str(self._refused(*legs))


class TestReading:
    def test_rows_are_flat_and_numbered(self) -> None:
        first, second, third = _ledger().rows()
        assert first == Row(5, 1, 1, "main", "USD", KIND, D(100), D(0), None, "Adjustment: opening")
        assert second == Row(
            5, 2, 1, "world", "USD", KIND, D(-100), D(0), None, "Adjustment: opening"
        )
        reserve = TransactionType.RESERVE_MARGIN
        assert third == Row(6, 3, 2, "main", "USD", reserve, D(-40), D(40), ORDER, "Reserve: buy")

    def test_folding_gives_the_balances(self) -> None:
        ledger = _ledger()
        assert ledger.fold() == ledger.balances()
        assert ledger.fold()["main"] == {"USD": (D(60), D(40))}
        assert ledger.fold()["world"] == {"USD": (D(-100), D(0))}

    def test_every_kind_has_words(self) -> None:
        said = {kind.name: describe(kind, "x") for kind in TransactionType}
        assert said == {
            "RESERVE_MARGIN": "Reserve: x",
            "RETURN_MARGIN": "Return of reserve or margin: x",
            "FEE_CREATE": "Create fee: x",
            "FEE_FILL": "Fill fee: x",
            "FEE_CLOSE": "Close fee: x",
            "FEE_CANCEL": "Cancel fee: x",
            "FEE_OVERNIGHT": "Overnight charge: x",
            "FILL_BUY": "Paid for a buy: x",
            "FILL_SELL": "Delivered for a sell: x",
            "CLOSE_PNL": "Realised PnL: x",
            "SPOT_EXCHANGE": "Received in exchange: x",
            "ADJUSTMENT": "Adjustment: x",
        }

    def test_a_row_as_a_transaction(self) -> None:
        row = list(_ledger().rows())[2]
        made = transaction_of(row, RUN, ACCOUNT)
        assert made.account_id == ACCOUNT
        assert made.backtest_run_id == RUN
        assert made.timestamp == datetime(1970, 1, 1, tzinfo=UTC)
        assert made.description == "Reserve: buy"
        assert (made.available_balance_change, made.unavailable_balance_change) == (D(-40), D(40))
        assert made.transaction_type is TransactionType.RESERVE_MARGIN
        assert made.order_id == ORDER
        assert made.asset_code == "USD"
        assert made.entry_id == entry_uuid(RUN, 2)
        assert made.sequence == 3
        assert made.transaction_id == _derived("transaction/3")

    def test_ids_are_uuids_of_version_4_that_follow_from_the_run(self) -> None:
        made = entry_uuid(RUN, 2)
        assert made == _derived("entry/2")
        assert (made.version, made.variant) == (4, "specified in RFC 4122")
        assert made.is_safe.name == "unknown"
        assert {entry_uuid(RUN, n) for n in range(64)} == {
            _derived(f"entry/{n}") for n in range(64)
        }
        assert entry_uuid(UUID(int=1), 2) != made

    def test_the_hash_is_of_one_line_a_transaction(self) -> None:
        at = "1970-01-01T00:00:00.00000000"
        lines = (
            f"|{at}5+00:00|main|USD|ADJUSTMENT|100|0\n"
            f"|{at}5+00:00|world|USD|ADJUSTMENT|-100|0\n"
            f"2.1|{at}6+00:00|main|USD|RESERVE_MARGIN|-40|40\n"
        )
        orders = [_Order(UUID(int=3), UUID(int=3)), _Order(UUID(int=7), UUID(int=7))]
        made = journal_sha256(_ledger().rows(), orders)
        assert made == hashlib.sha256(lines.encode()).hexdigest()
        assert journal_sha256([], []) == hashlib.sha256().hexdigest()

    def test_orders_are_numbered_by_branch_and_their_parts_within(self) -> None:
        a, b, c, d = (UUID(int=one) for one in range(4))
        assert part_numbers([(a, a), (b, b), (c, a), (d, b)]) == {
            a: "1.1",
            b: "2.1",
            c: "1.2",
            d: "2.2",
        }


class _Order(NamedTuple):
    id: UUID
    branch_id: UUID


def _derived(name: str) -> UUID:
    """As `entry_uuid` should make them, by the standard library's own way."""
    digest = hashlib.blake2b(name.encode(), key=RUN.bytes, digest_size=16).digest()
    return UUID(bytes=digest, version=4)


def test_the_legs_of_an_entry_of_several_orders_belong_to_their_own() -> None:
    """Two agents trade 2 for 20: the first three legs are the buyer's order's, the rest the
    seller's, and rows say so."""
    ledger = Ledger(["a", "b"])
    ledger.post(deposit("a", "USD", D(100)), time=1, order_id=None, cause=0, why="opening")
    ledger.post(deposit("b", "BTC", D(5)), time=1, order_id=None, cause=0, why="opening")
    other = UUID(int=9)
    legs = [
        ("a", "USD", TransactionType.FILL_BUY, D(-20), D(0)),
        ("a", "BTC", TransactionType.SPOT_EXCHANGE, D(2), D(0)),
        ("b", "BTC", TransactionType.FILL_SELL, D(-2), D(0)),
        ("b", "USD", TransactionType.SPOT_EXCHANGE, D(20), D(0)),
    ]
    ledger.post(legs, time=2, order_id=ORDER, cause=1, why="traded", parts=((2, other),))
    assert [row.order_id for row in ledger.rows()][4:] == [ORDER, ORDER, other, other]
    entry = ledger.entries[-1]
    assert list(entry.segments()) == [(ORDER, legs[:2]), (other, legs[2:])]
    assert list(entry.segments()) == list(segments(entry))  # as the oracle counts them
    # Where the first order has no legs of its own, there is only the other.
    assert list(entry._replace(parts=((0, other),)).segments()) == [(other, legs)]
    assert malformed(entry) == ""
    assert malformed(entry._replace(parts=((2, ORDER),))) == f"order {ORDER} has two parts"
    assert "begins at leg 5 of 4" in malformed(entry._replace(parts=((5, other),)))
    assert ledger.fold() == ledger.balances()
