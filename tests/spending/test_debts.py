from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

import ledger.operations
import ledger.queries
import spending.operations
import spending.operations.debts
import trading.operations
import users.operations
from common.invariants import find_breaks
from ledger.models import Journal
from ledger.operations import AccountKey, Entry, HoldRequest, Leg
from spending import gateways, queries
from spending.models import Card, DebtReduction
from spending.operations import CardOwes
from tests import world
from tests.spending import shop
from users.models import AuditEntry

pytestmark = pytest.mark.django_db
LATER = world.NOW + timedelta(minutes=1)


@pytest.fixture
def alice():
    return world.alice()


@pytest.fixture
def owing(alice):
    """Alice's card, of which a merchant took 30 dollars more than there was."""
    world.fund(alice, "100")
    card = shop.card(alice)
    shop.send(gateways.CLEARED, card, amount="130")
    card.refresh_from_db()
    return card


@pytest.fixture(autouse=True)
def books_stay_true(db):
    yield
    assert not list(find_breaks([*ledger.queries.CHECKS, *queries.CHECKS]))


def forgive(user, amount):
    proposal = users.operations.propose(
        kind="spending.forgive_shortfall",
        payload={"user": user.pk, "amount": amount},
        actor=world.sam(),
        reason="The merchant erred.",
        now=LATER,
    )
    return users.operations.approve(proposal=proposal, actor=world.olivia(), now=LATER)


def set_aside(user, units):
    """Set dollars aside as an order does."""
    (cash,) = ledger.operations.open_accounts(
        keys=[AccountKey(user.pk, ledger.queries.usd().pk, "customer")]
    )
    ledger.operations.hold(requests=[HoldRequest(cash, units, "order:test")])


def bring(user, units):
    """Bring units that are no whole cent."""
    usd = ledger.queries.usd()
    outside, cash = ledger.operations.open_accounts(
        keys=[AccountKey(None, usd.pk, "external"), AccountKey(user.pk, usd.pk, "customer")]
    )
    entry = Entry("test:bring", "test", [Leg(outside, cash, units)])
    ledger.operations.post(entries=[entry], occurred_at=LATER)


def recover(user):
    return spending.operations.debts.recover_debt(user_id=user.pk, now=LATER)


class TestWhoOwes:
    def test_spends_with_no_card(self, alice):
        world.fund(alice, "100")
        card, other = shop.card(alice), shop.card(alice)
        shop.send(gateways.CLEARED, card, amount="130")
        assert shop.authorize(other, "1")["reason"] == "account_owes"

    def test_gets_no_other_card_and_thaws_none(self, alice, owing):
        with pytest.raises(CardOwes):
            spending.operations.issue_card(user=alice, now=LATER)
        for turn in (spending.operations.unfreeze_card, spending.operations.activate_card):
            with pytest.raises(CardOwes):
                turn(card=owing, actor=world.sam(), now=LATER)

    def test_of_others_is_not_asked(self, owing):
        carol = world.carol()
        world.fund(carol, "10")
        assert shop.authorize(shop.card(carol), "4")["decision"] == "approved"


