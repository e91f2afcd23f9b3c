"""The customer's own page, and the security pages in the same frame."""

import pytest
from django.test import Client
from django.urls import reverse

import users.operations
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_of_bob(client: Client) -> Client:
    client.force_login(world.bob())
    return client


class TestSettings:
    def test_asks_a_stranger_to_sign_in(self, client: Client) -> None:
        response = client.get(reverse("users:settings"))
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("account_login"))

    def test_shows_who_is_signed_in_and_that_no_second_step_is_on(
        self, client_of_bob: Client
    ) -> None:
        page = client_of_bob.get(reverse("users:settings")).content.decode()
        assert "bob@demo.test" in page
        assert "Off: the password alone is enough" in page

    def test_shows_a_notice_until_it_is_marked_as_read(self, client_of_bob: Client) -> None:
        users.operations.notify(
            user=world.bob(),
            kind="deposit.completed",
            facts={"units": 5_000_000, "reference": "KRAK"},
            now=world.NOW,
        )
        page = client_of_bob.get(reverse("users:settings"))
        assert "$5.00 arrived" in page.content.decode()
        client_of_bob.post(reverse("users:notices_read"))
        page = client_of_bob.get(reverse("users:settings"))
        assert "$5.00 arrived" not in page.content.decode()


class TestSecurityPages:
    @pytest.mark.parametrize(
        "name",
        [
            "account_change_password",
            "account_email",
            "account_logout",
            "account_reauthenticate",
            "mfa_index",
            "usersessions_list",
        ],
    )
    def test_stand_in_our_frame(self, client_of_bob: Client, name: str) -> None:
        response = client_of_bob.get(reverse(name))
        assert response.status_code == 200
        page = response.content.decode()
        assert 'class="wordmark' in page
        assert page.count("<h1") == 1

    @pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reset_password"])
    def test_stand_in_our_frame_for_strangers_too(self, client: Client, name: str) -> None:
        page = client.get(reverse(name)).content.decode()
        assert 'class="wordmark' in page
        assert page.count("<h1") == 1
