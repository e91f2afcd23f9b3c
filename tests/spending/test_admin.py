import pytest

from spending import gateways, operations, queries
from spending.models import Authorization, Card, CardEvent, CardMovement
from tests import world
from tests.spending import shop
from users.models import AuditEntry, Proposal

pytestmark = pytest.mark.django_db

TABLES = ("card", "authorization", "cardmovement", "cardevent")


@pytest.fixture
def card(client):
    alice = world.alice()
    apple = shop.hold_shares(alice, "AAPLx", "1")
    shop.quote(apple, ("278.40", "5"))
    card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
    asked = shop.pending(card, "60")
    shop.send(gateways.CLEARED, card, authorization=asked.external_id)
    client.force_login(world.sam())
    return card


class TestReading:
    @pytest.mark.parametrize("table", TABLES)
    def test_lists_and_finds_by_address(self, client, card, table):
        for query in ("", "?q=alice@demo.test", "?q=nothing", f"?q={card.uid}"):
            assert client.get(f"/admin/spending/{table}/{query}").status_code == 200

    def test_shows_each_thing_whole(self, client, card):
        for model in (Card, Authorization, CardMovement, CardEvent):
            url = f"/admin/spending/{model._meta.model_name}/{model.objects.get().pk}/change/"
            assert client.get(url).status_code == 200

    def test_links_a_card_to_what_it_paid(self, client, card):
        shown = client.get(f"/admin/spending/authorization/?card__id__exact={card.pk}")
        assert "Blue Door Café" in shown.content.decode()

    @pytest.mark.parametrize("table", TABLES)
    def test_lets_nobody_add_or_change(self, client, card, table):
        assert client.get(f"/admin/spending/{table}/add/").status_code == 403
        model = {m._meta.model_name: m for m in (Card, Authorization, CardMovement, CardEvent)}[
            table
        ]
        row = model.objects.get()
        assert client.post(f"/admin/spending/{table}/{row.pk}/change/", {}).status_code == 403
        assert client.post(f"/admin/spending/{table}/{row.pk}/delete/", {}).status_code == 403


class TestFreezing:
    def test_asks_why_and_records_it(self, client, card):
        path = f"/admin/spending/card/{card.pk}/freeze/"
        assert client.get(path).status_code == 200
        assert client.post(path, {"reason": ""}).status_code == 200
        card.refresh_from_db()
        assert card.status == "active"
        assert client.post(path, {"reason": "Reported lost."}).status_code == 302
        card.refresh_from_db()
        assert (card.status, card.frozen_reason) == ("frozen", "Reported lost.")
        entry = AuditEntry.objects.get(action="card.frozen")
        assert (entry.actor, entry.reason) == (world.sam(), "Reported lost.")

    def test_ends_by_two_people_neither_of_them_the_holder(self, client, card):
        act = {"actor": world.olivia(), "reason": "Under review.", "now": world.NOW}
        operations.freeze_card(card=card, **act)
        client.post(f"/admin/spending/card/{card.pk}/unfreeze/", {"reason": "Found again."})
        made = Proposal.objects.get(kind="spending.unfreeze_card")
        for person, status in ((world.sam(), "frozen"), (world.olivia(), "active")):
            client.force_login(person)
            client.post(f"/admin/users/proposal/{made.pk}/approve/")
            card.refresh_from_db()
            assert card.status == status

    def test_is_for_who_may(self, client, card):
        clerk = world.staff("clerk@demo.test", "Support")
        clerk.groups.clear()
        client.force_login(clerk)
        path = f"/admin/spending/card/{card.pk}/freeze/"
        assert client.post(path, {"reason": "Because."}).status_code in {302, 403}
        card.refresh_from_db()
        assert card.status == "active"


class TestForgiving:
    def test_is_proposed_from_the_card_and_decided_by_another(self, client, card):
        shop.send(gateways.CLEARED, card, amount="5000")
        owed = queries.debt_of(card.user)
        path = f"/admin/spending/card/{card.pk}/forgive/"
        assert queries.dollars(owed) in client.get(path).content.decode()
        client.post(path, {"amount": "9999", "reason": "Too much."})
        assert not Proposal.objects.filter(kind="spending.forgive_shortfall").exists()
        client.post(path, {"amount": "1", "reason": "The merchant erred."})
        made = Proposal.objects.get(kind="spending.forgive_shortfall")
        client.post(f"/admin/users/proposal/{made.pk}/approve/")
        assert queries.debt_of(card.user) == owed
        client.force_login(world.olivia())
        client.post(f"/admin/users/proposal/{made.pk}/approve/")
        assert queries.debt_of(card.user) == owed - 10**6
