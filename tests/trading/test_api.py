from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests import world
from tests.trading.floor import Floor
from trading.models import Command, Order
from users.models import User

LIMIT_BUY = {
    "instrument": "AAPLx",
    "side": "buy",
    "type": "limit",
    "quantity": "0.5",
    "limit_price": "270.00",
}
MARKET_BUY = {"instrument": "AAPLx", "side": "buy", "type": "market", "notional": "25"}
EVERY_TYPE: dict[str, dict[str, str]] = {
    "stop-loss": {"trigger_price": "300.00", "trigger": "index"},
    "stop-loss-limit": {"trigger_price": "300.00", "limit_price": "301.00"},
    "take-profit": {"trigger_price": "250.00"},
    "take-profit-limit": {"trigger_price": "250.00", "limit_price": "251.00"},
    "trailing-stop": {"trail": "1.5%"},
    "trailing-stop-limit": {"trail": "2.50", "limit_offset": "-0.50"},
    "iceberg": {"limit_price": "250.00", "display_quantity": "0.10000000"},
}
# The reference is 278.50, the widest collar 5 %: what a buy is expected to cost, and at worst.
PREVIEWS: list[tuple[str, dict[str, str], str, str]] = [
    ("limit", {"limit_price": "270.00"}, "270.00", "270.00"),
    ("iceberg", {"limit_price": "270.00", "display_quantity": "0.1"}, "270.00", "270.00"),
    ("stop-loss", {"trigger_price": "300"}, "300.00", "315.00"),
    ("stop-loss-limit", {"trigger_price": "300", "limit_price": "301.00"}, "301.00", "301.00"),
    ("take-profit", {"trigger_price": "200"}, "200.00", "210.00"),
    ("take-profit-limit", {"trigger_price": "200", "limit_price": "199.00"}, "199.00", "199.00"),
    ("trailing-stop", {"trail": "1.50"}, "280.00", "294.00"),
    ("trailing-stop-limit", {"trail": "1%", "limit_offset": "-0.29"}, "281.00", "281.00"),
]


@pytest.fixture
def alice(db: None, friday: None) -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    return alice


