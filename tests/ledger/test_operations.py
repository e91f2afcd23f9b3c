from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from common import clock
from common.money import ceil_units, floor_units
from ledger import operations, queries
from ledger.models import Account, Asset, Claim, Hold, Journal, Transfer
from ledger.operations import AccountKey, Capture, Entry, HoldRequest, Leg
from users.models import User

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def usd(db: None) -> Asset:
    return Asset.objects.get_or_create(code="USD", defaults={"scale": 6, "kind": "fiat"})[0]


@pytest.fixture
def outside(usd: Asset) -> int:
    return operations.open_accounts(keys=[AccountKey(None, usd.pk, "external")])[0]


@pytest.fixture
def alice(usd: Asset) -> int:
    return open_customer("alice@demo.test", usd)


@pytest.fixture
def bob(usd: Asset) -> int:
    return open_customer("bob@demo.test", usd)


def open_customer(email: str, asset: Asset) -> int:
    user = User.objects.create_user(email)
    return operations.open_accounts(keys=[AccountKey(user.pk, asset.pk, "customer")])[0]


def move(debit: int, credit: int, amount: int, key: str = "one") -> int:
    entry = Entry(key, "test", [Leg(debit, credit, amount)])
    return operations.post(entries=[entry], occurred_at=NOW)[0]


def state(account: int) -> tuple[int, int]:
    row = Account.objects.get(pk=account)
    return row.posted, row.held


class TestOpenAccounts:
    def test_opens_each_account_once_and_answers_in_order(self, usd: Asset) -> None:
        keys = [AccountKey(None, usd.pk, role) for role in ("fees", "external", "fees")]
        first = operations.open_accounts(keys=keys)
        assert first[0] == first[2] != first[1]
        assert operations.open_accounts(keys=keys[::-1]) == first[::-1]

    def test_only_the_outside_the_issuer_and_fees_may_overdraw(self, usd: Asset) -> None:
        roles = [r for r in Account.Role.values if r != "customer"]
        operations.open_accounts(keys=[AccountKey(None, usd.pk, role) for role in roles])
        overdrawing = Account.objects.filter(overdraft=True).values_list("role", flat=True)
        assert set(overdrawing) == {"external", "issuer", "fees"}

    def test_opens_nothing_for_nobody(self, db: None) -> None:
        assert operations.open_accounts(keys=[]) == []

    def test_opens_them_in_one_order_so_that_nobody_waits_in_a_circle(self, usd: Asset) -> None:
        bob, alice = (User.objects.create_user(f"{name}@demo.test") for name in ("bob", "alice"))
        keys = [
            AccountKey(alice.pk, usd.pk, "customer"),
            AccountKey(bob.pk, usd.pk, "customer"),
            AccountKey(None, usd.pk, "fees"),
            AccountKey(None, usd.pk, "external"),
        ]
        ids = operations.open_accounts(keys=keys)
        assert sorted(ids) == [ids[3], ids[2], ids[1], ids[0]]  # the house, then by customer


class TestRegisterAssets:
    def test_gives_the_ids_of_these_and_leaves_the_known_as_they_are(self, usd: Asset) -> None:
        first = operations.register_assets(assets=[("ONEx", 8, "equity"), ("TWOx", 8, "equity")])
        again = operations.register_assets(assets=[("ONEx", 2, "fiat"), ("USD", 2, "equity")])
        assert again == {"ONEx": first["ONEx"], "USD": usd.pk}
        one = Asset.objects.get(code="ONEx")
        assert (one.pk, one.scale, one.kind) == (first["ONEx"], 8, "equity")


