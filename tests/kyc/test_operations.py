import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from common.errors import DomainError
from kyc import operations, queries
from kyc.models import Application
from kyc.signals import status_changed
from tests import world
from users.models import Notice
from users.queries import audit_entries_about

Status = Application.Status


def submit(user, **parts):
    return operations.submit(
        **{
            "user": user,
            "agreements": world.ACCEPTED,
            "ip_address": "192.0.2.7",
            "now": world.NOW,
            **parts,
        }
    )


def decide(verb, application, actor, **parts):
    return verb(
        **{
            "application": application,
            "actor": actor,
            "version": application.version,
            "now": world.NOW,
            **parts,
        }
    )


@pytest.mark.django_db
class TestSaveDraft:
    def test_starts_the_application_with_the_first_answers(self):
        bob = world.customer("bob@demo.test")
        answers = {"first_names": "Bob"}
        application = operations.save_draft(user=bob, answers=answers, now=world.NOW)
        assert (application.status, application.first_names) == (Status.DRAFT, "Bob")

    def test_leaves_the_other_answers_as_they_are(self):
        bob = world.customer("bob@demo.test")
        operations.save_draft(user=bob, answers={"first_names": "Bob"}, now=world.NOW)
        application = operations.save_draft(user=bob, answers={"city": "Oslo"}, now=world.NOW)
        application.refresh_from_db()
        assert (application.first_names, application.city) == ("Bob", "Oslo")

    def test_refuses_changes_once_submitted(self):
        with pytest.raises(operations.ApplicationNotEditable):
            operations.save_draft(user=world.bob(), answers={"city": "Oslo"}, now=world.NOW)

    def test_knows_no_answer_but_those_asked(self):
        with pytest.raises(TypeError, match="status"):
            operations.save_draft(
                user=world.customer("bob@demo.test"), answers={"status": "active"}, now=world.NOW
            )


@pytest.mark.django_db
class TestSubmit:
    def test_waits_for_a_person_after_the_checks(self):
        application = queries.application_of(world.bob())
        assert (application.status, application.submitted_at) == (Status.IN_REVIEW, world.NOW)
        outcomes = dict(application.checks.values_list("name", "outcome"))
        assert outcomes == {"age": "pass", "address": "pass", "jurisdiction": "pass"}

    def test_records_each_agreement_with_version_time_and_address(self):
        rows = queries.application_of(world.bob()).agreements.order_by("id")
        assert [(row.document, row.document_version) for row in rows] == world.ACCEPTED
        assert {(row.ip_address, row.accepted_at) for row in rows} == {("192.0.2.7", world.NOW)}

    @pytest.mark.parametrize(
        ("answers", "words"),
        [
            ({"residence": "US"}, "United States"),
            ({"citizenship": "US"}, "United States"),
            ({"tax_residence": "US"}, "United States"),
            ({"us_person": True}, "United States"),
            ({"residence": "PR"}, "United States"),
            ({"residence": "GB"}, "the United Kingdom"),
            ({"residence": "CA"}, "Canada"),
            ({"residence": "AU"}, "Australia"),
            ({"residence": "KP"}, "North Korea"),
            ({"citizenship": "IR"}, "Iran"),
            ({"birth_date": world.NOW.date() - timedelta(days=6000)}, "18"),
        ],
    )
    def test_refuses_the_excluded_at_once_with_the_reason(self, answers, words):
        bob = world.customer("bob@demo.test")
        with pytest.raises(operations.CannotServe, match=words) as refused:
            operations.save_draft(user=bob, answers=answers, now=world.NOW)
        assert refused.value.field == next(iter(answers))
        assert queries.application_of(bob) is None

    def test_refuses_who_was_excluded_since_they_answered(self):
        bob = world.customer("bob@demo.test")
        application = world.refused(bob)
        assert application.status == Status.REJECTED
        assert application.message == "No longer in France."
        assert audit_entries_about(bob).first().action == "application.refused"

    def test_lets_a_citizen_of_a_country_that_restricts_only_residents(self):
        bob = world.customer("bob@demo.test")
        assert world.submit(bob, citizenship="GB").status == Status.IN_REVIEW

    def test_names_the_answers_that_are_missing(self):
        bob = world.customer("bob@demo.test")
        answers = {**world.ANSWERS, "city": "", "us_person": None}
        operations.save_draft(user=bob, answers=answers, now=world.NOW)
        with pytest.raises(operations.ApplicationIncomplete) as refused:
            submit(bob)
        assert refused.value.facts == {"missing": ["city", "us_person"]}

    def test_wants_every_agreement_in_its_present_version(self):
        bob = world.customer("bob@demo.test")
        operations.save_draft(user=bob, answers=world.ANSWERS, now=world.NOW)
        with pytest.raises(operations.AgreementsMissing) as refused:
            submit(bob, agreements=[*world.ACCEPTED[1:], ("terms", "1999-01")])
        assert refused.value.facts == {"missing": ["terms"]}

    def test_happens_once(self):
        with pytest.raises(operations.ApplicationNotEditable):
            submit(world.bob())