@pytest.fixture
def api(alice: User) -> APIClient:
    return client_of(alice)


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(client: APIClient, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", body, format="json", headers=headers or None)


def wrong_fields(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"] for error in answer.json()["errors"]}


class TestPlacing:
    def test_answers_201_with_a_pending_order(self, floor: Floor, api: APIClient) -> None:
        answer = post(api, "orders", {**LIMIT_BUY, "client_order_id": "mine-1"})
        assert answer.status_code == 201
        order = answer.json()
        assert order["status"] == "pending"
        assert order["client_order_id"] == "mine-1"
        assert Decimal(order["quantity"]) == Decimal("0.5")
        assert Decimal(order["limit_price"]) == 270

    def test_fills_against_what_waits(self, floor: Floor, api: APIClient) -> None:
        floor.offer()
        order = post(api, "orders", MARKET_BUY).json()
        floor.run()
        done = api.get(f"/api/v1/orders/{order['id']}").json()
        assert done["status"] == "filled"
        assert round(Decimal(done["average_price"]), 4) == Decimal("278.6")
        [trade] = api.get("/api/v1/trades").json()["results"]
        assert trade["order_id"] == order["id"]
        assert trade["side"] == "buy"
        assert trade["liquidity"] == "taker"
        assert trade["settled_at"]

    def test_the_same_key_places_once(self, floor: Floor, api: APIClient) -> None:
        first = post(api, "orders", LIMIT_BUY, **{"Idempotency-Key": "k1"})
        again = post(api, "orders", LIMIT_BUY, **{"Idempotency-Key": "k1"})
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json()
        assert Order.objects.filter(type="limit").count() == 1

    def test_the_same_client_order_id_conflicts(self, floor: Floor, api: APIClient) -> None:
        body = {**LIMIT_BUY, "client_order_id": "twice"}
        assert post(api, "orders", body).status_code == 201
        again = post(api, "orders", body)
        assert again.status_code == 409
        assert again.json()["code"] == "DuplicateClientOrderId"

    def test_without_funds_is_422(self, floor: Floor, api: APIClient) -> None:
        answer = post(api, "orders", {**LIMIT_BUY, "quantity": "100"})
        assert answer.status_code == 422
        assert answer.json()["code"] == "InsufficientFunds"
        assert not Order.objects.filter(type="limit").exists()

    def test_before_verification_is_403_and_says_why(self, floor: Floor) -> None:
        bob = world.customer("bob@demo.test")
        answer = post(client_of(bob), "orders", LIMIT_BUY)
        assert answer.status_code == 403
        assert answer.json()["code"] == "VerificationRequired"
        assert "verif" in answer.json()["detail"].lower()

    def test_without_signing_in_is_401(self, floor: Floor) -> None:
        assert post(APIClient(), "orders", LIMIT_BUY).status_code == 401

    def test_every_type_comes_back_as_it_was_asked_for(self, floor: Floor, api: APIClient) -> None:
        for kind, terms in EVERY_TYPE.items():
            body = {"instrument": "AAPLx", "side": "buy", "type": kind, "quantity": "0.2", **terms}
            answer = post(api, "orders", body)
            assert answer.status_code == 201, answer.json()
            order = answer.json()
            assert {name: order[name] for name in terms} == terms
            floor.run()
            now = api.get(f"/api/v1/orders/{order['id']}").json()
            assert now["status"] == "open", now
            assert {name: now[name] for name in terms} == terms
            assert now.get("triggered") == (None if kind == "iceberg" else False)

    def test_validate_only_places_nothing(self, floor: Floor, api: APIClient) -> None:
        answer = post(api, "orders", {**MARKET_BUY, "validate_only": True})
        assert answer.status_code == 200
        assert answer.json()["estimated_price"]
        assert not Order.objects.filter(type="market").exists()
        refused = post(api, "orders", {**MARKET_BUY, "notional": "5000", "validate_only": True})
        assert refused.json()["code"] == "InsufficientFunds"


class TestMalformedOrders:
    @pytest.mark.parametrize("field", ["quantity", "limit_price"])
    @pytest.mark.parametrize(
        "value",
        [
            *("NaN", "Infinity", "-Infinity", "1e400", "1E2", "0." + "1" * 60, "1" * 30),
            *("0", "-1", "", " 1", "x", "٣", "1.", ".5", "0x10", "1_000"),
            *(0.5, True, [], {}),
        ],
    )
    def test_names_the_number(self, api: APIClient, field: str, value: Any) -> None:
        assert field in wrong_fields(post(api, "orders", {**LIMIT_BUY, field: value}))

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("instrument", "NOPEx"),
            ("instrument", 7),
            ("side", "hold"),
            ("type", "quote"),
            ("type", "marketish"),
            ("time_in_force", "forever"),
            ("self_trade_prevention", "maybe"),
            ("post_only", "yes"),
            ("client_order_id", "x" * 65),
            ("expires_at", "tomorrow"),
            ("leverage", "10"),
        ],
    )
    def test_names_the_field(self, api: APIClient, field: str, value: Any) -> None:
        assert field in wrong_fields(post(api, "orders", {**LIMIT_BUY, field: value}))

    def test_wants_one_of_quantity_and_notional(self, api: APIClient) -> None:
        both = {**LIMIT_BUY, "notional": "25"}
        neither = {name: value for name, value in LIMIT_BUY.items() if name != "quantity"}
        assert wrong_fields(post(api, "orders", both)) == {"quantity"}
        assert wrong_fields(post(api, "orders", neither)) == {"quantity"}

    def test_wants_a_price_for_a_limit_order_and_none_for_a_market_order(
        self, api: APIClient
    ) -> None:
        unpriced = {name: value for name, value in LIMIT_BUY.items() if name != "limit_price"}
        assert wrong_fields(post(api, "orders", unpriced)) == {"limit_price"}
        priced = {**MARKET_BUY, "limit_price": "1"}
        assert wrong_fields(post(api, "orders", priced)) == {"limit_price"}

    @pytest.mark.parametrize("field", ["trigger_price", "trail", "display_quantity"])
    def test_wants_no_trigger_on_a_plain_order(self, api: APIClient, field: str) -> None:
        assert wrong_fields(post(api, "orders", {**MARKET_BUY, field: "250"})) == {field}

    @pytest.mark.parametrize("body", [[], "order", 5, None])
    def test_wants_an_object(self, api: APIClient, body: Any) -> None:
        assert post(api, "orders", body).status_code == 400

    def test_refuses_broken_json(self, api: APIClient) -> None:
        for raw in ("{", '{"quantity": NaN}', "\udcff".encode("utf-8", "surrogateescape")):
            answer = api.post("/api/v1/orders", raw, content_type="application/json")
            assert answer.status_code == 400


