"""Each promise about cards, broken on purpose by the owner of the tables, is reported by name."""

import pytest
from django.db import connections, transaction

import ledger.operations
import spending.operations
import users.operations
from common.invariants import find_breaks
from ledger.models import Account
from spending import gateways, queries
from tests import arms, world
from tests.spending import shop

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

ADDS_UP = "authorizations add up to their holds"
CLAIMED = "a debt is what the ledger claims"
DEBT = "a debt is its shortfalls less what was recovered and forgiven"
EXPLAINED = "journals are explained by spending_explained"
LEFT_NOTHING = "a declined purchase left nothing"
MOVEMENT = "each movement is one journal of its amount"
OWNED = "every live hold has one living owner"
REFUNDS = "refunds stay within what was taken"
WHOLE = "card sales are whole"

# What the owner of the tables breaks, and all that the audit tells of then.
BREAKS = {
    "an authorization that does not add up": (
        {ADDS_UP},
        (
            "UPDATE spending_authorization SET authorized_units = authorized_units + 1"
            " WHERE status = 'pending'"
        ),
    ),
    "a status that forgets the hold": (
        {ADDS_UP, OWNED},
        (
            "UPDATE spending_authorization SET status = 'closed', closed_at = now()"
            " WHERE status = 'pending'"
        ),
    ),
    "a live hold that nobody owns": (
        {ADDS_UP, OWNED},
        "UPDATE ledger_hold SET remaining = 5 WHERE remaining = 0",
    ),
    "a declined purchase that sold something": (
        {LEFT_NOTHING},
        (
            "UPDATE spending_cardsale SET authorization_id ="
            " (SELECT id FROM spending_authorization WHERE decision = 'declined')"
            " WHERE undone_by_id IS NULL"
        ),
    ),
    "a declined purchase that set something aside": (
        {LEFT_NOTHING},
        (
            "UPDATE ledger_hold SET purpose ="
            " (SELECT 'card:' || uid FROM spending_authorization WHERE decision = 'declined')"
            " WHERE purpose LIKE 'card:%'"
        ),
    ),
    "a hold that no authorization knows": (
        {LEFT_NOTHING},
        (
            "INSERT INTO ledger_hold (account_id, purpose)"
            " SELECT account_id, 'card:lost' FROM ledger_hold LIMIT 1"
        ),
    ),
    "a sale without its journal": (
        {WHOLE},
        "UPDATE trading_trade SET uid = gen_random_uuid()",
    ),
    "a sale that never settled": ({WHOLE}, "UPDATE trading_trade SET settled_at = NULL"),
    "a sale to others than the house": ({WHOLE}, "UPDATE trading_trade SET venue = 'book'"),
    "a sale of another customer's shares": (
        {WHOLE},
        (
            "UPDATE trading_order SET customer_id ="
            " (SELECT id FROM users_user WHERE email LIKE 'sam%') WHERE venue = 'house'"
        ),
    ),
    "a sale of nobody's shares": (
        {WHOLE},
        "UPDATE trading_order SET customer_id = NULL WHERE venue = 'house'",
    ),
    "a sale without the scheduled fee": (
        {WHOLE},
        "UPDATE trading_order SET taker_rate = 0 WHERE venue = 'house' AND side = 'sell'",
    ),
    "a sale undone without its fee": (
        {WHOLE},
        "UPDATE trading_trade SET buy_fee = 0 WHERE buy_fee < 0",
    ),
    "a sale undone for what only expired": (
        {WHOLE},
        (
            "UPDATE spending_authorization SET reversed_units = 0, expired_units = authorized_units"
            " WHERE status = 'reversed'"
        ),
    ),
    "a sale undone that nobody knows of": (
        {WHOLE},
        "UPDATE spending_cardsale SET undone_by_id = NULL",
    ),
    "shares sold for a card that paid nothing": (
        {WHOLE},
        "DELETE FROM spending_cardsale WHERE undone_by_id IS NULL",
    ),
    "a movement of another amount than its journal": (
        {MOVEMENT, EXPLAINED},
        "UPDATE spending_cardmovement SET amount_units = amount_units + 1 WHERE kind = 'clearing'",
    ),
    "a movement by the journal of another": (
        {MOVEMENT},
        "UPDATE ledger_journal SET key = 'card:other' WHERE kind = 'card_refund'",
    ),
    "a movement by a journal of another kind": (
        {MOVEMENT, EXPLAINED},
        "UPDATE ledger_journal SET kind = 'card_refund' WHERE kind = 'card_clearing'",
    ),
    "a journal without its movement": (
        {MOVEMENT, EXPLAINED},
        "DELETE FROM spending_cardmovement WHERE kind = 'refund'",
    ),
    "a refund of more than was taken": (
        {MOVEMENT, EXPLAINED, REFUNDS},
        "UPDATE spending_cardmovement SET amount_units = 99000000 WHERE kind = 'refund'",
    ),
}
# The same, of what is owed.
BREAKS_OF_DEBTS = {
    "more recovered than was owed": (
        {DEBT, CLAIMED},
        "UPDATE spending_debtreduction SET amount_units = 900000000 WHERE kind = 'recovered'",
    ),
    "a reduction of who owed nothing": (
        {DEBT, CLAIMED},
        (
            "UPDATE spending_debtreduction SET user_id ="
            " (SELECT id FROM users_user WHERE email LIKE 'sam%') WHERE kind = 'recovered'"
        ),
    ),
    "a debt forgiven by what nobody approved": (
        {DEBT},
        (
            "UPDATE users_proposal SET status = 'conflicted', result = ''"
            " WHERE kind = 'spending.forgive_shortfall'"
        ),
    ),
    "a debt forgiven by a decision on something else": (
        {DEBT},
        "UPDATE users_proposal SET kind = 'kyc.approve' WHERE kind = 'spending.forgive_shortfall'",
    ),
    "a debt forgiven by a decision about somebody else": (
        {DEBT},
        (
            "UPDATE users_proposal SET subject_id ="
            " (SELECT id FROM users_user WHERE email LIKE 'carol%')"
            " WHERE kind = 'spending.forgive_shortfall'"
        ),
    ),
    "a debt that the ledger does not claim": (
        {CLAIMED},
        "UPDATE ledger_claim SET owed = owed - 1",
    ),
    "an owing card that still pays": (
        {"an owing card is frozen"},
        "UPDATE spending_card SET status = 'active', frozen_reason = ''",
    ),
    "a card issued to who owes": (
        {"nothing is issued while a debt is open"},
        "UPDATE spending_card SET created_at = '2026-12-01'",
    ),
}


