"""Everything that moved a customer's value, newest first, in the customer's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

import instruments.queries
import ledger.queries
import spending.queries
from common.money import USD, Amount, Receipt, count, in_dollars
from instruments.models import CorporateAction, Instrument
from portfolio import rules
from portfolio.queries.holdings import TRADE
from spending.models import Authorization, CardMovement
from trading.models import Trade
from users.models import User

CENT = Decimal("0.01")
# What an item says of a trade; orders are wide, and the rest of them is not needed.
SIDES = (
    *("instrument", "buy_order", "sell_order"),
    *("card_sale__authorization", "undone_card_sale__authorization"),
)
SAID = (
    *("uid", "price", "quantity", "multiplier", "executed_at", "cost", "buy_fee", "sell_fee"),
    *("instrument__symbol", "buy_order__uid", "buy_order__customer_id", "sell_order__uid"),
    *("card_sale__authorization__merchant", "undone_card_sale__authorization__merchant"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One event: what happened, a line more, and what came (+) and went (-), in wholes."""

    id: UUID
    kind: str
    title: str
    detail: str
    icon: str
    at: datetime
    amounts: list[tuple[str, Decimal]]
    symbol: str = ""
    reference: str = ""

    @property
    def cash(self) -> Decimal | None:
        """Dollars that came or went, if any did."""
        return next((amount for code, amount in self.amounts if code == USD.code), None)

    @property
    def shares(self) -> Decimal | None:
        """Shares that came or went, if any did."""
        return next((amount for code, amount in self.amounts if code != USD.code), None)


@dataclass(slots=True)
class Context:
    """What a page of journals is about, fetched together."""

    user: User
    amounts: dict[int, list[tuple[str, Decimal]]]
    trades: dict[str, Trade]
    movements: dict[int, CardMovement]


def activity_of(user: User) -> QuerySet[Any]:
    """List the journals that touched a customer's accounts, newest first by when it happened."""
    return ledger.queries.movements_of(user).order_by("-occurred_at", "-id")


def items_of(journals: Sequence[Any], user: User) -> list[Item]:
    """Say journals of `activity_of` in words; the queries do not grow with their number."""
    context = _context(journals, user)
    return [_item(journal, context) for journal in journals]


def actions_between(
    user: User, since: datetime | None, until: datetime | None
) -> list[tuple[int, Item]]:
    """Say by row what corporate actions of a time made of shares that a customer held then.

    :param since: the time begins with it; None is ever since
    :param until: the time ends with it; None is until now
    """
    done = CorporateAction.objects.filter(
        **{f"ordered_at__{bound}": at for bound, at in (("gte", since), ("lte", until)) if at},
        status=CorporateAction.Status.DONE,
        instrument__asset__accounts__owner=user,
        instrument__asset__accounts__role="customer",
    )
    actions = list(done.select_related("instrument").order_by("ordered_at"))
    if not actions:
        return []
    mine = {one.asset_id: one.posted for one in ledger.queries.customer_accounts(user)}
    first = actions[0].ordered_at
    assert first, "it was carried out"
    moves = ledger.queries.moves_since(user, first)
    found = [(one.pk, _action(one, mine[one.instrument.asset_id], moves)) for one in actions]
    return [(row, item) for row, item in found if item.shares]


def _action(action: CorporateAction, units: int, moves: Sequence[ledger.queries.Move]) -> Item:
    """Say what it made of shares, of which there are so many units now, after the moves since."""
    assert action.ordered_at, "it was carried out"
    asset, code = action.instrument.asset_id, action.instrument.symbol
    since = [m.units for m in moves if m.asset.pk == asset and m.at >= action.ordered_at]
    held = units - sum(since)
    before, after = (
        rules.shares(held, multiplier)
        for multiplier in (action.multiplier_before, action.multiplier_after)
    )
    return Item(
        id=action.uid,
        kind="corporate_action",
        title=action.title,
        detail=f"{count(before)} {code} became {count(after)} {code}",
        icon="layers",
        at=action.ordered_at,
        amounts=[(code, after - before)],
        symbol=code,
        reference=action.event,
    )


