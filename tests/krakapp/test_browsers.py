"""What browsers are told to keep, and to whom they show it."""

import os
import subprocess
import sys

import pytest

from tests import world
from tests.installation import ROOT


@pytest.fixture
def alice(client):
    alice = world.alice()
    client.force_login(alice)
    return alice


@pytest.mark.django_db
class TestWhoIsSignedIn:
    @pytest.mark.parametrize("page", ["/home/", "/activity/", "/settings/", "/api/v1/balances"])
    def test_leaves_no_page_in_the_browser(self, client, alice, page):
        assert client.get(page)["Cache-Control"] == "no-store"

    def test_clears_the_browser_when_signing_out(self, client, alice):
        answer = client.post("/accounts/logout/")
        assert answer["Clear-Site-Data"] == '"cache", "storage"'
        assert client.get("/home/").status_code == 302


@pytest.mark.django_db
class TestEverybody:
    def test_may_keep_what_is_public(self, client):
        answer = client.get("/")
        assert "Cache-Control" not in answer
        assert "Clear-Site-Data" not in answer

    @pytest.mark.parametrize(
        "path", ["/.git/config", "/static/.git/config", "/static/../manage.py"]
    )
    def test_gets_no_file_but_the_static_ones(self, client, path):
        assert client.get(path).status_code == 404

    def test_cannot_claim_to_have_come_by_https(self, client, settings):
        settings.SECURE_SSL_REDIRECT = True
        assert client.get("/", headers={"X-Forwarded-Proto": "https"}).status_code == 301

    def test_reads_us_from_our_own_pages_alone(self, client):
        answer = client.get("/api/v1/instruments", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in answer


def test_cookies_are_of_this_host_and_https_alone_in_production():
    script = """
import django
django.setup()
from django.conf import settings as s
from krakapp.messages import CookieStorage
from users.adapters import DEVICE_COOKIE
print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, CookieStorage.cookie_name, DEVICE_COOKIE)
print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_DOMAIN, s.SESSION_COOKIE_PATH)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"SECURE_TLS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    names, flags = done.stdout.splitlines()
    assert all(name.startswith("__Host-") for name in names.split())
    assert flags == "True True None /"
