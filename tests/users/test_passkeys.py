"""Passkeys, recovery codes and app codes, over the headless API and on the pages."""

import json
from datetime import timedelta
from time import time

import pytest
from allauth.mfa.models import Authenticator as Factor
from allauth.mfa.totp.internal import auth as totp
from django.core.serializers.json import DjangoJSONEncoder

from tests import doors, world
from tests.users.app import App
from tests.users.authenticator import PRESENT, Authenticator

pytestmark = pytest.mark.django_db

EMAIL = "bob@demo.test"
FACTORS = "account/authenticators"


@pytest.fixture
def bob():
    return world.customer(EMAIL)


@pytest.fixture
def app(bob):
    app = App()
    assert app.sign_in(EMAIL).status_code == 200
    return app


def enrol(app, *, alone=True):
    """Add a passkey; give it and the answer."""
    passkey = Authenticator()
    asked = app.call("GET", f"{FACTORS}/webauthn" + ("?passwordless" if alone else ""))
    credential = passkey.create(asked.body["data"]["creation_options"])
    body = {"name": "Phone", "credential": credential}
    return passkey, app.call("POST", f"{FACTORS}/webauthn", body)


def challenge(app, path):
    return app.call("GET", path).body["data"]["request_options"]


class TestPasskeysOfApps:
    def test_sign_in_alone(self, app):
        passkey, added = enrol(app)
        assert added.status_code == 200
        other = App()
        credential = passkey.get(challenge(other, "auth/webauthn/login"))
        answer = other.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 200
        assert other.call("GET", "/api/v1/me").body["email"] == EMAIL

    def test_are_the_second_step_after_a_password(self, app):
        passkey, _ = enrol(app)
        other = App()
        assert other.pending(other.sign_in(EMAIL)) == {"mfa_authenticate"}
        assert other.call("GET", "/api/v1/me").status_code == 401
        credential = passkey.get(challenge(other, "auth/webauthn/authenticate"))
        answer = other.call("POST", "auth/webauthn/authenticate", {"credential": credential})
        assert answer.status_code == 200
        assert other.call("GET", "/api/v1/me").status_code == 200

    def test_answer_a_challenge_once(self, app):
        passkey, _ = enrol(app)
        other = App()
        credential = passkey.get(challenge(other, "auth/webauthn/login"))
        assert (
            other.call("POST", "auth/webauthn/login", {"credential": credential}).status_code == 200
        )
        thief = App()
        answer = thief.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 400

    def test_do_not_sign_in_alone_without_finger_face_or_pin(self, app):
        passkey, _ = enrol(app)
        other = App()
        credential = passkey.get(challenge(other, "auth/webauthn/login"), flags=PRESENT)
        answer = other.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 400

    def test_of_another_account_open_nothing(self, app):
        stranger = Authenticator()
        stranger.handle = enrol(app)[0].handle
        other = App()
        credential = stranger.get(challenge(other, "auth/webauthn/login"))
        answer = other.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 400

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "https://testserver", "http://testserver.evil.example"]
    )
    def test_are_not_taken_from_another_page(self, app, origin):
        passkey, _ = enrol(app)
        passkey.origin = origin
        other = App()
        credential = passkey.get(challenge(other, "auth/webauthn/login"))
        answer = other.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 400

    def test_are_taken_from_an_app_that_is_named(self, app, settings):
        passkey, _ = enrol(app)
        passkey.origin = "android:apk-key-hash:abc"
        settings.PASSKEY_APP_ORIGINS = [passkey.origin]
        other = App()
        credential = passkey.get(challenge(other, "auth/webauthn/login"))
        answer = other.call("POST", "auth/webauthn/login", {"credential": credential})
        assert answer.status_code == 200

    def test_are_not_added_by_who_only_has_the_token(self, app, bob, monkeypatch):
        monkeypatch.setattr("time.time", later(minutes=6))
        answer = app.call("GET", f"{FACTORS}/webauthn?passwordless")
        assert answer.status_code == 401
        assert {flow["id"] for flow in answer.body["data"]["flows"]} == {"reauthenticate"}
        assert not Factor.objects.filter(user=bob).exists()
        app.call("POST", "auth/reauthenticate", {"password": world.PASSWORD})
        assert enrol(app)[1].status_code == 200