class TestLockOwnAccounts:
    def test_opens_the_missing_and_gives_balances_in_the_order_asked(
        self, usd: Asset, outside: int, alice: int
    ) -> None:
        move(outside, alice, 10)
        operations.hold(requests=[HoldRequest(alice, 4, "a")])
        operations.register_assets(assets=[("ONEx", 8, "equity"), ("TWOx", 8, "equity")])
        owner = Account.objects.get(pk=alice).owner
        assert owner is not None
        one, dollars = operations.lock_own_accounts(owner=owner, codes=["ONEx", "USD"])
        opened = Account.objects.get(owner=owner, asset__code="ONEx", role="customer")
        assert one == queries.Balance(opened.pk, owner.pk, opened.asset_id, 0, 0, overdraft=False)
        assert dollars == queries.Balance(alice, owner.pk, usd.pk, 10, 4, overdraft=False)
        assert not Account.objects.filter(asset__code="TWOx").exists()


class TestPost:
    @pytest.mark.parametrize("amount", [0, -1])
    def test_refuses_amounts_that_are_not_positive(
        self, outside: int, alice: int, amount: int
    ) -> None:
        move(outside, alice, 5)
        [hold] = operations.hold(requests=[HoldRequest(alice, 4, "a")])
        with pytest.raises(ValueError, match="positive"):
            move(alice, outside, amount, key="two")
        legs, captures = [Leg(alice, outside, 1)], [Capture(hold, amount)]
        with pytest.raises(ValueError, match="positive"):
            operations.post(entries=[Entry("two", "test", legs, captures)], occurred_at=NOW)

    def test_moves_an_amount_and_sums_to_zero(self, outside: int, alice: int) -> None:
        move(outside, alice, 5_000_000)
        assert state(alice) == (5_000_000, 0)
        assert state(outside) == (-5_000_000, 0)

    def test_the_same_key_again_changes_nothing(self, outside: int, alice: int) -> None:
        assert move(outside, alice, 5) == move(outside, alice, 5)
        assert state(alice) == (5, 0)
        assert Transfer.objects.count() == 1

    def test_a_batch_posts_the_fresh_and_skips_the_known(self, outside: int, alice: int) -> None:
        known = move(outside, alice, 5, key="a")
        entries = [Entry(k, "test", [Leg(outside, alice, 7)]) for k in ("a", "b")]
        journals = operations.post(entries=entries, occurred_at=NOW)
        assert journals[0] == known
        assert journals[1] == Journal.objects.get(key="b").pk
        assert state(alice) == (12, 0)

    def test_refuses_what_the_account_does_not_have(
        self, outside: int, alice: int, bob: int
    ) -> None:
        move(outside, alice, 5)
        with pytest.raises(operations.InsufficientFunds):
            move(alice, bob, 6, key="two")
        assert state(alice) == (5, 0)
        assert not Journal.objects.filter(key="two").exists()

    def test_refuses_what_is_held(self, outside: int, alice: int, bob: int) -> None:
        move(outside, alice, 5)
        operations.hold(requests=[HoldRequest(alice, 3, "order")])
        with pytest.raises(operations.InsufficientFunds):
            move(alice, bob, 3, key="two")

    def test_captures_a_hold_with_the_journal(self, outside: int, alice: int, bob: int) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 8, "order")])
        entry = Entry("buy", "test", [Leg(alice, bob, 6)], [Capture(hold, 6)])
        operations.post(entries=[entry], occurred_at=NOW)
        assert state(alice) == (4, 2)
        assert queries.hold_remaining(hold) == 2

    def test_refuses_to_capture_more_than_is_held(self, outside: int, alice: int, bob: int) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 5, "order")])
        entry = Entry("buy", "test", [Leg(alice, bob, 6)], [Capture(hold, 6)])
        with pytest.raises(operations.HoldExceeded):
            operations.post(entries=[entry], occurred_at=NOW)
        assert state(alice) == (10, 5)

    def test_a_key_that_stands_twice_in_a_batch_is_posted_once(
        self, outside: int, alice: int
    ) -> None:
        twice = [Entry("a", "test", [Leg(outside, alice, amount)]) for amount in (5, 7)]
        first, second = operations.post(entries=twice, occurred_at=NOW)
        assert first == second
        assert state(alice) == (5, 0)

    def test_posts_nothing_for_nothing(self, db: None) -> None:
        assert operations.post(entries=[], occurred_at=NOW) == []

    def test_never_loses_a_leg_of_an_unknown_account(self, outside: int, alice: int) -> None:
        for debit, credit in ((alice + 1, alice), (alice, alice + 1)):
            entry = Entry("lost", "test", [Leg(outside, alice, 5), Leg(debit, credit, 1)])
            with pytest.raises(Account.DoesNotExist):
                operations.post(entries=[entry], occurred_at=NOW)
        assert state(alice) == (0, 0)

    def test_refuses_a_journal_without_transfers(self, db: None) -> None:
        with pytest.raises(ValueError, match="moves nothing"):
            operations.post(entries=[Entry("empty", "test", [])], occurred_at=NOW)
        assert not Journal.objects.exists()

    def test_refuses_a_capture_that_its_legs_do_not_pay(
        self, outside: int, alice: int, bob: int
    ) -> None:
        move(outside, alice, 10)
        move(outside, bob, 10, key="two")
        [hold] = operations.hold(requests=[HoldRequest(alice, 8, "order")])
        for legs in ([Leg(bob, alice, 8)], [Leg(alice, bob, 7)]):
            entry = Entry("unpaid", "test", legs, [Capture(hold, 5), Capture(hold, 3)])
            with pytest.raises(ValueError, match="captures more than it debits"):
                operations.post(entries=[entry], occurred_at=NOW)
        assert state(alice) == (10, 8)

    def test_writes_journals_and_legs_in_the_order_given(
        self, outside: int, alice: int, bob: int
    ) -> None:
        entries = [
            Entry(key, "test", [Leg(outside, bob, 1), Leg(alice, bob, 2), Leg(outside, alice, 3)])
            for key in ("b", "a", "c")
        ]
        journals = operations.post(entries=entries, occurred_at=NOW)
        assert journals == sorted(journals)
        amounts = Transfer.objects.order_by("id").values_list("amount", flat=True)
        assert list(amounts) == [1, 2, 3] * 3

    def test_a_refusal_leaves_the_callers_transaction_usable(
        self, outside: int, alice: int, bob: int
    ) -> None:
        with transaction.atomic():
            move(outside, alice, 5)
            with pytest.raises(operations.InsufficientFunds):
                move(alice, bob, 6, key="two")
            move(alice, bob, 4, key="three")
        assert (state(alice), state(bob)) == ((1, 0), (4, 0))

    def test_costs_the_same_queries_for_one_and_for_many(
        self, outside: int, alice: int, django_assert_num_queries: Any
    ) -> None:
        def post(prefix: str, count: int) -> None:
            entries = [
                Entry(f"{prefix}{n}", "test", [Leg(outside, alice, 1)]) for n in range(count)
            ]
            operations.post(entries=entries, occurred_at=NOW)

        with django_assert_num_queries(5):  # savepoint, lock, journals, transfers, savepoint
            post("few", 1)
        with django_assert_num_queries(5):
            post("many", 200)


