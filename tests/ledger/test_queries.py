"""What can be asked of the books; and every promise of theirs, broken on purpose and found."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from common import invariants
from ledger import operations, queries
from ledger.models import Account, Asset, Journal
from ledger.operations import AccountKey, Capture, Entry, HoldRequest, Leg
from tests import arms
from users.models import User

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Books:
    """Alice had 100, paid 30 of a hold of 40 to Bob, and got 5 back by a reversal."""

    def __init__(self) -> None:
        self.usd = self.asset("USD", "fiat")
        self.token = self.asset("AAPLx", "token")
        self.people = [User.objects.create_user(f"{n}@demo.test") for n in ("alice", "bob")]
        self.outside = self.open(None, self.usd, "external")
        self.fees = self.open(None, self.usd, "fees")
        self.alice, self.bob = (self.open(p.pk, self.usd, "customer") for p in self.people)
        self.tokens = self.open(self.people[0].pk, self.token, "customer")
        self.issuer = self.open(None, self.token, "issuer")
        self.post("deposit", [Leg(self.outside, self.alice, 100)])
        [self.hold] = operations.hold(requests=[HoldRequest(self.alice, 40, "order")])
        legs = [Leg(self.alice, self.bob, 30), Leg(self.issuer, self.tokens, 7)]
        self.trade = self.post("trade", legs, [Capture(self.hold, 30)])
        self.wrong = self.post("wrong", [Leg(self.alice, self.bob, 5)])
        self.reversal = operations.reverse(
            journal_id=self.wrong, key="right", kind="test", occurred_at=NOW, actor=None
        )

    def asset(self, code: str, kind: str) -> Asset:
        return Asset.objects.get_or_create(code=code, defaults={"scale": 6, "kind": kind})[0]

    def open(self, owner: int | None, asset: Asset, role: str) -> int:
        return operations.open_accounts(keys=[AccountKey(owner, asset.pk, role)])[0]

    def post(self, key: str, legs: list[Leg], captures: list[Capture] | None = None) -> int:
        entry = Entry(key, "test", legs, captures or [])
        return operations.post(entries=[entry], occurred_at=NOW)[0]


@pytest.fixture
def books(db: None) -> Books:
    return Books()


class TestQuestions:
    def test_balances_are_those_that_are_not_empty(self, books: Books) -> None:
        alice, bob = books.people
        books.open(bob.pk, books.token, "customer")
        assert [
            (a.asset.code, a.posted, a.held, a.available) for a in queries.balances_of(alice)
        ] == [("USD", 70, 10, 60), ("AAPLx", 7, 0, 7)]
        assert [(a.asset.code, a.posted) for a in queries.balances_of(bob)] == [("USD", 30)]

    def test_balances_cost_one_query(self, books: Books, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1):
            [a.asset.code for a in queries.balances_of(books.people[0])]

    def test_movements_are_the_customers_own_newest_first(self, books: Books) -> None:
        alice, bob = books.people
        assert [j.key for j in queries.movements_of(alice)] == [
            "right",
            "wrong",
            "trade",
            "deposit",
        ]
        assert [j.key for j in queries.movements_of(bob)] == ["right", "wrong", "trade"]

    def test_moves_say_what_a_journal_brought_and_took(self, books: Books) -> None:
        alice, bob = books.people
        trade = [queries.movements_of(bob).get(key="trade").pk]
        assert [(m.key, m.asset, m.units) for m in queries.moves_in(bob, trade)] == [
            ("trade", books.usd, 30)
        ]
        assert [(m.asset.code, m.units) for m in queries.moves_in(alice, trade)] == [
            ("USD", -30),
            ("AAPLx", 7),
        ]

    def test_moves_are_net_and_begin_with_the_time(self, books: Books) -> None:
        alice = books.people[0]
        later = NOW + timedelta(hours=1)
        legs = [Leg(books.outside, books.alice, 5), Leg(books.alice, books.outside, 2)]
        operations.post(entries=[Entry("net", "test", legs)], occurred_at=later)
        legs = [Leg(books.outside, books.alice, 5), Leg(books.alice, books.outside, 5)]
        operations.post(entries=[Entry("nothing", "test", legs)], occurred_at=later)
        assert [(m.at, m.key, m.units) for m in queries.moves_since(alice, later)] == [
            (later, "net", 3)
        ]
        assert {m.key for m in queries.moves_since(alice, NOW)} > {"net", "trade"}

    def test_moves_cost_the_same_for_few_and_for_many(
        self, books: Books, django_assert_num_queries: Any
    ) -> None:
        alice = books.people[0]
        entries = [Entry(f"n{n}", "test", [Leg(books.outside, books.alice, 1)]) for n in range(50)]
        operations.post(entries=entries, occurred_at=NOW)
        with django_assert_num_queries(2):
            found = queries.moves_in(alice, [j.pk for j in Journal.objects.all()])
            assert sum(move.key.startswith("n") for move in found) == 50

    def test_movements_are_found_by_index(self, books: Books) -> None:
        """A condition over joined accounts would make PostgreSQL read every transfer there is."""
        question = str(queries.movements_of(books.people[0]).query)
        assert "ledger_transfer" in question
        assert "JOIN" not in question

    def test_movements_of_a_stranger_are_none(self, books: Books) -> None:
        assert not queries.movements_of(User.objects.create_user("eve@demo.test")).exists()

    def test_finds_accounts(self, books: Books) -> None:
        assert queries.house_account("fees", books.usd) == books.fees
        assert queries.house_account("fees", books.token) is None
        alice = books.people[0]
        found = queries.account_id(owner_id=alice.pk, asset_id=books.usd.pk, role="customer")
        assert found == books.alice
        read = queries.accounts([books.alice, books.tokens])
        assert {i: a.asset.code for i, a in read.items()} == {
            books.alice: "USD",
            books.tokens: "AAPLx",
        }
        assert queries.asset("USD") == queries.usd() == books.usd

    def test_knows_its_journals_and_holds(self, books: Books) -> None:
        assert queries.journal_exists("trade")
        assert not queries.journal_exists("trades")
        assert queries.hold_remaining(books.hold) == 10
        hold = Account.objects.get(pk=books.alice).holds.get()
        entries = queries.entries_of(hold)
        assert [(e.delta, e.journal and e.journal.key) for e in entries] == [
            (40, None),
            (-30, "trade"),
        ]


def journal(key: str, reverses: int | str = "NULL") -> str:
    return (
        "INSERT INTO ledger_journal (uid, key, kind, occurred_at, reverses_id)"
        f" VALUES (uuidv7(), '{key}', 'test', now(), {reverses});"
    )


def transfer(b: Books, debit: int, credit: int, amount: int, *, by: int | str = "") -> str:
    return (
        "INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)"
        f" VALUES ({by or b.trade}, {b.usd.pk}, {debit}, {credit}, {amount});"
    )


def entry(b: Books, account: int, delta: int) -> str:
    return (
        "INSERT INTO ledger_holdentry (hold_id, account_id, delta, journal_id)"
        f" VALUES ({b.hold}, {account}, {delta}, {b.trade});"
    )


def claim(b: Books, account: int, owed: int, *, entered: int) -> str:
    """Claim what is owed by a hold of Alice's, which has 10; the claim's entry may say another."""
    return (
        "INSERT INTO ledger_claim (account_id, hold_id)"
        f" SELECT {account}, id FROM ledger_hold WHERE account_id = {b.alice} LIMIT 1;"
        f" UPDATE ledger_claim SET owed = {owed};"
        " INSERT INTO ledger_claimentry (claim_id, delta)"
        f" SELECT id, {entered} FROM ledger_claim;"
    )


# What would refuse the breaks below, even to the owner.
SET_ASIDE = f"""
{arms.UNGUARDED}
ALTER TABLE ledger_journal DROP CONSTRAINT ledger_journal_key_key,
    DROP CONSTRAINT ledger_journal_reverses_id_key;
