"""A customer's day with a phone: every call of the public contract that it needs."""

import json
from decimal import Decimal

from tests.journeys.mobile import ANSWERS, Phone, tell_as_the_bank
from tests.journeys.people import Opener, Staff, step

EMAIL = "bob.api@example.test"


def test_a_customers_day_over_rest_and_sockets(platform, new_page):
    with Phone(platform, EMAIL) as bob:
        bob.sign_up()
        is_told_at_every_door_why_not(bob)
        is_verified(bob, new_page)
        funds(bob)
        watches(bob)
        buys_for_25_dollars(bob)
        waits_and_cancels(bob)
        sells_some(bob)
        holds_what_the_trades_say(bob)
        pays_by_card(bob)
    assert platform.manage("audit_books")


def is_told_at_every_door_why_not(bob: Phone) -> None:
    me = bob.get("me")
    assert not any(me["can"].values())
    assert me["because"]
    buy = {"instrument": "AAPLx", "side": "buy", "type": "market", "notional": "25"}
    for path, body in (
        ("orders", buy),
        ("deposits", {"asset": "USD", "amount": "10"}),
        ("cards", {}),
    ):
        refusal = bob.call("POST", path, body, expect=403)
        assert refusal["code"] == "VerificationRequired", path
        assert refusal["detail"]
    batch = bob.call("POST", "orders/batch", {"orders": [buy]})
    assert batch["results"][0]["error"]["code"] == "VerificationRequired"
    assert len(bob.get("instruments?limit=500")["results"]) == 79  # he may look at everything


def is_verified(bob: Phone, new_page: Opener) -> None:
    application = bob.call("PUT", "kyc/application", ANSWERS)
    assert application["missing"] == []
    agreements = [
        {"document": one["document"], "version": one["version"]}
        for one in application["agreements"]
    ]
    bob.call("POST", "kyc/application/submit", {"agreements": agreements})
    with bob.listening("notifications") as notices:
        page = new_page()
        with step("approve", page):
            Staff(bob.platform, page).propose_approval(EMAIL)
            Staff(bob.platform, new_page(), "olivia@demo.test").approve_next()
        notices.until(lambda notice: "open" in json.dumps(notice).lower())
    assert bob.get("me")["can"]["trade"]


def funds(bob: Phone) -> None:
    with bob.listening("balances") as balances:
        deposit = bob.call("POST", "deposits", {"asset": "USD", "amount": "500.00"}, expect=201)
        assert deposit["status"] == "waiting"
        balances.until(lambda b: b["asset"] == "USD" and Decimal(str(b["total"])) == 500)
    news = {
        "external_id": f"sim-{deposit['reference']}",
        "reference": deposit["reference"],
        "amount": "500.00",
    }
    for _ in range(2):
        assert tell_as_the_bank(bob.platform, **news) == 200
    assert Decimal(bob.balance()["total"]) == 500
    [done] = bob.get("deposits")["results"]
    assert done["status"] == "completed"
    arrivals = [one for one in bob.get("activity")["results"] if "deposit" in json.dumps(one)]
    assert len(arrivals) == 1


def watches(bob: Phone) -> None:
    with bob.listening("ticker", symbol=["AAPLx/USD"]) as ticker:
        first = ticker.until(lambda _: True)
        ticker.until(lambda now: now["reference_price"] != first["reference_price"])
    book = bob.get("instruments/AAPLx/book?depth=10")
    assert book["bids"]
    assert book["asks"]
    assert bob.get("instruments/AAPLx/candles?interval=1h&limit=10")


def buys_for_25_dollars(bob: Phone) -> None:
    terms = {"instrument": "AAPLx", "side": "buy", "type": "market", "notional": "25"}
    preview = bob.call("POST", "orders/preview", terms)
    with bob.listening("executions") as executions:
        order = bob.order(**terms, client_order_id="breakfast")
        assert order["status"] == "pending"
        filled = executions.until(
            lambda e: order["id"] in json.dumps(e) and "filled" in json.dumps(e)
        )
        assert filled
    done = bob.wait_until_final(order["id"])
    assert done["status"] == "filled"
    assert Decimal(done["average_price"]) <= Decimal(preview["worst_price"])
    got = Decimal(done["filled_quantity"])
    bob.wait_for(lambda: Decimal(bob.balance("AAPLx")["available"]) == got)
    [trade] = bob.get("trades")["results"]
    assert trade["order_id"] == order["id"]
    bob.wait_for(lambda: Decimal(bob.balance()["held"]) == 0)
    assert Decimal(bob.balance()["total"]) == 500 - Decimal(trade["cost"]) - Decimal(trade["fee"])
    again = {**terms, "client_order_id": "breakfast"}
    assert bob.call("POST", "orders", again, expect=409)["code"] == "DuplicateClientOrderId"


