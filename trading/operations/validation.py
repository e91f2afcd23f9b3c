"""What placing an order would do, without placing it."""

from datetime import datetime

from common.errors import DomainError
from ledger import queries as books
from trading import queries
from trading.operations.orders import OrderDraft, _admit, _conditions, _terms
from users.models import User


def validate_order(*, draft: OrderDraft, customer: User, now: datetime) -> queries.Preview:
    """Refuse what placing it now would refuse, else say what it would do; nothing is written.

    :raises DomainError: as `place_order` would
    """
    conditions = _conditions([draft], customer, now)
    terms = _terms(draft, conditions)
    preview = queries.preview(draft=draft, customer=customer, now=now)
    accounts, balances = _standing_balances(customer, draft)
    [result] = _admit([terms], customer, accounts, balances, conditions)
    if isinstance(result, DomainError):
        raise result
    return preview


def _standing_balances(
    customer: User, draft: OrderDraft
) -> tuple[dict[int, int], dict[int, books.Balance]]:
    """Read the customer's dollars and shares, unlocked: (account ids by asset, balances by id).

    An account never opened stands under the negative id of its asset, with nothing in it.
    """
    own = {account.asset_id: account for account in books.customer_accounts(customer)}
    accounts, balances = {}, {}
    for asset_id in (books.usd().pk, draft.instrument.asset_id):
        found = own.get(asset_id)
        accounts[asset_id] = found.pk if found else -asset_id
        balances[accounts[asset_id]] = books.Balance(
            id=accounts[asset_id],
            owner_id=customer.pk,
            asset_id=asset_id,
            posted=found.posted if found else 0,
            held=found.held if found else 0,
            overdraft=False,
        )
    return accounts, balances
