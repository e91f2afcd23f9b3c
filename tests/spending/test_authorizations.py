import json
from datetime import date, timedelta
from decimal import Decimal
from time import monotonic

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import spending.operations
from common.invariants import find_breaks
from ledger.models import Hold, Journal
from spending import gateways, queries
from spending.models import Authorization, Card, CardSale
from tests import world
from tests.spending import shop
from trading.models import Book, Order, Trade
from users.models import Notice

pytestmark = pytest.mark.django_db


def counts():
    return [model.objects.count() for model in (Journal, Hold, Order, Trade, CardSale)]


class TestPayingFromCash:
    def test_sets_the_amount_aside_and_says_approved(self):
        alice = world.alice()
        world.fund(alice, "100")
        told = shop.authorize(shop.card(alice), "4.50")
        assert told["decision"] == "approved"
        assert told["reason"] is None
        assert told["approved_amount"] == "4.50"
        assert world.available(alice) == Decimal("95.5")
        assert world.balance(alice) == 100

    @pytest.mark.parametrize("kind", [gateways.REQUESTED, gateways.ADVISED])
    def test_of_nothing_is_recorded_and_holds_nothing(self, kind):
        """A merchant verifies an account before it ever charges it."""
        alice = world.alice()
        card = shop.card(alice)
        told = shop.send(kind, card, amount="0.00", merchant={"name": "Blue Door Café"})
        assert (told["decision"], told["approved_amount"]) == ("approved", "0.00")
        asked = Authorization.objects.get()
        assert (asked.status, asked.requested_units, asked.hold) == ("closed", 0, None)
        assert Notice.objects.get(kind="card.approved").title == "Blue Door Café checked your card"
        assert [tap.words for tap in queries.taps_of(card, limit=5)] == ["Checked your card"]
        assert not list(find_breaks(queries.CHECKS))

    def test_of_nothing_is_declined_by_a_frozen_card(self):
        card = shop.card(world.alice())
        spending.operations.freeze_card(card=card, actor=card.user, now=world.NOW)
        told = shop.authorize(card, "0")
        assert (told["decision"], told["reason"]) == ("declined", "card_frozen")

    @pytest.mark.parametrize("kind", [gateways.CLEARED, gateways.REVERSED, gateways.REFUNDED])
    def test_of_nothing_is_no_other_message(self, kind):
        card = shop.card(world.alice())
        with pytest.raises(gateways.EventMalformed):
            shop.send(kind, card, amount="0")

    def test_declines_what_cash_does_not_cover_and_leaves_nothing(self):
        alice = world.alice()
        world.fund(alice, "3")
        card = shop.card(alice)
        before = counts()
        told = shop.authorize(card, "4.50")
        assert (told["decision"], told["reason"]) == ("declined", "insufficient_funds")
        assert told["approved_amount"] == "0.00"
        assert counts() == before
        assert world.available(alice) == 3

    def test_keeps_the_floor_of_the_cash(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice, ("USD", "98"))
        assert shop.authorize(card, "4.50")["reason"] == "insufficient_funds"
        assert shop.authorize(card, "2")["decision"] == "approved"

    def test_approves_a_part_only_where_the_merchant_takes_parts(self):
        alice = world.alice()
        world.fund(alice, "3")
        card = shop.card(alice)
        assert shop.authorize(card, "4.50")["decision"] == "declined"
        told = shop.authorize(card, "4.50", partial_allowed=True)
        assert (told["decision"], told["approved_amount"]) == ("partial", "3.00")
        assert world.available(alice) == 0

    def test_tells_the_customer(self):
        alice = world.alice()
        world.fund(alice, "100")
        shop.authorize(shop.card(alice), "4.50")
        assert alice.notices.latest("id").title == "You paid $4.50 at Blue Door Café"

    def test_asks_few_questions(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            shop.authorize(card, "4.50")
        assert len(asked) <= 23, "\n".join(str(one["sql"]) for one in asked)


class TestSellingShares:
    def test_sells_just_enough_at_the_houses_quote(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        world.fund(alice, "10")
        shop.quote(apple, ("278.40", "5"))
        told = shop.authorize(shop.card(alice, ("USD", "0"), ("AAPLx", "0")), "60")
        assert told["decision"] == "approved"
        sale = CardSale.objects.get(authorization__uid=told["authorization"])
        assert sale.trade.price == Decimal("278.40")
        assert sale.trade.venue == "house"
        assert sale.trade.settled_at is not None
        assert sale.trade.quantity == 17977748  # 50.05005 dollars' worth, at a fee of 0.1 %
        assert (sale.trade.cost, sale.trade.sell_fee) == (50_050_050, 50_050)
        assert world.available(alice) < Decimal("0.00001")
        assert world.balance(alice) >= 60

    def test_sells_in_the_order_chosen_and_keeps_the_floors(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        tesla = shop.hold_shares(alice, "TSLAx", "1", price="400")
        shop.quote(apple, ("278.40", "5"))
        shop.quote(tesla, ("400", "5"), price="400")
        card = shop.card(alice, ("TSLAx", "0.9"), ("AAPLx", "0"))
        told = shop.authorize(card, "60")
        assert told["decision"] == "approved"
        assert world.balance(alice, "TSLAx") == Decimal("0.9")
        assert world.balance(alice, "AAPLx") < Decimal("0.93")

    def test_passes_over_a_halted_asset(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        tesla = shop.hold_shares(alice, "TSLAx", "1", price="400")
        shop.quote(apple, ("278.40", "5"))
        shop.quote(tesla, ("400", "5"), price="400")
        Book.objects.filter(instrument=apple).update(state=Book.State.CANCEL_ONLY)
        told = shop.authorize(shop.card(alice, ("AAPLx", "0"), ("TSLAx", "0")), "60")
        assert told["decision"] == "approved"
        assert world.balance(alice, "AAPLx") == 1

    def test_declines_with_the_obstacle_where_nothing_else_pays(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"), at=world.NOW - timedelta(hours=1))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        assert shop.authorize(card, "60")["reason"] == "price_stale"
        shop.quote(apple, ("278.40", "5"))
        Book.objects.update(state=Book.State.MAINTENANCE)
        assert shop.authorize(card, "60")["reason"] == "asset_halted"

    def test_says_in_the_notice_what_was_sold(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        shop.authorize(shop.card(alice, ("AAPLx", "0")), "60")
        assert alice.notices.latest("id").body == (
            "Sold 0.2157 AAPLx at $278.40 to pay for it. The fee was $0.06."
        )

    def test_asks_few_questions(self):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        with CaptureQueriesContext(connection) as asked:
            shop.authorize(card, "60")
        assert len(asked) <= 52, "\n".join(str(one["sql"]) for one in asked)


class TestTheSameRequestAgain:
    def test_gets_the_same_bytes_and_changes_nothing(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        first = shop.send_raw(gateways.REQUESTED, card, id="evt-same", amount="4.50")
        before = counts()
        again = shop.send_raw(gateways.REQUESTED, card, id="evt-same", amount="4.50")
        assert again == first
        assert counts() == before

    def test_repeats_a_refusal_too(self):
        card = shop.card(world.alice())
        first = shop.send_raw(gateways.REQUESTED, card, id="evt-no", amount="4.50")
        world.fund(world.alice(), "100")
        assert shop.send_raw(gateways.REQUESTED, card, id="evt-no", amount="4.50") == first


class TestWhoMayPay:
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (Card.Status.INACTIVE, "card_inactive"),
            (Card.Status.FROZEN, "card_frozen"),
            (Card.Status.CANCELLED, "card_canceled"),
        ],
    )
    def test_only_an_active_card(self, status, reason):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        Card.objects.filter(pk=card.pk).update(status=status)
        assert shop.authorize(card, "4.50")["reason"] == reason

    def test_no_expired_card(self):
        card = shop.card(world.alice())
        world.fund(world.alice(), "100")
        Card.objects.filter(pk=card.pk).update(expires_on=world.NOW.date().replace(day=1))
        assert shop.authorize(card, "4.50")["decision"] == "approved"  # it is still that month
        Card.objects.filter(pk=card.pk).update(expires_on=date(2026, 10, 31))
        assert shop.authorize(card, "4.50")["reason"] == "card_expired"

    def test_only_who_is_in_good_standing(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        alice.application.status = "restricted"
        alice.application.save()
        assert shop.authorize(card, "4.50")["reason"] == "kyc_restricted"


class TestDeadline:
    def event(self, card, amount="60"):
        return gateways.Event(
            id="evt-late",
            kind=gateways.REQUESTED,
            card=card.token,
            authorization="",
            amount=int(amount) * 10**6,
            merchant="",
            mcc="",
            partial_allowed=False,
            final=True,
        )

    def test_past_it_the_answer_is_no_and_nothing_is_left(self, monkeypatch):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        before = counts()
        begun = monotonic()
        late = iter([begun, begun, begun + 60, begun, begun])  # begun, decided, refused
        monkeypatch.setattr("spending.operations.authorizations.monotonic", lambda: next(late))
        told = spending.operations.authorize(
            event=self.event(card), now=world.NOW, deadline=begun + 30
        )
        assert json.loads(told)["reason"] == "deadline_exceeded"
        assert counts() == before
        assert Authorization.objects.get(external_id="evt-late").answer == told


class TestAllOrNothing:
    @pytest.mark.parametrize(
        "step",
        [
            "spending.operations.authorizations.ledger.operations.hold",
            "spending.operations.funding.CardSale.objects.bulk_create",
            "spending.operations.authorizations.users.operations.notify",
            "spending.models.Authorization.save",
        ],
    )
    def test_a_crash_at_any_step_leaves_no_sale_and_no_hold(self, monkeypatch, step):
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("AAPLx", "0"))
        before = counts()

        def crash(*_args, **_kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(step, crash)
        with pytest.raises(KeyboardInterrupt):
            shop.authorize(card, "60", id="evt-crash")
        monkeypatch.undo()
        assert counts() == before
        assert not Authorization.objects.filter(external_id="evt-crash").exists()
        assert shop.authorize(card, "60", id="evt-crash")["decision"] == "approved"
        assert not list(find_breaks(queries.CHECKS))


class TestAdvice:
    def test_what_happened_already_is_not_refused_for_a_frozen_card(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        spending.operations.freeze_card(card=card, actor=alice, now=world.NOW)
        told = shop.send(gateways.ADVISED, card, amount="4.50")
        assert told["decision"] == "approved"