def waits_and_cancels(bob: Phone) -> None:
    reference = Decimal(bob.get("instruments/AAPLx")["reference_price"])
    order = bob.order(
        instrument="AAPLx",
        side="buy",
        type="limit",
        quantity="0.1",
        limit_price=str(round(reference * Decimal("0.97"), 2)),
    )
    bob.wait_for(lambda: bob.get(f"orders/{order['id']}")["status"] == "open")
    assert Decimal(bob.balance()["held"]) > 0
    bob.call("DELETE", f"orders/{order['id']}", expect=202)
    assert bob.wait_until_final(order["id"])["status"] == "cancelled"
    bob.wait_for(lambda: Decimal(bob.balance()["held"]) == 0)


def sells_some(bob: Phone) -> None:
    before = Decimal(bob.balance()["total"])
    order = bob.order(instrument="AAPLx", side="sell", type="market", quantity="0.02")
    assert bob.wait_until_final(order["id"])["status"] == "filled"
    bob.wait_for(lambda: Decimal(bob.balance()["total"]) > before)


def holds_what_the_trades_say(bob: Phone) -> None:
    def booked() -> bool:
        positions = bob.get("portfolio")["positions"]
        return len(positions) == 1 and Decimal(positions[0]["realized_pnl"]) != 0

    bob.wait_for(booked)
    whole = bob.get("portfolio")
    [position] = whole["positions"]
    assert position["instrument"] == "AAPLx"
    assert Decimal(position["quantity"]) == Decimal(bob.balance("AAPLx")["total"])
    value = Decimal(whole["cash"]) + Decimal(position["market_value"])
    assert abs(Decimal(whole["total_value"]) - value) < Decimal("0.01")


def pays_by_card(bob: Phone) -> None:
    bob.prove()
    card = bob.call("POST", "cards", {}, expect=201)
    sources = [{"asset": "USD", "keep": "0"}, {"asset": "AAPLx", "keep": "0.01"}]
    bob.call("PUT", f"cards/{card['id']}/funding", {"sources": sources})
    coffee = authorize(bob, card=card["id"], amount="4.50", merchant="Blue Door Café")
    assert coffee["decision"] == "approved"
    assert Decimal(coffee["approved_amount"]) == Decimal("4.50")
    cash = Decimal(bob.balance()["available"])
    groceries = str(cash + 5)
    shares = Decimal(bob.balance("AAPLx")["total"])
    bill = authorize(bob, card=card["id"], amount=groceries, merchant="Big Market")
    assert bill["decision"] == "approved", bill
    assert Decimal(bob.balance("AAPLx")["total"]) < shares  # just enough was sold
    for one in (coffee, bill):
        simulate(bob, "capture", authorization=one["authorization"])
    taps = bob.get(f"cards/{card['id']}/transactions")["results"]
    taps = [tap for tap in taps if tap["decision"] == "approved"]
    assert len(taps) == 2
    assert all(Decimal(tap["captured_amount"]) == Decimal(tap["amount"]) for tap in taps)
    assert Decimal(bob.balance()["held"]) == 0


def authorize(bob: Phone, **options: str) -> dict[str, str]:
    """Pay, and once more where a busy machine let the network's deadline pass, as people do."""
    for _ in range(3):
        answer = simulate(bob, "authorize", **options)
        if answer["reason"] != "deadline_exceeded":
            break
    return answer


def simulate(bob: Phone, act: str, **options: str) -> dict[str, str]:
    """Act as the card network, and read its one line."""
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    if act == "authorize":
        arguments += ["--mcc", "5814"]
    return dict(json.loads(bob.platform.manage("simulate_card", act, *arguments)))
