from datetime import timedelta
from decimal import Decimal

import pytest

import ledger.operations
import ledger.queries
import spending.operations
from common.invariants import find_breaks
from common.signatures import SignatureInvalid
from ledger.models import Account, Hold, Journal
from spending import gateways, queries
from spending.models import Authorization, CardEvent, CardMovement
from spending.operations.authorizations import EventIdReused
from spending.operations.events import NothingPending, NothingToRefund, UnknownAuthorization
from tests import world
from tests.spending import shop
from tests.trading.floor import Floor
from users.models import AuditEntry, Notice

pytestmark = pytest.mark.django_db


def house(role):
    account = Account.objects.get(owner=None, asset__code="USD", role=role)
    return Decimal(account.posted) / 10**6


@pytest.fixture
def alice():
    return world.alice()


@pytest.fixture
def card(alice):
    world.fund(alice, "100")
    return shop.card(alice)


@pytest.fixture(autouse=True)
def books_stay_true(db):
    yield
    assert not list(find_breaks([*ledger.queries.CHECKS, *queries.CHECKS]))


class TestClearing:
    def test_takes_the_money_for_good_in_one_journal(self, alice, card):
        asked = shop.pending(card, "4.50")
        told = shop.send(gateways.CLEARED, card, authorization=asked.external_id, id="clr-1")
        assert told["approved_amount"] == "4.50"
        asked.refresh_from_db()
        assert asked.status == "closed"
        assert (world.balance(alice), world.available(alice)) == (Decimal("95.5"), Decimal("95.5"))
        assert house("card_settlement") == Decimal("4.5")
        assert Journal.objects.get(key="card:clr-1").kind == "card_clearing"

    def test_of_less_gives_the_rest_back_unless_more_is_to_come(self, alice, card):
        asked = shop.pending(card, "10")
        facts = {"authorization": asked.external_id, "amount": "4"}
        shop.send(gateways.CLEARED, card, **facts, final=False)
        asked.refresh_from_db()
        assert (asked.status, asked.pending_units) == ("pending", 6_000_000)
        shop.send(gateways.CLEARED, card, **facts)
        asked.refresh_from_db()
        assert (asked.status, asked.reversed_units) == ("closed", 2_000_000)
        assert world.available(alice) == 92

    def test_of_more_takes_other_cash_too(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="12")
        assert world.balance(alice) == 88

    def test_of_more_than_there_is_freezes_the_card_and_the_house_pays(self, alice, card):
        asked = shop.pending(card, "90")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="130")
        assert world.balance(alice) == 0
        assert house("card_settlement") == 130
        assert house("fees") == -30
        card.refresh_from_db()
        assert card.status == "frozen"
        with pytest.raises(spending.operations.CardOwes):
            spending.operations.unfreeze_card(card=card, actor=world.sam(), now=world.NOW)

    def test_of_a_tip_sells_shares_like_any_purchase(self, alice):
        shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(world.instrument(), ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        asked = shop.pending(card, "40")
        assert int(world.balance(alice)) == 40  # and the change of whole base units
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="48", id="tip")
        asked.refresh_from_db()
        assert (asked.status, asked.captured_units, asked.sales.count()) == (
            "closed",
            40_000_000,
            2,
        )
        assert world.balance(alice) < Decimal("0.01")
        assert queries.debt_of(alice) == 0
        card.refresh_from_db()
        assert card.status == "active"
        said = Notice.objects.filter(user=alice, kind="card.cleared_more").get()
        assert said.title == "$48.00 was taken at Blue Door Café"

    def test_that_comes_late_is_raised_again(self, alice):
        shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(world.instrument(), ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        asked = shop.pending(card, "40")
        shop.send(gateways.EXPIRED, card, authorization=asked.external_id)
        shop.spend_rest(alice, 0)
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="60")
        assert queries.debt_of(alice) == 0
        assert CardMovement.objects.get().shortfall_units == 0

    def test_a_second_time_after_a_final_one_is_raised_again(self, alice):
        apple = shop.hold_shares(alice, "AAPLx", "1")
        world.fund(alice, "40")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        asked = shop.pending(card, "40")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="40", final=True)
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="8")
        asked.refresh_from_db()
        assert (asked.status, asked.captured_units) == ("closed", 40_000_000)
        assert asked.sales.get().trade.quantity == 2_876_440  # and 0.1 % fee
        assert house("card_settlement") == 48
        assert queries.debt_of(alice) == 0

    def test_leaves_cash_that_is_held_for_something_else(self, alice, card):
        """What an order has set aside is no cash of the card's: the house pays instead."""
        Floor().place(alice, "buy", quantity="0.5", limit_price="100")
        asked = shop.pending(card, "40")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="60")
        assert world.balance(alice) == Decimal("50.05")
        assert world.available(alice) == 0
        assert queries.debt_of(alice) == 10_050_000

    def test_posts_whatever_became_of_card_and_authorization(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.EXPIRED, card, authorization=asked.external_id)
        spending.operations.cancel_card(card=card, actor=alice, now=world.NOW)
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="10")
        assert world.balance(alice) == 90

    def test_by_force_becomes_a_purchase_like_any(self, alice, card):
        told = shop.send(gateways.CLEARED, card, amount="7", id="force-1")
        assert world.balance(alice) == 93
        bought = CardMovement.objects.get(external_id="force-1").authorization
        assert told["authorization"] == str(bought.uid)
        assert (bought.status, bought.captured_units) == ("closed", 7_000_000)
        assert shop.send(gateways.CLEARED, card, amount="7", id="force-1")["decision"] == "approved"
        assert world.balance(alice) == 93

    def test_by_force_sells_shares(self, alice):
        shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(world.instrument(), ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        shop.send(gateways.CLEARED, card, amount="60", id="force-1")
        bought = CardMovement.objects.get().authorization
        assert (bought.captured_units, bought.sales.count()) == (60_000_000, 1)
        assert queries.debt_of(alice) == 0
        assert not list(find_breaks(queries.CHECKS))

    def test_by_force_beyond_everything_owes_only_the_rest(self, alice, card):
        shop.send(gateways.CLEARED, card, amount="107", id="force-1")
        assert world.balance(alice) == 0
        assert queries.debt_of(alice) == 7_000_000
        assert not list(find_breaks(queries.CHECKS))

    def test_of_nothing_is_refused(self, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        with pytest.raises(NothingPending):
            shop.send(gateways.CLEARED, card, authorization=asked.external_id)


class TestTheSameEventAgain:
    @pytest.mark.parametrize(
        "kind",
        [
            gateways.CLEARED,
            gateways.REVERSED,
            gateways.EXPIRED,
            gateways.INCREMENTED,
        ],
    )
    def test_gets_the_same_bytes_and_is_done_once(self, alice, card, kind):
        asked = shop.pending(card, "10")
        facts = {"authorization": asked.external_id, "amount": "3", "id": "evt-same"}
        first = shop.send_raw(kind, card, **facts)
        before = (world.balance(alice), world.available(alice), Journal.objects.count())
        assert shop.send_raw(kind, card, **facts) == first
        assert before == (world.balance(alice), world.available(alice), Journal.objects.count())
        assert CardEvent.objects.count() == 1


class TestAnotherEventUnderTheSameId:
    """A network that repeats itself says the same; anything else is a mistake or an attack."""

    def refused(self, card, kind, **facts):
        before = (Journal.objects.count(), Hold.objects.count(), CardEvent.objects.count())
        reports = AuditEntry.objects.filter(action="card.event_refused")
        told = reports.count()
        with pytest.raises(EventIdReused):
            shop.send(kind, card, **facts)
        assert before == (Journal.objects.count(), Hold.objects.count(), CardEvent.objects.count())
        assert reports.count() == told + 1
        return reports.latest("id")

    @pytest.mark.parametrize(
        "other",
        [
            {"amount": "4900"},
            {"merchant": {"name": "Somebody else", "category": "5814"}},
            {"merchant": {"name": "Blue Door Café", "category": "7995"}},
            {"partial_allowed": True},
            {"type": gateways.ADVISED},
        ],
    )
    def test_an_authorization_is_refused_and_reported(self, alice, card, other):
        asked = {"id": "evt-same", "amount": "4.50"}
        shop.send(gateways.REQUESTED, card, **asked)
        report = self.refused(card, gateways.REQUESTED, **{**asked, **other})
        assert (report.subject, report.detail["event"]) == (alice, "evt-same")
        assert world.available(alice) == Decimal("95.5")

    def test_an_authorization_of_another_card_is_refused(self, alice, card):
        shop.send(gateways.REQUESTED, card, id="evt-same", amount="4.50")
        self.refused(shop.card(alice), gateways.REQUESTED, id="evt-same", amount="4.50")

    @pytest.mark.parametrize(
        "kind", [gateways.CLEARED, gateways.REVERSED, gateways.INCREMENTED, gateways.REFUNDED]
    )
    @pytest.mark.parametrize("other", [{"amount": "4"}, {"authorization": None}])
    def test_whatever_came_later_is_refused_too(self, card, kind, other):
        asked = shop.pending(card, "10")
        if kind == gateways.REFUNDED:
            shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        facts = {"authorization": asked.external_id, "amount": "3", "id": "evt-same"}
        shop.send(kind, card, **facts)
        self.refused(card, kind, **{**facts, **other})

    def test_one_kind_of_event_is_no_other(self, card):
        asked = shop.pending(card, "10", id="evt-same")
        self.refused(
            card, gateways.CLEARED, id="evt-same", authorization=asked.external_id, amount="10"
        )
        shop.send(gateways.REVERSED, card, id="evt-next", authorization=asked.external_id)
        self.refused(card, gateways.REQUESTED, id="evt-next", amount="10")


class TestIncrement:
    def test_sets_more_aside(self, alice, card):
        asked = shop.pending(card, "10")
        told = shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="5")
        assert told["decision"] == "approved"
        assert world.available(alice) == 85

    def test_that_is_not_covered_changes_nothing(self, alice, card):
        asked = shop.pending(card, "10")
        told = shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="95")
        assert (told["decision"], told["reason"]) == ("declined", "insufficient_funds")
        assert world.available(alice) == 90

    def test_of_a_card_frozen_meanwhile_is_declined(self, alice, card):
        asked = shop.pending(card, "10")
        spending.operations.freeze_card(card=card, actor=alice, now=world.NOW)
        told = shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="5")
        assert (told["decision"], told["reason"]) == ("declined", "card_frozen")
        assert world.available(alice) == 90

    def test_of_somebody_restricted_meanwhile_is_declined(self, alice, card):
        asked = shop.pending(card, "10")
        alice.application.status = "restricted"
        alice.application.save()
        told = shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="5")
        assert (told["decision"], told["reason"]) == ("declined", "kyc_restricted")
        assert world.available(alice) == 90

    def test_sells_shares_like_the_first_request(self, alice):
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        asked = shop.pending(card, "60")
        shop.send(gateways.INCREMENTED, card, authorization=asked.external_id, amount="40")
        asked.refresh_from_db()
        assert asked.sales.count() == 2
        assert asked.authorized_units == 100_000_000