class TestRecovery:
    def test_takes_the_debt_first_from_new_money(self, alice, owing):
        world.fund(alice, "20")
        assert spending.operations.recover_debts(now=LATER) == 1
        assert (world.balance(alice), queries.debt_of(alice)) == (0, 10_000_000)
        world.fund(alice, "50")
        assert spending.operations.recover_debts(now=LATER) == 1
        assert spending.operations.recover_debts(now=LATER) == 0
        assert (world.balance(alice), queries.debt_of(alice)) == (40, 0)
        assert Journal.objects.filter(kind="card_recovery").count() == 2

    def test_leaves_what_is_set_aside(self, alice):
        world.fund(alice, "100")
        card = shop.card(alice)
        asked = shop.pending(card, "60")
        shop.send(gateways.CLEARED, card, amount="70")
        assert spending.operations.recover_debts(now=LATER) == 0
        assert world.balance(alice) == Decimal(60)
        asked.refresh_from_db()
        assert asked.pending_units == 60_000_000

    def test_sets_aside_what_arrives_before_anybody_can_use_it(self, alice, owing):
        world.fund(alice, "20")
        assert (world.balance(alice), world.available(alice)) == (20, 0)
        with pytest.raises(ledger.operations.InsufficientFunds):
            set_aside(alice, 1)
        world.fund(alice, "50")
        assert (world.balance(alice), world.available(alice)) == (70, 40)
        assert spending.operations.recover_debts(now=LATER) == 1
        assert (world.balance(alice), world.available(alice)) == (40, 40)

    def test_takes_what_a_reversed_purchase_gives_back(self, alice):
        world.fund(alice, "100")
        card = shop.card(alice)
        shop.pending(card, "60", id="asked")
        shop.send(gateways.CLEARED, card, amount="70")
        shop.send(gateways.REVERSED, card, authorization="asked", amount="35")
        assert (world.balance(alice), world.available(alice)) == (60, 5)
        assert spending.operations.recover_debts(now=LATER) == 1
        assert (world.balance(alice), queries.debt_of(alice)) == (30, 0)

    def test_of_what_shares_sold_by_choice_bring_comes_first(self, alice):
        of = shop.hold_shares(alice, "AAPLx", "1")
        card = shop.card(alice)
        shop.send(gateways.CLEARED, card, amount="130")
        trading.operations.trade_with_house(
            customer=alice,
            instrument=of,
            side="sell",
            quantity=10**8,
            price=Decimal(200),
            now=LATER,
            key="choice",
        )
        assert (world.balance(alice), world.available(alice)) == (200, 70)

    def test_waits_for_a_merchant_who_takes_shares_meanwhile(self, alice):
        of = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(of, ("278", "10"))
        shop.send(gateways.CLEARED, shop.card(alice), amount="30")
        card = Card.objects.get(user=alice)
        sources = [spending.operations.FundingChoice("AAPLx", "0")]
        spending.operations.set_funding(card=card, choices=sources, actor=alice, now=LATER)
        told = shop.send(gateways.ADVISED, card, amount="40")
        assert told["decision"] == "approved"
        shop.send(gateways.CLEARED, card, amount="50")
        assert queries.debt_of(alice) == 30_000_000
        assert world.balance(alice) == Decimal(
            "40.000004"
        )  # set aside for the other purchase, or owed
        assert world.available(alice) == 0

    def test_is_each_customers_own(self, alice, owing):
        carol = world.carol()
        world.fund(carol, "10")
        shop.send(gateways.CLEARED, shop.card(carol), amount="15")
        assert not recover(alice)
        world.fund(carol, "1")
        assert not recover(alice)
        assert recover(carol)
        assert (queries.debt_of(alice), queries.debt_of(carol)) == (30_000_000, 4_000_000)

    def test_of_who_never_owed_takes_nothing(self, alice):
        world.fund(alice, "1")
        assert not recover(alice)

    def test_takes_the_last_unit_too(self, alice, owing):
        bring(alice, 1)
        assert recover(alice)
        assert queries.debt_of(alice) == 29_999_999

    def test_is_told(self, alice, owing):
        world.fund(alice, "20")
        recover(alice)
        assert alice.notices.filter(kind="card.debt_recovered").count() == 1

    def test_lets_the_card_be_thawed_and_pay_again(self, alice, owing):
        world.fund(alice, "50")
        spending.operations.recover_debts(now=LATER)
        spending.operations.unfreeze_card(card=owing, actor=world.sam(), now=LATER)
        assert shop.authorize(owing, "4")["decision"] == "approved"

    def test_is_explained_by_its_row_and_by_nothing_else(self, alice, owing):
        world.fund(alice, "50")
        spending.operations.recover_debts(now=LATER)
        with pytest.raises(DatabaseError), transaction.atomic():
            DebtReduction.objects.update(amount_units=1)


class TestForgiving:
    def test_is_decided_by_two_and_moves_no_money(self, alice, owing):
        journals = Journal.objects.count()
        forgive(alice, "30")
        assert queries.debt_of(alice) == 0
        assert Journal.objects.count() == journals
        assert "is forgiven" in alice.notices.latest("id").title

    def test_is_written_down_with_its_reason(self, alice, owing):
        forgive(alice, "30")
        entry = AuditEntry.objects.get(action="card.debt_forgiven")
        assert (entry.actor, entry.subject_id) == (world.olivia(), alice.pk)
        assert entry.reason == "The merchant erred."

    def test_may_be_of_the_last_unit(self, alice, owing):
        forgive(alice, "29.999999")
        forgive(alice, "0.000001")
        assert queries.debt_of(alice) == 0

    @pytest.mark.parametrize("units", [-1, 0, 30_000_001])
    def test_is_of_something_and_no_more_than_is_owed(self, alice, owing, units):
        proposal = users.operations.propose(
            kind="spending.forgive_shortfall",
            payload={"user": alice.pk, "amount": "30"},
            actor=world.sam(),
            reason="The merchant erred.",
            now=LATER,
        )
        with pytest.raises(spending.operations.NothingOwed):
            spending.operations.forgive_shortfall(
                user=alice, units=units, proposal=proposal, actor=world.olivia(), now=LATER
            )

    def test_of_more_than_is_owed_is_refused(self, alice, owing):
        with pytest.raises(spending.operations.NothingOwed):
            forgive(alice, "30.01")

    def test_is_not_decided_on_what_has_changed(self, alice, owing):
        proposal = users.operations.propose(
            kind="spending.forgive_shortfall",
            payload={"user": alice.pk, "amount": "30"},
            actor=world.sam(),
            reason="The merchant erred.",
            now=LATER,
        )
        world.fund(alice, "10")
        spending.operations.recover_debts(now=LATER)
        with pytest.raises(users.operations.ProposalConflicted):
            users.operations.approve(proposal=proposal, actor=world.olivia(), now=LATER)
        assert queries.debt_of(alice) == 20_000_000
