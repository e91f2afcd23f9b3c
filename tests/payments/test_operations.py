import random
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from django.db import connection
from django.test import Client

from common import clock
from kyc.queries import VerificationRequired
from ledger.queries import journal_exists, movements_of
from payments import gateways, operations, queries
from payments.models import BankCredit, BankPolicy, DepositInstruction
from payments.signals import deposit_completed
from tests import world
from users.models import Notice, User

Status = DepositInstruction.Status
Waiting = BankCredit.Waiting


def announce(user, amount="250"):
    world.instrument()
    return operations.announce_deposit(user=user, amount=world.usd(amount), now=world.NOW)


def receive(reference, amount="250", external_id="bank-1"):
    return operations.receive_bank_credit(
        external_id=external_id, reference=reference, amount=world.usd(amount), now=world.NOW
    )


@pytest.mark.django_db
class TestAnnounceDeposit:
    def test_gives_a_reference_to_send_it_with(self):
        instruction = announce(world.alice())
        assert (instruction.status, instruction.amount_units) == (Status.WAITING, 250_000_000)
        assert operations.REFERENCE.findall(instruction.reference) == [instruction.reference]

    def test_needs_an_open_account(self):
        with pytest.raises(VerificationRequired):
            announce(world.bob())

    @pytest.mark.parametrize(
        ("amount", "error"),
        [
            ("0.99", operations.DepositTooSmall),
            ("1000000.01", operations.DepositTooLarge),
            ("10.001", operations.CentsOnly),
        ],
    )
    def test_refuses_what_a_bank_would_not_move(self, amount, error):
        with pytest.raises(error):
            announce(world.alice(), amount)

    @pytest.mark.parametrize("amount", ["1", "10.01", "11.37", "999999.99", "1000000"])
    def test_takes_cents_from_exactly_the_least_to_the_most(self, amount):
        assert announce(world.alice(), amount).amount_units == Decimal(amount) * 10**6

    def test_moves_nothing(self):
        alice = world.alice()
        announce(alice)
        assert world.balance(alice) == 0