class TestReversal:
    def test_gives_the_cash_back(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id, amount="4")
        assert world.available(alice) == 94
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        asked.refresh_from_db()
        assert asked.status == "reversed"
        assert world.available(alice) == 100

    def test_of_what_is_done_is_refused(self, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.REVERSED, card, authorization=asked.external_id)
        with pytest.raises(NothingPending):
            shop.send(gateways.REVERSED, card, authorization=asked.external_id)


class TestExpiry:
    def test_by_the_clock_gives_everything_back_once(self, alice, card):
        asked = shop.pending(card, "10")
        assert spending.operations.expire_due(now=asked.expires_at - timedelta(seconds=1)) == 0
        assert spending.operations.expire_due(now=asked.expires_at) == 1
        assert spending.operations.expire_due(now=asked.expires_at) == 0
        asked.refresh_from_db()
        assert asked.status == "expired"
        assert world.available(alice) == 100


class TestRefund:
    def test_of_what_the_house_paid_repays_the_house_first(self, alice, card):
        """Else a customer could take the money away before anybody looks for what is owed."""
        shop.send(gateways.CLEARED, card, amount="130")
        assert queries.debt_of(alice) == 30_000_000
        taken = CardMovement.objects.get().authorization
        shop.send(gateways.REFUNDED, card, authorization=taken.external_id, amount="20")
        assert (world.available(alice), queries.debt_of(alice)) == (0, 10_000_000)
        shop.send(gateways.REFUNDED, card, authorization=taken.external_id, amount="80")
        assert (world.available(alice), queries.debt_of(alice)) == (70, 0)
        assert not list(find_breaks(queries.CHECKS))

    def test_brings_cash_back(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="4")
        assert world.balance(alice) == 94
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id)
        assert world.balance(alice) == 100

    def test_of_more_than_was_taken_posts_and_is_flagged(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="10")
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="0.01")
        assert world.balance(alice) == Decimal("100.01")
        refunds = CardMovement.objects.filter(kind="refund").order_by("id")
        assert [refund.odd for refund in refunds] == ["", "more"]

    def test_of_more_than_was_taken_late_is_no_early_one(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.EXPIRED, card, authorization=asked.external_id)
        shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="10", id="late")
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="15")
        assert CardMovement.objects.get(kind="refund").odd == "more"

    def test_before_its_clearing_posts_and_is_flagged(self, alice, card):
        asked = shop.pending(card, "10")
        shop.send(gateways.REFUNDED, card, authorization=asked.external_id, amount="10")
        assert (world.balance(alice), world.available(alice)) == (110, 100)
        assert CardMovement.objects.get().odd == "early"
        shop.send(gateways.CLEARED, card, authorization=asked.external_id)
        assert (world.balance(alice), world.available(alice)) == (100, 100)

    def test_of_all_of_nothing_is_refused(self, card):
        asked = shop.pending(card, "10")
        with pytest.raises(NothingToRefund):
            shop.send(gateways.REFUNDED, card, authorization=asked.external_id)

    def test_may_come_unasked(self, alice, card):
        shop.send(gateways.REFUNDED, card, amount="25")
        assert world.balance(alice) == 125

    def test_of_more_than_the_books_can_count_is_refused(self, alice, card):
        shop.send(gateways.REFUNDED, card, amount="9000000000000")
        with pytest.raises(ledger.operations.Uncountable):
            shop.send(gateways.REFUNDED, card, amount="9000000000000")
        assert world.balance(alice) == 9_000_000_000_100


