"""A small load: whole, balanced, and spread as a real one would be."""

import pytest
from django.core.management import CommandError, call_command

from krakapp.management.commands.audit_books import all_checks, audit
from trading.models import Order, Trade
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


class TestSeedLoad:
    def test_makes_what_was_asked_for_and_the_books_stay_clean(self, capsys):
        call_command("seed_load", customers=12, trades=150)
        assert "100 %" in capsys.readouterr().out
        assert User.objects.filter(email__startswith="load-").count() == 12
        assert Trade.objects.count() == 150
        assert Order.objects.filter(customer__isnull=False).count() == 150
        assert audit(all_checks()) == []
        with pytest.raises(CommandError, match="a load already"):
            call_command("seed_load", customers=12, trades=150)

    def test_is_of_a_demo_only(self, settings):
        settings.DEMO = False
        with pytest.raises(CommandError, match="demo mode"):
            call_command("seed_load")