@pytest.mark.django_db
class TestApprove:
    def test_opens_the_account(self):
        bob = world.bob()
        decide(operations.approve, bob.application, world.sam(), internal_note="Looks fine.")
        assert queries.standing(bob).can["trade"]
        bob.application.refresh_from_db()
        assert bob.application.status == Status.ACTIVE
        assert bob.application.decided_by == world.sam()

    def test_tells_the_customer_and_not_what_staff_wrote_for_themselves(self):
        bob = world.bob()
        decide(
            operations.approve,
            bob.application,
            world.sam(),
            message="Welcome.",
            internal_note="Passport seen.",
        )
        notice = Notice.objects.get(user=bob)
        assert (notice.kind, notice.body, notice.url) == (
            "application.approved",
            "Welcome.",
            "/verify/",
        )
        assert "Passport" not in notice.title + notice.body

    def test_is_in_the_audit_trail(self):
        bob = world.bob()
        decide(operations.approve, bob.application, world.sam())
        entry = audit_entries_about(bob).first()
        assert (entry.action, entry.actor) == ("application.approved", world.sam())

    def test_is_refused_to_the_applicant(self):
        sam = world.sam()
        application = world.submit(sam)
        with pytest.raises(operations.OwnApplication):
            decide(operations.approve, application, sam)

    def test_is_refused_to_the_applicant_by_the_database_too(self):
        sam = world.sam()
        application = world.submit(sam)
        application.decided_by = sam
        with pytest.raises(IntegrityError), transaction.atomic():
            application.save()

    def test_conflicts_with_a_change_since_the_form_was_opened(self):
        bob = world.bob()
        with pytest.raises(operations.ApplicationChanged):
            decide(
                operations.approve,
                bob.application,
                world.sam(),
                version=bob.application.version - 1,
            )

    def test_happens_once(self):
        bob = world.bob()
        decide(operations.approve, bob.application, world.sam())
        bob.application.refresh_from_db()
        with pytest.raises(operations.ApplicationNotInReview):
            decide(operations.approve, bob.application, world.olivia())

    def test_asks_the_policy_of_today_again(self):
        bob = world.bob()
        world.restrict("FR", "residence", "Not in France any more.")
        with pytest.raises(queries.NotEligible, match="France"):
            decide(operations.approve, bob.application, world.sam())


@pytest.mark.django_db
class TestReject:
    def test_says_why(self):
        bob = world.bob()
        decide(operations.reject, bob.application, world.sam(), message="The name is misspelled.")
        bob.application.refresh_from_db()
        assert bob.application.status == Status.REJECTED
        assert Notice.objects.get(user=bob).body == "The name is misspelled."

    def test_needs_a_message(self):
        with pytest.raises(operations.MessageMissing):
            decide(operations.reject, world.bob().application, world.sam(), message=" ")


@pytest.mark.django_db
class TestReopen:
    def test_lets_the_customer_correct_and_submit_again(self):
        bob = world.customer("bob@demo.test")
        application = world.refused(bob)
        operations.reopen(
            application=application, actor=world.sam(), reason="Typing error.", now=world.NOW
        )
        again = world.submit(bob, residence="NO", postal_code="0155")
        assert again.status == Status.IN_REVIEW
        assert audit_entries_about(bob).filter(action="application.reopened").exists()

    def test_leaves_an_application_in_review_alone(self):
        with pytest.raises(operations.ApplicationNotInReview):
            operations.reopen(
                application=world.bob().application, actor=world.sam(), reason="-", now=world.NOW
            )


@pytest.mark.django_db
class TestStatusChanged:
    def test_is_announced_at_each_move(self):
        moves = []

        def listen(application, before, **_kwargs):
            moves.append((before, application.status))

        status_changed.connect(listen)
        try:
            world.alice()
        finally:
            status_changed.disconnect(listen)
        assert moves == [("draft", "in_review"), ("in_review", "active")]


@pytest.mark.django_db(transaction=True)
class TestTwoDecisionsAtTheSameMoment:
    def test_are_one_decision(self):
        bob, sam, olivia = world.bob(), world.sam(), world.olivia()
        application = queries.application_of(bob)
        started, outcomes = threading.Barrier(2), []

        def work(verb, actor, **parts):
            started.wait()
            try:
                outcomes.append(decide(verb, application, actor, **parts).status)
            except DomainError as error:
                outcomes.append(error.code)
            connection.close()

        staff = [
            threading.Thread(target=work, args=[operations.approve, sam]),
            threading.Thread(
                target=work, args=[operations.reject, olivia], kwargs={"message": "No."}
            ),
        ]
        for one in staff:
            one.start()
        for one in staff:
            one.join()
        [decided] = {Status.ACTIVE, Status.REJECTED} & set(outcomes)
        assert "ApplicationNotInReview" in outcomes
        assert queries.application_of(bob).status == decided
        assert Notice.objects.filter(user=bob).count() == 1
