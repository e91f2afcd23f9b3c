"""What trading answers when others ask."""

from typing import Any

from common.realtime import private_snapshot
from trading import queries
from users.models import User


@private_snapshot("executions")
def open_orders(user: User) -> list[dict[str, Any]]:
    """Give a customer's open orders, each with the number of the last execution."""
    number = queries.executions_of(user)
    return [
        {**queries.describe_order(order), "sequence": number}
        for order in queries.open_orders_of(user)
    ]
