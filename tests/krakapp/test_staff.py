"""The staff's door: what it asks for before the admin opens, and before anything changes in it."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command

from common import clock
from krakapp import staff
from krakapp.management.commands import seed_demo, up
from tests import doors, world
from tests.users.test_passkeys import enrol_by_page
from users.models import User

pytestmark = pytest.mark.django_db

SAM = "sam@demo.test"


@pytest.fixture
def sam():
    return world.sam()


def sign_in(client, *, code=None, after="/admin/"):
    """Sign Sam in at the page; give where it ends."""
    form = {"login": SAM, "password": world.PASSWORD, "next": after}
    answer = client.post("/accounts/login/", form)
    if code is not None:
        assert answer["Location"] == "/accounts/2fa/authenticate/"
        answer = client.post("/accounts/2fa/authenticate/", {"code": code})
    return answer


def code_now(key):
    return totp.format_hotp_value(totp.hotp_value(key, next(totp.yield_hotp_counters_from_time())))


class TestEntering:
    def test_sends_who_has_only_a_password_to_enrol_before_anything_else(self, client, sam):
        assert sign_in(client)["Location"] == "/admin/"
        for page in ("/admin/", "/admin/users/user/", "/admin/kyc/application/"):
            assert client.get(page)["Location"] == "/accounts/2fa/"
        assert "need a second step" in client.get("/accounts/2fa/").content.decode()
        assert client.post("/admin/users/user/1/change/", {})["Location"] == "/accounts/2fa/"

    def test_opens_after_an_app_was_enrolled(self, client, sam):
        sign_in(client)
        key = client.get("/accounts/2fa/totp/activate/").context["form"].secret
        answer = client.post("/accounts/2fa/totp/activate/", {"code": code_now(key)})
        assert answer["Location"] == "/accounts/2fa/recovery-codes/"
        codes = client.get("/accounts/2fa/recovery-codes/").content.decode()
        assert codes.count("<code>") == 10
        assert 'href="/admin/"' in codes

    @pytest.mark.django_db(transaction=True)
    def test_opens_with_the_enrolment_as_the_proof(self, client, sam):
        sign_in(client)
        enrol_by_page(client)
        assert client.get("/admin/").status_code == 200

    def test_opens_to_password_and_code(self, client, sam):
        totp.TOTP.activate(sam, doors.KEY)
        assert sign_in(client, code=code_now(doors.KEY))["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200

    def test_does_not_open_to_a_session_that_gave_no_second_factor(self, client, sam):
        """The factor was added elsewhere, by whoever: this session proves it too."""
        sign_in(client)
        totp.TOTP.activate(sam, doors.KEY)
        answer = client.get("/admin/users/user/")
        assert answer["Location"].startswith("/accounts/2fa/reauthenticate/")
        code = {"code": code_now(doors.KEY), "next": "/admin/users/user/"}
        assert client.post(answer["Location"], code)["Location"] == "/admin/users/user/"
        assert client.get("/admin/users/user/").status_code == 200

    def test_does_not_open_to_a_session_from_before_they_were_staff(self, client):
        bob = world.customer("bob@demo.test")
        client.force_login(bob)
        bob.is_staff = True
        bob.save()
        assert client.get("/admin/")["Location"].startswith("/accounts/login/")
        assert client.get("/api/v1/me").status_code == 401

    def test_stays_closed_to_customers(self, client):
        client.force_login(world.customer("bob@demo.test"))
        assert client.get("/admin/").status_code == 302
        assert client.get("/admin/login/").status_code == 403


class TestChanging:
    @pytest.fixture
    def olivia(self, client):
        olivia = world.olivia()
        client.force_login(olivia)
        doors.proven(client, olivia, "password", "mfa", ago=timedelta(minutes=11))
        return olivia

    @pytest.fixture
    def shut_out(self, client):
        bob = world.customer("bob@demo.test")
        page = f"/admin/users/user/{bob.pk}/deactivate/"

        def do():
            assert client.get(page).status_code == 200
            return client.post(page, {"reason": "He asked."})

        do.done = lambda: not User.objects.get(pk=bob.pk).is_active
        return do

    def test_asks_for_the_password_again_after_ten_minutes(self, olivia, shut_out):
        assert shut_out()["Location"].startswith("/accounts/reauthenticate/")
        assert not shut_out.done()

    def test_goes_on_with_what_was_asked_once_the_password_is_given(self, client, olivia, shut_out):
        asked = shut_out()["Location"]
        answer = client.post(asked, {"password": world.PASSWORD})
        assert answer["Location"].startswith("/admin/users/user/")
        assert shut_out.done()

    def test_does_not_go_on_with_a_wrong_password(self, client, olivia, shut_out):
        client.post(shut_out()["Location"], {"password": "a guess"})
        assert not shut_out.done()

    def test_does_not_ask_within_ten_minutes(self, client, olivia, shut_out):
        doors.proven(client, olivia, "password", "mfa", ago=timedelta(minutes=9))
        shut_out()
        assert shut_out.done()

    def test_asks_for_nothing_at_the_way_out(self, client, olivia):
        client.post("/admin/logout/")
        assert client.get("/admin/").status_code == 302
        assert client.get("/api/v1/me").status_code == 401


class TestTheDemosStaff:
    def test_sign_in_with_the_code_that_the_command_prints(self, client, sam):
        seed_demo.enroll_staff()
        out = StringIO()
        call_command("demo_code", SAM, stdout=out)
        assert re.fullmatch(r"\d{6}\n", out.getvalue())
        assert sign_in(client, code=out.getvalue().strip())["Location"] == "/admin/"

    def test_keep_their_keys_from_one_start_to_the_next(self, sam):
        seed_demo.enroll_staff()
        seed_demo.enroll_staff()
        [kept] = Authenticator.objects.filter(user=sam)
        assert staff.setup_key(SAM) == staff.setup_key(SAM)
        assert kept.wrap().validate_code(staff.code_at(SAM, clock.now()))

    def test_have_each_a_key_of_their_own_that_the_greeting_says(self):
        said = up.greeting([])
        keys = {staff.setup_key(who) for who in up.DEMO_PEOPLE if who in said}
        assert len(keys) == len(up.DEMO_PEOPLE)
        assert staff.setup_key(SAM) in said
        assert staff.setup_key("alice@demo.test") not in said
        assert "demo_code" in said

    def test_have_a_code_that_changes_each_half_minute(self):
        at = datetime(2026, 12, 1, tzinfo=UTC)
        codes = {staff.code_at(SAM, at + timedelta(seconds=s)) for s in (0, 29, 30, 60)}
        assert len(codes) == 3

    def test_exist_in_demo_mode_only(self, settings):
        settings.DEMO = False
        with pytest.raises(CommandError, match="demo mode only"):
            call_command("demo_code", SAM)