def plant(sql):
    with transaction.atomic("owner"), connections["owner"].cursor() as cursor:
        cursor.execute(arms.UNGUARDED)
        cursor.execute(sql)


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


@pytest.fixture
def debts(day):
    """The same day, and a debt of $900, of which a part was recovered and a part forgiven."""
    world.customer("carol@demo.test")
    shop.send(gateways.CLEARED, day, amount="900")
    world.fund(day.user, "20")
    spending.operations.recover_debts(now=world.NOW)
    proposal = users.operations.propose(
        kind="spending.forgive_shortfall",
        payload={"user": day.user_id, "amount": "10"},
        actor=world.sam(),
        reason="The merchant erred.",
        now=world.NOW,
    )
    users.operations.approve(proposal=proposal, actor=world.olivia(), now=world.NOW)
    assert broken() == set()


class TestChecks:
    @pytest.mark.parametrize(("told", "broken_so"), BREAKS.values(), ids=BREAKS)
    def test_tell_of(self, day, told, broken_so):
        plant(broken_so)
        assert broken() == told

    @pytest.mark.parametrize(("told", "broken_so"), BREAKS_OF_DEBTS.values(), ids=BREAKS_OF_DEBTS)
    def test_tell_of_debts(self, debts, told, broken_so):
        plant(broken_so)
        assert broken() == told

    def test_tell_of_each_break_by_every_arm(self, debts):
        planted = [*BREAKS.values(), *BREAKS_OF_DEBTS.values()]
        breaks = [(name, arms.UNGUARDED + sql) for told, sql in planted for name in told]
        breaks += [(EXPLAINED, sql) for sql in arms.unexplained("card_clearing")]
        lost = arms.unnoticed(queries.CHECKS, breaks)
        assert not lost, "\n".join(lost)

    def test_every_check_has_a_planted_break(self):
        planted = [*BREAKS.values(), *BREAKS_OF_DEBTS.values()]
        assert set().union(*(told for told, _ in planted)) == {one.name for one in queries.CHECKS}

    def test_a_claim_of_who_owes_nothing(self, day):
        world.fund(world.carol(), "1")
        account = Account.objects.get(owner=world.carol(), asset__code="USD")
        ledger.operations.claim(account_id=account.pk, units=1, purpose="debt")
        assert broken() == {CLAIMED}
