import pytest

import kyc.queries
import spending.operations
from common.money import AmountInvalid
from spending import queries
from spending.models import Card
from spending.operations import (
    CardCancelled,
    CardFrozenForYou,
    FundingChoice,
    FundingInvalid,
    TooManyCards,
)
from tests import world
from tests.spending import shop
from users.models import AuditEntry

pytestmark = pytest.mark.django_db


def act(verb, card, actor, **facts):
    return getattr(spending.operations, verb)(card=card, actor=actor, now=world.NOW, **facts)


def funding(card):
    return [queries.describe_source(source) for source in queries.sources_of(card)]


class TestIssueCard:
    def test_gives_a_card_ready_to_pay_from_cash(self):
        card = shop.card(world.alice())
        assert card.status == "active"
        assert len(card.last_four) == 4
        assert funding(card) == [{"asset": "USD", "keep": "0"}]

    def test_keeps_no_number(self):
        card = shop.card(world.alice())
        kept = [str(getattr(card, field.attname)) for field in Card._meta.concrete_fields]
        assert not any(value.isdigit() and len(value) >= 12 for value in kept)

    def test_is_for_verified_customers(self):
        with pytest.raises(kyc.queries.VerificationRequired):
            shop.card(world.bob())

    def test_stops_at_five_live_ones(self):
        alice = world.alice()
        cards = [shop.card(alice) for _ in range(5)]
        with pytest.raises(TooManyCards):
            shop.card(alice)
        act("cancel_card", cards[0], alice)
        assert shop.card(alice)


class TestFreezing:
    def test_is_the_holders_to_do_and_to_undo(self):
        alice = world.alice()
        card = act("freeze_card", shop.card(alice), alice)
        assert card.status == "frozen"
        assert act("unfreeze_card", card, alice).status == "active"

    def test_by_staff_is_told_and_recorded_and_not_the_holders_to_undo(self):
        alice, sam = world.alice(), world.sam()
        card = act("freeze_card", shop.card(alice), sam, reason="Reported lost.")
        entry = AuditEntry.objects.get(action="card.frozen")
        assert (entry.actor, entry.subject, entry.reason) == (sam, alice, "Reported lost.")
        assert alice.notices.latest("id").body == "Reported lost."
        for verb in ("unfreeze_card", "freeze_card"):
            with pytest.raises(CardFrozenForYou):
                act(verb, card, alice)
        assert act("unfreeze_card", card, sam).status == "active"

    def test_by_a_colleague_is_not_a_holders_to_undo_who_is_staff_too(self):
        sam = world.sam()
        world.approve(world.submit(sam), proposer=world.staff("tess@demo.test", "Support"))
        card = act("freeze_card", shop.card(sam), world.olivia(), reason="Under review.")
        for verb in ("unfreeze_card", "freeze_card"):
            with pytest.raises(CardFrozenForYou):
                act(verb, card, sam)

    def test_of_a_frozen_card_by_staff_takes_it_out_of_the_holders_hands(self):
        alice = world.alice()
        card = act("freeze_card", shop.card(alice), alice)
        card = act("freeze_card", card, world.sam(), reason="Under review.")
        with pytest.raises(CardFrozenForYou):
            act("unfreeze_card", card, alice)


class TestCancelling:
    def test_is_for_good(self):
        alice = world.alice()
        card = act("cancel_card", shop.card(alice), alice)
        assert act("cancel_card", card, alice).status == "cancelled"
        for verb in ("activate_card", "freeze_card", "unfreeze_card"):
            with pytest.raises(CardCancelled):
                act(verb, card, alice)


class TestActivating:
    def test_lets_an_inactive_card_pay_and_leaves_others_alone(self):
        alice = world.alice()
        card = shop.card(alice)
        Card.objects.filter(pk=card.pk).update(status="inactive")
        assert act("activate_card", card, alice).status == "active"
        act("freeze_card", card, alice)
        assert act("activate_card", card, alice).status == "frozen"


class TestFunding:
    def test_is_kept_in_order_with_what_is_not_spent(self):
        card = shop.card(world.alice(), ("AAPLx", "0.5"), ("USD", "20"))
        assert funding(card) == [
            {"asset": "AAPLx", "keep": "0.5"},
            {"asset": "USD", "keep": "20"},
        ]

    def test_counts_shares_through_the_multiplier(self):
        apple = world.instrument("AAPLx")
        world.split(apple, 4)
        card = shop.card(world.alice(), ("AAPLx", "2"))
        assert card.sources.get().keep_units == 50_000_000
        assert funding(card) == [{"asset": "AAPLx", "keep": "2"}]

    @pytest.mark.parametrize(
        "choices",
        [[], [("USD", "0"), ("USD", "1")], [("EUR", "0")], [("USD", "-1")]],
    )
    def test_refuses_nothing_twice_the_same_the_unknown_and_the_negative(self, choices):
        card = shop.card(world.alice())
        with pytest.raises(FundingInvalid):
            act(
                "set_funding",
                card,
                world.alice(),
                choices=[FundingChoice(*choice) for choice in choices],
            )
        assert funding(card) == [{"asset": "USD", "keep": "0"}]

    def test_refuses_words_and_crumbs(self):
        card = shop.card(world.alice())
        for keep in ("lots", "NaN", "0.0000001"):
            with pytest.raises(AmountInvalid):
                act("set_funding", card, world.alice(), choices=[FundingChoice("USD", keep)])

    def test_is_moved_step_by_step(self):
        alice = world.alice()
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0.5"))
        act("move_source", card, alice, asset="AAPLx", step=-1)
        assert [source["asset"] for source in funding(card)] == ["AAPLx", "USD"]
        assert funding(card)[0]["keep"] == "0.5"
        act("move_source", card, alice, asset="USD", step=0)
        assert [source["asset"] for source in funding(card)] == ["AAPLx"]
        with pytest.raises(FundingInvalid):
            act("move_source", card, alice, asset="AAPLx", step=0)
        act("add_source", card, alice, choice=FundingChoice("TSLAx", "1"))
        assert [source["asset"] for source in funding(card)] == ["AAPLx", "TSLAx"]
