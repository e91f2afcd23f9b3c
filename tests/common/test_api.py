"""What every REST door shares, tried on a throw-away one."""

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import connection, connections
from django.http import Http404
from django.test import Client
from django.urls import path
from rest_framework import serializers, status
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api import IdempotentPost
from common.errors import PROBLEM, DomainError
from common.models import FirstAnswer
from users.models import User

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


class TooBold(DomainError):
    """That was too bold; try something smaller."""


class Item(serializers.Serializer):
    amount = serializers.DecimalField(max_digits=9, decimal_places=2)


class Basket(serializers.Serializer):
    items = Item(many=True)
    note = serializers.CharField()


class EffectView(IdempotentPost, APIView):
    """Has one effect, a new user, and then does as it is told."""

    parser_classes = [JSONParser, MultiPartParser]
    begun, go = Event(), Event()

    def post(self, request: Request) -> Response:
        effect = User.objects.create_user(f"{uuid.uuid4()}@effect.test")
        match request.data.get("do"):
            case "refuse":
                raise TooBold(field="amount", limit="5.00")
            case "malformed":
                Basket(data={"items": [{"amount": "x"}]}).is_valid(raise_exception=True)
            case "crash":
                raise ZeroDivisionError
            case "lose":
                raise Http404
            case "nothing":
                return Response(status=status.HTTP_204_NO_CONTENT)
            case "fail":
                say = f"RAISE EXCEPTION 'so' USING ERRCODE = '{request.data['sqlstate']}'"
                connection.cursor().execute(f"DO $$ BEGIN {say}; END $$")
            case "wait":
                self.begun.set()
                self.go.wait(timeout=60)
        amount, ref = Decimal("0.00000150"), uuid.UUID(int=effect.pk)
        body = {"id": effect.pk, "at": NOW, "amount": amount, "ref": ref}
        return Response(body, status=status.HTTP_201_CREATED)


urlpatterns = [path("effect", EffectView.as_view()), path("other", EffectView.as_view())]

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def alice(db: None) -> Client:
    return signed_in("alice@demo.test")


