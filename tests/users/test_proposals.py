import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from common.invariants import find_breaks
from tests import world
from users import operations, queries, rules
from users.models import AuditEntry, Proposal, User
from users.operations import proposals

KIND = "tests.paint_wall"
LATER = world.NOW + timedelta(hours=1)


def refuse(_payload, _actor, _now):
    raise operations.ReasonMissing


class Wall:
    """What the kind of these tests paints, and how often."""

    color = "white"
    painted: list[str] = []


def paint(proposal, actor, _now):
    Wall.color = proposal.payload["color"]
    Wall.painted.append(actor.email)
    return f"wall:{Wall.color}"


@pytest.fixture(autouse=True)
def kind(monkeypatch):
    """A kind that Support proposes and Compliance approves."""
    monkeypatch.setattr(Wall, "color", "white")
    monkeypatch.setattr(Wall, "painted", [])
    who = rules.FourEyes(frozenset({"Support"}), frozenset({"Support", "Compliance"}))
    monkeypatch.setitem(rules.PROPOSALS, KIND, who)
    kind = operations.ProposalKind(
        name=KIND,
        title="Paint the wall",
        target=lambda _payload: "wall",
        version=lambda _payload: Wall.color,
        describe=lambda payload: [("Color", Wall.color, payload["color"])],
        execute=paint,
        subject=lambda payload: User.objects.filter(email=payload.get("whose")).first(),
    )
    monkeypatch.setitem(proposals._KINDS, KIND, kind)
    return kind


def propose(actor=None, *, reason="It is dirty.", now=world.NOW, **payload):
    payload = {"color": "red", **payload}
    actor = actor or world.sam()
    return operations.propose(kind=KIND, payload=payload, actor=actor, reason=reason, now=now)


def approve(proposal, actor=None, **how):
    return operations.approve(
        proposal=proposal, actor=actor or world.olivia(), **{"now": LATER, **how}
    )


def admin(email="admin@demo.test"):
    return operations.create_person(
        email=email, password=world.PASSWORD, is_superuser=True, now=world.NOW
    )


def broken():
    return [found.check for found in find_breaks(queries.CHECKS)]


@pytest.mark.django_db
class TestPropose:
    def test_does_nothing_yet(self):
        made = propose()
        assert made.status == Proposal.Status.PROPOSED
        assert made.changes == [["Color", "white", "red"]]
        assert Wall.color == "white"

    def test_is_written_to_the_trail(self):
        propose()
        entry = AuditEntry.objects.get(action="proposal.made")
        assert (entry.actor, entry.reason) == (world.sam(), "It is dirty.")

    @pytest.mark.parametrize("who", [world.olivia, world.alice])
    def test_is_for_the_proposers_role_alone(self, who):
        with pytest.raises(operations.MayNotPropose):
            propose(who())

    def test_is_not_for_staff_who_left(self):
        sam = world.sam()
        User.objects.filter(pk=sam.pk).update(is_active=False)
        with pytest.raises(operations.MayNotPropose):
            propose(sam)

    def test_is_never_about_oneself(self):
        with pytest.raises(operations.AboutYourself):
            propose(whose="sam@demo.test")

    def test_asks_why(self):
        with pytest.raises(operations.ReasonMissing):
            propose(reason="  ")

    def test_lets_one_wait_for_each_thing(self):
        propose()
        with pytest.raises(operations.ProposalOpenAlready):
            propose(color="blue")

    def test_asks_the_kind_whether_it_may_be(self, kind, monkeypatch):
        monkeypatch.setitem(proposals._KINDS, KIND, replace(kind, check=refuse))
        with pytest.raises(operations.ReasonMissing):
            propose()
        assert not Proposal.objects.exists()

    def test_ends_no_other_that_has_expired(self, kind, monkeypatch):
        """Another thing, and another kind's same thing, wait for their own end."""
        fence = replace(kind, target=lambda _payload: "fence")
        monkeypatch.setitem(proposals._KINDS, KIND, fence)
        kept = [propose()]
        monkeypatch.setitem(rules.PROPOSALS, "tests.wash_wall", rules.PROPOSALS[KIND])
        monkeypatch.setitem(
            proposals._KINDS, "tests.wash_wall", replace(kind, name="tests.wash_wall")
        )
        kept.append(
            operations.propose(
                kind="tests.wash_wall",
                payload={"color": "red"},
                actor=world.sam(),
                reason="It is dirty.",
                now=world.NOW,
            )
        )
        monkeypatch.setitem(proposals._KINDS, KIND, kind)
        propose(now=kept[0].expires_at)
        for one in kept:
            one.refresh_from_db()
            assert one.status == Proposal.Status.PROPOSED

    def test_takes_the_place_of_one_that_has_expired(self):
        old = propose()
        propose(now=old.expires_at)
        old.refresh_from_db()
        assert old.status == Proposal.Status.EXPIRED