def tap(asked: Authorization) -> Item:
    """Say what a merchant asked of a card, and what became of it."""
    where = asked.merchant or "a merchant"
    declined = asked.decision == Authorization.Decision.DECLINED
    units = max(asked.authorized_units, spending.queries.taken_of(asked))
    sum_ = in_dollars(units or asked.requested_units, ROUND_CEILING)
    states = {
        Authorization.Status.PENDING: "set aside until it is taken",
        Authorization.Status.CLOSED: "taken",
        Authorization.Status.REVERSED: "reversed",
        Authorization.Status.EXPIRED: "never taken",
    }
    state = states.get(Authorization.Status(asked.status), "declined")
    paid = "" if declined else f", from {spending.queries.paid_with(asked, units)}"
    return Item(
        id=asked.uid,
        kind="card_declined" if declined else "card_tap",
        title=f"{'Declined' if declined else 'Card'}: {sum_} at {where}",
        detail=f"Card ending in {asked.card.last_four}, {state}{paid}",
        icon="credit-card",
        at=asked.requested_at,
        amounts=[],
        reference=asked.external_id,
    )


def given_back(asked: Authorization) -> Item:
    """Say that a merchant did not take all of what was set aside."""
    back = in_dollars(asked.reversed_units + asked.expired_units)
    assert asked.closed_at, "it has ended"
    return Item(
        id=asked.uid,
        kind="card_given_back",
        title=f"{back} set aside for {asked.merchant or 'a merchant'} is yours again",
        detail=f"Card ending in {asked.card.last_four}",
        icon="rotate-ccw",
        at=asked.closed_at,
        amounts=[],
        reference=asked.external_id,
    )


def describe_item(item: Item) -> dict[str, Any]:
    """Say an event as the API does."""
    return {
        "id": str(item.id),
        "kind": item.kind,
        "title": item.title,
        "detail": item.detail,
        "instrument": item.symbol or None,
        "amounts": [{"asset": code, "amount": f"{amount:f}"} for code, amount in item.amounts],
        "reference": item.reference,
        "occurred_at": item.at.isoformat(),
    }


def _context(journals: Sequence[Any], user: User) -> Context:
    uids = [j.key.removeprefix(TRADE) for j in journals if j.key.startswith(TRADE)]
    cards = [j.pk for j in journals if j.kind.startswith("card_")]
    trades = Trade.objects.filter(uid__in=uids).select_related(*SIDES).only(*SAID)
    movements = CardMovement.objects.filter(journal__in=cards).select_related("card")
    return Context(
        user=user,
        amounts=_amounts(journals, user),
        trades={f"{TRADE}{trade.uid}": trade for trade in trades} if uids else {},
        movements={one.journal_id: one for one in movements} if cards else {},
    )


def _amounts(journals: Sequence[Any], user: User) -> dict[int, list[tuple[str, Decimal]]]:
    """Say by journal what came and went of each asset, in dollars and in shares of its time."""
    moves = ledger.queries.moves_in(user, [journal.pk for journal in journals])
    listed = Instrument.objects.filter(asset__in={move.asset.pk for move in moves})
    by_asset = {instrument.asset_id: instrument for instrument in listed}
    lines = instruments.queries.timelines(by_asset.values()) if by_asset else {}
    happened = {journal.pk: journal.occurred_at for journal in journals}
    amounts: dict[int, list[tuple[str, Decimal]]] = {journal.pk: [] for journal in journals}
    for move in moves:
        instrument = by_asset.get(move.asset.pk)
        at = happened[move.journal_id]
        multiplier = lines[instrument.pk].at(at) if instrument else None
        wholes = _wholes(move.units, move.asset, multiplier)
        amounts[move.journal_id].append((move.asset.code, wholes))
    return amounts


