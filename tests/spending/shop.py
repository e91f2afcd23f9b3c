"""The street of the card tests: cards, standing quotes, and the network's signed events."""

import itertools
import json
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.forms.models import model_to_dict

import ledger.operations
import ledger.queries
import spending.operations
import trading.operations
from common.signatures import sign
from instruments.models import Instrument
from ledger.operations import AccountKey
from market.models import ReferencePrice
from spending import gateways
from spending.models import Authorization, Card
from tests import world
from trading.models import Book, HousePolicy, MarketRule, Order, Shard
from users.models import User

PRICE = "278.50"
numbers = itertools.count(1)


def card(user: User, *funding: tuple[str, str]) -> Card:
    """Issue a card; paid by cash, or by what is named with what to keep of it."""
    world.instrument()
    issued = spending.operations.issue_card(user=user, now=world.NOW)
    if funding:
        choices = [spending.operations.FundingChoice(asset, keep) for asset, keep in funding]
        spending.operations.set_funding(card=issued, choices=choices, actor=user, now=world.NOW)
    return issued


def hold_shares(user: User, symbol: str, shares: str, *, price: str = PRICE) -> Instrument:
    """Let a customer own shares the way customers come by them: bought from the dealer."""
    of = world.instrument(symbol)
    world.stock_house(of)
    quantity = int(Decimal(shares) * 10**8)
    world.fund(user, f"{(Decimal(shares) * Decimal(price) + 1).quantize(Decimal(1)):f}")
    cost = trading.operations.trade_with_house(
        customer=user,
        instrument=of,
        side="buy",
        quantity=quantity,
        price=Decimal(price),
        now=world.NOW,
        key=f"test:{next(numbers)}",
    ).cost
    spend_rest(user, cost)
    return of


def spend_rest(user: User, cost: int) -> None:
    """Take away the dollar of change that buying shares left."""
    usd = ledger.queries.usd()
    left = world.balance(user)
    if left:
        cash, outside = ledger.operations.open_accounts(
            keys=[AccountKey(user.pk, usd.pk, "customer"), AccountKey(None, usd.pk, "external")]
        )
        leg = ledger.operations.Leg(cash, outside, int(left * 10**6))
        entry = ledger.operations.Entry(f"test:change:{next(numbers)}", "test", [leg])
        ledger.operations.post(entries=[entry], occurred_at=world.NOW)


def quote(
    of: Instrument, *levels: tuple[str, str], at: Any = world.NOW, price: str = PRICE
) -> None:
    """Let the house bid for an instrument at (price, shares), best first; none: no bid."""
    MarketRule.objects.get_or_create(
        since="2020-01-01",
        defaults={
            "collar_open": "0.05",
            "collar_closed": "0.005",
            "reference_max_age_s": 30,
            "max_open_orders": 100,
        },
    )
    ReferencePrice.objects.update_or_create(
        instrument=of,
        defaults={"price": price, "day_open": price, "simulated": True, "at": at},
    )
    shard, _ = Shard.objects.get_or_create(name="test")
    Book.objects.get_or_create(instrument=of, defaults={"shard": shard})
    Shard.objects.update(quotes_until_us=2**62)  # as if the house confirmed it all the time
    cash, token = ledger.operations.open_accounts(
        keys=[
            AccountKey(None, ledger.queries.usd().pk, "liquidity"),
            AccountKey(None, of.asset_id, "liquidity"),
        ]
    )
    ticks = [[int(Decimal(p) / of.tick_size), int(Decimal(q) * 10**8)] for p, q in levels]
    Order.objects.update_or_create(
        instrument=of,
        side="buy",
        type="quote",
        defaults={
            "maker_rate": 0,
            "taker_rate": 0,
            "cash_account_id": cash,
            "token_account_id": token,
            "placed_at": world.NOW,
            "status": "open",
            "engine_state": {"levels": ticks},
        },
    )


def limit(**changes: Any) -> None:
    """Make a new house policy of what the dealer takes, as staff do in the admin."""
    terms = model_to_dict(HousePolicy.objects.latest("since"), exclude=["id"])
    HousePolicy.objects.create(**{**terms, "since": date(2026, 11, 1), **changes})


def send(kind: str, on: Card, **facts: Any) -> dict[str, Any]:
    """Bring one signed event to the platform's door and read the answer."""
    return json.loads(send_raw(kind, on, **facts))


def send_raw(kind: str, on: Card, **facts: Any) -> str:
    """Bring one signed event and give the bytes that were answered."""
    event = {
        "id": f"evt-{next(numbers)}",
        "type": kind,
        "card": on.token,
        "currency": "USD",
        "merchant": {"name": "Blue Door Café", "category": "5814"},
        **facts,
    }
    payload = json.dumps(event).encode()
    signature = sign(payload, secret=settings.CARD_WEBHOOK_SECRET, at=world.NOW)
    return spending.operations.receive_event(payload=payload, signature=signature, now=world.NOW)


def authorize(on: Card, amount: str, **facts: Any) -> dict[str, Any]:
    """Ask for an amount."""
    return send(gateways.REQUESTED, on, amount=amount, **facts)


def pending(on: Card, amount: str, **facts: Any) -> Authorization:
    """Ask for an amount that is approved, and give what was written down."""
    told = authorize(on, amount, **facts)
    assert told["decision"] == "approved", told
    return Authorization.objects.get(uid=told["authorization"])
