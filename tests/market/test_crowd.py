"""An address and a customer have so many sockets, and are told so."""

import pytest
from websockets.exceptions import ConnectionClosed

from tests import limits
from tests.market import sockets
from tests.market.sockets import Client
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

TOO_MANY = "Exceeded maximum number of sockets: close one first"


@pytest.fixture
def address():
    with sockets.serving() as address:
        yield address


def is_well(client):
    client.send("ping")
    client.wait_for(lambda message: message.get("method") == "pong")


class TestAnAddress:
    def test_has_so_many_sockets_at_one_time(self, address, settings):
        limits.set_to(settings, open_sockets=("address", 2, 0))
        first, second, third = (Client(address) for _ in range(3))
        is_well(first)
        is_well(second)
        assert third.answer()["error"] == TOO_MANY
        with pytest.raises(ConnectionClosed) as end:
            third.read()
        assert end.value.rcvd.code == 1013
        first.close()
        sockets.eventually(lambda: self.may_enter(address))
        second.close()

    @staticmethod
    def may_enter(address):
        client = Client(address)
        try:
            return "error" not in client.read()
        finally:
            client.close()

    def test_opens_so_many_in_a_while(self, address, settings):
        limits.set_to(settings, sockets=("address", 1, "0.001"))
        first, second = Client(address), Client(address)
        is_well(first)
        assert "too often. Wait" in second.answer()["error"]
        first.close()


class TestASocket:
    def test_asks_so_often(self, address, settings):
        limits.set_to(settings, messages=("address", 3, "0.001"))
        client = Client(address)
        for _ in range(3):
            is_well(client)
        client.send("ping")
        assert client.answer()["error"] == "Exceeded msg rate"
        client.close()


class TestACustomer:
    def test_has_so_many_sockets_at_one_time(self, address, settings, monkeypatch):
        limits.set_to(settings, open_sockets=("customer", 1, 0))
        alice = User.objects.create_user("alice@demo.test")
        monkeypatch.setattr("market.consumers.private._user_of", lambda _: alice)
        first, second = (Client(address, "/ws/v2/private") for _ in range(2))
        asked = {"channel": "balances", "token": "any"}
        first.send("subscribe", **asked)
        assert first.answer()["success"]
        second.send("subscribe", **asked)
        assert second.answer()["error"] == TOO_MANY
        first.close()
        second.close()
