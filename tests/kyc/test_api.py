import pytest

from kyc import queries
from tests import world

ANSWERS = {
    "first_names": "Bob",
    "last_names": "Okafor",
    "birth_date": "1988-02-29",
    "street": "Storgata 1",
    "postal_code": "0155",
    "city": "Oslo",
    "residence": "NO",
    "citizenship": "NO",
    "tax_residence": "NO",
    "tax_id": "29028812345",
    "us_person": False,
}
AGREEMENTS = {
    "agreements": [{"document": name, "version": version} for name, version in world.ACCEPTED]
}


@pytest.fixture
def bob(client):
    bob = world.customer("bob@demo.test")
    client.force_login(bob)
    return bob


def put(client, answers):
    return client.put("/api/v1/kyc/application", answers, "application/json")


def submit(client, body=AGREEMENTS):
    return client.post("/api/v1/kyc/application/submit", body, "application/json")


@pytest.mark.django_db
class TestMe:
    def test_says_what_an_active_customer_may_do(self, client):
        client.force_login(world.alice())
        me = client.get("/api/v1/me").json()
        assert (me["email"], me["status"]) == ("alice@demo.test", "active")
        assert me["can"]["trade"]
        assert me["because"] == []

    def test_says_why_a_newcomer_may_do_nothing(self, client, bob):
        me = client.get("/api/v1/me").json()
        assert not any(me["can"].values())
        assert "Verify who you are" in me["because"][0]

    def test_is_for_people_who_signed_in(self, client):
        answer = client.get("/api/v1/me")
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.django_db
class TestTheApplication:
    def test_is_an_empty_draft_at_first(self, client, bob):
        body = client.get("/api/v1/kyc/application").json()
        assert (body["status"], body["missing"]) == ("draft", list(queries.REQUIRED))
        assert [one["document"] for one in body["agreements"]] == ["terms", "risks", "privacy"]

    def test_keeps_answers_bit_by_bit(self, client, bob):
        put(client, {"first_names": "Bob"})
        body = put(client, {"city": "Oslo"}).json()
        assert (body["first_names"], body["city"]) == ("Bob", "Oslo")
        assert "street" in body["missing"]

    def test_is_submitted_with_the_agreements(self, client, bob):
        assert put(client, ANSWERS).json()["missing"] == []
        assert submit(client).json()["status"] == "in_review"
        assert queries.application_of(bob).agreements.count() == 3

    def test_is_refused_at_once_where_policy_says_so(self, client, bob):
        answer = put(client, ANSWERS | {"residence": "US"})
        assert (answer.status_code, answer.json()["code"]) == (422, "CannotServe")
        assert "United States" in answer.json()["detail"]

    def test_names_what_is_missing_when_submitted_too_early(self, client, bob):
        put(client, ANSWERS | {"tax_id": ""})
        answer = submit(client)
        assert (answer.status_code, answer.json()["code"]) == (422, "ApplicationIncomplete")
        assert answer.json()["missing"] == ["tax_id"]

    def test_names_the_agreements_that_are_missing(self, client, bob):
        put(client, ANSWERS)
        answer = submit(client, {})
        assert (answer.status_code, answer.json()["code"]) == (422, "AgreementsMissing")
        assert answer.json()["missing"] == ["terms", "risks", "privacy"]

    def test_cannot_be_changed_once_submitted(self, client, bob):
        put(client, ANSWERS)
        submit(client)
        answer = put(client, {"city": "Bergen"})
        assert (answer.status_code, answer.json()["code"]) == (409, "ApplicationNotEditable")

    def test_cannot_be_approved_by_its_applicant(self, client, bob):
        answer = put(client, ANSWERS | {"status": "active"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "status")
        assert queries.application_of(bob) is None

    @pytest.mark.parametrize(
        "answers", [{"residence": "XX"}, {"birth_date": "soon"}, {"us_person": "perhaps"}]
    )
    def test_refuses_malformed_answers(self, client, bob, answers):
        answer = put(client, answers)
        assert (answer.status_code, answer.json()["code"]) == (400, "Malformed")

    def test_never_shows_what_staff_wrote_for_themselves(self, client, bob):
        put(client, ANSWERS)
        assert "internal_note" not in submit(client).json()
