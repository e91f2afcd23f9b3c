"""Everything a program can get wrong about an order, and the name it gets back for it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from kyc.models import Application
from ledger.models import Hold
from tests import world
from tests.trading.floor import Floor
from trading.models import Book, Command, MarketRule, Order
from users.models import User

GOOD = {
    "instrument": "AAPLx",
    "side": "buy",
    "type": "limit",
    "quantity": "0.5",
    "limit_price": "270.00",
}
STOP = {"type": "stop-loss", "limit_price": None, "trigger_price": "300"}
TRAIL = {"type": "trailing-stop", "limit_price": None, "trail": "2%"}
SIXTY = "1" * 60
EARLIER = (world.NOW - timedelta(seconds=1)).isoformat()
EXACTLY = world.NOW.isoformat()
LATER = (world.NOW + timedelta(hours=1)).isoformat()

# What is asked for besides, the status, the error's name, the field.
WRONG: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"instrument": "NOPEx"}, 400, "UnknownInstrument", "instrument"),
    ({"quantity": "NaN"}, 400, "NotADecimal", "quantity"),
    ({"quantity": "Infinity"}, 400, "NotADecimal", "quantity"),
    ({"quantity": "-Infinity"}, 400, "NotADecimal", "quantity"),
    ({"quantity": "1e400"}, 400, "NotADecimal", "quantity"),
    ({"quantity": SIXTY}, 400, "TooManyDigits", "quantity"),
    ({"quantity": f"0.{SIXTY}"}, 400, "TooManyDigits", "quantity"),
    ({"quantity": 0.5}, 400, "NotAString", "quantity"),
    ({"quantity": "0"}, 400, "NotPositive", "quantity"),
    ({"quantity": "-1"}, 400, "NotPositive", "quantity"),
    ({"quantity": "99999999999"}, 400, "TooLarge", "quantity"),
    ({"quantity": "0.000000001"}, 400, "TooManyDecimals", "quantity"),
    ({"quantity": "0.001"}, 422, "BelowMinimum", "quantity"),
    ({"quantity": None, "notional": "0.49"}, 422, "BelowMinimum", "notional"),
    ({"notional": "25"}, 400, "BothQuantityAndNotional", "quantity"),
    ({"quantity": None}, 400, "NeitherQuantityNorNotional", "quantity"),
    ({"quantity": "100"}, 422, "InsufficientFunds", "quantity"),
    ({"quantity": None, "notional": "5000"}, 422, "InsufficientFunds", "notional"),
    ({"side": "sell"}, 422, "InsufficientFunds", "quantity"),
    ({"limit_price": None}, 400, "LimitPriceMissing", "limit_price"),
    ({"limit_price": "NaN"}, 400, "NotADecimal", "limit_price"),
    ({"limit_price": "270.001"}, 400, "PriceOffTick", "limit_price"),
    ({"limit_price": "-270"}, 400, "NotPositive", "limit_price"),
    ({"type": "market"}, 400, "TermNotTaken", "limit_price"),
    ({"trigger_price": "260"}, 400, "TermNotTaken", "trigger_price"),
    ({"trigger": "index"}, 400, "TermNotTaken", "trigger"),
    ({"display_quantity": "0.1"}, 400, "TermNotTaken", "display_quantity"),
    ({"time_in_force": "gtd"}, 400, "ExpiryMissing", "expires_at"),
    ({"expires_at": LATER}, 400, "ExpiryNotTaken", "expires_at"),
    ({"time_in_force": "gtd", "expires_at": EARLIER}, 400, "ExpiryPassed", "expires_at"),
    ({"time_in_force": "gtd", "expires_at": EXACTLY}, 400, "ExpiryPassed", "expires_at"),
    ({"deadline": EARLIER}, 422, "DeadlinePassed", "deadline"),
    ({"deadline": EXACTLY}, 422, "DeadlinePassed", "deadline"),
    ({"time_in_force": "ioc", "post_only": True}, 400, "PostOnlyNeverRests", "post_only"),
    ({"reduce_only": True}, 400, "ReduceOnlyBuy", "reduce_only"),
    ({"client_order_id": "house:1"}, 400, "NameReserved", "client_order_id"),
    ({"client_order_id": "taken"}, 409, "DuplicateClientOrderId", "client_order_id"),
    ({**STOP, "trigger_price": None}, 400, "TriggerPriceMissing", "trigger_price"),
    ({**STOP, "trigger_price": "250"}, 422, "TriggersAtOnce", "trigger_price"),
    ({**STOP, "trigger_price": "278.50"}, 422, "TriggersAtOnce", "trigger_price"),
    (
        {**STOP, "type": "take-profit", "trigger_price": "278.50"},
        422,
        "TriggersAtOnce",
        "trigger_price",
    ),
    ({**STOP, "trigger_price": "300.001"}, 400, "PriceOffTick", "trigger_price"),
    ({**STOP, "type": "take-profit"}, 422, "TriggersAtOnce", "trigger_price"),
    ({**STOP, "take_profit_price": "310"}, 400, "TriggersCross", "take_profit_price"),
    ({**STOP, "take_profit_price": "279"}, 422, "TriggersAtOnce", "take_profit_price"),
    ({**TRAIL, "trail": None}, 400, "TrailMissing", "trail"),
    ({**TRAIL, "trail": "100%"}, 400, "TrailInvalid", "trail"),
    ({**TRAIL, "trail": "1e2%"}, 400, "NotADecimal", "trail"),
    ({**TRAIL, "side": "sell", "trail": "300"}, 422, "TrailTooWide", "trail"),
    ({**TRAIL, "type": "trailing-stop-limit"}, 400, "LimitOffsetMissing", "limit_offset"),
    ({"type": "iceberg"}, 400, "DisplayQuantityMissing", "display_quantity"),
    (
        {"type": "iceberg", "display_quantity": "0.03"},
        422,
        "DisplayOutOfBounds",
        "display_quantity",
    ),
    ({"type": "iceberg", "display_quantity": "0.6"}, 422, "DisplayOutOfBounds", "display_quantity"),
    ({"close": {}}, 400, "CloseEmpty", "close"),
    ({"close": {"stop_loss": "0"}}, 400, "NotPositive", "close.stop_loss"),
    ({"close": {"stop_loss": "200.001"}}, 400, "PriceOffTick", "close.stop_loss"),
    ({"close": {"stop_loss": "271"}}, 422, "TriggersAtOnce", "close.stop_loss"),
    ({"close": {"stop_loss": "270"}}, 422, "TriggersAtOnce", "close.stop_loss"),
    ({"close": {"take_profit": "269"}}, 422, "TriggersAtOnce", "close.take_profit"),
    ({"close": {"take_profit": "270"}}, 422, "TriggersAtOnce", "close.take_profit"),
    (
        {"close": {"stop_loss": "260", "take_profit": "250"}},
        400,
        "TriggersCross",
        "close.take_profit",
    ),
    ({"side": "sell", "close": {"stop_loss": "200"}}, 400, "CloseOfSell", "close"),
]


@pytest.fixture
def alice(floor: Floor) -> User:
    alice = world.alice()
    world.fund(alice, "1000")
    return alice


@pytest.fixture
def api(alice: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(alice)
    return client


def place(api: APIClient, changes: dict[str, Any]) -> tuple[int, str, str | None]:
    """Ask for a good order with something changed; give status, name and field of the answer."""
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    answer = api.post("/api/v1/orders", body, format="json")
    said = answer.json()
    assert answer["Content-Type"] == "application/problem+json", said
    assert len(said["detail"]) > 15, said  # a sentence that says what to do
    fields = [error["field"] for error in said.get("errors", [])]
    assert len(fields) <= 1, said
    return answer.status_code, said["code"], fields[0] if fields else None


def left_behind() -> tuple[int, int, int]:
    return Order.objects.count(), Hold.objects.count(), Command.objects.count()


class TestBadInput:
    def test_each_has_its_name_and_leaves_nothing(self, floor: Floor, api: APIClient) -> None:
        taken = {**GOOD, "client_order_id": "taken"}
        assert api.post("/api/v1/orders", taken, format="json").status_code == 201
        before = left_behind()
        wrong = list(self.misnamed(api))
        assert wrong == []
        assert left_behind() == before

    def misnamed(self, api: APIClient) -> Iterator[str]:
        for changes, *expected in WRONG:
            if (answer := list(place(api, changes))) != expected:
                yield f"{changes} answers {answer}, not {expected}"

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            (
                {"quantity": "5", "limit_price": "270"},
                "This can cost up to $1,351.35 with its fee, and $1,000.00 is available.",
            ),
            (
                {"quantity": "3.70370371", "limit_price": "270"},
                "This can cost up to $1,001.01 with its fee, and $1,000.00 is available.",
            ),
            ({**STOP, "trigger_price": "250"}, "choose a price above $278.5."),
            ({**STOP, "type": "take-profit"}, "choose a price below $278.5."),
            ({"side": "sell"}, "You have 0 AAPLx available to sell."),
        ],
    )
    def test_says_what_would_do(
        self, floor: Floor, api: APIClient, changes: dict[str, Any], says: str
    ) -> None:
        body = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
        assert says in api.post("/api/v1/orders", body, format="json").json()["detail"]

    def test_names_the_order_that_has_the_name(self, floor: Floor, api: APIClient) -> None:
        taken = {**GOOD, "client_order_id": "taken"}
        first = api.post("/api/v1/orders", taken, format="json").json()
        again = api.post("/api/v1/orders", taken, format="json")
        assert (again.status_code, again.json()["order_id"]) == (409, first["id"])
        twins = {"orders": [{**GOOD, "client_order_id": "new", "quantity": "0.1"}] * 2}
        told = api.post("/api/v1/orders/batch", twins, format="json").json()
        assert "order_id" not in told["results"][1]["error"]

    def test_numbers_that_json_does_not_know_are_refused(
        self, floor: Floor, api: APIClient
    ) -> None:
        before = left_behind()
        terms = '"instrument": "AAPLx", "side": "buy", "type": "market"'
        for number in ("NaN", "Infinity", "-Infinity", "1e400"):
            body = f'{{{terms}, "quantity": {number}}}'
            answer = api.post("/api/v1/orders", body, content_type="application/json")
            assert answer.status_code == 400
        assert left_behind() == before

    def test_a_malformed_one_of_a_batch_is_named_by_its_place(
        self, floor: Floor, api: APIClient
    ) -> None:
        before = left_behind()
        body = {"orders": [GOOD, {**GOOD, "close": {"stop_loss": "-1"}}]}
        answer = api.post("/api/v1/orders/batch", body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "NotPositive")
        assert answer.json()["errors"][0]["field"] == "orders[1].close.stop_loss"
        assert left_behind() == before


class TestNotNow:
    def test_before_verification(self, floor: Floor, api: APIClient) -> None:
        api.force_authenticate(world.customer("bob@demo.test"))
        assert place(api, {}) == (403, "VerificationRequired", None)

    def test_closed_only(self, floor: Floor, api: APIClient, alice: User) -> None:
        world.give(alice, floor.instrument, "1")
        Application.objects.filter(user=alice).update(status=Application.Status.RESTRICTED)
        before = left_behind()
        assert place(api, {}) == (403, "AccountRestricted", None)
        assert left_behind() == before
        sell = {**GOOD, "side": "sell", "limit_price": "280"}
        assert api.post("/api/v1/orders", sell, format="json").status_code == 201

    def test_halted(self, floor: Floor, api: APIClient) -> None:
        before = left_behind()
        for state in ("cancel_only", "post_only", "reduce_only", "maintenance", "delisted"):
            Book.objects.update(state=state)
            assert place(api, {}) == (422, "MarketHalted", "instrument")
        Book.objects.update(state="limit_only")
        assert place(api, {**STOP}) == (422, "MarketHalted", "instrument")
        assert left_behind() == before

    def test_paused(self, floor: Floor, api: APIClient) -> None:
        book = Book.objects.get(instrument=floor.instrument)
        book.engine_state["paused_until"] = 1_795_000_000_000_000
        book.save(update_fields=["engine_state"])
        assert place(api, {}) == (422, "MarketHalted", "instrument")

    def test_too_many_open(self, floor: Floor, api: APIClient) -> None:
        MarketRule.objects.update(max_open_orders=1)
        assert api.post("/api/v1/orders", GOOD, format="json").status_code == 201
        before = left_behind()
        assert place(api, {}) == (422, "TooManyOpenOrders", None)
        assert left_behind() == before

    def test_without_a_fresh_price_only_limits_are_taken(
        self, floor: Floor, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("market.queries.references", lambda instruments: {})
        market = {"type": "market", "limit_price": None}
        assert place(api, market) == (422, "PriceStale", None)
        assert place(api, TRAIL) == (422, "PriceStale", None)
        assert api.post("/api/v1/orders", GOOD, format="json").status_code == 201
