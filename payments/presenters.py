"""How customers are told of money that came, and of corrections."""

from common.money import in_dollars
from users.presenters import Facts, Speaker, Words


def _completed(facts: Facts) -> Words:
    reference = facts["reference"]
    found = "We found out that this money is yours: it is in your balance."
    return Words(
        f"{in_dollars(facts['units'])} arrived",
        f"Your deposit {reference} is in your balance." if reference else found,
    )


def _waiting(facts: Facts) -> Words:
    return Words(
        f"{in_dollars(facts['units'])} arrived and is being checked",
        f"It came for your deposit {facts['reference']}. We tell you when it is done.",
    )


def _adjusted(facts: Facts) -> Words:
    units = facts["units"]
    how = "added to" if units > 0 else "taken from"
    return Words(f"{in_dollars(units)} {how} your balance", facts["message"])


NOTICES: dict[str, Speaker] = {
    "deposit.completed": _completed,
    "deposit.waiting": _waiting,
    "account.adjusted": _adjusted,
}
