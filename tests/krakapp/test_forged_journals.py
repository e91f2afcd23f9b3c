"""Money from nothing, tried as the app's own role: refused at commit, and reported in any case.

Each attack is what somebody could write who speaks SQL as the app: rows that balance and mean
nothing. The second half plants the same as the owner, with the guards set aside, for the audit.
"""

from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from krakapp import database
from krakapp.management.commands import audit_books
from ledger.models import Account, Journal
from payments.models import BankCredit
from spending import gateways
from tests import world
from tests.spending import shop
from trading.models import Trade
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)
MILLION = 10**12


def account(role: str, code: str = "USD", owner: User | None = None) -> int:
    return Account.objects.get(role=role, asset__code=code, owner=owner).pk


def journal(kind: str, key: str, *legs: tuple[int, int, int], **facts: Any) -> int:
    """Write a journal as SQL would, past every operation."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_journal (uid, key, kind, occurred_at, reverses_id)"
            " VALUES (uuidv7(), %s, %s, now(), %s) RETURNING id",
            [key, kind, facts.get("reverses")],
        )
        (number,) = cursor.fetchone() or (0,)
        add_legs(number, *legs)
    return number


def add_legs(number: int, *legs: tuple[int, int, int]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)"
            " SELECT %s, asset_id, id, %s, %s FROM ledger_account WHERE id = %s",
            [(number, credit, amount, debit) for debit, credit, amount in legs],
        )


def credit(of: User, *, units: int, number: int | None, name: str = "forged") -> None:
    """Write a bank credit and its instruction, for a journal or for none."""
    usd = Account.objects.get(role="external", asset__code="USD").asset_id
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH i AS (INSERT INTO payments_depositinstruction (uid, user_id, asset_id,"
            " amount_units, reference, status, created_at, completed_at)"
            " VALUES (uuidv7(), %s, %s, %s, %s, 'completed', now(), now()) RETURNING id)"
            " INSERT INTO payments_bankcredit (external_id, reference, amount_units, asset_id,"
            " instruction_id, status, waits_for, user_id, journal_id, received_at)"
            " SELECT %s, '', %s, %s, i.id, 'posted', '', %s, %s, now() FROM i",
            [of.pk, usd, units, name.upper(), name, units, usd, of.pk, number],
        )


class refused:  # noqa: N801 - reads as a verb
    """A transaction that the database has to refuse, and for what."""

    def __init__(self, constraint: str) -> None:
        self.constraint = constraint
        self.atomic = transaction.atomic()

    def __enter__(self) -> None:
        self.atomic.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        try:
            self.atomic.__exit__(kind, error, traceback)
        except DatabaseError as refused:
            error = error or refused
        assert isinstance(error, DatabaseError), "the database took it"
        assert error.__cause__.diag.constraint_name == self.constraint  # type: ignore[union-attr]
        return True


@pytest.fixture
def alice() -> User:
    user = world.alice()
    world.fund(user, "100")
    return user


class TestTheAppsRole:
    def test_knows_no_promotions(self, alice: User) -> None:
        with refused("journal_kind_listed"):
            journal("promotion", "p", (account("external"), account("customer", owner=alice), 1))

    def test_lists_no_kind_of_its_own(self) -> None:
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("INSERT INTO ledger_journalkind VALUES ('promotion', '')")

    def test_deposits_nothing_without_a_bank_credit(self, alice: User) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        with refused("journal_explained"):
            journal("deposit", "deposit:forged", (outside, own, MILLION))

    def test_deposits_no_other_amount(self, alice: User) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        with refused("journal_explained"):
            number = journal("deposit", "deposit:forged", (outside, own, MILLION))
            credit(alice, units=1, number=number)

    def test_deposits_for_nobody_else(self, alice: User) -> None:
        carol = world.carol()
        world.fund(carol, "5")
        outside, hers = account("external"), account("customer", owner=carol)
        with refused("journal_explained"):
            number = journal("deposit", "deposit:forged", (outside, hers, MILLION))
            credit(alice, units=MILLION, number=number)

    def test_deposits_no_second_time(self, alice: User) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        with refused("journal_explained"):
            journal("deposit", "deposit:again", (outside, own, 100_000_000))

    def test_lets_no_credit_claim_anothers_journal(self, alice: User) -> None:
        [first] = BankCredit.objects.all()
        with refused("payments_bankcredit_journal_id_key"):
            credit(alice, units=first.amount_units, number=first.journal_id)

    def test_keeps_no_matched_credit_without_a_journal(self, alice: User) -> None:
        with refused("bank_credit_posted_iff_journal"):
            credit(alice, units=5, number=None)

    def test_changes_no_credit_afterwards(self, alice: User) -> None:
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            BankCredit.objects.update(amount_units=1)
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            BankCredit.objects.all().delete()

    def test_adds_no_leg_to_a_journal_of_before(self, alice: User) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        number = Journal.objects.get(kind="deposit").pk
        with refused("journal_written_at_once"):
            add_legs(number, (outside, own, MILLION))

    def test_reverses_nothing_but_what_was(self, alice: User) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        with refused("journal_reversal_mirrors"):
            original = Journal.objects.get(kind="deposit").pk
            journal("test", "forged", (own, outside, 5), reverses=original)


class TestTrades:
    @pytest.fixture
    def trade(self, alice: User) -> Trade:
        shop.hold_shares(alice, "AAPLx", "0.1")
        world.fund(alice, "100")  # what a forged twin would cost is there
        return Trade.objects.get()

    def test_explain_one_journal_to_the_unit(self, alice: User, trade: Trade) -> None:
        own, dealer = account("customer", owner=alice), account("dealer")
        with refused("journal_explained"):
            journal("trade", f"trade:{trade.uid}x", (dealer, own, trade.cost))
        with refused("journal_explained"):
            journal("trade", "trade:0199", (dealer, own, trade.cost))

    def test_explain_no_leg_too_many(self, alice: User, trade: Trade) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        with refused("journal_explained"):
            twin = forge_trade(trade)
            number = journal("trade", f"trade:{twin.uid}", *legs_of(twin))
            add_legs(number, (outside, own, MILLION))

    def test_explain_no_leg_too_few(self, trade: Trade) -> None:
        with refused("journal_explained"):
            twin = forge_trade(trade)
            journal("trade", f"trade:{twin.uid}", *legs_of(twin)[1:])


def forge_trade(trade: Trade) -> Trade:
    """Write the same trade again, which the app's role could."""
    trade.pk, trade.uid = None, "0199aaaa-0000-7000-8000-000000000001"  # type: ignore[assignment]
    trade.save(force_insert=True)
    return trade