@pytest.mark.django_db
class TestReceiveBankCredit:
    def test_posts_one_journal_to_who_announced_it(self):
        alice = world.alice()
        instruction = announce(alice)
        credit = receive(instruction.reference)
        assert world.balance(alice) == 250
        [journal] = movements_of(alice)
        assert (journal.pk, journal.key) == (credit.journal_id, "deposit:bank-1")
        instruction.refresh_from_db()
        assert (instruction.status, instruction.completed_at) == (Status.COMPLETED, world.NOW)

    def test_hears_the_same_news_twice_and_posts_once(self):
        alice = world.alice()
        instruction = announce(alice)
        assert receive(instruction.reference) == receive(instruction.reference)
        assert world.balance(alice) == 250

    def test_refuses_an_id_used_again_for_other_money(self):
        instruction = announce(world.alice())
        receive(instruction.reference)
        with pytest.raises(operations.CreditContradicts):
            receive(instruction.reference, "9999")

    def test_posts_what_arrived_where_it_is_about_what_was_announced(self):
        alice = world.alice()
        instruction = announce(alice)
        receive(instruction.reference, "249.50")
        assert world.balance(alice) == world.usd("249.50").decimal
        assert str(queries.received(instruction)) == "249.500000"

    @pytest.mark.parametrize(
        ("amount", "because"),
        [
            ("275.01", Waiting.AMOUNT_DIFFERS),
            ("224.99", Waiting.AMOUNT_DIFFERS),
            ("999999999999.999999", Waiting.AMOUNT_DIFFERS),
        ],
    )
    def test_lets_another_amount_wait_for_staff(self, amount, because):
        alice = world.alice()
        instruction = announce(alice)
        credit = receive(instruction.reference, amount)
        assert (credit.status, credit.waits_for) == ("waiting", because)
        assert world.balance(alice) == 0
        instruction.refresh_from_db()
        assert instruction.status == Status.WAITING
        assert Notice.objects.filter(user=alice, kind="deposit.waiting").exists()

    def test_lets_a_second_payment_with_the_same_reference_wait(self):
        alice = world.alice()
        instruction = announce(alice)
        receive(instruction.reference)
        second = receive(instruction.reference, external_id="bank-2")
        assert second.waits_for == Waiting.COMPLETED
        assert world.balance(alice) == 250

    def test_lets_wait_what_is_beyond_policy(self):
        BankPolicy.objects.create(
            since="2026-01-01", tolerance_usd=0, largest_usd=300, largest_day_usd=500
        )
        alice = world.alice()
        waits = []
        for number, amount in enumerate(("301", "300", "200", "1")):
            instruction = announce(alice, amount)
            waits.append(receive(instruction.reference, amount, f"bank-{number}").waits_for)
        assert waits == [Waiting.TOO_LARGE, "", "", Waiting.TOO_MUCH_TODAY]
        assert world.balance(alice) == 500

    def test_lets_money_for_a_stopped_account_wait(self):
        alice = world.alice()
        instruction = announce(alice)
        User.objects.filter(pk=alice.pk).update(is_active=False)
        assert receive(instruction.reference).waits_for == Waiting.ACCOUNT_STOPPED

    @pytest.mark.parametrize("words", ["{}", "rent {} thanks", "{} ", "krakapp/{}"])
    def test_finds_the_reference_among_other_words(self, words):
        instruction = announce(world.alice())
        typed = f"{instruction.reference[:4]}-{instruction.reference[4:].lower()}"
        assert receive(words.format(typed)).instruction == instruction

    def test_keeps_money_of_an_unknown_reference_unposted(self):
        world.instrument()
        credit = receive("thanks for lunch")
        assert list(queries.waiting_credits()) == [credit]
        assert not journal_exists("deposit:bank-1")

    def test_tells_the_customer_and_whoever_listens(self):
        heard = []

        def listen(instruction, **_kwargs):
            heard.append(instruction)

        alice = world.alice()
        instruction = announce(alice, "1250")
        deposit_completed.connect(listen)
        try:
            receive(instruction.reference, "1250")
        finally:
            deposit_completed.disconnect(listen)
        assert heard == [instruction]
        notice = Notice.objects.get(user=alice, kind="deposit.completed")
        assert notice.title == "$1,250.00 arrived"

    def test_takes_news_in_any_order(self):
        alice = world.alice()
        instructions = [announce(alice, str(10 + n)) for n in range(5)]
        news = [(one.reference, str(10 + n), f"bank-{n}") for n, one in enumerate(instructions)] * 3
        random.Random(7).shuffle(news)
        for one in news:
            receive(*one)
        assert world.balance(alice) == 10 + 11 + 12 + 13 + 14
        assert BankCredit.objects.count() == 5


@pytest.mark.django_db
class TestDepositsOf:
    def test_are_ones_own_newest_first(self):
        alice, carol = world.alice(), world.carol()
        first, second = announce(alice), announce(alice)
        announce(carol)
        assert list(queries.deposits_of(alice)) == [second, first]


@pytest.mark.django_db
class TestWaitingInstructions:
    def test_are_those_not_yet_paid(self):
        alice = world.alice()
        paid, waiting = announce(alice), announce(alice)
        receive(paid.reference)
        assert list(queries.waiting_instructions()) == [waiting]
        assert waiting.created_at + timedelta(0) == world.NOW


@pytest.mark.django_db(transaction=True)
class TestLetSimulatedBankPay:
    @pytest.fixture
    def bank(self, monkeypatch):
        """Let the simulated bank reach our own webhook without a network."""

        def deliver(request):
            answer = Client().post(
                request.url.path,
                request.read(),
                content_type="application/json",
                headers={gateways.HEADER: request.headers[gateways.HEADER]},
            )
            connection.close()
            return httpx.Response(answer.status_code, content=answer.content)

        bank = gateways.simulated_bank()
        bank.transport = httpx.MockTransport(deliver)
        monkeypatch.setattr(gateways, "simulated_bank", lambda: bank)

    def test_pays_everything_announced_once_though_it_tells_some_twice(self, bank):
        world.instrument()
        alice, now = world.alice(), clock.now()
        for _ in range(8):
            operations.announce_deposit(user=alice, amount=world.usd("10"), now=now)
        later = now + timedelta(seconds=gateways.SLOWEST_S)
        assert operations.let_simulated_bank_pay(now=later) >= 8
        assert world.balance(alice) == 80
        assert operations.let_simulated_bank_pay(now=later) == 0

    def test_does_nothing_outside_the_demo(self, settings):
        settings.DEMO = False
        announce(world.alice())
        assert operations.let_simulated_bank_pay(now=clock.now()) == 0
