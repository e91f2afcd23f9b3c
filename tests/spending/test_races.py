"""Many terminals at once, on the real PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

import ledger.queries
import spending.operations
import trading.queries
import users.operations
from common.invariants import find_breaks
from ledger.models import Account
from spending import gateways, queries
from spending.models import Authorization, CardSale
from spending.operations.authorizations import EventIdReused
from tests import world
from tests.spending import shop
from trading.models import Trade

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Give a crowded machine time: only lateness itself is tried with a deadline."""
    monkeypatch.setattr("spending.operations.events.DEADLINE_S", 60)


def at_once(calls):
    """Run the calls side by side, each with a connection of its own."""

    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [one.result() for one in [threads.submit(run, call) for call in calls]]


def somebody_waits(using="default"):
    """Say whether another session waits for this one."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return cursor.fetchone()[0]


def true_books():
    return not list(find_breaks([*ledger.queries.CHECKS, *queries.CHECKS]))


class TestTwoTerminals:
    def test_cannot_spend_the_same_money(self):
        alice = world.alice()
        world.fund(alice, "10")
        cards = [shop.card(alice), shop.card(alice)]
        told = at_once(
            [lambda card=card: shop.authorize(card, "4") for card in cards for _ in range(4)]
        )
        assert sorted(one["decision"] for one in told) == ["approved"] * 2 + ["declined"] * 6
        assert world.available(alice) == 2
        assert true_books()

    def test_cannot_sell_the_same_shares(self):
        alice, carol = world.alice(), world.carol()
        for user in (alice, carol):
            apple = shop.hold_shares(user, "AAPLx", "1")
            tesla = shop.hold_shares(user, "TSLAx", "1", price="400")
        shop.quote(apple, ("278.40", "50"))
        shop.quote(tesla, ("400", "50"), price="400")
        funded = {
            alice: ("AAPLx", "TSLAx"),
            carol: ("TSLAx", "AAPLx"),
        }
        cards = [
            shop.card(user, ("USD", "0"), *((asset, "0") for asset in assets))
            for user, assets in funded.items()
            for _ in range(2)
        ]
        told = at_once([lambda card=card: shop.authorize(card, "300") for card in cards * 2])
        # Each has 678.40 dollars' worth: two purchases of 300 and not a third.
        assert sorted(one["decision"] for one in told) == ["approved"] * 4 + ["declined"] * 4
        assert {one["reason"] for one in told} == {None, "insufficient_funds"}
        assert true_books()


class TestTheDealer:
    def test_takes_one_level_once_and_no_more_than_its_limit(self):
        shop.limit(card_instrument_usd=[1_000] * 3)
        cards = []
        for user in (world.alice(), world.carol()):
            apple = shop.hold_shares(user, "AAPLx", "9")
            cards += [shop.card(user, ("AAPLx", "0")) for _ in range(3)]
        shop.quote(apple, ("278.40", "1.2"), ("278.00", "50"))
        told = at_once([lambda card=card: shop.authorize(card, "300") for card in cards])
        assert sorted(one["decision"] for one in told) == ["approved"] * 3 + ["declined"] * 3
        sold = Trade.objects.filter(sell_order__client_order_id__startswith="house:card:")
        prices = sorted(trade.price for trade in sold)
        assert prices == [Decimal("278.00"), Decimal("278.04"), Decimal("278.40")]
        checks = [check for check in trading.queries.CHECKS if check.number in {22, 23, 44}]
        assert not list(find_breaks(checks))
        assert true_books()


class TestTheSameRequest:
    def test_eight_times_at_once_is_one(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        send = lambda: shop.send_raw(gateways.REQUESTED, card, id="evt-8", amount="4.50")  # noqa: E731
        assert len(set(at_once([send] * 8))) == 1
        assert Authorization.objects.count() == 1
        assert world.available(alice) == Decimal("95.5")
        assert true_books()


class TestOneIdOnTwoCards:
    def test_at_once_is_one_purchase_and_refusals(self):
        alice = world.alice()
        world.fund(alice, "100")
        cards = [shop.card(alice), shop.card(alice)]

        def send(card):
            try:
                return shop.authorize(card, "4.50", id="evt-2")["decision"]
            except EventIdReused:
                return "refused"

        told = at_once([lambda card=card: send(card) for card in cards])
        assert sorted(told) == ["approved", "refused"]
        assert world.available(alice) == Decimal("95.5")
        assert true_books()


LOCKS = {
    "the card": "SELECT FROM spending_card FOR UPDATE",
    "the customer's accounts": (
        "SELECT FROM ledger_account WHERE owner_id IS NOT NULL FOR NO KEY UPDATE"
    ),
    "the dealer's accounts": "SELECT FROM ledger_account WHERE role = 'dealer' FOR NO KEY UPDATE",
    "the account of fees": "SELECT FROM ledger_account WHERE role = 'fees' FOR UPDATE",
    "the instruments": "SELECT FROM instruments_instrument FOR UPDATE",
    "the customers": "SELECT FROM users_user FOR UPDATE",
    "all trades": "LOCK TABLE trading_trade",
    "the policy": "LOCK TABLE trading_housepolicy",
}


class TestAWaitBeyondTheDeadline:
    """Whatever is locked, the terminal is answered while it still is."""

    @pytest.fixture
    def card(self, monkeypatch):
        monkeypatch.setattr("spending.operations.events.DEADLINE_S", 5)
        monkeypatch.setattr("spending.operations.authorizations.REFUSAL_S", 4)
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        shop.quote(apple, ("278.40", "5"))
        return shop.card(alice, ("AAPLx", "0"))

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    @pytest.mark.parametrize("what", LOCKS)
    def test_is_declined_and_leaves_nothing(self, card, what):
        with transaction.atomic(using="owner"):
            connections["owner"].cursor().execute(LOCKS[what])
            (told,) = at_once([lambda: shop.authorize(card, "60")])
        assert (told["decision"], told["reason"]) == ("declined", "deadline_exceeded")
        assert world.available(world.alice(), "AAPLx") == 1
        assert not CardSale.objects.exists()
        assert true_books()

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_declines_an_increment_too(self, card):
        asked = shop.pending(card, "30")
        with transaction.atomic(using="owner"):
            connections["owner"].cursor().execute(LOCKS["the customer's accounts"])
            facts = {"authorization": asked.external_id, "amount": "20", "id": "evt-more"}
            raw = lambda: shop.send_raw(gateways.INCREMENTED, card, **facts)  # noqa: E731
            (told,) = at_once([raw])
        assert json.loads(told)["reason"] == "deadline_exceeded"
        assert raw() == told
        asked.refresh_from_db()
        assert asked.pending_units == 30_000_000
        assert true_books()

    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_says_the_same_when_asked_again(self, card):
        send = lambda: shop.send_raw(gateways.REQUESTED, card, id="evt-late", amount="60")  # noqa: E731
        with transaction.atomic(using="owner"):
            connections["owner"].cursor().execute(LOCKS["the dealer's accounts"])
            (told,) = at_once([send])
        assert send() == told


class TestUnfreezing:
    def test_looks_for_debts_again_behind_the_lock(self):
        """Another card's shortfall is written while a card is thawed: it stays frozen."""
        alice = world.alice()
        world.fund(alice, "10")
        frozen, other = shop.card(alice), shop.card(alice)
        spending.operations.freeze_card(card=frozen, actor=alice, now=world.NOW)

        def thaw():
            try:
                spending.operations.unfreeze_card(card=frozen, actor=alice, now=world.NOW)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                shop.send(gateways.CLEARED, other, amount="30")
                thawing = threads.submit(thaw)
                while not thawing.done() and not somebody_waits():
                    pass
            with pytest.raises(spending.operations.CardOwes):
                thawing.result()
        frozen.refresh_from_db()
        assert frozen.status == "frozen"


