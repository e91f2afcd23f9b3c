"""What guards an account: proofs before, mails after, a way back, a day when nothing leaves."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator as Factor
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.test import Client, RequestFactory
from django.utils import timezone

import kyc.queries
import users.queries
from common import clock
from spending.operations import issue_card
from tests import doors, world
from tests.users.app import App
from users import operations, rules
from users.adapters import AccountAdapter
from users.models import AuditEntry, SecurityEvent, User

pytestmark = pytest.mark.django_db

EMAIL, THIEF = "alice@demo.test", "thief@evil.test"
CODE = re.compile(r"^\s*([A-Z0-9]{3,8}(?:-[A-Z0-9]{3,8})?)\s*$", re.MULTILINE)
LINK = re.compile(r"https?://[^/]+(/security/undo/\S+)")


@pytest.fixture(autouse=True)
def _post(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def alice():
    world.instrument()
    return world.alice()


@pytest.fixture
def browser(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def app(alice):
    app = App()
    app.sign_in(EMAIL)
    return app


@pytest.fixture
def stolen(app, monkeypatch):
    """A token whose owner gave the password a while ago."""
    monkeypatch.setattr("time.time", later(minutes=6))
    return app


def later(**passed):
    from time import time  # noqa: PLC0415 - as it is before it is replaced

    at = time() + timedelta(**passed).total_seconds()
    return lambda: at


def told(address):
    return [letter for letter in mail.outbox if letter.to == [address]]


def link_to(address):
    """Give the path of the newest link that undoes, mailed to an address."""
    letters = [found[1] for letter in told(address) if (found := LINK.search(letter.body))]
    return letters[-1]


def change_email(app, new=THIEF):
    assert app.call("POST", "account/email", {"email": new}).status_code == 200
    code = CODE.search(told(new)[-1].body)[1]
    assert app.call("POST", "auth/email/verify", {"key": code}).status_code == 200


class TestProofs:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "account/email", {"email": THIEF}),
            ("GET", "account/authenticators/webauthn", None),
            ("DELETE", "account/authenticators/totp", None),
            ("POST", "account/authenticators/recovery-codes", {}),
        ],
    )
    def test_are_asked_of_a_stolen_token(self, stolen, alice, method, path, body):
        totp.TOTP.activate(alice, totp.generate_totp_secret())
        answer = stolen.call(method, path, body)
        assert answer.status_code == 401
        assert "reauthenticate" in {flow["id"] for flow in answer.body["data"]["flows"]}
        assert User.objects.get(pk=alice.pk).email == EMAIL
        assert Factor.objects.filter(user=alice).count() == 1

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/accounts/email/", {"action_add": "", "email": THIEF}),
            ("/accounts/2fa/totp/deactivate/", {}),
            ("/accounts/2fa/totp/activate/", {"code": "000000"}),
            ("/accounts/2fa/recovery-codes/generate/", {}),
            ("/accounts/sessions/", {}),
            ("/cards/issue/", {}),
        ],
    )
    def test_are_asked_of_a_stolen_cookie(self, browser, alice, path, body):
        if "deactivate" in path or "generate" in path:
            totp.TOTP.activate(alice, totp.generate_totp_secret())
        if path == "/accounts/sessions/":
            App().sign_in(EMAIL)
        doors.proven(browser, alice, "password", ago=timedelta(minutes=6))
        answer = browser.post(path, body)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert not told(THIEF)

    def test_are_asked_before_a_card_is_issued(self, stolen):
        answer = stolen.call("POST", "/api/v1/cards", {})
        assert (answer.status_code, answer.body["code"]) == (403, "ReauthenticationRequired")
        stolen.call("POST", "auth/reauthenticate", {"password": world.PASSWORD})
        assert stolen.call("POST", "/api/v1/cards", {}).status_code == 201

    def test_are_not_asked_of_who_signed_in_just_now(self, app):
        assert app.call("POST", "/api/v1/cards", {}).status_code == 201

    def test_a_password_is_changed_by_who_knows_it(self, stolen):
        body = {"current_password": "a guess", "new_password": "quite-another-one"}
        assert stolen.call("POST", "account/password/change", body).status_code == 400


class TestMail:
    def test_of_a_changed_address_goes_to_the_old_and_the_new(self, app):
        change_email(app)
        for address in (EMAIL, THIEF):
            [letter] = [one for one in told(address) if "was changed" in one.subject]
            assert LINK.search(letter.body)
            assert EMAIL in letter.body

    def test_goes_to_the_replaced_address_while_it_can_be_undone(self, app):
        change_email(app)
        app.call(
            "POST",
            "account/password/change",
            {"current_password": world.PASSWORD, "new_password": "quite-another-one"},
        )
        for address in (EMAIL, THIEF):
            assert "Your password was changed" in [one.subject for one in told(address)]

    @pytest.mark.parametrize("kind", rules.SECURITY_ACTS)
    def test_tells_of_every_kind_and_is_audited(self, alice, kind):
        origin = operations.Origin("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0")
        before = {"email": "old@demo.test"} if kind == "email.changed" else {}
        operations.note_security_act(
            user=alice, kind=kind, origin=origin, before=before, now=world.NOW
        )
        letter = told(EMAIL)[-1]
        assert letter.subject == rules.SECURITY_ACTS[kind].title
        assert "192.0.2.7" in letter.body
        assert AuditEntry.objects.filter(action=kind, subject=alice).exists()
        assert users.queries.unread_notices(alice)[0].kind == f"security.{kind}"

    def test_says_when_by_the_readers_clock(self, alice):
        alice.time_zone = "Asia/Tokyo"
        alice.save()
        origin = operations.Origin("192.0.2.7", "")
        with timezone.override("America/New_York"):
            operations.note_security_act(
                user=alice, kind="password.changed", origin=origin, now=world.NOW
            )
        local = world.NOW.astimezone(ZoneInfo("Asia/Tokyo"))
        assert f"{local:%H:%M} JST" in told(EMAIL)[-1].body

    def test_of_a_second_factor_is_sent_once(self, app, alice):
        secret = app.call("GET", "account/authenticators/totp").body["meta"]["secret"]
        code = totp.format_hotp_value(
            totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()))
        )
        app.call("POST", "account/authenticators/totp", {"code": code})
        assert [one.subject for one in told(EMAIL)] == ["A second step was added to your sign-in"]
        app.call("DELETE", "account/authenticators/totp")
        assert told(EMAIL)[-1].subject == "A second step was removed from your sign-in"
        assert len(told(EMAIL)) == 2

    def test_of_a_reset_is_sent(self, alice):
        reset(alice)
        assert told(EMAIL)[-1].subject == "Your password was reset by email"

    def test_is_not_sent_for_the_first_address_of_a_sign_up(self):
        app = App()
        app.call("POST", "auth/signup", {"email": "new@demo.test", "password": "long-enough-one"})
        code = CODE.search(told("new@demo.test")[-1].body)[1]
        assert app.call("POST", "auth/email/verify", {"key": code}).status_code == 200
        assert not SecurityEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestAMailThatCanNotBeWritten:
    def test_undoes_the_act_it_tells_of(self, app, alice, monkeypatch):
        def full(*_):
            raise OSError("full")

        monkeypatch.setattr("users.operations.security.send_mail", full)
        app.client.raise_request_exception = False
        body = {"current_password": world.PASSWORD, "new_password": "quite-another-one"}
        answer = app.call("POST", "account/password/change", body)
        assert answer.status_code == 500
        assert User.objects.get(pk=alice.pk).check_password(world.PASSWORD)
        assert not AuditEntry.objects.filter(action="password.changed").exists()


class TestTheLink:
    def test_does_nothing_when_a_mail_scanner_reads_it(self, app, client):
        change_email(app)
        shown = client.get(link_to(EMAIL))
        assert shown.status_code == 200
        assert "Was it you?" in shown.content.decode()
        assert User.objects.get(email=THIEF).locked_at is None

    def test_gives_the_address_back_and_locks_the_thief_out(self, app, client, alice):
        change_email(app)
        done = client.post(link_to(EMAIL))
        assert "Your account is locked" in done.content.decode()
        now = User.objects.get(pk=alice.pk)
        assert now.email == EMAIL
        assert EmailAddress.objects.get(user=alice).email == EMAIL
        assert app.call("GET", "/api/v1/me").status_code == 401
        for email in (EMAIL, THIEF):
            assert App().sign_in(email).status_code == 400
        assert not any(kyc.queries.standing(now).can.values())
        assert AuditEntry.objects.filter(action="security.undone", subject=alice).exists()

    def test_works_for_a_stranger_of_the_session_without_signing_in(self, app):
        change_email(app)
        assert Client().post(link_to(THIEF)).status_code == 200

    def test_works_once(self, app, client, alice):
        change_email(app)
        link = link_to(EMAIL)
        client.post(link)
        reset(User.objects.get(pk=alice.pk))
        again = client.post(link)
        assert again.status_code == 409
        assert User.objects.get(pk=alice.pk).locked_at is None

    def test_of_an_act_that_an_earlier_link_undid_does_no_more(self, app, client):
        change_email(app)
        app.call(
            "POST",
            "account/password/change",
            {"current_password": world.PASSWORD, "new_password": "quite-another-one"},
        )
        letters = [LINK.search(one.body)[1] for one in told(EMAIL) if LINK.search(one.body)]
        assert client.post(letters[0]).status_code == 200
        assert client.post(letters[1]).status_code == 409

    def test_is_good_for_a_week(self, app, client, settings):
        change_email(app)
        settings.SECURITY_UNDO = timedelta(seconds=-1)
        assert client.get(link_to(EMAIL)).status_code == 404

    @pytest.mark.parametrize("token", ["x", "a:b:c", "%F0%9F%92%A3"])
    def test_of_somebody_elses_making_opens_nothing(self, client, token):
        assert client.get(f"/security/undo/{token}/").status_code == 404
        assert client.post(f"/security/undo/{token}/").status_code == 404

    def test_needs_a_form_of_ours(self, app):
        change_email(app)
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(link_to(EMAIL)).status_code == 403

    def test_undoes_all_that_followed(self, app, client, alice):
        """A thief takes the second step away, adds their own, and moves the address."""
        mine = totp.TOTP.activate(alice, totp.generate_totp_secret()).instance
        app.call("POST", "account/authenticators/recovery-codes", {})
        app.call("DELETE", "account/authenticators/totp")
        first = link_to(EMAIL)
        secret = app.call("GET", "account/authenticators/totp").body["meta"]["secret"]
        code = totp.format_hotp_value(
            totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()))
        )
        app.call("POST", "account/authenticators/totp", {"code": code})
        change_email(app)
        client.post(first)
        now = User.objects.get(pk=alice.pk)
        assert now.email == EMAIL
        assert Factor.objects.get(user=alice, type="totp").data == mine.data
        assert Factor.objects.filter(user=alice, type="recovery_codes").count() == 1

    def test_frees_the_address_of_who_signed_up_with_it_meanwhile(self, app, client, alice):
        change_email(app)
        App().call("POST", "auth/signup", {"email": EMAIL, "password": "long-enough-one"})
        assert User.objects.filter(email=EMAIL).exclude(pk=alice.pk).exists()
        client.post(link_to(EMAIL))
        assert User.objects.get(email=EMAIL).pk == alice.pk

    def test_leaves_an_address_to_who_has_proven_it_since_and_nobody_in(self, app, client, alice):
        change_email(app)
        world.customer(EMAIL)
        assert client.post(link_to(THIEF)).status_code == 200
        now = User.objects.get(pk=alice.pk)
        assert (now.email, now.is_active) == (THIEF, False)
        mail.outbox.clear()
        client.post("/accounts/password/reset/", {"email": THIEF})
        assert not any("password/reset/key" in letter.body for letter in mail.outbox)

    def test_tells_every_address_that_the_account_is_locked(self, app, client):
        change_email(app)
        client.post(link_to(EMAIL))
        for address in (EMAIL, THIEF):
            assert told(address)[-1].subject == "Your account is locked"

    def test_lets_the_owner_back_in_by_a_new_password(self, app, client, alice):
        change_email(app)
        client.post(link_to(EMAIL))
        reset(User.objects.get(pk=alice.pk))
        assert App().sign_in(EMAIL, "a-new-long-password").status_code == 200

    def test_locks_passkeys_out_too(self, alice):
        alice.locked_at = clock.now()
        request = RequestFactory().get("/")
        request.allauth = type("Headless", (), {"headless": type("App", (), {"client": "app"})})
        answer = AccountAdapter().pre_login(
            request,
            alice,
            email_verification="none",
            signal_kwargs=None,
            email=EMAIL,
            signup=False,
            redirect_url=None,
        )
        assert answer["Location"] == "/accounts/password/reset/"


class TestTheDayAfter:
    def test_nothing_can_be_withdrawn(self, app, alice):
        assert app.call("GET", "/api/v1/me").body["can"]["withdraw"] is True
        change_email(app)
        me = app.call("GET", "/api/v1/me").body
        assert me["can"] == {
            "trade": True,
            "close": True,
            "spend": True,
            "deposit": True,
            "withdraw": False,
        }
        assert "nothing leaves your account until" in me["because"][0]
        with pytest.raises(users.queries.ValueHeld):
            kyc.queries.require(User.objects.get(pk=alice.pk), "withdraw")

    def test_no_card_is_issued(self, app):
        change_email(app)
        answer = app.call("POST", "/api/v1/cards", {})
        assert (answer.status_code, answer.body["code"]) == (403, "ValueHeld")

    def test_ends_by_itself(self, app, alice, monkeypatch):
        change_email(app)
        begun = clock.now()
        monkeypatch.setattr(clock, "now", lambda: begun + timedelta(hours=24, seconds=1))
        assert kyc.queries.standing(User.objects.get(pk=alice.pk)).can["withdraw"]
        assert issue_card(user=User.objects.get(pk=alice.pk), now=clock.now())

    def test_signing_out_devices_holds_nothing(self, app, alice):
        other = App()
        other.sign_in(EMAIL)
        [mine] = [
            one["id"] for one in app.call("GET", "auth/sessions").body["data"] if one["is_current"]
        ]
        others = [
            one["id"] for one in app.call("GET", "auth/sessions").body["data"] if one["id"] != mine
        ]
        assert app.call("DELETE", "auth/sessions", {"sessions": others}).status_code == 200
        assert told(EMAIL)[-1].subject == "Devices were signed out"
        assert other.call("GET", "/api/v1/me").status_code == 401
        assert kyc.queries.standing(User.objects.get(pk=alice.pk)).can["withdraw"]


class TestTheLog:
    def test_shows_what_was_done_and_that_value_is_held(self, app, browser):
        change_email(app)
        page = browser.get("/settings/security/").content.decode()
        assert "Your email address was changed" in page
        assert "nothing leaves your account until" in page

    def test_is_the_customers_own(self, app, client):
        change_email(app)
        client.force_login(world.carol())
        assert "was changed" not in client.get("/settings/security/").content.decode()

    def test_is_seen_by_support_without_what_undoing_needs(self, app, client):
        change_email(app)
        client.force_login(world.sam())
        event = SecurityEvent.objects.get()
        page = client.get(f"/admin/users/securityevent/{event.pk}/change/").content.decode()
        assert "email.changed" in page
        assert "before" not in page.lower().split("<form")[-1]


def reset(user):
    """Choose a new password by the mailed link."""
    client = Client()
    client.post("/accounts/password/reset/", {"email": user.email})
    [link] = re.findall(r"https?://[^/]+(/accounts/password/reset/key/\S+)", mail.outbox[-1].body)
    form = client.get(link)["Location"]
    new = "a-new-long-password"
    answer = client.post(form, {"password1": new, "password2": new})
    assert answer.status_code == 302
