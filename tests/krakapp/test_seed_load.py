"""A small load: whole and balanced; and pages that ask as little of a large history as of none."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

import instruments.queries
import market.queries
from common import clock, realtime
from krakapp.management.commands.audit_books import all_checks, audit
from trading.models import Order, Trade
from users.models import User

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
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


# How many queries a page may make, whatever its customer's history.
MOST = {
    "/home/": 22,
    "/markets/": 4,
    "/markets/AAPLx/": 14,
    "/orders/": 3,
    "/orders/?tab=history": 3,
    "/portfolio/": 7,
    "/activity/": 9,
    "/deposit/": 6,
    "/cards/": 5,
    "/settings/": 5,
    "/help/": 2,
    "/api/v1/portfolio": 7,
    "/api/v1/orders?status=closed": 3,
    "/api/v1/trades": 5,
    "/api/v1/activity": 9,
    "/api/v1/instruments": 5,
}


class TestPages:
    def count(self, client, user, page):
        client.force_login(user, backend=BACKEND)
        client.get(page)  # what is drawn for everybody is drawn
        with CaptureQueriesContext(connection) as captured:
            assert client.get(page).status_code == 200
        return len(captured)

    def quote(self):
        """Let Redis know prices, as it does while the feed runs."""
        now = clock.now().isoformat()
        prices = {one.symbol: str(one.demo_price) for one in instruments.queries.listed()}
        entries = {s: json.dumps({"price": p, "time": now}) for s, p in prices.items()}
        realtime.connection().hset(market.queries.REFERENCE_KEY, mapping=entries)
        vouched = json.dumps({"time": now, "simulated": True})
        realtime.connection().set(market.queries.FEED_KEY, vouched)

    def test_ask_the_same_of_a_long_history_as_of_a_short_one(self, client):
        call_command("seed_load", customers=40, trades=300)
        self.quote()
        traded = User.objects.alias(n=Count("orders")).filter(n__gt=0).order_by("n")
        quiet, busy = traded.first(), traded.last()
        assert busy.orders.count() > 10 * quiet.orders.count()
        counts = {page: self.count(client, busy, page) for page in MOST}
        assert counts == {page: self.count(client, quiet, page) for page in MOST}
        assert {page: most for page, most in MOST.items() if counts[page] > most} == {}