class TestHold:
    def test_sets_aside_and_gives_back(self, outside: int, alice: int) -> None:
        move(outside, alice, 10)
        first, second = operations.hold(
            requests=[HoldRequest(alice, 4, "a"), HoldRequest(alice, 6, "b")]
        )
        assert [queries.hold_remaining(h) for h in (first, second)] == [4, 6]
        operations.release(releases=[(second, 5)])
        assert state(alice) == (10, 5)
        operations.increase(increases=[(first, 2)])
        assert Hold.objects.get(pk=first).remaining == 6

    def test_all_or_none(self, outside: int, alice: int) -> None:
        move(outside, alice, 10)
        with pytest.raises(operations.InsufficientFunds):
            operations.hold(requests=[HoldRequest(alice, 4, "a"), HoldRequest(alice, 7, "b")])
        assert state(alice) == (10, 0)
        assert not Hold.objects.exists()

    def test_never_gives_back_more_than_it_has(self, outside: int, alice: int) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 4, "a")])
        with pytest.raises(operations.HoldExceeded):
            operations.release(releases=[(hold, 5)])

    def test_refuses_amounts_that_are_not_positive(self, outside: int, alice: int) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 4, "a")])
        for amount in (0, -1):
            with pytest.raises(ValueError, match="positive"):
                operations.hold(requests=[HoldRequest(alice, amount, "b")])
            with pytest.raises(ValueError, match="positive"):
                operations.increase(increases=[(hold, amount)])
            with pytest.raises(ValueError, match="positive"):
                operations.release(releases=[(hold, amount)])
        assert state(alice) == (10, 4)

    def test_refuses_what_does_not_exist(self, alice: int) -> None:
        with pytest.raises(Account.DoesNotExist):
            operations.hold(requests=[HoldRequest(alice + 1, 4, "a")])
        with pytest.raises(Hold.DoesNotExist):
            operations.release(releases=[(1, 4)])

    def test_locks_the_accounts_before_it_writes(self, outside: int, alice: int) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 4, "a")])
        for change in (
            lambda: operations.increase(increases=[(hold, 1)]),
            lambda: operations.release(releases=[(hold, 1)]),
        ):
            said: list[str] = []

            def hear(execute: Any, sql: str, *args: Any, said: list[str] = said) -> Any:
                said.append("lock" if "ledger_lock_accounts" in sql else sql.split(maxsplit=1)[0])
                return execute(sql, *args)

            with connection.execute_wrapper(hear):
                change()
            assert said.index("lock") < said.index("INSERT")

    def test_does_nothing_for_nothing(self, db: None) -> None:
        assert operations.hold(requests=[]) == []
        assert operations.increase(increases=[]) == []
        assert operations.release(releases=[]) == []