class TestRecoveryCodes:
    def test_are_shown_once(self, app):
        enrol(app)
        shown = app.call("GET", f"{FACTORS}/recovery-codes").body["data"]
        assert len(shown["unused_codes"]) == 10
        assert "unused_codes" not in app.call("GET", f"{FACTORS}/recovery-codes").body["data"]

    def test_open_the_account_once_each(self, app):
        enrol(app)
        [code, *_] = app.call("GET", f"{FACTORS}/recovery-codes").body["data"]["unused_codes"]
        for expected in (200, 400):
            other = App()
            other.sign_in(EMAIL)
            assert other.call("POST", "auth/2fa/authenticate", {"code": code}).status_code == (
                expected
            )


class TestPages:
    @pytest.fixture
    def page(self, client, bob):
        client.force_login(bob)
        return client

    def test_of_passkeys_stand_in_our_frame_under_the_strict_policy(self, page, bob):
        enrol_by_page(page)
        key = Factor.objects.get(user=bob, type=Factor.Type.WEBAUTHN)
        for address in (
            "/accounts/2fa/",
            "/accounts/2fa/webauthn/",
            "/accounts/2fa/webauthn/add/",
            f"/accounts/2fa/webauthn/keys/{key.pk}/edit/",
            f"/accounts/2fa/webauthn/keys/{key.pk}/remove/",
            "/accounts/2fa/webauthn/reauthenticate/",
            "/accounts/2fa/recovery-codes/",
        ):
            answer = page.get(address)
            shown = answer.content.decode()
            assert answer.status_code == 200, address
            assert 'class="wordmark' in shown, address
            assert shown.count("<h1") == 1, address
            assert "unsafe" not in answer["Content-Security-Policy"]
            for inline in shown.split("<script")[1:]:
                opening = inline.split(">")[0]
                assert "src=" in opening or 'type="application/json"' in opening, address

    def test_sign_in_by_passkey(self, page, client):
        passkey = enrol_by_page(page)
        page.logout()
        assert 'id="passkey_login"' in client.get("/accounts/login/").content.decode()
        options = client.get(
            "/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"}
        ).json()["request_options"]
        credential = json.dumps(passkey.get(options))
        answer = client.post("/accounts/2fa/webauthn/login/", {"credential": credential})
        assert answer["Location"] == "/home/"

    def test_offer_a_passkey_as_second_step_to_who_has_one(self, page, client, bob):
        enrol_by_page(page)
        page.logout()
        client.post("/accounts/login/", {"login": EMAIL, "password": world.PASSWORD})
        shown = client.get("/accounts/2fa/authenticate/").content.decode()
        assert 'id="mfa_webauthn_authenticate"' in shown

    def test_offer_none_to_who_has_an_app_only(self, client, bob):
        totp.TOTP.activate(bob, doors.KEY)
        client.post("/accounts/login/", {"login": EMAIL, "password": world.PASSWORD})
        shown = client.get("/accounts/2fa/authenticate/").content.decode()
        assert "passkey" not in shown.lower()

    def test_show_the_recovery_codes_once(self, page):
        enrol_by_page(page)
        first = page.get("/accounts/2fa/recovery-codes/").content.decode()
        assert first.count("<code>") == 10
        assert "<code>" not in page.get("/accounts/2fa/recovery-codes/").content.decode()

    def test_ask_for_the_password_before_a_passkey_is_added(self, page, bob):
        doors.proven(page, bob, "password", ago=timedelta(minutes=6))
        answer = page.get("/accounts/2fa/webauthn/add/")
        assert answer["Location"].startswith("/accounts/reauthenticate/")


def enrol_by_page(page):
    passkey = Authenticator()
    options = page.get("/accounts/2fa/webauthn/add/").context["js_data"]["creation_options"]
    credential = json.dumps(passkey.create(as_sent(options)))
    answer = page.post("/accounts/2fa/webauthn/add/", {"credential": credential, "name": "Desk"})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    return passkey


def as_sent(options):
    """Read the options as the page's script does."""
    return json.loads(json.dumps(options, cls=DjangoJSONEncoder))


def later(**passed):
    """Give a clock that stands so much later."""
    at = time() + timedelta(**passed).total_seconds()
    return lambda: at