"""
ACCOUNT = "UPDATE ledger_account SET"
BREAKS: list[tuple[str, Callable[[Books], str]]] = [
    ("assets sum to zero", lambda b: f"{ACCOUNT} posted = posted + 1 WHERE id = {b.bob}"),
    (
        "posted is credits less debits",
        lambda b: (
            f"{ACCOUNT} posted = posted + CASE id WHEN {b.bob} THEN 1 ELSE -1 END"
            f" WHERE id IN ({b.alice}, {b.bob})"
        ),
    ),
    ("posted is credits less debits", lambda b: transfer(b, b.alice, b.bob, 5)),
    (
        "posted is credits less debits",
        lambda b: f"DELETE FROM ledger_transfer WHERE journal_id = {b.wrong}",
    ),
    ("held is the sum of holds", lambda b: f"{ACCOUNT} held = 1 WHERE id = {b.bob}"),
    ("held is the sum of holds", lambda _: "DELETE FROM ledger_hold"),
    ("held is the sum of holds", lambda _: "DELETE FROM ledger_holdentry"),
    ("balances cover holds", lambda b: f"{ACCOUNT} held = -1 WHERE id = {b.fees}"),
    ("balances cover holds", lambda b: f"{ACCOUNT} held = 71 WHERE id = {b.alice}"),
    (
        "balances cover holds",
        lambda _: "ALTER TABLE ledger_account ALTER overdraft SET EXPRESSION AS (true)",
    ),
    ("holds are the sum of their entries", lambda _: "UPDATE ledger_hold SET remaining = 11"),
    (
        "holds are the sum of their entries",
        lambda _: (
            "UPDATE ledger_hold SET remaining = -5;"
            "UPDATE ledger_holdentry SET delta = -45 WHERE delta < 0"
        ),
    ),
    (
        "transfers move one asset between two accounts",
        lambda b: transfer(b, b.bob, b.tokens, 1),
    ),
    (
        "transfers move one asset between two accounts",
        lambda b: transfer(b, b.tokens, b.bob, 1),
    ),
    ("transfers move one asset between two accounts", lambda b: transfer(b, b.bob, b.bob, 1)),
    ("transfers move one asset between two accounts", lambda b: transfer(b, b.bob, b.alice, 0)),
    ("transfers move one asset between two accounts", lambda b: transfer(b, b.bob, 0, 1)),
    ("no empty journal", lambda _: journal("empty")),
    (
        "no empty journal",
        lambda b: f"DELETE FROM ledger_transfer WHERE journal_id = {b.trade}",
    ),
    ("journal keys are unique", lambda _: journal("trade")),
    (
        "a reversal mirrors its original, once",
        lambda b: f"UPDATE ledger_transfer SET amount = 6 WHERE journal_id = {b.reversal}",
    ),
    (
        "a reversal mirrors its original, once",
        lambda b: transfer(b, b.alice, b.bob, 5, by=b.reversal),
    ),
    (
        "a reversal mirrors its original, once",
        lambda b: f"DELETE FROM ledger_transfer WHERE journal_id = {b.reversal}",
    ),
    (
        "a reversal mirrors its original, once",
        lambda b: transfer(b, b.alice, b.bob, 5, by=b.wrong),
    ),
    (
        "a reversal mirrors its original, once",
        lambda b: (
            journal("again", b.wrong)
            + transfer(
                b, b.bob, b.alice, 5, by="(SELECT id FROM ledger_journal WHERE key = 'again')"
            )
        ),
    ),
    ("hold entries stay on their hold's account", lambda b: entry(b, b.bob, -1)),
    ("captures are paid by their journal", lambda b: entry(b, b.alice, -1)),
    (
        "captures are paid by their journal",
        lambda b: f"UPDATE ledger_holdentry SET journal_id = {b.reversal} WHERE delta < 0",
    ),
    ("customers' money is owed from outside", lambda b: f"{ACCOUNT} posted = -posted"),
    *(
        ("what is available is set aside for claims first", plant)
        for plant in (
            lambda b: claim(b, b.alice, 20, entered=20),
            lambda b: claim(b, b.alice, 9, entered=9),
            lambda b: claim(b, b.alice, 10, entered=11),
            lambda b: claim(b, b.bob, 10, entered=10),
        )
    ),
    (
        "each kind of journal has a guard",
        lambda _: "INSERT INTO ledger_journalkind (name, guard) VALUES ('promotion', '')",
    ),
    (
        "each kind of journal has a guard",
        lambda _: "ALTER TABLE ledger_transfer DISABLE TRIGGER ledger_journals_at_once",
    ),
    (
        "each kind of journal has a guard",
        lambda b: f"UPDATE ledger_journal SET kind = 'promotion' WHERE id = {b.trade}",
    ),
]
TRIGGERS = [
    "DROP TRIGGER ledger_journals_at_once ON ledger_transfer",
    "DROP TRIGGER ledger_reversals_mirror ON ledger_journal",
    "ALTER FUNCTION ledger_mirror_reversals() SECURITY INVOKER",
    "ALTER TABLE ledger_transfer DISABLE TRIGGER ledger_transfers_move",
    "ALTER TABLE ledger_transfer ENABLE REPLICA TRIGGER ledger_transfers_move",
    "ALTER TABLE ledger_holdentry DISABLE TRIGGER USER",
    "ALTER TABLE ledger_holdentry DISABLE TRIGGER ALL",
    "ALTER TABLE ledger_account DISABLE TRIGGER ALL",
    "DROP TRIGGER ledger_transfers_move ON ledger_transfer",
    "DROP TRIGGER ledger_hold_entries_hold ON ledger_holdentry",
    "DROP TRIGGER ledger_claim_entries_claim ON ledger_claimentry",
    "ALTER TABLE ledger_claim DISABLE TRIGGER ALL",
    "ALTER FUNCTION ledger_take_claims(bigint[]) SECURITY INVOKER",
    "ALTER FUNCTION ledger_apply_claim_entries() RESET search_path",
    "ALTER FUNCTION ledger_apply_transfers() SECURITY INVOKER",
    "ALTER FUNCTION ledger_apply_hold_entries() RESET search_path",
    "ALTER FUNCTION ledger_lock_accounts(bigint[]) OWNER TO krakapp_app",
]
TRIGGERED = "the books' triggers are enabled"
CONSTRAINED = "the books' constraints are in force"
RESTRICTED = "the app may only insert into the books"
NEVER_CHECKED = (
    "ALTER TABLE ledger_hold DROP CONSTRAINT hold_not_negative,"
    " ADD CONSTRAINT hold_not_negative CHECK (remaining >= 0) NOT VALID"
)
CONSTRAINTS = [
    "ALTER TABLE ledger_account DROP CONSTRAINT account_unique",
    "ALTER TABLE ledger_account DROP CONSTRAINT account_covers_holds",
    "ALTER TABLE ledger_account DROP CONSTRAINT account_customer_iff_owned",
    "ALTER TABLE ledger_transfer DROP CONSTRAINT transfer_amount_positive",
    "ALTER TABLE ledger_transfer DROP CONSTRAINT transfer_two_accounts",
    "ALTER TABLE ledger_transfer DROP CONSTRAINT transfer_debit_holds_asset",
    "ALTER TABLE ledger_transfer DROP CONSTRAINT transfer_credit_holds_asset",
    "ALTER TABLE ledger_transfer ALTER CONSTRAINT transfer_debit_holds_asset NOT ENFORCED",
    "ALTER TABLE ledger_hold DROP CONSTRAINT hold_not_negative",
    NEVER_CHECKED,
    "ALTER TABLE ledger_holdentry DROP CONSTRAINT hold_entry_moves",
    "ALTER TABLE ledger_holdentry DROP CONSTRAINT hold_entry_of_its_account",
    "ALTER TABLE ledger_holdentry DROP CONSTRAINT hold_entry_capture_takes",
    "ALTER TABLE ledger_journal DROP CONSTRAINT ledger_journal_key_key",
    "ALTER TABLE ledger_journal DROP CONSTRAINT ledger_journal_reverses_id_key",
    "ALTER TABLE ledger_journal DROP CONSTRAINT journal_kind_listed",
    "ALTER TABLE ledger_claim DROP CONSTRAINT claim_not_negative",
    "ALTER TABLE ledger_claim DROP CONSTRAINT claim_hold_of_its_account",
    "ALTER TABLE ledger_claimentry DROP CONSTRAINT claim_entry_moves",
]
GRANTS = [
    "GRANT INSERT ON ledger_journalkind TO krakapp_app",
    "GRANT UPDATE ON ledger_account TO krakapp_app",
    "GRANT UPDATE (kind) ON ledger_journal TO krakapp_app",
    "GRANT DELETE ON ledger_transfer TO krakapp_app",
    "GRANT TRUNCATE ON ledger_asset TO krakapp_app",
    "GRANT TRIGGER ON ledger_holdentry TO PUBLIC",
    "GRANT INSERT ON ledger_hold TO krakapp_app",
    "GRANT INSERT (held) ON ledger_account TO krakapp_app",
    "GRANT INSERT (owed) ON ledger_claim TO krakapp_app",
    "GRANT DELETE ON ledger_claimentry TO krakapp_app",
    "GRANT INSERT (recorded_at) ON ledger_journal TO krakapp_app",
    "ALTER TABLE ledger_hold OWNER TO krakapp_app",
    "ALTER TABLE users_user OWNER TO krakapp_app",
    "ALTER ROLE krakapp_app SUPERUSER",
    "GRANT krakapp_owner TO krakapp_app WITH INHERIT FALSE",
]


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestAudit:
    """Break as the owner, in a transaction that is rolled back: PostgreSQL takes back DDL too."""

    @pytest.fixture
    def audit(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
        """Break the books by a statement, and give what the audit then finds: name to detail."""
        owner = connections["owner"]
        monkeypatch.setattr(invariants, "connection", owner)

        def find(statement: str) -> dict[str, str]:
            with transaction.atomic("owner"), owner.cursor() as cursor:
                cursor.execute(statement)
                found = {b.check: b.detail for b in invariants.find_breaks(queries.CHECKS)}
                transaction.set_rollback(rollback=True, using="owner")
            return found

        return find

    @pytest.fixture
    def books(self) -> Books:
        return Books()

    def test_clean_books_report_nothing(self, books: Books, audit: Any) -> None:
        assert audit("SELECT 1") == {}
        assert list(invariants.find_breaks(queries.CHECKS)) == []

    def test_finds_a_planted_break_by_every_arm(self, books: Books, audit: Any) -> None:
        assert audit(arms.UNCHECKED + SET_ASIDE).keys() == {CONSTRAINED}
        breaks = [(name, SET_ASIDE + plant(books)) for name, plant in BREAKS]
        breaks += [(TRIGGERED, statement) for statement in TRIGGERS]
        breaks += [(RESTRICTED, statement) for statement in GRANTS]
        # The plants are made without constraints; these are set aside one by one below.
        told = [check for check in queries.CHECKS if check.name != CONSTRAINED]
        lost = arms.unnoticed(told, breaks)
        assert not lost, "\n".join(lost)

    def test_the_check_of_constraints_has_one_arm(self) -> None:
        [check] = [check for check in queries.CHECKS if check.name == CONSTRAINED]
        assert list(arms.arms_of(check.sql)) == []

    @pytest.mark.parametrize("statement", TRIGGERS)
    def test_finds_a_trigger_set_aside(self, audit: Any, statement: str) -> None:
        assert TRIGGERED in audit(statement)

    @pytest.mark.parametrize("statement", CONSTRAINTS)
    def test_finds_a_constraint_set_aside(self, audit: Any, statement: str) -> None:
        found = audit(statement)
        assert found.keys() == {CONSTRAINED}
        [detail] = found.values()
        assert detail.split()[1] in statement

    @pytest.mark.parametrize("statement", GRANTS)
    def test_finds_a_right_too_many(self, audit: Any, statement: str) -> None:
        assert RESTRICTED in audit(statement)

    def test_every_check_has_a_planted_break(self) -> None:
        planted = {name for name, _ in BREAKS} | {
            TRIGGERED,
            CONSTRAINED,
            RESTRICTED,
        }
        assert planted == {check.name for check in queries.CHECKS}
