import pytest
from django.db import connections

from common.invariants import find_breaks
from krakapp import database
from payments import queries
from tests import world


def plant(sql):
    """Break the books as only the owner can, with triggers and keys set aside."""
    as_owner = connections["owner"].settings_dict
    with database.connect(as_owner) as owner, owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(sql)


@pytest.mark.django_db(transaction=True)
class TestChecks:
    def test_find_nothing_where_nothing_is_wrong(self):
        world.fund(world.alice(), "100")
        assert list(find_breaks(queries.CHECKS)) == []

    @pytest.mark.parametrize(
        ("sql", "check"),
        [
            ("UPDATE payments_bankcredit SET amount_units = 1", "bank credit has its journal"),
            ("UPDATE ledger_journal SET key = 'deposit:other'", "bank credit has its journal"),
            ("DELETE FROM ledger_transfer", "bank credit has its journal"),
            ("DELETE FROM payments_bankcredit", "deposit journal has its bank credit"),
            (
                "UPDATE payments_depositinstruction SET status = 'waiting', completed_at = NULL",
                "completed deposit has a bank credit",
            ),
        ],
    )
    def test_find_a_planted_break(self, sql, check):
        world.fund(world.alice(), "100")
        plant(sql)
        assert check in {found.check for found in find_breaks(queries.CHECKS)}
