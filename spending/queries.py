"""Questions about cards and what they paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import Prefetch, Q, QuerySet, Sum

import ledger.queries
import trading.queries
from common import database
from common.invariants import Check
from common.money import EXACT, USD, Amount, count, in_dollars
from instruments.models import Instrument
from spending import presenters
from spending.models import Authorization, Card, CardMovement, CardSale, FundingSource
from trading.models import Trade
from users.models import User

CENT = Decimal("0.01")

REASON_OF_STATUS: dict[str, str] = {
    Card.Status.INACTIVE: "card_inactive",
    Card.Status.FROZEN: "card_frozen",
    Card.Status.CANCELLED: "card_canceled",
}
SIGNS = {
    "4111": "bus",
    "4121": "car",
    "5411": "shopping-cart",
    "5541": "fuel",
    "5812": "utensils",
    "5814": "coffee",
}


def cards_of(user: User) -> QuerySet[Card]:
    """List a customer's cards, newest first, cancelled ones last."""
    return Card.objects.filter(user=user).order_by("-id")


def sources_of(card: Card) -> QuerySet[FundingSource]:
    """List what pays for a card, in order."""
    return card.sources.select_related("asset__instrument").order_by("position")


def authorizations_of(card: Card) -> QuerySet[Authorization]:
    """List what was asked of a card, newest first, with what was sold for it and taken."""
    sales = CardSale.objects.select_related("trade__instrument").order_by("id")
    movements = CardMovement.objects.order_by("id")
    return (
        Authorization.objects.filter(card=card)
        .prefetch_related(Prefetch("sales", sales), Prefetch("movements", movements))
        .order_by("-id")
    )


def movements_without_authorization(card: Card) -> QuerySet[CardMovement]:
    """List what the network took or gave back without having asked, newest first."""
    return CardMovement.objects.filter(card=card, authorization=None).order_by("-id")


def set_aside(user: User) -> int:
    """Give the USD units of a customer's cash that card payments have set aside."""
    query = """
        SELECT coalesce(sum(authorized_units - captured_units - reversed_units - expired_units), 0)
               ::bigint
        FROM spending_authorization a JOIN spending_card c ON c.id = a.card_id
        WHERE c.user_id = %s AND a.status = 'pending'
    """
    return int(database.prepared(query, [user.pk])[0][0])


def asked_of(user: User) -> QuerySet[Authorization]:
    """List what merchants asked of a customer's cards, without mere checks of a card."""
    return Authorization.objects.filter(card__user=user, requested_units__gt=0)


def asked_by_row(rows: Sequence[int]) -> dict[int, Authorization]:
    """Give what merchants asked of cards by row, with the card, and what was sold and taken."""
    found = Authorization.objects.filter(pk__in=rows).select_related("card")
    if not rows:
        return {}
    return {one.pk: one for one in found.prefetch_related("sales__trade__instrument", "movements")}


def brought(trades: Sequence[Trade]) -> int:
    """Say how many USD units sales brought after their fees."""
    return sum(trade.cost - trade.sell_fee for trade in trades)


def cash_of(asked: Authorization, units: int) -> int:
    """Say how many USD units of so many came from cash: what the shares sold did not bring.

    What a reversal undid was sold all the same: it says what paid, not what became of it.
    """
    return max(0, units - brought([sale.trade for sale in asked.sales.all()]))


def taken_of(asked: Authorization) -> int:
    """Say how many USD units the customer paid: what was taken, less what the house paid of it."""
    return sum(
        movement.amount_units - movement.shortfall_units
        for movement in asked.movements.all()
        if movement.kind == CardMovement.Kind.CLEARING
    )


def paid_with(asked: Authorization, units: int) -> str:
    """Name everything that pays for so many USD units: "cash $3.20 and 0.0121 AAPLx"."""
    sold = [sale.trade for sale in asked.sales.all()]
    if not sold:
        return "cash"
    cash = in_dollars(cash_of(asked, units), ROUND_HALF_UP)
    parts = [f"cash {cash}"] if cash != in_dollars(0) else []
    counted = ((count(shares(t.quantity, t.multiplier)), t.instrument.symbol) for t in sold)
    return " and ".join([*parts, *(f"{number} {symbol}" for number, symbol in counted)])


