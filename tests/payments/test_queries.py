"""Each promise about money from the bank, broken on purpose, is reported by name."""

from datetime import timedelta

import pytest

import payments.operations
from common.invariants import find_breaks
from payments import gateways, queries
from payments.gateways.statements import Entry
from payments.models import BankCredit
from tests import arms, world

CREDITED = "bank credit has its journal"
COMPLETED = "completed deposit has a bank credit"
EXPLAINED = "journals are explained by payments_explained"
STATED = "the bank's statement says what the books say"
ON_STATEMENT = "what the bank told of is on its statement"

# What breaks a check, by the owner of the tables with triggers and keys set aside.
BREAKS = [
    (CREDITED, "UPDATE payments_bankcredit SET amount_units = 1"),
    (CREDITED, "UPDATE ledger_journal SET key = 'deposit:other' WHERE kind = 'deposit'"),
    (CREDITED, "DELETE FROM ledger_transfer"),
    (CREDITED, arms.unexplained("deposit")[1]),
    (
        CREDITED,
        (
            "UPDATE payments_bankcredit SET asset_id ="
            " (SELECT id FROM ledger_asset WHERE code = 'AAPLx')"
        ),
    ),
    (
        CREDITED,
        (
            "UPDATE ledger_transfer t SET debit_id = a.id FROM ledger_account a, ledger_journal j"
            " WHERE a.role = 'liquidity' AND j.id = t.journal_id AND j.kind = 'deposit'"
        ),
    ),
    (
        CREDITED,
        (
            "UPDATE payments_bankcredit SET user_id ="
            " (SELECT id FROM users_user WHERE email LIKE 'sam%')"
        ),
    ),
    ("deposit journal has its bank credit", "DELETE FROM payments_bankcredit"),
    (
        COMPLETED,
        "UPDATE payments_depositinstruction SET status = 'waiting', completed_at = NULL",
    ),
    (COMPLETED, "DELETE FROM payments_bankcredit"),
    *((EXPLAINED, sql) for sql in arms.unexplained("deposit")),
    (STATED, "UPDATE payments_bankstatement SET fault = 'it opens with too little'"),
    (STATED, "UPDATE payments_statemententry SET fault = 'nothing explains this'"),
    (STATED, "UPDATE payments_statemententry SET amount_units = amount_units + 1"),
    (
        STATED,
        (
            "UPDATE payments_bankstatement SET day = day + 1"
            " WHERE day = (SELECT max(day) FROM payments_bankstatement)"
        ),
    ),
    (ON_STATEMENT, "DELETE FROM payments_statemententry WHERE external_id <> 'wire-1'"),
    (ON_STATEMENT, "DELETE FROM payments_statemententry WHERE external_id = 'wire-1'"),
]


@pytest.fixture
def two_days(transactional_db):
    """A deposit of $100 and $500 of the house's, both on the first of the bank's two statements."""
    world.fund(world.alice(), "100")
    capital = payments.operations.Movement("capital", "liquidity", world.usd("500"))
    world.move_treasury(capital, reference="wire-1")
    credit = BankCredit.objects.get()
    day, later = world.NOW.date(), world.NOW + timedelta(days=2)
    entries = [
        Entry(credit.external_id, credit.reference, world.usd("100"), day),
        Entry("wire-1", "", world.usd("500"), day),
    ]
    nothing, all_of_it = world.usd("0"), world.usd("600")
    for stated in (
        gateways.Statement(day, nothing, all_of_it, entries),
        gateways.Statement(day + timedelta(days=1), all_of_it, all_of_it, []),
    ):
        payments.operations.keep_statement(stated=stated, now=later)
    assert payments.operations.reconcile(now=later) == 0


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestChecks:
    def test_find_nothing_where_nothing_is_wrong(self, two_days):
        assert list(find_breaks(queries.CHECKS)) == []

    def test_find_each_planted_break_by_every_arm(self, two_days):
        breaks = [(check, arms.UNGUARDED + sql) for check, sql in BREAKS]
        lost = arms.unnoticed(queries.CHECKS, breaks)
        assert not lost, "\n".join(lost)

    def test_every_check_has_a_planted_break(self):
        assert {check for check, _ in BREAKS} == {check.name for check in queries.CHECKS}
