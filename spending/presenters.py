"""How customers are told what their cards did."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from common.money import count, in_dollars
from users.presenters import Facts, Speaker, Words

REASONS = {
    "card_inactive": "The card is not active yet.",
    "card_frozen": "The card is frozen.",
    "card_canceled": "The card is cancelled.",
    "card_expired": "The card has expired.",
    "insufficient_funds": "What pays for this card did not cover it.",
    "account_owes": "You owe us for an earlier payment. New money settles that first.",
    "kyc_restricted": "Your account may not spend just now.",
    "security_hold": "How you sign in was just changed: for a day cards pay small amounts only.",
    "price_stale": "There was no fresh price to sell your shares at.",
    "asset_halted": "Trading in your shares was halted.",
    "sale_limit": "No more of your shares could be sold by card just now. Try again later, add"
    " cash, or let another asset pay.",
    "deadline_exceeded": "It took too long to answer. Nothing was taken.",
}


def sold_words(sold: Sequence[Facts], fee_units: int, cash_units: int = 0) -> str:
    """Say what was sold to pay, and what cash paid beside it, or nothing.

    :param sold: of each sale the symbol, the shares and the price of one, as decimals in text
    """
    if not sold:
        return ""
    parts = [
        f"{_shares(one)} at ${Decimal(one['price']).quantize(Decimal('0.01'))}" for one in sold
    ]
    said = f" The fee was {in_dollars(fee_units, ROUND_HALF_UP)}." if fee_units else ""
    cash = in_dollars(cash_units, ROUND_HALF_UP)
    beside = f"; cash paid {cash}" if cash != in_dollars(0) else ""
    return f"Sold {' and '.join(parts)} to pay for it{beside}.{said}"


def _shares(one: Facts) -> str:
    return f"{count(Decimal(one['shares']))} {one['symbol']}"


def _sold(facts: Facts) -> str:
    # What was kept before it said what the shares brought, says nothing of cash.
    cash = max(0, facts["units"] - facts.get("brought_units", facts["units"]))
    return sold_words(facts["sold"], facts["fee_units"], cash)


def _at(facts: Facts, word: str = "at") -> str:
    return f" {word} {facts['merchant']}" if facts["merchant"] else ""


def _declined(facts: Facts) -> Words:
    title = f"{in_dollars(facts['units'], ROUND_CEILING)}{_at(facts)} was declined"
    return Words(title, REASONS.get(facts["reason"], ""))


def _approved(facts: Facts) -> Words:
    if not facts["units"]:
        who = facts["merchant"] or "A merchant"
        return Words(f"{who} checked your card", "Nothing was set aside.")
    title = f"You paid {in_dollars(facts['units'], ROUND_CEILING)}{_at(facts)}"
    return Words(title, _sold(facts))


def _incremented(facts: Facts) -> Words:
    return Words(f"{in_dollars(facts['units'])} more is set aside{_at(facts)}", _sold(facts))


def _cleared_more(facts: Facts) -> Words:
    aside = f"{in_dollars(facts['aside_units'])} was set aside. {_sold(facts)}"
    return Words(f"{in_dollars(facts['units'])} was taken{_at(facts)}", aside.strip())


def _reversed(facts: Facts) -> Words:
    if facts["undone"]:
        shares = " and ".join(_shares(one) for one in facts["undone"])
        body = f"{shares} came back at the price sold for, and the fee with it."
    elif facts["sold"]:
        body = "The shares sold for it stay sold; what they brought is in your cash."
    else:
        body = "The money is back in your cash."
    return Words(f"{in_dollars(facts['units'])}{_at(facts)} was reversed", body)


def _expired(facts: Facts) -> Words:
    title = f"{in_dollars(facts['units'])} was never taken{_at(facts, 'by')}"
    return Words(title, "It is yours to spend again.")


def _refunded(facts: Facts) -> Words:
    return Words(f"{in_dollars(facts['units'])} came back to you", facts["merchant"])


def _recovered(facts: Facts) -> Words:
    return Words(
        f"{in_dollars(facts['units'])} went to what you owed",
        "A merchant had taken more than there was.",
    )


def _forgiven(facts: Facts) -> Words:
    return Words(f"{in_dollars(facts['units'])} of what you owed is forgiven")


def _card(now: str) -> Speaker:
    """Say what a card is now, with the reason given."""
    return lambda facts: Words(
        f"Your card ending in {facts['last_four']} is {now}", facts["reason"]
    )


def _frozen(facts: Facts) -> Words:
    if short := facts.get("short_units"):
        return _card("frozen")({**facts, "reason": shortfall_words(short)})
    return _card("frozen")(facts)


def shortfall_words(units: int) -> str:
    """Say why a card was frozen over a debt."""
    return f"A merchant took {in_dollars(units, ROUND_CEILING)} more than there was."


NOTICES: dict[str, Speaker] = {
    "card.approved": _approved,
    "card.partial": _approved,
    "card.declined": _declined,
    "card.incremented": _incremented,
    "card.cleared_more": _cleared_more,
    "card.reversed": _reversed,
    "card.expired": _expired,
    "card.refunded": _refunded,
    "card.debt_recovered": _recovered,
    "card.debt_forgiven": _forgiven,
    "card.issued": _card("ready"),
    "card.activated": _card("active again"),
    "card.frozen": _frozen,
    "card.cancelled": _card("cancelled"),
}
