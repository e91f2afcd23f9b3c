"""The house's money and what staff correct: two people, one journal, and nothing else."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

import ledger.operations
import ledger.queries
import users.operations
from common.invariants import find_breaks
from ledger.models import Journal
from ledger.operations import AccountKey, Entry, InsufficientFunds, Leg
from payments import operations, queries
from payments.models import Adjustment, Reversal, TreasuryMovement
from payments.operations import Movement
from tests import world
from users.models import Notice, Proposal

pytestmark = pytest.mark.django_db(transaction=True)


def capital(amount="1000", kind="capital"):
    world.instrument()
    return Movement(kind, "liquidity", world.usd(amount))


def propose(*movements, reference="bank-7", by=None):
    payload = operations.treasury_payload(movements=movements, reference=reference)
    return users.operations.propose(
        kind=operations.MOVE_TREASURY.name,
        payload=payload,
        actor=by or world.tara(),
        reason="The house needs it.",
        now=world.NOW,
    )


def approve(proposal, by=None):
    return users.operations.approve(proposal=proposal, actor=by or world.olivia(), now=world.NOW)


def house(code="USD"):
    return queries.house_balance("liquidity", code).decimal


def adjust(user, amount, by=None):
    payload = operations.adjustment_payload(
        user=user, amount=world.usd(amount), message="We are sorry for yesterday."
    )
    return world.decide(
        operations.ADJUST_CASH, payload, proposer=by or world.sam(), approver=world.olivia()
    )


class TestMoveTreasury:
    def test_moves_nothing_until_another_person_approves(self):
        proposal = propose(capital())
        assert house() == 0
        approve(proposal)
        assert house() == 1000
        [moved] = TreasuryMovement.objects.all()
        assert (moved.journal.kind, moved.proposal) == ("capital", proposal)
        assert list(find_breaks(queries.CHECKS)) == []

    def test_is_not_approved_by_who_proposed_it(self):
        with pytest.raises(users.operations.OwnProposal):
            approve(propose(capital()), by=world.tara())

    def test_is_proposed_by_the_treasury_alone(self):
        with pytest.raises(users.operations.MayNotPropose):
            propose(capital(), by=world.sam())

    def test_moves_tokens_from_the_issuer_and_back(self):
        tokens = world.instrument().asset
        some = operations.Movement("issue", "liquidity", world.Amount(500, tokens))
        approve(propose(some))
        assert house("AAPLx") * 10**8 == 500
        back = operations.Movement("redeem", "liquidity", world.Amount(200, tokens))
        approve(propose(back, reference="issuer-8"))
        assert house("AAPLx") * 10**8 == 300

    def test_takes_out_no_more_than_there_is(self):
        approve(propose(capital("10")))
        proposal = propose(capital("11", "capital_out"), reference="bank-8")
        with pytest.raises(InsufficientFunds):
            approve(proposal)
        proposal.refresh_from_db()
        assert (house(), proposal.status) == (10, Proposal.Status.PROPOSED)

    def test_uses_a_reference_once(self):
        approve(propose(capital()))
        with pytest.raises(operations.MovedBefore):
            propose(capital())

    @pytest.mark.parametrize(("kind", "amount"), [("issue", "5"), ("capital", "0")])
    def test_refuses_what_means_nothing(self, kind, amount):
        world.instrument()
        movement = operations.Movement(kind, "liquidity", world.usd(amount))
        with pytest.raises((operations.WrongAsset, operations.NothingMoved)):
            propose(movement)


class TestTheGuard:
    """Somebody who writes as the app's role."""

    def post(self, kind, amount=10**12):
        world.instrument()
        usd = ledger.queries.usd().pk
        outside, purse = ledger.operations.open_accounts(
            keys=[AccountKey(None, usd, "external"), AccountKey(None, usd, "liquidity")]
        )
        entry = Entry(f"forged:{kind}", kind, [Leg(outside, purse, amount)])
        return ledger.operations.post(entries=[entry], occurred_at=world.NOW)[0]

    @pytest.mark.parametrize("kind", ["capital", "issue", "adjustment", "reversal", "redeem"])
    def test_refuses_a_journal_without_its_row(self, kind):
        with pytest.raises(IntegrityError, match="payments_explained"):
            self.post(kind)

    def test_refuses_a_row_whose_proposal_nobody_approved(self):
        proposal = propose(capital("1000000"))
        self.refuse(proposal, 10**12)

    def test_refuses_another_amount_than_was_approved(self):
        proposal = approve(propose(capital("5")))
        self.refuse(proposal, 10**12)

    def refuse(self, proposal, units):
        with pytest.raises(IntegrityError, match="payments_explained"), transaction.atomic():
            TreasuryMovement.objects.create(
                kind="capital",
                purse="liquidity",
                asset=ledger.queries.usd(),
                amount_units=units,
                reference="forged",
                proposal=proposal,
                journal_id=self.post("capital", units),
                moved_at=world.NOW,
            )


