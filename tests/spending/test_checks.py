"""Each promise about cards, broken on purpose by the owner of the tables, is reported by name."""

import pytest
from django.db import connections, transaction

import ledger.operations
import spending.operations
from common.invariants import find_breaks
from ledger.models import Account, Claim
from spending import gateways, queries
from tests import world
from tests.spending import shop

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

CLAIMED = "a debt is what the ledger claims"
EXPLAINED = "journals are explained by spending_explained"


def plant(sql, *values):
    with transaction.atomic("owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # the guards set aside
        cursor.execute(sql, values)


def broken():
    return {found.check for found in find_breaks(queries.CHECKS)}


@pytest.fixture
def day():
    """A day of purchases: one pending, one sold for and cleared, one refunded, one declined."""
    alice = world.alice()
    apple = shop.hold_shares(alice, "AAPLx", "1")
    world.fund(alice, "20")
    shop.quote(apple, ("278.40", "5"))
    card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
    shop.pending(card, "4.50")
    sold = shop.pending(card, "60")
    shop.send(gateways.CLEARED, card, authorization=sold.external_id)
    shop.send(gateways.REFUNDED, card, authorization=sold.external_id, amount="10")
    shop.authorize(card, "9000")
    undone = shop.pending(card, "30")
    shop.send(gateways.REVERSED, card, authorization=undone.external_id)
    assert broken() == set()
    return card


class TestChecks:
    def test_an_authorization_that_does_not_add_up(self, day):
        plant(
            "UPDATE spending_authorization SET authorized_units = authorized_units + 1"
            " WHERE status = 'pending'"
        )
        assert broken() == {"authorizations add up to their holds"}

    def test_a_status_that_forgets_the_hold(self, day):
        plant(
            "UPDATE spending_authorization SET status = 'closed', closed_at = now()"
            " WHERE status = 'pending'"
        )
        assert broken() == {
            "authorizations add up to their holds",
            "every live hold has one living owner",
        }

    def test_a_live_hold_that_nobody_owns(self, day):
        plant("UPDATE ledger_hold SET remaining = 5 WHERE remaining = 0")
        assert "every live hold has one living owner" in broken()

    def test_a_declined_purchase_that_sold_something(self, day):
        plant(
            "UPDATE spending_cardsale SET authorization_id ="
            " (SELECT id FROM spending_authorization WHERE decision = 'declined')"
        )
        assert broken() == {"a declined purchase left nothing"}

    def test_a_hold_that_no_authorization_knows(self, day):
        plant(
            "UPDATE ledger_hold SET purpose = 'card:' || gen_random_uuid() WHERE purpose NOT LIKE"
            " 'card:%%'"
        )
        plant(
            "INSERT INTO ledger_hold (account_id, purpose)"
            " SELECT account_id, 'card:lost' FROM ledger_hold LIMIT 1"
        )
        assert broken() == {"a declined purchase left nothing"}

    def test_a_sale_without_its_journal(self, day):
        plant("UPDATE trading_trade SET uid = gen_random_uuid()")
        assert broken() == {"card sales are whole"}

    def test_a_sale_that_never_settled(self, day):
        plant("UPDATE trading_trade SET settled_at = NULL")
        assert broken() == {"card sales are whole"}

    def test_a_sale_without_the_scheduled_fee(self, day):
        plant("UPDATE trading_order SET taker_rate = 0 WHERE venue = 'house' AND side = 'sell'")
        assert broken() == {"card sales are whole"}

    @pytest.mark.parametrize(
        "broken_so",
        [
            "UPDATE trading_trade SET buy_fee = 0 WHERE buy_fee < 0",
            (
                "UPDATE spending_authorization SET reversed_units = 0,"
                " expired_units = authorized_units WHERE status = 'reversed'"
            ),
            "UPDATE spending_cardsale SET undone_by_id = NULL",
        ],
    )
    def test_a_sale_undone_at_other_terms(self, day, broken_so):
        plant(broken_so)
        assert "card sales are whole" in broken()

    def test_shares_sold_for_a_card_that_paid_nothing(self, day):
        plant("DELETE FROM spending_cardsale")
        assert broken() == {"card sales are whole"}

    def test_a_movement_of_another_amount_than_its_journal(self, day):
        plant(
            "UPDATE spending_cardmovement SET amount_units = amount_units + 1"
            " WHERE kind = 'clearing'"
        )
        assert broken() == {"each movement is one journal of its amount", EXPLAINED}

    def test_a_journal_without_its_movement(self, day):
        plant("UPDATE spending_cardevent SET authorization_id = NULL")
        plant("DELETE FROM spending_cardmovement WHERE kind = 'refund'")
        assert broken() == {"each movement is one journal of its amount", EXPLAINED}

    def test_a_refund_of_more_than_was_taken(self, day):
        plant("UPDATE spending_cardmovement SET amount_units = 99000000 WHERE kind = 'refund'")
        assert broken() == {
            "each movement is one journal of its amount",
            EXPLAINED,
            "refunds stay within what was taken",
        }

    @pytest.mark.parametrize(
        "broken_so",
        [
            "UPDATE spending_debtreduction SET amount_units = amount_units + 1",
            (
                "UPDATE spending_debtreduction"
                " SET user_id = (SELECT id FROM users_user WHERE email LIKE 'sam%%')"
            ),
        ],
    )
    def test_a_debt_that_does_not_add_up(self, day, broken_so):
        shop.send(gateways.CLEARED, day, amount="900")
        world.fund(world.alice(), "2000")
        spending.operations.recover_debts(now=world.NOW)
        world.sam()
        plant("ALTER TABLE spending_debtreduction DISABLE TRIGGER USER")
        plant(broken_so)
        plant("ALTER TABLE spending_debtreduction ENABLE TRIGGER USER")
        assert "a debt is its shortfalls less what was recovered and forgiven" in broken()

    def test_a_card_issued_to_who_owes(self, day):
        shop.send(gateways.CLEARED, day, amount="900")
        plant("UPDATE spending_card SET created_at = now() + interval '1 day', status = 'frozen'")
        assert broken() == {"nothing is issued while a debt is open"}

    def test_an_owing_card_that_still_pays(self, day):
        plant("UPDATE spending_cardmovement SET shortfall_units = 1 WHERE kind = 'clearing'")
        assert broken() == {"an owing card is frozen", EXPLAINED, CLAIMED}

    def test_a_debt_that_the_ledger_does_not_claim(self, day):
        shop.send(gateways.CLEARED, day, amount="900")
        account = Claim.objects.get().account_id
        ledger.operations.reduce_claim(account_id=account, units=1)
        assert broken() == {CLAIMED}

    def test_a_claim_of_who_owes_nothing(self, day):
        world.fund(world.carol(), "1")
        account = Account.objects.get(owner=world.carol(), asset__code="USD")
        ledger.operations.claim(account_id=account.pk, units=1, purpose="debt")
        assert broken() == {CLAIMED}
