"""What trading answers when others ask, and does when a customer's standing changes."""

from typing import Any

from django.dispatch import receiver

from common import clock
from common.realtime import private_snapshot
from kyc.models import Application
from kyc.signals import status_changed
from trading import operations, queries
from users.models import User
from users.signals import access_changed


@private_snapshot("executions")
def open_orders(user: User) -> list[dict[str, Any]]:
    """Give a customer's open orders, each with the number of the last execution."""
    number = queries.executions_of(user)
    return [
        {**queries.describe_order(order), "sequence": number}
        for order in queries.open_orders_of(user)
    ]


@receiver(status_changed)
def take_orders_off(application: Application, **_: Any) -> None:
    """Take off what the customer may not trade in this state."""
    operations.cancel_orders_of_barred(customer=application.user, now=clock.now())


@receiver(access_changed)
def take_orders_of_user_off(user: User, **_: Any) -> None:
    """Take off the orders of somebody who is shut out."""
    operations.cancel_orders_of_barred(customer=user, now=clock.now())
