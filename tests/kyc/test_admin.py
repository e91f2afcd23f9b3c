from datetime import timedelta

import pytest
from django.urls import reverse

from common import clock
from kyc import queries
from kyc.models import Application, RestrictedPlace
from tests import world
from users.models import AuditEntry, Proposal

Status = Application.Status


def page(application, verb="change"):
    name = "change" if verb == "change" else verb
    return reverse(f"admin:kyc_application_{name}", args=[application.pk])


def decide(client, application, verb, **words):
    typed = {"version": application.version, **words}
    return client.post(page(application, verb), typed, follow=True)


def approve(client, person):
    """Let somebody approve the newest proposal at the admin."""
    client.force_login(person)
    return client.post(
        f"/admin/users/proposal/{Proposal.objects.latest('id').pk}/approve/", follow=True
    )


@pytest.fixture
def sam(client):
    sam = world.sam()
    client.force_login(sam)
    return sam


@pytest.mark.django_db
class TestTheQueue:
    def test_shows_who_waits(self, client, sam):
        world.bob()
        world.alice()
        listed = client.get("/admin/kyc/application/?queue=waiting").content.decode()
        assert "bob@demo.test" in listed
        assert "alice@demo.test" not in listed

    def test_finds_a_customer_by_email(self, client, sam):
        world.bob()
        assert "Okafor" in client.get("/admin/kyc/application/?q=bob@demo").content.decode()

    def test_opens_a_case_without_the_tax_id_in_full(self, client, sam):
        application = world.bob().application
        shown = client.get(page(application)).content.decode()
        assert "Okafor" in shown
        assert "123" in shown
        assert world.ANSWERS["tax_id"] not in shown

    def test_cannot_be_edited_by_hand(self, client, sam):
        application = world.bob().application
        assert client.post(page(application), {"status": "active"}).status_code == 403

    def test_is_closed_to_customers(self, client):
        application = world.bob().application
        client.force_login(world.alice())
        assert client.get(page(application)).status_code == 302
        decide(client, application, "approve")
        application.refresh_from_db()
        assert application.status == Status.IN_REVIEW

    def test_is_not_for_staff_without_the_permission(self, client, sam):
        sam.groups.clear()
        application = world.bob().application
        assert client.post(page(application, "approve")).status_code == 403


@pytest.mark.django_db
class TestTheDecision:
    def test_form_shows_the_case_and_remembers_its_version(self, client, sam):
        application = world.bob().application
        form = client.get(page(application, "approve")).content.decode()
        assert f'value="{application.version}"' in form
        assert "Okafor" in form

    def test_is_proposed_by_one_and_made_by_another(self, client, sam):
        bob = world.bob()
        answer = decide(client, bob.application, "approve", reason="All fine.")
        assert "another person decides" in answer.content.decode()
        assert queries.application_of(bob).status == Status.IN_REVIEW
        approve(client, world.olivia())
        assert queries.standing(bob).can["trade"]
        assert AuditEntry.objects.filter(
            action="application.approved", actor=world.olivia()
        ).exists()

    def test_is_not_made_by_who_proposed_it(self, client, sam):
        bob = world.bob()
        decide(client, bob.application, "approve", reason="All fine.")
        assert approve(client, sam).status_code == 200
        assert queries.application_of(bob).status == Status.IN_REVIEW

    def test_is_not_made_on_an_application_that_has_changed_since(self, client, sam):
        bob = world.bob()
        decide(client, bob.application, "approve", reason="All fine.")
        Application.objects.filter(user=bob).update(version=99)
        answer = approve(client, world.olivia())
        assert "has changed since it was proposed" in answer.content.decode()
        assert queries.application_of(bob).status == Status.IN_REVIEW

    def test_rejects_with_a_message(self, client, sam):
        bob = world.bob()
        words = {"message": "Please use your full name.", "reason": "A nickname."}
        decide(client, bob.application, "reject", **words)
        approve(client, world.olivia())
        application = queries.application_of(bob)
        assert (application.status, application.message) == ("rejected", words["message"])
        assert application.internal_note == "A nickname."

    def test_needs_a_message_to_reject(self, client, sam):
        bob = world.bob()
        decide(client, bob.application, "reject", reason="A nickname.")
        assert not Proposal.objects.exists()

    def test_says_that_the_case_has_changed(self, client, sam):
        bob = world.bob()
        answer = decide(client, bob.application, "approve", version=1, reason="All fine.")
        assert "has changed since you opened it" in answer.content.decode()
        assert not Proposal.objects.exists()

    def test_is_not_ones_own(self, client, sam):
        answer = decide(client, world.submit(sam), "approve", reason="It is me.")
        assert "Nobody proposes or decides what concerns themself" in answer.content.decode()
        assert queries.application_of(sam).status == Status.IN_REVIEW

    def test_gives_a_rejected_case_back(self, client, sam):
        application = world.refused(world.customer("bob@demo.test"))
        decide(client, application, "reopen", reason="A typing error.")
        approve(client, world.olivia())
        application.refresh_from_db()
        assert application.status == Status.ACTION_REQUIRED


