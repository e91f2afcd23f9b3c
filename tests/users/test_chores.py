"""What is forgotten about people, and what is not."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

import users.operations
from tests import world
from users.models import Notice

pytestmark = pytest.mark.django_db

NOW = world.NOW
DAY = timedelta(days=1)


class TestForgetSessions:
    def session(self, key, *, expires_in, began=NOW - DAY):
        Session.objects.create(session_key=key, session_data="", expire_date=NOW + expires_in)
        UserSession.objects.create(user=world.alice(), session_key=key, ip="192.0.2.1", data={})
        UserSession.objects.filter(session_key=key).update(created_at=began)

    def test_lets_what_expired_go_with_what_was_noted_of_it(self):
        self.session("ended", expires_in=-DAY)
        self.session("living", expires_in=DAY)
        assert users.operations.forget_sessions(now=NOW) == 2
        assert list(Session.objects.values_list("session_key", flat=True)) == ["living"]
        assert list(UserSession.objects.values_list("session_key", flat=True)) == ["living"]

    def test_leaves_what_was_noted_of_a_session_that_is_being_made(self):
        self.session("young", expires_in=DAY, began=NOW)
        Session.objects.all().delete()
        assert users.operations.forget_sessions(now=NOW) == 0
        assert UserSession.objects.exists()

    def test_lets_nobody_in_who_was_out(self, settings):
        client = Client()
        client.force_login(world.alice())
        assert client.get("/api/v1/me").status_code == 200
        users.operations.forget_sessions(now=NOW + timedelta(days=9999))
        assert client.get("/api/v1/me").status_code in {401, 403}


class TestForgetNotices:
    def notice(self, *, age, read=None):
        at = NOW - age
        return Notice.objects.create(
            user=world.alice(), kind="k", created_at=at, read_at=read and NOW - read
        )

    def test_lets_what_was_read_long_ago_go_and_what_is_unread_later(self):
        Notice.objects.all().delete()
        self.notice(age=200 * DAY, read=91 * DAY)
        self.notice(age=361 * DAY)
        kept = [self.notice(age=200 * DAY, read=89 * DAY), self.notice(age=359 * DAY)]
        world.alice()
        Notice.objects.filter(kind__startswith="application").delete()
        assert users.operations.forget_notices(now=NOW) == 2
        assert set(Notice.objects.all()) == set(kept)
