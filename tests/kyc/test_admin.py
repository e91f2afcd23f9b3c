import pytest
from django.urls import reverse

from kyc import queries
from kyc.models import Application, RestrictedPlace
from tests import world
from users.models import AuditEntry

Status = Application.Status


def page(application, verb="change"):
    name = "change" if verb == "change" else verb
    return reverse(f"admin:kyc_application_{name}", args=[application.pk])


def decide(client, application, verb, **words):
    typed = {"version": application.version, **words}
    return client.post(page(application, verb), typed, follow=True)


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

    def test_approves(self, client, sam):
        bob = world.bob()
        answer = decide(client, bob.application, "approve", internal_note="All fine.")
        assert "The account is open" in answer.content.decode()
        assert queries.standing(bob).can["trade"]
        assert AuditEntry.objects.filter(action="application.approved", actor=sam).exists()

    def test_rejects_with_a_message(self, client, sam):
        bob = world.bob()
        decide(client, bob.application, "reject", message="Please use your full name.")
        assert queries.application_of(bob).message == "Please use your full name."

    def test_needs_a_message_to_reject(self, client, sam):
        bob = world.bob()
        decide(client, bob.application, "reject")
        assert queries.application_of(bob).status == Status.IN_REVIEW

    def test_says_that_the_case_has_changed(self, client, sam):
        bob = world.bob()
        answer = decide(client, bob.application, "approve", version=1)
        assert "has changed since you opened it" in answer.content.decode()
        assert queries.application_of(bob).status == Status.IN_REVIEW

    def test_is_not_ones_own(self, client, sam):
        answer = decide(client, world.submit(sam), "approve")
        assert "Nobody decides on their own application" in answer.content.decode()
        assert queries.application_of(sam).status == Status.IN_REVIEW

    def test_gives_a_rejected_case_back(self, client, sam):
        application = world.submit(world.customer("bob@demo.test"), residence="US")
        decide(client, application, "reopen", reason="A typing error.")
        application.refresh_from_db()
        assert application.status == Status.ACTION_REQUIRED


@pytest.mark.django_db
class TestThePolicy:
    TYPED = {
        "country": "JP",
        "ground": "residence",
        "reason": "Not in Japan yet.",
        "since": "2026-01-01",
        "until": "",
    }

    def test_is_kept_by_compliance_and_recorded(self, client):
        olivia = world.olivia()
        client.force_login(olivia)
        answer = client.post("/admin/kyc/restrictedplace/add/", self.TYPED)
        assert answer.status_code == 302
        assert RestrictedPlace.objects.get(country="JP").reason == "Not in Japan yet."
        entry = AuditEntry.objects.get(action="policy.added")
        assert (entry.actor, entry.detail["country"]) == (olivia, "JP")

    def test_is_only_read_by_support(self, client, sam):
        assert client.get("/admin/kyc/restrictedplace/").status_code == 200
        assert client.post("/admin/kyc/restrictedplace/add/", self.TYPED).status_code == 403