def refundable(authorization: Authorization) -> int:
    """Say how many USD units were taken and not yet given back."""
    kinds = CardMovement.Kind
    sums = authorization.movements.aggregate(
        taken=Sum("amount_units", filter=Q(kind=kinds.CLEARING), default=0),
        returned=Sum("amount_units", filter=Q(kind=kinds.REFUND), default=0),
    )
    return int(sums["taken"] - sums["returned"])


OWED = """
    SELECT owing.user_id, owing.units - coalesce(reduced.units, 0) AS units
    FROM (
        SELECT c.user_id, sum(m.shortfall_units)::bigint AS units
        FROM spending_cardmovement m JOIN spending_card c ON c.id = m.card_id
        WHERE m.shortfall_units > 0 GROUP BY 1
    ) AS owing
    LEFT JOIN (
        SELECT user_id, sum(amount_units)::bigint AS units
        FROM spending_debtreduction GROUP BY 1
    ) AS reduced USING (user_id)
"""


def debt_of(user: User) -> int:
    """Say how many USD units the house paid for a customer, and has neither got back nor forgiven.

    While any are left, the customer spends nothing by card and gets no other card.
    """
    rows = database.prepared(
        """
        SELECT (
            SELECT coalesce(sum(m.shortfall_units), 0)
            FROM spending_card c JOIN spending_cardmovement m ON m.card_id = c.id
            WHERE c.user_id = %(user)s AND m.shortfall_units > 0
        ) - (
            SELECT coalesce(sum(amount_units), 0)
            FROM spending_debtreduction WHERE user_id = %(user)s
        )
        """,
        {"user": user.pk},
    )
    return int(rows[0][0])


def debtors_with_cash() -> list[int]:
    """List who owes and has cash set aside for it, by user id."""
    claims = ledger.queries.open_claims().filter(hold__remaining__gt=0)
    return list(claims.order_by("account__owner_id").values_list("account__owner_id", flat=True))


def keep_of(source: FundingSource) -> Decimal:
    """Say in dollars or shares how much of a source is never spent."""
    if source.asset.code == USD.code:
        return Amount(source.keep_units, USD).decimal
    return shares(source.keep_units, source.asset.instrument.multiplier)


def shares(base: int, multiplier: Decimal) -> Decimal:
    """Say base units in shares, to eight decimals, rounded down."""
    exact = EXACT.multiply(Decimal(base), multiplier).scaleb(-8, EXACT)
    return exact.quantize(Decimal("1e-8"), "ROUND_FLOOR", EXACT)


def dollars(units: int) -> str:
    """Write USD units with cents, and with more decimals only where there are more."""
    exact = Amount(units, USD).decimal
    cents = exact.quantize(CENT)
    return f"{cents:f}" if cents == exact else plain(exact)


def plain(value: Decimal) -> str:
    """Write a decimal without trailing zeros and without an exponent."""
    return f"{value.normalize(EXACT):f}"


def sold_facts(trades: Sequence[Trade]) -> dict[str, Any]:
    """Say what was sold to pay, as a notice keeps it: `presenters.sold_words` says it in words."""
    return {
        "sold": [
            {
                "symbol": trade.instrument.symbol,
                "shares": plain(shares(trade.quantity, trade.multiplier)),
                "price": plain(trade.price),
            }
            for trade in trades
        ],
        "fee_units": sum(trade.sell_fee for trade in trades),
        "brought_units": brought(trades),
    }


def describe_card(card: Card) -> dict[str, Any]:
    """Say a card as the API does."""
    return {
        "id": str(card.uid),
        "type": "virtual",
        "brand": card.brand,
        "last_four": card.last_four,
        "expires_on": card.expires_on.isoformat(),
        "status": card.status,
        "frozen_reason": card.frozen_reason or None,
        "created_at": card.created_at.isoformat(),
    }


