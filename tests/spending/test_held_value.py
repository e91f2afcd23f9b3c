"""What cards still pay on the day after how an account is entered was changed."""

from datetime import timedelta

import pytest

import users.operations
from spending import gateways, queries
from tests import world
from tests.spending import shop
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def card():
    """A card of a customer whose password was changed an hour ago."""
    alice = world.alice()
    world.fund(alice, "1000")
    card = shop.card(alice)
    shop.card(alice)
    users.operations.note_security_act(
        user=alice,
        kind="password.changed",
        origin=users.operations.Origin(),
        now=world.NOW - timedelta(hours=1),
    )
    return card


class TestADayOfHeldValue:
    def test_lets_a_card_pay_small_amounts_which_add_up(self, card):
        for amount in ("4.50", "95.50", "100"):
            assert shop.authorize(card, amount)["decision"] == "approved"
        told = shop.authorize(card, "0.01")
        assert (told["decision"], told["reason"]) == ("declined", "security_hold")

    def test_counts_over_all_cards(self, card):
        other = queries.cards_of(card.user).exclude(pk=card.pk).get()
        assert shop.authorize(card, "150")["decision"] == "approved"
        assert shop.authorize(other, "60")["reason"] == "security_hold"

    def test_lets_no_purchase_grow_beyond_it(self, card):
        asked = shop.pending(card, "150")
        grown = shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="60")
        assert grown["reason"] == "security_hold"

    def test_is_over_after_a_day(self, card):
        User.objects.filter(pk=card.user_id).update(value_held_until=world.NOW)
        assert shop.authorize(card, "900")["decision"] == "approved"


class TestALockedAccount:
    def test_pays_nothing(self, card):
        User.objects.filter(pk=card.user_id).update(locked_at=world.NOW)
        assert shop.authorize(card, "1")["reason"] == "kyc_restricted"
