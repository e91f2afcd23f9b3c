from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

import ledger.operations
from common import clock
from krakapp.management.commands import seed_demo
from kyc import queries as kyc
from ledger.models import Journal
from spending.models import Card
from tests import world
from trading.models import Trade
from users.models import User


@pytest.fixture(autouse=True)
def _quick_past(monkeypatch, request):
    """Spare most tests the simulation of a year."""
    if "real_past" in request.fixturenames:
        return

    def closes(traded, *, now):
        return {one.symbol: [(now - timedelta(days=300), one.demo_price)] for one in traded}

    monkeypatch.setattr(seed_demo, "past_closes", closes)


@pytest.fixture
def real_past():
    """Ask for the simulated past."""


def person(name):
    return User.objects.get(email=f"{name}@demo.test")


@pytest.mark.django_db
class TestSeedDemo:
    def test_makes_the_people_of_the_contract(self, client):
        call_command("seed_demo")
        assert {name: kyc.standing(person(name)).status for name in ("alice", "bob", "carol")} == {
            "alice": "active",
            "bob": "none",
            "carol": "active",
        }
        assert [person(name).is_staff for name in ("sam", "olivia", "admin")] == [True] * 3
        assert person("admin").is_superuser
        assert all(user.check_password("krakapp-demo") for user in User.objects.all())
        assert all(user.emailaddress_set.get().verified for user in User.objects.all())

    def test_leaves_alice_ten_thousand_dollars_positions_and_a_card(self, real_past):
        call_command("seed_demo")
        alice = person("alice")
        assert world.available(alice) == Decimal(10_000)
        for symbol in ("AAPLx", "SPYx", "NVDAx", "TSLAx", "KOx"):
            assert world.balance(alice, symbol) > 0
        oldest = Trade.objects.order_by("executed_at").first().executed_at
        assert oldest < clock.now() - timedelta(days=150)
        assert Card.objects.get(user=alice).last_four

    def test_leaves_carol_cash_and_no_positions(self):
        call_command("seed_demo")
        assert world.available(person("carol")) == Decimal(2_500)
        assert not Trade.objects.filter(buy_order__customer=person("carol")).exists()

    def test_happens_once(self):
        call_command("seed_demo")
        before = Journal.objects.count(), User.objects.count(), Card.objects.count()
        call_command("seed_demo")
        assert (Journal.objects.count(), User.objects.count(), Card.objects.count()) == before

    @pytest.mark.parametrize("killed_at", [1, 2, 5, 9, 12])
    def test_goes_on_where_it_was_killed(self, monkeypatch, killed_at):
        """Cut it off at several of its postings: what follows then is done by the next start."""
        posted = []

        def post(**parts):
            if len(posted) == killed_at:
                raise KeyboardInterrupt
            posted.append(parts)
            return real(**parts)

        real = ledger.operations.post
        with monkeypatch.context() as cut:
            cut.setattr(ledger.operations, "post", post)
            with pytest.raises(KeyboardInterrupt):
                call_command("seed_demo")
        call_command("seed_demo")
        assert world.available(person("alice")) == Decimal(10_000)
        assert world.available(person("carol")) == Decimal(2_500)
        assert Trade.objects.count() == 8
        assert Journal.objects.filter(kind="deposit").count() == 5

    def test_is_for_the_demo_only(self, settings):
        settings.DEMO = False
        with pytest.raises(CommandError):
            call_command("seed_demo")
