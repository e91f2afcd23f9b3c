import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client as Browser

import users.operations
from common import clock, realtime
from krakapp.sessions import SessionStore, seal
from market.consumers import private
from tests import world
from tests.market import sockets
from tests.market.sockets import Client, eventually, is_closed
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

PLACE = "/ws/v2/private"
INVALID = "ESession:Invalid session"


@pytest.fixture
def address():
    with sockets.serving() as address:
        yield address


@pytest.fixture
def alice():
    return User.objects.create_user("alice@demo.test")


@pytest.fixture
def carol():
    return User.objects.create_user("carol@demo.test")


@pytest.fixture(autouse=True)
def _snapshots(monkeypatch):
    """Answer with the customer's e-mail instead of what the other apps would say."""
    monkeypatch.setattr(
        private,
        "private_snapshots",
        {"balances": lambda user: [{"asset": "USD", "owner": user.email}]},
    )


def session_of(user):
    """Sign in; a browser's cookie is the session's key, an app's token the key sealed."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session


def browser(address, user, origin=None):
    headers = {
        "Cookie": f"sessionid={session_of(user).session_key}",
        "Origin": origin or f"http://{address}",
    }
    return Client(address, PLACE, additional_headers=headers)


def tell(user, number):
    realtime.send_private([(user.pk, "balances", {"asset": "USD", "total": str(number)})])


class TestSignIn:
    def test_by_the_browsers_session_and_our_own_page(self, address, alice):
        client = browser(address, alice)
        assert client.subscribe("balances") == [{"asset": "USD", "owner": "alice@demo.test"}]
        client.close()

    def test_a_page_of_another_origin_has_no_session_here(self, address, alice):
        client = browser(address, alice, origin="https://evil.example")
        client.send("subscribe", channel="balances")
        assert client.answer()["error"] == INVALID
        client.close()

    def test_by_a_token_in_the_first_request_from_anywhere(self, address, alice):
        client = Client(address, PLACE)
        token = seal(session_of(alice).session_key)
        assert client.subscribe("balances", token=token)[0]["owner"] == "alice@demo.test"
        client.send("subscribe", channel="notifications")
        assert client.answer()["success"] is True
        client.close()

    @pytest.mark.parametrize("token", [None, "", "no-such-token"])
    def test_without_a_session_nothing_is_told(self, address, token):
        client = Client(address, PLACE)
        client.send("subscribe", channel="balances", **({"token": token} if token else {}))
        answer = client.answer()
        assert (answer["error"], answer["success"]) == (INVALID, False)
        client.close()

    def test_the_token_of_somebody_else_does_not_change_who_it_is(self, address, alice, carol):
        client = browser(address, alice)
        client.subscribe("balances")
        token = seal(session_of(carol).session_key)
        client.send("subscribe", channel="executions", token=token)
        assert client.answer()["error"] == INVALID
        client.close()

    def test_an_inactive_customer_stays_out(self, address, alice):
        token = seal(session_of(alice).session_key)
        User.objects.filter(pk=alice.pk).update(is_active=False)
        client = Client(address, PLACE)
        client.send("subscribe", channel="balances", token=token)
        assert client.answer()["error"] == INVALID
        client.close()

    def test_signing_out_elsewhere_ends_the_socket(self, address, alice, monkeypatch):
        monkeypatch.setattr(private, "CHECK_EVERY_S", 0.1)
        token = session_of(alice)
        client = Client(address, PLACE)
        client.subscribe("balances", token=seal(token.session_key))
        token.delete()
        assert eventually(lambda: is_closed(client))

    def test_signing_a_device_out_ends_its_socket_at_once_and_no_other(self, address, alice):
        phone, desk = session_of(alice), session_of(alice)
        listening = [Client(address, PLACE) for _ in (phone, desk)]
        for client, session in zip(listening, (phone, desk), strict=True):
            client.subscribe("balances", token=seal(session.session_key))
        device = UserSession.objects.create(
            user=alice, session_key=phone.session_key, ip="192.0.2.7"
        )
        device.end()
        assert eventually(lambda: is_closed(listening[0]))
        tell(alice, 1)
        assert listening[1].data("balances", "update")
        listening[1].close()

    @pytest.mark.parametrize(
        ("who", "path"), [(world.alice, "/accounts/logout/"), (world.sam, "/admin/logout/")]
    )
    def test_signing_out_ends_the_socket_at_once(self, address, who, path):
        door = Browser()
        door.force_login(who())
        key = door.cookies["sessionid"].value
        headers = {"Cookie": f"sessionid={key}", "Origin": f"http://{address}"}
        client = Client(address, PLACE, additional_headers=headers)
        client.subscribe("balances")
        door.post(path)
        assert not Session.objects.filter(session_key=key).exists()
        assert eventually(lambda: is_closed(client))

    def test_shutting_somebody_out_ends_the_socket_of_their_app_at_once(self, address, alice):
        client = Client(address, PLACE)
        client.subscribe("balances", token=seal(session_of(alice).session_key))
        users.operations.deactivate(
            user=alice, actor=world.sam(), reason="a complaint", now=world.NOW
        )
        assert eventually(lambda: is_closed(client))

    def test_a_session_that_idled_is_told_nothing_more(self, address, alice, monkeypatch):
        monkeypatch.setattr(private, "CHECK_EVERY_S", 0.1)
        client = browser(address, alice)
        client.subscribe("balances")
        Session.objects.update(expire_date=clock.now())
        assert eventually(lambda: is_closed(client))


class TestEvents:
    def test_follow_the_snapshot_with_a_sequence(self, address, alice):
        client = browser(address, alice)
        client.subscribe("balances")
        assert client.heard[-1]["sequence"] == 0
        for number in range(1, 5):
            tell(alice, number)
        for number in range(1, 5):
            data = client.data("balances", "update")
            assert data == [{"asset": "USD", "total": str(number)}]
            assert client.heard[-1]["sequence"] == number
        late = browser(address, alice)
        late.subscribe("balances")
        assert late.heard[-1]["sequence"] == 4
        for one in (client, late):
            one.close()

    def test_say_their_last_number_in_the_heartbeat(self, address, alice):
        client = browser(address, alice)
        client.subscribe("balances")
        tell(alice, 7)
        client.data("balances", "update")
        beat = client.wait_for(lambda message: message.get("channel") == "heartbeat")
        assert beat["sequences"] == {"balances": 1}
        client.close()

    def test_keep_the_number_they_have(self, address, alice):
        client = browser(address, alice)
        client.subscribe("executions")
        for number in (1, 2):
            realtime.send_private([(alice.pk, "executions", {"sequence": number})])
            assert client.data("executions", "update") == [{"sequence": number}]
            assert client.heard[-1]["sequence"] == number
        client.close()

    def test_after_a_gap_all_comes_anew(self, address, alice):
        client = browser(address, alice)
        client.subscribe("balances")
        realtime.connection().incr(f"number:balances:{alice.pk}")  # one that never arrived
        tell(alice, 2)
        assert client.data("balances", "snapshot")
        assert client.heard[-1]["sequence"] == 2
        tell(alice, 3)
        assert client.data("balances", "update")[0]["total"] == "3"
        client.close()

    def test_what_was_missed_shows_in_silence_too(self, address, alice, monkeypatch):
        monkeypatch.setattr(private, "COMPARE_EVERY_S", 0.05)
        client = browser(address, alice)
        client.subscribe("balances")
        realtime.connection().incr(f"number:balances:{alice.pk}")
        assert client.data("balances", "snapshot")
        assert client.heard[-1]["sequence"] == 1
        realtime.connection().flushdb()
        assert client.data("balances", "snapshot")
        assert client.heard[-1]["sequence"] == 0
        client.close()

    def test_reach_only_their_owner(self, address, alice, carol):
        hers, theirs = browser(address, alice), browser(address, carol)
        hers.subscribe("balances")
        theirs.subscribe("balances")
        tell(alice, 7)
        tell(carol, 8)
        assert hers.data("balances", "update")[0]["total"] == "7"
        assert theirs.data("balances", "update")[0]["total"] == "8"
        hers.close()
        theirs.close()

    def test_of_a_channel_not_asked_for_stay_away(self, address, alice):
        client = browser(address, alice)
        client.send("subscribe", channel="executions")
        client.data("executions", "snapshot")
        tell(alice, 7)
        realtime.send_private([(alice.pk, "executions", {"order": "x"})])
        assert client.data("executions", "update") == [{"order": "x"}]
        assert not any(message.get("channel") == "balances" for message in client.heard)
        client.close()

    def test_that_happen_during_the_snapshot_come_after_it(self, address, alice, monkeypatch):
        def snapshot(user):
            tell(user, 9)
            return [{"asset": "USD", "total": "9"}]

        monkeypatch.setattr(private, "private_snapshots", {"balances": snapshot})
        client = browser(address, alice)
        assert client.subscribe("balances")[0]["total"] == "9"
        assert client.data("balances", "update")[0]["total"] == "9"
        assert client.heard[-1]["sequence"] == 1
        client.close()

    def test_that_the_snapshot_has_are_told_by_it_alone(self, address, alice, monkeypatch):
        last_numbers = realtime.last_numbers

        def numbers_with_one_on_its_way(wanted):
            if wanted == [(alice.pk, "balances")] and not said:
                said.append(tell(alice, 9))
            return last_numbers(wanted)

        said = []
        monkeypatch.setattr(realtime, "last_numbers", numbers_with_one_on_its_way)
        client = browser(address, alice)
        client.subscribe("balances")
        assert client.heard[-1]["sequence"] == 1
        tell(alice, 10)
        assert client.data("balances", "update")[0]["total"] == "10"
        assert client.heard[-1]["sequence"] == 2
        client.close()

    def test_end_with_the_subscription(self, address, alice):
        client = browser(address, alice)
        client.subscribe("balances")
        client.send("subscribe", channel="balances")
        assert client.answer()["error"] == "Already subscribed"
        client.send("unsubscribe", channel="balances")
        assert client.answer()["success"] is True
        client.send("unsubscribe", channel="balances")
        assert client.answer()["error"] == "Subscription Not Found"
        client.close()

    def test_public_channels_are_not_here(self, address, alice):
        client = browser(address, alice)
        client.send("subscribe", channel="ticker", symbol=["AAPLx/USD"])
        assert client.answer()["error"] == "Subscription channel not supported"
        client.close()
