"""What the ledger answers when others ask."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from common import clock
from common.realtime import private_snapshot
from ledger import queries


@private_snapshot("balances")
def balances(user: AbstractBaseUser) -> list[dict[str, Any]]:
    """Give a customer's balances."""
    as_of = clock.now()
    return [queries.balance_event(a, as_of=as_of) for a in queries.balances_of(user)]
