import re

import pytest
from django.core.cache import cache
from django.db import connection

from market import operations, queries
from tests import world
from tests.portfolio import desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


def counted():
    """Give what is counted, by symbol."""
    found = queries.popularity(world.NOW)
    symbols = ("AAPLx", "KOx", "NVDAx")
    return {one: n for one in symbols if (n := found.get(world.instrument(one).pk))}


def watch(user, symbol="AAPLx"):
    operations.star(instrument=world.instrument(symbol), customer=user, now=world.NOW)


class TestPopularity:
    def test_counts_who_holds_and_who_watches(self, alice):
        desk.trade(alice, "buy", "1")
        watch(world.bob())
        watch(world.bob(), "KOx")
        assert counted() == {"AAPLx": 2, "KOx": 1}

    def test_counts_everybody_once_however_much_they_trade(self, alice):
        for _ in range(5):
            desk.trade(alice, "buy", "1")
        watch(alice)
        assert counted() == {"AAPLx": 1}

    @pytest.mark.parametrize(("days", "shown"), [(29, {"AAPLx": 1}), (31, {})])
    def test_remembers_who_sold_out_for_thirty_days(self, alice, days, shown):
        desk.trade(alice, "buy", "1", days=-200)
        desk.trade(alice, "sell", "1", days=-days)
        assert counted() == shown

    def test_counts_nobody_simulated_and_no_staff(self, alice):
        watch(world.simulated())
        watch(world.sam())
        assert counted() == {}
        watch(alice)
        assert counted() == {"AAPLx": 1}

    def test_takes_one_query_and_looks_sales_up(self, alice, django_assert_num_queries):
        for symbol in ("AAPLx", "KOx", "NVDAx"):
            desk.trade(alice, "buy", "1", symbol)
        with django_assert_num_queries(1):
            assert len(counted_rows := queries.popularity(world.NOW)) == 3
        assert set(counted_rows.values()) == {1}
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {queries.POPULARITY}", {"since": world.NOW})
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Index Only Scan Backward using transfer_debits" in plan


class TestTheList:
    def order(self, client):
        cache.delete("market:popularity")
        html = client.get("/markets/?sort=popular").content.decode()
        return list(dict.fromkeys(re.findall(r'href="/markets/([\w.]+x)/"', html)))

    def test_begins_with_the_most_popular_and_goes_on_by_name(self, alice, client):
        by_name = self.order(client)
        assert len(by_name) > 50
        watch(alice, "NVDAx")
        watch(world.bob(), "NVDAx")
        watch(alice, "KOx")
        watch(alice, "AAPLx")
        rest = [symbol for symbol in by_name if symbol not in ("NVDAx", "AAPLx", "KOx")]
        assert self.order(client) == ["NVDAx", "AAPLx", "KOx", *rest]

    def test_is_counted_once_a_minute(self, alice, client):
        self.order(client)
        watch(alice, "NVDAx")
        html = client.get("/markets/?sort=popular").content.decode()
        assert html.index("/markets/AAPLx/") < html.index("/markets/NVDAx/")
        assert "Most popular" in html
        assert self.order(client)[0] == "NVDAx"