def describe_source(source: FundingSource) -> dict[str, str]:
    """Say a funding source as the API does."""
    return {"asset": source.asset.code, "keep": plain(keep_of(source))}


def describe_authorization(authorization: Authorization) -> dict[str, Any]:
    """Say as the API does what was asked and what became of it."""
    moved = dict.fromkeys(CardMovement.Kind.values, 0)
    for movement in authorization.movements.all():
        moved[movement.kind] += movement.amount_units
    paid = taken_of(authorization) or authorization.authorized_units
    return {
        "id": str(authorization.uid),
        "merchant": authorization.merchant,
        "mcc": authorization.mcc,
        "amount": dollars(authorization.requested_units),
        "decision": authorization.decision,
        "reason": authorization.reason or None,
        "status": authorization.status,
        "approved_amount": dollars(authorization.authorized_units),
        "pending_amount": dollars(authorization.pending_units),
        "captured_amount": dollars(moved[CardMovement.Kind.CLEARING]),
        "refunded_amount": dollars(moved[CardMovement.Kind.REFUND]),
        "cash_amount": dollars(cash_of(authorization, paid)),
        "sold": [describe_sale(sale) for sale in authorization.sales.all()],
        "requested_at": authorization.requested_at.isoformat(),
    }


def describe_sale(sale: CardSale) -> dict[str, Any]:
    """Say what was sold to pay, as the API does."""
    trade = sale.trade
    return {
        "trade": str(trade.uid),
        "asset": trade.instrument.symbol,
        "quantity": f"{shares(trade.quantity, trade.multiplier):f}",
        "price": f"{trade.price:f}",
        "fee": str(Amount(trade.sell_fee, USD)),
        "proceeds": str(Amount(trade.cost - trade.sell_fee, USD)),
        "given_back": sale.undone_by_id is not None,
    }


@dataclass(frozen=True, slots=True)
class Tap:
    """One line of a card's page: where, how much, and what paid. Amount in USD units."""

    uid: str
    at: datetime
    merchant: str
    icon: str
    amount: int
    state: str
    words: str
    paid_with: str
    sold: list[dict[str, Any]]

    @property
    def is_declined(self) -> bool:
        """Whether nothing was paid."""
        return self.state == Authorization.Decision.DECLINED


def taps_of(card: Card, *, limit: int) -> list[Tap]:
    """List what a card paid, was refused and got back, newest first."""
    taps = [_tap(one) for one in authorizations_of(card)[:limit]]
    taps += [_unasked(one) for one in movements_without_authorization(card)[:limit]]
    return sorted(taps, key=lambda tap: tap.at, reverse=True)[:limit]


def _tap(asked: Authorization) -> Tap:
    moved = dict.fromkeys(CardMovement.Kind.values, 0)
    for movement in asked.movements.all():
        moved[movement.kind] += movement.amount_units
    taken, returned = moved[CardMovement.Kind.CLEARING], moved[CardMovement.Kind.REFUND]
    declined = asked.decision == Authorization.Decision.DECLINED
    state = "declined" if declined else asked.status
    words: dict[str, str] = {
        Authorization.Status.PENDING: "Pending",
        Authorization.Status.CLOSED: "Paid" if asked.requested_units else "Checked your card",
        Authorization.Status.REVERSED: "Reversed, the money is back",
        Authorization.Status.EXPIRED: "Never taken, the money is back",
    }
    sales = asked.sales.all()
    said = presenters.REASONS.get(asked.reason, "") if declined else words.get(asked.status, "")
    if asked.status == Authorization.Status.REVERSED and any(s.undone_by_id for s in sales):
        said = "Reversed, your shares are back"
    if returned:
        state, said = "refunded", f"{in_dollars(returned)} refunded"
    return Tap(
        uid=str(asked.uid),
        at=asked.requested_at,
        merchant=asked.merchant or "A merchant",
        icon=SIGNS.get(asked.mcc, "shopping-bag"),
        amount=taken or asked.authorized_units or asked.requested_units,
        state=state,
        words=said,
        paid_with=paid_with(asked, taken_of(asked) or asked.authorized_units),
        sold=[
            {
                "quantity": shares(sale.trade.quantity, sale.trade.multiplier),
                "symbol": sale.trade.instrument.symbol,
                "price": sale.trade.price,
                "fee": Amount(sale.trade.sell_fee, USD).decimal,
            }
            for sale in sales
        ],
    )