class TestAdjustCash:
    def test_gives_dollars_and_says_why(self):
        alice = world.alice()
        world.fund(alice, "10")
        adjust(alice, "5")
        assert world.balance(alice) == 15
        notice = Notice.objects.get(user=alice, kind="account.adjusted")
        assert (notice.title, notice.body) == (
            "$5.00 added to your balance",
            "We are sorry for yesterday.",
        )
        assert Adjustment.objects.get().user == alice
        assert list(find_breaks(queries.CHECKS)) == []

    def test_takes_dollars_and_no_more_than_there_are(self):
        alice = world.alice()
        world.fund(alice, "10")
        adjust(alice, "-4")
        assert world.balance(alice) == 6
        with pytest.raises(InsufficientFunds):
            adjust(alice, "-7")

    def test_is_for_nobodys_own_account(self):
        world.instrument()
        with pytest.raises(users.operations.AboutYourself):
            adjust(world.sam(), "5")

    def test_is_reversed_once(self):
        alice = world.alice()
        world.fund(alice, "10")
        adjust(alice, "5")
        payload = {"journal": str(Journal.objects.get(kind="adjustment").uid)}

        def reverse():
            world.decide(
                operations.REVERSE, payload, proposer=world.tara(), approver=world.olivia()
            )

        reverse()
        assert (world.balance(alice), Reversal.objects.count()) == (10, 1)
        assert list(find_breaks(queries.CHECKS)) == []
        with pytest.raises(operations.NotReversible):
            reverse()

    def test_of_a_deposit_there_is_no_reversal(self):
        world.fund(world.alice(), "10")
        payload = {"journal": str(Journal.objects.get(kind="deposit").uid)}
        with pytest.raises(operations.NotReversible):
            world.decide(
                operations.REVERSE, payload, proposer=world.tara(), approver=world.olivia()
            )


class TestTheScreens:
    def test_the_treasury_proposes_and_compliance_approves(self, client):
        world.instrument()
        client.force_login(world.tara())
        page = reverse("admin:payments_treasurymovement_add")
        answer = client.post(
            page,
            {
                "kind": "capital",
                "purse": "dealer",
                "asset": "USD",
                "amount": "250000.50",
                "reference": "wire-19",
                "why": "Tomorrow's quotes.",
            },
        )
        assert answer.status_code == 302
        proposal = Proposal.objects.get()
        assert proposal.changes == [["From the bank: dealer USD", "0.000000", "250000.500000"]]
        approve(proposal)
        assert client.get(reverse("admin:payments_treasurymovement_changelist")).status_code == 200

    def test_support_proposes_an_adjustment_by_address(self, client):
        alice = world.alice()
        world.fund(alice, "1")
        client.force_login(world.sam())
        facts = {"email": "ALICE@demo.test", "amount": "2", "message": "Sorry.", "why": "Slow."}
        answer = client.post(reverse("admin:payments_adjustment_add"), facts)
        assert answer.status_code == 302
        approve(Proposal.objects.get(kind="payments.adjust_cash"))
        assert world.balance(alice) == 3

    def test_an_unknown_address_is_said(self, client):
        client.force_login(world.sam())
        facts = {"email": "who@demo.test", "amount": "2", "message": "Sorry.", "why": "Slow."}
        answer = client.post(reverse("admin:payments_adjustment_add"), facts)
        assert "Nobody has this address" in answer.content.decode()

    def test_the_treasury_proposes_a_reversal(self, client):
        approve(propose(capital()))
        client.force_login(world.tara())
        moved = TreasuryMovement.objects.get()
        page = reverse("admin:payments_treasurymovement_reverse", args=[moved.pk])
        assert client.post(page, {"why": "The wrong purse."}).status_code == 302
        approve(Proposal.objects.get(kind="payments.reverse_journal"))
        assert house() == 0

    def test_others_may_not(self, client):
        client.force_login(world.sam())
        assert client.get(reverse("admin:payments_treasurymovement_add")).status_code == 403
