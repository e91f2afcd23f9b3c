import psycopg
import pytest
from django.db import connections

from common.invariants import find_breaks
from krakapp import database
from tests import world
from users import operations, queries


def plant(sql):
    """Break the trail as only the owner can, with its triggers set aside."""
    with database.connect(connections["owner"].settings_dict) as owner:
        owner: psycopg.Connection
        with owner.transaction():
            owner.execute("SET LOCAL session_replication_role = replica")
            owner.execute(sql)


def breaks():
    return [(found.check, found.detail) for found in find_breaks(queries.CHECKS)]


@pytest.mark.django_db(transaction=True)
class TestChecks:
    def test_find_a_rewritten_entry(self):
        self.write_three()
        plant("UPDATE users_auditentry SET reason = 'nothing happened' WHERE action = 'b.done'")
        [(check, detail)] = breaks()
        assert check == "audit chain"
        assert "b.done" in detail

    def test_find_an_entry_that_was_taken_out(self):
        self.write_three()
        plant("DELETE FROM users_auditentry WHERE action = 'b.done'")
        [(check, detail)] = breaks()
        assert check == "audit chain"
        assert "c.done" in detail

    def test_find_a_trigger_that_was_switched_off(self):
        with database.connect(connections["owner"].settings_dict) as owner:
            owner.execute("ALTER TABLE users_auditentry DISABLE TRIGGER audit_chain")
            try:
                assert breaks() == [
                    ("audit trail guarded", "the trigger audit_chain is missing or disabled")
                ]
            finally:
                owner.execute("ALTER TABLE users_auditentry ENABLE TRIGGER audit_chain")

    def test_find_a_privilege_that_should_not_be(self):
        with database.connect(connections["owner"].settings_dict) as owner:
            owner.execute("GRANT DELETE ON users_auditentry TO krakapp_app")
            try:
                assert breaks() == [("audit trail guarded", "the app may DELETE audit entries")]
            finally:
                owner.execute("REVOKE DELETE ON users_auditentry FROM krakapp_app")

    @staticmethod
    def write_three():
        for action in ("a.done", "b.done", "c.done"):
            operations.record(action=action, actor=None, subject=None, at=world.NOW)
