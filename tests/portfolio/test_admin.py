import pytest

from portfolio.models import Lot
from tests import world
from tests.portfolio import desk

pytestmark = pytest.mark.django_db


class TestLots:
    def test_are_listed_found_and_shown_with_what_closed_them(self, client):
        alice = world.alice()
        world.fund(alice, "1000")
        desk.trade(alice, "buy", "2")
        desk.trade(alice, "sell", "1", minutes=1)
        desk.book()
        client.force_login(world.sam())
        for path in ("", "?q=alice@demo.test", f"{Lot.objects.get().pk}/change/"):
            assert client.get(f"/admin/portfolio/lot/{path}").status_code == 200
        assert client.get("/admin/portfolio/lot/add/").status_code == 403

    def test_that_are_due_are_for_operations_to_see(self, client):
        client.force_login(world.staff("oscar@demo.test", "Operations"))
        assert client.get("/admin/portfolio/lotdue/").status_code == 200