class TestExpiring:
    def test_looks_at_the_authorization_again_behind_the_lock(self):
        """It is taken while it expires: the money goes once, to the merchant."""
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        asked = shop.pending(card, "10")
        late = asked.expires_at + timedelta(seconds=1)

        def expire():
            try:
                return spending.operations.expire_due(now=late)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                shop.send(gateways.CLEARED, card, authorization=asked.external_id, amount="10")
                expiring = threads.submit(expire)
                while not expiring.done() and not somebody_waits():
                    pass
            assert expiring.result() == 0
        asked.refresh_from_db()
        assert (asked.status, asked.captured_units, asked.expired_units) == ("closed", 10**7, 0)
        assert world.balance(alice) == world.available(alice) == 90
        assert true_books()


class TestTakingAndBringing:
    """A clearing and a deposit at once: whichever is first, the debt is paid before anything."""

    @pytest.fixture
    def card(self):
        world.fund(world.alice(), "10")
        return shop.card(world.alice())

    def meanwhile(self, first, second):
        """Do the first, and begin the second before the first is committed."""

        def run():
            try:
                second()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                first()
                running = threads.submit(run)
                while not running.done() and not somebody_waits():
                    pass
            running.result()

    def test_sets_aside_what_a_deposit_brings_while_a_merchant_takes(self, card):
        alice = world.alice()
        self.meanwhile(
            lambda: shop.send(gateways.CLEARED, card, amount="30"), lambda: world.fund(alice, "50")
        )
        assert (world.balance(alice), world.available(alice)) == (50, 30)
        assert queries.debt_of(alice) == 20_000_000
        assert true_books()

    def test_pays_the_merchant_from_a_deposit_that_was_first(self, card):
        alice = world.alice()
        self.meanwhile(
            lambda: world.fund(alice, "50"), lambda: shop.send(gateways.CLEARED, card, amount="30")
        )
        assert (world.balance(alice), queries.debt_of(alice)) == (30, 0)
        assert true_books()

    def test_forgives_nothing_that_is_being_paid(self, card):
        alice = world.alice()
        shop.send(gateways.CLEARED, card, amount="30")
        world.fund(alice, "50")
        proposal = users.operations.propose(
            kind="spending.forgive_shortfall",
            payload={"user": alice.pk, "amount": "20"},
            actor=world.sam(),
            reason="The merchant erred.",
            now=world.NOW,
        )
        with pytest.raises(spending.operations.NothingOwed):
            self.meanwhile(
                lambda: spending.operations.recover_debts(now=world.NOW),
                lambda: spending.operations.forgive_shortfall(
                    user=alice,
                    units=20_000_000,
                    proposal=proposal,
                    actor=world.olivia(),
                    now=world.NOW,
                ),
            )
        assert queries.debt_of(alice) == 0

    def test_recovers_once_what_two_sweeps_find(self, card):
        alice = world.alice()
        shop.send(gateways.CLEARED, card, amount="30")
        world.fund(alice, "50")
        recovered = at_once([lambda: spending.operations.recover_debts(now=world.NOW)] * 4)
        assert sum(recovered) == 1
        assert (world.balance(alice), queries.debt_of(alice)) == (30, 0)
        assert true_books()


