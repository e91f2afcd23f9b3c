"""How customers are told what became of their orders, and of shares that they hold."""

from decimal import Decimal

from common.money import count
from users.presenters import Facts, Speaker, Words

WHY = {
    "corporate_action": "The shares were about to change.",
    "multiplier_changed": "The shares had just changed.",
    "cancel_all_after": "Your dead-man switch was not renewed in time.",
    "aged_out": "It waited too long for the market.",
}


def _order(facts: Facts) -> str:
    return f"Your order to {facts['side']} {facts['name']}"


def _done(facts: Facts) -> str:
    """Say what was traded of an order, or nothing."""
    if not facts["filled"]:
        return ""
    did = "bought" if facts["side"] == "buy" else "sold"
    shares = f"{count(Decimal(facts['filled']))} {facts['symbol']}"
    return f"You {did} {shares} at ${Decimal(facts['price']):,.2f} a share."


def _fired(facts: Facts) -> str:
    return "The price reached what it waited for. " if facts["fired"] else ""


def _filled(facts: Facts) -> Words:
    return Words(f"{_order(facts)} is filled", f"{_fired(facts)}{_done(facts)}")


def _partly_filled(facts: Facts) -> Words:
    return Words(f"{_order(facts)} is partly filled", f"{_done(facts)} The rest waits.")


def _triggered(facts: Facts) -> Words:
    return Words(f"{_order(facts)} has fired", f"{_fired(facts)}It is in the market now.")


def _ended(how: str) -> Speaker:
    def say(facts: Facts) -> Words:
        rest = _done(facts) or "Nothing was traded and nothing was charged."
        why = WHY.get(facts["reason"], "")
        return Words(f"{_order(facts)} {how}", f"{_fired(facts)}{why} {rest}".strip())

    return say


def _changed(facts: Facts) -> Words:
    return Words(facts["title"], facts["event"])


NOTICES: dict[str, Speaker] = {
    "order.filled": _filled,
    "order.partly_filled": _partly_filled,
    "order.triggered": _triggered,
    "order.expired": _ended("has expired"),
    "order.cancelled": _ended("was cancelled"),
    "order.rejected": _ended("was not accepted by the market"),
    "shares.changed": _changed,
}
