"""Money that waits for staff: two decide whose it is, or that it goes back."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

import users.operations
from common.invariants import find_breaks
from ledger.operations import Uncountable
from payments import operations, queries
from payments.models import BankCredit, DepositInstruction
from tests import world
from users.models import Notice, Proposal

pytestmark = pytest.mark.django_db(transaction=True)
MOST = "999999999999.999999"


def arrive(reference="thanks for lunch", amount="250", external_id="bank-1"):
    world.instrument()
    return operations.receive_bank_credit(
        external_id=external_id, reference=reference, amount=world.usd(amount), now=world.NOW
    )


def assign(credit, user):
    payload = {"credit": credit.external_id, "user": user.pk}
    return world.decide(
        operations.ASSIGN_CREDIT, payload, proposer=world.sam(), approver=world.olivia()
    )


def give_back(credit):
    payload = {"credit": credit.external_id}
    return world.decide(
        operations.RETURN_CREDIT, payload, proposer=world.sam(), approver=world.olivia()
    )


class TestAssigning:
    def test_posts_it_to_whose_it_is_and_tells_them(self):
        alice = world.alice()
        credit = arrive()
        proposal = assign(credit, alice)
        credit.refresh_from_db()
        assert (credit.status, credit.user, credit.proposal) == ("posted", alice, proposal)
        assert world.balance(alice) == 250
        assert Notice.objects.filter(user=alice, kind="deposit.completed").count() == 1
        assert list(find_breaks(queries.CHECKS)) == []

    def test_completes_the_deposit_it_was_meant_for(self):
        alice = world.alice()
        world.instrument()
        instruction = operations.announce_deposit(
            user=alice, amount=world.usd("100"), now=world.NOW
        )
        assign(arrive(instruction.reference, "500"), alice)
        instruction.refresh_from_db()
        assert instruction.status == DepositInstruction.Status.COMPLETED
        assert queries.received(instruction).decimal == 500
        assert list(find_breaks(queries.CHECKS)) == []

    def test_happens_once(self):
        credit = arrive()
        assign(credit, world.alice())
        with pytest.raises(operations.CreditNotWaiting):
            give_back(credit)
        assert world.balance(world.alice()) == 250

    def test_conflicts_with_a_decision_made_meanwhile(self):
        credit = arrive()
        payload = {"credit": credit.external_id, "user": world.alice().pk}
        late = users.operations.propose(
            kind=operations.ASSIGN_CREDIT.name,
            payload=payload,
            actor=world.sam(),
            reason="Hers.",
            now=world.NOW,
        )
        give_back(credit)
        with pytest.raises(users.operations.ProposalConflicted):
            users.operations.approve(proposal=late, actor=world.olivia(), now=world.NOW)
        assert world.balance(world.alice()) == 0

    def test_stops_where_the_books_cannot_count_any_more(self):
        """Ten of the largest credits a bank can tell of are more units than an account holds."""
        for number in range(9):
            assign(arrive(amount=MOST, external_id=f"bank-{number}"), world.alice())
        last = arrive(amount=MOST, external_id="bank-last")
        with pytest.raises(Uncountable):
            assign(last, world.carol())
        last.refresh_from_db()
        assert last.status == "waiting"
        users.operations.withdraw(
            proposal=Proposal.objects.get(status="proposed"), actor=world.sam(), now=world.NOW
        )
        give_back(last)
        assert list(find_breaks(queries.CHECKS)) == []


class TestTheGuard:
    def test_posts_nothing_that_two_did_not_decide(self):
        credit, alice = arrive(), world.alice()
        world.fund(alice, "5")

        @transaction.atomic
        def forge():
            credit.journal_id = operations.deposits.post_credit(credit, alice, world.NOW)
            credit.user, credit.status = alice, "posted"
            credit.save(update_fields=["journal", "user", "status"])

        with pytest.raises(IntegrityError, match="payments_explained"):
            forge()

    def test_keeps_a_posted_credit_whose_it_was(self):
        world.fund(world.alice(), "5")
        with pytest.raises(IntegrityError, match="payments_explained"):
            BankCredit.objects.update(user=world.carol())

    def test_returns_nothing_without_a_proposal(self):
        arrive()
        with pytest.raises(IntegrityError, match="bank_credit_says_why"), transaction.atomic():
            BankCredit.objects.update(status="returned")
        with connection.cursor() as cursor:
            cursor.execute("SELECT status FROM payments_bankcredit")
            assert cursor.fetchone() == ("waiting",)


class TestTheScreens:
    def test_support_proposes_whose_it_is(self, client):
        alice, credit = world.alice(), arrive()
        client.force_login(world.sam())
        page = client.get(reverse("admin:payments_bankcredit_change", args=[credit.pk]))
        assert "Post to a customer" in page.content.decode()
        address = reverse("admin:payments_bankcredit_assign", args=[credit.pk])
        assert "Nobody announced it" in client.get(address).content.decode()
        assert client.post(address, {"email": alice.email, "why": "Her bank"}).status_code == 302
        users.operations.approve(
            proposal=Proposal.objects.get(kind="payments.assign_credit"),
            actor=world.olivia(),
            now=world.NOW,
        )
        assert world.balance(alice) == 250

    def test_support_proposes_that_it_goes_back(self, client):
        credit = arrive()
        client.force_login(world.sam())
        address = reverse("admin:payments_bankcredit_give_back", args=[credit.pk])
        assert client.post(address, {"why": "A stranger's"}).status_code == 302
        assert Proposal.objects.get().kind == "payments.return_credit"

    def test_the_treasury_proposes_policy(self, client):
        client.force_login(world.tara())
        row = {
            "since": "2030-01-01",
            "tolerance_usd": "5",
            "largest_usd": "1000",
            "largest_day_usd": "2000",
            "why": "Less.",
        }
        assert client.post(reverse("admin:payments_bankpolicy_add"), row).status_code == 302
        assert Proposal.objects.get().kind == "payments.set_bank_policy"