class TestRegister:
    def test_takes_what_the_table_knows_once(self, kind, monkeypatch):
        operations.register_kind(kind)
        with pytest.raises(LookupError, match="registered twice"):
            operations.register_kind(replace(kind))
        with pytest.raises(LookupError, match="no line"):
            operations.register_kind(replace(kind, name="tests.burn_wall"))


@pytest.mark.django_db
class TestApprove:
    def test_asks_the_kind_again(self, kind, monkeypatch):
        made = propose()
        monkeypatch.setitem(proposals._KINDS, KIND, replace(kind, check=refuse))
        with pytest.raises(operations.ReasonMissing):
            approve(made)
        assert Wall.color == "white"

    def test_does_the_one_that_is_approved(self, kind, monkeypatch):
        monkeypatch.setitem(
            proposals._KINDS, KIND, replace(kind, target=lambda payload: payload["color"])
        )
        first, _second = propose(), propose(color="blue")
        approve(first)
        assert Wall.color == "red"

    def test_does_it_as_the_approver(self):
        done = approve(propose(), note="Fine.")
        assert (Wall.color, Wall.painted) == ("red", ["olivia@demo.test"])
        assert (done.status, done.result) == (Proposal.Status.EXECUTED, "wall:red")
        entry = AuditEntry.objects.get(action="proposal.executed")
        assert (entry.actor, entry.reason) == (world.olivia(), "Fine.")
        assert broken() == []

    def test_is_not_for_who_proposed_it(self):
        with pytest.raises(operations.OwnProposal):
            approve(propose(), world.sam())
        assert Wall.color == "white"

    def test_is_not_for_a_superuser_who_proposed_it(self):
        with pytest.raises(operations.OwnProposal):
            approve(propose(admin()), admin())
        assert Wall.color == "white"

    def test_is_not_of_what_somebody_proposed_who_was_shut_out_since(self):
        made = propose()
        operations.deactivate(user=world.sam(), actor=world.olivia(), reason="Left.", now=LATER)
        with pytest.raises(operations.ProposerGone):
            approve(made)
        assert Wall.color == "white"
        operations.decline(proposal=made, actor=world.olivia(), note="He left.", now=LATER)

    def test_is_not_of_what_somebody_proposed_who_lost_the_role_since(self):
        made = propose()
        world.sam().groups.clear()
        with pytest.raises(operations.ProposerGone):
            approve(made)
        assert Wall.color == "white"

    def test_is_not_for_whom_it_is_about(self):
        olivia = world.olivia()
        with pytest.raises(operations.AboutYourself):
            approve(propose(whose=olivia.email), olivia)

    def test_is_not_for_a_role_that_may_not(self):
        with pytest.raises(operations.MayNotApprove):
            approve(propose(), world.staff("tom@demo.test", "Treasury"))

    def test_works_for_a_colleague_of_the_same_role_where_the_table_says_so(self):
        approve(propose(), world.staff("tess@demo.test", "Support"))
        assert Wall.color == "red"

    def test_refuses_what_has_changed_since_and_ends_it(self):
        made = propose()
        Wall.color = "green"
        with pytest.raises(operations.ProposalConflicted):
            approve(made)
        made.refresh_from_db()
        assert (made.status, Wall.color) == (Proposal.Status.CONFLICTED, "green")

    def test_refuses_what_waited_too_long_and_ends_it(self):
        made = propose()
        with pytest.raises(operations.ProposalExpired):
            approve(made, now=made.expires_at)
        made.refresh_from_db()
        assert (made.status, Wall.color) == (Proposal.Status.EXPIRED, "white")

    def test_happens_once(self):
        made = propose()
        approve(made)
        with pytest.raises(operations.ProposalNotOpen):
            approve(made, admin())
        assert Wall.painted == ["olivia@demo.test"]