class TestTheDoor:
    def test_takes_only_what_the_processor_signed(self, card):
        with pytest.raises(SignatureInvalid):
            spending.operations.receive_event(payload=b"{}", signature="t=1,v1=0", now=world.NOW)

    def test_knows_only_its_cards(self, card):
        card.token = "card_of_somebody_else"
        with pytest.raises(spending.operations.UnknownCard):
            shop.authorize(card, "4.50")

    def test_knows_only_the_authorizations_of_the_card(self, card):
        asked = shop.pending(card, "10")
        world.fund(world.carol(), "10")
        other = shop.card(world.carol())
        with pytest.raises(UnknownAuthorization):
            shop.send(gateways.CLEARED, other, authorization=asked.external_id)

    def test_keeps_of_a_name_what_can_be_kept(self, card):
        name = "Café " + "x" * 200
        asked = shop.pending(card, "1", merchant={"name": name, "category": "58141"})
        assert (asked.merchant, asked.mcc) == (name[:100], "5814")

    @pytest.mark.parametrize(
        "facts",
        [
            {"type": "party"},
            {"amount": "-1"},
            {"amount": 4.5},
            {"amount": "1e99"},
            {"amount": None},
            {"id": ""},
            {"id": "x" * 65},
            {"id": "nul\0"},
            {"id": "half \ud800"},
            {"currency": "EUR"},
            {"merchant": "Blue Door"},
            {"merchant": {"name": "Caf\0é"}},
            {"merchant": {"name": "half \ud800"}},
        ],
    )
    def test_refuses_what_it_does_not_understand(self, card, facts):
        with pytest.raises(Exception) as refused:  # noqa: PT011 - two kinds, both 400
            shop.send(**{"kind": gateways.REQUESTED, "on": card, "amount": "1", **facts})
        assert refused.value.status == 400
        assert not Authorization.objects.exists()