def _unasked(movement: CardMovement) -> Tap:
    refund = movement.kind == CardMovement.Kind.REFUND
    return Tap(
        uid=movement.external_id,
        at=movement.posted_at,
        merchant=movement.merchant or "A merchant",
        icon="rotate-ccw" if refund else SIGNS.get(movement.mcc, "shopping-bag"),
        amount=movement.amount_units,
        state="refunded" if refund else "closed",
        words="Refunded" if refund else "Paid without asking first",
        paid_with="cash",
        sold=[],
    )


@dataclass(frozen=True, slots=True)
class Payer:
    """One place of what pays next: what there is of it and what is kept, in dollars or shares."""

    code: str
    name: str
    available: Decimal
    keep: Decimal


def payers_of(card: Card, user: User) -> list[Payer]:
    """List what pays for a card, in order, with what there is of it now."""
    held = {account.asset_id: account for account in ledger.queries.customer_accounts(user)}
    payers = []
    for source in sources_of(card):
        account = held.get(source.asset_id)
        units = account.available if account else 0
        cash = source.asset.code == USD.code
        payers.append(
            Payer(
                code=source.asset.code,
                name="Cash" if cash else source.asset.instrument.name,
                available=Amount(units, USD).decimal
                if cash
                else shares(units, source.asset.instrument.multiplier),
                keep=keep_of(source),
            )
        )
    return payers


def sale_fee_percent(user: User, now: datetime) -> str:
    """Say what selling shares to pay costs a customer, in percent of what they bring."""
    return plain(trading.queries.fee_tier(user, now).taker_rate * 100)


def may_pay_too(card: Card, user: User) -> list[tuple[str, str]]:
    """List what the customer has that does not pay yet, as (code, words)."""
    paying = card.sources.values("asset_id")
    held = [
        account.asset_id
        for account in ledger.queries.customer_accounts(user).exclude(asset__in=paying)
        if account.posted
    ]
    listed = Instrument.objects.filter(asset__in=held, listed=True).order_by("symbol")
    choices = [(one.symbol, f"{one.name} ({one.symbol})") for one in listed]
    if not card.sources.filter(asset__code=USD.code).exists():
        choices.insert(0, (USD.code, "Cash"))
    return choices


