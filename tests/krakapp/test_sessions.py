"""How long a session lives, and at which door."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from common import clock
from krakapp import sessions
from tests import doors, world

pytestmark = pytest.mark.django_db

ME = "/api/v1/me"
LOGIN = "/_allauth/app/v1/auth/login"


@pytest.fixture
def later(monkeypatch):
    """Let so much time pass."""
    began = clock.now()

    def pass_on(**time):
        monkeypatch.setattr(clock, "now", lambda: began + timedelta(**time))

    return pass_on


def app(user):
    """Sign in as an app does; give its token."""
    answer = Client().post(
        LOGIN, {"email": user.email, "password": world.PASSWORD}, content_type="application/json"
    )
    return answer.json()["meta"]["session_token"]


def me(client=None, token=None):
    headers = {"X-Session-Token": token} if token else {}
    return (client or Client()).get(ME, headers=headers).status_code


class TestDoors:
    def test_a_browsers_cookie_is_no_token(self, client):
        client.force_login(world.customer("bob@demo.test"))
        assert me(client) == 200
        assert me(token=client.session.session_key) == 401

    def test_an_apps_token_is_no_cookie(self, client):
        token = app(world.customer("bob@demo.test"))
        assert me(token=token) == 200
        client.cookies["sessionid"] = token
        assert me(client) == 401

    def test_a_token_does_not_name_the_session_it_opens(self):
        token = app(world.customer("bob@demo.test"))
        [row] = Session.objects.all()
        assert row.session_key not in token
        assert sessions.unseal(token) == row.session_key

    @pytest.mark.parametrize("token", ["", "x", "ä", "A" * 64, "=" * 5, "a" * 5000])
    def test_a_wrong_token_opens_nothing(self, token):
        assert sessions.unseal(token) is None

    def test_a_token_outlives_a_secret_that_is_remembered(self, settings):
        token = sessions.seal("abcdefgh")
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        assert sessions.unseal(token) == "abcdefgh"
        settings.SECRET_KEY_FALLBACKS = []
        assert sessions.unseal(token) is None


class TestLives:
    def test_a_browser_that_idles_is_signed_out(self, client, later):
        client.force_login(world.customer("bob@demo.test"))
        later(hours=25)
        assert me(client) == 401

    def test_use_keeps_a_browser_signed_in_but_not_for_ever(self, client, later):
        client.force_login(world.customer("bob@demo.test"))
        for hours in range(20, 14 * 24, 20):
            later(hours=hours)
            assert me(client) == 200, hours
        later(hours=14 * 24 + 1)
        assert me(client) == 401

    def test_an_app_that_idles_is_signed_out(self, later):
        token = app(world.customer("bob@demo.test"))
        later(days=29)
        assert me(token=token) == 200
        later(days=58)
        assert me(token=token) == 200
        later(days=89)
        assert me(token=token) == 401

    def test_use_keeps_an_app_signed_in_but_not_for_ever(self, later):
        token = app(world.customer("bob@demo.test"))
        for days in range(20, 90, 20):
            later(days=days)
            assert me(token=token) == 200, days
        later(days=91)
        assert me(token=token) == 401

    def test_staff_are_signed_out_sooner(self, client, later):
        client.force_login(world.sam())
        later(minutes=29)
        assert me(client) == 200
        later(minutes=60)
        assert me(client) == 401

    def test_staff_are_signed_out_after_a_shift_however_busy(self, client, later):
        client.force_login(world.sam())
        for minutes in range(20, 12 * 60, 20):
            later(minutes=minutes)
            assert me(client) == 200, minutes
        later(minutes=12 * 60 + 1)
        assert me(client) == 401

    def test_a_tab_that_is_left_open_idles(self, client, later):
        client.force_login(world.sam())
        for minutes in (10, 20, 29):
            later(minutes=minutes)
            part = client.get("/settings/", headers={"HX-Request": "true"})
            assert part.status_code == 200
        later(minutes=31)
        assert me(client) == 401

    def test_a_use_is_written_down_once_a_minute(self, client, later):
        client.force_login(world.customer("bob@demo.test"))
        UserSession.objects.update_or_create(
            session_key=client.session.session_key,
            defaults={"user": world.customer("bob@demo.test"), "ip": "192.0.2.7"},
        )
        first = Session.objects.get().expire_date
        later(seconds=30)
        me(client)
        assert Session.objects.get().expire_date == first
        later(seconds=90)
        me(client)
        assert Session.objects.get().expire_date > first
        assert UserSession.objects.get().last_seen_at == clock.now()


class TestDevices:
    def test_are_listed_by_what_they_are(self, client):
        bob = world.customer("bob@demo.test")
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        phone = Client(headers={"User-Agent": agent}, REMOTE_ADDR="192.0.2.9")
        phone.force_login(bob)
        enter(phone)
        client.force_login(bob)
        listed = client.get("/accounts/sessions/").content.decode()
        assert "Firefox on Linux" in listed
        assert "192.0.2.9" in listed

    def test_are_signed_out_one_by_one_and_at_once(self, client):
        bob = world.customer("bob@demo.test")
        token = app(bob)
        client.force_login(bob)
        other = UserSession.objects.get(session_key=sessions.unseal(token))
        client.post(f"/settings/devices/{other.pk}/end/")
        assert me(token=token) == 401
        assert me(client) == 200

    def test_of_others_are_not_there(self, client):
        app(world.customer("carol@demo.test"))
        client.force_login(world.customer("bob@demo.test"))
        carols = UserSession.objects.get(user__email="carol@demo.test")
        assert client.post(f"/settings/devices/{carols.pk}/end/").status_code == 404

    def test_are_not_signed_out_by_who_only_has_the_cookie(self, client):
        """A thief of a session can't send its owner away."""
        bob = world.customer("bob@demo.test")
        token = app(bob)
        client.force_login(bob)
        doors.proven(client, bob, "password", ago=timedelta(minutes=6))
        other = UserSession.objects.get(session_key=sessions.unseal(token))
        answer = client.post(f"/settings/devices/{other.pk}/end/")
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert me(token=token) == 200
        answer = client.post("/accounts/sessions/")
        assert answer["Location"].startswith("/accounts/reauthenticate/")
        assert me(token=token) == 200

    def test_are_signed_out_once_the_password_was_given(self, client):
        bob = world.customer("bob@demo.test")
        token = app(bob)
        client.force_login(bob)
        doors.proven(client, bob, "password", ago=timedelta(minutes=6))
        other = UserSession.objects.get(session_key=sessions.unseal(token))
        asked = client.post(f"/settings/devices/{other.pk}/end/")["Location"]
        answer = client.post(asked, {"password": world.PASSWORD})
        assert answer["Location"] == "/accounts/sessions/"
        assert me(token=token) == 401


def enter(client):
    """Note the session among the devices, as a sign-in does."""
    session = client.session
    UserSession.objects.create(
        session_key=session.session_key,
        user_id=session["_auth_user_id"],
        ip=client.defaults["REMOTE_ADDR"],
        user_agent=client.defaults["HTTP_USER_AGENT"],
    )