class TestUncountable:
    def test_names_a_sum_that_no_account_can_hold(self, outside: int, alice: int) -> None:
        most = 2**63 - 1
        move(outside, alice, most)
        with pytest.raises(operations.Uncountable):
            move(outside, alice, 1, key="two")
        assert state(alice) == (most, 0)


class TestReverse:
    def test_mirrors_the_journal_once(self, outside: int, alice: int) -> None:
        journal = move(outside, alice, 10)
        reversal = operations.reverse(
            journal_id=journal, key="r", kind="test", occurred_at=NOW, actor=None
        )
        assert state(alice) == (0, 0)
        again = operations.reverse(
            journal_id=journal, key="r", kind="test", occurred_at=NOW, actor=None
        )
        assert again == reversal
        with pytest.raises(operations.AlreadyReversed):
            operations.reverse(
                journal_id=journal, key="other", kind="test", occurred_at=NOW, actor=None
            )

    def test_refuses_when_the_money_is_gone(self, outside: int, alice: int, bob: int) -> None:
        journal = move(outside, alice, 10)
        move(alice, bob, 1, key="spent")
        with pytest.raises(operations.InsufficientFunds):
            operations.reverse(
                journal_id=journal, key="r", kind="test", occurred_at=NOW, actor=None
            )


class TestTheExampleOfTheDocs:
    """docs/ledger.md tells this story; these are its numbers."""

    def test_bob_buys_about_25_dollars_of_apple(
        self, usd: Asset, outside: int, alice: int, bob: int
    ) -> None:
        apple = Asset.objects.get_or_create(code="AAPLx", defaults={"scale": 8, "kind": "token"})[0]
        owners = [Account.objects.get(pk=account).owner_id for account in (alice, bob)]
        issuer, alices, bobs, fees = operations.open_accounts(
            keys=[
                AccountKey(None, apple.pk, "issuer"),
                *(AccountKey(owner, apple.pk, "customer") for owner in owners),
                AccountKey(None, usd.pk, "fees"),
            ]
        )
        move(outside, bob, 100_000_000, key="deposit")
        move(issuer, alices, 8_976_660, key="issue")
        requests = [HoldRequest(bob, 25_235_187, "buy"), HoldRequest(alices, 8_976_660, "sell")]
        buy, sell = operations.hold(requests=requests)
        assert Account.objects.get(pk=bob).available == 74_764_813
        legs = [Leg(alices, bobs, 8_976_660), Leg(bob, alice, 24_999_998), Leg(bob, fees, 99_999)]
        captures = [Capture(buy, 25_099_997), Capture(sell, 8_976_660)]
        operations.post(entries=[Entry("trade", "test", legs, captures)], occurred_at=NOW)
        operations.release(releases=[(buy, 135_190)])
        assert (state(bob), state(bobs)) == ((74_900_003, 0), (8_976_660, 0))
        assert (state(alice), state(alices)) == ((24_999_998, 0), (0, 0))
        cost = Decimal("278.50") * 8_976_660 / 10**8
        assert floor_units(cost, usd) == 24_999_998
        assert ceil_units(280 * Decimal("0.08976660") * Decimal("1.004"), usd) == 25_235_187
        assert floor_units(Decimal("24.999998") * Decimal("0.004"), usd) == 99_999


