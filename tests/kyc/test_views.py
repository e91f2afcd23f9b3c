import itertools

import pytest

from kyc import operations, queries
from kyc.models import Application
from tests import world

Status = Application.Status

TYPED = {
    "name": {"first_names": "Bob", "last_names": "Okafor", "birth_date": "1988-02-29"},
    "address": {
        "residence": "NO",
        "street": "Storgata 1",
        "postal_code": "0155",
        "city": "Oslo",
    },
    "us-person": {"citizenship": "NO", "tax_residence": "NO", "us_person": "no"},
    "tax": {"tax_id": "29028812345"},
    "submit": {"terms": "on", "risks": "on", "privacy": "on"},
}


@pytest.fixture
def bob(client):
    bob = world.customer("bob@demo.test")
    client.force_login(bob)
    return bob


def type_all(client, **other):
    """Answer every screen as Bob would, or with other words on some."""
    for step, typed in TYPED.items():
        answer = client.post(f"/verify/{step}/", {**typed, **other.get(step, {})})
    return answer


@pytest.mark.django_db
class TestTheWayThroughTheScreens:
    def test_ends_in_review(self, client, bob):
        answer = type_all(client)
        assert (answer.status_code, answer.url) == (302, "/verify/")
        application = queries.application_of(bob)
        assert application.status == Status.IN_REVIEW
        assert (str(application.residence), application.us_person) == ("NO", False)
        assert application.agreements.first().ip_address == "127.0.0.1"
        assert "We are checking your details" in client.get("/verify/").content.decode()

    def test_begins_with_the_name(self, client, bob):
        assert client.get("/verify/").url == "/verify/name/"

    def test_leads_from_screen_to_screen(self, client, bob):
        steps = list(TYPED)
        for step, following in itertools.pairwise(steps):
            assert client.post(f"/verify/{step}/", TYPED[step]).url == f"/verify/{following}/"

    def test_goes_on_where_it_was_left(self, client, bob):
        client.post("/verify/name/", TYPED["name"])
        assert "Go on where you left" in client.get("/verify/").content.decode()
        assert client.get("/verify/?start").url == "/verify/address/"

    def test_shows_earlier_answers_again(self, client, bob):
        type_some = {**TYPED["us-person"]}
        client.post("/verify/name/", TYPED["name"])
        client.post("/verify/us-person/", type_some)
        assert 'value="1988-02-29"' in client.get("/verify/name/").content.decode()
        page = client.get("/verify/us-person/").content.decode()
        assert page.index('value="no"') < page.index("checked")

    def test_names_what_is_wrong_and_keeps_nothing_of_it(self, client, bob):
        answer = client.post("/verify/name/", {**TYPED["name"], "birth_date": "2999-01-01"})
        assert answer.status_code == 422
        assert "not a date you can have been born on" in answer.content.decode()
        assert queries.application_of(bob) is None

    def test_keeps_what_is_right_when_leaving_in_the_middle(self, client, bob):
        typed = {"first_names": "Bob", "birth_date": "nonsense", "then": "leave"}
        assert client.post("/verify/name/", typed).status_code == 302
        application = queries.application_of(bob)
        assert (application.first_names, application.birth_date) == ("Bob", None)

    def test_does_not_reach_the_end_past_missing_answers(self, client, bob):
        client.post("/verify/name/", TYPED["name"])
        assert client.get("/verify/submit/").url == "/verify/address/"

    def test_wants_every_agreement(self, client, bob):
        answer = type_all(client, submit={"risks": ""})
        assert answer.status_code == 422
        assert queries.application_of(bob).status == Status.DRAFT

    def test_is_closed_once_submitted(self, client, bob):
        type_all(client)
        assert client.post("/verify/name/", TYPED["name"]).url == "/verify/"
        assert queries.application_of(bob).first_names == "Bob"

    def test_has_no_other_screens(self, client, bob):
        assert client.get("/verify/shoe-size/").status_code == 404

    def test_needs_a_sign_in(self, client):
        assert "/accounts/login/" in client.get("/verify/").url


@pytest.mark.django_db
class TestTheResult:
    def test_tells_a_us_resident_the_policys_reason(self, client, bob):
        client.post("/verify/name/", TYPED["name"])
        american = TYPED["address"] | {"residence": "US", "postal_code": "95014"}
        answer = client.post("/verify/address/", american)
        assert answer.status_code == 422
        assert "not offered to people with ties to the United States" in answer.content.decode()

    def test_of_an_approval_shows_the_open_account(self, client, bob):
        type_all(client)
        world.approve(queries.application_of(bob))
        assert "Your account is open" in client.get("/verify/").content.decode()

    def test_of_a_rejection_shows_the_message_and_not_the_note(self, client, bob):
        type_all(client)
        application = queries.application_of(bob)
        operations.reject(
            application=application,
            actor=world.sam(),
            version=application.version,
            message="The name is not readable.",
            internal_note="Looks forged.",
            now=world.NOW,
        )
        page = client.get("/verify/").content.decode()
        assert "The name is not readable." in page
        assert "forged" not in page

    def test_masks_the_tax_id(self, client, bob):
        type_all(client)
        page = client.get("/verify/").content.decode()
        assert "345" in page
        assert "29028812345" not in page


@pytest.mark.django_db
class TestAgreements:
    @pytest.mark.parametrize("document", ["terms", "risks", "privacy"])
    def test_are_readable_by_anybody(self, client, document):
        answer = client.get(f"/agreements/{document}/")
        assert answer.status_code == 200
        assert "Version 2026-11" in answer.content.decode()

    def test_are_no_others(self, client):
        assert client.get("/agreements/blood/").status_code == 404
