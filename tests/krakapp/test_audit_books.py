import re

import pytest
from django.core.management import call_command
from django.db import connection, connections

from krakapp import database
from krakapp.management.commands import audit_books
from krakapp.settings import BASE_DIR
from tests import world


def plant(sql):
    """Break the books as only the owner can, with triggers and keys set aside."""
    as_owner = connections["owner"].settings_dict
    with database.connect(as_owner) as owner, owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(sql)


@pytest.mark.django_db(transaction=True)
class TestAuditBooks:
    def test_finds_clean_books_clean(self, capsys):
        world.fund(world.alice(), "100")
        call_command("audit_books")
        assert re.fullmatch(r"books are clean: \d+ checks\n", capsys.readouterr().out)

    def test_finds_the_demos_books_clean(self, capsys):
        call_command("seed_demo")
        call_command("audit_books")
        assert "books are clean" in capsys.readouterr().out

    def test_names_a_break_and_fails(self, capsys):
        world.fund(world.alice(), "100")
        plant("UPDATE ledger_account SET posted = posted + 1 WHERE role = 'customer'")
        with pytest.raises(SystemExit) as ended:
            call_command("audit_books")
        assert ended.value.code == 1
        told = capsys.readouterr()
        assert "assets sum to zero: USD sums to 1" in told.out
        assert "books are broken" in told.err

    def test_leaves_the_apps_time_limit_as_it_was(self):
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_timeout")
            before = cursor.fetchone()
            call_command("audit_books")
            cursor.execute("SHOW transaction_timeout")
            assert cursor.fetchone() == before


class TestTheDocument:
    def test_knows_the_number_of_every_check(self):
        text = (BASE_DIR / "docs/invariants.md").read_text()
        known = {int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)}
        assert {check.number for check in audit_books.all_checks()} <= known

    def test_names_no_check_twice(self):
        names = [check.name for check in audit_books.all_checks()]
        assert len(names) == len(set(names))