@pytest.mark.django_db
class TestDecline:
    def test_does_nothing_and_says_why(self):
        done = operations.decline(
            proposal=propose(), actor=world.olivia(), note="White it stays.", now=LATER
        )
        assert (done.status, done.note, Wall.color) == ("declined", "White it stays.", "white")

    def test_asks_why(self):
        with pytest.raises(operations.ReasonMissing):
            operations.decline(proposal=propose(), actor=world.olivia(), note=" ", now=LATER)

    def test_is_not_for_who_proposed_it(self):
        with pytest.raises(operations.OwnProposal):
            operations.decline(proposal=propose(), actor=world.sam(), note="No.", now=LATER)


@pytest.mark.django_db
class TestWithdraw:
    def test_is_for_who_proposed_it(self):
        done = operations.withdraw(proposal=propose(), actor=world.sam(), now=LATER)
        assert done.status == Proposal.Status.WITHDRAWN

    def test_is_for_nobody_else(self):
        with pytest.raises(operations.MayNotApprove):
            operations.withdraw(proposal=propose(), actor=admin(), now=LATER)


@pytest.mark.django_db
class TestExpiry:
    def test_ends_what_nobody_decided_on(self):
        made = propose()
        assert operations.expire_proposals(now=made.expires_at - timedelta(seconds=1)) == 0
        assert operations.expire_proposals(now=made.expires_at) == 1
        assert operations.expire_proposals(now=made.expires_at) == 0


SELF_APPROVED = """
    UPDATE users_proposal SET status = 'executed', decided_at = now(), decided_by_id = proposer_id
"""
BORN_EXECUTED = """
    INSERT INTO users_proposal (uid, kind, target, payload, changes, version, reason, proposer_id,
        proposed_at, expires_at, status, decided_by_id, decided_at, note, result)
    SELECT gen_random_uuid(), kind, 'other', payload, changes, version, reason, proposer_id,
        proposed_at, expires_at, 'executed', 1, now(), '', '' FROM users_proposal
"""


@pytest.mark.django_db
class TestTheDatabase:
    @pytest.mark.parametrize(
        ("deed", "refusal"),
        [
            ("UPDATE users_proposal SET payload = '{}'", "permission denied"),
            ("UPDATE users_proposal SET proposer_id = 1", "permission denied"),
            ("DELETE FROM users_proposal", "permission denied"),
            (SELF_APPROVED, "proposal_four_eyes"),
            (BORN_EXECUTED, "begins undecided"),
        ],
    )
    def test_refuses_the_app_what_is_not_a_decision_by_another(self, deed, refusal):
        propose()
        with pytest.raises(DatabaseError, match=refusal), transaction.atomic():
            connection.cursor().execute(deed)

    def test_refuses_to_decide_twice(self):
        approve(propose())
        with pytest.raises(IntegrityError, match="decided once"), transaction.atomic():
            Proposal.objects.update(status="declined")


@pytest.mark.django_db(transaction=True)
class TestTwoApprovers:
    def test_execute_it_once(self):
        made = propose()
        people = [world.olivia(), admin(), admin("second@demo.test")]
        started, refused = threading.Barrier(len(people)), []

        def work(actor):
            started.wait()
            try:
                approve(made, actor)
            except operations.ProposalNotOpen:
                refused.append(actor)
            connection.close()

        threads = [threading.Thread(target=work, args=(actor,)) for actor in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(Wall.painted), len(refused)) == (1, 2)
