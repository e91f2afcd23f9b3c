"""What staff do to an account works at every door at once."""

import json

import pytest
from django.test import Client

import kyc.operations
import users.operations
from kyc import queries
from tests import world
from tests.spending import shop
from users.models import AuditEntry

pytestmark = pytest.mark.django_db

ORDER = {
    "instrument": "AAPLx",
    "side": "buy",
    "type": "limit",
    "quantity": "1",
    "limit_price": "270.00",
}
PAGES = ("/home/", "/deposit/", "/cards/", "/settings/", "/verify/", "/activity/")


@pytest.fixture
def alice(friday):
    return world.alice()


@pytest.fixture
def browser(alice):
    client = sign_in()
    assert client.get("/home/").status_code == 200
    return client


@pytest.fixture
def phone(alice):
    """Give the app's client, signed in by a token."""
    token = take_token().json()["meta"]["session_token"]
    client = Client(headers={"X-Session-Token": token})
    assert client.get("/api/v1/me").status_code == 200
    return client


def sign_in():
    """Sign Alice in at the page, as far as it lets her."""
    client = Client()
    client.post("/accounts/login/", {"login": "alice@demo.test", "password": world.PASSWORD})
    return client


def take_token():
    """Ask for the app's token with Alice's password."""
    wish = {"email": "alice@demo.test", "password": world.PASSWORD}
    return post(Client(), "/_allauth/app/v1/auth/login", wish)


def decide(user, verb, actor=None):
    application = queries.application_of(user)
    return getattr(kyc.operations, verb)(
        application=application,
        actor=actor or world.olivia(),
        version=application.version,
        message="We have to ask you something first.",
        now=world.NOW,
    )


def post(client, path, body):
    return client.post(path, json.dumps(body), content_type="application/json")


def codes(client):
    """Give what the doors that move value answer, by path."""
    wishes = {
        "/api/v1/orders": ORDER,
        "/api/v1/deposits": {"asset": "USD", "amount": "100.00"},
        "/api/v1/cards": {},
    }
    answers = {path: post(client, path, wish) for path, wish in wishes.items()}
    return {path: (one.status_code, one.json().get("code")) for path, one in answers.items()}


class TestADeactivatedCustomer:
    @pytest.fixture(autouse=True)
    def _deactivated(self, alice, browser, phone):
        self.card = shop.card(alice)
        world.fund(alice, "100")
        users.operations.deactivate(
            user=alice, actor=world.olivia(), reason="Stolen phone.", now=world.NOW
        )

    def test_sees_no_page(self, browser):
        for page in PAGES:
            answer = browser.get(page)
            assert answer.status_code == 302
            assert answer["Location"].startswith("/accounts/login/")

    def test_is_signed_out_of_the_api(self, phone, browser):
        for client in (phone, browser):
            assert client.get("/api/v1/me").status_code == 401

    def test_cannot_sign_in_again(self):
        assert sign_in().get("/home/").status_code == 302

    def test_gets_no_token(self):
        answer = take_token()
        assert answer.status_code != 200
        assert "session_token" not in answer.json().get("meta", {})

    def test_pays_nothing_by_card(self):
        told = shop.authorize(self.card, "4.50")
        assert (told["decision"], told["reason"]) == ("declined", "kyc_restricted")

    def test_has_the_old_sessions_no_more_when_access_is_back(self, alice, browser, phone):
        users.operations.reactivate(
            user=alice, actor=world.olivia(), reason="Phone found.", now=world.NOW
        )
        assert sign_in().get("/home/").status_code == 200
        assert browser.get("/home/").status_code == 302
        assert phone.get("/api/v1/me").status_code == 401

    def test_stands_in_the_audit_trail(self, alice):
        entry = AuditEntry.objects.get(action="user.deactivated")
        assert (entry.actor, entry.subject, entry.reason) == (
            world.olivia(),
            alice,
            "Stolen phone.",
        )


class TestAFrozenCustomer:
    @pytest.fixture(autouse=True)
    def _frozen(self, alice):
        self.card = shop.card(alice)
        world.fund(alice, "100")
        decide(alice, "freeze")

    def test_moves_nothing_at_any_door(self, browser, phone):
        for client in (browser, phone):
            assert set(codes(client).values()) == {(403, "AccountFrozen")}

    def test_may_do_nothing(self, phone):
        told = phone.get("/api/v1/me").json()
        assert told["status"] == "frozen"
        assert not any(told["can"].values())
        assert told["because"] == ["Your account is frozen; write to support."]

    def test_pays_nothing_by_card(self):
        told = shop.authorize(self.card, "4.50")
        assert (told["decision"], told["reason"]) == ("declined", "kyc_restricted")

    def test_reads_why(self, browser):
        assert "We have to ask you something first." in browser.get("/verify/").content.decode()

    def test_sees_the_pages_all_the_same(self, browser):
        for page in PAGES:
            assert browser.get(page).status_code == 200

    def test_pays_again_once_it_is_lifted(self, alice):
        decide(alice, "lift")
        assert shop.authorize(self.card, "4.50")["decision"] == "approved"


class TestARestrictedCustomer:
    def test_may_sell_and_buys_nothing(self, alice, phone):
        card = shop.card(alice)
        world.fund(alice, "100")
        decide(alice, "restrict")
        assert set(codes(phone).values()) == {(403, "AccountRestricted")}
        assert shop.authorize(card, "4.50")["reason"] == "kyc_restricted"
        can = phone.get("/api/v1/me").json()["can"]
        assert {name for name, may in can.items() if may} == {"close", "withdraw"}


class TestWhoDecides:
    def test_is_never_the_customer(self, alice):
        for verb in ("freeze", "restrict"):
            with pytest.raises(kyc.operations.OwnApplication):
                decide(alice, verb, actor=alice)
        with pytest.raises(users.operations.OwnAccess):
            users.operations.deactivate(user=alice, actor=alice, reason="-", now=world.NOW)

    def test_says_why_to_the_customer(self, alice):
        application = queries.application_of(alice)
        with pytest.raises(kyc.operations.MessageMissing):
            kyc.operations.freeze(
                application=application,
                actor=world.olivia(),
                version=application.version,
                message=" ",
                now=world.NOW,
            )

    def test_decides_on_what_they_saw(self, alice):
        seen = queries.application_of(alice)
        decide(alice, "restrict")
        with pytest.raises(kyc.operations.ApplicationChanged):
            kyc.operations.freeze(
                application=seen,
                actor=world.olivia(),
                version=seen.version,
                message="Stop.",
                now=world.NOW,
            )

    def test_freezes_only_what_is_open(self, alice):
        decide(alice, "freeze")
        for verb in ("freeze", "restrict"):
            with pytest.raises(kyc.operations.AccountNotOpen):
                decide(alice, verb)

    def test_is_named_in_the_audit_trail(self, alice):
        decide(alice, "freeze")
        entry = AuditEntry.objects.get(action="account.frozen")
        assert (entry.actor, entry.subject) == (world.olivia(), alice)
