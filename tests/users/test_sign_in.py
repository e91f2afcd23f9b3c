"""Guessing at the door: it slows the guesser down, and never locks the owner out."""

import re
import threading

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.db import connection
from django.test import Client

from tests import doors, world
from tests.users.app import App
from users.models import User

pytestmark = pytest.mark.django_db

EMAIL = "bob@demo.test"
CODE = re.compile(r"^\s*([A-Z0-9]{3,8}(?:-[A-Z0-9]{3,8})?)\s*$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.RATE_LIMITS = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def bob():
    return world.customer(EMAIL)


def guess(times, *, address="203.0.113.{}", email=EMAIL):
    """Guess wrongly, each time from another address."""
    return [
        App(REMOTE_ADDR=address.format(number)).sign_in(email, f"guess {number}")
        for number in range(times)
    ]


def here(number, **headers):
    """Give a phone at an address that nobody guessed from."""
    return App(REMOTE_ADDR=f"198.51.100.{number}", **headers)


class TestManyWrongPasswords:
    def test_from_anywhere_do_not_lock_the_owner_out(self, bob):
        assert {answer.status_code for answer in guess(30)} == {400}
        phone = here(1)
        answer = phone.sign_in(EMAIL)
        assert phone.pending(answer) == {"login_by_code"}
        code = CODE.search(mail.outbox[-1].body)[1]
        assert phone.call("POST", "auth/code/confirm", {"code": code}).status_code == 200
        assert phone.call("GET", "/api/v1/me").status_code == 200

    def test_leave_a_known_device_alone(self, bob):
        phone = here(1)
        known = phone.sign_in(EMAIL)["X-Device-Token"]
        guess(30)
        assert here(2, x_device_token=known).sign_in(EMAIL).status_code == 200

    def test_leave_a_known_browser_alone(self, bob, client):
        form = {"login": EMAIL, "password": world.PASSWORD}
        assert client.post("/accounts/login/", form)["Location"] == "/home/"
        client.post("/accounts/logout/")
        guess(30)
        assert client.post("/accounts/login/", form)["Location"] == "/home/"
        stranger = Client().post("/accounts/login/", form)
        assert stranger["Location"] == "/accounts/login/code/confirm/"

    def test_lead_to_the_second_factor_where_there_is_one(self, bob):
        totp.TOTP.activate(bob, doors.KEY)
        guess(30)
        phone = here(1)
        assert phone.pending(phone.sign_in(EMAIL)) == {"mfa_authenticate"}
        assert not mail.outbox

    def test_do_not_open_by_a_right_guess_among_parallel_ones(self, bob):
        guess(5)
        phone = here(1)
        assert phone.pending(phone.sign_in(EMAIL)) == {"login_by_code"}
        assert phone.call("GET", "/api/v1/me").status_code == 401

    def test_of_one_address_are_refused_there_and_nowhere_else(self, bob):
        address = "203.0.113.7"
        told = [answer.body for answer in guess(25, address=address)]
        assert told[-1]["errors"][0]["code"] == "too_many_login_attempts"
        refused = App(REMOTE_ADDR=address).sign_in(EMAIL)
        assert refused.body["errors"][0]["code"] == "too_many_login_attempts"
        assert here(1).sign_in(EMAIL).status_code in {200, 401}

    def test_of_a_stolen_device_make_it_a_stranger(self, bob):
        known = here(1).sign_in(EMAIL)["X-Device-Token"]
        for number in range(16):
            here(2, x_device_token=known).sign_in(EMAIL, f"guess {number}")
        phone = here(3, x_device_token=known)
        assert phone.pending(phone.sign_in(EMAIL)) == {"login_by_code"}

    def test_are_forgotten_after_a_right_one(self, bob):
        """Somebody who signs in often, on new devices each time, is asked for no code."""
        for number in range(12):
            assert here(number).sign_in(EMAIL).status_code == 200


class TestAKnownDevice:
    def test_is_a_stranger_once_the_password_is_another(self, bob):
        known = here(1).sign_in(EMAIL)["X-Device-Token"]
        bob.set_password("quite-another-one")
        bob.save()
        guess(30)
        phone = here(2, x_device_token=known)
        assert phone.pending(phone.sign_in(EMAIL, "quite-another-one")) == {"login_by_code"}

    def test_of_one_customer_is_a_stranger_to_another(self, bob):
        world.customer("carol@demo.test")
        known = here(1).sign_in("carol@demo.test")["X-Device-Token"]
        guess(30)
        phone = here(2, x_device_token=known)
        assert phone.pending(phone.sign_in(EMAIL)) == {"login_by_code"}

    def test_of_two_customers_is_known_to_both(self, bob):
        world.customer("carol@demo.test")
        first = here(1).sign_in("carol@demo.test")["X-Device-Token"]
        both = here(1, x_device_token=first).sign_in(EMAIL)["X-Device-Token"]
        guess(30)
        guess(30, email="carol@demo.test")
        for email in (EMAIL, "carol@demo.test"):
            assert here(2, x_device_token=both).sign_in(email).status_code == 200

    @pytest.mark.parametrize("token", ["", "x", "a:b:c", "ä"])
    def test_is_not_made_up(self, bob, token):
        guess(30)
        phone = here(1, x_device_token=token)
        assert phone.pending(phone.sign_in(EMAIL)) == {"login_by_code"}


@pytest.mark.django_db(transaction=True)
class TestParallelGuesses:
    def test_are_all_counted_before_any_is_looked_at(self, bob, monkeypatch):
        """Nine wrong ones are on their way when the right one comes: it does not slip in."""
        looking, answers = threading.Barrier(10), {}
        on_their_way = threading.Semaphore(0)

        def look(request, **credentials):
            on_their_way.release()
            looking.wait(timeout=60)
            return authenticate(request, **credentials)

        def work(password, number):
            if password == world.PASSWORD:
                for _ in range(9):
                    assert on_their_way.acquire(timeout=60)
            app = App(REMOTE_ADDR=f"203.0.113.{number}")
            answers[password] = app.pending(app.sign_in(EMAIL, password))
            connection.close()

        monkeypatch.setattr("allauth.account.adapter.authenticate", look)
        passwords = [*(f"guess {number}" for number in range(9)), world.PASSWORD]
        guessers = [
            threading.Thread(target=work, args=[password, number])
            for number, password in enumerate(passwords)
        ]
        for guesser in guessers:
            guesser.start()
        for guesser in guessers:
            guesser.join()
        assert answers[world.PASSWORD] == {"login_by_code"}


class TestEnumeration:
    """An answer does not tell whether an address has an account, nor does the work it takes."""

    @pytest.fixture
    def hashes(self, monkeypatch):
        """Count the runs of the password hash."""
        runs = []
        encode = MD5PasswordHasher.encode
        monkeypatch.setattr(
            MD5PasswordHasher,
            "encode",
            lambda self, *args, **kwargs: runs.append(1) or encode(self, *args, **kwargs),
        )
        return runs

    def told(self, hashes, path, body):
        hashes.clear()
        answer = Client().post(path, body, content_type="application/json")
        said = answer.json()
        said.get("meta", {}).pop("session_token", None)
        return answer.status_code, said, len(hashes)

    @pytest.mark.parametrize("wrong", [0, 30])
    def test_by_signing_in(self, bob, hashes, wrong):
        guess(wrong)
        guess(wrong, email="nobody@demo.test")
        path, password = "/_allauth/app/v1/auth/login", "not the password"
        known = self.told(hashes, path, {"email": EMAIL, "password": password})
        unknown = self.told(hashes, path, {"email": "nobody@demo.test", "password": password})
        assert known == unknown
        assert known[0] == 400
        assert known[2] == 1

    def test_by_signing_up(self, bob, hashes):
        path, password = "/_allauth/app/v1/auth/signup", "long-enough-one"
        known = self.told(hashes, path, {"email": EMAIL, "password": password})
        unknown = self.told(hashes, path, {"email": "nobody@demo.test", "password": password})
        assert known == unknown
        assert (known[0], known[2]) == (401, 1)
        assert len(mail.outbox) == 2

    def test_by_forgetting_the_password(self, bob, hashes):
        path = "/_allauth/app/v1/auth/password/request"
        known = self.told(hashes, path, {"email": EMAIL})
        unknown = self.told(hashes, path, {"email": "nobody@demo.test"})
        assert known == unknown
        assert len(mail.outbox) == 2

    def test_by_a_locked_account(self, bob, hashes):
        bob.set_unusable_password()
        bob.save()
        path, password = "/_allauth/app/v1/auth/login", world.PASSWORD
        known = self.told(hashes, path, {"email": EMAIL, "password": password})
        unknown = self.told(hashes, path, {"email": "nobody@demo.test", "password": password})
        assert known == unknown

    def test_by_the_pages(self, bob, client):
        def page(path, **form):
            answer = Client().post(path, form)
            return answer.status_code, answer.headers.get("Location")

        for path, form in (
            ("/accounts/signup/", {"password1": "long-enough-one"}),
            ("/accounts/password/reset/", {}),
        ):
            known, unknown = (
                page(path, email=email, **form) for email in (EMAIL, "nobody@demo.test")
            )
            assert known == unknown
            assert known[0] == 302
            User.objects.filter(email="nobody@demo.test").delete()