@pytest.mark.django_db
class TestAnOpenAccount:
    WORDS = {"message": "We have a question.", "reason": "An odd deposit."}

    def test_is_frozen_by_one_and_opened_again_by_two(self, client, sam):
        alice = world.alice()
        decide(client, queries.application_of(alice), "freeze", **self.WORDS)
        assert queries.application_of(alice).status == Status.FROZEN
        decide(client, queries.application_of(alice), "lift", **self.WORDS)
        approve(client, sam)
        assert queries.application_of(alice).status == Status.FROZEN
        approve(client, world.olivia())
        assert queries.standing(alice).can["trade"]

    def test_is_offered_what_its_state_allows(self, client, sam):
        shown = client.get(page(world.alice().application)).content.decode()
        assert "Freeze now" in shown
        assert "Lift" not in shown


@pytest.mark.django_db
class TestThePolicy:
    TYPED = {
        "country": "JP",
        "ground": "residence",
        "reason": "Not in Japan yet.",
        "since": "2099-01-01",
        "until": "",
    }

    def test_is_kept_by_two_of_compliance(self, client):
        client.force_login(world.olivia())
        answer = client.post("/admin/kyc/restrictedplace/add/", {**self.TYPED, "why": "A new law."})
        assert answer.status_code == 302
        assert not RestrictedPlace.objects.filter(country="JP").exists()
        second = world.staff("oma@demo.test", "Compliance")
        approve(client, second)
        assert RestrictedPlace.objects.get(country="JP").reason == "Not in Japan yet."
        entry = AuditEntry.objects.get(action="policy.added")
        assert (entry.actor, entry.detail["country"]) == (second, "JP")

    def test_never_begins_in_the_past(self, client):
        client.force_login(world.olivia())
        typed = {**self.TYPED, "since": "2026-01-01", "why": "A new law."}
        answer = client.post("/admin/kyc/restrictedplace/add/", typed)
        assert "begins today or later" in answer.content.decode()
        assert not Proposal.objects.exists()

    def test_ends_by_a_day_that_two_agree_on(self, client):
        place = world.restrict("JP", "residence", "Not in Japan yet.")
        client.force_login(world.olivia())
        page = f"/admin/kyc/restrictedplace/{place.pk}/end/"
        until = clock.now().date() + timedelta(days=1)
        client.post(page, {"until": until.isoformat(), "reason": "The law went."})
        approve(client, world.staff("oma@demo.test", "Compliance"))
        place.refresh_from_db()
        assert place.until == until

    def test_in_force_is_out_of_reach(self, client):
        place = world.restrict("JP", "residence", "Not in Japan yet.")
        client.force_login(world.olivia())
        page = f"/admin/kyc/restrictedplace/{place.pk}/change/"
        assert client.post(page, self.TYPED).status_code == 403

    def test_is_only_read_by_support(self, client, sam):
        assert client.get("/admin/kyc/restrictedplace/").status_code == 200
        assert client.post("/admin/kyc/restrictedplace/add/", self.TYPED).status_code == 403