class TestPreview:
    def test_estimates_without_placing(self, floor: Floor, api: APIClient) -> None:
        answer = post(api, "orders/preview", MARKET_BUY)
        assert answer.status_code == 200
        preview = answer.json()
        assert set(preview) == {
            "estimated_price",
            "estimated_quantity",
            "estimated_cost",
            "fee",
            "maker_rate",
            "taker_rate",
            "worst_price",
        }
        assert all(isinstance(value, str) for value in preview.values())
        assert Decimal(preview["estimated_cost"]) == 25
        assert not Order.objects.filter(type="market").exists()

    def test_knows_every_type(self, floor: Floor, api: APIClient) -> None:
        for kind, terms, estimated, worst in PREVIEWS:
            body = {"instrument": "AAPLx", "side": "buy", "type": kind, "quantity": "0.5", **terms}
            answer = post(api, "orders/preview", body)
            assert answer.status_code == 200, answer.json()
            said = answer.json()
            assert (said["estimated_price"], said["worst_price"]) == (estimated, worst), kind
            assert post(api, "orders", {**body, "validate_only": True}).json() == said


class TestSchema:
    def test_says_what_an_order_may_be(self, client: Any) -> None:
        schemas = client.get("/api/schema/?format=json").json()["components"]["schemas"]
        asked, said = (schemas[name]["properties"] for name in ("OrderRequest", "OrderAnswer"))
        terms = {
            *("limit_price", "trigger_price", "take_profit_price", "trigger", "trail"),
            *("limit_offset", "display_quantity", "close", "expires_at", "deadline", "post_only"),
            *("reduce_only", "self_trade_prevention", "client_order_id"),
        }
        assert terms <= set(asked)
        assert terms <= set(said)
        assert set(schemas["CloseRequest"]["properties"]) == {
            *("stop_loss", "take_profit", "trigger", "limit_price"),
        }
        assert {asked[name]["type"] for name in ("quantity", "limit_price", "trail")} == {"string"}


class TestBatch:
    def test_answers_each_in_order(self, floor: Floor, api: APIClient) -> None:
        poor = {**LIMIT_BUY, "quantity": "100"}
        answer = post(api, "orders/batch", {"orders": [LIMIT_BUY, poor, LIMIT_BUY]})
        assert answer.status_code == 200
        first, second, third = answer.json()["results"]
        assert first["order"]["status"] == third["order"]["status"] == "pending"
        assert second["error"]["code"] == "InsufficientFunds"

    def test_a_malformed_one_refuses_the_whole(self, floor: Floor, api: APIClient) -> None:
        bad = {**LIMIT_BUY, "side": "both"}
        answer = post(api, "orders/batch", {"orders": [LIMIT_BUY, bad]})
        assert wrong_fields(answer) == {"orders[1].side"}
        assert not Order.objects.filter(type="limit").exists()

    @pytest.mark.parametrize("count", [0, 51])
    def test_takes_one_to_fifty(self, floor: Floor, api: APIClient, count: int) -> None:
        assert post(api, "orders/batch", {"orders": [LIMIT_BUY] * count}).status_code == 400


