import pytest

import spending.operations
from spending import gateways
from tests import world
from tests.spending import shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client):
    alice = world.alice()
    world.fund(alice, "100")
    client.force_login(alice)
    return alice


def page(client, path="/cards/"):
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def post(client, path, **data):
    answer = client.post(f"/cards/{path}", data)
    assert answer.status_code == 302
    return answer


class TestCards:
    def test_is_for_people_who_signed_in(self, client):
        assert client.get("/cards/").status_code == 302

    def test_tells_the_unverified_what_comes_first(self, client):
        client.force_login(world.bob())
        assert "A card comes after verification" in page(client)

    def test_says_what_is_owed_and_what_pays_it(self, client, alice):
        shop.send(gateways.CLEARED, shop.card(alice), amount="130")
        shown = page(client)
        assert "You owe $30.00" in shown
        assert "New money pays that first" in shown
        world.fund(alice, "50")
        assert "You owe $30.00" in page(client)
        spending.operations.recover_debts(now=world.NOW)
        assert "You owe" not in page(client)

    def test_gives_a_first_card(self, client, alice):
        assert "Get a virtual card" in page(client)
        post(client, "issue/")
        shown = page(client)
        assert f"Card ending in {alice.cards.get().last_four}" in shown
        assert "Alice Moreau" in shown

    def test_shows_what_was_paid_and_with_what(self, client, alice):
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        asked = shop.pending(card, "60")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        shop.authorize(card, "9000")
        shown = page(client)
        assert "Blue Door Café" in shown
        assert "0.2157" in shown
        assert "costs your trading fee, 0.1%" in shown
        assert "What pays for this card did not cover it." in shown

    def test_says_of_a_check_that_nothing_paid_for_it(self, client, alice):
        card = shop.card(alice)
        shop.authorize(card, "0.00")
        shown = page(client)
        assert "Checked your card" in shown
        assert "from cash" not in shown
        shop.authorize(card, "1")
        assert "from cash" in page(client)

    @pytest.mark.parametrize("part", ["taps", "face", "payers"])
    def test_gives_its_parts_alone(self, client, alice, part):
        shop.card(alice)
        shown = page(client, f"/cards/?part={part}")
        assert "<html" not in shown
        assert f'id="card-{part}"' in shown

    @pytest.mark.parametrize("taps", [1, 5])
    def test_takes_as_many_queries_for_many_taps_as_for_one(
        self, client, alice, django_assert_max_num_queries, taps
    ):
        card = shop.card(alice)
        for _ in range(taps):
            shop.pending(card, "1")
        with django_assert_max_num_queries(17):
            page(client)


class TestSteering:
    def test_freezes_and_thaws(self, client, alice):
        card = shop.card(alice)
        post(client, f"{card.uid}/freeze/", freeze="1")
        assert 'aria-checked="true"' in page(client)
        post(client, f"{card.uid}/freeze/", freeze="0")
        assert 'aria-checked="false"' in page(client)

    def test_cancels(self, client, alice):
        post(client, f"{shop.card(alice).uid}/cancel/")
        assert "Get a virtual card" in page(client)

    def test_orders_what_pays(self, client, alice):
        shop.hold_shares(alice, "AAPLx", "1")
        card = shop.card(alice)
        post(client, f"{card.uid}/sources/add/", asset="AAPLx", keep="0.5")
        post(client, f"{card.uid}/sources/move/", asset="AAPLx", step="-1")
        assert [one.asset.code for one in card.sources.order_by("position")] == ["AAPLx", "USD"]
        post(client, f"{card.uid}/sources/move/", asset="AAPLx", step="0")
        assert [one.asset.code for one in card.sources.all()] == ["USD"]

    def test_says_what_is_wrong(self, client, alice):
        card = shop.card(alice)
        post(client, f"{card.uid}/sources/move/", asset="USD", step="0")
        assert "Choose what pays" in page(client)

    def test_leaves_other_peoples_cards_alone(self, client, alice):
        other = shop.card(world.carol())
        for path in ("freeze", "cancel", "tap", "sources/add", "sources/move"):
            assert client.post(f"/cards/{other.uid}/{path}/", {"freeze": "1"}).status_code == 404