# The invariants' numbers are those of docs/invariants.md.
CHECKS = [
    ledger.queries.explained(by="spending_explained", kinds=["card_clearing", "card_refund"]),
    Check(
        13,
        "every live hold has one living owner",
        """
        SELECT format('hold %s (%s) of %s has %s owners', h.id, h.purpose, h.remaining,
                      orders.living + cards.living + claims.living)
        FROM ledger_hold h
        CROSS JOIN LATERAL (SELECT count(*) AS living FROM trading_order WHERE hold_id = h.id)
            AS orders
        CROSS JOIN LATERAL (
            SELECT count(*) AS living FROM spending_authorization
            WHERE hold_id = h.id AND status = 'pending'
        ) AS cards
        CROSS JOIN LATERAL (SELECT count(*) AS living FROM ledger_claim WHERE hold_id = h.id)
            AS claims
        WHERE h.remaining > 0 AND orders.living + cards.living + claims.living <> 1
        """,
    ),
    Check(
        30,
        "authorizations add up to their holds",
        """
        SELECT format('authorization %s: pending %s, its hold has %s', a.uid,
                      a.authorized_units - a.captured_units - a.reversed_units - a.expired_units,
                      coalesce(h.remaining, 0))
        FROM spending_authorization a LEFT JOIN ledger_hold h ON h.id = a.hold_id
        WHERE coalesce(h.remaining, 0)
            <> a.authorized_units - a.captured_units - a.reversed_units - a.expired_units
           OR (a.status = 'pending') <> (coalesce(h.remaining, 0) > 0)
        """,
    ),
    Check(
        31,
        "a declined purchase left nothing",
        """
        SELECT format('authorization %s was declined and has %s sales', a.uid, count(s.id))
        FROM spending_authorization a JOIN spending_cardsale s ON s.authorization_id = a.id
        WHERE a.decision = 'declined' GROUP BY a.uid
        UNION ALL
        SELECT format('authorization %s was declined and has a hold', a.uid)
        FROM spending_authorization a JOIN ledger_hold h ON h.purpose = 'card:' || a.uid
        WHERE a.decision = 'declined'
        UNION ALL
        SELECT format('hold %s belongs to no authorization', h.id)
        FROM ledger_hold h
        WHERE h.purpose LIKE 'card:%' AND NOT EXISTS (
            SELECT FROM spending_authorization a WHERE a.hold_id = h.id
        )
        """,
    ),
    Check(
        32,
        "card sales are whole",
        """
        SELECT format('card sale %s has no settled house trade of its customer', s.id)
        FROM spending_cardsale s
        JOIN spending_authorization a ON a.id = s.authorization_id
        JOIN spending_card c ON c.id = a.card_id
        JOIN trading_trade t ON t.id = s.trade_id
        JOIN trading_order o ON o.id = t.sell_order_id
        WHERE t.venue <> 'house' OR t.settled_at IS NULL
           OR o.customer_id IS DISTINCT FROM c.user_id
           OR NOT EXISTS (SELECT FROM ledger_journal j WHERE j.key = 'trade:' || t.uid)
        UNION ALL
        SELECT format('card sale %s pays a fee of %s, which no schedule says', s.id, o.taker_rate)
        FROM spending_cardsale s
        JOIN trading_trade t ON t.id = s.trade_id
        JOIN trading_order o ON o.id = t.sell_order_id
        WHERE NOT EXISTS (
            SELECT FROM trading_feetier f
            WHERE f.taker_rate = o.taker_rate AND f.since <= t.executed_at::date
        )
        UNION ALL
        SELECT format('card sale %s was undone at other terms, or for no reversal', s.id)
        FROM spending_cardsale s
        JOIN spending_authorization a ON a.id = s.authorization_id
        JOIN trading_trade t ON t.id = s.trade_id
        JOIN trading_order sold ON sold.id = t.sell_order_id
        JOIN trading_trade u ON u.id = s.undone_by_id
        JOIN trading_order back ON back.id = u.buy_order_id
        WHERE (u.venue, u.instrument_id, u.quantity, u.price, u.cost, u.buy_fee, back.customer_id)
               IS DISTINCT FROM
              (t.venue, t.instrument_id, t.quantity, t.price, t.cost, -t.sell_fee, sold.customer_id)
           OR a.reversed_units <> a.authorized_units
        UNION ALL
        SELECT format('order %s undoes no card sale', o.uid)
        FROM trading_order o
        WHERE o.venue = 'house' AND o.client_order_id LIKE 'house:undo:%'
          AND NOT EXISTS (
              SELECT FROM spending_cardsale s JOIN trading_trade t ON t.id = s.undone_by_id
              WHERE t.buy_order_id = o.id
          )
        UNION ALL
        SELECT format('order %s sold for a card and has no card sale', o.uid)
        FROM trading_order o
        WHERE o.venue = 'house' AND o.client_order_id LIKE 'house:card:%'
          AND NOT EXISTS (
              SELECT FROM spending_cardsale s JOIN trading_trade t ON t.id = s.trade_id
              WHERE t.sell_order_id = o.id
          )
        """,
    ),
    Check(
        33,
        "each movement is one journal of its amount",
        """
        SELECT format('card movement %s of %s is not what its journal moved', m.external_id,
                      m.amount_units)
        FROM spending_cardmovement m
        JOIN ledger_journal j ON j.id = m.journal_id
        LEFT JOIN (
            SELECT journal_id, sum(amount) AS amount FROM ledger_transfer GROUP BY journal_id
        ) AS moved ON moved.journal_id = j.id
        WHERE moved.amount IS DISTINCT FROM m.amount_units
           OR j.key <> 'card:' || m.external_id OR j.kind <> 'card_' || m.kind
        UNION ALL
        SELECT format('journal %s has no card movement', j.key)
        FROM ledger_journal j
        WHERE j.kind IN ('card_clearing', 'card_refund')
          AND NOT EXISTS (SELECT FROM spending_cardmovement m WHERE m.journal_id = j.id)
        """,
    ),
    Check(
        33,
        "refunds stay within what was taken",
        """
        SELECT format('authorization %s: refunded %s of %s', a.uid, sums.refunded, sums.taken)
        FROM spending_authorization a
        JOIN (
            SELECT authorization_id,
                   coalesce(sum(amount_units) FILTER (WHERE kind = 'refund'), 0) AS refunded,
                   coalesce(sum(amount_units) FILTER (WHERE kind = 'clearing'), 0) AS taken
            FROM spending_cardmovement WHERE odd = '' GROUP BY authorization_id
        ) AS sums ON sums.authorization_id = a.id
        WHERE sums.refunded > sums.taken
        """,
    ),
    Check(
        34,
        "an owing card is frozen",
        f"""
        SELECT format('card %s has a shortfall, its holder owes %s and it is %s', c.uid, owed.units,
                      c.status)
        FROM ({OWED}) AS owed
        JOIN spending_card c ON c.user_id = owed.user_id
        WHERE owed.units > 0 AND c.status NOT IN ('frozen', 'cancelled')
          AND EXISTS (
              SELECT FROM spending_cardmovement m WHERE m.card_id = c.id AND m.shortfall_units > 0
          )
        """,  # noqa: S608 - of this file's own words
    ),
    Check(
        43,
        "a debt is its shortfalls less what was recovered and forgiven",
        f"""
        SELECT format('customer %s: %s more was given back than was owed', user_id, -units)
        FROM ({OWED}) AS owed WHERE units < 0
        UNION ALL
        SELECT format('reduction %s has no shortfall of its customer', r.id)
        FROM spending_debtreduction r
        WHERE NOT EXISTS (SELECT FROM ({OWED}) AS owed WHERE owed.user_id = r.user_id)
        UNION ALL
        SELECT format('reduction %s was forgiven by a proposal that is %s', r.id, p.status)
        FROM spending_debtreduction r JOIN users_proposal p ON p.id = r.proposal_id
        WHERE p.status <> 'executed' OR p.kind <> 'spending.forgive_shortfall'
           OR p.subject_id IS DISTINCT FROM r.user_id
        """,  # noqa: S608 - of this file's own words
    ),
    Check(
        43,
        "a debt is what the ledger claims",
        f"""
        SELECT format('customer %s owes %s, and the ledger claims %s',
                      coalesce(a.owner_id, owed.user_id),
                      coalesce(owed.units, 0), coalesce(a.owed, 0))
        FROM ({OWED}) AS owed
        FULL JOIN (
            SELECT a.owner_id, c.owed
            FROM ledger_claim c JOIN ledger_account a ON a.id = c.account_id
        ) AS a ON a.owner_id = owed.user_id
        WHERE coalesce(owed.units, 0) <> coalesce(a.owed, 0)
        """,  # noqa: S608 - of this file's own words
    ),
    Check(
        43,
        "nothing is issued while a debt is open",
        """
        SELECT format('card %s was issued to customer %s, who owed', c.uid, c.user_id)
        FROM spending_card c
        WHERE (
            SELECT coalesce(sum(m.shortfall_units), 0)
            FROM spending_cardmovement m JOIN spending_card o ON o.id = m.card_id
            WHERE o.user_id = c.user_id AND m.posted_at < c.created_at
        ) > (
            SELECT coalesce(sum(amount_units), 0) FROM spending_debtreduction r
            WHERE r.user_id = c.user_id AND r.made_at <= c.created_at
        )
        """,
    ),
]
