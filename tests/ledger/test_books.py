"""The ledger against a model of a few lines: whatever is asked, both say the same."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from hypothesis.stateful import (
    run_state_machine_as_test as run_machine,
)

from common.errors import DomainError
from common.invariants import find_breaks
from ledger import operations, queries
from ledger.models import Account, Asset, Claim, Hold, Journal
from ledger.operations import AccountKey, Capture, Entry, HoldRequest, Leg
from users.models import User

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ASSETS = ("USD", "AAPLx")
AMOUNTS = st.one_of(st.integers(1, 12), st.integers(1, 10**12))
OUTSIDE = "external"


class Refused(Exception):
    """The model's own refusal, by the name of the ledger's."""


class Model:
    """Who owns what, in four dictionaries."""

    def __init__(self) -> None:
        self.posted: Counter[int] = Counter()
        self.overdraft: set[int] = set()
        self.holds: dict[int, tuple[int, int]] = {}  # hold: (account, remaining)
        self.journals: dict[str, tuple[int, list[Leg]]] = {}
        self.reversed: dict[int, str] = {}  # original journal: key of its reversal
        self.claims: dict[int, tuple[int, int]] = {}  # account: (hold, owed)

    def held(self, account: int) -> int:
        return sum(remaining for of, remaining in self.holds.values() if of == account)

    def change(self, moves: list[Leg], takes: list[tuple[int, int]]) -> None:
        """Apply hold changes, then transfers; all or nothing."""
        before = self.posted.copy(), self.holds.copy()
        for hold, delta in takes:
            account, remaining = self.holds[hold]
            self.holds[hold] = account, remaining + delta
        for leg in moves:
            self.posted[leg.debit] -= leg.amount
            self.posted[leg.credit] += leg.amount
        refusal = self.broken({hold for hold, _ in takes})
        if refusal:
            self.posted, self.holds = before
            raise Refused(refusal)
        self.take_claims()

    def take_claims(self) -> None:
        """Set aside what is available for what is owed."""
        for account, (hold, owed) in self.claims.items():
            missing = owed - self.holds[hold][1]
            took = max(0, min(missing, self.posted[account] - self.held(account)))
            self.holds[hold] = account, self.holds[hold][1] + took

    def reduce_claim(self, account: int, units: int) -> None:
        hold, owed = self.claims[account]
        if units > owed:
            raise Refused("ClaimExceeded")
        self.claims[account] = hold, owed - units
        self.holds[hold] = account, min(self.holds[hold][1], owed - units)

    def broken(self, holds: set[int]) -> str | None:
        if any(self.holds[hold][1] < 0 for hold in holds):
            return "HoldExceeded"
        for account, posted in self.posted.items():
            if account not in self.overdraft and posted < self.held(account):
                return "InsufficientFunds"
        return None

    def can_hold(self, requests: list[HoldRequest]) -> None:
        asked: Counter[int] = Counter()
        for request in requests:
            asked[request.account] += request.amount
        for account in asked.keys() - self.overdraft:
            if self.posted[account] - self.held(account) < asked[account]:
                raise Refused("InsufficientFunds")

    def post(self, entries: list[Entry]) -> list[Entry]:
        """Give the entries that were new."""
        fresh = {e.key: e for e in reversed(entries) if e.key not in self.journals}
        takes = [(c.hold, -c.amount) for e in fresh.values() for c in e.captures]
        self.change([leg for e in fresh.values() for leg in e.legs], takes)
        return list(fresh.values())


class Books(RuleBasedStateMachine):
    """Any order of the verbs, with amounts that fit and amounts that do not."""

    accounts = Bundle("accounts")
    holds = Bundle("holds")
    journals = Bundle("journals")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.keys = 0
        self.assets: dict[int, int] = {}
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.usd, self.token = (
            Asset.objects.get_or_create(
                code=code, defaults={"scale": 6, "kind": "fiat" if code == "USD" else "token"}
            )[0].pk
            for code in ASSETS
        )

    def teardown(self) -> None:
        connection.check_constraints()  # those that a commit would have checked
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def fresh_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def agree(self, act: Any, expect: Any) -> tuple[Any, Any]:
        """Do it in both; a refusal must be the same by name, and leave no trace."""
        refused = None
        try:
            expected = expect()
        except Refused as refusal:
            refused = str(refusal)
        if refused is None:
            return act(), expected
        with pytest.raises(DomainError) as actual:
            act()
        assert actual.value.code == refused
        return None, None

    def another(self, data: Any, account: int) -> int:
        """Pick an account to exchange with: another one of the same asset."""
        fit = [a for a, asset in self.assets.items() if asset == self.assets[account]]
        return data.draw(st.sampled_from([a for a in fit if a != account]), label="another")

    # Opening

    @initialize(target=accounts, amount=AMOUNTS)
    def open_the_first(self, amount: int) -> Any:
        """Open the outside and a customer who has something."""
        outside = self.open_one("external", None)
        self.model.overdraft |= set(outside)
        owner = User.objects.create_user("first@demo.test").pk
        customers = self.open_one("customer", owner)
        for debit, credit in zip(outside, customers, strict=True):
            self.post([Entry(self.fresh_key(), "test", [Leg(debit, credit, amount)])])
        return multiple(*outside, *customers)

    @rule(target=accounts, role=st.sampled_from(["customer", "liquidity", "rewards"]))
    def open_accounts(self, role: str) -> Any:
        owner = None
        if role == "customer":
            owner = User.objects.create_user(f"{self.fresh_key()}@demo.test").pk
        known = set(self.assets)
        return multiple(*(i for i in self.open_one(role, owner) if i not in known))

    def open_one(self, role: str, owner: int | None) -> list[int]:
        keys = [AccountKey(owner, asset, role) for asset in (self.usd, self.token)]
        ids = operations.open_accounts(keys=keys)
        assert operations.open_accounts(keys=keys[::-1]) == ids[::-1]
        self.assets |= {i: key.asset_id for i, key in zip(ids, keys, strict=True)}
        for i in ids:
            self.model.posted[i] += 0
        return ids

    # Posting

    def post(self, entries: list[Entry]) -> list[int]:
        ids, fresh = self.agree(
            lambda: operations.post(entries=entries, occurred_at=NOW),
            lambda: self.model.post(entries),
        )
        if ids is None:
            return []
        by_key = dict(zip([e.key for e in entries], ids, strict=True))
        for entry in fresh:
            self.model.journals[entry.key] = by_key[entry.key], list(entry.legs)
        for entry in entries:
            assert by_key[entry.key] == self.model.journals[entry.key][0]
        return [by_key[entry.key] for entry in fresh]

    @rule(target=journals, data=st.data(), debit=accounts, amount=AMOUNTS)
    def transfer(self, data: Any, debit: int, amount: int) -> Any:
        leg = Leg(debit, self.another(data, debit), amount)
        return multiple(*self.post([Entry(self.fresh_key(), "test", [leg])]))

    @rule(
        target=journals,
        data=st.data(),
        sides=st.lists(st.tuples(accounts, AMOUNTS), min_size=1, max_size=6),
        sizes=st.lists(st.integers(1, 3), min_size=6, max_size=6),
        repeat=st.booleans(),
    )
    def batch(
        self, data: Any, sides: list[tuple[int, int]], sizes: list[int], *, repeat: bool
    ) -> Any:
        """Post several events of several legs at once, one of them perhaps twice."""
        legs = [Leg(debit, self.another(data, debit), amount) for debit, amount in sides]
        entries = []
        for size in sizes:
            if legs:
                entries.append(Entry(self.fresh_key(), "test", legs[:size]))
                legs = legs[size:]
        return multiple(*self.post(entries + entries[:1] * repeat))

    @precondition(lambda self: self.model.journals)
    @rule(data=st.data(), debit=accounts)
    def post_a_known_key_again(self, data: Any, debit: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.journals)))
        self.post([Entry(key, "test", [Leg(debit, self.another(data, debit), 10**15)])])

    # Holds

    @rule(target=holds, asked=st.lists(st.tuples(accounts, AMOUNTS), min_size=1, max_size=3))
    def hold(self, asked: list[tuple[int, int]]) -> Any:
        requests = [HoldRequest(account, amount, "order") for account, amount in asked]
        ids, _ = self.agree(
            lambda: operations.hold(requests=requests), lambda: self.model.can_hold(requests)
        )
        self.model.holds |= dict(zip(ids or [], asked, strict=ids is not None))
        return multiple(*(ids or []))

    @rule(changes=st.lists(st.tuples(holds, AMOUNTS), min_size=1, max_size=3))
    def increase(self, changes: list[tuple[int, int]]) -> None:
        self.agree(
            lambda: operations.increase(increases=changes),
            lambda: self.model.change([], changes),
        )

    @rule(changes=st.lists(st.tuples(holds, AMOUNTS), min_size=1, max_size=3))
    def release(self, changes: list[tuple[int, int]]) -> None:
        self.agree(
            lambda: operations.release(releases=changes),
            lambda: self.model.change([], [(hold, -amount) for hold, amount in changes]),
        )

    @rule(hold=holds)
    def release_the_rest(self, hold: int) -> None:
        if remaining := self.model.holds[hold][1]:
            self.agree(
                lambda: operations.release(releases=[(hold, remaining)]),
                lambda: self.model.change([], [(hold, -remaining)]),
            )

    @rule(
        target=journals,
        data=st.data(),
        hold=holds,
        too_much=st.sampled_from([0, 0, 1]),
        more=st.integers(0, 3),
    )
    def capture(self, data: Any, hold: int, too_much: int, more: int) -> Any:
        """Pay from a hold, perhaps with some free money on top."""
        account, remaining = self.model.holds[hold]
        amount = data.draw(st.integers(1, remaining)) if remaining else 1
        amount = remaining + 1 if too_much else amount
        legs = [Leg(account, self.another(data, account), amount + more)]
        entry = Entry(self.fresh_key(), "test", legs, [Capture(hold, amount)])
        return multiple(*self.post([entry]))

    @rule(hold=holds, debit=accounts, credit=accounts, amount=st.integers(-(10**12), 0))
    def ask_for_what_is_not_positive(self, hold: int, debit: int, credit: int, amount: int) -> None:
        entry = Entry("never", "test", [Leg(debit, credit, amount)])
        for act in (
            lambda: operations.post(entries=[entry], occurred_at=NOW),
            lambda: operations.hold(requests=[HoldRequest(debit, amount, "never")]),
            lambda: operations.increase(increases=[(hold, amount)]),
            lambda: operations.release(releases=[(hold, amount)]),
        ):
            with pytest.raises(ValueError, match="positive"):
                act()

    # Claims

    @rule(account=accounts, units=AMOUNTS)
    def claim(self, account: int, units: int) -> None:
        if account in self.model.overdraft:
            return
        operations.claim(account_id=account, units=units, purpose="debt")
        hold = Claim.objects.get(account_id=account).hold_id
        self.model.holds.setdefault(hold, (account, 0))
        _, owed = self.model.claims.get(account, (hold, 0))
        self.model.claims[account] = hold, owed + units
        self.model.take_claims()

    @precondition(lambda self: self.model.claims)
    @rule(data=st.data(), units=AMOUNTS)
    def waive(self, data: Any, units: int) -> None:
        account = data.draw(st.sampled_from(sorted(self.model.claims)))
        self.agree(
            lambda: operations.reduce_claim(account_id=account, units=units),
            lambda: self.model.reduce_claim(account, units),
        )

    @precondition(lambda self: self.model.claims)
    @rule(target=journals, data=st.data())
    def pay_what_is_owed(self, data: Any) -> Any:
        account = data.draw(st.sampled_from(sorted(self.model.claims)))
        hold = self.model.claims[account][0]
        if not (units := self.model.holds[hold][1]):
            return multiple()
        legs = [Leg(account, self.another(data, account), units)]
        paid = self.post([Entry(self.fresh_key(), "test", legs, [Capture(hold, units)])])
        operations.reduce_claim(account_id=account, units=units)
        self.model.reduce_claim(account, units)
        return multiple(*paid)

    # Reversing

    @rule(target=journals, journal=journals)
    def reverse(self, journal: int) -> Any:
        return multiple(*self.reverse_by(self.fresh_key(), journal))

    @precondition(lambda self: self.model.reversed)
    @rule(data=st.data(), same_key=st.booleans())
    def reverse_again(self, data: Any, *, same_key: bool) -> None:
        journal = data.draw(st.sampled_from(sorted(self.model.reversed)))
        self.reverse_by(self.model.reversed[journal] if same_key else self.fresh_key(), journal)

    def reverse_by(self, key: str, journal: int) -> list[int]:
        legs = next(legs for number, legs in self.model.journals.values() if number == journal)
        mirrored = [Leg(leg.credit, leg.debit, leg.amount) for leg in legs]

        def expect() -> None:
            if self.model.reversed.get(journal, key) != key:
                raise Refused("AlreadyReversed")
            self.model.post([Entry(key, "test", mirrored)])

        number, _ = self.agree(
            lambda: operations.reverse(
                journal_id=journal, key=key, kind="test", occurred_at=NOW, actor=None
            ),
            expect,
        )
        if number is None:
            return []
        self.model.journals[key] = number, mirrored
        return [number] if self.model.reversed.setdefault(journal, key) == key else []

    # What is always so

    @invariant()
    def the_books_are_the_models(self) -> None:
        rows = Account.objects.filter(pk__in=self.assets).values_list("id", "posted", "held")
        assert {row[0]: row[1:] for row in rows} == {
            account: (self.model.posted[account], self.model.held(account))
            for account in self.assets
        }
        remaining = dict(Hold.objects.values_list("id", "remaining"))
        assert remaining == {hold: left for hold, (_, left) in self.model.holds.items()}
        keys = dict(Journal.objects.values_list("key", "id"))
        assert keys == {key: number for key, (number, _) in self.model.journals.items()}
        owed = dict(Claim.objects.values_list("account_id", "owed"))
        assert owed == {account: units for account, (_, units) in self.model.claims.items()}

    @invariant()
    def every_asset_sums_to_zero(self) -> None:
        sums: Counter[int] = Counter()
        for account, posted in Account.objects.values_list("id", "posted"):
            sums[self.assets[account]] += posted
        assert not any(sums.values())

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        assert list(find_breaks(queries.CHECKS)) == []


@pytest.mark.django_db(transaction=True)
def test_the_books_do_what_the_model_does() -> None:
    run_machine(Books, settings=settings(max_examples=20, stateful_step_count=30))