class TestLists:
    def test_narrow_by_status_and_instrument(self, floor: Floor, api: APIClient) -> None:
        order = post(api, "orders", LIMIT_BUY).json()
        floor.run()
        found = api.get("/api/v1/orders?status=open&instrument=AAPLx").json()["results"]
        assert [one["id"] for one in found] == [order["id"]]
        assert api.get("/api/v1/orders?status=closed").json()["results"] == []
        assert api.get("/api/v1/orders?instrument=TSLAx").json()["results"] == []

    def test_refuse_a_filter_that_makes_no_sense(self, floor: Floor, api: APIClient) -> None:
        assert wrong_fields(api.get("/api/v1/orders?status=half")) == {"status"}
        assert wrong_fields(api.get("/api/v1/orders?instrument=NOPE")) == {"instrument"}

    def test_page_by_cursor(self, floor: Floor, api: APIClient) -> None:
        for _ in range(3):
            post(api, "orders", LIMIT_BUY)
        page = api.get("/api/v1/orders?limit=2").json()
        assert len(page["results"]) == 2
        rest = api.get(page["next"]).json()
        assert len(rest["results"]) == 1
        assert rest["next"] is None

    def test_take_no_more_queries_for_more_orders(
        self, floor: Floor, api: APIClient, django_assert_max_num_queries: Any
    ) -> None:
        post(api, "orders/batch", {"orders": [LIMIT_BUY] * 5})
        with django_assert_max_num_queries(2):
            assert len(api.get("/api/v1/orders").json()["results"]) == 5


class TestOneOrder:
    def test_of_somebody_else_is_not_there(self, floor: Floor, api: APIClient) -> None:
        theirs = floor.offer()
        assert api.get(f"/api/v1/orders/{theirs.uid}").status_code == 404
        assert api.delete(f"/api/v1/orders/{theirs.uid}").status_code == 404
        body = {"limit_price": "1"}
        assert api.patch(f"/api/v1/orders/{theirs.uid}", body, format="json").status_code == 404

    def test_is_cancelled(self, floor: Floor, api: APIClient, alice: User) -> None:
        order = post(api, "orders", LIMIT_BUY).json()
        floor.run()
        assert world.available(alice) < 1000
        assert api.delete(f"/api/v1/orders/{order['id']}").status_code == 202
        floor.run()
        assert api.get(f"/api/v1/orders/{order['id']}").json()["status"] == "cancelled"
        assert world.available(alice) == 1000
        again = api.delete(f"/api/v1/orders/{order['id']}")
        assert again.status_code == 409
        assert again.json()["code"] == "OrderAlreadyDone"

    def test_is_amended(self, floor: Floor, api: APIClient) -> None:
        order = post(api, "orders", LIMIT_BUY).json()
        floor.run()
        path = f"/api/v1/orders/{order['id']}"
        answer = api.patch(path, {"quantity": "0.25", "limit_price": "269"}, format="json")
        assert answer.status_code == 202
        floor.run()
        now = api.get(path).json()
        assert Decimal(now["quantity"]) == Decimal("0.25")
        assert Decimal(now["limit_price"]) == 269

    def test_is_not_amended_beyond_the_cash(self, floor: Floor, api: APIClient) -> None:
        order = post(api, "orders", LIMIT_BUY).json()
        floor.run()
        body = {"quantity": "1000"}
        answer = api.patch(f"/api/v1/orders/{order['id']}", body, format="json")
        assert answer.status_code == 422
        assert answer.json()["code"] == "InsufficientFunds"

    def test_wants_something_to_amend(self, floor: Floor, api: APIClient) -> None:
        order = post(api, "orders", LIMIT_BUY).json()
        path = f"/api/v1/orders/{order['id']}"
        assert wrong_fields(api.patch(path, {}, format="json")) == {"quantity"}
        assert wrong_fields(api.patch(path, {"side": "sell"}, format="json")) == {"side"}