def legs_of(trade: Trade) -> list[tuple[int, int, int]]:
    buy, sell = trade.buy_order, trade.sell_order
    return [
        (sell.token_account_id, buy.token_account_id, trade.quantity),
        (buy.cash_account_id, sell.cash_account_id, trade.cost),
    ]


class TestCards:
    @pytest.mark.parametrize("kind", ["card_clearing", "card_refund"])
    def test_move_nothing_without_a_movement(self, alice: User, kind: str) -> None:
        card = shop.card(alice)
        pending = shop.pending(card, "5")
        shop.send(gateways.CLEARED, card, authorization=pending.external_id)
        own, settlement = account("customer", owner=alice), account("card_settlement")
        with refused("journal_explained"):
            journal(kind, "card:forged", (settlement, own, 5_000_000))


class TestTheAudit:
    """What the guards would have refused is found where somebody with every right planted it."""

    @pytest.mark.parametrize("attack", ["promotion", "deposit", "card_refund", "trade"])
    def test_reports_a_journal_without_its_row(self, alice: User, attack: str) -> None:
        outside, own = account("external"), account("customer", owner=alice)
        plant(
            "WITH j AS (INSERT INTO ledger_journal (uid, key, kind, occurred_at)"
            f" VALUES (uuidv7(), 'forged', '{attack}', now()) RETURNING id)"
            " INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)"
            f" SELECT j.id, a.asset_id, a.id, {own}, {MILLION}"
            f" FROM j, ledger_account a WHERE a.id = {outside};"
            f"UPDATE ledger_account SET posted = posted + {MILLION} WHERE id = {own};"
            f"UPDATE ledger_account SET posted = posted - {MILLION} WHERE id = {outside}"
        )
        found = audit_books.audit([c for c in audit_books.all_checks() if c.number == 39])
        assert any("forged" in one.detail for one in found)

    def test_reports_a_row_that_says_something_else(self, alice: User) -> None:
        plant("UPDATE payments_bankcredit SET amount_units = amount_units + 1")
        found = {one.check for one in audit_books.audit(audit_books.all_checks())}
        assert "journals are explained by payments_explained" in found


def plant(sql: str) -> None:
    """Break the books as only the owner can, with triggers and keys set aside."""
    as_owner = connections["owner"].settings_dict
    with database.connect(as_owner) as owner, owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(sql)