class TestAnnouncing:
    """Customers hear of their balances once these are true, and only then."""

    @pytest.fixture
    def heard(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, dict[str, Any]]]:
        events: list[tuple[int, str, dict[str, Any]]] = []
        monkeypatch.setattr(operations.realtime, "send_private", events.extend)
        return events

    def test_tells_each_customer_after_the_commit(
        self,
        outside: int,
        alice: int,
        bob: int,
        heard: list[Any],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        before = clock.now()
        with django_capture_on_commit_callbacks(execute=True):
            move(outside, alice, 5_000_000)
            operations.hold(requests=[HoldRequest(alice, 1_500_000, "order")])
            move(alice, bob, 500_000, key="two")
            assert heard == []
        last = {owner: event for owner, channel, event in heard if channel == "balances"}
        owner = Account.objects.get(pk=alice).owner_id
        assert set(last) == {owner, Account.objects.get(pk=bob).owner_id}
        as_of = datetime.fromisoformat(last[owner].pop("as_of"))
        assert last[owner] == {
            "asset": "USD",
            "total": "4.500000",
            "held": "1.500000",
            "available": "3.000000",
        }
        assert before <= as_of <= clock.now()

    @pytest.mark.parametrize("change", ["open", "covered", "increase", "release"])
    def test_tells_of_every_change_of_a_hold(
        self,
        outside: int,
        alice: int,
        heard: list[Any],
        django_capture_on_commit_callbacks: Any,
        change: str,
    ) -> None:
        move(outside, alice, 5_000_000)
        request = HoldRequest(alice, 1_000_000, "order")
        [hold] = operations.hold(requests=[request])
        with django_capture_on_commit_callbacks(execute=True):
            match change:
                case "open":
                    operations.hold(requests=[request])
                case "covered":
                    operations.hold_covered(requests=[request])
                case "increase":
                    operations.increase(increases=[(hold, 1_000_000)])
                case "release":
                    operations.release(releases=[(hold, 1_000_000)])
        [(_, _, event)] = [told for told in heard if told[1] == "balances"]
        assert event["held"] == {"release": "0.000000"}.get(change, "2.000000")

    def test_the_time_is_that_of_before_reading(
        self, outside: int, alice: int, heard: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two commits may send in the wrong order; the later `as_of` then has the newer balance."""
        reads: list[str] = []

        def reading(execute: Any, sql: str, *args: Any) -> Any:
            reads.append("read")
            return execute(sql, *args)

        def now() -> datetime:
            reads.append("clock")
            return NOW

        monkeypatch.setattr(clock, "now", now)
        with connection.execute_wrapper(reading):
            operations._send_balances([alice])
        assert reads == ["clock", "read"]

    def test_says_nothing_of_what_was_refused(
        self,
        outside: int,
        alice: int,
        bob: int,
        heard: list[Any],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        with (
            django_capture_on_commit_callbacks(execute=True),
            pytest.raises(operations.InsufficientFunds),
        ):
            move(alice, bob, 6)
        assert heard == []


class TestClaim:
    """What an account owes is set aside from whatever becomes available there."""

    def owe(self, account: int, units: int) -> int:
        operations.claim(account_id=account, units=units, purpose="debt")
        return Claim.objects.get(account=account).hold_id

    def test_takes_what_is_there_and_what_comes_up_to_what_is_owed(
        self, outside: int, alice: int, bob: int
    ) -> None:
        move(outside, alice, 10, "first")
        hold = self.owe(alice, 25)
        assert state(alice) == (10, 10)
        move(outside, alice, 14, "second")
        assert state(alice) == (24, 24)
        entries = [Entry(key, "test", [Leg(outside, alice, 1)]) for key in ("third", "fourth")]
        operations.post(entries=entries, occurred_at=NOW)
        assert state(alice) == (26, 25)
        assert queries.hold_remaining(hold) == 25
        move(outside, bob, 5, "of another")
        assert state(bob) == (5, 0)

    def test_leaves_nothing_to_pay_or_to_set_aside(
        self, outside: int, alice: int, bob: int
    ) -> None:
        self.owe(alice, 25)
        move(outside, alice, 20, "first")
        with pytest.raises(operations.InsufficientFunds):
            move(alice, bob, 1, "second")
        with pytest.raises(operations.InsufficientFunds):
            operations.hold(requests=[HoldRequest(alice, 1, "order")])

    def test_takes_what_is_released_and_not_what_is_captured(
        self, outside: int, alice: int, bob: int
    ) -> None:
        move(outside, alice, 30, "first")
        [order] = operations.hold(requests=[HoldRequest(alice, 30, "order")])
        hold = self.owe(alice, 25)
        legs, captures = [Leg(alice, bob, 12)], [Capture(order, 12)]
        operations.post(entries=[Entry("pay", "test", legs, captures)], occurred_at=NOW)
        assert (state(alice), queries.hold_remaining(hold)) == ((18, 18), 0)
        operations.release(releases=[(order, 18)])
        assert (state(alice), queries.hold_remaining(hold)) == ((18, 18), 18)

    def test_grows_by_each_debt_and_keeps_one_hold(self, outside: int, alice: int) -> None:
        assert self.owe(alice, 5) == self.owe(alice, 7)
        move(outside, alice, 20)
        assert state(alice) == (20, 12)

    def test_is_paid_from_its_hold(self, outside: int, alice: int, bob: int) -> None:
        hold = self.owe(alice, 25)
        move(outside, alice, 20)
        entry = Entry("pay", "test", [Leg(alice, bob, 20)], [Capture(hold, 20)])
        operations.post(entries=[entry], occurred_at=NOW)
        operations.reduce_claim(account_id=alice, units=20)
        move(outside, alice, 20, "more")
        assert state(alice) == (20, 5)

    def test_that_is_waived_gives_back_what_was_set_aside_beyond_it(
        self, outside: int, alice: int
    ) -> None:
        self.owe(alice, 25)
        move(outside, alice, 20)
        for units, held in ((4, 20), (1, 20), (1, 19), (2, 17)):
            operations.reduce_claim(account_id=alice, units=units)
            assert state(alice) == (20, held)
        with pytest.raises(operations.ClaimExceeded):
            operations.reduce_claim(account_id=alice, units=18)
        operations.reduce_claim(account_id=alice, units=17)
        assert state(alice) == (20, 0)

    def test_is_announced_with_the_balance(
        self, outside: int, alice: int, monkeypatch: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        told: list[list[int]] = []
        monkeypatch.setattr(operations, "_send_balances", told.append)
        move(outside, alice, 50)
        for act in (
            lambda: operations.claim(account_id=alice, units=25, purpose="debt"),
            lambda: operations.reduce_claim(account_id=alice, units=25),
            lambda: operations.take_claims(account_ids=[alice]),
        ):
            told.clear()
            with django_capture_on_commit_callbacks(execute=True):
                act()
            assert [alice] in told

    def test_may_wait_within_a_transaction(self, outside: int, alice: int) -> None:
        self.owe(alice, 25)
        operations.let_claims_wait()
        move(outside, alice, 20)
        operations.hold(requests=[HoldRequest(alice, 15, "order")])
        operations.take_claims(account_ids=[alice])
        assert state(alice) == (20, 20)
        move(outside, alice, 30, "more")
        assert state(alice) == (50, 40)

    def test_is_of_something(self, alice: int) -> None:
        for units in (0, -1):
            with pytest.raises(ValueError, match="positive"):
                operations.claim(account_id=alice, units=units, purpose="debt")
            with pytest.raises(ValueError, match="positive"):
                operations.reduce_claim(account_id=alice, units=units)


class TestTheAppsRole:
    """The role that the app connects as can insert and read, and nothing else."""

    def refused(self, statement: str) -> str:
        with pytest.raises(DatabaseError) as refusal, transaction.atomic():
            connection.cursor().execute(statement)
        return str(refusal.value)

    @pytest.mark.parametrize(
        "table",
        ["asset", "account", "journal", "transfer", "hold", "holdentry", "claim", "claimentry"],
    )
    def test_may_not_update_delete_or_truncate(self, usd: Asset, table: str) -> None:
        for statement in (
            f"UPDATE ledger_{table} SET id = id",
            f"DELETE FROM ledger_{table}",
            f"TRUNCATE ledger_{table} CASCADE",
        ):
            assert "permission denied" in self.refused(statement)

    def test_may_not_plant_a_balance(self, usd: Asset, alice: int) -> None:
        assert "permission denied" in self.refused(
            "INSERT INTO ledger_account (asset_id, role, posted)"
            f" VALUES ({usd.pk}, 'rewards', 1000000)"
        )
        assert "permission denied" in self.refused(
            f"INSERT INTO ledger_hold (account_id, purpose, remaining) VALUES ({alice}, 'x', 5)"
        )

    def test_may_not_move_between_assets(self, usd: Asset, outside: int) -> None:
        euro = Asset.objects.create(code="EUR", scale=6, kind="fiat")
        [other] = operations.open_accounts(keys=[AccountKey(None, euro.pk, "external")])
        journal = move(outside, open_customer("carol@demo.test", usd), 1)
        for asset in (usd, euro):
            assert "holds_asset" in self.refused(
                "INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)"
                f" VALUES ({journal}, {asset.pk}, {outside}, {other}, 5)"
            )

    def test_may_not_move_nothing_or_to_itself(self, usd: Asset, outside: int, alice: int) -> None:
        for debit, credit, amount in ((outside, alice, 0), (outside, alice, -5), (alice, alice, 5)):
            assert "violates check constraint" in self.refused(
                "INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)"
                f" VALUES (1, {usd.pk}, {debit}, {credit}, {amount})"
            )

    def test_may_not_write_an_entry_of_another_account(
        self, outside: int, alice: int, bob: int
    ) -> None:
        move(outside, alice, 10)
        [hold] = operations.hold(requests=[HoldRequest(alice, 5, "order")])
        assert "hold_entry_of_its_account" in self.refused(
            f"INSERT INTO ledger_holdentry (hold_id, account_id, delta) VALUES ({hold}, {bob}, -5)"
        )

    def test_may_not_disable_the_triggers_or_become_the_owner(self, usd: Asset) -> None:
        assert "must be owner" in self.refused("ALTER TABLE ledger_transfer DISABLE TRIGGER USER")
        assert "permission denied" in self.refused("SET session_replication_role = replica")
        assert "permission denied" in self.refused("SET ROLE krakapp_owner")
        assert "permission denied" in self.refused(
            "CREATE FUNCTION public.ledger_account() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