class TestCancellingABatch:
    def test_answers_each_in_order(self, floor: Floor, api: APIClient) -> None:
        theirs = floor.offer()
        ids = [post(api, "orders", LIMIT_BUY).json()["id"] for _ in range(2)]
        floor.run()
        api.delete(f"/api/v1/orders/{ids[1]}")
        floor.run()
        answer = post(api, "orders/cancel-batch", {"orders": [*ids, str(theirs.uid), ids[0]]})
        assert answer.status_code == 202
        first, done, unknown, again = answer.json()["results"]
        assert first["order"]["id"] == again["order"]["id"] == ids[0]
        assert (done["error"]["code"], done["error"]["status"]) == ("OrderAlreadyDone", 409)
        assert (unknown["error"]["code"], unknown["error"]["status"]) == ("OrderUnknown", 404)
        floor.run()
        assert api.get("/api/v1/orders?status=open").json()["results"] == []
        theirs.refresh_from_db()
        assert theirs.is_live

    @pytest.mark.parametrize("ids", [[], ["x"], ["0" * 32] * 51, "all"])
    def test_takes_one_to_fifty_ids(self, api: APIClient, ids: Any) -> None:
        answer = post(api, "orders/cancel-batch", {"orders": ids})
        assert all(field.startswith("orders") for field in wrong_fields(answer))


class TestCatchingUp:
    def test_lists_what_had_executions_since_a_number(self, floor: Floor, api: APIClient) -> None:
        first, second = (post(api, "orders", LIMIT_BUY).json() for _ in range(2))
        assert "sequence" not in first  # nothing happened to it yet
        floor.run()
        seen = {
            one["id"]: one["sequence"]
            for one in api.get("/api/v1/orders?since_sequence=0").json()["results"]
        }
        assert seen == {first["id"]: 1, second["id"]: 2}
        assert api.get("/api/v1/orders?since_sequence=2").json()["results"] == []
        api.delete(f"/api/v1/orders/{first['id']}")
        floor.run()
        [missed] = api.get("/api/v1/orders?since_sequence=2").json()["results"]
        assert (missed["id"], missed["status"], missed["sequence"]) == (first["id"], "cancelled", 3)

    def test_the_numbers_are_those_of_the_private_channel(
        self, floor: Floor, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Any] = []
        monkeypatch.setattr("common.realtime.send_private", told.extend)
        post(api, "orders/batch", {"orders": [LIMIT_BUY] * 3})
        while floor.engine.run_batch():
            pass
        orders = api.get("/api/v1/orders?since_sequence=0").json()["results"]
        executions = [event for _, channel, event in told if channel == "executions"]
        assert executions == list(reversed(orders))
        assert [event["sequence"] for event in executions] == [1, 2, 3]

    def test_wants_a_number(self, api: APIClient) -> None:
        for number in ("-1", "soon", "1" * 30):
            answer = api.get(f"/api/v1/orders?since_sequence={number}")
            assert wrong_fields(answer) == {"since_sequence"}


class TestCancellingAll:
    def test_takes_every_open_order_off(self, floor: Floor, api: APIClient) -> None:
        post(api, "orders/batch", {"orders": [LIMIT_BUY] * 3})
        floor.run()
        answer = api.delete("/api/v1/orders?instrument=AAPLx")
        assert answer.status_code == 202
        assert answer.json() == {"cancelling": 3}
        floor.run()
        assert api.get("/api/v1/orders?status=open").json()["results"] == []

    def test_refuses_an_unknown_instrument_rather_than_cancel_everything(
        self, floor: Floor, api: APIClient
    ) -> None:
        assert wrong_fields(api.delete("/api/v1/orders?instrument=NOPE")) == {"instrument"}
        assert wrong_fields(api.delete("/api/v1/orders?symbol=AAPLx")) == {"symbol"}


class TestCancelAllAfter:
    def test_arms_and_disarms(self, floor: Floor, api: APIClient) -> None:
        armed = post(api, "orders/cancel-all-after", {"timeout_s": 60})
        assert armed.status_code == 202
        assert armed.json()["cancels_at"]
        assert post(api, "orders/cancel-all-after", {"timeout_s": 0}).json() == {"cancels_at": None}
        assert Command.objects.filter(kind="cancel_all_after").count() == 2

    def test_names_a_time_that_makes_no_sense(self, floor: Floor, api: APIClient) -> None:
        for timeout in (-1, "soon", 10**9, None):
            answer = post(api, "orders/cancel-all-after", {"timeout_s": timeout})
            assert wrong_fields(answer) == {"timeout_s"}
