"""The secrets of second factors, which are kept encrypted."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.db import transaction

SECRETS = ("secret", "seed")  # of an app's codes, of recovery codes


@transaction.atomic
def rotate_factors(*, after: int, limit: int) -> int | None:
    """Encrypt the secrets of some second factors anew, under the present key.

    :param after: the id to go on from, 0 at first
    :param limit: how many factors at most
    :returns: the last id that was looked at, None if there was none left
    :raises cryptography.fernet.InvalidToken: if a secret's key is missing
    """
    adapter = get_adapter()
    rows = Authenticator.objects.select_for_update(no_key=True).filter(pk__gt=after)
    factors = list(rows.order_by("pk")[:limit])
    for factor in factors:
        for name in factor.data.keys() & set(SECRETS):
            factor.data[name] = adapter.encrypt(adapter.decrypt(factor.data[name]))
        factor.save(update_fields=["data"])
    return factors[-1].pk if factors else None
