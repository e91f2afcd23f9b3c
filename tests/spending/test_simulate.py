"""The simulated network, against the platform's own door."""

import json
from datetime import timedelta

import httpx
import pytest
from django.core.management import CommandError, call_command

import payments.gateways
import spending.operations
from common import clock
from spending import gateways
from spending.models import Authorization
from tests import world
from tests.spending import shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def platform(client, monkeypatch):
    """Stand in for the running platform: the same door, without the socket."""

    def post(url, *, content, headers, timeout, trust_env):
        assert not trust_env  # no proxy stands between us and ourselves
        response = client.post(
            url.removeprefix("http://127.0.0.1:8000"),
            content,
            content_type="application/json",
            headers=headers,
        )
        return httpx.Response(response.status_code, content=response.content)

    monkeypatch.setattr(gateways.httpx, "post", post)


@pytest.fixture
def card():
    world.fund(world.alice(), "100")
    return shop.card(world.alice())


def simulate(capsys, *words):
    call_command("simulate_card", *words)
    return json.loads(capsys.readouterr().out)


class TestSimulateCard:
    def test_lives_a_purchase_from_tap_to_refund(self, card, capsys):
        asked = simulate(
            capsys,
            "authorize",
            *("--card", str(card.uid), "--amount", "4.50", "--mcc", "5814"),
            *("--merchant", "Blue Door Café"),
        )
        assert asked["decision"] == "approved"
        assert asked["reason"] is None
        assert asked["approved_amount"] == "4.50"
        assert isinstance(asked["ms"], int)
        on = ("--authorization", asked["authorization"])
        for act, amount, approved in (
            ("increment", "1", "1.00"),
            ("reverse", "0.50", "0.50"),
            ("capture", None, "5.00"),
            ("refund", "2", "2.00"),
        ):
            told = simulate(capsys, act, *on, *(("--amount", amount) if amount else ()))
            assert (told["decision"], told["approved_amount"]) == ("approved", approved)
        assert world.balance(world.alice()) == 97

    def test_forces_advises_and_expires(self, card, capsys):
        on = ("--card", str(card.uid), "--amount", "4")
        assert simulate(capsys, "force-capture", *on)["approved_amount"] == "4.00"
        advised = simulate(capsys, "advise", *on)
        simulate(capsys, "expire", "--authorization", advised["authorization"])
        assert Authorization.objects.get(uid=advised["authorization"]).status == "expired"

    def test_repeats_an_event_by_its_id(self, card, capsys):
        words = ("authorize", "--card", str(card.uid), "--amount", "4", "--external-id", "again")
        first, again = simulate(capsys, *words), simulate(capsys, *words)
        assert first["authorization"] == again["authorization"]

    def test_finds_a_card_by_its_holder(self, card, capsys):
        told = simulate(capsys, "authorize", "--card", card.user.email, "--amount", "4")
        assert told["decision"] == "approved"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["dispute"], "not supported yet"),
            (["authorize", "--amount", "1"], "needs --card"),
            (["authorize", "--card", "me", "--amount", "1"], "not an id"),
            (
                ["authorize", "--card", "01a202f7-826c-770b-9d2f-06d185dd3280", "--amount", "1"],
                "no card of that id",
            ),
            (["capture"], "needs --authorization"),
            (["authorize"], "needs --amount"),
        ],
    )
    def test_says_in_one_line_what_is_missing(self, words, said):
        with pytest.raises(CommandError, match=said):
            call_command("simulate_card", *words)

    def test_says_what_the_platform_refused(self, card, capsys):
        asked = simulate(capsys, "authorize", "--card", str(card.uid), "--amount", "4")
        on = ("--authorization", asked["authorization"])
        simulate(capsys, "reverse", *on)
        with pytest.raises(CommandError, match="NothingPending"):
            call_command("simulate_card", "reverse", *on)

    def test_says_that_nobody_is_there(self, card, monkeypatch):
        def nobody(*_args, **_kwargs):
            raise httpx.ConnectError("refused")

        monkeypatch.setattr(gateways.httpx, "post", nobody)
        with pytest.raises(CommandError, match="is it running"):
            call_command("simulate_card", "authorize", "--card", str(card.uid), "--amount", "4")


class TestOutsideDemoMode:
    @pytest.fixture(autouse=True)
    def production(self, card, settings):
        settings.DEMO = False

    def test_nobody_plays_the_network(self, card):
        with pytest.raises(CommandError, match="Cards are not offered here"):
            call_command("simulate_card", "authorize", "--card", str(card.uid), "--amount", "4")
        assert not Authorization.objects.exists()

    def test_no_card_is_made_up(self, card):
        with pytest.raises(gateways.NoCardsHere):
            spending.operations.issue_card(user=world.alice(), now=clock.now())

    def test_no_bank_makes_money_up(self):
        assert payments.gateways.simulated_bank() is None


class TestTaps:
    def test_pay_like_any_purchase_and_clear_by_themselves(self, card):
        told = spending.operations.tap(card=card, purchase="coffee", now=clock.now())
        assert told["decision"] == "approved"
        assert spending.operations.clear_taps(now=clock.now()) == 0
        later = clock.now() + timedelta(seconds=21)
        assert spending.operations.clear_taps(now=later) == 1
        assert spending.operations.clear_taps(now=later) == 0
        assert Authorization.objects.get().status == "closed"