def _item(journal: Any, context: Context) -> Item:
    amounts = context.amounts[journal.pk]
    trade = context.trades.get(journal.key)
    if trade is not None:
        return _trade(journal, trade, context, amounts)
    movement = context.movements.get(journal.pk)
    if movement is not None:
        return _card(journal, movement, amounts)
    title, icon = _WORDS.get(journal.kind, ("", "circle-check"))
    if not title:
        came = sum(amount for _, amount in amounts) > 0
        title = f"{'Received' if came else 'Sent'} ({journal.kind.replace('_', ' ')})"
    return Item(
        id=journal.uid,
        kind=journal.kind,
        title=title,
        detail=_DETAIL.get(journal.kind, ""),
        icon=icon,
        at=journal.occurred_at,
        amounts=amounts,
        reference=str(journal.uid),
    )


_WORDS = {
    "deposit": ("Deposit", "arrow-down-to-line"),
    "withdrawal": ("Withdrawal", "arrow-up-from-line"),
    "adjustment": ("Adjustment", "circle-check"),
    "reversal": ("Adjustment taken back", "rotate-ccw"),
    "card_recovery": ("Paid what you owed", "credit-card"),
}
_TRADED = {
    "buy": ("Bought", "plus"),
    "sell": ("Sold", "minus"),
    "card_sale": ("Sold", "credit-card"),
    "card_sale_undone": ("Got back", "rotate-ccw"),
}
_DETAIL = {
    "card_recovery": "After a payment that took more than there was",
    "deposit": "Bank transfer",
}


def _wholes(units: int, asset: Any, multiplier: Decimal | None) -> Decimal:
    if multiplier is None:
        return Amount(units, asset).decimal
    shares = rules.shares(abs(units), multiplier)
    return shares if units > 0 else -shares


def _trade(
    journal: Any, trade: Trade, context: Context, amounts: list[tuple[str, Decimal]]
) -> Item:
    buying = trade.buy_order.customer_id == context.user.pk
    fee = trade.buy_fee if buying else trade.sell_fee
    exact = rules.shares(trade.quantity, trade.multiplier)
    symbol = trade.instrument.symbol
    sale, undone = (getattr(trade, name, None) for name in ("card_sale", "undone_card_sale"))
    kind = "buy" if buying else "sell"
    detail = f"at ${trade.price.quantize(CENT)}"
    if sale:
        kind, merchant = "card_sale", sale.authorization.merchant
        detail += f", to pay {merchant}" if merchant else ", to pay by card"
    elif undone:
        kind, merchant = "card_sale_undone", undone.authorization.merchant
        detail += f", as {merchant or 'the merchant'} reversed the payment"
    rounded = Receipt.of(cost=trade.cost, fee=fee, buying=buying).fee
    if fee > 0:
        detail += f", fee ${rounded}"
    elif fee < 0:
        detail += f", rebate ${-rounded}"
    order = trade.buy_order if buying else trade.sell_order
    return Item(
        id=journal.uid,
        kind=kind,
        title=f"{_TRADED[kind][0]} {count(exact)} {symbol}",
        detail=detail,
        icon=_TRADED[kind][1],
        at=trade.executed_at,
        amounts=amounts,
        symbol=symbol,
        reference=str(order.uid),
    )


def _card(journal: Any, movement: CardMovement, amounts: list[tuple[str, Decimal]]) -> Item:
    refund = movement.kind == CardMovement.Kind.REFUND
    where = movement.merchant or "a merchant"
    return Item(
        id=journal.uid,
        kind=journal.kind,
        title=f"Refund from {where}" if refund else f"Paid {where}",
        detail=f"Card ending in {movement.card.last_four}",
        icon="rotate-ccw" if refund else "credit-card",
        at=journal.occurred_at,
        amounts=amounts,
        reference=movement.external_id,
    )