class TestTwoClearings:
    def test_of_one_purchase_at_once_take_what_is_aside_once(self):
        alice = world.alice()
        world.fund(alice, "100")
        card = shop.card(alice)
        asked = shop.pending(card, "40")
        facts = {"authorization": asked.external_id, "amount": "25", "final": False}
        at_once([lambda: shop.send(gateways.CLEARED, card, **facts)] * 2)
        asked.refresh_from_db()
        assert (asked.captured_units, asked.pending_units) == (40_000_000, 0)
        assert world.balance(alice) == world.available(alice) == 50
        assert true_books()


class TestSelling:
    @pytest.mark.django_db(transaction=True, databases=["default", "owner"])
    def test_keeps_no_lock_on_cash_that_is_not_enough(self):
        """Who has the dealer's account and needs the cash next would wait for ever."""
        alice = world.alice()
        apple = shop.hold_shares(alice, "AAPLx", "1")
        world.fund(alice, "5")
        shop.quote(apple, ("278.40", "5"))
        card = shop.card(alice, ("USD", "0"), ("AAPLx", "0"))
        dealer, cash = (
            Account.objects.get(asset__code="USD", **facts).pk
            for facts in ({"role": "dealer"}, {"owner": alice})
        )
        assert dealer < cash
        lock = "SELECT FROM ledger_account WHERE id = %s FOR NO KEY UPDATE"
        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
                cursor.execute(lock, [dealer])
                tap = threads.submit(at_once, [lambda: shop.authorize(card, "60")])
                while not tap.done() and not somebody_waits("owner"):
                    pass
                cursor.execute(f"{lock} NOWAIT", [cash])
            (told,) = tap.result()
        assert told["decision"] == "approved"
        assert true_books()