def signed_in(email: str, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(User.objects.get_or_create(email=email)[0])
    return client


def post(client: Client, key: str | None = "k", *, to: str = "/effect", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(to, body, content_type="application/json", headers=headers)


def effects() -> int:
    return User.objects.filter(email__endswith="@effect.test").count()


class TestIdempotentPost:
    def test_the_same_key_gets_the_first_answer_again(self, alice: Client) -> None:
        first, again = post(alice), post(alice)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert effects() == 1

    def test_an_empty_answer_is_an_answer(self, alice: Client) -> None:
        first, again = post(alice, do="nothing"), post(alice, do="nothing")
        assert (first.status_code, again.status_code) == (204, 204)
        assert (first.content, again.content) == (b"", b"")
        assert effects() == 1

    def test_another_body_is_refused(self, alice: Client) -> None:
        post(alice)
        other = post(alice, amount="2")
        assert other.status_code == 422
        assert other.json()["code"] == "KeyReused"
        assert other.json()["errors"][0]["field"] == "Idempotency-Key"
        assert effects() == 1

    def test_a_key_is_the_customers_and_the_endpoints_own(self, alice: Client) -> None:
        answers = [
            post(alice),
            post(alice, to="/other"),
            post(alice, "another"),
            post(signed_in("bob@demo.test")),
        ]
        assert [answer.status_code for answer in answers] == [201] * 4
        assert len({answer.json()["id"] for answer in answers}) == effects() == 4

    def test_without_a_key_each_request_counts(self, alice: Client) -> None:
        assert [post(alice, None).status_code for _ in range(2)] == [201, 201]
        assert effects() == 2
        assert not FirstAnswer.objects.exists()

    @pytest.mark.parametrize(
        ("do", "answer"), [("refuse", 422), ("malformed", 400), ("lose", 404), ("crash", 500)]
    )
    def test_a_failure_leaves_neither_row_nor_effect(
        self, alice: Client, do: str, answer: int
    ) -> None:
        assert post(alice, do=do).status_code == answer
        assert effects() == 0
        assert not FirstAnswer.objects.exists()
        assert post(alice, do="succeed").status_code == 201  # the same key is free again
        assert effects() == 1

    def test_a_key_of_absurd_length_is_refused(self, alice: Client) -> None:
        assert post(alice, "k" * 255).status_code == 201
        refusal = post(alice, "k" * 256)
        assert (refusal.status_code, refusal.json()["code"]) == (400, "KeyTooLong")

    def test_a_stranger_gets_401_and_leaves_nothing(self, db: None) -> None:
        assert post(Client()).status_code == 401
        assert not FirstAnswer.objects.exists()

    def test_a_form_with_a_file_may_carry_a_key(self, db: None) -> None:
        """The check against forged forms reads the body before the view does."""
        alice = signed_in("alice@demo.test", enforce_csrf_checks=True)
        alice.cookies["csrftoken"] = "a" * 32
        headers = {"Idempotency-Key": "k", "X-CSRFToken": "a" * 32}
        answers = [alice.post("/effect", {"do": "work"}, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert effects() == 1


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def together(self, *tasks: Callable[[], Any]) -> list[Any]:
        barrier = Barrier(len(tasks))

        def run(task: Callable[[], Any]) -> Any:
            try:
                barrier.wait(timeout=60)
                return task()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(tasks)) as threads:
            return [future.result() for future in [threads.submit(run, task) for task in tasks]]

    def twins(self, alice: Client, count: int) -> Iterator[Client]:
        for _ in range(count):
            twin = Client(raise_request_exception=False)
            twin.cookies.update(alice.cookies)
            yield twin

    def test_of_twenty_at_once_one_has_the_effect(self, alice: Client) -> None:
        answers = self.together(*(lambda t=t: post(t) for t in self.twins(alice, 20)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(ids) == 1
        assert effects() == FirstAnswer.objects.count() == 1
        assert post(alice).json()["id"] in ids

    def test_a_twin_is_told_that_the_first_still_runs(self, alice: Client) -> None:
        EffectView.begun.clear()
        EffectView.go.clear()
        [first] = self.twins(alice, 1)

        def twin() -> Any:
            assert EffectView.begun.wait(timeout=60)
            answer = post(alice, do="wait")
            EffectView.go.set()
            return answer

        done, told = self.together(lambda: post(first, do="wait"), twin)
        assert (done.status_code, told.status_code) == (201, 409)
        assert told.json()["code"] == "StillRunning"
        assert post(alice, do="wait").json() == done.json()
        assert effects() == 1


class TestAnswers:
    def test_write_decimals_exactly_and_times_in_utc(self, alice: Client) -> None:
        body = post(alice, None).json()
        assert body["amount"] == "0.00000150"
        assert body["at"] == "2026-11-22T12:30:00Z"
        assert body["ref"] == str(uuid.UUID(int=body["id"]))


class TestProblems:
    def test_a_domain_error_says_its_name_its_words_and_its_facts(self, alice: Client) -> None:
        answer = post(alice, None, do="refuse")
        assert answer.headers["Content-Type"] == PROBLEM
        body = json.loads(answer.content)
        assert body.pop("request_id")
        assert body == {
            "type": "/docs/errors#TooBold",
            "title": "Too bold",
            "status": 422,
            "detail": "That was too bold; try something smaller.",
            "code": "TooBold",
            "limit": "5.00",
            "errors": [
                {
                    "field": "amount",
                    "code": "TooBold",
                    "detail": "That was too bold; try something smaller.",
                }
            ],
        }

    def test_a_malformed_body_names_each_field(self, alice: Client) -> None:
        answer = post(alice, None, do="malformed")
        assert answer.headers["Content-Type"] == PROBLEM
        assert answer.json()["code"] == "Malformed"
        fields = [error["field"] for error in answer.json()["errors"]]
        assert fields == ["items[0].amount", "note"]

    @pytest.mark.parametrize(
        "sqlstate",
        [
            pytest.param("40P01", id="a deadlock"),
            pytest.param("40001", id="a serialization failure"),
            pytest.param("55P03", id="a lock not had in time"),
            pytest.param("25P04", id="a transaction that took too long"),
            pytest.param("53100", id="a full disk"),
            pytest.param("53300", id="too many connections"),
            pytest.param("57P03", id="a database that starts up"),
        ],
    )
    def test_what_the_database_cannot_do_just_now_is_503_and_may_be_asked_again(
        self, alice: Client, sqlstate: str
    ) -> None:
        answer = post(alice, do="fail", sqlstate=sqlstate)
        assert (answer.status_code, answer.json()["code"]) == (503, "Unavailable")
        assert answer.headers["Content-Type"] == PROBLEM
        assert answer.headers["Retry-After"] == "1"
        assert effects() == 0
        assert post(alice).status_code == 201

    def test_what_is_not_there_is_404_and_a_bug_rises(self, alice: Client) -> None:
        assert post(alice, None, do="lose").json()["code"] == "NotFound"
        alice.raise_request_exception = True
        with pytest.raises(ZeroDivisionError):
            post(alice, None, do="crash")
